"""The subjects that works are tagged with, read from the works' own source or from a table of links.

A source may say one thing in several ways: concepts without an id, one label under two ids, one id under two labels.
Each is mended in one place, here, and counted. Rows are decoded by msgspec into the few fields that matter; links are
held as integers, and each different concept is looked at once.
"""

import itertools
import logging
import unicodedata
from array import array
from collections import Counter, defaultdict
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from crosswalk import concepts, sources, texts
from crosswalk.errors import UserError

logger = logging.getLogger(__name__)

MADE_UP = "label:"  # before the folded label, where a concept has no id
SHOWN = 3  # ids or labels in a message


class Tags(NamedTuple):
    """Which works bear which subjects.

    work, subject: int32 (L,), one link each, ordered by work and subject and none twice; subjects: DataFrame ordered by
    id, of id, label, works (int, those that bear it) and ids (list of all ids that mean it); counts: dict of what was
    read, left out and folded, for people.
    """

    work: np.ndarray
    subject: np.ndarray
    subjects: pd.DataFrame
    counts: dict


def read(source, settings, *, ids, name, id_column=None, origin=None, tally=None):
    """Read which subjects the works of a collection bear.

    source: path or list of paths, of the works, or of the table of links where settings has `source`; settings: the
    recommender's `tags`; ids: the n ids of the collection, in order; name: of the recommender, for messages;
    id_column: the collection's `id` (None: the row's number in the source, as in sampling); origin: the settings of
    the source that is read (format, delimiter, max_bad_lines); tally: Tally to fill, of rows.
    Returns Tags. Memory: 8 bytes a link, and each different concept once.
    Raises UserError if the path leads nowhere, too many rows hold something else than subjects, no row is about a work
    of the collection, or no work has a subject; and what `sources.read` raises.
    """
    tally = sources.Tally() if tally is None else tally
    table = settings.get("source") is not None
    origin = (settings.get("source") if origin is None and table else origin) or {}
    key = f"recommend.{name}.tags"
    reading = {"fmt": origin.get("format", "auto"), "delimiter": origin.get("delimiter")}
    reading["max_bad_lines"] = origin.get("max_bad_lines", 0.01)
    numbers = defaultdict(itertools.count().__next__)
    if table:
        work, code, counts = _from_table(source, settings, ids, numbers, reading, tally, key)
    else:
        work, code, counts = _from_rows(source, settings, ids, id_column, numbers, reading, tally, key)
    named = list(map(concepts.named, numbers))
    plain = settings.get("id") is None or settings.get("delimiter") is not None
    if not table and not plain:
        _check_keys(named, source, settings, reading, key)
    tags = _fold(np.frombuffer(work, np.int32), np.frombuffer(code, np.int32), named, len(ids))
    tags.counts.update(rows=tally.read, left_out=dict(sorted(tally.rejected.items())), **counts)
    if not len(tags.work):
        _refuse_none(source, settings, reading, tally, key, table=table)
    _report(name, tags, tally)
    return tags


def fold(text):
    """A text for comparison: without regard to capitals, runs of white space and the ways Unicode writes a letter.

    Canonical caseless matching of the Unicode standard (D145), composed again.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFD", text).casefold().split()))


def _from_rows(source, settings, ids, id_column, numbers, reading, tally, key):
    """Links in the rows of the works: work int32, concept int32, as arrays, and counts."""
    column, elements = concepts.mapping(settings, key)
    places, links = _Places(ids, tally), concepts.Links(elements, numbers)
    faults = concepts.Faults(tally, reading["max_bad_lines"], key)
    named = [] if id_column is None else [id_column]
    kinds = {} if column == id_column else {column: elements.kind}
    before = tally.read
    for file, line, row in sources.read_typed(source, columns=[*named, column], kinds=kinds, tally=tally, **reading):
        typed = isinstance(row, tuple)
        values = row[-1] if typed else [row.get(column)]
        if id_column is None:
            # Every row read counts, unreadable ones too, as when the collection was drawn.
            last = tally.read - before
            owns = [f"row-{i}" for i in range(last - len(values) + 1, last + 1)]
        else:
            owns = row[0] if typed else [row.get(id_column)]
        found = places.of(owns)
        if None in found:
            values = [value for value, place in zip(values, found, strict=True) if place is not None]
            found = [place for place in found if place is not None]
        tally.kept += len(found)
        if not typed:
            try:
                values = list(map(elements.typed, values))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                tally.kept -= 1
                faults(file, line, error)
                values = [None]
        links.add(found, values)
    faults.finish()
    work, code = links.finish()
    met = np.bincount(links.met, minlength=len(ids))
    if not len(links.met):
        places.refuse(f"{key}: no row of the source is about", "Run again from the start: it changed.")
    counts = {"works_not_found": int((met == 0).sum()), "works_found_twice": int((met - 1).clip(0).sum())}
    return work, code, counts | {"subjects_of_several_concepts": elements.several}


def _from_table(source, settings, ids, numbers, reading, tally, key):
    """Links in a table with one link a row: what `_from_rows` returns."""
    for part in ("work", "id" if settings.get("id") is not None else "label"):
        if settings.get(part) is None:
            raise UserError(f"{key}.{part}: missing. With {key}.source, name the column of the table.")
    places, work, code = _Places(ids, tally), array("i"), array("i")
    of_work, of_id, of_label = (settings.get(part) for part in ("work", "id", "label"))
    columns = [column for column in (of_work, of_id, of_label) if column is not None]
    for _, _, row in sources.read(source, columns=columns, tally=tally, **reading):
        place = places.careful(row.get(of_work))
        if place is None:
            continue
        tally.kept += 1
        work.append(place)
        label = "" if of_label is None else texts.plain(row.get(of_label))
        code.append(numbers[label if of_id is None else (texts.identifier(row.get(of_id)), label)])
    if not work:
        places.refuse(f"{key}.work: no row of the table is about", "Correct the column, or the `id` of the collection.")
    return work, code, {}


class _Places:
    """The row of each work in the collection; rows of a source about other works are counted, and a few remembered."""

    def __init__(self, ids, tally):
        self.ids, self.tally, self.others, self.next = list(ids), tally, [], 0

    @cached_property
    def places(self):
        return {own: place for place, own in enumerate(self.ids)}

    def of(self, owns):
        """The places of works by their ids as the source has them; None for works that are not in the collection."""
        last = self.next + len(owns)
        if owns == self.ids[self.next : last]:  # as when all works of a source make the collection: no look-up needed
            found, self.next = list(range(self.next, last)), last
            return found
        try:
            found = list(map(self.places.get, owns))
        except TypeError:  # a list is no key
            found = [None] * len(owns)
        if None in found:
            found = [self.careful(own) if place is None else place for own, place in zip(owns, found, strict=True)]
        self.next = self.next if found[-1] is None else found[-1] + 1
        return found

    def careful(self, own):
        own = texts.identifier(own)
        place = self.places.get(own)
        if place is None:
            self.tally.reject("not a work of the collection" if own else "no id")
            if own and len(self.others) < SHOWN:
                self.others.append(own)
        return place

    def refuse(self, what, cure):
        raise UserError(
            f"{what} a work of the collection. It names works such as {_quoted(self.others)}, the collection such as "
            f"{_quoted(self.ids)}. {cure}"
        )


def _fold(work, code, named, n):
    """Tags of links between works and concepts, with everything that means the same made one subject."""
    counts = {"works": n, "concepts": len(code)}
    size = np.bincount(code, minlength=len(named))
    bare = np.array([not own and not label for own, label in named], bool)
    made = np.array([not own and bool(label) for own, label in named], bool)
    counts["concepts_without_id_and_label"] = int(size[bare].sum())
    counts["concepts_without_id"] = int(size[made].sum())
    own_ids = [own or (MADE_UP + fold(label) if label else "") for own, label in named]
    ids = sorted(set(own_ids) - {""})
    number = {own: i for i, own in enumerate(ids)}
    of_code = np.array([number.get(own, -1) for own in own_ids], np.int32)
    labels, several = _labels(ids, own_ids, named, size)
    counts["ids_with_several_labels"] = several
    work, of_link = _unique(work, of_code[code], len(ids))
    members = defaultdict(list)
    bearing = np.bincount(of_link, minlength=len(ids))
    invented = {own_ids[i] for i in np.flatnonzero(made)} - {own for own, _ in named}
    last = np.fromiter((own in invented for own in ids), bool, len(ids))
    for i in np.lexsort((-bearing, last)).tolist():  # equals stay in the order of their ids
        members[fold(labels[i])].append(i)
    groups = sorted(members.values(), key=lambda group: ids[group[0]])
    counts["ids_folded"] = len(ids) - len(groups)
    of_id = np.empty(len(ids), np.int32)
    of_id[list(itertools.chain.from_iterable(groups))] = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    # Without two ids for one label, each is its own subject: groups are ordered as ids are.
    work, subject = _unique(work, of_id[of_link], len(groups)) if len(groups) < len(ids) else (work, of_link)
    counts["same_subject_twice"] = len(code) - counts["concepts_without_id_and_label"] - len(work)
    counts.update(
        subjects=len(groups), links=len(work), works_without_subjects=n - int(np.count_nonzero(np.bincount(work)))
    )
    table = {
        "id": [ids[group[0]] for group in groups],
        "label": [labels[group[0]] for group in groups],
        "works": np.bincount(subject, minlength=len(groups)),
        "ids": [[ids[i] for i in group] for group in groups],
    }
    return Tags(work, subject, pd.DataFrame(table), counts)


def _labels(ids, own_ids, named, size):
    """The most frequent label of each id, the first by alphabet among equals, and how many ids have several."""
    chosen = {own: label for own, (_, label) in zip(own_ids, named, strict=True) if label}
    several = {own for own, (_, label) in zip(own_ids, named, strict=True) if label and chosen[own] != label}
    votes = {own: Counter() for own in several}
    for own, (_, label), n in zip(own_ids, named, size.tolist(), strict=True):
        if own in several and label:
            votes[own][label] += n
    chosen |= {own: min(votes[own].items(), key=lambda item: (-item[1], item[0]))[0] for own in several}
    return [chosen.get(own, own) for own in ids], len(several)


def _unique(work, item, m):
    """Pairs in order and none twice; those whose item is -1 left out."""
    kept = item >= 0
    # Sorted and compared: numpy's unique hashes, which takes twenty times as long here.
    pairs = np.sort(work[kept].astype(np.int64) * max(m, 1) + item[kept])
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    work = pairs // max(m, 1)  # which numpy does faster than divmod
    return work.astype(np.int32), (pairs - work * max(m, 1)).astype(np.int32)


def _check_keys(named, source, settings, reading, key):
    """Raise UserError if no element has the key of the id, or of the label, though there are elements."""
    label = settings.get("label") not in (None, settings["id"])
    if named and (not any(own for own, _ in named) or (label and not any(label for _, label in named))):
        concepts.explain(source, settings, reading, key)


def _refuse_none(source, settings, reading, tally, key, *, table):
    if not table:
        concepts.explain(source, settings, reading, key)
    where = f"column {settings.get('id') or settings['label']}" if table else settings["path"]
    raise UserError(
        f"{key}: no work of the collection has a subject in {where}; {tally.reasons()}. Name the place that holds the "
        "subjects, or a collection whose works have some."
    )


def _quoted(values):
    return ", ".join(f'"{value}"' for value in values[:SHOWN]) or "none"


def _report(name, tags, tally):
    counts = tags.counts
    told = "; ".join(f"{what.replace('_', ' ')}: {n:,}" for what, n in counts.items() if isinstance(n, int) and n)
    logger.info("%s: %s", name, told)
    if tally.rejected:
        logger.info("%s: %s", name, tally.reasons())
