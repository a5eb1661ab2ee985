"""The nearest rows are those of a full sort, however the scores are cut; hubs lose under CSLS."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswalk import neighbours as module
from crosswalk.neighbours import Csls, Product, best, hubness, mutual, neighbours

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(57, 6)), RNG.normal(size=(41, 6))


class Matrix:
    """Scores that are all at hand."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)
        self.shape = self.values.shape

    def rows(self, start, stop):
        return self.values[start:stop]


def sorted_best(values, k):
    index = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(values, index, axis=1)


def same(found, expected):
    return all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 30), k=st.integers(1, 12), few=st.booleans(), seed=st.integers(0, 999))
def test_both_sides_are_those_of_a_full_sort_with_equals_by_lower_index(n, m, k, few, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (n, m)) if few else rng.normal(size=(n, m))
    values = values.astype(np.float32)
    expected = *sorted_best(values, k), *sorted_best(values.T, k)
    for cells in (1, 3 * m, n * m):
        assert same(neighbours(Matrix(values), k=k, cells=cells), expected)


def test_best_of_long_rows_with_and_without_ties_are_those_of_a_full_sort():
    values = np.stack([RNG.normal(size=9001), RNG.integers(0, 3, 9001), np.ones(9001), np.arange(9001.0)])
    for k in (1, 20):
        assert same(best(values, k), sorted_best(values, k))
        assert same(best(values[:, ::-1], k), sorted_best(values[:, ::-1], k))


def test_what_is_given_back_has_the_promised_types_and_no_more_columns_than_there_are_rows():
    found = neighbours(Product(A, B[:3]), k=5)
    assert [part.shape for part in found] == [(57, 3), (57, 3), (3, 5), (3, 5)]
    assert [part.dtype for part in found] == [np.int32, np.float32] * 2
    assert [part.shape for part in neighbours(Product(A[:1], B[:1]), k=20)] == [(1, 1)] * 4


def test_products_do_not_depend_on_how_the_rows_are_cut():
    a, b = RNG.normal(size=(700, 48)), RNG.normal(size=(311, 48))
    scores = Product(a, b)
    whole = scores.rows(0, 700)
    np.testing.assert_allclose(whole, a @ b.T, atol=1e-4)
    for step in (1, 90, module.TILE, 300):
        parts = [scores.rows(start, min(start + step, 700)) for start in range(0, 700, step)]
        assert np.array_equal(np.vstack(parts), whole)
    assert same(neighbours(scores, k=4, cells=311), neighbours(scores, k=4))


def test_copies_of_a_row_tie_and_stand_in_order():
    b = np.vstack([B, B])
    found = neighbours(Product(A, b), k=2)
    assert np.array_equal(found.a_index[:, 1], found.a_index[:, 0] + len(B))
    assert np.array_equal(found.b_index[: len(B)], found.b_index[len(B) :])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_score_that_is_not_finite_is_refused_with_its_row(wrong):
    values = np.zeros((9, 4))
    values[7, 1] = values[8, 0] = wrong
    for cells in (4, 8, 100):
        with pytest.raises(ValueError, match="row 7"):
            neighbours(Matrix(values), k=2, cells=cells)


def test_nothing_to_compare_is_refused():
    for shape, k in (((0, 3), 1), ((3, 0), 1), ((3, 3), 0)):
        with pytest.raises(ValueError, match="at least 1"):
            neighbours(Matrix(np.zeros(shape)), k=k)
    with pytest.raises(ValueError, match="same width"):
        Product(A, B[:, :5])


def test_hubness_is_the_mean_of_the_nearest_and_csls_takes_it_off_twice_the_score():
    scores = Product(A, B)
    r_a, r_b = hubness(neighbours(scores, k=20), k=3)
    whole = scores.rows(0, 57)
    np.testing.assert_allclose(r_a, np.sort(whole, axis=1)[:, -3:].mean(1), rtol=1e-5)
    np.testing.assert_allclose(r_b, np.sort(whole, axis=0)[-3:].mean(0), rtol=1e-5)
    assert r_a.dtype == r_b.dtype == np.float32
    corrected = Csls(scores, r_a, r_b)
    assert corrected.shape == (57, 41)
    np.testing.assert_allclose(corrected.rows(5, 9), 2 * whole[5:9] - r_a[5:9, None] - r_b, atol=1e-5)
    assert np.array_equal(scores.rows(0, 57), whole)


def test_a_hub_is_nearest_to_everyone_only_before_csls():
    values = np.full((30, 30), 0.1) + 0.5 * np.eye(30)
    values[:, 0] = 0.7  # near everything
    values[0, 0] = 0.9
    scores = Matrix(values)
    found = neighbours(scores, k=10)
    assert (found.a_index[:, 0] == 0).all()
    after = neighbours(Csls(scores, *hubness(found)), k=1)
    assert np.array_equal(after.a_index[:, 0], np.arange(30))


def test_mutual_pairs_are_each_others_first():
    found = neighbours(Matrix([[3, 2, 0], [4, 1, 0], [0, 0, 5], [0, 0, 1]]), k=1)
    assert mutual(found).tolist() == [[1, 0], [2, 2]]
    pairs = mutual(neighbours(Product(A, B), k=3))
    whole = Product(A, B).rows(0, 57)
    assert pairs.tolist() == [[i, j] for i, j in enumerate(whole.argmax(1)) if whole[:, j].argmax() == i]
