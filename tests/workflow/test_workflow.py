"""The workflow as a user runs it."""

import hashlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from crosswalk.files import read_vectors
from project import MOODS, ROOT, THEMES, Project
from servers import EmbeddingService, FileServer

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
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    for end in ("x_high", "x_low", "y_high", "y_low"):
        assert best[end] in text and len(best[end].split(", ")) > 1  # several phrases: no sample text has commas
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
    written = (finished.results / "benchmarks").rglob("*.tsv")
    assert set(record["timings"]) == {
        path.relative_to(finished.results / "benchmarks").with_suffix("").as_posix() for path in written
    }


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
    assert plan["contrast"] == 1  # of the one collection that has labels
    assert not {"embed", "fit_lexical", "sample", "describe", "axes", "check_collections"} & set(plan)


def test_one_more_dim_embeds_nothing_when_it_is_run(finished, tmp_path):
    project = finished.copy(tmp_path / "copy")
    project.config["encode"]["dims"] = [4, 6]
    before = {path: path.stat().st_mtime_ns for path in project.results.glob("embeddings/*")}
    output = project.run()
    assert "rule encode:" in output
    assert not re.search(r"rule (check_collections|embed|fit_lexical|sample|describe|axes):", output)
    assert before == {path: path.stat().st_mtime_ns for path in project.results.glob("embeddings/*")}
    assert project.planned() == {}


def test_a_number_of_units_left_open_and_a_phrase_to_lean_to(finished, tmp_path):
    project = finished.copy(tmp_path / "copy")
    project.config["encode"]["dims"] = ["auto", 4]
    project.config["collections"]["items"]["steer"] = [{"phrase": "ships at sea"}, {"phrase": "none", "weight": 0}]
    output = project.run()
    assert not re.search(r"rule (check_collections|embed|sample|describe|axes):", output)
    encodings = project.results / "encodings"
    for name in ("items", "replies"):
        table = pd.read_csv(encodings / name / "topk-auto/units.csv")
        units = table.loc[table["chosen"], "units"].item()
        assert table["merit"].max() == table.loc[table["chosen"], "merit"].item()
        for folder in ("topk-auto/seed-7", "pca-topk-auto"):
            codes = read_vectors(encodings / name / folder / "encoding.arrow")[1]
            assert codes.shape[1] == units
    steered = read_vectors(encodings / "items/steered.arrow")[1]
    assert steered.shape[1] == 33 and not (encodings / "replies/steered.arrow").exists()
    assert load_file(encodings / "items/topk-auto/seed-7/model.safetensors")["decoder.weight"].shape[0] == 33
    # Of the other side nothing has changed.
    own = "replies/topk-4/seed-7/encoding.arrow"
    assert (encodings / own).read_bytes() == (finished.results / "encodings" / own).read_bytes()
    encoders = pd.read_csv(project.results / "relate/items_replies/encoders.csv")
    assert encoders["dim"].tolist() == ["auto", "4"] and (encoders["units_x"] > 0).all()
    assert encoders["pca_median_r"].notna().all()
    record = json.loads((project.results / "provenance.json").read_text())
    assert record["steering"]["items"]["texts"] == 1
    page = (project.results / "report.html").read_text()
    assert "The number of units was left open" in page
    assert project.planned() == {}


def test_a_phrase_of_no_weight_encodes_nothing_anew(finished):
    finished.config["collections"]["items"]["steer"] = [{"phrase": "ships at sea", "weight": 0}]
    plan = finished.planned()
    del finished.config["collections"]["items"]["steer"]
    assert not {"steer", "encode", "embed", "axes", "correlate"} & set(plan)


def test_two_changes_at_once_run_what_each_of_them_would(finished):
    """Also what lies behind a check that runs again: Snakemake skips that if the check is ancient()."""
    finished.config["embedding"]["provider"] = "hashing"
    finished.config["encode"]["epochs"] = 21
    finished.config["collections"]["replies"]["link"]["take"] = 1
    plan = finished.planned()
    finished.config["embedding"]["provider"] = "tfidf"
    finished.config["encode"]["epochs"] = 20
    finished.config["collections"]["replies"]["link"]["take"] = 2
    assert plan["sample"] == plan["check_collections"] == 1  # of the replies, not of the items
    assert plan["embed"] == plan["encode"] == 2


def test_a_copied_project_has_nothing_to_do(finished, tmp_path):
    assert finished.copy(tmp_path / "copy").planned() == {}


def test_other_labels_to_compare_draw_nothing_anew(finished):
    contrast = finished.config["collections"]["items"]["contrast"]
    contrast["values"].reverse()
    plan = finished.planned()
    contrast["values"].reverse()
    assert set(plan) == {"contrast", "provenance", "page"}


def test_another_cache_and_other_requests_change_no_result(finished):
    finished.config["cache"] = "elsewhere"
    finished.config["embedding"]["batch"] = {"texts": 7, "tokens": 100_000}
    plan = finished.planned()
    del finished.config["cache"], finished.config["embedding"]["batch"]
    assert set(plan) == {"provenance", "page"}  # which record the settings


def test_other_settings_of_the_page_describe_nothing_anew(finished):
    finished.config["report"]["weights"] = 10
    plan = finished.planned()
    del finished.config["report"]["weights"]
    assert not {"describe", "contrast"} & set(plan)


def test_parts_can_be_asked_for_by_name(project):
    assert set(project.planned("--", "collections")) == {"count_links", "sample", "check_collections", "collections"}
    assert project.planned("--", "embeddings")["embed"] == 2
    assert "page" not in project.planned("--", "relate")


def test_the_demo_is_found_from_another_folder(project, tmp_path):
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "snakemake", "--snakefile", project.folder / "Snakefile", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path / "empty", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "results/demo/report.html" in done.stdout


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


def test_what_a_later_step_lacks_is_told_before_anything_is_embedded(project):
    items = project.config["collections"]["items"]
    items["sample"], items["block"], items["contrast"]["values"] = {}, "label", ["wet", "drie"]
    project.config["encode"]["dims"] = [4, 200]
    done = project.snakemake()
    assert done.returncode != 0
    assert "collections.items: 240 rows are too few for 200 units (encode.dims)" in done.stdout
    assert "collections.replies" not in done.stdout.split("The collections cannot be used")[1].split("=====")[0]
    assert "collections.items.contrast.values: no row has 'drie'" in done.stdout
    assert "relate.items_replies.folds: 2 blocks" in done.stdout
    assert not list(project.results.glob("embeddings/*"))


def test_a_run_without_relations_still_gives_a_page(project):
    del project.config["relate"]
    project.config["encode"] = {"encoders": []}
    project.run()
    assert (project.results / "report.html").stat().st_size > 10_000
    assert not (project.results / "relate").exists()


def test_two_collections_may_have_two_models_and_no_ids(project):
    items, replies = project.config["collections"].values()
    del project.config["relate"], replies["link"], replies["id"], items["id"]
    project.config["encode"] = {"encoders": []}
    replies["embedding"] = {"provider": "hashing", "dimensions": 24}
    project.run()
    found = {name: read_vectors(project.results / f"embeddings/{name}.arrow") for name in ("items", "replies")}
    assert [about["model"] for _, _, about in found.values()] == ["tfidf-svd", "hashing-projection"]
    assert [vectors.shape for _, vectors, _ in found.values()] == [(200, 32), (720, 24)]
    assert found["replies"][0][0] == "row-1" and "hashing-projection" in (project.results / "report.html").read_text()
    replies["embedding"]["dimensions"] = 20
    plan = project.planned()
    assert plan["embed"] == plan["describe"] == 1 and not {"fit_lexical", "sample"} & set(plan)
    replies["embedding"]["dimensions"], project.config["embedding"]["dimensions"] = 24, 30
    plan = project.planned()
    assert plan["fit_lexical"] == plan["embed"] == plan["describe"] == 1
    items["embedding"] = replies["embedding"]
    assert "fit_lexical" not in project.planned()


def test_a_key_is_asked_for_only_where_a_collection_needs_it(tmp_path):
    """Also the step that names relations embeds by what the collections say."""
    project = Project(tmp_path, items=40)
    project.config["collections"]["items"]["sample"] = {}
    project.config["encode"]["encoders"] = []
    project.config["embedding"] = {"provider": "openai", "dimensions": 999}
    for collection in project.config["collections"].values():
        collection["embedding"] = {"provider": "tfidf", "dimensions": 16}
    project.run("--", "relate", environment={"OPENAI_API_KEY": ""})
    assert (project.results / "relate/items_replies/relations.csv").exists()
    del project.config["relate"], project.config["collections"]["replies"]["embedding"]
    done = project.snakemake("--", "embeddings", environment={"OPENAI_API_KEY": ""})
    assert done.returncode != 0 and "OPENAI_API_KEY is not set" in done.stdout


def test_the_published_way_stays_selectable(project):
    project.config["encode"]["encoders"] = ["dense"]
    project.config["relate"]["items_replies"]["method"] = "as_published"
    project.run()
    relations = pd.read_parquet(project.results / "relate/items_replies/relations.parquet")
    assert relations["p"].isna().all() and not relations["confirmed"].any()
    assert relations["r"].abs().is_monotonic_increasing  # the weakest first


def files_with(folder, secret):
    """The files below a folder, Snakemake's own among them, that hold a text."""
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_no_secret_reaches_a_file(tmp_path):
    key = "sk-test-0123456789abcdefghij"
    project = Project(tmp_path, items=40)
    project.config["collections"]["items"]["sample"] = {}
    project.config["encode"]["encoders"] = []
    with EmbeddingService() as service:
        project.config["embedding"] = {"provider": "openai", "dimensions": 16, "base_url": service.url}
        output = project.run(environment={"OPENAI_API_KEY": key, "NO_PROXY": "127.0.0.1"})
    assert all(f"Bearer {key}" in headers.values() for headers in service.headers)  # it was used
    assert json.loads((project.results / "embeddings/items.usage.json").read_text())["embedded"] == 40
    assert key not in output and files_with(project.folder, key) == []
    assert files_with(project.folder, "text-embedding-3-small")  # the search does find what is there


def test_the_signature_of_an_address_reaches_no_file(project):
    source = project.config["collections"]["items"]["source"]
    with FileServer((project.folder / source.pop("path")).read_bytes()) as server:
        source |= {"url": f"{server.origin}/items.jsonl?X-Signature=5ec3e7", "format": "jsonl"}
        output = project.run("--", "collections")
    assert json.loads((project.results / "collections/items.counts.json").read_text())["kept"] == 200
    assert "5ec3e7" not in output
    assert files_with(project.folder, "5ec3e7") == [project.folder / "study.yaml"]


def test_what_was_embedded_once_is_never_embedded_again(tmp_path):
    project = Project(tmp_path, items=40)
    project.config["collections"]["items"]["sample"] = {}
    project.config["embedding"] = {"provider": "local"}
    project.config["encode"]["encoders"] = []

    def usage():
        return [json.loads((project.results / f"embeddings/{c}.usage.json").read_text()) for c in ("items", "replies")]

    project.run()
    assert [one["embedded"] for one in usage()] == [40, 80]
    shutil.rmtree(project.results)
    project.run()
    assert [(one["embedded"], one["cached"]) for one in usage()] == [(0, 40), (0, 80)]
    counts = re.findall(
        r"(\d+) from the store, (\d+) embedded", (project.results / "logs/name/items_replies.log").read_text()
    )
    assert counts and all(int(known) > 0 and int(new) == 0 for known, new in counts)  # phrases, too


def test_the_shipped_settings_of_goodreads_draw_what_the_notebook_drew(project):
    """The example as it is, on a few books in the same schema: only paths, sizes and the model are others."""
    config = yaml.safe_load((ROOT / "config/examples/goodreads.yaml").read_text(encoding="utf-8"))
    books, reviews = config["collections"]["books"], config["collections"]["reviews"]
    assert (books["sample"], reviews["where"]) == ({"n": 1000}, {"review_text": {"min_chars": 100}})
    assert (reviews["link"]["at_least"], reviews["link"]["take"]) == (50, 5)
    rows = {}
    for name, collection in config["collections"].items():
        path = ROOT / f"tests/data/goodreads_{name}.jsonl"
        collection["source"]["path"] = str(path)
        rows[name] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    books["sample"] = {"n": 12}
    reviews["link"] |= {"at_least": 3, "take": 2}
    config["embedding"] = {"provider": "tfidf", "dimensions": 8}
    config["encode"] |= {"dims": [4], "epochs": 5}
    for relation in config["relate"].values():
        relation |= {"folds": 2, "axes": 2, "permutations": 99, "bootstrap": 99}
    config["report"] |= {"clusters": 3, "max_clusters": 6, "weights": 10}
    project.config = config
    project.run()

    long = {}
    for row in rows["reviews"]:
        if len(row["review_text"]) >= 100:
            long.setdefault(row["book_id"], set()).add(row["review_id"])
    x, y = (pd.read_parquet(project.results / f"collections/{name}.parquet") for name in ("books", "reviews"))
    enough = [row["book_id"] for row in rows["books"] if len(long.get(row["book_id"], ())) >= 3]
    assert len(enough) > 12 == len(x) and set(x["id"]) < set(enough)
    assert y["group"].value_counts().to_dict() == dict.fromkeys(x["id"], 2)
    assert all(own in long[book] for own, book in zip(y["id"], y["group"], strict=True))
    title = next(row["title"] for row in rows["books"] if row["book_id"] == x["id"][0])
    assert x["text"][0].startswith(f"This is a SUMMARY of a book: title: {title}|description: ")
    assert y["text"].str.startswith("This is a REVIEW of a book: review_text: ").all()
    for relation in ("books_reviews", "as_published"):
        assert (project.results / f"relate/{relation}/relations.csv").exists()


def test_a_killed_run_is_taken_up_and_ends_as_an_undisturbed_one(finished, tmp_path):
    project = Project(tmp_path)
    process = project.start()
    embedded = [project.results / f"embeddings/{name}.arrow" for name in ("items", "replies")]
    while not all(path.exists() for path in embedded):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (project.results / "provenance.json").exists()
    done = project.snakemake()
    if "--unlock" in done.stdout:
        project.run("--unlock")
        done = project.snakemake()
    assert done.returncode == 0, done.stdout
    assert digests(project.results) == digests(finished.results)
