"""What a killed run leaves behind: its record, its lock, its jobs; and how the next one takes the folder over.

Snakemake locks a folder while it works there, and a run that is killed without warning, or loses its power, cannot take
its lock away. A lock does not say whose it is; so each run writes down who it is beside it. If all runs that wrote
something there are dead, the lock is theirs.
"""

import contextlib
import json
import shutil
import socket
import time
from pathlib import Path
from typing import NamedTuple

import psutil

GRACE = 10.0  # seconds that jobs of a dead run are given to end by themselves
SAME = 2.0  # seconds by which two readings of when a process was born may differ


class Run(NamedTuple):
    """A run of the workflow: host; boot: of the host, which has another name after each; pid; born: seconds from the
    boot to the beginning of the process, which no setting of the clock moves; since: the same moment, for people."""

    host: str
    boot: str
    pid: int
    born: float
    since: str

    def alive(self):
        """Whether it still runs, which can be told on its own host alone."""
        if self.boot != _boot():
            return False
        with contextlib.suppress(psutil.Error):
            return abs(_born(psutil.Process(self.pid)) - self.born) < SAME
        return False


def this_run():
    """The Run of this process."""
    process = psutil.Process()
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(process.create_time()))
    return Run(socket.gethostname(), _boot(), process.pid, _born(process), since)


def begin(folder, run=None):
    """Write down that a run works in a folder. Returns the path of the record, to be deleted at its end.

    folder: Path of Snakemake's own files, ".snakemake"; run: by default `this_run`.
    """
    run = this_run() if run is None else run
    path = _record(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(run._asdict()))
    temporary.replace(path)
    return path


def take_over(folder, *, unlocking=False):
    """Clear away what dead runs left in a folder, if nobody else is at work there.

    folder: Path of Snakemake's own files, ".snakemake"; unlocking: the user says that no other host is. Jobs of dead
    runs are ended, as they would write what is about to be written again; the lock and the records are deleted. Files
    that jobs had begun need nothing: they have other names until they are whole.
    Returns a list of sentences, what was done, or who is in the way: runs that live, and runs of other hosts, of which
    only these can tell. Nothing is done where no run has left a record.
    """
    folder = Path(folder)
    records = _records(folder)
    here = socket.gethostname()
    dead = [
        path for path, run in records.items() if run is None or (not run.alive() if run.host == here else unlocking)
    ]
    mine = _record(folder, this_run())  # is there where one workflow has two modules
    others = [run for path, run in records.items() if path not in (*dead, mine)]
    locked = any((folder / "locks").glob("*.lock"))
    if others:
        return [_in_the_way(run) for run in others] if locked else []
    said = []
    if dead:
        if ended := _end_jobs(folder.parent.resolve()):
            said.append(f"{ended} processes of a run that was killed were still at work; they have been ended.")
        if locked:
            shutil.rmtree(folder / "locks", ignore_errors=True)
            said.append("The lock of a run that was killed has been removed.")
    for path in dead:
        path.unlink(missing_ok=True)
    return said


def _record(folder, run):
    return Path(folder) / "runs" / f"{run.host}.{run.pid}.json"


def _records(folder):
    """Run of each record, by path; None for one that cannot be read, as a power cut leaves it."""
    found = {}
    for path in sorted((folder / "runs").glob("*.json")):
        found[path] = None
        with contextlib.suppress(OSError, ValueError, TypeError):
            found[path] = Run(**json.loads(path.read_text()))
    return found


def _in_the_way(run):
    if run.host == socket.gethostname():
        return (
            f"Another run is at work in this folder: process {run.pid}, since {run.since}. Where both would write the "
            "same files, this one will be refused."
        )
    return (
        f"A run on {run.host} is at work in this folder, or was killed there: process {run.pid}, since {run.since}. If "
        "it is, wait for it; if not, say so once with `snakemake --unlock`, and run again."
    )


def _boot():
    """What tells one start of this host from the next."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{psutil.boot_time():.0f}"


def _born(process):
    return process.create_time() - psutil.boot_time()


def _end_jobs(folder):
    """End the jobs, and all they have started, that runs in `folder` left behind. Returns how many processes."""
    jobs = [process for process in psutil.process_iter() if _is_job(process, folder)]
    processes = {job.pid: job for job in jobs}
    for job in jobs:
        with contextlib.suppress(psutil.Error):
            processes |= {child.pid: child for child in job.children(recursive=True)}
    for process in processes.values():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(processes.values(), timeout=GRACE)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(processes)


def _is_job(process, folder):
    """Whether a process runs a script of a job that a Snakemake started in `folder`."""
    with contextlib.suppress(psutil.Error):
        return any(argument.startswith(f"{folder}/.snakemake/scripts/") for argument in process.cmdline())
    return False
