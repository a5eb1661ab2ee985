"""The table of a relation's items, and the two sides that are read by it."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.files import read_vectors, write_parquet, write_vectors
from crosswalk.item_table import item_table
from crosswalk.items import Worlds, average_by_group, folds, nuisance, prepared_items

N = 60


@pytest.fixture
def study(tmp_path):
    """Paths of two collections with vectors; the first item has no rows."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"id": [f"b{i}" for i in range(N)], "group": [f"b{i}" for i in range(N)]})
    x["text"] = [f"PRE book {'very ' * (i % 5)}number {i}" for i in range(N)]
    x["year"] = [str(1900 + i % 13) for i in range(N)]
    groups = [f"b{i}" for i in [*range(1, N), *range(N - 1, 0, -1)]]
    y = pd.DataFrame({"id": [f"r{i}" for i in range(len(groups))], "group": groups})
    y["text"] = [f"review number {i}" for i in range(len(y))]
    y["stars"] = [str(i % 5 + 1) for i in range(len(y))]
    paths = {name: tmp_path / f"{name}.parquet" for name in ("items", "x_rows", "y_rows")}
    write_parquet(paths["x_rows"], x)
    write_parquet(paths["y_rows"], y)
    for side, rows in (("x", x), ("y", y)):
        paths[side] = tmp_path / f"{side}.arrow"
        write_vectors(paths[side], rows["id"], rng.normal(size=(len(rows), 6)))
    return paths


def linked(study, **options):
    table, facts = item_table(
        study["x_rows"], study["y_rows"], name="r", collections=("books", "reviews"), preambles=("PRE ", ""), **options
    )
    write_parquet(study["items"], table)
    return table, facts


def prepared(study, **options):
    return prepared_items(*(study[key] for key in ("items", "x_rows", "y_rows", "x", "y")), **options)


def test_the_table_has_a_row_for_each_item_with_both_sides(study):
    table, facts = linked(study, listed=["x.year"])
    assert table["id"].tolist() == [f"b{i}" for i in range(1, N)]
    assert list(table.columns) == ["id", "block", "x.length", "x.year", "y.length", "y.stars"]
    assert facts["items"] == facts["blocks"] == N - 1
    assert {key: own["use"] for key, own in facts["covariates"].items()} == {
        "x.length": "watched",
        "x.language": "left out",
        "x.year": "listed",
        "y.length": "watched",
        "y.language": "left out",
        "y.stars": "watched",
    }


def test_covariates_that_are_not_kept_are_refused_by_name(study):
    with pytest.raises(
        UserError, match=r"relate\.r\.covariates\.y: 'star' .* did you mean 'stars'.*collections\.reviews\.keep"
    ):
        linked(study, listed=["y.star"])


def test_too_few_items_with_both_sides(study):
    y = pd.read_parquet(study["y_rows"])
    write_parquet(study["y_rows"], y[y["group"].isin([f"b{i}" for i in range(1, 10)])])
    with pytest.raises(UserError, match="9 items"):
        linked(study)


def test_without_covariates_the_sides_are_the_vectors_and_their_means(study):
    linked(study)
    ids, blocks, x, y = prepared(study)
    np.testing.assert_array_equal(x, read_vectors(study["x"])[1][1:].astype(float))
    groups = pd.read_parquet(study["y_rows"])["group"].to_numpy()
    np.testing.assert_array_equal(y, average_by_group(read_vectors(study["y"])[1], groups, ids))
    assert len(ids) == len(blocks) == N - 1 and x.dtype == y.dtype == np.float64


def test_listed_covariates_are_gone_from_both_sides_in_every_fold(study):
    table, _ = linked(study)
    _, blocks, x, y = prepared(study, covariates=["x.year", "y.stars"], fold_count=5, seed=3)
    fold = folds(blocks, 5, seed=3)
    for column in ("x.year", "y.stars"):
        for f in range(5):
            rows = fold == f
            r = np.corrcoef(table[column][rows], np.hstack([x, y])[rows].T)[0, 1:]
            assert np.abs(r).max() < 1e-9
    assert max(abs(np.corrcoef(table["x.length"], x.T)[0, 1:])) > 0.01


def test_what_is_to_be_removed_is_removed_from_y_and_sees_x_alone(study):
    linked(study)
    seen = []

    def leading(x):
        seen.append(x.copy())
        return np.eye(6)[:, :2]

    _, _, x, y = prepared(study, remove=leading)
    np.testing.assert_allclose(y[:, :2], 0, atol=1e-12)
    np.testing.assert_array_equal(seen[0], x)
    np.testing.assert_array_equal(y, prepared(study, remove=np.eye(6)[:, :2])[3])


def test_a_shuffled_world_is_free_of_the_covariates_too(study):
    linked(study)
    listed = {"covariates": ["x.year", "y.stars"], "fold_count": 5, "seed": 3}
    _, blocks, _, y = prepared(study, **listed)
    out = nuisance(study["items"], **listed)
    world = Worlds(blocks, out)(y, np.random.default_rng(0))
    np.testing.assert_allclose(out(world), world, atol=1e-9)
    assert np.abs(world - y).max() > 0.1


def test_programmers_are_told_what_is_missing(study):
    linked(study)
    with pytest.raises(ValueError, match="fold_count and seed"):
        prepared(study, covariates=["x.year"])
    with pytest.raises(ValueError, match=r"no covariate x\.yaer"):
        prepared(study, covariates=["x.yaer"], fold_count=5, seed=0)


def test_a_table_of_an_earlier_run_is_noticed(study):
    table, _ = linked(study)
    write_parquet(study["items"], table.assign(id=["gone", *table["id"][1:]]))
    with pytest.raises(UserError, match="items are not those of"):
        prepared(study)
