"""Weights follow what the halves of texts agree on: noise gets nearly none, and what is given stays."""

import numpy as np
import pytest
from scipy import sparse

from crosswalk import weighting
from crosswalk.blocks import dense_block, sparse_block, spread
from crosswalk.halves import agreement, shuffled
from crosswalk.weighting import FALLBACK, Readings, choose

N, M, SPLIT, D = 120, 100, 60, 8


def planted(name, *, noise, seed, split=SPLIT):
    """A block of partners i <-> i; `noise` is that of the halves around their row: large, and they tell nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N, D))
    parts = {"a": truth, "b": truth[:M] + 0.1 * rng.normal(size=(M, D))}
    for part in ("a1", "a2", "b1", "b2"):
        rows = parts[part[0]][:split]
        parts[part] = rows + noise * rng.normal(size=rows.shape)
    return dense_block(name, parts)


def world(noises, split=SPLIT):
    blocks = [planted(name, noise=noise, seed=i, split=split) for i, (name, noise) in enumerate(noises.items())]
    scales = {block.name: spread(block) for block in blocks}
    return Readings(blocks, scales), scales


NOISY = 30.0


def test_noise_gets_next_to_nothing():
    readings, scales = world({"embedding": 0.4, "words": NOISY, "topics": NOISY})
    found = choose(readings, dict.fromkeys(scales, "auto"), scales=scales)
    assert found.weights["embedding"] == 1 and max(found.weights["words"], found.weights["topics"]) <= 0.3
    assert found.rows == 2 * SPLIT


def test_halves_that_meet_in_what_everybody_chooses_tell_nothing():
    readings, _ = world({"embedding": 0.4})
    popular, own = np.zeros((60, M)), np.eye(60, M)
    popular[:, 3] = 1
    readings.combine = lambda weights: [(popular, popular), (own, own)]
    reciprocal, _ = readings.agree({"embedding": 7.0})
    assert (reciprocal == 1).all()
    told = readings.informed({"embedding": 7.0})
    np.testing.assert_allclose(told[:60], 0, atol=1e-12)
    np.testing.assert_allclose(told[60:], 1)


@pytest.mark.parametrize("good", ["words", "topics"])
def test_no_block_outweighs_the_embedding_however_well_its_halves_agree(good):
    noises = {"embedding": NOISY, "words": NOISY, "topics": NOISY} | {good: 0.4}
    readings, scales = world(noises)
    found = choose(readings, dict.fromkeys(noises, "auto"), scales=scales)
    assert found.weights["embedding"] == found.weights[good] == 1


def test_blocks_that_complete_one_another_share_the_weight():
    noises = {"embedding": 1.5, "words": 1.5}
    readings, scales = world(noises)
    found = choose(readings, dict.fromkeys(noises, "auto"), scales=scales)
    assert found.weights["embedding"] == 1 and 0.3 < found.weights["words"] < 3
    together = readings.agree(found.weights)[0].mean()
    assert together > max(readings.agree({name: 1.0})[0].mean() for name in noises) + 0.1


@pytest.mark.parametrize("weight", [0.02, 1.0, 700.0])
def test_a_given_weight_stays_even_if_the_block_is_noise(weight):
    readings, scales = world({"embedding": 0.4, "words": NOISY, "topics": NOISY})
    found = choose(readings, {"embedding": "auto", "words": weight, "topics": "auto"}, scales=scales)
    assert found.weights["words"] == weight and found.weights["embedding"] >= 2 * weight
    assert found.weights["topics"] < found.weights["embedding"] / 4
    chosen = found.tried[found.tried["chosen_from"]]
    np.testing.assert_allclose(chosen["words"], weight)
    assert len(found.tried) > len(chosen) > 0


def test_a_given_weight_stays_even_if_the_others_are_better_off_without():
    blocks = [planted("embedding", noise=0.4, seed=0), planted("words", noise=NOISY, seed=1)]
    scales = {block.name: spread(block) for block in blocks}
    loud = Readings(blocks, {**scales, "words": scales["words"] / 1000})  # no weight of the embedding is heard
    found = choose(loud, {"embedding": "auto", "words": 3.0}, scales=scales)
    assert found.weights["words"] == 3.0
    assert (found.tried["words"] == 3).sum() > 5 and (found.tried.loc[found.tried["chosen_from"], "words"] == 3).all()
    readings, scales = world({"embedding": 0.4, "words": 0.4, "topics": 0.4})
    found = choose(readings, {"embedding": "auto", "words": 700.0, "topics": 0.1}, scales=scales)
    assert (found.weights["words"], found.weights["topics"]) == (700.0, 0.1)


def test_doubled_given_weights_double_the_others():
    readings, scales = world({"embedding": 0.8, "words": 1.2, "topics": 2.0})
    given = {"embedding": "auto", "words": 0.5, "topics": 0.125}
    plain = choose(readings, given, scales=scales).weights
    twice = choose(readings, {"embedding": "auto", "words": 1.0, "topics": 0.25}, scales=scales).weights
    assert twice == pytest.approx({name: 2 * weight for name, weight in plain.items()}) and plain["embedding"] > 0


def test_with_too_few_halves_the_weights_are_those_written_down():
    readings, scales = world({"embedding": 0.4, "words": NOISY, "topics": 0.4}, split=5)
    assert readings.rows == 10
    for one in (readings, None):
        found = choose(one, dict.fromkeys(scales, "auto"), scales=scales)
        assert found.weights == {name: FALLBACK[name] for name in scales}
        assert list(found.tried.columns) == ["embedding", "words", "topics", "agreement", "same", "chosen_from"]
        assert not len(found.tried)
    assert choose(None, {"topics": "auto"}, scales=scales).weights == {"topics": 1.0}
    assert choose(None, {"embedding": "auto", "words": 4.0}, scales=scales).weights == {"embedding": 4.0, "words": 4.0}


def test_weights_that_are_all_given_are_taken_as_they_are():
    readings, scales = world({"embedding": 0.4, "words": NOISY})
    found = choose(readings, {"embedding": 3.0, "words": 0.7}, scales=scales)
    assert found.weights == {"embedding": 3.0, "words": 0.7} and not len(found.tried)


def test_a_block_that_tells_nothing_is_left_out():
    readings, scales = world({"embedding": 0.4, "words": NOISY})
    for without in ({"embedding": scales["embedding"]}, {**scales, "words": 0.0}):
        found = choose(readings, {"embedding": "auto", "words": "auto", "code": "auto"}, scales=without)
        assert found.weights == {"embedding": 1.0}
    assert choose(readings, {"code": "auto"}, scales=scales).weights == {}


def test_only_the_rows_of_the_mask_count():
    noises = {"embedding": 0.6, "words": 0.6}
    blocks = [planted(name, noise=noise, seed=i) for i, (name, noise) in enumerate(noises.items())]
    rng = np.random.default_rng(9)
    for block, part in ((blocks[0], "b"), (blocks[1], "a")):  # the one tells of a only, the other of b only
        for half in "12":
            rows = block.parts[part + half]
            block.parts[part + half] = rows._replace(dense=rng.normal(size=rows.dense.shape).astype(np.float32))
    scales = {block.name: spread(block) for block in blocks}
    readings, given = Readings(blocks, scales), dict.fromkeys(scales, "auto")
    first = np.arange(readings.rows) < SPLIT
    a, b = (choose(readings, given, scales=scales, rows=rows) for rows in (first, ~first))
    assert a.weights["words"] < 0.3 and b.weights["words"] > 0.9 and a.rows == b.rows == SPLIT
    few = np.arange(readings.rows) < 19
    assert choose(readings, given, scales=scales, rows=few).weights == {name: FALLBACK[name] for name in scales}


def test_same_weights_and_table_each_time_best_first():
    noises = {"embedding": 0.8, "words": 1.2, "topics": 2.0}
    first, second = (_choose(noises) for _ in range(2))
    assert first.weights == second.weights and first.tried.equals(second.tried)
    assert first.tried["agreement"].is_monotonic_decreasing and first.tried["chosen_from"].any()
    assert not first.tried.duplicated(list(noises)).any()


def _choose(noises):
    readings, scales = world(noises)
    return choose(readings, dict.fromkeys(noises, "auto"), scales=scales)


def test_readings_are_the_agreement_of_weighed_scores():
    readings, _ = world({"embedding": 0.8, "words": 1.2})
    weights = {"embedding": 1.0, "words": 0.5}
    pairs = readings.combine(weights)
    assert [part.shape for pair in pairs for part in pair] == [(SPLIT, M)] * 2 + [(SPLIT, N)] * 2
    expected = [np.concatenate(part) for part in zip(*(agreement(*pair) for pair in pairs), strict=True)]
    for _ in range(2):  # asked for again, it is the same
        found = readings.agree(weights)
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    assert np.array_equal(readings.agree({**weights, "topics": 0.0})[0], expected[0])
    with pytest.raises(ValueError, match="every weight is 0"):
        readings.agree({"embedding": 0.0})


def test_null_weighs_the_sides_by_their_rows():
    readings, _ = world({"embedding": 0.8})
    pairs = readings.combine({"embedding": 1.0})
    null = readings.null({"embedding": 1.0}, seed=4, permutations=50)
    expected = np.mean([shuffled(*pair, permutations=50, seed=4 + i) for i, pair in enumerate(pairs)], axis=0)
    np.testing.assert_allclose(null, expected)
    assert readings.agree({"embedding": 1.0})[0].mean() > null.max() + 0.2


def test_exchanged_sides_are_read_the_same():
    rng = np.random.default_rng(3)
    words = {
        part: np.abs(rng.normal(size=(n, 12))) * (rng.random((n, 12)) < 0.4)
        for part, n in (("a", 30), ("b", 25), ("a1", 8), ("a2", 8), ("b1", 6), ("b2", 6))
    }

    def readings(names):
        parts = {names.get(part, part): sparse.csr_matrix(rows) for part, rows in words.items()}
        return Readings([sparse_block("words", parts)], {"words": 1.0}).combine({"words": 1.0})

    plain = readings({})
    turned = readings({"a": "b", "b": "a", "a1": "b1", "a2": "b2", "b1": "a1", "b2": "a2"})
    for pair, other in zip(plain, turned[::-1], strict=True):
        for one, two in zip(pair, other, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5)


def test_halves_look_among_so_many_rows_of_the_other_side(monkeypatch):
    monkeypatch.setattr(weighting, "CANDIDATES", 30)
    readings, _ = world({"embedding": 0.4})
    assert [part.shape for pair in readings.combine({"embedding": 1.0}) for part in pair] == [(SPLIT, 30)] * 4


def test_a_side_of_which_no_text_was_split_has_no_say():
    block = planted("embedding", noise=0.4, seed=0)
    whole = Readings([block], {"embedding": 1.0})
    lone = block._replace(parts={part: rows for part, rows in block.parts.items() if part not in ("b1", "b2")})
    readings = Readings([lone], {"embedding": 1.0})
    assert readings.rows == SPLIT
    assert np.array_equal(readings.agree({"embedding": 1.0})[0], whole.agree({"embedding": 1.0})[0][:SPLIT])
    assert readings.null({"embedding": 1.0}, seed=0, permutations=5).shape == (5,)
