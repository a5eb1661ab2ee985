"""The item (book, function, work) as the unit of analysis: averages, folds and shuffles that respect it."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crosswalk.errors import UserError
from crosswalk.files import read_parquet, read_vectors
from crosswalk.limits import LEAST_ITEMS

LIKE_SIZE = 2  # blocks of up to this many times the smallest one's size trade places with it
LEAST_BLOCKS = 8  # fewer would trade places in too few ways


def average_by_group(vectors, groups, items):
    """Mean of the rows that belong to each item.

    vectors: (N, d); groups: N item ids; items: n unique ids, each with at least one row.
    Returns float64 (n, d). Raises ValueError if a row belongs to no item or an item has no row.
    """
    position = {item: i for i, item in enumerate(items)}
    try:
        rows = np.fromiter((position[g] for g in groups), dtype=np.intp, count=len(groups))
    except KeyError as error:
        raise ValueError(f"a row belongs to {error}, which is not an item") from None
    counts = np.bincount(rows, minlength=len(items))
    if not counts.all():
        raise ValueError(f"item {items[int(np.argmin(counts))]!r} has no row")
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sums = np.add.reduceat(np.asarray(vectors)[order], starts, axis=0, dtype=np.float64)
    return sums / counts[:, None]


def folds(blocks, count, *, seed):
    """Assign whole blocks to `count` folds of nearly equal size.

    blocks: n labels; items with the same label are never parted. Returns intp (n,) in 0..count-1.
    Raises UserError if there are fewer blocks than folds.
    """
    _, codes, sizes = np.unique(np.asarray(blocks), return_inverse=True, return_counts=True)
    if len(sizes) < count:
        raise UserError(
            f"{len(sizes)} blocks of items cannot make {count} folds: lower relate.<name>.folds, draw more items, or "
            "choose a finer `block`"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # the largest first, so that the folds come out even
    fold_of_block = np.empty(len(sizes), dtype=np.intp)
    filled = np.zeros(count, dtype=np.intp)
    for block in order:
        smallest = int(np.argmin(filled))
        fold_of_block[block] = smallest
        filled[smallest] += sizes[block]
    return fold_of_block[codes]


class BlockShuffle:
    """Shuffles that move whole blocks onto blocks, so that each side's likeness within blocks stays in place.

    A plain permutation would destroy that likeness and thereby take it for evidence. Blocks trade places with blocks of
    about their size; one that is given a smaller one repeats its items, one that is given a larger one takes some.
    With blocks of one size this is a permutation of blocks, and exact; with blocks of one item, a plain permutation.
    blocks: n labels.
    """

    def __init__(self, blocks):
        _, codes = np.unique(np.asarray(blocks), return_inverse=True)
        self._count = len(codes)
        sizes = np.bincount(codes)
        members = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
        self._strata, stratum = [], []
        for block in np.argsort(sizes, kind="stable"):
            grown = stratum and sizes[block] > LIKE_SIZE * len(stratum[0])
            if grown and len(stratum) >= LEAST_BLOCKS:
                self._strata.append(stratum)
                stratum = []
            stratum.append(members[block])
        if self._strata and len(stratum) < LEAST_BLOCKS:
            self._strata[-1] += stratum
        else:
            self._strata.append(stratum)

    def __call__(self, rng):
        """Return intp (n,): for each item, the item whose other side it is given."""
        given = np.empty(self._count, dtype=np.intp)
        for stratum in self._strata:
            for block, other in zip(stratum, rng.permutation(len(stratum)), strict=True):
                given[block] = np.resize(rng.permutation(stratum[other]), len(block))
        return given


def dependent(texts, blocks):
    """Join blocks that share a text: copies of an item tell nothing new, and must not be split from it.

    texts, blocks: n strings and n labels. Texts count as the same if they differ in case or white space alone.
    Returns intp (n,), labels of the joined blocks.
    """
    _, block = np.unique(np.asarray(blocks), return_inverse=True)
    _, text = np.unique([" ".join(text.split()).casefold() for text in texts], return_inverse=True)
    nodes = block.max() + 1 + text.max() + 1
    edges = coo_array((np.ones(len(block)), (block, block.max() + 1 + text)), shape=(nodes, nodes))
    return connected_components(edges, directed=False)[1][block]


def linked_items(x_rows, y_rows, x_vectors, y_vectors):
    """The two sides of a link, one row for each item that has both.

    x_rows, y_rows: paths of collections; x_vectors, y_vectors: paths of their embeddings or encodings.
    Returns ids (n str), blocks (n labels, see `dependent`), x (n, d_x) and y (n, d_y), the mean over the rows linked to
    the item. Raises UserError if fewer than 10 items have both.
    """
    x_table, y_table = read_parquet(x_rows), read_parquet(y_rows)
    _, x, _ = read_vectors(x_vectors, ids=x_table["id"])
    _, y, _ = read_vectors(y_vectors, ids=y_table["id"])
    both = x_table["id"].isin(y_table["group"]).to_numpy()
    if both.sum() < LEAST_ITEMS:
        raise UserError(f"{both.sum()} items of {x_rows} have rows in {y_rows}; {LEAST_ITEMS} are needed. Draw more.")
    ids = x_table["id"].to_numpy()[both]
    named = x_table["block" if "block" in x_table else "id"].to_numpy()[both]
    blocks = dependent(x_table["text"].to_numpy()[both], named)
    return ids, blocks, np.asarray(x[both], np.float64), average_by_group(y, y_table["group"].to_numpy(), ids)
