"""What chance gives: how near the nearest row is when nobody on the other side is the right one.

The decoys of b are rows that never were: each principal component (each term, of sparse rows) takes its value from
another row of b. They have the spread of b and its values, and nothing that belongs together. A pair is nearer than
chance if its score is seldom reached by the best of as many decoys. The idea is that of target and decoy search in
proteomics (Elias and Gygi, 2007); the list is then cut by the procedure of Benjamini and Hochberg (1995).

What decoys lack is what real rows share by their kind: words that come together, and that speak as the other blocks do.
Their scores are therefore stretched to the spread that the scores with all real rows but the best have. Rows that lie
in tight groups still come nearer to one another than decoys do: what is nearer than chance may be of the right group
without being the right row.
"""

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from crosswalk.blocks import Block, Combined, Features, evenly, sparse_features

SAMPLED = 2000  # rows of a that look among the decoys
LEAST = 500  # best decoys that are wanted where a has fewer rows: a p-value is no finer than their number
DECOYS = 200_000  # made for that at most
OTHERS = 10  # rows of b without which the spread of scores cannot be told
ROUNDS = 5  # of moving terms that a decoy got twice
PARTS = 1 << 22  # scores held at once
ROUNDING = 1e-5  # of the greatest score: scores this near to each other count as equal


def decoys(blocks, *, seed):
    """The blocks with made-up rows in place of b's; parts a and b only.

    seed: an integer or a numpy SeedSequence. Dense blocks are taken apart together, so that those that say the same of
    a row also do of a decoy.
    """
    rng = np.random.default_rng(seed)
    dense = [block.parts["b"].dense for block in blocks if block.parts["b"].terms is None]
    mixed, made = iter(_shuffle_dense(dense, rng) if dense else ()), []
    for block in blocks:
        b = block.parts["b"]
        if b.terms is None:
            b = Features(next(mixed))
        else:
            b = sparse_features(_shuffle_sparse(_raw(b), rng), block.means, side="b")
        made.append(Block(block.name, {"a": block.parts["a"], "b": b}, block.means))
    return made


def null_scores(blocks, coefficients, *, seed):
    """Score of the best decoy for each of up to 2,000 rows of a, sorted; float32 (rows,).

    Where a has fewer than 500 rows each looks among several sets of decoys, so that there are more scores than rows.
    """
    n, m = (len(blocks[0].parts[side].dense) for side in "ab")
    drawn = evenly(n, SAMPLED)
    thin = [block._replace(parts={**block.parts, "a": block.parts["a"].take(drawn)}) for block in blocks]
    real = _tops(Combined(thin, coefficients))
    seeds = np.random.SeedSequence(seed).spawn(max(1, min(-(-LEAST // len(drawn)), DECOYS // m)))
    best = []
    for one in seeds:
        best.append(_stretched(_tops(Combined(decoys(thin, seed=one), coefficients)), real))
    return np.sort(np.concatenate(best)).astype(np.float32)


def chance(scores, null):
    """Share of the rows whose best decoy is at least as near; the p-value of each score; float64, at least 1/(n + 1).

    scores: any number of them; null: (n,) from `null_scores`. Scores that differ by rounding count as equally near.
    """
    slack = ROUNDING * np.abs(null).max(initial=0.0)
    above = len(null) - np.searchsorted(null, np.asarray(scores) - slack, side="left")
    return (above + 1) / (len(null) + 1)


def threshold(best, null, *, level):
    """The score from which pairs are nearer than chance, at a false discovery rate of `level`.

    best: (n,) score of each row's nearest; null: from `null_scores`. Returns infinity if none is nearer than chance.
    """
    values = np.sort(best)[::-1]
    p = chance(values, null)
    kept = np.flatnonzero(p <= level * np.arange(1, len(p) + 1) / len(p))
    return float(values[kept[-1]]) if len(kept) else float("inf")


def _tops(scores):
    """Best score of each row, and mean and deviation of its others (0 if they are few); float64 (n, 3)."""
    (n, m), found = scores.shape, []
    step = max(1, PARTS // m)
    for start in range(0, n, step):
        rows = scores.rows(start, start + step)
        best = rows.max(axis=1).astype(np.float64)
        others = max(m - 1, 1)
        mean = (rows.sum(axis=1, dtype=np.float64) - best) / others
        square = (np.einsum("ij,ij->i", rows, rows, dtype=np.float64) - best**2) / others
        deviation = np.sqrt(np.maximum(square - mean**2, 0)) if others >= OTHERS else np.zeros(len(rows))
        found.append(np.column_stack([best, mean, deviation]))
    return np.concatenate(found)


def _stretched(made, real):
    """Best scores of decoys, brought to the mean and deviation that scores with real rows have."""
    known = (made[:, 2] > ROUNDING * np.abs(made[:, 0])) & (real[:, 2] > 0)
    times = np.divide(real[:, 2], made[:, 2], out=np.ones(len(made)), where=known)
    return np.where(known, real[:, 1] + (made[:, 0] - made[:, 1]) * times, made[:, 0])


def _shuffle_dense(parts, rng):
    """Principal components of arrays (m, k) keep their values in another order of rows, and rows their lengths."""
    with threadpool_limits(1):
        values = np.hstack(parts).astype(np.float64)
        _, axes = np.linalg.eigh(values.T @ values)
        mixed = rng.permuted(values @ axes, axis=0) @ axes.T
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    found = []
    for rows, real in zip(np.hsplit(mixed, ends), np.hsplit(values, ends), strict=True):
        length, own = (np.sqrt(np.einsum("ij,ij->i", part, part)) for part in (rows, real))
        found.append((rows * (own / np.where(length > 0, length, 1))[:, None]).astype(np.float32))
    return found


def _raw(features):
    """The rows that sparse features of b were made of; those that say nothing are empty."""
    scale = features.dense[:, 0]
    terms = features.terms.copy()
    terms.data /= np.repeat(scale, np.diff(terms.indptr))
    return terms


def _shuffle_sparse(rows, rng):
    """Every stored value keeps its column and gets another row; rows keep their number of terms."""
    row = rng.permutation(np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)))
    for _ in range(ROUNDS):  # terms that a row got twice change places with others
        place = row * rows.shape[1] + rows.indices
        order = np.argsort(place, kind="stable")
        twice = order[1:][np.diff(place[order]) == 0]
        if not len(twice):
            break
        moved = np.union1d(twice, rng.integers(len(row), size=len(twice)))
        row[moved] = rng.permutation(row[moved])
    return sparse.csr_matrix((rows.data, (row, rows.indices)), shape=rows.shape)
