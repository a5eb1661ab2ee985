"""The tables of a matching as people read them: ids instead of row numbers, in the order of the collections."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from crosswalk.comparison import centred
from crosswalk.terms import shared_words
from crosswalk.topics import topic_table

FIRST = ["a_id", "b_id", "score", "cosine", "margin", "choice", "mutual", "chance"]
PAIRS = 1 << 13  # pairs whose vectors are held at once
CLEAR = 1.5  # times an even share that both rows must have of the topic they are said to share


def tables_from(found, sides, rows, study):
    """Every table of a matching, by name.

    found: `match_study.Found`; sides: side -> Side; rows: side -> table of the collection; study: `match_study.Study`.
    Returns a dict of DataFrames: matches, candidates, weights, blocks, evaluation, topics, map. Matches, candidates and
    map are empty where nothing can be told. Of a row of a without a partner, score, chance, shares and level are those
    of its nearest b.
    """
    unit = {name: centred(side.aligned) for name, side in sides.items()}
    tables = {
        "weights": found.weighting.tried,
        "blocks": found.blocks,
        "evaluation": found.evaluation,
        "topics": _topics(sides, study),
        "matches": _matches(found, sides, study, unit),
        "candidates": _candidates(found, sides, unit),
        "map": _map(found, sides, study, unit),
    }
    if not found.diagnostics["identifiable"]:
        tables |= {name: tables[name].iloc[:0] for name in ("matches", "candidates", "map")}
    return tables


def _matches(found, sides, study, unit):
    a, b = sides["a"], sides["b"]
    table = found.matched.matches.iloc[a.back].reset_index(drop=True)
    i, j = table.pop("a").to_numpy(), table.pop("b").to_numpy()
    has = j >= 0
    shown = np.where(has, j, 0)
    table["a_id"], table["b_id"] = a.ids[i], np.where(has, b.ids[shown], "")
    table["cosine"] = _cosine(unit, i, shown)
    table.loc[~has, ["cosine", "margin"]] = np.nan
    held = found.made.held
    words = shared_words(held["a"][i], held["b"][shown], found.made.words)
    table["terms"] = [", ".join(own) if matched else "" for own, matched in zip(words, has, strict=True)]
    column = _shared_column(a.topics[i], b.topics[shown])
    table["topic"] = np.where(has & (column >= 0), _numbers(study, a.topics, "a")[column], 0)
    shares = [column for column in table if column.startswith("share_")]
    return table[[*FIRST, *shares, "terms", "topic", "level", "reason"]]


def _candidates(found, sides, unit):
    a, b = sides["a"], sides["b"]
    table = found.matched.candidates
    i, j = table["a"].to_numpy(), table["b"].to_numpy()
    told = table.drop(columns=["a", "b"]).assign(a_id=a.ids[i], b_id=b.ids[j], cosine=_cosine(unit, i, j))
    told = told.iloc[np.lexsort((told["rank"], a.order[i]))].reset_index(drop=True)
    shares = [column for column in told if column.startswith("share_")]
    return told[["a_id", "rank", "b_id", "score", "cosine", *shares]]


def _cosine(unit, i, j):
    """Cosine of the centred embeddings of pairs; float64 (pairs,)."""
    found = np.empty(len(i))
    for start in range(0, len(i), PAIRS):
        part = slice(start, start + PAIRS)
        found[part] = np.einsum("ij,ij->i", unit["a"][i[part]], unit["b"][j[part]])
    return found


def _shared_column(a, b):
    """The topic that both rows of each pair have most of; -1 where they share none clearly."""
    if not a.shape[1]:
        return np.full(len(a), -1)
    both = np.minimum(a, b)
    best = both.argmax(axis=1)
    clear = both[np.arange(len(both)), best] >= min(CLEAR / a.shape[1], 0.5)
    return np.where(clear, best, -1)


def _numbers(study, topics, side):
    """The number that each column of the mixtures has in topics.csv, and a last one, 0, for no topic."""
    if study.pairs is None:
        return np.append(np.arange(1, topics.shape[1] + 1), 0)
    return np.array([*(pair["ab".index(side)] + 1 for pair in study.pairs), 0])


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


def _map(found, sides, study, unit):
    """Both clouds on two principal axes, as embedded and as compared."""
    before, after = plane([side.vectors for side in sides.values()]), plane(list(unit.values()))
    tables = []
    for place, (name, side) in enumerate(sides.items()):
        table = pd.DataFrame({"side": name, "id": side.ids})
        table[["x_before", "y_before"]], table[["x_after", "y_after"]] = before[place], after[place]
        strongest = side.topics.argmax(axis=1) if side.topics.shape[1] else np.full(len(side.ids), -1)
        table["topic"] = _numbers(study, side.topics, name)[strongest]
        for level, groups in enumerate(getattr(found.matched.scores, "groups", ())):
            table[f"level_{level}"] = groups[place] + 1
        tables.append(table.iloc[side.back])
    return pd.concat(tables, ignore_index=True)


def plane(clouds):
    """Two principal axes of the clouds together; of each alone where their spaces differ."""
    if clouds[0].shape[1] != clouds[1].shape[1]:
        return [plane([cloud, cloud[:0]])[0] for cloud in clouds]
    together = np.vstack(clouds).astype(np.float64)
    together -= together.mean(axis=0)
    with threadpool_limits(1):
        _, axes = np.linalg.eigh(together.T @ together)
        axes = axes[:, ::-1][:, :2]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return np.split(together @ axes, [len(clouds[0])])
