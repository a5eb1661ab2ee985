"""A run that is killed, at whatever moment, is completed by the same command, with the same bytes."""

import hashlib
import os
import random
import signal
import subprocess
import time

import pytest

from project import Project

KILLS = 4
# What tells of a run itself: how long it took and what it was called.
OWN = ("logs", "benchmarks", "report.html", "provenance", ".usage.json")


def digests(project):
    """The digest of every result that must not depend on the run."""
    return {
        str(path.relative_to(project.results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.results.rglob("*"))
        if path.is_file() and not any(part in str(path.relative_to(project.results)) for part in OWN)
    }


def killed(process, after):
    """Kill a run, and nothing that it has started, unless it ends before; returns whether it was killed."""
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        return True
    return False


@pytest.mark.slow
def test_a_run_killed_at_random_moments_is_completed_by_the_same_command(finished, tmp_path):
    project, draw, locks = Project(tmp_path), random.Random(5), []
    while len(locks) < KILLS and killed(project.start(), draw.uniform(3, 12)):
        locks.append(bool(list(project.folder.glob(".snakemake/locks/*.lock"))))
    assert len(locks) >= 3 and any(locks)
    project.run()
    assert digests(project) == digests(finished)


@pytest.mark.slow
def test_two_runs_do_not_take_each_others_folder(project):
    first = project.start()
    deadline = time.monotonic() + 60
    while not list(project.folder.glob(".snakemake/locks/*.lock")):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.1)
    second = project.snakemake()
    assert second.returncode and f"process {first.pid}" in second.stdout and "cannot be locked" in second.stdout
    assert "Job stats" in project.run("--dry-run") or first.poll() is not None
    first.communicate()
    assert first.returncode == 0
    assert not list(project.folder.glob(".snakemake/runs/*"))


@pytest.mark.slow
def test_half_written_files_of_a_power_cut_are_made_again(finished, tmp_path):
    """What a disk may show that lost its power: temporary files, empty records of Snakemake's, half a log."""
    project = finished.copy(tmp_path / "cut")
    expected = digests(finished)
    draw = random.Random(3)
    records = sorted(project.folder.glob(".snakemake/metadata/*"))
    for path in draw.sample(records, len(records) // 3):
        path.write_bytes(path.read_bytes()[: draw.choice([0, 10])])
    for path in draw.sample(sorted((project.results / "benchmarks").rglob("*.tsv")), 5):
        path.write_bytes(b"")
    for path in draw.sample(sorted(project.results.rglob("*.log")), 5):
        path.write_bytes(b"\xff\x00half")
    (project.results / "relate/.relations.csv.tmp").write_bytes(b"half")
    (project.folder / ".snakemake/locks").mkdir(exist_ok=True)
    (project.folder / ".snakemake/locks/0.output.lock").write_text("results/study/report.html\n")
    runs = project.folder / ".snakemake/runs"
    runs.mkdir(exist_ok=True)
    (runs / f"{os.uname().nodename}.1.json").write_bytes(b"")
    (project.results / "report.html").unlink()
    project.run()
    assert (project.results / "report.html").stat().st_size > 10_000
    assert {key: value for key, value in digests(project).items() if not key.endswith(".tmp")} == expected
