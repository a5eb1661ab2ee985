"""Concepts: where the other side's vectors shift to when a unit of an encoder is active, measured on items held out.

For rare traits, which no axis of two whole collections shows: a unit that is on in few items is compared with the mean
of what they are linked to. That direction is fitted in the training folds (the covariance of the activation with the
other side's principal components, over their ridged covariance: the mean shift, shrunk), so it carries the sign, and
is measured by the rank correlation (Spearman, 1904) of the activation with the projection of the items held out.
Every item serves in several fits, which makes a parametric p-value wrong; so the whole of it is repeated in worlds in
which blocks of items trade their other sides. Each unit has a null of its own: activations tie and skew in their own
ways. Encoders and principal components do not see which x belongs to which y.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from crosswalk.items import BlockShuffle, folds
from crosswalk.shift_search import ShiftSearch, standardised, unit_columns, winsorised
from crosswalk.significance import bootstrap_intervals, max_p_values

log = logging.getLogger(__name__)

# Of a few units that stand out, a small p-value must be told from a very small one, or a correction over everything
# that was tested would leave none of them: units that fewer than FEW worlds reach are followed through up to WORLDS
# times as many (Besag and Clifford, 1991). Where more than FOLLOWED stand out, what the first worlds say is enough.
WORLDS, FEW, FOLLOWED = 10, 5, 32


@dataclass(frozen=True)
class Shifts:
    """Units and the shifts they go with; m candidates of n items, the strongest held-out correlation first.

    x_unit, y_unit: intp (m,), the unit on its side and -1 on the other, where the relation has a direction and no unit;
    x_scores, y_scores: (n, m), standardised ranks of the unit's activation on its side and, on the other, the
    projection of each item on the axis fitted without it, standardised in its fold; x_directions (d_x, m),
    y_directions (d_y, m): unit columns in embedding space, of all items; fold: intp (n,); r: (m,) held-out rank
    correlation; low, high (m,): its 95 % interval; stability (m,): share of the folds in which it is positive;
    p (m,), p_max (m,): one-sided p-values, each unit's own and family-wise, for all units tested, chosen or not;
    null: (permutations, m) r in the shuffled worlds; p_floor: the least p possible; tested: how many units there were.
    """

    x_unit: np.ndarray
    y_unit: np.ndarray
    x_scores: np.ndarray
    y_scores: np.ndarray
    x_directions: np.ndarray
    y_directions: np.ndarray
    fold: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stability: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    null: np.ndarray
    p_floor: float
    tested: int


def unit_shifts(
    x_codes,
    y_codes,
    x,
    y,
    blocks,
    *,
    units=64,
    components=None,
    ridge=0.5,
    fold_count=5,
    permutations=1000,
    bootstrap=1000,
    seed=0,
    nuisance=None,
):
    """For each unit of either side's encoder, find the shift of the other side and measure it on items held out.

    x_codes: (n, p) activations of the items; y_codes: (n, q), averaged for each item; either may be None: its units are
    then not asked. x: (n, d_x), y: (n, d_y): embeddings of the same items; blocks: n labels of items that depend on one
    another. units: candidates kept for each side, those with the greatest correlation in training; components, ridge:
    of the side that shifts, see `canonical.canonical_axes`; nuisance: None or what was taken out of x and y, see
    `items.nuisance`.
    Units that are not kept still count: p is that of each unit times the units tested for each one kept, so that a
    correction over those kept is one over all. p_max is against the greatest r of all units of both sides.
    Returns Shifts. Units that are constant are not tested, so there may be no candidate. Raises ValueError if a value
    is not finite or if n < 10.
    """
    sides = [np.asarray(side, np.float64) for side in (x, y)]
    codes = [None if side is None else np.asarray(side, np.float64) for side in (x_codes, y_codes)]
    n = len(sides[0])
    if n < 10 or any(len(array) != n for array in [*sides, *codes] if array is not None):
        raise ValueError("two sides of the same 10 or more items are needed, and a code for each")
    if not all(np.isfinite(array).all() for array in [*sides, *codes] if array is not None):
        raise ValueError("an embedding or a code is not finite")
    fold = folds(blocks, fold_count, seed=seed)
    shuffle, rng = BlockShuffle(blocks), np.random.default_rng([seed, 1])
    with threadpool_limits(1):
        asked = [
            _Asked(
                acting, codes[acting], sides, fold, units=units, components=components, ridge=ridge, nuisance=nuisance
            )
            for acting in (0, 1)
            if codes[acting] is not None
        ]
        searches = [side.search for side in asked]
        r, null = _worlds(searches, shuffle, rng, permutations)
        p, p_max = _own_p_values(searches, r, null, shuffle, rng), max_p_values(r, null)
    starts = np.cumsum([0, *(len(search.weights) for search in searches)])
    kept = np.concatenate([start + side.kept for start, side in zip(starts, asked, strict=False)])
    order = np.argsort(-r[kept], kind="stable")
    at = kept[order]
    columns = {
        name: np.concatenate([getattr(side, name) for side in asked], axis=-1)[..., order] for name in _Asked.COLUMNS
    }
    u, v, training = (columns.pop(name) for name in ("u", "v", "training"))
    low, high = bootstrap_intervals(
        u, v, fold, blocks, folds=fold_count, resamples=bootstrap, seed=[seed, 2], training=training
    )
    return Shifts(
        **columns,
        fold=fold,
        r=r[at],
        low=low,
        high=high,
        p=np.minimum(p[at] * (len(r) / max(len(at), 1)), 1),
        p_max=p_max[at],
        null=null[:, at],
        p_floor=min(len(r) / max(len(at), 1) / (1 + WORLDS * permutations), 1),
        tested=len(r),
    )


class _Asked:
    """The units of the side `acting` (0: x, 1: y), their search, and what is told of those that are kept."""

    COLUMNS = ("x_unit", "y_unit", "x_scores", "y_scores", "x_directions", "y_directions", "stability", "training")
    COLUMNS += ("u", "v")

    def __init__(self, acting, codes, sides, fold, *, units, **settings):
        varying = np.flatnonzero(codes.max(0) > codes.min(0))
        weights = winsorised(codes[:, varying].T)
        ranks = rankdata(codes[:, varying].T, axis=1) if len(varying) else weights
        self.search = ShiftSearch(weights, ranks, sides[1 - acting], fold, **settings)
        projections, within, directions, each, training = self.search.scores()
        self.kept = np.sort(np.argsort(-training, kind="stable")[:units])
        unit = varying[self.kept]
        self.x_unit, self.y_unit = (unit, np.full(len(unit), -1))[:: -1 if acting else 1]
        self.u, self.v = self.search.ranks[self.kept].T[self.search.place], within[:, self.kept]
        own = (sides[acting] - sides[acting].mean(0)).T @ weights[self.kept].T
        scores, ends = (standardised(self.u), projections[:, self.kept]), (unit_columns(own), directions[:, self.kept])
        self.x_scores, self.y_scores = scores[:: -1 if acting else 1]
        self.x_directions, self.y_directions = ends[:: -1 if acting else 1]
        self.stability, self.training = (each[:, self.kept] > 0).mean(0), training[self.kept]


def _worlds(searches, shuffle, rng, permutations):
    """r (p,) of all units, and in each shuffled world (permutations, p)."""

    def world(given):
        return np.concatenate([search.world(given) for search in searches])

    observed = world(np.arange(len(searches[0].order)))
    worlds = tqdm(range(permutations), desc="shuffled worlds", disable=None, delay=5, mininterval=1)
    return observed, np.reshape([world(shuffle(rng)) for _ in worlds], (permutations, len(observed)))


def _own_p_values(searches, r, null, shuffle, rng):
    """p-value of each unit against its own null; of the few that stand out, against more worlds."""
    exceed, worlds = (null >= r).sum(0), np.full(len(r), len(null))
    few = np.flatnonzero(exceed < FEW)
    if len(few) > FOLLOWED:
        few = few[:0]
    starts = np.cumsum([0, *(len(search.weights) for search in searches)])
    for _ in tqdm(range((WORLDS - 1) * len(null)), desc="more worlds", disable=None, delay=5, mininterval=1):
        few = few[exceed[few] < FEW]
        if not len(few):
            break
        given = shuffle(rng)
        worlds[few] += 1
        for search, start, end in zip(searches, starts, starts[1:], strict=False):
            own = few[(few >= start) & (few < end)]
            if len(own):
                exceed[own] += search.world(given, own - start) >= r[own]
    # A unit that was stopped at its FEW-th world has p = FEW / worlds; one that was not, the form of `own_p_values`.
    stopped = (exceed >= FEW) & (worlds > len(null))
    return np.where(stopped, FEW / np.maximum(worlds, 1), (1 + exceed) / (1 + worlds))
