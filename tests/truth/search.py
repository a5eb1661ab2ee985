"""The whole search for relations on a numeric world, without files: axes, pairs of units, one correction, distinct."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from crosswalk.canonical import canonical_axes, principal_components
from crosswalk.items import average_by_group
from crosswalk.pairs import unit_pairs
from crosswalk.relations import judge
from crosswalk.significance import candidate_table


def search(w, *, first=None, permutations=99, axes=10, units=8, seed=0, alpha=0.05):
    """Search a `worlds.World`, or its first items, keeping the others to see what holds.

    Returns the confirmed relations: table (with `fresh`, the correlation on the items not searched), x_scores (n, k),
    y_scores (n, k).
    """
    first = first or len(w.items)
    whole_y = average_by_group(w.y, w.groups, w.items)
    x, y, blocks = w.x[:first], whole_y[:first], w.blocks[:first]
    settings = {"permutations": permutations, "bootstrap": 199, "seed": seed}
    found = canonical_axes(x, y, blocks, axes=axes, **settings)
    numbers = np.arange(len(found.r))
    tables = [
        candidate_table(
            "axes", numbers, numbers, n=first, r=found.r, low=found.low, high=found.high,
            stability=found.stability, null=found.null, pooled=True,
        )
    ]  # fmt: skip
    tables[0]["fresh"] = _correlations_of(w.x[first:] @ found.x_directions, whole_y[first:] @ found.y_directions)
    x_scores, y_scores = [found.x_scores], [found.y_scores]
    if units:
        # Rectified components stand for the sparse, heavy-tailed codes of an encoder.
        x_codes = _rectified(w.x, x, units)
        y_codes = average_by_group(_rectified(w.y, w.y[np.isin(w.groups, w.items[:first])], units), w.groups, w.items)
        pairs = unit_pairs(x_codes[:first], y_codes[:first], blocks, count=20, **settings)
        table = candidate_table(
            "units", pairs.x_unit, pairs.y_unit, n=int(pairs.held_out.sum()), r=pairs.r, low=pairs.low,
            high=pairs.high, stability=pairs.stability, null=pairs.null, pooled=False,
        )  # fmt: skip
        fresh = [rankdata(side[first:], axis=0) for side in (x_codes, y_codes)]
        table["fresh"] = pairs.sign * _correlations_of(fresh[0][:, pairs.x_unit], fresh[1][:, pairs.y_unit])
        tables.append(table)
        x_scores.append(pairs.x_scores)
        y_scores.append(pairs.y_scores)
    x_scores, y_scores = np.hstack(x_scores), np.hstack(y_scores)
    tests = pd.concat([t for t in tables if len(t)], ignore_index=True)
    tests = judge(tests, x_scores, y_scores, alpha=alpha, overlap=0.5)
    kept = np.flatnonzero(tests["confirmed"])
    return tests.iloc[kept].reset_index(drop=True), x_scores[:, kept], y_scores[:, kept]


def _rectified(rows, training, units):
    _, basis = principal_components(training, units)
    return np.maximum((rows - training.mean(0)) @ basis, 0)


def _correlations_of(u, v):
    if not len(u):
        return np.full(u.shape[1], np.nan)
    u, v = u - u.mean(0), v - v.mean(0)
    return (u * v).sum(0) / np.sqrt((u * u).sum(0) * (v * v).sum(0))


def recovered(w, x_scores, y_scores, *, least=0.5):
    """For each planted link, the relation that carries it with the right sign, or -1.

    A relation carries a link if its scores correlate with the planted factors by at least `least` on both sides.
    """
    found = np.full(w.x_truth.shape[1], -1)
    for i in range(len(found)):
        on_x = _correlations(x_scores, w.x_truth[:, i])
        on_y = _correlations(y_scores, w.y_truth[:, i])
        sign = np.sign(np.corrcoef(w.x_truth[:, i], w.y_truth[:, i])[0, 1])
        strength = np.where(np.sign(on_x * on_y) == sign, np.minimum(np.abs(on_x), np.abs(on_y)), 0)
        if len(strength) and strength.max() >= least:
            found[i] = int(np.argmax(strength))
    return found


def _correlations(scores, truth):
    centred = scores - scores.mean(0)
    return centred.T @ (truth - truth.mean()) / (len(truth) * scores.std(0) * truth.std() + 1e-12)
