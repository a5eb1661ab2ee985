"""The report: one self-contained HTML page of a run, made from the files that the run wrote.

Every text goes through the template's escaping; the page asks for nothing from outside and runs no script.
"""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from crosswalk import figures

FOUND_FIRST = 8  # relations on the first screen; the rest unfolds
SECTIONS = 40  # relations told in full; the rest stands in the table
TEXT_CHARS = 2000  # characters of an example text; 20 texts a relation would otherwise fill megabytes
EXCERPT_CHARS = 220
EXAMPLES = 3  # texts shown as input, code and reconstruction
TOP_PAIRS = 3  # pairs of units whose weights are drawn
CHANCE = 1.96  # standard errors that hold 95 % of a normal distribution
ECHO_WORDS = ((0.7, "mostly"), (0.4, "partly"), (0.0, "hardly"))  # least echo, and how much of y repeats x


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
    """All that was written about a collection; tables as DataFrames, facts as dicts; row i is the same row in all."""

    name: str
    rows: pd.DataFrame
    counts: dict
    usage: dict
    vectors: np.ndarray
    model: dict
    inertia: pd.DataFrame
    map: pd.DataFrame
    facts: dict
    contrast: pd.DataFrame
    encodings: list


@dataclass(frozen=True)
class Study:
    """All that was written about one entry of `relate`; correlations: name of an encoding -> (2 dim, 2 dim) matrix."""

    name: str
    relations: pd.DataFrame
    ends: pd.DataFrame
    scores: pd.DataFrame
    encoders: pd.DataFrame
    correlations: dict


def render(collections, studies, *, config, provenance):
    """Write the page.

    collections: list of Collection; studies: list of Study, perhaps none; config: the merged config; provenance: dict.
    Returns HTML as str, the same for the same arguments. Collections and studies are in the order of the page.
    """
    settings = config.get("report") or {}
    by_name = {c.name: c for c in collections}
    config = json.loads(json.dumps(config, default=str))
    told = [_study(s, by_name, config["relate"][s.name], settings, first=i == 0) for i, s in enumerate(studies)]
    names = [c.name for c in collections]
    return _template().render(
        title=config.get("title") or " and ".join(n.replace("_", " ") for n in names),
        collections=[_collection(c, config["collections"][c.name], settings) for c in collections],
        studies=told,
        config=yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100),
        versions=provenance.get("versions") or {},
        provenance={
            key: yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=100)
            for key, value in sorted(json.loads(json.dumps(provenance, default=str)).items())
            if key not in ("config", "versions")
        },
    )


def _collection(c, config, settings):
    first = list({(e.encoder, e.dim): e for e in reversed(c.encodings)}.values())[::-1]
    rejected = sorted(c.counts.get("rejected", {}).items(), key=lambda item: (-item[1], item[0]))
    order = np.argsort(c.map["cluster"].to_numpy(), kind="stable")
    centred = c.vectors - c.vectors.mean(0)
    return {
        "name": c.name,
        "anchor": f"collection-{c.name}",
        "linked": (config.get("link") or {}).get("to"),
        "counts": c.counts,
        "rejected": rejected,
        "item_count": int(c.rows["group"].nunique()),
        "usage": c.usage,
        "model": c.model,
        "facts": c.facts,
        "explained": [100 * share for share in c.facts["explained"]],
        "matrix": figures.matrix(centred[order]),
        "elbow": figures.elbow(c.inertia, clusters=c.facts.get("clusters", settings.get("clusters"))),
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


def _study(s, collections, config, settings, *, first):
    relations = [_relation(row, s, first=first) for row in s.relations.to_dict("records")]
    published = config.get("method") == "as_published"
    confirmed = [r for r in relations if r["confirmed"]]
    if not published:
        confirmed.sort(key=lambda r: -r["r"])
    others = [r for r in relations if not r["confirmed"]]
    told = (relations if published else confirmed or others)[:SECTIONS]
    for r in relations:
        r["told"] = any(r is t for t in told)
    table = s.encoders.assign(name=[_encoder_name(row) for row in s.encoders.to_dict("records")])
    drawn = table[table["median_r"].notna()] if len(table) else table
    least = min([0.0, *(r["r_low"] for r in relations if _known(r["r_low"]))])
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
        "tested": _tested(s.encoders, config, at_least=len(relations)),
        "item_count": len(collections[config["x"]].rows) if config["x"] in collections else None,
        "beyond": sorted((r for r in confirmed if not published and _known(r["beyond"])), key=lambda r: -r["beyond"]),
        "zero": 100 * -least / (1 - least),
        "first": FOUND_FIRST,
        "encoders": table.to_dict("records"),
        "encoders_figure": figures.encoders(drawn) if len(drawn) else None,
        "correlations": _correlations(s.correlations),
        "weights": _weights(s, collections, config, settings),
    }


def _tested(encoders, config, *, at_least):
    """Candidates that went to a held-out test; the axes are counted by the config where they have no row of their own."""
    tested = int(encoders["tested"].sum())
    if "axes" not in set(encoders["encoder"]):
        tested += config.get("axes", 0)
    return max(tested, at_least)


def _relation(row, s, *, first):
    number = int(row["relation"])
    scores = s.scores[s.scores["relation"] == row["relation"]]
    texts = s.ends[s.ends["relation"] == row["relation"]].sort_values("rank", kind="stable")
    echo = next((words for least, words in ECHO_WORDS if _known(row["echo"]) and row["echo"] >= least), None)
    return row | {
        "relation": number,
        "anchor": f"relation-{number}" if first else f"{s.name}-relation-{number}",
        "confirmed": row["confirmed"] is True or row["confirmed"] == 1,
        "strict": row["strict"] is True or row["strict"] == 1,
        "echo_words": echo,
        "scatter": figures.held_out(scores["x_score"].to_numpy(), scores["y_score"].to_numpy()) if len(scores) else None,
        "ends": {
            (side, end): texts[(texts["side"] == side) & (texts["end"] == end)].to_dict("records")
            for side in "xy"
            for end in ("high", "low")
        },
    }


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
    listed = s.relations[s.relations["kind"] == "pair"] if len(s.relations) else s.relations
    for name, matrix in s.correlations.items():
        own = listed[[name.startswith(str(e)) for e in listed["encoder"]]] if len(listed) else listed
        pairs = [(int(row["x_unit"]), int(row["y_unit"])) for row in own.head(TOP_PAIRS).to_dict("records")]
        if not pairs and len(listed):
            continue
        pairs = pairs or [(x, y) for x, y, _ in _strongest(matrix, TOP_PAIRS)]
        sides = []
        for side, place in ((config["x"], 0), (config["y"], 1)):
            model = next((e.model for e in collections[side].encodings if e.name == name), None)
            if model is None:
                return None
            weights = model["encoder.weight"]
            units = dict.fromkeys(pair[place] for pair in pairs)
            kept = settings.get("weights", weights.shape[1])
            curves = [(f"unit {unit}", weights[unit]) for unit in units]
            sides.append((side, figures.critical_weights(curves, kept=kept), min(kept, weights.shape[1]), weights.shape[1]))
        return {"encoding": name, "pairs": pairs, "sides": sides}
    return None


def _encoder_name(row):
    if not _known(row.get("dim")) or row["encoder"] == "axes":
        return str(row["encoder"])
    return f"{row['encoder']}-{int(row['dim'])}/seed-{int(row['seed'])}"


def _short(name):
    return name.split("/")[0]


def _known(value):
    return value is not None and value == value


def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "whole": _whole, "chance": _chance, "cut": _cut, "words": _words, "inline": _inline()}
    environment.tests["known"] = _known
    environment.globals["EXCERPT"] = EXCERPT_CHARS
    return environment.get_template("page.html.j2")


def _inline():
    """A filter that puts a figure into the page as it is, with ids that no other figure has."""
    count = itertools.count(1)

    def inline(svg):
        return Markup(re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{next(count)}-", svg))

    return inline


def _number(value, digits=2):
    """A number for people: a true minus, a dash where it is not known."""
    return f"{value:.{digits}f}".replace("-", "−") if _known(value) else "–"


def _whole(value):
    return f"{int(value):,}" if _known(value) else "–"


def _chance(value):
    """A probability: as many digits as it has, never 0."""
    if not _known(value):
        return "–"
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def _cut(text, length=TEXT_CHARS):
    """The start of a text, ended at a word; what a browser could misread as control is left out."""
    text = "".join(c for c in str(text) if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))
    if len(text) <= length:
        return text
    start = text[:length]
    return (start.rsplit(None, 1)[0] if " " in start[-60:] else start) + " …"


def _words(name):
    return str(name).replace("_", " ")
