"""What two collections are compared by: blocks of features, centred by side, brought to one scale, weighted, added.

A block gives every pair of rows a cosine between what sets each apart from the mean of its own side, so that a constant
added to a side, or a side in another unit, changes nothing. The score of a pair is the sum over blocks of weight x
cosine / spread, where the spread of a block is how far its nearest neighbours stand out from the rest. All blocks
together are one matrix product and, for words and letters, a sparse one: no table of all pairs is ever held.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from crosswalk.neighbours import TILE, Product

NEAREST = 10  # neighbours whose distance from the rest is a block's spread
PAIRS = 1 << 15  # pairs whose features are held at once
SAMPLED = 1000  # rows of a that the spread is measured on
ROUNDING = 1e-6  # of the mean: rows nearer to it than that differ by the rounding of float32
NEAR_MEAN = 0.03  # of a sparse row's length: nearer to the mean, its cosines would be lost in the rounding of float32
COMMON = 1 / 200  # share of pairs from which a term costs less as a dense column; measured
COMMON_TERMS = 512  # of them at most, so that they take no more memory than an embedding does
SIDES = ("a", "b")


class Features(NamedTuple):
    """One side of a block: float32 (n, k), and CSR float32 (n, v) or None; a cosine is the sum of both products."""

    dense: np.ndarray
    terms: sparse.csr_matrix | None = None

    def take(self, rows):
        """The same for some rows (a slice or an array of numbers)."""
        return Features(self.dense[rows], None if self.terms is None else self.terms[rows])


class Block(NamedTuple):
    """Features of both sides, by the name of a part: "a" and "b", perhaps also halves "a1", "a2", "b1", "b2".

    means: of sparse rows, side -> float64 (v,), else None. A row that cannot be told from the mean of its side says
    nothing: all its features are 0.
    """

    name: str
    parts: dict
    means: dict | None = None

    @property
    def width(self):
        """Number of columns."""
        side = self.parts["a"]
        return side.dense.shape[1] if side.terms is None else side.terms.shape[1]


def dense_block(name, parts, *, soften=0.0):
    """A block of dense features.

    parts: name of a part -> (n, d) array, all of one width; "a" and "b" give the means that each side's parts are
    centred on. soften: added to the squared length of a row before it is brought to length 1, for blocks of few
    columns, in which a row near the mean should not count as much as one far out.
    """
    means = {side: np.mean(parts[side], axis=0, dtype=np.float64) for side in SIDES}
    found = {}
    for part, rows in parts.items():
        mean = means[part[0]]
        centred = np.asarray(rows, dtype=np.float64) - mean
        squares = np.einsum("ij,ij->i", centred, centred)
        known = np.sqrt(squares) > ROUNDING * np.abs(mean).max(initial=0.0) * np.sqrt(len(mean))
        centred *= np.divide(1, np.sqrt(squares + soften), out=np.zeros_like(squares), where=known)[:, None]
        found[part] = Features(centred.astype(np.float32))
    return Block(name, found)


def sparse_block(name, parts):
    """A block of sparse features, such as tf-idf rows; centred without being filled.

    parts: name of a part -> CSR (n, v). With unit rows u = (x - mean_a) / |x - mean_a| the product of two rows is a
    sparse product and three dense columns. A row without a term, or next to the mean, says nothing.
    """
    means = {side: np.asarray(parts[side].mean(axis=0, dtype=np.float64)).ravel() for side in SIDES}
    return Block(name, {part: sparse_features(rows, means, side=part[0]) for part, rows in parts.items()}, means)


def sparse_features(rows, means, *, side):
    """The Features of one side of a sparse block: CSR (n, v) raw rows, both sides' means, "a" or "b"."""
    own, other = means[side], means["b" if side == "a" else "a"]
    exact = rows.astype(np.float64)
    squares = np.asarray(exact.multiply(exact).sum(axis=1)).ravel()
    # (x * y).sum() and not x @ y: the order of BLAS's sum depends on its threads
    most = squares + (own * own).sum()
    distance = np.maximum(most - 2 * (exact @ own), 0)
    known = (distance > NEAR_MEAN**2 * most) & (squares > 0)
    scale = np.divide(1, np.sqrt(distance), out=np.zeros_like(distance), where=known)
    exact.data *= np.repeat(scale, np.diff(exact.indptr))
    scaled = exact.astype(np.float32)
    scaled.eliminate_zeros()
    towards = -(exact @ other)
    across = float((own * other).sum())
    columns = (towards, scale, scale * across) if side == "a" else (scale, towards, scale)
    return Features(np.column_stack(columns).astype(np.float32), scaled)


def query_block(parts, phrases):
    """A block of query phrases: how far each row lies towards each phrase, in standard deviations of its side.

    parts: name of a part -> (n, d) embeddings; phrases: list of (weight, vector (d_a,) or None, vector (d_b,) or None)
    for the two sides. A side without a vector stays neutral: its column is 0 in every row. Returns (Block, weight); the
    block's weight is that of its phrases, the mean weighted by itself, so that a phrase of weight 0 changes nothing.
    Raises ValueError if no phrase has a weight above 0.
    """
    phrases = [phrase for phrase in phrases if phrase[0] > 0]
    if not phrases:
        raise ValueError("no phrase has a weight above 0")
    weights = np.array([weight for weight, *_ in phrases], dtype=np.float64)
    sizes = np.sqrt(weights / weights.max())
    cosines = {
        part: np.column_stack([_towards(rows, phrase[1 + SIDES.index(part[0])]) for phrase in phrases])
        for part, rows in parts.items()
    }
    found = {}
    for part, columns in cosines.items():
        found[part] = _standardise(columns, cosines[part[0]]) * sizes
    block = dense_block("queries", found, soften=1.0)
    return block, float((weights**2).sum() / weights.sum())


def strongest(rows):
    """For each row of an (n, k) array the column in which it stands out most from the other rows of its side.

    int (n,); of equals the first column, and so 0 where no column tells one row from another.
    """
    rows = np.asarray(rows, dtype=np.float64)
    return np.argmax(_standardise(rows, rows), axis=1)


class Combined:
    """The `Scores` of several blocks: sum of coefficient x cosine.

    blocks: list of Block; coefficients: one number for each; a, b: names of the parts compared.
    shape: (n, m). A coefficient of 0 is the same as no block; ValueError if no other is left.
    Terms that many rows hold are multiplied as dense columns, which is where a sparse product would lose its time.
    """

    def __init__(self, blocks, coefficients, *, a="a", b="b"):
        self.blocks = [(block, c) for block, c in zip(blocks, coefficients, strict=True) if c]
        if not self.blocks:
            raise ValueError("every coefficient is 0")
        self.sides = a, b
        left, right = ([block.parts[part] for block, _ in self.blocks] for part in self.sides)
        dense, self._sparse = [], []
        for one, other, (_, coefficient) in zip(left, right, self.blocks, strict=True):
            factor = np.float32(coefficient)
            dense.append((one.dense * factor, other.dense))
            if one.terms is not None:
                common, terms = _part_common(one.terms * factor, other.terms)
                dense.append(common)
                self._sparse.append((terms[0], terms[1].T.tocsr()))
        self._dense = Product(*(np.hstack(columns) for columns in zip(*dense, strict=True)))
        self.shape = self._dense.shape

    def rows(self, start, stop):
        """Scores of some rows of a with every row of b; float32 (stop - start, m)."""
        scores = self._dense.rows(start, min(stop, self.shape[0]))
        for left, right in self._sparse:
            for first in range(0, len(scores), TILE):  # a few rows at a time: the product is held twice
                part = scores[first : first + TILE]
                part += (left[start + first : start + first + len(part)] @ right).toarray()
        return scores

    def pairs(self, i, j):
        """What each block adds to the score of pairs of rows; dict of name to float64 (pairs,)."""
        i, j = np.asarray(i), np.asarray(j)
        found = {block.name: np.empty(len(i)) for block, _ in self.blocks}
        for start in range(0, len(i), PAIRS):
            part = slice(start, start + PAIRS)
            for block, coefficient in self.blocks:
                one, other = block.parts[self.sides[0]].take(i[part]), block.parts[self.sides[1]].take(j[part])
                cosine = np.einsum("ij,ij->i", one.dense, other.dense, dtype=np.float64)
                if one.terms is not None:
                    cosine += np.asarray(one.terms.multiply(other.terms).sum(axis=1), dtype=np.float64).ravel()
                found[block.name][part] = coefficient * cosine
        return found


class Levelled:
    """Scores in which rows of the same group go before all others, level by level, and poor pairs after all.

    scores: a `Scores`; groups: list of (int (n,), int (m,)), the first level first; step: more than two scores can
    differ by, and more than any score; floor: pairs whose score is below it rank after every other, all alike; it may
    be infinite. A pair that shares the groups of the first k levels has k steps more than its score.
    """

    def __init__(self, scores, groups, *, step, floor=None):
        self.scores, self.groups, self.shape = scores, groups, scores.shape
        self.step, self.floor = np.float32(step), floor
        self._poor = None if floor is None else np.float32(min(floor, step) - step)  # below all, finite in any case

    def rows(self, start, stop):
        """Scores of some rows of a with every row of b; float32 (stop - start, m)."""
        scores = self.scores.rows(start, stop)
        poor = None if self.floor is None else scores < self.floor
        shared, part = True, slice(start, start + len(scores))
        for a, b in self.groups:
            shared = shared & (a[part, None] == b[None, :])
            scores = scores + self.step * shared
        return scores if poor is None else np.where(poor, self._poor, scores)

    def depth(self, i, j):
        """Leading levels that pairs of rows share; int (pairs,)."""
        i, j = np.asarray(i), np.asarray(j)
        shared = np.ones(len(i), dtype=bool)
        found = np.zeros(len(i), dtype=np.intp)
        for a, b in self.groups:
            shared &= a[i] == b[j]
            found += shared
        return found


def spread(block):
    """How far a block's nearest neighbours stand out: mean cosine of the nearest ten less the mean of all.

    Measured on up to a thousand rows of a, among the rows of which the block says something; where these are few, the
    nearest tenth of them stands for the nearest ten. 0 for a block that tells no row from another.
    """
    known = {side: np.flatnonzero(block.parts[side].dense.any(axis=1)) for side in SIDES}
    m = len(known["b"])
    if not len(known["a"]) or m < 2:
        return 0.0
    known["a"] = known["a"][evenly(len(known["a"]), SAMPLED)]
    said = block._replace(parts={side: block.parts[side].take(known[side]) for side in SIDES})
    rows = Combined([said], [1.0]).rows(0, len(known["a"]))
    k = max(1, min(NEAREST, m // NEAREST))
    nearest = np.partition(rows, m - k, axis=1)[:, m - k :]
    found = float(nearest.mean(dtype=np.float64) - rows.mean(dtype=np.float64))
    return found if found > 1e-6 else 0.0


def evenly(n, count):
    """At most `count` of the numbers below n, as evenly apart as they can be; int, in ascending order."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.intp))


def _part_common(left, right):
    """Take the terms that most pairs share out of two CSR matrices: two dense arrays, and what is left of the two."""
    (n, width), m = left.shape, right.shape[0]
    pairs = np.bincount(left.indices, minlength=width) * np.bincount(right.indices, minlength=width)
    common = np.argsort(-pairs, kind="stable")[:COMMON_TERMS]
    common = np.sort(common[pairs[common] > COMMON * n * m])
    dense = tuple(matrix[:, common].toarray() for matrix in (left, right))
    return dense, tuple(_without(matrix, common) for matrix in (left, right))


def _without(matrix, columns):
    dropped = np.zeros(matrix.shape[1], dtype=bool)
    dropped[columns] = True
    rest = matrix.copy()
    rest.data[dropped[rest.indices]] = 0
    rest.eliminate_zeros()
    return rest


def _standardise(columns, side):
    """Columns in standard deviations of their side; those that are the same in all of its rows become 0."""
    mean, deviation = side.mean(axis=0), side.std(axis=0)
    known = deviation > 1e-9 * np.abs(side).max(axis=0, initial=0.0)
    return np.divide(columns - mean, deviation, out=np.zeros(columns.shape), where=known)


def _towards(rows, vector):
    """Cosine of each row with a vector; 0 for all if there is none."""
    rows = np.asarray(rows, dtype=np.float64)
    if vector is None:
        return np.zeros(len(rows))
    vector = np.asarray(vector, dtype=np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows) * (vector * vector).sum())
    # einsum and not @: the order of BLAS's sum depends on its threads
    return np.einsum("ij,j->i", rows, vector) / np.where(length > 0, length, 1)
