"""Batches and epochs of the factorisation beside the chapter's own, on the same works, one thread each.

python benchmarks/factorisation.py [--works 60000] [--epochs 10] [--batch-size 512]

The chapter's generator loops over the works of a batch, concatenates their subjects, looks each up with `list.index`
and fills a dense matrix of targets; its model is `published_recommender`. Ours takes batches from the CSR matrix and is
trained by softmax over a draw of the subjects, without priors, at the same dimension (10). The works are Tate's that
bear a subject, from $CROSSWALK_DATA, or, without it, as many synthetic ones whose subjects follow a power law. One link
of 2,000 works is hidden first; recall@10 is of these links, after all epochs. Seconds are CPU seconds of this process,
the best of three for batches; an epoch of the chapter's is its generator and its steps.
The targets: batches at least 40 times faster, an epoch at least 5 times.
"""

import argparse
import gzip
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from crosswalk import batches, factor_training, factorisation, published_recommender, ranking
from crosswalk.recommender import BATCH, Fitting, Queries

DIM = published_recommender.DIM
HIDDEN = 2000
TATE = Path("artworks") / "works.jsonl.gz"


def tate(path, works):
    """Links of the first `works` works of Tate that bear a subject of at least two works."""
    pairs, numbers = set(), {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row, line in enumerate(file):
            for subject in json.loads(line)["subjects"]:
                for concept in subject["concepts"]:
                    pairs.add((row, numbers.setdefault(concept["id"], len(numbers))))
    rows, columns = np.array(sorted(pairs)).T
    _, columns, counts = np.unique(columns, return_inverse=True, return_counts=True)
    number = np.where(counts > 1, np.cumsum(counts > 1) - 1, -1)[columns]
    rows, columns = rows[number >= 0], number[number >= 0]
    links = csr_array((np.ones(len(rows), np.float32), (rows, columns)))
    return links[np.flatnonzero(np.diff(links.indptr))[:works]]


def synthetic(works, *, subjects=8000, themes=200, seed=0):
    """Links of works that take their subjects from three themes; themes and subjects are frequent by a power law."""
    rng = np.random.default_rng(seed)
    lengths = 1 + rng.poisson(4.5, works)
    rows = np.repeat(np.arange(works), lengths)
    own = (themes * rng.random((works, 3)) ** 3).astype(np.int64)
    theme = own[rows, rng.integers(3, size=len(rows))]
    place = (subjects / themes * rng.random(len(rows)) ** 3).astype(np.int64)
    keys = np.unique(rows * subjects + theme * (subjects // themes) + place)
    rows, columns = np.divmod(keys, subjects)
    return csr_array((np.ones(len(keys), np.float32), (rows, columns)), shape=(works, subjects))


def chapters_batches(links, *, batch_size, rng):
    """One epoch as the chapter builds it: floor division, a loop over works, and `list.index`."""
    subjects_of = {w: links.indices[links.indptr[w] : links.indptr[w + 1]].tolist() for w in range(links.shape[0])}
    works = rng.permutation(links.shape[0]).tolist()
    for i in range(len(works) // batch_size):
        some = works[i * batch_size : (i + 1) * batch_size]
        columns = []
        for work in some:
            columns += subjects_of[work]
        targets = np.zeros((len(some), len(columns)), np.float32)
        for row, work in enumerate(some):
            for subject in subjects_of[work]:
                targets[row, columns.index(subject)] = 1
        yield published_recommender.PublishedBatch(np.array(some), np.array(columns), targets)


def seconds(function, times=1):
    """Least CPU seconds of some calls, and the result of the last."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def recall(model, fitting, held):
    """Recall@10 of the links that were hidden."""
    found = 0
    for start in range(0, len(held.rows), BATCH):
        rows, own = held.rows[start : start + BATCH], held.subjects[start : start + BATCH]
        asked = Queries(fitting.links[rows], fitting.features[rows], rows, [""] * len(rows))
        found += (ranking.top(model.score(asked), asked.links, 10) == own[:, None]).sum()
    return found / len(held.rows)


def chapters_epoch(fitting, batch_size):
    """The chapter's generator, and its steps on each batch."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    tables = [torch.nn.Parameter(torch.randn(n, DIM, generator=generator)) for n in fitting.links.shape]
    adam = torch.optim.Adam(tables, lr=published_recommender.RATE)
    for batch in chapters_batches(fitting.links, batch_size=batch_size, rng=rng):
        published_recommender.step(tables, adam, batch)


def our_epoch(fitting, batch_size):
    """One epoch of the default without priors: vectors from what works bear, and a sampled softmax."""
    nobody = factor_training.Held(np.empty(0, np.int64), np.empty(0, np.int64))
    net = factorisation.build(fitting, dim=DIM, prior=())
    options = {"epochs": 1, "batch_size": batch_size, "rate": factorisation.RATE, "decay": factorisation.DECAY}
    sampler = factorisation.sampler_of(fitting.links)
    factor_training.train(net, fitting, nobody, sampler, rng=np.random.default_rng(0), **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=512)
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = Path(os.environ.get("CROSSWALK_DATA", Path(__file__).parents[2] / "shared" / "data")) / TATE
    whole = tate(path, args.works) if path.is_file() else synthetic(args.works)
    links, held = factor_training.hold_back(whole, rng=np.random.default_rng(0))
    fitting = Fitting(links, csr_array((links.shape[0], 0), dtype=np.float32), [""] * links.shape[1])
    rows, size = np.arange(links.shape[0]), args.batch_size
    print(
        f"{'Tate' if path.is_file() else 'synthetic'}: {links.shape[0]:,} works, {links.shape[1]:,} subjects, ", end=""
    )
    print(f"{links.nnz:,} links; batches of {size}, vectors of {DIM}, {args.epochs} epochs, one thread; CPU seconds\n")

    def all_of(make):
        return lambda: sum(1 for _ in make(links, batch_size=size, rng=np.random.default_rng(0)))

    theirs, _ = seconds(all_of(chapters_batches))
    own, _ = seconds(all_of(lambda links, **rest: batches.epoch(links, rows, **rest)), 3)
    print("| | the chapter's | ours | ratio |\n| --- | --- | --- | --- |")
    print(f"| batches of an epoch | {theirs:.2f} | {own:.4f} | {theirs / own:.0f} |", flush=True)
    theirs, _ = seconds(lambda: chapters_epoch(fitting, size))
    own, _ = seconds(lambda: our_epoch(fitting, size))
    print(f"| an epoch, batches and steps | {theirs:.2f} | {own:.2f} | {theirs / own:.1f} |", flush=True)
    published = published_recommender.fit(fitting, epochs=args.epochs, batch_size=size)
    model = factorisation.fit(fitting, dim=DIM, epochs=args.epochs, batch_size=size, prior=())
    print(f"| recall@10 | {recall(published, fitting, held):.4f} | {recall(model, fitting, held):.4f} | |", flush=True)


if __name__ == "__main__":
    main()
