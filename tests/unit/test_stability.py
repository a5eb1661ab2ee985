"""Axes of disjoint halves are matched, and compared one by one and as a space."""

import numpy as np
import pytest

from crosswalk.stability import agreement, matched


def standard(scores):
    return (scores - scores.mean(0)) / scores.std(0)


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return standard(rng.normal(size=(2000, 3))), standard(rng.normal(size=(2000, 3)))


def test_axes_are_matched_whatever_their_order_and_sign(scores):
    u, v = scores
    order, sign = matched(u, v, -u[:, [2, 0, 1]], -v[:, [2, 0, 1]])
    assert list(order) == [1, 2, 0] and list(sign) == [-1, -1, -1]


def test_the_same_axes_agree_fully_and_the_lower_side_counts(scores):
    u, v = scores
    stability, overlap = agreement([((u, v), (u, v))] * 3)
    np.testing.assert_allclose([stability, overlap], 1)
    other = standard(np.random.default_rng(1).normal(size=v.shape))
    stability, overlap = agreement([((u, v), (u, other))])
    assert (np.abs(stability) < 0.1).all() and (overlap < 0.1).all()


def test_a_space_may_come_back_where_its_axes_do_not(scores):
    u, v = scores
    turn = np.array([[1, 1, 0], [1, -1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    stability, overlap = agreement([((u, v), (u @ turn, v @ turn))])
    assert stability[0] == pytest.approx(0.71, abs=0.05)
    assert overlap[0] == pytest.approx(0.5, abs=0.05) and overlap[1] > 0.999 and overlap[2] > 0.999
