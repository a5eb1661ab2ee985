"""Echo is told apart from what y says of its own."""

import numpy as np
import pytest

from crosswalk.canonical import canonical_axes
from crosswalk.echo import echo, removed, repeated_directions


def test_echo_is_high_when_y_repeats_x_and_low_when_it_says_something_else():
    rng = np.random.default_rng(0)
    n, d = 400, 6
    topic, tone = rng.normal(size=n), rng.normal(size=n)
    x_direction, y_direction = np.eye(d)[0], np.eye(d)[1]
    y_embeddings = np.outer(topic, x_direction) + np.outer(topic * 0.7 + tone, y_direction)
    fold = np.arange(n) % 5
    repeated, beyond = echo(topic, y_embeddings @ x_direction, x_direction, y_embeddings, fold=fold)
    assert repeated > 0.99 and abs(beyond) < 0.1
    noise = rng.normal(size=(n, d)) * 3
    repeated, beyond = echo(topic, topic + tone, x_direction, noise, fold=fold)
    assert repeated < 0.15 and beyond > 0.6


def repeating(*, seed, n=400, d=40, topics=6, link=0.6):
    """x (n, d), y (n, d): y repeats the topics of x word for word; one other trait of x goes with a tone of y."""
    rng = np.random.default_rng(seed)
    topic, trait = rng.exponential(size=(n, topics)), rng.exponential(size=n)
    tone = link * trait + np.sqrt(1 - link**2) * rng.exponential(size=n)
    shared, own = rng.normal(size=(topics, d)), rng.normal(size=(2, d))
    x = topic @ shared + np.outer(trait, own[0]) + 0.5 * rng.normal(size=(n, d))
    y = topic @ shared + np.outer(tone, own[1]) + 0.5 * rng.normal(size=(n, d))
    return x, y, trait, tone


def leading(x, y, trait, tone):
    """How far the first axis is the planted link: the lower |correlation| of its scores with trait and tone."""
    found = canonical_axes(x, y, np.arange(len(x)), axes=8, permutations=0, bootstrap=9)
    sides = (found.x_scores[:, 0], trait), (found.y_scores[:, 0], tone)
    return min(abs(np.corrcoef(*side)[0, 1]) for side in sides)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_beyond_a_repetition_leads_once_the_repetition_is_taken_out(seed):
    x, y, trait, tone = repeating(seed=seed)
    basis = repeated_directions(x, y).basis
    assert leading(x, y, trait, tone) < 0.3
    assert leading(x, removed(y, basis), trait, tone) > 0.7


def test_no_trait_of_x_that_a_search_finds_can_be_read_in_what_is_left():
    x, y, *_ = repeating(seed=0, d=200)
    left = removed(y, repeated_directions(x, y).basis)
    found = canonical_axes(x, left, np.arange(len(x)), axes=8, permutations=0, bootstrap=9)
    assert np.abs((left - left.mean(0)) @ found.x_directions).max() < 1e-9


def test_what_is_taken_out_sees_no_link():
    x, y, *_ = repeating(seed=1)
    order = np.random.default_rng(0).permutation(len(y))
    one, other = repeated_directions(x, y), repeated_directions(x, y[order])
    np.testing.assert_array_equal(one.basis, other.basis)
    np.testing.assert_allclose(removed(y, one.basis)[order], removed(y[order], other.basis))


def test_y_keeps_half_of_its_directions_unless_a_number_is_given():
    x, y, *_ = repeating(seed=2, d=40)
    found = repeated_directions(x, y)
    assert found.basis.shape == (40, 20) and 0.5 < found.of_y < 1
    assert repeated_directions(x, y, remove=3).basis.shape == (40, 3)
    assert repeated_directions(x, y, components=7).basis.shape == (40, 7)
    assert repeated_directions(x, y, remove=0).basis.shape == (40, 0)
    np.testing.assert_array_equal(removed(y, np.empty((40, 0))), y)


def test_vectors_of_two_spaces_are_refused():
    x, y, *_ = repeating(seed=2)
    with pytest.raises(ValueError, match="not of one space"):
        repeated_directions(x, y[:, :30])
