"""Stability of units from seed to seed: order, sign and scale do not count, being matched twice does not happen."""

import numpy as np
import pytest

from crosswalk.unit_stability import unit_stability


def codes(n=400, dim=6, seed=0):
    return np.random.default_rng(seed).exponential(size=(n, dim)).astype(np.float32)


def test_the_same_units_in_another_order_sign_and_scale_are_all_found():
    own, rng = codes(), np.random.default_rng(1)
    other = own[:, rng.permutation(6)] * [-1, 2, 30, -0.1, 5, 1] + 7
    table = unit_stability(own, [other, own])
    np.testing.assert_allclose(table.stability, 1, atol=1e-6)
    assert table.unit.tolist() == list(range(6))


def test_units_that_are_new_are_not_found_and_the_others_are():
    own = codes()
    other = own[:, ::-1].copy()
    other[:, 0] = codes(seed=5)[:, 0]  # in place of unit 5
    table = unit_stability(own, [other])
    assert table.stability[5] < 0.2
    np.testing.assert_allclose(table.stability[:5], 1, atol=1e-6)


def test_one_unit_is_not_the_match_of_two():
    own = codes(dim=2)
    own[:, 1] = own[:, 0]
    other = np.column_stack([own[:, 0], codes(seed=3)[:, 0]])
    found = np.sort(unit_stability(own, [other]).stability)
    assert found[0] < 0.2 and found[1] == pytest.approx(1)


def test_stability_is_the_mean_over_seeds_and_lowest_the_worst():
    own = codes()
    table = unit_stability(own, [own, codes(seed=8)])
    assert (table.lowest < 0.3).all()
    np.testing.assert_allclose(table.stability, (1 + table.lowest) / 2, atol=1e-6)


def test_a_unit_that_never_varies_is_found_nowhere():
    own = codes()
    own[:, 2] = 0.5
    assert unit_stability(own, [own]).stability[2] == 0


def test_without_further_seeds_nothing_is_known():
    table = unit_stability(codes(), [])
    assert len(table) == 6 and table.stability.isna().all()
