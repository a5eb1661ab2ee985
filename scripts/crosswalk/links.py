"""Links between collections: how many rows lead to each item, and which items a row may lead to."""

import itertools
import json
from bisect import bisect_left

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crosswalk import drawing
from crosswalk.errors import UserError
from crosswalk.files import atomic

SHOWN = 3  # ids in an error


def key(ids):
    """A stable 64-bit hash of ids (BLAKE2b).

    ids: iterable of str. Returns uint64 (n,).
    """
    return np.fromiter((drawing.rank(value) for value in ids), np.uint64)


def write_counts(path, keys, counts, examples):
    """Write what `count_links` returned."""
    table = pa.table({"key": pa.array(keys, pa.uint64()), "n": pa.array(counts, pa.int64())})
    with atomic(path) as file:
        pq.write_table(table.replace_schema_metadata({"examples": json.dumps(examples)}), file, compression="zstd")


def merge(keys, counts, pending):
    """Add the keys in the array `pending` to sorted unique keys and their counts."""
    more, n = np.unique(np.frombuffer(pending, np.uint64), return_counts=True)
    merged, place = np.unique(np.concatenate([keys, more]), return_inverse=True)
    total = np.zeros(len(merged), np.int64)
    np.add.at(total, place, np.concatenate([counts, n]))
    return merged, total


class Counted:
    """How many rows of a linking collection each item has."""

    def __init__(self, name, path, at_least):
        table = pq.read_table(path)
        self.name, self.at_least = name, at_least
        self.keys, self.n = (memoryview(table[column].to_numpy()) for column in ("key", "n"))
        self.examples = json.loads((table.schema.metadata or {}).get(b"examples", b"[]"))
        self.reason = f"fewer than {at_least} linked rows in {name}"
        self.own, self.matched, self.asked = [], False, False

    def enough(self, item):
        self.asked = True
        wanted = drawing.rank(item)
        place = bisect_left(self.keys, wanted)
        found = place < len(self.keys) and self.keys[place] == wanted
        self.matched = self.matched or found
        if not found and len(self.own) < SHOWN:
            self.own.append(item)
        return found and self.n[place] >= self.at_least

    def refuse_if_nothing_matched(self, name, settings, tally):
        if self.asked and not self.matched:
            raise UserError(
                f"collections.{self.name}.link: its rows link to nothing in {name}. They name items such as "
                f"{show(self.examples)}, while {settings['id']} of {name} holds ids such as {show(self.own)}. "
                "Check link.on, and id of the other collection."
            )


class Target:
    """The items of the collection that is linked to."""

    def __init__(self, name, settings, path):
        if path is None:
            raise ValueError(f"{name} links to another collection, whose table is needed")
        self.ids = set(pq.read_table(path, columns=["id"])["id"].to_pylist())
        self.own, self.matched = [], False

    def reason(self, item):
        """Why a row with this link is left out; None if it is not."""
        if not item:
            return "link to no item"
        if item in self.ids:
            self.matched = True
            return None
        if len(self.own) < SHOWN:
            self.own.append(item)
        return "link to an item outside the sample"

    def refuse_if_nothing_matched(self, name, settings, tally):
        if self.own and not self.matched:
            link = settings["link"]
            raise UserError(
                f"collections.{name}.link: nothing links to {link['to']}. Column {link['on']} holds {show(self.own)}, "
                f"while {link['to']} holds ids such as {show(sorted(self.ids)[:SHOWN])}. "
                f"Check link.on, and id of {link['to']}."
            )


def show(values):
    """The first few of some ids, quoted, for a message."""
    shown = ", ".join(f'"{value}"' for value in itertools.islice(values, SHOWN))
    return shown or "none"
