"""Which units of an encoder come back when it is trained again: matched one to one with those of further seeds."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment


def unit_stability(codes, others):
    """How well each unit is found again.

    codes: (n, dim) of the encoder in question; others: list of codes (n, dim) of the same rows from other seeds.
    Units of two seeds are paired so that the sum of the |correlation| of their codes is greatest (Hungarian method). A
    unit that never varies is found in no other: 0. Being matched at all lifts the figure above 0: among n rows and dim
    units to about sqrt(2 log(dim) / n) for units that have nothing in common.
    Returns a DataFrame with one row a unit: unit, stability (mean over the seeds) and lowest; nan without other seeds.
    """
    own = _standardise(codes)
    found = np.full((max(len(others), 1), own.shape[1]), np.nan)
    for i, other in enumerate(others):
        likeness = np.abs(own.T @ _standardise(other)) / len(own)
        units, match = linear_sum_assignment(-likeness)
        found[i] = 0
        found[i, units] = np.minimum(likeness[units, match], 1)
    return pd.DataFrame({"unit": np.arange(own.shape[1]), "stability": found.mean(0), "lowest": found.min(0)})


def _standardise(codes):
    centred = np.asarray(codes, np.float64) - np.mean(codes, axis=0, dtype=np.float64)
    scale = centred.std(0)
    return centred / np.where(scale > 1e-7 * np.abs(codes).max(initial=1e-12), scale, np.inf)
