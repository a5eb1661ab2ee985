"""Files from the web: fetched once, resumed where they broke off, checked by checksum, kept in a cache."""

import contextlib
import fcntl
import hashlib
import http.client
import logging
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from crosswalk import __version__
from crosswalk.errors import UserError
from crosswalk.files import digest, read_json, write_json
from crosswalk.provenance import public_url

log = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes written at once
TIMEOUT = 60.0  # seconds without a byte after which a connection counts as dropped
ATTEMPTS = 5  # connections made before giving up; each goes on where the last one ended
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers worth another attempt


def fetch(url, *, folder, sha256=None, attempts=ATTEMPTS, pause=1.0):
    """Download a file once.

    url: http or https address; its query may be a signature and is not logged; folder: where downloads are kept;
    sha256: hexadecimal checksum the file must have; attempts: connections to try; pause: seconds before the second one,
    doubled each time.
    Returns the path <folder>/<key of the url>/<file name>. A file that is there is returned without asking
    the server. A broken download is kept as `.part` and resumed (Range with If-Range, RFC 9110) if the server can.
    Raises UserError when the server cannot be reached or refuses, and for a wrong checksum.
    """
    path, shown = location(url, folder=folder), public_url(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path.parent / ".lock"):
        if path.is_file():
            log.info("%s: already downloaded to %s", shown, path)
            _verify(path, path, shown, sha256)
            return path
        part = path.with_name(f".{path.name}.part")
        _download(url, part, path, attempts=attempts, pause=pause, resume_blindly=sha256 is not None)
        try:
            _verify(part, path, shown, sha256)
        except UserError:
            part.unlink()
            raise
        finally:
            _notes(part).unlink(missing_ok=True)
        part.replace(path)
    log.info("%s: downloaded to %s, %s bytes", shown, path, f"{path.stat().st_size:,}")
    return path


def location(url, *, folder):
    """Where `fetch` keeps the file of an address."""
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
    name = re.sub(r"[^\w.+-]+", "_", name).lstrip(".") or "download"
    return Path(folder) / hashlib.sha256(url.encode()).hexdigest()[:16] / name


class _Dropped(Exception):
    """The connection ended early, or the server asks for another attempt."""


class _Answer(NamedTuple):
    start: int  # byte at which the body begins
    total: int | None  # bytes of the whole file, if the server tells
    notes: dict  # validator for If-Range


def _download(url, part, path, *, attempts, pause, resume_blindly):
    shown, query = public_url(url), urllib.parse.urlsplit(url).query
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _once(url, part, resume_blindly)
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise UserError(
                    f"{shown}: the server answers {error.code} {error.reason}. Check source.url; or {_by_hand(path)}"
                ) from error
            reason = f"the server answers {error.code} {error.reason}"
        except urllib.error.URLError as error:
            reason = str(error.reason)
        except (_Dropped, http.client.HTTPException, OSError) as error:
            reason = str(error) or type(error).__name__
        reason = reason.replace(query, "...") if query else reason
        log.warning("%s: attempt %d of %d: %s", shown, attempt + 1, attempts, reason)
    done = part.stat().st_size if part.exists() else 0
    kept = f" {done:,} bytes are kept and the next run goes on from there." if done else ""
    raise UserError(f"{shown}: cannot be downloaded ({reason}).{kept} Are you offline? Then {_by_hand(path)}")


def _by_hand(path):
    return f"get the file by other means and put it at {path}, or name a local copy with source.path."


def _once(url, part, resume_blindly):
    """One connection: append to `part` what is missing, or start it anew if the server cannot resume."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"crosswalk/{__version__}"})
    validator = read_json(_notes(part)).get("validator") if _notes(part).exists() else None
    if done and (validator or resume_blindly):
        request.add_header("Range", f"bytes={done}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range") == f"bytes */{done}":
            return
        part.unlink(missing_ok=True)
        raise _Dropped("the file has changed on the server") from error
    with response:
        answer = _read_head(response, done)
        write_json(_notes(part), answer.notes)
        _append(response, part, answer)


def _read_head(response, done):
    headers = response.headers
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified")
    notes = {"validator": etag if etag.startswith('"') else modified}
    length = headers.get("Content-Length")
    if getattr(response, "status", None) == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if span is None or int(span[1]) != done:
            raise _Dropped(f"the server sent another part than asked for ({headers.get('Content-Range')})")
        return _Answer(done, None if span[2] == "*" else int(span[2]), notes)
    return _Answer(0, int(length) if length else None, notes)


def _append(response, part, answer):
    with open(part, "ab" if answer.start else "wb") as file:
        name = part.name.strip(".").removesuffix(".part")
        bar = tqdm(total=answer.total, initial=answer.start, desc=name, unit="B", unit_scale=True, disable=None)
        with bar:
            while data := response.read(BLOCK):
                file.write(data)
                bar.update(len(data))
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    if answer.total is not None and size != answer.total:
        if size > answer.total:
            part.unlink()
        raise _Dropped(f"the connection dropped at byte {size:,} of {answer.total:,}")


def _verify(file, path, url, sha256):
    if sha256 is None:
        return
    found = digest(file)
    if found != sha256:
        raise UserError(
            f"{path}: the file from {url} has the sha256 {found}, but source.sha256 is {sha256}. "
            f"Correct source.sha256 if you trust the file, or else {'delete it and ' * (file == path)}run again."
        )


def _notes(part):
    return part.with_name(part.name + ".json")


@contextlib.contextmanager
def _lock(path):
    """One download of an address at a time, also between processes: two collections may share a file."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
