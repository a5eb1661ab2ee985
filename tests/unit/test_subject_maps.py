"""Like lies near like on a map, the same each time, and dense places are named by what their rows bear."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from crosswalk.subject_maps import FEWEST, dense_places, subject_map

GROUPS, EACH = 4, 30


def clouds(seed=0, *, groups=GROUPS, each=EACH, width=12, noise=0.25):
    """Rows around so many directions, ids, and the group of each row."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    rows = np.eye(width)[group] + noise * rng.normal(size=(len(group), width))
    return rows.astype(np.float32), [f"w{i:03}" for i in range(len(rows))], group


def purity(points, group):
    """Share of the points whose nearest other point is of their group."""
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(far, np.inf)
    return (group[far.argmin(axis=1)] == group).mean()


def test_few_rows_lie_on_principal_components():
    rows, ids, _ = clouds(groups=3, each=3)
    assert len(rows) < FEWEST
    placed = subject_map(rows, ids, seed=1)
    assert placed["id"].tolist() == ids and list(placed) == ["id", "x", "y"]
    assert placed["x"].var() >= placed["y"].var() > 0
    assert np.allclose(placed[["x", "y"]].mean(), 0)
    assert "umap" not in sys.modules or placed.equals(subject_map(rows, ids, seed=2))  # no seed has a say


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_row_or_none_is_no_fault(count):
    placed = subject_map(np.ones((count, 1), np.float32), [str(i) for i in range(count)], seed=0)
    assert len(placed) == count and np.isfinite(placed[["x", "y"]].to_numpy(float)).all()


def test_rows_without_direction_are_not_on_the_map():
    rows, ids, _ = clouds(groups=2, each=3)
    rows[1], rows[4] = 0, np.nan
    assert subject_map(rows, ids, seed=0)["id"].tolist() == ["w000", "w002", "w003", "w005"]


def test_draw_is_among_the_rows_that_have_a_direction():
    rows, ids, _ = clouds(groups=2, each=10)
    rows[::2] = 0
    for matrix in (rows, sparse.csr_array(rows)):
        placed = subject_map(matrix, ids, seed=0, most=8)
        assert len(placed) == 8 and all(int(i[1:]) % 2 for i in placed["id"])


def test_length_of_a_row_changes_nothing():
    rows, ids, _ = clouds(groups=2, each=4)
    longer = rows * np.arange(1, 9)[:, None]
    one, other = (subject_map(r, ids, seed=0)[["x", "y"]] for r in (rows, longer))
    assert np.allclose(one, other, atol=1e-6)


def test_order_of_the_rows_changes_no_place():
    rows, ids, _ = clouds(groups=2, each=4)
    mixed = np.random.default_rng(3).permutation(len(ids))
    other = subject_map(rows[mixed], [ids[i] for i in mixed], seed=0)
    assert other["id"].tolist() == [ids[i] for i in mixed]
    assert other.sort_values("id", ignore_index=True).equals(subject_map(rows, ids, seed=0))


def test_large_inputs_are_drawn_by_seed_and_id():
    rows, ids, _ = clouds(groups=2, each=50)
    first, again, other = (subject_map(rows, ids, seed=seed, most=8)["id"].tolist() for seed in (1, 1, 2))
    assert len(first) == 8 and first == again == sorted(first) and first != other
    part = subject_map(rows[:60], ids[:60], seed=1, most=8)["id"].tolist()
    assert set(first) & set(ids[:60]) <= set(part)  # rows that go or come elsewhere drop none


def test_ids_must_be_those_of_the_rows():
    rows, ids, _ = clouds(groups=2, each=3)
    for wrong in (ids[:-1], [ids[0], *ids[:-1]]):
        with pytest.raises(ValueError, match="different ids"):
            subject_map(rows, wrong, seed=0)


def test_sparse_and_dense_rows_give_one_map():
    rows, ids, _ = clouds(groups=2, each=4)
    assert subject_map(sparse.csr_array(rows), ids, seed=0).equals(subject_map(rows, ids, seed=0))


@pytest.mark.slow
def test_like_lies_near_like_and_seed_gives_the_same_bytes():
    rows, ids, group = clouds()
    placed = subject_map(rows, ids, seed=5)
    assert purity(placed[["x", "y"]].to_numpy(), group) > 0.95
    assert placed.equals(subject_map(rows, ids, seed=5))
    assert not placed.equals(subject_map(rows, ids, seed=6))
    mixed = np.random.default_rng(3).permutation(len(ids))
    other = subject_map(rows[mixed], [ids[i] for i in mixed], seed=5)
    assert other.sort_values("id", ignore_index=True).equals(placed)


@pytest.mark.slow
def test_equal_rows_lie_on_one_spot_and_wide_sparse_ones_on_the_map():
    rows, ids, group = clouds(width=90, noise=0.1)
    rows[1] = rows[0]
    matrix = sparse.csr_array(np.where(np.abs(rows) > 0.05, rows, 0))
    placed = subject_map(matrix, ids, seed=5)
    mixed = np.random.default_rng(3).permutation(len(ids))
    other = subject_map(matrix[mixed], [ids[i] for i in mixed], seed=5)
    assert other.sort_values("id", ignore_index=True).equals(placed)
    assert placed.loc[0, ["x", "y"]].tolist() == placed.loc[1, ["x", "y"]].tolist()
    assert purity(placed[["x", "y"]].to_numpy()[2:], group[2:]) > 0.95


@pytest.mark.slow
def test_number_of_threads_changes_no_bit():
    code = (
        "from test_subject_maps import clouds; from crosswalk.subject_maps import subject_map; import sys;"
        "sys.stdout.write(subject_map(*clouds()[:2], seed=5).to_json(double_precision=15))"
    )
    tests = Path(__file__).parent
    told = []
    for threads in ("1", "2"):
        keys = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        path = os.pathsep.join([str(tests), str(tests.parents[1] / "scripts")])
        environment = os.environ | dict.fromkeys(keys, threads) | {"PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        told.append(done.stdout)
    assert told[0] == told[1] and len(told[0]) > 1000


def scattered(sizes, *, seed=0, spread=0.3):
    """Points around places on a circle, so many at each, and the place of each point."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(len(sizes)), sizes)
    angle = 2 * np.pi * place / len(sizes)
    points = 5 * np.column_stack([np.cos(angle), np.sin(angle)]) + spread * rng.normal(size=(len(place), 2))
    return pd.DataFrame({"id": [f"w{i}" for i in range(len(place))], "x": points[:, 0], "y": points[:, 1]}), place


def bearing(place, *, own=True):
    """Every row bears subject 0, which tells nothing; with `own`, also the subject of its place."""
    links = np.zeros((len(place), place.max() + 2))
    links[:, 0] = 1
    if own:
        links[np.arange(len(place)), place + 1] = 1
    return sparse.csr_array(links)


def test_dense_places_are_named_by_what_their_rows_bear_most():
    placed, place = scattered([200, 100, 50])
    labels = ["everything", "boats", "trees", "faces"]
    named = dense_places(placed, bearing(place), placed["id"], labels)
    assert named["label"].tolist() == ["boats", "trees", "faces"]  # the densest first
    for i, row in named.iterrows():
        middle = placed.loc[place == i, ["x", "y"]].mean()
        assert np.hypot(row["x"] - middle["x"], row["y"] - middle["y"]) < 0.3


def test_what_all_rows_bear_names_no_place():
    placed, place = scattered([100, 100])
    assert dense_places(placed, bearing(place, own=False), placed["id"], ["everything", "a", "b"]).empty


def test_no_label_is_given_twice():
    placed, place = scattered([100, 90])
    links = bearing(place)
    assert dense_places(placed, links, placed["id"], ["all", "sea", "sea"])["label"].tolist() == ["sea"]


def test_scattered_rows_are_no_dense_place():
    rng = np.random.default_rng(0)
    placed, place = scattered([100])
    strays = pd.DataFrame({"id": [f"s{i}" for i in range(4)], "x": 40 * rng.random(4) + 20, "y": 40.0 * np.arange(4)})
    both = pd.concat([placed, strays], ignore_index=True)
    links = bearing(np.concatenate([place, np.ones(4, int)]))
    assert dense_places(both, links, both["id"], ["all", "heap", "strays"])["label"].tolist() == ["heap"]


def test_names_follow_ids_and_not_the_order_of_the_rows():
    placed, place = scattered([80, 40])
    links, labels = bearing(place), ["all", "boats", "trees"]
    named = dense_places(placed, links, placed["id"], labels)
    mixed = np.random.default_rng(1).permutation(len(placed))
    part = placed.iloc[::-1].iloc[5:]  # the map may hold fewer rows
    other = dense_places(part, links[mixed], placed["id"].to_numpy()[mixed], labels)
    assert other["label"].tolist() == named["label"].tolist()
    with pytest.raises(ValueError, match="on the map"):
        dense_places(placed, links[1:], placed["id"][1:], labels)


def test_places_of_a_map_of_subjects_are_named_by_the_subject_most_works_bear():
    placed, _ = scattered([30, 20], spread=0.1)
    works = np.ones(50)
    works[7], works[33] = 40, 30
    named = dense_places(placed, sparse.diags_array(works), placed["id"], [f"subject {i}" for i in range(50)])
    assert named["label"].tolist() == ["subject 7", "subject 33"]


def test_at_most_so_many_places_are_named():
    placed, place = scattered([60] * 6)
    links, labels = bearing(place), ["all", *"abcdef"]
    assert len(dense_places(placed, links, placed["id"], labels)) == 6
    assert len(dense_places(placed, links, placed["id"], labels, most=4)) == 4
    assert dense_places(placed.iloc[:0], links, placed["id"], labels).empty
