"""Scores to probabilities that can be trusted, and how far they can: isotonic regression (Zadrozny and Elkan, 2002).

What is learned and measured is the chance *that a suggestion is one of the links that were hidden from the work*. It
is not the chance that a cataloguer would call the suggestion right, and means one thing for each kind of work:

known works   One link is hidden, the others are seen. At most one suggestion of a list can be it, so the probabilities
              of a list sum to less than 1: "if one link of this work is missing, this is it". A work may truly lack
              several; suggestions that are right but were never entered count as wrong here, so that the chance of
              being right is higher, by how much nobody can tell from the links.
new works     All links are hidden. Any number of suggestions can be among them: "a cataloguer gave this subject". Too
              low only for subjects that were forgotten.

Two such meanings never share a curve: `fit` each from its own validation works, keep both by `tensors`, and apply the
one of the work at hand.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.isotonic import isotonic_regression

from crosswalk.ranking import RESAMPLES, found
from crosswalk.significance import bounds, resampled

GROUP = 50  # candidates of neighbouring scores that are pooled before the fit: a share of fewer tells little
BINS = 15  # of equal size, by which the calibration error is measured
Z = 1.959964  # standard normal quantile of a 95 % interval
COLUMNS = ["bin", "probability", "observed", "n", "low", "high"]


class Candidates(NamedTuple):
    """Suggestions whose outcome is known: scores float64 (c,); hits bool (c,), whether it was a hidden link; works
    int64 (c,), the row of its work."""

    scores: np.ndarray
    hits: np.ndarray
    works: np.ndarray


class Knots(NamedTuple):
    """A curve from scores to probabilities, straight between its knots and level outside them.

    x: float64 (p,), scores, rising; y: float64 (p,), probabilities, never falling, above 0 and below 1.
    """

    x: np.ndarray
    y: np.ndarray


def candidates(scores: np.ndarray, ranked: np.ndarray, hidden: csr_array) -> Candidates:
    """The suggestions of some works, one after the other.

    scores: float (b, k), of the suggestions, not of all subjects; ranked: int (b, k) from `ranking.top`, where -1 is no
    suggestion; hidden: csr (b, S), nonzero at hidden links: one a work for known works, all for new ones.
    """
    if scores.shape != ranked.shape:
        raise ValueError(f"{scores.shape} scores for {ranked.shape} suggestions")
    given = ranked >= 0
    return Candidates(scores[given].astype(np.float64), found(ranked, hidden)[given], np.nonzero(given)[0])


def fit(scores: np.ndarray, hits: np.ndarray, *, group: int = GROUP) -> Knots:
    """The rising curve that fits the outcomes best, from candidates that nothing else was fitted on.

    Candidates are pooled in the order of their scores, at least `group` at a time, equal scores together; isotonic
    regression joins neighbours whose shares of hits do not rise. Each level that is left is one knot at its lowest
    score and one at its highest. (A single knot at the mean score, with sloping lines, would keep the order of all
    scores, but promises wrongly where scores stand in lumps, as those of popularity do.) A first level without hits, or
    a last one of hits alone, is moved off 0 and 1 as by Laplace's rule of succession.

    scores: (c,) finite; hits: bool (c,), c >= 1. Returns Knots. Raises ValueError.
    """
    scores, hits = np.asarray(scores, np.float64), np.asarray(hits, np.float64)
    if scores.ndim != 1 or scores.shape != hits.shape or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"{scores.shape} scores and {hits.shape} outcomes: as many of both, one at least, all finite")
    values, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    right, before = np.bincount(which, weights=hits), np.cumsum(counts) - counts
    starts = _starts(np.minimum(before // group, max(len(scores) // group - 1, 0)))
    n, right = (np.add.reduceat(parts, starts) for parts in (counts, right))
    first = _starts(isotonic_regression(right / n, sample_weight=n))
    n, right, starts = np.add.reduceat(n, first), np.add.reduceat(right, first), starts[first]
    y = right / n
    y[0] = min(max(y[0], 1 / (n[0] + 2)), *y[1:2], 1.0)
    y[-1] = max(min(y[-1], 1 - 1 / (n[-1] + 2)), *y[-2:-1], 0.0)
    ends = np.append(starts[1:], len(values)) - 1
    x, once = np.unique(np.column_stack([values[starts], values[ends]]), return_index=True)
    return Knots(x, np.repeat(y, 2)[once])


def calibrate(knots: Knots, scores: np.ndarray) -> np.ndarray:
    """Probabilities of scores of any shape, float32 of that shape: never falling with the score, above 0, below 1."""
    return np.interp(scores, knots.x, knots.y).astype(np.float32)


def tensors(curves: Mapping[str, Knots]) -> dict[str, np.ndarray]:
    """Curves by the kind of work ("known", "new") as arrays for `files.write_tensors`: known_x, known_y ..."""
    return {f"{kind}_{axis}": values for kind, knots in curves.items() for axis, values in knots._asdict().items()}


def from_tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Knots]:
    """The curves that `tensors` made arrays of."""
    kinds = sorted(name.removesuffix("_x") for name in arrays if name.endswith("_x"))
    return {kind: Knots(arrays[f"{kind}_x"], arrays[f"{kind}_y"]) for kind in kinds}


def reliability(probabilities: np.ndarray, hits: np.ndarray, *, bins: int = BINS) -> pd.DataFrame:
    """What was promised and what came, in bins of nearly equal size; equal probabilities are never parted.

    probabilities: (c,) in [0, 1]; hits: bool (c,), c >= 1.
    Returns a DataFrame with COLUMNS: bin from 1, in rising order; mean probability; observed share of hits; n
    candidates; low, high: 95 % interval of the share (Wilson, 1927), as if candidates were independent. Two suggestions
    of a work with one hidden link cannot both be right: there the interval is a little too wide.
    """
    place = _bins(probabilities, bins)
    n = np.bincount(place)
    probability, observed = (np.bincount(place, weights=values) / n for values in (probabilities, hits))
    middle = (observed + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(observed * (1 - observed) / n + Z**2 / (4 * n**2))
    low, high = np.minimum(np.maximum(middle - half, 0), observed), np.maximum(np.minimum(middle + half, 1), observed)
    columns = [np.arange(1, len(n) + 1), probability, observed, n, low, high]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def assess(
    probabilities: np.ndarray,
    hits: np.ndarray,
    works: np.ndarray,
    *,
    seed,
    bins: int = BINS,
    resamples: int = RESAMPLES,
) -> dict[str, float]:
    """How far probabilities can be trusted. With p the probability and y the outcome (1 or 0) of a candidate:

    ece        expected calibration error: |mean p - mean y| of each bin of `reliability`, weighted by its candidates
               (Naeini et al., 2015; Guo et al., 2017)
    ece_floor  what `ece` would be on average if every probability were exactly right: bins are finite, so never 0
    brier      mean of (p - y)^2 (Brier, 1950); log_loss: mean of -log of what was promised to what came

    probabilities: (c,) within (0, 1); hits: bool (c,); works: int (c,), the work of each candidate, in any numbers.
    Returns these, with _low and _high (95 % percentile interval from works drawn again, bins as they are) except for
    the floor, and `candidates` (c). Draws add noise to every bin, so that near the floor the interval of `ece` leans to
    the high side; its low end is never put above `ece`. Raises ValueError if a probability is 0, 1 or beyond.
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(hits, np.float64)
    if not len(p) or not ((p > 0) & (p < 1)).all():
        raise ValueError("probabilities above 0 and below 1 are needed, one at least")
    place, work = _bins(p, bins), np.unique(works, return_inverse=True)[1]
    wide, width = int(work.max()) + 1, int(place.max()) + 1
    gaps = np.bincount(work * width + place, weights=p - y, minlength=wide * width).reshape(wide, width)
    others = [np.ones(len(p)), (p - y) ** 2, -np.log(np.where(y > 0, p, 1 - p))]
    sums = np.column_stack([gaps, *(np.bincount(work, weights=values) for values in others)])
    measured, drawn = _errors(sums.sum(axis=0)), _errors(resampled(sums, resamples=resamples, seed=seed))
    report = {"candidates": len(p), "ece_floor": _floor(p, place)}
    for name, value, (low, high) in zip(("ece", "brier", "log_loss"), measured, map(bounds, drawn), strict=True):
        report |= {name: float(value), f"{name}_low": float(min(low, value)), f"{name}_high": float(max(high, value))}
    return report


def _errors(totals):
    """Calibration error, Brier score and log loss of totals (..., bins + 3), those of each bin's p - y first."""
    gaps, n = totals[..., :-3], totals[..., -3]
    return np.abs(gaps).sum(axis=-1) / n, totals[..., -2] / n, totals[..., -1] / n


def _floor(p, place):
    """Expected calibration error of exact probabilities: sums of p - y are then nearly normal around 0."""
    return float(np.sqrt(2 / np.pi * np.bincount(place, weights=p * (1 - p))).sum() / len(p))


def _bins(probabilities, bins):
    """Number of the bin of each probability, from 0, without gaps; equal ones go where the middle of them belongs."""
    _, which, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.unique((middle * bins / len(probabilities)).astype(np.int64), return_inverse=True)[1][which]


def _starts(keys):
    """Places at which runs of equal keys (n,) begin."""
    return np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
