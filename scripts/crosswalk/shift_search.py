"""The shift of one side for each code of the other: fitted in training folds, measured on the items held out."""

import numpy as np
from scipy.stats import rankdata

from crosswalk.components import principal_components

# A single item of huge activation would be the shift all by itself: above this quantile of the active items, all count
# the same.
WINSORISED = 0.9


class ShiftSearch:
    """The whole search for the shift of each unit, from codes and components to held-out correlations.

    weights: (p, n), what an item counts for in the shift; ranks: (p, n), what is measured; other: (n, d), the side that
    shifts; fold: intp (n,); nuisance: None or `covariates.Nuisance`, what was taken out of the other side. It is taken
    out of the codes too, here and in every world. In a shuffled world the codes move and the other side stays, so that
    all that depends on the other side alone is computed once.
    """

    def __init__(self, weights, ranks, other, fold, *, components=None, ridge=0.5, nuisance=None):
        n, self.nuisance = len(fold), nuisance
        if nuisance is not None:
            weights, ranks = nuisance(weights.T).T, nuisance(ranks.T).T
        b, self.basis = principal_components(other, components or min(60, n // 5))
        self.order = np.argsort(fold, kind="stable")  # folds become slices
        self.place = np.argsort(self.order)
        ends = np.cumsum(np.bincount(fold))
        self.parts = [slice(end - size, end) for end, size in zip(ends, np.bincount(fold), strict=True)]
        self.sizes = np.bincount(fold).astype(np.float64)
        self.b, self.weights, self.ranks = b[self.order], weights[:, self.order], ranks[:, self.order]
        moments = np.stack([c.T @ c for c in self._folds()])
        sums = np.stack([c.sum(0) for c in self._folds()])
        count = np.append(n - self.sizes, n)  # the training items of each fold, and all items
        self.means = np.vstack([sums.sum(0) - sums, sums.sum(0)]) / count[:, None]
        covariance = np.concatenate([moments.sum(0) - moments, moments.sum(0)[None]]) / count[:, None, None]
        covariance -= self.means[:, :, None] * self.means[:, None, :]
        level = np.trace(covariance, axis1=1, axis2=2) / b.shape[1]
        ridged = (1 - ridge) * covariance + (max(ridge, 1e-8) * level)[:, None, None] * np.eye(b.shape[1])
        self.inverse = np.linalg.inv(ridged)
        # Where an item held out lies, as seen by the covariance of the items that are not.
        self.seen = [self.inverse[f] @ c.T for f, c in enumerate(self._folds())]

    def world(self, given, at=slice(None)):
        """Held-out rank correlation of the units `at`, each item being given the codes of the item `given`."""
        place = self.place[given[self.order]]
        codes = [np.take(values[at], place, axis=1) for values in (self.weights, self.ranks)]
        if self.nuisance is not None:
            codes = [self.nuisance(values.T[self.place]).T[:, self.order] for values in codes]
        return self.sizes @ self.correlate(*codes) / self.sizes.sum()

    def correlate(self, weights, ranks):
        """Rank correlation (folds, p) of the codes with the projections of the items held out."""
        r = np.zeros((len(self.parts), len(weights)))
        for f, (part, projection) in enumerate(zip(self.parts, self.project(weights), strict=True)):
            own = ranks[:, part]
            own = own - own.mean(1, keepdims=True)
            order, size = np.argsort(projection, axis=1), own.shape[1]
            # The sum of code times rank, items taken in the order of their projection.
            r[f] = np.take_along_axis(own, order, axis=1) @ (np.arange(size) - (size - 1) / 2)
            norm = np.sqrt((own * own).sum(1) * size * (size * size - 1) / 12)
            np.divide(r[f], norm, out=r[f], where=norm > 1e-9)
        return r

    def project(self, weights):
        """For each fold (p, n_fold): its items on the axes of the items outside it."""
        return [shift @ seen for shift, seen in zip(self.shifts(weights), self.seen, strict=False)]

    def shifts(self, weights):
        """Covariance (folds + 1, p, k) of codes and components outside each fold, times their number; last, of all."""
        cross = np.stack([weights[:, part] @ c for part, c in zip(self.parts, self._folds(), strict=True)])
        sums = np.stack([weights[:, part].sum(1) for part in self.parts])
        cross = np.concatenate([cross.sum(0) - cross, cross.sum(0)[None]])
        sums = np.concatenate([sums.sum(0) - sums, sums.sum(0)[None]])
        return cross - sums[:, :, None] * self.means[:, None, :]

    def scores(self):
        """What `Shifts` wants of each unit.

        Returns projections (n, p), standardised in their folds; their ranks in their folds (n, p); directions (d, p) of
        all items in the space of the other side; r (folds, p); training (p,), mean correlation of the training items.
        """
        projections, ranks = np.empty((2, *self.weights.shape))
        training = np.zeros(len(self.weights))
        shifts = self.shifts(self.weights)
        for f, part in enumerate(self.parts):
            axis = shifts[f] @ self.inverse[f]
            held = axis @ self.b[part].T
            projections[:, part] = standardised(held.T).T
            ranks[:, part] = rankdata(held, axis=1)
            train = np.ones(len(self.b), dtype=bool)
            train[part] = False
            training += _correlations(self.weights[:, train], axis @ self.b[train].T)
        directions = unit_columns(self.basis @ (shifts[-1] @ self.inverse[-1]).T)
        each = self.correlate(self.weights, self.ranks)
        return projections.T[self.place], ranks.T[self.place], directions, each, training / len(self.parts)

    def _folds(self):
        return [self.b[part] for part in self.parts]


def winsorised(codes):
    """Codes (p, n), each unit's largest brought down to the WINSORISED quantile of those that are not 0."""
    size = np.abs(codes)
    top = np.array([np.quantile(row[row > 0], WINSORISED) for row in size]).reshape(-1, 1)
    return np.clip(codes, -top, top)


def standardised(scores):
    """Columns of scores (n, p) brought to mean 0 and spread 1; 0 where they do not vary."""
    centred = scores - scores.mean(0)
    scale = centred.std(0)
    return centred / np.where(scale > 1e-12, scale, 1.0)


def unit_columns(columns):
    """Columns (d, p) brought to length 1; 0 where they have none."""
    norm = np.linalg.norm(columns, axis=0)
    return columns / np.where(norm > 1e-12, norm, 1.0)


def _correlations(u, v):
    u, v = u - u.mean(1, keepdims=True), v - v.mean(1, keepdims=True)
    norm = np.sqrt((u * u).sum(1) * (v * v).sum(1))
    return (u * v).sum(1) / np.where(norm > 1e-12, norm, 1.0)
