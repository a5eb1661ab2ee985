"""Averages, folds and shuffles respect the item and its block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswalk.errors import UserError
from crosswalk.items import BlockShuffle, average_by_group, folds


def test_average_is_that_of_each_item_in_the_order_of_the_items():
    vectors = np.array([[1.0, 0], [3, 0], [5, 8]])
    np.testing.assert_array_equal(average_by_group(vectors, ["a", "a", "b"], ["b", "a"]), [[5, 8], [2, 0]])


def test_replicating_every_row_changes_no_average():
    rng = np.random.default_rng(0)
    vectors, groups = rng.normal(size=(30, 4)).astype(np.float32), rng.permutation(np.repeat(np.arange(10), 3))
    once = average_by_group(vectors, groups, range(10))
    five = average_by_group(np.repeat(vectors, 5, axis=0), np.repeat(groups, 5), range(10))
    np.testing.assert_allclose(once, five, rtol=1e-12)


def test_rows_without_item_and_items_without_row_are_refused():
    with pytest.raises(ValueError, match="'c', which is not an item"):
        average_by_group(np.ones((1, 2)), ["c"], ["a"])
    with pytest.raises(ValueError, match="item 'b' has no row"):
        average_by_group(np.ones((1, 2)), ["a"], ["a", "b"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=20, max_size=200), st.integers(2, 4), st.integers(0, 5))
def test_folds_part_no_block_and_differ_by_at_most_the_largest(blocks, count, seed):
    if len(set(blocks)) < count:
        with pytest.raises(UserError, match="cannot make"):
            folds(blocks, count, seed=seed)
        return
    fold = folds(blocks, count, seed=seed)
    assert all(len(set(fold[np.array(blocks) == b])) == 1 for b in set(blocks))
    sizes = np.bincount(fold, minlength=count)
    assert sizes.max() - sizes.min() <= np.bincount(blocks).max()


def test_folds_depend_on_the_seed_and_on_nothing_else():
    blocks = np.arange(50)
    assert np.array_equal(folds(blocks, 5, seed=1), folds(blocks, 5, seed=1))
    assert not np.array_equal(folds(blocks, 5, seed=1), folds(blocks, 5, seed=2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=80), st.integers(0, 9))
def test_a_shuffle_gives_a_block_one_block(blocks, seed):
    blocks = np.array(blocks)
    given_to = blocks[BlockShuffle(blocks)(np.random.default_rng(seed))]
    assert all(len(set(given_to[blocks == b])) == 1 for b in set(blocks))


def test_blocks_of_one_size_are_permuted():
    blocks = np.repeat(np.arange(10), 3)
    shuffled = BlockShuffle(blocks)(np.random.default_rng(0))
    assert sorted(shuffled) == list(range(30)) and not np.array_equal(shuffled, np.arange(30))


def test_blocks_trade_places_with_blocks_of_about_their_size():
    sizes = np.array([1] * 20 + [2] * 20 + [30] * 10)
    blocks = np.repeat(np.arange(50), sizes)
    for seed in range(5):
        given_to = BlockShuffle(blocks)(np.random.default_rng(seed))
        assert (sizes[blocks[given_to[blocks >= 40]]] == 30).all()
        assert (sizes[blocks[given_to[blocks < 40]]] <= 2).all()


def test_single_items_are_shuffled_freely():
    shuffle, rng = BlockShuffle(range(4)), np.random.default_rng(0)
    assert len({tuple(shuffle(rng)) for _ in range(500)}) == 24
