"""A folder that a killed run left is taken over, and one that somebody works in is not."""

import json
import socket
import subprocess
import sys

import psutil
import pytest

from crosswalk.takeover import begin, take_over, this_run


@pytest.fixture
def folder(tmp_path):
    """Snakemake's own files, with a lock."""
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/scripts").mkdir()
    (tmp_path / ".snakemake/locks/0.output.lock").write_text("a-file\n")
    return tmp_path / ".snakemake"


def locked(folder):
    return (folder / "locks/0.output.lock").exists()


@pytest.fixture
def dead():
    """A run that was killed: its number is that of no process, or of a younger one."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    run = this_run()._replace(pid=process.pid)
    process.wait()
    return run


@pytest.fixture
def living():
    """A run that is at work in another process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    born = psutil.Process(process.pid).create_time() - psutil.boot_time()
    yield this_run()._replace(pid=process.pid, born=born)
    process.kill()
    process.wait()


def job(folder):
    """A process that runs a script of a job, which has started another."""
    script = folder / "scripts/tmp1.encode.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    return process, psutil.Process(int(process.stdout.readline()))


def ended(process, child):
    return process.poll() is not None and (not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_lock_of_a_killed_run_goes_with_its_record(folder, dead):
    begin(folder, dead)
    assert "lock" in " ".join(take_over(folder))
    assert not locked(folder) and not list((folder / "runs").iterdir())
    assert take_over(folder) == []


def test_a_number_that_another_process_has_now_is_no_sign_of_life(folder):
    begin(folder, this_run()._replace(born=this_run().born - 1000))
    take_over(folder)
    assert not locked(folder)


def test_before_the_last_start_of_this_machine_nothing_lives(folder):
    begin(folder, this_run()._replace(boot="another"))
    take_over(folder)
    assert not locked(folder)


def test_a_run_that_lives_keeps_its_lock_and_its_jobs(folder, dead, living):
    mine = begin(folder, living)
    begin(folder, dead)
    process, child = job(folder)
    assert "since" in " ".join(take_over(folder)) and "since" in " ".join(take_over(folder, unlocking=True))
    assert locked(folder) and mine.exists() and process.poll() is None
    mine.unlink()
    take_over(folder)
    assert not locked(folder) and ended(process, child)


def test_a_run_does_not_stand_in_its_own_way(folder, dead):
    """As two modules of one workflow would, each of which takes over."""
    mine = begin(folder)
    assert take_over(folder) == [] and locked(folder) and mine.exists()
    begin(folder, dead)
    take_over(folder)
    assert not locked(folder) and mine.exists()


def test_only_its_user_can_tell_of_a_run_on_another_host(folder):
    begin(folder, this_run()._replace(host="elsewhere"))
    assert "--unlock" in " ".join(take_over(folder)) and locked(folder)
    take_over(folder, unlocking=True)
    assert not list((folder / "runs").iterdir())


def test_a_lock_without_a_record_is_nobodys_to_take(folder):
    assert take_over(folder) == [] and locked(folder)


def test_jobs_of_a_killed_run_are_ended_with_all_they_started(folder, dead):
    begin(folder, dead)
    process, child = job(folder)
    assert "processes" in " ".join(take_over(folder))
    assert ended(process, child)


def test_a_job_of_another_folder_goes_on(folder, dead, tmp_path):
    begin(folder, dead)
    other = tmp_path / "other/.snakemake"
    (other / "scripts").mkdir(parents=True)
    process, child = job(other)
    take_over(folder)
    assert process.poll() is None and child.is_running()
    process.kill()
    child.kill()


@pytest.mark.parametrize("content", ["", '{"host": ', "[]", json.dumps({"host": 1})])
def test_a_record_that_a_power_cut_spoilt_is_one_of_a_dead_run(folder, content):
    (folder / "runs").mkdir()
    (folder / f"runs/{socket.gethostname()}.1.json").write_text(content)
    take_over(folder)
    assert not locked(folder) and not list((folder / "runs").iterdir())
