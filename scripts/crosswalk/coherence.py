"""How good topics are, from the counts alone: coherence of their top words, and how much the topics differ.

Coherence is the normalised pointwise mutual information of words in the same document (Bouma, 2009; Roeder, Both and
Hinneburg, 2015); diversity is the share of distinct words (Dieng, Ruiz and Blei, 2020).
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse


def coherence(counts, tops: Sequence[Sequence[int]]) -> np.ndarray:
    """Mean NPMI of the pairs of each topic's top words, over the documents that hold any word.

    counts: sparse (n, v) counts; tops: for each of k topics the columns of its top words.
    Returns float64 (k,), each from -1 (no two of its words in one document) over 0 (independent) to 1 (always
    together); a topic of one word has 0, as it shows nothing. Two words that are in every document count as 0.
    """
    held = sparse.csc_matrix(counts, dtype=np.float64, copy=True)
    held.data[:] = held.data > 0
    held.eliminate_zeros()
    documents = len(np.unique(held.indices))
    return np.array([_mean_npmi(held[:, list(top)], documents) for top in tops], dtype=np.float64)


def diversity(tops: Sequence[Sequence[int]]) -> float:
    """Share of distinct words among the top words of all topics: 1 if no two topics share one; NaN without a word."""
    words = [word for top in tops for word in top]
    return len(set(words)) / len(words) if words else float("nan")


def coverage(counts, mixture, tops: Sequence[Sequence[int]], *, least: int = 2) -> float:
    """Share of the documents with a word that hold at least `least` top words of their strongest topic.

    counts: sparse (n, v); mixture: (n, k), shares of the topics in each document; tops: as for `coherence`.
    Coherence alone is best when the model leaves out what is hard to say; this tells how much it leaves out.
    Raises ValueError if no document has a word.
    """
    held = sparse.csr_matrix(counts) > 0
    some = np.flatnonzero(held.getnnz(axis=1))
    if not len(some):
        raise ValueError("no document has a word")
    member = sparse.lil_matrix((held.shape[1], len(tops)), dtype=np.int64)
    for topic, top in enumerate(tops):
        member[list(top), topic] = 1
    strongest = np.asarray(mixture)[some].argmax(axis=1)
    found = (held[some].astype(np.int64) @ member.tocsr()).toarray()
    return float((found[np.arange(len(some)), strongest] >= least).mean())


def _mean_npmi(held, documents):
    """Mean NPMI of all pairs of columns; held: zeros and ones, sparse (n, w)."""
    words = held.shape[1]
    if words < 2 or not documents:
        return 0.0
    both = (held.T @ held).toarray() / documents
    one, other = np.triu_indices(words, 1)
    together, apart = both[one, other], both[one, one] * both[other, other]
    with np.errstate(divide="ignore", invalid="ignore"):
        npmi = np.log(together / apart) / -np.log(together)
    npmi[together == 0] = -1.0  # the limit as the share of documents with both goes to zero
    npmi[together == 1] = 0.0
    return float(npmi.mean())
