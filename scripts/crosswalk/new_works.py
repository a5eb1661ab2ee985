"""A file of new works for a recommender that is trained: read as its collection was, and put in the trained terms."""

import json
import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from crosswalk import interactions, sources, tags, texts
from crosswalk.errors import UserError
from crosswalk.files import read_parquet
from crosswalk.sampling import sample

log = logging.getLogger(__name__)

SHOWN = 3  # unknown subjects named in the log


class NewWorks(NamedTuple):
    """The works of a file, in its order, m of them.

    ids, texts: m strings; rows: int64 (m,), row of the work of the same id among those trained on, -1 if there is none;
    links: csr (m, S) float32, the trained subjects they bear, sorted; paths: csr (m, P) float32, or None; counts: dict
    of what was read, left out and unknown.
    """

    ids: list
    texts: list
    rows: np.ndarray
    links: csr_array
    paths: csr_array | None
    counts: dict


def read(source, collection, entry, *, name, file, ids, subjects, places=None):
    """Read a file of new works. Returns NewWorks.

    source: path or list of paths; collection: checked settings of the recommender's collection, of which `id`, `text`,
    `where` and the format in `source` hold here, too; entry: checked config of the recommender; name, file: of the
    recommender and of the file, for messages; ids: of the works trained on; subjects: table of the S subjects trained
    on; places: names of the P places trained on (`interactions.places`), or None.
    All rows are taken, none drawn. Subjects are known by any of their ids, or by their label. Columns of the text, the
    subjects and the path may be missing from the whole file, as jsonl leaves out what is empty; so may all subjects.
    Raises UserError, naming the file, for duplicate ids, too many malformed lines, subjects of the wrong type, no text
    column at all, or no row that meets `where` and has a text.
    """
    try:
        names = _columns(source, collection, entry)
        table, tally = _rows(source, collection, entry, names, name)
        own = table["id"].tolist()
        found = _tags(source, collection, entry["tags"], own, names, name)
    except UserError as error:
        raise UserError(f"recommend.{name}.new.{file}: {error}") from None
    links, unknown = _links(found, subjects, len(own))
    # Without a column of ids, "row-7" of one file is not "row-7" of another.
    trained = {} if collection["id"] is None else {one: row for row, one in enumerate(ids)}
    rows = np.array([trained.get(one, -1) for one in own], np.int64)
    counts = {
        "rows": tally.read,
        "left_out": dict(sorted(tally.rejected.items())),
        "works": len(own),
        "texts_cut": tally.cut,
        "works_trained_on": int((rows >= 0).sum()),
        "works_without_subjects": int((np.diff(links.indptr) == 0).sum()),
        "links": int(links.nnz),
        "links_to_unknown_subjects": sum(unknown.values()),
        "unknown_subjects": len(unknown),
    }
    _report(f"{name}, {file}", counts, unknown, tally)
    return NewWorks(own, table["text"].tolist(), rows, links, _paths(table, entry, places), counts)


def _columns(source, collection, entry):
    """Those of the columns that may be missing which a row of the file has."""
    settings = entry["tags"]
    wanted = set(collection["text"]["columns"])
    wanted |= {_keys(settings)[0]} if _in_rows(settings) else set()
    wanted |= {entry["path"]["column"]} if entry.get("path") else set()
    names = set()
    for _, _, row in sources.read(source, **_reading(collection)):
        names |= wanted & row.keys()
        if names == wanted:
            break
    if missing := sorted(wanted - names):
        log.warning("no row of the file has %s; taken as empty", ", ".join(f'"{column}"' for column in missing))
    return names


def _reading(collection):
    """How to look into the file; what is malformed counts when the works are read."""
    origin = collection.get("source") or {}
    return {"fmt": origin.get("format", "auto"), "delimiter": origin.get("delimiter"), "max_bad_lines": 1}


def _in_rows(settings):
    return not settings.get("source")


def _keys(settings):
    """The keys that lead to a concept: of the row, of what is there, and so on."""
    if settings.get("delimiter") is not None:
        return [settings["path"]]
    return [step.rstrip("[]") for step in settings["path"].split(".")]


def _mapping(source, collection, settings, ids):
    """The settings by which the tags of the works are read; None where no work has any, as none are there to read.

    They are those of the recommender, unless all concepts have a label and none an id: the label then is the id.
    """
    column, works, tally, labelled = collection["id"], set(ids), sources.Tally(), False
    keys, label = _keys(settings), settings.get("label")
    columns = [keys[0], *([] if column is None else [column])]
    for _, _, row in sources.read(source, columns=columns, tally=tally, **_reading(collection)):
        own = f"row-{tally.read}" if column is None else texts.identifier(row.get(column))
        for concept in _concepts(row.get(keys[0]), keys[1:]) if own in works else ():
            if not isinstance(concept, dict) or _says(concept.get(settings["id"])):
                return settings
            if settings["id"] not in concept and label not in concept:  # misnamed: `tags` tells
                return settings
            labelled |= _says(concept.get(label))
    return settings | {"id": label, "label": None} if labelled else None


def _concepts(value, keys):
    """The concepts to which keys lead from a value, and whatever else stands in their way."""
    if isinstance(value, str) and value[:1] in ("[", "{"):  # lists in a csv file
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            yield value
            return
    if isinstance(value, list):
        for one in value:
            yield from _concepts(one, keys)
    elif keys and isinstance(value, dict):
        yield from _concepts(value.get(keys[0]), keys[1:])
    elif isinstance(value, dict) or _says(value):
        yield value


def _says(value):
    return texts.plain(value).strip() != ""


def _rows(source, collection, entry, names, name):
    """The table of works that the collection's settings make of a file, and the Tally."""
    columns = [column for column in collection["text"]["columns"] if column in names]
    path = entry["path"]["column"] if entry.get("path") else None
    settings = {
        "id": collection["id"],
        "text": collection["text"] | {"columns": columns or collection["text"]["columns"]},
        "where": collection.get("where"),
        "source": collection.get("source"),
        "keep": [path] if path in names else [],
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "works.parquet"
        tally = sample(source, settings, name=name, seed=0, out=out)
        return read_parquet(out), tally


def _tags(source, collection, settings, ids, names, name):
    """The Tags of the works, or None if they have none."""
    if not _in_rows(settings):
        log.warning("recommend.%s.tags.source is not asked for new works: they have no subjects yet", name)
        return None
    mapping = _mapping(source, collection, settings, ids) if _keys(settings)[0] in names else None
    if mapping is None:
        return None
    origin = collection.get("source")
    return tags.read(source, mapping, ids=ids, name=name, id_column=collection["id"], origin=origin)


def _links(found, subjects, count):
    """The Tags found as csr (count, S) of trained subjects, and a Counter of the links to each unknown label."""
    if found is None:
        return csr_array((count, len(subjects)), dtype=np.float32), Counter()
    by_id = {own: i for i, listed in enumerate(subjects["ids"]) for own in json.loads(listed)}
    by_label = {tags.fold(label): i for i, label in enumerate(subjects["label"])}
    table = found.subjects
    number = [
        next((by_id[own] for own in listed if own in by_id), by_label.get(tags.fold(label), -1))
        for listed, label in zip(table["ids"], table["label"], strict=True)
    ]
    subject = np.array(number, np.int64)[found.subject]
    known = subject >= 0
    ones = np.ones(int(known.sum()), np.float32)
    links = csr_array((ones, (found.work[known], subject[known])), shape=(count, len(subjects)))
    links.sum_duplicates()
    links.data[:] = 1
    labels = table["label"].to_numpy()
    return links, Counter(labels[found.subject[~known]].tolist())


def _paths(table, entry, places):
    """The places of works on their paths as csr (m, P) of the places trained on; None without a path."""
    if not entry.get("path") or places is None:
        return None
    column, separator = entry["path"]["column"], entry["path"]["separator"]
    values = table[column] if column in table else [None] * len(table)
    found, names = interactions.places(values, separator=separator)
    number = pd.Index(places).get_indexer(pd.Index(names, dtype=object))[found.indices]
    row = np.repeat(np.arange(len(table)), np.diff(found.indptr))[number >= 0]
    number = number[number >= 0]
    return csr_array((np.ones(len(row), np.float32), (row, number)), shape=(len(table), len(places)))


def _report(name, counts, unknown, tally):
    told = "; ".join(f"{what.replace('_', ' ')}: {n:,}" for what, n in counts.items() if isinstance(n, int) and n)
    log.info("%s: %s", name, told)
    if tally.rejected:
        log.info("%s: %s", name, tally.reasons())
    if unknown:
        common = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        shown = ", ".join(f'"{label}"' for label, _ in common)
        log.info("%s: unknown to the model are subjects such as %s; they are left out", name, shown)
