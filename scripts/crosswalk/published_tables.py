"""The tables of a matching as published, in the columns in which the default method writes them.

What the notebook has nothing for is NaN or empty: cosines, chance, shares of blocks, common words and topics, weights.
"""

import numpy as np
import pandas as pd

from crosswalk.match_tables import FIRST, plane
from crosswalk.neighbours import neighbours
from crosswalk.published_match import CUT_OFF, Distances
from crosswalk.topics import topic_table


def tables_from(found, sides, words, *, top, encoding):
    """Every table of a matching as published, by name.

    found: `published_match.Found`; sides: side -> Side; words: of `published_topics.Fits`; top: length of each row's
    list of candidates; encoding: name of the block of codes. Returns a dict of DataFrames: matches, candidates,
    weights, blocks, evaluation, topics, map.
    """
    near = neighbours(Distances(found.distances), k=top)
    return {
        "matches": _matches(found, sides, near),
        "candidates": _candidates(found, sides, near),
        "weights": pd.DataFrame(columns=["agreement", "same", "chosen_from"]),
        "blocks": _blocks(sides["a"], encoding),
        "evaluation": found.evaluation,
        "topics": _topics(sides, words),
        "map": _map(found, sides),
    }


def _matches(found, sides, near):
    """One row for each of a; those that were cut off come last, as they stand last."""
    a, b, partner = sides["a"].ids, sides["b"].ids, found.partner
    rows = np.arange(len(partner))
    own = found.distances[rows, partner]
    others = found.distances.copy()
    others[rows, partner] = np.inf
    choice = 1 + (others < own[:, None]).sum(axis=1)
    left = len(a) - len(rows)
    return pd.DataFrame(
        {
            "a_id": a,
            "b_id": [*b[partner], *[""] * left],
            "score": _padded(-own, left),
            "cosine": np.nan,
            "margin": _padded(others.min(axis=1) - own, left),
            "choice": np.r_[choice, np.zeros(left, np.int64)],
            "mutual": np.r_[(choice == 1) & (near.b_index[partner, 0] == rows), np.zeros(left, bool)],
            "chance": np.nan,
            "terms": "",
            "topic": 0,
            "level": 0,
            "reason": [*[""] * len(rows), *[CUT_OFF] * left],
        }
    )[[*FIRST, "terms", "topic", "level", "reason"]]


def _padded(values, count):
    return np.r_[values, np.full(count, np.nan)]


def _candidates(found, sides, near):
    n, k = near.a_index.shape
    i, j = np.repeat(np.arange(n), k), near.a_index.ravel()
    return pd.DataFrame(
        {
            "a_id": sides["a"].ids[i],
            "rank": np.tile(np.arange(1, k + 1), n),
            "b_id": sides["b"].ids[j],
            "score": -found.distances[i, j],
            "cosine": np.nan,
        }
    )


def _blocks(side, encoding):
    """What stands side by side, as it is: nothing was weighed."""
    widths = {"embedding" if encoding is None else "code": side.codes.shape[1], "topics": side.mixtures.shape[1]}
    return pd.DataFrame(
        {
            "block": list(widths),
            "kind": "dense",
            "weight": 1.0,
            "given": "as published",
            "columns": list(widths.values()),
            "agreement": np.nan,
            "same": np.nan,
        }
    )


def _topics(sides, words):
    """The topics of each side; none has a partner, for the notebook looks for none."""
    tables = [
        topic_table(
            words["topics"][side], coherence=words["coherence"][side], **{f"{side}_mixture": sides[side].mixtures}
        )
        for side in "ab"
    ]
    return pd.concat(tables, ignore_index=True).assign(partner=np.nan, cosine=np.nan)


def _map(found, sides):
    """Both clouds on two principal components, as they are and as aligned; rows that were cut off are not in it."""
    before, after = plane(found.before), plane([found.aligned.a, found.aligned.b])
    tables = []
    for side, one, other in zip("ab", before, after, strict=True):
        table = pd.DataFrame({"side": side, "id": sides[side].ids[: len(one)]})
        table[["x_before", "y_before"]], table[["x_after", "y_after"]] = one, other
        table["topic"] = sides[side].mixtures[: len(one)].argmax(axis=1) + 1
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
