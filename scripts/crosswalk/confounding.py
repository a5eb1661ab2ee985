"""Whether something else that is known of items accounts for a correlation between two of their scores.

A covariate accounts for it if the correlation falls once the covariate is held fixed. Chance alone makes it fall a
little, and what only one of the two scores depends on makes it fall without being a common cause: so both scores must
depend on the covariate, each with the other held fixed, which is tested by shuffling (joint significance:
MacKinnon et al., 2002; residuals are shuffled as by Freedman and Lane, 1983).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from crosswalk.covariates import Nuisance, chosen, covariate_of
from crosswalk.items import BlockShuffle

FALL = 0.25  # share of a correlation that a covariate must account for to be worth a warning
LEVEL = 0.05  # of the test, over all covariates that are watched
SHUFFLES = 999
TOLERANCE = 1e-7  # of a column's length, below which nothing of it is left


class Explained(NamedTuple):
    """What accounts for most of a correlation.

    by: the covariate ("" if none is watched); r: the correlation; r_given: with that covariate held fixed; share:
    1 - r_given / r; p: of the test, corrected for their number; flagged: whether to warn;
    table: DataFrame, a row for each covariate, with covariate, r_given, share, p.
    """

    by: str
    r: float
    r_given: float
    share: float
    p: float
    flagged: bool
    table: pd.DataFrame


def watched(items, *, listed=()):
    """The covariates of a table of items (see `item_table`) that are not listed.

    items: path; listed: names, as "x.length". Returns dict of covariate to float64 (n, k).
    """
    columns = [column for column in pq.read_schema(items).names if column not in ("id", "block")]
    names = [name for name in dict.fromkeys(map(covariate_of, columns)) if name not in listed]
    table = pq.read_table(items, columns=columns).to_pandas()
    return {name: table[chosen(columns, [name])].to_numpy(np.float64) for name in names}


def explained(x_score, y_score, covariates, blocks, *, fold=None, held_out=None, nuisance=None, seed=0):
    """Which covariate accounts for most of the correlation between two scores, and whether it is more than chance.

    x_score, y_score: (n,); covariates: dict of name to (n, k); blocks: n labels of items that depend on one another;
    fold: intp (n,), parts in which means are their own, as scores of different folds are; held_out: bool (n,), the
    items that r was measured on; nuisance: Nuisance with what was taken out of both sides, taken out of the
    covariates as well; seed: of the shuffles. Returns Explained.
    The strongest is the one that leaves least of r in its direction, of those that pass the test if any does.
    """
    used = np.ones(len(x_score), bool) if held_out is None else np.asarray(held_out, bool)
    fold = np.zeros(len(x_score), np.intp) if fold is None else np.asarray(fold)
    inside = fold[used]
    sides = [_centred(np.asarray(score, np.float64)[used], inside) for score in (x_score, y_score)]
    r = _cosine(*sides)
    shuffle, rng = BlockShuffle(np.asarray(blocks)[used]), np.random.default_rng(seed)
    shuffles = max(SHUFFLES, int(np.ceil(2 * len(covariates) / LEVEL)))
    orders = np.stack([shuffle(rng) for _ in range(shuffles)])
    tests = [_Dependence(*sides, orders), _Dependence(*sides[::-1], orders)]
    rows = []
    for name, columns in covariates.items():
        basis = _left(columns, nuisance, used, inside)
        given = _cosine(*(side - basis @ (basis.T @ side) for side in sides))
        p = max(test(basis) for test in tests)
        rows.append((name, given, 1 - given / r if r else 0.0, min(1.0, p * len(covariates))))
    table = pd.DataFrame(rows, columns=["covariate", "r_given", "share", "p"])
    if table.empty:
        return Explained("", r, float("nan"), float("nan"), float("nan"), False, table)
    flagged = (table["share"] >= FALL) & (table["p"] <= LEVEL)
    best = table[flagged] if flagged.any() else table
    top = best.loc[best["share"].idxmax()]
    return Explained(top["covariate"], r, *map(float, top[["r_given", "share", "p"]]), bool(flagged.any()), table)


class _Dependence:
    """Tests whether a score (n,) depends on the columns of a basis with another score held fixed.

    orders: intp (m, n), the shuffles that the score is compared with.
    """

    def __init__(self, score, other, orders):
        self._unit = other / max(np.linalg.norm(other), 1e-300)
        rest = score - self._unit * (self._unit @ score)
        self._nothing = rest @ rest < 1e-18 * (score @ score)
        with threadpool_limits(1):
            worlds = rest[orders]
            worlds -= np.outer(worlds @ self._unit, self._unit)
            worlds /= np.maximum(np.linalg.norm(worlds, axis=1, keepdims=True), 1e-300)
        self._rest, self._worlds = rest / max(np.linalg.norm(rest), 1e-300), worlds

    def __call__(self, basis):
        """The p-value."""
        own = _basis(basis - np.outer(self._unit, self._unit @ basis))
        if not own.shape[1] or self._nothing:
            return 1.0
        with threadpool_limits(1):
            null = ((self._worlds @ own) ** 2).sum(1)
            found = ((self._rest @ own) ** 2).sum()
        return (1 + (null >= found * (1 - 1e-12)).sum()) / (1 + len(null))


def _left(columns, nuisance, used, fold):
    """Orthonormal columns that span what a covariate says beyond what was taken out, of the items used."""
    columns = np.asarray(columns, np.float64)
    columns = columns - columns.mean(0)
    left = _centred((columns if nuisance is None else nuisance(columns))[used], fold)
    own = np.linalg.norm(left, axis=0) > TOLERANCE * np.linalg.norm(columns, axis=0)
    return _basis(left[:, own])


def _centred(values, fold):
    return Nuisance(np.empty((len(values), 0)), fold)(values)


def _basis(columns):
    """Orthonormal columns that span the columns."""
    scale = np.linalg.norm(columns, axis=0)
    columns = columns[:, scale > TOLERANCE] / scale[scale > TOLERANCE]
    with threadpool_limits(1):
        left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, singular > 1e-7 * singular.max(initial=0)]


def _cosine(a, b):
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths > 1e-300 else 0.0
