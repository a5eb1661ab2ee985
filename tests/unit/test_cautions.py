"""A relation is told with what may make less of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crosswalk.cautions import COLUMNS, cautions


@pytest.fixture
def told():
    """Two relations of 300 items: an axis that a covariate accounts for, and a pair that quotations make."""
    rng = np.random.default_rng(0)
    n, behind, quotes = 300, rng.normal(size=300), np.arange(300) % 6 == 0
    x, y = rng.normal(size=(2, n, 2))
    x[:, 0] += 2 * behind
    y[:, 0] += 2 * behind
    y[quotes, 1] = 4 * x[quotes, 1]
    relations = pd.DataFrame(
        {"relation": [1, 2], "kind": ["axis", "pair"], "encoder": ["axes", "topk-4/seed-1"], "x_unit": [0, 2],
         "y_unit": [0, 3]}
    )  # fmt: skip
    held_out = np.column_stack([np.ones(n, bool), np.arange(n) % 5 < 2])
    scores = pd.concat(
        pd.DataFrame({"relation": i + 1, "x_score": x[:, i], "y_score": y[:, i], "held_out": held_out[:, i]})
        for i in range(2)
    )
    return cautions(
        relations, scores,
        quoted=SimpleNamespace(share=0.5 * quotes, leaks=quotes),
        covariates={"x.year": behind[:, None], "x.length": rng.normal(size=(n, 1))},
        blocks=np.arange(n),
        fold=np.arange(n) % 5,
        seed=0,
        unit_stability={"topk-4/seed-1": {"x": np.array([0.1, 0.2, 0.3, 0.4]), "y": np.array([0.5, 0.6, 0.7, 0.8])}},
    )  # fmt: skip


def test_what_was_not_listed_and_accounts_for_a_relation_is_named(told):
    assert list(told.columns) == COLUMNS
    assert told["explained_by"][0] == "x.year" and told["confounded"].tolist() == [True, False]
    assert abs(told["r_given"][0]) < 0.2 < 0.6 < told["r_unquoted"][0]


def test_a_relation_that_quotations_make_is_gone_without_them(told):
    assert told["leak"][1] == pytest.approx(0.5 / 6, abs=0.01)
    assert abs(told["r_unquoted"][1]) < 0.25


def test_units_are_told_with_how_they_come_back_and_axes_without(told):
    assert np.isnan(told["seed_stability_x"][0]) and np.isnan(told["seed_stability_y"][0])
    assert (told["seed_stability_x"][1], told["seed_stability_y"][1]) == (0.3, 0.8)


def test_too_few_items_without_quotation_give_no_correlation():
    relations = pd.DataFrame({"relation": [1], "kind": ["axis"], "encoder": ["axes"], "x_unit": [0], "y_unit": [0]})
    scores = pd.DataFrame({"relation": 1, "x_score": np.arange(12.0), "y_score": np.arange(12.0), "held_out": True})
    quoted = SimpleNamespace(share=np.ones(12), leaks=np.arange(12) < 9)
    found = cautions(
        relations, scores, quoted=quoted, covariates={}, blocks=np.arange(12), fold=np.zeros(12, int), seed=0
    )  # fmt: skip
    assert np.isnan(found["r_unquoted"][0]) and found["explained_by"][0] == "" and not found["confounded"][0]


@pytest.mark.parametrize("kind, least, most", [("axis", -0.3, 0.3), ("pair", 0.9, 1)])
def test_pairs_are_compared_over_all_items_and_axes_within_their_folds(kind, least, most):
    rng = np.random.default_rng(0)
    fold = np.repeat([0, 1], 50)
    x, y = rng.normal(size=(2, 100)) + 10 * fold
    relations = pd.DataFrame({"relation": [1], "kind": [kind], "encoder": ["axes"], "x_unit": [0], "y_unit": [0]})
    scores = pd.DataFrame({"relation": 1, "x_score": x, "y_score": y, "held_out": True})
    quoted = SimpleNamespace(share=np.zeros(100), leaks=np.zeros(100, bool))
    found = cautions(relations, scores, quoted=quoted, covariates={}, blocks=np.arange(100), fold=fold, seed=0)
    assert least < found["r_unquoted"][0] < most
