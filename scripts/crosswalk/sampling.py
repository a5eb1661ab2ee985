"""Which rows of a source make a collection: those that meet its conditions, have the links asked for, and are drawn."""

import logging
import re
from array import array

import msgspec
import numpy as np

from crosswalk import conditions, drawing, links, sources, texts
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # keys counted at once
RESERVED = re.compile("id|group|text|block_[0-9]+")


def count_links(source, settings, *, name="", tally=None):
    """Count the usable rows that link to each item; usable rows meet `where` and have a text.

    source: path or list of paths; settings: the settings of the linked collection; name: its name, for messages;
    tally: Tally to fill.
    Returns keys (uint64, sorted, unique), counts (int64), examples (a few of the ids linked to).
    Memory grows with the number of different items alone, by 16 bytes each.
    """
    tally = sources.Tally() if tally is None else tally
    column = settings["link"]["on"]
    keys, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    pending, examples = array("Q"), []
    for passed in _passing(source, settings, tally=tally):
        item = texts.identifier(passed.row.get(column))
        if not item:
            tally.reject("link to no item")
            continue
        tally.kept += 1
        pending.append(drawing.rank(item))
        if len(examples) < links.SHOWN and item not in examples:
            examples.append(item)
        if len(pending) >= max(CHUNK, len(keys)):
            keys, counts = links.merge(keys, counts, pending)
            pending = array("Q")
    keys, counts = links.merge(keys, counts, pending)
    log.info("%s: %s usable rows link to %s items; %s", name, f"{tally.kept:,}", f"{len(keys):,}", tally.reasons())
    return keys, counts, examples


def sample(source, settings, *, name, seed, out, at_least=None, target=None, link_counts=None):
    """Draw a collection and write it as a Parquet table of strings: id, group, text, block_1, ... if set, kept columns.

    source: path or list of paths; settings: the collection's settings, with its `source` for format and threshold;
    name: its name, for messages; seed: integer; out: path of the table;
    at_least: dict of linking collection to the rows of it that an item needs; link_counts: dict of linking collection
    to the path of its counts; target: path of the table of the collection that this one links to.
    Returns the Tally, for which read == kept + sum of rejected.
    Rows are in the order of the source. Memory: 8 bytes a row that passes `where`, and some 150 bytes a row that is
    drawn; texts are kept on disk, beside `out`.
    A row's id is the value of the column `id`, or its number in the source where that is None: "row-1", "row-2", ...,
    counted on from file to file.
    Raises UserError for a duplicate id, too few items, no rows at all, and links of which none leads anywhere.
    """
    tally = sources.Tally()
    link = settings.get("link")
    wanted = (settings.get("sample") or {}) if link is None else {"n": link.get("take"), "order": link.get("order")}
    groups = None if link is None else links.Target(name, settings, target)
    counted = [links.Counted(other, path, (at_least or {})[other]) for other, path in (link_counts or {}).items()]
    writer = drawing.Store(out, _columns(name, settings))
    draw = drawing.Draw(wanted.get("n"))
    ranked = wanted.get("order") != "first"
    hashes = array("Q")
    with writer:
        for passed in _passing(source, settings, tally=tally):
            rank = drawing.rank(passed.id, seed)
            hashes.append(rank)
            if reason := next((c.reason for c in counted if not c.enough(passed.id)), None):
                tally.reject(reason)
                continue
            group = ""
            if groups is not None:
                group = texts.identifier(passed.row.get(link["on"]))
                if reason := groups.reason(group):
                    tally.reject(reason)
                    continue
            if draw.offer(group, rank if ranked else len(hashes)):
                writer.hold(_record(passed, group, settings, writer.kept))
        _refuse_duplicates(hashes, source, settings, seed)
        for check in [*counted, *([groups] if groups else [])]:
            check.refuse_if_nothing_matched(name, settings, tally)
        _refuse_too_few(name, settings, draw, tally)
        tally.reject("not drawn" if link is None else "not drawn (take)", draw.offered - len(draw))
        tally.kept, tally.cut = writer.write(draw.chosen())
    log.info("%s: %s rows kept; %s", name, f"{tally.kept:,}", tally.reasons())
    if tally.cut:
        log.info("%s: %s texts cut at text.max_chars", name, f"{tally.cut:,}")
    return tally


class _Passed(msgspec.Struct):
    """A row that meets `where` and has a text."""

    file: str
    line: int
    row: dict
    id: str
    text: str
    cut: bool


def _passing(source, settings, *, tally):
    """The rows that have an id, meet `where` and say something; the others are counted by reason."""
    template = texts.Template(settings["text"])
    early, late = [], []
    for column, bounds in (settings.get("where") or {}).items():
        for kind, value in bounds.items():
            test = (f"{kind} of {column}", column, conditions.condition(kind, value, column))
            (late if column in template.columns else early).append(test)
    late = [(reason, template.columns.index(column), test) for reason, column, test in late]
    origin, id_column, before = settings.get("source") or {}, settings["id"], tally.read
    rows = sources.read(
        source,
        columns=_needed(settings),
        raw=_only_kept(settings),
        fmt=origin.get("format", "auto"),
        delimiter=origin.get("delimiter"),
        max_bad_lines=origin.get("max_bad_lines", 0.01),
        tally=tally,
    )
    for file, line, row in rows:
        # Every row read counts, unreadable ones too: neither a condition nor a mended line changes the id of another.
        own = f"row-{tally.read - before}" if id_column is None else texts.identifier(row.get(id_column))
        if not own:
            tally.reject("no id")
            continue
        if failed := next((reason for reason, column, test in early if not test(row.get(column))), None):
            tally.reject(failed)
            continue
        values = template.values(row)
        if failed := next((reason for reason, place, test in late if not test(values[place])), None):
            tally.reject(failed)
            continue
        text, cut = template.render(values)
        if not text:
            tally.reject("empty text")
            continue
        yield _Passed(file, line, row, own, text, cut)


def _needed(settings):
    """Every column of the source that the settings name."""
    named = [settings["id"]] if settings["id"] is not None else []
    used = [*named, *settings["text"]["columns"], *(settings.get("where") or {}), *_only_kept(settings)]
    link = settings.get("link")
    return [*used, *([link["on"]] if link else []), *_blocks(settings)]


def _only_kept(settings):
    """Columns that are stored and not looked at before a row is drawn."""
    link = settings.get("link")
    seen = {settings["id"], *settings["text"]["columns"], *(settings.get("where") or {}), *_blocks(settings)}
    seen |= {link["on"]} if link else set()
    return [column for column in _kept(settings) if column not in seen]


def _blocks(settings):
    """The columns of coarser groups, finest first."""
    block = settings.get("block") or []
    return [block] if isinstance(block, str) else block


def _kept(settings):
    contrast = settings.get("contrast")
    return list(dict.fromkeys([*settings.get("keep", ()), *([contrast["column"]] if contrast else [])]))


def _columns(name, settings):
    """The columns of the table, and of those the ones stored from the row under their own name."""
    link = settings.get("link")
    own = ["id", "group", "text", *(f"block_{i}" for i, _ in enumerate(_blocks(settings), 1))]
    same = {"id": settings["id"], "group": link["on"] if link else settings["id"]}
    kept = [column for column in _kept(settings) if same.get(column) != column]
    if clash := [column for column in kept if RESERVED.fullmatch(column)]:
        raise UserError(
            f'collections.{name}.keep: "{clash[0]}" is a column that every collection has with a meaning of its own. '
            "Rename the column in the source, or leave it out."
        )
    return own, kept


def _record(passed, group, settings, kept):
    """What is held of a row until the draw is over."""
    group = group or passed.id
    values = [passed.id, group, passed.text]
    values += [texts.stored(passed.row.get(column)) or None for column in _blocks(settings)]
    return passed.cut, values + [texts.stored(passed.row.get(column)) for column in kept]


def _refuse_too_few(name, settings, draw, tally):
    wanted = None if settings.get("link") else (settings.get("sample") or {}).get("n")
    if draw.offered == 0:
        raise UserError(
            f"collections.{name}: no row is left; {tally.reasons()}. Loosen where, or check the columns it names."
        )
    if wanted is not None and draw.offered < wanted:
        raise UserError(
            f"collections.{name}.sample.n: {wanted:,} items asked for, {draw.offered:,} available; {tally.reasons()}. "
            "Lower sample.n, loosen where, or lower link.at_least of the collections that link here."
        )


def _refuse_duplicates(hashes, source, settings, seed):
    """Raise UserError if two rows that pass have one id; the source is read again only if their hashes agree."""
    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not twice:
        return
    first = {}
    for passed in _passing(source, settings, tally=sources.Tally()):
        if drawing.rank(passed.id, seed) not in twice:
            continue
        if passed.id in first:
            raise UserError(
                f'{passed.file}:{passed.line}: duplicate id "{passed.id}" in column {settings["id"]}, first at '
                f"{first[passed.id]}. Remove one of the rows, shut one out with where, or choose a column whose "
                "values are unique as id."
            )
        first[passed.id] = f"{passed.file}:{passed.line}"
