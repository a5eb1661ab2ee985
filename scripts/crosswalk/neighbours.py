"""The nearest rows of two collections to one another, both ways, without ever holding all their scores.

Scores come in chunks of rows; one pass keeps the best of each row and the best so far of each column.
"""

from typing import NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

TILE = 256  # rows multiplied at once by Product
FOLDS = 64  # values of which one maximum stands for all when a bound of the k-th best is sought
SPARE = 4  # a row with this many times k values above its bound is full of ties and is sorted instead


class Scores(Protocol):
    """How near each of n rows is to each of m others; higher is nearer.

    shape: (n, m). rows(start, stop): float32 (stop - start, m), finite, the same numbers each time they are asked for.
    """

    shape: tuple[int, int]

    def rows(self, start: int, stop: int) -> np.ndarray: ...


class Neighbours(NamedTuple):
    """The best k of both sides, best first, equals by the lower index.

    a_index int32, a_score float32 (n, min(k, m)): columns nearest to each row; b_index int32, b_score float32
    (m, min(k, n)): rows nearest to each column.
    """

    a_index: np.ndarray
    a_score: np.ndarray
    b_index: np.ndarray
    b_score: np.ndarray


class Product:
    """Scores that are scalar products of the rows of a (n, d) and b (m, d), kept as float32.

    BLAS may round the last bit by the shape of what it multiplies. Rows are therefore multiplied in tiles that start at
    multiples of TILE, whichever rows are asked for, so that a score does not depend on how the rows are cut.
    """

    def __init__(self, a, b):
        self.a, self.b = np.ascontiguousarray(a, np.float32), np.ascontiguousarray(b, np.float32)
        if self.a.ndim != 2 or self.b.ndim != 2 or self.a.shape[1] != self.b.shape[1]:
            raise ValueError(f"rows of the same width are needed, not {self.a.shape} and {self.b.shape}")
        self.shape = len(self.a), len(self.b)

    def rows(self, start, stop):
        first = start - start % TILE
        last = min(-(-stop // TILE) * TILE, len(self.a))
        out = np.empty((last - first, len(self.b)), np.float32)
        for begin in range(first, last, TILE):
            end = min(begin + TILE, last)
            np.matmul(self.a[begin:end], self.b.T, out=out[begin - first : end - first])
        return out[start - first : stop - first]


def neighbours(scores, *, k, cells=1 << 24):
    """The k best columns of each row and the k best rows of each column of Scores (n, m), in one pass.

    cells: scores held at once; of no effect on the result if the rows of `scores` do not depend on how they are cut.
    Returns Neighbours. Raises ValueError if k < 1, a side is empty or a score is not finite.
    """
    n, m = scores.shape
    if k < 1 or not n or not m:
        raise ValueError(f"the {k} nearest of {n} x {m} scores: all three must be at least 1")
    own, others = min(k, m), min(k, n)
    a_index, a_score = np.empty((n, own), np.int32), np.empty((n, own), np.float32)
    b_index, b_score = np.empty((m, 0), np.int32), np.empty((m, 0), np.float32)
    for start, part in chunks(scores, cells=cells, label="neighbours"):
        stop = start + len(part)
        a_index[start:stop], a_score[start:stop] = best(part, own)
        index, score = best(np.ascontiguousarray(part.T), min(others, len(part)))
        index, score = np.hstack([b_index, index + np.int32(start)]), np.hstack([b_score, score])
        # Rows of earlier chunks stand first, so a stable sort leaves the lower index first among equals.
        order = np.argsort(-score, axis=1, kind="stable")[:, :others]
        b_index, b_score = np.take_along_axis(index, order, axis=1), np.take_along_axis(score, order, axis=1)
    return Neighbours(a_index, a_score, b_index, b_score)


def chunks(scores, *, cells, label):
    """Yield (start, rows from there on) of Scores, at most `cells` values or one row each, all of them finite.

    label: of the progress bar. Raises ValueError naming the first row with a score that is not finite.
    """
    n, m = scores.shape
    step = max(cells // m, 1)
    step -= step % TILE if step > TILE else 0
    for start in tqdm(range(0, n, step), desc=label, disable=None, delay=5):
        part = scores.rows(start, min(start + step, n))
        if not np.isfinite(part).all():
            row = start + int(np.isfinite(part).all(axis=1).argmin())
            raise ValueError(f"row {row}: a score is not finite")
        yield start, part


def best(part, k):
    """Indices int32 (r, k) and values (r, k) of the k greatest of each row of part (r, m), k <= m.

    The greatest first, equals by the lower index.
    """
    r, m = part.shape
    bound = _bound(part, k)
    mask = part >= bound[:, None]
    count = np.count_nonzero(mask, axis=1)
    crowded = np.flatnonzero(count > SPARE * k + FOLDS)
    mask[crowded], count[crowded] = False, 0
    flat = np.flatnonzero(mask)
    row, column = np.divmod(flat, m)
    place = np.arange(len(flat)) - (np.cumsum(count) - count)[row]
    width = max(k, count.max(initial=0))
    index, value = np.zeros((r, width), np.int32), np.full((r, width), -np.inf, part.dtype)
    index[row, place], value[row, place] = column, part[row, column]
    order = np.argsort(-value, axis=1, kind="stable")[:, :k]
    index, value = np.take_along_axis(index, order, axis=1), np.take_along_axis(value, order, axis=1)
    for i in crowded:
        above = np.flatnonzero(part[i] > bound[i])
        above = above[np.argsort(-part[i, above], kind="stable")[:k]]
        ties = np.flatnonzero(part[i] == bound[i])[: k - len(above)] if len(above) < k else above[:0]
        index[i] = np.concatenate([above, ties])
        value[i] = part[i, index[i]]
    return index, value


def places(groups):
    """How many before each value of an array, int (r,) of rising numbers from 0, are equal to it."""
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(first, np.diff(first, append=len(groups)))


def _bound(part, k):
    """A value for each row that at least k of its values reach, and few more: the k-th best of maxima of groups."""
    r, m = part.shape
    groups = min(m, max(8 * k, -(-m // FOLDS)))
    folds = m // groups
    maxima = part[:, : groups * folds].reshape(r, folds, groups).max(axis=1)
    return np.partition(maxima, groups - k, axis=1)[:, groups - k]
