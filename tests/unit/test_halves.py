"""Texts fall into two halves the same way each time, and agreement of halves is what a count by hand gives."""

import numpy as np
import pytest

from crosswalk.halves import agreement, draw, draw_apart, shuffled, split


def test_sentences_go_to_the_halves_by_turns():
    text = "He bakes bread. She mends nets! Who sails? They all do; on Sundays they rest\nat the sea."
    assert split(text) == (
        "He bakes bread. Who sails? on Sundays they rest",
        "She mends nets! They all do; at the sea.",
    )


def test_one_sentence_is_split_every_four_words():
    assert split("one two three four five six seven eight nine ten") == (
        "one two three four nine ten",
        "five six seven eight",
    )
    assert split("bakes bread mends nets") == ("bakes bread", "mends nets")


def test_a_heading_of_one_word_does_not_keep_the_rest_from_being_split():
    assert split("Baker. Bakes bread and cakes for the whole town") == (
        "Baker. Bakes bread and town",
        "cakes for the whole",
    )


@pytest.mark.parametrize("text", ["", " \n", "baker", "master baker", "one two three", "baker. fisher."])
def test_what_is_too_short_for_two_halves_is_not_split(text):
    assert split(text) is None


def test_no_word_is_lost_or_doubled():
    rng = np.random.default_rng(0)
    for _ in range(200):
        words = [f"w{i}" + rng.choice(["", ".", ";", "\n"], p=[0.7, 0.1, 0.1, 0.1]) for i in range(rng.integers(4, 40))]
        halves = split(" ".join(words))
        assert sorted(" ".join(halves).split()) == sorted(" ".join(words).split())
        assert min(len(half.split()) for half in halves) >= 2


IDS = [f"id{i}" for i in range(60)]
LONG = [f"Row {i} bakes bread. It also mends {i} nets." if i % 3 else "short" for i in range(60)]


def test_draw_does_not_depend_on_the_order_of_rows_but_on_the_seed():
    drawn = draw(IDS, LONG, count=12, seed=1)
    order = np.random.default_rng(0).permutation(60)
    assert draw([IDS[i] for i in order], [LONG[i] for i in order], count=12, seed=1).equals(drawn)
    assert not draw(IDS, LONG, count=12, seed=2)["id"].equals(drawn["id"])
    assert drawn["id"].tolist() == sorted(drawn["id"])
    assert [(row.first, row.second) for row in drawn.itertuples()] == [split(LONG[int(i[2:])]) for i in drawn["id"]]


def test_draw_passes_over_what_cannot_be_split_and_takes_all_there_is():
    assert len(draw(IDS, LONG, count=12, seed=1)) == 12
    assert len(draw(IDS, LONG, count=1000, seed=1)) == 40
    for nothing in (
        draw(IDS, LONG, count=0, seed=1),
        draw([], [], count=5, seed=1),
        draw(["x"], ["short"], count=5, seed=1),
    ):
        assert list(nothing.columns) == ["id", "first", "second"] and not len(nothing)


def test_no_text_serves_both_the_check_and_the_bridge():
    ids, texts = [f"{i}" for i in range(40)], [f"First words of {i}. Other words of {i}." for i in range(40)]
    table = draw_apart(ids, texts, check=10, bridge=20, seed=1)
    assert table["use"].value_counts().to_dict() == {"bridge": 20, "check": 10} and table["id"].is_unique
    # without a bridge the check has the same texts
    own = draw_apart(ids, texts, check=10, bridge=0, seed=1)
    assert own["id"].tolist() == table.loc[table["use"] == "check", "id"].tolist() and set(own["use"]) == {"check"}
    # the check has a third of the rows at most, and is served first
    few = draw_apart(ids, texts, check=50, bridge=150, seed=1)
    assert few["use"].value_counts().to_dict() == {"bridge": 27, "check": 13}
    assert len(draw_apart(ids, texts, check=0, bridge=0, seed=1)) == 0


def test_agreement_is_the_mean_of_both_ways():
    first = np.array([[3.0, 2, 1, 0]])
    second = np.array([[1.0, 3, 2, 0]])  # the choice of the first is third here; that of the second is second there
    reciprocal, same = agreement(first, second)
    assert reciprocal == pytest.approx((1 / 3 + 1 / 2) / 2) and not same
    reciprocal, same = agreement(first, 5 * first + 1)
    assert reciprocal == 1 and same


def test_candidates_that_tie_with_the_choice_count_half():
    reciprocal, _ = agreement(np.array([[3.0, 2, 1, 0]]), np.array([[5.0, 5, 5, 0]]))
    assert reciprocal == pytest.approx((1 / 2 + 1) / 2)
    first, second = np.array([[3.0, 2, 1, 0]]), np.array([[1.0, 9, 1, 1]])
    # its choice ties with two others for the places 2 to 4: rank 3; the other's choice is second
    assert agreement(first, second)[0] == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_a_reading_that_tells_nothing_agrees_with_none():
    told, silent = np.array([[9.0, 1, 1, 1, 1]]), np.zeros((1, 5))
    for pair in ((told, silent), (silent, told), (silent, silent)):
        reciprocal, same = agreement(*pair)
        assert reciprocal == pytest.approx(1 / 3) and not same


def test_null_is_what_other_rows_halves_agree_by():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 80, 50))
    null = shuffled(first, second, permutations=300, seed=0)
    expected = (1 / np.arange(1, 51)).mean()  # of a random place among fifty
    assert null.shape == (300,) and null.mean() == pytest.approx(expected, abs=0.01)
    assert np.array_equal(null, shuffled(first, second, permutations=300, seed=0))
    # readings that agree perfectly are worth no more, once shuffled
    assert shuffled(first, first, permutations=300, seed=0).mean() == pytest.approx(expected, abs=0.01)
    assert agreement(first, first)[0].mean() == 1


def test_null_of_two_rows_is_the_agreement_of_each_with_the_other():
    first, second = np.random.default_rng(1).normal(size=(2, 2, 7))
    expected = agreement(first, second[::-1])[0].mean()
    np.testing.assert_allclose(shuffled(first, second, permutations=5, seed=3), expected)


def test_null_knows_popular_candidates():
    scores = np.random.default_rng(2).normal(size=(2, 40, 30)) + 9 * (np.arange(30) == 4)
    assert shuffled(*scores, permutations=20, seed=0).min() > 0.99


def test_null_treats_silent_readings_as_agreement_does():
    first, second = np.random.default_rng(3).normal(size=(2, 2, 9))
    first[0] = 0
    expected = agreement(first, second[::-1])[0].mean()
    np.testing.assert_allclose(shuffled(first, second, permutations=3, seed=0), expected)


def test_one_row_cannot_be_shuffled():
    with pytest.raises(ValueError, match="at least 2"):
        shuffled(np.ones((1, 3)), np.ones((1, 3)), permutations=1, seed=0)
