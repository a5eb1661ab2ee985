"""New works: read as their collection was, known by id and label, and told plainly what is wrong or left out."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from crosswalk import interactions, new_works, tags
from crosswalk.errors import UserError

COLLECTION = {
    "id": "id",
    "text": {"columns": ["title", "description"], "separator": ". "},
    "where": {},
    "source": {"path": "elsewhere.jsonl", "format": "auto"},
    "sample": {"n": 1},
    "keep": ["module", "size"],
}
ENTRY = {"tags": {"path": "subjects[].concepts[]", "id": "id", "label": "label", "delimiter": None, "source": None}}
SUBJECTS = pd.DataFrame(
    {
        "id": ["s1", "s2", "s3"],
        "label": ["Birds", "Maps", "Rivers"],
        "ids": ['["s1", "b9"]', '["s2"]', '["s3", "label:rivers"]'],
    }
)


def work(own, *concepts, **fields):
    subjects = [{"concepts": [{"id": i, "label": label}]} for i, label in concepts]
    return {"id": own, "title": f"title {own}", "description": "text", "subjects": subjects} | fields


def lines(folder, *rows, name="new.jsonl"):
    path = folder / name
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def read(path, collection=COLLECTION, entry=ENTRY, **more):
    given = {"ids": ["old1", "old2"], "subjects": SUBJECTS} | more
    return new_works.read(path, collection, entry, name="subjects", file="latest", **given)


def read_rows(folder, *rows, **more):
    return read(lines(folder, *rows), **more)


def borne(found):
    return [sorted(found.links[[i]].indices.tolist()) for i in range(found.links.shape[0])]


def refuse(words, call, *args, **options):
    with pytest.raises(UserError) as error:
        call(*args, **options)
    for word in ["recommend.subjects.new.latest", *words]:
        assert word in str(error.value)


def test_all_works_are_read_in_the_order_of_the_file(tmp_path):
    found = read_rows(tmp_path, work("z"), work("a"), work("m"))
    assert found.ids == ["z", "a", "m"]
    assert found.texts == ["title z. text", "title a. text", "title m. text"]
    assert found.counts["works"] == found.counts["rows"] == 3
    assert found.paths is None


def test_subjects_are_known_by_id_by_folded_id_and_by_label(tmp_path):
    found = read_rows(
        tmp_path,
        work("a", ("s2", "Charts")),
        work("b", ("b9", "anything")),
        work("c", ("unheard", "  RIVERS ")),
        work("d", (None, "rivers")),
        work("e", ("s1", "Birds"), ("b9", "other"), ("s3", "Rivers")),
    )
    assert borne(found) == [[1], [0], [2], [2], [0, 2]]
    twofold = read_rows(tmp_path, work("f", ("x", "Fowl"), ("b9", "fowl")), work("g", ("x", "Fowl")))
    assert borne(twofold) == [[0], [0]]
    assert found.links.dtype == np.float32 and found.links.data.tolist() == [1] * 6
    assert found.links.shape == (5, 3) and found.links.has_sorted_indices


def test_unknown_subjects_are_counted_and_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    found = read_rows(tmp_path, work("a", ("x", "Trains"), ("s1", "Birds")), work("b", ("x", "Trains"), ("y", "Cars")))
    assert borne(found) == [[0], []]
    assert found.counts["unknown_subjects"] == 2
    assert found.counts["links_to_unknown_subjects"] == 3
    assert found.counts["works_without_subjects"] == 1
    assert 'such as "Trains", "Cars"' in caplog.text


NO_SUBJECTS = {
    "no key": {"id": "a", "title": "t", "description": "d"},
    "null": work("a") | {"subjects": None},
    "empty": work("a"),
    "empty inside": work("a") | {"subjects": [{"concepts": []}, {"concepts": None}, None]},
    "blank": work("a", (None, " ")),
}


@pytest.mark.parametrize("kind", NO_SUBJECTS)
def test_works_without_any_subject_are_fine(tmp_path, kind):
    found = read_rows(tmp_path, NO_SUBJECTS[kind])
    assert borne(found) == [[]]
    assert found.links.shape == (1, 3)
    assert found.counts["works_without_subjects"] == 1


def test_subjects_of_rows_that_are_no_works_do_not_count(tmp_path):
    where = COLLECTION | {"where": {"title": {"not_matches": "draft"}}}
    rows = work("a", ("s1", "Birds"), title="draft"), work("b")
    found = read_rows(tmp_path, *rows, collection=where)
    assert found.ids == ["b"] and borne(found) == [[]]
    assert found.counts["left_out"] == {"not_matches of title": 1}


def test_subjects_of_another_shape_than_the_config_says_are_told(tmp_path):
    refuse(["subjects of the wrong type"], read_rows, tmp_path, work("a") | {"subjects": "Birds"})
    misnamed = work("a") | {"subjects": [{"concepts": [{"code": "s1", "name": "x"}]}]}
    refuse(["tags.id", 'has a key "id"'], read_rows, tmp_path, misnamed)


def test_concepts_with_labels_alone_are_known_by_them(tmp_path):
    rows = [work("a") | {"subjects": [{"concepts": [{"label": "birds"}, {"label": "MAPS"}]}]}, work("b")]
    assert borne(read_rows(tmp_path, *rows)) == [[0, 1], []]
    assert borne(read_rows(tmp_path, *rows, work("c", ("s3", None)))) == [[0, 1], [], [2]]


def test_delimited_columns_plain_lists_and_csv_are_read_like_the_collection(tmp_path):
    text = {"path": "tags", "id": None, "label": None, "delimiter": ";", "source": None}
    table = pd.DataFrame({"id": ["a", "b"], "title": ["t", "u"], "description": ["", "d"], "tags": ["Birds; maps", ""]})
    table.to_csv(tmp_path / "new.csv", index=False)
    found = read(tmp_path / "new.csv", entry={"tags": text})
    assert borne(found) == [[0, 1], []] and found.texts == ["t", "u. d"]
    table.drop(columns="tags").to_parquet(tmp_path / "new.parquet")
    assert borne(read(tmp_path / "new.parquet", entry={"tags": text})) == [[], []]
    listed = {"tags": text | {"path": "meta.tags[]", "delimiter": None}}
    assert borne(read_rows(tmp_path, work("a", meta={"tags": ["Rivers"]}), entry=listed)) == [[2]]
    assert borne(read_rows(tmp_path, work("a", meta={"tags": []}), work("b", meta=None), entry=listed)) == [[], []]
    nested = table.assign(subjects=[json.dumps(work("a", ("s3", "x"))["subjects"]), "[]"])
    nested.to_csv(tmp_path / "nested.csv", index=False)
    assert borne(read(tmp_path / "nested.csv")) == [[2], []]
    nested.assign(subjects="[{").to_csv(tmp_path / "broken.csv", index=False)
    refuse(["subjects of the wrong type"], read, tmp_path / "broken.csv")
    nested.assign(subjects="[]").to_csv(tmp_path / "none.csv", index=False)
    assert borne(read(tmp_path / "none.csv")) == [[], []]


def test_links_of_a_table_are_not_asked_for(tmp_path, caplog):
    table = {"path": None, "id": "s", "label": None, "delimiter": None, "work": "w", "source": {"path": "links.csv"}}
    assert borne(read_rows(tmp_path, work("a", ("s1", "Birds")), entry={"tags": table})) == [[]]
    assert "tags.source is not asked" in caplog.text


def test_a_text_column_may_be_missing_but_not_all(tmp_path, caplog):
    found = read_rows(tmp_path, {"id": "a", "title": "t", "subjects": []})
    assert found.texts == ["t"]
    assert '"description"' in caplog.text
    refuse(['"description", "title"'], read_rows, tmp_path, {"id": "a", "name": "t"})


def test_faults_are_those_of_collections_and_name_the_file(tmp_path):
    refuse(['duplicate id "a"', "new.jsonl:2"], read_rows, tmp_path, work("a"), work("a"))
    refuse(["no such file"], read, tmp_path / "gone.jsonl")
    refuse(["malformed line", "new.jsonl:2"], read_rows, tmp_path, work("a"), '{"id": ', work("b"))
    refuse(["no row is left", "empty text: 1"], read_rows, tmp_path, work("a", title="", description=None))


def test_what_is_left_out_is_counted(tmp_path):
    loose = COLLECTION | {"source": {"max_bad_lines": 0.5}}
    rows = work("a", ("s1", "Birds")), "{", work("", title="x"), work("c", title=" ", description="")
    found = read_rows(tmp_path, *rows, collection=loose)
    assert found.ids == ["a"] and borne(found) == [[0]]
    assert found.counts["rows"] == 4
    assert found.counts["left_out"] == {"empty text": 1, "malformed line: not JSON": 1, "no id": 1}


def test_a_work_that_was_trained_on_is_known_again(tmp_path):
    found = read_rows(tmp_path, work("new"), work("old2"))
    assert found.rows.tolist() == [-1, 1] and found.rows.dtype == np.int64
    assert found.counts["works_trained_on"] == 1


def test_rows_without_ids_are_nobody_that_was_trained_on(tmp_path):
    plain = COLLECTION | {"id": None}
    rows = work("x", title="", description=""), work("y", ("s2", "Maps"))
    found = read_rows(tmp_path, *rows, collection=plain, ids=["row-1", "row-2"])
    assert found.ids == ["row-2"] and borne(found) == [[1]]
    assert found.rows.tolist() == [-1]


def test_paths_are_put_in_the_places_trained_on(tmp_path):
    entry = ENTRY | {"path": {"column": "module", "separator": "."}}
    _, places = interactions.places(["numpy.linalg", "scipy"], separator=".")
    rows = work("a", module="numpy.fft"), work("b", module="numpy.linalg"), work("c", module=None)
    found = read_rows(tmp_path, *rows, entry=entry, places=places)
    assert places == ["numpy", "numpy.linalg", "scipy"]
    assert found.paths.toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    bare = read_rows(tmp_path, work("a"), entry=entry, places=places)
    assert bare.paths.shape == (1, 3) and bare.paths.nnz == 0


def test_works_read_as_new_bear_what_they_bear_in_the_collection(tmp_path):
    rows = [work("a", ("1", "x"), (None, "Y")), work("b", ("2", "y"), ("3", "X ")), work("c", ("1", "x"))]
    path = lines(tmp_path, *rows)
    ids = [row["id"] for row in rows]
    known = tags.read(path, ENTRY["tags"], ids=ids, name="subjects", id_column="id")
    trained = interactions.build(known, ids=ids, name="subjects", min_works=1)
    found = read(path, ids=ids, subjects=trained.subjects)
    assert (found.links.toarray() == trained.links.toarray()).all()
    assert found.rows.tolist() == [0, 1, 2]
