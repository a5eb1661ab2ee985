"""Columns for phrases: how near each text is, with a weight."""

import numpy as np
import pytest

from crosswalk import training
from crosswalk.steering import counted, steer
from crosswalk.unit_stability import unit_stability


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def made_up(n=600, width=24, seed=0):
    """Texts whose first column hardly varies: what a phrase along it asks for."""
    rng = np.random.default_rng(seed)
    spread = np.r_[0.15, np.ones(width - 1)]
    return unit(rng.standard_normal((n, width)) * spread), np.eye(width, dtype=np.float32)[:1]


def test_a_column_has_the_weight_as_its_share_of_all_variance_and_the_rest_is_untouched():
    x, phrase = made_up()
    both = np.vstack([phrase, unit(np.ones((1, x.shape[1])))])
    found = steer(x, both, [1.0, 0.5])
    assert found.dtype == np.float32 and np.array_equal(found[:, :-2], x)
    total = x.var(axis=0, dtype=np.float64).sum()
    assert found[:, -2:].var(axis=0) == pytest.approx([total, total / 4], rel=1e-5)
    assert abs(found[:, -2:].mean(axis=0)).max() < 1e-6
    assert np.corrcoef(found[:, -2], x[:, 0])[0, 1] == pytest.approx(1)


def test_a_phrase_that_all_texts_are_equally_near_to_adds_nothing():
    x = np.hstack([unit(made_up()[0]) * 0.6, np.full((600, 1), 0.8, np.float32)])
    assert not steer(x, np.eye(25, dtype=np.float32)[-1:], [1.0])[:, -1].any()


def test_phrases_without_a_weight_do_not_count():
    asked = [{"phrase": "sales", "weight": 0}, {"phrase": "pace", "weight": 0.1}]
    assert counted(asked) == asked[1:] and counted([]) == []


def test_shapes_that_do_not_fit_are_refused():
    x, phrase = made_up()
    with pytest.raises(ValueError, match="2 weights"):
        steer(x, phrase, [1, 1])
    with pytest.raises(ValueError, match="for vectors of"):
        steer(x, phrase[:, :-1], [1])


@pytest.mark.parametrize("encoder", ["dense", "topk", "linear", "ica"])
def test_an_encoder_spends_a_unit_on_the_phrase_it_is_steered_to(encoder):
    x, phrase = made_up()
    settings = {"encoder": encoder, "dim": 4, "seed": 3, "epochs": 60}

    def best(rows, appended):
        codes = training.encode(training.train(rows, appended=appended, **settings), rows)
        wanted = x[:, :1].astype(np.float64)
        return float(unit_stability(wanted, [codes])["stability"][0])

    plain, steered = best(x, 0), best(steer(x, phrase, [1.0]), 1)
    assert steered > 0.6 and steered > plain + 0.3, (plain, steered)


@pytest.mark.parametrize("each", [True, False])
def test_the_scale_of_appended_columns_is_that_of_the_others_together(each):
    x, phrase = made_up()
    mean, scale = training.moments(x, each=each)
    own, steered = training.moments(steer(x, phrase, [2.0]), each=each, appended=1)
    assert np.array_equal(own[:-1], mean) and np.allclose(steered[:-1], scale)
    shared = np.sqrt(x.var(axis=0, dtype=np.float64).mean())
    assert steered[-1] == pytest.approx(shared, rel=1e-5)
