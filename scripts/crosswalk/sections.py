"""What the report says about a collection: figures, facts and texts, no HTML."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from crosswalk import figures

EXAMPLES = 3  # texts shown as input, code and reconstruction
CHANCE = 1.96  # standard errors that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Encoding:
    """One trained encoder: its history (DataFrame), codes (n, units) and tensors of the model by name.

    dim: as the config has it, the number of units or "auto".
    """

    encoder: str
    dim: str
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
    choices: dict = field(default_factory=dict)  # name of an encoder -> table of `unit_choice.compare`


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
        "losses": figures.losses([(e.encoder, e.codes.shape[1], e.seed, e.history) for e in c.encodings])
        if first
        else None,
        "choices": figures.choices(c.choices) if c.choices else None,
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
        "figure": figures.differences([(short(name), values) for name, values in panels], chance=chance),
        "strips": [
            (short(name), figures.matrix(values, limit=limit), int((np.abs(values) > chance).sum()), len(values))
            for name, values in panels
        ],
    }


def _reconstructions(c, encodings):
    """For a few texts: the standardised input, and each encoder's code and reconstruction of it on one scale."""
    shown = []
    for place in np.linspace(0, len(c.rows) - 1, min(EXAMPLES, len(c.rows))).round().astype(int):
        model = encodings[0].model
        width = c.vectors.shape[1]  # columns for phrases stand behind it
        mean, scale = model["mean"][:width], model["scale"][:width]
        inside = (c.vectors[place] - mean) / scale
        limit = float(np.abs(inside).max())
        lines = []
        for e in encodings:
            outside = e.model["decoder.weight"] @ e.codes[place] + e.model["decoder.bias"]
            outside = (outside * e.model["scale"] + e.model["mean"])[:width]  # encoders differ in their scales
            outside = (outside - mean) / scale
            line = {
                "name": short(e.name),
                "code": figures.matrix(e.codes[place]),
                "output": figures.matrix(outside, limit=limit),
                "kept": 1 - float(((inside - outside) ** 2).sum() / max((inside**2).sum(), 1e-12)),
            }
            lines.append(line)
        text = c.rows["text"].iloc[place]
        shown.append({"text": text, "input": figures.matrix(inside, limit=limit), "lines": lines})
    return shown


def short(name):
    """The name of an encoding without its seed."""
    return name.split("/")[0]


def known(value):
    """Whether there is a value at all: neither None nor nan."""
    return value is not None and value == value
