"""The tables of a matching as people read them: ids instead of row numbers, in the order of the collections."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from crosswalk.terms import shared_words
from crosswalk.topics import topic_table

FIRST = ["a_id", "b_id", "score", "cosine", "margin", "choice", "mutual", "chance"]
CLEAR = 1.5  # times an even share that both rows must have of the topic they are said to share


def tables_from(found, sides, rows, study):
    """Every table of a matching, by name.

    found: `match_study.Found`; sides: side -> Side; rows: side -> table of the collection; study: `match_study.Study`.
    Returns a dict of DataFrames: matches, candidates, weights, blocks, evaluation, topics, map. The first two and the
    map are empty where nothing can be told.
    """
    tables = {
        "weights": found.weighting.tried,
        "blocks": found.blocks,
        "evaluation": found.evaluation,
        "topics": _topics(sides, study),
        "matches": _matches(found, sides),
        "candidates": _candidates(found, sides),
        "map": _map(found, sides),
    }
    if not found.diagnostics["identifiable"]:
        tables |= {name: tables[name].iloc[:0] for name in ("matches", "candidates", "map")}
    return tables


def _matches(found, sides):
    a, b = sides["a"], sides["b"]
    table = found.matched.matches.iloc[a.back].reset_index(drop=True)
    i, j = table.pop("a").to_numpy(), table.pop("b").to_numpy()
    has = j >= 0
    shown = np.where(has, j, 0)
    table["a_id"], table["b_id"] = a.ids[i], np.where(has, b.ids[shown], "")
    table["cosine"] = _cosine(a, b, i, shown)
    table.loc[~has, ["cosine", "margin"]] = np.nan
    held = found.made.held
    words = shared_words(held["a"][i], held["b"][shown], found.made.words)
    table["terms"] = [", ".join(own) if matched else "" for own, matched in zip(words, has, strict=True)]
    table["topic"] = np.where(has, _shared_topic(a.topics[i], b.topics[shown]), 0)
    shares = [column for column in table if column.startswith("share_")]
    return table[[*FIRST, *shares, "terms", "topic", "level", "reason"]]


def _candidates(found, sides):
    a, b = sides["a"], sides["b"]
    table = found.matched.candidates
    i, j = table["a"].to_numpy(), table["b"].to_numpy()
    told = table.drop(columns=["a", "b"]).assign(a_id=a.ids[i], b_id=b.ids[j], cosine=_cosine(a, b, i, j))
    told = told.iloc[np.lexsort((told["rank"], a.order[i]))].reset_index(drop=True)
    shares = [column for column in told if column.startswith("share_")]
    return told[["a_id", "rank", "b_id", "score", "cosine", *shares]]


def _cosine(a, b, i, j):
    """Cosine of the centred embeddings of pairs."""
    one, other = (_centred(side.aligned) for side in (a, b))
    return np.einsum("ij,ij->i", one[i], other[j])


def _shared_topic(a, b):
    """The topic that both rows of each pair have most of, from 1; 0 where they share none clearly."""
    if not a.shape[1]:
        return np.zeros(len(a), dtype=np.int64)
    both = np.minimum(a, b)
    best = both.argmax(axis=1)
    clear = both[np.arange(len(both)), best] >= min(CLEAR / a.shape[1], 0.5)
    return np.where(clear, best + 1, 0)


def _topics(sides, study):
    words, mixtures = study.words, {side: sides[side].topics for side in "ab"}
    if study.pairs is None:
        return topic_table(
            words["topics"]["both"], coherence=words["coherence"]["both"],
            a_mixture=mixtures["a"], b_mixture=mixtures["b"],
        )  # fmt: skip
    tables = []
    for place, side in enumerate("ab"):
        table = topic_table(words["topics"][side], coherence=words["coherence"][side]).assign(side=side)
        partner = {pair[place] + 1: pair[1 - place] + 1 for pair in study.pairs}
        cosine = {pair[place] + 1: pair.cosine for pair in study.pairs}
        table["partner"] = table["topic"].map(partner)
        table["cosine"] = table["topic"].map(cosine)
        shares = mixtures[side].mean(axis=0)
        own = {pair[place] + 1: float(share) for pair, share in zip(study.pairs, shares, strict=True)}
        table[f"share_{side}"] = table["topic"].map(own)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _map(found, sides):
    """Both clouds on two principal axes, as embedded and as compared."""
    before, after = (
        _plane([side.vectors for side in sides.values()]),
        _plane([_centred(s.aligned) for s in sides.values()]),
    )
    tables = []
    for name, side, one, other in zip("ab", sides.values(), before, after, strict=True):
        table = pd.DataFrame({"side": name, "id": side.ids})
        table[["x_before", "y_before"]], table[["x_after", "y_after"]] = one, other
        table["topic"] = side.topics.argmax(axis=1) + 1 if side.topics.shape[1] else 0
        for level, groups in enumerate(getattr(found.matched.scores, "groups", ())):
            table[f"level_{level}"] = groups["ab".index(name)] + 1
        tables.append(table.iloc[side.back])
    return pd.concat(tables, ignore_index=True)


def _plane(clouds):
    """Two principal axes of the clouds together; of each alone where their spaces differ."""
    if clouds[0].shape[1] != clouds[1].shape[1]:
        return [_plane([cloud, cloud[:0]])[0] for cloud in clouds]
    together = np.vstack(clouds).astype(np.float64)
    mean = together.mean(axis=0)
    with threadpool_limits(1):
        _, axes = np.linalg.eigh((together - mean).T @ (together - mean))
        axes = axes[:, ::-1][:, :2]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return [(cloud.astype(np.float64) - mean) @ axes for cloud in clouds]


def _centred(rows):
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows - rows.mean(axis=0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)
