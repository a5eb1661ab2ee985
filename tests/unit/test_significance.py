"""Tests and intervals have known answers."""

import numpy as np
import pytest

from crosswalk.significance import (
    average_correlation,
    bootstrap_intervals,
    candidate_table,
    cross_fitting_variance,
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


@pytest.mark.parametrize("pooled", [True, False])
def test_a_table_says_how_much_chance_there_was(pooled):
    null, r = np.random.default_rng(0).normal(0, [0.1, 0.2], size=(99, 2)), np.array([0.5, 0.1])
    nothing = np.zeros(2)
    table = candidate_table(
        "some", [0, 1], [1, 0], n=30, r=r, low=r, high=r, stability=nothing, null=list(null), pooled=pooled, blocks=10
    )
    expected = [null.std(), null.std()] if pooled else null.std(0)
    np.testing.assert_allclose(table["null_sd"], expected)
    assert table["p_floor"].tolist() == [1 / 199 if pooled else 1 / 100] * 2
    assert table["p"][0] == table["p_floor"][0]
    assert table["worlds"].tolist() == [99, 99] and table["blocks"].tolist() == [10, 10]


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


def worlds_of(kind, r, *, fold_size, block=1, worlds=500, seed=0):
    """Scores (n, worlds) of five folds, whose true correlation is r, and how its items belong together."""
    rng, n = np.random.default_rng(seed), 5 * fold_size

    def draw():
        if kind == "skewed":
            return rng.exponential(size=(n, worlds)) - 1
        inner = rng.normal(size=(n // block, worlds)).repeat(block, axis=0)
        return (inner + rng.normal(size=(n, worlds))) / 2**0.5

    if kind == "sparse":
        on = (rng.random((n, worlds)) < 0.05) - 0.05
        sides = on, r / np.sqrt((1 - r * r) * 0.05 * 0.95) * on + rng.normal(size=(n, worlds))
    else:
        common = draw()
        sides = (r**0.5 * common + (1 - r) ** 0.5 * draw() for _ in range(2))
    return *sides, np.repeat(np.arange(5), fold_size), np.arange(n) // block


@pytest.mark.parametrize(
    ("kind", "r", "fold_size", "block"),
    [
        ("normal", 0.0, 20, 1),
        ("normal", 0.6, 40, 5),
        ("skewed", 0.3, 20, 1),
        ("skewed", 0.6, 40, 1),
        ("sparse", 0.3, 80, 1),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(kind, r, fold_size, block):
    u, v, fold, blocks = worlds_of(kind, r, fold_size=fold_size, block=block)
    low, high = bootstrap_intervals(u, v, fold, blocks, folds=5, resamples=300, seed=0)
    assert 0.92 <= np.mean((low <= r) & (r <= high)) <= 0.975


def test_the_interval_is_around_the_correlation_and_wider_at_a_higher_level():
    u, v, fold, blocks = worlds_of("normal", 0.3, fold_size=30, worlds=20)
    r = average_correlation(fold_correlations(u, v, fold, folds=5), np.full(5, 30))
    low, high = bootstrap_intervals(u, v, fold, blocks, folds=5, resamples=200, seed=0)
    assert ((low < r) & (r < high)).all()
    lower, higher = bootstrap_intervals(u, v, fold, blocks, folds=5, resamples=200, seed=0, level=0.99)
    assert ((lower < low) & (high < higher)).all()
    flat = bootstrap_intervals(np.ones((150, 1)), v[:, :1], fold, blocks, folds=5, resamples=50, seed=0)
    assert flat[0] == flat[1] == 0


def test_resampling_blocks_widens_the_interval_of_dependent_items():
    rng = np.random.default_rng(1)
    u, v = (np.repeat(rng.normal(size=(40, 1)), 5, axis=0) for _ in range(2))
    fold, blocks = np.repeat(np.arange(40) % 5, 5), np.repeat(np.arange(40), 5)
    widths = [
        np.subtract(*reversed(bootstrap_intervals(u, v, fold, b, folds=5, resamples=500, seed=0)))[0]
        for b in (np.arange(200), blocks)
    ]
    assert widths[1] > 1.5 * widths[0]


# Without a signal, with one of about the size of its noise, and with a strong one.
@pytest.mark.parametrize(("strength", "naive"), [(0.0, 0.89), (0.15, 0.93), (0.5, 1.0)])
def test_intervals_hold_the_truth_where_folds_fitted_each_others_axes(strength, naive):
    rng, n, d, folds, worlds = np.random.default_rng(int(100 * strength)), 100, 30, 5, 300
    fold = np.arange(n) % folds
    inside, as_if_fixed = [], []
    for _ in range(worlds):
        u = rng.normal(size=n)
        other = rng.normal(size=(n, d))
        other[:, 0] = strength * u + np.sqrt(1 - strength**2) * other[:, 0]
        axes = np.stack([other[fold != f].T @ u[fold != f] for f in range(folds)])
        v = np.einsum("nd,nd->n", other, axes[fold])
        within = [np.corrcoef(u[fold != f], other[fold != f] @ axes[f])[0, 1] for f in range(folds)]
        truth = strength * np.mean(axes[:, 0] / np.linalg.norm(axes, axis=1))
        for results, training in ((inside, np.array([np.mean(within)])), (as_if_fixed, None)):
            (low,), (high,) = bootstrap_intervals(
                u[:, None], v[:, None], fold, np.arange(n), folds=folds, resamples=99, seed=0, training=training
            )
            results.append(low <= truth <= high)
    assert 0.92 <= np.mean(inside) <= 0.99
    assert np.mean(as_if_fixed) <= naive


def test_a_cross_fitted_correlation_varies_twice_as_much_without_a_signal_and_no_more_with_all_of_it():
    grown = cross_fitting_variance(np.array([-0.1, 0.0, 0.3, 0.6, 0.9, 0.2]), np.array([0.5, 0.5, 0.6, 0.6, 0.8, 0.0]))
    np.testing.assert_allclose(grown, [2, 2, 1.5, 1, 1, 2])
