"""Suggesting the subjects that works are missing, as a user runs it."""

import hashlib
import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from crosswalk.interactions import read_links
from recommend_project import (
    FACTORS,
    FRESH,
    QUICK,
    UNTAGGED,
    WORKS,
    RecommendProject,
    fresh,
    linked,
    listed,
    recommender,
    tagged,
)

pytestmark = pytest.mark.slow

COLUMNS = {
    "suggestions.csv": "work_id rank subject_id label score probability reason like with words",
    "suggestions.parquet": "work_id rank subject_id label score probability reason like with words",
    "evaluation.csv": "scenario works model n recall_at_1 recall_at_5 recall_at_10 recall_at_10_low recall_at_10_high "
    "precision_at_5 ndcg_at_10 mrr coverage tail_recall_at_10 difference difference_low difference_high ece",
    "reliability.csv": "scenario bin probability observed n low high",
    "weights.csv": "scenario member weight",
    "subjects.parquet": "id label works ids broader",
    "works.parquet": "id subjects found",
    "similar_works.parquet": "work_id rank similar_id similarity",
    "similar_subjects.parquet": "subject_id label rank similar_id similar_label similarity",
    "map_works.parquet": "id x y",
    "map_subjects.parquet": "id label works x y",
    "map_labels.csv": "map label x y",
    "sweep.csv": "point dim epochs batch_size prior recall_at_10 low high validation chosen",
    "ablation.csv": "prior recall_at_10_known recall_at_10_new",
    "history.csv": "point epoch loss log_loss recall_at_10",
    "new/may.csv": "work_id rank subject_id label score probability reason like with words",
}
FILES = [
    "links.safetensors",
    "borne.safetensors",
    "counts.json",
    "split.safetensors",
    "stack.safetensors",
    "evaluation.json",
]
FILES += ["diagnostics.json", "final/factorisation.safetensors", "new/may.parquet", "new/may.counts.json"]
MEMBERS = [
    "popularity",
    "item_knn",
    "ease",
    "factorisation",
    "text_knn",
    "tree",
    "label_match",
    "vector_knn",
    "network",
]
READ_TEXT = [member for member in MEMBERS if member not in ("item_knn", "ease")]
REPORTED = {"page", "provenance"}
TRAINING = {
    "interactions",
    "hide_links",
    "terms",
    "fit_tree",
    "fit_network",
    "factorise",
    "factorise_point",
    "fit_published",
    "judge",
}


@pytest.fixture(scope="module")
def recommended(tmp_path_factory):
    """A project that has run; tests that use it must leave its results and its config as they are."""
    project = RecommendProject(
        tmp_path_factory.mktemp("recommended"),
        tagged=recommender(factorisation=FACTORS, as_published=True, top=6, new={"may": "may.jsonl"}, members=MEMBERS),
        alone=listed(**QUICK),
    )
    project.run()
    return project


@pytest.fixture
def again(recommended, tmp_path):
    """A copy of the project that has run, to change and run again."""
    return recommended.copy(tmp_path / "copy")


def table(project, name, file):
    path = project.recommended(name) / file
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, keep_default_na=file[:3] != "new")


def facts(project, name, file="diagnostics.json"):
    return json.loads((project.recommended(name) / file).read_text())


def evaluated(project, name, scenario):
    found = table(project, name, "evaluation.csv")
    return found[(found["scenario"] == scenario) & (found["works"] == "all")].set_index("model")


def borne(project, name):
    """Work id -> the labels it bears."""
    links, folder = read_links(project.recommended(name) / "links.safetensors"), project.recommended(name)
    works, labels = (
        pd.read_parquet(folder / "works.parquet")["id"],
        pd.read_parquet(folder / "subjects.parquet")["label"],
    )
    return {own: set(labels[links.indices[links.indptr[i] : links.indptr[i + 1]]]) for i, own in enumerate(works)}


def page(project):
    """The page as people read it."""
    text = (project.results / "report.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def digests(folder):
    """SHA-256 of every file below a folder of recommenders."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def rules(output):
    """The rules that ran."""
    return set(re.findall(r"^(?:local)?rule (\w+):", output, re.M)) - {"all", "suggest", "recommend"}


def planned(project, name, **changes):
    """The rules that a change of one recommender would run; its config is put back."""
    before = project.config["recommend"][name]
    project.config["recommend"][name] = before | changes
    plan = project.planned()
    project.config["recommend"][name] = before
    return plan


def test_every_promised_file_has_its_columns(recommended):
    for file in FILES:
        assert (recommended.recommended("tagged") / file).is_file(), file
    for file, columns in COLUMNS.items():
        assert set(columns.split()) <= set(table(recommended, "tagged", file).columns), file
        if not file.startswith("new"):
            assert (recommended.recommended("alone") / file).is_file(), file
    for name, csv in (("tagged", "suggestions"), ("alone", "suggestions"), ("tagged", "new/may")):
        one, other = (table(recommended, name, f"{csv}.{ending}") for ending in ("csv", "parquet"))
        pd.testing.assert_frame_equal(one.fillna(""), other.fillna(""), check_dtype=False, rtol=1e-4)


def test_works_and_subjects_are_those_of_the_source(recommended):
    made = tagged()
    found = borne(recommended, "tagged")
    assert list(found) == table(recommended, "tagged", "works.parquet")["id"].tolist()
    assert found == {own: {made.labels[i] for i in bears} for own, bears in zip(made.ids, made.bears, strict=True)}
    subjects = table(recommended, "tagged", "subjects.parquet")
    assert subjects["label"].is_unique and (subjects["ids"].map(json.loads).map(len) == 2).sum() >= 12
    assert facts(recommended, "tagged", "counts.json")["ids_folded"] >= 12


def test_every_work_gets_what_it_lacks_and_nothing_else(recommended):
    for name, most in (("tagged", 6), ("alone", 10)):
        found, has = table(recommended, name, "suggestions.parquet"), borne(recommended, name)
        assert found["work_id"].drop_duplicates().tolist() == list(has)
        for own, part in found.groupby("work_id"):
            assert part["rank"].tolist() == list(range(1, len(part) + 1)) and len(part) <= most
            assert not set(part["label"]) & has[own] and part["label"].is_unique
        assert found["probability"].between(0, 1, inclusive="neither").all() and (found["reason"] != "").all()
        assert (np.diff(found["score"]) <= 0)[np.diff(found["rank"]) > 0].all()


def test_the_stack_finds_what_was_hidden(recommended):
    for scenario, weighed in (("known", MEMBERS), ("new", READ_TEXT)):
        found = evaluated(recommended, "tagged", scenario)
        assert set(weighed) | {"stack"} == set(found.index) - {"as_published"}
        assert found.loc["stack", "recall_at_10_low"] > found.loc["popularity", "recall_at_10_high"]
        weights = table(recommended, "tagged", "weights.csv")
        own = weights[weights["scenario"] == scenario].set_index("member")["weight"]
        assert list(own.index) == weighed and own.sum() == pytest.approx(1, abs=1e-4)


def test_the_chapters_own_model_is_shown_beside(recommended):
    found = evaluated(recommended, "tagged", "known")
    assert found.loc["as_published", "recall_at_10_high"] < found.loc["stack", "recall_at_10_low"]
    assert "as published" in page(recommended).lower()
    assert "as_published" not in evaluated(recommended, "alone", "known").index


def test_popularity_and_item_knn_stand_beside_any_model(recommended):
    assert set(evaluated(recommended, "alone", "known").index) == {"popularity", "item_knn", "text_knn"}
    assert table(recommended, "alone", "weights.csv")["member"].tolist() == ["text_knn", "text_knn"]


def test_a_sweep_has_a_row_for_each_point_and_the_prior_its_worth(recommended):
    found = table(recommended, "tagged", "sweep.csv")
    assert sorted(zip(found["dim"], found["prior"], strict=True)) == [
        (dim, prior) for dim in (8, 16) for prior in ("none", "text+hierarchy+labels")
    ]
    assert found["chosen"].sum() == 1 and found["validation"].argmax() == found["chosen"].argmax()
    chosen = json.loads((recommended.recommended("tagged") / "sweep/chosen.json").read_text())
    assert chosen["point"]["dim"] == found.loc[found["chosen"], "dim"].item()
    ablated = table(recommended, "tagged", "ablation.csv")
    assert ablated["prior"].tolist() == ["none", "text+hierarchy+labels"]
    assert set(table(recommended, "tagged", "history.csv")["point"]) == set(found["point"])
    assert len(table(recommended, "alone", "sweep.csv")) == len(table(recommended, "alone", "ablation.csv")) == 0


def test_new_works_are_answered_from_their_texts(recommended):
    made, found = fresh(), table(recommended, "tagged", "new/may.csv")
    assert found["work_id"].drop_duplicates().tolist() == made.ids and len(found) == 6 * FRESH
    own = {one: {made.labels[i] for i in bears} for one, bears in zip(made.ids, made.bears, strict=True)}
    right = [label in own[work] for work, label in zip(found["work_id"], found["label"], strict=True)]
    popular = table(recommended, "tagged", "subjects.parquet").nlargest(6, "works")["label"]
    assert np.mean(right) > 0.5 > 1.3 * np.mean([label in own[work] for work in own for label in popular])
    counts = facts(recommended, "tagged", "new/may.counts.json")
    assert counts["works"] == FRESH and counts["works_trained_on"] == counts["links"] == 0


def test_similar_works_and_subjects_share_themes(recommended):
    made = tagged()
    themes = dict(zip(made.ids, made.themes, strict=True))
    near = table(recommended, "tagged", "similar_works.parquet")
    shared = [bool(set(themes[a]) & set(themes[b])) for a, b in zip(near["work_id"], near["similar_id"], strict=True)]
    assert np.mean(shared) > 0.8 and near["work_id"].nunique() == WORKS
    near = table(recommended, "tagged", "similar_subjects.parquet")
    assert (near["subject_id"] != near["similar_id"]).all() and near["subject_id"].nunique() == 42


def test_maps_hold_every_work_with_subjects_and_every_subject(recommended):
    placed = table(recommended, "tagged", "map_works.parquet")
    assert set(placed["id"]) == {own for own, has in borne(recommended, "tagged").items() if has}
    assert WORKS * (1 - 2 * UNTAGGED) < len(placed) < WORKS and np.isfinite(placed[["x", "y"]]).all().all()
    placed = table(recommended, "tagged", "map_subjects.parquet")
    assert placed["id"].tolist() == table(recommended, "tagged", "subjects.parquet")["id"].tolist()
    assert set(table(recommended, "tagged", "map_labels.csv")["map"]) <= {"works", "subjects"}


def test_the_page_tells_of_every_recommender(recommended):
    text, source = page(recommended), (recommended.results / "report.html").read_text(encoding="utf-8")
    for name in ("tagged", "alone"):
        assert facts(recommended, name)["statement"] in text
    label = table(recommended, "tagged", "subjects.parquet").nlargest(1, "works")["label"].item()
    assert label in text
    assert not re.search(r"""(src|href)=["']?https?:""", source)


def test_the_record_and_the_evaluation_say_the_same(recommended):
    told = facts(recommended, "tagged", "evaluation.json")
    assert told["statement"] == facts(recommended, "tagged")["statement"]
    assert len(told["evaluation"]) == len(table(recommended, "tagged", "evaluation.csv"))
    record = json.loads((recommended.results / "provenance.json").read_text())
    assert "tagged" in json.dumps(record["config"]["recommend"])
    assert {"judge/tagged", "suggest_missing/alone", "terms/tagged/final"} <= set(str(record).replace("'", " ").split())


def test_works_whose_embedding_nobody_reads_are_not_embedded(recommended):
    assert [path.stem for path in recommended.results.glob("embeddings/*.arrow")] == ["works"]
    assert (recommended.recommended("tagged") / "final/network.safetensors").is_file()


def test_a_second_run_has_nothing_to_do(recommended):
    assert recommended.planned() == {}


def test_another_length_of_lists_trains_nothing(recommended):
    plan = planned(recommended, "tagged", top=4)
    assert plan == {"suggest_missing": 1, "suggest_new": 1, "page": 1, "provenance": 1}
    assert set(planned(recommended, "tagged", similar=3)) - REPORTED == {"similar"}


def test_a_file_of_new_works_runs_nothing_else(recommended):
    plan = planned(recommended, "tagged", new={"may": "may.jsonl", "june": "june.jsonl"})
    assert plan["suggest_new"] == 1 and set(plan) - REPORTED == {"suggest_new"}
    assert set(planned(recommended, "tagged", new={})) <= REPORTED


def test_one_more_recommender_runs_nothing_of_the_others(recommended):
    recommended.config["recommend"]["more"] = recommender(**QUICK)
    plan = recommended.planned()
    del recommended.config["recommend"]["more"]
    assert plan["judge"] == plan["interactions"] == plan["suggest_missing"] == 1 and "sample" not in plan
    assert not {"factorise", "factorise_point", "fit_tree", "fit_published"} & set(plan)


def test_one_more_point_trains_itself_alone(recommended):
    plan = planned(recommended, "tagged", factorisation=FACTORS | {"dim": [8, 16, 24]})
    assert plan["factorise_point"] == 2 and not {"fit_tree", "terms", "interactions", "fit_published"} & set(plan)


def test_other_members_are_weighed_anew_without_training(recommended):
    plan = planned(recommended, "tagged", members=[name for name in MEMBERS if name != "ease"])
    assert plan["judge"] == 1 and not (TRAINING - {"judge"}) & set(plan)


def test_new_works_are_answered_without_training(again):
    again.config["recommend"]["tagged"]["new"] = {"may": "may.jsonl", "june": "june.jsonl"}
    before = digests(again.recommended("tagged"))
    assert rules(again.run("--", "suggest")) == {"suggest_new"}
    after = digests(again.recommended("tagged"))
    assert {file for file in after if after[file] != before.get(file)} == {
        f"new/june.{ending}" for ending in ("csv", "parquet", "counts.json")
    }
    made, found = fresh(start=2000), table(again, "tagged", "new/june.csv")
    own = {one: {made.labels[i] for i in bears} for one, bears in zip(made.ids, made.bears, strict=True)}
    assert not any(label in own[work] for work, label in zip(found["work_id"], found["label"], strict=True))
    assert found["work_id"].nunique() == FRESH
    assert facts(again, "tagged", "new/june.counts.json")["links"] == sum(map(len, made.bears))


def test_links_of_a_table_and_of_a_column_are_those_of_the_nested_form(again):
    again.config["recommend"]["linked"] = linked(**QUICK)
    folders = [again.recommended(name).relative_to(again.folder) for name in ("linked", "alone", "tagged")]
    again.run("--", *[folder / "links.safetensors" for folder in folders])
    for file in ("subjects.parquet", "links.safetensors", "works.parquet"):
        one, other = ((again.folder / folder / file).read_bytes() for folder in (folders[0], folders[2]))
        assert one == other, file
    assert borne(again, "alone") == borne(again, "tagged")
    names = [table(again, name, "subjects.parquet")["label"].tolist() for name in ("alone", "tagged")]
    assert sorted(names[0]) == sorted(names[1])


def test_two_runs_in_two_folders_give_the_same_bytes(recommended, tmp_path):
    other = RecommendProject(tmp_path, **recommended.config["recommend"])
    own = other.recommended("tagged").relative_to(other.folder)
    targets = ["suggestions.csv", "evaluation.json", "similar_works.parquet", "map_works.parquet", "new/may.csv"]
    other.run("--", *[own / file for file in targets])
    first, second = digests(recommended.recommended("tagged")), digests(other.recommended("tagged"))
    assert len(second) > 25 and second == first
