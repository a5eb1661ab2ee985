"""How often anything at all is confirmed where nothing is linked, for every kind of grouped world."""

import itertools

import numpy as np
import pandas as pd

from search import search
from workers import spread
from worlds import world

WITHIN, REPLIES = (0.0, 0.3, 0.6), (1, 5, 10)
WORLDS = {"quick": 2, "full": 200}
FIRST_SEED = 100_000  # far from the seeds of worlds with links
Z = 1.959964

# So few candidates that one of them can be confirmed alone with the worlds that each search is given: the least p of a
# pair is 1 / 991, and .05 / 34 is more.
SETTINGS = {"axes": 6, "units": 4, "pairs": 12, "permutations": 99, "bootstrap": 99}
COMPOSED = {"n": 120, "width": 32, "factors": 12}
# Beyond the nine: dependent items, blocks of unlike size, editions, traits that few items have.
OTHERS = {
    "blocks of 6": {"within": 0.6, "replies": 5, "block_size": 6, "block_effect": 0.6, "n": 180},
    "unequal blocks": {"within": 0.6, "replies": 5, "block_size": (1, 1, 2, 5, 12), "block_effect": 0.6, "n": 180},
    "editions": {"within": 0.9, "replies": 5, "editions": 50, "n": 170},
}


def null_world(*, kind, seed, concepts=True, **composed):
    """Search one world without links. Returns dict: kind, seed, and how much of what was confirmed."""
    w = world(seed=seed, **{**COMPOSED, **composed})
    found, _, _ = search(w, seed=seed, concepts=concepts, **SETTINGS)
    kinds = {f: int((found["family"] == f).sum()) for f in ("axes", "units", "concepts")}
    return {"kind": kind, "seed": seed, "confirmed": len(found), "strict": int(found["strict"].sum()), **kinds}


def null_jobs(mode="quick", *, worlds=None, others=True):
    """The worlds of a run, each with a seed of its own."""
    count = worlds or WORLDS[mode]
    kinds = {
        f"within {within}, {replies} replies": {"within": within, "replies": replies}
        for within, replies in itertools.product(WITHIN, REPLIES)
    }
    kinds |= OTHERS if others else {}
    return [
        {"kind": kind, "seed": FIRST_SEED + 1000 * number + i, **composed}
        for i in range(count)  # of each kind in turn, so that a run that is broken off has some of each
        for number, (kind, composed) in enumerate(kinds.items())
    ]


def calibration(results):
    """One row for each kind of world: worlds, share with anything confirmed or strict, its Wilson interval, seeds."""
    rows = []
    for kind, own in pd.DataFrame(results).groupby("kind", sort=False):
        hits, n = int((own["confirmed"] > 0).sum()), len(own)
        low, high = wilson(hits, n)
        by_search = {f: int((own[f] > 0).sum()) for f in ("axes", "units", "concepts")}
        strict = int((own["strict"] > 0).sum())
        seeds = {"first_seed": own["seed"].min(), "last_seed": own["seed"].max()}
        rows.append({"world": kind, "worlds": n, "any": hits, "share": hits / n, "low": low, "high": high,
                     "strict": strict, **by_search, **seeds})  # fmt: skip
    return pd.DataFrame(rows)


def wilson(hits, n):
    """95 % interval of a share (Wilson, 1927)."""
    centre, half = (hits + Z * Z / 2) / (n + Z * Z), Z * np.sqrt(hits * (n - hits) / n + Z * Z / 4) / (n + Z * Z)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def run(mode="quick", **options):
    return spread(null_world, null_jobs(mode, **options), title="worlds without links")
