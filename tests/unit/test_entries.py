"""What every entry script has in common."""

import ast
from pathlib import Path

import pytest

COMMANDS = ("cache", "compare_provenance")  # for people, not for rules
SCRIPTS = sorted(p for p in (Path(__file__).parents[2] / "scripts").glob("*.py") if p.stem not in COMMANDS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_log_is_started_before_anything_that_can_fail(path):
    """A library that cannot be imported is then told in the rule's log."""
    first, second = ast.parse(path.read_text(encoding="utf-8")).body[1:3]
    assert isinstance(first, ast.ImportFrom) and first.module == "crosswalk.job"
    assert ast.unparse(second) == "log = start(snakemake)"
