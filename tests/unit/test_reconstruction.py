"""Held-out reconstruction: only rows of unseen items count, against principal components fitted on the same rows."""

import numpy as np
import pandas as pd
import pytest

from crosswalk import training
from crosswalk.components import principal_components
from crosswalk.reconstruction import COLUMNS, held_out_variance, study_columns


def rows(n=240, width=30, factors=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.laplace(size=(n, factors)) @ rng.standard_normal((factors, width)) + 0.3 * rng.standard_normal(
        (n, width)
    )


def plain(train, held):
    """Restores nothing."""
    return train, held, np.zeros_like(held)


def components(train, held, *, dim=4):
    _, basis = principal_components(train, dim)
    return train, held, held @ basis @ basis.T


def trained(encoder, **settings):
    return training.restoring(encoder=encoder, seed=0, **settings)


def test_principal_components_against_themselves_are_no_better_and_no_worse():
    x = rows()
    scores = held_out_variance(x, np.arange(len(x)), components, dim=4, seed=0)
    assert scores["held_out"] == pytest.approx(scores["pca_held_out"], abs=1e-9)
    assert scores["held_out_by_fold"] == pytest.approx(scores["pca_by_fold"], abs=1e-9)
    assert scores["folds"] == len(scores["pca_by_fold"]) == 3
    assert 0.8 < scores["pca_held_out"] < 1
    assert held_out_variance(x, np.arange(len(x)), plain, dim=4, seed=0)["held_out"] == pytest.approx(0)


def test_an_item_is_never_on_both_sides_and_every_row_is_held_out_once():
    x, items = rows(), np.repeat(np.arange(60), 4)
    held_items, held_rows = [], []

    def spy(train, held):
        own = {tuple(row): item for row, item in zip(x, items, strict=True)}
        seen, unseen = ({own[tuple(row)] for row in part} for part in (train, held))
        assert not seen & unseen and seen | unseen == set(range(60))
        held_items.extend(unseen)
        held_rows.extend(map(tuple, held))
        return plain(train, held)

    held_out_variance(x, items, spy, dim=4, seed=0)
    assert sorted(held_items) == list(range(60))
    assert sorted(held_rows) == sorted(map(tuple, x))


def test_learning_by_heart_does_not_pay():
    """With hardly a row for each unit, what is explained in sample is mostly lost on unseen items."""
    x = np.random.default_rng(0).standard_normal((90, 60))
    inside = training.train(x, encoder="linear", dim=24, seed=0, epochs=60).history.explained_variance.iloc[-1]
    scores = held_out_variance(x, np.arange(90), trained("linear", dim=24, epochs=60), dim=24, seed=0)
    assert inside > 0.6
    assert scores["held_out"] < inside - 0.2
    assert scores["held_out"] == pytest.approx(scores["pca_held_out"], abs=0.06)


def test_independent_components_keep_of_unseen_items_what_principal_components_keep():
    x = rows() * 3 + 5
    scores = held_out_variance(x, np.arange(len(x)), trained("ica", dim=4, epochs=20), dim=4, seed=0)
    assert scores["held_out"] == pytest.approx(scores["pca_held_out"], abs=1e-4)


@pytest.mark.parametrize(("n", "items"), [(11, 11), (60, 2)])
def test_where_too_little_is_left_to_learn_from_nothing_is_measured(n, items):
    def refuse(train, held):
        raise AssertionError("trained after all")

    scores = held_out_variance(rows(n), np.arange(n) % items, refuse, dim=4, seed=0)
    assert scores["folds"] == 0
    assert scores["held_out"] is None and scores["pca_held_out"] is None


def test_columns_of_the_study_tell_x_from_y():
    measured = ((0.4, 0.2, 0), (0.6, 0.3, 1), (None, None, 2), (0.8, 0.5, 3))
    scores = [
        {"units": 8 + i, **dict(zip(("held_out", "pca_held_out", "dead_units"), row, strict=True))}
        for i, row in enumerate(measured)
    ]
    tables = [pd.DataFrame({"stability": s}) for s in ([0.1, 0.2, 0.9], [0.5], [np.nan], [0.7, 0.9])]
    table = study_columns(scores, tables)
    assert list(table) == COLUMNS and len(table) == 2
    assert table.held_out_x.tolist()[0] == 0.4 and np.isnan(table.held_out_x.tolist()[1])
    assert table.held_out_y.tolist() == [0.6, 0.8]
    assert table.pca_held_out_y.tolist() == [0.3, 0.5]
    assert table.units_x.tolist() == [8, 10] and table.units_y.tolist() == [9, 11]
    assert table.dead_units_x.tolist() == [0, 2] and table.dead_units_y.tolist() == [1, 3]
    assert table.seed_stability_x.tolist()[0] == 0.2
    assert table.seed_stability_y.tolist() == pytest.approx([0.5, 0.8])
    assert study_columns([], []).empty
