"""A code version changes with the code and with nothing else; a record is enough to make the results again."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from crosswalk import provenance
from crosswalk.config import check_config, load_schema
from crosswalk.provenance import (
    code_version,
    differences,
    named_files,
    package_versions,
    pinned,
    public_config,
    public_url,
    release,
    repeatable,
    repeating_config,
    timings,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("")
    (tmp_path / "lib/deep.py").write_text('"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n')
    (tmp_path / "lib/middle.py").write_text("from lib.deep import f\n")
    (tmp_path / "lib/other.py").write_text("y = 1\n")
    (tmp_path / "step.py").write_text("import numpy\nfrom lib import middle\n")

    def version(**kwargs):
        provenance._parsed.cache_clear()
        return code_version(tmp_path / "step.py", root=tmp_path, **kwargs)

    return tmp_path, version


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x + 1\n",
        '"""Other words."""\n\n# A comment.\ndef f(x):\n    """More."""\n\n    return (x + 1)\n',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(tree, text):
    folder, version = tree
    before = version()
    (folder / "lib/deep.py").write_text(text)
    assert version() == before


def test_a_change_in_an_imported_module_of_an_imported_module_counts(tree):
    folder, version = tree
    before = version()
    (folder / "lib/deep.py").write_text("def f(x):\n    return x + 2\n")
    assert version() != before


def test_a_module_that_is_not_imported_does_not_count(tree):
    folder, version = tree
    before = version()
    (folder / "lib/other.py").write_text("y = 2\n")
    assert version() == before


def test_named_files_count(tree):
    folder, version = tree
    template = folder / "page.html"
    template.write_text("a")
    before = version(extra=[template])
    template.write_text("b")
    assert version(extra=[template]) != before


def test_records_name_no_folder_outside_the_project_and_change_nothing_but_paths(tmp_path):
    text = {"columns": ["a"], "separator": "/", "preamble": "/home/alice/ says", "strip": ["/x"]}
    config = {
        "cache": "/home/alice/cache",
        "pathvars": {"results": str(tmp_path / "results/a"), "logs": "../elsewhere/logs"},
        "collections": {
            "one": {"source": {"path": str(tmp_path / "data/x.csv")}, "text": text, "where": {"a": {"equals": "/"}}},
            "many": {"source": {"path": ["/home/alice/y.csv", "data/../z.csv", "$DATA/a.csv", "~/b.csv"]}},
            "docs": {"source": {"docs": ["numpy"]}},
        },
        "match": {
            "one": {"truth": {"path": "/home/alice/t.csv", "apart": {"a": "/"}}, "alignment": {"method": "auto"}},
            "two": {"alignment": {"anchors": {"path": str(tmp_path / "data/k.csv"), "a": "/x"}}},
        },
    }
    before = copy.deepcopy(config)
    public = public_config(config, root=tmp_path)
    assert public["cache"] == "cache"
    assert public["pathvars"] == {"results": "results/a", "logs": "logs"}
    assert public["collections"]["one"] == {**before["collections"]["one"], "source": {"path": "data/x.csv"}}
    assert public["collections"]["many"]["source"]["path"] == ["y.csv", "z.csv", "$DATA/a.csv", "~/b.csv"]
    assert public["collections"]["docs"] == before["collections"]["docs"]
    assert public["match"] == {
        "one": {"truth": {"path": "t.csv", "apart": {"a": "/"}}, "alignment": {"method": "auto"}},
        "two": {"alignment": {"anchors": {"path": "data/k.csv", "a": "/x"}}},
    }
    assert config == before


def test_records_hold_no_signature_of_an_address():
    url = "https://me@store.example:8443/a/b.csv.gz?X-Signature=abc&Expires=9#part"
    assert public_url(url) == "https://store.example:8443/a/b.csv.gz?..."
    assert public_url("http://store.example/b.csv") == "http://store.example/b.csv"
    config = {"cache": "cache", "collections": {"a": {"source": {"url": url}}}}
    assert "abc" not in str(public_config(config, root="/"))


def test_timings_are_of_the_steps_of_this_run_and_survive_an_interrupted_one(tmp_path):
    head = "s\th:m:s\tmax_rss\n"
    files = {
        "embed/a": head + "1.5\t0:00:01\t120.25\n",
        "embed/short": head + "0.1\t0:00:00\t-\n",
        "embed/odd": head + "nan\t0:00:00\tnan\n",
        "embed/cut": head,
        "embed/empty": "",
        "embed/of-an-earlier-config": head + "9\t0:00:09\t9\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text(text)
    names = ["embed/a", "embed/short", "embed/odd", "embed/cut", "embed/empty", "embed/missing"]
    assert timings(tmp_path, names) == {"embed/a": {"seconds": 1.5, "peak_mb": 120.25}, "embed/short": {"seconds": 0.1}}


def test_versions_are_those_installed(tmp_path):
    (tmp_path / "requirements.lock").write_text("# head\nnumpy==0.0.1\nnot-a-package-at-all==1\n")
    versions = package_versions(tmp_path / "requirements.lock")
    assert list(versions) == ["numpy"] and versions["numpy"] != "0.0.1"


def test_pins_are_read_with_and_without_a_version(tmp_path):
    (tmp_path / "requirements.in").write_text(
        "# why\nsnakemake>=9.27,<10\ntorch==2.13.0  # cpu\n\n# development\nruff\n"
    )
    everything = {"snakemake": "", "torch": "2.13.0", "ruff": ""}
    assert pinned(tmp_path / "requirements.in") == everything
    assert list(pinned(tmp_path / "requirements.in", until="# development")) == ["snakemake", "torch"]


def git(folder, *words):
    command = ["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b.example", *words]
    subprocess.run(command, check=True, capture_output=True)


def test_the_commit_is_told_of_the_projects_own_repository_alone(tmp_path):
    unknown = {"version": None, "commit": None, "changed": None}
    assert release(tmp_path) == unknown
    git(tmp_path, "init")
    (tmp_path / "CITATION.cff").write_text("version: 1.2.0\n")
    (tmp_path / "inside").mkdir()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    found = release(tmp_path)
    assert len(found.pop("commit")) == 40 and found == {"version": "1.2.0", "changed": False}
    (tmp_path / "CITATION.cff").write_text("version: 1.2.1\n")
    assert release(tmp_path)["changed"]
    assert release(tmp_path / "inside") == unknown  # of another project


@pytest.fixture
def settings(tmp_path):
    """A config whose files are everywhere."""
    return {
        "cache": "/big/cache",
        "pathvars": {"results": str(tmp_path / "work/results/a")},
        "collections": {
            "two": {
                "source": {"path": [str(tmp_path / "work/data/a.csv"), "$DATA/b.csv", "~/c.csv"]},
                "link": {"on": 1},
            },
            "one": {"source": {"path": "/shared/x.csv"}},
            "far": {"source": {"url": "https://me@store.example/a.csv?X-Signature=5ec3e7", "sha256": "0" * 64}},
        },
        "match": {"m": {"truth": {"path": str(tmp_path / "home/t.csv")}, "alignment": {}}},
        "recommend": {"r": {"tags": {"path": "subjects[].id"}, "new": {"may": "../may.csv"}}},
    }


def test_settings_are_kept_as_they_can_be_used_again_without_what_may_be_secret(tmp_path, settings):
    before = copy.deepcopy(settings)
    config, cut = repeating_config(settings, root=tmp_path / "work", home=tmp_path / "home")
    assert settings == before
    assert list(config["collections"]) == ["two", "one", "far"]  # in the order given
    assert config["cache"] == "/big/cache" and config["pathvars"] == {"results": "results/a"}
    sources = {name: collection["source"] for name, collection in config["collections"].items()}
    assert sources["two"]["path"] == ["data/a.csv", "$DATA/b.csv", "~/c.csv"]
    assert sources["one"] == before["collections"]["one"]["source"]
    assert sources["far"] == {"url": "https://store.example/a.csv?...", "sha256": "0" * 64}
    assert cut == ["collections.far.source.url"]
    assert config["match"]["m"]["truth"]["path"] == "~/t.csv"
    assert config["recommend"]["r"] == before["recommend"]["r"]


def test_a_home_that_is_the_root_of_all_folders_is_no_home(settings):
    config, _ = repeating_config(settings, root="/work", home="/")
    assert config["collections"]["one"]["source"]["path"] == "/shared/x.csv"


def test_files_besides_those_of_collections_are_named(tmp_path, settings, monkeypatch):
    monkeypatch.setenv("DATA", "/data")
    files = named_files(settings)
    assert files == {"match.m.truth.path": [str(tmp_path / "home/t.csv")], "recommend.r.new.may": ["../may.csv"]}


def record(**changes):
    made = {
        "crosswalk": {"version": "0.1.0", "commit": "c" * 40, "changed": False},
        "platform": {"python": "3.12.1", "system": "Linux", "machine": "x86_64"},
        "packages": {"numpy": "2.4.6", "torch": "2.13.0+cpu"},
        "code": {"embed": "aa", "page": "bb"},
        "collections": {"one": {"source": ["x.csv"], "sha256": ["d1"]}},
        "files": {"match.m.truth.path": {"t.csv": "d2"}},
        "config": {"seed": 7, "cache": "cache", "encode": {"dims": [4]}, "match": {}, "pathvars": {"results": "a"}},
        "timings": {"embed/one": {"seconds": 1.5}},
    }
    return copy.deepcopy(made) | changes


def test_the_head_says_how_with_what_and_what_is_missing(tmp_path, settings):
    settings["embedding"] = {"provider": "openai"}
    config, cut = repeating_config(settings, root=tmp_path / "work", home=tmp_path / "home")
    text = repeatable(
        config, record(), path="results/my study/provenance.yaml", cut=cut, pins={"numpy": "2.4.6", "torch": "2.13.0"},
        direct=["numpy"], environment={"OPENAI_BASE_URL": "http://internal.example", "OPENAI_API_KEY": "sk-123"},
    )  # fmt: skip
    head = text.split("\n\n")[0]
    assert yaml.safe_load(text) == config
    assert all(line.startswith("#") and len(line) <= 120 for line in head.splitlines())
    told = " ".join(head.replace("#", " ").split())
    assert "cp 'results/my study/provenance.yaml' again.yaml" in told
    assert f"Crosswalk 0.1.0, commit {'c' * 40}; Python 3.12.1, Linux, x86_64; with numpy 2.4.6 All" in told
    assert f"git checkout {'c' * 40} && make .venv/ready" in told
    assert "there were torch 2.13.0+cpu (lock: 2.13.0)" in told
    assert "collections.one x.csv d1 match.m.truth.path t.csv d2" in told
    assert "collections.far.source.url: what stood" in told
    assert all(f"${name} in the environment" in told for name in ("DATA", "OPENAI_API_KEY", "OPENAI_BASE_URL"))
    assert "Paths of the machine they were made on: cache, collections.one.source.path" in told
    assert not any(secret in text for secret in ("sk-123", "internal.example", "5ec3e7", "me@", str(tmp_path)))


def test_no_name_of_a_file_can_end_the_head(tmp_path):
    config = {"cache": "cache", "collections": {"one": {"source": {"path": "x\nseed: 1\u2028.csv"}}}}
    source = {"one": {"source": ["x\nseed: 1\u2028seed: 2.csv"], "sha256": ["d1"]}}
    made = record(collections=source, crosswalk={"version": None, "commit": None, "changed": None})
    text = repeatable(config, made, path="a", cut=[], pins={}, direct=[], environment={})
    assert yaml.safe_load(text) == config
    assert "version unknown" in text and "git checkout" not in text


def test_the_demos_settings_written_and_read_again_are_the_same():
    schema = load_schema(ROOT / "workflow/schemas/config.schema.yaml")
    demo = load_schema(ROOT / "config/config.yaml")
    check_config(demo, schema, root=ROOT)
    config, cut = repeating_config(demo, root=ROOT, home="/home/alice")
    text = repeatable(config, record(), path="a", cut=cut, pins={}, direct=[], environment={})
    again = yaml.safe_load(text)
    assert json.dumps(again) == json.dumps(demo) and not cut  # in the same order, too
    check_config(again, schema, root=ROOT)
    assert again == demo


def test_what_is_the_same_is_not_told_nor_are_folders_and_times():
    moved = record(timings={}, config=record()["config"] | {"cache": "/other", "pathvars": {"results": "b"}})
    assert differences(record(), moved) == []


def test_differences_are_told_in_words():
    new = record(
        crosswalk={"version": "0.1.0", "commit": None, "changed": False},
        platform={"python": "3.13.0", "system": "Linux", "machine": "x86_64"},
        packages={"numpy": "2.5.0", "pandas": "3.1.1"},
        code={"embed": "aa", "page": "cc", "more": "dd"},
        collections={"one": {"source": ["x.csv", "y.csv"], "sha256": ["e1", "e2"]}},
        config={"seed": 8, "encode": {"dims": [4, 8]}, "match": {"m": {"a": "one"}}},
    )
    assert differences(record(), new) == [
        f"Crosswalk, commit: {'c' * 40} before, unknown now",
        "input collections.one x.csv: has other content now",
        "input collections.one y.csv: was not there before",
        "setting encode.dims: [4] before, [4, 8] now",
        "setting match.m.a: was not there before",
        "setting seed: 7 before, 8 now",
        "python: 3.12.1 before, 3.13.0 now",
        "package numpy: 2.4.6 before, 2.5.0 now",
        "package pandas: was not there before",
        "package torch: not there any more",
        "code: that of more, page is not the same",
    ]


def test_the_command_takes_folders_or_files_and_says_by_its_code_what_it_found(tmp_path):
    for name, made in (("old", record()), ("new", record(code={}))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "provenance.json").write_text(json.dumps(made))

    def compare(*names):
        command = [sys.executable, ROOT / "scripts/compare_provenance.py", *(tmp_path / name for name in names)]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert compare("old", "old/provenance.json") == (0, "Both were made from the same.\n")
    assert compare("old", "new") == (1, "code: that of embed, page is not the same\n")
    code, told = compare("old", "nowhere")
    assert code == 2 and "nowhere: cannot be read" in told
