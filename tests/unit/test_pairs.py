"""Pairs of units are found where they are planted, with the sign they have."""

import numpy as np
import pytest

from crosswalk.covariates import Nuisance
from crosswalk.items import folds
from crosswalk.pairs import unit_pairs
from crosswalk.significance import max_p_values, own_p_values


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    x, y = (np.maximum(rng.normal(size=(400, 20)) - 0.5, 0) for _ in range(2))
    y[:, 3] += x[:, 5]
    y[:, 9] = np.maximum(y[:, 9] + 1 - x[:, 8], 0)
    x[:, 0] = 0  # a dead unit
    return x, y


def test_planted_pairs_come_first_with_their_signs(codes):
    found = unit_pairs(*codes, np.arange(400), count=20, permutations=199, bootstrap=199, seed=0)
    top = {(int(i), int(j)): int(s) for i, j, s in zip(found.x_unit[:2], found.y_unit[:2], found.sign[:2], strict=True)}
    assert top == {(5, 3): 1, (8, 9): -1}
    assert (max_p_values(found.r, found.null)[:2] <= 0.01).all()
    assert (own_p_values(found.r, found.null)[2:] > 0.0005).all()
    assert (found.r[:2] > 0.3).all() and (found.low[:2] > 0).all()
    assert ((found.low <= found.r) & (found.r <= found.high)).all()
    for k in range(2):  # scores are turned so that both sides rise together
        assert np.corrcoef(found.x_scores[:, k], found.y_scores[:, k])[0, 1] > 0.3


def test_units_that_do_not_vary_are_never_chosen(codes):
    found = unit_pairs(*codes, np.arange(400), count=400, permutations=0, bootstrap=99, seed=0)
    assert 0 not in found.x_unit
    nothing = unit_pairs(np.zeros((50, 3)), codes[1][:50], np.arange(50), permutations=5, bootstrap=99, seed=0)
    assert not len(nothing.r) and nothing.x_scores.shape == (50, 0)


def test_one_huge_activation_makes_no_pair():
    rng = np.random.default_rng(1)
    x, y = (np.maximum(rng.normal(size=(300, 10)), 0) for _ in range(2))
    x[7, 2] = y[7, 4] = 1e6
    assert np.corrcoef(x[:, 2], y[:, 4])[0, 1] > 0.99  # what a plain correlation would report
    found = unit_pairs(x, y, np.arange(300), count=10, permutations=99, bootstrap=99, seed=0)
    assert own_p_values(found.r, found.null).min() > 0.001


def test_in_noise_the_chosen_pairs_measure_nothing_and_their_intervals_hold_it():
    r, covered, in_sample = [], [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(300, 16)), rng.normal(size=(300, 16))
        found = unit_pairs(x, y, np.arange(300), count=10, permutations=0, bootstrap=199, seed=seed)
        r.append(found.r.mean())
        covered.append(((found.low <= 0) & (found.high >= 0)).mean())
        chosen = x[~found.held_out][:, found.x_unit] * found.sign, y[~found.held_out][:, found.y_unit]
        in_sample.append(np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(*(side.T for side in chosen), strict=True)]))
    assert np.mean(in_sample) > 0.15  # what they were chosen for
    assert abs(np.mean(r)) < 0.02
    assert 0.9 < np.mean(covered) < 0.99


def test_the_same_seed_gives_the_same_bytes(codes):
    runs = [unit_pairs(*codes, np.arange(400), count=20, permutations=20, bootstrap=99, seed=4) for _ in range(2)]
    assert runs[0].r.tobytes() == runs[1].r.tobytes()
    assert runs[0].null.tobytes() == runs[1].null.tobytes()


def test_a_coincidence_of_rare_activations_is_weighed_by_how_often_a_shuffle_gives_it():
    # Each unit is on in few items; two shared ones among 200 give a large correlation that says little.
    rng = np.random.default_rng(3)
    x, y = rng.random((300, 40)) < 0.01, rng.random((300, 40)) < 0.01
    p = []
    for seed in range(10):
        shuffled = y[np.random.default_rng(seed).permutation(300)]
        found = unit_pairs(x, shuffled, np.arange(300), permutations=50, bootstrap=99, seed=seed)
        p.extend(own_p_values(found.r, found.null))
    assert len(p) > 300
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= 1.3 * level + 0.005


def test_a_covariate_behind_two_units_makes_no_pair_once_it_is_taken_out():
    rng = np.random.default_rng(2)
    n, behind = 400, rng.normal(size=400)
    x, y = rng.normal(size=(n, 6)), rng.normal(size=(n, 6))
    x[:, 1] += 2 * behind
    y[:, 4] += 2 * behind
    out = Nuisance(np.column_stack([behind, rng.normal(size=(n, 29))]), folds(np.arange(n), 5, seed=0))
    settings = {"count": 5, "permutations": 20, "bootstrap": 99, "seed": 0}
    plain = unit_pairs(x, y, np.arange(n), **settings)
    assert (plain.x_unit[0], plain.y_unit[0]) == (1, 4) and plain.r[0] > 0.6
    without = unit_pairs(out(x), out(y), np.arange(n), nuisance=out, **settings)
    assert np.abs(without.r).max() < 0.3 and own_p_values(without.r, without.null).min() > 0.005
    # They are taken out of the shuffled worlds, too, or these would vary less than what is left: in each of the two
    # folds that measure, 30 covariates and the mean are gone.
    assert without.null.std() == pytest.approx(1 / np.sqrt(160 - 2 * 31), rel=0.1)
