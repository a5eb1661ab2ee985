"""A bridge of shared texts takes two models into one space, and says how well."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.bridge import FEWEST, bridge, bridge_texts, held_out


def two_models(count, *, common=10, noise=0.1, seed=0):
    """The same texts embedded by two models that know `common` directions alike, and others each for itself."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(count, common))
    maps = rng.normal(size=(2, common, 30))
    return [shared @ turn + noise * rng.normal(size=(count, 30)) + 3 for turn in maps], rng


def found(x, y):
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    return float(((x @ y.T).argmax(axis=1) == np.arange(len(x))).mean())


def test_texts_the_bridge_has_not_seen_find_themselves():
    (x, y), _ = two_models(600)
    first, second, correlations = bridge(x[:300], y[:300])
    assert found(first.apply(x[300:]), second.apply(y[300:])) > 0.95
    assert found(x[300:], y[300:]) < 0.05
    assert (np.diff(correlations) <= 1e-12).all() and correlations[0] <= 1


def test_directions_that_only_one_model_knows_count_for_little():
    (x, y), rng = two_models(600)
    loud = np.hstack([x, 5 * rng.normal(size=(600, 5))])
    first, second, correlations = bridge(loud[:300], y[:300])
    assert found(first.apply(loud[300:]), second.apply(y[300:])) > 0.9
    assert correlations[-1] < 0.5 * correlations[0]


def test_shift_scale_and_rotation_of_a_model_change_no_neighbour():
    (x, y), rng = two_models(400)
    turn, _ = np.linalg.qr(rng.normal(size=(30, 30)))
    plain, moved = bridge(x, y), bridge(7 * (x @ turn) + 2, y)
    before = plain[0].apply(x) @ plain[1].apply(y).T
    after = moved[0].apply(7 * (x @ turn) + 2) @ moved[1].apply(y).T
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_held_out_texts_are_found_only_if_they_correspond():
    (x, y), rng = two_models(500)
    assert held_out(x, y)["hit_at_1"] > 0.9
    assert held_out(x, y[rng.permutation(500)])["hit_at_1"] < 0.05
    assert held_out(x[:150], y[:150])["hit_at_1"] is None


def test_too_few_texts_and_texts_that_do_not_belong_together_are_refused():
    (x, y), _ = two_models(FEWEST)
    bridge(x, y)
    with pytest.raises(ValueError, match="carry no bridge"):
        bridge(x[1:], y[1:])
    with pytest.raises(ValueError, match="the same texts"):
        bridge(x, y[1:])


def test_same_texts_give_same_bytes():
    (x, y), _ = two_models(300)
    assert bridge(x, y)[0].rotation.tobytes() == bridge(x.copy(), y.copy())[0].rotation.tobytes()


def test_only_halves_drawn_for_the_bridge_are_embedded_by_both_models():
    halves = pd.DataFrame({"use": ["check", "bridge", "bridge"], "first": ["a", "d", "b"], "second": ["e", "c", "b"]})
    assert bridge_texts(halves) == ["b", "c", "d"]
    assert bridge_texts(halves.iloc[:1]) == []
