"""The item (book, function, work) as the unit of analysis: averages, folds and shuffles that respect it."""

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from crosswalk.covariates import Nuisance, chosen
from crosswalk.echo import removed
from crosswalk.errors import UserError
from crosswalk.files import read_parquet, read_vectors

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
        self._sizes = [
            (np.array([len(own) for own in s]), np.array([own[0] for own in s]), np.concatenate(s))
            for s in self._strata
        ]

    def __call__(self, rng):
        """Return intp (n,): for each item, the item whose other side it is given."""
        given = np.empty(self._count, dtype=np.intp)
        for stratum, (sizes, first, rows) in zip(self._strata, self._sizes, strict=True):
            order = rng.permutation(len(stratum))
            alone = sizes[order] == 1  # most blocks are single items, which need no shuffle of their own
            given[rows[np.repeat(alone, sizes)]] = np.repeat(first[order[alone]], sizes[alone])
            for at in np.flatnonzero(~alone):
                given[stratum[at]] = np.resize(rng.permutation(stratum[order[at]]), len(stratum[at]))
        return given


def prepared_items(
    items, x_rows, y_rows, x_vectors, y_vectors, *, covariates=(), remove=None, fold_count=None, seed=None
):
    """The two sides of a link, one row for each item that has both, ready to be searched.

    items: path of the table that `item_table.item_table` made; x_rows, y_rows: paths of the collections; x_vectors,
    y_vectors: paths of their embeddings or encodings; covariates: names such as "x.length" of what is taken out of
    both sides, in each fold by itself, which needs fold_count and seed, those of the search; remove: None, an
    orthonormal basis (d, k), or a function that makes one of x (n, d_x) alone, to be projected out of y.
    Returns ids (n str), blocks (intp (n,)), x (n, d_x) and y (n, d_y), float64: y is the mean over the item's rows,
    first the covariates go, then what is to be removed. Raises UserError if a file is of another version of the
    collection, ValueError for a covariate that the table lacks. No step sees which x belongs to which y, but for what
    the covariates say of both.
    """
    table = pq.read_table(items, columns=["id", "block"]).to_pydict()
    ids, blocks = np.array(table["id"], dtype=object), np.array(table["block"], np.intp)
    x_ids = pq.read_table(x_rows, columns=["id"])["id"].to_numpy()
    y_table = pq.read_table(y_rows, columns=["id", "group"])
    _, x, _ = read_vectors(x_vectors, ids=x_ids)
    _, y, _ = read_vectors(y_vectors, ids=y_table["id"].to_numpy())
    both = np.isin(x_ids.astype(str), ids.astype(str))
    if not np.array_equal(x_ids[both], ids):
        raise UserError(f"{items}: its items are not those of {x_rows}. Delete the file and run again.")
    x, y = np.asarray(x[both], np.float64), average_by_group(y, y_table["group"].to_numpy(), ids)
    if out := nuisance(items, covariates, fold_count=fold_count, seed=seed):
        x, y = out(x), out(y)
    if remove is not None:
        basis = remove(x) if callable(remove) else np.asarray(remove, np.float64)
        with threadpool_limits(1):
            y = removed(y, basis)
    return ids, blocks, x, y


def nuisance(items, covariates, *, fold_count, seed):
    """What takes the covariates out of a row for each item; None without covariates.

    items, covariates, fold_count, seed: as in `prepared_items`. Returns Nuisance, for `Worlds`: a shuffled world wants
    them taken out again.
    """
    if not covariates:
        return None
    if fold_count is None or seed is None:
        raise ValueError("covariates are taken out in each fold: fold_count and seed are needed")
    columns = chosen(pq.read_schema(items).names, covariates)
    if lost := [name for name in covariates if not chosen(columns, [name])]:
        raise ValueError(f"{items} has no covariate {', '.join(lost)}")
    table = read_parquet(items)
    return Nuisance(table[columns].to_numpy(), folds(table["block"].to_numpy(), fold_count, seed=seed))


class Worlds:
    """Shuffled worlds of one side: whole blocks are given to blocks, and covariates taken out again.

    blocks: n labels; nuisance: None or Nuisance. Called with values (n, ...) and a Generator, returns the values of
    the items that each item is given. Without covariates these are values[BlockShuffle(blocks)(rng)], to the byte.
    """

    def __init__(self, blocks, nuisance=None):
        self._shuffle, self._nuisance = BlockShuffle(blocks), nuisance

    def __call__(self, values, rng):
        world = values[self._shuffle(rng)]
        return world if self._nuisance is None else self._nuisance(world)
