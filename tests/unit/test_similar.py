"""Nearest works and subjects are those of a full comparison where nothing is too common, and never miss a twin."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from crosswalk import similar as module
from crosswalk.similar import SUBJECT_COLUMNS, WORK_COLUMNS, company, nearest, similar_subjects, similar_works, together


def sparse(rng, n, m, share):
    return csr_array((rng.random((n, m)) < share) * rng.random((n, m)), dtype=np.float32)


def unit(dense):
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return dense / np.where(lengths > 0, lengths, 1)


def plain(similarities, k):
    """Index and value of the k greatest above 0 of each row, itself apart, equals by the lower number."""
    values = similarities.copy()
    np.fill_diagonal(values, 0)
    index = np.full((len(values), k), -1)
    best = np.zeros((len(values), k))
    for row, own in enumerate(values):
        order = [j for j in np.argsort(-own, kind="stable")[:k] if own[j] > 0]
        index[row, : len(order)], best[row, : len(order)] = order, own[order]
    return index, best


def lists(table, of):
    return {row: part["similar"].tolist() for row, part in table.groupby(of)}


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 40), m=st.integers(1, 30), k=st.integers(1, 6), share=st.floats(0, 0.5), seed=st.integers(0, 999)
)
def test_nearest_rows_are_those_of_a_full_comparison(n, m, k, share, seed):
    rows = sparse(np.random.default_rng(seed), n, m, share)
    index, value = nearest(rows, k=k)
    expected, values = plain((rows @ rows.T).toarray().astype(float), k + 1)
    np.testing.assert_allclose(value, values[:, :k], atol=1e-5)
    assert index.dtype == np.int32 and value.dtype == np.float32
    clear = ((np.diff(values, axis=1) < -1e-4) | (values[:, 1:] == 0)).all(axis=1)  # no two that rounding could swap
    assert np.array_equal(index[clear], expected[clear, :k])


def test_a_row_does_not_depend_on_how_rows_are_cut(monkeypatch):
    rows = sparse(np.random.default_rng(0), 300, 50, 0.1)
    whole = nearest(rows, k=5)
    for block in (1, 7, 1000):
        monkeypatch.setattr(module, "BLOCK", block)
        assert all(np.array_equal(one, other) for one, other in zip(nearest(rows, k=5), whole, strict=True))


def test_rows_that_are_asked_for_have_the_neighbours_they_have_among_all(monkeypatch):
    rows = sparse(np.random.default_rng(0), 300, 50, 0.1)
    monkeypatch.setattr(module, "READ", 40)  # so that it matters which terms are common among all
    whole, asked = nearest(rows, k=5), np.array([250, 3, 4, 299])
    monkeypatch.setattr(module, "BLOCK", 3)
    for one, other in zip(nearest(rows, k=5, of=asked), whole, strict=True):
        assert np.array_equal(one, other[asked])


def test_what_is_asked_stays_as_it_was():
    rows = csr_array((np.array([1, 2], np.float32), np.array([3, 1]), np.array([0, 2, 2])), shape=(2, 4))
    nearest(rows, k=1)
    assert rows.indices.tolist() == [3, 1]


def test_equals_stand_by_the_lower_number():
    index, value = nearest(csr_array(np.ones((200, 1), np.float32)), k=3)
    assert index[0].tolist() == [1, 2, 3] and index[2].tolist() == [0, 1, 3] and index[150].tolist() == [0, 1, 2]
    assert (value == 1).all()


def test_twins_are_found_though_every_row_has_the_common_terms(monkeypatch):
    monkeypatch.setattr(module, "READ", 20)
    monkeypatch.setattr(module, "LISTED", 20)
    rng = np.random.default_rng(1)
    rare = np.zeros((400, 210))
    rare[np.arange(400), 10 + np.arange(400) // 2] = 1
    rows = csr_array(unit(np.hstack([0.2 * rng.random((400, 10)), rare])).astype(np.float32))
    index, value = nearest(rows, k=1)
    assert np.array_equal(index[:, 0], np.arange(400) ^ 1)
    full = rows @ rows.T
    np.testing.assert_allclose(value[:, 0], full.toarray()[np.arange(400), np.arange(400) ^ 1], rtol=1e-5)


def test_a_row_of_common_terms_alone_still_has_neighbours(monkeypatch):
    monkeypatch.setattr(module, "READ", 5)
    monkeypatch.setattr(module, "LISTED", 30)
    weights = np.random.default_rng(2).random((500, 2)).astype(np.float32)
    index, value = nearest(csr_array(weights), k=4)
    assert (index >= 0).all() and (value > 0).all()


def test_the_list_of_a_common_term_keeps_its_heaviest_rows(monkeypatch):
    monkeypatch.setattr(module, "LISTED", 5)
    weights = np.random.default_rng(3).permutation(np.arange(1, 101)).astype(np.float32)
    index, _ = nearest(csr_array(weights[:, None]), k=7)
    light = int(np.argmin(weights))
    assert index[light].tolist() == [*np.argsort(-weights)[:5], -1, -1]


def test_a_row_that_finds_itself_first_has_as_many_neighbours_as_others(monkeypatch):
    monkeypatch.setattr(module, "CANDIDATES", 1)
    index, _ = nearest(csr_array(np.ones((50, 1), np.float32)), k=3)
    assert index[0].tolist() == [1, 2, 3] and index[9].tolist() == [0, 1, 2]


def test_wrong_rows_are_refused():
    with pytest.raises(ValueError, match="negative"):
        nearest(csr_array(np.array([[-1.0, 0]])), k=1)
    with pytest.raises(ValueError, match="at least 1"):
        nearest(csr_array(np.ones((2, 2))), k=0)


FEATURES = csr_array(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.6, 0.8], [0, 0, 0]], np.float32))
LINKS = csr_array(np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]], np.float32))


def test_works_are_alike_by_text_and_by_subjects():
    table = similar_works(FEATURES, LINKS, k=3, text=0.25)
    assert table.columns.tolist() == WORK_COLUMNS and table["similarity"].dtype == np.float32
    first = table[table["work"] == 0]
    assert first["similar"].tolist() == [2, 1] and first["rank"].tolist() == [1, 2]
    assert first["similarity"].tolist() == pytest.approx([0.75, 0.25])
    twice, once = np.log(6 / 3) + 1, np.log(6 / 2) + 1
    assert table[table["work"] == 4]["similarity"].tolist() == pytest.approx([0.75 * twice / np.hypot(twice, once)])
    assert table[table["work"] == 3]["similarity"].tolist() == pytest.approx([0.25 * 0.6])


def test_products_of_rows_are_the_similarities_of_works():
    rows = together(FEATURES, LINKS, text=0.25)
    assert rows.dtype == np.float32 and rows.shape == (5, 7)
    table, products = similar_works(FEATURES, LINKS, text=0.25), (rows @ rows.T).toarray()
    np.testing.assert_allclose(products[table["work"], table["similar"]], table["similarity"])
    assert products.diagonal() == pytest.approx([1, 1, 1, 0.25, 0.75])


def test_one_share_leaves_the_other_out():
    assert lists(similar_works(FEATURES, LINKS, text=1), "work") == {0: [1], 1: [0], 2: [3], 3: [2]}
    assert lists(similar_works(FEATURES, LINKS, text=0), "work") == {0: [2], 1: [4], 2: [0], 4: [1]}


def test_twins_have_similarity_one_and_works_without_anything_none():
    features = csr_array(np.array([[0.6, 0.8], [0.6, 0.8], [0, 0]], np.float32))
    table = similar_works(features, csr_array(np.array([[1, 1], [1, 1], [0, 0]])), text=0.4)
    assert lists(table, "work") == {0: [1], 1: [0]}
    assert table["similarity"].tolist() == pytest.approx([1, 1])
    many = unit(np.random.default_rng(0).random((60, 11))).astype(np.float32)
    table = similar_works(csr_array(np.vstack([many, many])), csr_array(np.ones((120, 1))), k=1, text=1)
    assert np.array_equal(table["similar"], (np.arange(120) + 60) % 120)
    assert table["similarity"].min() > 0.99999 and table["similarity"].max() <= 1


def test_links_that_are_stored_as_zero_are_none():
    stored = csr_array((np.array([1.0, 0, 1]), np.array([0, 0, 0]), np.array([0, 1, 2, 3])), shape=(3, 1))
    assert lists(similar_works(csr_array((3, 1)), stored), "work") == {0: [2], 2: [0]}
    assert company(stored).nnz == 1  # two of three works bear it; all three would tell nothing


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="links of 2"):
        similar_works(FEATURES, LINKS[:2])
    with pytest.raises(ValueError, match="share of the text"):
        similar_works(FEATURES, LINKS, text=1.5)
    with pytest.raises(ValueError, match="3 vectors for 4"):
        similar_subjects(LINKS, vectors=np.eye(3))


def test_company_is_positive_mutual_information(monkeypatch):
    rng = np.random.default_rng(4)
    links = rng.random((60, 9)) < 0.3
    both, works = (links.T * 1.0) @ links, links.sum(axis=0)
    with np.errstate(divide="ignore"):
        expected = unit(np.maximum(np.log(60 * both / np.outer(works, works)), 0))
    for block in (256, 4):
        monkeypatch.setattr(module, "BLOCK", block)
        np.testing.assert_allclose(company(csr_array(links * 1.0)).toarray(), expected, atol=1e-5)
    monkeypatch.setattr(module, "PROFILE", 3)
    assert np.diff(company(csr_array(links * 1.0)).indptr).max() == 3


def test_synonyms_that_never_meet_are_near_and_strangers_are_not():
    """Every sea work bears ship or vessel, never both, beside sea and coast; farm works bear others."""
    rng, links = np.random.default_rng(5), np.zeros((400, 7))
    links[np.arange(200), rng.integers(2, size=200)] = 1  # 0 ship, 1 vessel
    links[:200, 2:4] = rng.random((200, 2)) < 0.8  # 2 sea, 3 coast
    links[200:, 4:7] = rng.random((200, 3)) < 0.6  # 4 cow, 5 barn, 6 field
    table = similar_subjects(csr_array(links), k=3)
    assert table.columns.tolist() == SUBJECT_COLUMNS
    near = lists(table, "subject")
    assert 1 in near[0] and 0 in near[1]
    assert set(near[0]) <= {1, 2, 3} and set(near[4]) <= {5, 6}
    assert set(near[5]) <= {4, 6}


def test_given_vectors_are_compared_by_cosine(monkeypatch):
    vectors = np.random.default_rng(6).normal(size=(50, 5)) * np.arange(50)[:, None]  # the first has no direction
    expected = plain(np.maximum(unit(vectors) @ unit(vectors).T, 0), 4)
    for block in (256, 9):
        monkeypatch.setattr(module, "BLOCK", block)
        table = similar_subjects(csr_array((3, 50)), k=4, vectors=vectors)
        found = lists(table, "subject")
        assert found == {row: own[own >= 0].tolist() for row, own in enumerate(expected[0]) if (own >= 0).any()}
    assert 0 not in found and table["similarity"].tolist() == pytest.approx(expected[1][expected[1] > 0].tolist())


def test_more_neighbours_than_rows_is_no_fault():
    assert lists(similar_works(FEATURES, LINKS, k=50, text=1), "work")[0] == [1]
    assert len(similar_subjects(csr_array((0, 2)), k=9, vectors=np.ones((2, 2)))) == 2
    assert similar_works(csr_array((0, 3)), csr_array((0, 2))).empty
    assert similar_subjects(csr_array((0, 0))).empty and similar_subjects(csr_array((4, 3))).empty


@pytest.mark.slow
def test_many_works_take_less_than_a_minute():
    rng, n = np.random.default_rng(7), 60_000
    common = np.minimum(rng.zipf(1.4, size=(n, 12)) - 1, 39_999)  # the first stands in nearly all works
    rows = np.repeat(np.arange(n), 12)
    features = module._unit(csr_array((np.ones(12 * n), (rows, common.ravel())), shape=(n, 40_000)))
    links = csr_array((np.ones(6 * n), (np.repeat(np.arange(n), 6), rng.integers(8000, size=6 * n))), shape=(n, 8000))
    started = time.process_time()
    table = similar_works(features, links)
    assert time.process_time() - started < 60
    assert table.groupby("work").size().min() == 10
