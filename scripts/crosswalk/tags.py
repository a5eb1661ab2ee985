"""The subjects that works are tagged with, read from the works' own source or from a table of links.

A source may say one thing in several ways: concepts without an id, one label under two ids, one id under two labels.
Each is mended in one place, here, and counted. Rows are decoded by msgspec into the few fields that matter; links are
held as integers, and each different concept is looked at once.
"""

import itertools
import logging
import re
import unicodedata
from array import array
from collections import Counter, defaultdict
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd

from crosswalk import sources, texts
from crosswalk.errors import UserError
from crosswalk.wording import near

logger = logging.getLogger(__name__)

MADE_UP = "label:"  # before the folded label, where a concept has no id
LOOKED_AT = 1000  # rows in which an error looks for the keys that there are
SHOWN = 3  # ids or labels in a message
STEP = re.compile(r"([^\[\]]+)((?:\[\])*)")
Plain = str | int | float | None


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
    named = [_named(element) for element in numbers]
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
    column, elements = _mapping(settings, key)
    places, seen = {own: place for place, own in enumerate(ids)}, bytearray(len(ids))
    works, sizes, code = array("i"), array("i"), array("i")
    faults = _Faults(tally, reading["max_bad_lines"], key)
    named = [] if id_column is None else [id_column]
    raw = [] if column == id_column else [column]
    before, repeated, others = tally.read, 0, []
    for file, line, row in sources.read(source, columns=[*named, column], raw=raw, tally=tally, **reading):
        # Every row read counts, unreadable ones too, as when the collection was drawn.
        own = f"row-{tally.read - before}" if id_column is None else texts.identifier(row.get(id_column))
        place = places.get(own)
        if place is None:
            tally.reject("not a work of the collection" if own else "no id")
            if own and len(others) < SHOWN:
                others.append(own)
            continue
        repeated += seen[place]
        seen[place] = 1
        try:
            found = elements(row.get(column))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            faults(file, line, error)
            continue
        tally.kept += 1
        if found:
            works.append(place)
            sizes.append(len(found))
            code.extend(map(numbers.__getitem__, found))
    faults.finish()
    if not any(seen):
        _refuse_strangers(f"{key}: no row of the source is about", others, ids, "Run again from the start: it changed.")
    work = np.repeat(np.frombuffer(works, np.int32), np.frombuffer(sizes, np.int32))
    counts = {"works_not_found": len(ids) - sum(seen), "works_found_twice": repeated}
    return work, code, counts | {"subjects_of_several_concepts": elements.several}


def _from_table(source, settings, ids, numbers, reading, tally, key):
    """Links in a table with one link a row: what `_from_rows` returns."""
    for part in ("work", "id" if settings.get("id") is not None else "label"):
        if settings.get(part) is None:
            raise UserError(f"{key}.{part}: missing. With {key}.source, name the column of the table.")
    places, work, code, others = {own: place for place, own in enumerate(ids)}, array("i"), array("i"), []
    of_work, of_id, of_label = (settings.get(part) for part in ("work", "id", "label"))
    columns = [column for column in (of_work, of_id, of_label) if column is not None]
    for _, _, row in sources.read(source, columns=columns, tally=tally, **reading):
        own = texts.identifier(row.get(of_work))
        place = places.get(own)
        if place is None:
            tally.reject("not a work of the collection" if own else "no id")
            if own and len(others) < SHOWN:
                others.append(own)
            continue
        tally.kept += 1
        work.append(place)
        label = "" if of_label is None else texts.plain(row.get(of_label))
        code.append(numbers[label if of_id is None else (texts.identifier(row.get(of_id)), label)])
    if not work:
        _refuse_strangers(
            f"{key}.work: no row of the table is about",
            others,
            ids,
            "Correct the column, or the `id` of the collection.",
        )
    return work, code, {}


class _Elements:
    """Finds the concepts in the value that a row has in a column, as the mapping says.

    Called with a value, undecoded or not, it returns a list of concepts: hashable, of id and label or of plain text.
    several: how many subjects of more than one concept it has met. Raises msgspec.DecodeError for another type.
    """

    def __init__(self, kind, steps, delimiter=None):
        self.kind, self.steps, self.delimiter, self.several = kind, steps, delimiter, 0
        self.decode = msgspec.json.Decoder(kind).decode
        self.text = kind is Plain

    def __call__(self, value):
        if value.__class__ is msgspec.Raw:
            value = self.decode(value)
        elif isinstance(value, str):
            if not self.text:
                value = self.decode(value) if value.strip() else None
        else:
            value = None if texts.absent(value) else msgspec.convert(value, self.kind)
        if self.text:
            text = texts.plain(value)
            return [part for part in ([text] if self.delimiter is None else text.split(self.delimiter)) if part.strip()]
        return self._flat(value)

    def _flat(self, value):
        if value is None or value == []:
            return []
        found, lists = [value], 0
        for into_list in self.steps:
            if None in found:
                found = [one for one in found if one is not None]
            if not into_list:
                found = [one.inner for one in found]
                continue
            if lists:
                self.several += sum([len(one) > 1 for one in found])
            found = list(itertools.chain.from_iterable(found))
            lists += 1
        return found if lists or found != [None] else []


def _mapping(settings, key):
    """The column that holds the subjects, and the _Elements that finds them there."""
    path, delimiter = settings.get("path"), settings.get("delimiter")
    if not path:
        raise UserError(f"{key}.path: missing. Say where a row lists its subjects, or name a table in {key}.source.")
    if delimiter is not None:
        return path, _Elements(Plain, [], delimiter)
    if settings.get("id") is None:
        kind = Plain
    else:
        kind = msgspec.defstruct("Concept", _fields(settings), frozen=True, gc=False) | None
    steps, levels = [], _levels(path, key)
    for place, (name, depth) in reversed(list(enumerate(levels))):
        for _ in range(depth):
            kind = list[kind] | None
        steps = [True] * depth + steps
        if place:
            kind = (
                msgspec.defstruct("Level", [("inner", kind, msgspec.field(name=name, default=None))], gc=False) | None
            )
            steps = [False, *steps]
    return levels[0][0], _Elements(kind, steps)


def _fields(settings):
    names = {"id": settings["id"], "label": settings.get("label")}
    if names["label"] in (None, names["id"]):
        del names["label"]
    return [(field, Plain, msgspec.field(name=name, default=None)) for field, name in names.items()]


def _levels(path, key):
    """The keys of a path, each with the number of lists behind it."""
    steps = [STEP.fullmatch(step) for step in path.split(".")]
    if not all(steps):
        raise UserError(
            f'{key}.path: "{path}" is no path. Join keys by dots and write [] behind a key that holds a list, as in '
            "subjects[].concepts[]."
        )
    return [(step[1], len(step[2]) // 2) for step in steps]


class _Faults:
    """Counts rows whose subjects are of another type than the mapping says, and stops when there are too many."""

    def __init__(self, tally, share, key):
        self.tally, self.share, self.key, self.n, self.first = tally, share, key, 0, None

    def __call__(self, path, line, error):
        self.tally.reject("subjects of the wrong type")
        self.n += 1
        self.first = self.first or (path, line, error)
        if self.n <= sources.SHOWN:
            logger.warning("%s:%d: subjects of the wrong type (%s), left out", path, line, error)
        early = sources.EARLY
        if self.share == 0 or (self.tally.read > early and self.n > early / 10 + 10 * self.share * self.tally.read):
            self.fail()

    def finish(self):
        if self.n > self.share * self.tally.read:
            self.fail()

    def fail(self):
        path, line, error = self.first
        raise UserError(
            f"{path}:{line}: subjects of the wrong type ({error}); so are {self.n:,} of the {self.tally.read:,} rows "
            f"read, more than source.max_bad_lines allows. Correct {self.key}: in path, [] stands behind every key "
            "that holds a list and behind no other; id is null where the elements are plain text. Or mend the rows."
        )


def _named(element):
    """Id and label of a concept as strings; "" for what it lacks."""
    if isinstance(element, Plain):
        text = texts.identifier(element)
        return text, text
    own, label = element if isinstance(element, tuple) else (element.id, getattr(element, "label", None))
    label = texts.plain(label)
    return texts.identifier(own), "" if label.isspace() else label


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
    for i in sorted(range(len(ids)), key=lambda i: (ids[i] in invented, -bearing[i], ids[i])):
        members[fold(labels[i])].append(i)
    groups = sorted(members.values(), key=lambda group: ids[group[0]])
    counts["ids_folded"] = len(ids) - len(groups)
    of_id = np.empty(len(ids), np.int32)
    for subject, group in enumerate(groups):
        of_id[group] = subject
    work, subject = _unique(work, of_id[of_link], len(groups))
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
    votes = defaultdict(Counter)
    for own, (_, label), n in zip(own_ids, named, size.tolist(), strict=True):
        if label:
            votes[own][label] += n
    labels = [min(votes[own].items(), key=lambda item: (-item[1], item[0]))[0] if own in votes else own for own in ids]
    return labels, sum(len(own) > 1 for own in votes.values())


def _unique(work, item, m):
    """Pairs in order and none twice; those whose item is -1 left out."""
    kept = item >= 0
    # Sorted and compared: numpy's unique hashes, which takes twenty times as long here.
    pairs = np.sort(work[kept].astype(np.int64) * max(m, 1) + item[kept])
    work, item = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], max(m, 1))
    return work.astype(np.int32), item.astype(np.int32)


def _check_keys(named, source, settings, reading, key):
    """Raise UserError if no element has the key of the id, or of the label, though there are elements."""
    label = settings.get("label") not in (None, settings["id"])
    if named and (not any(own for own, _ in named) or (label and not any(label for _, label in named))):
        _explain(source, settings, reading, key)


def _refuse_none(source, settings, reading, tally, key, *, table):
    if not table:
        _explain(source, settings, reading, key)
    where = f"column {settings.get('id') or settings['label']}" if table else settings["path"]
    raise UserError(
        f"{key}: no work of the collection has a subject in {where}; {tally.reasons()}. Name the place that holds the "
        "subjects, or a collection whose works have some."
    )


def _explain(source, settings, reading, key):
    """Raise UserError if a key of the path, of the id or of the label is in none of the first rows."""
    if settings.get("delimiter") is not None:
        return
    levels = _levels(settings["path"], key)
    rows = sources.read(source, columns=[levels[0][0]], **(reading | {"max_bad_lines": 1}))
    found, at = [_decoded(row.get(levels[0][0])) for _, _, row in itertools.islice(rows, LOOKED_AT)], ""
    for place, (name, depth) in enumerate(levels):
        if place:
            found = _inside(found, name, f"{key}.path", at)
        at += ("." if at else "") + name + "[]" * depth
        for _ in range(depth):
            found = [inner for one in found if isinstance(one, list) for inner in one]
    for part in ("id", "label"):
        if settings.get("id") is not None and settings.get(part) is not None:
            _inside(found, settings[part], f"{key}.{part}", at)


def _decoded(value):
    """A value of a column, which in a csv file is JSON text."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        return value


def _inside(values, name, key, at):
    """What the dicts among some values have under a name; UserError if there are dicts and none of them has it."""
    dicts = [one for one in values if isinstance(one, dict)]
    names = list(dict.fromkeys(itertools.chain.from_iterable(dicts)))
    if dicts and name not in names:
        raise UserError(
            f'{key}: no element of {at} has a key "{name}"{near(name, names)}. Keys there: {", ".join(names[:20])}. '
            "Correct the name."
        )
    return [one.get(name) for one in dicts]


def _refuse_strangers(what, others, ids, cure):
    raise UserError(
        f"{what} a work of the collection. It names works such as {_quoted(others)}, the collection such as "
        f"{_quoted(ids)}. {cure}"
    )


def _quoted(values):
    return ", ".join(f'"{value}"' for value in values[:SHOWN]) or "none"


def _report(name, tags, tally):
    counts = tags.counts
    told = "; ".join(f"{what.replace('_', ' ')}: {n:,}" for what, n in counts.items() if isinstance(n, int) and n)
    logger.info("%s: %s", name, told)
    if tally.rejected:
        logger.info("%s: %s", name, tally.reasons())
