"""Time and memory of a recommender's steps as the works grow: where one machine ends, and with which step.

python benchmarks/scale.py [--works 10000 100000] [--engine]

Works are made up: one subject for ten works, borne by a power law, two or three links a work, texts of twenty words.
Each step is a process of its own, so that its peak memory is its own (with the works themselves), on one thread. A
step that answers is timed on 2,000 works and told for a thousand. With --engine, the alternating least squares of
the package `implicit` (not among the dependencies: pip install implicit) runs beside ours on the same links: the engine
to turn to where links outgrow this machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from label_tree import made_up
from memory import peak_mb
from scipy.sparse import csr_array

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from crosswalk import ease, features, item_knn, similar, text_knn
from crosswalk.errors import UserError
from crosswalk.recommender import BATCH, Fitting, Queries

ASKED = 2000
STEPS = ("works", "terms", "item_knn", "ease", "text_knn", "tree", "factorisation", "ials", "similar")
LARGEST = {"text_knn": 10**6, "similar": 2 * 10**5}  # works up to which a step is measured


def prepare(works, *, texts=True):
    """Links csr of made-up works, and their texts."""
    told, tags = zip(*made_up(works, works // 10), strict=True)
    columns = np.fromiter((tag for own in tags for tag in own), np.int32)
    indptr = np.cumsum([0, *map(len, tags)])
    links = csr_array((np.ones(len(columns), np.float32), columns, indptr), shape=(works, works // 10))
    return links, list(told) if texts else None


def measure(step, works):
    """Seconds of CPU of one step, and what else it has to say."""
    links, texts = prepare(works, texts=step not in ("item_knn", "ease", "ials", "implicit"))
    if step == "works":
        return {"seconds": 0.0}
    labels = [""] * links.shape[1]
    if step in ("terms", "text_knn", "tree", "factorisation", "similar"):
        began = time.process_time()
        model = features.fit(texts)
        matrix = model.transform(texts)
        weighted = features.Features(terms=model.terms, idf=model.idf * features.telling(matrix, links))
        matrix = weighted.transform(texts)
        if step == "terms":
            return {"seconds": time.process_time() - began}
    else:
        matrix = csr_array((works, 1), dtype=np.float32)
    fitting = Fitting(links, matrix, labels)
    began = time.process_time()
    if step == "item_knn":
        item_knn.fit(fitting)
    elif step == "ease":
        try:
            ease.fit(fitting, penalties=10.0)
        except UserError as error:
            return {"seconds": None, "note": str(error).partition(" and may")[0]}
    elif step == "text_knn":
        fitted = text_knn.fit(fitting)
        began = time.process_time()
        for start in range(0, ASKED, BATCH):
            rows = np.arange(start, min(start + BATCH, ASKED))
            fitted.neighbours(Queries(links[rows], matrix[rows], rows, [""] * len(rows)))
        return {"seconds": (time.process_time() - began) * 1000 / ASKED, "note": "for 1,000 works answered"}
    elif step == "tree":
        from crosswalk import label_tree

        label_tree.fit(fitting)
    elif step == "factorisation":
        from crosswalk import factorisation

        factorisation.fit(fitting, epochs=1, prior=("text",))
        return {"seconds": time.process_time() - began, "note": "one epoch of at most ten"}
    elif step == "ials":
        from crosswalk import ials

        ials.fit(fitting, dim=64, iterations=5)
    elif step == "implicit":
        from implicit.als import AlternatingLeastSquares

        AlternatingLeastSquares(factors=64, iterations=5, num_threads=1).fit(links.tocsr(), show_progress=False)
    elif step == "similar":
        similar.similar_works(matrix, links)
    return {"seconds": time.process_time() - began}


def main():
    """Measure every step for every number of works, each in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, nargs="+", default=[10_000])
    parser.add_argument("--steps", nargs="+", default=STEPS)
    parser.add_argument("--engine", action="store_true", help="implicit's least squares beside ours")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        step, works = options.measure
        print(json.dumps(measure(step, int(works)) | {"peak_mb": peak_mb()}))
        return
    print(f"{'works':>9} {'step':<14} {'CPU s':>8} {'peak MB':>8}")
    for works in options.works:
        for step in [*options.steps, *(["implicit"] if options.engine else [])]:
            if works > LARGEST.get(step, works):
                continue
            command = [sys.executable, __file__, "--measure", step, str(works)]
            alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
            if done.returncode:
                print(f"{works:>9,} {step:<14} failed: {done.stderr.strip().splitlines()[-1:]}", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            seconds = "-" if found["seconds"] is None else f"{found['seconds']:.1f}"
            print(f"{works:>9,} {step:<14} {seconds:>8} {found['peak_mb']:>8,.0f} {found.get('note', '')}", flush=True)


if __name__ == "__main__":
    main()
