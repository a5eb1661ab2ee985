"""A Slurm cluster of one node, this machine, for tests: `python tests/slurm/one_node.py up`, then `down`.

For Debian 12 as root, in a container too: no systemd, no control groups, no accounting. Its packages are installed
where they are missing and stay; all else that `up` makes, `down` removes: three daemons, their folder in /tmp, two
files in /etc/slurm. The node is pretended to have eight processors, 64 GB and four accelerators, so that jobs may ask
for what they ask for on a real cluster. Both commands may be repeated. A /etc/slurm/slurm.conf of anyone else is left
alone.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

OURS = "# One node for the tests of Crosswalk: tests/slurm/one_node.py wrote this, and removes it."
FOLDER = Path("/tmp/crosswalk-slurm")
# The step that the executor starts within a job sees no SLURM_CONF: the files must lie where Slurm looks for them.
SETTINGS, DEVICES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"]
DAEMONS = ["slurmd", "slurmctld", "munged"]  # in the order in which they are stopped
PROCESSORS, MEMORY = 8, 64_000  # of the node, in MB; jobs get no more than there is
ACCELERATORS = ["null", "zero", "full", "random"]  # devices that every machine has, as Slurm wants one for each
STARTING, STOPPING = 30, 15  # seconds


class ClusterError(Exception):
    """There can be no cluster here, and why."""


def up():
    """Start the cluster, or find it running. Raises ClusterError where that cannot be."""
    if why := hindrance():
        raise ClusterError(why)
    install()
    if not all(_running(name) for name in DAEMONS):
        down()
        try:
            _configure()
            _start_all()
        except BaseException:
            down()
            raise


def down():
    """Cancel all jobs, stop the daemons that `up` started and remove what it wrote."""
    if _running("slurmctld") and _is_ours():
        ask("scancel", "--state=RUNNING,PENDING,SUSPENDED", f"--user={os.getuid()}")
        wait(STOPPING, lambda: ask("squeue", "--noheader", "--states=RUNNING,COMPLETING") == "")
    for name in DAEMONS:
        stop(name)
    for path in (SETTINGS, DEVICES):
        if path.is_file() and OURS in path.read_text():
            path.unlink()
    if SETTINGS.parent.is_dir() and not any(SETTINGS.parent.iterdir()):
        SETTINGS.parent.rmdir()
    shutil.rmtree(FOLDER, ignore_errors=True)


def hindrance():
    """Why there can be no cluster here, or an empty text."""
    if os.getuid() != 0:
        return "a cluster can only be started by root"
    if SETTINGS.exists() and not _is_ours():
        return f"{SETTINGS} belongs to another cluster"
    if _missing() and not shutil.which("apt-get"):
        return f"no {', '.join(_missing())} here, and no apt-get to install them with"
    return ""


def start(name):
    """Start one daemon of the cluster."""
    files = {key: FOLDER / f"munge.{key}" for key in ("key", "socket", "pid", "seed", "log")}
    command = {
        "munged": [
            "munged", "--foreground", "--force", f"--key-file={files['key']}", f"--socket={files['socket']}",
            f"--pid-file={files['pid']}", f"--seed-file={files['seed']}", f"--log-file={files['log']}",
        ],
        "slurmctld": ["slurmctld", "-D"],
        "slurmd": ["slurmd", "-D"],
    }[name]  # fmt: skip
    with open(FOLDER / f"{name}.out", "ab") as output:
        process = subprocess.Popen(
            [_program(command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    about = {"pid": process.pid, "since": _since(process.pid)}
    (FOLDER / f"{name}.json").write_text(json.dumps(about))


def stop(name, *, number=signal.SIGTERM):
    """Stop one daemon, if it is the very process that `start` started, and wait for its end."""
    if not _running(name):
        return
    pid = json.loads((FOLDER / f"{name}.json").read_text())["pid"]
    os.kill(pid, number)
    if not wait(STOPPING, lambda: not _running(name)):
        os.kill(pid, signal.SIGKILL)
        wait(STOPPING, lambda: not _running(name))


def node_is_ready():
    """Whether the node takes jobs."""
    states = ask("sinfo", "--noheader", "--Node", "--format=%t")
    return states is not None and set(states.split()) <= {"idle", "mix", "alloc"} and states.strip() != ""


def wait_for_node():
    """Wait until the node takes jobs; raises ClusterError with the daemons' last words."""
    if not wait(STARTING, node_is_ready):
        logs = [f"{path}:\n{path.read_text()[-2000:]}" for path in sorted(FOLDER.glob("*.out"))]
        raise ClusterError("the node does not come up\n" + "\n".join(logs))


def install():
    missing = _missing()
    if not missing:
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=quiet, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            raise ClusterError(f"apt-get {command[0]} failed: {done.stdout[-500:]}")


def jobs(*, rule="", states=()):
    """The jobs whose comment names a rule or a group, in one of the states: a list of what Slurm says of each."""
    said = ask("scontrol", "--oneliner", "show", "jobs") or ""
    all_jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in said.splitlines()]
    return [
        job
        for job in all_jobs
        if job.get("Comment", "").startswith(f"rule_{rule}") and (not states or job["JobState"] in states)
    ]


def _configure():
    FOLDER.mkdir(mode=0o755)
    key = FOLDER / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for name in ("state", "spool"):
        (FOLDER / name).mkdir(mode=0o755)
    ports = _free_ports(2)
    host = socket.gethostname().split(".")[0]
    settings = {
        "ClusterName": "one", "SlurmctldHost": "localhost", "SlurmctldPort": ports[0], "SlurmdPort": ports[1],
        "SlurmUser": "root", "AuthType": "auth/munge", "AuthInfo": f"socket={FOLDER}/munge.socket",
        "StateSaveLocation": FOLDER / "state", "SlurmdSpoolDir": FOLDER / "spool",
        "SlurmctldPidFile": FOLDER / "slurmctld.pid", "SlurmdPidFile": FOLDER / "slurmd.pid",
        # A container has neither control groups nor a database of accounts.
        "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "MpiDefault": "none",
        "JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none",
        # Processors and memory are counted out to jobs, and there are as many as the line of the node says.
        "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core_Memory", "GresTypes": "gpu",
        "SlurmdParameters": "config_overrides", "EnforcePartLimits": "ALL",
        # Jobs start at once, and are remembered for an hour after their end.
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1", "MinJobAge": 3600,
        # A node that was lost is given up soon, and taken back when it returns.
        "SlurmdTimeout": 10, "ReturnToService": 2, "KillWait": 3,
    }  # fmt: skip
    lines = [OURS, *(f"{key}={value}" for key, value in settings.items())]
    lines.append(
        f"NodeName={host} NodeAddr=localhost CPUs={PROCESSORS} RealMemory={MEMORY} Gres=gpu:{len(ACCELERATORS)}"
    )
    lines += [f"PartitionName={name} Nodes={host} MaxTime=1-0" for name in ("cpu Default=YES", "gpu")]
    SETTINGS.parent.mkdir(exist_ok=True)
    SETTINGS.write_text("\n".join(lines) + "\n")
    devices = [f"NodeName={host} Name=gpu File=/dev/{name}" for name in ACCELERATORS]
    DEVICES.write_text("\n".join([OURS, *devices]) + "\n")


def _start_all():
    start("munged")
    if not wait(STARTING, (FOLDER / "munge.socket").is_socket):
        raise ClusterError("munged does not answer: " + (FOLDER / "munged.out").read_text()[-500:])
    start("slurmctld")
    start("slurmd")
    wait_for_node()


def _is_ours():
    return SETTINGS.is_file() and OURS in SETTINGS.read_text()


def _missing():
    return [name for name in (*DAEMONS, "sbatch") if not _program(name)]


def _program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


def _running(name):
    """Whether the process that `start` started is alive: the number alone may be another's by now."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return False
    about = json.loads(path.read_text())
    return about["since"] is not None and _since(about["pid"]) == about["since"]


def _since(pid):
    """When a process started, in ticks since the machine did; None for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def ask(*command):
    """What a command of Slurm says, or None if it fails or hangs."""
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait(seconds, condition):
    """Whether the condition became true within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("up", "down"))
    try:
        {"up": up, "down": down}[parser.parse_args().what]()
    except ClusterError as error:
        sys.exit(f"one_node: {error}")
