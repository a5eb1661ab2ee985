"""A run that is killed without warning loses no more than what was on its way, and several runs may share a store."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crosswalk.store import Store, text_keys
from fault_server import WIDTH, FaultServer, vectors

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parents[2] / "scripts"
BATCH, CONCURRENCY = 25, 8
LATENCY = 0.03
TEXTS = [f"text {i}" for i in range(5000)]

# Imports once, which takes far longer than a run, and forks for each run. Commands come as lines of JSON.
NURSERY = """
import json, os, sys, time, traceback
import numpy as np
from crosswalk.embedding import embed, open_store
from crosswalk.openai_client import OpenAIEmbedder
from crosswalk.store import Store

def run(url, cache, out, texts, width, batch, concurrency, slow):
    append = Store.append
    def slowly(*args, **more):
        time.sleep(slow)
        return append(*args, **more)
    Store.append = slowly
    limits = {"concurrency": concurrency}
    embedder = OpenAIEmbedder(model="toy", dimensions=width, base_url=url, batch={"texts": batch}, limits=limits)
    result = embed([f"text {i}" for i in range(*texts)], embedder, store=open_store(embedder, cache))
    with open(out + ".tmp", "wb") as file:
        np.save(file, result.vectors)
    os.replace(out + ".tmp", out)

for line in sys.stdin:
    command = json.loads(line)
    if "wait" in command:
        print(os.waitpid(command["wait"], 0)[1], flush=True)
        continue
    child = os.fork()
    if not child:
        status = 1
        try:
            run(**command)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print(child, flush=True)
"""


class Nursery:
    """Starts runs in processes of their own."""

    def __init__(self, process):
        self._process = process

    def start(self, server, cache, out, texts=(0, 5000), slow=0.0):
        command = {"url": server.url, "cache": str(cache), "out": str(out), "texts": texts, "slow": slow}
        return self._say({**command, "width": WIDTH, "batch": BATCH, "concurrency": CONCURRENCY})

    def wait(self, child):
        """The status with which a run ended: 0 if all is well."""
        return self._say({"wait": child})

    def _say(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@pytest.fixture
def nursery():
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    environment |= {"OPENAI_API_KEY": "sk-test", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", NURSERY]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    yield Nursery(process)
    process.communicate()


def stored(cache, texts=TEXTS):
    """The texts that the store has, which is read as a whole and found sound."""
    folder = next((cache / "embeddings").glob("*/namespace.json"), None)
    if folder is None:
        return set()
    store = Store(cache / "embeddings", json.loads(folder.read_text()))
    out = np.zeros((len(texts), WIDTH), np.float32)
    found = store.read(text_keys(texts), out)
    assert not store.bad
    np.testing.assert_allclose(out[found], vectors(texts)[found], atol=1e-6)
    return {text for text, there in zip(texts, found, strict=True) if there}


def kill(children, server, draw, requests):
    """Kill runs some moments after the service got so many requests."""
    deadline = time.monotonic() + 60
    while server.account.count < requests and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 2 * LATENCY))
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def quiet(server):
    """Wait until the service has noticed that nobody is there any more."""
    deadline = time.monotonic() + 5
    while server.account.at_work and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(("slow", "kills"), [(0.0, 20), (0.02, 6)], ids=["usual disk", "slow disk"])
def test_a_killed_run_asks_again_only_for_what_was_on_its_way(nursery, tmp_path, slow, kills):
    """With a slow disk the answers come faster than they are written; they must not pile up in memory."""
    with FaultServer(latency=LATENCY) as server:
        alone = nursery.start(server, tmp_path / "undisturbed", tmp_path / "undisturbed.npy", slow=slow)
        assert nursery.wait(alone) == 0
        expected = (tmp_path / "undisturbed.npy").read_bytes()
        np.testing.assert_allclose(np.load(tmp_path / "undisturbed.npy"), vectors(TEXTS), atol=1e-6)
        assert server.account.again == []
        assert server.account.most == CONCURRENCY or (slow and server.account.most < CONCURRENCY)
        draw, made, chain, lost = random.Random(6), 0, 0, []
        while made < kills:
            chain += 1
            cache, out, there = tmp_path / f"cache {chain}", tmp_path / f"{chain}.npy", set()
            while not out.exists():
                server.forget()
                child = nursery.start(server, cache, out, slow=slow)
                if made < kills:
                    left = len(TEXTS) - len(there)
                    kill([child], server, draw, draw.randint(0, left // BATCH))
                status = nursery.wait(child)
                assert status in (0, signal.SIGKILL)
                made += status == signal.SIGKILL
                quiet(server)
                asked = server.account.sent()
                assert not there & set(asked) and set(asked.values()) <= {1}
                there = stored(cache)
                lost.append(len(set(asked) - there))
                assert lost[-1] <= BATCH * CONCURRENCY
                if status == 0:
                    assert lost[-1] == 0
            assert out.read_bytes() == expected
        assert sum(own > 0 for own in lost) > kills / 5  # kills did come while requests were on their way


def test_four_runs_share_one_store(nursery, tmp_path):
    parts = [(0, 3000), (1000, 4000), (2000, 5000), (500, 4500)]
    with FaultServer(latency=LATENCY, noise=1e-3) as server:  # each answer differs a little, as real ones do
        children = [
            nursery.start(server, tmp_path / "cache", tmp_path / f"{i}.npy", part) for i, part in enumerate(parts)
        ]
        assert [nursery.wait(child) for child in children] == [0] * 4
        for i, part in enumerate(parts):
            assert np.abs(np.load(tmp_path / f"{i}.npy") - vectors(TEXTS[slice(*part)])).max() < 0.02
        server.forget()
        kept = []
        for i in range(2):
            assert nursery.wait(nursery.start(server, tmp_path / "cache", tmp_path / f"again{i}.npy")) == 0
            kept.append(np.load(tmp_path / f"again{i}.npy"))
        assert server.account.requests == []
    np.testing.assert_array_equal(*kept)
    np.testing.assert_allclose(np.linalg.norm(kept[0], axis=1), 1, atol=1e-6)
    namespace = next((tmp_path / "cache" / "embeddings").glob("*/namespace.json"))
    assert not Store(tmp_path / "cache" / "embeddings", json.loads(namespace.read_text())).bad
    assert not list(namespace.parent.glob("*.tmp"))


def test_four_runs_that_are_killed_leave_a_sound_store(nursery, tmp_path):
    draw = random.Random(3)
    with FaultServer(latency=LATENCY) as server:
        for turn in range(2):
            children = [nursery.start(server, tmp_path, tmp_path / f"{turn} {i}.npy") for i in range(4)]
            kill(children, server, draw, (1 + turn) * draw.randint(50, 150))
            assert {nursery.wait(child) for child in children} <= {0, signal.SIGKILL}
        quiet(server)
        there = stored(tmp_path)
        assert there
        server.forget()
        assert nursery.wait(nursery.start(server, tmp_path, tmp_path / "last.npy")) == 0
        assert set(server.account.sent()) == set(TEXTS) - there
    np.testing.assert_allclose(np.load(tmp_path / "last.npy"), vectors(TEXTS), atol=1e-6)
