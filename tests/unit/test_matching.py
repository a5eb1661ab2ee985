"""Who gets whom, given blocks: modes, levels, chance, reasons."""

import numpy as np
import pytest

from crosswalk.blocks import dense_block
from crosswalk.errors import UserError
from crosswalk.matching import NO_NEARER, SILENT, TAKEN, TOO_FAR, match, nearest

SETTINGS = {"mode": "free", "capacity": None, "unmatched": "never", "candidates": 5, "top": 3}


def planted(n=40, m=40, *, width=16, noise=0.2, seed=0):
    """Row i of b is row i of a with noise, as far as both have it."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(max(n, m), width))
    return dense_block("embedding", {"a": rows[:n], "b": rows[:m] + noise * rng.normal(size=(m, width))})


def found_by(block, *, groups=(), seed=0, **settings):
    return match([block], [2.0], groups=groups, settings=SETTINGS | settings, seed=seed)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (25, 40), (40, 25)])
@pytest.mark.parametrize("mode", ["free", "one_to_one", "capacity"])
@pytest.mark.parametrize("unmatched", ["never", "auto"])
def test_every_row_is_told_in_every_mode(n, m, mode, unmatched):
    found = found_by(planted(n, m), mode=mode, unmatched=unmatched)
    table = found.matches
    assert table["a"].tolist() == list(range(n))
    assert ((table["b"] >= 0) == (table["reason"] == "")).all()
    assert found.facts["matched"] + sum(found.facts["unmatched"].values()) == n
    times = np.bincount(found.partner[found.partner >= 0], minlength=m)
    most = {"free": n, "one_to_one": 1, "capacity": -(-n // m)}[mode]
    assert times.max() <= most
    if unmatched == "never":
        assert (found.partner >= 0).sum() == (min(n, m) if mode == "one_to_one" else n)
    both = np.arange(min(n, m))
    assert (found.partner[both] == both).mean() > (0.6 if unmatched == "never" else 0.9)


def test_a_capacity_is_respected():
    found = found_by(planted(40, 25), mode="capacity", capacity=3, unmatched="never")
    assert np.bincount(found.partner).max() <= 3
    assert found.facts["assignment"]["capacity"] == 3


def test_the_capacity_that_is_used_is_told():
    assert found_by(planted(40, 25), mode="capacity").facts["assignment"]["capacity"] == 2


def test_a_capacity_too_small_for_everybody_is_a_users_error():
    with pytest.raises(UserError, match=r"match.assignment.capacity.*raise it to 2"):
        found_by(planted(40, 25), mode="capacity", capacity=1)
    assert (found_by(planted(40, 25), mode="capacity", capacity=1, unmatched="auto").partner >= 0).sum() <= 25


def test_rows_left_over_say_that_theirs_went_to_others():
    table = found_by(planted(40, 25), mode="one_to_one").matches
    assert set(table.loc[table["b"] < 0, "reason"]) == {TAKEN}


def test_independent_clouds_match_next_to_nothing():
    rng = np.random.default_rng(0)
    shares = []
    for seed in range(10):
        block = dense_block("embedding", {"a": rng.normal(size=(200, 16)), "b": rng.normal(size=(200, 16))})
        for mode in ("free", "one_to_one"):
            found = found_by(block, mode=mode, unmatched="auto", seed=seed)
            assert len(found.matches) == 200
            shares.append((found.partner >= 0).mean())
    assert np.mean(shares) < 0.02


def test_where_nobody_is_nearer_than_chance_all_are_told_so():
    rng = np.random.default_rng(3)
    block = dense_block("embedding", {"a": rng.normal(size=(60, 16)), "b": rng.normal(size=(60, 16))})
    found = found_by(block, unmatched="auto")
    assert found.threshold == np.inf and (found.partner == -1).all()
    assert found.facts["unmatched"] == {NO_NEARER: 60}
    assert found.facts["chance"]["threshold"] is None
    assert len(found.candidates) == 60 * 3  # lists are made all the same


def test_a_threshold_of_the_user_is_kept_and_named():
    found = found_by(planted(), unmatched=1.96)
    own = found.matches["b"] >= 0
    assert 0 < own.sum() < 40
    assert (found.matches.loc[own, "score"] >= 1.96).all() and (found.matches.loc[~own, "score"] < 1.96).all()
    assert set(found.matches.loc[~own, "reason"]) == {TOO_FAR}


def test_a_row_without_features_says_nothing():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 8))
    a[0] = a[1:].mean(axis=0)  # so that it lies at the mean of its side
    found = found_by(dense_block("embedding", {"a": a, "b": a + 0.1 * rng.normal(size=a.shape)}), unmatched="auto")
    assert found.matches["reason"][0] == SILENT
    assert (found.matches["b"][1:] >= 0).mean() > 0.8


def test_choice_margin_and_mutual_are_those_of_the_scores():
    block = planted(36, 12, width=3, noise=1.5)
    found = found_by(block, mode="capacity", candidates=2, top=2)
    rows = np.arange(36)
    scores = found.scores.rows(0, 36)
    table, partner = found.matches, found.partner
    own = scores[rows, partner]
    np.testing.assert_allclose(table["score"], own, atol=1e-5)
    # Counted over all of b, though only three candidates were kept.
    np.testing.assert_array_equal(table["choice"], 1 + (scores > own[:, None]).sum(axis=1))
    assert table["choice"].max() > 3
    others = scores.copy()
    others[rows, partner] = -np.inf
    np.testing.assert_allclose(table["margin"], own - others.max(axis=1), atol=1e-5)
    mutual = (scores.argmax(axis=1) == partner) & (scores.argmax(axis=0)[partner] == rows)
    np.testing.assert_array_equal(table["mutual"], mutual)
    assert 0 < mutual.sum() < (scores.argmax(axis=0)[partner] == rows).sum()


def test_shares_add_up_to_the_score():
    blocks = [planted(seed=0), planted(seed=1)._replace(name="topics")]
    found = match(blocks, [1.0, 0.5], settings=SETTINGS, seed=0)
    for table in (found.matches, found.candidates):
        np.testing.assert_allclose(table["share_embedding"] + table["share_topics"], table["score"])


def test_candidates_are_the_nearest_in_order():
    found = found_by(planted(12, 40), top=7)
    scores = found.scores.rows(0, 12)
    for i, own in found.candidates.groupby("a"):
        assert own["rank"].tolist() == list(range(1, 8))
        assert own["b"].tolist() == np.argsort(-scores[i], kind="stable")[:7].tolist()


def test_one_candidate_to_look_at_leaves_no_margin():
    rng = np.random.default_rng(0)
    block = dense_block("embedding", {"a": rng.normal(size=(5, 4)), "b": rng.normal(size=(2, 4))})
    found = found_by(block, top=10)
    assert found.candidates.groupby("a").size().tolist() == [2] * 5
    block.parts["b"] = block.parts["b"].take(slice(0, 1))
    assert found_by(block).matches["margin"].isna().all()


def test_a_coefficient_of_zero_is_as_no_block():
    names = ("topics", "embedding", "words")
    blocks = [planted(seed=seed, noise=0.7)._replace(name=name) for seed, name in enumerate(names)]
    settings = SETTINGS | {"unmatched": "auto"}
    with_zero = match(blocks, [0, 1.0, 0.5], settings=settings, seed=0)
    without = match(blocks[1:], [1.0, 0.5], settings=settings, seed=0)
    assert with_zero.matches.equals(without.matches) and with_zero.facts == without.facts


@pytest.mark.parametrize("mode", ["free", "one_to_one", "capacity"])
@pytest.mark.parametrize("levels", [0, 2])
def test_doubled_coefficients_change_no_match(mode, levels):
    rng = np.random.default_rng(5)
    blocks = [planted(seed=0, noise=0.6), planted(seed=1, noise=0.6)._replace(name="words")]
    groups = [(rng.integers(3, size=40), rng.integers(3, size=40)) for _ in range(levels)]
    settings = SETTINGS | {"unmatched": "auto", "mode": mode}
    once = match(blocks, [0.7, 0.3], groups=groups, settings=settings, seed=0)
    twice = match(blocks, [1.4, 0.6], groups=groups, settings=settings, seed=0)
    np.testing.assert_array_equal(once.partner, twice.partner)
    np.testing.assert_array_equal(once.matches["score"] * 2, twice.matches["score"])
    np.testing.assert_array_equal(once.scores.rows(0, 40) * 2, twice.scores.rows(0, 40))  # levels included
    unchanged = ["choice", "mutual", "chance", "level", "reason"]
    assert once.matches[unchanged].equals(twice.matches[unchanged])


def test_rows_of_one_group_come_first():
    rng = np.random.default_rng(6)
    kinds = np.arange(40) % 4
    other = kinds.copy()
    other[:8] = 3 - kinds[:8]  # whose own partner is in another group now
    found = found_by(planted(), groups=[(kinds, other)])
    assert (kinds == other[found.partner]).all() and (found.matches["level"] == 1).all()
    assert (found.partner[8:] == np.arange(8, 40)).mean() > 0.8
    deeper = (rng.integers(2, size=40), rng.integers(2, size=40))
    found = found_by(planted(), groups=[(kinds, other), deeper])
    both = [(kinds[i] == other) & (deeper[0][i] == deeper[1]) for i in range(40)]
    assert (found.matches["level"] == np.where([own.any() for own in both], 2, 1)).all()


def test_a_poor_pair_is_not_made_for_its_group_alone():
    kinds = np.arange(40) % 4
    other = kinds.copy()
    other[:8] = 3 - kinds[:8]
    found = found_by(planted(), groups=[(kinds, other)], unmatched="auto")
    own = found.partner >= 0
    assert (found.matches.loc[own, "score"] >= found.threshold).all()
    # Without anybody near in their group they get whom they are near to.
    assert (found.partner[:8] == np.arange(8)).mean() > 0.7
    alone = found_by(planted(noise=0.8), groups=[(kinds, other)], unmatched="auto").matches.query("b < 0")
    assert len(alone) and set(alone["reason"]) == {NO_NEARER}
    assert (found.matches.loc[own, "choice"] >= 1).all() and found.matches.loc[:7, "choice"].max() > 1


def test_levels_that_all_share_change_nothing():
    same = np.zeros(40, dtype=int), np.zeros(40, dtype=int)
    for unmatched in ("never", "auto"):
        plain, levelled = (found_by(planted(), groups=g, unmatched=unmatched) for g in ((), [same]))
        assert plain.matches.drop(columns="level").equals(levelled.matches.drop(columns="level"))


def test_nearest_is_the_best_of_each_row():
    found = found_by(planted(300, 50, noise=1.0))
    np.testing.assert_array_equal(nearest(found.scores), found.scores.rows(0, 300).argmax(axis=1))


def test_the_same_seed_gives_the_same_tables():
    one, other = (found_by(planted(), unmatched="auto", seed=7) for _ in range(2))
    assert one.matches.equals(other.matches) and one.candidates.equals(other.candidates)
