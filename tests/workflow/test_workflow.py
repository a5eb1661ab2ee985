"""The workflow as a user runs it."""

import hashlib
import json
import re

import pandas as pd
import pytest

from project import MOODS, THEMES, Project

pytestmark = pytest.mark.slow


def digests(folder):
    """SHA-256 of every table and array below a folder."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".csv", ".parquet", ".arrow", ".safetensors"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_a_run_leaves_relations_page_and_provenance(finished):
    relations = pd.read_parquet(finished.results / "relate/items_replies/relations.parquet")
    assert relations["confirmed"].any()
    best = relations.iloc[0]
    # What was planted: the sea goes with the slow, the court with the thrilling.
    sea, slow = set(THEMES[0].split()), set(MOODS[0].split())
    x_is_sea = len(sea & set(re.findall(r"\w+", best["x_high"]))) > len(sea & set(re.findall(r"\w+", best["x_low"])))
    y_is_slow = len(slow & set(re.findall(r"\w+", best["y_high"]))) > len(slow & set(re.findall(r"\w+", best["y_low"])))
    assert x_is_sea == y_is_slow
    assert best["r"] > 0.3 and best["q"] < 0.05 and best["r_low"] > 0
    assert best["echo"] < 0.5  # replies never use the words of the items
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    assert best["sentence"].split(";")[0].split("{")[0].strip() in page.replace("&#39;", "'")
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert not re.search(r"""(src|href)=["']?https?:""", page)


def test_provenance_tells_what_was_read_and_spent_and_no_absolute_path(finished):
    text = (finished.results / "provenance.json").read_text()
    record = json.loads(text)
    assert record["config"]["seed"] == 7 and record["config"]["encode"]["epochs"] == 20
    counts = record["collections"]["replies"]
    assert counts["read"] == 720 == counts["kept"] + sum(counts["rejected"].values())
    assert len(counts["sha256"][0]) == 64
    assert record["packages"]["torch"].startswith("2.13.0")
    assert record["embedding"]["items"]["texts"] == 200
    assert str(finished.folder) not in text and "/tmp/" not in text


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_a_comment_in_a_library_module_reruns_nothing(finished):
    path = finished.folder / "scripts/crosswalk/files.py"
    text = path.read_text()
    path.write_text(text + "\n# A remark.\n")
    assert finished.planned() == {}
    path.write_text(text)
    assert finished.planned() == {}


def test_an_edit_of_the_autoencoder_reruns_training_and_what_follows_but_no_embedding(finished):
    path = finished.folder / "scripts/crosswalk/encoders.py"
    text = path.read_text()
    path.write_text(text + "\nEXTRA = 1\n")
    plan = finished.planned()
    path.write_text(text)
    assert plan["encode"] == 2 and plan["correlate"] >= 1 and plan["page"] == 1
    assert not {"embed", "fit_lexical", "sample", "axes"} & set(plan)


def test_one_more_dim_plans_only_its_own_jobs(finished):
    finished.config["encode"]["dims"] = [4, 6]
    plan = finished.planned()
    finished.config["encode"]["dims"] = [4]
    assert plan["encode"] == 2 and plan["correlate"] == 2 and plan["principal_components"] == 2
    assert not {"embed", "sample", "axes", "check_collections"} & set(plan)


def test_two_runs_in_two_folders_give_the_same_bytes(finished, tmp_path):
    other = Project(tmp_path)
    other.run()
    first, second = digests(finished.results), digests(other.results)
    assert len(first) > 20
    assert first == second
    page = "report.html"
    assert len((finished.results / page).read_bytes()) == pytest.approx(
        len((other.results / page).read_bytes()), rel=0.01
    )


def test_every_fault_of_a_config_is_told_before_any_job(project):
    project.config["encode"]["dimz"] = [4]
    project.config["relate"]["items_replies"]["y"] = "repliez"
    done = project.snakemake()
    assert done.returncode != 0
    assert "did you mean 'dims'?" in done.stdout and "did you mean 'replies'?" in done.stdout
    assert "Traceback" not in done.stdout and not (project.folder / "results").exists()


def test_a_bad_collection_stops_the_run_before_anything_is_embedded(project):
    with open(project.folder / "replies.jsonl", "a") as file:
        file.write('{"id": "r0-0", "item": "i1", "text": "slow and dull and slow"}\n')
    done = project.snakemake()
    assert done.returncode != 0
    assert "replies.jsonl:721" in done.stdout and "r0-0" in done.stdout
    assert not list(project.results.glob("embeddings/*"))


def test_a_run_without_relations_still_gives_a_page(project):
    del project.config["relate"]
    project.config["encode"] = {"encoders": []}
    project.run()
    assert (project.results / "report.html").stat().st_size > 10_000
    assert not (project.results / "relate").exists()


def test_the_published_way_stays_selectable(project):
    project.config["encode"]["encoders"] = ["dense"]
    project.config["relate"]["items_replies"]["method"] = "as_published"
    project.run()
    relations = pd.read_parquet(project.results / "relate/items_replies/relations.parquet")
    assert relations["p"].isna().all() and not relations["confirmed"].any()
    assert relations["r"].abs().is_monotonic_increasing  # the weakest first


def test_no_secret_reaches_a_file(project):
    key = "sk-test-0123456789abcdefghij"
    project.run(environment={"OPENAI_API_KEY": key})
    for path in project.folder.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
