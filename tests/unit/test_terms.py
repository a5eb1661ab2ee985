"""Words and runs of letters are those of a plain count, weighted as written, and the strongest of a text are kept."""

import math
from collections import Counter

import numpy as np
import pytest

from crosswalk import terms
from crosswalk.terms import letter_rows, shared_words, word_rows

TEXTS = [
    "Bakers bake bread; a baker rises early.",
    "The fisherman mends his nets at   sea.\n\tAnd at sea he fishes.",
    "a b c de",
    "",
    " \n ",
    "🐟🐟 nets & bread 🥖 for the fisherman 🐟",
    "Straße, Cafe\u0301 und Йогурт; \U0001d54f and \ud800 alone",
]


def plain_runs(text):
    """Every run of three to five letters with no space inside, spaces at the ends of the text included."""
    text = f" {' '.join(text.lower().split())} ".replace("e\u0301", "é").replace("\ud800", "?")
    found = []
    for length in (3, 4, 5):
        for start in range(len(text) - length + 1):
            run = text[start : start + length]
            if " " not in run[1:-1]:
                found.append(run)
    return found


def plain_hash(run):
    value = 0
    for letter in run:
        value = (value + ord(letter) + 1) * 0x9E3779B97F4A7C15 % 2**64
    return value >> 44


@pytest.mark.parametrize("text", TEXTS)
def test_runs_of_letters_are_those_of_a_plain_loop(text):
    assert Counter(terms._runs(text).tolist()) == Counter(map(plain_hash, plain_runs(text)))


def test_different_runs_share_a_number_no_oftener_than_by_luck():
    letters = "abcdefghijklmnopqrstuvwxyz"
    runs = [f"{x}{y}{z}{e}" for x in letters for y in letters for z in letters for e in " esn"]
    numbers = np.array([plain_hash(run) for run in runs])
    expected = terms.HASHED * -math.expm1(-len(runs) / terms.HASHED)
    assert len(set(numbers.tolist())) > 0.98 * expected
    assert numbers.max() < terms.HASHED and np.bincount(numbers // (terms.HASHED // 16), minlength=16).min() > 3500


def plain_weights(tokens, held, n):
    counts = {word: count for word, count in Counter(tokens).items() if held.get(word, 0) > 1}
    weights = {w: (1 + math.log(c)) * (math.log((1 + n) / (1 + held[w])) + 1) for w, c in counts.items()}
    length = math.sqrt(sum(value**2 for value in weights.values()))
    return {word: value / length for word, value in weights.items()}


def test_weights_of_words_are_those_of_the_formula_on_all_lists():
    texts = ["bread bread oven", "oven sea", "sea bread fish", "fish fish fish net", "", "whale"]
    halves = ["bread bread whale", "oven sea sea unknown", "unknown"]
    (rows, others), words = word_rows(texts, [halves])
    assert words == ["bread", "fish", "oven", "sea"]
    held = Counter(word for text in texts for word in set(text.split()))
    for matrix, part in ((rows, texts), (others, halves)):
        assert matrix.dtype == np.float32 and matrix.shape == (len(part), 4)
        for row, text in zip(matrix.toarray(), part, strict=True):
            expected = plain_weights(text.split(), held, len(texts))
            np.testing.assert_allclose(row, [expected.get(word, 0) for word in words], rtol=1e-5)


def test_weights_of_letters_are_those_of_the_formula_on_all_lists():
    rows, others = letter_rows(TEXTS, [["a baker's bread", "at sea", "zzz"]])
    held = Counter(run for text in TEXTS for run in set(plain_runs(text)))
    for matrix, part in ((rows, TEXTS), (others, ["a baker's bread", "at sea", "zzz"])):
        for i, text in enumerate(part):
            expected = plain_weights(plain_runs(text), held, len(TEXTS))
            row = matrix[i]
            assert row.nnz == len(expected)
            found = dict(zip(row.indices.tolist(), row.data, strict=True))
            assert found == pytest.approx({plain_hash(run): value for run, value in expected.items()}, rel=1e-5)


def test_texts_are_cut_to_their_strongest_terms_and_have_length_one(monkeypatch):
    rare, common = ["bread", "oven", "flour"], ["baker", "town"]
    texts = [" ".join(rare + common), " ".join(rare), *[" ".join(common)] * 5]
    whole = word_rows(texts)[0][0].toarray()
    monkeypatch.setattr(terms, "STRONGEST", 3)
    (rows,), words = word_rows(texts)
    assert [words[i] for i in rows[0].indices] == sorted(rare)
    np.testing.assert_allclose(np.sqrt(rows.multiply(rows).sum(axis=1)), 1, rtol=1e-6)
    np.testing.assert_allclose(rows.toarray()[1:], whole[1:], rtol=1e-6)  # those that were short stay as they were
    monkeypatch.setattr(terms, "STRONGEST", 2)
    assert [words[i] for i in word_rows(texts)[0][0][0].indices] == sorted(rare)[:2]  # of equals the first


def test_order_of_texts_changes_no_row():
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = [TEXTS[i] for i in order]
    (rows,), words = word_rows(TEXTS)
    (again,), same_words = word_rows(shuffled)
    assert words == same_words and (again != rows[order]).nnz == 0
    assert (letter_rows(shuffled)[0] != letter_rows(TEXTS)[0][order]).nnz == 0


@pytest.mark.parametrize("texts", [[], ["", ""], ["one word"], ["!?", "1 2 3"]])
def test_texts_without_words_in_common_give_empty_rows(texts):
    (rows, half), words = word_rows(texts, [["one half"]])
    assert words == [] and rows.shape == (len(texts), 0) and half.shape == (1, 0)
    letters, half = letter_rows(texts, [["one half"]])
    assert letters.shape == (len(texts), terms.HASHED) and half.nnz == 0
    assert letters.nnz == 0


def test_all_texts_equal_give_equal_rows_of_length_one():
    for rows in (word_rows(["fresh bread"] * 4)[0][0], letter_rows(["fresh bread"] * 4)[0]):
        np.testing.assert_allclose((rows @ rows.T).toarray(), 1, rtol=1e-6)


def test_shared_words_are_those_that_weigh_most_in_both():
    a = np.array([[0.1, 0.9, 0.5, 0.5], [1, 0, 0, 0], [0, 0, 0, 0]])
    b = np.array([[0.9, 0.2, 0.5, 0.5], [0, 1, 1, 1], [1, 1, 1, 1]])
    words = ["bread", "net", "oven", "sea"]
    a, b = (terms.sparse.csr_matrix(part, dtype=np.float32) for part in (a, b))
    assert shared_words(a, b, words) == [["oven", "sea", "net", "bread"], [], []]
    assert shared_words(a, b, words, count=1) == [["oven"], [], []]
