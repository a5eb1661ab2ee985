"""The nearest rows are those of a full sort, however the scores are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswalk import neighbours as module
from crosswalk.neighbours import Product, best, neighbours
from scores import Matrix

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(57, 6)), RNG.normal(size=(41, 6))


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


@pytest.mark.parametrize("distinct", [1, 2, 5, 40])
def test_best_of_rows_full_of_equals_are_those_of_a_stable_sort(distinct):
    part = np.random.default_rng(distinct).integers(0, distinct, (20, 3000)).astype(np.float32)
    part[:5] *= np.random.default_rng(0).random((5, 3000)) < 0.002  # few above the value that all others share
    index, value = best(part, 10)
    wanted = np.argsort(-part, axis=1, kind="stable")[:, :10]
    assert np.array_equal(index, wanted) and np.array_equal(value, np.take_along_axis(part, wanted, axis=1))
