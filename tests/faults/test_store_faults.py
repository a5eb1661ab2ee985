"""What may happen to a store: killed writers, damaged files, many writers at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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
    content[content.index(text_keys(written(2)[0]).tobytes()) + 33] ^= 4
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
