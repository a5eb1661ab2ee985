"""The documentation of an installed package becomes clean rows, whatever the style of its docstrings."""

import importlib
import json
import logging
import sys
import warnings
from types import SimpleNamespace

import pytest

from crosswalk import apidocs
from crosswalk.errors import UserError

MODULES = {
    "__init__.py": '''
import warnings

from orchard._graft import Tree, graft, prune
from orchard.press import squeeze as press

warnings.warn("noise on import", DeprecationWarning, stacklevel=1)
print("noise on the console")

__all__ = ["Rotten", "Tree", "graft", "press", "prune", "undocumented"]


class Rotten(ValueError):
    """Raised for a rotten apple."""


def undocumented(x):
    return x


def unlisted():
    """Not in the list of public names."""
''',
    "_graft.py": '''
def graft(scion, stock, *, angle=30, **options):
    """Join a scion
    to a stock. Takes a season.

    The cut follows :func:`~orchard.prune` and ``angle`` [1]_; see the
    `manual <https://orchard.example/cuts>`_ for :math:`\\\\alpha`.

    .. versionadded:: 2.0
        Not prose.

    .. note::
        Best done in spring.

    >>> graft("a", "b")
    'ab'

    Parameters
    ---------------
    scion, stock : {'apple', 'pear',
                    'quince'}
        The two *parts* to join::

            scion | stock

        both alive.
    angle : float, optional
        Angle of the cut. In degrees.

        .. deprecated:: 2.1
    silent : bool
    **options
        Passed on.

    Returns
    -------
    Tree
        Not a parameter.

    Methods
    -------
    grow : not a parameter
        Never.
    """


def prune(tree, *limbs, depth=1, share=0.5):
    r"""
prune(tree, *limbs, depth=1) -> Tree

Cuts the given limbs of a :class:`Tree`.

.. math::
    \\\\text{left} = 1

Args:
    tree (:class:`~orchard.Tree`): tree to cut, which
        may be young.
    *limbs (str): limbs to cut:
    all that are named.

Keyword args:
    depth (int, optional): how deep
 to cut.

Args::

    share (float): share to cut.

Note that the tree heals: slowly.

Example::

    >>> prune(tree)
"""


class Tree:
    """A tree."""

    def __init__(self, height):
        """Plant it.

        :param height: height in metres
        """

    def grow(self):
        """Not a row."""
''',
    "press.py": '''
from json import dumps


def squeeze(fruit):
    """Squeeze fruit.

    Parameters
    ----------
    fruit : list
        What to squeeze.
    """


def _private():
    """Never shown."""
''',
    "broken.py": "raise OSError('no press today')",
    "_hidden.py": 'def secret():\n    """Never shown."""',
    "tests/__init__.py": 'def helper():\n    """Never shown."""',
}


@pytest.fixture
def orchard(tmp_path, monkeypatch):
    for name, text in MODULES.items():
        path = tmp_path / "orchard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "orchard"]:
        del sys.modules[name]


def test_rows_are_the_public_callables_under_their_shortest_names(orchard):
    functions, _ = apidocs.walk("orchard")
    assert [row["id"] for row in functions] == ["orchard.Tree", "orchard.graft", "orchard.press", "orchard.prune"]
    assert {row["module"] for row in functions} == {"orchard"}
    assert all(tuple(row) == apidocs.FUNCTION_FIELDS for row in functions)


def test_numpydoc_parameters_are_complete_and_nothing_else(orchard):
    _, parameters = apidocs.walk("orchard")
    rows = {row["name"]: row for row in parameters if row["group"] == "orchard.graft"}
    assert sorted(rows) == ["angle", "options", "scion", "stock"]
    assert rows["scion"]["description"] == rows["stock"]["description"] == "The two parts to join:\nboth alive."
    assert rows["stock"]["type"] == "{'apple', 'pear', 'quince'}"
    assert rows["angle"]["type"] == "float"
    assert rows["angle"]["description"] == "Angle of the cut. In degrees."
    assert tuple(rows["angle"]) == apidocs.PARAMETER_FIELDS
    assert rows["angle"]["id"] == "orchard.graft:angle"


def test_torch_like_sections_keep_every_parameter(orchard):
    _, parameters = apidocs.walk("orchard")
    rows = {row["name"]: (row["type"], row["description"]) for row in parameters if row["group"] == "orchard.prune"}
    assert rows == {
        "tree": ("Tree", "tree to cut, which may be young."),
        "limbs": ("str", "limbs to cut: all that are named."),
        "depth": ("int", "how deep to cut."),
        "share": ("float", "share to cut."),
    }


def test_parameters_of_a_class_may_stand_at_its_constructor(orchard):
    _, parameters = apidocs.walk("orchard")
    assert [(r["name"], r["description"]) for r in parameters if r["group"] == "orchard.Tree"] == [
        ("height", "height in metres")
    ]


def test_prose_has_no_markup_code_signature_or_version_notes(orchard):
    functions = {row["id"]: row for row in apidocs.walk("orchard")[0]}
    assert functions["orchard.graft"]["summary"] == "Join a scion to a stock."
    assert functions["orchard.graft"]["description"] == (
        "Join a scion to a stock. Takes a season.\n"
        "The cut follows prune and angle; see the manual for \\alpha.\n"
        "Best done in spring."
    )
    assert functions["orchard.prune"]["description"] == "Cuts the given limbs of a Tree."


def test_import_makes_no_noise_and_a_broken_module_is_named_once(orchard, caplog, capsys):
    caplog.set_level(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apidocs.walk("orchard")
    assert capsys.readouterr() == ("", "")
    assert "orchard.broken cannot be imported and is left out (OSError: no press today)" in caplog.text
    assert not logging.getLogger().isEnabledFor(logging.DEBUG) and logging.getLogger().isEnabledFor(logging.INFO)


def test_missing_package_is_named_with_the_cure():
    with pytest.raises(UserError, match=r"'no_such_orchard' cannot be imported .*pip install no_such_orchard"):
        apidocs.walk("no_such_orchard")


def test_script_writes_lines_of_json(orchard, tmp_path, monkeypatch):
    output = SimpleNamespace(functions=str(tmp_path / "f.jsonl"), parameters=str(tmp_path / "p.jsonl"))
    snakemake = SimpleNamespace(
        wildcards=SimpleNamespace(package="orchard"), output=output, log=[str(tmp_path / "log")], rule="apidocs"
    )
    monkeypatch.setattr("crosswalk.job.start", lambda snakemake: logging.getLogger("apidocs"))
    script = (apidocs.__file__).replace("crosswalk/apidocs.py", "apidocs.py")
    with open(script, encoding="utf-8") as file:
        exec(compile(file.read(), script, "exec"), {"snakemake": snakemake})
    with open(output.parameters, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert lines == apidocs.walk("orchard")[1]
    assert len(lines) == 10


def test_numpy_reads_as_its_users_know_it():
    functions, parameters = apidocs.walk("numpy")
    ids = [row["id"] for row in functions]
    assert ids == sorted(set(ids)) and "numpy.linalg.svd" in ids and "numpy.add" in ids
    assert not [name for name in ids if name.startswith(("numpy.core", "numpy._", "numpy.f2py", "numpy.exceptions"))]
    rows = {row["id"]: row for row in parameters}
    assert rows["numpy.linalg.svd:full_matrices"]["type"] == "bool"
    assert {"numpy.add:x1", "numpy.add:x2", "numpy.clip:a_min", "numpy.clip:a_max"} <= set(rows)
    assert {row["group"] for row in parameters} <= set(ids)
    assert not [
        row["id"] for row in [*functions, *parameters] if "`" in row["description"] or ">>>" in row["description"]
    ]
    assert all(row["description"].strip() for row in [*functions, *parameters])


def test_a_warning_before_the_summary_is_not_the_summary():
    read = apidocs.read(".. warning::\n    Still changing.\n\nSaves a tree.\n\n.. note:: Once.\n")
    assert read.summary == "Saves a tree." and read.description == "Saves a tree.\nOnce."


def test_a_heading_inside_a_parameter_section_is_no_parameter():
    text = "Cut.\n\nArgs:\n    depth: how deep\n    Warning: it may hurt\n    warning: whether to warn\n"
    assert [one.name for one in apidocs.read(text).parameters] == ["depth", "warning"]
