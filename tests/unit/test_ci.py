"""The script that a continuous integration runs, with a stand-in for make."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = """#!/bin/sh
echo "make $*" >> calls
[ "$1" = demo ] || exit 0
if [ -e results/demo/report.html ]; then sleep "${PAUSE:-0}"; echo "${SECOND-Nothing to be done}"; exit 0; fi
mkdir -p results/demo && cd results/demo
mkdir -p relate/functions_parameters match/arrays_tensors match/two_models recommend/parameters
for file in report.html provenance.json relate/functions_parameters/relations.csv \\
    match/arrays_tensors/matches.csv match/two_models/matches.csv \
    recommend/parameters/suggestions.csv recommend/parameters/evaluation.csv; do echo x > $file; done
"""


def run(folder, **environment):
    """Run a copy of .ci/run in a project that has a cache and a finished demo."""
    shutil.copytree(ROOT / ".ci", folder / "project/.ci")
    for name in ("cache/embeddings.arrow", "results/demo/report.html", "bin/make"):
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(MAKE)
    (folder / "project/bin/make").chmod(0o755)
    (folder / "tmp").mkdir()
    path = f"{folder / 'project/bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [folder / "project/.ci/run"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": path, "TMPDIR": str(folder / "tmp"), **environment},
    )  # fmt: skip
    assert list((folder / "tmp").iterdir()) == []
    assert (folder / "project/cache/embeddings.arrow").exists()  # it may have cost money
    return done


def test_everything_is_run_and_the_time_told(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    calls = (tmp_path / "project/calls").read_text().split("\n")
    expected = ["make test", "make lint", "make demo", "make demo", "make test-slow"]
    expected += ["make cluster", "make test-cluster", ""]
    assert calls == expected
    assert "seconds in all" in done.stdout.splitlines()[-1]


def test_a_second_demo_that_does_something_fails(tmp_path):
    assert run(tmp_path, SECOND="1 of 9 steps done").returncode != 0


@pytest.mark.slow
def test_a_second_demo_that_takes_long_fails(tmp_path):
    done = run(tmp_path, PAUSE="15.5")
    assert done.returncode != 0 and "15 s" in done.stdout
