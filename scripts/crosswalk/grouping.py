"""Which items depend on one another: those of one block, copies of one text, and whatever a chain of these joins."""

import logging
import re
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crosswalk.duplicates import copies

log = logging.getLogger(__name__)

ENOUGH_BLOCKS = 30  # fewer make folds of a handful of blocks, and a test that hangs on which of them is held out
GIANT = 0.1  # share of the items above which one block is worth a warning
BLOCK = re.compile(r"block_([0-9]+)")


class Grouping(NamedTuple):
    """blocks: intp (n,), labels of the items that belong together; facts: dict of counts, for JSON."""

    blocks: np.ndarray
    facts: dict


def levels(columns):
    """The columns of a collection's table that hold its blocks, finest first."""
    found = [(int(match[1]), column) for column in columns if (match := BLOCK.fullmatch(column))]
    return [column for _, column in sorted(found)]


def components(count, edges):
    """Label items that are joined by a chain of shared labels.

    count: number of items; edges: list of (items, labels), two arrays of one length: that item bears that label.
    Returns intp (count,), 0, 1, ... in the order in which the items of a block first come.
    """
    rows, columns, width = [np.arange(0)], [np.arange(0)], 0
    for items, labels in edges:
        values, codes = np.unique(np.asarray(labels), return_inverse=True)
        rows.append(np.asarray(items, np.intp))
        columns.append(count + width + codes)
        width += len(values)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(count + width, count + width))
    return _renumbered(connected_components(graph, directed=False)[1][:count])


def group_items(x_rows, y_rows, *, preambles=("", ""), name=""):
    """Blocks of the items that two collections have in common.

    x_rows: DataFrame of the n items, with id, text and block_1, block_2, ... (finest first) where given; y_rows: of the
    rows linked to them, with group besides; preambles: what stands before every text of x and of y; name: of the
    relation, for messages.
    Copies (see `duplicates.copies`) belong together at every level. Of the levels, the coarsest is taken that leaves
    `ENOUGH_BLOCKS` blocks, and the finest if none does. The k-th level of y counts with the k-th of x, the last of the
    shorter list with all after it. A level includes all finer ones.
    Returns Grouping.
    """
    position = {item: i for i, item in enumerate(x_rows["id"])}
    own = {"x": np.arange(len(x_rows)), "y": np.array([position[group] for group in y_rows["group"]], np.intp)}
    tables = {"x": x_rows, "y": y_rows}
    edges, facts = [], {}
    for side, preamble in zip("xy", preambles, strict=True):
        texts = [text.removeprefix(preamble) for text in tables[side]["text"]]
        found = copies(texts, owners=own[side])
        edges.append((own[side], found.labels))
        facts[side] = found.facts
    named = {side: levels(table.columns) for side, table in tables.items()}
    partitions = [components(len(x_rows), edges)]
    for depth in range(max(map(len, named.values()))):
        for side in "xy":
            if depth < len(named[side]):
                labels = tables[side][named[side][depth]]
                known = labels.notna().to_numpy()  # without a label an item is as the finer levels have it
                edges.append((own[side][known], labels[known].to_numpy()))
        partitions.append(components(len(x_rows), edges))
    return _chosen(partitions, named, facts, name)


def _chosen(partitions, named, facts, name):
    counts = [int(labels.max()) + 1 for labels in partitions]
    depth = next((d for d in range(len(counts) - 1, 0, -1) if counts[d] >= ENOUGH_BLOCKS), min(1, len(counts) - 1))
    blocks = partitions[depth]
    largest = int(np.bincount(blocks).max())
    if depth < len(counts) - 1:
        log.warning(
            "relate.%s: the coarsest blocks are %d, fewer than %d; folds and shuffles go by level %d, of %d blocks",
            name, counts[-1], ENOUGH_BLOCKS, depth, counts[depth],
        )  # fmt: skip
    elif depth and counts[depth] < ENOUGH_BLOCKS:
        log.warning("relate.%s: there are only %d blocks; tests can tell little apart", name, counts[depth])
    if largest > GIANT * len(blocks) and largest > 1:
        log.warning(
            "relate.%s: one block holds %d of %d items; tests can tell little apart", name, largest, len(blocks)
        )
    about = {
        "items": len(blocks),
        "blocks": counts[depth],
        "largest_block": largest,
        "level": depth,
        "levels": {side: len(own) for side, own in named.items()},
        "blocks_of_level": counts,
        "enough_blocks": counts[depth] >= ENOUGH_BLOCKS,
        "copies": facts,
    }
    return Grouping(blocks, about)


def _renumbered(labels):
    """The same partition, numbered in the order of first appearance."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[codes]
