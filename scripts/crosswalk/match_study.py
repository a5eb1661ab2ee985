"""A whole matching: sides and phrases, weights, agreement of halves, decision, evaluation, and what to say of it."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from crosswalk import truth as judging
from crosswalk.anchors import load_maps
from crosswalk.blocks import Block, Combined, Levelled, dense_block
from crosswalk.comparison import Made, Side, blocks_of, level_groups, order_of
from crosswalk.files import read_vectors
from crosswalk.matching import Matched, match, nearest
from crosswalk.topics import keyword_vectors, pair_topics, shared_mixtures
from crosswalk.weighting import LEAST_ROWS, Readings, Weighting, choose

logger = logging.getLogger(__name__)

SURE = 0.05  # p-value of the agreement of halves from which a matching says something
RESAMPLES = 1000
EMPTY = "agreement", "same"


@dataclass(frozen=True)
class Study:
    """queries: list of (weight, vector of a or None, vector of b or None); pairs: of topics, with mode "separate";
    keywords: side or "both" -> topics; coherence: likewise; again: seed's other mixtures {side: (n, k)} or None."""

    queries: list
    pairs: list | None
    words: dict
    again: dict | None


class Found(NamedTuple):
    """What `run` found: Matched, Made, Weighting, the tables `blocks` and `evaluation`, and the diagnostics."""

    matched: Matched
    made: Made
    weighting: Weighting
    blocks: pd.DataFrame
    evaluation: pd.DataFrame
    diagnostics: dict


def sides_from(source, rows, halves, words, params):
    """Read both sides of a matching.

    source: the rule's input files; rows: side -> table of the collection; halves: table of split texts; words: what
    `topic_study` wrote; params: collections' preambles, `queries` (list of (weight, phrase of a, phrase of b)) and
    `floor` of paired topics. Returns (side -> Side, Study).
    """
    maps = load_maps(load_file(source.maps))
    phrases, sides, again = {}, {}, {}
    for name, transform, preamble in zip("ab", maps, params.preambles, strict=True):
        ids = rows[name]["id"].to_numpy()
        order = order_of(ids)

        def read(kind, ids=ids, name=name):
            return read_vectors(source[f"{name}_{kind}"], ids=ids)[1]

        own = halves[halves["side"] == name]
        vectors, half_vectors = read("vectors"), _halved(source[f"{name}_halves"])
        texts = [text.removeprefix(preamble) for text in rows[name]["text"]]
        side = Side(
            ids=ids[order],
            texts=[texts[i] for i in order],
            order=order,
            vectors=vectors[order],
            aligned=transform.apply(vectors)[order].astype(np.float32),
            topics=read("mixtures")[order],
            halves={
                "texts": [own[part].tolist() for part in ("first", "second")],
                "vectors": half_vectors,
                "aligned": [transform.apply(part) for part in half_vectors],
                "topics": _halved(source[f"{name}_half_mixtures"]),
            },
        )
        if f"{name}_codes" in source.keys():  # noqa: SIM118, for it is Snakemake's own kind of list
            side.codes, side.halves["codes"] = read("codes")[order], _halved(source[f"{name}_half_codes"])
        if not len(own):
            side.halves = {}
        sides[name], again[name] = side, read("again")[order]
        texts, embedded, _ = read_vectors(source[f"{name}_phrases"])
        phrases[name] = dict(zip(texts, embedded, strict=True)), transform
    pairs = _pair(sides, words, phrases, floor=params.floor)
    queries = [
        (weight, *(phrases[name][0][phrase] if phrase else None for name, phrase in (("a", one), ("b", other))))
        for weight, one, other in params.queries
    ]
    return sides, Study(queries, pairs, words, None if pairs is not None else again)


def run(sides, study, truths, *, facts, settings, seed, key):
    """Match two sides.

    truths: list of `truth.Truth`; facts: of the alignment; settings: weights, assignment, recursion; seed: of decoys,
    shuffles and resamples; key: of the config, for errors. Returns Found.
    """
    a, b = sides["a"], sides["b"]
    given = {name: weight for name, weight in settings["weights"].items() if weight == "auto" or weight > 0}
    made = blocks_of(a, b, wanted=set(given), queries=study.queries)
    readings = _readings(made)
    weighting = choose(readings, given, scales=made.spreads)
    weights = weighting.weights | ({"queries": made.query_weight} if "queries" in made.blocks else {})
    logger.info("weights: %s", ", ".join(f"{name} {weight:g}" for name, weight in weights.items()))
    names = [name for name in made.blocks if weights.get(name)]
    blocks = [_whole(made.blocks[name]) for name in names]
    coefficients = [weights[name] / made.spreads[name] for name in names]
    groups = level_groups(a, b, settings["recursion"], queries=study.queries)
    matched = match(
        blocks, coefficients, groups=groups, settings=settings["assignment"], seed=seed, key=f"{key}.assignment"
    )
    agreement = _agreement(readings, {name: weights[name] for name in names}, seed=seed)
    table = _block_table(made, weights, settings["weights"], readings)
    evaluation = _evaluate(made, blocks, coefficients, matched, groups, truths, seed=seed)
    identifiable, statement = _conclude(matched, agreement, facts, n=len(a.ids))
    diagnostics = {
        "rows": [len(a.ids), len(b.ids)],
        "identifiable": identifiable,
        "statement": statement,
        "regime": "same model" if facts["method"] == "none" else facts["method"],
        "alignment": facts,
        "agreement": agreement,
        "weights": weights,
        "recursion": list(settings["recursion"]),
        "topics": _topic_facts(study),
        **matched.facts,
    }
    base = Combined(blocks, coefficients)
    diagnostics["stability"] = _stability(
        base, made, study, sides, readings, given, weights, names, evaluated=nearest(base)
    )
    return Found(matched, made, weighting, table, evaluation, diagnostics)


def _halved(path):
    """The vectors of a file of halves: those of the first halves, and of the second."""
    _, vectors, _ = read_vectors(path)
    return [vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :]]


def _pair(sides, words, phrases, *, floor):
    """Pair the topics of two models and leave both sides the shared ones; None where one model served both."""
    if "both" in words["topics"]:
        return None
    vectors = []
    for name in "ab":
        known, transform = phrases[name]
        vectors.append(
            transform.apply(
                keyword_vectors(words["topics"][name], lambda texts, known=known: np.array([known[t] for t in texts]))
            )
        )
    pairs = pair_topics(*vectors, floor=floor)
    halves = [sides[name].halves.get("topics", []) for name in "ab"]
    sides["a"].topics, sides["b"].topics = shared_mixtures(sides["a"].topics, sides["b"].topics, pairs)
    for place, name in enumerate("ab"):
        columns = [pair[place] for pair in pairs]
        if halves[place]:
            one = [(columns, half) for half in halves[place]]
            sides[name].halves["topics"] = [_renormalise(half[:, own]) for own, half in one]
    return pairs


def _renormalise(rows):
    total = rows.sum(axis=1, keepdims=True)
    return np.where(total > 0, rows / np.where(total > 0, total, 1), 1 / max(rows.shape[1], 1))


def _readings(made):
    """The halves' readings of all blocks; None where no texts, or too few, were split."""
    blocks = list(made.blocks.values())
    split = [len(blocks[0].parts[part].dense) for part in ("a1", "b1") if part in blocks[0].parts]
    if len(split) < 2 or sum(split) < LEAST_ROWS:
        return None
    return Readings(blocks, made.spreads)


def _whole(block):
    return Block(block.name, {side: block.parts[side] for side in "ab"}, block.means)


def _agreement(readings, weights, *, seed):
    if readings is None:
        return {"observed": None, "null": None, "p": None, "rows": 0}
    reciprocal, _ = readings.agree(weights)
    null = readings.null(weights, seed=seed)
    p = (1 + (null >= reciprocal.mean()).sum()) / (1 + len(null))
    return {
        "observed": float(reciprocal.mean()),
        "null": float(null.mean()),
        "p": float(p),
        "rows": int(readings.rows),
    }


def _block_table(made, weights, given, readings):
    rows = []
    for name, block in made.blocks.items():
        alone = readings.agree({name: 1.0}) if readings else (np.array([np.nan]), np.array([np.nan]))
        rows.append(
            {
                "block": name,
                "kind": "dense" if block.parts["a"].terms is None else "sparse",
                "weight": weights.get(name, 0.0),
                "given": str(given.get(name, weights.get(name))),
                "columns": block.width,
                "agreement": float(alone[0].mean()),
                "same": float(np.mean(alone[1])),
            }
        )
    return pd.DataFrame(rows)


def _evaluate(made, blocks, coefficients, matched, groups, truths, *, seed):
    rows = []
    for truth in truths:
        options = {"resamples": RESAMPLES, "seed": seed}
        for name, block in made.blocks.items():
            rows.append(judging.evaluate(Combined([_whole(block)], [1.0]), truth, scorer=name, **options))
        base = Combined(blocks, coefficients)
        rows.append(judging.evaluate(base, truth, scorer="all blocks", **options))
        if groups:
            rows.append(judging.evaluate(matched.scores, truth, scorer="recursion", **options))
        rows.append(judging.evaluate_pairs(matched.partner, truth, scorer="assignment", **options))
    return pd.DataFrame(rows, columns=judging.COLUMNS)


def _conclude(matched, agreement, facts, *, n):
    """Whether there is anything to tell, and the sentence that says so."""
    guessed = facts.get("identifiable")
    if guessed and not guessed["identifiable"]:
        return False, (
            "Not identifiable: two halves of the rows, each aligned for itself, lead to the same partner in "
            f"{100 * guessed['agreement']:.0f} % of the rows only (at least {100 * guessed['threshold']:.0f} % are asked "
            "for). The two spaces have nothing in common that could be told from chance."
        )
    if agreement["p"] is not None and agreement["p"] > SURE:
        return False, (
            "Not identifiable: the two halves of a text agree on their partner no better than the halves of different "
            f"texts do (mean reciprocal rank {agreement['observed']:.3f} against {agreement['null']:.3f}, "
            f"p = {agreement['p']:.2g})."
        )
    if not matched.facts["matched"]:
        return False, "Nothing to match: no row of the one side is nearer to any row of the other than chance makes it."
    share = matched.facts["matched"] / n
    told = f"{matched.facts['matched']:,} of {n:,} rows ({100 * share:.0f} %) have a partner"
    if agreement["observed"] is not None:
        told += (
            f"; the two halves of a text agree on it with a mean reciprocal rank of {agreement['observed']:.2f}, where "
            f"halves of different texts have {agreement['null']:.2f}"
        )
    return True, told + "."


def _topic_facts(study):
    words = study.words
    return {
        "engine": " and ".join(sorted(set(words["engine"].values()))),
        "number": [len(topics) for topics in words["topics"].values()],
        "coherence": float(np.mean([value for values in words["coherence"].values() for value in values])),
        "paired": None if study.pairs is None else len(study.pairs),
    }


def _stability(base, made, study, sides, readings, given, weights, names, *, evaluated):
    """Share of rows whose nearest stays the same with weights of half the split texts, and with another topic seed."""
    found = {"weights": None, "seed": None}
    if readings is not None and "auto" in given.values():
        same = []
        for part in (0, 1):
            rows = np.arange(readings.rows) % 2 == part
            other = choose(readings, given, scales=made.spreads, rows=rows).weights
            other |= {name: weights[name] for name in names if name not in other}
            kept = [name for name in made.blocks if other.get(name)]
            blocks = [_whole(made.blocks[name]) for name in kept]
            scores = Combined(blocks, [other[name] / made.spreads[name] for name in kept])
            same.append(np.mean(nearest(scores) == evaluated))
        found["weights"] = float(np.mean(same))
    if study.again is not None and "topics" in names:
        again = dense_block("topics", study.again)
        blocks = [again if name == "topics" else _whole(made.blocks[name]) for name in names]
        scores = Combined(blocks, [weights[name] / made.spreads[name] for name in names])
        found["seed"] = float(np.mean(nearest(scores) == evaluated))
    return found
