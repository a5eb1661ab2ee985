"""Cross-entropy of many works to their subjects, over all subjects or over some that are drawn, with its gradient.

The gradient of a softmax is the softmax less the target. So loss and gradient are found together, in one matrix that is
worked on in place, for as many works at a time as fit into a processor's cache.
"""

from typing import NamedTuple

import numpy as np
import torch

from crosswalk.batches import Part

CELLS = 1 << 20  # shares (works x subjects) worked on at once; 4 MB
LEAST = 1e-38  # share as which a smaller one is told; the gradient does not depend on it


class Targets(NamedTuple):
    """What works should be answered with: entries of a matrix (b, k).

    rows, columns: int64 (t,), no pair twice; weights: float32 (t,). Those of a row add up to how much the row counts.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    weights: torch.Tensor


class Drawn(NamedTuple):
    """Subjects that stand for all: their numbers, int64 (k,), sorted, and the log of the chance to be among them."""

    subjects: np.ndarray
    log_chance: np.ndarray


def targets(links: Part, *, among: np.ndarray | None = None) -> Targets:
    """The uniform distribution over each work's subjects, of which every work must have one.

    among: sorted numbers of the subjects that are the columns, all of the links' among them; all subjects by default.
    """
    columns = links.indices if among is None else np.searchsorted(among, links.indices)
    weights = np.repeat(1 / np.maximum(links.lengths, 1), links.lengths).astype(np.float32)
    return Targets(*(torch.from_numpy(x) for x in (links.owners, columns, weights)))


class Sampler:
    """Draws subjects by which a batch is judged: about `size`, frequent ones rather than rare, and the batch's own.

    works: int (S,), works that bear each subject, of n; size: subjects drawn, on average.
    Each subject is drawn on its own with a chance that grows with the root of its frequency. That a subject is there
    because another work of the batch bears it is part of its chance too, batches being shuffled: so the sum over the
    subjects drawn, each by 1 / chance, is without bias that over all (Horvitz and Thompson, 1952).
    """

    def __init__(self, works: np.ndarray, n: int, *, size: int):
        self._chance = _chances(np.sqrt(np.maximum(works, 1.0)), size)
        self._absent = np.log1p(-np.minimum(works / max(n, 1), 1 - 1e-9))

    def draw(self, links: Part, *, rng: np.random.Generator) -> Drawn:
        """Subjects for the batch that bears these links."""
        drawn = rng.random(len(self._chance)) < self._chance
        drawn[links.indices] = True
        subjects = np.flatnonzero(drawn)
        others = max(len(links.indptr) - 2, 0)
        missed = (1 - self._chance[subjects]) * np.exp(others * self._absent[subjects])
        return Drawn(subjects, np.log1p(-np.minimum(missed, 1 - 1e-9)).astype(np.float32))


def cross_entropy(works, subjects, bias, wanted: Targets, *, log_chance=None) -> torch.Tensor:
    """Mean cross-entropy of softmax(works @ subjects' + bias) to the targets, in nats; a scalar with a gradient.

    works: float32 (b, dim); subjects: float32 (k, dim); bias: float32 (k,); log_chance: float32 array (k,), where the
    subjects are Drawn. A work's own subjects are always there, so their chance is 1.
    """
    return _CrossEntropy.apply(works, subjects, bias, wanted, log_chance)


class _CrossEntropy(torch.autograd.Function):
    """The gradient is found on the way forward, a few works at a time, so that their shares stay in the cache."""

    @staticmethod
    def forward(ctx, works, subjects, bias, wanted, log_chance):
        rows, columns, weights = wanted[0], wanted[1], wanted[2].to(works.dtype)
        if log_chance is not None:
            log_chance = torch.from_numpy(log_chance)
            bias = bias - log_chance
        of_works, of_subjects, of_bias = torch.empty_like(works), torch.zeros_like(subjects), torch.zeros_like(bias)
        mass = torch.zeros(len(works), dtype=works.dtype).index_add_(0, rows, weights)[:, None]
        weights = weights / mass[rows, 0]
        step = max(1, CELLS // len(subjects))
        bounds = torch.searchsorted(rows, torch.arange(0, len(works) + step, step)).tolist()
        memory, total = works.new_empty(2, min(step, len(works)), len(subjects)), works.new_zeros(())
        for place, start in enumerate(range(0, len(works), step)):
            some, own = works[start : start + step], slice(bounds[place], bounds[place + 1])
            row, column, weight = rows[own] - start, columns[own], weights[own]
            logits = torch.addmm(bias, some, subjects.T, out=memory[0, : len(some)])
            if log_chance is not None:
                logits[row, column] += log_chance[column]
            share = torch.softmax(logits, 1, out=memory[1, : len(some)])
            reached = share[row, column]
            heavy = mass[start : start + step]
            total -= (heavy[row, 0] * weight * reached.clamp_min(LEAST).log()).sum()
            share[row, column] = reached - weight
            torch.mm(share, subjects, out=of_works[start : start + step])
            of_subjects.addmm_(share.T, some * heavy)
            of_bias += (share.T @ heavy)[:, 0]
        of_works *= mass
        ctx.save_for_backward(of_works, of_subjects, of_bias)
        ctx.count = len(works)
        return total / ctx.count

    @staticmethod
    def backward(ctx, gradient):
        return *(part * (gradient / ctx.count) for part in ctx.saved_tensors), None, None


def _chances(weights, size):
    """Chances proportional to weights, at most 1, that add up to `size` or are all 1."""
    chances = np.minimum(weights * (size / weights.sum()), 1)
    for _ in range(20):
        certain, free = chances >= 1, chances < 1
        if not free.any() or size <= certain.sum():
            break
        chances[free] = np.minimum(weights[free] * ((size - certain.sum()) / weights[free].sum()), 1)
        if (chances >= 1).sum() == certain.sum():
            break
    return chances
