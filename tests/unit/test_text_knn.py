"""Neighbours are those of all cosines, never the work itself, and their subjects are shares by similarity."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import text_knn
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(7)
N, F, S = 70, 40, 9


def unit(dense):
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return csr_array((dense / np.where(lengths > 0, lengths, 1)).astype(np.float32))


FEATURES = unit(RNG.random((N, F)) * (RNG.random((N, F)) < np.linspace(0.6, 0.02, F)))
LINKS = csr_array((RNG.random((N, S)) < 0.3).astype(np.float32))


def fitting(links=LINKS, features=FEATURES):
    return Fitting(links=links, features=features, labels=[])


def queries(features=FEATURES, rows=None, links=LINKS):
    b = features.shape[0]
    return Queries(
        links=links, features=features, rows=np.arange(b) if rows is None else np.asarray(rows), texts=[""] * b
    )


def by_hand(k, power, features=FEATURES, links=LINKS):
    similar = (features @ features.T).toarray().astype(np.float64)
    np.fill_diagonal(similar, 0)
    similar[:, np.diff(links.indptr) == 0] = 0
    kept = np.zeros_like(similar)
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    np.put_along_axis(kept, order, np.take_along_axis(similar, order, axis=1) ** power, axis=1)
    total = kept.sum(axis=1, keepdims=True)
    return kept @ links / np.where(total > 0, total, 1)


@pytest.mark.parametrize(("common", "width", "cells"), [(200, 4096, 1 << 22), (0, 16, 200), (7, 16, 1), (40, 70, 999)])
def test_scores_are_shares_of_the_nearest_however_the_work_is_cut(common, width, cells, monkeypatch):
    for name, value in (("COMMON", common), ("WIDTH", width), ("CELLS", cells)):
        monkeypatch.setattr(text_knn, name, value)
    scores = text_knn.fit(fitting(), k=8, power=2).score(queries())
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(8, 2), atol=1e-5)


def test_known_answer_on_three_works():
    features = unit(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]))
    links = csr_array(np.array([[1, 0], [1, 1], [0, 1], [1, 0]], np.float32))
    model = text_knn.fit(fitting(links, features), k=5, power=1)
    asked = queries(unit(np.array([[3, 1, 0]])), rows=[-1], links=links[:1])
    rows, similarities = model.neighbours(asked)
    first, both, second = 3 / 10**0.5, 4 / 20**0.5, 1 / 10**0.5
    np.testing.assert_allclose(similarities, [[first, both, second, 0, 0]], rtol=1e-6)
    assert rows.tolist() == [[0, 1, 2, -1, -1]] and rows.dtype == np.int64
    shares = np.array([[first + both, both + second]]) / (first + both + second)
    np.testing.assert_allclose(model.score(asked), shares, rtol=1e-6)


def test_a_work_is_never_its_own_neighbour_but_its_twin_is():
    features = csr_array(np.vstack([FEATURES[[3]].toarray(), FEATURES.toarray()]))
    links = csr_array(np.vstack([LINKS[[3]].toarray(), LINKS.toarray()]))
    model = text_knn.fit(fitting(links, features), k=5)
    rows, _ = model.neighbours(queries(features, links=links))
    assert not (rows == np.arange(N + 1)[:, None]).any()
    assert rows[0, 0] == 4 and rows[4, 0] == 0
    as_new, _ = model.neighbours(queries(features[[0]], rows=[-1], links=links[:1]))
    assert as_new[0, :2].tolist() == [0, 4]  # equals by lower row


def test_only_works_with_subjects_answer_and_rows_are_those_of_all_works():
    dense = LINKS.toarray()
    dense[::2] = 0
    rows, similarities = text_knn.fit(fitting(csr_array(dense)), k=6).neighbours(queries())
    assert (rows[similarities > 0] % 2 == 1).all() and (rows[similarities == 0] == -1).all()
    np.testing.assert_allclose(
        text_knn.fit(fitting(csr_array(dense)), k=6).score(queries()), by_hand(6, 2, links=csr_array(dense)), atol=1e-5
    )


def test_works_without_text_get_nothing_and_give_nothing():
    dense = FEATURES.toarray()
    dense[5] = 0
    features = csr_array(dense)
    model = text_knn.fit(fitting(features=features))
    rows, similarities = model.neighbours(queries(features))
    assert not model.score(queries(features))[5].any() and not similarities[5].any() and (rows[5] == -1).all()
    assert not (rows == 5).any()


def test_order_of_works_changes_no_score():
    order = RNG.permutation(N)
    place = np.argsort(order)
    again = text_knn.fit(fitting(LINKS[order], FEATURES[order]), k=8).score(queries(rows=place))
    np.testing.assert_allclose(again, text_knn.fit(fitting(), k=8).score(queries()), atol=1e-6)


def test_company_of_a_query_changes_no_byte():
    model = text_knn.fit(fitting(), k=8)
    alone = [model.score(queries(FEATURES[[i]], rows=[i], links=LINKS[[i]])) for i in range(N)]
    assert np.concatenate(alone).tobytes() == model.score(queries()).tobytes()


def test_nothing_to_learn_from_says_nothing():
    for empty in (fitting(links=csr_array((N, S), dtype=np.float32)), fitting(features=csr_array((N, F)))):
        model = text_knn.fit(empty, k=4)
        rows, similarities = model.neighbours(queries())
        assert not model.score(queries()).any() and (rows == -1).all() and similarities.shape == (N, 4)
    assert text_knn.fit(fitting()).score(queries(FEATURES[:0], links=LINKS[:0])).shape == (0, S)


@pytest.mark.parametrize("wrong", [{"k": 0}, {"power": -1}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        text_knn.fit(fitting(), **wrong)
