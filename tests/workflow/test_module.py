"""Crosswalk as a part of another workflow, once and twice side by side."""

import copy
import json
import os
import subprocess
import sys

import pytest
import yaml

from project import ROOT, write_study

pytestmark = pytest.mark.slow

MODULE = """
module {name}:
    snakefile:
        "{root}/Snakefile"
    config:
        config["{name}"]
{more}

use rule * from {name} as {name}_*

"""
COUNT = """
rule count:
    default_target: True
    input:
        {all},
        table="{table}",
    output:
        "counted.txt",
    shell:
        "wc -l < {{input.table}} > {{output}}"
"""


def small():
    """Two linked collections and one relation, as quick as can be."""
    return {
        "pathvars": {"results": "results/study"},
        "collections": {
            "items": {"source": {"path": "items.jsonl"}, "id": "id", "text": {"columns": ["text"]}},
            "replies": {
                "source": {"path": "replies.jsonl"}, "id": "id", "text": {"columns": ["text"]},
                "link": {"to": "items", "on": "item", "take": 2},
            },
        },
        "embedding": {"provider": "hashing", "dimensions": 16},
        "encode": {"encoders": []},
        "relate": {
            "items_replies": {
                "x": "items", "y": "replies", "axes": 2, "permutations": 99, "bootstrap": 99, "echo": {"remove": 0},
            },
        },
        "report": {"clusters": 2, "max_clusters": 3},
    }  # fmt: skip


class Importing:
    """A workflow of its own, in its own folder, that uses Crosswalk from where it is."""

    def __init__(self, folder, configs, *, table, more=""):
        self.folder = folder
        write_study(folder, items=60)
        modules = "".join(MODULE.format(name=name, root=ROOT, more=more) for name in configs)
        targets = ", ".join(f"rules.{name}_all.input" for name in configs)
        rule = COUNT.format(all=targets, table=table)
        (folder / "Snakefile").write_text(f'configfile: "config.yaml"\n\n{modules}{rule}')
        (folder / "config.yaml").write_text(yaml.safe_dump(configs, sort_keys=False))

    def run(self, *arguments):
        """Run Snakemake; returns its output."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def record(self, results):
        return json.loads((self.folder / results / "provenance.json").read_text())


def test_a_workflow_of_ones_own_reads_the_relations(tmp_path):
    """Below a prefix, and with files of the user's own, which the prefix leaves alone."""
    results = "part/results/study"
    table = f"{results}/relate/items_replies/relations.csv"
    other = Importing(tmp_path, {"crosswalk": small()}, table=table, more='    prefix:\n        "part"\n')
    other.run()
    assert int((tmp_path / "counted.txt").read_text()) == len((tmp_path / table).read_text().splitlines()) > 1
    assert (tmp_path / results / "report.html").is_file()
    # What one module measured is found, although it is kept below the prefix.
    assert {"sample/items", "embed/replies", "axes/items_replies/plain"} <= set(other.record(results)["timings"])
    assert not (tmp_path / "results").exists()
    assert "Nothing to be done" in other.run()


def test_two_studies_stand_side_by_side_with_settings_of_their_own(tmp_path):
    """Even where a collection of one has the name of another of the other."""
    first, second = small(), small()
    second |= {"pathvars": {"results": "results/other"}, "relate": {}, "title": "The other", "seed": 1}
    second["collections"]["works"] = second["collections"].pop("items")
    second["collections"]["items"] = second["collections"].pop("replies")
    second["collections"]["items"].pop("link")
    second["embedding"] = {"provider": "tfidf", "dimensions": 8}
    before = copy.deepcopy({"a": first, "b": second})
    other = Importing(tmp_path, before, table="results/study/relate/items_replies/relations.csv")
    other.run()
    a, b = (other.record(f"results/{name}") for name in ("study", "other"))
    assert (a["config"]["embedding"]["provider"], b["config"]["embedding"]["provider"]) == ("hashing", "tfidf")
    assert (a["collections"]["items"]["read"], b["collections"]["items"]["read"]) == (60, 180)
    assert set(a["timings"]) > set(b["timings"]) - {"sample/works", "embed/works"} > set()
    # Either can be asked for by the names of its rules.
    assert "Nothing to be done" in other.run("--", "b_collections")
    assert "Nothing to be done" in other.run()


def test_wrong_settings_of_a_module_are_told_as_those_of_a_study_are(tmp_path):
    config = small()
    config["encode"]["dimz"] = [4]
    other = Importing(tmp_path, {"crosswalk": config}, table="x.csv")
    with pytest.raises(AssertionError, match=r"encode\.dimz: unknown key; did you mean 'dims'"):
        other.run("--dry-run")
