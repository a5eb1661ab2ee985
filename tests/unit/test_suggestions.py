"""Suggestions: a row for each, no label twice, nothing a work bears, and files that do not depend on batches."""

import unicodedata

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

from crosswalk import files, ranking, suggestions
from crosswalk.suggestions import Suggestions, Writer

CAFE = "Café"
LABELS = ["Maps", "Rivers", "Birds", CAFE, unicodedata.normalize("NFD", "CAFÉ"), "Straße, alt"]
SUBJECTS = pd.DataFrame({"id": [f"s{i}" for i in range(6)], "label": LABELS})
RANKED = np.array([[1, 3], [5, -1], [-1, -1]])
SCORES = np.array([[0.5, 0.25], [1 / 3, np.nan], [np.nan, np.nan]])
CHANCES = np.array([[0.9, 0.1], [0.5, np.nan], [np.nan, np.nan]])


def links(*rows):
    out = np.zeros((len(rows), len(LABELS)), np.float32)
    for i, own in enumerate(rows):
        out[i, own] = 1
    return csr_array(out)


def rows(ranked=RANKED, scores=SCORES, chances=CHANCES, *, ids=("a", "b", "c"), borne=None, reasons=None):
    borne = links(*([] for _ in ids)) if borne is None else borne
    return Suggestions(SUBJECTS).rows(list(ids), ranked, scores, chances, borne=borne, reasons=reasons)


def reasons(count):
    columns = ["reason", "like_works", "with_subjects", "words"]
    return pd.DataFrame({column: [f"{column} {i}" for i in range(count)] for column in columns})


def test_every_suggestion_is_a_row_and_padding_is_none():
    found = rows(reasons=reasons(3))
    assert found["work_id"].tolist() == ["a", "a", "b"]
    assert found["rank"].tolist() == [1, 2, 1]
    assert found["subject_id"].tolist() == ["s1", "s3", "s5"]
    assert found["label"].tolist() == ["Rivers", CAFE, "Straße, alt"]
    assert found["score"].tolist() == [0.5, 0.25, np.float32(1 / 3)]
    assert found["probability"].tolist() == [np.float32(0.9), np.float32(0.1), 0.5]
    assert found["like"].tolist() == ["like_works 0", "like_works 1", "like_works 2"]
    assert found["with"].tolist()[1] == "with_subjects 1"
    assert found["score"].dtype == found["probability"].dtype == np.float32
    assert found.columns.tolist() == suggestions.SCHEMA.names


def test_without_reasons_their_columns_are_empty():
    assert rows()[["reason", "like", "with", "words"]].eq("").all(axis=None)


@pytest.mark.parametrize("borne", [3, 4])
def test_what_a_work_bears_under_any_writing_of_its_label_is_refused(borne):
    with pytest.raises(ValueError, match='"a" is suggested "Café", which it bears'):
        rows(borne=links([borne], [], []))
    assert len(rows(borne=links([0], [3, 4], [1]))) == 3


def test_a_label_that_comes_twice_for_a_work_is_refused():
    with pytest.raises(ValueError, match=r'"a" is suggested ".*", twice'):
        rows(np.array([[3, 4], [5, -1], [-1, -1]]))
    with pytest.raises(ValueError, match="twice"):
        rows(np.array([[-1, -1], [1, 1], [-1, -1]]), np.ones((3, 2)), np.ones((3, 2)))
    assert len(rows(np.array([[3, -1], [4, -1], [-1, -1]]))) == 2  # for two works


def test_meanings_are_what_ranking_folds_by():
    same = suggestions.meanings(LABELS)
    assert same[3] == same[4] and len(set(same)) == 5
    ranked = ranking.top(np.array([[0, 0, 0, 2.0, 3.0, 1.0]]), links([]), 6, same=same)
    assert len(rows(ranked, np.ones((1, 6)), np.ones((1, 6)), ids=["a"])) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"scores": np.full((3, 2), np.inf)},
        {"scores": np.full((3, 2), np.nan)},
        {"chances": np.full((3, 2), 1.5)},
        {"chances": np.full((3, 2), np.nan)},
        {"chances": np.full((2, 2), 0.5)},
        {"reasons": reasons(2)},
        {"borne": links([], [])},
        {"ids": ["a", "b"]},
    ],
)
def test_what_does_not_fit_is_refused(change):
    with pytest.raises(ValueError):
        rows(**change)


def batch(start, stop):
    """Two suggestions for each of some works."""
    n = stop - start
    ids = [f'w"{i}", ü' for i in range(start, stop)]
    scores = np.linspace(start, stop, 2 * n).reshape(n, 2) / 7
    return rows(
        np.tile([0, 5], (n, 1)), scores, np.full((n, 2), 1 / 3), ids=ids, borne=links(*[[]] * n), reasons=reasons(2 * n)
    )


def written(folder, *batches):
    with Writer(csv=folder / "s.csv", parquet=folder / "s.parquet") as out:
        for own in batches:
            out.append(own)
    return out, (folder / "s.csv").read_bytes(), (folder / "s.parquet").read_bytes()


def test_the_files_hold_what_was_appended(tmp_path):
    table = batch(0, 20)
    out, _, _ = written(tmp_path, table)
    assert out.rows == 40
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "s.parquet"), table, check_dtype=False)
    text = pd.read_csv(tmp_path / "s.csv")
    assert text["work_id"].tolist() == table["work_id"].tolist()
    assert np.allclose(text["score"], table["score"], rtol=1e-5)
    files.write_csv(tmp_path / "whole.csv", table)
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "s.csv").read_bytes()


def test_batches_change_no_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(suggestions, "GROUP", 16)
    table = batch(0, 50)
    _, *whole = written(tmp_path / "one", table)
    _, *parts = written(tmp_path / "other", *(table[start : start + 7] for start in range(0, 100, 7)))
    assert whole == parts
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "one" / "s.parquet"), table, check_dtype=False)
    assert pq.ParquetFile(tmp_path / "one" / "s.parquet").num_row_groups == 7


def test_no_suggestion_at_all_gives_files_with_columns_alone(tmp_path):
    written(tmp_path)
    assert (tmp_path / "s.csv").read_text() == ",".join(suggestions.SCHEMA.names) + "\n"
    assert files.read_parquet(tmp_path / "s.parquet").columns.tolist() == suggestions.SCHEMA.names
    _, _, parquet = written(tmp_path / "empty", rows(np.full((3, 2), -1)))
    assert parquet == (tmp_path / "s.parquet").read_bytes()


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), Writer(csv=tmp_path / "s.csv", parquet=tmp_path / "s.parquet") as out:
        out.append(batch(0, 3))
        raise KeyError
    assert list(tmp_path.iterdir()) == []
