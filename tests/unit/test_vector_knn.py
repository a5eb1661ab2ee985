"""Neighbours are those of all centred cosines, never the work itself, and their subjects are shares by cosine."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import vector_knn
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(3)
N, D, S = 60, 12, 7
VECTORS = (RNG.normal(size=(N, D)) + 2).astype(np.float32)
LINKS = csr_array((RNG.random((N, S)) < 0.3).astype(np.float32))
TAGGED = np.diff(LINKS.indptr) > 0


def fitting(vectors=VECTORS):
    return Fitting(links=LINKS, features=csr_array((N, 1), dtype=np.float32), labels=[], vectors=vectors)


def queries(rows, vectors=VECTORS):
    empty = csr_array((len(vectors), 1), dtype=np.float32)
    return Queries(links=LINKS[: len(vectors)], features=empty, rows=rows, texts=[""] * len(vectors), vectors=vectors)


def by_hand(k, power, *, itself):
    centred = VECTORS - VECTORS[TAGGED].mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = (centred @ centred.T).astype(np.float64)
    cosines[:, ~TAGGED] = -1
    if not itself:
        np.fill_diagonal(cosines, -1)
    out = np.zeros((N, S))
    for i, row in enumerate(cosines):
        near = np.argsort(-row, kind="stable")[:k]
        weights = np.maximum(row[near], 0) ** power
        out[i] = weights @ LINKS[near].toarray() / max(weights.sum(), 1e-300)
    return out


@pytest.mark.parametrize("cells", [1, 1 << 22])
@pytest.mark.parametrize("itself", [True, False])
def test_scores_are_shares_of_the_nearest_however_the_works_are_cut(cells, itself, monkeypatch):
    monkeypatch.setattr(vector_knn, "CELLS", cells)
    asked = queries(np.full(N, -1) if itself else np.arange(N))
    scores = vector_knn.fit(fitting(), k=8, power=3).score(asked)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(8, 3, itself=itself), atol=1e-5)


def test_more_neighbours_than_works_are_all_of_them():
    scores = vector_knn.fit(fitting(), k=10 * N, power=0).score(queries(np.full(N, -1)))
    assert np.isfinite(scores).all() and (scores <= 1 + 1e-6).all()


def test_what_all_vectors_share_changes_nothing():
    asked = queries(np.full(N, -1))
    shifted = vector_knn.fit(fitting(VECTORS + 5)).score(queries(np.full(N, -1), VECTORS + 5))
    np.testing.assert_allclose(vector_knn.fit(fitting()).score(asked), shifted, atol=1e-4)


def test_without_an_embedding_it_says_so():
    with pytest.raises(ValueError, match="embedding"):
        vector_knn.fit(fitting(None))
    with pytest.raises(ValueError, match="no work bears"):
        vector_knn.fit(Fitting(csr_array((N, S), dtype=np.float32), None, [], VECTORS))
    with pytest.raises(ValueError, match="k 0"):
        vector_knn.fit(fitting(), k=0)
