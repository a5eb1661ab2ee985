"""Downloads against a real server: once, resumed, checked, and clear about what went wrong."""

import hashlib
import threading

import pytest

from crosswalk import download
from crosswalk.errors import UserError
from servers import FileServer

DATA = bytes(range(256)) * 4000


@pytest.fixture
def site():
    with FileServer(DATA) as site:
        site.url = f"{site.origin}/data/books.jsonl.gz?download=1"
        yield site


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


def test_signature_of_an_address_is_in_no_log_and_no_error(site, tmp_path, caplog):
    caplog.set_level("INFO")
    site.url = f"{site.origin}/books.csv?X-Signature=5ec3e7"
    site.status = [503]
    fetch(site, tmp_path)
    fetch(site, tmp_path)
    told = [caplog.text]
    for url, status in ((site.url + "1", 403), ("http://127.0.0.1:1/books.csv?X-Signature=5ec3e7", 0),
                        (site.url + " x", 0)):  # fmt: skip
        site.status = status
        with pytest.raises(UserError) as error:
            download.fetch(url, folder=tmp_path, attempts=1, pause=0.0)
        told.append(str(error.value))
    assert all("/books.csv?..." in text and "5ec3e7" not in text for text in told)


def test_jobs_at_the_same_time_share_one_download(site, tmp_path):
    threads = [threading.Thread(target=fetch, args=(site, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert site.asked == [None]
    assert files(tmp_path) == ["books.jsonl.gz"]
