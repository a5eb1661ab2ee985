"""What works with a similar embedding are tagged with: k nearest neighbours by the cosine of centred vectors.

Exact. Its neighbours mean alike where those of `text_knn` say the same words; weighed together they are better than
either. The mean of all works is taken out first, as it makes every two of them look alike.
"""

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from crosswalk.neighbours import best

K = 50
POWER = 6.0  # of the cosines: those of embeddings differ less than those of words
CELLS = 1 << 23  # similarities held at once


class VectorKNN:
    """A fitted model: the works that have subjects, m of n.

    works: int64 (m,), their rows among the works fitted on, ascending; links: csr float32 (m, S); vectors: float32
    (m, d), centred by mean, float32 (d,), and of length 1.
    """

    def __init__(self, *, works, links, vectors, mean, k, power):
        self.works, self.links, self.vectors, self.mean, self.k, self.power = works, links, vectors, mean, k, power

    def score(self, queries):
        """Float32 (b, S): share of the neighbours that bear each subject, weighted by cosine to the power `power`."""
        asked, k = _unit(queries.vectors - self.mean), min(self.k, len(self.works))
        step, parts = max(CELLS // max(len(self.works), 1), 1), []
        for start in range(0, len(asked), step):
            with threadpool_limits(1):  # the order of a sum, hence its last bits, depends on how many there are
                cosines = asked[start : start + step] @ self.vectors.T
            self._without_itself(cosines, queries.rows[start : start + step])
            parts.append(self._vote(*best(cosines, k)))
        return np.concatenate(parts) if parts else np.zeros((0, self.links.shape[1]), np.float32)

    def _without_itself(self, cosines, rows):
        """Set what a work is to itself to -1, in place."""
        places = np.searchsorted(self.works, rows)
        places[places == len(self.works)] = 0
        own = np.flatnonzero((rows >= 0) & (self.works[places] == rows))
        cosines[own, places[own]] = -1

    def _vote(self, places, cosines):
        weights = np.maximum(cosines, 0).astype(np.float64) ** self.power
        total = weights.sum(axis=1, keepdims=True)
        weights = (weights / np.where(total > 0, total, 1)).astype(np.float32)
        starts = np.arange(len(places) + 1) * places.shape[1]
        votes = csr_array((weights.ravel(), places.ravel(), starts), shape=(len(places), len(self.works)))
        return (votes @ self.links).toarray()


def fit(fitting, *, k=K, power=POWER):
    """Keep the works that have subjects. Returns VectorKNN.

    fitting: Fitting with vectors; k: neighbours that answer; power: see `score`. Raises ValueError without vectors, or
    if no work has a subject.
    """
    if k < 1 or power < 0:
        raise ValueError(f"k {k} must be at least 1, power {power} at least 0")
    if fitting.vectors is None:
        raise ValueError("vector_knn reads the embedding of the works, of which there is none")
    works = np.flatnonzero(np.diff(fitting.links.indptr))
    if not len(works):
        raise ValueError("no work bears a subject: there is nothing to answer with")
    vectors = fitting.vectors[works].astype(np.float32)
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return VectorKNN(
        works=works, links=fitting.links[works], vectors=_unit(vectors - mean), mean=mean, k=k, power=power
    )


def _unit(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
