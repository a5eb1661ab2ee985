"""The notebook's way is repeated faithfully, its faults included."""

import warnings

import numpy as np
import pytest

from crosswalk import published
from crosswalk.published import Pair


def codes(items=50, rows=4, seed=0):
    """Codes in which unit 1 of x and unit 2 of y agree, and unit 0 of x and unit 0 of y disagree."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(items), rows)
    x, y = rng.normal(size=(items, 2)), rng.normal(size=(items * rows, 3))
    y[:, 2] += 3 * x[groups, 1]
    y[:, 0] -= x[groups, 0]
    return x, y, groups


def test_rows_not_items_are_correlated_and_within_blocks_are_zero():
    x, y, groups = codes()
    matrix = published.correlation_matrix(x, y, groups)
    assert matrix.shape == (5, 5)
    assert not matrix[:2, :2].any() and not matrix[2:, 2:].any()
    assert matrix[1, 4] == pytest.approx(np.corrcoef(x[groups, 1], y[:, 2])[0, 1])
    assert matrix[:2, 2:] == pytest.approx(matrix[2:, :2].T)


def test_rows_of_one_item_count_as_often_as_they_come():
    x = np.array([[0.0], [1.0], [2.0]])
    y = np.array([[0.0], [1.0], [0.0], [0.0], [0.0]])
    once = published.correlation_matrix(x, y[:3], [0, 1, 2])[0, 1]
    often = published.correlation_matrix(x, y, [0, 1, 2, 2, 2])[0, 1]
    assert once == pytest.approx(0) and often == pytest.approx(-0.25)


def test_index_0_is_the_weakest_pair():
    x, y, groups = codes()
    found = published.pairs(published.correlation_matrix(x, y, groups), 2)
    sizes = [abs(pair.r) for pair in found]
    assert sizes == sorted(sizes) and len(found) == 6
    assert found[-1][:2] == (1, 2) and found[-2][:2] == (0, 0)
    assert found[-2].r < 0 < found[-1].r


def test_dead_units_sort_last_and_in_silence():
    x, y, groups = codes()
    y[:, 1] = 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = published.pairs(published.correlation_matrix(x, y, groups), 2)
    assert [pair[:2] for pair in found[-2:]] == [(0, 1), (1, 1)]
    assert all(np.isnan(pair.r) for pair in found[-2:]) and not any(np.isnan(pair.r) for pair in found[:-2])


def test_critical_weights_go_by_sign_not_size():
    weights = np.array([[-9.0, 0.1, 3.0, 0.2], [4.0, -1.0, -2.0, -3.0]])
    assert published.critical_weights(weights, 2).tolist() == [[0, 0, 3.0, 0.2], [4.0, -1.0, 0, 0]]
    assert np.array_equal(published.critical_weights(weights, 1000), weights)
    assert not published.critical_weights(weights, 0).any()


def test_unit_vector_has_length_1_along_the_critical_weights():
    weights = np.array([[1.0, 1.0, 1.0], [-9.0, 3.0, 4.0]])
    assert published.unit_vector(weights, 1, n=2).tolist() == pytest.approx([0, 0.6, 0.8])
    assert np.isnan(published.unit_vector(np.zeros((1, 3)), 0)).all()


def test_cosines_are_those_of_the_raw_embeddings():
    assert published.cosines([[3.0, 4.0], [0.0, -2.0]], np.array([0.0, 1.0])).tolist() == pytest.approx([0.8, -1])


def test_ends_leave_out_the_top_and_may_be_one_item():
    groups = np.repeat([0, 1, 2], 5)
    read = published.read_ends([0.0, 10.0, -10.0], np.arange(15) / 100, groups)
    assert read.low.tolist() == [10, 11, 12, 13, 14]
    assert read.high.tolist() == [5, 6, 7, 8]
    assert set(groups[read.high]) == {1}


def test_relations_claim_nothing():
    table = published.first_pairs(
        [Pair(0, 1, 0.001), Pair(1, 1, -0.3), Pair(1, 0, 0.4)], encoder="dense-8", rows=20, count=2
    )
    assert list(table.columns) == [
        *("relation", "kind", "encoder", "x_unit", "y_unit", "r", "r_low", "r_high", "p", "q", "confirmed", "strict"),
        *("n", "echo", "beyond", "stability", "also"),
    ]
    assert table[["relation", "x_unit", "y_unit", "r", "n"]].values.tolist() == [
        [1, 0, 1, 0.001, 20],
        [2, 1, 1, -0.3, 20],
    ]
    assert table[["r_low", "r_high", "p", "q", "echo", "beyond", "stability"]].isna().all(axis=None)
    assert not table[["confirmed", "strict"]].any(axis=None)
