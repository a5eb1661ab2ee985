"""Rows of jsonl, csv, tsv and parquet files, plain, .gz or .zst, one at a time and in bounded memory."""

import contextlib
import csv
import difflib
import hashlib
import io
import itertools
import json
import logging
import operator
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from crosswalk import unpacking
from crosswalk.errors import UserError
from crosswalk.files import read_json

log = logging.getLogger(__name__)

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
COMPRESSIONS = (".gz", ".zst")
PARQUET_ROWS = 1024  # rows decoded at once
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


def read(paths, *, columns=None, raw=(), fmt="auto", max_bad_lines=0.01, tally=None):
    """Stream the rows of one file or of several, one after another.

    paths: a path or a list of paths; columns: names wanted (None for all; the others are not decoded);
    raw: columns that a jsonl source may leave undecoded, as msgspec.Raw; fmt: "auto" (by name) or one of
    "jsonl", "csv", "tsv", "parquet"; max_bad_lines: share of unreadable lines above which reading fails;
    tally: Tally that counts rows and unreadable lines.
    Yields (path as given, line or row number from 1, dict of column to value). A jsonl row has only those of the
    columns that its line has. Compression is recognised by content.
    Raises UserError, with file, line and cure, for: a file that is missing, empty, cut short, of unknown format or not
    UTF-8; a column that is in no row; a header that is absent or ambiguous; too many unreadable lines.
    """
    paths = [str(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    tally = Tally() if tally is None else tally
    columns = None if columns is None else list(dict.fromkeys(columns))
    for path in paths:
        _check_file(path)
    formats = [_format(path, fmt) for path in paths]
    malformed = _Malformed(tally, max_bad_lines)
    unseen = set(columns or ())
    rows = tally.read
    for path, kind in zip(paths, formats, strict=True):
        if kind == "jsonl":
            stream = _read_jsonl(path, columns, set(raw), malformed)
        elif kind == "parquet":
            stream = _read_parquet(path, columns)
        else:
            stream = _read_separated(path, columns, "," if kind == "csv" else "\t", malformed)
        for line, row in stream:
            tally.read += 1
            if unseen:
                unseen -= row.keys()
            yield path, line, row
    malformed.finish()
    if tally.read == rows:
        raise UserError(f"{', '.join(paths)}: no rows. Check that this is the right file and that it is complete.")
    if unseen:
        jsonl = [path for path, kind in zip(paths, formats, strict=True) if kind == "jsonl"]
        raise UserError(_no_column(f"{jsonl[0]}: no row has", unseen, _json_names(jsonl[0])))


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


def digest(path):
    """The sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _read_jsonl(path, columns, raw, malformed):
    decode = _decoder(columns, raw)
    for first, block in unpacking.blocks(path):
        for line, data in enumerate(block.split(b"\n"), first):
            try:
                row = decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                if not data.strip():
                    continue
                row = _with_nan(data, decode)
                if row is None:
                    malformed(path, line, _json_fault(error))
                    continue
            yield line, row


def _decoder(columns, raw):
    if columns is None:
        return msgspec.json.Decoder(dict).decode
    fields = {column: msgspec.Raw if column in raw else Any for column in columns}
    return msgspec.json.Decoder(TypedDict("Row", fields, total=False)).decode


def _with_nan(data, decode):
    """Python's own json writes NaN and Infinity, which JSON lacks: read them as null. None if that is not the fault."""
    if b"NaN" not in data and b"Infinity" not in data:
        return None
    try:
        return decode(msgspec.json.encode(json.loads(data)))
    except (ValueError, RecursionError):
        return None


def _json_fault(error):
    if isinstance(error, msgspec.ValidationError):
        return "not a JSON object"
    return "nested too deeply" if isinstance(error, RecursionError) else "not JSON"


def _json_names(path):
    """The columns of the first readable lines."""
    decode, names = msgspec.json.Decoder(dict).decode, {}
    for _, block in unpacking.blocks(path):
        for data in itertools.islice(block.split(b"\n"), EARLY):
            try:
                names.update(dict.fromkeys(decode(data)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        break
    return list(names)


def _read_separated(path, columns, delimiter, malformed):
    csv.field_size_limit(unpacking.LONGEST_LINE)
    reader = csv.reader(_lines(path), delimiter=delimiter, strict=True)
    header = _header(path, reader, columns)
    wanted = list(dict.fromkeys(header)) if columns is None else columns
    places = [header.index(column) for column in wanted]
    pick = operator.itemgetter(*places) if len(places) > 1 else lambda fields: [fields[place] for place in places]
    width, after = len(header), reader.line_num
    while True:
        line = after + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _fatal_quote(path, line, error)
            after = reader.line_num
            malformed(path, line, "misplaced quote")
            continue
        after = reader.line_num
        if len(fields) == width:
            yield line, dict(zip(wanted, pick(fields), strict=True))
        elif fields:
            malformed(path, line, "wrong number of fields")


def _lines(path):
    for _, block in unpacking.blocks(path):
        yield from io.StringIO(block.decode(), newline="")


def _header(path, reader, columns):
    try:
        header = next((fields for fields in reader if any(fields)), None)
    except csv.Error as error:
        _fatal_quote(path, 1, error)
        raise UserError(f"{path}:1: the header has a misplaced quote. Mend the first line.") from error
    if header is None:
        raise UserError(f"{path}: no header and no rows. Check that this is the right file and that it is complete.")
    header = [name.strip() for name in header]
    twice = sorted(name for name, n in Counter(filter(None, header)).items() if n > 1)
    if twice:
        raise UserError(
            f'{path}:{reader.line_num}: the header has more than one column "{twice[0]}". Rename all but one of them, '
            "or add a header if this line is already data."
        )
    if missing := set(columns or ()) - set(header):
        other = next((sign for sign in (";", ",", "\t", "|") if len(header) == 1 and sign in header[0]), None)
        hint = " The first line must be a header with the names of the columns."
        if other:
            hint = f' The columns seem to be parted by "{other}": convert the file to csv or set source.format.'
        raise UserError(_no_column(f"{path}:{reader.line_num}: the header has", missing, header) + hint)
    return header


def _fatal_quote(path, line, error):
    if "end of data" in str(error) or "field larger" in str(error):
        raise UserError(
            f"{path}:{line}: a quoted field that starts in this row never ends. Close the quote (a quote inside a "
            "quoted field is written twice)."
        ) from None


def _read_parquet(path, columns):
    row = 0
    try:
        with _seekable(path) as file:
            table = pq.ParquetFile(file, buffer_size=unpacking.BLOCK, pre_buffer=False)
            names = table.schema_arrow.names
            if missing := set(columns or ()) - set(names):
                raise UserError(_no_column(f"{path}: the table has", missing, names))
            total = table.metadata.num_rows
            with tqdm(total=total, unit="row", desc=Path(path).name, disable=None, delay=5, leave=False) as bar:
                for batch in table.iter_batches(PARQUET_ROWS, columns=columns, use_threads=False):
                    for value in batch.to_pylist():
                        row += 1
                        yield row, value
                    bar.update(len(batch))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{row + 1}: not UTF-8 text in the rows from here on. Write the table again.") from error
    except unpacking.ERRORS as error:
        raise UserError(unpacking.broken(path, 1, error)) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable parquet file ({error}). Copy or download it again.") from error


@contextlib.contextmanager
def _seekable(path):
    """The file, open to be read in any order as parquet must be; a compressed one is first unpacked to disk."""
    with open(path, "rb") as file, tempfile.TemporaryFile() as unpacked:
        if file.peek(4)[:4] == b"PAR1":
            yield file
        else:
            for piece in unpacking.chunks(path):
                unpacked.write(piece)
            unpacked.seek(0)
            yield unpacked


def _no_column(where, missing, names):
    """The message for columns that are not there, with the nearest of those that are."""
    lower = {name.lower(): name for name in names}
    parts = []
    for column in sorted(missing):
        near = difflib.get_close_matches(column.lower(), lower, 1)
        parts.append(f'"{column}"' + (f' (did you mean "{lower[near[0]]}"?)' if near else ""))
    more = " ..." if len(names) > 20 else ""
    noun = "columns" if len(parts) > 1 else "column"
    listed = ", ".join(names[:20]) + more
    return f"{where} no {noun} {', '.join(parts)}. Columns: {listed}. Correct the name in the config."
