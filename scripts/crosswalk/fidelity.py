"""How well a name fits: the area under the ROC curve of texts' similarity to it, on texts that did not make it."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata, t

from crosswalk.items import folds

ENDS = 0.2  # share of the items that makes an end
LEVEL = 0.95  # of every interval
MAKE, CHOOSE, REPORT = "make", "choose", "report"
QUARTERS = np.array([REPORT, CHOOSE, MAKE, MAKE])


class Area(NamedTuple):
    """An area under the ROC curve with its 95 % interval; NaN where an end has no name."""

    value: float
    low: float
    high: float


class Fidelity(NamedTuple):
    """side: the high end against the low one, by the difference of the similarities to both names; high, low: each end
    against the middle, by the similarity to its own name alone."""

    side: Area
    high: Area
    low: Area


UNKNOWN = Area(np.nan, np.nan, np.nan)


def parts(blocks, *, seed):
    """What each item is for: half make names, a quarter chooses between them, a quarter reports how well they fit.

    blocks: n labels; items with the same label are never parted. Returns n of "make", "choose", "report".
    """
    return QUARTERS[folds(blocks, len(QUARTERS), seed=seed)]


def end_items(scores, mask) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the top and of the bottom fifth (at least one each) of the masked items; ties in order of items."""
    chosen = np.flatnonzero(mask)
    order = chosen[np.argsort(np.asarray(scores)[chosen], kind="stable")]
    size = max(1, round(ENDS * len(order))) if len(order) > 1 else 0
    return order[len(order) - size :], order[:size]


def fidelity(scores, mask, vectors, high, low, *, blocks=None) -> Fidelity:
    """How well the names of both ends fit the masked items.

    scores: (n,); mask: bool (n,), items that did not make the names; vectors: (n, d) unit rows; high, low: (d,) vectors
    of the names, zeros for an end without one; blocks: n labels of items that depend on one another (default: none do).
    """
    blocks = np.arange(len(mask)) if blocks is None else np.asarray(blocks)
    top, bottom = end_items(scores, mask)
    middle = np.setdiff1d(np.flatnonzero(mask), np.concatenate([top, bottom]))

    def between(first, second, name):
        if not np.any(name):
            return UNKNOWN
        return area(vectors[first] @ name, vectors[second] @ name, blocks[first], blocks[second])

    named = np.any(high) or np.any(low)
    return Fidelity(
        side=between(top, bottom, high - low) if named else UNKNOWN,
        high=between(top, middle, high),
        low=between(bottom, middle, low),
    )


def area(positive, negative, positive_blocks=None, negative_blocks=None) -> Area:
    """Probability that a value of `positive` exceeds one of `negative`, ties counted half; NaN if one is empty.

    The blocks say which values depend on one another, in either group (default: none do). Variance of Obuchowski (1997)
    for clustered data, which is DeLong's (1988) without clusters; interval on the logit scale, with Student's t for the
    few blocks there may be. Where every pair is in order there is no variance: then as if one more value of each group
    were tied with all others.
    """
    positive, negative = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    m, n = len(positive), len(negative)
    if not m or not n:
        return UNKNOWN
    if positive_blocks is None or negative_blocks is None:
        positive_blocks, negative_blocks = np.arange(m), np.arange(m, m + n)
    ranks = rankdata(np.concatenate([positive, negative]))
    beaten = (ranks[:m] - rankdata(positive)) / n  # share of the negative values below each positive one
    beating = 1 - (ranks[m:] - rankdata(negative)) / m
    value = float(beaten.mean())
    _, codes = np.unique(np.concatenate([positive_blocks, negative_blocks]), return_inverse=True)
    count = codes.max() + 1
    up, down = (
        np.bincount(own, weights=shares - value, minlength=count)
        for own, shares in ((codes[:m], beaten), (codes[m:], beating))
    )
    ups, downs = len(np.unique(codes[:m])), len(np.unique(codes[m:]))
    variance = (
        _correction(ups) * (up @ up) / m**2
        + _correction(downs) * (down @ down) / n**2
        + 2 * _correction(count) * (up @ down) / (m * n)
    )
    if count < 2:
        return Area(value, np.nan, np.nan)  # one block says nothing of how blocks differ
    fewest, centre = min(ups, downs), value
    if not 0 < value < 1:
        centre = (value * fewest + 0.5) / (fewest + 1)
        variance = ((value - 0.5) / (fewest + 1)) ** 2
    reach = t.ppf((1 + LEVEL) / 2, max(fewest - 1, 1)) * np.sqrt(max(variance, 0.0)) / (centre * (1 - centre))
    low, high = expit(logit(centre) - reach), expit(logit(centre) + reach)
    return Area(value, min(float(low), value), max(float(high), value))


def _correction(count):
    return count / max(count - 1, 1)
