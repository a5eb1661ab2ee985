"""What a collection looks like before anything is related: its clusters, its map, and how two labels differ.

k-means is Lloyd's (1982), seeded by k-means++ (Arthur and Vassilvitskii, 2007); the map is principal components.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from tqdm import tqdm

COMPONENTS = 50  # k-means sees this many principal components: distances hardly change, the time does
ELBOW_ROWS = 2000  # rows behind the elbow; its shape is that of the whole collection


@dataclass(frozen=True)
class Reduced:
    """Rows in their first principal components: scores (n, c) float64; explained (c,), their shares of variance."""

    scores: np.ndarray
    explained: np.ndarray


def reduce(vectors, *, seed, components=COMPONENTS):
    """Standardise each dimension and keep the first principal components.

    vectors: (n, d), n >= 2, finite; seed: of the randomised solver (Halko et al., 2011).
    Returns Reduced with min(components, n, d) columns. Constant dimensions count for nothing.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} rows; a map needs at least 2")
    if not np.isfinite(vectors).all():
        raise ValueError("a vector is not finite")
    scale = vectors.std(0)
    standard = (vectors - vectors.mean(0)) / np.where(scale > 1e-12, scale, 1.0)
    solver = PCA(min(components, *vectors.shape), svd_solver="randomized", iterated_power=7, random_state=seed)
    # One thread: the sums of several threads differ in their last digits from run to run.
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # no variance at all gives 0 / 0
        scores = solver.fit_transform(standard)
    return Reduced(scores, np.nan_to_num(solver.explained_variance_ratio_))


def elbow(scores, *, max_clusters, seed, rows=ELBOW_ROWS):
    """Within-cluster sum of squares of k-means for every k from 1 to `max_clusters`.

    scores: (n, c); max_clusters: at most the number of distinct rows is tried; rows: as many are drawn by `seed`.
    Each k is started twice, by k-means++ and from the centres of k - 1 with the row furthest from them, and the
    better end is kept; so the curve never rises. Returns a DataFrame with k, inertia.
    """
    if len(scores) > rows:
        scores = scores[np.sort(np.random.default_rng(seed).choice(len(scores), rows, replace=False))]
    most = min(max_clusters, _distinct(scores))
    inertia, best = [], None
    with threadpool_limits(1):
        for k in tqdm(range(1, most + 1), desc="elbow", disable=None, leave=False):
            tries = [_kmeans(scores, k, "k-means++", seed)]
            if best is not None:
                furthest = scores[int(np.argmax(best.transform(scores).min(1)))]
                tries.append(_kmeans(scores, k, np.vstack([best.cluster_centers_, furthest]), seed))
            best = min(tries, key=lambda fit: fit.inertia_)
            inertia.append(best.inertia_)
    return pd.DataFrame({"k": np.arange(1, most + 1), "inertia": inertia})


def cluster(scores, *, clusters, seed):
    """k-means clusters of rows.

    scores: (n, c); clusters: at most the number of distinct rows is made. Returns int64 (n,), numbered from 1, the
    largest cluster first.
    """
    most = min(clusters, _distinct(scores))
    with threadpool_limits(1):
        found = _kmeans(scores, most, "k-means++", seed, starts=4).labels_
    sizes = np.bincount(found, minlength=most)
    rank = np.empty(most, dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(1, most + 1)
    return rank[found]


def difference(vectors, a, b, *, space):
    """Difference of the mean of rows `a` and the mean of rows `b`, in each dimension.

    vectors: (n, d); a, b: bool (n,), each with at least one row; a row may be in both; space: what they are rows of.
    Returns a DataFrame with space, dimension (from 0), difference, sd (of the dimension over all rows), n_a, n_b.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if not (a.any() and b.any()):
        raise ValueError("a difference of means needs rows on both sides")
    return pd.DataFrame(
        {
            "space": space,
            "dimension": np.arange(vectors.shape[1]),
            "difference": vectors[a].mean(0) - vectors[b].mean(0),
            "sd": vectors.std(0),
            "n_a": int(a.sum()),
            "n_b": int(b.sum()),
        }
    )


def _distinct(scores):
    return len(np.unique(scores.round(6), axis=0))  # equal rows part in the last digits when they are projected


def _kmeans(scores, k, init, seed, starts=1):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than it asked for, which is no fault
        return KMeans(k, init=init, n_init=starts, random_state=seed, copy_x=False).fit(scores)
