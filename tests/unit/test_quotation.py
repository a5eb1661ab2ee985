"""Words of an item that its rows repeat are found; titles and what anyone says are not quotations."""

import time

import numpy as np
import pandas as pd
import pytest

from crosswalk.quotation import by_item, quotations, summary

STORY = "a girl finds a door in the garden wall and steps into a country where nobody has ever seen the sun rise"
OTHER = "two brothers inherit a mill on a river that runs dry every seventh year and argue about the water for ever"


def of(y_texts, *, x_texts=(STORY, OTHER), owners=None, **options):
    return quotations(list(x_texts), y_texts, [0] * len(y_texts) if owners is None else owners, **options)


def test_a_quotation_is_measured_and_shown():
    found = of(["They say: “A girl finds a door in the garden wall, and steps...” That is all I know of it."]).iloc[0]
    assert found["longest"] == 11 and found["quoted"] == 4
    assert found["words"] == 20 and found["runs"] == 13 and found["share"] == pytest.approx(4 / 13)
    assert found["start"] == "a girl finds a door in the garden wall and steps"


def test_only_the_own_item_is_quoted():
    assert of([STORY, STORY], owners=[0, 1])["share"].tolist() == [1, 0]


def test_a_run_ends_with_its_row():
    assert of([STORY, STORY])["longest"].tolist() == [len(STORY.split())] * 2


def test_runs_shorter_than_asked_for_are_no_quotation():
    text = "I liked the door in the garden wall very much indeed and more"
    assert of([text])["longest"].tolist() == [0]
    assert of([text], run=5)["longest"].tolist() == [5]


def test_the_longest_of_several_is_shown():
    text = "a girl finds a door in the garden she said then steps into a country where nobody has ever seen the moon"
    found = of([text]).iloc[0]
    assert found["start"].startswith("steps into a country") and found["longest"] == 10


def test_stock_phrases_are_no_quotation():
    phrase = "published in full for the first time in many years"
    texts = [f"{STORY} {i} {phrase}" for i in range(5)]
    assert of([phrase], x_texts=texts)["quoted"].tolist() == [0]
    assert of([phrase], x_texts=[texts[0], STORY, OTHER])["quoted"].tolist() == [3]


def test_to_name_the_title_is_no_quotation():
    title = "The long and winding history of the door in the wall"
    text = f"{title}\n{STORY}"
    assert of([f"I read {title} twice"], x_texts=[text, OTHER])["quoted"].tolist() == [0]
    assert of([f"I read {title} twice"], x_texts=[title, OTHER])["quoted"].tolist() == [4]


def test_rows_of_few_words_quote_nothing():
    found = of(["", "good"])
    assert found["share"].tolist() == [0, 0] and found["start"].tolist() == ["", ""]
    assert of([]).empty


def test_an_item_leaks_by_any_of_its_rows():
    long = " ".join(f"word{i}" for i in range(200))
    a_little = f"{' '.join(STORY.split()[:9])} {long}"
    table = of([STORY, long, a_little], owners=[0, 0, 0], x_texts=[STORY, OTHER]).assign(item=["a", "a", "b"])
    found = by_item(table, ["b", "a", "c"])
    assert 0 < found.share[0] < 0.02 and 0.05 < found.share[1] < 0.1 and found.share[2] == 0
    assert found.leaks.tolist() == [False, True, False]
    assert by_item(table, ["b"]).leaks.tolist() == [False]


def test_the_summary_counts_rows_and_items():
    table = of([STORY, "nothing of the kind was ever said by anyone here at all", "short"]).assign(item=["a", "a", "b"])
    told = summary(table, run=8)
    assert (told["rows"], told["rows_quoting"], told["rows_leaking"]) == (3, 1, 1)
    assert (told["items"], told["items_quoted"], told["items_leaking"]) == (2, 1, 1)
    assert told["longest"] == len(STORY.split())


def test_the_order_of_the_rows_changes_nothing():
    rng = np.random.default_rng(0)
    vocabulary = np.array(STORY.split() + OTHER.split())
    x = [" ".join(rng.choice(vocabulary, 40)) for _ in range(20)]
    owners = rng.integers(0, 20, 60)
    y = [" ".join([*rng.choice(vocabulary, 5), *x[o].split()[3 : 3 + rng.integers(0, 20)]]) for o in owners]
    order = rng.permutation(60)
    table = quotations(x, y, owners)
    again = quotations(x, [y[i] for i in order], owners[order])
    pd.testing.assert_frame_equal(table.iloc[order].reset_index(drop=True), again)
    assert (table["quoted"] > 0).any() and (table["quoted"] == 0).any()


@pytest.mark.slow
def test_a_study_of_usual_size_takes_seconds():
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(20_000)])
    x = [" ".join(rng.choice(vocabulary, 250)) for _ in range(1400)]
    y = [" ".join(rng.choice(vocabulary, 400)) for _ in range(7000)]
    began = time.process_time()
    quotations(x, y, np.arange(7000) // 5)
    assert time.process_time() - began < 20
