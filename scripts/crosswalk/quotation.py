"""Direct quotation of an item in the rows linked to it: runs of words that its text has and hardly another's.

A relation that rests on quoted words says that texts were copied, not that traits go together.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk.duplicates import shingles, words

COMMON = 0.01  # share of the items above which a run of words is a stock phrase
COMMON_ITEMS = 2  # or this many, if that is more
HEADING_WORDS = 30  # a first line of up to this many words, with more below, is a title: to name it is not to quote
LEAK = 0.1  # share of a row's runs that are quoted, from which its item's text has leaked into it
SHOWN = 160  # characters of the longest run that are stored


class Quoted(NamedTuple):
    """For each item: share (n,) of its rows' runs of words that are quoted; leaks (n,) bool, whether a row leaks."""

    share: np.ndarray
    leaks: np.ndarray


def quotations(x_texts, y_texts, owners, *, run=8):
    """What each row quotes from the text of its own item.

    x_texts: n strings; y_texts: N strings; owners: intp (N,), the item of each row; run: words of a shingle, the
    shortest run that counts. A run that the texts of more than a few other items have, or that lies in the title (a
    short first line) of its own, is no quotation.
    Returns a DataFrame of N rows: words (of the row), runs (its shingles), quoted (those that stand in its own item's
    text), share (quoted / runs, 0 without runs), longest (words of the longest common run, 0 or at least `run`) and
    start (how that run begins, "" without one).
    """
    owners = np.asarray(owners, np.intp)
    known = _telling(x_texts, run)
    split = [words(text) for text in y_texts]
    hashes, starts = shingles(split, run)
    counts = np.diff(starts)
    found = np.isin(_pair(np.repeat(owners, counts), hashes), known)
    row = np.repeat(np.arange(len(split)), counts)
    quoted = np.bincount(row[found], minlength=len(split))
    length, first = _longest(found, row, starts, len(split))
    return pd.DataFrame(
        {
            "words": np.array([len(own) for own in split], np.int64),
            "runs": counts.astype(np.int64),
            "quoted": quoted.astype(np.int64),
            "share": quoted / np.maximum(counts, 1),
            "longest": np.where(length > 0, length + run - 1, 0).astype(np.int64),
            "start": [
                " ".join(own[at : at + size + run - 1])[:SHOWN] if size else ""
                for own, at, size in zip(split, first, length, strict=True)
            ],
        }
    )


def by_item(table, items):
    """Quotation for each item.

    table: DataFrame with item, runs, quoted and share; items: n ids. A row leaks that quotes a share of `LEAK` or more:
    one that does is enough to make its item's two sides alike. Returns Quoted.
    """
    position = {item: i for i, item in enumerate(items)}
    own = np.array([position.get(item, -1) for item in table["item"]], np.intp)
    inside = own >= 0
    runs, quoted = (
        np.bincount(own[inside], weights=table[key].to_numpy()[inside], minlength=len(position))
        for key in ("runs", "quoted")
    )
    share = quoted / np.maximum(runs, 1)
    leaking = own[inside & (table["share"].to_numpy() >= LEAK)]
    return Quoted(share, np.bincount(leaking, minlength=len(position)) > 0)


def summary(table, *, run):
    """Counts for people, as a dict for JSON; table: of `quotations`, with item."""
    items = list(dict.fromkeys(table["item"]))
    found, quoting = by_item(table, items), table["quoted"] > 0
    return {
        "run": run,
        "rows": len(table),
        "rows_quoting": int(quoting.sum()),
        "rows_leaking": int((table["share"] >= LEAK).sum()),
        "items": len(items),
        "items_quoted": int((found.share > 0).sum()),
        "items_leaking": int(found.leaks.sum()),
        "leak": LEAK,
        "share": round(float(table["quoted"].sum() / max(table["runs"].sum(), 1)), 6),
        "longest": int(table["longest"].max()) if len(table) else 0,
    }


def _telling(texts, run):
    """Sorted keys of (item, shingle) for the shingles of each text that tell it from the others."""
    hashes, starts = shingles([words(text) for text in texts], run)
    item = np.repeat(np.arange(len(texts)), np.diff(starts))
    place = np.arange(len(hashes)) - starts[:-1][item]
    titled = place + run <= np.array([_heading(text) for text in texts], np.intp)[item]
    keys, at = np.unique(_pair(item, hashes), return_index=True)
    values, held = np.unique(hashes[at], return_counts=True)
    rare = held[np.searchsorted(values, hashes[at])] <= max(COMMON_ITEMS, COMMON * len(texts))
    return np.setdiff1d(keys[rare], np.unique(_pair(item[titled], hashes[titled])), assume_unique=True)


def _heading(text):
    """Number of words of a short first line that others follow, else 0."""
    first, _, rest = text.strip().partition("\n")
    count = len(words(first))
    return count if rest.strip() and count <= HEADING_WORDS else 0


def _pair(items, hashes):
    """One key for an item and a shingle."""
    spread = (items.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return hashes ^ spread


def _longest(found, row, starts, count):
    """For each row the greatest number of quoted shingles in succession (0 for none) and where they start."""
    length, first = np.zeros(count, np.intp), np.zeros(count, np.intp)
    if not len(found):
        return length, first
    new = np.ones(len(found), bool)
    new[1:] = (row[1:] != row[:-1]) | (found[1:] != found[:-1])
    begin = np.flatnonzero(new)
    size = np.diff(np.append(begin, len(found)))
    begin, size = begin[found[begin]], size[found[begin]]
    order = np.lexsort((begin, -size, row[begin]))
    begin, size = begin[order], size[order]
    rows, at = np.unique(row[begin], return_index=True)
    length[rows], first[rows] = size[at], begin[at] - starts[:-1][rows]
    return length, first
