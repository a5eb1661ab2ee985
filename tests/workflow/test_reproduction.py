"""A run is made again from what it left behind."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from project import Project

pytestmark = pytest.mark.slow

# What tells times: nothing else may differ between two runs.
TIMED = re.compile(r'^ *"?(seconds|peak_mb)"?: .*$', re.MULTILINE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose small study has run; tests that use it must leave its results as they are."""
    project = Project(tmp_path_factory.mktemp("made"), items=60)
    config = project.config
    config["embedding"] = {"provider": "hashing", "dimensions": 16}
    config["encode"] = {"encoders": []}
    config["collections"]["items"]["sample"] = {}
    small = {"axes": 2, "permutations": 99, "bootstrap": 99, "echo": {"remove": 0}}
    config["relate"]["items_replies"] |= small
    config["report"] = {"clusters": 2, "max_clusters": 3}
    project.run()
    return project


def contents(folder):
    """The bytes of every file of results without the times, but for logs and measurements."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder): path for path in paths}
    return {
        str(name): TIMED.sub("", path.read_text()) if path.suffix in (".json", ".html") else path.read_bytes()
        for name, path in names.items()
        if name.parts[0] not in ("logs", "benchmarks")
    }


def test_the_settings_left_behind_are_those_of_the_run(made):
    """Read again they plan nothing: no step has another setting."""
    dry = made.run("--dry-run", config="results/study/provenance.yaml")
    assert "Nothing to be done" in dry


def test_the_settings_left_behind_make_the_same_bytes_again_where_nothing_else_is_left(made, tmp_path):
    project = made.copy(tmp_path / "copy")
    again = tmp_path / "again.yaml"
    shutil.copy(project.results / "provenance.yaml", again)
    for left in ("results", "cache", ".snakemake", "study.yaml"):
        path = project.folder / left
        if path.exists():
            (shutil.rmtree if path.is_dir() else type(path).unlink)(path)
    project.run(config=str(again))
    first, second = contents(made.results), contents(project.results)
    assert len(first) > 20 and "report.html" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []

    command = [sys.executable, "scripts/compare_provenance.py", made.results]
    done = subprocess.run([*command, project.results], cwd=project.folder, text=True, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, "Both were made from the same.\n")

    # Into another folder, from a file that has changed.
    config = yaml.safe_load(again.read_text())
    config["pathvars"]["results"] = "results/other"
    again.write_text(yaml.safe_dump(config, sort_keys=False))
    with open(project.folder / "items.jsonl", "a") as file:
        file.write("\n")
    project.run("--", "results/other/provenance.json", config=str(again))
    other = project.folder / "results/other"
    done = subprocess.run([*command, other], cwd=project.folder, text=True, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, "input collections.items items.jsonl: has other content now\n")


def test_the_settings_a_run_reads_outlive_its_failure(made, tmp_path):
    project = made.copy(tmp_path / "copy")
    before = (project.results / "provenance.yaml").read_bytes()
    (project.results / "provenance.json").unlink()
    project.edit("scripts/provenance.py", "record = {", 'raise SystemExit("broken")\nrecord = {')
    done = project.snakemake(config="results/study/provenance.yaml")
    assert done.returncode != 0 and "broken" in done.stdout
    assert (project.results / "provenance.yaml").read_bytes() == before


def test_results_are_described_for_an_archive_on_request(made, tmp_path):
    pytest.importorskip("rocrate", reason="rocrate is not installed")
    project = made.copy(tmp_path / "copy")
    project.run("--", "crate")
    graph = json.loads((project.results / "ro-crate-metadata.json").read_text())["@graph"]
    described = {entity["@id"] for entity in graph if entity["@type"] == "File"}
    assert described == contents(made.results).keys()
    assert project.planned("--", "crate") == {} == project.planned()
