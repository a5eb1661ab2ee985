"""Subjects with similar works, put together half by half: the balanced 2-means of Parabel (Prabhu et al., 2018)."""

import numpy as np
from scipy.sparse import csr_array, diags_array

ROUNDS = 50  # of moving subjects between two halves; a dozen is usual
LEAST_GAIN = 1e-4  # of the mean cosine to the centres; as Parabel


def profiles(links, features):
    """What the works of each subject are about: their summed rows, at length 1.

    links: csr (n, S); features: csr (n, F). Returns csr float32 (S, F); a row is empty if no work of it has features.
    """
    sums = csr_array(links.T @ features, dtype=np.float32)
    sums.sort_indices()
    norms = np.sqrt(np.asarray(sums.multiply(sums).sum(axis=1)).ravel())
    return csr_array(diags_array(1 / np.where(norms > 0, norms, 1).astype(np.float32)) @ sums)


def bisect(rows, *, depth, rng):
    """Halve rows `depth` times so that similar ones stay together.

    rows: csr float32 (m, F), rows of length 1; rng: Generator. Returns (order, starts): int64 (m,), the rows in their
    new order, and int64 (2 ** depth + 1,), where each part begins in it. Sizes differ by at most 1 at each halving.
    """
    order, starts = np.arange(rows.shape[0]), np.array([0, rows.shape[0]])
    for _ in range(depth):
        middles = []
        for start, stop in zip(starts[:-1], starts[1:], strict=True):
            part = order[start:stop]
            right = halves(rows[part], rng=rng)
            order[start:stop] = np.concatenate([part[~right], part[right]])
            middles.append(start + np.count_nonzero(~right))
        starts = np.sort(np.concatenate([starts, middles]))
    return order, starts


def halves(rows, *, rng):
    """Which rows belong to the second of two clusters of equal size (the first has one more if their number is odd).

    Spherical 2-means from two random rows. rows: csr float32 (m, F). Returns bool (m,).
    """
    m = rows.shape[0]
    right = np.zeros(m, bool)
    if m < 2:
        return right
    first, second = rng.choice(m, 2, replace=False)
    centres = rows[[first, second]].toarray()
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
        centres = (sums / np.maximum(np.linalg.norm(sums, axis=0), np.finfo(np.float32).tiny)).T
    return right
