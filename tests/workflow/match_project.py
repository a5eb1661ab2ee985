"""A study that matches two collections of our own making, to run Snakemake on."""

import csv
import json

import numpy as np

from matchings import PAIRS, THEMES, things
from project import Project

SIDES = {"told": "t", "retold": "r"}  # what the ids of a collection start with
SHARED, ALONE = 110, {"told": 20, "retold": 40}  # things of both collections, and of one
STRANGE = 0.4  # how often the second collection says a thing with a word of its own
TRUTH = {"path": "truth.csv", "a": "ours", "b": "theirs"}
ANCHORS = {"path": "anchors.csv", "a": "ours", "b": "theirs"}
QUERIES = [
    {"phrase": "boat sea storm sailor"},
    {"a": "doctor illness nurse", "b": "physician disease nurse", "weight": 2},
    {"a": "", "b": "lawyer judge court"},
]


def tell(concepts, *, side, rng, sentences=6):
    """A text about some concepts: what is told in one word is now and then retold in another."""
    words = [PAIRS[c][int(side == "retold" and rng.random() < STRANGE)] for c in concepts]
    said = {"told": "here the {} met the {} and the {}.", "retold": "there was a {} with one {} near some {}."}[side]
    return " ".join(said.format(*rng.choice(words, 3, replace=False)) for _ in range(sentences))


def rows(side, *, seed=0):
    """The rows of a collection: thing i has the id t-00i in the one and r-00i in the other."""
    made = things(SHARED + sum(ALONE.values()), seed=seed)
    own = [*range(SHARED), *range(SHARED, SHARED + ALONE["told"])]
    if side == "retold":
        own = [*range(SHARED), *range(SHARED + ALONE["told"], len(made))]
    rng = np.random.default_rng([seed, len(own)])
    order = rng.permutation(own)
    return [
        {
            "id": f"{SIDES[side]}-{i:03}",
            "text": tell(made[i], side=side, rng=rng),
            "theme": THEMES[int(np.bincount(made[i] // 8).argmax())].split()[0],
        }
        for i in order
    ]


def write_rows(path, made):
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def write_pairs(path, pairs):
    """A table of pairs of ids with the columns ours and theirs."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ours", "theirs"), *pairs])


def same_thing(count):
    """Pairs of ids of the first things that both collections have."""
    return [(f"t-{i:03}", f"r-{i:03}") for i in range(count)]


def strange_rows(side, *, count=60, seed=0):
    """Rows that share nothing with the other side, and whose halves share nothing: random letters, no word twice."""
    letters = {"left": "abcdefghijklm", "right": "nopqrstuvwxyz"}[side]
    rng = np.random.default_rng([seed, *side.encode()])
    words = ["".join(rng.choice(list(letters), 6)) for _ in range(200)]
    return [{"id": f"{side}-{i:02}", "text": " ".join(rng.choice(words, 24, replace=False))} for i in range(count)]


def collection(name, **more):
    """The entry of a collection in the config."""
    return {"source": {"path": f"{name}.jsonl"}, "id": "id", "text": {"columns": ["text"]}, **more}


def matching(**more):
    """An entry of `match`, of the two sides unless others are named, with the topics that they were made of."""
    topics = {"number": 6, "min_df": 2, "stop_words": ["met", "near"]} | more.pop("topics", {})
    return {"a": "told", "b": "retold", "topics": topics, "split_half": 100, **more}


def config(**matchings):
    """The config of a study with the given entries of `match`, and the collections that they name."""
    collections = {name: collection(name, keep=["theme"]) for name in SIDES}
    collections["hashed"] = collection("retold", embedding={"provider": "hashing", "dimensions": 64})
    collections |= {name: collection(name, embedding={"provider": "hashing"}) for name in ("left", "right")}
    named = {own[side] for own in matchings.values() for side in "ab"}
    return {
        "title": "Told twice",
        "pathvars": {"results": "results/twice"},
        "seed": 7,
        "collections": {name: own for name, own in collections.items() if name in named},
        "embedding": {"provider": "tfidf", "dimensions": 32},
        "encode": {"encoders": [], "dims": [4], "epochs": 5},
        "match": matchings,
        "report": {"max_clusters": 8, "clusters": 4},
    }


class MatchProject(Project):
    """A copy of the project with two collections that belong together, two that do not, true pairs and anchors."""

    def __init__(self, folder, **matchings):
        super().__init__(folder, items=0)
        for side in SIDES:
            write_rows(self.folder / f"{side}.jsonl", rows(side))
        for side in ("left", "right"):
            write_rows(self.folder / f"{side}.jsonl", strange_rows(side))
        write_pairs(self.folder / "truth.csv", same_thing(SHARED))
        write_pairs(self.folder / "anchors.csv", same_thing(40))
        write_pairs(self.folder / "strange.csv", [(f"left-{i:02}", f"right-{i:02}") for i in range(60)])
        self.config = config(**matchings)

    def match(self, name):
        """The folder of a matching."""
        return self.results / "match" / name
