"""Weights of blocks without labels: those under which the halves of a text agree best on the partner.

On four labelled sets the agreement of halves ranked combinations of blocks as their truth did. It tells how constant a
block is within a text, though, not how well it crosses from one side's wording to the other's: where the sides use
different words, the words of a text still agree with themselves. So the embedding, which was made to cross, keeps its
weight, and no automatic weight exceeds it.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk.blocks import SIDES, Combined, evenly
from crosswalk.halves import agreement, shuffled

FALLBACK = {"embedding": 1.0, "words": 0.25, "characters": 0.25, "topics": 0.0, "code": 0.0}
VALUES = (0.0, 0.125, 0.25, 0.5, 1.0)  # of a weight, beside 1 for the first block
WIDER = (*VALUES, 2.0, 4.0, 8.0, 16.0, 32.0)  # beside the greatest weight that is given, which may be meant to be small
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

    blocks: list of Block with parts a, b, a1, a2, b1, b2 (a side of which no text was split may lack its halves);
    scales: name of a block -> its spread. The halves look among up to 4,000 rows of the other side.
    rows: number of split texts, those of a first.
    """

    def __init__(self, blocks, scales):
        parts = blocks[0].parts
        self.rows = sum(len(parts[part].dense) for part in ("a1", "b1") if part in parts)
        self._agreed, self._scores = {}, {}
        for block in blocks:
            thin = block._replace(parts={p: _thin(f) if p in SIDES else f for p, f in block.parts.items()})
            self._scores[block.name] = [
                [_read(one, half, scale=scales[block.name]) for half in ("a1", "a2")] for one in (thin, _flip(thin))
            ]

    def combine(self, weights):
        """[(first, second) for the halves of a, and of b]: scores under weights (dict of name to weight)."""
        weights = {name: weight for name, weight in weights.items() if weight}
        if not weights:
            raise ValueError("every weight is 0")
        return [
            tuple(sum(weight * self._scores[name][side][half] for name, weight in weights.items()) for half in (0, 1))
            for side in (0, 1)
        ]

    def informed(self, weights):
        """Reciprocal rank of each split text as `agree` has it, times what its choice tells; (rows,).

        A choice shared by c of n texts tells log(n / c) of log(n): halves that meet in a candidate which everybody
        chooses agree without saying anything of their text.
        """
        reciprocal, _ = self.agree(weights)
        told = []
        for first, second in self.combine(weights):
            if len(first):
                told.append(sum(_information(np.argmax(scores, axis=1)) for scores in (first, second)) / 2)
        return reciprocal * np.concatenate(told)

    def agree(self, weights):
        """Reciprocal rank and sameness of each split text under weights; two arrays (rows,)."""
        key = tuple(sorted((name, weight) for name, weight in weights.items() if weight))
        if key not in self._agreed:
            found = [agreement(first, second) for first, second in self.combine(weights) if len(first)]
            self._agreed[key] = tuple(np.concatenate(part) for part in zip(*found, strict=True))
        return self._agreed[key]

    def null(self, weights, *, seed, rows=None, permutations=PERMUTATIONS):
        """Mean reciprocal rank when halves of different texts are compared; (permutations,). rows: as for `choose`."""
        rows = np.ones(self.rows, bool) if rows is None else rows
        ends = np.cumsum([0, *(len(first) for first, _ in self.combine(weights))])
        parts = [rows[start:stop] for start, stop in pairwise(ends)]
        sides = [tuple(s[own] for s in pair) for pair, own in zip(self.combine(weights), parts, strict=True)]
        sides = [(first, second) for first, second in sides if len(first) > 1]
        sizes = np.array([len(first) for first, _ in sides])
        found = [shuffled(*pair, permutations=permutations, seed=seed + i) for i, pair in enumerate(sides)]
        return np.average(found, axis=0, weights=sizes)


def choose(readings, given, *, scales, rows=None):
    """Weights under which the halves agree best.

    readings: `Readings`, or None; given: name of a block -> a number or "auto"; scales: name -> spread, and blocks
    without one are left out; rows: bool (readings.rows,), the split texts that count, by default all.
    One weight after the other is moved over VALUES, twice around; those combinations that are within one standard error
    of the best are averaged, since among them the data cannot tell. The first automatic block keeps weight 1 unless
    another weight is given: given weights stay, and the others are set in proportion to the greatest. With fewer than
    20 split texts the automatic weights are those of FALLBACK. Returns Weighting.
    """
    known = {name: weight for name, weight in given.items() if scales.get(name)}
    free = [name for name, weight in known.items() if weight == "auto"]
    fixed = {name: float(weight) for name, weight in known.items() if weight != "auto"}
    unit = max(fixed.values(), default=0.0) or 1.0
    start = {name: fixed[name] / unit if name in fixed else FALLBACK.get(name, 0.0) for name in known}
    if free and not any(start.values()):
        start[free[0]] = 1.0
    count = 0 if readings is None else readings.rows if rows is None else int(np.count_nonzero(rows))
    if count < LEAST_ROWS or not free:
        empty = pd.DataFrame(columns=[*known, "agreement", "same", "chosen_from"])
        return Weighting(_scaled(start, unit) | fixed, empty, count)
    tried = _try(readings, start, free, anchored=not any(fixed.values()), rows=slice(None) if rows is None else rows)
    near = _near(tried, start, free, anchored=not any(fixed.values()))
    weights = dict(zip(known, np.mean(near, axis=0).round(3).tolist(), strict=True))
    table = pd.DataFrame([[unit * weight for weight in key] for key in tried], columns=list(known))
    table["agreement"] = [float(reciprocal.mean()) for reciprocal, _ in tried.values()]
    table["same"] = [float(np.mean(same)) for _, same in tried.values()]
    table["chosen_from"] = [key in near for key in tried]
    table = table.sort_values("agreement", ascending=False, kind="stable", ignore_index=True)
    return Weighting(_scaled(weights, unit) | fixed, table, count)


def _information(choices):
    """What each of n choices tells of the row that made it, from 0 (all choose it) to 1 (nobody else does)."""
    _, place, times = np.unique(choices, return_inverse=True, return_counts=True)
    n = len(choices)
    return np.log(n / times[place]) / np.log(n) if n > 1 else np.zeros(n)


def _try(readings, start, free, *, anchored, rows):
    """Combinations of weights (tuples in the order of `start`) -> informed agreement and sameness of the rows."""
    tried = {}

    def worth(weights):
        key = tuple(weights.values())
        if not any(key):
            return -1.0
        if key not in tried:
            tried[key] = readings.informed(weights)[rows], readings.agree(weights)[1][rows]
        return tried[key][0].mean()

    for name in free:  # each alone too, so that the table shows them
        worth({**dict.fromkeys(start, 0.0), name: 1.0})
    best = {**start, free[0]: 1.0} if anchored else dict(start)
    for _ in range(SWEEPS):
        for name in free[1:] if anchored else free:
            options = [{**best, name: value} for value in (VALUES if anchored else WIDER)]
            best = options[int(np.argmax([worth(option) for option in options]))]
    worth(best)
    return tried


def _near(tried, start, free, *, anchored):
    """The combinations that cannot be told from the best of those on one scale: with the weights that are not free, or
    the first of the free, as they were."""
    names = list(start)
    if anchored:
        scaled = [key for key in tried if key[names.index(free[0])] == 1]
    else:
        scaled = [key for key in tried if all(key[names.index(n)] == start[n] for n in start if n not in free)]
    top = _best(tried, scaled)
    return [key for key in scaled if _within(tried[top][0], tried[key][0])]


def _best(tried, keys):
    """The key of the highest agreement; of equals the one with the least weights."""
    return min(keys, key=lambda key: (-tried[key][0].mean(), key))


def _within(best, other):
    """Whether the mean of `other` is within a standard error of that of `best`, row by row compared."""
    difference = best - other
    return difference.mean() <= difference.std() / np.sqrt(len(difference))


def _scaled(weights, unit):
    return {name: weight * unit for name, weight in weights.items()}


def _read(block, half, *, scale):
    """Scores of some halves with the rows of b; float32 (halves, m), without a row if there are no halves."""
    if half not in block.parts:
        return np.empty((0, len(block.parts["b"].dense)), np.float32)
    n = len(block.parts[half].dense)
    return Combined([block], [1 / scale], a=half).rows(0, n)


def _thin(features):
    return features.take(evenly(len(features.dense), CANDIDATES))


def _flip(block):
    """The block with a and b exchanged, for looking from b; the augmented columns of sparse blocks are symmetric."""
    return block._replace(parts={("b" if p[0] == "a" else "a") + p[1:]: f for p, f in block.parts.items()})
