"""Run by the peers' Python: cca-zoo's ridge CCA, its held-out scores or the p-values of its permutation test.

Given x_0, y_0, x_1, y_1, ... (n, d), the two views of each data set. With fold_0, fold_1, ...: held-out scores u_0,
v_0, ... (n, axes) of models whose ridge, one of `ridges`, `GridSearchCV` chose on the rows outside each fold; `columns`
says whether each column is brought to unit variance or, with one number for a view, their mean. With permutations and
seed: p, that of the first pair of variates, the only one its documentation calls a valid test, with the first ridge.
"""

import sys

import numpy as np
from cca_zoo.linear import RidgeCCA
from cca_zoo.model_selection import GridSearchCV, permutation_test_significance
from tqdm import tqdm

INNER = 3  # folds of the search for a ridge


def main(given, made):
    with np.load(given, allow_pickle=False) as file:
        arrays = dict(file)
    count = sum(key.startswith("x_") for key in arrays)
    bar = tqdm(range(count), desc="cca-zoo", disable=None)
    if "permutations" in arrays:
        np.savez(made, p=np.array([first_p_value(arrays, i) for i in bar]))
    else:
        np.savez(made, **{key: value for i in bar for key, value in held_out(arrays, i).items()})


def first_p_value(arrays, i):
    views = [arrays[f"x_{i}"], arrays[f"y_{i}"]]
    tested = permutation_test_significance(
        RidgeCCA(1, shrinkage=arrays["ridges"][0]),
        [_scaled(view, view, columns=False) for view in views],
        n_permutations=int(arrays["permutations"]),
        random_state=int(arrays["seed"]) + i,
    )
    return tested.p_values[0]


def held_out(arrays, i):
    axes, columns, fold = int(arrays["axes"]), bool(arrays["columns"]), arrays[f"fold_{i}"]
    views = [arrays[f"x_{i}"], arrays[f"y_{i}"]]
    scores = np.empty((2, len(fold), axes))
    for f in range(fold.max() + 1):
        out = fold == f
        scaled = [_scaled(view, view[~out], columns=columns) for view in views]
        search = GridSearchCV(RidgeCCA(axes), {"shrinkage": arrays["ridges"]}, cv=INNER)
        search.fit([view[~out] for view in scaled])
        scores[:, out] = search.best_estimator_.transform([view[out] for view in scaled])
    return {f"u_{i}": scores[0], f"v_{i}": scores[1]}


def _scaled(view, fitted, *, columns):
    """Rows of a view, centred and scaled by the fitted ones: what its ridge, a share of the identity, takes for 1."""
    variance = fitted.var(0)
    return (view - fitted.mean(0)) / np.sqrt(np.maximum(variance, 1e-12) if columns else variance.mean())


if __name__ == "__main__":
    main(*sys.argv[1:])
