"""Which rows make a collection: the notebook's rule exactly, every row accounted for, the same draw every time."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosswalk import conditions, drawing, links, sampling
from crosswalk.errors import UserError

DATA = Path(__file__).parents[1] / "data"
BOOKS = {"source": {}, "id": "book_id", "text": {"columns": ["title"]}, "keep": ["title"]}
REVIEWS = {
    "source": {},
    "id": "review_id",
    "text": {"columns": ["review_text"]},
    "where": {"review_text": {"min_chars": 100}},
    "link": {"to": "books", "on": "book_id", "at_least": 50, "take": 5},
}


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path):
    return pq.read_table(path).to_pydict()


def draw(source, wanted, out, *, seed=42, **options):
    tally = sampling.sample(source, wanted, name=out.stem, seed=seed, out=out, **options)
    assert tally.read == tally.kept + sum(tally.rejected.values())
    return table(out), tally


def count(source, wanted, out):
    counted = sampling.count_links(source, wanted)
    links.write_counts(out, *counted)
    return counted


def pair(folder, books, reviews, *, n, k, m, seed=42, order="random"):
    """The two-step draw of books and their reviews, as the rules do it."""
    of_books = {**BOOKS, "sample": {"n": n, "order": order}}
    of_reviews = {**REVIEWS, "link": {**REVIEWS["link"], "at_least": k, "take": m, "order": order}}
    count(reviews, of_reviews, folder / "counts.parquet")
    linked = {"at_least": {"reviews": k}, "link_counts": {"reviews": folder / "counts.parquet"}}
    x, of_x = draw(books, of_books, folder / "books.parquet", seed=seed, **linked)
    y, of_y = draw(reviews, of_reviews, folder / "reviews.parquet", seed=seed, target=folder / "books.parquet")
    return x, y, of_x, of_y


def refuse(call, *words):
    with pytest.raises(UserError) as error:
        call()
    for word in words:
        assert str(word) in str(error.value)


def test_selection_rule_of_the_notebook(tmp_path):
    """Reviews of >= 100 characters, books with >= 50 of them, n books by seed, 5 reviews each."""
    long = {"b49": 49, "b50": 50, "b51": 51, "b60": 60, "b99": 99, "none": 0}
    rows = [(b, "x" * 100) for b, n in long.items() for _ in range(n)]
    rows += [("b49", "x" * 99)] * 30 + [("none", "x" * 99)] * 80
    random.Random(1).shuffle(rows)
    reviews = [{"review_id": f"r{i}", "book_id": b, "review_text": text} for i, (b, text) in enumerate(rows)]
    books = jsonl(tmp_path / "b.jsonl", [{"book_id": b, "title": f"Book {b}"} for b in long])
    x, y, of_x, of_y = pair(tmp_path, books, jsonl(tmp_path / "r.jsonl", reviews), n=4, k=50, m=5)
    assert x["id"] == ["b50", "b51", "b60", "b99"]
    assert of_x.rejected == {"fewer than 50 linked rows in reviews": 2}
    assert {b: y["group"].count(b) for b in set(y["group"])} == dict.fromkeys(x["id"], 5)
    assert {len(text) for text in y["text"]} == {100}
    assert of_y.rejected == {
        "min_chars of review_text": 110,
        "link to an item outside the sample": 49,
        "not drawn (take)": 50 + 51 + 60 + 99 - 20,
    }


def test_fixture_in_the_goodreads_schema(tmp_path):
    books, reviews = DATA / "goodreads_books.jsonl", DATA / "goodreads_reviews.jsonl"
    x, y, of_x, of_y = pair(tmp_path, books, reviews, n=10, k=3, m=2)
    long = {}
    for line in reviews.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if len(row["review_text"]) >= 100:
            long.setdefault(row["book_id"], []).append(row["review_id"])
    order = [json.loads(line)["book_id"] for line in books.read_text(encoding="utf-8").splitlines()]
    enough = [b for b in order if len(long.get(b, [])) >= 3]
    assert len(x["id"]) == 10
    assert x["id"] == [b for b in enough if b in x["id"]]
    assert of_x.rejected == {"fewer than 3 linked rows in reviews": 3, "not drawn": len(enough) - 10}
    assert all(y["group"].count(b) == 2 for b in x["id"])
    assert all(r in long[b] for r, b in zip(y["id"], y["group"], strict=True))
    assert len(y["id"]) == 20
    assert of_y.rejected["min_chars of review_text"] == 69 - sum(map(len, long.values()))


@pytest.mark.slow
def test_selection_rule_on_real_papers_and_reviews(tmp_path, real_data):
    books, reviews = real_data / "reviews/papers.jsonl.gz", real_data / "reviews/reviews.jsonl.gz"
    count(reviews, REVIEWS, tmp_path / "counts.parquet")
    linked = {"at_least": {"reviews": 5}, "link_counts": {"reviews": tmp_path / "counts.parquet"}}
    x, tally = draw(books, BOOKS, tmp_path / "all.parquet", **linked)
    assert (tally.read, len(x["id"])) == (3395, 1455)
    x, y, _, of_y = pair(tmp_path, books, reviews, n=1000, k=5, m=5)
    assert len(set(x["id"])) == 1000
    assert of_y.read == 15_175
    assert sorted(y["group"]) == sorted(x["id"] * 5)


def test_draw_depends_on_seed_and_ids_alone(tmp_path):
    rows = [{"book_id": f"b{i}", "title": f"t{i}"} for i in range(200)]
    wanted = {**BOOKS, "sample": {"n": 20}}
    first = draw(jsonl(tmp_path / "a.jsonl", rows), wanted, tmp_path / "1.parquet")[0]
    again = draw(tmp_path / "a.jsonl", wanted, tmp_path / "2.parquet")[0]
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    random.Random(0).shuffle(rows)
    shuffled = draw(jsonl(tmp_path / "b.jsonl", rows), wanted, tmp_path / "3.parquet")[0]
    other = draw(tmp_path / "a.jsonl", wanted, tmp_path / "4.parquet", seed=43)[0]
    assert first == again
    assert sorted(first["id"]) == sorted(shuffled["id"])
    assert first["id"] != other["id"]
    assert shuffled["id"] == [row["book_id"] for row in rows if row["book_id"] in first["id"]]


def test_every_item_is_drawn_equally_often(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [{"book_id": f"b{i}", "title": "t"} for i in range(20)])
    hits = dict.fromkeys((f"b{i}" for i in range(20)), 0)
    for seed in range(100):
        for own in draw(path, {**BOOKS, "sample": {"n": 5}}, tmp_path / "o.parquet", seed=seed)[0]["id"]:
            hits[own] += 1
    assert 25 - 4 * np.sqrt(100 * 0.25 * 0.75) < min(hits.values())
    assert max(hits.values()) < 25 + 4 * np.sqrt(100 * 0.25 * 0.75)


def test_first_takes_the_first(tmp_path):
    books = jsonl(tmp_path / "b.jsonl", [{"book_id": i, "title": "t"} for i in range(9)])
    rows = [{"review_id": i, "book_id": i % 9, "review_text": "x" * 100} for i in range(36)]
    x, y, *_ = pair(tmp_path, books, jsonl(tmp_path / "r.jsonl", rows), n=2, k=4, m=2, order="first")
    assert x["id"] == ["0", "1"]
    assert y["id"] == ["0", "1", "9", "10"]


def test_item_needs_rows_in_every_linking_collection(tmp_path):
    books = jsonl(tmp_path / "b.jsonl", [{"book_id": b, "title": b} for b in "abc"])
    for name, items in {"one": "aabbc", "two": "aabc"}.items():
        rows = [{"review_id": i, "book_id": b, "review_text": "x" * 100} for i, b in enumerate(items)]
        count(jsonl(tmp_path / f"{name}.jsonl", rows), REVIEWS, tmp_path / f"{name}.parquet")
    paths = {name: tmp_path / f"{name}.parquet" for name in ("one", "two")}
    x, tally = draw(books, BOOKS, tmp_path / "o.parquet", at_least={"one": 2, "two": 2}, link_counts=paths)
    assert x["id"] == ["a"]
    assert tally.rejected == {"fewer than 2 linked rows in one": 1, "fewer than 2 linked rows in two": 1}


def test_counts_merge_over_many_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", 7)
    items = [str(random.Random(3).randint(0, i)) for i in range(500)]
    rows = [{"review_id": i, "book_id": b, "review_text": "x" * 100} for i, b in enumerate(items)]
    keys, counts, _ = sampling.count_links(jsonl(tmp_path / "r.jsonl", rows), REVIEWS)
    assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == {
        int(links.key([item])[0]): items.count(item) for item in set(items)
    }
    assert np.all(np.diff(keys.astype(object)) > 0)


def test_key_is_stable():
    assert links.key(["a", "é"]).dtype == np.uint64
    # printf a | b2sum -l 64
    assert links.key(["a"]).tolist() == [int.from_bytes(bytes.fromhex("40f89e395b66422f"), "little")]


def test_rows_without_text_do_not_count_as_links(tmp_path):
    rows = [{"review_id": i, "book_id": 1, "review_text": text} for i, text in enumerate(["x", " ", None])]
    counts = sampling.count_links(jsonl(tmp_path / "r.jsonl", rows), {**REVIEWS, "where": {}})[1]
    assert counts.tolist() == [1]


def test_rows_without_an_id_column_are_named_by_their_number(tmp_path):
    """Neither a condition nor a line that cannot be read moves the name of another row."""
    adverts = [{"title": f"t{i}", "town": "x" if i % 2 else "y"} for i in range(4)]
    paths = [jsonl(tmp_path / "a.jsonl", adverts), jsonl(tmp_path / "b.jsonl", adverts[:2])]
    paths[0].write_text(paths[0].read_text() + "{broken\n")
    wanted = {**BOOKS, "id": None, "source": {"max_bad_lines": 1}}
    every, tally = draw(paths, wanted, tmp_path / "o.parquet")
    assert every["id"] == every["group"] == ["row-1", "row-2", "row-3", "row-4", "row-6", "row-7"]
    assert (tally.read, tally.kept) == (7, 6)
    some, _ = draw(paths, {**wanted, "where": {"town": {"equals": "x"}}}, tmp_path / "o.parquet")
    assert dict(zip(some["id"], some["title"], strict=True)) == {"row-2": "t1", "row-4": "t3", "row-7": "t1"}
    drawn, _ = draw(paths, {**wanted, "sample": {"n": 3}}, tmp_path / "o.parquet")
    named = dict(zip(every["id"], every["title"], strict=True))
    assert len(drawn["id"]) == 3 and all(named[i] == t for i, t in zip(drawn["id"], drawn["title"], strict=True))


def test_rows_without_an_id_column_can_link_to_others(tmp_path):
    books = jsonl(tmp_path / "b.jsonl", [{"book_id": b, "title": b} for b in "ab"])
    reviews = jsonl(tmp_path / "r.jsonl", [{"book_id": b, "review_text": "x"} for b in ("a", None, "b", "a")])
    draw(books, BOOKS, tmp_path / "books.parquet")
    wanted = {**REVIEWS, "id": None, "where": {}}
    assert sampling.count_links(reviews, wanted)[1].sum() == 3
    result, _ = draw(reviews, wanted, tmp_path / "r.parquet", target=tmp_path / "books.parquet")
    assert (result["id"], result["group"]) == (["row-1", "row-3", "row-4"], ["a", "b", "a"])


def test_columns_of_the_table(tmp_path):
    row = {"review_id": 7.0, "book_id": 1, "review_text": "x", "series": None, "stars": 4, "tags": [{"name": "a"}]}
    rows = [row, {**row, "review_id": "b", "series": "S", "stars": None}]
    draw(jsonl(tmp_path / "b.jsonl", [{"book_id": "1", "title": "t"}]), BOOKS, tmp_path / "books.parquet")
    wanted = {**REVIEWS, "where": {}, "block": ["series", "stars"], "keep": ["stars"]}
    wanted["contrast"] = {"column": "tags", "values": ["a", "b"]}
    source = jsonl(tmp_path / "r.jsonl", rows)
    result, _ = draw(source, wanted, tmp_path / "r.parquet", target=tmp_path / "books.parquet")
    assert result == {
        "id": ["7", "b"],
        "group": ["1", "1"],
        "text": ["x", "x"],
        "block_1": [None, "S"],
        "block_2": ["4", None],
        "stars": ["4", None],
        "tags": ['[{"name":"a"}]'] * 2,
    }


def test_one_column_of_blocks_need_not_be_a_list(tmp_path):
    path = jsonl(tmp_path / "b.jsonl", [{"book_id": "1", "title": "t", "series": "S"}])
    result, _ = draw(path, {**BOOKS, "keep": [], "block": "series"}, tmp_path / "o.parquet")
    assert result == {"id": ["1"], "group": ["1"], "text": ["t"], "block_1": ["S"]}


def test_kept_column_with_a_taken_name_is_refused(tmp_path):
    path = jsonl(tmp_path / "b.jsonl", [{"book_id": "1", "title": "t", "group": "g"}])
    wanted = {**BOOKS, "keep": ["group"]}
    refuse(lambda: draw(path, wanted, tmp_path / "o.parquet"), "collections.o.keep", "group", "Rename")


def test_conditions_look_at_the_text_after_strip(tmp_path):
    path = jsonl(tmp_path / "b.jsonl", [{"book_id": i, "title": "SUMMARY " + "x" * i} for i in range(1, 4)])
    wanted = {**BOOKS, "text": {"columns": ["title"], "strip": ["SUMMARY"]}, "where": {"title": {"min_chars": 2}}}
    result, tally = draw(path, wanted, tmp_path / "o.parquet")
    assert result["text"] == ["xx", "xxx"]
    assert result["title"] == ["SUMMARY xx", "SUMMARY xxx"]
    assert tally.rejected == {"min_chars of title": 1}


@pytest.mark.parametrize(
    ("kind", "bound", "good", "bad"),
    [
        ("equals", 7, [7, 7.0, "7", "7.0"], ["8", None, "", "seven", True]),
        ("equals", "7", [7, "7"], ["7.0", 8]),
        ("equals", True, [True, "true", "True"], [False, "yes", 1, None]),
        ("equals", None, [None, "", float("nan")], ["x", 0]),
        ("in", ["en", 3], ["en", "3", 3], ["de", None, 4]),
        ("not_in", ["en", 3], ["de", None, 4], ["en", "3", 3]),
        ("min", 0, [0, "0"], [True, False, -1]),
        ("min", 4, [4, "4.5", 10], [3.9, "3", None, "", "many", True, float("nan")]),
        ("max", 4, [4, "3.5", -1], [4.1, "5", None, "", "few"]),
        ("min_chars", 3, ["abc", 1234, ["a", "b"]], ["ab", None, 12]),
        ("max_chars", 3, ["abc", None, ""], ["abcd", 1234]),
        ("matches", "^a|z$", ["ab", "yz"], ["ba", None, ""]),
        ("not_matches", "^a|z$", ["ba", None, ""], ["ab", "yz"]),
    ],
)
def test_conditions(kind, bound, good, bad):
    meets = conditions.condition(kind, bound, "column")
    assert [value for value in good if not meets(value)] == []
    assert [value for value in bad if meets(value)] == []


TEXT = st.sampled_from([None, "", " ", "short", "x" * 100, "y" * 120])
LINE = st.fixed_dictionaries({"book_id": st.sampled_from([None, "", "a", "b", "c", "gone"]), "review_text": TEXT})
LINE = LINE | st.sampled_from(["not json", "[]", '{"review_id": 1'])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, min_size=1), take=st.none() | st.integers(1, 3), order=st.sampled_from(["random", "first"]))
def test_every_row_is_kept_or_counted(tmp_path, lines, take, order):
    rows = [line if isinstance(line, str) else json.dumps({"review_id": i, **line}) for i, line in enumerate(lines)]
    whole = json.dumps({"review_id": "whole", "book_id": "a", "review_text": "z" * 100})
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join([*rows, whole]), encoding="utf-8")
    books = jsonl(tmp_path / "b.jsonl", [{"book_id": b, "title": b} for b in "abc"])
    draw(books, BOOKS, tmp_path / "books.parquet")
    link = {**REVIEWS["link"], "take": take, "order": order}
    wanted = {**REVIEWS, "source": {"max_bad_lines": 1}, "link": link}
    result, tally = draw(path, wanted, tmp_path / "o.parquet", target=tmp_path / "books.parquet")
    assert tally.read == len(lines) + 1
    assert tally.kept == len(result["id"])
    usable = [line["book_id"] for line in lines if not isinstance(line, str) and len(line["review_text"] or "") >= 100]
    usable.append("a")
    kept = {b: min(usable.count(b), take or len(usable)) for b in "abc"}
    assert {b: result["group"].count(b) for b in "abc"} == kept


def test_texts_are_not_held_in_memory_and_come_out_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "FLUSH_BYTES", 1000)
    rows = [{"book_id": i, "title": f"{i} " * 200} for i in range(60)]
    result, _ = draw(jsonl(tmp_path / "b.jsonl", rows), BOOKS, tmp_path / "o.parquet")
    assert result["text"] == [row["title"] for row in rows]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".", "tmp"))] == []


def test_cut_texts_of_kept_rows_are_counted(tmp_path):
    path = jsonl(tmp_path / "b.jsonl", [{"book_id": i, "title": "x" * i} for i in range(1, 9)])
    wanted = {**BOOKS, "text": {"columns": ["title"], "max_chars": 6}, "where": {"title": {"max_chars": 7}}}
    assert draw(path, wanted, tmp_path / "o.parquet")[1].cut == 1
