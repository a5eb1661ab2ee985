"""The points of a sweep: chosen by links that judge nothing, told by links that choose nothing."""

import functools

import numpy as np
import pandas as pd
import pytest

from crosswalk import item_knn, popularity, splits, text_knn
from crosswalk.recommend_sweep import ABLATION, COLUMNS, ablation, compare, merits
from taggings import hide, works_of, world

POINT = {"dim": 8, "epochs": 2, "batch_size": 32, "prior": []}


@functools.cache
def study():
    works = works_of(world(160, themes=6, each=5, bears=5, noise=0.03))
    roles = hide(works, known=0.5, new=0.25)
    fitting = works.fitting(splits.visible(works.links, roles))
    models = {"popularity": popularity.fit(fitting), "text": text_knn.fit(fitting, k=20), "item": item_knn.fit(fitting)}
    return works, roles, models


class Oracle:
    """Knows all links of a role, and nothing else."""

    def __init__(self, links, roles, role):
        links = links.copy()
        links.data = (roles == role).astype(np.float32)
        self.right = links.toarray()

    def score(self, queries):
        # A new work has no row here: what it bears is told apart by its text alone, which the tests number.
        return self.right[[int(text) for text in queries.texts]]


def oracles(*roles_known):
    works, roles, _ = study()
    numbered = works._replace(texts=[str(i) for i in range(len(works.ids))])
    return numbered, roles, [Oracle(works.links, roles, role) for role in roles_known]


def compared(names, *, facts=None, points=None):
    works, roles, models = study()
    points = points or {name: POINT | {"dim": 8 + i} for i, name in enumerate(names)}
    facts = facts or [{"log_loss": 1.0}] * len(names)
    return compare(works, roles, (models[name] for name in names), points, facts, seed=0)


def test_each_point_has_a_row_with_what_it_finds_and_the_intervals():
    table = compared(["popularity", "text", "item"])
    assert list(table.columns) == COLUMNS and table["point"].tolist() == ["popularity", "text", "item"]
    assert table["dim"].tolist() == [8, 9, 10] and (table["prior"] == "none").all()
    assert (table["low"] <= table["recall_at_10"]).all() and (table["recall_at_10"] <= table["high"]).all()
    assert table.loc[1, "recall_at_10"] > table.loc[0, "high"] and table.loc[1, "recall_at_10_new"] > 0.5
    assert table["log_loss"].tolist() == [1, 1, 1]


def test_the_point_is_chosen_that_finds_most_of_the_links_for_validation():
    table = compared(["popularity", "text", "item"])
    assert table["chosen"].tolist() == [False, True, False] and table["validation"].argmax() == 1


@pytest.mark.parametrize("at", [0, 1])
def test_links_of_the_test_choose_nothing(at):
    test, validation = (splits.KNOWN_TEST, splits.NEW_TEST)[at], (splits.KNOWN_VALIDATION, splits.NEW_VALIDATION)[at]
    works, roles, models = oracles(test, validation)
    points = {"test": POINT, "validation": POINT}
    table = compare(works, roles, models, points, [{"log_loss": 0}] * 2, seed=0)
    measure = ("recall_at_10", "recall_at_10_new")[at]
    assert table.loc[0, measure] == 1 and table.loc[1, measure] < 0.5
    assert table["chosen"].tolist() == [False, True]


def test_of_equal_points_the_first_is_chosen():
    table = compared(["item", "item"], points={"a": POINT, "b": POINT})
    assert table["chosen"].tolist() == [True, False]


def test_models_are_read_one_at_a_time():
    alive = []

    class Counted:
        def __init__(self, model):
            self.model = model
            alive.append(self)

        def score(self, queries):
            assert alive[-1] is self
            return self.model.score(queries)

    works, roles, models = study()
    points = {"a": POINT, "b": POINT}
    facts = [{"log_loss": 0}] * 2
    compare(works, roles, (Counted(models[name]) for name in ("item", "text")), points, facts, seed=0)
    assert len(alive) == 2


def test_no_points_make_an_empty_table():
    table = compare(*study()[:2], [], {}, [], seed=0)
    assert list(table.columns) == COLUMNS and len(table) == 0
    assert list(ablation(table).columns) == ABLATION and len(ablation(table)) == 0


def test_the_ablation_holds_points_that_differ_in_the_prior_alone():
    priors = [[], ["text"], ["text", "labels"]]
    points = {f"{dim}-{i}": POINT | {"dim": dim, "prior": prior} for dim in (8, 16) for i, prior in enumerate(priors)}
    names = ["item", "popularity", "popularity", "popularity", "text", "item"]
    table = compared(names, points=points)
    assert table.set_index("point").loc["16-1", "chosen"]
    own = ablation(table)
    assert list(own.columns) == ABLATION and own["prior"].tolist() == ["none", "text", "text+labels"]
    sweep = table.set_index("point")
    assert own["recall_at_10_known"].tolist() == sweep.loc[["16-0", "16-1", "16-2"], "recall_at_10"].tolist()
    assert own["recall_at_10_new_low"].tolist() == sweep.loc[["16-0", "16-1", "16-2"], "recall_at_10_new_low"].tolist()
    assert len(ablation(table.iloc[[4]])) == 0


@pytest.mark.parametrize("scenario", ["known", "new"])
def test_merits_are_of_works_whose_links_are_hidden(scenario):
    works, roles, models = study()
    sizes = [len(merits(works, roles, models["text"], scenario=scenario, test=test)["mrr"]) for test in (False, True)]
    roles_of = splits.KNOWN_VALIDATION if scenario == "known" else splits.NEW_VALIDATION
    assert sizes == [len(splits.hidden(works.links, roles, roles_of + test)[0]) for test in (0, 1)]


def test_new_works_are_strangers_to_a_model():
    seen = []

    class Watching:
        def score(self, queries):
            seen.append((queries.rows.copy(), queries.links.nnz))
            return np.zeros(queries.links.shape, np.float32)

    works, roles, _ = study()
    for scenario in ("known", "new"):
        merits(works, roles, Watching(), scenario=scenario, test=True)
    assert (seen[0][0] >= 0).all() and seen[0][1] > 0
    assert (seen[1][0] == -1).all() and seen[1][1] == 0


def test_the_same_seed_gives_the_same_table():
    pd.testing.assert_frame_equal(compared(["item", "text"]), compared(["item", "text"]))
