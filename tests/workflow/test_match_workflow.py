"""Matching two collections, as a user runs it."""

import hashlib
import html
import json
import re

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from crosswalk.files import read_vectors
from match_project import ANCHORS, QUERIES, SHARED, TRUTH, MatchProject, matching, rows, same_thing, write_rows

pytestmark = pytest.mark.slow

BOTH = ["matches", "candidates"]
FILES = [
    *[f"{name}.{ending}" for name in BOTH for ending in ("csv", "parquet")],
    *[f"{name}.csv" for name in ("topics", "topic_models", "weights", "blocks", "evaluation")],
    *["a_topics.arrow", "b_topics.arrow", "map.parquet", "alignment.safetensors", "diagnostics.json"],
]
COLUMNS = {
    "matches.csv": "a_id b_id score cosine margin choice mutual chance terms topic level reason",
    "candidates.csv": "a_id rank b_id score cosine",
    "topics.csv": "topic side keywords share_a share_b coherence",
    "topic_models.csv": "engine topics coherence diversity chosen",
    "weights.csv": "agreement same chosen_from",
    "blocks.csv": "block kind weight given columns agreement same",
    "evaluation.csv": "scorer measure n hit_at_1 low high hit_at_10 mrr chance bound",
    "map.parquet": "side id x_before y_before x_after y_after topic",
}
FACTS = (
    "collections rows identifiable statement regime agreement weights matched unmatched assignment stability alignment "
    "topics chance recursion"
)
STEERED = matching(
    queries=QUERIES,
    recursion=["queries", "topics"],
    topics={"mode": "separate"},
    weights={"code": 1},
    encoder={"dim": 8},
    truth=TRUTH,
)
PUBLISHED = matching(method="as_published", truth=TRUTH)
REPORTED = {"page", "provenance"}


@pytest.fixture(scope="module")
def matched(tmp_path_factory):
    """A project that has run; tests that use it must leave its results and its config as they are."""
    project = MatchProject(
        tmp_path_factory.mktemp("matched"),
        plain=matching(truth=TRUTH, labels={"a": "theme", "b": "theme"}),
        models=matching(b="hashed", truth=TRUTH),
        steered=STEERED,
        published=PUBLISHED,
        strangers=matching(a="left", b="right", truth=TRUTH | {"path": "strange.csv"}),
    )
    project.run()
    return project


@pytest.fixture
def again(matched, tmp_path):
    """A copy of the project that has run, to change and run again."""
    return matched.copy(tmp_path / "copy")


def table(project, name, file):
    path = project.match(name) / file
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def partners(project, name):
    """The b of each a, by id; "" for nobody."""
    return table(project, name, "matches.parquet").set_index("a_id")["b_id"].sort_index()


def facts(project, name):
    return json.loads((project.match(name) / "diagnostics.json").read_text())


def score(project, name, scorer, measure="truth"):
    found = table(project, name, "evaluation.csv").set_index(["scorer", "measure"])
    return found.loc[scorer, measure]


def page(project):
    """The page as people read it."""
    text = (project.results / "report.html").read_text(encoding="utf-8")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def digests(folder):
    """SHA-256 of every file below a folder of matchings but what was spent, which the store decides."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("usage.json"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def rules(output):
    """The rules that ran."""
    return set(re.findall(r"^(?:local)?rule (\w+):", output, re.M)) - {"matches", "all"}


def planned(project, name, **changes):
    """The rules that a change of one matching would run; its config is put back."""
    before = project.config["match"][name]
    project.config["match"][name] = before | changes
    plan = project.planned()
    project.config["match"][name] = before
    return plan


@pytest.mark.parametrize("name", ["plain", "models", "steered", "published", "strangers"])
def test_every_promised_file_has_its_columns(matched, name):
    for file in FILES:
        assert (matched.match(name) / file).is_file(), file
    assert set(FACTS.split()) <= set(facts(matched, name))
    for file, columns in COLUMNS.items():
        if (file, name) != ("weights.csv", "published"):  # which weighs nothing
            assert set(columns.split()) <= set(table(matched, name, file).columns), file
    weighed = facts(matched, name)["weights"]
    shares = {f"share_{block}" for block, weight in weighed.items() if weight}
    for both in BOTH:
        csv, parquet = (table(matched, name, f"{both}.{ending}") for ending in ("csv", "parquet"))
        assert list(csv.columns) == list(parquet.columns) and len(csv) == len(parquet)
        assert {column for column in csv if column.startswith("share_")} == shares
    tried = set() if name == "published" else set(table(matched, name, "weights.csv").columns)
    assert tried == set() or {block for block, weight in weighed.items() if weight} - {"code", "queries"} <= tried


@pytest.mark.parametrize("name", ["plain", "models", "steered", "published"])
def test_every_row_is_answered_once_or_says_why_not(matched, name):
    matches = table(matched, name, "matches.parquet")
    told = pd.read_parquet(matched.results / "collections/told.parquet")
    assert matches["a_id"].tolist() == told["id"].tolist()
    retold = pd.read_parquet(matched.results / "collections/retold.parquet")
    assert set(matches["b_id"]) <= {"", *retold["id"]}
    assert ((matches["b_id"] == "") == (matches["reason"] != "")).all()
    diagnostics = facts(matched, name)
    assert diagnostics["matched"] == (matches["b_id"] != "").sum()
    assert diagnostics["unmatched"] == matches.loc[matches["b_id"] == "", "reason"].value_counts().to_dict()
    for side, ids in (("a", told["id"]), ("b", retold["id"])):
        assert list(read_vectors(matched.match(name) / f"{side}_topics.arrow")[0]) == ids.tolist()


@pytest.mark.parametrize("name", ["plain", "models", "steered"])
def test_partners_are_found_far_above_chance(matched, name):
    for scorer in ("embedding", "words", "all blocks", "assignment"):
        found = score(matched, name, scorer)
        assert found["low"] > 20 * found["chance"], scorer
    found = partners(matched, name)
    mine, theirs = zip(*same_thing(SHARED), strict=True)
    assert np.mean(found[list(mine)].to_numpy() == theirs) > 0.3


def test_labels_are_measured_beside_the_pairs(matched):
    found = score(matched, "plain", "assignment", "labels")
    assert found["hit_at_1"] > 0.9 > 0.3 > found["chance"]


def test_the_page_says_how_many_are_matched(matched):
    text = page(matched)
    for name in ("plain", "models", "steered"):
        told = facts(matched, name)
        b = "hashed" if name == "models" else "retold"
        assert told["statement"] in text
        assert f"{told['matched']} of 130 told have a partner" in text
        assert f"Asked: which of the 150 {b} corresponds to each of the 130 told?" in text


def test_the_page_needs_no_other_file(matched):
    text = (matched.results / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_two_models_are_bridged_by_words(matched):
    told = facts(matched, "models")
    assert told["regime"] == "words"
    widths = [read_vectors(matched.results / f"embeddings/{name}.arrow")[1].shape[1] for name in ("told", "hashed")]
    assert widths == [32, 64]
    assert score(matched, "models", "embedding")["hit_at_1"] > 0.6 * score(matched, "plain", "embedding")["hit_at_1"]


def test_the_published_way_runs_beside_the_blocks_and_is_near_chance(matched):
    told = facts(matched, "published")
    assert told["regime"] == "as published" and told["statement"] in page(matched)
    assert "The published way, not a match." in page(matched)
    found = score(matched, "published", "as published")
    assert found["low"] <= found["chance"] and found["high"] < score(matched, "plain", "all blocks")["low"]


def test_codes_of_one_encoder_for_both_sides_count(matched):
    folder = matched.match("steered") / "code"
    codes = {side: read_vectors(folder / f"{side}.arrow") for side in "ab"}
    assert [values.shape for _, values, _ in codes.values()] == [(130, 8), (150, 8)]
    assert len(pd.read_csv(folder / "history.csv")) == 5
    assert load_file(folder / "model.safetensors")
    blocks = table(matched, "steered", "blocks.csv").set_index("block")
    assert blocks.loc["code", "weight"] == 1 and blocks.loc["code", "columns"] == 8
    assert (table(matched, "steered", "matches.parquet")["share_code"] != 0).any()
    assert not (matched.match("plain") / "code").exists()


def test_queries_and_levels_are_told(matched):
    told = facts(matched, "steered")
    assert told["recursion"] == ["queries", "topics"]
    levels = table(matched, "steered", "map.parquet")
    assert set(levels["level_0"]) == {1, 2}  # the third phrase is of one side only
    assert levels["level_1"].nunique() > 2
    matches = table(matched, "steered", "matches.parquet")
    assert matches["level"].between(0, 2).all() and (matches["level"] == 2).any()
    assert table(matched, "steered", "blocks.csv").set_index("block").loc["queries", "columns"] == 3


def test_topics_of_each_side_are_paired(matched):
    topics = table(matched, "steered", "topics.csv")
    assert set(topics["side"]) == {"a", "b"} and topics["partner"].notna().any()
    mine, theirs = (topics[topics["side"] == side].set_index("topic") for side in "ab")
    for number, partner in mine["partner"].dropna().items():
        assert theirs.loc[int(partner), "partner"] == number


def test_what_shares_nothing_is_not_matched(matched):
    """The run ends well, with a header and a plain statement in place of a map."""
    for file in ("matches.csv", "candidates.csv"):
        lines = (matched.match("strangers") / file).read_text().splitlines()
        assert len(lines) == 1 and lines[0].startswith("a_id,")
    told = facts(matched, "strangers")
    assert not told["identifiable"] and told["statement"].startswith("Not identifiable")
    text = page(matched)
    assert told["statement"] in text and "No match can be made out" in text
    assert len(table(matched, "strangers", "map.parquet")) == 0


def test_a_second_run_has_nothing_to_do(matched):
    assert matched.planned() == {}


def test_who_gets_whom_is_decided_anew_without_embedding_or_topics(matched):
    plan = planned(matched, "plain", assignment={"mode": "one_to_one"})
    assert plan == {"match": 1, "page": 1, "provenance": 1}


def test_other_weights_or_levels_only_match_anew(matched):
    plan = planned(matched, "plain", weights={"words": 0}, recursion=["clusters"])
    assert plan == {"match": 1, "page": 1, "provenance": 1}


def test_other_queries_retrain_no_topics(matched):
    plan = planned(matched, "steered", queries=QUERIES[:2])
    assert plan["phrases"] == 2 and plan["match"] == 1
    assert not {"topics", "halves", "embed", "sample", "fit_lexical"} & set(plan)


def test_another_alignment_finds_no_topics_anew(matched):
    plan = planned(matched, "plain", alignment={"method": "unsupervised"})
    assert plan == {"align": 1, "match": 1, "page": 1, "provenance": 1}


def test_one_more_matching_runs_nothing_of_the_others(matched):
    matched.config["match"]["more"] = matching()
    plan = matched.planned()
    del matched.config["match"]["more"]
    assert {"topics", "align", "match"} <= set(plan) and plan["match"] == plan["topics"] == 1
    assert not {"embed", "sample", "fit_lexical", "match_published", "pooled_code", "describe"} & set(plan)


@pytest.mark.parametrize(
    ("alignment", "mode", "most"),
    [
        ({"method": "anchors", "anchors": ANCHORS}, {"mode": "capacity", "capacity": 2, "unmatched": "never"}, 2),
        ({"method": "topics"}, {"mode": "one_to_one"}, 1),
        ({"method": "unsupervised"}, {"mode": "capacity", "unmatched": "never"}, 1),
    ],
)
def test_maps_and_assignments_can_be_chosen(again, alignment, mode, most):
    again.config["match"]["plain"] |= {"alignment": alignment, "assignment": mode}
    assert rules(again.run("--", "matches")) == {"align", "match"}
    told = facts(again, "plain")
    assert told["regime"] == alignment["method"] and told["assignment"]["mode"] == mode["mode"]
    if not told["identifiable"]:  # which a map that was guessed may end with, and no other
        assert alignment["method"] == "unsupervised" and len(partners(again, "plain")) == 0
        return
    found = score(again, "plain", "all blocks")
    assert found["low"] > 20 * found["chance"]
    taken = partners(again, "plain").value_counts()
    assert taken.drop("", errors="ignore").max() == most
    assert ("" in taken) == (mode.get("unmatched") != "never")


def test_a_truth_measures_and_changes_no_match(again):
    before = digests(again.match("plain"))
    for key in ("truth", "labels"):
        del again.config["match"]["plain"][key]
    assert rules(again.run("--", "matches")) == {"match"}
    after = digests(again.match("plain"))
    assert {file for file in before if before[file] != after[file]} == {"evaluation.csv"}
    assert len(table(again, "plain", "evaluation.csv")) == 0


def test_two_runs_in_two_folders_give_the_same_bytes(matched, tmp_path):
    other = MatchProject(tmp_path, **matched.config["match"])
    names = ["steered", "published"]
    other.run("--", *[other.match(name).relative_to(other.folder) / "matches.csv" for name in names])
    for name in names:
        first, second = digests(matched.match(name)), digests(other.match(name))
        assert len(first) > 14
        assert first == second


def test_the_order_of_the_rows_changes_no_match(matched, tmp_path):
    other = MatchProject(tmp_path, **matched.config["match"])
    for side in ("told", "retold"):
        write_rows(other.folder / f"{side}.jsonl", rows(side)[::-1])
    other.run("--", other.match("plain").relative_to(other.folder) / "matches.csv")
    listed = [table(project, "plain", "matches.csv")["a_id"].tolist() for project in (matched, other)]
    assert listed[0] == listed[1][::-1]
    assert partners(other, "plain").equals(partners(matched, "plain"))
    assert facts(other, "plain") == facts(matched, "plain")
