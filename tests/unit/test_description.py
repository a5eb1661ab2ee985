"""Clusters, elbow, map and difference of means on data whose answer is known."""

import numpy as np
import pytest

from crosswalk.description import cluster, difference, elbow, reduce


def blobs(sizes=(50, 30, 20), width=12, seed=0):
    """Rows in well-parted groups of given sizes, shuffled; and the group of each."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (10 * np.eye(width)[group] + rng.normal(size=(len(group), width))).astype(np.float32), group


def test_clusters_are_recovered_and_numbered_by_size():
    vectors, group = blobs()
    found = cluster(reduce(vectors, seed=1).scores, clusters=3, seed=1)
    assert np.array_equal(found, group + 1)


def test_elbow_never_rises_and_bends_at_the_truth():
    vectors, _ = blobs(sizes=(40, 40, 40, 40))
    curve = elbow(reduce(vectors, seed=1).scores, max_clusters=20, seed=1)
    drops = -np.diff(curve["inertia"])
    assert list(curve["k"]) == list(range(1, 21))
    assert (drops >= 0).all()
    assert drops[2] > 5 * drops[3]  # the fourth cluster is the last that explains much


def test_first_inertia_is_the_sum_of_squares():
    scores = reduce(blobs()[0], seed=1).scores
    expected = ((scores - scores.mean(0)) ** 2).sum()
    assert elbow(scores, max_clusters=1, seed=1)["inertia"][0] == pytest.approx(expected)


def test_reduction_ignores_scale_and_constant_dimensions():
    vectors, _ = blobs()
    other = np.column_stack([vectors * np.linspace(1, 50, 12) + 3, np.full(len(vectors), 7.0)])
    one, two = reduce(vectors, seed=1), reduce(other, seed=1)
    assert np.allclose(one.scores, two.scores[:, :12], atol=1e-3)
    assert one.explained.sum() == pytest.approx(1)


def test_same_seed_gives_same_bytes():
    vectors, _ = blobs(sizes=(300, 200), width=60)
    for make in (lambda: reduce(vectors, seed=5).scores, lambda: cluster(vectors, clusters=6, seed=5)):
        assert make().tobytes() == make().tobytes()
    curves = [elbow(vectors, max_clusters=6, seed=5, rows=100) for _ in range(2)]
    assert curves[0].equals(curves[1])


def test_fewer_distinct_rows_than_clusters_is_no_fault():
    vectors = np.repeat(np.eye(3, 5, dtype=np.float32), [4, 3, 2], axis=0)
    scores = reduce(vectors, seed=1).scores
    assert cluster(scores, clusters=16, seed=1).max() == len(elbow(scores, max_clusters=16, seed=1)) == 3
    still = reduce(np.ones((4, 5)), seed=1)
    assert list(cluster(still.scores, clusters=16, seed=1)) == [1, 1, 1, 1]
    assert np.isfinite(still.explained).all()


def test_not_finite_is_refused():
    vectors, _ = blobs()
    vectors[3, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        reduce(vectors, seed=1)


def test_difference_of_means_is_exact():
    vectors = np.array([[1.0, 2.0], [3.0, 6.0], [5.0, 5.0], [9.0, 0.0]])
    a, b = np.array([True, True, False, False]), np.array([False, True, True, False])
    table = difference(vectors, a, b, space="embedding")
    assert table["difference"].tolist() == [-2.0, -1.5]
    assert table["sd"].tolist() == pytest.approx(vectors.std(0).tolist())
    assert table[["space", "dimension", "n_a", "n_b"]].values.tolist() == [
        ["embedding", 0, 2, 2],
        ["embedding", 1, 2, 2],
    ]


@pytest.mark.slow
def test_five_thousand_rows_take_less_than_fifteen_seconds_of_one_core():
    import time

    vectors, _ = blobs(sizes=(500,) * 10, width=384)
    start = time.process_time()
    reduced = reduce(vectors, seed=1)
    elbow(reduced.scores, max_clusters=64, seed=1)
    cluster(reduced.scores, clusters=16, seed=1)
    assert time.process_time() - start < 15
