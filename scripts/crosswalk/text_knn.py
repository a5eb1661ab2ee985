"""What works with a similar text are tagged with: k nearest neighbours by the cosine of their tf-idf rows.

Exact. The few terms that many works share are multiplied as dense columns, all others as sparse ones: a sparse product
alone would spend its time on words that tell nothing, a dense one on zeros.
"""

import numpy as np
from scipy.sparse import csr_array

from crosswalk.neighbours import best

K = 50
POWER = 2.0  # of the similarities: above 1 the nearest count for more
COMMON = 200  # terms multiplied as dense columns
WIDTH = 4096  # works of one dense block: its part of a row of scores then stays in the fastest cache
CELLS = 1 << 22  # similarities held at once


class TextKNN:
    """A fitted model: the works that have subjects and a text, m of n.

    works: int64 (m,), their rows among the works fitted on; links: CSR float32 (m, S); features: CSR float32 (m, F).
    """

    def __init__(self, *, works, links, features, k, power):
        self.works, self.links, self.k, self.power = works, links, k, power
        held = np.bincount(features.indices, minlength=features.shape[1])
        self._common = np.sort(np.argsort(-held, kind="stable")[:COMMON])
        self._rare = np.setdiff1d(np.arange(features.shape[1]), self._common)
        dense = features[:, self._common]
        self._blocks = [
            np.ascontiguousarray(dense[start : start + WIDTH].toarray().T) for start in range(0, len(works), WIDTH)
        ]
        self._sparse = features[:, self._rare].T.tocsr()

    def score(self, queries):
        """Float32 (b, S): share of the neighbours that bear each subject, weighted by similarity to the power `power`.

        0 for a work that shares no term with any other.
        """
        return self.vote(*self.neighbours(queries))

    def vote(self, rows, similarities):
        """The scores that follow from what `neighbours` returned."""
        weights = np.where(rows >= 0, similarities, 0).astype(np.float64) ** self.power
        total = weights.sum(axis=1, keepdims=True)
        weights = (weights / np.where(total > 0, total, 1)).astype(np.float32)
        row, column = np.nonzero(weights)
        places = np.searchsorted(self.works, rows[row, column])
        votes = csr_array((weights[row, column], (row, places)), shape=(len(rows), len(self.works)))
        return (votes @ self.links).toarray()

    def neighbours(self, queries):
        """The works fitted on that are nearest to each query, itself left out; nearest first, equals by lower row.

        Returns rows int64 (b, k), -1 where fewer share a term with it, and similarities float32 (b, k), 0 there.
        """
        places, similarities = self._nearest(queries)
        rows = self.works[places] if len(self.works) else places.astype(np.int64)
        return np.where(similarities > 0, rows, -1), similarities

    def _nearest(self, queries):
        """Places int32 (b, k) among `works` and similarities float32 (b, k), 0 where there is none."""
        b, m = len(queries), len(self.works)
        places, similarities = np.zeros((b, self.k), np.int32), np.zeros((b, self.k), np.float32)
        if not m:
            return places, similarities
        itself = np.searchsorted(self.works, queries.rows)
        itself[itself == m] = 0
        itself = np.where((queries.rows >= 0) & (self.works[itself] == queries.rows), itself, -1)
        step, k = max(CELLS // m, 1), min(self.k, m)
        for start in range(0, b, step):
            part = self._similarities(queries.features[start : start + step])
            own = itself[start : start + step]
            part[np.flatnonzero(own >= 0), own[own >= 0]] = 0
            places[start : start + step, :k], similarities[start : start + step, :k] = best(part, k)
        return places, similarities

    def _similarities(self, features):
        """Float32 (rows, m). Sums run by the order of terms, so that neither company nor place changes a bit."""
        common, rare = features[:, self._common], features[:, self._rare]
        out = np.empty((features.shape[0], len(self.works)), np.float32)
        for i, block in enumerate(self._blocks):
            out[:, i * WIDTH : i * WIDTH + block.shape[1]] = common @ block
        more = rare @ self._sparse
        out[np.repeat(np.arange(len(out)), np.diff(more.indptr)), more.indices] += more.data
        return out


def fit(fitting, *, k=K, power=POWER):
    """Keep the works that have subjects and a text. Returns TextKNN.

    k: neighbours that answer; power: see `score`.
    """
    if k < 1 or power < 0:
        raise ValueError(f"k {k} must be at least 1, power {power} at least 0")
    works = np.flatnonzero((np.diff(fitting.links.indptr) > 0) & (np.diff(fitting.features.indptr) > 0))
    return TextKNN(works=works, links=fitting.links[works], features=fitting.features[works], k=k, power=power)
