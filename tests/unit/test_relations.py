"""From candidates to distinct relations."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.ends import mean_shift
from crosswalk.judging import judge_lists
from crosswalk.relations import collect_relations, kind_of
from crosswalk.significance import candidate_table


def table(p, r, family="axes", p_max=None):
    units = np.arange(len(p))
    return pd.DataFrame(
        {"family": family, "x_unit": units, "y_unit": units, "n": 50, "r": r, "r_low": 0.0, "r_high": 0.5, "p": p,
         "p_max": p if p_max is None else p_max, "stability": 1.0, "list": "plain"}
    )  # fmt: skip


@pytest.mark.parametrize(
    "family, kind",
    [
        ("axes", "axis"),
        ("topk-8/seed-42", "pair"),
        ("pca-8", "pair"),
        ("concepts-topk-8/seed-42", "concept"),
        ("focus-1-x", "focus"),
    ],
)
def test_the_name_of_a_family_says_what_it_looks_for(family, kind):
    assert kind_of(family) == kind


def test_collected_relations_carry_scores_texts_and_directions():
    rng = np.random.default_rng(0)
    n, d = 60, 5
    items = np.array([f"i{i}" for i in range(n)], dtype=object)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    x_scores = rng.normal(size=(n, 2))
    y_scores = x_scores + rng.normal(size=(n, 2))
    tests = pd.concat([table([0.001], [0.6]), table([0.002], [0.3], "topk-8/seed-1")], ignore_index=True)
    tests = judge_lists(tests, x_scores, y_scores, alpha=0.05, overlap=0.5)
    held_out = np.ones((n, 2), dtype=bool)
    held_out[:40, 1] = False
    rows = pd.DataFrame({"id": items, "group": items, "text": "text of " + items})
    directions = {
        "x": np.vstack([np.eye(d)[0], np.full(d, np.nan)]),
        "y": np.vstack([np.eye(d)[1], np.full(d, np.nan)]),
    }
    found = collect_relations(
        tests, x_scores, y_scores, items=items, x_embeddings=x, y_embeddings=y,
        directions=directions, fold=np.arange(n) % 5, held_out=held_out,
        sides={"x": (rows, x), "y": (rows, y)}, examples=3,
    )  # fmt: skip
    assert list(found.relations["kind"]) == ["axis", "pair"]
    assert found.relations["r"].is_monotonic_decreasing
    assert list(found.scores.groupby("relation")["held_out"].sum()) == [60, 20]
    assert len(found.ends) == 2 * 2 * 2 * 3 and len(found.scores) == 2 * n
    np.testing.assert_array_equal(found.x_traits[0], np.eye(d)[0])
    np.testing.assert_allclose(found.x_traits[1], mean_shift(x, x_scores[:, 1]))


@pytest.mark.parametrize("name, first", [("plain", 0), ("beyond", 1)])
def test_what_is_new_leads_the_list_beyond_the_echo_and_what_is_strong_the_other(name, first):
    """The first candidate is the stronger, and y repeats x there; of the second hardly anything is repetition."""
    rng = np.random.default_rng(0)
    n, d = 400, 4
    items = np.array([f"i{i}" for i in range(n)], dtype=object)
    x, noise = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    y = np.column_stack([x[:, 0] + 0.5 * noise[:, 0], noise[:, 1], 0.6 * x[:, 2] + noise[:, 2], noise[:, 3]])
    y[:, 3] += 0.6 * x[:, 1]  # the trait 1 of x goes with another trait of y
    x_scores, y_scores = x[:, :2], y[:, [0, 3]]
    r = [np.corrcoef(x_scores[:, i], y_scores[:, i])[0, 1] for i in (0, 1)]
    tests = table([0.001, 0.001], r).assign(list=name)
    tests = judge_lists(tests, x_scores, y_scores, alpha=0.05, overlap=0.5)
    rows = pd.DataFrame({"id": items, "group": items, "text": "text of " + items})
    found = collect_relations(
        tests, x_scores, y_scores, items=items, x_embeddings=x, y_embeddings=y,
        directions={"x": np.eye(d)[:2], "y": np.eye(d)[[0, 3]]}, fold=np.arange(n) % 5,
        held_out=np.ones((n, 2), dtype=bool), sides={"x": (rows, x), "y": (rows, y)}, examples=2,
    ).relations  # fmt: skip
    assert found["x_unit"].tolist() == [first, 1 - first] and found["relation"].tolist() == [1, 2]
    echoed = found.set_index("x_unit")
    assert echoed.loc[0, "echo"] > 0.8 > 0.3 > echoed.loc[1, "echo"] and echoed.loc[0, "r"] > echoed.loc[1, "r"]
    assert echoed.loc[1, "beyond"] > 0.3 > echoed.loc[0, "beyond"]


def test_a_table_of_candidates_compares_with_the_worlds():
    found = candidate_table(
        "axes", [0], [1], n=9, r=np.array([0.4]), low=[0.3], high=[0.5], stability=[1], pooled=True,
        null=[np.array([0.1, 0.5]), np.array([0.2])],
    )  # fmt: skip
    assert found["p"][0] == pytest.approx(0.5) and found["p_max"][0] == pytest.approx(2 / 3)
