"""A code version changes with the code and with nothing else."""

import copy

import pytest

from crosswalk import provenance
from crosswalk.provenance import code_version, package_versions, public_config, public_url, timings


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
