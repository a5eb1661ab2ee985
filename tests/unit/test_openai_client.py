"""The client of the paid service, against a real server on this machine that answers well, badly and not at all."""

import base64
import json
import logging
import re
import threading
import time

import numpy as np
import pytest

from crosswalk.budget import Budget, BudgetReached
from crosswalk.embedding import Answer, embed, open_embedder, open_store
from crosswalk.errors import UserError
from crosswalk.service import WRONG as WRONG_TRIES
from servers import WIDTH, EmbeddingService, FakeTime, good, vector

KEY = "sk-test-3f9a1c77d2"


def replaced(request, row, values):
    answer = good(request)
    answer["data"][row]["embedding"] = base64.b64encode(np.asarray(values, "<f4").tobytes()).decode()
    return answer


def changed(request, **fields):
    return {**good(request), **fields}


def failure(status, message, code=None, headers=None):
    return status, {"error": {"message": message, "type": "some_error", "code": code}}, headers or {}


WRONG = {
    "missing row": (lambda r: changed(r, data=good(r)["data"][:-1]), "2 vectors for 3 texts"),
    "no rows": (lambda r: changed(r, data=[]), "0 vectors for 3 texts"),
    "double index": (lambda r: changed(r, data=[good(r)["data"][i] for i in (0, 1, 1)]), "indices"),
    "NaN": (
        lambda r: replaced(r, len(r["input"]) // 2, [np.nan] * WIDTH),
        "vector 2 of 3 holds a value that is not finite",
    ),
    "NaN in JSON": (lambda r: json.dumps(good({**r, "encoding_format": "float"})).replace("0.", "NaN, 0.", 1), "JSON"),
    "zero vector": (lambda r: replaced(r, -1, [0] * WIDTH), "vector 3 of 3 has length 0"),
    "wrong dimension": (lambda r: good(r, width=WIDTH // 2), "4 dimensions instead of 8"),
    "ragged": (lambda r: replaced(r, 0, vector("x")[:5]), "vectors of different dimensions"),
    "half a float": (lambda r: changed(r, data=[{"index": i, "embedding": "AAA="} for i in range(3)]), "base64"),
    "another model": (lambda r: good(r, model="cheap-model"), "'cheap-model' answered"),
    "garbage": (lambda r: "<html>try later</html>", "not the JSON of an embeddings answer"),
    "other JSON": (lambda r: {"result": "fine"}, "not the JSON of an embeddings answer"),
    "cut short": (lambda r: json.dumps(good(r))[:100], "not the JSON of an embeddings answer"),
}
ROWS = ("NaN", "zero vector")  # where the other rows of the answer are sound
HOPELESS = {
    "bad key": (failure(401, f"Incorrect API key provided: {KEY}"), "the key in OPENAI_API_KEY is refused"),
    "forbidden": (failure(403, "no access"), "the key in OPENAI_API_KEY is refused"),
    "no quota": (failure(429, "You exceeded your quota", "insufficient_quota"), "no quota left"),
    "unknown model": (failure(404, "model not found"), "no model 'toy-model'"),
    "come back tomorrow": (failure(429, "slow down", headers={"Retry-After": "86400"}), "come back in 86400 s"),
}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with EmbeddingService() as service:
        yield service


@pytest.fixture
def waits(monkeypatch):
    """The pauses that would have been made."""
    return FakeTime(monkeypatch).waits


def client(service, **settings):
    return open_embedder(
        {"provider": "openai", "model": "toy-model", "dimensions": WIDTH, "base_url": service.url, **settings}
    )


def asked(embedder, texts=None):
    """All answers to texts as one, rows in the order of the texts."""
    texts, vectors, tokens, requests = texts or TEXTS, None, 0, 0
    for rows, answer in embedder.answers(texts):
        vectors = np.full((len(texts), answer.vectors.shape[1]), np.nan) if vectors is None else vectors
        assert np.isnan(vectors[rows]).all()  # no text is answered twice
        vectors[rows], tokens, requests = answer.vectors, tokens + answer.tokens, requests + answer.requests
    return Answer(vectors, tokens, requests)


TEXTS = ["one", "two", "three"]
EXPECTED = np.stack([vector(text) for text in TEXTS])


def test_vectors_arrive_with_tokens_and_requests(service):
    answer = asked(client(service, organization="org-7"))
    np.testing.assert_allclose(answer.vectors, EXPECTED, atol=1e-6)
    assert (answer.tokens, answer.requests) == (11, 1)
    assert service.requests == [
        {"model": "toy-model", "input": TEXTS, "dimensions": WIDTH, "encoding_format": "base64"}
    ]
    headers = {name.lower(): value for name, value in service.headers[0].items()}
    assert headers["authorization"] == f"Bearer {KEY}" and headers["openai-organization"] == "org-7"


def test_dimensions_are_asked_for_only_if_set(service):
    embedder = client(service, dimensions=None)
    assert embedder.dimensions is None
    assert asked(embedder).vectors.shape == (3, WIDTH)
    assert "dimensions" not in service.requests[0] and embedder.dimensions == WIDTH


def test_shuffled_answer_is_put_in_order(service):
    service.script = [lambda r: changed(r, data=good(r)["data"][::-1])]
    np.testing.assert_allclose(asked(client(service)).vectors, EXPECTED, atol=1e-6)


def test_service_that_knows_no_base64_is_understood(service):
    service.script = [lambda r: good({**r, "encoding_format": "float"})]
    np.testing.assert_allclose(asked(client(service)).vectors, EXPECTED, atol=1e-6)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer_is_asked_again(service, waits, name, caplog):
    service.script = [WRONG[name][0]]
    answer = asked(client(service))
    np.testing.assert_allclose(answer.vectors, EXPECTED, atol=1e-6)
    assert answer.requests == 2 and WRONG[name][1] in caplog.text
    assert len(service.requests[1]["input"]) == (1 if name in ROWS else 3)  # sound vectors are not asked for again


@pytest.mark.parametrize("name", WRONG)
def test_answer_that_stays_wrong_ends_the_run_and_is_never_kept(service, waits, name, tmp_path):
    service.script = [WRONG[name][0]] * 99
    embedder = client(service)
    store = open_store(embedder, tmp_path)
    with pytest.raises(UserError) as raised:
        embed(TEXTS, embedder, store=store)
    said = re.sub("vector . of .", "vector", str(raised.value))
    assert re.sub("vector . of .", "vector", WRONG[name][1]) in said and service.url in said
    assert len(service.requests) == WRONG_TRIES and len(store) == 2 * (name in ROWS)


@pytest.mark.parametrize("name", HOPELESS)
def test_what_no_second_try_mends_ends_the_run_at_once(service, waits, name):
    service.script = [lambda r: HOPELESS[name][0]] * 99
    with pytest.raises(UserError) as raised:
        asked(client(service))
    assert HOPELESS[name][1] in str(raised.value)
    assert len(service.requests) == 1 and waits == []


def test_busy_service_is_given_the_pause_it_asks_for(service, waits):
    service.script = [lambda r: failure(429, "slow down", "rate_limit_exceeded", {"Retry-After": "1"})]
    assert asked(client(service)).requests == 2
    assert 1 <= sum(waits) <= 1.1


def test_failing_service_and_dropped_connection_are_tried_again_with_growing_pauses(service, waits):
    service.script = [lambda r: failure(500, "oops"), lambda r: None, lambda r: failure(503, "still")]
    np.testing.assert_allclose(asked(client(service)).vectors, EXPECTED, atol=1e-6)
    assert len(service.requests) == 4 and waits == sorted(waits) and waits[-1] > 2 * waits[0]


def test_service_that_is_not_there_is_named(service, waits):
    embedder = client(service, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/v1: gave up after .* tries in [67]. s.*no connection"):
        asked(embedder)


def test_answered_requests_are_paid_once_though_a_later_one_fails(service, waits, tmp_path):
    texts = [f"text {i}" for i in range(10)]
    settings = {"batch": {"texts": 2}, "limits": {"concurrency": 1, "patience": 60}}
    service.script = [good, good, *[lambda r: failure(500, "down")] * 99]
    embedder = client(service, **settings)
    with pytest.raises(UserError, match="HTTP 500: down"):
        embed(texts, embedder, store=open_store(embedder, tmp_path))
    service.script = []
    embedder = client(service, **settings)
    result = embed(texts, embedder, store=open_store(embedder, tmp_path))
    assert (result.usage["cached"], result.usage["embedded"], result.usage["requests"]) == (4, 6, 3)
    np.testing.assert_allclose(result.vectors, [vector(text) for text in texts], atol=1e-6)


def test_requests_stay_within_every_limit(service):
    texts = ["é" * n for n in (1, 5, 9, 20, 20, 3, 3, 3, 3, 3, 3)]
    asked(client(service, batch={"texts": 4, "tokens": 50, "text_tokens": 40}), texts)
    assert sorted(text for request in service.requests for text in request["input"]) == sorted(texts)
    for request in service.requests:
        assert len(request["input"]) <= 4 and sum(len(text.encode()) for text in request["input"]) <= 50
    assert len(service.requests) == 5


def test_requests_are_small_beside_what_a_minute_may_take(service):
    many = {"requests_per_minute": 1000, "tokens_per_minute": 5000}
    sizes = [len(part) for part in client(service, limits=many).chunks(np.full(100, 10))]
    assert sizes == [10] * 10  # a fiftieth of 5,000
    few = {"requests_per_minute": 10, "tokens_per_minute": 5000}
    assert [len(part) for part in client(service, limits=few).chunks(np.full(100, 10))] == [50, 50]


def refusing(bad):
    """An answer of a service that refuses any request which holds one of these texts."""

    def answer(request):
        if set(request["input"]) & set(bad):
            return failure(400, "this text is not to its taste", "invalid_input")
        return good(request)

    return answer


@pytest.mark.parametrize("place", [0, 500, 999])
def test_one_bad_text_in_a_thousand_is_found_and_named_and_all_others_are_kept(service, tmp_path, place):
    texts = [f"text {i}" for i in range(1000)]
    service.answer = refusing([texts[place]])
    embedder = client(service, batch={"texts": 100})
    store = open_store(embedder, tmp_path)
    with pytest.raises(UserError, match=f"1 of 1000 texts are refused.*'text {place}'.*not to its taste.*run again"):
        embed(texts, embedder, store=store)
    assert len(store) == 999 and len(service.requests) < 10 + 2 * 8
    service.answer, before = good, len(service.requests)
    result = embed(texts, client(service), store=open_store(embedder, tmp_path))
    assert [request["input"] for request in service.requests[before:]] == [[texts[place]]]
    np.testing.assert_allclose(result.vectors, [vector(text) for text in texts], atol=1e-6)


def test_a_service_that_refuses_everything_is_not_asked_for_every_text(service, tmp_path):
    texts = [f"text {i}" for i in range(1000)]
    service.answer = lambda request: failure(400, "nothing is to its taste")
    with pytest.raises(UserError, match=r"HTTP 400: nothing is to its taste"):
        embed(texts, client(service))
    assert len(service.requests) < 20
    service.answer, service.requests = refusing(texts), []
    with pytest.raises(UserError, match=r"20 of 1000 texts are refused.*HTTP 400: this text is not to its taste"):
        embed(texts, client(service))
    assert len(service.requests) < 80


def test_a_bad_key_costs_one_request_whatever_could_be_in_flight(service):
    service.answer = lambda request: failure(401, "no such key")
    with pytest.raises(UserError, match="OPENAI_API_KEY is refused"):
        asked(client(service, batch={"texts": 1}))
    assert len(service.requests) == 1


def test_requests_are_under_way_together_and_no_more_than_allowed(service):
    most, lock, now = [], threading.Lock(), [0]

    def slow(request):
        with lock:
            now[0] += 1
            most.append(now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return good(request)

    service.answer = slow
    texts = [f"text {i}" for i in range(40)]
    asked(client(service, batch={"texts": 1}, limits={"concurrency": 5}), texts)
    assert max(most) == 5 and most[0] == 1


def test_what_is_on_its_way_when_one_fails_is_kept(service, tmp_path):
    together = threading.Barrier(4, timeout=20)

    def answer(request):
        if request["input"] != ["text 0"]:
            together.wait()
        if request["input"] == ["text 3"]:
            return failure(429, "You exceeded your quota", "insufficient_quota")
        time.sleep(0.3 if request["input"] != ["text 0"] else 0)
        return good(request)

    service.answer = answer
    embedder = client(service, batch={"texts": 1}, limits={"concurrency": 4})
    store = open_store(embedder, tmp_path)
    with pytest.raises(UserError, match="no quota left"):
        embed([f"text {i}" for i in range(50)], embedder, store=store)
    assert len(store) == len(service.requests) - 1 == 4  # one alone, and the three beside the one that failed


def test_a_budget_ends_the_run_before_it_is_crossed_and_what_was_bought_is_kept(service, tmp_path):
    texts = [f"text {i:04}" for i in range(100)]  # of nine tokens, as this service counts
    embedder = client(service, batch={"texts": 10})
    store = open_store(embedder, tmp_path)
    with pytest.raises(BudgetReached, match=r"embedding\.budget: .* of 500 tokens.*Raise the budget"):
        embed(texts, embedder, store=store, budget=Budget(500))
    billed = sum(len(text) for request in service.requests for text in request["input"])
    assert 400 < billed <= 500 and len(store) == billed // 9
    rest = embed(texts, embedder, store=store, budget=Budget(900, spent=billed))
    assert rest.usage["cached"] == billed // 9 and rest.usage["tokens"] == 900 - billed


def test_long_text_is_cut_at_a_whole_character_counted_and_said(service, caplog):
    embedder = client(service, batch={"text_tokens": 10})
    sent, cut = embedder.prepare(["a" * 10, "é" * 6, "ab"])
    assert sent == ["a" * 10, "é" * 5, "ab"] and cut == 1
    sent, cut = embedder.prepare(["a" + "é" * 6])
    assert sent == ["a" + "é" * 4] and cut == 1
    assert "1 texts are longer than 10 bytes" in caplog.text


def test_services_and_lengths_share_no_vectors(service):
    names = [client(service).namespace, client(service, dimensions=4).namespace, client(service, model="b").namespace]
    names.append(client(service, base_url="http://elsewhere/v1").namespace)
    assert len({json.dumps(name) for name in names}) == 4
    assert client(service, base_url=service.url + "/").namespace == names[0]
    assert client(service, organization="other").namespace == names[0]


def test_known_model_of_the_default_service_has_its_own_length(service, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    own = open_embedder({"provider": "openai"})
    assert own.dimensions == 1536
    assert own.namespace == open_embedder({"provider": "openai", "dimensions": 1536}).namespace


@pytest.mark.parametrize("url", ["http://me:secret@there/v1", "https://there/v1?key=secret", "there/v1"])
def test_address_with_a_secret_is_refused_without_repeating_it(service, url):
    with pytest.raises(UserError, match="base_url") as raised:
        client(service, base_url=url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("key", ["sk-77\n88", "sk-77 88", "sk-77ä88"])
def test_key_that_cannot_be_one_is_refused_without_repeating_it(service, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match="OPENAI_API_KEY") as raised:
        client(service)
    assert "77" not in str(raised.value) and "88" not in str(raised.value)


def test_line_end_after_the_key_is_forgiven(service, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    assert asked(client(service)).requests == 1
    assert f"Bearer {KEY}" in service.headers[0].values()


def test_key_is_in_no_log_error_or_file(service, waits, tmp_path, capfd):
    written = tmp_path / "log.txt"
    handler = logging.FileHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)  # the client library's own words too
    echo = [
        lambda r: failure(500, f"broken for Bearer {KEY}"),
        lambda r: good(r, model=KEY),
        lambda r: failure(401, f"bad {KEY}"),
    ]
    try:
        service.script = list(echo[:2])
        embedder = client(service)
        result = embed(TEXTS, embedder, store=open_store(embedder, tmp_path / "cache"))
        service.script = list(echo)
        with pytest.raises(UserError) as raised:
            embed(["four"], embedder, store=open_store(embedder, tmp_path / "cache"))
        logging.getLogger().exception("as an uncaught error is logged", exc_info=raised.value)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written in files and any(path.suffix == ".arrow" for path in files) and b"***" in written.read_bytes()
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in "".join(capfd.readouterr()) and KEY not in str(raised.value) + repr(embedder) + str(result)
    assert KEY not in json.dumps(embedder.namespace)
