"""A recommender is judged by links that decide nothing, beside models that everybody knows, the same way each time."""

import functools

import numpy as np
import pytest
from safetensors.numpy import save
from scipy.sparse import csr_array

from crosswalk import ease, factorisation, splits, stacking
from crosswalk.errors import UserError
from crosswalk.recommend_study import Works, answers, fit_members, judge, rank, stacked
from crosswalk.recommend_tables import keep
from crosswalk.recommender import Queries
from taggings import ENTRY, hide, works_of, world

MADE = {"themes": 6, "each": 5, "bears": 5, "noise": 0.03}


@functools.cache
def study():
    """Works, roles of their links, and the models fitted on those that are visible."""
    works = works_of(world(240, **MADE))
    roles = hide(works, known=0.5, new=0.25)
    return works, roles, fitted(works, roles)[0]


@pytest.fixture
def quick(monkeypatch):
    """Networks that learn next to nothing, where it is not asked how well they weigh."""
    monkeypatch.setattr(stacking, "LEAST_STEPS", 9)


@functools.cache
def judged(scenario):
    works, roles, models = study()
    return judge(works, roles, models, ENTRY, scenario=scenario, seed=0)


def fitted(works, roles, entry=ENTRY, trained=()):
    fitting = works.fitting(splits.visible(works.links, roles))
    return fit_members(fitting, entry, texts=works.texts, trained=dict(trained), seed=0)


def entry(**changed):
    return ENTRY | changed


def verdict(found, who="all"):
    table = found.evaluation
    return table[table["works"] == who].set_index("model")


def content(found):
    """What a scenario leaves, as bytes."""
    arrays = {name: np.ascontiguousarray(value) for name, value in keep({"known": found}).items()}
    tables = [own.to_csv() for own in (found.evaluation, found.reliability, found.weights)]
    return save(dict(sorted(arrays.items()))), *tables


def learned(found):
    """What the links hidden for validation decide: the stack and the curve."""
    return content(found)[0]


def changed(works, roles, role):
    """The works with other subjects at the links of a role: those that they do not bear."""
    links = works.links.copy()
    links.indices = links.indices.copy()
    for row in range(links.shape[0]):
        own = slice(links.indptr[row], links.indptr[row + 1])
        subjects = links.indices[own]
        free = iter(np.setdiff1d(np.arange(links.shape[1]), subjects)[::-1])
        subjects[roles[own] == role] = [next(free) for _ in range((roles[own] == role).sum())]
    return works._replace(links=links)


@pytest.mark.parametrize("scenario", ["known", "new"])
def test_the_stack_is_no_worse_than_any_member_it_weighs(scenario):
    table = verdict(judged(scenario))
    others = table.drop(index="stack")
    assert (others["difference_high"] >= 0).all(), others["difference"]
    assert table.loc["stack", "ndcg_at_10"] >= others["ndcg_at_10"].max()
    assert table.loc["stack", "recall_at_10"] > table.loc["popularity", "recall_at_10"] + 0.3
    assert np.isnan(table.loc["stack", "difference"]) and (others["difference_low"] <= others["difference"]).all()


def test_every_model_is_judged_on_the_same_works_with_and_without_twins():
    works, roles, _ = study()
    twin = works.texts[int(splits.hidden(works.links, roles, splits.KNOWN_TEST)[0][0])]
    doubled = works._replace(texts=[*works.texts[:-1], twin])
    own = entry(model="ease")
    found = judge(doubled, roles, fitted(doubled, roles, own)[0], own, scenario="known", seed=0)
    everybody, apart = verdict(found), verdict(found, "without twins")
    assert set(everybody.index) == set(apart.index) == set(ENTRY["members"])
    assert set(everybody["n"]) == {60} and set(apart["n"]) <= {58, 59}
    assert set(everybody.index[everybody["ece"].notna()]) == {"ease"}


def test_popularity_and_item_knn_are_judged_whether_they_are_weighed_or_not(quick):
    works, roles, _ = study()
    own = entry(members=["text_knn", "ease"])
    models, left_out = fitted(works, roles, own)
    assert list(models) == ["text_knn", "ease", "popularity", "item_knn"] and left_out == {}
    found = judge(works, roles, models, own, scenario="known", seed=0)
    assert found.stack.members == found.weights["member"].tolist() == ["text_knn", "ease"]
    assert set(verdict(found).index) == {*models, "stack"}


def test_works_without_subjects_are_answered_by_members_that_read_texts():
    found = judged("new")
    assert found.stack.members == ["popularity", "text_knn", "label_match"]
    assert set(verdict(found).index) == {"popularity", "text_knn", "label_match", "stack"}
    assert judged("known").stack.members == ENTRY["members"]


@pytest.mark.parametrize("scenario", ["known", "new"])
@pytest.mark.parametrize("role", [splits.KNOWN_TEST, splits.NEW_TEST, splits.KNOWN_VALIDATION, splits.NEW_VALIDATION])
def test_only_links_for_validation_decide_whom_to_trust(quick, scenario, role):
    works, roles, models = study()
    before = judge(works, roles, models, ENTRY, scenario=scenario, seed=0)
    after = judge(changed(works, roles, role), roles, models, ENTRY, scenario=scenario, seed=0)
    decides = role == {"known": splits.KNOWN_VALIDATION, "new": splits.NEW_VALIDATION}[scenario]
    judges = role == {"known": splits.KNOWN_TEST, "new": splits.NEW_TEST}[scenario]
    assert (learned(before) == learned(after)) == (not decides)
    same = verdict(before)["recall_at_10"].drop("stack").equals(verdict(after)["recall_at_10"].drop("stack"))
    assert same == (not judges)


def test_hidden_links_teach_no_model():
    works, roles, models = study()
    rows = np.arange(len(works.ids))
    for role in range(splits.KNOWN_VALIDATION, splits.NEW_TEST + 1):
        other = fitted(changed(works, roles, role), roles)[0]
        for name, model in models.items():
            queries = works.queries(rows, splits.visible(works.links, roles))
            assert np.array_equal(model.score(queries), other[name].score(queries)), (name, role)


def test_ease_above_its_bound_is_left_out_and_the_others_go_on(quick, caplog):
    works, roles, _ = study()
    own = entry(ease={"penalty": "auto", "max_gb": 1e-6})
    models, left_out = fitted(works, roles, own)
    assert "ease" not in models and list(left_out) == ["ease"]
    assert "needs" in left_out["ease"] and "30 subjects" in left_out["ease"] and "30 subjects" in caplog.text
    found = judge(works, roles, models, own, scenario="known", seed=0)
    assert found.stack.members == ["popularity", "item_knn", "text_knn", "label_match"]


def test_the_bound_of_ease_is_the_one_of_the_config():
    works, roles, _ = study()
    gigabytes = ease.needed(works.links.shape[1]) / 1e9
    for factor, there in ((1.01, True), (0.99, False)):
        models, _ = fitted(works, roles, entry(ease={"penalty": 10.0, "max_gb": factor * gigabytes}))
        assert ("ease" in models) == there


def test_a_model_that_was_left_out_cannot_suggest_alone(quick):
    works, roles, _ = study()
    own = entry(model="ease", ease={"penalty": 10.0, "max_gb": 1e-6})
    models, _ = fitted(works, roles, own)
    found = judge(works, roles, models, own, scenario="known", seed=0)
    assert found.weights["member"].tolist() == ["popularity"]


def test_too_few_links_that_are_found_again_are_told():
    works = works_of(world(40, **MADE))
    roles = hide(works, known=0.2, new=0.1)
    told = r"4 links hidden from 4 known works .* 20 links and 3 works are needed .*raise split.known"
    with pytest.raises(UserError, match=told) as error:
        judge(works, roles, fitted(works, roles)[0], ENTRY, scenario="known", seed=0)
    assert "`model`" in str(error.value)
    alone = entry(model="text_knn")
    assert judge(works, roles, fitted(works, roles, alone)[0], alone, scenario="known", seed=0).stack is None


def test_works_that_bear_everything_are_told_to_teach_nothing():
    works = works_of(world(200, themes=2, each=2, bears=4))
    roles = hide(works, known=0.8, new=0.1)
    with pytest.raises(UserError, match="nothing"):
        judge(works, roles, fitted(works, roles)[0], ENTRY, scenario="known", seed=0)


@pytest.mark.parametrize("model", ["text_knn", "item_knn"])
def test_one_model_alone_is_calibrated_and_popularity_stands_in_where_it_knows_nothing(model):
    works, roles, _ = study()
    own = entry(model=model, members=[model])
    models, _ = fitted(works, roles, own)
    for scenario, chosen in (("known", model), ("new", "text_knn" if model == "text_knn" else "popularity")):
        found = judge(works, roles, models, own, scenario=scenario, seed=0)
        assert found.stack is None and found.weights[["member", "weight"]].to_numpy().tolist() == [[chosen, 1.0]]
        table = verdict(found)
        assert table.index[table["ece"].notna()].tolist() == [chosen]
        assert (found.reliability["scenario"] == scenario).all() and found.reliability["n"].sum() > 0


def test_where_no_member_reads_texts_popularity_answers_new_works(quick):
    works, roles, _ = study()
    own = entry(members=["item_knn", "ease"])
    models, _ = fitted(works, roles, own)
    found = judge(works, roles, models, own, scenario="new", seed=0)
    assert found.stack is None and found.weights["member"].tolist() == ["popularity"]
    assert judge(works, roles, models, own, scenario="known", seed=0).stack.members == ["item_knn", "ease"]


def test_models_that_rules_train_are_taken_as_they_are(quick):
    works, roles, _ = study()
    fitting = works.fitting(splits.visible(works.links, roles))
    own = entry(members=["text_knn", "factorisation"])
    model = factorisation.fit(fitting, dim=8, epochs=1, batch_size=64, prior=["text"], seed=0)
    trained = {"factorisation": model, "as_published": model}
    models, _ = fit_members(fitting, own, texts=works.texts, trained=trained, seed=0)
    assert list(models) == ["text_knn", "factorisation", "popularity", "item_knn", "as_published"]
    assert models["factorisation"] is model
    assert "as_published" not in stacked(own, models, new=False)
    assert answers(own, models, new=True) == [*stacked(own, models, new=True), "popularity"]
    with pytest.raises(ValueError, match="factorisation is used, but was not trained"):
        fit_members(fitting, own, texts=works.texts, trained={}, seed=0)


def test_nothing_is_suggested_that_a_work_bears_and_a_work_with_everything_gets_nothing():
    works, roles, models = study()
    borne = splits.visible(works.links, roles).toarray()
    borne[0] = borne[1, :28] = 1
    borne[1, 28:] = 0
    links = csr_array(borne)
    queries = works.queries(np.arange(30), links)
    frequency = np.bincount(links.indices, minlength=links.shape[1])
    for chosen, stack in (("stack", judged("known").stack), ("text_knn", None)):
        ranked, scores = rank(models, queries, stack=stack, frequency=frequency, k=10, chosen=chosen)
        assert (ranked[0] == -1).all() and set(ranked[1]) <= {-1, 28, 29}
        assert ((ranked < 0) == np.isnan(scores)).all()
        for row in range(30):
            given = ranked[row][ranked[row] >= 0]
            assert len(set(given)) == len(given) and not links[[row]].toarray()[0, given].any()


def test_of_subjects_that_mean_the_same_one_is_suggested():
    works, roles, models = study()
    queries = works.queries(np.arange(30), splits.visible(works.links, roles))
    same = np.arange(30) // 2
    frequency = np.ones(30)
    for chosen, stack in (("stack", judged("known").stack), ("text_knn", None)):
        ranked, _ = rank(models, queries, stack=stack, frequency=frequency, k=10, chosen=chosen, same=same)
        for row in range(30):
            meant = same[ranked[row][ranked[row] >= 0]]
            assert len(set(meant)) == len(meant) and not set(meant) & set(same[queries.links[[row]].indices])


def test_scores_fall_along_a_list():
    works, roles, models = study()
    queries = works.queries(np.arange(30), splits.visible(works.links, roles))
    ranked, scores = rank(models, queries, stack=judged("known").stack, frequency=np.ones(30), k=8)
    assert (np.diff(scores, axis=1) <= 0).all() and (ranked >= 0).all()


def test_batches_change_nothing(monkeypatch, quick):
    works, roles, models = study()
    whole = content(judge(works, roles, models, ENTRY, scenario="known", seed=0))
    monkeypatch.setattr("crosswalk.recommend_study.BATCH", 7)
    assert content(judge(works, roles, models, ENTRY, scenario="known", seed=0)) == whole


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(quick):
    works, roles, models = study()
    one, again = (content(judge(works, roles, models, ENTRY, scenario="new", seed=4)) for _ in range(2))
    assert one == again
    assert content(judge(works, roles, models, ENTRY, scenario="new", seed=5))[0] != one[0]


def test_queries_show_what_models_may_see():
    works, _, _ = study()
    own = Works(**works._asdict() | {"vectors": np.arange(480.0).reshape(240, 2), "paths": csr_array(np.eye(240))})
    links = csr_array(works.links.shape, dtype=np.float32)
    rows = np.array([5, 2])
    queries = own.queries(rows, links)
    assert len(queries) == 2 and queries.links.nnz == 0 and queries.rows.tolist() == [5, 2]
    assert queries.texts == [works.texts[5], works.texts[2]] and queries.vectors.tolist() == [[10, 11], [4, 5]]
    assert queries.paths.indices.tolist() == [5, 2]
    assert own.queries(rows, links, new=True).rows.tolist() == [-1, -1]
    assert works.queries(rows, links).vectors is None and works.queries(rows, links).paths is None


def test_a_model_that_has_nothing_to_say_gives_way_to_popularity():
    """Not to the first subjects of the alphabet, which all have the score 0."""

    class Given:
        def __init__(self, scores):
            self.scores = np.array(scores, np.float32)

        def score(self, queries):
            return self.scores.copy()

    models = {"text_knn": Given([[0, 0, 0.5], [0, 0, 0]]), "popularity": Given([[1, 3, 2], [1, 3, 2]])}
    queries = Queries(csr_array((2, 3), dtype=np.float32), csr_array((2, 1)), np.array([-1, -1]), ["", ""])
    ranked, scores = rank(models, queries, stack=None, frequency=np.ones(3), k=2, chosen="text_knn")
    assert ranked.tolist() == [[2, 0], [1, 2]]
    assert (scores[1] < 1e-5).all() and (np.diff(scores) <= 0).all()
