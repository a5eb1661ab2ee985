"""Axes on which two linked collections go together: ridge canonical correlation, rotated, cross-fitted.

Hotelling (1936) with the ridge of Vinod (1976); the rotation is symmetric FastICA (Hyvarinen, 1999), which makes
single axes readable. The principal components of each side are taken over all items: they do not see which x belongs
to which y. What scores an item is fitted without it. Only the matching of axes, which axis of a fold is which of all
items, has seen every link: it orders axes and changes no score. All of it is repeated in every shuffled world.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from crosswalk.items import BlockShuffle, folds
from crosswalk.significance import average_correlation, bootstrap_intervals, fold_correlations

ICA_STEPS = 40
ICA_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Axes:
    """Canonical axes of n items and what is known of them.

    x_directions (d_x, m), y_directions (d_y, m): unit columns in embedding space, fitted on all items;
    x_scores, y_scores (n, m): each item scored by axes fitted without it, standardised in its fold;
    fold (n,): which items were held out together; r (m,): held-out correlation; low, high (m,): its 95 % interval;
    stability (m,): mean |correlation| between the axes of the folds and those of all items, the lower side;
    null: one (m,) array of held-out correlations for each shuffled world.
    """

    x_directions: np.ndarray
    y_directions: np.ndarray
    x_scores: np.ndarray
    y_scores: np.ndarray
    fold: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stability: np.ndarray
    null: list


def canonical_axes(
    x, y, blocks, *, axes=12, components=None, ridge=0.5, fold_count=5, permutations=1000, bootstrap=1000, seed=0
):
    """Find axes of x and y that go together and measure each on items its search did not see.

    x: (n, d_x), y: (n, d_y): row i of both is item i; blocks: n labels of items that depend on one another.
    axes: how many, at most; components: principal components of each side (default n / 5, at most 60);
    ridge: 0 leaves a side's covariance as it is, 1 replaces it by its mean variance.
    Returns Axes, the strongest held-out correlation first. Raises ValueError if a value is not finite or n < 10.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) != len(y) or len(x) < 10:
        raise ValueError(f"{len(x)} and {len(y)} rows; two sides of the same 10 or more items are needed")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("an embedding is not finite")
    components = components or min(60, len(x) // 5)
    a, a_basis = principal_components(x, components)
    b, b_basis = principal_components(y, components)
    axes = min(axes, a.shape[1], b.shape[1])
    fold = folds(blocks, fold_count, seed=seed)
    search = _Search(a, fold, axes=axes, ridge=ridge, fold_count=fold_count)

    found = search(b)
    rng = np.random.default_rng([seed, 1])
    shuffle = BlockShuffle(blocks)
    worlds = tqdm(range(permutations), desc="shuffled worlds", disable=None, mininterval=1)
    null = [search(b[shuffle(rng)]).r for _ in worlds]

    order = np.argsort(-found.r, kind="stable")
    u, v = found.u[:, order], found.v[:, order]
    low, high = bootstrap_intervals(u, v, fold, blocks, folds=fold_count, resamples=bootstrap, seed=[seed, 2])
    return Axes(
        x_directions=_unit_columns(a_basis @ found.x_weights[:, order]),
        y_directions=_unit_columns(b_basis @ found.y_weights[:, order]),
        x_scores=u,
        y_scores=v,
        fold=fold,
        r=found.r[order],
        low=low,
        high=high,
        stability=found.stability[order],
        null=null,
    )


def principal_components(x, count):
    """Scores (n, k) and orthonormal basis (d, k) of the leading principal components of x (n, d), signs fixed.

    k <= count leaves out components without variance. Raises ValueError if all rows are the same.
    """
    x = np.asarray(x, np.float64)
    centred = x - x.mean(0)
    if centred.shape[1] <= 2 * len(x):
        values, vectors = np.linalg.eigh(centred.T @ centred)
        basis = vectors[:, ::-1][:, :count]
        values = values[::-1][:count]
    else:
        _, singular, rows = np.linalg.svd(centred, full_matrices=False)
        basis, values = rows[:count].T, singular[:count] ** 2
    basis = basis[:, values > 1e-10 * values[0]]
    if not basis.shape[1]:
        raise ValueError("all embeddings are the same")
    basis = basis * np.where(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])] < 0, -1.0, 1.0)
    return centred @ basis, basis


@dataclass(frozen=True)
class _Found:
    r: np.ndarray
    u: np.ndarray
    v: np.ndarray
    x_weights: np.ndarray
    y_weights: np.ndarray
    stability: np.ndarray


class _Search:
    """The whole search for axes, from two sets of component scores to held-out correlations.

    One side stays, the other is given anew for each world, so what depends on the first alone is computed once.
    """

    def __init__(self, a, fold, *, axes, ridge, fold_count):
        self.a, self.fold, self.axes, self.ridge = a, fold, axes, ridge
        self.rows = [np.flatnonzero(fold == f) for f in range(fold_count)]
        self.sizes = np.array([len(rows) for rows in self.rows])
        self.a_moments = _fold_moments(a, a, self.rows)
        self.a_sums = np.stack([a[rows].sum(0) for rows in self.rows])
        self.a_white = [self._whitener(self.a_moments, self.a_sums, held) for held in [None, *range(fold_count)]]

    def __call__(self, b):
        b_moments = _fold_moments(b, b, self.rows)
        cross = _fold_moments(self.a, b, self.rows)
        b_sums = np.stack([b[rows].sum(0) for rows in self.rows])
        p, q = self._fit(b, b_moments, b_sums, cross, None)
        whole_u, whole_v = _standardise(self.a @ p), _standardise(b @ q)
        n = len(b)
        u, v = np.empty((n, self.axes)), np.empty((n, self.axes))
        stability = np.zeros(self.axes)
        for f, rows in enumerate(self.rows):
            fold_p, fold_q = self._fit(b, b_moments, b_sums, cross, f)
            fold_u, fold_v = self.a @ fold_p, b @ fold_q
            # Which axis of the fold is which axis of the whole: axes come in no fixed order and with no fixed sign.
            ru, rv = whole_u.T @ _standardise(fold_u) / n, whole_v.T @ _standardise(fold_v) / n
            _, match = linear_sum_assignment(-np.abs(ru + rv))
            at = np.arange(self.axes), match
            sign = np.where((ru + rv)[at] < 0, -1.0, 1.0)
            stability += np.minimum(sign * ru[at], sign * rv[at])
            u[rows] = _standardise(fold_u[rows][:, match] * sign)
            v[rows] = _standardise(fold_v[rows][:, match] * sign)
        r = average_correlation(fold_correlations(u, v, self.fold, folds=len(self.rows)), self.sizes)
        return _Found(r=r, u=u, v=v, x_weights=p, y_weights=q, stability=stability / len(self.rows))

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

    def _fit(self, b, b_moments, b_sums, cross, held):
        """Rotated canonical weights (k_a, m), (k_b, m) from the items outside fold `held`."""
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
        turn = _rotation((u - u.mean(0)) / u_scale + (v - v.mean(0)) / v_scale)
        return (p / u_scale) @ turn, (q / v_scale) @ turn


def _fold_moments(a, b, rows):
    return np.stack([a[r].T @ b[r] for r in rows])


def _standardise(scores):
    centred = scores - scores.mean(0)
    scale = np.sqrt((centred * centred).mean(0))
    return centred / np.where(scale > 1e-12, scale, 1.0)


def _unit_columns(matrix):
    return matrix / np.linalg.norm(matrix, axis=0)


def _rotation(scores):
    """Orthogonal (m, m) matrix that turns scores (n, m) towards independent components.

    Symmetric FastICA with the log-cosh contrast, started from no rotation, so that it takes no seed.
    """
    n, m = scores.shape
    values, vectors = np.linalg.eigh(scores.T @ scores / n)
    white = ((scores @ vectors) / np.sqrt(np.maximum(values, 1e-12)) @ vectors.T).T.astype(np.float32)
    turn = np.eye(m, dtype=np.float32)
    for _ in range(ICA_STEPS):
        signal = np.tanh(turn @ white)
        slope = 1 - (signal * signal).mean(1)
        left, _, right = np.linalg.svd(signal @ white.T / n - slope[:, None] * turn)
        new = left @ right
        change = np.max(1 - np.abs((new * turn).sum(1)))
        turn = new
        if change < ICA_TOLERANCE:
            break
    return turn.T.astype(np.float64)
