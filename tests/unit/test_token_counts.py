"""Tokens are those the service bills, where its tokeniser is known, and never fewer where it is not."""

import numpy as np
import pytest

from crosswalk.token_counts import CL100K, Counter

TEXTS = ["hello world", "", "naïve café", "漢字とかな", "👩‍🚀🧪", "a" * 50, "x = {'k': [1, 2.5]}\n\n", "<|endoftext|>"]


def test_known_counts_of_the_published_tokeniser():
    counter = Counter("text-embedding-3-small")
    assert counter.exact
    # As the tokeniser of cl100k_base is published: "hello world" is 15339 1917; a special token in a text is just text.
    assert counter.count(["hello world", "tiktoken is great!"]).tolist() == [2, 6]
    assert counter.count(["<|endoftext|>"]) > 1


@pytest.mark.parametrize("model", CL100K)
def test_bytes_bound_tokens(model):
    exact, bound = Counter(model).count(TEXTS), Counter("some-model").count(TEXTS)
    assert exact.dtype == bound.dtype == np.int64 and (exact <= bound).all()
    assert not Counter("some-model").exact and bound.tolist() == [len(text.encode()) for text in TEXTS]


@pytest.mark.parametrize("model", ["text-embedding-3-small", "some-model"])
@pytest.mark.parametrize("text", ["word " * 40, "漢字" * 30, "👩‍🚀" * 20, "é" * 77])
@pytest.mark.parametrize("limit", [1, 7, 16, 30])
def test_a_text_is_cut_to_a_beginning_of_whole_characters_that_the_model_reads(model, text, limit):
    counter = Counter(model)
    short, cut = counter.cut(text, limit)
    assert text.startswith(short) and counter.count([short])[0] <= limit
    assert cut == (short != text)
    longer = text[: len(short) + 8]
    assert not cut or counter.count([longer])[0] > limit - 4  # little is thrown away


def test_a_text_that_fits_is_left_as_it_is():
    for model in ("text-embedding-3-small", "some-model"):
        assert Counter(model).cut("short", 100) == ("short", False)
    long = "word " * 40  # of more bytes than tokens
    assert Counter("text-embedding-3-small").cut(long, 45) == (long, False)
    assert Counter("some-model").cut(long, 45)[1]


def test_no_sum_of_tokens_is_lost_in_company():
    counter = Counter("text-embedding-3-small")
    assert counter.count(TEXTS).tolist() == [counter.count([text])[0] for text in TEXTS]
