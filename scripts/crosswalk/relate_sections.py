"""What the report says of one entry of `relate`: what was asked, what was found and how sure it is, no HTML.

The lists answer different questions and stand side by side: what goes with what, what y says beyond repeating x, and
what goes with the phrases that were asked for.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crosswalk import relate_figures as figures
from crosswalk.encoder_sections import encoders_section
from crosswalk.pairs import measuring
from crosswalk.relation_words import cautions, statement, views
from crosswalk.retrieval import LEXICAL, chance
from crosswalk.sections import known
from crosswalk.tested_sections import tested_section

LISTS = ("plain", "beyond", "focus")
SECTIONS = 40  # relations told in full; the rest stands in the table
ECHO_WORDS = ((0.7, "mostly"), (0.4, "partly"), (0.0, "hardly"))  # least echo, and how much of y repeats x
ENDS = ("x_high", "y_high", "x_low", "y_low")


@dataclass(frozen=True)
class Study:
    """All that was written about one entry of `relate`; tables as DataFrames with the columns of the files they are of.

    correlations: name of an encoding -> (units of x, matrix over the units of x, then of y). What follows is there
    where relations were tested: power; searches, grouping (items.json), quotations and echo, dicts; phrases; overlap:
    name of a list -> content of its axes.json.
    """

    name: str
    relations: pd.DataFrame
    ends: pd.DataFrame
    scores: pd.DataFrame
    encoders: pd.DataFrame
    tested: pd.DataFrame
    retrieval: pd.DataFrame
    correlations: dict
    power: pd.DataFrame | None = None
    searches: dict = field(default_factory=dict)
    grouping: dict = field(default_factory=dict)
    quotations: dict = field(default_factory=dict)
    echo: dict = field(default_factory=dict)
    phrases: pd.DataFrame | None = None
    overlap: dict = field(default_factory=dict)


def study_section(s, collections, config, settings, *, first):
    """What the template shows of a Study.

    collections: name -> Collection; config: the entry in `relate`; settings: the config's `report`; first: the first
    study of a page has the anchors relation-1, relation-2, ..., later ones have them after their name.
    Returns a dict; `lists` are those that were searched, `told` the relations that get a section, the rest stands in a
    table.
    """
    published = config["method"] == "as_published"
    scores = s.scores
    if "held_out" in scores and not published:  # the published way holds nothing out, and is shown as it is
        scores = scores.assign(held_out=scores["held_out"].astype(bool))
    else:
        scores = scores.assign(held_out=True)
    evidence = tested_section(s, config)
    phrases = {} if s.phrases is None else {row["family"]: row for row in s.phrases.to_dict("records")}
    table = s.relations if "list" in s.relations else s.relations.assign(list=LISTS[0])
    relations = [
        _relation(row, s, scores, phrases.get(row["encoder"]), config=config, first=first)
        for row in table.to_dict("records")
    ]
    least = min([0.0, *(r[key] for r in relations for key in ("r", "r_low") if known(r[key]))])
    for r in relations:
        r["bar"] = [100 * (r[key] - least) / (1 - least) for key in ("r_low", "r_high", "r")]
    asked = list(phrases)
    relations.sort(key=lambda r: asked.index(r["encoder"]) if r["encoder"] in phrases else -1)  # as they were asked
    lists = {name: _list([r for r in relations if r["list"] == name]) for name in LISTS}
    for name, own in lists.items():
        own |= evidence["lists"].get(name, {"tested": 0, "least_r": None, "power": None})
    plain = lists["plain"]
    everything = [*plain["confirmed"], *plain["others"]] if published else plain["confirmed"] or plain["others"]
    if published:
        everything.sort(key=lambda r: r["relation"])
    told = drawn([everything, lists["beyond"]["confirmed"], lists["focus"]["relations"]], SECTIONS)
    for r in relations:
        r["told"] = any(r is t for t in told)
    return {
        "name": s.name,
        "heading": f"{config['x']} and {config['y']}{' (the published way)' if published else ''}".replace("_", " "),
        "x": config["x"],
        "y": config["y"],
        "config": config,
        "published": published,
        "relations": relations,
        "lists": lists,
        "told": told,
        "tested": len(s.tested),
        "evidence": evidence,
        "measured_parts": int(measuring(np.arange(config["folds"])).sum()),
        "item_count": s.grouping.get("items") or len(collections[config["x"]].rows),
        "echo": s.echo,
        "searched_beyond": bool(s.echo) or bool(lists["beyond"]["relations"]),
        "mostly_echo": sum(r["echo"] >= ECHO_WORDS[0][0] for r in plain["confirmed"]),
        "retrieval": _retrieval(s.retrieval),
        "shortened": sum(collections[config[key]].usage.get("cut") or 0 for key in "xy"),
        "zero": 100 * -least / (1 - least),
        **encoders_section(s, collections, config, settings),
    }


def drawn(lists, count):
    """Of several lists, in their order, so many that the whole has `count` or fewer: one of each in its turn."""
    turns = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    kept = {id(r) for r in itertools.islice((r for r in turns if r is not None), count)}
    return [r for own in lists for r in own if id(r) in kept]


def _list(relations):
    """A list with its relations parted, in the order in which they are numbered or were asked for."""
    return {
        "relations": relations,
        "confirmed": [r for r in relations if r["confirmed"]],
        "others": [r for r in relations if not r["confirmed"]],
        "strict": sum(r["strict"] for r in relations),
    }


def _retrieval(table):
    """The yardstick's rows with chance as the last, and whether the embedding beats the words; none without a row."""
    if table.empty:
        return None
    rows, items = table.to_dict("records"), int(table["items"].iloc[0])
    own, words = rows[0], next((row for row in rows[1:] if row["embedding"] == LEXICAL), None)
    verdict = None
    if words:
        # Intervals that do not meet are a stricter test than that of the difference, which they stand in for.
        better, worse = own["low"] > words["high"], own["high"] < words["low"]
        verdict = "better" if better else "worse" if worse else "alike"
    unknown = dict.fromkeys(("dimensions", "low", "high"), None)
    return {
        "own": own,
        "words": words,
        "verdict": verdict,
        "rows": [*rows, {"embedding": "chance", **unknown, **chance(items)}],
    }


def _relation(row, s, scores, phrase, *, config, first):
    """What is shown of a relation; row: of the table; phrase: of phrases.csv, if it was asked for by name."""
    number, names = int(row["relation"]), (config["x"], config["y"])
    every = scores[scores["relation"] == number]
    unseen = every[every["held_out"]]
    texts = s.ends[s.ends["relation"] == number].sort_values("rank", kind="stable")
    row = row | {key: row[key] if known(row[key]) else "" for key in ENDS}
    shown = {
        "relation": number,
        "sentence": statement(row, phrase, names, config.get("verb") or "tend to go with"),
        "anchor": f"relation-{number}" if first else f"{s.name}-relation-{number}",
        "confirmed": row["confirmed"] == 1,
        "strict": row["strict"] == 1,
        "phrase": phrase,
        "echo_words": next((words for least, words in ECHO_WORDS if row["echo"] >= least), None),
        "scatter": None,
        "shown": len(unseen),
        "scored": len(every),
        "views": views(row["also"] if known(row["also"]) else "", names),
        "unit": next(((side, row[f"{side}_unit"]) for side in "xy" if row[f"{side}_unit"] >= 0), None),
        "encoding": row["encoder"].removeprefix("concepts-"),
        "fidelity": {of: _interval(row, f"{of}_fidelity") for of in ("x", "y", *ENDS)},
        "named_by": row.get("named_by") if known(row.get("named_by")) else None,
        "ends": {
            name: texts[(texts["side"] == name[0]) & (texts["end"] == name[2:])].to_dict("records") for name in ENDS
        },
    }
    if len(unseen):
        points = (unseen[key].to_numpy() for key in ("x_score", "y_score"))
        shown["scatter"] = figures.held_out(*points, names=names)
    return row | shown | cautions(row, names)


def _interval(row, column):
    """A figure with its bounds, None where it is not known; bounds of no width are those of a single block."""
    figure, low, high = (row.get(column + ending) for ending in ("", "_from", "_to"))
    if not (known(low) and known(high)) or np.isclose(low, high, atol=1e-9):
        low = high = None
    return figure, low, high
