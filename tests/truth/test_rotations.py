"""A planted rotation is found again with few anchors or none, and where there is none the check says so."""

from dataclasses import dataclass

import numpy as np
import pytest

from crosswalk.alignment import align, fitter, identifiable
from crosswalk.procrustes import unit
from crosswalk.self_learning import csls

KINDS = ["round", "decaying", "clustered"]


@dataclass
class World:
    x: np.ndarray
    y: np.ndarray
    own: np.ndarray  # row of x that each row of y comes from


def planted(*, seed, n=800, d=50, kind="decaying", noise=0.3, share=1.0):
    """y is a rotation of x with noise, its rows in another order, only a share of them there.

    round: the same variance in all directions; decaying: variance 1/i in direction i; clustered: that around twelve
    centres of unequal size.
    """
    rng = np.random.default_rng([seed, d])
    deviation = np.arange(1, d + 1) ** (0.0 if kind == "round" else -0.5)
    x = rng.normal(size=(n, d)) * deviation
    if kind == "clustered":
        size = 1 / np.arange(1, 13)
        x += (rng.normal(size=(12, d)) * deviation)[rng.choice(12, n, p=size / size.sum())]
    y = x @ np.linalg.qr(rng.normal(size=(d, d)))[0] + noise * x.std() * rng.normal(size=(n, d))
    own = rng.permutation(n)[: int(share * n)]
    return World(x, y[own], own)


def found_share(world, found):
    """Share of the rows of y's partners whose nearest by CSLS is their own."""
    similarity = csls(unit(found.x_mapped) @ unit(found.y_mapped).T)
    return (similarity.argmax(1)[world.own] == np.arange(len(world.own))).mean()


def ten(world, count=10):
    return np.stack([world.own[:count], np.arange(count)], 1)


@pytest.mark.slow
@pytest.mark.parametrize("d", [50, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_anchors_find_99_percent(kind, d):
    for seed in range(3):
        world = planted(seed=seed, d=d, kind=kind)
        assert found_share(world, align(world.x, world.y, anchors=ten(world), seed=seed)) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("d", [50, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_no_anchors_at_all_find_99_percent(kind, d):
    for seed in range(3):
        world = planted(seed=seed, d=d, kind=kind)
        assert found_share(world, align(world.x, world.y, seed=seed)) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_forty_percent_without_partner_do_no_harm_with_anchors(kind):
    for seed in range(3):
        world = planted(seed=seed, kind=kind, share=0.6)
        assert found_share(world, align(world.x, world.y, anchors=ten(world), seed=seed)) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["decaying", "clustered"])
def test_forty_percent_without_partner_do_no_harm_without_anchors(kind):
    for seed in range(3):
        world = planted(seed=seed, kind=kind, share=0.6)
        assert found_share(world, align(world.x, world.y, seed=seed)) >= 0.99


def test_a_small_world_is_found_and_identifiable():
    world = planted(seed=4, n=300, d=30)
    for anchors in (None, ten(world)):
        found = align(world.x, world.y, anchors=anchors, seed=1)
        assert found_share(world, found) >= 0.97
        verdict = identifiable(world.x, world.y, fitter(anchors=anchors, seed=1), seed=1, repeats=1)
        assert verdict["identifiable"] and verdict["agreement"] > 0.95 and verdict["null"] < 0.1


def test_a_small_world_without_a_rotation_is_not_identifiable():
    x, y = planted(seed=4, n=300, d=30).x, planted(seed=5, n=300, d=30).y
    for anchors in (None, np.stack([np.arange(10)] * 2, 1)):
        assert not identifiable(x, y, fitter(anchors=anchors, seed=1), seed=1, repeats=1)["identifiable"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_planted_rotations_are_called_identifiable(kind):
    for seed in range(3):
        world = planted(seed=seed, kind=kind)
        for anchors in (None, ten(world)):
            prepare = fitter(anchors=anchors, seed=seed)
            verdict = identifiable(world.x, world.y, prepare, seed=seed, repeats=1)
            assert verdict["identifiable"] and verdict["agreement"] > 0.95, verdict


@pytest.mark.slow
def test_independent_clouds_are_called_not_identifiable():
    wrong = []
    for seed in range(100):
        kind, d = KINDS[seed % 3], (50, 100)[seed % 2]
        x, y = planted(seed=seed, d=d, kind=kind).x, planted(seed=1000 + seed, d=d, kind=kind).y
        verdict = identifiable(x, y, fitter(seed=seed), seed=seed)
        wrong += [(seed, verdict)] if verdict["identifiable"] else []
    assert len(wrong) <= 5, wrong


@pytest.mark.slow
def test_anchors_between_independent_clouds_identify_nothing():
    wrong = []
    for seed in range(60):
        x, y = planted(seed=seed, kind=KINDS[seed % 3]).x, planted(seed=1000 + seed, kind=KINDS[seed % 3]).y
        anchors = np.stack([np.arange((5, 10, 150)[seed // 20])] * 2, 1)
        verdict = identifiable(x, y, fitter(anchors=anchors, seed=seed), seed=seed)
        wrong += [(seed, verdict)] if verdict["identifiable"] else []
    assert len(wrong) <= 3, wrong


def test_what_would_lead_any_two_clouds_together_identifies_nothing():
    # Two axes of unequal spread and few rows to choose from: the halves agree for no other reason than the spread.
    rng = np.random.default_rng(0)
    x, y = (rng.exponential(size=(count, 2)) * [5, 1] for count in (300, 30))
    verdict = identifiable(x, y, fitter(seed=1), seed=1)
    assert verdict["agreement"] > 0.2 and not verdict["identifiable"], verdict
