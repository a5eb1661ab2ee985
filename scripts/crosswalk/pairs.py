"""Which unit of one encoding goes with which unit of the other, chosen on some items and measured on the others.

Codes are compared by ranks over items (Spearman, 1904): activations of sparse units are heavy-tailed, and a few large
ones make false findings out of plain correlations. Encoders do not see which x belongs to which y; the choice of pairs
does, so it uses three fifths of the items and the rest is kept for measuring. Choosing in each of five folds and
measuring on the fold left out would use every item twice over: the parts overlap, and in pure noise the pairs that most
folds choose then measure .09 instead of 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from crosswalk.items import BlockShuffle, folds
from crosswalk.significance import bootstrap_intervals, fold_correlations

MEASURED = 0.4  # share of the folds kept for measuring
# Each pair has a null of its own (sparse units tie in their own ways), which takes more worlds than one shared null;
# a world costs little here, since only the measuring items are shuffled.
WORLDS = 10


@dataclass(frozen=True)
class Pairs:
    """Pairs of units and what is known of them; m pairs of n items, the strongest held-out correlation first.

    x_unit, y_unit: intp (m,); sign (m,): +1 or -1, whether the units rise together; x_scores, y_scores (n, m):
    standardised ranks of the codes, y times sign; held_out (n,): the items that measured and did not choose;
    r (m,): rank correlation on them; low, high (m,): its 95 % interval; stability (m,): share of the folds in which
    the correlation has its sign; null (WORLDS * permutations, m): r in each world in which the measuring items are
    shuffled.
    """

    x_unit: np.ndarray
    y_unit: np.ndarray
    sign: np.ndarray
    x_scores: np.ndarray
    y_scores: np.ndarray
    held_out: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stability: np.ndarray
    null: np.ndarray


def unit_pairs(x, y, blocks, *, count=40, fold_count=5, permutations=1000, bootstrap=1000, seed=0, nuisance=None):
    """Choose the pairs of units that go together most and measure each on items that did not choose.

    x: (n, p) codes of the items; y: (n, q) codes, averaged for each item; blocks: n labels of items that depend on one
    another; count: pairs that are measured, at most; nuisance: None or `covariates.Nuisance`, what is taken out of the
    ranks of either side, and again in every world.
    Returns Pairs. Units that are constant among the choosing items are never chosen, so there may be no pair.
    """
    x, y = _ranks(x), _ranks(y)
    if nuisance is not None:
        x, y = nuisance(x), nuisance(y)
    fold = folds(blocks, fold_count, seed=seed)
    held_out = measuring(fold)
    i, j, sign = _strongest(x[~held_out], y[~held_out], count)
    u, v = x[:, i], y[:, j] * sign
    measured, one = np.flatnonzero(held_out), np.zeros(held_out.sum(), dtype=np.intp)
    own = np.asarray(blocks)[measured]
    r = fold_correlations(u[measured], v[measured], one, folds=1)[0]
    order = np.argsort(-r, kind="stable")
    i, j, sign, u, v, r = i[order], j[order], sign[order], u[:, order], v[:, order], r[order]
    worlds = _worlds(v, measured, own, count=WORLDS * permutations, seed=[seed, 1], nuisance=nuisance)
    null = [fold_correlations(u[measured], given, one, folds=1)[0] for given in worlds] if len(r) else []
    low, high = bootstrap_intervals(
        u[measured], v[measured], one, own, folds=1, resamples=bootstrap, seed=[seed, 2]
    )  # fmt: skip
    return Pairs(
        x_unit=i,
        y_unit=j,
        sign=sign,
        x_scores=u,
        y_scores=v,
        held_out=held_out,
        r=r,
        low=low,
        high=high,
        stability=(fold_correlations(u, v, fold, folds=fold_count) > 0).mean(0),
        null=np.reshape(null, (len(null), len(r))),
    )


def measuring(fold):
    """Which items measure the pairs that the others choose: bool (n,), from folds numbered from 0."""
    return fold < max(round(MEASURED * (fold.max() + 1)), 1)


def _worlds(v, measured, blocks, *, count, seed, nuisance):
    """Yield the ranks of the measuring items, shuffled among them, and the covariates taken out again."""
    shuffle, rng, whole = BlockShuffle(blocks), np.random.default_rng(seed), v.copy()
    for _ in range(count):
        given = v[measured][shuffle(rng)]
        if nuisance is not None:
            whole[measured] = given
            given = nuisance(whole)[measured]
        yield given


def _strongest(x, y, count):
    """Units and signs of the pairs with the greatest |correlation|, at most `count`, none of them 0."""
    x, y = x - x.mean(0), y - y.mean(0)
    norm = np.outer(np.sqrt((x * x).sum(0)), np.sqrt((y * y).sum(0)))
    r = np.zeros(norm.shape)
    np.divide(x.T @ y, norm, out=r, where=norm > 1e-9 * len(x))
    order = np.argsort(-np.abs(r), axis=None, kind="stable")[:count]
    i, j = np.unravel_index(order[np.abs(r.ravel()[order]) > 0], r.shape)
    return i, j, np.sign(r[i, j])


def _ranks(codes):
    codes = np.asarray(codes, dtype=np.float64)
    if not np.isfinite(codes).all():
        raise ValueError("a code is not finite")
    ranks = rankdata(codes, axis=0)
    ranks -= ranks.mean(0)
    scale = ranks.std(0)
    return ranks / np.where(scale > 0, scale, 1.0)
