"""How much of a row an encoder gives back that it was not trained on, beside as many principal components.

In sample, more units always explain more and an encoder may learn rows by heart; only unseen items compare encoders.
"""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from crosswalk.components import principal_components
from crosswalk.errors import UserError
from crosswalk.items import folds
from crosswalk.limits import ROWS_PER_UNIT

FOLDS = 3  # parts of the items, each held out once: training costs twice as much again
COLUMNS = [f"{figure}_{side}" for figure in ("units", "held_out", "pca_held_out", "dead_units") for side in "xy"]
COLUMNS += [f"seed_stability_{side}" for side in "xy"]


def held_out_variance(x, items, restore, *, dim, seed, fold_count=FOLDS):
    """Share of the variance of unseen items' rows that an encoder explains, and that principal components explain.

    x: float (n, width), distinct rows; items: n labels, rows of one item are never parted; dim: units of the encoder.
    restore(train, held) -> standardised train, standardised held, reconstruction of the latter: trains an encoder on
    the raw rows `train` and standardises both by them. Components are those of the standardised training rows.
    Returns a dict: folds, held_out and pca_held_out (1 - error / sum of squares, over all folds together), and both by
    fold; None and no folds where an encoder of `dim` units could not be trained on the items that are left.
    """
    nothing = {"folds": 0, "held_out": None, "pca_held_out": None, "held_out_by_fold": [], "pca_by_fold": []}
    try:
        fold = folds(items, fold_count, seed=seed)
    except UserError:  # fewer items than folds
        return nothing
    if len(x) - np.bincount(fold).max() < ROWS_PER_UNIT * dim:
        return nothing
    own, components, total = np.empty((3, fold_count))
    for i in range(fold_count):
        held = fold == i
        train, rows, restored = restore(x[~held], x[held])
        total[i] = np.square(rows, dtype=np.float64).sum()
        own[i] = np.square(rows - restored, dtype=np.float64).sum()
        components[i] = total[i] - _kept(train, rows, dim)
    total = np.maximum(total, 1e-12)
    return {
        "folds": fold_count,
        "held_out": float(1 - own.sum() / total.sum()),
        "pca_held_out": float(1 - components.sum() / total.sum()),
        "held_out_by_fold": (1 - own / total).tolist(),
        "pca_by_fold": (1 - components / total).tolist(),
    }


def study_columns(scores, stabilities):
    """What `encoders.csv` says of how encoders were trained, one row for each encoding.

    scores: contents of scores.json, and stabilities: DataFrames of stability.csv, of x then y, two for each encoding.
    Returns a DataFrame with COLUMNS: for either side the units, the held-out share of variance, that of principal
    components, the dead units, and the median stability of the units from seed to seed; nan where not measured.
    """
    values = {
        "units": [score["units"] for score in scores],
        "held_out": [score["held_out"] for score in scores],
        "pca_held_out": [score["pca_held_out"] for score in scores],
        "dead_units": [score["dead_units"] for score in scores],
        "seed_stability": [table["stability"].median() for table in stabilities],
    }
    table = {f"{name}_{side}": column[i::2] for name, column in values.items() for i, side in enumerate("xy")}
    columns = pd.DataFrame(table, columns=COLUMNS)
    return columns.astype({name: "float64" for name in COLUMNS if not name.startswith(("dead", "units"))})


def _kept(train, rows, dim):
    """Sum of squares of the rows' reconstruction from the leading principal components of the training rows."""
    if not np.any(train):
        return 0.0
    with threadpool_limits(1):
        _, basis = principal_components(train, dim)
        return float(np.square(np.asarray(rows, np.float64) @ basis).sum())
