"""What the report says of one recommender: how good its suggestions are, for which works, and from what; no HTML."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from crosswalk import recommend_figures as figures
from crosswalk.recommend_examples import examples, similar
from crosswalk.sections import known

BESIDE = ("item_knn", "popularity")  # always told beside the chosen model
MODELS = {
    "stack": ("stack", "the members’ scores, weighed by what they found of subjects hidden from them"),
    "popularity": ("popularity", "the subjects that most works bear, the same for every work"),
    "item_knn": ("item-kNN", "subjects that go with those the work has"),
    "ease": ("EASE", "subjects that go with those the work has, all weighed at once"),
    "factorisation": ("factorisation", "works and subjects as points, near where they belong together"),
    "text_knn": ("text-kNN", "subjects of the works whose texts are most alike"),
    "vector_knn": ("vector-kNN", "subjects of the works whose embeddings are most alike"),
    "network": ("network", "learned from texts and their embedding which subjects a work has"),
    "tree": ("label tree", "learned from texts which words go with which subject"),
    "label_match": ("label match", "subjects whose labels stand in the text"),
    "as_published": ("as published", "the chapter’s own model, for comparison"),
}
PRIORS = {
    "text": "words of the works",
    "vectors": "embedding of the works",
    "hierarchy": "broader subjects",
    "paths": "places of the works",
    "labels": "words of the subjects’ labels",
}
SWEPT = {"dim": "dimensions", "epochs": "epochs", "batch_size": "works in a batch", "prior": "known beforehand"}
MEASURES = ("recall_at_1", "recall_at_5", "precision_at_5", "ndcg_at_10", "mrr", "tail_recall_at_10", "coverage", "ece")
INTERVAL = ("", "_low", "_high")
TABLES = {
    "evaluation": (
        *("scenario", "works", "model", "n", "recall_at_10", "recall_at_10_low", "recall_at_10_high", *MEASURES),
        *("difference", "difference_low", "difference_high"),
    ),
    "reliability": ("scenario", "bin", "probability", "observed", "low", "high", "n"),
    "history": ("point", "epoch", "loss", "log_loss", "recall_at_10"),
    "sweep": ("point", *SWEPT, "recall_at_10", "low", "high", "log_loss"),
    "ablation": ("prior", *(f"recall_at_10_{s}{end}" for s in figures.SCENARIOS for end in INTERVAL)),
    "weights": ("scenario", "member", "weight"),
    "suggestions": ("work_id", "rank", "subject_id", "label", "score", "probability", "reason"),
    "subjects": ("id", "label", "works"),
    "map_works": ("id", "x", "y"),
    "map_subjects": ("id", "label", "works", "x", "y"),
    "map_labels": ("map", "label", "x", "y"),
    "similar_subjects": ("subject_id", "label", "rank", "similar_id", "similar_label", "similarity"),
}


@dataclass(frozen=True)
class Recommender:
    """All that was written about one entry of `recommend`.

    Tables as DataFrames with the columns of the files of their names (TABLES; any may be empty), facts as dicts; links:
    csr (n, S), row i is row i of the collection, column j subject j; suggestions: at least those of the works that
    `recommend_examples.drawn` names.
    """

    name: str
    diagnostics: dict
    counts: dict
    links: csr_array
    evaluation: pd.DataFrame
    reliability: pd.DataFrame
    history: pd.DataFrame
    sweep: pd.DataFrame
    ablation: pd.DataFrame
    weights: pd.DataFrame
    suggestions: pd.DataFrame
    subjects: pd.DataFrame
    map_works: pd.DataFrame
    map_subjects: pd.DataFrame
    map_labels: pd.DataFrame
    similar_subjects: pd.DataFrame


def recommend_section(r: Recommender, collections: dict, config: dict) -> dict:
    """What the template shows of a Recommender.

    collections: name -> Collection; config: its entry in the config. Returns a dict; what there is nothing to say of is
    None or empty.
    """
    works, called = collections[config["works"]], _words(config["works"])
    names = {"known": f"{called} with {_words(r.name)}", "new": f"new {called}"}
    d, chosen = r.diagnostics, r.diagnostics.get("model", "stack")
    tables = {name: _table(getattr(r, name), columns) for name, columns in TABLES.items()}
    evaluation = {s: _evaluation(tables["evaluation"], s, chosen) for s in figures.SCENARIOS}
    return {
        "name": r.name,
        "anchor": f"recommend-{r.name}",
        "heading": f"{_words(r.name)} for {called}",
        "works": config["works"],
        "scenarios": names,
        "model": model(chosen),
        "statement": d.get("statement") or "",
        "facts": {"works": len(works.rows), "tagged": None, "subjects": None, "links": None} | _plain(d),
        "hidden": _plain(d.get("hidden") or {}),
        "counts": _counts(r.counts),
        "left_out": [(model(name), str(reason)) for name, reason in (d.get("left_out") or {}).items()],
        "evaluation": evaluation,
        "twins": any(e and e["twins"] for e in evaluation.values()),
        "recall": _recall(tables["evaluation"], names),
        "reliability": _reliability(tables["reliability"], evaluation, names),
        "training": _training(tables["history"]),
        "sweep": _sweep(tables["sweep"]),
        "ablation": _ablation(tables["ablation"]),
        "weights": _weights(tables["weights"]),
        "examples": examples(tables["suggestions"], r.links, tables["subjects"]["label"], works.rows),
        "maps": _maps(tables),
        "similar": similar(tables["similar_subjects"], tables["subjects"]),
    }


def model(name) -> dict:
    """What a model is called, and what it goes by, in plain words."""
    called, does = MODELS.get(name, (_words(name), ""))
    return {"key": name, "name": called, "does": does}


def _words(name):
    return str(name).replace("_", " ")


def _plain(facts):
    return {key: value for key, value in facts.items() if isinstance(value, int | float) and known(value)}


def _table(table, columns):
    """A table that has all of some columns, whatever was written."""
    extra = [column for column in table.columns if column not in columns]
    return table.reindex(columns=[*columns, *extra]).reset_index(drop=True)


def _counts(counts):
    """What was read: pairs of words and numbers, and for each list of reasons its name and pairs, commonest first."""
    lists = {_words(key): value for key, value in counts.items() if isinstance(value, dict)}
    pairs = {name: sorted(_plain(own).items(), key=lambda item: (-item[1], item[0])) for name, own in lists.items()}
    return {
        "numbers": [(_words(key), value) for key, value in _plain(counts).items()],
        "lists": [(name, [(_words(key), value) for key, value in own]) for name, own in pairs.items() if own],
    }


def _evaluation(table, scenario, chosen):
    """The models of a scenario, the best first, with what the first screen says of them; None if nothing was judged."""
    own = table[(table["scenario"] == scenario) & table["recall_at_10"].notna()]
    twinless = own[own["works"] == "without twins"].set_index("model")
    own = own[own["works"].isna() | (own["works"] == "all")]
    if own.empty:
        return None
    most = float(own["recall_at_10_high"].max()) if own["recall_at_10_high"].notna().any() else 0.0
    most = max(most, float(own["recall_at_10"].max())) or 1.0
    rows = own.sort_values(["recall_at_10", "model"], ascending=[False, True], kind="stable").to_dict("records")
    for row in rows:
        row["called"], row["chosen"] = model(row["model"]), row["model"] == chosen
        row["bar"] = {end: 100 * max(row[f"recall_at_10{end}"], 0) / most for end in INTERVAL}
        row["without_twins"] = twinless["recall_at_10"].get(row["model"])
        row["verdict"] = None if row["chosen"] else _verdict(row)
    best = next((row for row in rows if row["chosen"]), None)
    other = next((row for row in rows if not row["chosen"]), None)
    beside = [row for row in rows if row is other or row["chosen"] or row["model"] in BESIDE]
    n = {"all": rows[0]["n"], "without twins": twinless["n"].iloc[0] if len(twinless) else None}
    return {"rows": rows, "chosen": best, "other": other, "beside": beside, "n": n, "twins": len(twinless) > 0}


def _verdict(row):
    """Whether the chosen model is better than this one: "better", "worse", "alike", or None where nobody knows."""
    low, high = row["difference_low"], row["difference_high"]
    if not (known(low) and known(high)):
        return None
    return "better" if low > 0 else "worse" if high < 0 else "alike"


def _recall(table, names):
    own = table[table["recall_at_10"].notna() & (table["works"].isna() | (table["works"] == "all"))]
    if own.empty:
        return None
    own = own.sort_values(["scenario", "model"], kind="stable")
    return figures.recall(own.assign(label=[model(name)["name"] for name in own["model"]]), names=names)


def _reliability(table, evaluation, names):
    """The plot, the error of each scenario, and the bins as a table."""
    own = table[table["observed"].notna() & table["probability"].notna()].sort_values(["scenario", "probability"])
    if own.empty:
        return None
    errors = {s: e["chosen"]["ece"] for s, e in evaluation.items() if e and e["chosen"] and known(e["chosen"]["ece"])}
    return {"figure": figures.reliability(own, names=names), "errors": errors, "rows": own.to_dict("records")}


def _training(history):
    """Figures of loss, log loss and recall by epoch, for the points of the sweep that end best."""
    if history.empty:
        return None
    last = history.sort_values("epoch", kind="stable").groupby("point", sort=False).last()
    best = last.sort_values("recall_at_10", ascending=False, kind="stable", na_position="last").index[: figures.LINES]
    names = {point: name for point, name in _point_names(last.index).items() if point in set(best)}
    own = history[history["point"].isin(list(names))]
    own = own.assign(recall_at_10=100 * own["recall_at_10"])

    def drawn(*columns):
        told = [(column, words) for column, words in columns if own[column].notna().any()]
        return figures.training(own, told, names=names) if told else None

    return {
        "loss": drawn(("loss", "loss"), ("log_loss", "log loss")),
        "recall": drawn(("recall_at_10", "recall@10, %")),
        "points": len(last),
        "shown": len(names),
        "name": next(iter(names.values())),
    }


def _point_names(points):
    """Point -> what parts it from the other points; the whole of it if there is only one."""
    parts = {point: str(point).split("/") for point in sorted(points, key=_natural)}
    shared = set.intersection(*(set(own) for own in parts.values())) if len(parts) > 1 else set()
    return {
        point: ", ".join(p.replace("-", " ", 1).replace("-", " + ") for p in own if p not in shared)
        for point, own in parts.items()
    }


def _natural(point):
    return [(len(p), p) for p in str(point).split("/")]


def _sweep(table):
    """The points of the sweep, the best first, and a figure of the settings that vary; None without two points."""
    table = table[table["recall_at_10"].notna()].sort_values("point", kind="stable")
    if len(table) < 2:
        return None
    table = table.assign(prior=[" + ".join(_parts(p)) or "none" for p in table["prior"]])
    varied = [(column, words) for column, words in SWEPT.items() if table[column].nunique(dropna=False) > 1]
    constant = [column for column in SWEPT if (column, SWEPT[column]) not in varied]
    same = [(SWEPT[column], _shown(table[column].iloc[0])) for column in constant if known(table[column].iloc[0])]
    table["chosen"] = table["chosen"].astype(str).eq("True") if "chosen" in table else False
    best = table.sort_values(["recall_at_10", "point"], ascending=[False, True], kind="stable")
    figure = figures.sweep(table, varied) if varied else None
    new = "recall_at_10_new" in table and table["recall_at_10_new"].notna().any()
    return {"rows": best.to_dict("records"), "figure": figure, "varied": varied, "same": same, "new": new}


def _shown(value):
    return value if isinstance(value, str) else f"{value:,.0f}"


def prior_words(prior) -> str:
    """What a model knew beforehand, in words: "text+labels" is the words of the works and of the labels."""
    parts = _parts(prior)
    if parts == ["all"]:
        return "all of these"
    return ", ".join(PRIORS.get(part, _words(part)) for part in parts) or "nothing"


def _parts(prior):
    """The names in "text+labels", as tables have it, or in "text-labels", as folders have it."""
    return [part for part in re.split(r"[-+]", str(prior)) if part != "none"] if known(prior) and prior else []


def _ablation(table):
    """What each prior is worth, with the weights (gates) that training gave it."""
    if table.empty:
        return None
    gates = [column for column in table.columns if column.startswith("gate")]
    rows = table.assign(words=[prior_words(p) for p in table["prior"]]).to_dict("records")
    shown = [s for s in figures.SCENARIOS if table[f"recall_at_10_{s}"].notna().any()]
    most = max([row[f"recall_at_10_{s}"] for row in rows for s in shown if known(row[f"recall_at_10_{s}"])], default=1)
    for row in rows:
        row["bar"] = {s: 100 * row[f"recall_at_10_{s}"] / (most or 1) for s in shown}
    names = {column: _words(column.removeprefix("gate").strip("_")) or "weight" for column in gates}
    return {
        "rows": rows,
        "gates": {k: PRIORS.get(v, v) for k, v in names.items()},
        "scenarios": shown,
        "intervals": any(known(row[f"recall_at_10_{s}_low"]) for row in rows for s in shown),
    }


def _weights(table):
    """Members with their weight for known and for new works and the width of a bar for each."""
    table = table[table["weight"].notna()]
    if table.empty:
        return None
    wide = table.pivot_table(index="member", columns="scenario", values="weight", aggfunc="first", sort=False)
    wide = wide.reindex(columns=[s for s in figures.SCENARIOS if s in wide])
    most = float(np.nanmax(np.abs(wide.to_numpy()))) or 1.0
    order = wide.max(axis=1).sort_values(ascending=False, kind="stable").index
    rows = [
        {
            "member": model(member),
            "weight": wide.loc[member].to_dict(),
            "bar": {s: 100 * abs(w) / most if known(w) else None for s, w in wide.loc[member].items()},
        }
        for member in order
    ]
    return {"rows": rows, "scenarios": list(wide.columns)}


def _maps(tables):
    """The maps of works and of subjects with names for their dense places; those that have points."""
    maps = {}
    for name, weights in (("works", None), ("subjects", "works")):
        table = tables[f"map_{name}"]
        table = table[np.isfinite(table[["x", "y"]].astype(float)).all(axis=1)]
        if table.empty:
            continue
        places = tables["map_labels"][tables["map_labels"]["map"] == name]
        named = [(str(label), float(x), float(y)) for label, x, y in places[["label", "x", "y"]].to_numpy()]
        size = table[weights].fillna(0).to_numpy(float) if weights else None
        drawn = figures.named_map(table[["x", "y"]].to_numpy(float), named, weights=size)
        maps[name] = {"svg": drawn.svg, "names": drawn.names, "points": len(table)}
    return maps
