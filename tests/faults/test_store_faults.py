"""What may happen to a store: killed writers, damaged files, many writers at once."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crosswalk import store_care
from crosswalk.errors import UserError
from crosswalk.store import Store, text_keys

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMESPACE = {"provider": "test", "model": "toy", "dimensions": 64}

WRITER = """
import sys
import numpy as np
from crosswalk.store import Store, text_keys
folder, writer = sys.argv[1], int(sys.argv[2])
store = Store(folder, {"provider": "test", "model": "toy", "dimensions": 64})
for turn in range(100000):
    seed = writer * 1000000 + turn
    vectors = np.random.default_rng(seed).standard_normal((40, 64), dtype=np.float32)
    store.append(text_keys([f"{seed} {i}" for i in range(40)]), vectors)
    print(seed, flush=True)
"""


def written(seed):
    return [f"{seed} {i}" for i in range(40)], np.random.default_rng(seed).standard_normal((40, 64), dtype=np.float32)


def filled(folder, segments=3):
    store = Store(folder, NAMESPACE)
    names = []
    for seed in range(segments):
        texts, vectors = written(seed)
        names.append(store.append(text_keys(texts), vectors))
    return store, names


def present(store, seed):
    texts, vectors = written(seed)
    out = np.zeros((40, 64), np.float32)
    found = store.read(text_keys(texts), out)
    np.testing.assert_array_equal(out[found], vectors[found])  # a wrong vector is never handed out
    return found


def killed_writers(folder, writers, rounds, seconds):
    """Start writers, kill them without warning; the seeds that they said were safe."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    acknowledged = []
    for turn in range(rounds):
        running = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), str(turn * writers + number)],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for number in range(writers)
        ]
        first = [int(process.stdout.readline()) for process in running]  # all are at work now
        time.sleep(seconds)
        for process in running:
            process.send_signal(signal.SIGKILL)
        said = [process.communicate()[0] for process in running]
        whole = [line for text in said for line in text.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged += first + [int(line) for line in whole]
    return acknowledged


def test_store_survives_kill(tmp_path):
    acknowledged = killed_writers(tmp_path, writers=3, rounds=1, seconds=0.5)
    store = Store(tmp_path, NAMESPACE)
    assert len(acknowledged) > 3
    assert all(present(store, seed).all() for seed in acknowledged)
    assert not store.bad


@pytest.mark.slow
def test_store_survives_many_kills(tmp_path):
    acknowledged = killed_writers(tmp_path, writers=8, rounds=5, seconds=0.7)
    store = Store(tmp_path, NAMESPACE)
    assert all(present(store, seed).all() for seed in acknowledged)
    assert not store.bad


@pytest.mark.parametrize("left", [0, 1, 7, 0.3, 0.5, 0.9, -1])
def test_short_segment_is_ignored_and_named(tmp_path, caplog, left):
    store, names = filled(tmp_path)
    path = store.folder / names[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    again = Store(tmp_path, NAMESPACE)
    assert present(again, 0).all() and present(again, 2).all() and not present(again, 1).any()
    assert list(again.bad) == [names[1]] and names[1] in caplog.text


def test_foreign_file_is_ignored_and_named(tmp_path, caplog):
    store, _ = filled(tmp_path)
    (store.folder / "notes.arrow").write_text("not a segment at all" * 100)
    again = Store(tmp_path, NAMESPACE)
    assert all(present(again, seed).all() for seed in range(3))
    assert "notes.arrow" in caplog.text


def test_unfinished_segment_is_ignored_and_named(tmp_path, caplog):
    caplog.set_level("INFO")
    store, names = filled(tmp_path)
    (store.folder / ".0f0f.tmp").write_bytes((store.folder / names[0]).read_bytes()[:1000])
    (store.folder / names[0]).unlink()
    again = Store(tmp_path, NAMESPACE)
    assert not present(again, 0).any() and present(again, 1).all()
    assert ".0f0f.tmp" in caplog.text and not again.bad


def test_flipped_bit_in_a_vector_is_never_handed_out(tmp_path, caplog):
    store, names = filled(tmp_path)
    texts, vectors = written(1)
    path = store.folder / names[1]
    content = bytearray(path.read_bytes())
    content[content.index(vectors[5].tobytes()) + 17] ^= 1
    path.unlink()
    path.write_bytes(content)
    again = Store(tmp_path, NAMESPACE)
    assert not again.bad  # rows are checked as they are used, which is 20 times cheaper than reading all of them
    out = np.zeros((1, 64), np.float32)
    assert again.read(text_keys(texts[5:6]), out).tolist() == [False] and not out.any()
    assert list(again.bad) == [names[1]] and names[1] in caplog.text
    again.append(text_keys(texts), vectors)
    assert present(again, 1).all() and present(Store(tmp_path, NAMESPACE), 1).all()


def test_flipped_bit_in_a_key_is_found_on_opening(tmp_path):
    store, names = filled(tmp_path)
    path = store.folder / names[2]
    content = bytearray(path.read_bytes())
    content[content.index(text_keys(written(2)[0][:1]).tobytes()[:12]) + 33] ^= 4
    path.unlink()
    path.write_bytes(content)
    again = Store(tmp_path, NAMESPACE)
    assert list(again.bad) == [names[2]] and present(again, 1).all()


def test_damage_anywhere_costs_rows_but_never_gives_a_wrong_one(tmp_path):
    store, names = filled(tmp_path, segments=1)
    path = store.folder / names[0]
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    lost = 0
    for _ in range(150):
        content = bytearray(whole)
        start = int(random.integers(len(content)))
        content[start : start + 8] = random.bytes(len(content[start : start + 8]))
        path.unlink()
        path.write_bytes(content)
        lost += not present(Store(tmp_path, NAMESPACE), 0).all()
    assert lost > 100


def test_another_copy_serves_when_the_first_is_damaged(tmp_path):
    store, names = filled(tmp_path, segments=1)
    texts, vectors = written(0)
    store.append(text_keys(texts), vectors)
    path = store.folder / names[0]
    content = bytearray(path.read_bytes())
    content[content.index(vectors[0].tobytes())] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert present(Store(tmp_path, NAMESPACE), 0).all()


def test_failed_write_leaves_nothing_and_says_so(tmp_path, monkeypatch):
    store, _ = filled(tmp_path, segments=1)
    before = sorted(path.name for path in store.folder.iterdir())

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        store.append(text_keys(["x"]), np.ones((1, 64), np.float32))
    assert sorted(path.name for path in store.folder.iterdir()) == before


@contextlib.contextmanager
def no_more_than(size):
    """Let no file grow beyond so many bytes: the write that would fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 4096, 9000])
def test_disk_that_fills_up_in_mid_write_leaves_the_store_intact(tmp_path, size):
    store, _ = filled(tmp_path, segments=2)
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    texts, vectors = written(7)
    with no_more_than(size), pytest.raises(UserError, match=r"cannot be written .* Free the disk"):
        store.append(text_keys(texts), vectors)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert present(store, 0).all() and not present(store, 7).any()
    store.append(text_keys(texts), vectors)
    assert present(Store(tmp_path, NAMESPACE), 7).all()


@pytest.mark.parametrize("size", [0, 4096, 20_000])
def test_disk_that_fills_up_in_mid_compaction_leaves_the_store_intact(tmp_path, size):
    store, _ = filled(tmp_path, segments=4)
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    with no_more_than(size), pytest.raises(UserError, match="Free the disk"):
        store_care.compact(tmp_path, settled=0)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_only_the_rows_under_a_wrong_checksum_are_lost(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    vectors = np.random.default_rng(0).standard_normal((1000, 64), dtype=np.float32)
    texts = [str(i) for i in range(1000)]
    path = store.folder / store.append(text_keys(texts), vectors)
    content = bytearray(path.read_bytes())
    content[content.index(vectors[500].tobytes()) + 9] ^= 16
    path.unlink()
    path.write_bytes(content)
    again = Store(tmp_path, NAMESPACE)
    out = np.zeros((1000, 64), np.float32)
    found = again.read(text_keys(texts), out)
    assert not found[500] and (~found).sum() == 64 and "64 of 1000" in again.bad[path.name]
    np.testing.assert_array_equal(out[found], vectors[found])


def test_damage_never_gives_a_wrong_account_of_what_was_spent(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    path = store.folder / store.append(text_keys(written(0)[0]), written(0)[1], tokens=123, study="novels")
    whole, random = path.read_bytes(), np.random.default_rng(0)
    places = [i for i in range(len(whole)) if whole[i : i + 3] in (b"123", b"nov", b"spe")]
    for place in places + random.integers(len(whole), size=50).tolist():
        content = bytearray(whole)
        content[place] ^= 1 << int(random.integers(8))
        path.unlink()
        path.write_bytes(content)
        again = Store(tmp_path, NAMESPACE)
        assert again.spent("novels") == (0 if again.bad else 123)


# Each writes the same 60 x 40 texts, in an order of its own, whatever the others have done.
OVERLAPPING = """
import sys
import numpy as np
from crosswalk.store import Store, text_keys
folder, writer = sys.argv[1], int(sys.argv[2])
store = Store(folder, {"provider": "test", "model": "toy", "dimensions": 64})
for seed in np.random.default_rng(writer).permutation(60):
    texts = [f"{seed} {i}" for i in range(40)]
    vectors = np.random.default_rng(seed).standard_normal((40, 64), dtype=np.float32)
    out = np.zeros((40, 64), np.float32)
    if seed % 3 == 0:
        store.refresh()
    found = store.read(text_keys(texts), out)
    assert np.array_equal(out[found], vectors[found]) and not store.bad, store.bad
    store.append(text_keys(texts), vectors, tokens=40, study=str(writer))
assert not store.bad and store.spent(str(writer)) == 2400, (store.bad, store.spent(str(writer)))
"""

COMPACTOR = """
import sys
from crosswalk import store_care
print("at work", flush=True)
while True:
    store_care.compact(sys.argv[1], vectors=int(sys.argv[2]), settled=0)
    print("done", flush=True)
"""


def started(code, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment, text=True, **options)


def test_writers_of_the_same_texts_and_a_compactor_do_not_disturb_one_another(tmp_path):
    compactor = started(COMPACTOR, tmp_path, 1000, stdout=subprocess.DEVNULL)
    try:
        writers = [started(OVERLAPPING, tmp_path, number) for number in range(4)]
        assert [process.wait() for process in writers] == [0] * 4
        assert compactor.poll() is None
    finally:
        compactor.kill()
        compactor.wait()
    store_care.compact(tmp_path, vectors=1000, settled=0)
    store = Store(tmp_path, NAMESPACE)
    assert all(present(store, seed).all() for seed in range(60)) and len(store) == 2400 and not store.bad
    assert [store.spent(str(number)) for number in range(4)] == [2400] * 4
    found = store_care.verify(tmp_path)
    assert not found.damage and found.files < 40


@pytest.mark.slow
def test_compactor_survives_kill(tmp_path):
    """Killed ten times at random moments, each time among the same texts anew and an open reader."""
    random = np.random.default_rng(0)
    reader, moments = Store(tmp_path, NAMESPACE), []
    for turn in range(10):
        store = Store(tmp_path, NAMESPACE)
        for seed in range(turn * 30, turn * 30 + 60):  # half of them for the second time
            texts, vectors = written(seed)
            store.append(text_keys(texts), vectors, tokens=seed, study=f"study {seed % 2}")
        paid = [store.spent(f"study {number}") for number in range(2)]
        compactor = started(COMPACTOR, tmp_path, 800, stdout=subprocess.PIPE)
        assert compactor.stdout.readline() == "at work\n"
        time.sleep(random.uniform(0, 0.1))
        compactor.kill()
        moments.append(compactor.communicate()[0].count("done"))
        for one in (reader, store, Store(tmp_path, NAMESPACE)):
            one.refresh()
            assert all(present(one, seed).all() for seed in range(turn * 30 + 60)) and not one.bad
            assert [one.spent(f"study {number}") for number in range(2)] == paid
        assert not store_care.verify(tmp_path).damage
    assert 0 in moments  # the kill came in the middle at least once
    store_care.compact(tmp_path, vectors=800, settled=0)
    assert [Store(tmp_path, NAMESPACE).spent(f"study {number}") for number in range(2)] == paid


@pytest.mark.parametrize("step", range(12))
def test_compaction_that_stops_at_any_step_loses_nothing(tmp_path, monkeypatch, step):
    """Every change of the folder is a step; the process ends before the one of that number."""
    store, _ = filled(tmp_path, segments=4)
    store.append(text_keys(written(1)[0]), written(2)[1], tokens=5)  # never to be handed out
    left, real = [step], {name: getattr(Path, name) for name in ("replace", "unlink")}

    def counted(name):
        def change(*arguments, **options):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return real[name](*arguments, **options)

        return change

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        for name in real:
            patch.setattr(Path, name, counted(name))
        store_care.compact(tmp_path, settled=0)
    for turn in range(2):
        for reader in (store, Store(tmp_path, NAMESPACE)):
            reader.refresh()
            assert all(present(reader, seed).all() for seed in range(4)) and reader.spent() == 5 and not reader.bad
        if turn == 0:
            store_care.compact(tmp_path, settled=0)
    assert len(list(store.folder.glob("*.arrow"))) == 1
    assert json.loads((store.folder / "namespace.json").read_text()) == NAMESPACE
