"""Reading and writing the files that pass between rules: always whole, never half-written, the same bytes each time."""

import contextlib
import hashlib
import json
import os
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from crosswalk.errors import UserError


@contextlib.contextmanager
def atomic(path, mode="wb"):
    """Open a temporary file beside `path`; put it in place, durably, only when the block succeeds.

    path: str or Path, whose folder is made; mode: "wb" or "w" (UTF-8, "\\n" line ends).
    Yields the open file. The temporary name is unique, so two jobs never write into one file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(path):
    """The sha256 of a file, in hexadecimal, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path, value):
    """Write `value` as indented JSON with sorted keys; NaN is refused, since JSON has none."""
    with atomic(path, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_json(path):
    """The value in a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_csv(path, table):
    """Write a DataFrame for people: no index, floats to six significant digits."""
    with atomic(path, "w") as file:
        table.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")


def write_parquet(path, table):
    """Write a DataFrame or an Arrow table for programs; no pandas metadata, so that bytes depend on content alone."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    with atomic(path) as file:
        pq.write_table(table.replace_schema_metadata(None), file, compression="zstd")


def read_parquet(path):
    """A Parquet file as a DataFrame."""
    return pq.read_table(path).to_pandas()


def write_vectors(path, ids, vectors, *, column="embedding", metadata=None):
    """Write rows of numbers as an uncompressed Arrow IPC file that can be memory-mapped.

    ids: n strings; vectors: (n, d) array, stored as float32; column: name of the vector column;
    metadata: dict of str to str, kept in the schema.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if len(ids) != len(vectors):
        raise ValueError(f"{len(ids)} ids for {len(vectors)} vectors")
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = pa.table({"id": pa.array(list(ids), pa.string()), column: values})
    table = table.replace_schema_metadata({k: str(v) for k, v in sorted((metadata or {}).items())} or None)
    with atomic(path) as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def write_tensors(path, tensors):
    """Write arrays by name as safetensors, without metadata, whose order would change from run to run."""
    with atomic(path) as file:
        file.write(save({name: np.ascontiguousarray(value) for name, value in sorted(tensors.items())}))


def read_vectors(path, *, ids=None):
    """Read what `write_vectors` wrote, without copying it into memory.

    ids: if given, the ids the rows must have, in order.
    Returns ids (object array of n str), vectors (float32 (n, d), read-only), metadata (dict of str to str).
    Raises UserError if the ids differ: the file then belongs to another version of the collection.
    """
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    own = table["id"].to_numpy(zero_copy_only=False)
    column = table.column(1)
    width = column.type.list_size
    chunks = [chunk.flatten().to_numpy().reshape(-1, width) for chunk in column.chunks]
    vectors = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty((0, width), np.float32)])
    if ids is not None and not np.array_equal(own, np.asarray(ids, dtype=object)):
        raise UserError(f"{path}: its rows are not those of the collection. Delete the file and run again.")
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    return own, vectors, metadata
