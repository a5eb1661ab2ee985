"""Reading rows: every format and compression, line by line, with every fault named."""

import gzip
import json

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from crosswalk import formats, sources, unpacking
from crosswalk.errors import UserError

ROWS = [{"id": "a", "n": "1", "text": "one, two"}, {"id": "b", "n": "2", "text": 'say "hä"\nagain'}]


def as_bytes(fmt, rows=ROWS):
    if fmt == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if fmt == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        return sink.getvalue().to_pybytes()
    sign = {"csv": ",", "tsv": "\t"}[fmt]
    cells = [list(rows[0])] + [list(row.values()) for row in rows]
    return "".join(sign.join('"' + c.replace('"', '""') + '"' for c in line) + "\r\n" for line in cells).encode()


def pack(data, ending):
    return {"": lambda d: d, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[ending](data)


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(path, **options):
    return [row for _, _, row in sources.read(path, **options)]


def refuse(path, *words, **options):
    with pytest.raises(UserError) as error:
        read(path, **options)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("fmt", ["jsonl", "csv", "tsv", "parquet"])
def test_every_format_reads_the_same_rows(tmp_path, fmt, ending):
    path = write(tmp_path, f"rows.{fmt}{ending}", pack(as_bytes(fmt), ending))
    assert read(path) == ROWS
    assert read(path, columns=["text", "id"]) == [{"text": r["text"], "id": r["id"]} for r in ROWS]


def test_format_may_be_given_and_compression_is_seen_in_the_content(tmp_path):
    path = write(tmp_path, "export.data", pack(as_bytes("csv"), ".gz"))
    assert read(path, fmt="csv") == ROWS


def test_files_follow_one_another_and_rows_know_their_place(tmp_path):
    one = write(tmp_path, "one.jsonl", as_bytes("jsonl"))
    two = write(tmp_path, "two.csv", as_bytes("csv"))
    places = [(file, line) for file, line, _ in sources.read([one, two])]
    assert places == [(str(one), 1), (str(one), 2), (str(two), 2), (str(two), 3)]


def test_line_numbers_count_line_breaks_in_quotes_and_blank_lines(tmp_path):
    path = write(tmp_path, "a.csv", 'id,text\n\n1,"x\ny\nz"\n\n2,w\n')
    assert [line for _, line, _ in sources.read(path)] == [3, 7]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_block_borders_leave_no_trace(tmp_path, monkeypatch, size):
    monkeypatch.setattr(unpacking, "BLOCK", size)
    monkeypatch.setattr(unpacking, "ZSTD_INPUT", size)
    for fmt in ("jsonl", "csv"):
        for ending in ("", ".gz", ".zst"):
            data = b"\xef\xbb\xbf" + as_bytes(fmt).rstrip()
            path = write(tmp_path, f"rows.{fmt}{ending}", pack(data, ending))
            assert read(path) == ROWS


def test_several_compressed_members_are_one_file(tmp_path):
    data = as_bytes("jsonl").splitlines(keepends=True)
    for ending in (".gz", ".zst"):
        path = write(tmp_path, f"rows.jsonl{ending}", b"".join(pack(part, ending) for part in data))
        assert read(path) == ROWS


def test_bom_is_no_part_of_the_first_column(tmp_path):
    assert read(write(tmp_path, "a.csv", b"\xef\xbb\xbf" + as_bytes("csv"))) == ROWS


def test_very_long_csv_field_is_read(tmp_path):
    long = "x" * 1_000_000
    assert read(write(tmp_path, "a.csv", f"id,text\n1,{long}\n"))[0]["text"] == long


def test_only_line_feeds_end_a_jsonl_line(tmp_path):
    row = {"text": "a\u2028b\x0cc\x85d"}
    path = write(tmp_path, "a.jsonl", json.dumps(row, ensure_ascii=False).replace("\\f", "\\u000c") + "\r\n")
    assert read(path) == [row]


def test_raw_columns_are_left_undecoded(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1, "tags": [1, {"b": 2}]}\n')
    row = read(path, columns=["id", "tags"], raw=["tags"])[0]
    assert bytes(row["tags"]) == b'[1, {"b": 2}]'


def test_nan_of_python_json_is_null(tmp_path):
    assert read(write(tmp_path, "a.jsonl", '{"id": 1, "x": NaN}\n')) == [{"id": 1, "x": None}]


def test_malformed_lines_are_counted_by_reason_and_named(tmp_path, caplog):
    good = '{"id": 1}\n' * 997
    path = write(tmp_path, "a.jsonl", '{"id": \n[1]\n{"id": "\\ud800"}\n' + good)
    tally = sources.Tally()
    assert len(read(path, tally=tally)) == 997
    assert tally.read == 1000
    assert tally.rejected == {"malformed line: not JSON": 2, "malformed line: not a JSON object": 1}
    assert f"{path}:2" in caplog.text


def test_too_many_malformed_lines_are_fatal(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1}\n{"id": \n' + '{"id": 1}\n' * 8)
    refuse(path, "a.jsonl:2", "1 of the 10", "max_bad_lines", "Mend")
    assert len(read(path, max_bad_lines=0.1)) == 9


def test_hopeless_file_is_given_up_early(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1}\n' + "not json\n" * 100_000)
    tally = sources.Tally()
    refuse(path, "a.jsonl:2", tally=tally)
    assert tally.read < 2000


def test_csv_rows_of_another_width_and_misplaced_quotes_are_malformed(tmp_path):
    path = write(tmp_path, "a.csv", 'id,text\n1,a\n2\n3,"b"c\n4,d\n')
    tally = sources.Tally()
    assert [row["id"] for row in read(path, tally=tally, max_bad_lines=0.5)] == ["1", "4"]
    assert tally.rejected == {"malformed line: wrong number of fields": 1, "malformed line: misplaced quote": 1}
    refuse(path, "a.csv:3")


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("fmt", ["jsonl", "csv", "parquet"])
def test_truncated_file_is_named(tmp_path, fmt, ending):
    rows = [{"id": str(i), "text": str(hash(i * 7.1))} for i in range(20_000)]
    data = pack(as_bytes(fmt, rows), ending)
    for size in (len(data) // 2, len(data) - 3):
        refuse(write(tmp_path, f"a.{fmt}{ending}", data[:size]), f"a.{fmt}{ending}:", "cut short", "again")


def test_damaged_gz_is_named(tmp_path):
    data = bytearray(pack(as_bytes("jsonl", ROWS * 2000), ".gz"))
    data[len(data) // 2] ^= 0xFF
    refuse(write(tmp_path, "a.jsonl.gz", bytes(data)), "a.jsonl.gz:", "damaged")


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
def test_line_that_is_not_utf8_is_named(tmp_path, fmt):
    data = as_bytes(fmt, [{"id": "1", "other": "fine"}, {"id": "2", "other": "caf\u00e9"}])
    path = write(tmp_path, f"a.{fmt}", data.decode().encode("latin-1"))
    refuse(path, f"a.{fmt}:{2 if fmt == 'jsonl' else 3}", "not UTF-8", "iconv", columns=["id"])


def test_utf16_is_recognised(tmp_path):
    refuse(write(tmp_path, "a.csv", "id,text\n1,x\n".encode("utf-16")), "a.csv:1", "iconv -f UTF-16")


def test_missing_file_names_the_near_one(tmp_path):
    write(tmp_path, "books.jsonl", "{}")
    refuse(tmp_path / "boks.jsonl", "boks.jsonl: no such file", "books.jsonl", "source.path")


def test_empty_file_and_file_without_rows(tmp_path):
    refuse(write(tmp_path, "a.jsonl", b""), "empty")
    refuse(write(tmp_path, "b.jsonl", b"\n\n"), "no rows")
    refuse(write(tmp_path, "c.csv", "id,text\n"), "no rows")
    refuse(write(tmp_path, "d.jsonl.gz", gzip.compress(b"")), "no rows")
    refuse(tmp_path, "folder")


def test_unknown_format_says_what_is_known(tmp_path):
    refuse(write(tmp_path, "a.xlsx", b"x"), "a.xlsx", ".jsonl", "source.format")


@pytest.mark.parametrize("fmt", ["jsonl", "csv", "tsv", "parquet"])
def test_missing_column_names_the_near_one(tmp_path, fmt):
    path = write(tmp_path, f"a.{fmt}", as_bytes(fmt))
    refuse(path, f"a.{fmt}", 'no column "txet"', 'did you mean "text"?', "Columns: id, n, text", columns=["id", "txet"])


def test_column_that_some_jsonl_rows_lack_is_no_fault(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1}\n{"id": 2, "note": "x"}\n')
    assert read(path, columns=["id", "note"]) == [{"id": 1}, {"id": 2, "note": "x"}]


def test_header_faults(tmp_path):
    refuse(write(tmp_path, "a.csv", "id,text,id\n1,x,2\n"), "a.csv:1", 'more than one column "id"', "Rename")
    refuse(write(tmp_path, "b.csv", "1,hello\n2,there\n"), "b.csv:1", "must be a header", columns=["id"])
    semicolons = write(tmp_path, "c.csv", "id;text\n1;x\n")
    refuse(semicolons, "c.csv:1", 'parted by ";"', 'source.delimiter: ";"', columns=["id"])
    assert read(semicolons, columns=["id"], delimiter=";") == [{"id": "1"}]


def test_quote_that_never_ends_is_named(tmp_path, monkeypatch):
    path = write(tmp_path, "a.csv", 'id,text\n1,x\n2,"y\n' + "3,z\n" * 100)
    refuse(path, "a.csv:3", "never ends", "Close the quote")
    monkeypatch.setattr(unpacking, "LONGEST_LINE", 100)
    refuse(path, "a.csv:3", "never ends")


def test_one_long_line_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "LONGEST_LINE", 1000)
    monkeypatch.setattr(unpacking, "BLOCK", 100)
    refuse(write(tmp_path, "a.jsonl", "[" + '{"id": 1}, ' * 1000 + "]"), "a.jsonl:1", "jq -c")


def test_damaged_parquet_is_named(tmp_path):
    refuse(write(tmp_path, "a.parquet", as_bytes("parquet")[:-20]), "a.parquet", "not a readable parquet")
    refuse(write(tmp_path, "b.parquet", b"something else"), "b.parquet", "not a readable parquet")


def test_pointer_leads_to_the_download(tmp_path):
    path = write(tmp_path, "a.jsonl", as_bytes("jsonl"))
    pointer = write(tmp_path, "books.json", json.dumps({"path": str(path)}))
    assert sources.resolve([str(pointer)], url=True) == [str(path)]
    assert sources.resolve(str(pointer)) == [str(pointer)]
    path.unlink()
    with pytest.raises(UserError, match=r"gone\. Delete"):
        sources.resolve([str(pointer)], url=True)


def typed(path, *, kinds, **options):
    """What `read_typed` yields, as rows one by one, and how many rows came one by one."""
    rows, single = [], 0
    for file, line, row in sources.read_typed(path, columns=["id", "tags"], kinds=kinds, **options):
        if isinstance(row, tuple):
            rows += [(file, line + i, *values) for i, values in enumerate(zip(*row, strict=True))]
        else:
            single += 1
            raw = row.get("tags")
            rows.append((file, line, row.get("id"), json.loads(bytes(raw)) if isinstance(raw, msgspec.Raw) else raw))
    return rows, single


@pytest.mark.parametrize("rows_at_once", [1, 2, 1000])
def test_typed_rows_are_the_rows_of_read(tmp_path, monkeypatch, rows_at_once):
    monkeypatch.setattr(formats, "TYPED_ROWS", rows_at_once)
    monkeypatch.setattr(unpacking, "BLOCK", 64)
    rows = [{"id": f"ä{i}", "tags": [str(n) for n in range(i)]} for i in range(20)] + [{"id": "x"}, {"tags": None}]
    path = write(tmp_path, "a.jsonl.gz", gzip.compress(as_bytes("jsonl", rows)))
    tally = sources.Tally()
    found, single = typed(path, kinds={"tags": list[str] | None}, tally=tally)
    assert found == [(str(path), i, row.get("id"), row.get("tags")) for i, row in enumerate(rows, 1)]
    assert (single, tally.read) == (0, 22)


@pytest.mark.parametrize(
    "odd", ['{"id": 1, "tags": "of another type"}', '{"id": NaN}', "", "{broken", '{"id": 2}{}', "[]"]
)
def test_lines_near_an_odd_one_are_read_one_by_one_as_by_read(tmp_path, monkeypatch, odd):
    monkeypatch.setattr(unpacking, "BLOCK", 200)
    lines = [json.dumps({"id": f"w{i}", "tags": ["x"] * (i % 3)}) for i in range(60)]
    lines.insert(31, odd)
    path = write(tmp_path, "a.jsonl", "\n".join(lines) + "\n")
    tallies = [sources.Tally(), sources.Tally()]
    found, single = typed(path, kinds={"tags": list[str] | None}, tally=tallies[0], max_bad_lines=0.1)
    rows = sources.read(path, columns=["id", "tags"], tally=tallies[1], max_bad_lines=0.1)
    assert found == [(file, line, row.get("id"), row.get("tags")) for file, line, row in rows]
    assert 0 < single < 20
    assert tallies[0].read == tallies[1].read and tallies[0].rejected == tallies[1].rejected


def test_an_object_on_two_lines_is_malformed_though_another_line_has_two(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1}{"id": 2}\n{"id":\n3}\n{"id": 4}\n')
    for rows in (
        sources.read(path, columns=["id"], max_bad_lines=1),
        sources.read_typed(path, columns=["id"], kinds={"id": int}, max_bad_lines=1),
    ):
        assert [line for _, line, _ in rows] == [4]


def test_typed_reading_names_a_missing_column_and_takes_any_format(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1, "tag": []}\n{"id": 2}\n')
    with pytest.raises(UserError, match=r'no column "tags".*did you mean "tag"'):
        typed(path, kinds={"tags": list[str]})
    path = write(tmp_path, "a.csv", 'id,tags\n1,"[""x""]"\n')
    assert typed(path, kinds={"tags": list[str]}) == ([(str(path), 2, "1", '["x"]')], 1)


@pytest.mark.parametrize("size", [1, 2, 5, *range(30, 50)])
def test_a_letter_cut_by_a_block_border_is_no_fault_and_a_broken_one_is(tmp_path, monkeypatch, size):
    monkeypatch.setattr(unpacking, "BLOCK", size)
    data = '{"id": "é€𝄞"}\n{"id": "a"}\n{"id": "b"}\n'.encode()
    assert [row["id"] for row in read(write(tmp_path, "a.jsonl", data))] == ["é€𝄞", "a", "b"]
    refuse(write(tmp_path, "b.jsonl", data.replace(b'"b"', b'"\xc3"')), "b.jsonl:3", "not UTF-8", "0xc3")
