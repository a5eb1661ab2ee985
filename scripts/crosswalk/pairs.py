"""Which unit of one encoding goes with which unit of the other, chosen on some items and measured on the rest.

Codes are compared by ranks over items (Spearman, 1904): activations of sparse units are heavy-tailed, and a few large
ones make false findings out of plain correlations. Encoders do not see which x belongs to which y, so their codes need
no refitting; the choice of pairs does see it, and is repeated in every fold and in every shuffled world.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from crosswalk.items import BlockShuffle, folds
from crosswalk.significance import bootstrap_intervals

FOLDS_AGREE = 0.6  # share of the folds in which a pair must be chosen to count as a finding


@dataclass(frozen=True)
class Pairs:
    """Pairs of units and what is known of them; m pairs of n items, the surest first.

    x_unit, y_unit: intp (m,); sign (m,): +1 or -1, whether the units rise together; x_scores, y_scores (n, m):
    standardised ranks of the codes, y times sign; z (m,): the test statistic; r (m,): held-out rank correlation,
    averaged over the folds that chose the pair; low, high (m,): its 95 % interval; stability (m,): share of the folds
    that chose the pair; fold (n,); null: one array of z for each shuffled world.
    """

    x_unit: np.ndarray
    y_unit: np.ndarray
    sign: np.ndarray
    x_scores: np.ndarray
    y_scores: np.ndarray
    z: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stability: np.ndarray
    fold: np.ndarray
    null: list


def unit_pairs(x, y, blocks, *, count=40, fold_count=5, permutations=1000, bootstrap=1000, seed=0):
    """Find pairs of units that go together and measure each on items its choice did not see.

    x: (n, p) codes of the items; y: (n, q) codes, averaged for each item; blocks: n labels of items that depend on one
    another; count: pairs that each fold sends to its held-out test.
    Returns Pairs (none if no pair is chosen often enough). Constant units are never chosen.
    """
    x, y = _ranks(x), _ranks(y)
    count = min(count, x.shape[1] * y.shape[1])
    fold = folds(blocks, fold_count, seed=seed)
    rows = [np.flatnonzero(fold == f) for f in range(fold_count)]
    shuffle = BlockShuffle(blocks)
    rng = np.random.default_rng([seed, 1])
    need = int(np.ceil(FOLDS_AGREE * fold_count))
    x_parts = _Parts(x, rows)
    found = _search(x_parts, y, rows, count, need)
    null = [_search(x_parts, y[shuffle(rng)], rows, count, need)["z"] for _ in range(permutations)]

    order = np.argsort(-found["z"], kind="stable")
    i, j, sign = found["i"][order], found["j"][order], found["sign"][order]
    u, v = x[:, i], y[:, j] * sign
    low, high = bootstrap_intervals(u, v, fold, blocks, folds=fold_count, resamples=bootstrap, seed=[seed, 2])
    return Pairs(
        x_unit=i,
        y_unit=j,
        sign=sign,
        x_scores=u,
        y_scores=v,
        z=found["z"][order],
        r=found["r"][order],
        low=low,
        high=high,
        stability=found["chosen"][order] / fold_count,
        fold=fold,
        null=null,
    )


class _Parts:
    """Sums over each fold that do not change when the other side is shuffled."""

    def __init__(self, ranks, rows):
        self.ranks = ranks
        self.sums = np.stack([ranks[r].sum(0) for r in rows])
        self.squares = np.stack([(ranks[r] ** 2).sum(0) for r in rows])


def _search(x_parts, y, rows, count, need):
    y_parts = _Parts(y, rows)
    products = np.stack([x_parts.ranks[r].T @ y[r] for r in rows])
    sizes = np.array([len(r) for r in rows])
    total = products.sum(0)
    chosen = np.zeros(total.shape, dtype=np.intp)
    z_sum, r_sum, signs = np.zeros(total.shape), np.zeros(total.shape), np.zeros(total.shape)
    for f in range(len(rows)):
        training = _correlation(
            total - products[f],
            x_parts.sums.sum(0) - x_parts.sums[f],
            y_parts.sums.sum(0) - y_parts.sums[f],
            x_parts.squares.sum(0) - x_parts.squares[f],
            y_parts.squares.sum(0) - y_parts.squares[f],
            sizes.sum() - sizes[f],
        )
        size = np.abs(training).ravel()
        pick = np.argpartition(-size, count - 1)[:count]
        pick = pick[size[pick] > 0]
        at = np.unravel_index(pick, total.shape)
        held = _correlation(
            products[f], x_parts.sums[f], y_parts.sums[f], x_parts.squares[f], y_parts.squares[f], sizes[f]
        )[at]
        sign = np.sign(training[at])
        chosen[at] += 1
        signs[at] += sign
        r_sum[at] += sign * held
        z_sum[at] += sign * np.arctanh(np.clip(held, -0.999, 0.999)) * np.sqrt(max(sizes[f] - 3, 1))
    # A pair whose sign differs between folds is no finding.
    i, j = np.nonzero((chosen >= need) & (np.abs(signs) == chosen))
    times = chosen[i, j]
    return {
        "i": i,
        "j": j,
        "sign": np.sign(signs[i, j]),
        "chosen": times,
        "r": r_sum[i, j] / times,
        "z": z_sum[i, j] / np.sqrt(times),
    }


def _correlation(products, x_sum, y_sum, x_square, y_square, n):
    covariance = products - np.outer(x_sum, y_sum) / n
    variance = np.outer(x_square - x_sum**2 / n, y_square - y_sum**2 / n)
    r = np.zeros_like(covariance)
    safe = variance > 1e-9 * n**2
    np.divide(covariance, np.sqrt(variance, where=safe, out=np.ones_like(variance)), out=r, where=safe)
    return r


def _ranks(codes):
    codes = np.asarray(codes, dtype=np.float64)
    if not np.isfinite(codes).all():
        raise ValueError("a code is not finite")
    ranks = rankdata(codes, axis=0)
    ranks -= ranks.mean(0)
    scale = ranks.std(0)
    return ranks / np.where(scale > 0, scale, 1.0)
