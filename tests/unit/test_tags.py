"""Tags of works: every shape of source gives the same links, and every oddity is mended in one way and counted."""

import gzip
import json
import unicodedata

import numpy as np
import pandas as pd
import pytest

from crosswalk import sources, tags
from crosswalk.errors import UserError

NESTED = {"path": "subjects[].concepts[]", "id": "id", "label": "label"}
WORKS = {"w1": ["Maps", "Rivers"], "w2": ["Rivers"], "w3": [], "w4": ["Maps", "Birds"]}
IDS = {"Birds": "s1", "Maps": "s2", "Rivers": "s3"}


def work(own, *subjects):
    """A work with subjects that are lists of (id, label)."""
    return {
        "id": own,
        "title": f"title of {own}",
        "subjects": [{"concepts": [{"id": i, "label": label} for i, label in concepts]} for concepts in subjects],
    }


def simple(own, labels):
    return work(own, *([(IDS[label], label)] for label in labels))


def lines(folder, rows, name="works.jsonl"):
    path = folder / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def table(folder, rows, name):
    path = folder / name
    frame = pd.DataFrame(rows)
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
    return path


def read(path, settings=NESTED, *, ids=tuple(WORKS), id_column="id", **options):
    return tags.read(path, settings, ids=list(ids), name="subjects", id_column=id_column, **options)


def borne(found, ids=tuple(WORKS)):
    """Work id -> labels it bears."""
    out = {own: [] for own in ids}
    for row, subject in zip(found.work, found.subject, strict=True):
        out[ids[row]].append(found.subjects["label"][subject])
    return {own: sorted(labels) for own, labels in out.items()}


def read_works(folder, *rows, settings=NESTED, **options):
    return read(lines(folder, rows), settings, ids=[row["id"] for row in rows], **options)


def refuse(words, call, *args, **options):
    with pytest.raises(UserError) as error:
        call(*args, **options)
    for word in words:
        assert word in str(error.value)


def shapes(folder):
    """The same works in every shape that tags are read from: path, settings, id column."""
    plain = {"id": None, "label": None}
    nested = [simple(own, labels) for own, labels in WORKS.items()]
    links = [{"work": own, "s": IDS[label], "name": label} for own, labels in WORKS.items() for label in labels]
    listed = [{"id": own, "meta": {"tags": labels}} for own, labels in WORKS.items()]
    joined = [{"id": own, "tags": "; ".join(labels)} for own, labels in WORKS.items()]
    as_json = [{"id": own, "subjects": json.dumps(simple(own, labels)["subjects"])} for own, labels in WORKS.items()]
    of_table = {"source": {"path": "links"}, "work": "work", "id": "s", "label": "name"}
    return {
        "nested": (lines(folder, nested), NESTED, "id"),
        "nested parquet": (table(folder, nested, "n.parquet"), NESTED, "id"),
        "nested in csv": (table(folder, as_json, "n.csv"), NESTED, "id"),
        "plain list": (lines(folder, listed, "l.jsonl"), {"path": "meta.tags[]", **plain}, "id"),
        "labels": (lines(folder, nested, "k.jsonl"), {"path": "subjects[].concepts[]", "id": "label"}, "id"),
        "text": (table(folder, joined, "t.csv"), {"path": "tags", "delimiter": ";", **plain}, "id"),
        "text jsonl": (lines(folder, joined, "t.jsonl"), {"path": "tags", "delimiter": ";", **plain}, "id"),
        "text parquet": (table(folder, joined, "t.parquet"), {"path": "tags", "delimiter": ";", **plain}, "id"),
        "table": (table(folder, links, "links.csv"), of_table, None),
        "table jsonl": (lines(folder, links[::-1], "links.jsonl"), of_table, None),
        "table of labels": (table(folder, links, "links.tsv"), of_table | {"id": None}, None),
    }


SHAPES = ["nested", "nested parquet", "nested in csv", "plain list", "labels", "text", "text jsonl", "text parquet"]


@pytest.mark.parametrize("shape", [*SHAPES, "table", "table jsonl", "table of labels"])
def test_every_shape_of_source_gives_the_same_links(tmp_path, shape):
    path, settings, id_column = shapes(tmp_path)[shape]
    origin = {"delimiter": ","} if shape == "table of labels" else None
    found = read(path, settings, id_column=id_column, origin=origin)
    assert borne(found) == {own: sorted(labels) for own, labels in WORKS.items()}
    by_id = "nested" in shape or shape in ("table", "table jsonl")
    assert found.subjects["id"].tolist() == (sorted(IDS.values()) if by_id else sorted(IDS))
    assert found.subjects["works"].tolist() == [1, 2, 2]
    assert found.counts["works_without_subjects"] == 1
    assert found.counts["links"] == 5
    assert found.work.dtype == found.subject.dtype == np.int32


def test_a_column_with_one_subject_needs_no_delimiter(tmp_path):
    rows = [{"id": "a", "genre": "Atlas"}, {"id": "b", "genre": None}, {"id": "c", "genre": " "}]
    found = read_works(tmp_path, *rows, settings={"path": "genre", "id": None})
    assert borne(found, "abc") == {"a": ["Atlas"], "b": [], "c": []}
    rows = [{"id": "a", "meta": {"genre": "Atlas"}}, {"id": "b", "meta": {"genre": None}}, {"id": "c", "meta": None}]
    assert read_works(tmp_path, *rows, settings={"path": "meta.genre", "id": None}).counts["concepts"] == 1
    assert found.counts["concepts"] == 1


def test_a_single_nested_subject_needs_no_list(tmp_path):
    rows = [{"id": "a", "type": {"id": 7, "label": "Atlas"}}, {"id": "b", "type": None}]
    found = read_works(tmp_path, *rows, settings={"path": "type", "id": "id", "label": "label"})
    assert borne(found, "ab") == {"a": ["Atlas"], "b": []}
    assert found.counts["concepts_without_id_and_label"] == 0


def test_order_of_rows_changes_no_link(tmp_path):
    rows = [
        work("a", [("1", "Cats"), ("2", "cats")], [(None, "Fish")]),
        work("b", [("1", "Felines")], [("2", "cats")]),
        work("c", [("3", "FISH")]),
    ]
    one, other = read_works(tmp_path, *rows), read(lines(tmp_path, rows[::-1]), ids=["a", "b", "c"])
    pd.testing.assert_frame_equal(one.subjects, other.subjects)
    assert one.counts == other.counts
    assert np.array_equal(one.work, other.work) and np.array_equal(one.subject, other.subject)


def test_a_concept_without_id_gets_its_label_as_id_and_without_both_is_left_out(tmp_path):
    found = read_works(tmp_path, work("a", [(None, " Wild  Öxen "), (None, None), ("", "  ")]))
    assert found.subjects["id"].tolist() == ["label:wild öxen"]
    assert found.subjects["label"].tolist() == [" Wild  Öxen "]
    assert found.counts["concepts_without_id"] == 1
    assert found.counts["concepts_without_id_and_label"] == 2


def test_one_label_under_two_ids_is_one_subject_named_by_the_id_of_more_works(tmp_path):
    composed, apart = "Café  plans", unicodedata.normalize("NFD", "CAFÉ plans")
    found = read_works(
        tmp_path,
        work("a", [("z9", composed)], [("b2", "x")]),
        work("b", [("z9", composed)]),
        work("c", [("a1", apart)], [("z9", composed)], [("z9", composed)]),
        work("d", [("a1", apart)]),
    )
    assert found.subjects["id"].tolist() == ["b2", "z9"]
    assert found.subjects["label"].tolist() == ["x", composed]
    assert found.subjects["ids"].tolist() == [["b2"], ["z9", "a1"]]
    assert found.subjects["works"].tolist() == [1, 4]
    assert found.counts["ids_folded"] == 1
    assert found.counts["same_subject_twice"] == 2


def test_equally_frequent_ids_of_a_label_are_told_apart_by_the_id(tmp_path):
    found = read_works(tmp_path, work("a", [("2", "x")], [("10", "X")]))
    assert found.subjects["ids"].tolist() == [["10", "2"]]
    assert found.counts["same_subject_twice"] == 1
    assert found.counts["links"] == 1


def test_a_real_id_names_a_subject_before_one_that_is_made_up(tmp_path):
    found = read_works(tmp_path, work("a", [(None, "Fish")]), work("b", [(None, "fish")]), work("c", [("z", "FISH")]))
    assert found.subjects["ids"].tolist() == [["z", "label:fish"]]
    assert found.subjects["label"].tolist() == ["FISH"]
    assert found.subjects["works"].tolist() == [3]


def test_the_most_frequent_label_of_an_id_wins_and_equals_go_by_alphabet(tmp_path):
    rows = [work("a", [("1", "zebra"), ("2", "pear")]), work("b", [("1", "zebra"), ("2", "apple")])]
    found = read_works(tmp_path, *rows, work("c", [("1", "ass")], [("3", "one"), ("3", None)]))
    assert found.subjects["label"].tolist() == ["zebra", "apple", "one"]
    assert found.counts["ids_with_several_labels"] == 2


def test_ids_are_the_same_as_number_and_as_text(tmp_path):
    found = read_works(tmp_path, {"id": 1, **work(0, [(7, "x")])} | {"id": "1"}, work("2", [("7", "x"), (7.0, "x")]))
    assert found.subjects["id"].tolist() == ["7"]
    assert found.subjects["works"].tolist() == [2]


def test_several_concepts_of_a_subject_and_repeats_are_counted(tmp_path):
    found = read_works(tmp_path, work("a", [("1", "x"), ("2", "y")], [("1", "x")], []), work("b", [("1", "x")]))
    assert found.counts["subjects_of_several_concepts"] == 1
    assert found.counts["same_subject_twice"] == 1
    assert found.counts["concepts"] == 4
    assert found.counts["links"] == 3


def test_missing_and_null_lists_are_works_without_subjects(tmp_path):
    rows = [work("a", [("1", "x")]), {"id": "b"}, {"id": "c", "subjects": None}, {"id": "d", "subjects": []}]
    rows += [{"id": "e", "subjects": [None, {"concepts": None}, {}]}]
    found = read_works(tmp_path, *rows)
    assert found.counts["works_without_subjects"] == 4
    assert found.counts["left_out"] == {}


def test_only_works_of_the_collection_count_and_every_row_is_accounted_for(tmp_path):
    rows = [work("a", [("1", "x")]), work("b", [("2", "y")]), {"subjects": []}, "{broken", work("a", [("3", "z")])]
    tally = sources.Tally()
    found = read(lines(tmp_path, rows), ids=["c", "a"], origin={"max_bad_lines": 0.5}, tally=tally)
    assert borne(found, ["c", "a"]) == {"c": [], "a": ["x", "z"]}
    assert found.counts["works_not_found"] == 1
    assert found.counts["works_found_twice"] == 1
    assert found.counts["left_out"] == {"malformed line: not JSON": 1, "no id": 1, "not a work of the collection": 1}
    assert tally.read == tally.kept + sum(tally.rejected.values()) == 5


def test_works_without_id_column_are_numbered_as_when_the_collection_was_drawn(tmp_path):
    rows = [work(None, [("1", "x")]), "{broken", work(None, [("2", "y")])]
    found = read(lines(tmp_path, rows), ids=["row-1", "row-3"], id_column=None, origin={"max_bad_lines": 0.5})
    assert borne(found, ["row-1", "row-3"]) == {"row-1": ["x"], "row-3": ["y"]}
    many, ids = [work(None, [(f"s{i}", f"label {i}")]) for i in range(700)], [f"row-{i + 1}" for i in range(700)]
    found = read(lines(tmp_path, many, "many.jsonl"), ids=ids, id_column=None)
    assert borne(found, ids) == {f"row-{i + 1}": [f"label {i}"] for i in range(700)}


def test_rows_of_another_type_are_named_and_counted_and_stop_the_run_when_many(tmp_path, caplog):
    good = [work(f"w{i}", [("1", "x")]) for i in range(30)]
    bad = [{"id": f"b{i}", "subjects": {"concepts": []}} for i in range(4)]
    path, ids = lines(tmp_path, good + bad), [row["id"] for row in good + bad]
    tally = sources.Tally()
    found = read(path, ids=ids, origin={"max_bad_lines": 0.2}, tally=tally)
    assert found.counts["left_out"] == {"subjects of the wrong type": 4}
    assert (tally.read, tally.kept) == (34, 30)
    warned = [record.getMessage() for record in caplog.records if "wrong type" in record.getMessage()]
    assert [f"{path}:{line}:" in message for line, message in zip((31, 32, 33), warned[:3], strict=True)] == [True] * 3
    assert len([message for message in warned if message.startswith(str(path))]) == 3
    refuse([f"{path}:31", "4 of the 34", "recommend.subjects.tags", "[]"], read, path, ids=ids)
    refuse([f"{path}:31", "1 of the 31"], read, path, ids=ids, origin={"max_bad_lines": 0})


@pytest.mark.parametrize("odd", ["", "{broken", '{"id": ["w"], "subjects": []}', '{"id": "w3", "subjects": 7}'])
def test_an_odd_line_changes_no_link_of_other_works(tmp_path, odd):
    rows = [work(f"w{i}", [(f"s{i % 7}", "x"), (f"t{i % 3}", "y")], [(f"s{i % 5}", None)]) for i in range(400)]
    ids = [row["id"] for row in rows[::-1] if row["id"] != "w3"]
    clean = read(lines(tmp_path, rows), ids=ids)
    mended = read(
        lines(tmp_path, [*rows[:3], odd, *rows[4:], odd], "odd.jsonl"), ids=ids, origin={"max_bad_lines": 0.1}
    )
    pd.testing.assert_frame_equal(clean.subjects, mended.subjects)
    assert np.array_equal(clean.work, mended.work) and np.array_equal(clean.subject, mended.subject)
    assert clean.counts["subjects_of_several_concepts"] == mended.counts["subjects_of_several_concepts"] == len(ids)


@pytest.mark.parametrize("order", ["as in the source", "reversed", "sampled", "with a gap"])
def test_works_are_found_in_any_order_of_the_collection(tmp_path, order):
    rows = [work(f"w{i}", [(f"s{i}", f"label {i}")]) for i in range(700)]
    ids = [row["id"] for row in rows]
    ids = {"reversed": ids[::-1], "sampled": ids[5::3], "with a gap": ids[:300] + ids[301:]}.get(order, ids)
    found = read(lines(tmp_path, rows), ids=ids)
    assert borne(found, ids) == {own: [f"label {own[1:]}"] for own in ids}
    assert found.counts["left_out"] == ({"not a work of the collection": n} if (n := 700 - len(ids)) else {})
    assert found.counts["works_not_found"] == found.counts["works_found_twice"] == 0


def test_a_wrong_type_inside_a_concept_is_no_crash(tmp_path):
    odd = {"id": "b", "subjects": [{"concepts": [{"id": ["1"], "label": "x"}]}]}
    found = read_works(tmp_path, work("a", [("1", "x")]), odd, origin={"max_bad_lines": 0.5})
    assert found.counts["left_out"] == {"subjects of the wrong type": 1}


def test_a_forgotten_list_mark_is_told(tmp_path):
    rows = [simple(own, labels) for own, labels in WORKS.items()]
    refuse(["works.jsonl:1", "[]"], read, lines(tmp_path, rows), NESTED | {"path": "subjects.concepts[]"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "subject[].concepts[]"}, ['"subject"', 'did you mean "subjects"']),
        ({"path": "subjects[].concept[]"}, ["tags.path", '"concept"', "concepts", "subjects[]"]),
        ({"id": "ids"}, ["tags.id", '"ids"', "Keys there: id, label"]),
        ({"label": "lable"}, ["tags.label", "did you mean", "label"]),
        ({"path": "subjects[.concepts"}, ["tags.path", "no path"]),
        ({"path": None}, ["tags.path", "missing"]),
    ],
)
def test_a_path_that_leads_nowhere_names_the_right_one(tmp_path, change, words):
    rows = [simple(own, labels) for own, labels in WORKS.items()]
    refuse(words, read, lines(tmp_path, rows), NESTED | change)


def test_a_collection_without_a_single_subject_is_refused(tmp_path):
    refuse(["no work", "subjects[].concepts[]"], read_works, tmp_path, work("a"), work("b"))
    rows = [{"id": "a", "tags": " ; "}]
    refuse(["no work", "tags"], read_works, tmp_path, *rows, settings={"path": "tags", "delimiter": ";", "id": None})


def test_a_source_about_other_works_is_refused(tmp_path):
    path = lines(tmp_path, [simple(own, labels) for own, labels in WORKS.items()])
    refuse(['"w1"', '"x1"'], read, path, ids=["x1", "x2"])


def test_a_table_about_other_works_or_without_its_columns_is_refused(tmp_path):
    path = table(tmp_path, [{"work": "w1", "subject": "s1"}, {"work": "other", "subject": "s1"}], "links.csv")
    settings = {"source": {"path": str(path)}, "work": "work", "id": "subject", "label": None}
    assert read(path, settings).counts["left_out"] == {"not a work of the collection": 1}
    refuse(["tags.work", '"w1"', '"y"'], read, path, settings, ids=["y"])
    refuse(["tags.work", "missing"], read, path, settings | {"work": None})
    refuse(['"works"', 'did you mean "work"'], read, path, settings | {"work": "works"})
    refuse(["tags.label", "missing"], read, path, settings | {"id": None})


def test_fold_sees_no_capitals_white_space_or_way_of_writing():
    assert tags.fold("  STRASSE\u00a0 x") == tags.fold("straße x")
    assert tags.fold("e\u0301") == tags.fold("É") == "é"
    assert tags.fold("\u03b1\u0345\u0301") == tags.fold("\u03b1\u0301\u0345")
    assert tags.fold("a b") != tags.fold("ab")


@pytest.mark.slow
def test_real_works_are_read_with_every_link(real_data):
    path = real_data / "artworks/works.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        works = [json.loads(line) for line in file]
    ids = [one["id"] for one in works]
    found = read(path, ids=ids)
    assert found.counts["concepts"] == sum(len(s["concepts"]) for one in works for s in one["subjects"])
    of_label = {tags.fold(label): i for i, label in enumerate(found.subjects["label"])}
    for row in range(0, len(ids), 997):
        labels = {c["label"] for s in works[row]["subjects"] for c in s["concepts"]}
        assert {of_label[tags.fold(label)] for label in labels} == set(found.subject[found.work == row].tolist())
    assert len(found.work) == found.counts["links"] == found.subjects["works"].sum()


def test_real_library_works_fold_one_label_under_two_ids(real_data):
    path = real_data / "wellcome/works.jsonl"
    ids = [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]
    found = read(path, ids=ids)
    assert found.counts["works_without_subjects"] == 7
    assert found.counts["same_subject_twice"] == found.counts["ids_folded"] == 1
    assert found.counts["subjects_of_several_concepts"] == 1
