"""Care of the stores of vectors in a cache: what is in them, whether it is sound, making them small, clearing them out.

All functions take the folder that holds the namespaces (`embeddings` in the cache) and are safe beside readers and
writers of the same disk. On a network file system, compact and prune while no other machine uses the cache: there a
deleted file takes its memory map with it.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crosswalk import files
from crosswalk.errors import UserError
from crosswalk.store import KEY_BYTES, UNSOUND, Index, Segment, listing, mendable, sync_folder, write_segment

log = logging.getLogger(__name__)

VECTORS = 20_000  # of a merged segment: few files, and at most 250 MB in memory at 3,072 dimensions
SETTLED = 60  # s after which no writer is still about to put an older segment in place
DAY = 86_400 * 10**9  # ns


class Damage(NamedTuple):
    """A damaged file: in which namespace, its name, what is wrong, and how many vectors in it are still sound."""

    namespace: str
    file: str
    what: str
    sound: int


class Verified(NamedTuple):
    """What was read, and the list of Damage that was found."""

    files: int
    vectors: int
    bytes: int
    damage: list


class Merged(NamedTuple):
    """What became of a namespace: its segments before and after, and its bytes before and after."""

    namespace: str
    segments: tuple
    bytes: tuple


class Pruned(NamedTuple):
    """A file that is, or would be, deleted: why, and how many sound vectors and bytes go with it."""

    namespace: str
    file: str
    why: str
    vectors: int
    bytes: int


def info(folder):
    """What each namespace holds.

    Returns a list of dicts of namespace (the name of its folder), provider, model, dimensions, segments, vectors,
    distinct (keys), duplicates, bytes (of segments), tokens, spent (dict of study to tokens), damaged and unfinished
    (lists of file names), oldest and newest (time of writing, s since 1970, None if empty). Vectors themselves are not
    read: what is damaged among them, `verify` finds.
    """
    return [_info(place) for place in _namespaces(folder)]


def _info(place):
    segments, damage, unfinished = _opened(place)
    about, _ = _about(place)
    vectors, distinct = sum(len(segment.keys) for segment in segments), len(Index(segments).place)
    merged = {part for segment in segments for part in segment.parts}
    spent = _spent(segment for segment in segments if segment.name not in merged)
    return {
        "namespace": place.name,
        "provider": about.get("provider"),
        "model": about.get("model"),
        "dimensions": about.get("dimensions") or (segments[0].width if segments else None),
        "segments": len(segments),
        "vectors": vectors,
        "distinct": distinct,
        "duplicates": vectors - distinct,
        "bytes": _bytes(place, [segment.name for segment in segments]),
        "tokens": sum(spent.values()),
        "spent": spent,
        "damaged": [one.file for one in damage],
        "unfinished": sorted(unfinished),
        "oldest": segments[0].time / 1e9 if segments else None,
        "newest": max(segment.newest for segment in segments) / 1e9 if segments else None,
    }


def verify(folder, *, progress=iter):
    """Read every segment whole and check every vector, key and record against its checksum.

    progress: wraps the list of files, as `tqdm` does. Returns Verified; nothing is changed.
    """
    found = [(place, name) for place in _namespaces(folder) for name in sorted(listing(place)[0])]
    damage, checked, vectors, size = [], 0, 0, 0
    for place in _namespaces(folder):
        _, wrong = _about(place)
        damage += [Damage(place.name, "namespace.json", wrong, 0)] if wrong and listing(place)[0] else []
    for place, name in progress(found):
        one, segment = _examined(place, name)
        checked += one is not None or segment is not None  # neither: merged or pruned meanwhile
        damage += [one] if one else []
        if segment is not None:
            vectors += len(segment.keys)
            size += _bytes(place, [name])
    return Verified(checked, vectors, size, damage)


def compact(folder, *, vectors=VECTORS, settled=SETTLED):
    """Merge small segments into few of about so many vectors.

    vectors: of a merged segment, at most; settled: s that a segment must be old. Only neighbours in time are merged,
    and the whole takes the time of the oldest, so that the same vector as before counts for every key. Damaged
    segments are left alone, and nothing is merged across them. A merged segment is on the disk before its parts are
    deleted; after a kill in between, the next call deletes them, and what they cost is not counted twice.
    Returns a list of Merged, one for each namespace. Raises UserError if the disk is full or the folder read-only, or
    if another process is compacting or pruning; nothing is lost then.
    """
    return [_compact(place, vectors, time.time_ns() - int(settled * 1e9)) for place in _namespaces(folder)]


def _compact(place, vectors, before):
    names = sorted(listing(place)[0])
    counts, sizes = [len(names)], [_bytes(place, names)]
    with _alone(place):
        for group in _groups(_leftovers_deleted(place), vectors, before):
            _merge(place, group)
    names = listing(place)[0]
    return Merged(place.name, (*counts, len(names)), (*sizes, _bytes(place, names)))


def prune(folder, *, model=None, older_than_days=None, damaged=False, unfinished=False, delete=False):
    """List, and with `delete` delete, what is no longer wanted.

    model: only of this model; older_than_days: only files all of whose vectors were written longer ago; damaged: only
    damaged segments, with what is sound in them; unfinished: only what killed writers left behind, once it is a day
    old. All conditions must hold, except that damaged and unfinished together mean either. What segments cost is
    forgotten with them. Returns a list of Pruned. Raises ValueError without any condition, UserError as `compact`.
    """
    if model is None and older_than_days is None and not damaged and not unfinished:
        raise ValueError("no condition: that would delete everything")
    pruned = []
    for place in _namespaces(folder):
        if model is not None and _about(place)[0].get("model") != model:
            continue
        with _alone(place) if delete else contextlib.nullcontext():
            doomed = _doomed(place, older_than_days, damaged, unfinished)
            if delete:
                _delete(place, [one.file for one in doomed])
        pruned += doomed
    return pruned


def _doomed(place, days, damaged, unfinished):
    """What a namespace has to lose under the conditions of `prune`: list of Pruned."""
    before = time.time_ns() - int((days or 0) * DAY)
    segments, left = listing(place)
    doomed = []
    for name in sorted(segments) if damaged or not unfinished else ():
        one, segment = _examined(place, name, vectors=damaged)
        written = segment.newest if segment else _written(place / name)
        if (damaged and not one) or written is None or written > before:
            continue
        why = one.what if one else "of this model" if days is None else f"older than {days:g} days"
        sound = one.sound if one else len(segment.keys)
        doomed.append(Pruned(place.name, name, why, sound, _bytes(place, [name])))
    for name in sorted(left) if unfinished else ():
        written = _written(place / name)
        if written is not None and written < min(before, time.time_ns() - DAY):
            doomed.append(Pruned(place.name, name, "unfinished", 0, _bytes(place, [name])))
    return doomed


def _groups(segments, vectors, before):
    """Runs of neighbouring segments that go into one: lists of at least two."""
    group, filled = [], 0
    for segment in segments:
        count = 0 if segment is None else len(segment.keys)
        fits = segment is not None and count <= vectors // 2 and segment.newest <= before
        fits = fits and not segment.check().any()
        alike = group and fits and (group[0].width, group[0].vectors.dtype) == (segment.width, segment.vectors.dtype)
        if not alike or filled + count > vectors:
            if len(group) > 1:
                yield group
            group, filled = [], 0
        if fits:
            group.append(segment)
            filled += count
    if len(group) > 1:
        yield group


def _merge(place, group):
    """Put a group of segments into one, and delete them once that is on the disk."""
    index = Index(group)
    first = np.sort(index.place)  # of each key the row that counts
    starts = np.searchsorted(first, index.starts)
    vectors = np.empty((len(first), group[0].width), group[0].vectors.dtype)
    for number, segment in enumerate(group):
        rows = slice(starts[number], starts[number + 1])
        vectors[rows] = segment.vectors[first[rows] - index.starts[number]]
    whole = write_segment(
        place,
        f"{group[0].name[:32].removesuffix('.arrow')}-{uuid.uuid4().hex}.arrow",  # sorts as its oldest part does
        np.concatenate([segment.keys for segment in group])[first],
        vectors,
        model=group[0].model,
        spent=_spent(group),
        time=group[0].time,
        newest=max(segment.newest for segment in group),
        parts=[segment.name for segment in group],
    )
    if not whole.check().any():  # as it lies on the disk
        _delete(place, whole.parts)


def _spent(segments):
    """The tokens of all segments by study."""
    spent = {}
    for segment in segments:
        for study, tokens in segment.spent.items():
            spent[study] = spent.get(study, 0) + tokens
    return spent


def _leftovers_deleted(place):
    """Finish a killed compaction; the segments of a namespace in order, None in place of one that must stay."""
    segments, *_ = _opened(place)
    left, kept = set(), set()
    for whole in segments:
        parts = set(whole.parts) & {segment.name for segment in segments}
        if parts:  # a merged segment that was damaged since cannot stand in for them
            (kept if whole.check().any() else left).update(parts)
    _delete(place, sorted(left - kept))
    return [None if segment.name in kept else segment for segment in segments if segment.name not in left - kept]


def _namespaces(folder):
    folder = Path(folder)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and len(path.name) == 2 * KEY_BYTES)


def _about(place):
    """What `namespace.json` says, and what is wrong with it ("" if nothing)."""
    try:
        about = files.read_json(place / "namespace.json")
        plain = json.dumps(about, sort_keys=True, ensure_ascii=True, allow_nan=False)
        model = about["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return {}, f"{error}; delete it, and the next run with this model writes it anew"
    if hashlib.blake2b(plain.encode(), digest_size=KEY_BYTES).hexdigest() != place.name:
        return {"model": model}, "it does not belong to its folder, whose name is its hash"
    return about, ""


def _opened(place):
    """The segments that can be opened, in order, the Damage of the others, and the names of unfinished files."""
    names, unfinished = listing(place)
    opened = [_open(place, name) for name in sorted(names)]
    damage = [one for one in opened if isinstance(one, Damage)]
    return sorted((one for one in opened if isinstance(one, Segment)), key=Segment.order), damage, unfinished


def _open(place, name):
    """A Segment, its Damage if its content is unsound, None if it is gone; UserError if the system refuses it."""
    try:
        return Segment(place / name)
    except FileNotFoundError:
        return None
    except UNSOUND as error:
        if getattr(error, "errno", None) not in (None, errno.EIO):  # no reason to have it deleted
            raise UserError(f"{place / name}: cannot be read ({error}). Mend that and try again.") from error
        return Damage(place.name, name, str(error) or type(error).__name__, 0)


def _examined(place, name, *, vectors=True):
    """(Damage or None, Segment or None) of a file, read whole if vectors are to be checked; both None if it is gone."""
    segment = _open(place, name)
    if not isinstance(segment, Segment):
        return segment, None
    if not vectors or not segment.check().any():
        return None, segment
    lost = segment.damaged_rows()
    what = f"{lost} of {len(segment.keys)} vectors do not match their checksum"
    return Damage(place.name, name, what, len(segment.keys) - lost), segment


def _bytes(place, names):
    total = 0
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            total += (place / name).lstat().st_size
    return total


def _written(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _delete(place, names):
    with mendable(place):
        for name in names:
            (place / name).unlink(missing_ok=True)
        if names:
            sync_folder(place)


@contextlib.contextmanager
def _alone(place):
    """Keep other compactions and prunings of a namespace out; a kill lets go. Readers and writers need no lock."""
    with mendable(place):
        handle = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{place}: another process is compacting or pruning it. Wait until it is done.") from None
        except OSError as error:  # a file system without locks: two at once lose nothing, but may count costs twice
            log.info("%s: not locked (%s)", place, error.strerror)
        yield
    finally:
        os.close(handle)
