"""Draws that depend on seed and ids alone, and the rows held on disk until a draw is over.

A draw is a bottom-k sample (Cohen & Kaplan, 2007): every id gets a pseudo-random rank, a hash keyed by the seed, and
the k lowest win. So one pass is enough, and neither the order of the source nor rows that are added elsewhere decide.
"""

import hashlib
import heapq
import tempfile
from array import array
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from crosswalk.files import atomic

FLUSH_ROWS, FLUSH_BYTES = 10_000, 1 << 24  # a row group of the output, whichever comes first


def rank(value, seed=None):
    """A stable 64-bit hash of an id (BLAKE2b), keyed by the seed if one is given."""
    keyed = b"" if seed is None else seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8, key=keyed).digest(), "little")


class Draw:
    """Bottom-k sample of each group: keeps the `n` lowest ranks offered, or everything when `n` is None."""

    def __init__(self, n):
        self.n, self.offered, self.held, self.heaps = n, 0, 0, {}

    def offer(self, group, rank):
        """Whether the row is among the lowest so far; if so, its number is the count of rows held before it."""
        self.offered += 1
        if self.n is not None:
            heap = self.heaps.setdefault(group, [])
            if len(heap) < self.n:
                heapq.heappush(heap, (-rank, self.held))
            elif rank < -heap[0][0]:
                heapq.heapreplace(heap, (-rank, self.held))
            else:
                return False
        self.held += 1
        return True

    def __len__(self):
        return self.offered if self.n is None else sum(map(len, self.heaps.values()))

    def chosen(self):
        """The numbers of the rows that won, ascending."""
        if self.n is None:
            return range(self.held)
        return sorted(number for heap in self.heaps.values() for _, number in heap)


class Store:
    """Holds rows on disk until the draw is over, then writes those that won."""

    def __init__(self, path, columns):
        own, self.kept = columns
        self.path = Path(path)
        self.columns = own + self.kept
        self.starts = array("Q", [0])

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = tempfile.TemporaryFile(dir=self.path.parent)
        return self

    def __exit__(self, *_):
        self.file.close()

    def hold(self, record):
        self.starts.append(self.starts[-1] + self.file.write(msgspec.msgpack.encode(record)))

    def write(self, numbers):
        """Write the rows with these numbers, ascending; returns how many they are, and how many texts are cut."""
        schema = pa.schema([(column, pa.string()) for column in self.columns])
        n, cut = 0, 0
        with atomic(self.path) as file, pq.ParquetWriter(file, schema, compression="zstd") as table:
            for rows in self._groups(numbers):
                n, cut = n + len(rows), cut + sum(was for was, _ in rows)
                table.write_batch(
                    pa.record_batch(
                        [pa.array(values, pa.string()) for values in zip(*(row for _, row in rows), strict=True)],
                        schema,
                    )
                )
        return n, cut

    def _groups(self, numbers):
        rows, size = [], 0
        for number in numbers:
            start, end = self.starts[number], self.starts[number + 1]
            self.file.seek(start)
            rows.append(msgspec.msgpack.decode(self.file.read(end - start)))
            size += end - start
            if len(rows) >= FLUSH_ROWS or size >= FLUSH_BYTES:
                yield rows
                rows, size = [], 0
        if rows:
            yield rows
