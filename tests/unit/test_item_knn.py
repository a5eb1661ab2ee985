"""Similarities of subjects are shrunk cosines, the strongest are kept, and a work without subjects gets nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from crosswalk import item_knn
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(5)
LINKS = csr_array((RNG.random((60, 14)) < 0.25).astype(np.float32))


def fitting(links):
    return Fitting(links=links, features=csr_array((links.shape[0], 0), dtype=np.float32), labels=[])


def queries(links):
    b = links.shape[0]
    return Queries(links=links, features=csr_array((b, 0)), rows=np.full(b, -1), texts=[""] * b)


def shrunk(links, shrinkage):
    dense = links.toarray().astype(np.float64)
    works = dense.sum(axis=0)
    similar = dense.T @ dense / (np.sqrt(np.outer(works, works)) + shrinkage)
    np.fill_diagonal(similar, 0)
    return similar


def test_known_answer_on_three_subjects():
    links = csr_array(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 0]], np.float32))
    model = item_knn.fit(fitting(links), shrinkage=0)
    expected = np.array([[0, 2 / 8**0.5, 0.5], [2 / 8**0.5, 0, 0], [0.5, 0, 0]])
    np.testing.assert_allclose(model.similarities.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(model.score(queries(links[:1])), expected[:1] + expected[1:2], rtol=1e-6)


@pytest.mark.parametrize("chunk", [3, 1024])
def test_scores_are_sums_of_shrunk_cosines(chunk, monkeypatch):
    monkeypatch.setattr(item_knn, "CHUNK", chunk)
    scores = item_knn.fit(fitting(LINKS), shrinkage=4).score(queries(LINKS))
    assert scores.dtype == np.float32 and scores.shape == LINKS.shape
    np.testing.assert_allclose(scores, LINKS.toarray() @ shrunk(LINKS, 4), rtol=1e-5, atol=1e-6)


def test_only_the_strongest_of_each_subject_are_kept_and_equals_by_the_lower_number():
    kept = item_knn.fit(fitting(LINKS), neighbours=3, shrinkage=4).similarities
    similar = shrunk(LINKS, 4).astype(np.float32)
    order = np.argsort(-similar, axis=1, kind="stable")[:, :3]
    expected = np.zeros_like(similar)
    np.put_along_axis(expected, order, np.take_along_axis(similar, order, axis=1), axis=1)
    np.testing.assert_allclose(kept.toarray(), expected, rtol=1e-6)
    all_alike = item_knn.fit(fitting(csr_array(np.ones((3, 6), np.float32))), neighbours=2).similarities
    assert all_alike[[5]].indices.tolist() == [0, 1] and all_alike[[0]].indices.tolist() == [1, 2]


def test_a_subject_answers_for_those_that_have_it_among_their_strongest():
    # 0 stands with 1 and 2, most with 1; with one neighbour each, 2 still asks 0, but 0 no longer asks 2
    links = csr_array(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], np.float32))
    model = item_knn.fit(fitting(links), neighbours=1, shrinkage=0)
    scores = model.score(queries(csr_array(np.eye(3, dtype=np.float32))))
    assert scores[0, 2] > 0 and scores[2, 0] == 0


def test_order_of_works_changes_no_byte():
    again = item_knn.fit(fitting(LINKS[RNG.permutation(60)]), neighbours=4)
    first = item_knn.fit(fitting(LINKS), neighbours=4)
    assert first.score(queries(LINKS)).tobytes() == again.score(queries(LINKS)).tobytes()


def test_new_works_and_subjects_that_nobody_bears_get_nothing():
    links = csr_array(np.hstack([LINKS.toarray(), np.zeros((60, 1), np.float32)]))
    scores = item_knn.fit(fitting(links)).score(queries(csr_array(np.vstack([links[[0]].toarray(), np.zeros(15)]))))
    assert scores[0, :14].any() and not scores[0, 14] and not scores[1].any()
    assert item_knn.fit(fitting(csr_array((4, 3), dtype=np.float32))).similarities.nnz == 0


def test_many_subjects_cost_no_square_matrix():
    links = csr_array(random_array((50, 100_000), density=2e-4, rng=1, dtype=np.float32) != 0).astype(np.float32)
    assert item_knn.fit(fitting(links), neighbours=5).similarities.shape == (100_000, 100_000)


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"shrinkage": -1}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        item_knn.fit(fitting(LINKS), **wrong)
