"""EASE (Steck, 2019): each subject as a weighted sum of the others, by ridge regression in closed form.

With P the inverse of X'X + lambda I the weights are B = I - P / diag(P), column by column. Exact, and quick up to some
ten thousand subjects; beyond, memory (4 S^2 bytes) and time (S^3 operations) end it.
"""

import logging

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from crosswalk.errors import UserError

log = logging.getLogger(__name__)

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
MAX_BYTES = 2 << 30
BLOCK = 256  # rows of the matrix that are worked on at once
HELD = 8000  # works, at most, of which one subject is hidden to choose the penalty
LARGEST = 2000  # subjects with which the penalty is chosen: the most frequent, a fraction of the time of all
TOP = 10


class TooManySubjects(UserError):
    """EASE would need more memory than it may have."""


class Ease:
    """A fitted model. weights: float32 (S, S), zero diagonal; penalty: the lambda it was fitted with."""

    def __init__(self, *, weights, penalty):
        self.weights, self.penalty = weights, penalty

    def score(self, queries):
        """Float32 (b, S): the sum of the weights of the subjects a work bears; 0 for a work with none."""
        return queries.links @ self.weights


def needed(subjects):
    """Bytes that fitting takes for S subjects: one float32 matrix, worked on in place, and blocks of its rows."""
    return 4 * subjects**2 + 3 * 4 * BLOCK * subjects


def fit(fitting, *, penalties=PENALTIES, max_bytes=MAX_BYTES, seed=0):
    """Fit the weights of all subjects. Returns Ease.

    penalties: one lambda, or several, of which the one is taken that best finds one hidden subject of each of some
    works (drawn by `seed`), with the most frequent subjects only. max_bytes: memory it may take, as `needed` says.
    Raises TooManySubjects if that is more.
    """
    subjects, penalties = fitting.links.shape[1], np.atleast_1d(np.asarray(penalties, np.float64)).tolist()
    if not penalties or min(penalties) <= 0:
        raise ValueError(f"penalties {penalties}: one or more, above 0")
    if needed(subjects) > max_bytes:
        most = int((max_bytes / 4) ** 0.5)
        raise TooManySubjects(
            f"EASE with {subjects:,} subjects needs {needed(subjects) / 2**30:.1f} GiB (4 bytes x subjects^2) and may "
            f"take {max_bytes / 2**30:.1f} GiB, enough for about {most:,}. Raise min_works, so that fewer subjects are "
            "left, or the bound, or leave EASE out."
        )
    penalty = penalties[0] if len(penalties) == 1 else choose(fitting.links, penalties, seed=seed)
    return Ease(weights=solve(fitting.links, penalty), penalty=penalty)


def solve(links, penalty):
    """The weights B, float32 (S, S) with zero diagonal, of CSR links (n, S) for one lambda.

    Raises ValueError if the penalty is too small for float32: the matrix is then not positive definite.
    """
    with threadpool_limits(1):  # the order of sums, hence the last bits, depends on the number of threads
        matrix = _gram(links)
        diagonal = np.arange(len(matrix))
        matrix[diagonal, diagonal] += np.float32(penalty)
        # LAPACK counts in columns: the upper triangle it leaves as it was is our lower one.
        factor, failed = lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        inverse, wrong = lapack.spotri(factor, lower=1, overwrite_c=1)
        if failed or wrong:
            raise ValueError(f"lambda {penalty} is too small for {links.shape[0]} works in single precision")
        return _to_weights(inverse.T)


def choose(links, penalties, *, seed):
    """The lambda with the highest NDCG@10 of one hidden subject per work, among the most frequent subjects.

    Of equals the greatest. links: CSR (n, S); penalties: list of numbers above 0.
    """
    works = np.bincount(links.indices, minlength=links.shape[1])
    own = csr_array(links[:, np.sort(np.argsort(-works, kind="stable")[:LARGEST])])
    own.sort_indices()
    rng = np.random.default_rng(seed)
    lengths = np.diff(own.indptr)
    able = np.flatnonzero(lengths > 1)
    held = np.sort(rng.choice(able, min(HELD, len(able) // 2), replace=False))
    if not len(held):
        return max(penalties)
    places = own.indptr[held] + rng.integers(lengths[held])
    hidden = own.indices[places]
    own.data = np.ones(len(own.data), np.float32)
    own.data[places] = 0
    own.eliminate_zeros()
    seen = own[held].toarray() > 0
    gain = {penalty: _gain(own[held] @ solve(own, penalty), seen, hidden) for penalty in penalties}
    log.info("EASE: NDCG@10 by lambda: %s", ", ".join(f"{penalty:g} {value:.4f}" for penalty, value in gain.items()))
    return max(sorted(gain, reverse=True), key=gain.get)


def _gram(links):
    """X'X, float32 (S, S) in C order, made in blocks of rows."""
    by_subject = links.T.tocsr()
    matrix = np.empty((links.shape[1],) * 2, np.float32)
    for start in range(0, len(matrix), BLOCK):
        matrix[start : start + BLOCK] = (by_subject[start : start + BLOCK] @ links).toarray()
    return matrix


def _to_weights(matrix):
    """B from the upper triangle (C order) of the symmetric P, in place."""
    diagonal = matrix.diagonal().copy()
    for start in range(0, len(matrix), BLOCK):
        stop = start + BLOCK
        square = matrix[start:stop, start:stop]
        square[...] = np.triu(square) + np.triu(square, 1).T
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
    for start in range(0, len(matrix), BLOCK):
        matrix[start : start + BLOCK] /= -diagonal
    np.fill_diagonal(matrix, 0)
    return matrix


def _gain(scores, seen, hidden):
    """Mean NDCG of the TOP best of those not seen, where one hidden subject per row is right."""
    scores[seen] = -np.inf
    own = scores[np.arange(len(hidden)), hidden]
    before = (scores > own[:, None]).sum(axis=1)
    return float(np.mean(np.where(before < TOP, 1 / np.log2(2 + before), 0)))
