"""The whole search for relations on a numeric world, without files: axes, concepts, pairs of units, one correction."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from claims import claims
from crosswalk import training
from crosswalk.canonical import canonical_axes
from crosswalk.components import principal_components
from crosswalk.covariates import Nuisance
from crosswalk.echo import removed, repeated_directions
from crosswalk.items import average_by_group, folds
from crosswalk.judging import judge
from crosswalk.pairs import unit_pairs
from crosswalk.shifts import unit_shifts
from crosswalk.significance import candidate_table

FOLDS = 5  # the default of every search
EPOCHS = 30  # of the small encoders: the planted factors are learned well before


def search(w, **settings):
    """The confirmed relations of a `worlds.World`; settings and what is returned: as of `tested`."""
    tests, x_scores, y_scores = tested(w, **settings)
    kept = np.flatnonzero(tests["confirmed"])
    return tests.iloc[kept].reset_index(drop=True), x_scores[:, kept], y_scores[:, kept]


def tested(
    w, *, first=None, permutations=99, bootstrap=199, axes=10, units=8, pairs=20, concepts=True,
    encoder="topk", listed=False, beyond=False, seed=0, alpha=0.05,
):  # fmt: skip
    """Search a `worlds.World`, or its first items, keeping the others to see what holds.

    units: of the encoder on either side, 0 for axes alone; encoder: "topk", a real one, or "pca", whose rectified
    components stand for it where training would take too long; concepts: also look for what one side's units shift on
    the other side; listed: take the world's covariate out of both sides; beyond: take x's directions out of y, and ask
    no unit of y, for the list of what is no echo. Returns all that was tested: table (with `fresh`, what the r of each
    is on the items not searched), x_scores (n, k), y_scores (n, k).
    """
    first = first or len(w.items)
    whole_y = average_by_group(w.y, w.groups, w.items)
    x, y, blocks = w.x[:first], whole_y[:first], w.blocks[:first]
    if beyond:
        whole_y = removed(whole_y, repeated_directions(x, y).basis)
        y = whole_y[:first]
    settings = {"permutations": permutations, "bootstrap": bootstrap, "seed": seed}
    if listed:
        settings["nuisance"] = Nuisance(w.covariate[:first, None], folds(blocks, FOLDS, seed=seed))
        x, y = settings["nuisance"](x), settings["nuisance"](y)
    found = [_axes(x, y, blocks, w.x[first:], whole_y[first:], axes=axes, **settings)]
    if units:
        x_codes, y_codes = codes(w.x, x, units, encoder=encoder, seed=seed), None
        if not beyond:
            training_rows = w.y[np.isin(w.groups, w.items[:first])]
            y_codes = average_by_group(codes(w.y, training_rows, units, encoder=encoder, seed=seed), w.groups, w.items)
        if listed:
            x_codes, y_codes = (side if side is None else settings["nuisance"](side) for side in (x_codes, y_codes))
        if not beyond:
            found.append(_pairs(x_codes, y_codes, blocks, count=pairs, **settings))
        if concepts:
            found.append(_concepts(x_codes, y_codes, x, y, blocks, w.x[first:], whole_y[first:], **settings))
    tests = pd.concat([table for table, _, _ in found if len(table)], ignore_index=True)
    x_scores = np.hstack([scores for _, scores, _ in found])
    y_scores = np.hstack([scores for _, _, scores in found])
    return judge(tests, x_scores, y_scores, alpha=alpha, overlap=0.5), x_scores, y_scores


def codes(rows, learned_from, units, *, encoder, seed=0):
    """Codes of rows (N, d) by an encoder that has seen `learned_from` alone, copies once; float (N, units)."""
    if encoder == "pca":
        _, basis = principal_components(learned_from, units)
        return np.maximum((rows - learned_from.mean(0)) @ basis, 0)
    learned_from = learned_from[np.sort(np.unique(learned_from, axis=0, return_index=True)[1])]
    model = training.train(learned_from, encoder=encoder, dim=units, seed=seed, epochs=EPOCHS)
    return training.encode(model, rows).astype(np.float64)


def recovered(w, x_scores, y_scores):
    """For each planted link, the relation that carries it with the right sign, or -1; see `claims.claims`."""
    return claims(w, x_scores, y_scores).recovered


def _axes(x, y, blocks, fresh_x, fresh_y, *, axes, **settings):
    found = canonical_axes(x, y, blocks, axes=axes, **settings)
    numbers = np.arange(len(found.r))
    table = candidate_table(
        "axes", numbers, numbers, n=len(x), r=found.r, low=found.low, high=found.high,
        stability=found.stability, null=found.null, pooled=True,
    )  # fmt: skip
    # What the interval is about: each fold's items are scored by an axis of their own, and r averages over the folds.
    fresh = sum(
        (found.fold == f).mean() * correlations(fresh_x @ on_x, fresh_y @ on_y)
        for f, (on_x, on_y) in enumerate(zip(found.fold_x_directions, found.fold_y_directions, strict=True))
    )
    return table.assign(fresh=fresh), found.x_scores, found.y_scores


def _scored_again(vectors, scores, rows, fresh):
    """Score fresh vectors as the items of one fold were scored.

    Scores are linear in the vectors, so that a fold with more items than dimensions gives its axis away exactly.
    """
    centre = vectors[rows].mean(0)
    direction, *_ = np.linalg.lstsq(vectors[rows] - centre, scores[rows] - scores[rows].mean(0), rcond=1e-9)
    return (fresh - centre) @ direction


def _pairs(x_codes, y_codes, blocks, *, count, **settings):
    first = len(blocks)
    found = unit_pairs(x_codes[:first], y_codes[:first], blocks, count=count, **settings)
    table = candidate_table(
        "units", found.x_unit, found.y_unit, n=int(found.held_out.sum()), r=found.r, low=found.low,
        high=found.high, stability=found.stability, null=found.null, pooled=False,
    )  # fmt: skip
    fresh = [rankdata(side[first:], axis=0) for side in (x_codes, y_codes)]
    table["fresh"] = found.sign * correlations(fresh[0][:, found.x_unit], fresh[1][:, found.y_unit])
    return table, found.x_scores, found.y_scores


def _concepts(x_codes, y_codes, x, y, blocks, fresh_x, fresh_y, **settings):
    first = len(blocks)
    asked = (None if side is None else side[:first] for side in (x_codes, y_codes))
    found = unit_shifts(*asked, x, y, blocks, **settings)
    table = pd.DataFrame(
        {
            "family": "concepts", "x_unit": found.x_unit, "y_unit": found.y_unit, "n": first, "r": found.r,
            "r_low": found.low, "r_high": found.high, "p": found.p, "p_max": found.p_max, "stability": found.stability,
        }
    )  # fmt: skip
    fresh = np.zeros(len(table))
    if len(fresh_x):
        on_x = found.x_unit >= 0
        for f in np.unique(found.fold):
            rows = found.fold == f
            shifted = np.empty((len(fresh_x), len(table)))
            shifted[:, on_x] = _scored_again(y, found.y_scores[:, on_x], rows, fresh_y)
            shifted[:, ~on_x] = _scored_again(x, found.x_scores[:, ~on_x], rows, fresh_x)
            acting = x_codes[first:, found.x_unit]
            if y_codes is not None:
                acting = np.where(on_x, acting, y_codes[first:, found.y_unit])
            fresh += rows.mean() * correlations(rankdata(acting, axis=0), rankdata(shifted, axis=0))
    table["fresh"] = fresh if len(fresh_x) else np.nan
    return table, found.x_scores, found.y_scores


def correlations(u, v):
    """Correlation of each column of u (n, m) with that of v; NaN without rows."""
    if not len(u):
        return np.full(u.shape[1], np.nan)
    u, v = u - u.mean(0), v - v.mean(0)
    return (u * v).sum(0) / np.sqrt(np.maximum((u * u).sum(0) * (v * v).sum(0), 1e-24))
