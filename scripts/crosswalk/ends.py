"""The two ends of a trait: the items at the bottom and at the top of its scores, and their texts."""

import numpy as np
import pandas as pd

FIFTH = 5  # a trait's two ends are the top and bottom fifth of the items


def mean_shift(embeddings, scores):
    """Unit direction (d,) from the mean of the bottom fifth to the mean of the top fifth of the items by score."""
    low, high = fifths(scores)
    shift = embeddings[high].mean(0) - embeddings[low].mean(0)
    norm = np.linalg.norm(shift)
    return shift / norm if norm > 0 else shift


def fifths(scores):
    """Boolean masks of the bottom and the top fifth of the items by score; ties go by position."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    size = max(len(scores) // FIFTH, 1)
    return ranks < size, ranks >= len(scores) - size


def end_texts(scores, direction, ids, texts, embeddings, groups, items, *, count):
    """The texts that show a trait best: for each of the outermost items, its row furthest along the trait.

    scores: (n,) of the items; direction: (d,); ids, texts, groups: N rows; embeddings: (N, d) rows; items: n ids.
    A text that was shown already is passed over, and its item too if it has no other.
    Returns a DataFrame with end ("high", "low"), rank (from 1), item, id, score, text.
    """
    along = np.asarray(embeddings) @ direction
    members = pd.Series(np.arange(len(ids))).groupby(np.asarray(groups), sort=False).indices
    order = np.argsort(-np.asarray(scores), kind="stable")
    found = []
    for end, outermost, sign in (("high", order, 1), ("low", order[::-1], -1)):
        shown = set()
        for item in outermost:
            own = members[items[item]]
            own = own[np.argsort(-sign * along[own], kind="stable")]
            row = next((row for row in own if texts[row] not in shown), None)
            if row is None:
                continue
            shown.add(texts[row])
            found.append((end, len(shown), items[item], ids[row], float(scores[item]), texts[row]))
            if len(shown) == count:
                break
    return pd.DataFrame(found, columns=["end", "rank", "item", "id", "score", "text"])
