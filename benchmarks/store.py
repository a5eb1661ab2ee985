"""The store of vectors against SQLite and against one JSON file per text: CPU seconds and bytes, in one run.

    python benchmarks/store.py --rows 200000 --width 1536

One JSON file per text is measured on a part of the rows and scaled up, since it is so slow. Bytes are given as a
multiple of the vectors' own as float32. Last, how long it takes to check and to merge small segments.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from crosswalk import store_care
from crosswalk.store import Store, text_keys

SEGMENT = 1000
SMALL = 100  # rows of a segment that is to be merged
JSON_ROWS = 2000
READS = 3  # the best counts: what the first costs is the kernel finding memory


def segments(rows, width):
    """(texts, vectors) in parts, the same ones each time."""
    random = np.random.default_rng(0)
    for start in range(0, rows, SEGMENT):
        count = min(SEGMENT, rows - start)
        vectors = random.standard_normal((count, width), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield [f"text {i}" for i in range(start, start + count)], vectors


class Ours:
    name = "Arrow segments (ours)"
    dtype = "float32"

    def __init__(self, folder, width):
        self.store, self.width = Store(folder, {"model": "bench", "dimensions": width}, dtype=self.dtype), width

    def write(self, texts, vectors):
        self.store.append(text_keys(texts), vectors)

    def read(self, texts):
        out = np.empty((len(texts), self.width), np.float32)
        assert self.store.read(text_keys(texts), out).all()
        return out


class Half(Ours):
    name = "the same, float16"
    dtype = "float16"


class SQLite:
    name = "SQLite"

    def __init__(self, folder, width):
        self.width = width
        self.base = sqlite3.connect(folder / "vectors.sqlite")
        self.base.execute("create table if not exists vectors (key blob primary key, vector blob)")

    def write(self, texts, vectors):
        keys = text_keys(texts)
        with self.base:
            self.base.executemany(
                "insert or ignore into vectors values (?, ?)",
                ((key.tobytes(), vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)),
            )

    def read(self, texts):
        out = np.empty((len(texts), self.width), np.float32)
        for row, key in enumerate(text_keys(texts)):
            found = self.base.execute("select vector from vectors where key = ?", (key.tobytes(),)).fetchone()
            out[row] = np.frombuffer(found[0], np.float32)
        return out


class JsonFiles:
    name = "a JSON file per text"

    def __init__(self, folder, width):
        self.folder, self.width = folder / "json", width
        self.folder.mkdir(exist_ok=True)

    def _path(self, key):
        return self.folder / f"{key.tobytes().hex()}.json"

    def write(self, texts, vectors):
        for key, vector in zip(text_keys(texts), vectors, strict=True):
            self._path(key).write_text(json.dumps(vector.tolist()))

    def read(self, texts):
        return np.array([json.loads(self._path(key).read_text()) for key in text_keys(texts)], np.float32)


def measure(kind, rows, width, looked_up):
    """CPU seconds to write all rows, to look some up, and to read all; the last two by a newly opened store; bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder, spent = Path(name), []
        own, store = 0.0, kind(folder, width)
        for texts, vectors in segments(rows, width):
            began = time.process_time()
            store.write(texts, vectors)
            own += time.process_time() - began
        spent.append(own)
        picked = np.random.default_rng(1).choice(rows, looked_up, replace=False)
        for wanted in ([f"text {i}" for i in picked], [f"text {i}" for i in range(rows)]):
            tries = []
            for _ in range(READS):
                began = time.process_time()
                kind(folder, width).read(wanted)
                tries.append(time.process_time() - began)
            spent.append(min(tries))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return spent, size / (rows * width * 4)


def care(rows, width):
    """CPU seconds to check and to merge small segments, and how many there were before and after."""
    with tempfile.TemporaryDirectory() as folder:
        store = Ours(folder, width)
        for texts, vectors in segments(rows, width):
            for start in range(0, len(texts), SMALL):
                store.write(texts[start : start + SMALL], vectors[start : start + SMALL])
        spent = []
        for work in (store_care.verify, lambda folder: store_care.compact(folder, settled=0)):
            began = time.process_time()
            done = work(folder)
            spent.append(time.process_time() - began)
        return *spent, done[0].segments


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=1536)
    options = parser.parse_args()
    looked_up = max(1, options.rows // 20)
    print(f"CPU seconds, {options.rows:,} vectors of {options.width} float32, {looked_up:,} looked up; (times ours)")
    print(f"{'':24}{'written':>18}{'looked up':>18}{'all read':>18}{'bytes':>10}")
    ours = None
    for kind in (Ours, Half, SQLite, JsonFiles):
        rows = min(options.rows, JSON_ROWS) if kind is JsonFiles else options.rows
        spent, size = measure(kind, rows, options.width, max(1, rows // 20))
        spent = [s * options.rows / rows for s in spent]
        ours = ours or spent
        cells = [f"{mine:.2f} ({mine / base:.1f})" for mine, base in zip(spent, ours, strict=True)]
        print(f"{kind.name:24}" + "".join(f"{cell:>18}" for cell in cells) + f"{size:>10.4f}")
    checked, merged, (before, after) = care(options.rows, options.width)
    print(f"segments of {SMALL}: checked in {checked:.2f} s, {before:,} merged into {after:,} in {merged:.2f} s")


if __name__ == "__main__":
    main()
