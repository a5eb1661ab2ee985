"""What embedding will take is told before anything is paid, and is what it then takes."""

import logging

import pytest

from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.forecast import forecast
from servers import WIDTH, EmbeddingService


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-5512")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with EmbeddingService() as service:
        yield service


def client(service, *, asking=True, **settings):
    base = {"provider": "openai", "model": "toy-model", "dimensions": WIDTH, "base_url": service.url}
    return open_embedder(base | settings, asking=asking)


TEXTS = ["one", "two", "two", "three", "four"] * 2


def test_texts_copies_cache_requests_tokens_money_and_minutes(service, tmp_path):
    settings = {"batch": {"texts": 2}, "price": 100, "limits": {"requests_per_minute": 4}}
    embedder = client(service, **settings)
    store = open_store(embedder, tmp_path)
    embed(["one"], embedder, store=store)
    told = forecast(TEXTS, embedder, store=store)
    assert (told.texts, told.distinct, told.cached, told.requests, told.tokens) == (10, 4, 1, 2, 12)
    assert told.price == pytest.approx(12 * 100 / 1e6) and told.minutes == pytest.approx(0.5) and not told.exact
    assert str(told) == (
        "10 texts, 6 of them copies, 1 in the cache; 3 to embed in 2 requests, at most 12 tokens; at most 0.0012 US$; "
        "at most 0.5 minutes at the set limits"
    )
    usage = embed(TEXTS, client(service, batch={"texts": 2}), store=store).usage
    assert (usage["embedded"], usage["requests"], usage["tokens"]) == (3, 2, 12)
    assert str(forecast(TEXTS, embedder, store=store)).endswith("4 in the cache; nothing to embed")


def test_no_key_is_needed_to_be_told(service, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert forecast(TEXTS, client(service, asking=False)).tokens == 15
    assert not service.requests


def test_the_known_tokeniser_counts_what_is_billed(service):
    embedder = client(service, model="text-embedding-3-small", asking=False)
    told = forecast(["hello world", "tiktoken is great!"], embedder)
    assert told.exact and told.tokens == 8 and told.price == pytest.approx(8 * 0.02 / 1e6)


def test_every_embedding_says_first_what_it_will_take(service, caplog):
    with caplog.at_level(logging.INFO):
        embed(TEXTS, client(service))
    assert caplog.messages[:2] == [
        "10 texts, 6 of them copies, 0 in the cache; 4 to embed",
        "1 requests, at most 15 tokens",
    ]
