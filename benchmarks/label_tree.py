"""Subjects from words by our trees, beside Omikuji with its defaults: training, answering, recall@10 of new works.

python benchmarks/label_tree.py [--works 20000] [--subjects 2000] [--threads 2]

With CROSSWALK_DATA set, the texts and subjects of its artworks are read; else works are made up, whose texts are words
of their subjects among words that mean nothing. All subjects of one work in ten are hidden and asked for. Each
measurement is a process of its own, so that its peak memory is its own. Ours is trained twice: compiled code comes from
numba's cache, if it has one, and both must have the same bytes, which Omikuji's have not. The target: recall and
training no worse than Omikuji's, answers at least 5 times faster, in CPU seconds (wall clock in brackets).
"""

import argparse
import gzip
import hashlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from crosswalk import features, label_tree
from crosswalk.recommender import BATCH, Fitting, Queries

TEXT = ("title", "description", "physicalDescription", "createdDate")
LEAST_WORKS = 2  # that bear a subject
NOISE, OWN, SAID = 20_000, 6, 3  # words of no subject; words of each subject; of these in the text of a work, about
TEN = 10


def artworks(folder):
    """Texts and subjects of each work."""
    with gzip.open(Path(folder) / "artworks" / "works.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            work = json.loads(line)
            tags = {concept["label"].casefold() for subject in work["subjects"] for concept in subject["concepts"]}
            yield " . ".join(work[key] for key in TEXT if work.get(key)), sorted(tags)


def made_up(works, subjects, *, seed=0):
    """The same, invented: subjects and idle words by power laws; subjects that are neighbours go together."""
    rng = np.random.default_rng(seed)
    often, idle = (1 / np.arange(1, size + 1) ** 0.8 for size in (subjects, NOISE))
    first = rng.choice(subjects, works, p=often / often.sum())
    words = rng.choice(NOISE, (works, 2 * TEN), p=idle / idle.sum())
    for one, noise in zip(first, words, strict=True):
        own = {int(one), *((one + rng.geometric(0.3, rng.integers(4))) % subjects).tolist()}
        said = [f"s{tag}x{part}" for tag in own for part in rng.integers(OWN, size=rng.integers(SAID + 1))]
        yield " ".join([*said, *(f"w{word}" for word in noise)]), sorted(own)


def prepare(options):
    """Fitting, and Queries and hidden links of the works that are asked for."""
    folder = os.environ.get("CROSSWALK_DATA")
    read = artworks(folder) if folder else made_up(options.works, options.subjects)
    texts, tags = zip(*((text, own) for text, own in read if own), strict=True)
    names = {name: i for i, name in enumerate(sorted({name for own in tags for name in own}))}
    columns = [names[name] for own in tags for name in own]
    links = csr_array((np.ones(len(columns), np.float32), columns, np.cumsum([0, *map(len, tags)])))
    links = csr_array(links[:, np.bincount(columns) >= LEAST_WORKS])
    asked = np.random.default_rng(0).random(len(texts)) < 0.1
    asked &= np.diff(links.indptr) > 0
    found = features.fit([text for text, hide in zip(texts, asked, strict=True) if not hide]).transform(texts)
    fitting = Fitting(links=links[~asked], features=found[~asked], labels=[""] * links.shape[1])
    b = np.count_nonzero(asked)
    rows, own = np.full(b, -1), csr_array((b, links.shape[1]), dtype=np.float32)
    return fitting, Queries(links=own, features=found[asked], rows=rows, texts=[""] * b), links[asked]


def ours(fitting, threads):
    label_tree.fit(Fitting(fitting.links[:50], fitting.features[:50], fitting.labels))  # compiles
    return lambda: label_tree.fit(fitting, threads=threads)


def digest(model):
    return hashlib.sha256(b"".join(model.forest[name].tobytes() for name in label_tree.FOREST)).hexdigest()


class Omikuji:
    """Omikuji behind the interface of our models."""

    def __init__(self, path, threads):
        import omikuji

        self.model = omikuji.Model.train_on_data(str(path), n_threads=threads)

    def score(self, queries):
        rows, out = queries.features, np.zeros(queries.links.shape, np.float32)
        for i, (start, stop) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
            if stop > start:
                pairs = list(zip(rows.indices[start:stop].tolist(), rows.data[start:stop].tolist(), strict=True))
                for subject, score in self.model.predict(pairs, beam_size=label_tree.BEAM, top_k=label_tree.TOP):
                    out[i, subject] = score
        return out


def omikuji(fitting, threads, folder):
    """Writes the file that Omikuji reads, which is not counted."""
    path, rows, links = Path(folder) / "works.txt", fitting.features, fitting.links
    able = np.flatnonzero((np.diff(rows.indptr) > 0) & (np.diff(links.indptr) > 0)).tolist()
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{len(able)} {rows.shape[1]} {links.shape[1]}\n")
        for i in able:
            own, tags = slice(*rows.indptr[i : i + 2]), links.indices[slice(*links.indptr[i : i + 2])]
            pairs = zip(rows.indices[own].tolist(), rows.data[own].tolist(), strict=True)
            file.write(",".join(map(str, tags.tolist())) + " " + " ".join(f"{j}:{x:.6g}" for j, x in pairs) + "\n")
    return lambda: Omikuji(path, threads)


def measure(method, options):
    """Print what one method did, as JSON."""
    fitting, queries, hidden = prepare(options)
    with tempfile.TemporaryDirectory() as folder:
        train = ours(fitting, options.threads) if method == "ours" else omikuji(fitting, options.threads, folder)
        cpu, wall = time.process_time(), time.perf_counter()
        model = train()
        report = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        if method == "ours":
            report["same"] = digest(model) == digest(train())
            model.threads = 1
    spent, recall, b = 0.0, [], len(queries)
    for start in range(0, b, BATCH):
        part = slice(start, start + BATCH)
        batch = Queries(queries.links[part], queries.features[part], queries.rows[part], queries.texts[part])
        begun = time.process_time()
        scores = model.score(batch)
        spent += time.process_time() - begun
        top = np.argsort(-scores, axis=1, kind="stable")[:, :TEN]
        truth = hidden[part].toarray()
        recall += (np.take_along_axis(truth, top, axis=1).sum(axis=1) / truth.sum(axis=1)).tolist()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    sizes = {"works": fitting.links.shape[0], "subjects": fitting.links.shape[1], "terms": fitting.features.shape[1]}
    print(json.dumps(report | sizes | {"query": 1000 * spent / b, "recall": float(np.mean(recall)), "peak": peak}))


def run(method, options):
    """What `measure` prints in a process of its own."""
    given = {
        "--measure": method,
        "--works": options.works,
        "--subjects": options.subjects,
        "--threads": options.threads,
    }
    command = [sys.executable, __file__, *(str(part) for pair in given.items() for part in pair)]
    with tempfile.TemporaryFile("w+") as noise:  # Omikuji's progress is megabytes
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=noise, text=True)
        if done.returncode:
            noise.seek(0)
            raise SystemExit(f"{method} failed:\n{noise.read()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=20_000)
    parser.add_argument("--subjects", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--measure", choices=["ours", "omikuji"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure, options)
    methods = ["ours"] + ["omikuji"] * (importlib.util.find_spec("omikuji") is not None)
    found = {method: run(method, options) for method in methods}
    own = found["ours"]
    print(f"{own['works']:,} works, {own['subjects']:,} subjects, {own['terms']:,} terms, {options.threads} threads")
    print(f"ours trained twice: {'the same bytes' if own['same'] else 'DIFFERENT BYTES'}\n")
    print("| trees | training, s | a query, ms | recall@10 | peak, MB |\n| --- | --- | --- | --- | --- |")
    for method, one in found.items():
        cells = f"{one['cpu']:.1f} ({one['wall']:.1f}) | {one['query']:.2f} | {one['recall']:.4f} | {one['peak']:.0f}"
        print(f"| {method} | {cells} |")
    if len(found) > 1:
        ratios = [found["omikuji"][key] / own[key] for key in ("cpu", "query")]
        print(f"\ntraining {ratios[0]:.1f} times, answers {ratios[1]:.1f} times as fast as Omikuji")


if __name__ == "__main__":
    main()
