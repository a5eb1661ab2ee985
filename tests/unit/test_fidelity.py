"""Fidelity is an honest area under the curve: right by hand, with an interval that covers, on parts of their own."""

import numpy as np
import pytest
from scipy.stats import norm

from crosswalk.fidelity import CHOOSE, MAKE, REPORT, area, fidelity, parts


def test_area_counts_pairs():
    assert area([2, 3], [1, 2]).value == pytest.approx(3.5 / 4)
    assert np.isnan(area([], [1]).value) and np.isnan(area([1], []).low)


def test_variance_is_delongs_where_nothing_depends_on_anything():
    # Shares of pairs won: 1, 2/3, 2/3 of the positive; 1, 5/6, 1/2 of the negative. Variances 1/27 and 1/16.
    positive, negative = [5, 3, 3], [1, 3, 4]
    found = area(positive, negative)
    won = np.array([[1.0, 1, 1], [1, 0.5, 0], [1, 0.5, 0]])
    assert found.value == pytest.approx(won.mean())
    error = np.sqrt(won.mean(1).var(ddof=1) / 3 + won.mean(0).var(ddof=1) / 3)
    p, reach = found.value, 4.302653 * error  # Student's t of two degrees of freedom
    odds = np.log(p / (1 - p)) + np.array([-1, 1]) * reach / (p * (1 - p))
    assert [found.low, found.high] == pytest.approx(1 / (1 + np.exp(-odds)))


def test_perfect_order_of_few_is_no_proof():
    few, many = area([2, 3, 4], [1, 1, 0]), area(np.arange(100) + 100.0, np.arange(100.0))
    assert few.value == many.value == few.high == 1
    assert few.low < 0.2 and many.low > 0.9
    assert area([0, 1], [2, 3]).low == 0 < area([0, 1], [2, 3]).high


def coverage(*, positive, negative, shift, size=1, worlds=400):
    """Share of worlds whose interval covers the area; blocks of `size` values share half of their variance."""
    rng, covered = np.random.default_rng(0), 0
    blocks = np.arange(positive + negative) // size
    for _ in range(worlds):
        values = rng.normal(size=len(blocks))
        if size > 1:
            values = (values + rng.normal(size=blocks.max() + 1)[blocks]) / np.sqrt(2)
        chosen = rng.permutation(len(blocks)) < positive
        found = area(values[chosen] + shift, values[~chosen], blocks[chosen], blocks[~chosen])
        covered += found.low <= norm.cdf(shift / np.sqrt(2)) <= found.high
    return covered / worlds


@pytest.mark.parametrize(
    "case",
    [
        {"positive": 70, "negative": 210, "shift": 1.5},
        {"positive": 20, "negative": 60, "shift": 0},
        {"positive": 10, "negative": 30, "shift": 2},
        {"positive": 40, "negative": 120, "shift": 1, "size": 4},
    ],
)
def test_intervals_cover(case):
    assert 0.92 <= coverage(**case) <= 0.99


def test_blocks_that_repeat_their_items_make_no_interval_narrower():
    rng = np.random.default_rng(0)
    high, low = rng.normal(size=20) + 1, rng.normal(size=40)
    once = area(high, low)
    blocks = np.arange(60)
    copied = area(np.repeat(high, 5), np.repeat(low, 5), np.repeat(blocks[:20], 5), np.repeat(blocks[20:], 5))
    assert copied == pytest.approx(once)


def test_parts_are_half_and_two_quarters_and_keep_blocks_together():
    blocks = np.repeat(np.arange(100), 4)
    part = parts(blocks, seed=3)
    assert [np.mean(part == name) for name in (MAKE, CHOOSE, REPORT)] == [0.5, 0.25, 0.25]
    assert all(len(set(part[blocks == block])) == 1 for block in range(100))
    assert np.array_equal(part, parts(blocks, seed=3)) and not np.array_equal(part, parts(blocks, seed=4))


def ends(scores, *, high=(1.0, 0, 0), low=(0, 1.0, 0), mask=None):
    """Fidelity where the top lies along the first axis, the bottom along the second and the rest along the third."""
    vectors = np.eye(3)[np.select([scores >= 80, scores < 20], [0, 1], 2)]
    mask = np.ones(100, bool) if mask is None else mask
    return fidelity(scores, mask, vectors, np.array(high), np.array(low))


def test_each_end_is_held_against_the_middle():
    scores = np.arange(100.0)
    assert [end.value for end in ends(scores)] == [1, 1, 1]
    blind = ends(scores, low=(0, 0, 1.0))  # the low end's name fits the middle
    assert (blind.side.value, blind.high.value, blind.low.value) == (1, 1, 0)


def test_an_end_without_a_name_has_no_fidelity():
    found = ends(np.arange(100.0), low=(0, 0, 0))
    assert found.side.value == found.high.value == 1 and np.isnan(found.low.value)
    assert np.isnan([end.value for end in ends(np.arange(100.0), high=(0, 0, 0), low=(0, 0, 0))]).all()


def test_items_outside_the_mask_do_not_count():
    scores = np.arange(100.0)
    mask = scores % 2 == 0
    assert ends(scores, mask=mask) == ends(np.where(mask, scores, -1), mask=mask)


def test_one_block_says_nothing_of_how_sure_the_area_is():
    one = area(np.array([3.0, 4.0]), np.array([1.0, 2.0, 3.5]), np.zeros(2), np.zeros(3))
    assert one.value == pytest.approx(5 / 6) and np.isnan(one.low) and np.isnan(one.high)
