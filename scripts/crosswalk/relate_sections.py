"""What the report says of one entry of `relate`: what was asked, what was found and how sure it is, no HTML.

The lists answer different questions and stand side by side: what goes with what, what y says beyond repeating x, and
what goes with the phrases that were asked for.
"""

import itertools
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crosswalk import relate_figures as figures
from crosswalk.encoder_sections import encoders_section
from crosswalk.pairs import measuring
from crosswalk.relations import kind_of
from crosswalk.retrieval import LEXICAL, chance
from crosswalk.sections import known, short
from crosswalk.tested_sections import tested_section

LISTS = ("plain", "beyond", "focus")
SECTIONS = 40  # relations told in full; the rest stands in the table
ECHO_WORDS = ((0.7, "mostly"), (0.4, "partly"), (0.0, "hardly"))  # least echo, and how much of y repeats x
ENDS = ("x_high", "y_high", "x_low", "y_low")
FALL = 0.25  # share of r that goes with the items that quote, from which quotation is warned of
UNITS = re.compile(r"(-?[0-9]+)-(-?[0-9]+)")


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
    lists = {name: _list([r for r in relations if r["list"] == name], asked=name == "focus") for name in LISTS}
    for name, own in lists.items():
        own |= evidence["lists"].get(name, {"tested": 0, "least_r": None})
    plain = lists["plain"]
    everything = [*plain["confirmed"], *plain["others"]] if published else plain["confirmed"] or plain["others"]
    if published:
        everything.sort(key=lambda r: r["relation"])
    told = drawn([everything, lists["beyond"]["confirmed"], lists["focus"]["relations"]], SECTIONS)
    for r in relations:
        r["told"] = any(r is t for t in told)
    return {
        "name": s.name,
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


def _list(relations, *, asked):
    """A list with its relations parted; those asked for by name keep the order in which they were asked."""
    confirmed = [r for r in relations if r["confirmed"]]
    if not asked:
        confirmed.sort(key=lambda r: -r["r"])
    return {
        "relations": relations,
        "confirmed": confirmed,
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
        "sentence": _statement(row, phrase, names, config.get("verb") or "tend to go with"),
        "anchor": f"relation-{number}" if first else f"{s.name}-relation-{number}",
        "confirmed": row["confirmed"] == 1,
        "strict": row["strict"] == 1,
        "phrase": phrase,
        "echo_words": next((words for least, words in ECHO_WORDS if row["echo"] >= least), None),
        "scatter": None,
        "shown": len(unseen),
        "scored": len(every),
        "views": _views(row["also"] if known(row["also"]) else "", names),
        "unit": next(((side, row[f"{side}_unit"]) for side in "xy" if row[f"{side}_unit"] >= 0), None),
        "encoding": row["encoder"].removeprefix("concepts-"),
        "fidelity": {end: row.get(f"{end}_fidelity") for end in ENDS},
        "named_by": row.get("named_by") or None,
        "ends": {
            name: texts[(texts["side"] == name[0]) & (texts["end"] == name[2:])].to_dict("records") for name in ENDS
        },
    }
    if len(unseen):
        points = (unseen[key].to_numpy() for key in ("x_score", "y_score"))
        shown["scatter"] = figures.held_out(*points, names=names)
    return row | shown | _cautions(row, names)


def _statement(row, phrase, names, verb):
    """The relation in words, names in braces; the figures that end the sentence stand beside it on the page."""
    if phrase is None:
        return row["sentence"].rpartition("; r = ")[0] or row["sentence"]
    x, y = (name.replace("_", " ") for name in names)
    like = {
        side: f"like {{“{str(phrase[f'{side}_phrase']).translate({123: None, 125: None})}”}}"
        for side in "xy"
        if known(phrase[f"{side}_phrase"])
    }
    start = x[:1].upper() + x[1:]
    if row["confirmed"] != 1:
        if len(like) == 2:
            return f"{start} {like['x']} and {y} {like['y']}: not known to go together"
        if "x" in like:
            return f"{start} {like['x']}: nothing in {y} is known to go with them"
        return f"{y[:1].upper()}{y[1:]} {like['y']}: nothing in {x} is known to go with them"
    if len(like) == 2:  # tested for either sign
        sign = phrase.get("sign")
        how = "are, in either direction," if not known(sign) else "are" if sign > 0 else "are anything but"
        return f"{start} {like['x']} go with {y} that {how} {like['y']}"
    halves = {side: like.get(side) or _about(row[f"{side}_high"], row[f"{side}_low"]) for side in "xy"}
    return f"{start} {halves['x']} {verb} {y} {halves['y']}"


def _about(high, low):
    if high:
        return f"about {{{high}}}" + (f" (rather than {{{low}}})" if low else "")
    return f"not about {{{low}}}" if low else "of an unnamed kind"


def _cautions(row, names):
    """What else may account for a relation; without the columns of cautions, nothing is said."""
    told = {"quoted": None, "explained": None, "returns": None, "doubts": []}
    if known(row.get("leak")):
        gone = row["r"] - row["r_unquoted"]
        warned = row["leak"] > 0 and known(gone) and gone >= FALL * row["r"]
        told["quoted"] = {"leak": row["leak"], "r": row["r_unquoted"], "warned": warned}
        told["doubts"] += ["rests on quotation"] if warned else []
    if row.get("explained_by"):
        side, _, column = row["explained_by"].partition(".")
        name = names["xy".index(side)].replace("_", " ") if side in ("x", "y") else ""
        told["explained"] = {"column": column, "of": name, "r": row["r_given"], "warned": row["confounded"] == 1}
        told["doubts"] += [f"{column} of {name} explains part of it"] if row["confounded"] == 1 else []
    seeds = {name: row.get(f"seed_stability_{side}") for side, name in zip("xy", names, strict=True)}
    told["returns"] = [(name.replace("_", " "), value) for name, value in seeds.items() if known(value)]
    return told


def _views(also, names):
    """What was folded into a relation: a count of each kind, and the units by encoding."""
    counts, units = {"axis": 0, "concept": 0, "pair": 0, "focus": 0}, {}
    for entry in filter(None, also.split("; ")):
        family, _, pair = entry.rpartition(" ")
        kind = kind_of(family)
        counts[kind] += 1
        if kind in ("pair", "concept"):
            units.setdefault((kind, family.removeprefix("concepts-")), []).append(_unit(pair, names))
    said = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, one, many in (("axis", "axis", "axes"), ("concept", "concept", "concepts"))
        if counts[kind]
    ]
    pairs = sum(kind == "pair" for kind, _ in units)
    if counts["pair"]:
        whole = f"{counts['pair']} pair{'s' if counts['pair'] > 1 else ''} of units"
        said.append(f"{whole} in {pairs} encoding{'s' if pairs > 1 else ''}")
    listed = [
        (name if kind == "pair" else f"concepts of {short(name)}", own) for (kind, name), own in sorted(units.items())
    ]
    return {"said": ", ".join(said[:-2] + [" and ".join(said[-2:])]) if said else "", "by_encoding": listed}


def _unit(pair, names):
    """Units as people read them: "1-2" of a pair stays; of a concept's "3--1" the side that has none is left out."""
    found = UNITS.fullmatch(pair)
    sides = [(name, int(unit)) for name, unit in zip(names, found.groups(), strict=True)] if found else []
    if not sides or all(unit >= 0 for _, unit in sides):
        return pair
    return " and ".join(f"{unit} of {name.replace('_', ' ')}" for name, unit in sides if unit >= 0)
