"""The item (book, function, work) as the unit of analysis: averages, folds and shuffles that respect it."""

import numpy as np

from crosswalk.errors import UserError
from crosswalk.files import read_parquet, read_vectors

LEAST_ITEMS = 10


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
    Raises ValueError if there are fewer blocks than folds.
    """
    _, codes, sizes = np.unique(np.asarray(blocks), return_inverse=True, return_counts=True)
    if len(sizes) < count:
        raise ValueError(f"{len(sizes)} blocks cannot make {count} folds")
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
    """Shuffles that keep blocks whole: blocks are laid end to end in a new order, from a random start.

    With blocks of one item this is a plain permutation. With larger ones it keeps each side's likeness
    within blocks, which a plain permutation would destroy and thereby take for evidence.
    blocks: n labels.
    """

    def __init__(self, blocks):
        _, codes = np.unique(np.asarray(blocks), return_inverse=True)
        self._home = np.argsort(codes, kind="stable")  # items, block after block
        self._members = np.split(self._home, np.cumsum(np.bincount(codes))[:-1])

    def __call__(self, rng):
        """Return intp (n,): for each item, the item whose other side it is given."""
        order = rng.permutation(len(self._members))
        laid = np.concatenate([self._members[b] for b in order])
        if len(self._members) < len(laid):
            laid = np.roll(laid, int(rng.integers(len(laid))))
        shuffled = np.empty_like(laid)
        shuffled[self._home] = laid
        return shuffled


def linked_items(x_rows, y_rows, x_vectors, y_vectors):
    """The two sides of a link, one row for each item that has both.

    x_rows, y_rows: paths of collections; x_vectors, y_vectors: paths of their embeddings or encodings.
    Returns ids (n str), blocks (n labels: the column `block` of x, else the item itself), x (n, d_x) and
    y (n, d_y), the mean over the rows linked to the item. Raises UserError if fewer than 10 items have both.
    """
    x_table, y_table = read_parquet(x_rows), read_parquet(y_rows)
    _, x, _ = read_vectors(x_vectors, ids=x_table["id"])
    _, y, _ = read_vectors(y_vectors, ids=y_table["id"])
    both = x_table["id"].isin(y_table["group"]).to_numpy()
    if both.sum() < LEAST_ITEMS:
        raise UserError(f"{both.sum()} items of {x_rows} have rows in {y_rows}; {LEAST_ITEMS} are needed. Draw more.")
    ids = x_table["id"].to_numpy()[both]
    blocks = x_table["block" if "block" in x_table else "id"].to_numpy()[both]
    return ids, blocks, np.asarray(x[both], np.float64), average_by_group(y, y_table["group"].to_numpy(), ids)
