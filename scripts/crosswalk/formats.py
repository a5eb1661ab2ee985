"""The rows of one file in one format; `malformed(path, line, reason)` is told of every line that is none."""

import contextlib
import csv
import difflib
import io
import itertools
import json
import operator
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

PARQUET_ROWS = 1024  # rows decoded at once
PARQUET_BUFFER = 1 << 20  # bytes read at once of a column
# Typed rows handed over together: few enough that Python's search for cycles, every 700 new lists, seldom starts.
TYPED_ROWS, TYPED_BYTES = 256, 1 << 20
NAMES_FROM = 1000  # lines of a jsonl file whose columns an error lists
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # of a line


def read_jsonl(path, columns, raw, malformed):
    """Rows of a file with one JSON object a line: yields (line, dict of the columns that the line has)."""
    decode = _decoder(columns, raw)
    for first, lines in unpacking.blocks(path):
        try:
            rows = list(map(decode, lines))
        except FAULTS:
            yield from _one_by_one(path, first, lines, decode, malformed)
        else:
            yield from enumerate(rows, first)


def read_typed(path, columns, kinds, malformed):
    """Rows of a file with one JSON object a line, many at a time where nothing is odd.

    kinds: dict of column to the type that its values should have. Yields (first line, tuple of a list of values for
    each of the columns, msgspec.UNSET where a line lacks it) for consecutive lines that are all of these types; and for
    lines near an odd one what `read_jsonl` yields, with these columns undecoded.
    """
    decode, fields = _decoder(columns, kinds), []
    for i, column in enumerate(columns):
        kind = kinds.get(column, Any)
        fields.append((f"c{i}", kind | msgspec.UnsetType, msgspec.field(name=column, default=msgspec.UNSET)))
    typed = msgspec.json.Decoder(msgspec.defstruct("Row", fields, gc=False)).decode
    columnwise = [operator.attrgetter(field) for field, *_ in fields]
    held, start, size = [], 1, 0
    for first, lines in unpacking.blocks(path):
        start = start if held else first
        try:
            held += list(map(typed, lines))
            size, odd = size + sum(map(len, lines)), False
        except FAULTS:
            odd = True
        if held and (odd or size >= TYPED_BYTES or len(held) >= TYPED_ROWS):
            yield start, tuple(list(map(get, held)) for get in columnwise)
            held, size = [], 0
        if odd:
            yield from _one_by_one(path, first, lines, decode, malformed)
    if held:
        yield start, tuple(list(map(get, held)) for get in columnwise)


def _decoder(columns, raw):
    if columns is None:
        return msgspec.json.Decoder(dict).decode
    fields = {column: msgspec.Raw if column in raw else Any for column in columns}
    return msgspec.json.Decoder(TypedDict("Row", fields, total=False)).decode


def _one_by_one(path, first, lines, decode, malformed):
    for line, data in enumerate(lines, first):
        try:
            row = decode(data)
        except FAULTS as error:
            if not data.strip():
                continue
            row = _with_nan(data, decode)
            if row is None:
                malformed(path, line, _json_fault(error))
                continue
        yield line, row


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


def json_names(path):
    """The columns of the first readable lines."""
    decode, names = msgspec.json.Decoder(dict).decode, {}
    lines = itertools.chain.from_iterable(lines for _, lines in unpacking.blocks(path))
    for data in itertools.islice(lines, NAMES_FROM):
        with contextlib.suppress(*FAULTS):
            names.update(dict.fromkeys(decode(data)))
    return list(names)


def read_separated(path, columns, delimiter, malformed):
    """Rows of a csv or tsv file, quoted as RFC 4180 has it: yields (first line of the row, dict of str)."""
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
    for _, lines in unpacking.blocks(path):
        yield from io.StringIO(b"".join(lines).decode(), newline="")


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
        if other:
            raise UserError(
                f'{path}:{reader.line_num}: the columns seem to be parted by "{other}". Set source.delimiter: '
                f"{json.dumps(other)}."
            )
        hint = " The first line must be a header with the names of the columns."
        raise UserError(no_column(f"{path}:{reader.line_num}: the header has", missing, header) + hint)
    return header


def _fatal_quote(path, line, error):
    if "end of data" in str(error) or "field larger" in str(error):
        raise UserError(
            f"{path}:{line}: a quoted field that starts in this row never ends. Close the quote (a quote inside a "
            "quoted field is written twice)."
        ) from None


def read_parquet(path, columns):
    """Rows of a parquet table, decoded a few at a time: yields (row number from 1, dict)."""
    row = 0
    try:
        with _seekable(path) as file:
            table = pq.ParquetFile(file, buffer_size=PARQUET_BUFFER, pre_buffer=False)
            names = table.schema_arrow.names
            if missing := set(columns or ()) - set(names):
                raise UserError(no_column(f"{path}: the table has", missing, names))
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


def no_column(where, missing, names):
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
