"""Two sides ready to be compared: their rows in the order of their ids, and the blocks made of them."""

import logging
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from crosswalk.blocks import dense_block, query_block, sparse_block, spread, strongest
from crosswalk.description import cluster
from crosswalk.errors import UserError
from crosswalk.procrustes import unit
from crosswalk.terms import letter_rows, word_rows

logger = logging.getLogger(__name__)

HALVES = ("1", "2")
CLUSTERS = 16  # of the level of that name: as many as topics by default


@dataclass
class Side:
    """One collection as `match` compares it; row i is the same row everywhere, rows stand in the order of their ids.

    ids, texts: n str; order: (n,), numbers of these rows in the collection; vectors: (n, d) as embedded; aligned:
    (n, e) in the space that both sides share; topics: (n, k) mixtures of shared topics; codes: (n, u) or None; halves:
    name of a kind ("texts", "vectors", "aligned", "topics", "codes") -> the same of the first and of the second halves
    of some texts.
    """

    ids: np.ndarray
    texts: list
    order: np.ndarray
    vectors: np.ndarray
    aligned: np.ndarray
    topics: np.ndarray
    codes: np.ndarray | None = None
    halves: dict = field(default_factory=dict)

    @property
    def back(self):
        """Takes an array of these rows back to the collection's order; (n,) numbers of rows."""
        return np.argsort(self.order)


class Made(NamedTuple):
    """blocks, spreads: by name; query_weight: of the block "queries"; words: v strings; held: side -> CSR (n, v)."""

    blocks: dict
    spreads: dict
    query_weight: float
    words: list
    held: dict


def order_of(ids):
    """Row numbers in the order of the ids, so that the order in a file changes nothing."""
    return np.argsort(np.asarray(ids, dtype=str), kind="stable")


def centred(rows):
    """Unit rows about the mean of their side; float64 (n, d), in which a large constant added to a side cancels."""
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows - rows.mean(axis=0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def blocks_of(a, b, *, wanted, queries=(), key="match"):
    """The blocks of two sides, with parts for the halves of their texts where there are any.

    wanted: names among embedding, code, topics, words, characters; queries: list of (weight, vector or None of a,
    vector or None of b); key: of the config, for errors. A block that tells no row from another is left out, with a
    warning. Returns Made. Raises UserError if a side has one row only, or if no block is left.
    """
    for name, side in (("a", a), ("b", b)):
        if len(side.ids) < 2:
            raise UserError(
                f"{key}.{name}: the collection has one row only; rows are compared by what sets each apart from the "
                "others of its side. Give it two rows or more."
            )
    made, weight = {}, 0.0
    for name, kind in (("embedding", "aligned"), ("code", "codes"), ("topics", "topics")):
        if name in wanted:
            made[name] = dense_block(name, _parts(a, b, kind))
    rows, words = word_rows(*_texts(a, b))  # also told as reasons, so made even where they do not count
    if "words" in wanted:
        made["words"] = sparse_block("words", _cut(rows, a, b))
    if "characters" in wanted:
        made["characters"] = sparse_block("characters", _cut(letter_rows(*_texts(a, b)), a, b))
    if any(size > 0 for size, *_ in queries):
        made["queries"], weight = query_block(_parts(a, b, "vectors"), queries)
    scales = {name: spread(block) for name, block in made.items()}
    for name in [name for name, scale in scales.items() if not scale]:
        logger.warning("%s tell no row from another and are left out", name)
        del made[name], scales[name]
    if not made:
        raise UserError(
            f"{key}: nothing tells one row of the {len(a.ids)} and {len(b.ids)} from another. "
            "See that the texts differ, and that a weight above 0 is given to something that they differ in."
        )
    held = {side: rows for side, rows in _cut(rows, a, b).items() if side in "ab"}
    return Made(made, scales, weight if "queries" in made else 0.0, words, held)


def level_groups(a, b, levels, *, queries=(), seed=0, key="match"):
    """Groups that rows of both sides belong to, level by level: list of (int (n,), int (m,)).

    levels: among "queries", "topics" and "clusters"; a row belongs to the phrase, or topic, in which it stands out most
    from its own side, or to its cluster among the aligned rows of both sides; seed: of k-means; key: of the config, for
    errors. Raises UserError where there are fewer than two groups to belong to.
    """
    made = {"queries": _by_queries, "topics": _by_topics, "clusters": _by_clusters}
    found = []
    for level in levels:
        groups, cure = made[level](a, b, queries, seed)
        if groups is None:
            raise UserError(f"{key}.recursion: {level} puts all rows into one group. {cure}, or take {level} out.")
        logger.info("%s: %d groups matched first", level, len(np.unique(np.concatenate(groups))))
        found.append(groups)
    return found


def _by_queries(a, b, queries, seed):
    both = [phrase for phrase in queries if phrase[0] > 0 and phrase[1] is not None and phrase[2] is not None]
    if len(both) < 2:
        return None, "Give two queries or more that have a weight and a phrase for either side"
    return tuple(_towards(side, [phrase[i] for phrase in both]) for i, side in ((1, a), (2, b))), None


def _by_topics(a, b, queries, seed):
    if a.topics.shape[1] < 2:
        return None, "Lower topics.floor, so that more topics are paired"
    return (strongest(a.topics), strongest(b.topics)), None


def _by_clusters(a, b, queries, seed):
    together = np.vstack([centred(side.aligned) for side in (a, b)])
    found = cluster(together, clusters=CLUSTERS, seed=seed) - 1
    if found.max() < 1:
        return None, "The embeddings are all the same"
    return (found[: len(a.ids)], found[len(a.ids) :]), None


def _towards(side, phrases):
    return strongest(unit(side.vectors) @ np.array(phrases, dtype=np.float64).T)


def _parts(a, b, kind):
    """Name of a part -> array, of both sides and of the halves of both, if there are any."""
    parts = {"a": getattr(a, kind), "b": getattr(b, kind)}
    for name, side in (("a", a), ("b", b)):
        for number, half in zip(HALVES, side.halves.get(kind, ()), strict=False):
            parts[name + number] = half
    return parts


def _texts(a, b):
    """All texts of both sides, and the lists of halves."""
    halves = [half for side in (a, b) for half in side.halves.get("texts", ())]
    return [*a.texts, *b.texts], halves


def _cut(matrices, a, b):
    """Sparse rows, made of `_texts`, as parts."""
    both, *halves = matrices
    parts = {"a": both[: len(a.texts)], "b": both[len(a.texts) :]}
    names = [name + number for name, side in (("a", a), ("b", b)) if side.halves.get("texts") for number in HALVES]
    return parts | dict(zip(names, halves, strict=True))
