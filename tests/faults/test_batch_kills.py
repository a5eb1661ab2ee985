"""Runs of the Batch API that are killed without warning, at every stage and at any moment: paid once, nothing lost."""

import contextlib
import itertools
import multiprocessing
import multiprocessing.forkserver
import os
import random
import signal
import sys
import time

import numpy as np
import pytest

from batch_server import BatchService
from crosswalk import batch_api, batch_journal
from crosswalk.store import Store, text_keys
from servers import WIDTH, vector

KEY = "sk-test-kills-91b7d0"
TEXTS = [f"text {i}" for i in range(30)]
NAMESPACE = {"provider": "test", "model": "toy-model", "dimensions": WIDTH}
QUICK = {"FIRST_POLL": 0.01, "LONGEST_POLL": 0.02, "FIRST_WAIT": 0.01, "LONGEST_WAIT": 0.02, "SETTLE": 0.2, "GROUP": 12}
STEPS = ((batch_journal.Journals, "write"), (batch_journal.Journals, "remove"), (Store, "append"))
CONTEXT = multiprocessing.get_context("forkserver")


def run(url, folder, *, texts=TEXTS, inputs=16):
    """What an embedding job does: texts that the store lacks are asked for, each answer is kept as it comes."""
    store = Store(folder / "embeddings", NAMESPACE)
    keys = text_keys(texts)
    known = store.read(keys, np.empty((len(texts), WIDTH), np.float32))
    limits = {"texts": 4, "inputs": inputs}
    api = batch_api.BatchAPI(
        model="toy-model", dimensions=WIDTH, base_url=url, folder=folder / "batches", limits=limits
    )
    wanted = np.flatnonzero(~known)
    api.forget([texts[row] for row in np.flatnonzero(known)])
    for rows, answer in api.answers([texts[row] for row in wanted]):
        store.append(keys[wanted[rows]], answer.vectors, tokens=answer.tokens)


def steps(log):
    """Patch every step that leaves a trace so that `log` is called before and after it."""

    def noted(method):
        def step(*args, **settings):
            log()
            found = method(*args, **settings)
            log()
            return found

        return step

    return [(owner, name, noted(getattr(owner, name))) for owner, name in STEPS]


def child(url, folder, moment, settings):
    """A run that kills itself at the moment of that number, of those before and after each step; None: at none."""
    os.environ |= {"OPENAI_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
    for name, value in QUICK.items():
        setattr(batch_api, name, value)
    count = itertools.count()

    def log():
        if next(count) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name, method in steps(log):
        setattr(owner, name, method)
    run(url, folder, **settings)


def started(service, folder, moment=None, **settings):
    process = CONTEXT.Process(target=child, args=(service.url, folder, moment, settings))
    process.start()
    return process


def ended(process):
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Children are forks of a process that has loaded everything, or each would take a second to start."""
    CONTEXT.set_forkserver_preload(["test_batch_kills"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        multiprocessing.forkserver.ensure_running()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in QUICK.items():
        monkeypatch.setattr(batch_api, name, value)


def right(service, folder, texts=TEXTS):
    """Every text has its vector and was billed once; nothing but the lock is left beside the store."""
    out = np.zeros((len(texts), WIDTH), np.float32)
    store = Store(folder / "embeddings", NAMESPACE)
    assert store.read(text_keys(texts), out).all() and not store.bad
    np.testing.assert_allclose(out, [vector(text) for text in texts], atol=1e-6)
    assert service.billed == dict.fromkeys(texts, 1)
    left = [path for path in (folder / "batches").iterdir() if path.name != ".lock" and path.suffix != ".tmp"]
    assert left == []


def moments(folder, monkeypatch, settings):
    """How many moments an undisturbed run has."""
    count = itertools.count()
    with BatchService() as service, monkeypatch.context() as patch:
        for owner, name, method in steps(lambda: next(count)):
            patch.setattr(owner, name, method)
        run(service.url, folder, **settings)
    return next(count)


def killed_at_each(tmp_path, monkeypatch, **settings):
    total = moments(tmp_path / "undisturbed", monkeypatch, settings)
    for moment in range(total):
        folder = tmp_path / str(moment)
        with BatchService() as service:
            assert not ended(started(service, folder, moment, **settings)), f"not killed at {moment} of {total}"
            run(service.url, folder, **settings)
            right(service, folder, settings["texts"])
    return total


def test_run_killed_before_and_after_each_step_is_taken_up_and_paid_once(tmp_path, monkeypatch, quick):
    assert killed_at_each(tmp_path, monkeypatch, texts=TEXTS[:8], inputs=100) == 12


@pytest.mark.slow
def test_run_of_several_batches_killed_at_each_step_is_paid_once(tmp_path, monkeypatch, quick):
    assert killed_at_each(tmp_path, monkeypatch, texts=TEXTS, inputs=12) > 30


@pytest.mark.parametrize("when", ["as it arrives", "before it is heard"])
@pytest.mark.parametrize("kind", ["upload", "create", "retrieve", "content"])
def test_run_killed_while_it_asks_is_taken_up_and_paid_once(tmp_path, quick, kind, when):
    running = []

    def kill():
        while not running:
            time.sleep(0.001)
        os.kill(running[0].pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(running[0].pid, 0)
                time.sleep(0.001)

    with BatchService() as service:
        # What was asked for as the run died is done though nobody hears of it.
        (service.faults if when == "as it arrives" else service.afterwards)[kind] = [kill]
        running.append(started(service, tmp_path))
        assert not ended(running[0])
        run(service.url, tmp_path)
        right(service, tmp_path)


def killed_at_random(folder, seed, texts):
    """Kill runs after a random time each, until one comes to its end; returns how many were killed."""
    dice = random.Random(seed)
    with BatchService(delay=0.005) as service:
        service.plans = [{"statuses": ["validating", *["in_progress"] * dice.randrange(9), "completed"]}] * 3
        for kills in range(40):
            process = started(service, folder, texts=texts)
            process.join(dice.expovariate(4.0) + 0.02 * kills)
            process.kill()
            if ended(process):
                break
        right(service, folder, texts)
    return kills


@pytest.mark.parametrize("seed", range(2))
def test_run_killed_at_random_moments_is_paid_once(tmp_path, quick, seed):
    killed_at_random(tmp_path, seed, TEXTS)


@pytest.mark.slow
def test_run_killed_at_many_random_moments_is_paid_once(tmp_path, quick):
    texts = [f"text {i}" for i in range(60)]
    assert sum(killed_at_random(tmp_path / str(seed), seed, texts) for seed in range(10, 25)) > 20


def test_two_jobs_with_texts_in_common_pay_for_them_once(tmp_path, quick):
    with BatchService(delay=0.01) as service:
        processes = [started(service, tmp_path, texts=part) for part in (TEXTS[:20], TEXTS[10:])]
        assert [ended(process) for process in processes] == [True, True]
        right(service, tmp_path)


def test_key_is_in_no_file_of_a_killed_run(tmp_path, quick):
    with BatchService() as service:
        for moment in (3, 5, 7):
            assert not ended(started(service, tmp_path, moment))
            files = [path for path in tmp_path.rglob("*") if path.is_file()]
            assert files and not [path for path in files if KEY.encode() in path.read_bytes()]
