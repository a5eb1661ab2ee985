"""Lists are those of a full sort and hold nothing twice; measures have known answers; intervals cover what they say."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score

from crosswalk import significance as module
from crosswalk.ranking import (
    coverage,
    difference,
    found,
    judge,
    summary,
    tail,
    tail_recall,
    top,
)
from crosswalk.retrieval import interval
from crosswalk.significance import resampled

MEASURES = ["recall_at_1", "recall_at_5", "recall_at_10", "hit_at_10", "precision_at_5", "ndcg_at_10", "mrr"]


def links(rows, count):
    """A csr (rows, count) with 1 at the given subjects of each row."""
    dense = np.zeros((len(rows), count), np.float32)
    for row, subjects in zip(dense, rows, strict=True):
        row[list(subjects)] = 1
    return csr_array(dense)


def plain_top(scores, seen, k, same):
    """What `top` gives, one subject after the other."""
    lists = []
    for row, (score, own) in enumerate(zip(scores, seen.toarray(), strict=True)):
        taken, chosen = {same[s] for s in np.flatnonzero(own)}, []
        for subject in sorted(range(len(score)), key=lambda s: (-scores[row, s], s)):
            if same[subject] not in taken and len(chosen) < k:
                taken.add(same[subject])
                chosen.append(subject)
        lists.append(chosen + [-1] * (k - len(chosen)))
    return np.array(lists)


@st.composite
def worlds(draw):
    """Scores, seen and hidden links that do not overlap, and a length of list."""
    b, count, k = draw(st.integers(1, 8)), draw(st.integers(1, 40)), draw(st.integers(1, 14))
    rng, few = np.random.default_rng(draw(st.integers(0, 9999))), draw(st.booleans())
    scores = rng.integers(-2, 3, (b, count)) if few else rng.normal(size=(b, count))
    role = rng.choice(3, (b, count), p=[0.5, 0.3, 0.2])
    role[np.arange(b), rng.integers(count, size=b)] = 2
    same = rng.integers(draw(st.integers(1, count)), size=count)
    return scores.astype(np.float32), csr_array((role == 1) * 1.0), csr_array((role == 2) * 1.0), k, same


def test_the_best_come_first_without_what_the_work_bears():
    scores = np.array([[0.1, 0.9, 0.5, 0.7], [4, 3, 2, 1]], np.float32)
    ranked = top(scores, links([[1], []], 4), 2)
    assert ranked.tolist() == [[3, 2], [0, 1]]
    assert ranked.dtype == np.int32


def test_equal_scores_stand_by_the_lower_number():
    assert top(np.zeros((1, 2000), np.float32), links([[1]], 2000), 3).tolist() == [[0, 2, 3]]
    scores = np.array([[0, 1, 0, 1, 1, 0]], np.float32)
    assert top(scores, links([[3]], 6), 4).tolist() == [[1, 4, 0, 2]]


def test_lists_end_where_no_subject_is_left():
    scores = np.ones((3, 3), np.float32)
    assert top(scores, links([[0, 1, 2], [0, 2], []], 3), 4).tolist() == [[-1] * 4, [1, -1, -1, -1], [0, 1, 2, -1]]
    assert top(np.zeros((2, 0)), csr_array((2, 0)), 1).tolist() == [[-1], [-1]]
    assert top(np.zeros((0, 3)), csr_array((0, 3)), 2).shape == (0, 2)


def test_a_low_score_is_still_a_suggestion():
    scores = np.full((1, 3), np.finfo(np.float32).min)
    assert top(scores, links([[1]], 3), 3).tolist() == [[0, 2, -1]]


def test_one_label_under_two_ids_is_suggested_once_and_not_beside_itself():
    same = np.array([7, 7, 3, 4, 7])
    scores = np.array([[1, 3, 2, 0, 3], [1, 3, 2, 0, 3]], np.float32)
    assert top(scores, links([[], [0]], 5), 3, same=same).tolist() == [[1, 2, 3], [2, 3, -1]]


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_lists_are_those_of_a_plain_sort(world):
    scores, seen, _, k, same = world
    before = scores.copy()
    assert np.array_equal(top(scores, seen, k), plain_top(scores, seen, k, np.arange(scores.shape[1])))
    assert np.array_equal(top(scores, seen, k, same=same), plain_top(scores, seen, k, same))
    assert np.array_equal(scores, before)


def test_a_list_does_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    scores, seen = rng.integers(0, 9, (50, 700)).astype(np.float32), csr_array((rng.random((50, 700)) < 0.1) * 1.0)
    whole = top(scores, seen, 10)
    assert np.array_equal(np.vstack([top(scores[i : i + 7], seen[i : i + 7], 10) for i in range(0, 50, 7)]), whole)


def test_wrong_scores_are_refused_with_their_row():
    scores, seen = np.zeros((3, 4), np.float32), links([[], [], []], 4)
    scores[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 1"):
        top(scores, seen, 2)
    for arguments in ({"seen": seen[:2], "k": 1}, {"seen": seen, "k": 0}, {"seen": seen, "k": 1, "same": np.zeros(3)}):
        with pytest.raises(ValueError, match="do not go"):
            top(np.zeros((3, 4)), **arguments)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["all apart", "mostly 0"])
def test_many_subjects_are_ranked_in_a_tenth_of_a_second(kind):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(512, 16_000)).astype(np.float32)
    if kind == "mostly 0":
        scores[rng.random(scores.shape) > 0.0005] = 0
    seen, took = csr_array((rng.random(scores.shape) < 0.0006).astype(np.float32)), []
    for _ in range(3):
        started = time.process_time()
        top(scores, seen, 10)
        took.append(time.process_time() - started)
    assert min(took) < 0.1


def test_found_ignores_the_end_of_a_list_and_other_works_links():
    ranked = np.array([[2, 0, -1], [0, 1, -1]])
    assert found(ranked, links([[0, 2], [2]], 3)).tolist() == [[True, True, False], [False] * 3]


def test_known_answers():
    ranked = np.full((4, 12), -1)
    ranked[0] = range(12)  # hidden: third and the one behind the tenth
    ranked[1, :2] = [5, 7]  # hidden: both
    ranked[2, :10] = range(20, 30)  # hidden: nothing of it
    ranked[3] = range(12)  # hidden: the eleventh alone
    merits = judge(ranked, links([[2, 11], [5, 7], [19], [10]], 30))
    assert list(merits) == MEASURES
    assert all(values.dtype == np.float32 and values.shape == (4,) for values in merits.values())
    expected = {
        "recall_at_1": [0, 0.5, 0, 0],
        "recall_at_5": [0.5, 1, 0, 0],
        "recall_at_10": [0.5, 1, 0, 0],
        "hit_at_10": [1, 1, 0, 0],
        "precision_at_5": [0.2, 0.4, 0, 0],
        "ndcg_at_10": [(1 / math.log2(4)) / (1 + 1 / math.log2(3)), 1, 0, 0],
        "mrr": [1 / 3, 1, 0, 1 / 11],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(merits[name], values, rtol=1e-6, err_msg=name)


def test_with_more_hidden_than_places_recall_is_bound_but_ndcg_is_one():
    merits = judge(np.arange(10)[None], links([range(20)], 30))
    assert merits["recall_at_10"] == 0.5 and merits["ndcg_at_10"] == 1 and merits["precision_at_5"] == 1


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_measures_are_those_of_a_plain_count(world):
    scores, seen, hidden, _, _ = world
    merits = judge(top(scores, seen, 10), hidden)
    for row, own in enumerate(hidden.toarray()):
        ranked = plain_top(scores[row : row + 1], seen[[row]], 10, np.arange(len(own)))[0]
        gains = [s >= 0 and own[s] > 0 for s in ranked]
        first = next((i for i, gain in enumerate(gains) if gain), None)
        assert merits["recall_at_5"][row] == pytest.approx(sum(gains[:5]) / own.sum())
        assert merits["precision_at_5"][row] == pytest.approx(sum(gains[:5]) / 5)
        assert merits["recall_at_1"][row] == pytest.approx(gains[0] / own.sum())
        assert merits["hit_at_10"][row] == any(gains)
        assert merits["mrr"][row] == pytest.approx(0 if first is None else 1 / (1 + first))


def test_ndcg_is_that_of_sklearn():
    rng = np.random.default_rng(1)
    scores, hidden = rng.normal(size=(40, 60)).astype(np.float32), rng.random((40, 60)) < 0.15
    hidden[:, 0] |= ~hidden.any(axis=1)
    merits = judge(top(scores, csr_array((40, 60)), 10), csr_array(hidden * 1.0))
    expected = [ndcg_score([own], [score], k=10) for own, score in zip(hidden, scores, strict=True)]
    np.testing.assert_allclose(merits["ndcg_at_10"], expected, rtol=1e-5)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="work 1 has no hidden link"):
        judge(np.zeros((2, 10), int), links([[0], []], 3))
    with pytest.raises(ValueError, match="too short"):
        judge(np.zeros((1, 9), int), links([[0]], 3))
    with pytest.raises(ValueError, match="not those"):
        judge(np.zeros((2, 10), int), links([[0]], 3))


def test_draws_are_those_of_a_plain_loop_and_of_the_interval_that_others_use(monkeypatch):
    rng = np.random.default_rng(2)
    hits, rows = rng.integers(0, 4, 90), rng.integers(4, 7, 90)
    draws, shares = np.random.default_rng(8), []
    for _ in range(300):
        times = np.bincount(draws.integers(90, size=90), minlength=90)
        shares.append(times @ hits / (times @ rows))
    for cells in (module.CELLS, 90 * 7):
        monkeypatch.setattr(module, "CELLS", cells)
        totals = resampled(np.column_stack([hits, rows]).astype(float), resamples=300, seed=8)
        np.testing.assert_allclose(totals[:, 0] / totals[:, 1], shares)
        np.testing.assert_allclose(
            module.bounds(totals[:, 0] / totals[:, 1]), interval(hits, rows, resamples=300, seed=8)
        )
        np.testing.assert_allclose(np.percentile(shares, [2.5, 97.5]), interval(hits, rows, resamples=300, seed=8))


def test_every_measure_has_its_interval():
    rng = np.random.default_rng(3)
    merits = {"a": rng.random(300).astype(np.float32), "b": (rng.random(300) < 0.2).astype(np.float32)}
    report = summary(merits, seed=1)
    assert list(report) == ["a", "a_low", "a_high", "b", "b_low", "b_high", "works"]
    for name, values in merits.items():
        error = values.std() / np.sqrt(300)
        assert report[name] == pytest.approx(values.mean())
        assert report[f"{name}_low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
        assert report[f"{name}_high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert summary(merits, seed=1) == report != summary(merits, seed=2)


def test_works_that_are_masked_do_not_count():
    values, mask = np.arange(10, dtype=np.float32), np.arange(10) % 2 == 0
    assert summary({"m": values}, seed=0, mask=mask) == summary({"m": values[mask]}, seed=0)
    assert summary({"m": values}, seed=0, mask=mask)["works"] == 5
    nothing = summary({"m": values}, seed=0, mask=np.zeros(10, bool))
    assert nothing["works"] == 0 and np.isnan([nothing["m"], nothing["m_low"], nothing["m_high"]]).all()


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, covered = np.random.default_rng(4), 0
    for seed in range(600):
        merits = {"m": rng.random(80) * (rng.random(80) < 0.6)}
        report = summary(merits, seed=seed, resamples=400)
        covered += report["m_low"] <= 0.3 <= report["m_high"]
    assert 0.92 <= covered / 600 <= 0.97


def test_models_are_compared_work_by_work():
    rng = np.random.default_rng(5)
    worse = {"m": rng.random(400).astype(np.float32)}
    better = {"m": worse["m"] + np.float32(0.02) + rng.normal(0, 0.02, 400).astype(np.float32)}
    apart = difference(better, worse, seed=0)
    assert 0.015 < apart["m_low"] < apart["m"] < apart["m_high"] < 0.025
    assert apart["m_high"] < summary(better, seed=0)["m_high"] - summary(worse, seed=0)["m"]
    assert difference(worse, worse, seed=0) == {"m": 0, "m_low": 0, "m_high": 0, "works": 400}
    back = difference(worse, better, seed=0)
    assert [back["m"], back["m_low"], back["m_high"]] == pytest.approx([-apart["m"], -apart["m_high"], -apart["m_low"]])


def test_unlike_measures_or_works_are_not_compared():
    for other in ({"n": np.zeros(3)}, {"m": np.zeros(4)}):
        with pytest.raises(ValueError, match="same works"):
            difference({"m": np.zeros(3)}, other, seed=0)


def test_coverage_counts_each_subject_once():
    ranked = np.array([[0, 1, 2], [1, 0, -1]])
    assert coverage(ranked, 6, at=2) == 2 / 6
    assert coverage(ranked, 6) == 3 / 6


def test_the_tail_is_what_the_fewest_frequent_subjects_leave():
    borne = csr_array(np.repeat(np.eye(5), [1, 4, 1, 3, 1], axis=0))  # 10 links; 4 + 3 + 1 are 80 %
    assert tail(borne).tolist() == [False, False, True, False, True]
    assert tail(borne, head=0.4).tolist() == [True, False, True, True, True]
    assert not tail(borne, head=1).any()


def test_tail_recall_counts_links_not_works():
    rare = np.array([True, True, True, False])
    hidden = links([[0, 1, 2], [0, 3], [3]], 4)
    ranked = np.array([[0, 3], [3, 0], [-1, -1]])
    report = tail_recall(ranked, hidden, rare, seed=0, at=2)
    assert report["tail_recall_at_2"] == 2 / 4 and report["tail_links"] == 4
    assert report["tail_recall_at_2_low"] == pytest.approx(1 / 3) and report["tail_recall_at_2_high"] == 1
    assert tail_recall(ranked, hidden, rare, seed=0, at=1)["tail_recall_at_1"] == 1 / 4
    without = tail_recall(ranked, hidden, rare, seed=0, at=2, mask=np.array([False, True, True]))
    assert without["tail_recall_at_2"] == 1 and without["tail_links"] == 1


def test_without_a_hidden_link_to_a_rare_subject_there_is_no_tail_recall():
    report = tail_recall(np.array([[3]]), links([[3]], 4), np.zeros(4, bool), seed=0, at=1)
    assert np.isnan(report["tail_recall_at_1"]) and report["tail_links"] == 0
