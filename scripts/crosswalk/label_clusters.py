"""Subjects with similar works, put together half by half: the balanced 2-means of Parabel (Prabhu et al., 2018)."""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, diags_array

ROUNDS = 50  # of moving rows between two halves; a dozen is usual
LEAST_GAIN = 1e-4  # of the mean cosine to the centres; Parabel's


def profiles(links: csr_array, features: csr_array) -> csr_array:
    """What the works of each subject are about: the sum of their rows, at length 1.

    links: csr (n, S); features: csr float32 (n, F), nowhere negative.
    Returns csr float32 (S, F), indices sorted; a row is empty if no work of the subject has features.
    """
    sums = csr_array(links.T @ features, dtype=np.float32)
    sums.eliminate_zeros()
    sums.sort_indices()
    norms = np.sqrt(np.asarray(sums.multiply(sums).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.where(norms > 0, norms, 1).astype(np.float32)) @ sums)


def bisect(rows: csr_array, *, depth: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Halve rows `depth` times so that similar ones stay together.

    rows: csr float32 (m, F), rows of length 1.
    Returns (order, starts): int64 (m,), the rows in their new order, and int64 (2 ** depth + 1,), where each part
    begins in it. The two halves of a part differ by at most one row.
    """
    order, starts = np.arange(rows.shape[0]), np.array([0, rows.shape[0]])
    for _ in range(depth):
        middles = []
        for start, stop in pairwise(starts):
            part = order[start:stop]
            right = halves(_compact(rows[part]), rng=rng)
            order[start:stop] = np.concatenate([part[~right], part[right]])
            middles.append(start + np.count_nonzero(~right))
        starts = np.sort(np.concatenate([starts, middles]))
    return order, starts


def halves(rows: csr_array, *, rng: np.random.Generator) -> np.ndarray:
    """Which rows belong to the second of two clusters of equal size; the first has one more if their number is odd.

    Spherical 2-means from two random rows. rows: csr float32 (m, F). Returns bool (m,).
    """
    m = rows.shape[0]
    right = np.zeros(m, bool)
    if m < 2:
        return right
    centres = rows[rng.choice(m, 2, replace=False)].toarray()
    by_term, worth = rows.T.tocsr(), -np.inf
    for _ in range(ROUNDS):
        near = rows @ centres.T
        moved = np.zeros(m, bool)
        moved[np.argsort(near[:, 1] - near[:, 0], kind="stable")[(m + 1) // 2 :]] = True
        gained = float(np.where(moved, near[:, 1], near[:, 0]).mean(dtype=np.float64))
        if gained <= worth + LEAST_GAIN:
            break
        worth, right = gained, moved
        sums = by_term @ np.column_stack([~right, right]).astype(np.float32)
        centres = (sums / np.maximum(np.sqrt((sums * sums).sum(axis=0)), np.finfo(np.float32).tiny)).T
    return right


def _compact(rows):
    """The same rows without the columns that none of them has."""
    has = np.zeros(rows.shape[1], bool)
    has[rows.indices] = True
    number = np.cumsum(has, dtype=np.int32) - np.int32(1)
    return csr_array((rows.data, number[rows.indices], rows.indptr), shape=(rows.shape[0], np.count_nonzero(has)))
