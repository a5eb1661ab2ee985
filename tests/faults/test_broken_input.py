"""Broken input: each fault has its own clear error that names file, line and cure, before anything is embedded."""

import gzip
import json
import logging
import os
import random
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from isal import igzip

from crosswalk import drawing, links, sampling
from crosswalk.errors import UserError
from servers import FileServer

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIMIT = 600  # MB that drawing a collection may take, whatever the size of its source
BOOKS = [{"book_id": f"b{i}", "title": f"Title {i}"} for i in range(12)]
REVIEWS = [{"review_id": f"r{i}", "book_id": f"b{i % 12}", "text": f"review {i}"} for i in range(48)]
OF_BOOKS = {"source": {}, "id": "book_id", "text": {"preamble": "A book: ", "columns": ["title"]}, "keep": []}
OF_REVIEWS = {
    "source": {},
    "id": "review_id",
    "text": {"columns": ["text"]},
    "link": {"to": "books", "on": "book_id", "at_least": 2, "take": 2, "order": "random"},
}


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Input(dict):
    """Named files of a rule, as Snakemake hands them to a script."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def run(tmp_path):
    """Runs an entry script with a stand-in for Snakemake's object; puts the log handlers back afterwards."""
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook

    def script(name, /, *, output, source=(), config=None, wildcards=None, **params):
        files = Input({key: params.pop(key) for key in ("counts", "target", "rows") if key in params})
        files["source"] = [str(path) for path in source]
        rule = SimpleNamespace(rule=name, log=[str(tmp_path / "log")], input=files, params=SimpleNamespace(**params))
        rule.output, rule.config, rule.wildcards = output, config, SimpleNamespace(**(wildcards or {}))
        runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": rule})
        return (tmp_path / "log").read_text(encoding="utf-8")

    yield script
    for handler in root.handlers[:]:
        handler.close()
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    logging.captureWarnings(False)


def sample_books(run, folder, source, /, **settings):
    output = SimpleNamespace(rows=str(folder / "books.parquet"), counts=str(folder / "books.counts.json"))
    params = {"name": "books", "settings": {**OF_BOOKS, **settings}, "seed": 42, "at_least": {}, "fetched": False}
    run("sample", source=[source], counts=[], target=[], output=output, **params)
    return json.loads((folder / "books.counts.json").read_text(encoding="utf-8"))


def refuse(call, *words):
    with pytest.raises(UserError) as error:
        call()
    for word in words:
        assert str(word) in str(error.value)


def draw(folder, rows, settings=OF_BOOKS, **options):
    source = rows if isinstance(rows, Path) else jsonl(folder / "rows.jsonl", rows)
    return sampling.sample(source, settings, name="books", seed=1, out=folder / "out.parquet", **options)


def test_four_steps_from_address_to_checked_collections(tmp_path, run):
    """The entry scripts as the rules call them: download, count, draw both sides, check."""
    books, reviews = jsonl(tmp_path / "books.jsonl", BOOKS), jsonl(tmp_path / "reviews.jsonl", REVIEWS)
    pointer = tmp_path / "books.json"
    with FileServer(books.read_bytes()) as server:
        config = {"cache": str(tmp_path / "cache"), "collections": {"books": {"source": {}}}}
        config["collections"]["books"]["source"]["url"] = f"{server.origin}/books.jsonl?signature=5ec3e7"
        log = run("fetch", config=config, wildcards={"collection": "books"}, output=[str(pointer)])
    assert json.loads(pointer.read_text())["bytes"] == books.stat().st_size
    assert "/books.jsonl?..." in log and "5ec3e7" not in log + pointer.read_text()
    counts = str(tmp_path / "counts.parquet")
    run("count_links", source=[reviews], name="reviews", settings=OF_REVIEWS, fetched=False, output=[counts])
    tables = [str(tmp_path / f"{name}.parquet") for name in ("books", "reviews")]
    of_books = {**OF_BOOKS, "sample": {"n": 10, "order": "random"}}
    common = {"seed": 42, "output": SimpleNamespace(rows=tables[0], counts=str(tmp_path / "books.counts.json"))}
    params = {"name": "books", "settings": of_books, "at_least": {"reviews": 2}, "fetched": True}
    log = run("sample", source=[pointer], counts=[counts], target=[], **params, **common)
    assert "books: 10 rows kept" in log
    common["output"] = SimpleNamespace(rows=tables[1], counts=str(tmp_path / "reviews.counts.json"))
    params = {"name": "reviews", "settings": OF_REVIEWS, "at_least": {}, "fetched": False}
    run("sample", source=[reviews], counts=[], target=[tables[0]], **params, **common)
    checked = tmp_path / "checked.json"
    collections = {"books": {}, "reviews": {"link": {"to": "books"}}}
    config = {"collections": collections, "relate": {}, "encode": {"encoders": ["topk"], "dims": [4, 5]}}
    run("check_collections", rows=tables, output=[str(checked)], config=config)
    assert json.loads(checked.read_text()) == {"books": 10, "reviews": 20}
    counted = json.loads((tmp_path / "reviews.counts.json").read_text())
    assert counted["read"] == 48 == counted["kept"] + sum(counted["rejected"].values())
    assert counted["source"] == ["reviews.jsonl"]


def test_truncated_gz_stops_the_rule_and_leaves_no_output(tmp_path, run):
    path = tmp_path / "books.jsonl.gz"
    rows = [{"book_id": i, "title": os.urandom(50).hex()} for i in range(20_000)]
    path.write_bytes(gzip.compress(jsonl(tmp_path / "b", rows).read_bytes())[:-1000])
    with pytest.raises(UserError, match=r"books\.jsonl\.gz:\d+: .*cut short.*again"):
        sample_books(run, tmp_path, path)
    assert not (tmp_path / "books.parquet").exists()


def test_malformed_lines_are_counted_in_the_result(tmp_path, run):
    path = jsonl(tmp_path / "books.jsonl", BOOKS)
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(UserError, match=r"books\.jsonl:13: malformed line .*max_bad_lines"):
        sample_books(run, tmp_path, path)
    counts = sample_books(run, tmp_path, path, source={"max_bad_lines": 0.1})
    assert counts["rejected"] == {"malformed line: not JSON": 1}
    assert (counts["read"], counts["kept"]) == (13, 12)


def test_missing_file(tmp_path):
    refuse(lambda: draw(tmp_path, tmp_path / "none.jsonl"), "none.jsonl: no such file", "source.path")


def test_missing_column(tmp_path):
    for wrong in (
        {"id": "bookid"},
        {"text": {"columns": ["titel"]}},
        {"keep": ["titles"]},
        {"where": {"title_": {"min": 1}}},
        {"block": "titel"},
        {"contrast": {"column": "titel", "values": ["a", "b"]}},
    ):
        refuse(lambda wrong=wrong: draw(tmp_path, BOOKS, {**OF_BOOKS, **wrong}), "rows.jsonl", "did you mean", "config")


def test_not_utf8(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"book_id": 1, "title": "a"}\n{"book_id": 2, "title": "caf\xe9"}\n')
    refuse(lambda: draw(tmp_path, path), "rows.jsonl:2: not UTF-8", "iconv")


def test_duplicate_id(tmp_path):
    rows = [*BOOKS, {"book_id": "b3", "title": "Another"}]
    refuse(lambda: draw(tmp_path, rows), "rows.jsonl:13", 'duplicate id "b3"', "rows.jsonl:4", "Remove one")
    linked = [{**row, "review_id": "r1"} if row["review_id"] == "r9" else row for row in REVIEWS]
    draw(tmp_path, BOOKS)
    (tmp_path / "out.parquet").rename(tmp_path / "books.parquet")
    target = tmp_path / "books.parquet"
    refuse(lambda: draw(tmp_path, linked, OF_REVIEWS, target=target), "rows.jsonl:10", 'duplicate id "r1"')


def test_duplicate_id_across_files_and_in_rows_that_are_not_drawn(tmp_path):
    paths = [jsonl(tmp_path / "a.jsonl", BOOKS), jsonl(tmp_path / "b.jsonl", BOOKS[5:6])]
    settings = {**OF_BOOKS, "sample": {"n": 1, "order": "first"}}
    call = {"name": "books", "seed": 1, "out": tmp_path / "o.parquet"}
    refuse(lambda: sampling.sample(paths, settings, **call), "b.jsonl:1", 'duplicate id "b5"', "a.jsonl:6")


def test_duplicate_that_where_shuts_out_is_no_fault(tmp_path):
    rows = [*BOOKS, {"book_id": "b3", "title": "x"}]
    assert draw(tmp_path, rows, {**OF_BOOKS, "where": {"title": {"min_chars": 2}}}).kept == 12


def test_two_ids_with_one_hash_are_no_duplicate(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "rank", lambda value, seed=None: len(value))
    assert draw(tmp_path, BOOKS).kept == 12


def test_missing_ids_are_counted(tmp_path):
    rows = [*BOOKS, {"title": "No id"}, {"book_id": None, "title": "x"}, {"book_id": " ", "title": "x"}]
    assert draw(tmp_path, rows).rejected == {"no id": 3}


def test_adverts_without_any_id_are_drawn_and_a_column_that_is_none_is_still_a_fault(tmp_path):
    path = tmp_path / "adverts.csv"
    path.write_text("title,town\nBaker,Ghent\nBaker,Ghent\n,Ghent\nSmith,Bruges\n", encoding="utf-8")
    assert draw(tmp_path, path, {**OF_BOOKS, "id": None, "keep": ["town"]}).rejected == {"empty text": 1}
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert (table["id"], table["town"]) == (["row-1", "row-2", "row-4"], ["Ghent", "Ghent", "Bruges"])
    refuse(lambda: draw(tmp_path, path, {**OF_BOOKS, "id": "number"}), "adverts.csv:1", 'no column "number"')


def test_empty_texts_are_counted_and_never_embedded(tmp_path):
    rows = [*BOOKS, {"book_id": "e1", "title": " \n"}, {"book_id": "e2", "title": None}]
    assert draw(tmp_path, rows).rejected == {"empty text": 2}
    assert all(pq.read_table(tmp_path / "out.parquet")["text"].to_pylist())
    call = [{"book_id": i, "title": ""} for i in range(12)]
    refuse(lambda: draw(tmp_path, call), "collections.books: no row is left", "empty text: 12", "where")


def test_link_to_nothing_shows_both_sides(tmp_path):
    draw(tmp_path, BOOKS)
    target = tmp_path / "out.parquet"
    target = target.rename(tmp_path / "books.parquet")
    rows = [{**row, "book_id": f"B-{i}"} for i, row in enumerate(REVIEWS)]
    words = ("nothing links to books", '"B-0"', '"b0"', "link.on")
    refuse(lambda: draw(tmp_path, rows, OF_REVIEWS, target=target), *words)
    links.write_counts(tmp_path / "c.parquet", *sampling.count_links(tmp_path / "rows.jsonl", OF_REVIEWS))
    linked = {"at_least": {"reviews": 2}, "link_counts": {"reviews": tmp_path / "c.parquet"}}
    refuse(lambda: draw(tmp_path, BOOKS, **linked), "collections.reviews.link", '"B-0"', '"b0"', "link.on")


def test_missing_links_are_counted(tmp_path):
    draw(tmp_path, BOOKS)
    target = (tmp_path / "out.parquet").rename(tmp_path / "books.parquet")
    rows = [*REVIEWS, {"review_id": "x", "book_id": None, "text": "lost"}, {"review_id": "y", "text": "lost"}]
    assert draw(tmp_path, rows, OF_REVIEWS, target=target).rejected["link to no item"] == 2


def test_fewer_items_than_asked(tmp_path):
    settings = {**OF_BOOKS, "sample": {"n": 13}, "where": {"title": {"not_in": ["Title 1"]}}}
    words = ("collections.books.sample.n: 13", "11 available", "not_in of title: 1", "Lower sample.n")
    refuse(lambda: draw(tmp_path, BOOKS, settings), *words)


def write_big(path, megabytes):
    """A jsonl.gz of that many MB, of text that packs to half its size; returns the number of rows."""
    chance = random.Random(0)
    texts = [json.dumps({"text": chance.randbytes(chance.randint(50, 1500)).hex()})[1:] for _ in range(1000)]
    rows = 0
    with open(path, "wb") as file:
        while file.tell() < megabytes << 20:
            lines = "".join(f'{{"id": "{rows + i}", {text}\n' for i, text in enumerate(texts))
            file.write(igzip.compress(lines.encode(), 1))
            rows += len(texts)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("n", [1000, None])
def test_memory_does_not_grow_with_the_source(tmp_path, n):
    """CROSSWALK_BIG_MB sets the size of the source in MB; with n = None every row is kept."""
    size = int(os.environ.get("CROSSWALK_BIG_MB", "200"))
    rows = write_big(tmp_path / "big.jsonl.gz", size)
    settings = {"source": {}, "id": "id", "text": {"columns": ["text"]}, "sample": {"n": n}}
    code = (
        "import json, resource, sys\n"
        "from pathlib import Path\n"
        "from crosswalk.sampling import sample\n"
        "tally = sample(sys.argv[1], json.loads(sys.argv[2]), name='big', seed=1, out=sys.argv[3])\n"
        "status = Path('/proc/self/status')\n"
        "if status.exists():\n"  # on Linux ru_maxrss also holds the peak of the process that started this one
        "    peak = int(status.read_text().split('VmHWM:')[1].split()[0]) / 1024\n"
        "else:\n"
        "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)\n"
        "print(json.dumps([tally.read, tally.kept, peak]))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "big.jsonl.gz", json.dumps(settings), tmp_path / "out.parquet"]
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True)
    for file in tmp_path.iterdir():
        file.unlink()  # pytest keeps the folders of the last runs
    assert result.returncode == 0, result.stderr
    read, kept, peak = json.loads(result.stdout)
    print(f"{size} MB, {read:,} rows, {kept:,} kept: peak {peak:.0f} MB")
    assert (read, kept) == (rows, n or rows)
    assert peak < LIMIT
