"""The same answer for every work: the share of works that bear a subject. What any other model has to beat."""

import numpy as np


class Popularity:
    """A fitted model. shares: float32 (S,), share of the works with subjects that bear each."""

    def __init__(self, *, shares):
        self.shares = np.asarray(shares, np.float32)

    def score(self, queries):
        """Float32 (b, S): the shares, for each query."""
        return np.tile(self.shares, (len(queries), 1))


def fit(fitting):
    """Count the works that bear each subject; works without subjects do not count. Returns Popularity."""
    links = fitting.links
    works = np.count_nonzero(np.diff(links.indptr))
    return Popularity(shares=np.bincount(links.indices, minlength=links.shape[1]) / max(works, 1))
