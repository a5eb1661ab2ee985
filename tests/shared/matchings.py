"""Small matchings with a known truth: the same things told by two people who use different words."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from crosswalk.anchors import align_sides
from crosswalk.comparison import order_of
from crosswalk.files import write_tensors, write_vectors
from crosswalk.halves import draw
from crosswalk.match_study import run, sides_from
from crosswalk.topic_study import study_topics

WIDTH = 48
# What the first collection says, and how the second says the same, if it has another word; each line is a theme.
THEMES = [
    "boat/ship sea/ocean sailor/mariner harbour/port storm/tempest anchor net/mesh fish",
    "doctor/physician illness/disease medicine/drug patient/sufferer wound/injury clinic/hospital nurse bandage",
    "teacher/tutor pupil/student lesson/class school/academy book/volume test/exam chalk ruler",
    "farmer/grower field/meadow cow/cattle wheat/grain barn/shed orchard/grove plough harvest",
    "lawyer/attorney judge/magistrate court/tribunal crime/offence jail/prison theft/robbery police wig",
    "painter/artist picture/image colour/hue sculpture/statue museum/gallery drawing/sketch brush easel",
]
PAIRS = [(pair.split("/")[0], pair.split("/")[-1]) for theme in THEMES for pair in theme.split()]
CONCEPT = {word: i for i, pair in enumerate(PAIRS) for word in pair}
EACH = 5  # concepts of a thing, all but one of one theme
SETTINGS = {
    "weights": {"embedding": "auto", "words": "auto", "characters": "auto", "topics": "auto", "code": 0},
    "assignment": {"mode": "free", "capacity": None, "unmatched": "never", "candidates": 20, "top": 10},
    "recursion": [],
}
AUTO = SETTINGS | {"assignment": SETTINGS["assignment"] | {"unmatched": "auto"}}
TOPICS = {
    "number": [6], "engine": "nmf", "mode": "joint", "tokens": "pattern", "min_df": 2, "max_df": 0.5,
    "stop_words": ["met", "near"],
}  # fmt: skip


class Files(dict):
    """Paths by name, as Snakemake gives a script its input."""

    __getattr__ = dict.__getitem__


def things(count=60, *, seed=0):
    """The concepts of each thing: int (count, EACH), no two things with the same."""
    rng = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        theme = 8 * rng.integers(len(THEMES))
        own = tuple(sorted([*(theme + rng.choice(8, EACH - 1, replace=False)), rng.integers(len(PAIRS))]))
        if len(set(own)) == EACH:
            found[own] = None
    return np.array(list(found))


def tell(concepts, *, side, rng, sentences=6):
    """A text of a side about some concepts: each sentence names three of them."""
    said = ("here the {} met the {} and the {}.", "there was a {} with one {} near some {}.")[side]
    chosen = (rng.choice(concepts, 3, replace=False) for _ in range(sentences))
    return " ".join(said.format(*(PAIRS[c][side] for c in own)) for own in chosen)


def collection(concepts, *, side, seed=0, label="t"):
    """A table with id and text of the things whose concepts are given; thing 7 has the id t-007 on either side."""
    rng = np.random.default_rng([seed, side])
    texts = [tell(own, side=side, rng=rng) for own in concepts]
    return pd.DataFrame({"id": [f"{label}-{i:03}" for i in range(len(texts))], "text": texts})


def embed(texts, *, seed=0, noise=0.1, width=WIDTH):
    """Unit vectors in which words of one meaning lie in one place, as a model of language has them."""
    places = np.random.default_rng(seed).normal(size=(len(PAIRS), width)) / np.sqrt(width)
    rows = []
    for text in texts:
        own = np.random.default_rng([seed, *text.encode()]).normal(size=width) / np.sqrt(width)
        known = [places[CONCEPT[word]] for word in text.replace(".", "").split() if word in CONCEPT]
        rows.append(np.sum(known, axis=0) / max(len(known), 1) + noise * own if known else own)
    rows = np.array(rows)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def compose(
    folder, rows, *, split=500, topics=TOPICS, queries=(), method="none", floor=0.3, seed=0, vectors=None, preamble=""
):  # fmt: skip
    """Everything up to `match_study.run`, through the files that the rules write: (sides, study, facts of the maps).

    rows: side -> table with id and text; vectors: side -> what embeds a list of texts; preamble: before every text
    and half of the files, though not of what is embedded.
    """
    vectors = vectors or dict.fromkeys("ab", embed)
    halves = pd.concat([
        draw(rows[side]["id"].tolist(), rows[side]["text"].tolist(), count=split, seed=seed).assign(side=side)
        for side in "ab"
    ])  # fmt: skip
    own = {side: halves[halves["side"] == side] for side in "ab"}
    texts = {
        side: {"rows": rows[side]["text"].tolist(), "first": own[side]["first"].tolist(),
               "second": own[side]["second"].tolist()}
        for side in "ab"
    }  # fmt: skip
    orders = {side: order_of(rows[side]["id"]) for side in "ab"}
    found = study_topics(texts, orders, settings=topics, seed=seed, folder=folder, key="match.m.topics")
    words = found.keywords | {"bridge": []}
    keywords = {word for topic in words["topics"].values() for one in topic for word, _ in one}
    source, phrases, embedded = Files(), [], []
    for place, side in enumerate("ab"):
        ids = rows[side]["id"].tolist()
        said = sorted(keywords | {query[1 + place] for query in queries if query[1 + place]})
        phrases.append(dict(zip(said, vectors[side](said), strict=True)))
        embedded.append(vectors[side](texts[side]["rows"]))
        halved = [*texts[side]["first"], *texts[side]["second"]]
        half_ids = [f"{row}/{number}" for number in (1, 2) for row in own[side]["id"]]
        made = {
            "vectors": (ids, embedded[-1]),
            "halves": (half_ids, vectors[side](halved) if halved else np.empty((0, embedded[-1].shape[1]))),
            "phrases": (said, vectors[side](said)),
            "mixtures": (ids, found.mixtures[side]["rows"]),
            "again": (ids, found.mixtures[side]["again"]),
            "half_mixtures": (half_ids, found.mixtures[side]["halves"]),
        }
        for kind, (names, values) in made.items():
            source[f"{side}_{kind}"] = folder / f"{side}_{kind}.arrow"
            write_vectors(source[f"{side}_{kind}"], names, values)
    mixtures = [found.mixtures[side]["rows"] for side in "ab"]
    maps = align_sides(
        embedded, mixtures, phrases, orders=[orders[side] for side in "ab"], words=words, anchors=None, method=method,
        seed=seed,
    )  # fmt: skip
    source["maps"] = folder / "alignment.safetensors"
    write_tensors(source.maps, maps.tensors())
    params = SimpleNamespace(preambles=[preamble] * 2, queries=list(queries), floor=floor)
    rows = {side: table.assign(text=preamble + table["text"]) for side, table in rows.items()}
    halves = halves.assign(first=preamble + halves["first"], second=preamble + halves["second"])
    return *sides_from(source, rows, halves, words, params), maps.facts


def matched(folder, rows, *, settings=SETTINGS, truths=(), seed=0, **options):
    """(sides, study, Found) of a whole matching; options: of `compose`."""
    sides, study, facts = compose(folder, rows, seed=seed, **options)
    return sides, study, run(sides, study, list(truths), facts=facts, settings=settings, seed=seed, key="match.m")
