"""Pairs of units are found where they are planted, with the sign they have."""

import numpy as np
import pytest

from crosswalk.pairs import unit_pairs
from crosswalk.significance import max_p_values, pooled_p_values


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
    assert (max_p_values(found.z, found.null)[:2] <= 0.01).all()
    assert (pooled_p_values(found.z, found.null)[2:] > 0.001).all()
    assert (found.r[:2] > 0.3).all() and (found.low[:2] > 0).all()
    for k in range(2):  # scores are turned so that both sides rise together
        assert np.corrcoef(found.x_scores[:, k], found.y_scores[:, k])[0, 1] > 0.3


def test_dead_units_are_never_chosen(codes):
    found = unit_pairs(*codes, np.arange(400), count=400, permutations=0, bootstrap=99, seed=0)
    assert 0 not in found.x_unit


def test_one_huge_activation_makes_no_pair():
    rng = np.random.default_rng(1)
    x, y = (np.maximum(rng.normal(size=(300, 10)), 0) for _ in range(2))
    x[7, 2] = y[7, 4] = 1e6
    assert np.corrcoef(x[:, 2], y[:, 4])[0, 1] > 0.99  # what a plain correlation would report
    found = unit_pairs(x, y, np.arange(300), count=10, permutations=99, bootstrap=99, seed=0)
    assert not len(found.z) or max_p_values(found.z, found.null).min() > 0.02


def test_the_measure_uses_only_folds_that_were_not_used_to_choose():
    # With pure noise the chosen pairs are strong where they were chosen and nothing where they are measured.
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(500, 30)), rng.normal(size=(500, 30))
    found = unit_pairs(x, y, np.arange(500), count=5, permutations=0, bootstrap=99, seed=0)
    in_sample = np.abs(np.corrcoef(x, y, rowvar=False)[:30, 30:]).max()
    assert in_sample > 0.12
    assert np.mean(found.r) < 0.8 * in_sample


def test_the_same_seed_gives_the_same_bytes(codes):
    runs = [unit_pairs(*codes, np.arange(400), count=20, permutations=20, bootstrap=99, seed=4) for _ in range(2)]
    assert runs[0].r.tobytes() == runs[1].r.tobytes()
    assert np.concatenate(runs[0].null).tobytes() == np.concatenate(runs[1].null).tobytes()
