"""Reading which subjects works bear, beside a plain loop that reads whole works into Python lists.

python benchmarks/parsing.py [--works 40000] [--times 3]

The works are made up in the shape that library catalogues publish: one nested JSON object a line, 6 to 10 KB of it, of
which the subjects are a small part. With CROSSWALK_DATA set, its artworks are read, too. Each measurement is a process
of its own, so that its peak memory is its own; Python and the libraries are in it, and are shown as the first line.
Of several measurements the fastest counts.
The loop as published first reads the whole file once more, to count the lines for its progress bar. That pass is a line
of its own here, and the ratio is shown with it and without it.
The target: at least 4 times faster than the loop as published, with its pass to count, on nested works.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from memory import peak_mb

from crosswalk import tags

TARGET = 4
LONGEST = 10_000  # works that differ in the file; further ones repeat them with ids of their own
SUBJECTS = 20_000
SETTINGS = {"path": "subjects[].concepts[]", "id": "id", "label": "label"}
WORDS = ["atlas", "bridge", "copper", "delta", "estuary", "forge", "garden", "harbour", "island", "journal", "kiln"]


def opened(path, mode):
    return gzip.open(path, mode + "t", encoding="utf-8") if path.suffix == ".gz" else open(path, mode, encoding="utf-8")


def compose(path, works, *, seed=0):
    """Write works as nested as a library's, whose subjects follow a power law."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, SUBJECTS + 1)
    chance /= chance.sum()

    def words(count):
        return " ".join(rng.choice(WORDS, count))

    def code(prefix):
        return f"{prefix}{rng.integers(1 << 40):010x}"

    def marked(kind, scheme):
        """An identifier as catalogues nest it: the value, and what kind of value it is."""
        scheme = {"id": scheme, "label": f"number in {scheme}", "type": "IdentifierType"}
        return {"value": code(kind), "identifierType": scheme, "type": "Identifier"}

    def concept(number):
        label = f"{WORDS[number % len(WORDS)]} {number}"
        return {"id": f"c{number}", "label": label, "identifiers": [marked("n", "subjects")], "type": "Concept"}

    def subject():
        concepts = [concept(int(i)) for i in rng.choice(SUBJECTS, rng.choice([1, 1, 2, 3]), p=chance)]
        return concepts[0] | {"type": "Subject", "concepts": concepts}

    def place(kind):
        method = {"id": "online", "label": words(2), "type": "AccessMethod"}
        terms = {"method": method, "status": None, "note": words(12), "type": "AccessCondition"}
        licence = {"id": "by", "label": words(4), "url": f"https://example.org/{code('l')}", "type": "License"}
        where = {"id": kind, "label": words(2), "type": "LocationType"}
        return {"locationType": where, "license": licence, "accessConditions": [terms], "shelfmark": code("s")}

    def person():
        agent = {"id": code("p"), "label": words(3), "identifiers": [marked("n", "names")], "type": "Person"}
        return {"agent": agent, "roles": [{"label": words(1), "type": "Role"}], "primary": True, "type": "Contributor"}

    def work():
        items = [
            {"id": code("i"), "identifiers": [marked("i", "shelves")], "locations": [place("shelf"), place("online")]}
            for _ in range(rng.integers(1, 4))
        ]
        return {
            "title": words(9),
            "description": words(rng.integers(40, 160)),
            "contributors": [person() for _ in range(rng.integers(1, 5))],
            "identifiers": [marked("w", scheme) for scheme in ("shelves", "records", "scans", "loans")],
            "subjects": [subject() for _ in range(rng.integers(0, 6))],
            "genres": [{"label": words(1), "concepts": [concept(int(rng.integers(50)))]}],
            "items": items,
            "production": [{"label": words(5), "places": [{"label": words(1)}], "dates": [{"label": "1871"}]}],
            "partOf": [{"id": code("w"), "title": words(6), "totalParts": 3, "type": "Section"}],
            "notes": [{"contents": [words(25)], "noteType": {"id": "general", "label": words(2)}}],
        }

    bodies = [json.dumps(work())[1:] for _ in range(min(works, LONGEST))]
    with opened(path, "w") as file:
        for i in range(works):
            file.write(f'{{"id": "w{i:07}", {bodies[i % len(bodies)]}\n')


def loop(path, ids):
    """The plain way: every line as Python objects, every id in a list, and a dict of id to label."""
    labels, borne = {}, []
    with opened(path, "r") as file:
        for line in file:
            work = json.loads(line)
            own = []
            for subject in work["subjects"]:
                for concept in subject["concepts"]:
                    own.append(concept["id"])
                    labels[concept["id"]] = concept["label"]
            borne.append(own)
    return sum(map(len, borne))


def count_first(path, ids):
    """The plain way as published: the lines are counted before they are read."""
    with opened(path, "r") as file:
        total = sum(1 for _ in file)
    assert total == len(ids)
    return loop(path, ids)


def ours(path, ids):
    return tags.read(path, SETTINGS, ids=ids, name="bench", id_column="id").counts["concepts"]


def nothing(path, ids):
    return 0


WAYS = {
    "nothing (libraries and ids)": nothing,
    "loop": loop,
    "loop, lines counted first": count_first,
    "tags (ours)": ours,
}


def measure(path, way, ids):
    """CPU seconds, peak MB and number of concepts of one way, in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--path", str(path), "--ids", str(ids)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(options):
    ids = Path(options.ids).read_text(encoding="utf-8").split("\n")
    began = time.process_time()
    concepts = WAYS[options.way](Path(options.path), ids)
    spent = time.process_time() - began
    print(json.dumps([spent, peak_mb(), concepts]))


def compare(name, path, ids, times):
    size = path.stat().st_size / 1e6
    print(f"\n{name}: {len(ids):,} works, {size:,.0f} MB{' compressed' if path.suffix == '.gz' else ''}")
    print(f"{'':28}{'CPU s':>9}{'peak MB':>9}{'concepts':>11}")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("\n".join(ids))
        listed.flush()
        # In turns, so that whatever else the machine does meets all of them.
        rounds = [{way: measure(path, way, listed.name) for way in WAYS} for _ in range(times)]
    found = {way: min(one[way] for one in rounds) for way in WAYS}
    for way, (spent, peak, concepts) in found.items():
        print(f"{way:28}{spent:9.2f}{peak:9.0f}{concepts:11,}")
    assert found["loop"][2] == found["tags (ours)"][2], "the two ways found different numbers of concepts"
    bare, published = (found[way][0] / found["tags (ours)"][0] for way in ("loop", "loop, lines counted first"))
    print(f"ours is {published:.1f} times faster than the loop as published (target on nested works: {TARGET})")
    print(f"ours is {bare:.1f} times faster than the loop without its pass to count the lines")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", type=int, default=40_000)
    parser.add_argument("--times", type=int, default=3)
    for hidden in ("--way", "--path", "--ids"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        return child(options)
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("jsonl", "jsonl.gz"):
            path = Path(folder) / f"works.{ending}"
            compose(path, options.works)
            compare(f"made-up works ({ending})", path, [f"w{i:07}" for i in range(options.works)], options.times)
            path.unlink()
    path = Path(os.environ.get("CROSSWALK_DATA", "")) / "artworks" / "works.jsonl.gz"
    if "CROSSWALK_DATA" in os.environ and path.is_file():
        with opened(path, "r") as file:
            ids = [json.loads(line)["id"] for line in file]
        compare("artworks", path, ids, options.times)


if __name__ == "__main__":
    main()
