"""What judging leaves: a statement that says what was measured, a record without gaps, and files that give it back."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save
from scipy.sparse import csr_array

from crosswalk import calibration, stacking
from crosswalk.recommend_study import Judged
from crosswalk.recommend_tables import diagnostics, keep, kept, records, statement
from taggings import ENTRY, hide, works_of, world


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Networks that learn next to nothing: it is not asked how well they weigh."""
    monkeypatch.setattr(stacking, "LEAST_STEPS", 9)


@functools.cache
def stack(seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, 12, 60)
    scores = [rng.random((60, 12)).astype(np.float32) for _ in range(2)]
    scores[0][np.arange(60), hidden] += 0.8
    found = stacking.candidates(scores, csr_array((60, 12), dtype=np.float32), each=6)
    context = {"frequency": np.ones(12), "tagged": np.ones(60)}
    hits = hidden[found.works] == found.subjects
    made, unbiased = stacking.fit(found, hits, members=["a", "b"], seed=seed, **context)
    return made, calibration.fit(unbiased, hits), found, context


def judged(*, alone=()):
    """Judged of both scenarios; those in `alone` have no stack."""
    out = {}
    for seed, scenario in enumerate(("known", "new")):
        made, curve, *_ = stack(seed)
        out[scenario] = Judged(None, None, None, None if scenario in alone else made, curve)
    return out


def evaluation(**changed):
    """An evaluation of two models in both scenarios, half of it without twins."""
    rows = []
    for scenario in ("known", "new"):
        for works in ("all", "without twins"):
            for model, recall in {"popularity": 0.25, "stack": 0.77, **changed}.items():
                recall -= 0.1 * (works != "all") + 0.2 * (scenario == "new")
                row = {"scenario": scenario, "works": works, "model": model, "n": 100, "recall_at_10": recall}
                row |= {"recall_at_10_low": recall - 0.02, "recall_at_10_high": recall + 0.02}
                rows.append(row | {"ece": 0.01 if model == "stack" else np.nan})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("alone", [(), ("new",), ("known", "new")])
def test_what_is_kept_comes_back_and_answers_the_same(alone):
    arrays = {name: np.ascontiguousarray(value) for name, value in keep(judged(alone=alone)).items()}
    stacks, curves = kept(load(save(arrays)))
    assert set(stacks) == set(curves) == {"known", "new"}
    for seed, scenario in enumerate(("known", "new")):
        made, curve, found, context = stack(seed)
        points = np.linspace(-4, 4, 50)
        assert np.array_equal(calibration.calibrate(curves[scenario], points), calibration.calibrate(curve, points))
        if scenario in alone:
            assert stacks[scenario] is None
        else:
            assert stacks[scenario].members == ["a", "b"]
            assert np.array_equal(stacks[scenario].score(found, **context), made.score(found, **context))


def test_the_statement_tells_both_scenarios_beside_popularity():
    said = statement(evaluation(), "stack", {})
    assert "in 77% of cases [75%, 79%], among the ten most frequent subjects in 25%" in said
    assert "57% of the subjects of a work that has none yet stand among ten suggestions [55%, 59%]" in said
    assert "the ten most frequent subjects hold 5%" in said
    assert said.startswith("A hidden subject") and said.endswith(".")


def test_the_statement_names_who_is_missing_and_why():
    said = statement(evaluation(), "stack", {"ease": "EASE with 9 subjects needs too much."})
    assert said.endswith("Without ease: EASE with 9 subjects needs too much.")


def test_one_scenario_can_be_told_alone():
    table = evaluation()
    said = statement(table[table["scenario"] == "known"], "stack", {})
    assert "hidden subject" in said and "none yet" not in said


def test_where_the_model_knows_nothing_popularity_is_told():
    table = evaluation(ease=0.6)
    table = table[(table["scenario"] == "known") | (table["model"] != "ease")]
    said = statement(table, "ease", {})
    assert "in 60% of cases" in said and "5% of the subjects of a work that has none yet" in said


def test_diagnostics_count_what_is_hidden_and_can_be_written():
    works = works_of(world(60, themes=4, each=4, bears=4, untagged=0.2))
    roles = hide(works, known=0.4, new=0.2)
    facts = diagnostics(works, roles, {"popularity": None}, {"ease": "too large"}, evaluation(), ENTRY)
    json.dumps(facts, allow_nan=False)
    assert facts["works"] == 60 and facts["tagged"] == (np.diff(works.links.indptr) > 0).sum() < 60
    assert facts["subjects"] == 16 and facts["links"] == works.links.nnz == sum(facts["hidden"].values())
    assert list(facts["hidden"]) == ["fitted", "known_validation", "known_test", "new_validation", "new_test"]
    assert facts["hidden"]["known_test"] > 0 and facts["members"] == ["popularity"]
    assert facts["left_out"] == {"ease": "too large"}
    assert facts["statement"] == statement(evaluation(), "stack", facts["left_out"])


def test_records_hold_none_for_what_is_not_known():
    made = records(evaluation())
    json.dumps(made, allow_nan=False)
    assert [row["ece"] for row in made[:2]] == [None, 0.01] and made[0]["n"] == 100
