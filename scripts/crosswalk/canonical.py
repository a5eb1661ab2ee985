"""Axes on which two linked collections go together: ridge canonical correlation, rotated, cross-fitted.

Hotelling (1936) with the ridge of Vinod (1976); the rotation, `components.rotation`, makes single axes readable. The
principal components of each side are taken over all items: they do not see which x belongs to which y. What scores an
item is fitted without it. Only the matching of axes, which axis of a fold is which of all items, has seen every link:
it orders axes and changes no score. All of it is repeated in every shuffled world.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from tqdm import tqdm

from crosswalk.components import component_count, principal_components, rotation
from crosswalk.items import Worlds, folds
from crosswalk.significance import average_correlation, bootstrap_intervals, fold_correlations
from crosswalk.stability import agreement, matched

HALVINGS = 5  # times that the items are halved to see how stable axes are


@dataclass(frozen=True)
class Axes:
    """Canonical axes of n items and what is known of them.

    x_directions (d_x, m), y_directions (d_y, m): unit columns in embedding space, fitted on all items;
    x_scores, y_scores (n, m): each item scored by axes fitted without it, standardised in its fold;
    fold (n,): which items were held out together; fold_x_directions (folds, d_x, m), fold_y_directions: unit columns,
    the axes that scored each fold; r (m,): held-out correlation; low, high (m,): its 95 % interval; stability, overlap
    (m,): likeness of the axes of disjoint halves, one by one and as the space of the first 1, ..., m
    (`stability.agreement`);
    null: one (m,) array of held-out correlations for each shuffled world.
    """

    x_directions: np.ndarray
    y_directions: np.ndarray
    x_scores: np.ndarray
    y_scores: np.ndarray
    fold: np.ndarray
    fold_x_directions: np.ndarray
    fold_y_directions: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stability: np.ndarray
    overlap: np.ndarray
    null: list


def canonical_axes(
    x,
    y,
    blocks,
    *,
    axes=12,
    rotate=12,
    components=None,
    ridge=0.5,
    fold_count=5,
    permutations=1000,
    bootstrap=1000,
    seed=0,
    nuisance=None,
):
    """Find axes of x and y that go together and measure each on items its search did not see.

    x: (n, d_x), y: (n, d_y): row i of both is item i; blocks: n labels of items that depend on one another.
    axes: how many, at most; rotate: how many of them are rotated, those that go together most, the others stay as they
    are; components: principal components of each side (default `component_count`); ridge: 0 leaves a side's covariance
    as it is, 1 replaces it by its mean variance; nuisance: what was taken out of both sides, None or
    `covariates.Nuisance`.
    Returns Axes, the strongest held-out correlation first. Raises ValueError if a value is not finite or n < 10.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) != len(y) or len(x) < 10:
        raise ValueError(f"{len(x)} and {len(y)} rows; two sides of the same 10 or more items are needed")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("an embedding is not finite")
    components = component_count(len(x), components)
    a, a_basis = principal_components(x, components)
    b, b_basis = principal_components(y, components)
    settings = {"axes": min(axes, a.shape[1], b.shape[1]), "rotate": rotate, "ridge": ridge}
    fold = folds(blocks, fold_count, seed=seed)
    search = _Search(a, fold, **settings)

    found = search(b)
    rng = np.random.default_rng([seed, 1])
    world = Worlds(blocks, nuisance)
    worlds = tqdm(range(permutations), desc="shuffled worlds", disable=None, mininterval=1)
    null = [search(world(b, rng)).r for _ in worlds]

    order = np.argsort(-found.r, kind="stable")
    u, v = found.u[:, order], found.v[:, order]
    p, q = found.x_weights[..., order], found.y_weights[..., order]
    training = np.mean([_outside(f, fold, a @ p[f + 1], b @ q[f + 1]) for f in range(fold_count)], axis=0)
    low, high = bootstrap_intervals(
        u, v, fold, blocks, folds=fold_count, resamples=bootstrap, seed=[seed, 2], training=training
    )
    halvings = [_Search(a, folds(blocks, 2, seed=[seed, 3, i]), **settings) for i in range(HALVINGS)]
    stability, overlap = agreement([half.whole_scores(b, p[0], q[0]) for half in halvings])
    return Axes(
        x_directions=_unit_columns(a_basis @ p[0]),
        y_directions=_unit_columns(b_basis @ q[0]),
        x_scores=u,
        y_scores=v,
        fold=fold,
        fold_x_directions=_unit_columns(a_basis @ p[1:]),
        fold_y_directions=_unit_columns(b_basis @ q[1:]),
        r=found.r[order],
        low=low,
        high=high,
        stability=stability,
        overlap=overlap,
        null=null,
    )


@dataclass(frozen=True)
class _Found:
    """r (m,); u, v (n, m); x_weights (1 + folds, k_a, m), y_weights (1 + folds, k_b, m), of all items and of folds."""

    r: np.ndarray
    u: np.ndarray
    v: np.ndarray
    x_weights: np.ndarray
    y_weights: np.ndarray


class _Search:
    """The whole search for axes, from two sets of component scores to held-out correlations.

    One side stays, the other is given anew for each world, so what depends on the first alone is computed once.
    """

    def __init__(self, a, fold, *, axes, rotate, ridge):
        self.a, self.fold, self.axes, self.rotate, self.ridge = a, fold, axes, min(rotate, axes), ridge
        self.rows = [np.flatnonzero(fold == f) for f in range(fold.max() + 1)]
        self.sizes = np.array([len(rows) for rows in self.rows])
        self.a_moments = _fold_moments(a, a, self.rows)
        self.a_sums = np.stack([a[rows].sum(0) for rows in self.rows])
        self.a_white = [self._whitener(self.a_moments, self.a_sums, held) for held in [None, *range(len(self.rows))]]

    def __call__(self, b):
        moments = self._moments(b)
        p, q = self._fit(b, moments, None)
        x_weights, y_weights = [p], [q]
        u, v = np.empty((len(b), self.axes)), np.empty((len(b), self.axes))
        for f, (fold_p, fold_q, fold_u, fold_v) in enumerate(self._fold_axes(b, moments, p, q)):
            rows = self.rows[f]
            u[rows], v[rows] = _standardise(fold_u[rows]), _standardise(fold_v[rows])
            x_weights.append(fold_p)
            y_weights.append(fold_q)
        r = average_correlation(fold_correlations(u, v, self.fold, folds=len(self.rows)), self.sizes)
        return _Found(r=r, u=u, v=v, x_weights=np.stack(x_weights), y_weights=np.stack(y_weights))

    def whole_scores(self, b, p, q):
        """Standardised scores (u, v) of all items by the axes of each fold, matched to those of weights p and q."""
        found = self._fold_axes(b, self._moments(b), p, q)
        return [(_standardise(fold_u), _standardise(fold_v)) for _, _, fold_u, fold_v in found]

    def _fold_axes(self, b, moments, p, q):
        """Of each fold: weights and scores of all items by axes fitted without it, matched to those of p and q."""
        whole_u, whole_v = _standardise(self.a @ p), _standardise(b @ q)
        for f in range(len(self.rows)):
            fold_p, fold_q = self._fit(b, moments, f)
            fold_u, fold_v = self.a @ fold_p, b @ fold_q
            order, sign = matched(whole_u, whole_v, _standardise(fold_u), _standardise(fold_v))
            yield tuple(part[:, order] * sign for part in (fold_p, fold_q, fold_u, fold_v))

    def _moments(self, b):
        """Within each fold: products of b with itself and with a, and sums of b."""
        sums = np.stack([b[rows].sum(0) for rows in self.rows])
        return _fold_moments(b, b, self.rows), _fold_moments(self.a, b, self.rows), sums

    def _training(self, parts, held):
        total = parts.sum(0)
        return total if held is None else total - parts[held]

    def _whitener(self, moments, sums, held):
        """Lower Cholesky factor of the ridged covariance of the training items."""
        n = self._training(self.sizes, held)
        mean = self._training(sums, held) / n
        covariance = self._training(moments, held) / n - np.outer(mean, mean)
        k = len(covariance)
        level = np.trace(covariance) / k
        covariance *= 1 - self.ridge
        covariance[np.diag_indices(k)] += max(self.ridge, 1e-8) * level
        return np.linalg.cholesky(covariance)

    def _fit(self, b, moments, held):
        """Rotated canonical weights (k_a, m), (k_b, m) from the items outside fold `held`."""
        b_moments, cross, b_sums = moments
        n = self._training(self.sizes, held)
        a_white = self.a_white[0 if held is None else held + 1]
        b_white = self._whitener(b_moments, b_sums, held)
        a_mean, b_mean = self._training(self.a_sums, held) / n, self._training(b_sums, held) / n
        between = self._training(cross, held) / n - np.outer(a_mean, b_mean)
        between = solve_triangular(a_white, between, lower=True, check_finite=False)
        between = solve_triangular(b_white, between.T, lower=True, check_finite=False).T
        left, _, right = np.linalg.svd(between)
        m = self.axes
        p = solve_triangular(a_white, left[:, :m], lower=True, trans="T", check_finite=False)
        q = solve_triangular(b_white, right[:m].T, lower=True, trans="T", check_finite=False)
        train = slice(None) if held is None else self.fold != held
        u, v = self.a[train] @ p, b[train] @ q
        u_scale, v_scale = u.std(0), v.std(0)
        turn, first = np.eye(m), slice(self.rotate)
        both = (u[:, first] - u[:, first].mean(0)) / u_scale[first] + (v[:, first] - v[:, first].mean(0)) / v_scale[
            first
        ]
        turn[first, first] = rotation(both)
        return (p / u_scale) @ turn, (q / v_scale) @ turn


def _fold_moments(a, b, rows):
    return np.stack([a[r].T @ b[r] for r in rows])


def _outside(f, fold, u, v):
    """Correlation of the columns of u and v over the items that fold f does not hold out."""
    return fold_correlations(u, v, fold == f, folds=1)[0]


def _standardise(scores):
    centred = scores - scores.mean(0)
    scale = np.sqrt((centred * centred).mean(0))
    return centred / np.where(scale > 1e-12, scale, 1.0)


def _unit_columns(matrix):
    return matrix / np.linalg.norm(matrix, axis=-2, keepdims=True)
