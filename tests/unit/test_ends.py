"""The items and texts at the two ends of a trait."""

import numpy as np

from crosswalk.ends import end_texts, fifths, mean_shift


def test_ends_show_the_outermost_items_by_their_most_telling_row():
    scores = np.array([0.0, 3.0, -2.0])
    vectors = np.array([[0.0], [1], [2], [-1], [-5]])
    found = end_texts(scores, np.ones(1), list("abcde"), list("ABCDE"), vectors, [0, 1, 1, 2, 2], [0, 1, 2], count=1)
    assert found[["end", "item", "id"]].to_numpy().tolist() == [["high", 1, "c"], ["low", 2, "e"]]


def test_ends_show_no_text_twice():
    scores, vectors = np.array([3.0, 2, 1, 0]), np.array([[4.0], [3], [2], [1]])
    found = end_texts(scores, np.ones(1), list("abcd"), ["A", "A", "B", "C"], vectors, range(4), range(4), count=2)
    assert list(found["id"]) == ["a", "c", "d", "c"]


def test_fifths_and_mean_shift_point_from_low_to_high():
    scores = np.arange(50.0)
    low, high = fifths(scores)
    assert low[:10].all() and high[40:].all() and low.sum() == high.sum() == 10
    np.testing.assert_allclose(mean_shift(np.outer(scores, [0, 2.0]), scores), [0, 1])
