"""The yardsticks themselves: worlds hold what was planted, and claims are judged by it."""

import numpy as np
import pytest

from claims import claims
from nulls import null_jobs, wilson
from worlds import world


@pytest.fixture(scope="module")
def linked():
    return world(seed=1, n=2000, links=(0.6, -0.5, 0.4), echoes=(0.7,), within=0.6)


def test_a_claim_of_two_linked_factors_is_one_link(linked):
    found = claims(linked, linked.x_truth[:, [0]], linked.y_truth[:, [0]])
    assert found.verdict.tolist() == ["one link"] and found.pair.tolist() == [0]
    assert found.recovered.tolist() == [0, -1, -1] and found.found == 1
    assert found.readability == 1 and found.false_share == 0


def test_a_negative_link_is_told_with_the_other_end_of_y(linked):
    x, y = linked.x_truth[:, [1]], linked.y_truth[:, [1]]
    assert claims(linked, x, -y).verdict.tolist() == ["one link"]
    assert claims(linked, x, y, sign=-1).recovered.tolist() == [-1, 0, -1]
    wrong = claims(linked, x, y)
    assert wrong.verdict.tolist() == ["wrong sign"] and wrong.false_share == 1 and wrong.found == 0


def test_a_claim_of_two_links_is_a_blend_and_carries_neither_alone(linked):
    x, y = linked.x_truth[:, [0, 2]].sum(1), linked.y_truth[:, [0, 2]].sum(1)
    found = claims(linked, x[:, None], y[:, None])
    assert found.verdict.tolist() == ["blend"] and found.readability == 0


def test_a_claim_of_what_is_not_linked_is_false(linked):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2000, 1))
    assert claims(linked, noise, rng.normal(size=(2000, 1))).verdict.tolist() == ["false"]
    # The right factor of x with the wrong one of y says nothing of either link.
    assert claims(linked, linked.x_truth[:, [0]], linked.y_truth[:, [2]]).verdict.tolist() == ["false"]


def test_an_echo_is_true_and_no_link(linked):
    found = claims(linked, linked.x_truth[:, [3]], linked.y_truth[:, [3]])
    assert found.verdict.tolist() == ["echo"] and found.found == 0 and found.false_share == 0


def test_nothing_claimed_is_no_share():
    found = claims(world(seed=0, n=50), np.empty((50, 0)), np.empty((50, 0)))
    assert np.isnan(found.false_share) and np.isnan(found.readability)
    everything = claims(world(seed=0, n=50), np.ones((50, 2)), np.ones((50, 2)))
    assert everything.verdict.tolist() == ["false", "false"]


def test_planted_correlations_have_their_size_and_sign(linked):
    for i, strength in enumerate(linked.strengths):
        assert np.corrcoef(linked.x_truth[:, i], linked.y_truth[:, i])[0, 1] == pytest.approx(strength, abs=0.08)


def test_an_echo_lies_in_one_direction_of_both_sides(linked):
    assert linked.x_loadings[3] @ linked.y_loadings[3] == pytest.approx(1)
    assert abs(linked.x_loadings[0] @ linked.y_loadings[0]) < 0.5


def test_a_confounder_is_all_that_joins_its_factors():
    w = world(seed=2, n=4000, confounders=(-0.5,))
    assert np.corrcoef(w.x_truth[:, 0], w.y_truth[:, 0])[0, 1] == pytest.approx(-0.5, abs=0.06)
    left = [
        side[:, 0] - np.polyval(np.polyfit(w.covariate, side[:, 0], 1), w.covariate) for side in (w.x_truth, w.y_truth)
    ]
    assert np.corrcoef(*left)[0, 1] == pytest.approx(0, abs=0.06)


def test_a_blended_link_hangs_on_two_factors():
    plain, blended = (world(seed=3, n=1000, links=(0.6, 0.6), blends=blends) for blends in (0, 1))
    np.testing.assert_array_equal(plain.x, blended.x)
    assert np.corrcoef(plain.x_truth[:, 1], blended.x_truth[:, 1])[0, 1] == pytest.approx(0.71, abs=0.08)
    np.testing.assert_array_equal(plain.x_truth[:, 0], blended.x_truth[:, 0])


def test_editions_are_near_copies_in_the_block_of_their_original():
    w = world(seed=4, n=60, editions=20)
    np.testing.assert_array_equal(w.blocks[40:], w.blocks[:20])
    assert np.abs(w.x[40:] - w.x[:20]).max() < 0.5 < np.abs(w.x[20:40] - w.x[:20]).max()


def test_rare_traits_are_absent_from_most_items_and_still_correlate():
    w = world(seed=5, n=20_000, width=8, replies=1, links=(0.6,), rare=0.05)
    _, counts = np.unique(w.x_truth[:, 0], return_counts=True)
    assert counts.max() / 20_000 == pytest.approx(0.95, abs=0.01)
    assert np.corrcoef(w.x_truth[:, 0], w.y_truth[:, 0])[0, 1] == pytest.approx(0.6, abs=0.06)


def test_blocks_can_be_of_unlike_size():
    w = world(seed=6, n=20, block_size=(1, 2, 5))
    assert np.bincount(w.blocks).tolist() == [1, 2, 5, 1, 2, 5, 1, 2, 1]


def test_constant_columns_are_added_and_change_nothing_else():
    plain, padded = (world(seed=7, n=30, links=(0.5,), constant=constant) for constant in (0, 2))
    np.testing.assert_array_equal(padded.x[:, :-2], plain.x)
    assert np.ptp(padded.x[:, -2:], axis=0).tolist() == [0, 0] and padded.x_loadings.shape == (1, 66)


def test_null_worlds_cover_every_combination_and_share_no_seed():
    jobs = null_jobs(worlds=3)
    assert {(job["within"], job["replies"]) for job in jobs} >= {(w, r) for w in (0, 0.3, 0.6) for r in (1, 5, 10)}
    assert len({job["seed"] for job in jobs}) == len(jobs)


def test_wilson_holds_the_share_and_stays_between_0_and_1():
    low, high = wilson(0, 40)
    assert low == 0 and high == pytest.approx(0.0876, abs=1e-3)  # Wilson's figures for no hit in forty
    low, high = wilson(14, 200)
    assert low < 0.07 < high
