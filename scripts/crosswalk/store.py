"""A store of vectors under a hash of their text: paid once, kept for good, shared between runs and machines.

A namespace (one model with all that shapes its vectors) is a folder of immutable Arrow IPC segments. A segment is
written under a temporary name and renamed into place, so it is whole or absent; nothing is ever rewritten, so readers
need no lock. A stale listing, as network file systems give, costs a vector computed twice, never a wrong one.
"""

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from crosswalk import files
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

KEY_BYTES = 16


def text_keys(texts):
    """The 128-bit BLAKE2b hash of each text's UTF-8 bytes, as uint64 (n, 2)."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest() for text in texts)
    return np.frombuffer(digests, "<u8").reshape(-1, 2)


class Store:
    """The vectors of one namespace.

    folder: str or Path, the parent of all namespaces; namespace: dict of str, int and None that holds everything
    a vector depends on but its text, with "model" and "dimensions" (None if only an answer can tell) among the keys.

    bad: dict of file name to what is wrong with it, for every segment that was found damaged and is left out.
    Raises UserError where the folder cannot be made or written.
    """

    def __init__(self, folder, namespace):
        plain = json.dumps(namespace, sort_keys=True, ensure_ascii=True, allow_nan=False)
        digest = hashlib.blake2b(plain.encode(), digest_size=KEY_BYTES).hexdigest()
        self.folder = Path(folder) / digest
        self.bad = {}
        self._model = str(namespace["model"])
        self._width = namespace["dimensions"]
        self._segments = {}  # by name
        self._index = None
        self._unfinished = set()
        with _mendable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / "namespace.json").exists():
                files.write_json(self.folder / "namespace.json", namespace)
                _sync_folder(self.folder)
                _sync_folder(self.folder.parent)
        self.refresh()

    def __len__(self):
        """The number of distinct texts that have a vector."""
        return len(self._sorted().high)

    @property
    def dimensions(self):
        """The length of the vectors; None while the store is empty and its namespace does not say."""
        return self._width

    def refresh(self):
        """Take in the segments that other writers have added."""
        names, unfinished = [], set()
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".tmp"):
                    unfinished.add(entry.name)
                elif entry.name.endswith(".arrow") and entry.name not in self._segments and entry.name not in self.bad:
                    names.append(entry.name)
        if unfinished - self._unfinished:
            log.info("%s: ignored, unfinished or being written: %s", self.folder, ", ".join(sorted(unfinished)))
            self._unfinished |= unfinished
        opened = {}
        for name in sorted(names):
            try:
                opened[name] = _Segment(self.folder / name)
            except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
                self._reject(name, str(error) or type(error).__name__)
        for name, segment in sorted(opened.items(), key=lambda item: (item[1].time, item[0])):
            self._width = self._width or segment.width
            if segment.width != self._width:
                self._reject(name, f"{segment.width} dimensions instead of {self._width}")
                continue
            self._segments[name] = segment
            self._index = None

    def read(self, keys, out):
        """Copy the vectors that the store has into their rows of `out`.

        keys: uint64 (n, 2); out: float32 (n, d), rows without a vector are left as they are.
        Returns bool (n,), true where the store had the key. Every vector is checked against its checksum as it is
        copied; a segment that fails is reported and left out, and another segment may then serve the key.
        """
        while True:
            index = self._sorted()
            place = index.find(keys)
            found = place >= 0
            wanted = np.flatnonzero(found)
            wanted = wanted[np.argsort(place[wanted], kind="stable")]
            bounds = np.searchsorted(place[wanted], index.starts)
            damaged = False
            for number in np.flatnonzero(np.diff(bounds)):
                part = wanted[bounds[number] : bounds[number + 1]]
                segment, rows = index.segments[number], place[part] - index.starts[number]
                vectors = segment.vectors[rows]
                if np.array_equal(_row_sums(vectors), segment.sums[rows]):
                    out[part] = vectors
                else:
                    self._reject(segment.name, "checksum of a vector does not match")
                    damaged = True
            if not damaged:
                return found

    def append(self, keys, vectors, *, tokens=0):
        """Add vectors as one segment; they are on the disk, and visible to all, when this returns.

        keys: uint64 (n, 2); vectors: (n, d), kept as float32; tokens: what they cost, for the record.
        Returns the name of the segment. Raises UserError if the disk is full or the folder read-only.
        """
        keys = np.ascontiguousarray(keys, "<u8")
        vectors = np.ascontiguousarray(vectors, "<f4")
        if not len(vectors) or keys.shape != (len(vectors), 2) or (self._width or vectors.shape[1]) != vectors.shape[1]:
            raise ValueError(f"keys {keys.shape} and vectors {vectors.shape} for {self._width} dimensions")
        sums = _row_sums(vectors)
        width = vectors.shape[1]
        about = {
            "model": self._model,
            "dimensions": str(width),
            "tokens": str(tokens),
            "crc32": str(_header_sum(keys, sums)),
            "time": str(time.time_ns()),
        }
        columns = {
            "key": pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(keys)]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width),
            "crc32": pa.array(sums),
        }
        batch = pa.record_batch(list(columns.values()), names=list(columns), metadata=about)
        name = uuid.uuid4().hex
        temporary = self.folder / f".{name}.tmp"
        final = self.folder / f"{name}.arrow"
        with _mendable(self.folder):
            try:
                with open(temporary, "wb") as file:
                    with pa.ipc.new_file(file, batch.schema) as writer:
                        writer.write_batch(batch)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(final)
            finally:
                temporary.unlink(missing_ok=True)
            _sync_folder(self.folder)
        self._width = width
        self._segments[final.name] = _Segment(final)
        self._index = None
        return final.name

    def _reject(self, name, why):
        self.bad[name] = why
        if self._segments.pop(name, None):
            self._index = None
        log.warning("%s: left out, %s; its vectors count as missing. The file may be deleted.", self.folder / name, why)

    def _sorted(self):
        if self._index is None:
            self._index = _Index(sorted(self._segments.values(), key=lambda segment: (segment.time, segment.name)))
        return self._index


class _Segment:
    """One file, mapped into memory. Raises ValueError, KeyError, TypeError, OSError or ArrowException if unsound."""

    def __init__(self, path):
        self.name = path.name
        with pa.memory_map(str(path)) as source:  # the mapping outlives the open file: no descriptor is kept
            reader = pa.ipc.open_file(source)
            if reader.num_record_batches != 1:
                raise ValueError(f"{reader.num_record_batches} batches instead of 1")
            about, batch = reader.schema.metadata or {}, reader.get_batch(0)
            batch.validate()
        kinds = [batch.schema.field(name).type for name in ("key", "vector", "crc32")]
        if kinds[0] != pa.binary(KEY_BYTES) or not pa.types.is_fixed_size_list(kinds[1]) or kinds[2] != pa.uint32():
            raise ValueError(f"columns of type {', '.join(map(str, kinds))}")
        self.time = int(about[b"time"])
        self.width = kinds[1].list_size
        self.keys = np.frombuffer(batch["key"].buffers()[1], "<u8", count=2 * batch.num_rows).reshape(-1, 2)
        self.vectors = batch["vector"].flatten().to_numpy().reshape(-1, self.width)
        self.sums = batch["crc32"].to_numpy()
        if self.vectors.dtype != np.float32 or _header_sum(self.keys, self.sums) != int(about[b"crc32"]):
            raise ValueError("checksum of the keys does not match")


class _Index:
    """Where each key's vector is: the keys of all segments, sorted; of equal keys the first stays."""

    def __init__(self, segments):
        self.segments = segments
        self.starts = np.cumsum([0] + [len(segment.keys) for segment in segments])  # and the end of the last
        keys = np.concatenate([np.empty((0, 2), "<u8"), *(segment.keys for segment in segments)])
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: among equal keys the order of the segments holds
        keys = keys[order]
        first = np.ones(len(keys), bool)
        first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        self.high, self.low = np.ascontiguousarray(keys[first, 0]), np.ascontiguousarray(keys[first, 1])
        self.place = order[first]

    def find(self, keys):
        """Row of each key in the concatenated segments, -1 where there is none."""
        place = np.full(len(keys), -1)
        at = np.searchsorted(self.high, keys[:, 0])
        left = np.arange(len(keys))
        while len(left):  # more than once only if different keys share their first 64 bits
            left = left[at[left] < len(self.high)]
            left = left[self.high[at[left]] == keys[left, 0]]
            same = self.low[at[left]] == keys[left, 1]
            place[left[same]] = self.place[at[left[same]]]
            left = left[~same]
            at[left] += 1
        return place


def _row_sums(vectors):
    rows = memoryview(np.ascontiguousarray(vectors)).cast("B")
    step = vectors.shape[1] * 4
    return np.fromiter(
        (isal_zlib.crc32(rows[i : i + step]) for i in range(0, len(rows), step)), np.uint32, len(vectors)
    )


def _header_sum(keys, sums):
    return isal_zlib.crc32(np.ascontiguousarray(sums), isal_zlib.crc32(np.ascontiguousarray(keys)))


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _mendable(folder):
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: the store of embeddings cannot be written ({error.strerror or error}). "
            "Free the disk or point the config key `cache` at a folder you may write to."
        ) from error
