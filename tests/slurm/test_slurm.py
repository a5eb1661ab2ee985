"""A study on Slurm, by the profile that we hand out: sharded, grouped, interrupted, with the results of a local run."""

import importlib.util
import json
import os
import signal
import types

import pytest

import one_node
from project import Project

pytestmark = pytest.mark.cluster

PATIENCE = 400  # seconds that any run of Snakemake may take
# The profile as it is, but for what this cluster is: it has no accounts, and its queue can be looked at all the time.
PROFILE = ["--workflow-profile", "profiles/slurm"]
HERE = [
    "--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5",
    "--slurm-keep-successful-logs", "--latency-wait", "5", "--cores", "8",
    "--resources", "api=4", "gpu=1", "mem_mb=32000", "--set-threads", "embed_part=2", "embed=2",
]  # fmt: skip
# Times, hosts and what the cache happened to hold already; the page shows the provenance.
OF_THE_RUN = ("logs", "benchmarks")
OF_THE_RUN_FILES = ("provenance.json", "provenance.yaml", "report.html")
AT_WORK, WAITING_OR_AT_WORK = ("RUNNING",), ("RUNNING", "PENDING", "CONFIGURING", "COMPLETING")


@pytest.fixture(scope="module")
def cluster():
    """A Slurm of one node for the tests of this module, which is gone afterwards, however they end."""
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("no executor for Slurm here: make cluster")
    if why := one_node.hindrance():
        pytest.skip(why)
    try:
        one_node.install()
    except one_node.ClusterError as error:
        pytest.skip(str(error))
    try:
        one_node.up()
        yield one_node
    finally:
        one_node.down()


@pytest.fixture(scope="module")
def studied(cluster, tmp_path_factory):
    """A study that was interrupted on the cluster and then completed, and the same study by a local run."""
    folder = tmp_path_factory.mktemp("slurm")
    project = small(folder / "cluster")
    local = project.copy(folder / "local")
    started = []

    def start(study, *arguments):
        started.append(study.start(*arguments))
        return started[-1]

    try:
        beside, first = start(local), start(project, *PROFILE, *HERE)
        seen = one_node.wait(PATIENCE, lambda: jobs("embed_part", AT_WORK) or first.poll() is not None)
        first.send_signal(signal.SIGINT)
        output, _ = first.communicate(timeout=PATIENCE)
        one_node.wait(one_node.STOPPING, lambda: not jobs("", WAITING_OR_AT_WORK))
        left, cancelled = jobs("", WAITING_OR_AT_WORK), jobs("embed_part", ("CANCELLED",))
        interrupted = types.SimpleNamespace(seen=seen, code=first.returncode, output=output, left=left, jobs=cancelled)
        log = finish(start(project, *PROFILE, *HERE))
        finish(beside)
    finally:
        for process in started:
            process.kill()
    return types.SimpleNamespace(project=project, local=local, interrupted=interrupted, log=log)


def small(folder):
    """A study of some twenty steps whose texts are embedded by the local model, in two parts."""
    folder.mkdir()
    project = Project(folder, items=120)
    items = project.config["collections"]["items"]
    items["sample"] = {"n": 100}
    del items["contrast"]  # it would let the steps that describe a collection wait for the training
    project.config["embedding"] = {"provider": "local", "shards": 2}
    project.config["encode"]["epochs"] = 5
    del project.config["relate"]
    return project


def finish(process):
    """Wait for a run; returns its output, which is told if it fails."""
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return output


def jobs(rule, states=()):
    """The jobs that Slurm knows of a rule or a group."""
    return one_node.jobs(rule=rule, states=states)


def megabytes(job):
    """The memory that a job asked for."""
    return int(job["MinMemoryNode"].removesuffix("M"))


def results(project):
    """The bytes of all results that a run does not leave its time or place in."""
    files = sorted(path for path in project.results.rglob("*") if path.is_file())
    names = {path: path.relative_to(project.results) for path in files}
    return {
        str(name): path.read_bytes()
        for path, name in names.items()
        if name.parts[0] not in OF_THE_RUN
        and name.name not in OF_THE_RUN_FILES
        and not name.name.endswith("usage.json")
        and not name.parent.name.endswith(".parts")
    }


def test_an_interruption_cancels_the_jobs_of_the_cluster(studied):
    interrupted = studied.interrupted
    assert interrupted.seen and interrupted.code != 0, interrupted.output
    assert interrupted.jobs and not interrupted.left, interrupted.output


def test_the_same_command_completes_an_interrupted_study(studied):
    assert "steps (100%) done" in studied.log
    assert (studied.project.results / "report.html").stat().st_size > 10_000
    assert "--unlock" not in studied.log


def test_every_step_was_a_job_of_slurm_and_small_ones_shared_one(studied):
    done = jobs("", ("COMPLETED",))
    rules = {job["Comment"] for job in done}
    assert any(rule.startswith("rule_read_") and "sample" in rule for rule in rules), rules
    for name in ("embed_part", "embed_wildcards", "train", "describe_", "report_"):
        assert any(rule.startswith(f"rule_{name}") for rule in rules), (name, rules)
    assert len(done) < sum(1 for _ in (studied.project.results / "logs").rglob("*.log"))
    logs = {path.stem for path in (studied.project.folder / ".snakemake/slurm_logs").rglob("*.log")}
    assert {job["JobId"] for job in done} <= logs


def test_embedding_was_shared_out_and_asked_for_accelerators(studied):
    parts = jobs("embed_part", ("COMPLETED",))
    assert len({job["Comment"] for job in parts}) == 4  # two of each collection
    for job in [*parts, *jobs("train", ("COMPLETED",))]:
        assert job["Partition"] == "gpu" and job["TresPerJob"] == "gres:gpu:1" and job["MinMemoryNode"] == "6000M"
    for name, texts in (("items", 100), ("replies", 200)):
        shares = [
            json.loads((studied.project.results / f"embeddings/{name}.parts/{i}-of-2.json").read_text()) for i in (1, 2)
        ]
        assert [share["texts"] for share in shares] == [texts // 2] * 2


def test_training_ran_on_the_partition_with_accelerators_and_all_else_did_not(studied):
    on_gpu = {job["Comment"].split("_wildcards")[0] for job in jobs("", ("COMPLETED",)) if job["Partition"] == "gpu"}
    assert on_gpu == {"rule_embed_part", "rule_embed", "rule_train_encode"}


def test_the_results_are_those_of_a_local_run_byte_for_byte(studied):
    here, there = results(studied.local), results(studied.project)
    assert len(here) > 20 and here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def test_jobs_of_a_node_that_dies_are_tried_again_when_it_is_back(cluster, tmp_path):
    project = small(tmp_path / "study")
    run = project.start(*PROFILE, *HERE, "--until", "check_collections")
    try:
        assert one_node.wait(PATIENCE, lambda: jobs("read", AT_WORK)), run.poll()
        lost = jobs("read", AT_WORK)[0]["JobId"]
        one_node.stop("slurmd", number=signal.SIGKILL)
        assert one_node.wait(60, lambda: not one_node.node_is_ready())
        one_node.start("slurmd")
        one_node.wait_for_node()
        log = finish(run)
    finally:
        run.kill()
    since = [job for job in jobs("read") if int(job["JobId"]) >= int(lost)]
    first, again = sorted(since, key=lambda job: int(job["JobId"]))
    assert first["JobState"] in ("NODE_FAIL", "FAILED", "CANCELLED") and again["JobState"] == "COMPLETED"
    assert megabytes(again) == 2 * megabytes(first)
    assert "Trying to restart job" in log and (project.results / "collections/checked.json").exists()


def test_a_cluster_of_someone_else_is_left_alone(monkeypatch, tmp_path):
    theirs = tmp_path / "slurm.conf"
    theirs.write_text("ClusterName=theirs\n")
    monkeypatch.setattr(one_node, "SETTINGS", theirs)
    monkeypatch.setattr(one_node, "FOLDER", tmp_path / "none")
    with pytest.raises(one_node.ClusterError, match="another cluster" if os.getuid() == 0 else "root"):
        one_node.up()
    one_node.down()
    assert theirs.read_text() == "ClusterName=theirs\n"
