"""Cross-entropy of many works to their subjects, over all subjects or over some that are drawn, with its gradient.

The gradient of a softmax is the softmax less the target, so that one matrix (works, subjects) is held and worked on in
place where automatic differentiation would hold four.
"""

from typing import NamedTuple

import numpy as np
import torch

from crosswalk.batches import Part


class Targets(NamedTuple):
    """What works should be answered with: entries of a matrix (b, k), weights of a row adding up to 1.

    rows, columns: int64 (t,), no pair twice; weights: float32 (t,).
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
    @staticmethod
    def forward(ctx, works, subjects, bias, wanted, log_chance):
        rows, columns, weights = wanted
        if log_chance is not None:
            log_chance = torch.from_numpy(log_chance)
            bias = bias - log_chance
        logits = torch.addmm(bias, works, subjects.T)
        if log_chance is not None:
            logits[rows, columns] += log_chance[columns]
        own = logits[rows, columns]
        share = torch.softmax(logits, 1)
        # The log of the sum is the same along a row; it is read off where the share is greatest, hence not rounded off.
        top, place = share.max(1)
        log_sum = logits.gather(1, place[:, None])[:, 0] - top.log()
        del logits
        share[rows, columns] -= weights
        ctx.save_for_backward(works, subjects, share)
        return (weights * (log_sum[rows] - own)).sum() / len(works)

    @staticmethod
    def backward(ctx, gradient):
        works, subjects, share = ctx.saved_tensors
        gradient = gradient / len(works)
        return (share @ subjects) * gradient, (share.T @ works) * gradient, share.sum(0) * gradient, None, None


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
