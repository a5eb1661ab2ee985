"""The least correlation that is said to be found is found as often as is said."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from crosswalk.items import BlockShuffle
from crosswalk.pairs import unit_pairs
from crosswalk.power import COLUMNS, least_correlation, power_table
from crosswalk.significance import candidate_table, false_discovery_rate, fold_correlations, own_p_values

TOLERANCE = 0.1  # between the power that is promised and the power that is had


def test_least_correlation_is_that_of_the_textbook():
    # 85 items, two-sided 5 %, power .8: a correlation of .30 (Cohen, 1988, table 3.4.1).
    assert least_correlation(1 / math.sqrt(84), alpha=0.025) == pytest.approx(0.30, abs=0.005)


def test_more_tests_more_chance_and_more_power_take_more():
    alone = least_correlation(0.05)
    assert alone < least_correlation(0.05, tests=100) < least_correlation(0.05, tests=10_000) < 1
    assert alone < least_correlation(0.06)
    assert alone < least_correlation(0.05, power=0.95)
    assert alone < least_correlation(0.05, floor=0.05)  # a single world decides, the greatest of 19
    assert alone == pytest.approx(least_correlation(0.05, floor=1e-6), abs=1e-4)


def test_what_no_world_can_show_is_not_promised():
    assert math.isnan(least_correlation(0.05, tests=100, floor=0.001))
    assert not math.isnan(least_correlation(0.05, tests=50, floor=0.001))
    assert math.isnan(least_correlation(0.0)) and math.isnan(least_correlation(math.nan))


def judged(family, *, m, n, name="plain", null_sd=0.05, pooled=False, confirmed=0):
    null = np.random.default_rng(0).normal(0, null_sd, size=(999, m))
    r = np.linspace(0.5, 0, m)
    table = candidate_table(
        family,
        np.arange(m),
        np.arange(m),
        n=n,
        r=r,
        low=r,
        high=r,
        stability=r,
        null=null,
        pooled=pooled,
        blocks=n // 2,
    )
    done = np.arange(m) < confirmed
    return table.assign(list=name, q=np.where(done, 0.01, 0.9), confirmed=done, strict=False)


def test_each_search_and_each_list_says_what_it_could_have_found():
    tests = pd.concat([
        judged("axes", m=10, n=400, pooled=True, confirmed=2),
        judged("topk-8/seed-1", m=30, n=160, null_sd=0.08),
        judged("focus-1-x", m=1, n=400, name="focus"),
        judged("focus-2-y", m=1, n=400, name="focus"),
    ])  # fmt: skip
    table = power_table(tests)
    assert list(table.columns) == COLUMNS
    assert table["search"].tolist() == ["axes", "topk-8/seed-1", "all", "focus", "all"]
    assert table["tested"].tolist() == [10, 30, 40, 2, 2]
    assert table["confirmed"].tolist() == [2, 0, 2, 0, 0]
    assert table["kind"].tolist() == ["axis", "pair", "", "focus", ""]
    assert table["blocks"].tolist() == [200, 80, 200, 200, 200]
    axes, pairs, plain, focus, _ = table.to_dict("records")
    assert axes["least_r_alone"] == pytest.approx(least_correlation(axes["null_sd"]), abs=1e-3)
    assert axes["least_r_alone"] < axes["least_r_search"] < axes["least_r_list"]
    # A pair has 999 worlds of its own: too few for a lone finding among 40 tests at alpha .0005.
    assert math.isnan(power_table(tests, alpha=0.02)["least_r_list"][1])
    assert pairs["least_r_list"] > axes["least_r_list"] == plain["least_r_list"]
    assert focus["least_r_list"] < axes["least_r_list"]


def test_few_blocks_trade_places_in_few_ways():
    few = judged("axes", m=40, n=8, null_sd=0.4, pooled=True)  # 4 blocks, 24 ways
    assert power_table(few)["least_r_alone"].notna().sum() == 2  # 1/24 is below .05, and not below .05 / 40
    assert power_table(few)["least_r_search"].isna().all()


def sides(rng, n, r, block):
    """Two scores of n items with this rank correlation, alike within blocks."""
    own = 2 * math.sin(math.pi * r / 6)  # the correlation of normal scores whose ranks have r

    def draw():
        return 0.5**0.5 * (rng.normal(size=n)[np.arange(n) // block] + rng.normal(size=n))

    u, other = draw(), draw()
    return u, own * u + math.sqrt(1 - own * own) * other


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 4])
def test_one_hypothesis_is_confirmed_as_often_as_is_said(block):
    n, one = 160, np.zeros(160, dtype=np.intp)
    shuffle = BlockShuffle(np.arange(n) // block)

    def run(r, seed):
        rng = np.random.default_rng([seed, block])
        u, v = (rankdata(side)[:, None] for side in sides(rng, n, r, block))
        null = np.array([fold_correlations(u, v[shuffle(rng)], one, folds=1)[0] for _ in range(99)])
        return null.std(), own_p_values(fold_correlations(u, v, one, folds=1)[0], null)[0] <= 0.05

    spread = np.mean([run(0, seed)[0] for seed in range(20)])
    found = np.mean([run(least_correlation(spread, floor=0.01), 100 + seed)[1] for seed in range(150)])
    assert abs(found - 0.8) <= TOLERANCE, found


@pytest.mark.slow
def test_a_search_confirms_a_lone_pair_as_often_as_is_said():
    def run(r, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 400, 8))
        x[:, 2], y[:, 5] = sides(rng, 400, r, 1)
        pairs = unit_pairs(x, y, np.arange(400), count=20, permutations=49, bootstrap=9, seed=seed)
        q = false_discovery_rate(own_p_values(pairs.r, pairs.null))
        return pairs.null.std(), (q[(pairs.x_unit == 2) & (pairs.y_unit == 5)] <= 0.05).any()

    spread = np.mean([run(0, seed)[0] for seed in range(3)])
    found = np.mean([run(least_correlation(spread, tests=20, floor=1 / 491), 100 + seed)[1] for seed in range(160)])
    assert abs(found - 0.8) <= TOLERANCE, found
