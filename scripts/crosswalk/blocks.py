"""What two collections are compared by: blocks of features, centred on each side, brought to one scale, weighted, added.

A block gives every pair of rows a cosine between what sets each apart from the mean of its own side, so that a constant
added to a side, or a side in another unit, changes nothing. The score of a pair is the sum over blocks of weight x
cosine / spread, where the spread of a block is how far its nearest neighbours stand out from the rest. All blocks
together are one matrix product and, for words, a sparse one: no table of all pairs is ever held.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from crosswalk.neighbours import Product

NEAREST = 10  # neighbours whose distance from the rest is a block's spread
PAIRS = 1 << 15  # pairs whose features are held at once
SAMPLED = 1000  # rows of a that the spread is measured on
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

    means: of sparse rows, side -> float64 (v,), else None.
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
        centred = np.asarray(rows, dtype=np.float64) - means[part[0]]
        noise = 1e-6 * (np.abs(means[part[0]]).max(initial=0.0) + 1e-30)
        length = np.sqrt((centred**2).sum(axis=1) + soften)
        known = np.sqrt((centred**2).sum(axis=1)) > noise * np.sqrt(centred.shape[1])
        scaled = np.divide(centred, length[:, None], out=np.zeros_like(centred), where=known[:, None])
        found[part] = Features(np.ascontiguousarray(scaled, dtype=np.float32))
    return Block(name, found)


def sparse_block(name, parts):
    """A block of sparse features, such as tf-idf rows; centred without being filled.

    parts: name of a part -> CSR (n, v). With unit rows u = (x - mean_a) / |x - mean_a| the product of two rows is a
    sparse product and three dense columns.
    """
    means = {side: np.asarray(parts[side].mean(axis=0), dtype=np.float64).ravel() for side in SIDES}
    return Block(name, {part: sparse_features(rows, means, side=part[0]) for part, rows in parts.items()}, means)


def sparse_features(rows, means, *, side):
    """The Features of one side of a sparse block: CSR (n, v) raw rows, both sides' means, "a" or "b"."""
    own, other = means[side], means["b" if side == "a" else "a"]
    squares = np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()
    length = np.sqrt(np.maximum(squares - 2 * (rows @ own) + own @ own, 0))
    empty = (length < 1e-6) | (np.diff(rows.indptr) == 0)  # a row without a term says nothing
    scale = np.where(empty, 0, 1 / np.where(empty, 1, length))
    scaled = sparse.csr_matrix(sparse.diags(scale) @ rows, dtype=np.float32)
    towards = -(scaled @ other)
    across = float(own @ other)
    columns = (towards, scale, scale * across) if side == "a" else (scale, towards, scale)
    return Features(np.column_stack(columns).astype(np.float32), scaled)


def query_block(parts, phrases):
    """A block of query phrases: how far each row lies towards each phrase, in standard deviations of its side.

    parts: name of a part -> (n, d) embeddings; phrases: list of (weight, vector (d_a,) or None, vector (d_b,) or None)
    for the two sides. A side without a vector stays neutral: its column is 0 in every row. Returns (Block, weight); the
    block's weight is that of its phrases, the mean weighted by itself, so that a phrase of weight 0 changes nothing.
    """
    phrases = [phrase for phrase in phrases if phrase[0] > 0]
    weights = np.array([weight for weight, *_ in phrases], dtype=np.float64)
    sizes = np.sqrt(weights / weights.max())
    cosines = {
        part: np.column_stack([_towards(rows, phrase[1 + SIDES.index(part[0])]) for phrase in phrases])
        for part, rows in parts.items()
    }
    found = {}
    for part, columns in cosines.items():
        side = cosines[part[0]]
        deviation = side.std(axis=0)
        columns = np.where(
            deviation > 1e-9, (columns - side.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1), 0
        )
        found[part] = columns * sizes + 0.0
    block = dense_block("queries", found, soften=1.0)
    return block, float((weights**2).sum() / weights.sum())


def strongest(rows):
    """For each row of an (n, k) array the column in which it stands out most from the other rows of its side."""
    rows = np.asarray(rows, dtype=np.float64)
    deviation = rows.std(axis=0)
    return np.argmax((rows - rows.mean(axis=0)) / np.where(deviation > 1e-12, deviation, np.inf), axis=1)


class Combined:
    """The `Scores` of several blocks: sum of coefficient x cosine.

    blocks: list of Block; coefficients: one number for each; a, b: names of the parts compared.
    shape: (n, m). A coefficient of 0 is the same as no block.
    """

    def __init__(self, blocks, coefficients, *, a="a", b="b"):
        self.blocks = [(block, c) for block, c in zip(blocks, coefficients, strict=True) if c]
        if not self.blocks:
            raise ValueError("every coefficient is 0")
        self.sides = a, b
        left, right = ([block.parts[part] for block, _ in self.blocks] for part in self.sides)
        factors = [np.float32(c) for _, c in self.blocks]
        self._dense = Product(
            np.hstack([side.dense * c for side, c in zip(left, factors, strict=True)]),
            np.hstack([side.dense for side in right]),
        )
        self._sparse = [
            (one.terms * c, other.terms.T.tocsr())
            for one, other, c in zip(left, right, factors, strict=True)
            if one.terms is not None
        ]
        self.shape = self._dense.shape

    def rows(self, start, stop):
        """Scores of some rows of a with every row of b; float32 (stop - start, m)."""
        scores = self._dense.rows(start, min(stop, self.shape[0]))
        for left, right in self._sparse:
            scores += (left[start:stop] @ right).toarray()
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
    differ by; floor: pairs whose score is below it rank after every other. A pair that shares the groups of the first k
    levels has k steps more than its score.
    """

    def __init__(self, scores, groups, *, step, floor=None):
        self.scores, self.groups, self.shape = scores, groups, scores.shape
        self.step, self.floor = np.float32(step), floor

    def rows(self, start, stop):
        """Scores of some rows of a with every row of b; float32 (stop - start, m)."""
        scores = self.scores.rows(start, stop)
        poor = None if self.floor is None else scores < self.floor
        shared, part = True, slice(start, start + len(scores))
        for a, b in self.groups:
            shared = shared & (a[part, None] == b[None, :])
            scores = scores + self.step * shared
        return scores if poor is None else np.where(poor, self.floor - self.step, scores).astype(np.float32)

    def depth(self, i, j):
        """Leading levels that pairs of rows share; int (pairs,)."""
        shared = np.ones(len(i), dtype=bool)
        found = np.zeros(len(i), dtype=np.intp)
        for a, b in self.groups:
            shared &= a[i] == b[j]
            found += shared
        return found


def spread(block):
    """How far a block's nearest neighbours stand out: mean cosine of the nearest ten less the mean of all.

    Measured on up to a thousand rows of a. 0 for a block that tells no row from another.
    """
    n = len(block.parts["a"].dense)
    drawn = np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.intp))
    rows = Combined([block._replace(parts={**block.parts, "a": block.parts["a"].take(drawn)})], [1.0]).rows(0, n)
    m = rows.shape[1]
    k = min(NEAREST, m)
    nearest = np.partition(rows, m - k, axis=1)[:, m - k :]
    found = float(nearest.mean(dtype=np.float64) - rows.mean(dtype=np.float64))
    return found if found > 1e-6 else 0.0


def _towards(rows, vector):
    rows = np.asarray(rows, dtype=np.float64)
    if vector is None:
        return np.zeros(len(rows))
    length = np.linalg.norm(rows, axis=1)
    return rows @ np.asarray(vector, dtype=np.float64) / np.where(length > 0, length, 1)
