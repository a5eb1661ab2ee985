"""What chance gives: how near the nearest row is when nobody on the other side is the right one.

The decoys of b are rows that never were: each principal component (each term, of sparse rows) takes its value from
another row of b. They have the spread of b and its values, and nothing that belongs together. A pair is nearer than
chance if its score is seldom reached by the best of as many decoys. The idea is that of target and decoy search in
proteomics (Elias and Gygi, 2007); the list is then cut by the procedure of Benjamini and Hochberg (1995).
"""

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from crosswalk.blocks import Block, Combined, Features, sparse_features

SAMPLED = 2000  # rows of a that look among the decoys
PARTS = 1 << 22  # scores held at once


def decoys(block, *, seed):
    """The block with made-up rows in place of b's; parts a and b only."""
    rng = np.random.default_rng(seed)
    b = block.parts["b"]
    if b.terms is None:
        made = Features(_shuffle_dense(b.dense, rng))
    else:
        made = sparse_features(_shuffle_sparse(_raw(b), rng), block.means, side="b")
    return Block(block.name, {"a": block.parts["a"], "b": made}, block.means)


def null_scores(blocks, coefficients, *, seed):
    """Score of the best decoy for each of up to 2,000 rows of a, sorted; float32 (rows,)."""
    n = len(blocks[0].parts["a"].dense)
    drawn = np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.intp))
    made = [decoys(block, seed=seed + 1000 * i) for i, block in enumerate(blocks)]
    thin = [block._replace(parts={**block.parts, "a": block.parts["a"].take(drawn)}) for block in made]
    scores = Combined(thin, coefficients)
    step = max(1, PARTS // scores.shape[1])
    best = [scores.rows(start, start + step).max(axis=1) for start in range(0, len(drawn), step)]
    return np.sort(np.concatenate(best))


def chance(scores, null):
    """Share of the rows whose best decoy is at least as near; the p-value of each score; float64, at least 1/(n + 1)."""
    above = len(null) - np.searchsorted(null, scores, side="left")
    return (above + 1) / (len(null) + 1)


def threshold(best, null, *, level):
    """The score from which pairs are nearer than chance, at a false discovery rate of `level`.

    best: (n,) score of each row's nearest; null: from `null_scores`. Returns infinity if none is nearer than chance.
    """
    values = np.sort(best)[::-1]
    p = chance(values, null)
    kept = np.flatnonzero(p <= level * np.arange(1, len(p) + 1) / len(p))
    return float(values[kept[-1]]) if len(kept) else float("inf")


def _shuffle_dense(rows, rng):
    if not rows.any():
        return rows
    with threadpool_limits(1):
        values = rows.astype(np.float64)
        _, axes = np.linalg.eigh(values.T @ values)
        scores = values @ axes
    mixed = np.column_stack([column[rng.permutation(len(column))] for column in scores.T]) @ axes.T
    # as long as real rows are, whatever the mixture made of them
    length = np.linalg.norm(mixed, axis=1)
    own = np.linalg.norm(values, axis=1)
    return (mixed * (own / np.where(length > 0, length, 1))[:, None]).astype(np.float32)


def _raw(features):
    """The rows that sparse features were made of."""
    scale = features.dense[:, 0]
    return sparse.csr_matrix(
        sparse.diags(np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)) @ features.terms
    )


def _shuffle_sparse(rows, rng):
    """Every stored value keeps its column; which row it stands in is shuffled, so that rows keep their number of terms."""
    own = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return sparse.csr_matrix((rows.data, (rng.permutation(own), rows.indices)), shape=rows.shape)
