"""What the report says about a collection and about the relations of a study: figures, facts and texts, no HTML."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crosswalk import figures
from crosswalk.pairs import measuring
from crosswalk.retrieval import LEXICAL, chance

SECTIONS = 40  # relations told in full; the rest stands in the table
EXAMPLES = 3  # texts shown as input, code and reconstruction
TOP_PAIRS = 3  # pairs of units whose weights are drawn
CHANCE = 1.96  # standard errors that hold 95 % of a normal distribution
ECHO_WORDS = ((0.7, "mostly"), (0.4, "partly"), (0.0, "hardly"))  # least echo, and how much of y repeats x
ENDS = ("x_high", "y_high", "x_low", "y_low")
LEAST_ECHO = 5  # relations in the short list of those that say most beyond repeating


@dataclass(frozen=True)
class Encoding:
    """One trained encoder: its history (DataFrame), codes (n, dim) and tensors of the model by name."""

    encoder: str
    dim: int
    seed: int
    history: pd.DataFrame
    codes: np.ndarray
    model: dict

    @property
    def name(self):
        return f"{self.encoder}-{self.dim}/seed-{self.seed}"


@dataclass(frozen=True)
class Collection:
    """All that was written about a collection; tables as DataFrames, facts as dicts; row i is the same row in all.

    What follows `counts` is there if the collection was embedded.
    """

    name: str
    rows: pd.DataFrame
    counts: dict
    usage: dict = field(default_factory=dict)
    vectors: np.ndarray | None = None
    model: dict = field(default_factory=dict)
    inertia: pd.DataFrame | None = None
    map: pd.DataFrame | None = None
    facts: dict = field(default_factory=dict)
    contrast: pd.DataFrame | None = None
    encodings: list = field(default_factory=list)


@dataclass(frozen=True)
class Study:
    """All that was written about one entry of `relate`.

    tested: candidates that went to a held-out test; retrieval: from `retrieval.compare`; correlations: name of an
    encoding -> (2 dim, 2 dim) matrix.
    """

    name: str
    relations: pd.DataFrame
    ends: pd.DataFrame
    scores: pd.DataFrame
    encoders: pd.DataFrame
    tested: int
    retrieval: pd.DataFrame
    correlations: dict


def collection_section(c, config):
    """What the template shows of a Collection; config: its entry in the config. Returns a dict."""
    told = {
        "name": c.name,
        "anchor": f"collection-{c.name}",
        "linked": config.get("link", {}).get("to"),
        "counts": {"rejected": {}} | c.counts,
        "item_count": int(c.rows["group"].nunique()),
        "usage": c.usage,
        "model": c.model,
        "facts": c.facts,
        "embedded": c.vectors is not None,
    }
    return told | (_inside(c, config) if told["embedded"] else {})


def _inside(c, config):
    """The figures of an embedded collection."""
    first = list({(e.encoder, e.dim): e for e in reversed(c.encodings)}.values())[::-1]
    order = np.argsort(c.map["cluster"].to_numpy(), kind="stable")
    centred = c.vectors - c.vectors.mean(0)
    return {
        "explained": [100 * share for share in c.facts["explained"]],
        "matrix": figures.matrix(centred[order]),
        "elbow": figures.elbow(c.inertia, clusters=c.facts["clusters"]),
        "map": figures.cluster_map(
            *(c.map[column].to_numpy() for column in ("pc1", "pc2", "cluster")), explained=c.facts["explained"]
        ),
        "clusters": _clusters(c),
        "contrast": _contrast(c, config.get("contrast"), [e.name for e in first]),
        "losses": figures.losses([(e.encoder, e.dim, e.seed, e.history) for e in c.encodings]) if first else None,
        "encodings": [{"name": e.name, **e.history.iloc[-1].to_dict()} for e in c.encodings],
        "reconstructions": _reconstructions(c, first) if first else [],
    }


def _clusters(c):
    """Number, size and most typical text of each cluster."""
    found = []
    for number, own in c.map.groupby("cluster"):
        place = own.index.to_numpy()
        vectors = np.asarray(c.vectors[place], dtype=np.float64)
        typical = place[int(np.argmax(vectors @ vectors.mean(0)))]
        found.append({"number": int(number), "size": len(own), "text": c.rows["text"].iloc[typical]})
    return found


def _contrast(c, config, names):
    if not config or c.contrast.empty:
        return None
    table = c.contrast[c.contrast["space"].isin(["embedding", *names])]
    n_a, n_b = (int(table[n].iloc[0]) for n in ("n_a", "n_b"))
    chance = CHANCE * np.sqrt(1 / n_a + 1 / n_b)
    panels = []
    for space, own in table.groupby("space", sort=False):
        sd = own["sd"].to_numpy()
        panels.append((space, np.divide(own["difference"].to_numpy(), sd, out=np.zeros(len(sd)), where=sd > 1e-12)))
    limit = max(float(np.abs(values).max()) for _, values in panels)
    return {
        "labels": config["values"],
        "column": config["column"],
        "n": (n_a, n_b),
        "figure": figures.differences([(_short(name), values) for name, values in panels], chance=chance),
        "strips": [
            (_short(name), figures.matrix(values, limit=limit), int((np.abs(values) > chance).sum()), len(values))
            for name, values in panels
        ],
    }


def _reconstructions(c, encodings):
    """For a few texts: the standardised input, and each encoder's code and reconstruction of it on one scale."""
    shown = []
    for place in np.linspace(0, len(c.rows) - 1, min(EXAMPLES, len(c.rows))).round().astype(int):
        model = encodings[0].model
        inside = (c.vectors[place] - model["mean"]) / model["scale"]
        limit = float(np.abs(inside).max())
        lines = []
        for e in encodings:
            outside = e.model["decoder.weight"] @ e.codes[place] + e.model["decoder.bias"]
            line = {
                "name": _short(e.name),
                "code": figures.matrix(e.codes[place]),
                "output": figures.matrix(outside, limit=limit),
                "kept": 1 - float(((inside - outside) ** 2).sum() / max((inside**2).sum(), 1e-12)),
            }
            lines.append(line)
        text = c.rows["text"].iloc[place]
        shown.append({"text": text, "input": figures.matrix(inside, limit=limit), "lines": lines})
    return shown


def study_section(s, collections, config, settings, *, first):
    """What the template shows of a Study.

    collections: name -> Collection; config: the entry in `relate`; settings: the config's `report`; first: the first
    study of a page has the anchors relation-1, relation-2, ..., later ones have them after their name.
    Returns a dict; `told` are the relations that get a section, the rest stands in a table.
    """
    published = config["method"] == "as_published"
    scores = s.scores
    if "held_out" in scores and not published:  # the published way holds nothing out, and is shown as it is
        scores = scores.assign(held_out=scores["held_out"].astype(bool))
    else:
        scores = scores.assign(held_out=True)
    relations = [
        _relation(row, s, scores, names=(config["x"], config["y"]), first=first)
        for row in s.relations.to_dict("records")
    ]
    confirmed = [r for r in relations if r["confirmed"]]
    if not published:
        confirmed.sort(key=lambda r: -r["r"])
    others = [r for r in relations if not r["confirmed"]]
    told = (relations if published else confirmed or others)[:SECTIONS]
    for r in relations:
        r["told"] = any(r is t for t in told)
    named = [f"{e.encoder}-{e.dim}/seed-{e.seed}" for e in s.encoders.itertuples()]
    table = s.encoders.assign(name=named)
    drawn = table[table["median_r"].notna()]
    least = min([0.0, *(r[key] for r in relations for key in ("r", "r_low") if known(r[key]))])
    for r in relations:
        r["bar"] = [100 * (r[key] - least) / (1 - least) for key in ("r_low", "r_high", "r")]
    return {
        "name": s.name,
        "x": config["x"],
        "y": config["y"],
        "config": config,
        "published": published,
        "relations": relations,
        "confirmed": confirmed,
        "others": others,
        "told": told,
        "strict": sum(r["strict"] for r in relations),
        "tested": s.tested,
        "measured_parts": int(measuring(np.arange(config["folds"])).sum()),
        "item_count": len(collections[config["x"]].rows),
        "mostly_echo": sum(r["echo"] >= ECHO_WORDS[0][0] for r in confirmed),
        "least_echo": [] if published else _least_echo(confirmed),
        "retrieval": _retrieval(s.retrieval),
        "shortened": sum(collections[config[key]].usage.get("cut") or 0 for key in "xy"),
        "zero": 100 * -least / (1 - least),
        "encoders": table.to_dict("records"),
        "encoders_figure": figures.encoders(drawn) if len(drawn) else None,
        "correlations": _correlations(s.correlations),
        "weights": _weights(s, collections, config, settings),
    }


def _least_echo(confirmed):
    """The relations of which most is left beyond repeating; none if they are the strongest ones in the same order."""
    left = sorted((r for r in confirmed if known(r["beyond"]) and r["beyond"] > 0), key=lambda r: -r["beyond"])
    return left[:LEAST_ECHO] if left[:LEAST_ECHO] != confirmed[:LEAST_ECHO] else []


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


def _views(also):
    """What was folded into a relation: the number of axes, of pairs of units, and the pairs by encoding."""
    pairs, axes = {}, 0
    for entry in filter(None, also.split("; ")):
        name, _, units = entry.rpartition(" ")
        if name == "axes":
            axes += 1
        else:
            pairs.setdefault(name, []).append(units)
    return {"axes": axes, "pairs": sum(map(len, pairs.values())), "by_encoding": sorted(pairs.items())}


def _relation(row, s, scores, *, names, first):
    number = int(row["relation"])
    every = scores[scores["relation"] == number]
    unseen = every[every["held_out"]]
    texts = s.ends[s.ends["relation"] == number].sort_values("rank", kind="stable")
    # The figures that end the sentence stand beside it on the page.
    statement = row["sentence"].rpartition("; r = ")[0] or row["sentence"]
    shown = {
        "relation": number,
        "sentence": statement,
        "anchor": f"relation-{number}" if first else f"{s.name}-relation-{number}",
        "confirmed": row["confirmed"] == 1,
        "strict": row["strict"] == 1,
        "echo_words": next((words for least, words in ECHO_WORDS if row["echo"] >= least), None),
        "scatter": None,
        "shown": len(unseen),
        "scored": len(every),
        "views": _views(row["also"] if known(row["also"]) else ""),
        "ends": {
            name: texts[(texts["side"] == name[0]) & (texts["end"] == name[2:])].to_dict("records") for name in ENDS
        },
    }
    if len(unseen):
        points = (unseen[key].to_numpy() for key in ("x_score", "y_score"))
        shown["scatter"] = figures.held_out(*points, names=names)
    return row | {key: row[key] if known(row[key]) else "" for key in ENDS} | shown


def _correlations(matrices):
    """Each matrix with the blocks within a side masked, on one scale, and its strongest pair."""
    masked = {name: _across(matrix) for name, matrix in matrices.items()}
    limit = max((float(np.nanmax(np.abs(m), initial=0)) for m in masked.values()), default=1.0)
    shown = []
    for name, matrix in masked.items():
        dim = len(matrix) // 2
        x, y, r = _strongest(matrix, 1)[0]
        shown.append({"name": name, "dim": dim, "picture": figures.matrix(matrix, limit=limit), "x": x, "y": y, "r": r})
    return shown


def _across(matrix):
    masked = np.array(matrix, dtype=np.float64)
    dim = len(masked) // 2
    masked[:dim, :dim] = masked[dim:, dim:] = np.nan
    return masked


def _strongest(matrix, count):
    block = np.nan_to_num(_across(matrix)[: len(matrix) // 2, len(matrix) // 2 :])
    best = np.argsort(-np.abs(block).ravel(), kind="stable")[:count]
    return [(*(int(i) for i in np.unravel_index(b, block.shape)), float(block.ravel()[b])) for b in best]


def _weights(s, collections, config, settings):
    """Sorted encoder weights of the units in the top pairs: those of the listed relations, else of the correlations."""
    if not s.correlations:
        return None
    listed = [
        (name, int(row["x_unit"]), int(row["y_unit"]))
        for row in s.relations.to_dict("records")
        for name in s.correlations
        if row["kind"] == "pair" and row["encoder"] in (name, _short(name))
    ]
    encoding = listed[0][0] if listed else next(iter(s.correlations))
    pairs = [(x, y) for name, x, y in listed if name == encoding][:TOP_PAIRS]
    pairs = pairs or [(x, y) for x, y, _ in _strongest(s.correlations[encoding], TOP_PAIRS)]
    sides = []
    for side, units in zip((config["x"], config["y"]), zip(*pairs, strict=True), strict=True):
        weights = next(e.model["encoder.weight"] for e in collections[side].encodings if e.name == encoding)
        kept = min(settings["weights"], weights.shape[1])
        curves = [(f"unit {unit}", weights[unit]) for unit in dict.fromkeys(units)]
        sides.append((side, figures.critical_weights(curves, kept=kept), kept, weights.shape[1]))
    return {"encoding": encoding, "pairs": pairs, "sides": sides}


def _short(name):
    return name.split("/")[0]


def known(value):
    """Whether there is a value at all: neither None nor nan."""
    return value is not None and value == value
