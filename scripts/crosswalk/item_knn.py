"""Subjects that stand together: item-based neighbours (Sarwar et al., 2001; Deshpande and Karypis, 2004).

The similarity of two subjects is the cosine of their columns, shrunk where few works bear them, so that a pair seen
once is not taken for a rule.
"""

import numpy as np
from scipy.sparse import csr_array, vstack

NEIGHBOURS = 200
SHRINKAGE = 10.0  # works that speak against any similarity
CHUNK = 1024  # subjects whose co-occurrences are held at once


class ItemKNN:
    """A fitted model. similarities: CSR float32 (S, S), in row s the subjects most like s, sorted; no diagonal."""

    def __init__(self, *, similarities):
        self.similarities = similarities
        self._onto = similarities.T.tocsr()

    def score(self, queries):
        """Float32 (b, S): the sum of each subject's similarities to those a work bears; 0 for a work with none."""
        return (queries.links @ self._onto).toarray()


def fit(fitting, *, neighbours=NEIGHBOURS, shrinkage=SHRINKAGE):
    """Find the subjects most like each; of equals the first. Returns ItemKNN.

    The similarity of s and t is (works with both) / (sqrt(works with s x works with t) + shrinkage).
    neighbours: kept of each subject; shrinkage: 0 or more. Memory: at most 12 bytes x S x neighbours, and the
    co-occurrences of 1,024 subjects.
    """
    if neighbours < 1 or shrinkage < 0:
        raise ValueError(f"neighbours {neighbours} must be at least 1, shrinkage {shrinkage} at least 0")
    links = fitting.links
    works = np.bincount(links.indices, minlength=links.shape[1]).astype(np.float64)
    by_subject = links.T.tocsr()
    parts = []
    for start in range(0, links.shape[1], CHUNK):
        together = csr_array(by_subject[start : start + CHUNK] @ links)
        together.sort_indices()
        rows = start + np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        data = (together.data / (np.sqrt(works[rows] * works[together.indices]) + shrinkage)).astype(np.float32)
        data[rows == together.indices] = 0
        parts.append(_strongest(csr_array((data, together.indices, together.indptr), shape=together.shape), neighbours))
    return ItemKNN(similarities=vstack(parts, format="csr", dtype=np.float32) if parts else csr_array((0, 0)))


def _strongest(matrix, count):
    """The `count` greatest of each row of a CSR matrix with sorted indices, of equals the first; zeros are dropped."""
    lengths = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((-matrix.data, rows))  # stable: among equals the lower index stays first
    place = np.arange(len(rows)) - np.repeat(matrix.indptr[:-1], lengths)
    kept = np.sort(order[(place < count) & (matrix.data[order] > 0)])
    indptr = np.searchsorted(kept, matrix.indptr)
    return csr_array((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
