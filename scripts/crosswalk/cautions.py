"""What may make less of a relation than it seems: quotations, covariates not listed, units that do not come back."""

import numpy as np
import pandas as pd

from crosswalk.confounding import explained
from crosswalk.significance import average_correlation, fold_correlations

COLUMNS = ["leak", "r_unquoted", "explained_by", "r_given", "confounded", "seed_stability_x", "seed_stability_y"]
LEAST_LEFT = 10  # items without quotation below which a correlation says nothing


def cautions(relations, scores, *, quoted, covariates, blocks, fold, seed, nuisance=None, unit_stability=None):
    """Columns that say of each relation what else may account for it.

    relations, scores: as in `relations.Relations`; quoted: `quotation.by_item` of the n items; covariates: from
    `confounding.watched`; blocks, fold: (n,); nuisance: None or `covariates.Nuisance`, what was taken out of both
    sides; unit_stability: encoding -> {"x": stability of each unit over seeds, "y": ...}.
    Returns a DataFrame in the order of the relations, with COLUMNS: leak, share of y's text that is quoted from x, mean
    over the items held out; r_unquoted, r without the items that quote; explained_by, the covariate not listed that
    accounts for most of r ("" for none), r_given, with that covariate held fixed, and confounded, whether that is more
    than chance; seed_stability_x, seed_stability_y, nan where no unit of an encoder is behind a side.
    """
    rows = []
    for number, relation in enumerate(relations.itertuples()):
        own = scores[scores["relation"] == relation.relation]
        u, v, unseen = (own[key].to_numpy() for key in ("x_score", "y_score", "held_out"))
        # Pairs are measured on all their items at once, what else is searched in each fold.
        part = np.zeros_like(fold) if relation.kind == "pair" else fold
        told = explained(
            u, v, covariates, blocks, fold=part, held_out=unseen, nuisance=nuisance, seed=[seed, number]
        )  # fmt: skip
        kept = unseen & ~quoted.leaks
        stable = (unit_stability or {}).get(relation.encoder.removeprefix("concepts-"), {})
        rows.append(
            (
                quoted.share[unseen].mean(),
                _correlation(u[kept], v[kept], part[kept]),
                told.by,
                told.r_given,
                told.flagged,
                *(_of_unit(stable.get(side), getattr(relation, f"{side}_unit")) for side in "xy"),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _correlation(u, v, fold):
    """Mean of the correlations inside the folds, nan if too few items are left."""
    if len(u) < LEAST_LEFT:
        return np.nan
    _, fold, sizes = np.unique(fold, return_inverse=True, return_counts=True)
    return float(average_correlation(fold_correlations(u[:, None], v[:, None], fold, folds=len(sizes)), sizes)[0])


def _of_unit(stability, unit):
    return np.nan if stability is None or unit < 0 else float(stability[unit])
