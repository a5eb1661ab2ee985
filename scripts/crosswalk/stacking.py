"""One model out of many: small networks that say how likely a candidate is, from what every member says of it.

Stacked generalisation (Wolpert 1992) over candidates: the best few of each member. What the networks see of a candidate
is each member's score, how it compares with the best of the same work, and its rank, besides how frequent the subject
and how richly tagged the work is. They learn from links that were hidden from the members, and from no other.
"""

import json
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from crosswalk import ranking
from crosswalk.factors import one_thread
from crosswalk.neighbours import places

EACH = 40  # candidates that each member names for a work
HIDDEN = 48  # units of each of two layers
EPOCHS = 5
LEAST_STEPS = 300  # few candidates are gone through more often
BATCH = 1024
RATE = 4e-3
DECAY = 1e-5
NETS = 3  # each learns from all but one part of the works, so that its word on that part is unbiased
VIEWS = 4  # what is seen of a member's score: itself, its logarithm, its share of the best one's, its rank
SMALL = 1e-3  # of a member's typical score: below this its logarithm says no more


class Candidates(NamedTuple):
    """Pairs of work and subject that are worth a closer look; c of them, works in order.

    works: intp (c,), row in the batch or in the whole; subjects: int32 (c,); scores: float32 (c, m), of each member.
    """

    works: np.ndarray
    subjects: np.ndarray
    scores: np.ndarray


def candidates(scores, seen, *, each=EACH, same=None):
    """The best `each` subjects of every member, of those that it gives a score above 0, for a batch of works.

    scores: m arrays float32 (b, S), one for each member; seen: csr (b, S), subjects that are never candidates; same:
    int (S,), subjects of one number mean the same. Returns Candidates, ordered by work and subject.
    """
    listed = np.concatenate([_positive(own, ranking.top(own, seen, each, same=same)) for own in scores], axis=1)
    size = scores[0].shape[1]
    keys = (np.arange(len(listed), dtype=np.int64)[:, None] * size + listed)[listed >= 0]
    works, subjects = np.divmod(np.unique(keys), size)
    return Candidates(works, subjects.astype(np.int32), np.stack([own[works, subjects] for own in scores], axis=1))


def _positive(scores, ranked):
    """A list without what the member has nothing to say for; -1 there."""
    return np.where(np.take_along_axis(scores, np.maximum(ranked, 0), axis=1) > 0, ranked, -1)


def joined(parts):
    """The Candidates of several batches as one, their works numbered on. parts: list of (Candidates, works in it)."""
    starts = np.cumsum([0, *(size for _, size in parts)])[:-1]
    return Candidates(
        np.concatenate([part.works + start for (part, _), start in zip(parts, starts, strict=True)]),
        np.concatenate([part.subjects for part, _ in parts]),
        np.concatenate([part.scores for part, _ in parts]),
    )


def views(found, *, scales, frequency, tagged):
    """What the networks see: float32 (c, VIEWS * m + 2).

    found: Candidates; scales: float (m,), each member's typical score; frequency: (S,) works that bear a subject;
    tagged: (works,) subjects that a work visibly bears.
    """
    starts = np.flatnonzero(np.diff(found.works, prepend=-1))
    sizes = np.diff(np.append(starts, len(found.works)))
    columns = []
    for score, scale in zip(found.scores.T, scales, strict=True):
        best = np.repeat(np.maximum.reduceat(score, starts), sizes) if len(score) else score
        order = np.lexsort((found.subjects, -score, found.works))
        rank = np.empty(len(score))
        rank[order] = places(found.works)  # which ordering by work first leaves as they are
        share = np.divide(score, best, out=np.zeros_like(score), where=best > 0)
        columns += [score / scale, np.log(np.maximum(score / scale, SMALL)), share.clip(-1, 1), np.log1p(rank)]
    columns += [np.log1p(frequency[found.subjects]), np.log1p(tagged[found.works])]
    return np.stack(columns, axis=1).astype(np.float32)


class Stack:
    """Members weighed by what they say together.

    members: names, in the order of the columns of Candidates.scores; scales, mean, spread: of the views; nets: list of
    torch modules, whose mean logit counts.
    """

    def __init__(self, members, scales, mean, spread, nets):
        self.members, self.scales, self.mean, self.spread, self.nets = list(members), scales, mean, spread, nets

    def score(self, found, *, frequency, tagged):
        """Logit of each candidate: float32 (c,)."""
        seen = self._standardised(found, frequency, tagged)
        return np.mean([_logits(net, seen) for net in self.nets], axis=0, dtype=np.float32)

    def worth(self, found, hits, *, frequency, tagged, seed):
        """How much each member is relied on: the rise of the log loss when its word is that on another candidate.

        found: Candidates, hits: bool (c,). Returns float64 (m,), the rises in units of their sum, at least 0
        (permutation importance, Breiman 2001).
        """
        seen, hits = self._standardised(found, frequency, tagged), np.asarray(hits, np.float32)
        rng = np.random.default_rng(seed)
        losses = [_loss(self.nets, seen, hits)]
        for member in range(len(self.members)):
            mixed = seen.clone()
            own = slice(VIEWS * member, VIEWS * (member + 1))
            mixed[:, own] = seen[torch.from_numpy(rng.permutation(len(seen))), own]
            losses.append(_loss(self.nets, mixed, hits))
        rises = np.maximum(np.array(losses[1:]) - losses[0], 0)
        return rises / max(rises.sum(), 1e-12)

    def tensors(self):
        """Arrays by name, for safetensors."""
        arrays = {"scales": self.scales, "mean": self.mean, "spread": self.spread}
        for i, net in enumerate(self.nets):
            arrays |= {f"net{i}.{name}": value.numpy() for name, value in net.state_dict().items()}
        arrays["members"] = np.frombuffer(json.dumps(self.members).encode(), np.uint8)
        return arrays

    @classmethod
    def from_tensors(cls, arrays):
        """The Stack behind what `tensors` gave."""
        nets = []
        while f"net{len(nets)}.0.weight" in arrays:
            start = f"net{len(nets)}."
            own = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
            net = _net(own["0.weight"].shape[1])
            net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in own.items()})
            nets.append(net)
        members = json.loads(bytes(arrays["members"]).decode())
        return cls(members, arrays["scales"], arrays["mean"], arrays["spread"], nets)

    def _standardised(self, found, frequency, tagged):
        seen = views(found, scales=self.scales, frequency=frequency, tagged=tagged)
        return torch.from_numpy((seen - self.mean) / self.spread)


def fit(found, hits, *, members, frequency, tagged, seed, nets=NETS, epochs=EPOCHS):
    """Learn how to weigh the members.

    found: Candidates of works of which links were hidden from the members; hits: bool (c,), whether a candidate is one
    of these links; members: m names; frequency: (S,); tagged: (works,); seed: integer.
    Returns the Stack, and float32 (c,): the logit of each candidate by the network that did not learn from its work,
    by which probabilities can be calibrated. The same for the same seed.
    Raises ValueError if no candidate is a hit, or all are.
    """
    hits = np.asarray(hits, np.float32)
    if not 0 < hits.sum() < len(hits):
        raise ValueError(f"{int(hits.sum())} of {len(hits)} candidates are hidden links: nothing to learn from")
    scales = np.array([_typical(score) for score in found.scores.T], np.float32)
    seen = views(found, scales=scales, frequency=frequency, tagged=tagged)
    mean, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-6)
    seen, targets = torch.from_numpy((seen - mean) / spread), torch.from_numpy(hits)
    count = int(found.works[-1]) + 1
    part = (np.random.default_rng([seed, 1]).permutation(count) % nets)[found.works]
    trained, unbiased = [], np.empty(len(hits), np.float32)
    for i in range(nets):
        own = torch.from_numpy(np.flatnonzero(part != i))
        trained.append(_train(seen, targets, own, epochs=epochs, seed=seed + i))
        unbiased[part == i] = _logits(trained[-1], seen[torch.from_numpy(part == i)])
    return Stack(members, scales, mean, spread, trained), unbiased


def _typical(score):
    positive = score[score > 0]
    return float(np.quantile(positive, 0.9)) if len(positive) else 1.0


def _net(width):
    return nn.Sequential(
        nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
    )


def _train(seen, targets, own, *, epochs, seed):
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed)
        net = _net(seen.shape[1])
        optimiser = torch.optim.Adam(net.parameters(), lr=RATE, weight_decay=DECAY)
        batches = -(-len(own) // BATCH)
        epochs = max(epochs, -(-LEAST_STEPS // batches))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for batch in own[torch.randperm(len(own))].split(BATCH):
                logits = net(seen[batch]).squeeze(1)
                loss = functional.binary_cross_entropy_with_logits(logits, targets[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return net.eval().requires_grad_(False)


def _logits(net, seen):
    with one_thread(), torch.no_grad():
        return net(seen).squeeze(1).numpy()


def _loss(nets, seen, hits):
    logits = np.mean([_logits(net, seen) for net in nets], axis=0, dtype=np.float64)
    return float(np.mean(np.logaddexp(0, logits) - hits * logits))
