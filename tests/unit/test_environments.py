"""The lock and the conda files hold the same pins."""

import importlib.util
import re
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "envs"
spec = importlib.util.spec_from_file_location("lock", ENVS / "lock.py")
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)


def names(path):
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return {lock.normal(re.split(r"[<>=!~\[]", line)[0]) for line in lines if line}


@pytest.mark.parametrize("kind", lock.KINDS)
def test_conda_files_are_those_of_the_lock(kind):
    assert (ENVS / f"{kind}.yaml").read_text() == lock.conda_file(kind), "run `python envs/lock.py --conda`"


def test_every_requirement_is_locked_to_one_version():
    assert names(ENVS / "requirements.in") <= set(lock.pins())
    assert lock.pins()["torch"] == "2.13.0"


def test_every_requirement_is_justified():
    readme = (ENVS / "README.md").read_text()
    missing = [name for name in sorted(names(ENVS / "requirements.in")) if f"`{name}`" not in readme]
    assert not missing, f"no line in envs/README.md for {missing}"


def test_every_conda_file_that_a_rule_names_exists():
    named = set()
    for path in (ENVS.parent / "workflow/rules").glob("*.smk"):
        named |= set(re.findall(r'"../../envs/(\w+)\.yaml"', path.read_text()))
    assert named == set(lock.KINDS)


def test_the_model_is_the_same_everywhere():
    for path in (ENVS.parent / "Makefile", ENVS / "torch.post-deploy.sh"):
        assert lock.MODEL in path.read_text()
