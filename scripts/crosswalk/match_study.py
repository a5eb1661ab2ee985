"""A whole matching: sides and phrases, weights, agreement of halves, decision, evaluation, and what to say of it."""

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from crosswalk import truth as judging
from crosswalk.anchors import load_maps
from crosswalk.blocks import Block, Combined, dense_block
from crosswalk.coherence import diversity
from crosswalk.comparison import Made, Side, blocks_of, level_groups, order_of
from crosswalk.files import read_vectors
from crosswalk.matching import Matched, match, nearest
from crosswalk.topics import keyword_vectors, pair_topics, shared_mixtures
from crosswalk.weighting import LEAST_ROWS, Readings, Weighting, choose

logger = logging.getLogger(__name__)

MAPPED = ("embedding", "code")  # blocks that need a map between the two spaces
SURE = 0.05  # p-value of the agreement of halves from which a matching says something
RESAMPLES = 1000
SAMPLED = 2000  # rows of a on which stability is measured


@dataclass(frozen=True)
class Study:
    """What a matching has besides its rows.

    queries: list of (weight, vector of a or None, vector of b or None); pairs: of topics, list of `topics.Pair`, with
    mode "separate", else None; words: `topic_study.Found.keywords`; again: mixtures of another seed, side -> (n, k), or
    None where the topics of two models had to be paired.
    """

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
    `topic_study` wrote; params: `preambles` of the two collections, `queries` (list of (weight, phrase of a, phrase of
    b)) and `floor` of paired topics. Returns (side -> Side, Study).
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
            aligned=transform.apply(vectors[order]).astype(np.float32),  # sorted first: BLAS rounds by place
            topics=read("mixtures")[order],
            halves={
                "texts": [[t.removeprefix(preamble) for t in own[part]] for part in ("first", "second")],
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
        known, embedded, _ = read_vectors(source[f"{name}_phrases"])
        phrases[name] = dict(zip(known, embedded, strict=True)), transform
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
    given, left_out = _given(settings["weights"], study.queries, facts)
    made = blocks_of(a, b, wanted=set(given), queries=study.queries, key=key)
    readings = _readings(made)
    choosing, judging_rows = _parted(readings)
    weighting = choose(readings, given, scales=made.spreads, rows=choosing)
    weights = weighting.weights | ({"queries": made.query_weight} if "queries" in made.blocks else {})
    logger.info("weights: %s", ", ".join(f"{name} {weight:g}" for name, weight in weights.items()))
    names = [name for name in made.blocks if weights.get(name)]
    blocks = [_whole(made.blocks[name]) for name in names]
    coefficients = [weights[name] / made.spreads[name] for name in names]
    groups = level_groups(a, b, settings["recursion"], queries=study.queries, seed=seed, key=key)
    matched = match(
        blocks, coefficients, groups=groups, settings=settings["assignment"], seed=seed, key=f"{key}.assignment"
    )
    agreement = _agreement(readings, {name: weights[name] for name in names}, rows=judging_rows, seed=seed)
    table = _block_table(made, weights, settings["weights"], readings)
    evaluation = _evaluate(made, blocks, coefficients, matched, groups, truths, seed=seed)
    identifiable, statement = _conclude(matched, agreement, facts, n=len(a.ids), left_out=left_out)
    told = matched.facts
    if not identifiable:
        told = told | {"matched": 0, "unmatched": {"nothing can be told": len(a.ids)}}
        evaluation = evaluation[evaluation["scorer"] != "assignment"]
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
        **told,
    }
    diagnostics["stability"] = _stability(
        made, study, readings, given, {name: weights[name] for name in names}, seed=seed
    )
    return Found(matched, made, weighting, table, evaluation, diagnostics)


def _given(weights, queries, facts):
    """The weights of the blocks that count, and whether embeddings are left out because their map was not believed.

    A map that was guessed and could have come about by chance says nothing; what needs no map may still tell.
    """
    given = {name: weight for name, weight in weights.items() if weight == "auto" or weight > 0}
    others = {name: weight for name, weight in given.items() if name not in MAPPED}
    left_out = _guessed_in_vain(facts) and bool(others or queries)
    return others if left_out else given, left_out


def _guessed_in_vain(facts):
    return not facts.get("identifiable", {"identifiable": True})["identifiable"]


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
    sides["a"].topics, sides["b"].topics = shared_mixtures(sides["a"].topics, sides["b"].topics, pairs)
    for place, side in enumerate(sides.values()):
        own = [pair._replace(a=pair[place], b=pair[place]) for pair in pairs]
        if "topics" in side.halves:
            side.halves["topics"] = list(shared_mixtures(*side.halves["topics"], own))
    return pairs


def _readings(made):
    """The halves' readings of all blocks; None where no texts, or too few, were split."""
    blocks = list(made.blocks.values())
    split = [len(blocks[0].parts[part].dense) for part in ("a1", "b1") if part in blocks[0].parts]
    if len(split) < 2 or sum(split) < LEAST_ROWS:
        return None
    return Readings(blocks, made.spreads)


def _whole(block, rows=None):
    """A block without its halves, with all rows of a or some."""
    a, b = block.parts["a"], block.parts["b"]
    return Block(block.name, {"a": a if rows is None else a.take(rows), "b": b}, block.means)


def _parted(readings):
    """Split texts that choose the weights, and others that judge them: bool (rows,) each; None where there are none."""
    if readings is None:
        return None, None
    even = np.arange(readings.rows) % 2 == 0
    return even, ~even


def _agreement(readings, weights, *, rows, seed):
    if readings is None:
        return {"observed": None, "null": None, "p": None, "rows": 0}
    reciprocal = readings.agree(weights)[0][rows]
    null = readings.null(weights, rows=rows, seed=seed)
    p = (1 + (null >= reciprocal.mean()).sum()) / (1 + len(null))
    return {
        "observed": float(reciprocal.mean()),
        "null": float(null.mean()),
        "p": float(p),
        "rows": int(rows.sum()),
    }


def _block_table(made, weights, given, readings):
    rows = []
    for name, block in made.blocks.items():
        alone = [[np.nan]] * 2 if readings is None else readings.agree({name: 1.0})
        rows.append(
            {
                "block": name,
                "kind": "dense" if block.parts["a"].terms is None else "sparse",
                "weight": weights.get(name, 0.0),
                "given": str(given.get(name, weights.get(name))),
                "columns": block.width,
                "agreement": float(np.mean(alone[0])),
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


def _conclude(matched, agreement, facts, *, n, left_out):
    """Whether there is anything to tell, and the sentence that says so."""
    guessed = facts.get("identifiable")
    if _guessed_in_vain(facts) and not left_out:
        return False, (
            "Not identifiable: two halves of the rows, each aligned for itself, lead to the same partner in "
            f"{100 * guessed['agreement']:.0f} % of the rows only (at least {100 * guessed['threshold']:.0f} % are "
            "asked for). What the two spaces have in common cannot be told from chance."
        )
    if agreement["p"] is not None and agreement["p"] > SURE:
        return False, (
            "Not identifiable: the two halves of a text agree on their partner no better than the halves of different "
            f"texts do (mean reciprocal rank {agreement['observed']:.3f} against {agreement['null']:.3f}, "
            f"p = {agreement['p']:.2g})."
        )
    if not matched.facts["matched"]:
        return False, (
            "Nothing can be matched: no row of the one side is nearer to any row of the other than chance makes it. "
            "There may be no counterparts, too few rows, or rows that are too alike; other weights may tell more. With "
            "assignment.unmatched set to never the nearest are given out all the same."
        )
    without = (
        " The map between the two embedding spaces could not be told from chance, so embeddings were left out."
        if left_out
        else ""
    )
    share = matched.facts["matched"] / n
    told = f"{matched.facts['matched']:,} of {n:,} rows ({100 * share:.0f} %) have a partner"
    told += " that is nearer than chance" if np.isfinite(matched.threshold) else ", near or not (unmatched: never)"
    if agreement["observed"] is not None:
        told += (
            f"; the two halves of a text agree on it with a mean reciprocal rank of {agreement['observed']:.2f}, where "
            f"halves of different texts have {agreement['null']:.2f}"
        )
    return True, told + "." + without


def _topic_facts(study):
    words = study.words
    keywords = [[word for word, _ in topic] for topics in words["topics"].values() for topic in topics]
    varied = diversity(keywords)
    return {
        "engine": " and ".join(sorted(set(words["engine"].values()))),
        "number": [len(topics) for topics in words["topics"].values()],
        "coherence": float(np.mean([value for values in words["coherence"].values() for value in values])),
        "diversity": varied if np.isfinite(varied) else None,
        "paired": None if study.pairs is None else len(study.pairs),
    }


def _stability(made, study, readings, given, weights, *, seed):
    """How firm the nearest rows are: shares of a sample of a whose nearest stays the same.

    "weights": when they are chosen by the other half of the split texts; "seed": with the topics of another seed;
    "order": with the rows of both sides in another order. None where there is nothing that could change.
    """
    n = len(made.blocks[next(iter(weights))].parts["a"].dense)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.intp))

    def chosen(weights, blocks=made.blocks):
        kept = [name for name in blocks if weights.get(name)]
        thin = [_whole(blocks[name], rows) for name in kept]
        return nearest(Combined(thin, [weights[name] / made.spreads[name] for name in kept]))

    found, now = {"weights": None, "seed": None, "order": None}, chosen(weights)
    found["order"] = float(np.mean(_reordered(made, weights, rows, seed=seed) == now))
    if readings is not None and readings.rows >= 2 * LEAST_ROWS and "auto" in given.values():
        own = choose(readings, given, scales=made.spreads, rows=_parted(readings)[1]).weights
        found["weights"] = float(np.mean(chosen(weights | own) == now))
    if study.again is not None and "topics" in weights:
        again = made.blocks | {"topics": dense_block("topics", study.again)}
        found["seed"] = float(np.mean(chosen(weights, again) == now))
    return found


def _reordered(made, weights, rows, *, seed):
    """The nearest row of b for some rows of a when both sides are compared in another order."""
    rng = np.random.default_rng(seed)
    names = list(weights)
    m = len(made.blocks[names[0]].parts["b"].dense)
    a, b = rng.permutation(len(rows)), rng.permutation(m)
    mixed = []
    for name in names:
        block = made.blocks[name]
        mixed.append(Block(name, {"a": block.parts["a"].take(rows[a]), "b": block.parts["b"].take(b)}, block.means))
    found = b[nearest(Combined(mixed, [weights[name] / made.spreads[name] for name in names]))]
    return found[np.argsort(a)]
