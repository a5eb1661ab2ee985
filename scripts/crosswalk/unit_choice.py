"""How many units an encoder should have: as many as both give back what it was not shown and come back when trained
again.

Alone neither figure will do. More units give back ever a little more, far beyond the number of traits there are, and
beyond that number they differ from seed to seed. Their product peaks at the planted number on texts made up of 8, 16 or
40 traits of which each shows three.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from crosswalk import training
from crosswalk.errors import UserError
from crosswalk.reconstruction import held_out_variance
from crosswalk.unit_stability import unit_stability
from crosswalk.units import CANDIDATES

COLUMNS = ["units", "held_out", "pca_held_out", "stability", "merit", "chosen"]


def compare(x, items, *, encoder, active, seed, seeds, candidates=CANDIDATES, **settings):
    """Train an encoder with each number of units, and say what it is worth.

    x: float (n, width), distinct rows; items: n labels; encoder, active and settings: as in `training.train`; seed: of
    the first training; seeds: further ones, at least 1, for the stability; candidates: numbers of units, rising.
    Returns a DataFrame with COLUMNS, one row for each candidate that the rows are enough for: the share of unseen
    items' variance it gives back, that of as many principal components, the median stability of its units, the product
    of the first and the third as merit, and which one is chosen: that of the greatest merit, the smaller among equals.
    Raises UserError if there are too few rows for any candidate, and what `training.train` raises.
    """
    rows = []
    for units in tqdm(candidates, desc="numbers of units", disable=None, delay=5):
        if active is not None and units < active:
            continue
        own = {"encoder": encoder, "dim": units, "active": active, **settings}
        scores = held_out_variance(x, items, training.restoring(seed=seed, **own), dim=units, seed=seed)
        if not scores["folds"]:
            break  # and too few rows for all that follow
        codes = [
            training.encode(training.train(x, seed=(seed + i) % 2**32, **own), x) for i in range(max(seeds, 1) + 1)
        ]
        stability = float(unit_stability(codes[0], codes[1:])["stability"].median())
        kept = scores["held_out"]
        rows.append((units, kept, scores["pca_held_out"], stability, max(kept, 0) * stability))
    if not rows:
        raise UserError(
            f"{len(x)} distinct texts of {len(set(items))} items are too few to choose a number of units for {encoder} "
            "by texts that are held out. Draw more (`sample.n` of the collection), or name a small number in "
            "`encode.dims` instead of auto."
        )
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return table.assign(chosen=np.arange(len(table)) == table["merit"].to_numpy().argmax())


def chosen(path):
    """The number of units that the table written to `path` has chosen."""
    table = pd.read_csv(path)
    return int(table.loc[table["chosen"], "units"].iloc[0])
