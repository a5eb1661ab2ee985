"""Embedding: each text once, nothing paid lost, nothing unchecked kept."""

import numpy as np
import pytest

from crosswalk.embedding import Answer, InTurn, embed, open_embedder, open_store, unit_rows, vector_metadata, with_parts
from crosswalk.errors import UserError
from crosswalk.store import Store, text_keys


class Toy(InTurn):
    """Embeds by the letters of a text, three texts at a time, and remembers what it was asked."""

    stored = True

    def __init__(self, dimensions=4, fail_at=None):
        self.dimensions = dimensions
        self.namespace = {"provider": "toy", "model": "toy", "dimensions": dimensions}
        self.asked, self.fail_at = [], fail_at

    def prepare(self, texts):
        return [text[:9] for text in texts], sum(len(text) > 9 for text in texts)

    def chunks(self, texts):
        return (slice(start, start + 3) for start in range(0, len(texts), 3))

    def embed(self, texts):
        if len(self.asked) == self.fail_at:
            raise KeyboardInterrupt
        self.asked.append(texts)
        vectors = [np.random.default_rng(list(text.encode())).standard_normal(4) for text in texts]
        vectors = np.array([vector / np.linalg.norm(vector) for vector in vectors])
        return Answer(unit_rows(vectors, count=len(texts)), tokens=10 * len(texts), requests=1)


def counts(result):
    return {key: value for key, value in result.usage.items() if key != "seconds"}


def test_each_distinct_text_is_embedded_once(tmp_path):
    toy = Toy()
    result = embed(["b", "a", "b", "c", "a", "d"], toy, store=open_store(toy, tmp_path))
    assert toy.asked == [["b", "a", "c"], ["d"]]
    assert result.vectors.shape == (6, 4) and result.vectors.dtype == np.float32
    np.testing.assert_array_equal(result.vectors[[0, 1]], result.vectors[[2, 4]])
    np.testing.assert_array_equal(result.vectors[:4:3], np.stack([toy.embed([t]).vectors[0] for t in "bc"]))
    assert counts(result) == {
        "texts": 6, "distinct": 4, "cached": 0, "embedded": 4, "requests": 2, "tokens": 40, "cut": 0,
    }  # fmt: skip


def test_second_run_asks_the_model_nothing_and_gives_the_same_bytes(tmp_path):
    texts = [f"text {i}" for i in range(20)]
    first = embed(texts, Toy(), store=open_store(Toy(), tmp_path))
    toy = Toy()
    second = embed(texts[::-1], toy, store=open_store(toy, tmp_path))
    assert toy.asked == [] and second.usage["cached"] == 20 and second.usage["requests"] == 0
    assert second.vectors[::-1].tobytes() == first.vectors.tobytes()


def test_interruption_costs_at_most_the_chunk_in_flight(tmp_path):
    texts = [f"text {i}" for i in range(12)]
    with pytest.raises(KeyboardInterrupt):
        embed(texts, Toy(fail_at=2), store=open_store(Toy(), tmp_path))
    toy = Toy()
    result = embed(texts, toy, store=open_store(toy, tmp_path))
    assert result.usage["cached"] == 6 and toy.asked[0] == texts[6:9]
    np.testing.assert_array_equal(result.vectors, embed(texts, Toy()).vectors)


def test_key_is_the_text_as_it_was_sent(tmp_path):
    store = open_store(Toy(), tmp_path)
    result = embed(["123456789 long", "short"], Toy(), store=store)
    assert result.usage["cut"] == 1
    assert embed(["123456789", "short"], Toy(), store=store).usage["cached"] == 2


def test_texts_that_are_one_after_the_cut_are_paid_once(tmp_path):
    toy = Toy()
    result = embed(["123456789 a", "123456789 b", "123456789"], toy, store=open_store(toy, tmp_path))
    assert toy.asked == [["123456789"]] and result.usage["embedded"] == 1
    assert len({row.tobytes() for row in result.vectors}) == 1


def test_jobs_that_embed_the_same_text_at_once_agree_on_the_first_vector(tmp_path):
    other = open_store(Toy(), tmp_path)

    class Rival(Toy):
        def embed(self, texts):
            other.append(text_keys(texts), np.tile(np.float32([1, 0, 0, 0]), (len(texts), 1)))
            return super().embed(texts)

    result = embed(["a", "b"], Rival(), store=open_store(Toy(), tmp_path))
    np.testing.assert_array_equal(result.vectors, [[1, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(embed(["a", "b"], Toy(), store=open_store(Toy(), tmp_path)).vectors, result.vectors)


@pytest.mark.parametrize("stored", [False, True])
def test_dimensions_may_come_from_the_first_answer(tmp_path, stored):
    toy = Toy(dimensions=None)
    for _ in range(2):
        result = embed(list("abcdef"), toy, store=open_store(toy, tmp_path) if stored else None)
        assert result.vectors.shape == (6, 4)
    assert result.usage["cached"] == 6 * stored


def test_no_texts_give_no_vectors(tmp_path):
    assert embed([], Toy(), store=open_store(Toy(), tmp_path)).vectors.shape == (0, 4)


def test_empty_text_is_refused_with_its_row():
    with pytest.raises(UserError, match="text 2 of 3 is empty"):
        embed(["a", " \n", "b"], Toy())


@pytest.mark.parametrize(
    ("vectors", "what"),
    [
        (np.eye(3), "3 vectors for 2 texts"),
        (np.eye(2, 3), "3 dimensions instead of 2"),
        ([[1, 0], [np.nan, 1]], "vector 2 of 2 holds a value that is not finite"),
        ([[1, np.inf], [0, 1]], "vector 1 of 2 holds a value that is not finite"),
        ([[1, 0], [0, 0]], "vector 2 of 2 has length 0 instead of 1"),
        ([[1, 0], [0, 3]], "vector 2 of 2 has length 3 instead of 1"),
    ],
)
def test_wrong_vectors_are_refused_with_what_is_wrong(vectors, what):
    with pytest.raises(ValueError, match=what):
        unit_rows(vectors, count=2, dimensions=2)


def test_rows_leave_with_length_one():
    rows = unit_rows([[0.6, 0.0], [1.0, 1.0]], count=2)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-7)
    np.testing.assert_array_equal(unit_rows(rows, count=2), rows)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"provider": "local", "model": "bert-huge"}, "embedding.model"),
        ({"provider": "hashing", "model": "x"}, "embedding.model"),
        ({"provider": "local", "dimensions": 100}, "embedding.dimensions"),
        ({"provider": "openai"}, "OPENAI_API_KEY"),
    ],
)
def test_what_is_missing_is_said_before_any_work(settings, what, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match=what):
        open_embedder(settings)


def test_hashing_is_opened_with_its_seed_and_kept_nowhere(tmp_path):
    a, b, c = (open_embedder({"provider": "hashing", "dimensions": 16}, seed=seed) for seed in (1, 1, 2))
    vectors = [embed(["some words here"], e, store=open_store(e, tmp_path)).vectors for e in (a, b, c)]
    assert vectors[0].shape == (1, 16)
    assert vectors[0].tobytes() == vectors[1].tobytes() != vectors[2].tobytes()
    assert not list(tmp_path.iterdir())
    assert vector_metadata(a, vectors[0]) == {
        "provider": "hashing", "model": "hashing-projection", "dimensions": "16", "normalised": "true",
    }  # fmt: skip


def test_store_of_a_namespace_is_under_the_cache(tmp_path):
    assert isinstance(open_store(Toy(), tmp_path), Store)
    assert (tmp_path / "embeddings").is_dir()


def test_the_usage_of_a_collection_that_was_shared_out_is_that_of_all_jobs():
    own = {"texts": 10, "distinct": 9, "cached": 9, "embedded": 0, "requests": 0, "tokens": 0, "cut": 0, "seconds": 0.1}
    parts = [
        {"cached": 1, "embedded": 3, "requests": 2, "tokens": 30},
        {"cached": 0, "embedded": 4, "requests": 1, "tokens": 9},
    ]
    told = with_parts(own, parts)
    assert (told["cached"], told["embedded"], told["requests"], told["tokens"]) == (2, 7, 3, 39)
    assert with_parts(own, []) == own
