"""The concepts in one column of a row, found as a mapping says and decoded by msgspec into the fields that matter."""

import itertools
import logging
import re
from array import array

import msgspec
import numpy as np

from crosswalk import sources, texts
from crosswalk.errors import UserError
from crosswalk.wording import near

logger = logging.getLogger(__name__)

TOGETHER = 100  # rows whose concepts are gathered at once
LOOKED_AT = 1000  # rows in which an error looks for the keys that there are
STEP = re.compile(r"([^\[\]]+)((?:\[\])*)")
Plain = str | int | float | None


def mapping(settings, key):
    """Where the concepts are, by the `tags` of a recommender.

    settings: dict with `path`, and optionally `id`, `label`, `delimiter`; key: of the settings, for messages.
    Returns the column that holds them, and the Elements that finds them there. Raises UserError for no path.
    """
    path, delimiter = settings.get("path"), settings.get("delimiter")
    if not path:
        raise UserError(f"{key}.path: missing. Say where a row lists its subjects, or name a table in {key}.source.")
    if delimiter is not None:
        return path, Elements(Plain, delimiter=delimiter)
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
            inner = ("inner", kind, msgspec.field(name=name, default=None))
            kind = msgspec.defstruct("Level", [inner], gc=False) | None
            steps = [False, *steps]
    return levels[0][0], Elements(kind, steps)


class Elements:
    """Finds the concepts in the values that rows have in a column.

    kind: the type of a value, for msgspec; steps: from a value to its concepts, True into a list and False into the
    attribute `inner`; delimiter: between the concepts of a text.
    lengths: for each list on the way, int32 how long it was each time. A null is a list of nothing.
    """

    def __init__(self, kind, steps=(), delimiter=None):
        self.kind, self.delimiter = kind, delimiter
        self.decode = msgspec.json.Decoder(kind).decode
        self.text, self.listed = kind is Plain, True in steps
        last = len(steps) - 1 - steps[::-1].index(True) if self.listed else 0
        self.steps, self.behind = steps[:last], len(steps[last:]) - self.listed
        self.lengths = [array("i") for _ in range(sum(self.steps) + 1)]

    @property
    def several(self):
        """How many subjects of more than one concept it has met."""
        return sum(int(np.count_nonzero(np.frombuffer(one, np.int32) > 1)) for one in self.lengths[1:])

    def typed(self, value):
        """A value as the kind: decoded, or read from JSON text as in a csv file, or converted.

        Raises msgspec.DecodeError or UnicodeDecodeError for a value of another type.
        """
        if value.__class__ is msgspec.Raw:
            return self.decode(value)
        if isinstance(value, str):
            return value if self.text else self.decode(value) if value.strip() else None
        return None if texts.absent(value) else msgspec.convert(value, self.kind)

    def of(self, values):
        """A list of the concepts of some values of the kind; how many each value has, `sizes` tells at the end.

        A concept is hashable: a struct of id and label, or plain text.
        """
        found, lengths = values, iter(self.lengths)
        for into_list in self.steps:
            if into_list:
                found = [one or () for one in found]
                next(lengths).extend(map(len, found))
                found = list(itertools.chain.from_iterable(found))
            else:
                found = [None if one is None else one.inner for one in found]
        if self.text:
            found = list(map(self._parts, found))
        elif self.behind or not self.listed:
            found = list(map(self._ends, found))
        else:
            found = [one or () for one in found]
        next(lengths).extend(map(len, found))
        return list(itertools.chain.from_iterable(found))

    def sizes(self):
        """How many concepts each of the values so far has: int64."""
        *outer, last = (np.frombuffer(one, np.int32).astype(np.int64) for one in self.lengths)
        for lengths in reversed(outer):
            before, ends = np.concatenate([[0], np.cumsum(last)]), np.cumsum(lengths)
            last = before[ends] - before[ends - lengths]
        return last

    def _ends(self, value):
        """The concepts where attributes are behind the last list, or where there is none."""
        found = (value or ()) if self.listed else [value]
        for _ in range(self.behind):
            found = [one.inner for one in found if one is not None]
        return found if self.listed else [one for one in found if one is not None]

    def _parts(self, value):
        text = texts.plain(value)
        return [part for part in ([text] if self.delimiter is None else text.split(self.delimiter)) if part.strip()]


class Links:
    """Gathers the concepts of works as integers, many works at a time.

    met: int32, the place of each row's work; code: int32, the numbers of the concepts of all rows.
    """

    def __init__(self, elements, numbers):
        self.elements, self.number = elements, numbers.__getitem__
        self.met, self.code, self.held = array("i"), array("i"), []

    def add(self, places, values):
        """Add the rows of works at some places, with the values that hold their concepts."""
        self.met.extend(places)
        self.held += values
        if len(self.held) >= TOGETHER:
            self._number()

    def finish(self):
        """All links: work int32, concept int32."""
        self._number()
        return np.repeat(np.frombuffer(self.met, np.int32), self.elements.sizes()), self.code

    def _number(self):
        self.code.extend(map(self.number, self.elements.of(self.held)))
        self.held = []


class Faults:
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


def named(concept):
    """Id and label of a concept as strings; "" for what it lacks."""
    if concept is None or isinstance(concept, str | int | float):
        text = texts.identifier(concept)
        return text, text
    own, label = concept if isinstance(concept, tuple) else (concept.id, getattr(concept, "label", None))
    label = texts.plain(label)
    return texts.identifier(own), "" if label.isspace() else label


def explain(source, settings, reading, key):
    """Raise UserError if a key of the path, of the id or of the label is in none of the first rows.

    source, reading: what `sources.read` is to read, and how; settings, key: as of `mapping`.
    """
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
