"""The bytes and the lines of a file, plain, gzip or zstd, in pieces of bounded size."""

import io
import zlib
from pathlib import Path

import zstandard
from isal import igzip, isal_zlib
from tqdm import tqdm

from crosswalk.errors import UserError

BLOCK = 1 << 16  # bytes read at once; above 128 KB, malloc asks Linux for fresh pages every time, which is slower
ZSTD_INPUT = 1 << 12  # compressed bytes at once: the densest zstd frame makes some 130 MB of them
LONGEST_LINE = 1 << 25  # bytes; above it the file is not one row a line, and reading on would fill the memory
ERRORS = (EOFError, zlib.error, isal_zlib.error, igzip.BadGzipFile, zstandard.ZstdError)  # of a damaged file


def blocks(path):
    """Whole lines of a text file: yields (number of the first line, list of lines with their line feeds).

    The lines are bytes and valid UTF-8, without a BOM; only a line feed ends one, as in csv and JSON.
    """
    line, pending, held, plain = 1, [], 0, True
    try:
        for piece in chunks(path):
            # Searches for line feeds by the word; bytes.split and bytes.count look at every byte.
            lines, plain = io.BytesIO(piece).readlines(), plain and piece.isascii()
            last = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if lines:
                lines[0] = b"".join([*pending, lines[0]])
                _check(path, line, lines, plain)
                yield line, lines
                line += len(lines)
                pending, held, plain = [], 0, last.isascii()
            pending.append(last)
            held += len(last)
            if held > LONGEST_LINE:
                raise UserError(
                    f"{path}:{line}: a line longer than {LONGEST_LINE >> 20} MB. Is this one JSON array, or a file "
                    "without line ends? Write one row a line (jq -c '.[]' turns an array into lines)."
                )
    except ERRORS as error:
        raise UserError(broken(path, line, error)) from error
    if held:
        lines = [b"".join(pending)]
        _check(path, line, lines, plain)
        yield line, lines


def chunks(path):
    """The decompressed bytes of a file, in pieces of bounded size."""
    size = Path(path).stat().st_size
    bar = tqdm(total=size, unit="B", unit_scale=True, desc=Path(path).name, disable=None, delay=5, leave=False)
    with open(path, "rb") as file, bar:
        magic = file.peek(4)[:4]
        if magic[:2] == b"\x1f\x8b":
            pieces = _until_empty(igzip.IGzipFile(fileobj=file))
        elif magic == b"\x28\xb5\x2f\xfd" or (magic[1:] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5):
            pieces = _zstd(file)
        else:
            pieces = _until_empty(file)
        for piece in pieces:
            yield piece
            if not bar.disable:
                bar.update(file.tell() - bar.n)


def broken(path, line, error):
    return (
        f"{path}:{line}: the compressed file cannot be read beyond this line ({error}): it is cut short or damaged. "
        "Copy or download it again."
    )


def _until_empty(file):
    return iter(lambda: file.read(BLOCK), b"")


def _zstd(file):
    """Decompress frame by frame, since the library's own reader takes a frame that is cut short for a whole one."""
    frame = None
    while data := file.read(ZSTD_INPUT):
        while data:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            piece = frame.decompress(data)
            for start in range(0, len(piece), BLOCK):
                yield piece[start : start + BLOCK]
            data = b""
            if frame.eof:
                data, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError("the last zstd frame is cut short")


def _check(path, line, lines, plain):
    """Take a BOM off the first line; raise UserError if some lines, the first of this number, are not UTF-8."""
    if line == 1:
        if lines[0][:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UserError(f"{path}:1: UTF-16 text, not UTF-8. Convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW")
        lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    if plain:
        return
    text = b"".join(lines)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line += text.count(b"\n", 0, error.start)
        raise UserError(
            f"{path}:{line}: not UTF-8 text (byte 0x{text[error.start]:02x}). Convert the file, for example from "
            "Latin-1: iconv -f LATIN1 -t UTF-8 OLD > NEW (gz and zst unpacked first)."
        ) from None
