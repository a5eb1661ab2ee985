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


def bootstrap_intervals(u, v, fold, blocks, *, folds, resamples, seed, training=None, level=LEVEL):
    """Symmetric studentised bootstrap interval (Hall, 1988) of the fold-averaged correlation, on Fisher's scale (1921).

    u, v: (n, m) held-out scores; fold: intp (n,); blocks: n labels, resampled whole inside each fold; training: (m,)
    mean correlation of the items that each fold's axis was fitted on, None if nothing was fitted. What it covers is
    the mean over the folds of the correlation that each fold's own axis has on fresh items. Percentiles of
    resampled correlations, which are simpler, cover it in 82 to 95 % of worlds where folds are small, scores skewed or
    units sparse; measured in its own standard error, which each resample has too, 93 to 98 %, more with few blocks.
    Resampling takes the axes as fixed, and errors of cross-validation are larger than that (Bates, Hastie and
    Tibshirani, 2023), here by `cross_fitting_variance`.
    Returns low (m,), high (m,), around the correlation; both are the correlation where it does not vary.
    """
    rng = np.random.default_rng(seed)
    whole, drawn = np.zeros((2, 1, u.shape[1])), np.zeros((2, resamples, u.shape[1]))
    for f in range(folds):
        rows = np.flatnonzero(fold == f)
        _, codes = np.unique(np.asarray(blocks)[rows], return_inverse=True)
        count, share = codes.max() + 1, len(rows) / len(u)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
        sums = _block_sums(u[rows], v[rows], codes, count)
        with threadpool_limits(1):
            r, variance = _correlation_and_variance(sums, np.ones((1, count)))
            whole += share * r, share**2 * variance * count / max(count - 1, 1)
            r, variance = _correlation_and_variance(sums, weights)
            drawn += share * r, share**2 * variance
    (z, error), (drawn_z, drawn_error) = _on_fishers_scale(*whole), _on_fishers_scale(*drawn)
    away = np.zeros_like(drawn_z)
    np.divide(np.abs(drawn_z - z), drawn_error, out=away, where=drawn_error > 1e-9)
    reach = np.quantile(away, level, axis=0) * error[0]
    if training is not None:
        reach *= np.sqrt(cross_fitting_variance(np.tanh(z[0]), training))
    return np.tanh(z[0] - reach), np.tanh(z[0] + reach)


def cross_fitting_variance(r, training):
    """How many times as large as with fixed axes the variance of a cross-fitted correlation is; (m,), from 1 to 2.

    r, training: (m,) correlation of the items held out, and of those that axes were fitted on. An axis is a signal and
    the noise of its own items. The noise of one fold's axis meets the items of another fold, whose noise is in that
    fold's axis and meets the items of the first: the two meetings are one product, counted twice. Without a signal the
    held-out correlation is a degenerate U-statistic of them, with twice the variance it would have if axes were fixed;
    signal, which is orthogonal to it, adds nothing. Its share of an axis is r / training, for an axis grows in training
    by the whole of its squared length, and outside by that of its signal.
    """
    share = np.divide(r, training, out=np.zeros(len(r)), where=np.asarray(training) > 1e-9)
    return 2 - np.clip(share, 0, 1)


def _block_sums(u, v, codes, count):
    """Sums (6, count, m) over each block of u v, u, v, u u, v v and 1, of scores brought to mean 0 and spread 1."""
    a, b = ((side - side.mean(0)) / np.where(side.std(0) > 1e-12, side.std(0), 1.0) for side in (u, v))
    sums = np.zeros((6, count, u.shape[1]))
    for total, values in zip(sums, (a * b, a, b, a * a, b * b, np.ones_like(a)), strict=True):
        np.add.at(total, codes, values)
    return sums


def _correlation_and_variance(sums, weights):
    """Correlation and its variance, (resamples, m) each, where block j counts weights[:, j] times.

    The variance is that of the infinitesimal jackknife over blocks (Efron, 1982). An item's influence on a correlation
    is a b - r (a a + b b) / 2 with standardised a and b, so that of a block is linear in the block's sums, and its
    square in their products.
    """
    ab, a, b, aa, bb, n = (weights @ total for total in sums)
    a, b = a / n, b / n
    spread_a, spread_b = (np.sqrt(np.maximum(own, 0)) for own in (aa / n - a * a, bb / n - b * b))
    safe = spread_a * spread_b > 1e-9
    spread_a, spread_b = np.where(safe, spread_a, 1.0), np.where(safe, spread_b, 1.0)
    r = np.where(safe, (ab / n - a * b) / (spread_a * spread_b), 0.0)
    p, q, s = 1 / (spread_a * spread_b), r / (2 * spread_a**2), r / (2 * spread_b**2)
    influence = [p, 2 * q * a - p * b, 2 * s * b - p * a, -q, -s, p * a * b - q * a * a - s * b * b]
    variance = np.zeros_like(r)
    for i in range(6):
        for j in range(i, 6):
            variance += (1 + (i < j)) * influence[i] * influence[j] * (weights @ (sums[i] * sums[j]))
    return r, np.where(safe, np.maximum(variance, 0) / n**2, 0.0)


def _on_fishers_scale(r, variance):
    r = np.clip(r, -1 + 1e-9, 1 - 1e-9)
    return np.arctanh(r), np.sqrt(variance) / (1 - r * r)


def candidate_table(
    family,
    x_unit,
    y_unit,
    *,
    n,
    r,
    low,
    high,
    stability,
    null,
    pooled,
    blocks=None,
    p=None,
    p_max=None,
    p_floor=None,
):
    """One row for each candidate that a search tested.

    family: name of the search; x_unit, y_unit: (m,) numbers of the units; n: items behind r; r, low, high, stability:
    (m,); null: r of all candidates in each shuffled world; pooled: whether candidates share one null; blocks: how many
    blocks the n items make, n if not given; p, p_max (m,) and p_floor, the least p-value possible, if the search has
    counted them itself.
    Returns a DataFrame with `p` and, against the best of each world, `p_max`. For `power.power_table` it has `null_sd`,
    the spread of r in the shuffled worlds, that of its own or of all if they share one, `worlds`, `p_floor`, `blocks`.
    """
    values = np.concatenate(null) if pooled and len(null) else np.asarray(null)
    drawn = len(values) if len(np.atleast_1d(r)) else 0
    return pd.DataFrame(
        {
            "family": family,
            "x_unit": x_unit,
            "y_unit": y_unit,
            "n": n,
            "r": r,
            "r_low": low,
            "r_high": high,
            "p": (pooled_p_values if pooled else own_p_values)(r, null) if p is None else p,
            "p_max": max_p_values(r, null) if p_max is None else p_max,
            "stability": stability,
            "null_sd": values.std(0) if len(values) else np.nan,
            "worlds": len(null),
            "p_floor": 1 / (1 + drawn) if p_floor is None else p_floor,
            "blocks": n if blocks is None else blocks,
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
