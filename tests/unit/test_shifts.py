"""Rare traits are found where they are planted, and nothing is where nothing is."""

import numpy as np
import pytest
from scipy.stats import rankdata

from crosswalk.covariates import Nuisance
from crosswalk.items import average_by_group, folds
from crosswalk.shift_search import ShiftSearch
from crosswalk.shifts import _own_p_values, unit_shifts
from crosswalk.significance import false_discovery_rate

FEW = {"permutations": 99, "bootstrap": 99}


def rare_world(seed, *, n=400, units=10, width=24, share=0.05, effect=0.0, linked=(), block=1):
    """Sparse, heavy-tailed codes of either side, and vectors in which some units of x and of y shift the other side."""
    rng = np.random.default_rng(seed)
    blocks = np.arange(n) // block

    def codes():
        return np.where(rng.random((n, units)) < share, rng.pareto(1.5, size=(n, units)) + 0.5, 0)

    x_codes, y_codes = codes(), codes()
    x, y = rng.normal(size=(n, width)), rng.normal(size=(n, width))
    for unit in linked:
        y += effect * np.outer(x_codes[:, unit] > 0, rng.normal(size=width))
        x += effect * np.outer(y_codes[:, unit] > 0, rng.normal(size=width))
    if block > 1:
        x, y = (side + 1.5 * rng.normal(size=side.shape)[blocks] for side in (x, y))
        x_codes, y_codes = (own * (rng.random((n, units))[blocks] < 0.5) for own in (x_codes, y_codes))
        x_codes, y_codes = (own + 3 * (rng.random((n, units))[blocks] < share) for own in (x_codes, y_codes))
    return x_codes, y_codes, x, y, blocks


@pytest.fixture(scope="module")
def planted():
    world = rare_world(0, effect=0.8, linked=(3, 7))
    return world, unit_shifts(*world, **FEW, seed=0)


def test_planted_rare_traits_come_first_on_both_sides(planted):
    _, found = planted
    assert {*zip(found.x_unit[:4].tolist(), found.y_unit[:4].tolist(), strict=True)} == {
        (3, -1), (7, -1), (-1, 3), (-1, 7),
    }  # fmt: skip
    assert (found.p[:4] <= 1 / 900).all() and (found.p_max[:4] == 0.01).all()
    assert (found.p[4:] > 0.002).all()
    assert (found.low[:4] > 0).all() and (found.stability[:4] >= 0.8).all()
    assert ((found.low <= found.r) & (found.r <= found.high)).all()
    assert found.tested == 20 and found.null.shape == (99, 20)


def test_directions_point_where_the_shift_was_planted(planted):
    (x_codes, _, _, y, _), found = planted
    k = int(np.flatnonzero(found.x_unit == 3)[0])
    shift = y[x_codes[:, 3] > 0].mean(0) - y.mean(0)
    assert shift @ found.y_directions[:, k] > 0.8 * np.linalg.norm(shift)
    np.testing.assert_allclose(np.linalg.norm(found.x_directions, axis=0), 1)
    for j in range(4):
        assert np.corrcoef(found.x_scores[:, j], found.y_scores[:, j])[0, 1] > 0.2


def test_an_item_is_scored_without_its_own_link(planted):
    (x_codes, y_codes, x, y, blocks), found = planted
    k = int(np.flatnonzero(found.x_unit == 3)[0])
    held = found.fold == 0
    changed = x_codes.copy()
    changed[held, 3] = np.random.default_rng(1).permutation(changed[held, 3])
    again = unit_shifts(changed, y_codes, x, y, blocks, permutations=0, bootstrap=99, seed=0)
    j = int(np.flatnonzero(again.x_unit == 3)[0])
    np.testing.assert_allclose(again.y_scores[held, j], found.y_scores[held, k], atol=1e-6)


def test_units_that_are_left_out_still_count(planted):
    world, _ = planted
    few, every = (unit_shifts(*world, units=units, permutations=19, bootstrap=9, seed=0) for units in (2, 10))
    assert len(few.r) == 4 and few.tested == 20
    np.testing.assert_allclose(few.p, np.minimum(5 * every.p[:4], 1))
    np.testing.assert_array_equal(few.p_max, every.p_max[:4])


def test_constant_units_and_absent_sides_are_not_asked():
    x_codes, _, x, y, blocks = rare_world(1, n=60, share=0.2)
    x_codes[:, 0] = 2
    found = unit_shifts(x_codes, None, x, y, blocks, permutations=9, bootstrap=99)
    assert 0 not in found.x_unit and (found.y_unit == -1).all() and found.tested == 9
    nothing = unit_shifts(np.zeros((60, 3)), None, x, y, blocks, permutations=9, bootstrap=99)
    assert len(nothing.r) == 0 and nothing.x_scores.shape == (60, 0) and nothing.y_directions.shape == (24, 0)
    with pytest.raises(ValueError, match="finite"):
        unit_shifts(np.where(x_codes > 2, np.nan, x_codes), None, x, y, blocks)
    with pytest.raises(ValueError, match="10 or more"):
        unit_shifts(x_codes[:9], None, x[:9], y[:9], blocks[:9])


def test_one_huge_activation_makes_no_concept():
    x_codes, y_codes, x, y, blocks = rare_world(2)
    x_codes[7, 2] = 1e6
    y[7] *= 50
    found = unit_shifts(x_codes, y_codes, x, y, blocks, **FEW)
    assert found.p.min() > 0.002
    calm = unit_shifts(*rare_world(0, effect=0.8, linked=(3, 7))[:4], blocks, permutations=0, bootstrap=99)
    x_codes, y_codes, x, y, blocks = rare_world(0, effect=0.8, linked=(3, 7))
    x_codes[np.flatnonzero(x_codes[:, 3] == 0)[0], 3] = 1e6
    found = unit_shifts(x_codes, y_codes, x, y, blocks, permutations=0, bootstrap=99)
    assert found.r[found.x_unit == 3] > 0.8 * calm.r[calm.x_unit == 3]


def test_a_world_is_what_the_search_gives_on_shuffled_items():
    x_codes, _, _, y, _ = rare_world(3, n=80)
    fold, given = np.arange(80) % 5, np.random.default_rng(0).permutation(80)

    def search(codes):
        return ShiftSearch(codes.T, rankdata(codes, axis=0).T, y, fold)

    straight = search(x_codes[given]).world(np.arange(80))
    np.testing.assert_allclose(search(x_codes).world(given), straight, atol=1e-12)
    np.testing.assert_allclose(search(x_codes).world(given, np.array([2, 5])), straight[[2, 5]], atol=1e-12)


def test_replicated_rows_change_no_p_value():
    x_codes, _, x, y, blocks = rare_world(4, n=100, effect=0.6, linked=(1,))
    rng = np.random.default_rng(0)
    items = [str(i) for i in range(100)]
    groups = np.repeat(items, 2)
    rows, codes = (
        np.repeat(y, 2, axis=0) + rng.normal(size=(200, 24)),
        rng.random((200, 6)) * (rng.random((200, 6)) < 0.1),
    )
    tables = []
    for times in (1, 5):
        own = np.repeat(groups, times)
        sides = [average_by_group(np.repeat(values, times, axis=0), own, items) for values in (codes, rows)]
        tables.append(unit_shifts(x_codes, sides[0], x, sides[1], blocks, **FEW))
    np.testing.assert_allclose(tables[0].p, tables[1].p)
    np.testing.assert_array_equal(tables[0].x_unit, tables[1].x_unit)


def test_a_covariate_that_is_taken_out_makes_no_concept():
    rng = np.random.default_rng(6)
    length, blocks = rng.normal(size=300), np.arange(300)
    fold = folds(blocks, 5, seed=0)
    x_codes = np.maximum(length[:, None] + rng.normal(size=(300, 3)) - 0.5, 0)
    y = np.outer(length, rng.normal(size=16)) + rng.normal(size=(300, 16))
    out = Nuisance(length[:, None], fold)
    assert (unit_shifts(x_codes, None, y, y, blocks, permutations=49, bootstrap=9).p <= 0.02).all()
    without = unit_shifts(x_codes, None, out(y), out(y), blocks, permutations=49, bootstrap=9, nuisance=out)
    assert without.p.min() > 0.05 and abs(without.r).max() < 0.15
    assert ((without.low <= without.r) & (without.r <= without.high)).all()
    assert abs(np.corrcoef(length, without.x_scores, rowvar=False)[0, 1:]).max() < 0.05


def test_units_that_stand_out_are_followed_until_enough_worlds_reach_them():
    class Always:
        weights = np.zeros((2, 1))

        def world(self, given, at):
            return np.array([1.0, -1.0])[at]  # every further world reaches the first unit, none the second

    shuffle, null = (lambda rng: None), np.full((9, 2), -1.0)
    p = _own_p_values([Always()], np.zeros(2), null, shuffle, None)
    np.testing.assert_allclose(p, [5 / 14, 1 / 91])


def test_the_same_seed_gives_the_same_bytes(planted):
    world, _ = planted
    one, other = (unit_shifts(*world, permutations=9, bootstrap=9, seed=3) for _ in range(2))
    for name in ("p", "r", "null", "y_directions", "low"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def confirmed(world, **settings):
    found = unit_shifts(*world, **{**FEW, "bootstrap": 9, **settings})
    return bool((false_discovery_rate(found.p) <= 0.05).any()), bool((found.p_max <= 0.05).any())


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 5])
def test_nothing_is_confirmed_where_nothing_is_linked(block):
    hits = np.sum([confirmed(rare_world(100 + seed, n=150, units=6, block=block), seed=seed) for seed in range(200)], 0)
    assert (hits <= 14).all(), hits  # at most 7 % of the worlds


@pytest.mark.slow
def test_blocks_that_are_ignored_make_concepts_out_of_nothing():
    worlds = [rare_world(100 + seed, n=150, units=6, block=5) for seed in range(20)]
    naive = sum(confirmed((*world[:4], np.arange(150)))[0] for world in worlds)
    assert naive >= 5
