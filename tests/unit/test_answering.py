"""Works at hand are answered by what their kind was judged by: one stack if they bear subjects, another if none."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from crosswalk import features, stacking
from crosswalk.answering import Advisor
from crosswalk.recommend_study import Works, fit_members, judge, splits
from crosswalk.suggestions import SCHEMA
from taggings import ENTRY, hide, works_of, world

MADE = {"themes": 6, "each": 5, "bears": 5, "noise": 0.03}
WORKS, FRESH = 200, 20


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Networks that learn next to nothing, as it is not asked how well they weigh."""
    monkeypatch.setattr(stacking, "LEAST_STEPS", 30)


class Refusing:
    """A model that knows nothing of works without subjects, and says so."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def score(self, queries):
        assert np.diff(queries.links.indptr).all(), "asked about a work without subjects"
        return self.model.score(queries)


@functools.cache
def study(model="stack"):
    """Works, all of whose links are known, models fitted on them, stacks and curves, and works that are new."""
    made = world(WORKS, untagged=0.1, **MADE)
    terms = features.fit(made.texts, ngrams=1)
    works, entry = works_of(made, fitted=terms), ENTRY | {"model": model}
    roles = hide(works, known=0.5, new=0.25)
    models, _ = fit_members(
        works.fitting(splits.visible(works.links, roles)), entry, texts=works.texts, trained={}, seed=0
    )
    judged = {s: judge(works, roles, models, entry, scenario=s, seed=0) for s in ("known", "new")}
    final, _ = fit_members(works.fitting(works.links), entry, texts=works.texts, trained={}, seed=0)
    new = works_of(world(FRESH, start=1000, **MADE), fitted=terms)
    kept = {
        "stacks": {s: one.stack for s, one in judged.items()},
        "curves": {s: one.curve for s, one in judged.items()},
    }
    return works, final, kept, new, terms.terms


def table(labels):
    return pd.DataFrame({"id": [f"s{i:02}" for i in range(len(labels))], "label": labels})


def advisor(*, model="stack", models=None, labels=None, top=6, **more):
    works, final, kept, _, terms = study(model)
    given = {"chosen": model, "subjects": table(labels or works.labels), "terms": terms, "ids": works.ids, "top": top}
    return Advisor(works.fitting(works.links), models or final, **kept | given | more)


def asked(works, rows=None, *, links=None, new=False):
    rows = np.arange(len(works.ids)) if rows is None else np.asarray(rows)
    return works.queries(rows, works.links if links is None else links, new=new)


def untagged(works):
    return works._replace(links=csr_array(works.links.shape, dtype=np.float32))


def test_every_suggestion_has_a_rank_a_score_a_probability_and_a_reason():
    works = study()[0]
    found = advisor().rows(works.ids, asked(works))
    assert list(found.columns) == SCHEMA.names
    assert found["work_id"].drop_duplicates().tolist() == works.ids
    for _, own in found.groupby("work_id", sort=False):
        assert own["rank"].tolist() == list(range(1, len(own) + 1)) and (np.diff(own["score"]) <= 0).all()
        assert (np.diff(own["probability"]) <= 0).all() and own["subject_id"].is_unique
    assert found["probability"].between(0, 1, inclusive="neither").all()
    assert (found["reason"] != "").all() and (found["like"] != "").mean() > 0.5


def test_nothing_is_suggested_that_a_work_bears():
    works = study()[0]
    found = advisor().rows(works.ids, asked(works))
    borne = {(works.ids[i], f"s{j:02}") for i, j in zip(*works.links.nonzero(), strict=True)}
    assert borne and not borne & set(zip(found["work_id"], found["subject_id"], strict=True))


def test_a_work_with_all_subjects_gets_none():
    works = study()[0]
    borne = works.links.toarray()
    borne[3] = 1
    ranked, scores, chances = advisor().answer(asked(works, [2, 3, 4], links=csr_array(borne)))
    assert (ranked[1] == -1).all() and (ranked[[0, 2]] >= 0).all()
    found = advisor().rows(["a", "b", "c"], asked(works, [2, 3, 4], links=csr_array(borne)))
    assert set(found["work_id"]) == {"a", "c"}
    assert np.isfinite(chances).all() and np.isnan(scores[1]).all()


def test_works_without_subjects_are_answered_by_members_that_read_texts():
    _, final, _, new, _ = study()
    refusing = final | {name: Refusing(final[name]) for name in ("item_knn", "ease")}
    found = advisor(models=refusing).rows(new.ids, asked(untagged(new), new=True))
    assert set(found["work_id"]) == set(new.ids)
    with pytest.raises(AssertionError, match="asked about"):
        refusing["ease"].score(asked(untagged(new), new=True))


def test_new_works_get_subjects_of_their_themes():
    new = study()[3]
    ranked, *_ = advisor(top=10).answer(asked(untagged(new), new=True))
    right = np.mean([new.links[[i]].toarray()[0, own].sum() / 5 for i, own in enumerate(ranked)])
    assert right > 0.6


def test_company_changes_no_answer():
    works, _, _, new, _ = study()
    links = stacked_rows(works.links[:10], untagged(new).links)
    terms = stacked_rows(works.features[:10], new.features)
    mixed = Works([*works.ids[:10], *new.ids], [*works.texts[:10], *new.texts], links, terms, works.labels)
    queries = asked(mixed)
    queries = replace(queries, rows=np.array([*range(10), *[-1] * len(new.ids)]))
    together = advisor().rows(mixed.ids, queries)
    apart = [advisor().rows(works.ids[:10], asked(works, range(10)))]
    apart += [advisor().rows([own], asked(untagged(new), [i], new=True)) for i, own in enumerate(new.ids)]
    left, right = together, pd.concat(apart, ignore_index=True)
    pd.testing.assert_frame_equal(left.drop(columns="score"), right.drop(columns="score"), rtol=1e-4)


def stacked_rows(one, other):
    return csr_array(np.vstack([one.toarray(), other.toarray()]))


def test_neighbours_that_are_known_change_no_answer():
    works, final, *_ = study()
    queries = asked(works, range(30))
    near = final["text_knn"].neighbours(queries)
    for one, other in zip(advisor().answer(queries), advisor().answer(queries, near=near), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", ["text_knn", "item_knn"])
def test_one_model_suggests_alone_and_popularity_where_it_knows_nothing(model):
    works, final, kept, new, _ = study(model)
    assert kept["stacks"] == {"known": None, "new": None}
    ranked, *_ = advisor(model=model).answer(asked(works, range(20)))
    scores = final[model].score(asked(works, range(20)))
    top = np.take_along_axis(scores, ranked, axis=1)
    assert (np.diff(top, axis=1) <= 0).all()
    ranked, *_ = advisor(model=model).answer(asked(untagged(new), new=True))
    assert (len(np.unique(ranked, axis=0)) == 1) == (model == "item_knn")


@pytest.mark.parametrize("chosen", ["ease", "stack"])
def test_popularity_stands_in_for_a_model_that_was_left_out_and_for_a_stack_of_nobody(chosen):
    works, final, _, new, _ = study("text_knn")
    models = {name: model for name, model in final.items() if name != "ease"}
    answers = advisor(model="text_knn", models=models, chosen=chosen)
    for queries in (asked(works, range(5)), asked(untagged(new), new=True)):
        ranked, *_ = answers.answer(queries)
        assert (ranked >= 0).all()
    assert len(np.unique(ranked, axis=0)) == 1


def test_the_same_label_is_never_suggested_twice():
    works, _, _, new, _ = study()
    labels = [f"Label {i // 2}" if i % 3 else f" label {i // 2}" for i in range(len(works.labels))]
    free = works.links.toarray()
    free[:, 0::2] = np.maximum(free[:, 0::2], free[:, 1::2])  # what a work bears, it bears by one id
    free[:, 1::2] = 0
    found = advisor(labels=labels, top=8).rows(works.ids, asked(works, links=csr_array(free)))
    meant = found["label"].str.strip().str.lower()
    assert not pd.DataFrame({"work": found["work_id"], "meant": meant}).duplicated().any()
    found = advisor(labels=labels, top=8).rows(new.ids, asked(untagged(new), new=True))
    assert not found.assign(label=found["label"].str.strip().str.lower())[["work_id", "label"]].duplicated().any()


def test_the_same_question_gets_the_same_answer():
    works = study()[0]
    one, other = (advisor().rows(works.ids, asked(works)) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_who_answers_leaves_the_models_as_they_were():
    final = study()[1]
    before = final["item_knn"].similarities.toarray()
    advisor()
    np.testing.assert_array_equal(final["item_knn"].similarities.toarray(), before)
