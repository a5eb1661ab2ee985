"""Halves of texts: two independent readings of a row, by which a matching can be checked without knowing the truth.

If the halves of one text, each alone, lead to the same partner, what they were compared by is about the row; if they
lead to different ones, it is about chance. This is split-half reliability (Spearman, 1910) of a nearest neighbour.
"""

import hashlib
import re

import numpy as np
import pandas as pd

SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
CHECKED = 1 / 3  # of the rows, at most, are kept for the check
COLUMNS = ["id", "first", "second"]
CHECK, BRIDGE = "check", "bridge"  # what a text is split for
LEAST_WORDS = 2  # of a half; shorter ones say too little to look for a partner
WORDS_A_PIECE = 4  # where a text has no sentences


def split(text):
    """Every other sentence of a text, and the rest; where that leaves too little, every other four words.

    Returns two strings, or None if one half would be shorter than two words.
    """
    words = text.split()
    size = min(WORDS_A_PIECE, max(1, len(words) // 2))
    sentences = [piece for piece in SENTENCE.split(text) if piece.strip()]
    for pieces in (sentences, [" ".join(words[i : i + size]) for i in range(0, len(words), size)]):
        halves = " ".join(pieces[::2]), " ".join(pieces[1::2])
        if min(len(half.split()) for half in halves) >= LEAST_WORDS:
            return halves
    return None


def draw(ids, texts, *, count, seed):
    """Split a sample of texts, the same whatever the order of the rows.

    ids, texts: n strings; count: texts to split at most. Rows whose text cannot be split are passed over.
    Returns a DataFrame with the columns id, first, second, sorted by id.
    """
    return _table(_drawn(ids, texts, count=count, seed=seed), COLUMNS)


def draw_apart(ids, texts, *, check, bridge, seed):
    """Split texts for two uses, none for both: a bridge fitted on a half would make the halves agree by itself.

    check, bridge: texts for each use, of which the check is served first. It gets a third of all rows at most, since
    topics and codes are learned from the others. The other parameters are those of `draw`. Returns its DataFrame with
    one more column, use: "check" or "bridge".
    """
    check = min(check, int(len(ids) * CHECKED))
    found = _drawn(ids, texts, count=check + bridge, seed=seed)
    rows = [(*row, CHECK if i < check else BRIDGE) for i, row in enumerate(found)]
    return _table(rows, [*COLUMNS, "use"])


def agreement(first, second):
    """How well two readings of the same rows agree on the partner.

    first, second: float (n, m) scores of n rows with the same m candidates.
    Returns (reciprocal rank (n,), same (n,)): the mean of both ways of 1 / rank that the one reading's choice has in
    the other's list, and whether both choose the same. Candidates that tie with the choice count half; a reading to
    which all candidates are equal chooses none, and its row is worth what a tie of all is.
    """
    rows, m = np.arange(len(first)), first.shape[1]
    choices = [np.argmax(scores, axis=1) for scores in (first, second)]
    silent = _silent(first) | _silent(second)
    reciprocal = np.zeros(len(first))
    for scores, choice in ((second, choices[0]), (first, choices[1])):
        own = scores[rows, choice][:, None]
        above, equal = np.count_nonzero(scores > own, axis=1), np.count_nonzero(scores == own, axis=1) - 1
        reciprocal += 0.5 / (1 + above + equal / 2)
    reciprocal[silent] = _tie_of_all(m)
    return reciprocal, (choices[0] == choices[1]) & ~silent


def shuffled(first, second, *, permutations, seed):
    """What `agreement` is worth when the second reading belongs to another row: the null of popular candidates.

    first, second: as in `agreement`, at least two rows.
    Returns the mean reciprocal rank of each permutation, float64 (permutations,); none leaves a row its own.
    """
    rng = np.random.default_rng(seed)
    n = len(first)
    if n < 2:
        raise ValueError(f"{n} rows cannot be given one another's readings; at least 2 are needed")
    choices = [np.argmax(scores, axis=1) for scores in (first, second)]
    worth = [_worth(second, choices[0], _silent(first)), _worth(first, choices[1], _silent(second))]
    found = np.empty(permutations)
    for i in range(permutations):
        # a cyclic shift of a random order leaves no row in its place
        order = rng.permutation(n)
        other = np.empty(n, dtype=np.intp)
        other[order] = np.roll(order, 1)
        found[i] = (worth[0][other, np.arange(n)].mean() + worth[1][np.arange(n), other].mean()) / 2
    return found


def _worth(scores, choices, silent):
    """1 / rank that the choice of each row j would have in the list of each row i; float (n, n).

    silent: rows j that have no choice.
    """
    found = np.empty((len(scores), len(choices)))
    for i, row in enumerate(scores):
        ordered, values = np.sort(row), row[choices]
        above = len(row) - np.searchsorted(ordered, values, side="right")
        equal = len(row) - above - np.searchsorted(ordered, values, side="left") - 1
        found[i] = 1 / (1 + above + equal / 2)
    found[:, silent] = _tie_of_all(scores.shape[1])
    return found


def _drawn(ids, texts, *, count, seed):
    """Tuples of id and halves in the order in which they are drawn, that of seeded hashes of the ids."""
    order = sorted(range(len(ids)), key=lambda i: hashlib.blake2b(f"{seed} {ids[i]}".encode(), digest_size=8).digest())
    found = []
    for i in order:
        if len(found) >= count:
            break
        if halves := split(texts[i]):
            found.append((ids[i], *halves))
    return found


def _table(rows, columns):
    return pd.DataFrame(sorted(rows), columns=columns).astype(object)


def _silent(scores):
    return scores.max(axis=1) == scores.min(axis=1)


def _tie_of_all(m):
    return 1 / (1 + (m - 1) / 2)
