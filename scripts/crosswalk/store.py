"""A store of vectors under a hash of their text: paid once, kept for good, shared between runs and machines.

A namespace (one model with all that shapes its vectors) is a folder of immutable Arrow IPC segments. A segment is
written under a temporary name and renamed into place, so it is whole or absent; nothing is ever rewritten, so readers
need no lock. A stale listing, as network file systems give, costs a vector computed twice, never a wrong one.

A segment has the columns key and vector and, in its metadata, a checksum for each block of rows and one for all else:
1.0091 times the bytes of 1,000 float32 vectors of 384, 1.0026 of 1,536. Segments of the first layout (keys of 16
bytes, a checksum for each row: 1.0139 and 1.0035) are read as well. float16 halves the bytes. Measured on 5,000
vectors of MiniLM and 5,000 random ones, of 384: the cosine of a vector with its stored self is off by at most 3.0e-8
and 2.9e-8, that of two vectors by 7.9e-5 and 7.9e-5; of the ten nearest neighbours 99.98 % and 99.94 % stay.
"""

import base64
import contextlib
import errno
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
KEPT_BYTES = 12  # of a key, in a segment: among 1e9 texts any two are confused with probability 1e-11
KEPT_LOW = np.uint64(2 ** (8 * KEPT_BYTES - 64) - 1)
BLOCK_BYTES = 16384  # of vectors under one checksum: a look-up reads little, and the checksums weigh nothing
LISTINGS = 16  # of a folder that keeps changing, before the last one is taken as it is
UNIT = 1e-3  # by how much the length of a vector kept as float16 may differ from 1
# What opening a damaged file raises.
UNSOUND = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, pa.ArrowException)


def text_keys(texts):
    """The 128-bit BLAKE2b hash of each text's UTF-8 bytes, as uint64 (n, 2)."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest() for text in texts)
    return np.frombuffer(digests, "<u8").reshape(-1, 2)


class Store:
    """The vectors of one namespace.

    folder: str or Path, the parent of all namespaces; namespace: dict of str, int and None that holds everything
    a vector depends on but its text, with "model" and "dimensions" (None if only an answer can tell) among the keys;
    dtype: "float32" or "float16", how vectors are kept from now on; what was kept before is read either way.

    bad: dict of file name to what is wrong with it, for every segment that was found damaged; what is damaged is left
    out: all of it, or the rows under a checksum that does not match.
    Raises UserError where the folder cannot be made or written.
    """

    def __init__(self, folder, namespace, *, dtype="float32"):
        if dtype not in ("float32", "float16"):
            raise ValueError(f"dtype {dtype!r}")
        plain = json.dumps(namespace, sort_keys=True, ensure_ascii=True, allow_nan=False)
        digest = hashlib.blake2b(plain.encode(), digest_size=KEY_BYTES).hexdigest()
        self.folder = Path(folder) / digest
        self.bad = {}
        self._model = str(namespace["model"])
        self._width = namespace["dimensions"]
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._segments = {}  # by name
        self._spent = {}  # by name, of all segments that can be opened: dict of study to tokens
        self._parts = {}  # by name: what a merged segment was made of
        self._index = None
        self._unfinished = set()
        with mendable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / "namespace.json").exists():
                files.write_json(self.folder / "namespace.json", namespace)
                sync_folder(self.folder)
                sync_folder(self.folder.parent)
        self.refresh()

    def __len__(self):
        """The number of distinct texts that have a vector."""
        return len(self._sorted().high)

    @property
    def dimensions(self):
        """The length of the vectors; None while the store is empty and its namespace does not say."""
        return self._width

    def refresh(self):
        """Take in the segments that other writers have added, and let go of those that were merged or pruned."""
        opened = {}
        for _ in range(LISTINGS):
            names, unfinished = listing(self.folder)
            new = sorted(names - self._segments.keys() - self.bad.keys() - opened.keys())
            if not self._open(new, opened):
                break
        if unfinished - self._unfinished:
            log.info("%s: ignored, unfinished or being written: %s", self.folder, ", ".join(sorted(unfinished)))
            self._unfinished |= unfinished
        for name in [name for name in self._spent if name not in names]:
            del self._spent[name], self._parts[name]
            if self._segments.pop(name, None):
                self._index = None
        for name, segment in sorted(opened.items(), key=lambda item: (item[1].time, item[0])):
            if name in names:
                self._take_in(name, segment)

    def _open(self, names, opened):
        """Open segments into a dict; whether any has vanished since it was listed, which asks for a new listing."""
        vanished = False
        for name in names:
            try:
                opened[name] = Segment(self.folder / name)
            except UNSOUND as error:
                if getattr(error, "errno", None) in (errno.ENOENT, errno.ESTALE):
                    vanished = True
                else:
                    self._reject(name, str(error) or type(error).__name__)
        return vanished

    def _take_in(self, name, segment):
        self._width = self._width or segment.width
        self._spent[name], self._parts[name] = segment.spent, segment.parts
        if segment.width != self._width:
            self._reject(name, f"{segment.width} dimensions instead of {self._width}")
            return
        self._segments[name] = segment
        self._index = None

    def read(self, keys, out):
        """Copy the vectors that the store has into their rows of `out`.

        keys: uint64 (n, 2); out: float32 (n, d), rows without a vector are left as they are.
        Returns bool (n,), true where the store had the key. Every vector is checked against its checksum as it is
        copied; rows that fail are reported and left out, and another segment may then serve the key. Vectors that
        are kept as float16 are brought back to length 1.
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
                if not segment.check(np.unique(rows // segment.block)).any():
                    out[part] = _as_read(segment.vectors[rows])
                else:
                    self._report(segment)
                    damaged = True
            if not damaged:
                return found

    def append(self, keys, vectors, *, tokens=0, study=""):
        """Add vectors as one segment; they are on the disk, and visible to all, when this returns.

        keys: uint64 (n, 2); vectors: (n, d), of length 1 if they are to be kept as float16; tokens: what they cost,
        and study: for which one, for the record.
        Returns the name of the segment. Raises UserError if the disk is full or the folder read-only.
        """
        keys, vectors = np.asarray(keys), np.asarray(vectors)
        if not len(vectors) or keys.shape != (len(vectors), 2) or (self._width or vectors.shape[1]) != vectors.shape[1]:
            raise ValueError(f"keys {keys.shape} and vectors {vectors.shape} for {self._width} dimensions")
        segment = write_segment(
            self.folder,
            f"{uuid.uuid4().hex}.arrow",
            keys,
            self._kept(vectors),
            model=self._model,
            spent={study: int(tokens)} if tokens else {},
            time=time.time_ns(),
        )
        self._take_in(segment.name, segment)
        return segment.name

    def has(self, keys):
        """Which of the keys, uint64 (n, 2), have a vector; bool (n,)."""
        return self._sorted().find(keys) >= 0

    def as_read(self, vectors):
        """The vectors, float32 (n, d), as `read` will give them once they are appended."""
        return _as_read(self._kept(np.asarray(vectors)))

    def spent(self, study=""):
        """The tokens recorded under a study, by all writers so far; "" is what names no study."""
        self.refresh()
        merged = {part for parts in self._parts.values() for part in parts}  # not yet deleted: counted in the whole
        return sum(spent.get(study, 0) for name, spent in self._spent.items() if name not in merged)

    def _kept(self, vectors):
        if self._dtype.itemsize == 2 and not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT).all():
            raise ValueError("only vectors of length 1 are kept as float16")
        return np.ascontiguousarray(vectors, self._dtype)

    def _report(self, segment):
        first = segment.name not in self.bad
        self.bad[segment.name] = f"{segment.damaged_rows()} of {len(segment.keys)} vectors do not match their checksum"
        self._index = None
        (log.warning if first else log.debug)(
            "%s: %s; these count as missing.", self.folder / segment.name, self.bad[segment.name]
        )

    def _reject(self, name, why):
        self.bad[name] = why
        log.warning("%s: left out, %s; its vectors count as missing. The file may be deleted.", self.folder / name, why)

    def _sorted(self):
        if self._index is None:
            self._index = Index(sorted(self._segments.values(), key=Segment.order))
        return self._index


class Segment:
    """One file, mapped into memory; deleting it meanwhile does no harm.

    name; model; time and newest: of the first and last writing of what is in it, in ns since 1970; width;
    keys: uint64 (n, 2), of which the last 32 bits are zero; vectors: float32 or float16 (n, width), as they are kept;
    block: rows under one checksum; sums: uint32 (number of blocks,); dead: bool, blocks that were found damaged;
    spent: dict of study to tokens; parts: names of the segments that it was merged from.
    Raises one of UNSOUND if the file is damaged or foreign.
    """

    def __init__(self, path, *, name=None):
        self.name = name or path.name
        with pa.memory_map(str(path)) as source:  # the mapping outlives the open file: no descriptor is kept
            reader = pa.ipc.open_file(source)
            if reader.num_record_batches != 1:
                raise ValueError(f"{reader.num_record_batches} batches instead of 1")
            about = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
            batch, own = reader.get_batch_with_custom_metadata(0)
            batch.validate()
        own = {key.decode(): value.decode() for key, value in (own or {}).items()}
        self.model = about.get("model", "")
        self.time = int(about["time"])
        self.newest = int(about.get("newest", self.time))
        self.vectors = _vectors(batch)
        self.width = self.vectors.shape[1]
        key_type = batch.schema.field("key").type
        if key_type not in (pa.binary(KEPT_BYTES), pa.binary(KEY_BYTES)):
            raise ValueError(f"a column of keys of type {key_type}")
        raw = np.frombuffer(batch["key"].buffers()[1], np.uint8, count=key_type.byte_width * batch.num_rows)
        self.keys = _padded(raw.reshape(-1, key_type.byte_width))
        if "block" in about:
            self.block, self.sums = int(about["block"]), np.frombuffer(base64.b64decode(own["crc32"]), "<u4")
            self.spent, self.parts = json.loads(about["spent"]), json.loads(own.get("parts", "[]"))
            said, real = about.pop("crc32"), _rest_sum(raw, self.sums, about, own)
        else:  # the first layout
            if batch.schema.field("crc32").type != pa.uint32():
                raise ValueError(f"a column of checksums of type {batch.schema.field('crc32').type}")
            self.block, self.sums = 1, batch["crc32"].to_numpy()
            tokens = int(about.get("tokens", 0))
            self.spent, self.parts = {"": tokens} if tokens else {}, []
            said, real = about["crc32"], isal_zlib.crc32(self.sums, isal_zlib.crc32(raw))
        if int(said) != real or len(self.sums) != -(-len(self.keys) // max(self.block, 1)):
            raise ValueError("checksum of the keys does not match")
        self.dead = np.zeros(len(self.sums), bool)

    def order(self):
        """What segments are sorted by: of equal keys the one in the first segment counts."""
        return self.time, self.name

    def check(self, blocks=None):
        """Whether each block, of the given numbers or of all, is damaged: bool; `dead` is brought up to date."""
        blocks = np.arange(len(self.sums)) if blocks is None else blocks
        wrong = _block_sums(self.vectors, self.block, blocks) != self.sums[blocks]
        self.dead[blocks] = wrong
        return wrong

    def alive(self):
        """Which rows are not known to be damaged: bool (n,)."""
        return ~np.repeat(self.dead, self.block)[: len(self.keys)]

    def damaged_rows(self):
        """How many rows are under a checksum that does not match, as far as checked."""
        return int((~self.alive()).sum())


def write_segment(folder, name, keys, vectors, *, model, spent, time, newest=None, parts=()):
    """Write a segment, whole and synced, under its name.

    folder: Path of the namespace; name: that no other writer has; keys: uint64 (n, 2); vectors: float32 or float16
    (n, d), contiguous, kept as they are; model: str; the others are as in `Segment`.
    Returns the Segment. Raises UserError if it cannot be written; nothing is then left behind.
    """
    raw = np.ascontiguousarray(keys, "<u8").view(np.uint8).reshape(-1, KEY_BYTES)[:, :KEPT_BYTES].copy()
    width = vectors.shape[1]
    block = max(1, BLOCK_BYTES // (width * vectors.itemsize))
    sums = _block_sums(vectors, block, np.arange(-(-len(vectors) // block)))
    about = {
        "model": model,
        "dimensions": str(width),
        "tokens": str(sum(spent.values())),
        "spent": json.dumps(spent, sort_keys=True),
        "time": str(time),
        "block": str(block),
        **({} if newest in (None, time) else {"newest": str(newest)}),
    }
    # Beside the batch, since the schema is written twice, at the beginning and at the end.
    own = {"crc32": base64.b64encode(sums.tobytes()).decode()}
    if parts:
        own["parts"] = json.dumps(list(parts))
    about["crc32"] = str(_rest_sum(raw, sums, about, own))
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEPT_BYTES), len(raw), [None, pa.py_buffer(raw)]),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width),
    ]
    batch = pa.record_batch(columns, names=["key", "vector"], metadata=about)
    temporary = folder / f".{Path(name).stem}.tmp"
    with mendable(folder):
        try:
            with open(temporary, "wb") as file:
                with pa.ipc.new_file(file, batch.schema) as writer:
                    writer.write_batch(batch, custom_metadata=own)
                file.flush()
                os.fsync(file.fileno())
            segment = Segment(temporary, name=name)  # by its final name another process may already have merged it
            temporary.replace(folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
    return segment


def listing(folder):
    """The names of the segments in a folder, and of unfinished files: two sets of str.

    While another process merges segments, one listing can miss both the old ones and the new one; the next one then
    differs, so the folder is listed until nothing changes.
    """
    last = None
    for _ in range(LISTINGS):
        with os.scandir(folder) as entries:
            names = {entry.name for entry in entries}
        segments = {name for name in names if name.endswith(".arrow")}
        if segments == last:
            break
        last = segments
    return segments, {name for name in names if name.endswith(".tmp")}


class Index:
    """Where each key's vector is: the keys of all segments, sorted; of equal keys the first stays."""

    def __init__(self, segments):
        self.segments = segments
        self.starts = np.cumsum([0] + [len(segment.keys) for segment in segments])  # and the end of the last
        keys = np.concatenate([np.empty((0, 2), "<u8"), *(segment.keys for segment in segments)])
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: among equal keys the order of the segments holds
        if any(segment.dead.any() for segment in segments):
            order = order[np.concatenate([segment.alive() for segment in segments])[order]]
        keys = keys[order]
        first = np.ones(len(keys), bool)
        first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        self.high, self.low = np.ascontiguousarray(keys[first, 0]), np.ascontiguousarray(keys[first, 1])
        self.place = order[first]

    def find(self, keys):
        """Row of each key in the concatenated segments, -1 where there is none."""
        place = np.full(len(keys), -1)
        low = keys[:, 1] & KEPT_LOW
        at = np.searchsorted(self.high, keys[:, 0])
        left = np.arange(len(keys))
        while len(left):  # more than once only if different keys share their first 64 bits
            left = left[at[left] < len(self.high)]
            left = left[self.high[at[left]] == keys[left, 0]]
            same = self.low[at[left]] == low[left]
            place[left[same]] = self.place[at[left[same]]]
            left = left[~same]
            at[left] += 1
        return place


def _vectors(batch):
    kind = batch.schema.field("vector").type
    if not pa.types.is_fixed_size_list(kind) or kind.value_type not in (pa.float32(), pa.float16()):
        raise ValueError(f"a column of vectors of type {kind}")
    dtype = "<f4" if kind.value_type == pa.float32() else "<f2"
    data = batch["vector"].values.buffers()[1]
    return np.frombuffer(data, dtype, count=batch.num_rows * kind.list_size).reshape(batch.num_rows, kind.list_size)


def _padded(raw):
    """Keys as uint64 (n, 2), the bytes that are not kept zero, whichever layout they come from."""
    keys = np.zeros((len(raw), KEY_BYTES), np.uint8)
    keys[:, :KEPT_BYTES] = raw[:, :KEPT_BYTES]
    return keys.view("<u8")


def _as_read(vectors):
    if vectors.dtype == np.float32:
        return vectors
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _block_sums(vectors, block, blocks):
    """The CRC-32 of the bytes of each of the blocks of so many rows: uint32 (number of blocks,)."""
    content = memoryview(vectors).cast("B")
    step = vectors.shape[1] * vectors.itemsize * block
    starts = (blocks * step).tolist()
    return np.fromiter((isal_zlib.crc32(content[i : i + step]) for i in starts), np.uint32, len(starts))


def _rest_sum(raw, sums, about, own):
    """The CRC-32 of all that is in a segment but its vectors."""
    rest = json.dumps([about, own], sort_keys=True).encode()
    return isal_zlib.crc32(rest, isal_zlib.crc32(np.ascontiguousarray(sums), isal_zlib.crc32(raw)))


def sync_folder(folder):
    """Have the names in a folder written to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def mendable(folder, what="the store of embeddings"):
    """Say what the user can do about a folder that cannot be written; what: it holds."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: {what} cannot be written ({error.strerror or error}). "
            "Free the disk or point the config key `cache` at a folder you may write to."
        ) from error
