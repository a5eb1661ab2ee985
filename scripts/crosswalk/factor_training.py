"""Training of the factorisation: what is hidden, what is held back, the loop, and when it ends.

What a work bears is hidden in part while it is learned (Vincent et al., 2008; Liang et al., 2018), so that the model
completes works instead of repeating them. Links held back from it say when to stop, and what it is worth.
"""

import copy
import logging
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from tqdm import tqdm

from crosswalk import batches
from crosswalk.factors import Factors
from crosswalk.recommender import BATCH, Fitting
from crosswalk.softmax import cross_entropy, targets

log = logging.getLogger(__name__)

LEAST_STEPS = 50  # of an epoch: few works are learned in smaller batches, down to LEAST_BATCH
LEAST_BATCH = 32
WARM_UP, LAST = 0.1, 0.03  # share of the steps in which the rate rises, and of it that is left at the end
HIDDEN, NOTHING = 0.6, 0.2  # see `batches.shown`
HELD_BACK, HELD_SHARE, LEAST_HELD = 2000, 0.05, 20  # works of which one link is held back; with fewer there is no check
PATIENCE = 2  # epochs without a better recall after which training ends
TOP = 10


class Held(NamedTuple):
    """Links that training does not see: one subject, int64 (h,), of each of some rows, int64 (h,)."""

    rows: np.ndarray
    subjects: np.ndarray


def train(net, fitting, held, sampler, *, epochs, batch_size, rate, decay, rng):
    """Train a network in place; the vectors of the best epoch are those that stay.

    net: Factors; fitting: Fitting with the links to learn; held: Held; sampler: Sampler, or None for all subjects;
    rate: of AdamW at its height; decay: of the vectors. Returns the history as a list of dicts: epoch, loss, log_loss,
    recall_at_10. It ends early when the recall has not risen for PATIENCE epochs.
    """
    rows = np.flatnonzero(np.diff(fitting.links.indptr))
    batch_size = min(batch_size, max(LEAST_BATCH, len(rows) // LEAST_STEPS))
    adam = _adam(net, rate, decay)
    steps = epochs * -(-len(rows) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _factor(step, steps))
    history, best, since, kept = [], -1.0, 0, None
    for epoch in tqdm(range(1, epochs + 1), desc="epochs", disable=None, delay=5):
        total = 0.0
        for batch in batches.epoch(fitting.links, rows, batch_size=batch_size, rng=rng):
            objective = _loss(net, fitting, batch, sampler, rng)
            adam.zero_grad(set_to_none=True)
            objective.backward()
            adam.step()
            schedule.step()
            total += float(objective.detach()) * len(batch.rows)
        log_loss, recall = check(net, fitting, held)
        history.append({"epoch": epoch, "loss": total / len(rows), "log_loss": log_loss, "recall_at_10": recall})
        log.info("epoch %d: loss %.3f, log loss %.3f, recall@10 %.3f", *history[-1].values())
        if recall > best:
            best, since, kept = recall, 0, None if epoch == epochs else copy.deepcopy(net.state_dict())
        else:
            since += 1
            if since >= PATIENCE and len(held.rows):
                break
    if kept is not None and since:
        net.load_state_dict(kept)
    return history


def hold_back(links: csr_array, *, rng: np.random.Generator) -> tuple[csr_array, Held]:
    """Take one link out of some of the works that have three or more; all links and nothing if these are too few."""
    rich = np.flatnonzero(np.diff(links.indptr) >= 3)
    count = min(HELD_BACK, int(HELD_SHARE * len(rich)))
    if count < LEAST_HELD:
        return links, Held(np.empty(0, np.int64), np.empty(0, np.int64))
    rows = np.sort(rng.permutation(rich)[:count])
    places = rng.integers(links.indptr[rows], links.indptr[rows + 1])
    mask = np.ones(links.nnz, bool)
    mask[places] = False
    indptr = np.concatenate([[0], np.cumsum(mask)])[links.indptr]
    shown = csr_array((links.data[mask], links.indices[mask], indptr), shape=links.shape)
    return shown, Held(rows, links.indices[places].astype(np.int64))


def check(net: Factors, fitting: Fitting, held: Held) -> tuple[float, float]:
    """Log loss (nats) and recall@10 of the links held back; NaN if there are none."""
    losses, hits = [], []
    net.eval()
    with torch.inference_mode():
        subjects = net.of_subjects()
        for start in range(0, len(held.rows), BATCH):
            rows, wanted_ = held.rows[start : start + BATCH], torch.from_numpy(held.subjects[start : start + BATCH])
            known = net.known(fitting, rows)
            logits = torch.addmm(net.bias, net.of_works(known), subjects.T)
            logits[torch.from_numpy(known.links.owners), torch.from_numpy(known.links.indices)] = -torch.inf
            own = logits.gather(1, wanted_[:, None])
            losses.append(torch.logsumexp(logits, 1) - own[:, 0])
            hits.append((logits > own).sum(1) < TOP)
    net.train()
    if not losses:
        return float("nan"), float("nan")
    return float(torch.cat(losses).double().mean()), float(torch.cat(hits).double().mean())


def _loss(net, fitting, batch, sampler, rng):
    mask = batches.shown(batch.links, most=HIDDEN, nothing=NOTHING, rng=rng)
    works = net.of_works(net.known(fitting, batch.rows, links=batches.kept(batch.links, mask)))
    if sampler is None:
        return cross_entropy(works, net.of_subjects(), net.bias, targets(batch.links))
    drawn = sampler.draw(batch.links, rng=rng)
    wanted_ = targets(batch.links, among=drawn.subjects)
    bias = net.bias[torch.from_numpy(drawn.subjects)]
    return cross_entropy(works, net.of_subjects(drawn.subjects), bias, wanted_, log_chance=drawn.log_chance)


def _adam(net, rate, decay):
    """AdamW that shrinks the vectors, and leaves biases, gates and scale alone."""
    tables = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim < 2]
    groups = [{"params": tables, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def _factor(step, steps):
    """Share of the rate's height at a step from 0: up along a line, then down along one."""
    warm = max(1, WARM_UP * steps)
    return min((step + 1) / warm, 1 - (1 - LAST) * step / steps)
