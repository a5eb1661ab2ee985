"""Planted subjects are found again, what is not planted is not, and a promised chance is the share that comes true."""

import functools

import numpy as np
import pytest

from crosswalk import factorisation, features, label_tree, splits
from crosswalk.answering import Advisor
from crosswalk.recommend_study import fit_members, judge
from taggings import ENTRY, hide, works_of, world

LOW_RANK = {"themes": 12, "each": 5, "of": 2, "bears": 5}  # what a work lacks of its two themes is five subjects
ALL = [*ENTRY["members"], "factorisation", "tree"]


def study(made, *, members=tuple(ENTRY["members"]), known=0.4, new=0.2, seed=0):
    """(works, roles, models, verdict by scenario) of a world."""
    works, entry = works_of(made), ENTRY | {"members": list(members)}
    roles = hide(works, known=known, new=new, seed=seed)
    fitting = works.fitting(splits.visible(works.links, roles))
    trained = {}
    if "factorisation" in members:
        trained["factorisation"] = factorisation.fit(
            fitting, dim=32, epochs=12, batch_size=64, prior=["text"], seed=seed
        )
    if "tree" in members:
        trained["tree"] = label_tree.fit(fitting, seed=seed)
    models, _ = fit_members(fitting, entry, texts=works.texts, trained=trained, seed=seed)
    found = {s: judge(works, roles, models, entry, scenario=s, seed=seed) for s in ("known", "new")}
    return works, roles, models, found


def figures(found, scenario, who="all"):
    table = found[scenario].evaluation
    return table[table["works"] == who].set_index("model")


@functools.cache
def planted():
    return study(world(700, noise=0.0, **LOW_RANK))


@functools.cache
def steep():
    """Some subjects are frequent, some rare, some wrong: nothing is certain."""
    made = world(5000, themes=10, each=12, of=2, bears=5, noise=0.05, steep=0.8, said=0.2)
    return study(made, members=ALL, known=0.5, new=0.3)


def test_a_low_rank_set_is_recovered():
    found = figures(planted()[3], "known")
    assert found.loc["stack", "recall_at_10"] >= 0.95
    assert found.loc["popularity", "recall_at_10"] < 0.4
    assert found.loc["stack", "ndcg_at_10"] > found.loc["popularity", "ndcg_at_10"] + 0.3


def test_new_works_are_recovered_from_their_texts():
    found = figures(planted()[3], "new")
    assert found.loc["stack", "recall_at_10"] >= 0.9 > 0.4 > found.loc["popularity", "recall_at_10"]


def test_no_member_is_better_than_the_stack_beyond_its_interval():
    for scenario in ("known", "new"):
        found = figures(planted()[3], scenario).drop(index="stack")
        assert (found["difference_high"] >= 0).all(), found["difference"]


def test_what_is_not_planted_is_not_found():
    """Subjects and words that know nothing of each other: nobody is better than chance, and nobody says so."""
    made = world(500, themes=10, each=6, of=1, bears=4, noise=1.0, said=0.0)
    *_, found = study(made, members=["item_knn", "text_knn", "popularity"], known=0.6)
    for scenario in ("known", "new"):
        own = figures(found, scenario)
        by_chance = 10 / 60
        assert (own["recall_at_10"] < by_chance + 0.1).all(), own["recall_at_10"]
        promised = found[scenario].reliability
        observed = np.average(promised["observed"], weights=promised["n"])
        assert np.average(promised["probability"], weights=promised["n"]) == pytest.approx(observed, abs=0.03)
        assert promised["probability"].max() < 0.3


def test_the_order_of_the_works_changes_no_suggestion():
    made = world(150, themes=6, each=5, bears=5, noise=0.03)
    order = np.random.default_rng(1).permutation(150)
    model = features.fit(made.texts, ngrams=1)
    answers = []
    for own in (made, made.some(order)):
        works, entry = works_of(own, fitted=model), ENTRY | {"model": "text_knn"}
        fitting = works.fitting(works.links)
        models, _ = fit_members(fitting, entry, texts=works.texts, trained={}, seed=0)
        roles = hide(works, known=0.5)
        curves = {}
        for scenario in ("known", "new"):
            curves[scenario] = judge(works, roles, models, entry, scenario=scenario, seed=0).curve
        table = {"id": [f"s{i}" for i in range(30)], "label": own.labels}
        advisor = Advisor(
            fitting, models, stacks={"known": None, "new": None}, curves=curves, chosen="text_knn", subjects=table,
            terms=model.terms, ids=works.ids, top=5,
        )  # fmt: skip
        answers.append(advisor.rows(works.ids, works.queries(np.arange(150), works.links)))
    one, other = (table.set_index(["work_id", "subject_id"]).sort_index() for table in answers)
    assert (one.index == other.index).mean() == 1
    np.testing.assert_allclose(one["score"], other["score"], rtol=1e-4)
    np.testing.assert_allclose(one["probability"], other["probability"], rtol=1e-4)


@pytest.mark.slow
def test_every_member_of_the_stack_counts_in_a_large_world():
    *_, found = steep()
    for scenario in ("known", "new"):
        own = figures(found, scenario)
        others = own.drop(index="stack")
        assert (others["difference"] >= -0.005).all() and (others["difference_high"] >= 0).all(), others["difference"]
        assert own.loc["stack", "ndcg_at_10"] > others["ndcg_at_10"].max()
        assert own.loc["stack", "recall_at_10"] > own.loc["popularity", "recall_at_10"] + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["known", "new"])
def test_probabilities_come_true(scenario):
    *_, found = steep()
    own = figures(found, scenario).loc["stack"]
    assert own["ece"] <= 0.03 and own["ece_low"] <= own["ece"] <= own["ece_high"]
    told = found[scenario].reliability
    sure = told[told["n"] >= 200]
    assert len(sure) >= 5 and sure["probability"].max() > 0.2
    assert (abs(sure["probability"] - sure["observed"]) < 0.06).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_low_rank_set_is_recovered_with_every_member_and_any_seed(seed):
    *_, found = study(world(700, noise=0.0, seed=seed, **LOW_RANK), members=ALL, seed=seed)
    assert figures(found, "known").loc["stack", "recall_at_10"] >= 0.95
    assert figures(found, "new").loc["stack", "recall_at_10"] >= 0.9
    for scenario in ("known", "new"):
        assert (figures(found, scenario).drop(index="stack")["difference_high"] >= 0).all()
    assert figures(found, "known").loc["factorisation", "recall_at_10"] >= 0.85
