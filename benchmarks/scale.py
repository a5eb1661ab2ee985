"""Time and memory of a recommender's steps as the works grow: where one machine ends, and with which step.

python benchmarks/scale.py [--works 10000 100000 1000000] [--engine]

Works are made up: one subject for ten works, borne by a power law, two or three links a work, texts of twenty words.
Each step is a process of its own, on one thread, so that its peak memory is its own, with what it is given. It reads
what the steps before it wrote, as rules do; with --steps, those are run first. A step that answers is timed on 2,000
works and told for a thousand. The factorisation is timed over one epoch, with its check at the end; of many works, it
takes a twentieth and a tenth of them, with all subjects, and is told for all along a line. Above the works in LARGEST a
step is not run: its cost is told as it grew between the last two numbers of works that were measured, marked by "~".
With --engine, the alternating least squares of the package `implicit` (not among the dependencies: pip install
implicit) runs beside ours on the same links: the engine to turn to where links outgrow this machine.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from label_tree import made_up
from memory import peak_mb
from scipy.sparse import csr_array, load_npz, save_npz

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from crosswalk import ease, features, interactions, item_knn, similar, tags, text_knn
from crosswalk.errors import UserError
from crosswalk.recommender import BATCH, Fitting, Queries

ASKED = 2000
SETTINGS = {"path": "subjects[]", "id": "id", "label": "label"}
STEPS = (
    "reading",
    "interactions",
    "terms",
    "item_knn",
    "ease",
    "text_knn",
    "tree",
    "factorisation",
    "ials",
    "similar",
    "similar_asked",
)
GIVEN = ("interactions", "terms")  # steps whose files others read
WHOLE = 2 * 10**5  # works up to which a whole epoch is run
LARGEST = {"tree": 2 * 10**5, "similar": 2 * 10**5}  # works up to which a step is measured


def compose(folder, works):
    """Write made-up works as lines of JSON, and their texts as lines of text."""
    with open(folder / "works.jsonl", "w") as rows, open(folder / "texts.txt", "w") as texts:
        for i, (text, own) in enumerate(made_up(works, works // 10)):
            listed = ", ".join(f'{{"id": "c{tag}", "label": "subject {tag}"}}' for tag in own)
            rows.write(f'{{"id": "w{i}", "text": "{text}", "subjects": [{listed}]}}\n')
            texts.write(text + "\n")


def reading(folder, works):
    """Which work bears which subject, from the lines of JSON."""
    ids = [f"w{i}" for i in range(works)]
    began = time.process_time()
    found = tags.read(folder / "works.jsonl", SETTINGS, ids=ids, name="scale", id_column="id")
    return time.process_time() - began, found, ids


def measure(step, folder, works):
    """Seconds of CPU of one step, and what else it has to say."""
    if step == "compose":
        compose(folder, works)
        return {"seconds": 0.0}
    if step in ("reading", "interactions"):
        seconds, found, ids = reading(folder, works)
        if step == "reading":
            return {"seconds": seconds}
        began = time.process_time()
        built = interactions.build(found, ids=ids, name="scale")
        interactions.write_links(folder / "links.safetensors", built.links)
        note = f"{built.links.nnz:,} links, {built.links.shape[1]:,} subjects; memory with reading"
        return {"seconds": time.process_time() - began, "note": note}
    links = interactions.read_links(folder / "links.safetensors")
    if step == "terms":
        texts = (folder / "texts.txt").read_text().splitlines()
        began = time.process_time()
        model = features.fit(texts)
        counts = model.count(texts)
        model = features.Features(terms=model.terms, idf=model.idf * features.telling(counts, links))
        save_npz(folder / "terms.npz", model.weigh(counts), compressed=False)
        return {"seconds": time.process_time() - began, "note": f"{len(model.terms):,} terms"}
    told = step in ("text_knn", "tree", "factorisation", "similar", "similar_asked")
    matrix = load_npz(folder / "terms.npz") if told else csr_array((works, 1), dtype=np.float32)
    return MEASURES[step](Fitting(links, matrix, [""] * links.shape[1]))


def seconds_of(function, *args, **options):
    """CPU seconds of a call."""
    began = time.process_time()
    function(*args, **options)
    return time.process_time() - began


def measure_ease(fitting):
    try:
        return {"seconds": seconds_of(ease.fit, fitting, penalties=10.0)}
    except UserError as error:
        return {"seconds": None, "note": str(error).partition(" and may")[0]}


def measure_text_knn(fitting):
    fitted = text_knn.fit(fitting)

    def answer():
        for start in range(0, ASKED, BATCH):
            rows = np.arange(start, min(start + BATCH, ASKED))
            fitted.neighbours(Queries(fitting.links[rows], fitting.features[rows], rows, [""] * len(rows)))

    return {"seconds": seconds_of(answer) * 1000 / ASKED, "note": "for 1,000 works answered"}


def measure_tree(fitting):
    from crosswalk import label_tree

    return {"seconds": seconds_of(label_tree.fit, fitting)}


def measure_factorisation(fitting):
    from crosswalk import factorisation

    def epoch(works):
        part = Fitting(fitting.links[:works], fitting.features[:works], fitting.labels)
        return seconds_of(factorisation.fit, part, epochs=1, prior=("text",))

    works = fitting.links.shape[0]
    if works <= WHOLE:
        return {"seconds": epoch(works), "note": "one epoch of at most ten"}
    less, more = epoch(works // 20), epoch(works // 10)
    note = f"one epoch of at most ten; {more:.1f} s for the first tenth of its works, {less:.1f} s for half of these"
    return {"seconds": more + (more - less) * 18, "note": note}


def measure_ials(fitting):
    from crosswalk import ials

    return {"seconds": seconds_of(ials.fit, fitting, dim=64, iterations=5)}


def measure_implicit(fitting):
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=64, iterations=5, num_threads=1)
    return {"seconds": seconds_of(model.fit, fitting.links.tocsr(), show_progress=False)}


def measure_asked(fitting):
    """What similar works cost for a thousand, without the lists of terms, which are made once."""
    rows = similar.together(fitting.features, fitting.links)
    asked = np.sort(np.random.default_rng(0).choice(rows.shape[0], ASKED, replace=False))
    once = seconds_of(similar.nearest, rows, k=10, of=asked[:1])
    seconds = seconds_of(similar.nearest, rows, k=10, of=asked) - once
    return {"seconds": seconds * 1000 / ASKED, "note": f"for 1,000 works answered; {once:.1f} s once"}


MEASURES = {
    "item_knn": lambda fitting: {"seconds": seconds_of(item_knn.fit, fitting)},
    "ease": measure_ease,
    "text_knn": measure_text_knn,
    "tree": measure_tree,
    "factorisation": measure_factorisation,
    "ials": measure_ials,
    "implicit": measure_implicit,
    "similar": lambda fitting: {"seconds": seconds_of(similar.similar_works, fitting.features, fitting.links)},
    "similar_asked": measure_asked,
}


def extrapolated(known, works):
    """Seconds and peak MB of a step at more works than it was measured with: a power law through its last two."""
    if len(known) < 2:
        return {"seconds": None, "peak_mb": math.nan, "note": "not run; give two smaller numbers of works to tell"}
    (few, less), (many, more) = sorted(known.items())[-2:]

    def grown(name):
        return more[name] * (more[name] / less[name]) ** (math.log(works / many) / math.log(many / few))

    return {name: grown(name) for name in ("seconds", "peak_mb")} | {"note": "not run: as it grew"}


def run(step, folder, works):
    """What `measure` says, from a process of its own on one thread; None if it failed."""
    command = [sys.executable, __file__, "--measure", step, str(folder), str(works)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    if done.returncode:
        print(f"{works:>9,} {step:<14} failed: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure every step for every number of works and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, nargs="+", default=[10_000])
    parser.add_argument("--steps", nargs="+", default=STEPS, choices=[*STEPS, "implicit"])
    parser.add_argument("--engine", action="store_true", help="implicit's least squares beside ours")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        step, folder, works = options.measure
        print(json.dumps(measure(step, Path(folder), int(works)) | {"peak_mb": peak_mb()}))
        return
    known = {}
    print(f"{'works':>9} {'step':<14} {'CPU s':>8} {'peak MB':>8}")
    for works in sorted(options.works):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run("compose", folder, works)
            steps = [*options.steps, *(["implicit"] if options.engine else [])]
            first = [step for step in GIVEN if step not in steps]
            for step in [*first, *steps]:
                sizes = known.setdefault(step, {})
                large = works > LARGEST.get(step, works)
                found = extrapolated(sizes, works) if large else run(step, folder, works)
                if found is None:
                    continue
                if not large:
                    sizes[works] = found
                sign = "~" if large else ""
                seconds = "-" if found["seconds"] is None else f"{sign}{found['seconds']:,.1f}"
                peak = "-" if math.isnan(found["peak_mb"]) else f"{sign}{found['peak_mb']:,.0f}"
                print(f"{works:>9,} {step:<14} {seconds:>8} {peak:>8} {found.get('note', '')}", flush=True)


if __name__ == "__main__":
    main()
