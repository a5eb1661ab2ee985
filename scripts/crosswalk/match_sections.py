"""What the report says of one matching: who was asked for whom, what was found and how sure it is; no HTML."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crosswalk import match_figures as figures
from crosswalk.match_examples import examples
from crosswalk.sections import known

TRIED = 12  # combinations of weights in the table, the best first
KEYWORDS = 3  # of a topic, in the legend of its map
FINAL = ("assignment", "recursion", "all blocks")  # what a matching ends with, the last step first

BARS = ("hit_at_1", "low", "high", "chance")  # of a measure, drawn as a bar


@dataclass(frozen=True)
class Matching:
    """All that was written about one entry of `match`.

    Tables as DataFrames with the columns of the files of their names, facts as a dict; matches has one row for each row
    of a, or none if nothing can be matched. a_mixtures, b_mixtures: float32 (n, k), (m, k), rows in the order of the
    collections; column i is shared topic i + 1: a topic of both or, where each side has its own, a pair of them, in the
    order of a's.
    """

    name: str
    diagnostics: dict
    matches: pd.DataFrame
    candidates: pd.DataFrame
    topics: pd.DataFrame
    topic_models: pd.DataFrame
    weights: pd.DataFrame
    blocks: pd.DataFrame
    map: pd.DataFrame
    evaluation: pd.DataFrame
    a_mixtures: np.ndarray
    b_mixtures: np.ndarray


def match_section(m: Matching, collections: dict, config: dict) -> dict:
    """What the template shows of a Matching.

    collections: name -> Collection; config: its entry in the config. Returns a dict; without `identifiable` it has
    neither map nor examples, whatever the tables hold.
    """
    d = m.diagnostics
    identifiable = bool(d.get("identifiable"))
    sides = {"a": collections[config["a"]], "b": collections[config["b"]]}
    found = {"matched": 0, "taken": 0, "unmatched": [], "chosen_twice": 0}
    told, drawn = [], {}
    if identifiable:
        found = _found(m.matches)
        blocks = m.blocks["block"].tolist() if len(m.blocks) else []
        words = {int(t["topic"]): str(t["keywords"]) for t in m.topics.to_dict("records") if t["side"] in ("both", "a")}
        told = examples(m.matches, m.candidates, words, blocks, {k: _texts(c) for k, c in sides.items()})
        drawn = _maps(m, sides)
    evaluation = _evaluation(m.evaluation)
    return {
        "name": m.name,
        "anchor": f"match-{m.name}",
        "heading": _heading(config),
        "a": config["a"],
        "b": config["b"],
        "published": config.get("method") == "as_published",
        "identifiable": identifiable,
        "statement": d.get("statement", ""),
        "rows": [len(sides["a"].rows), len(sides["b"].rows)],
        "alignment": _alignment(d.get("alignment") or {}),
        "agreement": dict.fromkeys(("observed", "null", "p", "rows")) | (d.get("agreement") or {}),
        "advice": [] if identifiable else _advice(d.get("regime"), config),
        **found,
        "examples": told,
        "strongest": [e for e in told if e["kind"] == "strongest"],
        "clouds": drawn.get("clouds"),
        "topic_maps": drawn.get("topics"),
        "topics": _topics(m.topics),
        "models": m.topic_models.to_dict("records"),
        "blocks": _blocks(m.blocks),
        "tried": _tried(m.weights),
        "evaluation": evaluation,
        "headline": evaluation[0] if evaluation else None,
        "facts": _facts(d, config.get("assignment") or {}),
    }


def _heading(config):
    a, b = (config[side].replace("_", " ") for side in "ab")
    return f"{a} matched with {b}" + (", as published" if config.get("method") == "as_published" else "")


def _texts(collection):
    return pd.Series(collection.rows["text"].to_numpy(), index=collection.rows["id"].to_numpy())


def _found(matches):
    """How many rows have a partner, how many partners there are, and why the others have none, commonest first."""
    partner = matches["b_id"].fillna("")
    alone = matches.loc[partner == "", "reason"].fillna("").replace("", "no reason was given")
    reasons = sorted(alone.value_counts().items(), key=lambda item: (-item[1], item[0]))
    times = partner[partner != ""].value_counts()
    return {
        "matched": int((partner != "").sum()),
        "taken": len(times),
        "chosen_twice": int((times > 1).sum()),
        "unmatched": [(str(reason), int(count)) for reason, count in reasons],
    }


def _advice(regime, config):
    """What to try when nothing can be told apart; nothing that the config already does."""
    tried = {key for key, value in (config.get("weights") or {}).items() if value == 0}
    advice = []
    if regime not in ("same model", "anchors"):
        advice.append("Embed both sides with one model: then nothing has to be aligned.")
    if regime == "unsupervised":
        advice.append(
            "If the two sides share a language, bridge the two models by words that both embed: "
            "`alignment.method: words`."
        )
    if regime == "anchors":
        advice.append("Give more anchors, spread over all that the collections are about, and check those there are.")
    else:
        advice.append("Give pairs known to correspond, ten or more: `alignment.anchors`.")
    off = sorted(tried & {"words", "characters", "topics"})
    if off:
        advice.append(f"Let shared wording count: set `weights.{off[0]}` to `auto`; at present it is 0.")
    advice.append("Say what rows should be alike in: a phrase or two in `queries`.")
    advice.append(
        "See in the topics below whether the two collections are about the same things at all, and whether their texts "
        "are long enough to tell one from another."
    )
    return advice


def _maps(m, sides):
    """The figures of both clouds and of the topics, with what their captions say; none without a map."""
    clouds, order = {}, {}
    for side, collection in sides.items():
        own = m.map[m.map["side"] == side].set_index("id")
        order[side] = own.index.intersection(pd.Index(np.sort(collection.rows["id"].to_numpy()))).sort_values()
        clouds[side] = own.loc[order[side]]
    if not all(map(len, clouds.values())):
        return {}
    pairs, total = _lines(m.matches, order)
    kept = {
        side: figures.sample(len(clouds[side]), most=figures.SAMPLE, always=pairs[:, i]) for i, side in enumerate("ab")
    }
    places = np.column_stack([np.searchsorted(kept[side], pairs[:, i]) for i, side in enumerate("ab")])
    names = [sides[side].name for side in "ab"]
    panels = {}
    for when, joined in (("before", ()), ("after", places)):
        points = [clouds[side][[f"x_{when}", f"y_{when}"]].to_numpy(float)[kept[side]] for side in "ab"]
        if np.isfinite(np.concatenate(points)).all():
            panels[when] = figures.clouds(*points, names=names, pairs=joined)
    widths = {side.vectors.shape[1] for side in sides.values()}
    told = {"lines": len(pairs), "matched": total, "shown": _shown(kept, clouds), "apart": len(widths) > 1}
    drawn = {"clouds": {"panels": panels} | told}
    if len(m.topics) and m.a_mixtures.size and m.b_mixtures.size and "after" in panels:
        drawn["topics"] = _topic_maps(m, sides, clouds, order, kept)
    return drawn if panels else {}


def _shown(kept, clouds):
    """For each side that is not drawn whole: rows drawn and rows there are."""
    return {side: (len(kept[side]), len(clouds[side])) for side in "ab" if len(kept[side]) < len(clouds[side])}


def _lines(matches, order):
    """Row numbers of the partners to join, (l, 2), evenly spaced among all of them, and how many there are."""
    joined = matches.loc[matches["b_id"].fillna("") != "", ["a_id", "b_id"]].sort_values("a_id", kind="stable")
    places = np.column_stack([order[s].get_indexer(joined[f"{s}_id"]) for s in "ab"])
    places = places[(places >= 0).all(axis=1)]
    drawn = np.linspace(0, len(places) - 1, min(len(places), figures.LINES)).round().astype(int)
    return places[drawn], len(joined)


def _topic_maps(m, sides, clouds, order, kept):
    """The rows of each side in the colours of their topics, in the plane of the aligned clouds, and one legend."""
    shares = np.array([m.a_mixtures.mean(axis=0), m.b_mixtures.mean(axis=0)], dtype=float)
    colours = figures.topic_colours(shares.sum(axis=0))
    words = _first_words(m.topics)
    plane = np.concatenate([clouds[s].iloc[kept[s]][["x_after", "y_after"]].to_numpy(float) for s in "ab"])
    numbers = [i if colour != figures.OTHERS else 0 for i, colour in enumerate(colours, 1)]
    panels = []
    for side, mixtures in (("a", m.a_mixtures), ("b", m.b_mixtures)):
        rows = pd.Index(sides[side].rows["id"]).get_indexer(order[side][kept[side]])
        points = clouds[side].iloc[kept[side]][["x_after", "y_after"]].to_numpy(float)
        svg = figures.topic_map(points, mixtures[rows], colours=colours, numbers=numbers, around=plane)
        panels.append((sides[side].name, svg))
    legend = [
        {"number": n, "colour": colour, "keywords": words.get(n, [])}
        for n, colour in zip(numbers, colours, strict=True)
        if n
    ]
    return {"panels": panels, "legend": legend, "others": len(colours) - len(legend), "grey": figures.OTHERS}


def _first_words(table):
    """Number of a column of the mixtures -> its first keywords, told apart by side where each has topics of its own."""
    named = [(n, row) for n, *pair in shared_topics(table) for row in pair if row]
    if not named:  # nothing is paired: a column is one topic of a and another of b
        named = [(int(row["topic"]), row) for row in table.to_dict("records")]
    words = {}
    for number, row in named:
        first = ", ".join(str(row["keywords"]).split(", ")[:KEYWORDS])
        words.setdefault(number, []).append((row["side"], first))
    return words


def shared_topics(table):
    """Topics that both sides have: number, row, and b's row or None; pairs are numbered as in the mixtures."""
    if table.empty:
        return []
    rows = table.to_dict("records")
    both = [(int(row["topic"]), row, None) for row in rows if row["side"] == "both"]
    other = {int(row["topic"]): row for row in rows if row["side"] == "b"}
    pairs = [row for row in rows if row["side"] == "a" and known(row.get("partner")) and row["partner"] in other]
    return both or [(i, row, other[int(row["partner"])]) for i, row in enumerate(pairs, 1)]


def _topics(table):
    """Topics for people: those that both sides have, and those of one side; bars on one scale."""
    if table.empty:
        return None
    table = table.assign(**{column: np.nan for column in ("partner", "cosine") if column not in table})
    rows = table.to_dict("records")
    most = max([0.0, *(row[key] for row in rows for key in ("share_a", "share_b") if known(row[key]))]) or 1.0
    for row in rows:
        row["bars"] = {s: 100 * row[f"share_{s}"] / most if known(row[f"share_{s}"]) else None for s in "ab"}
    shared = shared_topics(table.assign(bars=[row["bars"] for row in rows]))
    return {
        "both": [row for _, row, other in shared if other is None],
        "pairs": [(number, row, other) for number, row, other in shared if other is not None],
        "alone": [row for row in rows if row["side"] != "both" and not known(row["partner"])],
    }


def _blocks(table):
    """Blocks with the width of a bar for each weight."""
    rows = table.to_dict("records")
    most = max([0.0, *(row["weight"] for row in rows if known(row["weight"]))]) or 1.0
    for i, row in enumerate(rows):
        row["bar"] = 100 * row["weight"] / most if known(row["weight"]) else 0.0
        row["colour"] = i
    return rows


def _tried(table):
    """The combinations of weights that were tried, the best first; none if the weights were given."""
    if table.empty:
        return None
    columns = [c for c in table.columns if c not in ("agreement", "same", "chosen_from")]
    best = table.sort_values("agreement", ascending=False, kind="stable")
    return {
        "blocks": columns,
        "rows": best.head(TRIED).to_dict("records"),
        "count": len(table),
        "averaged": int(table["chosen_from"].astype(bool).sum()),
    }


def _evaluation(table):
    """A table for each measure, in the order of the file, with where bars stand in percent."""
    found = []
    for measure, own in table.groupby("measure", sort=False) if len(table) else ():
        rows = own.to_dict("records")
        scorers = [row["scorer"] for row in rows]
        final = next((scorer for scorer in FINAL if scorer in scorers), scorers[-1])
        for row in rows:
            row["final"] = row["scorer"] == final
            row["bar"] = {k: 100 * min(max(row[k], 0), 1) if known(row[k]) else None for k in BARS}
        kind, _, which = str(measure).partition(", ")
        first = all(kind != other["kind"] for other in found)
        labels = kind == "labels"
        found.append({"measure": measure, "kind": kind, "labels": labels, "which": which, "first": first, "rows": rows})
    return found


def _alignment(facts):
    """How the spaces were brought together: a sentence, figures by name, and how far two halves of the rows agree."""
    sentence = facts.get("statement") or ""
    flat = {k: v for k, v in facts.items() if k != "statement"} | (facts.get("details") or {})
    shown = {k: v for k, v in flat.items() if isinstance(v, str | int | float) and not isinstance(v, bool)}
    return {
        "sentence": f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}." if sentence else "",
        "shown": {k: f"{v:.3g}" if isinstance(v, float) else str(v) for k, v in shown.items()},
        "halves": facts.get("identifiable") if isinstance(facts.get("identifiable"), dict) else None,
    }


def _facts(d, settings):
    """Facts of the assignment, how firm it is, and the levels; settings: the config's `assignment`."""
    assignment = d.get("assignment") or {}
    total, bound = assignment.get("total"), assignment.get("bound")
    return {
        "assignment": assignment,
        "gap": max(bound - total, 0) / max(abs(bound), 1e-12) if known(total) and known(bound) else None,
        "stability": {"weights": None, "seed": None, "order": None} | (d.get("stability") or {}),
        "chance": {"threshold": None, "level": None} | (d.get("chance") or {}),
        "by_chance": settings.get("unmatched", "auto") == "auto",
        "levels": [str(level) for level in d.get("recursion") or []],
    }
