"""A study whose results are kept in a store that speaks S3: the same files as on disk."""

import importlib.util
import socket
import subprocess
import sys

import pytest

import one_node
from project import Project

pytestmark = pytest.mark.cluster

BUCKET = "studies"
KEYS = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "some-key", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "some-secret"}
STORED = ["--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}"]
# Times and places of a run; the page shows the provenance.
OF_THE_RUN = ("/logs/", "/benchmarks/", "/provenance.", "/report.html", "usage.json")


@pytest.fixture
def store():
    """A stand-in for S3 on a port of this machine: its address and a client."""
    missing = [
        name for name in ("snakemake_storage_plugin_s3", "moto", "flask") if importlib.util.find_spec(name) is None
    ]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here: make cluster")
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert one_node.wait(60, lambda: answers(port)), "the stand-in for S3 does not answer"
        address = f"http://127.0.0.1:{port}"
        key, secret = KEYS.values()
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
        )
        client.create_bucket(Bucket=BUCKET)
        yield address, client
    finally:
        server.kill()
        server.wait()


def answers(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_results_in_a_store_are_those_of_a_local_run_byte_for_byte(store, tmp_path):
    address, client = store
    (tmp_path / "stored").mkdir()
    project = Project(tmp_path / "stored", items=60)
    project.config["collections"]["items"]["sample"] = {}
    project.config["embedding"] = {"provider": "hashing", "dimensions": 16}
    project.config["encode"]["epochs"] = 2
    del project.config["relate"]
    local = project.copy(tmp_path / "local")
    reach = {"SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": address, "NO_PROXY": "127.0.0.1", **KEYS}
    project.run(*STORED, environment=reach)
    local.run()
    listed = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    there = {entry["Key"]: client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in listed}
    here = {
        str(path.relative_to(local.folder)): path.read_bytes() for path in local.results.rglob("*") if path.is_file()
    }
    assert here.keys() == there.keys() and len(here) > 30
    same = [name for name in here if not any(part in name for part in OF_THE_RUN)]
    assert len(same) > 15 and [name for name in same if here[name] != there[name]] == []
    assert not project.results.exists()  # nothing was left on disk but the cache of what was embedded
    assert "Nothing to be done" in project.run("--dry-run", *STORED, environment=reach)
