"""Files are whole or absent, and the same bytes for the same content."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.files import (
    atomic,
    read_json,
    read_parquet,
    read_vectors,
    write_csv,
    write_json,
    write_parquet,
    write_vectors,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "sub" / "table.csv"
    with atomic(path, "w") as file:
        file.write("old")
    with pytest.raises(RuntimeError), atomic(path, "w") as file:
        file.write("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_vectors_come_back_unchanged_and_read_only(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    write_vectors(tmp_path / "v.arrow", list("abcde"), vectors, metadata={"model": "m"})
    ids, read, metadata = read_vectors(tmp_path / "v.arrow", ids=list("abcde"))
    assert list(ids) == list("abcde") and metadata == {"model": "m"}
    np.testing.assert_array_equal(read, vectors)
    assert not read.flags.writeable


def test_vectors_of_another_collection_are_refused(tmp_path):
    write_vectors(tmp_path / "v.arrow", ["a", "b"], np.ones((2, 3)))
    with pytest.raises(UserError, match="not those of the collection"):
        read_vectors(tmp_path / "v.arrow", ids=["b", "a"])


def test_an_empty_set_of_vectors_keeps_its_width(tmp_path):
    write_vectors(tmp_path / "v.arrow", [], np.empty((0, 7)))
    assert read_vectors(tmp_path / "v.arrow")[1].shape == (0, 7)


def test_ids_and_vectors_must_be_as_many(tmp_path):
    with pytest.raises(ValueError, match="1 ids for 2 vectors"):
        write_vectors(tmp_path / "v.arrow", ["a"], np.ones((2, 3)))


def test_tables_have_the_same_bytes_every_time(tmp_path):
    table = pd.DataFrame({"id": ["é", "b"], "r": [0.1 + 0.2, np.nan], "n": [1, 2]})
    for write, name in ((write_csv, "t.csv"), (write_parquet, "t.parquet")):
        write(tmp_path / name, table)
        first = (tmp_path / name).read_bytes()
        write(tmp_path / name, table.copy())
        assert (tmp_path / name).read_bytes() == first
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "id,r,n\né,0.3,1\nb,,2\n"
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "t.parquet"), table, check_dtype=False)


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert read_json(tmp_path / "a.json") == {"a": "é", "b": 1}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"b": float("nan")})
    assert read_json(tmp_path / "a.json") == {"a": "é", "b": 1}
