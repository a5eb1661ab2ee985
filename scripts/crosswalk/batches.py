"""Minibatches of works straight from sparse rows: shuffled, cut and masked in whole arrays."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array


class Part(NamedTuple):
    """Some rows of a CSR matrix.

    indptr: int64 (b + 1,), where each row begins and ends; indices: int64 (t,), columns; data: float32 (t,).
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Entries of each row; int64 (b,)."""
        return np.diff(self.indptr)

    @property
    def owners(self) -> np.ndarray:
        """The row of each entry; int64 (t,)."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.lengths)


class Batch(NamedTuple):
    """Works learned from at once: rows, int64 (b,), and the Part with their links."""

    rows: np.ndarray
    links: Part


def take(matrix: csr_array, rows: np.ndarray) -> Part:
    """The rows of a CSR matrix, in the order asked for. rows: int (b,)."""
    starts = matrix.indptr[rows].astype(np.int64)
    lengths = matrix.indptr[np.asarray(rows) + 1] - starts
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    places = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
    return Part(indptr, matrix.indices[places].astype(np.int64), matrix.data[places].astype(np.float32, copy=False))


def kept(part: Part, mask: np.ndarray) -> Part:
    """The entries of a Part where mask, bool (t,), is true; as many rows, some of them perhaps empty."""
    before = np.zeros(len(mask) + 1, np.int64)
    np.cumsum(mask, out=before[1:])
    return Part(before[part.indptr], part.indices[mask], part.data[mask])


def cuts(rows: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows in a drawn order, in batches of at most `batch_size` of which none is smaller than another by more than 1.

    No row is left out: a remainder is shared among the batches instead of being dropped. No rows, no batches.
    """
    if batch_size < 1:
        raise ValueError(f"batches of {batch_size} rows: at least 1 is needed")
    count = -(-len(rows) // batch_size)
    return np.array_split(rng.permutation(rows), count) if count else []


def epoch(links: csr_array, rows: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """One pass over `rows` of links, each once, in batches as from `cuts`."""
    for some in cuts(rows, batch_size=batch_size, rng=rng):
        yield Batch(some, take(links, some))


def shown(part: Part, *, most: float, nothing: float, rng: np.random.Generator) -> np.ndarray:
    """Draw which links of works a model is shown while it learns to name all of them; bool (t,).

    For each work a share of its links is hidden, drawn evenly between 0 and `most`, and one link in any case; of a
    share `nothing` of the works all are. So a model learns to complete works, and to begin with no subject at all.
    """
    b = len(part.indptr) - 1
    share = rng.random(b) * most
    share[rng.random(b) < nothing] = 1
    mask = rng.random(len(part.indices)) >= np.repeat(share, part.lengths)
    filled = np.flatnonzero(part.lengths)
    mask[part.indptr[filled] + (rng.random(len(filled)) * part.lengths[filled]).astype(np.int64)] = False
    return mask
