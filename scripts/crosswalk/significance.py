"""Tests and intervals for correlations measured on items that the search did not see."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

LEVEL = 0.95  # of every interval
CELLS = 1 << 20  # counts of drawn items held at once; 8 MB


def fold_correlations(u, v, fold, *, folds):
    """Correlation of the columns of u and v inside each fold.

    u, v: (n, m); fold: intp (n,). Returns float64 (folds, m); 0 where a column is constant in a fold,
    since a constant goes with nothing.
    """
    r = np.zeros((folds, u.shape[1]))
    for f in range(folds):
        rows = fold == f
        a, b = u[rows] - u[rows].mean(0), v[rows] - v[rows].mean(0)
        norm = np.sqrt((a * a).sum(0) * (b * b).sum(0))
        np.divide((a * b).sum(0), norm, out=r[f], where=norm > 1e-12)
    return r


def average_correlation(r, sizes):
    """Mean of correlations over folds, each weighted by its items: r (folds, m), sizes (folds,) -> (m,)."""
    weights = np.asarray(sizes, dtype=np.float64)
    return weights @ r / weights.sum()


def pooled_p_values(observed, null):
    """One-sided p-value of each observed statistic against all statistics of all shuffled worlds.

    observed: (m,); null: list of arrays, one for each world (they may differ in length).
    Returns (m,), never 0: the observed world counts as one of the worlds (Phipson and Smyth, 2010).
    """
    values = np.sort(np.concatenate(null)) if len(null) else np.empty(0)
    exceed = len(values) - np.searchsorted(values, observed, side="left")
    return (1 + exceed) / (1 + len(values))


def own_p_values(observed, null):
    """One-sided p-value of each observed statistic against the same statistic in the shuffled worlds.

    observed: (m,); null: (worlds, m). Returns (m,), in the form of `pooled_p_values`; pooling assumes that the
    statistics are alike in the shuffled worlds, this does not.
    """
    return (1 + (np.asarray(null) >= observed).sum(0)) / (1 + len(null))


def max_p_values(observed, null):
    """Family-wise p-value of each statistic: the share of worlds whose greatest statistic reaches it.

    Westfall and Young's single-step maximum method; same arguments and form as `pooled_p_values`.
    """
    greatest = np.sort([world.max() if len(world) else -np.inf for world in null])
    exceed = len(greatest) - np.searchsorted(greatest, observed, side="left")
    return (1 + exceed) / (1 + len(greatest))


def false_discovery_rate(p):
    """Benjamini and Hochberg's (1995) adjusted p-values (q-values), in the order given."""
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def bootstrap_intervals(u, v, fold, blocks, *, folds, resamples, seed, level=0.95):
    """Percentile interval of the fold-averaged correlation, by resampling whole blocks inside each fold.

    u, v: (n, m) held-out scores; fold: intp (n,); blocks: n labels. Returns low (m,), high (m,).
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((resamples, u.shape[1]))
    for f in range(folds):
        rows = np.flatnonzero(fold == f)
        _, codes = np.unique(np.asarray(blocks)[rows], return_inverse=True)
        count = codes.max() + 1
        weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples)[:, codes].astype(np.float64)
        a, b = u[rows] - u[rows].mean(0), v[rows] - v[rows].mean(0)
        n = weights.sum(1, keepdims=True)
        mean_a, mean_b = weights @ a / n, weights @ b / n
        covariance = weights @ (a * b) / n - mean_a * mean_b
        variance = (weights @ (a * a) / n - mean_a**2) * (weights @ (b * b) / n - mean_b**2)
        safe = variance > 1e-24
        r = np.zeros_like(covariance)
        np.divide(covariance, np.sqrt(variance, where=safe, out=np.ones_like(variance)), out=r, where=safe)
        total += len(rows) * r
    total /= len(u)
    tail = 100 * (1 - level) / 2
    return tuple(np.percentile(total, [tail, 100 - tail], axis=0))


def candidate_table(family, x_unit, y_unit, *, n, r, low, high, stability, null, pooled):
    """One row for each candidate that a search tested.

    family: name of the search; x_unit, y_unit: (m,) numbers of the units; n: items behind r; r, low, high, stability:
    (m,); null: r of all candidates in each shuffled world; pooled: whether candidates share one null.
    Returns a DataFrame with `p` and, against the best of each world, `p_max`.
    """
    return pd.DataFrame(
        {
            "family": family,
            "x_unit": x_unit,
            "y_unit": y_unit,
            "n": n,
            "r": r,
            "r_low": low,
            "r_high": high,
            "p": (pooled_p_values if pooled else own_p_values)(r, null),
            "p_max": max_p_values(r, null),
            "stability": stability,
        }
    )


def resampled(values: np.ndarray, *, resamples: int, seed) -> np.ndarray:
    """Totals of each column over items that are drawn again, as many as there are, with replacement.

    values: float64 (b, m), a row for each item, b >= 1. Returns float64 (resamples, m). The draws depend on b and the
    seed only: totals over the same items with the same seed are paired.
    """
    rng, b = np.random.default_rng(seed), len(values)
    totals, step = np.empty((resamples, values.shape[1])), max(1, CELLS // b)
    with threadpool_limits(1):
        for start in range(0, resamples, step):
            rows = min(step, resamples - start)
            drawn = rng.integers(b, size=(rows, b)) + b * np.arange(rows)[:, None]
            times = np.bincount(drawn.ravel(), minlength=rows * b).reshape(rows, b)
            totals[start : start + rows] = times.astype(np.float64) @ values
    return totals


def bounds(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end of the 95 % percentile interval of resampled statistics (resamples, ...)."""
    beyond = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(statistics, [beyond, 100 - beyond], axis=0)
    return low, high
