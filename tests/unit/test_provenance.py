"""A code version changes with the code and with nothing else."""

import pytest

from crosswalk import provenance
from crosswalk.provenance import code_version, package_versions, relative_paths


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


def test_records_name_no_absolute_path(tmp_path):
    config = {"a": {"path": str(tmp_path / "x.csv")}, "b": [str(tmp_path / "sub/y.csv"), "plain", 3]}
    assert relative_paths(config, root=tmp_path) == {"a": {"path": "x.csv"}, "b": ["sub/y.csv", "plain", 3]}


def test_versions_are_those_installed(tmp_path):
    (tmp_path / "requirements.lock").write_text("# head\nnumpy==0.0.1\nnot-a-package-at-all==1\n")
    versions = package_versions(tmp_path / "requirements.lock")
    assert list(versions) == ["numpy"] and versions["numpy"] != "0.0.1"
