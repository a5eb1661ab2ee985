"""Canonical axes beside cca-zoo 4.0.1's ridge CCA: correlation on items held out, and p-values where nothing is linked.

python benchmarks/cca.py [--seeds 5] [--worlds 60] [--permutations 99]

Both are given the same items and folds. cca-zoo's ridge is ours, or chosen by its own grid search in each training
part; rotated axes share their correlation out anew, so the mean over all axes is what compares. The
planted worlds have eight links of .6 to .3; papers and reviews, from $CROSSWALK_DATA and left out without it, are 1,000
abstracts and their reviews without the summary, embedded by TF-IDF and SVD.
The p-values are of worlds without links: items alone, and items in blocks of six that are alike on either side. Ours is
that of the best axis against the best of each shuffled world, cca-zoo's that of its first pair of variates.
The targets: an equal held-out correlation; p below .05 in about 5 % of worlds of either kind. `make bench-peers` first.
"""

import argparse
import gzip
import json
import os
import sys
from pathlib import Path

import numpy as np
import peers
from scipy.stats import kstest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "truth"))
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from crosswalk.canonical import canonical_axes
from crosswalk.items import average_by_group, folds
from crosswalk.lexical import Lexical
from crosswalk.significance import average_correlation, fold_correlations, max_p_values
from nulls import wilson
from workers import spread
from worlds import world

REVIEWS = Path(os.environ.get("CROSSWALK_DATA", Path(__file__).parents[2] / "shared" / "data")) / "reviews"
PAPERS, AXES, FOLDS = 1000, 8, 5
RIDGE, RIDGES = 0.5, (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)  # our default; what cca-zoo chooses from
LINKS = (0.6, -0.6, 0.5, -0.5, 0.4, -0.4, 0.3, -0.3)
COMPOSED = {"n": 180, "width": 32, "factors": 12, "within": 0.6}
NULLS = {"items alone": {}, "blocks of 6": {"block_size": 6, "block_effect": 0.6}}


def planted(seed):
    """Both sides of a world with eight links; y is averaged over the replies to an item."""
    w = world(seed=seed, n=1000, links=LINKS)
    return w.x, average_by_group(w.y, w.groups, w.items)


def papers_and_reviews():
    """Abstracts and the mean of their reviews, as vectors."""
    papers = {row["book_id"]: row["description"] for row in _rows("papers.jsonl.gz")}
    reviews = [(row["book_id"], row["review_text"]) for row in _rows("reviews.jsonl.gz") if row["book_id"] in papers]
    ids = sorted({group for group, _ in reviews})
    ids = sorted(np.random.default_rng(0).permutation(ids)[:PAPERS].tolist())
    chosen = set(ids)
    groups, texts = zip(*[(group, _past_summary(text)) for group, text in reviews if group in chosen], strict=True)
    embedder = Lexical.fit([*(papers[i] for i in ids), *texts], seed=0)
    x, y = (embedder.embed(list(part)).vectors.astype(np.float64) for part in ([papers[i] for i in ids], texts))
    return x, average_by_group(y, groups, ids)


def _rows(name):
    with gzip.open(REVIEWS / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _past_summary(text):
    return text[max(text.find("STRENGTHS:"), 0) :]


def theirs(sides, fold, *, ridges, columns=False):
    """Held-out correlations (axes,) of cca-zoo's ridge CCA in each data set."""
    given = {f"{name}_{i}": part for i, pair in enumerate(sides) for name, part in zip("xy", pair, strict=True)}
    given |= {f"fold_{i}": own for i, own in enumerate(fold)}
    answer = peers.ask("ridge_cca.py", **given, axes=AXES, ridges=ridges, columns=columns)
    sizes = [np.bincount(own) for own in fold]
    return [
        average_correlation(fold_correlations(answer[f"u_{i}"], answer[f"v_{i}"], own, folds=FOLDS), sizes[i])
        for i, own in enumerate(fold)
    ]


def ours(sides, **settings):
    """Held-out correlations (axes,) of our axes in each data set."""
    plain = {"axes": AXES, "fold_count": FOLDS, "permutations": 0, "bootstrap": 2}
    return [canonical_axes(x, y, np.arange(len(x)), **plain, **settings).r for x, y in sides]


def null_sides(seed, composed):
    w = world(seed=seed, **COMPOSED, **composed)
    return w.x, average_by_group(w.y, w.groups, w.items), w.blocks


def our_p_value(*, seed, composed, permutations):
    """That of the best axis in a world without links, family-wise."""
    x, y, blocks = null_sides(seed, composed)
    found = canonical_axes(x, y, blocks, axes=6, ridge=RIDGE, permutations=permutations, bootstrap=2, seed=seed)
    return max_p_values(found.r[:1], found.null)[0]


def held_out_table(seeds):
    data = {f"{seeds} planted worlds": [planted(seed) for seed in range(seeds)]}
    if REVIEWS.is_dir():
        data["papers and reviews"] = [papers_and_reviews()]
    print(f"Correlation on items held out, {AXES} axes, {FOLDS} folds: of the first, and the mean\n")
    print("| | " + " | ".join(f"{name}: first | mean" for name in data) + " |\n| --- |" + " --- | --- |" * len(data))
    methods = {
        "cca-zoo, ridge .5": lambda sides, fold: theirs(sides, fold, ridges=[RIDGE]),
        "cca-zoo, ridge searched": lambda sides, fold: theirs(sides, fold, ridges=RIDGES),
        "cca-zoo, ridge searched, columns of unit variance": lambda sides, fold: theirs(
            sides, fold, ridges=RIDGES, columns=True
        ),
        "ours, ridge .5, not rotated": lambda sides, fold: ours(sides, rotate=1),
        "ours, ridge .5": lambda sides, fold: ours(sides),
        "ours, ridge .2": lambda sides, fold: ours(sides, ridge=0.2),
    }
    for name, method in methods.items():
        cells = []
        for sides in data.values():
            r = np.array(method(sides, [folds(np.arange(len(x)), FOLDS, seed=0) for x, _ in sides]))
            cells += [f"{r.max(1).mean():.3f}", f"{r.mean():.3f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def null_table(worlds, permutations):
    print(f"\nWorlds without links, {worlds} of each kind, {permutations} permutations: p-value of the best axis\n")
    print("| | p at most .05 | 95 % interval | median p | uniform by Kolmogorov and Smirnov, p |")
    print("| --- | --- | --- | --- | --- |")
    for kind, composed in NULLS.items():
        sides = [null_sides(seed, composed) for seed in range(worlds)]
        given = {f"{name}_{i}": part for i, own in enumerate(sides) for name, part in zip("xy", own, strict=False)}
        jobs = [{"seed": seed, "composed": composed, "permutations": permutations} for seed in range(worlds)]
        found = {
            "cca-zoo": peers.ask("ridge_cca.py", **given, permutations=permutations, ridges=[RIDGE], seed=0)["p"],
            "ours": np.array(spread(our_p_value, jobs, title=f"ours, {kind}")),
        }
        for name, p in found.items():
            low, high = wilson(int((p <= 0.05).sum()), worlds)
            print(
                f"| {name}, {kind} | {(p <= 0.05).mean():.0%} | {low:.0%} to {high:.0%} | {np.median(p):.2f} "
                f"| {kstest(p, 'uniform').pvalue:.2g} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--permutations", type=int, default=99)
    args = parser.parse_args()
    if sentence := peers.absent("cca_zoo"):
        print(sentence)
        return
    held_out_table(args.seeds)
    null_table(args.worlds, args.permutations)


if __name__ == "__main__":
    main()
