"""Aligned collections keep their matches whatever is done to one side, and wrong anchors are named."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save
from test_rotations import planted
from threadpoolctl import threadpool_limits

from crosswalk.alignment import align, relative
from crosswalk.procrustes import Transform, procrustes, unit
from crosswalk.self_learning import csls, self_learning, unsupervised


@pytest.fixture(scope="module")
def world():
    return planted(seed=1, n=300, d=30, kind="decaying")


@pytest.fixture(scope="module")
def anchors(world):
    return np.stack([world.own[:10], np.arange(10)], 1)


def matches(found):
    return csls(unit(found.x_mapped) @ unit(found.y_mapped).T).argmax(1)


@pytest.fixture(scope="module")
def matched(world, anchors):
    return matches(align(world.x, world.y, anchors=anchors, seed=3))


def test_shifting_rescaling_and_rotating_a_side_change_no_match(world, anchors, matched):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    for x, y in (
        (world.x + 7, world.y),
        (world.x * 0.01, world.y - 3),
        (world.x, world.y * 40),
        (world.x @ turn, world.y @ turn.T),
    ):
        assert (matches(align(x, y, anchors=anchors, seed=3)) == matched).all()
    assert (matches(align(world.x @ turn + 1, world.y * 5, seed=3)) == matches(align(world.x, world.y, seed=3))).all()


def test_row_order_changes_no_match(world, anchors, matched):
    rng = np.random.default_rng(1)
    p, q = rng.permutation(300), rng.permutation(300)
    moved = np.stack([np.argsort(p)[anchors[:, 0]], np.argsort(q)[anchors[:, 1]]], 1)
    for given, expected in ((moved, matched), (None, matches(align(world.x, world.y, seed=3)))):
        found = matches(align(world.x[p], world.y[q], anchors=given, seed=3))
        assert (q[found] == expected[p]).all()


def test_same_seed_same_bytes_whatever_the_threads(world, anchors):
    for given in (anchors, None):
        runs = []
        for threads in (1, 2):
            with threadpool_limits(threads):
                runs.append(align(world.x, world.y, anchors=given, seed=5))
        assert runs[0].x_mapped.tobytes() == runs[1].x_mapped.tobytes()
        assert json.dumps(runs[0].diagnostics) == json.dumps(runs[1].diagnostics)


def test_a_saved_alignment_maps_new_rows_to_their_partners(world, anchors):
    known = np.arange(300) < 200
    old = align(world.x[known], world.y[known[world.own]], seed=2).transform
    again = Transform.load(load(save(old.tensors())))
    assert again.apply(world.x).tobytes() == old.apply(world.x).tobytes()
    similarity = unit(again.apply(world.x[~known])) @ unit(world.y[np.argsort(world.own)[~known]]).T
    assert (similarity.argmax(1) == np.arange(100)).mean() > 0.95


def test_many_anchors_choose_a_map_and_self_learning_stays_where_it_does_no_harm(world):
    pairs = np.stack([world.own, np.arange(300)], 1)
    found = align(world.x, world.y, anchors=pairs[:120], seed=1)
    assert found.method == "anchors, self-learning"
    assert (matches(found) == np.argsort(world.own)).all()


def test_self_learning_goes_where_held_out_anchors_are_found_less_often():
    # Beside 100 pairs that a skewed map joins there are 400 rows of either side that nothing joins.
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(500, 12)), rng.normal(size=(500, 12))
    y[:100] = x[:100] @ (np.linalg.qr(rng.normal(size=(12, 12)))[0] * np.geomspace(0.2, 3, 12))
    found = align(x, y, anchors=np.stack([np.arange(100)] * 2, 1), seed=1)
    held_out = found.diagnostics["anchors_held_out"]
    assert held_out["anchors"]["mrr"] > held_out["anchors, self-learning"]["mrr"]
    assert found.method == "anchors" and found.transform.kind == "ridge"


def test_a_start_of_any_form_is_improved(world):
    own = np.argsort(world.own)
    pairs = np.stack([np.arange(300), own], 1)
    pairs[60:, 1] = np.random.default_rng(4).permutation(pairs[60:, 1])
    rough = procrustes(world.x[pairs[:, 0]], world.y[pairs[:, 1]])
    before = (unit(rough.apply(world.x)) @ unit(world.y).T).argmax(1) == own
    similarity = (unit(rough.apply(world.x)) @ unit(world.y).T).astype(np.float32)
    assert before.mean() < 0.9
    for start in (pairs, rough, similarity):
        for keep in (1.0, 0.3):
            found = self_learning(world.x, world.y, start=start, keep=keep, seed=1)
            assert (unit(found.transform.apply(world.x)) @ unit(world.y).T).argmax(1).tolist() == own.tolist()
            assert found.csls == max(found.history)


def test_rows_beyond_what_learns_are_mapped_too(world, monkeypatch):
    monkeypatch.setattr(self_learning.__globals__["spaces"], "__kwdefaults__", {"most": 200})
    found = align(world.x, world.y, anchors=np.stack([world.own, np.arange(300)], 1)[:20], seed=1)
    assert (matches(found) == np.argsort(world.own)).mean() > 0.95


def test_relative_representations_compare_across_spaces(world, anchors):
    moved = 3 * world.x @ np.linalg.qr(np.random.default_rng(5).normal(size=(30, 30)))[0] + 1
    one, two = relative(world.x, anchors[:, 0]), relative(moved, anchors[:, 0])
    np.testing.assert_allclose(one, two, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)


def test_wrong_anchors_are_named(world):
    good = np.stack([np.arange(5), np.arange(5)], 1)
    cases = [
        (good[:2], "2 anchors; at least 3"),
        (good + np.array([0, 300]), "row 300 of y is out of range; y has 300"),
        (good - [[1, 0]], "row -1 of x is out of range"),
        (np.vstack([good, [[2, 9]]]), "row 2 of x is used more than once"),
        (np.vstack([good, [[9, 4]]]), "row 4 of y is used more than once"),
        (good * 1.0, "pairs of row numbers"),
    ]
    for anchors, message in cases:
        with pytest.raises(ValueError, match=message):
            align(world.x, world.y, anchors=anchors, seed=1)


def test_rows_and_starts_that_cannot_be_used_are_refused(world):
    with pytest.raises(ValueError, match="three or more finite rows"):
        align(world.x[:2], world.y, seed=1)
    with pytest.raises(ValueError, match="the same"):
        align(np.zeros((10, 3)), world.y, seed=1)
    with pytest.raises(ValueError, match="choose from"):
        unsupervised(world.x, world.y, starts=("luck",), seed=1)
    with pytest.raises(ValueError, match="300 by 300"):
        self_learning(world.x, world.y, start=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="below 300 and 300"):
        self_learning(world.x, world.y, start=np.array([[0, 300], [1, 1]]))
