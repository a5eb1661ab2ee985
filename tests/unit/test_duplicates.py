"""Copies of a text are found, editions among them, and what merely sounds alike is left alone."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosswalk.duplicates import copies, shingles, words

WORDS = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"])


def text(rng, length=120):
    return " ".join(rng.choice(WORDS, length))


def edited(rng, original, *, share):
    """A text with a share of its words replaced."""
    split = original.split()
    for at in rng.choice(len(split), round(share * len(split)), replace=False):
        split[at] = rng.choice(WORDS)
    return " ".join(split)


def joined(texts, **options):
    labels = copies(texts, **options).labels
    return {tuple(np.flatnonzero(labels == label)) for label in labels.tolist()}


def test_case_space_width_and_punctuation_make_no_difference():
    assert joined(["The Dog, barks!", " the  dog barks", "ＴＨＥ dog-barks", "the dog bark"]) == {(0, 1, 2), (3,)}


def test_texts_without_words_are_copies_only_of_their_equals():
    assert joined(["!!!", "???", "!!!"]) == {(0, 2), (1,)}


def test_editions_are_copies_and_texts_on_one_subject_are_not():
    rng = np.random.default_rng(0)
    first, other = text(rng), text(rng)
    slightly, heavily = edited(rng, first, share=0.03), edited(rng, first, share=0.15)
    assert joined([first, other, slightly, first + " Now a film.", heavily]) == {(0, 2, 3), (1,), (4,)}


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05])
def test_hardly_any_edition_is_missed(share):
    rng = np.random.default_rng(1)
    originals = [text(rng, 300) for _ in range(200)]
    labels = copies([*originals, *(edited(rng, own, share=share) for own in originals)]).labels
    assert (labels[:200] == labels[200:]).mean() >= 0.97
    assert len(set(labels[:200])) == 200


def test_copies_of_copies_belong_together():
    rng = np.random.default_rng(2)
    chain = [text(rng, 200)]
    for _ in range(4):
        chain.append(edited(rng, chain[-1], share=0.04))
    assert joined(chain) == {(0, 1, 2, 3, 4)}


def test_short_texts_that_differ_in_a_word_are_not_copies():
    assert len(joined([f"a dog that barks at the {word} every morning" for word in ("moon", "sun", "cat")])) == 3


def test_a_form_that_all_fill_in_makes_no_copies():
    """Nine tenths of each text are the same in all."""
    rng = np.random.default_rng(3)
    form = text(rng, 360)
    filled = [f"{form} {text(rng, 40)}" for _ in range(100)]
    assert len(joined(filled)) == 100
    filled[7] = f"{filled[3]} Sold."
    assert (3, 7) in joined(filled)


def test_what_anyone_says_joins_no_items():
    said = [f"Remark {i} of its own" for i in range(20)]
    found = copies([*said, *["Great book!"] * 12, "Buy it", "buy it"], owners=np.arange(34))
    assert found.facts["stock"] == 0 and found.facts["largest"] == 12  # a row an item: copies are copies
    several = copies([*said, *["Great book!"] * 12, "Buy it", "buy it"], owners=np.arange(34) // 2)
    assert several.facts["stock"] == 12 and several.facts["largest"] == 2
    assert several.labels[-1] == several.labels[-2]
    argument = "The axis along which the values are taken, as an integer, by default the last of them all"
    assert copies([argument] * 12, owners=np.arange(12) // 2).facts["stock"] == 12
    assert copies([argument] * 10, owners=np.arange(10) // 2).facts["stock"] == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_the_texts_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    texts = [text(rng, 60) for _ in range(30)]
    texts += [edited(rng, own, share=0.02) for own in texts[:10]] + texts[5:8]
    order = rng.permutation(len(texts))
    once, again = copies(texts).labels, copies([texts[i] for i in order]).labels
    assert np.array_equal(once[order][:, None] == once[order], again[:, None] == again)


def test_shingles_are_those_of_each_text_alone():
    split = [words("a b c d"), words("x"), words("b c d")]
    hashes, starts = shingles(split, 3)
    assert starts.tolist() == [0, 2, 2, 3] and hashes[1] == hashes[2] != hashes[0]


def test_no_text_at_all():
    assert len(copies([]).labels) == 0 and len(copies(["a"]).labels) == 1


@pytest.mark.slow
def test_ten_thousand_texts_take_seconds():
    rng = np.random.default_rng(4)
    texts = [text(rng, 350) for _ in range(10_000)]
    texts[::100] = [edited(rng, own, share=0.02) for own in texts[1::100]]
    began = time.process_time()
    labels = copies(texts).labels
    assert time.process_time() - began < 20
    assert (labels[::100] == labels[1::100]).all() and len(set(labels)) == 9900
