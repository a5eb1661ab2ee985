"""Downloads against a real server: once, resumed, checked, and clear about what went wrong."""

import functools
import hashlib
import http.server
import threading

import pytest

from crosswalk import download
from crosswalk.errors import UserError

DATA = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `site.data` as the site's fields say, and keeps what was asked."""

    def __init__(self, site, *args):
        self.site = site
        super().__init__(*args)

    def do_GET(self):
        site = self.site
        span = self.headers.get("Range")
        site.asked.append(span)
        if site.status:
            self.send_error(site.status.pop(0) if isinstance(site.status, list) else site.status)
            return
        fresh = self.headers.get("If-Range") in (None, site.etag)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and site.ranges and fresh else 0
        if span and start >= len(site.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.data)}")
            self.end_headers()
            return
        body = site.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if site.etag:
            self.send_header("ETag", site.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.data) - 1}/{len(site.data)}")
        self.end_headers()
        sent = site.drops.pop(0) if site.drops else len(body)
        self.wfile.write(body[:sent])

    def log_message(self, *_):
        pass


class Site:
    def __init__(self):
        self.data, self.etag, self.ranges, self.drops, self.status, self.asked = DATA, '"v1"', True, [], 0, []


@pytest.fixture
def site():
    site = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, site))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}/data/books.jsonl.gz?download=1"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(site, folder, **options):
    return download.fetch(site.url, folder=folder, pause=0.0, **options)


def refuse(site, folder, *words, **options):
    with pytest.raises(UserError) as error:
        fetch(site, folder, **options)
    for word in words:
        assert str(word) in str(error.value)


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def test_a_file_is_fetched_once(site, tmp_path):
    path = fetch(site, tmp_path)
    assert path.read_bytes() == DATA
    assert path.name == "books.jsonl.gz"
    assert fetch(site, tmp_path) == path
    assert site.asked == [None]
    assert files(tmp_path) == ["books.jsonl.gz"]


def test_two_addresses_with_one_name_do_not_meet(site, tmp_path):
    first = fetch(site, tmp_path)
    site.url, site.data = site.url + "&v=2", b"other"
    assert fetch(site, tmp_path).read_bytes() == b"other"
    assert first.read_bytes() == DATA


def test_dropped_connection_is_resumed_in_the_same_call(site, tmp_path):
    site.drops = [1000, 500_000]
    assert fetch(site, tmp_path).read_bytes() == DATA
    assert site.asked == [None, "bytes=1000-", "bytes=501000-"]


def test_dropped_connection_is_resumed_by_the_next_run(site, tmp_path):
    site.drops = [1000]
    refuse(site, tmp_path, "1,000 bytes are kept", attempts=1)
    assert fetch(site, tmp_path).read_bytes() == DATA
    assert site.asked == [None, "bytes=1000-"]


def test_server_without_range_starts_again(site, tmp_path):
    site.ranges, site.drops = False, [1000]
    assert fetch(site, tmp_path).read_bytes() == DATA


def test_file_that_changed_meanwhile_starts_again(site, tmp_path):
    site.drops = [1000]
    refuse(site, tmp_path, attempts=1)
    site.data, site.etag = DATA[::-1], '"v2"'
    assert fetch(site, tmp_path).read_bytes() == DATA[::-1]


def test_without_a_validator_only_a_checksum_allows_to_resume(site, tmp_path):
    site.etag, site.drops = "", [1000]
    assert fetch(site, tmp_path / "a").read_bytes() == DATA
    assert site.asked == [None, None]
    site.drops, site.asked = [1000], []
    fetch(site, tmp_path / "b", sha256=hashlib.sha256(DATA).hexdigest())
    assert site.asked == [None, "bytes=1000-"]


def test_whole_part_needs_no_more_bytes(site, tmp_path):
    part = download.location(site.url, folder=tmp_path).with_name(".books.jsonl.gz.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    assert fetch(site, tmp_path, sha256=hashlib.sha256(DATA).hexdigest()).read_bytes() == DATA


def test_part_of_another_file_is_thrown_away(site, tmp_path):
    part = download.location(site.url, folder=tmp_path).with_name(".books.jsonl.gz.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA + b"more")
    assert fetch(site, tmp_path, sha256=hashlib.sha256(DATA).hexdigest()).read_bytes() == DATA


def test_wrong_checksum_names_both_and_leaves_nothing(site, tmp_path):
    refuse(site, tmp_path, "0" * 64, hashlib.sha256(DATA).hexdigest(), "source.sha256", sha256="0" * 64)
    assert files(tmp_path) == []


def test_checksum_of_a_cached_file_is_checked_too(site, tmp_path):
    path = fetch(site, tmp_path)
    refuse(site, tmp_path, "0" * 64, path, "delete it", sha256="0" * 64)
    assert path.exists()


def test_busy_server_is_asked_again(site, tmp_path):
    site.status = [503, 429]
    assert fetch(site, tmp_path).read_bytes() == DATA


def test_refusal_is_told_at_once(site, tmp_path):
    site.status = 404
    refuse(site, tmp_path, "404", "source.url", "source.path")
    assert len(site.asked) == 1


def test_offline_says_where_to_put_the_file(tmp_path):
    url = "http://127.0.0.1:1/books.csv"
    path = download.location(url, folder=tmp_path)
    with pytest.raises(UserError) as error:
        download.fetch(url, folder=tmp_path, attempts=2, pause=0.0)
    assert "offline" in str(error.value)
    assert f"put it at {path}" in str(error.value)
    path.write_bytes(b"by hand")
    assert download.fetch(url, folder=tmp_path) == path


def test_local_address_is_copied(tmp_path):
    source = tmp_path / "my books.csv"
    source.write_bytes(DATA)
    path = download.fetch(source.as_uri(), folder=tmp_path / "cache")
    assert (path.name, path.read_bytes()) == ("my_books.csv", DATA)
    with pytest.raises(UserError, match=r"none\.csv"):
        download.fetch((tmp_path / "none.csv").as_uri(), folder=tmp_path / "cache", attempts=1)


def test_jobs_at_the_same_time_share_one_download(site, tmp_path):
    threads = [threading.Thread(target=fetch, args=(site, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert site.asked == [None]
    assert files(tmp_path) == ["books.jsonl.gz"]
