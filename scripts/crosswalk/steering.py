"""Embeddings with a bias towards phrases: how near each text is to a phrase, as a further column before it is encoded.

An encoder spends its units on what varies most. A column that varies as much as all the others together makes it spend
some on the phrase, and on what goes with it.
"""

import numpy as np
from threadpoolctl import threadpool_limits


def counted(phrases):
    """The phrases of a config that have a weight at all: without one, nothing differs from no phrase."""
    return [phrase for phrase in phrases if phrase["weight"] > 0]


def steer(vectors, phrases, weights):
    """Append to each row its cosine with each phrase.

    vectors: float32 (n, d), rows of length 1; phrases: float32 (k, d), rows of length 1; weights: k numbers above 0,
    the standard deviation of a phrase's column in units of that of all the rows together (the root of the sum of the
    columns' variances): at 1 the phrase counts for as much as the whole embedding. The columns have mean 0; one that is
    the same for all rows stays 0.
    Returns float32 (n, d + k), the first d columns unchanged. Raises ValueError if shapes do not fit.
    """
    vectors, phrases = np.asarray(vectors, np.float32), np.asarray(phrases, np.float32)
    if phrases.shape != (len(weights), vectors.shape[1]):
        raise ValueError(f"{len(weights)} weights and phrases of {phrases.shape} for vectors of {vectors.shape}")
    with threadpool_limits(1):  # the order of sums, hence the last bits, depends on the number of threads
        cosines = vectors.astype(np.float64) @ phrases.T.astype(np.float64)
    spread = np.sqrt(vectors.var(axis=0, dtype=np.float64).sum())
    cosines -= cosines.mean(axis=0)
    own = cosines.std(axis=0)
    constant = own <= 1e-9
    columns = cosines / np.where(constant, np.inf, own) * spread * np.asarray(weights, np.float64)
    return np.hstack([vectors, columns.astype(np.float32)])
