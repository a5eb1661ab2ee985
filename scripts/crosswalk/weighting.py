"""Weights of blocks without labels: those under which the halves of a text agree best on the partner.

On four labelled sets the agreement of halves ranked combinations of blocks as their truth did.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk.blocks import Combined
from crosswalk.halves import agreement, shuffled

logger = logging.getLogger(__name__)

FALLBACK = {"embedding": 1.0, "words": 0.25, "characters": 0.25, "topics": 0.0, "code": 0.0}
VALUES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # of a weight, beside 1 for the first block
SWEEPS = 2
CANDIDATES = 4000  # rows of the other side among which the halves look
LEAST_ROWS = 20  # split texts below which their agreement says nothing
PERMUTATIONS = 999


class Weighting(NamedTuple):
    """weights: name of a block -> weight; tried: DataFrame, one row for each combination; rows: texts split."""

    weights: dict
    tried: pd.DataFrame
    rows: int


class Readings:
    """Scores of the halves, block by block, so that any weights can be tried quickly.

    blocks: list of Block with parts a, b, a1, a2, b1, b2; scales: name of a block -> its spread.
    rows: number of split texts.
    """

    def __init__(self, blocks, scales):
        self.rows = sum(len(blocks[0].parts[part].dense) for part in ("a1", "b1"))
        self._scores = {}
        for block in blocks:
            thin = block._replace(parts={p: _thin(f) if p in "ab" else f for p, f in block.parts.items()})
            flipped = _flip(thin)
            self._scores[block.name] = [
                [Combined([one], [1 / scales[block.name]], a=half, b=other).rows(0, self.rows) for half in halves]
                for one, halves, other in ((thin, ("a1", "a2"), "b"), (flipped, ("a1", "a2"), "b"))
            ]

    def combine(self, weights):
        """[(first, second) for the halves of a, and of b]: scores under weights (dict of name to weight)."""
        return [
            tuple(sum(w * self._scores[name][side][half] for name, w in weights.items() if w) for half in (0, 1))
            for side in (0, 1)
        ]

    def agree(self, weights):
        """Reciprocal rank and sameness of each split text under weights; two arrays (rows,)."""
        found = [agreement(first, second) for first, second in self.combine(weights) if len(first)]
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))

    def null(self, weights, *, seed, permutations=PERMUTATIONS):
        """Mean reciprocal rank when halves of different texts are compared; (permutations,)."""
        sides = [(first, second) for first, second in self.combine(weights) if len(first) > 1]
        sizes = np.array([len(first) for first, _ in sides])
        found = [shuffled(*pair, permutations=permutations, seed=seed + i) for i, pair in enumerate(sides)]
        return np.average(found, axis=0, weights=sizes)


def choose(readings, given, *, scales, rows=None):
    """Weights under which the halves agree best.

    readings: `Readings`, or None; given: name of a block -> a number or "auto"; scales: name -> spread;
    rows: bool (readings.rows,), the split texts that count, by default all.
    One weight after the other is moved over VALUES, twice around; those combinations that are within one standard error
    of the best are averaged, since among them the data cannot tell. The first automatic block keeps weight 1 unless
    another weight is given, to which it is then set in proportion. Returns Weighting.
    """
    known = {name: weight for name, weight in given.items() if scales.get(name)}
    free = [name for name, weight in known.items() if weight == "auto"]
    start = {name: FALLBACK.get(name, 0.0) if weight == "auto" else float(weight) for name, weight in known.items()}
    if not any(start.values()) and start:
        start[next(iter(start))] = 1.0
    empty = pd.DataFrame(columns=[*known, "agreement", "same", "chosen_from"])
    count = 0 if readings is None else readings.rows if rows is None else int(rows.sum())
    if count < LEAST_ROWS or not free:
        return Weighting(start, empty, count)
    rows = slice(None) if rows is None else rows
    anchored = not any(weight for name, weight in start.items() if name not in free)
    moved = free[1:] if anchored else free
    tried = {}

    def worth(weights):
        key = tuple(weights.values())
        if key not in tried:
            tried[key] = [part[rows] for part in readings.agree(weights)] if any(key) else [np.zeros(count)] * 2
        return tried[key][0].mean()

    best = {**start, free[0]: 1.0} if anchored else dict(start)
    for name in free:  # each alone too, so that the table shows them
        worth({**dict.fromkeys(known, 0.0), name: 1.0})
    for _ in range(SWEEPS):
        for name in moved:
            options = [{**best, name: value} for value in VALUES]
            best = options[int(np.argmax([worth(option) for option in options]))]
    top = max(tried, key=lambda key: (tried[key][0].mean(), key))
    near = [key for key in tried if _within(tried[top][0], tried[key][0]) and _comparable(key, start, free, anchored)]
    weights = np.mean(near or [top], axis=0).round(3)
    table = pd.DataFrame(list(tried), columns=list(known))
    table["agreement"] = [float(reciprocal.mean()) for reciprocal, _ in tried.values()]
    table["same"] = [float(np.mean(same)) for _, same in tried.values()]
    table["chosen_from"] = [key in near for key in tried]
    table = table.sort_values("agreement", ascending=False, kind="stable", ignore_index=True)
    chosen = dict(zip(known, map(float, weights), strict=True))
    return Weighting(chosen, table, count)


def _within(best, other):
    """Whether the mean of `other` is within a standard error of that of `best`, row by row compared."""
    difference = best - other
    return difference.mean() <= difference.std() / np.sqrt(len(difference))


def _comparable(key, start, free, anchored):
    """Whether a combination is on the scale of the others: its fixed weights, or its first one, are as they were."""
    weights = dict(zip(start, key, strict=True))
    fixed = [name for name in start if name not in free] if not anchored else free[:1]
    return all(weights[name] == (1.0 if anchored else start[name]) for name in fixed)


def _thin(features):
    n = len(features.dense)
    return features.take(np.unique(np.linspace(0, n - 1, min(n, CANDIDATES)).astype(np.intp)))


def _flip(block):
    """The block with a and b exchanged, for looking from b; the augmented columns of sparse blocks are symmetric."""
    return block._replace(parts={("b" if p[0] == "a" else "a") + p[1:]: f for p, f in block.parts.items()})
