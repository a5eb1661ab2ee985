"""Maps between spaces from rows that correspond: orthogonal Procrustes, its generalisation to many sets, and ridge.

Orthogonal Procrustes is Schoenemann's (1966) with translation and scale; the generalisation to several sets is Gower's
(1975), with the scales of ten Berge (1977), row weights and missing rows; Gower and Dijksterhuis (2004) treat both.
"""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)  # ridges that `choose_map` tries, in mean variances of an axis of x
FEWEST_TO_CHOOSE = 10  # corresponding rows, below which there is nothing to hold out


@dataclass(frozen=True)
class Transform:
    """A map from rows of width d to rows of width e: (row - mean_x) @ rotation * scale + mean_y.

    kind: "procrustes" (rotation has orthonormal rows or columns, whichever are fewer) or "ridge" (any matrix);
    mean_x (d,), rotation (d, e), mean_y (e,): float64; scale: above 0.
    """

    mean_x: np.ndarray
    rotation: np.ndarray
    scale: float
    mean_y: np.ndarray
    kind: str = "procrustes"

    def apply(self, rows):
        """Rows (n, d) in the space of the map's target: float64 (n, e). Raises ValueError at another width."""
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean_x):
            raise ValueError(f"rows of shape {rows.shape}; the map takes rows of width {len(self.mean_x)}")
        with threadpool_limits(1):
            return (rows - self.mean_x) @ (self.rotation * self.scale) + self.mean_y

    def tensors(self):
        """The map as a dict of arrays, as safetensors saves them; `load` takes it back without loss."""
        return {
            "mean_x": self.mean_x,
            "rotation": np.ascontiguousarray(self.rotation),
            "scale": np.array([self.scale]),
            "mean_y": self.mean_y,
            "kind": np.frombuffer(self.kind.encode(), np.uint8),
        }

    @classmethod
    def load(cls, tensors):
        """The Transform of a dict that `tensors` gave."""
        return cls(
            mean_x=tensors["mean_x"],
            rotation=tensors["rotation"],
            scale=float(tensors["scale"][0]),
            mean_y=tensors["mean_y"],
            kind=bytes(tensors["kind"]).decode(),
        )


def procrustes(x, y, *, weights=None, scale=True, reflection=True):
    """The orthogonal map with translation, and scale if wanted, that brings x nearest to y (Schoenemann, 1966).

    x: (k, d), y: (k, e): row i of both is the same thing; d and e may differ, then the map is semi-orthogonal;
    weights: (k,) of the rows, not negative; reflection: False allows proper rotations only (no limit where d != e).
    Returns a Transform. Raises ValueError if the rows do not correspond in number, are not finite or are all the same.
    """
    x, y = _corresponding(x, y)
    weights = _row_weights(weights, len(x))
    mean_x, mean_y = weights @ x, weights @ y
    a, b = x - mean_x, y - mean_y
    spread = float(weights @ (a * a).sum(1))
    for name, centred, rows in (("x", a, x), ("y", b, y)):
        if _constant(centred, rows, weights):
            raise ValueError(f"all rows of {name} are the same; no direction can be told from them")
    with threadpool_limits(1):
        rotation, shared = _polar(a.T @ (b * weights[:, None]), reflection=reflection)
    if scale and shared <= 0:
        raise ValueError("x and y share nothing: the best scale is 0")
    return Transform(mean_x, rotation, shared / spread if scale else 1.0, mean_y)


def ridge_map(x, y, *, alpha):
    """The linear map with translation from x (k, d) to y (k, e) with a ridge on its weights (Hoerl and Kennard, 1970).

    alpha: the ridge in units of the mean variance of an axis of x, above 0, so that a rescaled x needs no other one.
    Returns a Transform of kind "ridge". Raises ValueError as `procrustes` does.
    """
    if not alpha > 0:
        raise ValueError(f"alpha {alpha}; it must be above 0")
    x, y = _corresponding(x, y)
    return _ridge_maps(x, y, [alpha])[0]


def choose_map(x, y, *, seed, folds=5, alphas=ALPHAS):
    """Procrustes or ridge, whichever finds held-out rows better, fitted on all rows.

    x: (k, d), y: (k, e), k >= FEWEST_TO_CHOOSE; alphas: the ridges tried.
    Each row is predicted by a map that has not seen it and looks for its partner among all rows of y by cosine from
    the mean; first by mean reciprocal rank, then, where that is equal, by mean cosine; Procrustes wins a tie.
    Returns the Transform and the table of what was tried: one dict each with kind, alpha (None for Procrustes),
    hit_at_1, mrr, cosine. Raises ValueError for too few rows or as `procrustes` does.
    """
    x, y = _corresponding(x, y)
    k = len(x)
    if k < FEWEST_TO_CHOOSE:
        raise ValueError(f"{k} corresponding rows; at least {FEWEST_TO_CHOOSE} are needed to choose a map")
    fold = np.random.default_rng(seed).permutation(np.arange(k) % min(folds, k))
    ranks, cosines = np.empty((1 + len(alphas), k)), np.empty((1 + len(alphas), k))
    for held in range(fold.max() + 1):
        train, rows = fold != held, np.flatnonzero(fold == held)
        for i, fit in enumerate([procrustes(x[train], y[train]), *_ridge_maps(x[train], y[train], alphas)]):
            ranks[i, rows], cosines[i, rows] = ranks_of(fit.apply(x[rows]), y, rows, centre=fit.mean_y)
    tried = [
        {
            "kind": "ridge" if i else "procrustes",
            "alpha": alphas[i - 1] if i else None,
            "hit_at_1": float((ranks[i] <= 1).mean()),
            "mrr": float((1 / ranks[i]).mean()),
            "cosine": float(cosines[i].mean()),
        }
        for i in range(1 + len(alphas))
    ]
    return fit_as(x, y, best_of(tried)), tried


def best_of(tried):
    """The row of the table of `choose_map` that won."""
    return max(tried, key=lambda row: (round(row["mrr"], 6), round(row["cosine"], 6)))


def fit_as(x, y, choice):
    """The map from x to y of the kind, and with the ridge, of a row of the table of `choose_map`."""
    return procrustes(x, y) if choice["kind"] == "procrustes" else ridge_map(x, y, alpha=choice["alpha"])


def ranks_of(mapped, y, own, *, centre):
    """Rank of each mapped row's own row of y among all by cosine from `centre`, 1 is nearest, and that cosine.

    mapped: (q, e), y: (m, e), own: (q,) row numbers of y. Equal cosines share their places: half of them count.
    """
    with threadpool_limits(1):
        cosines = unit(mapped - centre) @ unit(y - centre).T
    true = cosines[np.arange(len(own)), own]
    nearer = (cosines > true[:, None]).sum(1)
    equal = (cosines == true[:, None]).sum(1) - 1
    return 1 + nearer + equal / 2, true


@dataclass(frozen=True)
class Generalised:
    """What `generalised_procrustes` found.

    transforms: one for each set, into the space of the consensus; consensus: (k, d), NaN where no set has the row;
    residual: of each iteration, the share of all variation that is not in the consensus, never rising;
    disparity: (s,) that share of each set at the end.
    """

    transforms: list
    consensus: np.ndarray
    residual: np.ndarray
    disparity: np.ndarray


def generalised_procrustes(sets, *, weights=None, scale=True, reflection=True, tolerance=1e-8, iterations=100):
    """Bring two or more sets of corresponding rows into one space (Gower, 1975).

    sets: arrays (k, d_s), row i of all is the same thing; a row that a set lacks is all NaN; weights: (k,) of the rows.
    The consensus has the width of the widest set. Each iteration turns all sets onto the consensus, then finds the
    best scales, translations and consensus together. The scales keep the total variation (Gower's constraint), which
    excludes that everything shrinks to a point. Stops when the residual falls by less than the tolerance.
    With two complete sets the map from one to the other is that of `procrustes`, apart from its scale: here it is
    the ratio of the sizes, the same in both directions. Returns Generalised.
    Raises ValueError for fewer than two sets, other numbers of rows, rows missing in part, a set that is all missing
    or constant or shares no row with the others.
    """
    sets, present = _checked_sets(sets)
    mass = present * _row_weights(weights, present.shape[1])
    means = []
    centred = []
    for number, (rows, m) in enumerate(zip(sets, mass, strict=True)):
        if not m.any():
            raise ValueError(f"set {number} has no row of weight: all are missing")
        mean = m @ rows / m.sum()
        means.append(mean)
        centred.append(np.where(m[:, None] > 0, rows - mean, 0.0))
        if _constant(centred[-1], rows, m):
            raise ValueError(f"set {number} is constant: all its rows are the same")
    with threadpool_limits(1):
        size = np.array([m @ (rows * rows).sum(1) for rows, m in zip(centred, mass, strict=True)])
        rotations = _first_rotations(centred, mass, reflection=reflection)
        scales = np.sqrt(size.mean() / size) if scale else np.ones(len(sets))
        residual = []
        while True:
            turned = np.stack([rows @ rotation for rows, rotation in zip(centred, rotations, strict=True)])
            if scale:
                scales = _best_scales(turned, mass, size, scales)
            moved, shifts, consensus = _translate(turned * scales[:, None, None], mass)
            losses = (mass * ((moved - consensus) ** 2).sum(2)).sum(1)
            total = scales**2 @ size
            residual.append(losses.sum() / total)
            if len(residual) > iterations or (len(residual) > 1 and residual[-2] - residual[-1] < tolerance):
                break
            rotations = _turns(centred, mass, consensus, reflection=reflection)
    # The loop's last fall may be rounding; a residual that rises by less than rounding is not a rise.
    residual = np.minimum.accumulate(residual)
    transforms = [
        Transform(mean, rotation, float(factor), shift)
        for mean, rotation, factor, shift in zip(means, rotations, scales, shifts, strict=True)
    ]
    consensus = np.where((mass > 0).any(0)[:, None], consensus, np.nan)
    return Generalised(transforms, consensus, residual, losses / (scales**2 * size))


def unit(rows):
    """Rows of unit length; a row without direction stays 0."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def _corresponding(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise ValueError(f"arrays of shape {x.shape} and {y.shape}; two or more corresponding rows are needed")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value is not finite")
    return x, y


def _row_weights(weights, k):
    """Weights of k rows that sum to 1."""
    weights = np.ones(k) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (k,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(f"weights must be {k} finite numbers, none below 0 and not all 0")
    return weights / weights.sum()


def _constant(centred, rows, weights):
    held = weights > 0
    return np.abs(centred[held]).max() <= 1e-12 * np.abs(rows[held]).max()


def _polar(cross, *, reflection):
    """The (semi-)orthogonal matrix nearest to `cross` (d, e), and the sum of what it shares with it."""
    left, values, right = np.linalg.svd(cross, full_matrices=False)
    square = cross.shape[0] == cross.shape[1]
    if square and not reflection and np.linalg.det(left) * np.linalg.det(right) < 0:
        left[:, -1] *= -1
        values[-1] *= -1
    return left @ right, float(values.sum())


def _ridge_maps(x, y, alphas):
    """One ridge Transform for each alpha, from one decomposition."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    a = x - mean_x
    if _constant(a, x, np.ones(len(x))):
        raise ValueError("all rows of x are the same; no direction can be told from them")
    with threadpool_limits(1):
        left, singular, right = np.linalg.svd(a, full_matrices=False)
        target = left.T @ (y - mean_y)
        level = (singular**2).sum() / x.shape[1]
        factors = [singular / (singular**2 + alpha * level) for alpha in alphas]
        return [Transform(mean_x, right.T @ (f[:, None] * target), 1.0, mean_y, kind="ridge") for f in factors]


def _checked_sets(sets):
    """The sets as float64 with 0 for what is missing, and which rows are there (s, k)."""
    sets = [np.array(rows, np.float64) for rows in sets]
    if len(sets) < 2:
        raise ValueError(f"{len(sets)} sets; a consensus needs at least two")
    if any(rows.ndim != 2 or len(rows) != len(sets[0]) for rows in sets):
        raise ValueError(f"sets of shapes {[rows.shape for rows in sets]}; all need the same number of rows")
    present = np.empty((len(sets), len(sets[0])), dtype=bool)
    for number, rows in enumerate(sets):
        missing = np.isnan(rows)
        present[number] = ~missing.all(1)
        bad = np.flatnonzero(present[number] & ~np.isfinite(rows).all(1))
        if len(bad):
            raise ValueError(f"row {bad[0]} of set {number} is missing in part or not finite")
        rows[~present[number]] = 0.0
    return sets, present


def _first_rotations(centred, mass, *, reflection):
    """Rotations to begin with: the widest set stays, each next one is turned onto the mean of those before it.

    The next one is always the one that shares most rows with those before it.
    """
    width = max(rows.shape[1] for rows in centred)
    first = max(range(len(centred)), key=lambda s: (centred[s].shape[1], mass[s].sum()))
    rotations = [None] * len(centred)
    rotations[first] = np.eye(width)
    sums, seen = mass[first][:, None] * centred[first], mass[first].copy()
    size = np.sqrt((sums * centred[first]).sum())
    while any(rotation is None for rotation in rotations):
        rest = [s for s, rotation in enumerate(rotations) if rotation is None]
        following = max(rest, key=lambda s: mass[s] @ (seen > 0))
        if not mass[following] @ (seen > 0):
            raise ValueError(f"set {following} shares no row with the others")
        mean = sums / np.where(seen > 0, seen, 1)[:, None]
        both = mass[following] * (seen > 0)
        rotation = _turns([centred[following]], [both], mean, reflection=reflection)[0]
        rotations[following] = rotation
        # Sets may differ in size by orders of magnitude: each counts the same in the mean that decides where to begin.
        rows = centred[following] * size / np.sqrt(mass[following] @ (centred[following] ** 2).sum(1))
        sums, seen = sums + mass[following][:, None] * (rows @ rotation), seen + mass[following]
    return rotations


def _turns(centred, mass, consensus, *, reflection):
    """The rotation of each set onto the consensus, over the rows it has."""
    rotations = []
    for rows, m in zip(centred, mass, strict=True):
        share = m / m.sum()
        target = (consensus - share @ consensus) * share[:, None]
        rotations.append(_polar((rows - share @ rows).T @ target, reflection=reflection)[0])
    return rotations


def _translate(turned, mass):
    """The translations and the consensus that leave the least, given sets (s, k, d) that are turned and scaled.

    A two-way layout: row i of set s is consensus i less shift s. The shifts solve s equations; their mean is free.
    Returns the moved sets, the shifts (s, d) and the consensus (k, d).
    """
    total = mass.sum(0)
    share = mass / np.where(total > 0, total, 1)
    mean = np.einsum("sk,skd->kd", share, turned)
    laplacian = np.diag(mass.sum(1)) - mass @ share.T
    shifts = np.linalg.pinv(laplacian, hermitian=True) @ -np.einsum("sk,skd->sd", mass, turned - mean)
    moved = turned + shifts[:, None]
    return moved, shifts, np.einsum("sk,skd->kd", share, moved)


def _best_scales(turned, mass, size, scales):
    """The scales that leave the least while the total variation stays (ten Berge, 1977), translations included."""
    count = len(turned)
    left_over = np.empty((count, count))
    for s in range(count):
        alone = np.zeros_like(turned)
        alone[s] = turned[s]
        moved, _, consensus = _translate(alone, mass)
        left_over[:, s] = np.einsum("tk,tkd,tkd->t", mass, turned, moved - consensus)
    root = np.sqrt(size)
    _, vectors = np.linalg.eigh((left_over + left_over.T) / 2 / np.outer(root, root))
    best = vectors[:, 0] / root * np.sqrt(size.sum())
    best *= np.sign(best.sum())
    # A set that runs against the others would get a scale below 0; keep what was, which is no worse than before.
    return best if (best > 0).all() else scales
