"""Interactions: the matrix says what the tags said, minima hold together, and hierarchies have all their levels."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from crosswalk import files, interactions
from crosswalk.errors import UserError
from crosswalk.tags import Tags


def tagged(bears, *, labels=None, ids=None):
    """Tags of works that bear subjects, given as {row: ids of subjects}."""
    names = sorted({own for subjects in bears.values() for own in subjects})
    pairs = sorted((row, names.index(own)) for row, subjects in bears.items() for own in subjects)
    work, subject = (np.array([pair[i] for pair in pairs], np.int32) for i in (0, 1))
    table = {"id": names, "label": [(labels or {}).get(own, own) for own in names]}
    table |= {"works": np.bincount(subject), "ids": [(ids or {}).get(own, [own]) for own in names]}
    return Tags(work, subject, pd.DataFrame(table), {"rows": len(bears)})


def built(bears, *, n=None, **options):
    n = max(bears) + 1 if n is None else n
    options = {"min_works": 1, "min_subjects": 1} | options
    of_tags = {key: options.pop(key) for key in ("labels", "ids") if key in options}
    return interactions.build(tagged(bears, **of_tags), ids=[f"w{i}" for i in range(n)], name="s", **options)


def above(found, settings):
    """Subject id -> ids of its broader subjects, and the counts."""
    broader, counts = interactions.hierarchy(found.subjects, settings, name="s")
    table = interactions.with_broader(found.subjects, broader)
    return dict(zip(table["id"], map(json.loads, table["broader"]), strict=True)), counts


def broader_table(folder, rows):
    path = folder / "broader.csv"
    pd.DataFrame(rows, columns=["child", "parent"]).to_csv(path, index=False)
    return {"path": str(path), "subject": "child", "broader": "parent"}


def test_the_matrix_holds_a_one_for_each_link_and_nothing_else():
    found = built({0: ["b", "a"], 2: ["c"]}, n=4)
    assert found.links.dtype == np.float32
    assert found.links.has_sorted_indices
    assert found.links.toarray().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert found.subjects["id"].tolist() == ["a", "b", "c"]
    assert found.works["id"].tolist() == ["w0", "w1", "w2", "w3"]
    assert found.works["subjects"].tolist() == found.works["found"].tolist() == [2, 0, 1, 0]


def test_both_minima_hold_in_what_is_left():
    # Without c (1 work) w2 has one subject; without w2, b is borne by one work; without b, w1 has one subject.
    bears = {0: ["a", "d"], 1: ["a", "b"], 2: ["b", "c"], 3: ["a", "d"]}
    found = built(bears, min_works=2, min_subjects=2)
    assert found.subjects["id"].tolist() == ["a", "d"]
    assert found.subjects["works"].tolist() == [2, 2]
    assert found.works["subjects"].tolist() == [2, 0, 0, 2]
    assert found.works["found"].tolist() == [2, 2, 2, 2]
    assert found.counts["subjects_below_min_works"] == 2
    assert found.counts["works_left_without_subjects"] == 2
    assert found.counts["links_kept"] == 4
    assert found.counts["rows"] == 4
    # Works that are not learned from still bear what they bear, so that it is not suggested to them.
    assert found.borne.toarray().tolist() == [[1, 1], [1, 0], [0, 0], [1, 1]]


def test_minima_that_leave_nothing_are_refused():
    with pytest.raises(UserError, match=r"recommend\.s.*5 works.*min_works.*3 subjects.*5 links.*Lower"):
        built({0: ["a", "b"], 1: ["a", "b"], 2: ["c"]}, min_works=5)


def test_a_separator_in_labels_makes_every_beginning_broader_that_is_a_subject():
    labels = {"1": "Art", "2": "Art--History", "3": "art -- HISTORY--Modern--Europe", "4": "Artists", "5": "Maps--Old"}
    found = built({0: list(labels)}, labels=labels)
    broader, counts = above(found, {"separator": "--"})
    assert broader == {"1": [], "2": ["1"], "3": ["1", "2"], "4": [], "5": []}
    assert counts["subjects_with_broader"] == 2


def test_a_table_gives_all_levels_several_parents_and_passes_through_what_is_no_subject(tmp_path):
    rows = [("d", "gone"), ("gone", "b"), ("d", "c"), ("b", "a"), ("x", "a"), ("c", None)]
    broader, counts = above(built({0: list("abcd")}), broader_table(tmp_path, rows))
    assert broader == {"a": [], "b": ["a"], "c": [], "d": ["a", "b", "c"]}
    assert counts["rows_of_broader"] == 6
    assert counts["rows_of_broader_without_id"] == 1
    assert counts["subjects_in_a_cycle"] == 0


def test_cycles_end_and_are_counted_and_no_subject_is_broader_than_itself(tmp_path):
    rows = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "e")]
    broader, counts = above(built({0: list("abcde")}), broader_table(tmp_path, rows))
    assert broader == {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"], "d": ["a", "b", "c"], "e": []}
    assert counts["subjects_in_a_cycle"] == 4


def test_a_table_may_name_a_subject_by_any_id_folded_into_it(tmp_path):
    found = built({0: ["a", "b"]}, ids={"a": ["a", "a2"], "b": ["b", "7"]})
    assert above(found, broader_table(tmp_path, [("7", "a2")]))[0] == {"a": [], "b": ["a"]}


def test_a_chain_of_many_levels_needs_no_recursion():
    labels = {f"{i:04}": "--".join(["x"] * (i + 1)) for i in range(1200)}
    broader, _ = interactions.hierarchy(built({0: list(labels)}, labels=labels).subjects, {"separator": "--"}, name="s")
    assert np.diff(broader.indptr).tolist() == list(range(1200))


def test_a_table_about_other_subjects_is_refused(tmp_path):
    found = built({0: ["a", "b"]})
    with pytest.raises(UserError, match=r'recommend\.s\.broader\.subject.*"child".*"p".*"a", "b"'):
        above(found, broader_table(tmp_path, [("p", "a")]))
    with pytest.raises(UserError, match=r'recommend\.s\.broader: .*did you mean "child"'):
        above(found, broader_table(tmp_path, [("a", "b")]) | {"subject": "childs"})


def test_a_work_stands_at_every_place_of_its_path():
    paths, names = interactions.places(["numpy.linalg", "numpy", None, "scipy. ", " a.b.c"], separator=".")
    assert names == ["a", "a.b", "a.b.c", "numpy", "numpy.linalg", "scipy"]
    stands = [[names[i] for i in paths.indices[a:b]] for a, b in zip(paths.indptr[:-1], paths.indptr[1:], strict=True)]
    assert stands == [["numpy", "numpy.linalg"], ["numpy"], [], ["scipy"], ["a", "a.b", "a.b.c"]]
    assert paths.dtype == np.float32 and set(paths.data) == {1}
    assert interactions.places([None], separator=".")[0].shape == (1, 0)


def test_what_is_written_is_read_again_and_has_the_same_bytes(tmp_path):
    found = built({0: ["a", "b"], 1: ["b"], 3: ["é"]}, n=5, ids={"é": ["é", "ü"]})
    names = {
        "links": "l.safetensors",
        "borne": "b.safetensors",
        "subjects": "s.parquet",
        "works": "w.parquet",
        "counts": "c.json",
    }
    written = []
    for folder in ("one", "other"):
        output = SimpleNamespace(**{key: tmp_path / folder / name for key, name in names.items()})
        interactions.write(output, found)
        written.append([(tmp_path / folder / name).read_bytes() for name in names.values()])
    assert written[0] == written[1]
    stored = load_file(output.links)
    assert {name: str(part.dtype) for name, part in stored.items()} == {
        "indices": "int32",
        "indptr": "int64",
        "shape": "int64",
    }
    links = interactions.read_links(output.links)
    assert links.shape == (5, 3)
    assert links.indices.dtype == np.int32
    assert np.array_equal(links.toarray(), found.links.toarray())
    pd.testing.assert_frame_equal(files.read_parquet(output.works), found.works, check_dtype=False)
    assert files.read_parquet(output.subjects)["ids"].tolist() == ['["a"]', '["b"]', '["é", "ü"]']


def test_broader_subjects_are_read_from_the_table_of_subjects():
    found = built({0: ["1", "2", "3"]}, labels={"1": "x--y--z", "2": "x", "3": "x--y"})
    broader, _ = interactions.hierarchy(found.subjects, {"separator": "--"}, name="s")
    again = interactions.broader_of(interactions.with_broader(found.subjects, broader))
    assert again.toarray().tolist() == broader.toarray().tolist() == [[0, 1, 1], [0, 0, 0], [0, 1, 0]]
    assert interactions.broader_of(found.subjects) is None
