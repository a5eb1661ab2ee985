"""Items that share a block, a copied text or a chain of both are one block, at the coarsest level of enough."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswalk.grouping import ENOUGH_BLOCKS, components, group_items, levels


def items(count, *, texts=None, **blocks):
    ids = [f"b{i}" for i in range(count)]
    return pd.DataFrame({"id": ids, "text": texts or [f"Item number {i}" for i in range(count)], **blocks})


def rows(groups, *, texts=None, **blocks):
    count = len(groups)
    texts = texts or [f"Row number {i}" for i in range(count)]
    return pd.DataFrame({"id": [f"r{i}" for i in range(count)], "group": groups, "text": texts, **blocks})


def group(x, y=None, **options):
    return group_items(x, rows(list(x["id"])) if y is None else y, **options)


def test_items_without_blocks_or_copies_stand_alone():
    found = group(items(12))
    assert found.blocks.tolist() == list(range(12))
    assert found.facts["level"] == 0 and found.facts["largest_block"] == 1


def test_copies_belong_to_one_block():
    found = group(items(12, texts=[f"Item {i % 11}" for i in range(12)]))
    assert found.blocks.tolist() == [*range(11), 0]
    assert found.facts["copies"]["x"]["equal"] == 1


def test_copies_among_the_rows_join_the_items_they_belong_to():
    x = items(12)
    found = group(
        x, rows([*x["id"], "b3", "b7"], texts=[*(f"Row {i}" for i in range(12)), "the very same", "The very same"])
    )
    assert found.blocks[3] == found.blocks[7] and len(set(found.blocks)) == 11


def test_blocks_of_the_rows_join_the_items_they_belong_to():
    x = items(40)
    reviewers = [None] * 40
    reviewers[3] = reviewers[30] = "Anna"
    found = group(x, rows(list(x["id"]), block_1=reviewers))
    assert found.blocks[3] == found.blocks[30] and len(set(found.blocks)) == 39


def test_the_coarsest_level_that_leaves_enough_blocks_is_taken(caplog):
    number = np.arange(240)
    x = items(
        240, block_1=(number // 2).astype(str), block_2=(number // 6).astype(str), block_3=(number // 60).astype(str)
    )
    found = group(x, name="books")
    assert found.blocks.tolist() == (number // 6).tolist()
    assert found.facts["level"] == 2 and found.facts["blocks_of_level"] == [240, 120, 40, 4]
    assert "relate.books" in caplog.text and "level 2" in caplog.text


def test_few_blocks_are_told(caplog):
    group(items(60, block_1=(np.arange(60) // 4).astype(str)))
    assert "only 15 blocks" in caplog.text


def test_the_finest_level_is_taken_if_none_leaves_enough():
    number = np.arange(60)
    found = group(items(60, block_1=(number // 4).astype(str), block_2=(number // 20).astype(str)))
    assert len(set(found.blocks)) == 15 < ENOUGH_BLOCKS
    assert found.facts["level"] == 1 and not found.facts["enough_blocks"]


def test_a_level_includes_all_finer_ones():
    """Two volumes of a work stay together though the series of one is missing."""
    series = np.array([f"s{i // 4}" for i in range(160)], dtype=object)
    series[1] = None
    work = np.array([f"w{i // 2}" for i in range(160)], dtype=object)
    found = group(items(160, block_1=work, block_2=series))
    assert found.blocks[:5].tolist() == [0, 0, 0, 0, 1] and found.facts["level"] == 2


def test_items_without_a_label_are_not_one_block_nor_mistaken_for_another():
    labels = [None] * 38 + ["b0", "b0"]
    found = group(items(40, block_1=labels))
    assert len(set(found.blocks)) == 39 and found.blocks[0] != found.blocks[38]


def test_a_giant_block_is_told(caplog):
    found = group(items(60, block_1=["all"] * 20 + [None] * 40))
    assert found.facts["largest_block"] == 20
    assert "one block holds 20 of 60 items" in caplog.text


def test_blocks_are_ordered_by_number_not_by_name():
    assert levels([f"block_{i}" for i in (10, 2, 1)] + ["block", "blocks_1", "id"]) == [
        "block_1",
        "block_2",
        "block_10",
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_components_are_those_of_a_search_by_hand(edges):
    at, one, two = (np.array(part, int) for part in (zip(*edges, strict=True) if edges else ([], [], [])))
    labels = components(10, [(at, one), (at, two)])
    expected = list(range(10))
    for _ in range(10):
        for part in (one, two):
            for i, a in zip(at, part, strict=True):
                for j, b in zip(at, part, strict=True):
                    if a == b:
                        expected[i] = expected[j] = min(expected[i], expected[j])
    assert np.array_equal(labels[:, None] == labels, np.equal.outer(expected, expected))
