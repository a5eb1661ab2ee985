"""Ratings from the text of reviews by a few units of an encoder: HypotheSAEs 2.0.1 and ours on the same vectors.

python benchmarks/hypothesaes.py [--reviews 3000] [--units 64 256] [--count 10]

Language models are off: what is compared is which units an autoencoder finds and which of them are selected for the
label. Reviews, from $CROSSWALK_DATA, go without their summary, their vectors are TF-IDF and SVD learned on reviews of
other papers. In each of five splits neither sees the papers held out: encoder, selection and the model that judges
them, a ridge regression of the rating on the selected units, see the others alone. HypotheSAEs trains and selects with
its defaults and the active units that it recommends (4 of 64, 8 of 256), nested as in its tutorial too; ours trains as
`encode` does with as many active, and selects those with the greatest rank correlation that `shifts` measures in folds
of its own, whole papers held out. "Ours" is the encoder whose selected units so correlate best, told anew in each
split. R2 and AUC (of a rating of 6 or more) are of papers held out; differences are to the best of HypotheSAEs' rows,
intervals by bootstrap over papers.
The target: at least equal. `make bench-peers` first.
"""

import argparse
import gzip
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import peers
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from crosswalk import training
from crosswalk.items import folds
from crosswalk.lexical import Lexical
from crosswalk.shifts import unit_shifts
from crosswalk.significance import bounds, resampled

DATA = Path(os.environ.get("CROSSWALK_DATA", Path(__file__).parents[2] / "shared" / "data"))
REVIEWS = DATA / "reviews" / "reviews.jsonl.gz"
SPLITS, EPOCHS, GOOD, RESAMPLES = 5, 100, 6, 1000
ACTIVE = {64: 4, 256: 8}
PENALTIES = np.logspace(-1, 4, 11)
ENCODERS = {
    "topk": {"encoder": "topk"},
    "topk, nested": {"encoder": "topk", "matryoshka": True},
    "linear": {"encoder": "linear"},
    "ica": {"encoder": "ica"},
}
WAYS = ("separation_score", "correlation", "lasso")


def read_reviews(count):
    """Vectors float32 (n, d), ratings (n,) and papers (n,) of about `count` reviews."""
    with gzip.open(REVIEWS, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = np.array([row["review_text"][max(row["review_text"].find("STRENGTHS:"), 0) :] for row in rows], object)
    papers = np.unique([row["book_id"] for row in rows], return_inverse=True)[1]
    papers = np.random.default_rng(0).permutation(papers.max() + 1)[papers]
    order = np.argsort(papers, kind="stable")
    own, others = order[:count], order[count : 2 * count]
    embedder = Lexical.fit(list(texts[others][papers[others] > papers[own].max()]), seed=0)
    ratings = np.array([row["rating"] for row in rows], np.float64)
    return embedder.embed(list(texts[own])).vectors, ratings[own], papers[own]


def theirs(x, ratings, fold, *, units, count):
    """For each of HypotheSAEs' rows: units selected in each split, and their codes, float32 (splits, n, count)."""
    found = {}
    for name, prefixes in {"": [units], ", nested": [units // 8, units]}.items():
        given = {"x": x, "label": ratings, "fold": fold, "active": ACTIVE[units], "count": count, "prefixes": prefixes}
        answer = peers.ask("sparse_units.py", **given)
        for way in WAYS:
            selected = np.stack([codes[:, own] for codes, own in zip(answer["codes"], answer[way], strict=True)])
            found[f"HypotheSAEs{name}, {way}"] = selected
    return found


def ours(x, ratings, papers, fold, *, units, count):
    """For each of our rows: codes of the units selected in each split, float32 (splits, n, count)."""
    found, strength = {name: [] for name in ENCODERS}, {name: [] for name in ENCODERS}
    jobs = [(f, name) for f in range(SPLITS) for name in ENCODERS]
    for f, name in tqdm(jobs, desc=f"ours, {units} units", disable=None):
        rows, options = fold != f, ENCODERS[name]
        active = ACTIVE[units] if options["encoder"] == "topk" else None
        trained = training.train(x[rows], dim=units, seed=f, epochs=EPOCHS, active=active, **options)
        codes = training.encode(trained, x)
        label, nothing = ratings[rows, None], {"permutations": 0, "bootstrap": 2}
        tested = unit_shifts(codes[rows], None, x[rows], label, papers[rows], units=units, **nothing)
        found[name].append(codes[:, tested.x_unit[:count]])
        strength[name].append(tested.r[:count].mean())
    best = [max(ENCODERS, key=lambda name: strength[name][f]) for f in range(SPLITS)]
    chosen = {"ours": np.stack([found[name][f] for f, name in enumerate(best)])}
    return chosen | {f"ours, {name}": np.stack(codes) for name, codes in found.items()}


def predicted(codes, ratings, fold):
    """Ratings of each split's papers held out, by ridge regression on the others; (n,)."""
    out = np.empty(len(ratings))
    for f in range(SPLITS):
        rows = fold != f
        mean, scale = codes[f][rows].mean(0), codes[f][rows].std(0)
        z = (codes[f] - mean) / np.where(scale > 0, scale, 1)
        out[~rows] = RidgeCV(PENALTIES).fit(z[rows], ratings[rows]).predict(z[~rows])
    return out


def print_table(found, ratings, papers, fold):
    by_mean = np.array([ratings[fold != f].mean() for f in range(SPLITS)])[fold]
    base = np.square(ratings - by_mean)
    guess = {name: predicted(codes, ratings, fold) for name, codes in found.items()}
    error = {name: np.square(ratings - own) for name, own in guess.items()}
    best = min((name for name in found if name.startswith("Hypo")), key=lambda name: error[name].sum())
    members = (np.unique(papers)[:, None] == papers).astype(np.float64)
    print("| | R2 | of each split | AUC | R2 less that of HypotheSAEs' best | 95 % interval |\n" + "| --- " * 6 + "|")
    for name in found:
        gain = members @ np.stack([error[best] - error[name], base], axis=1)
        drawn = resampled(gain, resamples=RESAMPLES, seed=0)
        low, high = bounds(drawn[:, 0] / drawn[:, 1])
        each = [f"{1 - error[name][fold == f].sum() / base[fold == f].sum():.3f}" for f in range(SPLITS)]
        print(
            f"| {name} | {1 - error[name].sum() / base.sum():.4f} | {' '.join(each)} "
            f"| {roc_auc_score(ratings >= GOOD, guess[name]):.3f} | {gain[:, 0].sum() / gain[:, 1].sum():+.4f} "
            f"| {low:+.4f} to {high:+.4f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=3000)
    parser.add_argument("--units", type=int, nargs="+", choices=ACTIVE, default=list(ACTIVE))
    parser.add_argument("--count", type=int, default=10)
    args = parser.parse_args()
    if sentence := peers.absent("hypothesaes"):
        print(sentence)
        return
    if not REVIEWS.is_file():
        print(f"Skipped: no reviews at {REVIEWS}; set CROSSWALK_DATA to a folder that has them.")
        return
    torch.set_num_threads(1)
    x, ratings, papers = read_reviews(args.reviews)
    fold = folds(papers, SPLITS, seed=0)
    print(f"{len(x):,} reviews of {len(np.unique(papers))} papers, vectors of {x.shape[1]}, {args.count} units chosen")
    for units in args.units:
        with ThreadPoolExecutor() as pool:  # theirs in a process of its own, so both cores work
            asked = pool.submit(theirs, x, ratings, fold, units=units, count=args.count)
            own = ours(x, ratings, papers, fold, units=units, count=args.count)
            found = asked.result() | own
        print(f"\n{units} units, {ACTIVE[units]} active\n")
        print_table(found, ratings, papers, fold)


if __name__ == "__main__":
    main()
