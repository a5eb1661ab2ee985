"""Tests and intervals have known answers."""

import numpy as np
import pytest

from crosswalk.significance import (
    average_correlation,
    bootstrap_intervals,
    false_discovery_rate,
    fold_correlations,
    max_p_values,
    own_p_values,
    pooled_p_values,
)


def test_fold_correlations_are_those_of_each_fold():
    rng = np.random.default_rng(0)
    u, v, fold = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)), np.repeat([0, 1, 2], 20)
    r = fold_correlations(u, v, fold, folds=3)
    assert r[1, 0] == pytest.approx(np.corrcoef(u[20:40, 0], v[20:40, 0])[0, 1])
    assert average_correlation(r, [20, 20, 20])[1] == pytest.approx(r[:, 1].mean())


def test_a_constant_goes_with_nothing():
    r = fold_correlations(np.ones((10, 1)), np.arange(10.0)[:, None], np.zeros(10, int), folds=1)
    assert r[0, 0] == 0


def test_p_values_count_the_worlds_that_reach_the_observed():
    null = [np.array([0.1, 0.5]), np.array([0.2]), np.array([])]
    np.testing.assert_allclose(pooled_p_values(np.array([0.2, 0.9]), null), [3 / 4, 1 / 4])
    np.testing.assert_allclose(max_p_values(np.array([0.2, 0.9]), null), [3 / 4, 1 / 4])
    np.testing.assert_allclose(max_p_values(np.array([0.3]), null), [2 / 4])


def test_own_p_values_do_not_mix_candidates():
    null = np.array([[0.1, 0.8], [0.3, 0.9], [0.2, 0.7]])
    np.testing.assert_allclose(own_p_values(np.array([0.25, 0.75]), null), [2 / 4, 3 / 4])


def test_false_discovery_rate_matches_the_published_example():
    # The fifteen p-values of Benjamini and Hochberg (1995), section 4: four are rejected at 0.05.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    q = false_discovery_rate(p)
    assert (q <= 0.05).sum() == 4
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert (np.diff(q) >= 0).all()
    order = np.random.default_rng(0).permutation(15)
    np.testing.assert_allclose(false_discovery_rate(np.array(p)[order]), q[order])


def test_bootstrap_interval_holds_the_truth_about_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), 0
    for world in range(100):
        u = rng.normal(size=(200, 1))
        v = 0.4 * u + np.sqrt(1 - 0.16) * rng.normal(size=(200, 1))
        fold = np.arange(200) % 5
        low, high = bootstrap_intervals(u, v, fold, np.arange(200), folds=5, resamples=300, seed=world)
        inside += low[0] <= 0.4 <= high[0]
    assert 88 <= inside <= 99


def test_resampling_blocks_widens_the_interval_of_dependent_items():
    rng = np.random.default_rng(1)
    u, v = (np.repeat(rng.normal(size=(40, 1)), 5, axis=0) for _ in range(2))
    fold, blocks = np.repeat(np.arange(40) % 5, 5), np.repeat(np.arange(40), 5)
    widths = [
        np.subtract(*reversed(bootstrap_intervals(u, v, fold, b, folds=5, resamples=500, seed=0)))[0]
        for b in (np.arange(200), blocks)
    ]
    assert widths[1] > 1.5 * widths[0]
