"""Rows of jsonl, csv, tsv and parquet files, plain, .gz or .zst, one at a time and in bounded memory."""

import difflib
import logging
import os
from collections import Counter
from pathlib import Path

from msgspec import UNSET

from crosswalk import formats
from crosswalk.errors import UserError
from crosswalk.files import read_json

log = logging.getLogger(__name__)

SEPARATORS = {"csv": ",", "tsv": "\t"}
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
COMPRESSIONS = (".gz", ".zst")
SHOWN = 3  # unreadable lines that are logged one by one
EARLY = 1000  # lines after which a hopeless file is given up


class Tally:
    """How many rows were read, how many of them kept, and why the others were left out.

    read: rows and unreadable lines; kept: rows in the result; cut: kept texts cut at their greatest length;
    rejected: Counter of reason to rows. read == kept + sum of rejected once a collection is drawn.
    """

    def __init__(self):
        self.read = 0
        self.kept = 0
        self.cut = 0
        self.rejected = Counter()

    def reject(self, reason, n=1):
        """Count `n` rows that are left out because of `reason`."""
        if n:
            self.rejected[reason] += n

    def reasons(self):
        """One line for people: how many rows were left out for which reason, most frequent first."""
        items = sorted(self.rejected.items(), key=lambda item: (-item[1], item[0]))
        parts = "; ".join(f"{reason}: {n:,}" for reason, n in items)
        return f"of {self.read:,} rows read, left out were {parts or 'none'}"


def read(paths, *, columns=None, raw=(), fmt="auto", delimiter=None, max_bad_lines=0.01, tally=None):
    """Stream the rows of one file or of several, one after another.

    paths: a path or a list of paths; columns: names wanted (None for all; the others are not decoded);
    raw: columns that a jsonl source may leave undecoded, as msgspec.Raw; fmt: "auto" (by name) or one of
    "jsonl", "csv", "tsv", "parquet"; delimiter: between the fields of csv and tsv (None: comma and tab);
    max_bad_lines: share of unreadable lines above which reading fails; tally: Tally that counts rows and unreadable
    lines.
    Yields (path as given, line or row number from 1, dict of column to value). A jsonl row has only those of the
    columns that its line has. Compression is recognised by content.
    Raises UserError, with file, line and cure, for: a file that is missing, empty, cut short, of unknown format or not
    UTF-8; a column that is in no row; a header that is absent or ambiguous; too many unreadable lines.
    """
    return _read(paths, columns, raw, None, fmt, delimiter, max_bad_lines, tally)


def read_typed(paths, *, columns, kinds, fmt="auto", delimiter=None, max_bad_lines=0.01, tally=None):
    """Stream the rows as `read` does, but those of jsonl files many at a time where their values are of known types.

    columns: names wanted, each once; kinds: dict of column to a type for msgspec; other options as of `read`.
    Yields what `read` yields with the columns of kinds as `raw`; or, for consecutive lines whose values have the types,
    (path as given, number of the first line, tuple of a list of values for each of the columns), with None for what a
    line lacks. Such lines are counted in tally all at once.
    Raises what `read` raises. Memory: some 4 MB of lines, decoded.
    """
    return _read(paths, columns, (), kinds, fmt, delimiter, max_bad_lines, tally)


def _read(paths, columns, raw, kinds, fmt, delimiter, max_bad_lines, tally):
    paths = [str(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    tally = Tally() if tally is None else tally
    columns = None if columns is None else list(dict.fromkeys(columns))
    for path in paths:
        _check_file(path)
    forms = [_format(path, fmt) for path in paths]
    malformed = _Malformed(tally, max_bad_lines)
    unseen = set(columns or ())
    rows = tally.read
    for path, form in zip(paths, forms, strict=True):
        if form == "jsonl" and kinds:
            stream = formats.read_typed(path, columns, kinds, malformed)
        elif form == "jsonl":
            stream = formats.read_jsonl(path, columns, set(raw), malformed)
        elif form == "parquet":
            stream = formats.read_parquet(path, columns)
        else:
            stream = formats.read_separated(path, columns, delimiter or SEPARATORS[form], malformed)
        for line, row in stream:
            if row.__class__ is tuple:
                tally.read += len(row[0])
                unseen -= {name for name, own in zip(columns, row, strict=True) if any(one is not UNSET for one in own)}
                row = tuple([None if one is UNSET else one for one in own] for own in row)
            else:
                tally.read += 1
                if unseen:
                    unseen -= row.keys()
            yield path, line, row
    malformed.finish()
    if tally.read == rows:
        raise UserError(f"{', '.join(paths)}: no rows. Check that this is the right file and that it is complete.")
    if unseen:
        jsonl = [path for path, form in zip(paths, forms, strict=True) if form == "jsonl"]
        raise UserError(formats.no_column(f"{jsonl[0]}: no row has", unseen, formats.json_names(jsonl[0])))


def resolve(paths, *, url=False):
    """The files behind a rule's input: with `url`, the one that a pointer written by fetch.py names."""
    paths = [paths] if isinstance(paths, str) else [str(path) for path in paths]
    if not url:
        return paths
    found = [str(read_json(path)["path"]) for path in paths]
    for pointer, path in zip(paths, found, strict=True):
        if not Path(path).is_file():
            raise UserError(f"{path}: the downloaded file is gone. Delete {pointer} and run again to download it.")
    return found


class _Malformed:
    """Counts unreadable lines and stops when there are too many."""

    def __init__(self, tally, share):
        self.tally, self.share, self.n, self.first = tally, share, 0, None

    def __call__(self, path, line, reason):
        self.tally.read += 1
        self.tally.reject(f"malformed line: {reason}")
        self.n += 1
        self.first = self.first or (path, line, reason)
        if self.n <= SHOWN:
            log.warning("%s:%d: malformed line (%s), left out", path, line, reason)
        hopeless = self.tally.read > EARLY and self.n > EARLY / 10 + 10 * self.share * self.tally.read
        if hopeless or self.share == 0:
            self.fail()

    def finish(self):
        if self.n > self.share * self.tally.read:
            self.fail()
        if self.n > SHOWN:
            log.warning("%d malformed lines in all", self.n)

    def fail(self):
        path, line, reason = self.first
        raise UserError(
            f"{path}:{line}: malformed line ({reason}); {self.n:,} of the {self.tally.read:,} lines read are "
            f"malformed, more than the share of {self.share:g} that source.max_bad_lines allows. Mend the lines, "
            "set source.format if the file has another format, or raise source.max_bad_lines."
        )


def _format(path, fmt):
    if fmt != "auto":
        return fmt
    name = Path(path).name.lower()
    for ending in COMPRESSIONS:
        name = name.removesuffix(ending)
    try:
        return FORMATS[Path(name).suffix]
    except KeyError:
        raise UserError(
            f"{path}: the name does not tell the format. Known are {', '.join(FORMATS)}, each also with .gz or .zst; "
            "set source.format to jsonl, csv, tsv or parquet if the content is one of them."
        ) from None


def _check_file(path):
    file = Path(path)
    if file.is_dir():
        raise UserError(f"{path}: a folder, not a file. Name the file, or a list of files, in source.path.")
    if not file.exists():
        folder = file.parent
        near = difflib.get_close_matches(file.name, [p.name for p in folder.iterdir()], 1) if folder.is_dir() else []
        where = f'Did you mean "{folder / near[0]}"?' if near else f"Relative paths start at {Path.cwd()}."
        raise UserError(f"{path}: no such file. {where} Correct source.path.")
    if not os.access(file, os.R_OK):
        raise UserError(f"{path}: no permission to read the file. Change it: chmod u+r {path}")
    if file.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty. Copy or download it again, or take it out of source.path.")
