"""Truth measures what it says: known answers, ties, chance, unknown ids, labels."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.known_pairs import read_pairs
from crosswalk.truth import (
    Truth,
    evaluate,
    evaluate_pairs,
    from_labels,
    from_pairs,
    ranks,
    truths,
)


class Given:
    """Scores that are written down."""

    def __init__(self, values):
        self.values = np.array(values, dtype=np.float32)
        self.shape = self.values.shape

    def rows(self, start, stop):
        return self.values[start:stop]


def judged(values, right, *, columns=None):
    values = np.array(values)
    columns = np.arange(values.shape[1]) if columns is None else np.array(columns)
    truth = Truth("truth", np.arange(len(values)), columns, [np.array(own, dtype=int) for own in right])
    return evaluate(Given(values), truth, scorer="s", resamples=50, seed=0)


def test_pairs_with_unknown_ids_are_left_out():
    pairs = pd.DataFrame({"a": ["x", "y", "gone", "z", "x"], "b": ["1", "2", "1", "gone", "3"]})
    truth = from_pairs(pairs, ["z", "y", "x"], ["3", "2", "1"])
    assert truth.rows.tolist() == [1, 2]  # y, x; z leads nowhere
    assert [own.tolist() for own in truth.right] == [[1], [0, 2]]
    assert truth.columns.tolist() == [0, 1, 2]
    assert truth.chance == pytest.approx((1 / 3 + 2 / 3) / 2)


def test_pairs_of_ids_that_nobody_has_are_no_truth():
    assert from_pairs(pd.DataFrame({"a": ["x"], "b": ["1"]}), ["y"], ["1"]) is None


def test_a_pair_that_is_named_twice_counts_once():
    pairs = pd.DataFrame({"a": ["x", "x"], "b": ["1", "1"]})
    assert from_pairs(pairs, ["x"], ["1", "2"]).chance == 0.5


def test_labels_compare_only_where_both_sides_have_them():
    truth = from_labels(["red", "blue", None, "green", " "], ["green", "red", "white", "red", float("nan")])
    assert truth.rows.tolist() == [0, 3]
    assert truth.columns.tolist() == [0, 1, 3]
    assert [own.tolist() for own in truth.right] == [[1, 2], [0]]
    assert truth.chance == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert truth.bound == 1


def test_labels_that_mean_the_same_are_equal():
    truth = from_labels(["Law", "Crafts"], ["Advocate", "law", "ART"], same={"advocate": "LAW", "Art": "crafts"})
    assert [own.tolist() for own in truth.right] == [[0, 1], [2]]


def test_capitals_count_if_asked():
    assert from_labels(["Law"], ["law"], ignore_case=False) is None
    assert from_labels(["Law"], ["law"]) is not None
    same = from_labels(["Law"], ["jus", "Jus"], same={"jus": "Law"}, ignore_case=False)
    assert same.columns.tolist() == [0]


def test_known_answers():
    found = judged([[3, 2, 1], [3, 2, 1], [3, 2, 1]], [[0], [1], [2]])
    assert found["hit_at_1"] == pytest.approx(1 / 3)
    assert found["hit_at_10"] == 1
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found["n"] == 3 and found["chance"] == pytest.approx(1 / 3) and found["bound"] == 1
    assert 0 <= found["low"] <= 1 / 3 <= found["high"] <= 1


def test_the_tenth_place_counts_and_the_eleventh_does_not():
    row = np.arange(20, 0, -1)
    assert judged([row], [[9]])["hit_at_10"] == 1
    assert judged([row], [[10]])["hit_at_10"] == 0


def test_the_best_of_several_right_partners_counts():
    found = judged([[1, 5, 4, 3]], [[0, 2]])
    assert (found["hit_at_1"], found["mrr"]) == (0, 0.5)
    assert judged([[1, 5, 4, 3]], [[0, 1]])["hit_at_1"] == 1


def test_a_row_without_a_right_partner_is_never_hit():
    found = judged([[1, 2], [2, 1]], [[], [0]])
    assert (found["hit_at_1"], found["hit_at_10"], found["mrr"], found["bound"]) == (0.5, 0.5, 0.5, 0.5)


@pytest.mark.parametrize(("right", "wrong", "above"), [(1, 1, 0), (2, 3, 0), (1, 15, 4), (3, 12, 8), (2, 4, 11)])
def test_ties_are_worth_what_random_orders_of_them_are(right, wrong, above):
    rng = np.random.default_rng(0)
    firsts = np.array([
        above + np.flatnonzero(rng.permutation(right + wrong) < right)[0] for _ in range(20000)
    ])  # fmt: skip
    scores = np.r_[np.ones(right + wrong), np.full(above, 2.0), np.zeros(5)]
    found = judged([scores], [np.arange(right)])
    assert found["hit_at_1"] == pytest.approx((firsts == 0).mean(), abs=0.015)
    assert found["hit_at_10"] == pytest.approx((firsts < 10).mean(), abs=0.015)
    assert found["mrr"] == pytest.approx((1 / (firsts + 1)).mean(), abs=0.01)


def test_scores_that_are_all_equal_hit_by_chance():
    found = judged(np.zeros((3, 6)), [[0], [1, 2], [3, 4, 5]])
    assert found["hit_at_1"] == pytest.approx(found["chance"])


def test_ranks_do_not_depend_on_the_unit_of_the_scores():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20, 30))
    truth = Truth("truth", np.arange(20), np.arange(30), [np.array([i]) for i in range(20)])
    for part, other in zip(ranks(Given(values), truth), ranks(Given(values * 2.0**-20), truth), strict=True):
        np.testing.assert_array_equal(part, other)


def test_only_the_columns_of_a_truth_compete():
    # column 0 is nearest to all and has no label that occurs on the other side
    assert judged([[9, 2, 1]], [[0]], columns=[1, 2])["hit_at_1"] == 1


def test_rows_in_many_pieces_are_judged_as_at_once(monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(700, 40))
    rows = np.sort(rng.choice(700, 90, replace=False))
    truth = Truth("truth", rows, np.arange(40), [np.array([i % 40]) for i in rows])
    whole = ranks(Given(values), truth)
    monkeypatch.setattr("crosswalk.truth.CELLS", 1)
    for part, other in zip(whole, ranks(Given(values), truth), strict=True):
        np.testing.assert_array_equal(part, other)
    np.testing.assert_array_equal(whole[0], [(values[i] > values[i, i % 40]).sum() for i in rows])


def test_partners_are_judged_where_their_truth_is_known():
    truth = Truth("labels", [0, 1, 2, 3], [1, 2], [np.array([0])] * 4)
    found = evaluate_pairs(np.array([1, 2, -1, 0, 1]), truth, scorer="assignment", resamples=50, seed=0)
    # row 2 has nobody, row 3 a b without a label, row 4 no label of its own
    assert (found["n"], found["hit_at_1"]) == (2, 0.5)
    nobody = evaluate_pairs(np.full(5, -1), truth, scorer="assignment", resamples=50, seed=0)
    assert nobody["n"] == 0 and np.isnan(nobody["hit_at_1"])


def test_pairs_are_read_with_ids_as_text(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("left,right,sure\n7,x,2\n8,y,1\n")
    settings = {"path": str(file), "a": "left", "b": "right", "apart": {"sure": 2}}
    assert read_pairs(settings).to_dict("list") == {"a": ["7", "8"], "b": ["x", "y"], "sure": ["2", "1"]}


def test_a_missing_column_is_named(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("left,rihgt\n7,x\n")
    with pytest.raises(UserError, match=r'^truth: .*pairs.csv:1.*"right".*did you mean "rihgt"'):
        read_pairs({"path": str(file), "a": "left", "b": "right"})


@pytest.mark.parametrize("content", ["", "left,right\n"])
def test_an_empty_table_of_pairs_is_told(tmp_path, content):
    file = tmp_path / "pairs.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=r"^match.m.truth: .*pairs.csv.*(empty|no rows)"):
        read_pairs({"path": str(file), "a": "left", "b": "right"}, key="match.m.truth")


def collections():
    a = pd.DataFrame({"id": ["1", "2", "3"], "kind": ["x", "y", "z"]})
    return a, pd.DataFrame({"id": ["p", "q", "r"], "kind": ["X", "y", None]})


def test_every_measure_of_the_config_is_made(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text("a,b,sure,checked\n1,p,2,True\n2,q,1,False\n3,r,2.0,True\n")
    pairs = {"path": str(file), "a": "a", "b": "b", "apart": {"sure": 2, "checked": True}}
    labels = {"a": "kind", "b": "kind", "same": {}, "ignore_case": True}
    found = {truth.measure: truth.rows.tolist() for truth in truths(pairs, labels, *collections())}
    assert found == {
        "truth": [0, 1, 2],
        "truth, sure = 2": [0, 2],
        "truth, checked = true": [0, 2],
        "labels": [0, 1],
    }


def test_a_measure_of_nothing_is_left_out_by_name(tmp_path, caplog):
    file = tmp_path / "pairs.csv"
    file.write_text("a,b,sure\n1,p,2\n")
    found = truths({"path": str(file), "a": "a", "b": "b", "apart": {"sure": 3}}, None, *collections())
    assert [truth.measure for truth in found] == ["truth"]
    assert "truth, sure = 3" in caplog.text


def test_no_truth_in_the_config_is_no_measure():
    assert truths(None, None, *collections()) == []
