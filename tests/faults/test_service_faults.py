"""Every way a service of embeddings fails: the vectors are right or the error says why, and nothing is paid twice."""

import json
import logging
import math
import random
import re
import traceback

import numpy as np
import pytest

from crosswalk import pacing, service
from crosswalk.embedding import embed, open_store
from crosswalk.errors import UserError
from crosswalk.openai_client import OpenAIEmbedder
from crosswalk.store import text_keys
from fault_server import FALSE_ANSWERS, FAULTS, HARMLESS, HOPELESS, OUTAGES, ROW_FAULTS, WIDTH, FaultServer, vectors

KEY = "sk-test-7b21e94c0d"
BATCH, CONCURRENCY = 5, 8
TEXTS = [f"text {i}" for i in range(100)]
# What the error must say of a fault that stays.
CAUSES = {
    **dict.fromkeys(("429 seconds", "429 date", "429"), "HTTP 429: Rate limit reached"),
    "408": "HTTP 408: request took too long",
    "500": "HTTP 500: The server had an error",
    "502 html": "HTTP 502",
    "503": "HTTP 503: overloaded",
    "hang": "no answer within",
    "drop before": "no connection",
    "drop in body": "no connection|cut short|JSON",
    "wrong dimension": f"{WIDTH // 2} dimensions instead of {WIDTH}",
    "one wrong dimension": "dimensions",
    "missing row": r"\d+ vectors? for \d+ text",
    "surplus row": r"\d+ vectors? for \d+ text",
    "duplicate row": r"indices|\d+ vectors? for \d+ text",
    "wrong model": "'another-model.*' answered instead of 'toy-model'",
    **dict.fromkeys(("truncated json", "malformed json", "nan in json", "other json"), "JSON"),
    "nan": "not finite",
    "zero": "length 0",
    "long": "length 40",
    "401": "key in OPENAI_API_KEY is refused",
    "403": "key in OPENAI_API_KEY is refused",
    "404": "no model 'toy-model'",
    "insufficient_quota": "no quota left",
}


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Pauses of hundredths of a second where a real service deserves more."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(service, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(service, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(service, "FIRST_PATIENCE", 2.0)


def client(server, *, batch=BATCH, **limits):
    # An answer is late, and paid for in vain, after `timeout`: long enough for a machine with other work.
    limits = {"concurrency": CONCURRENCY, "patience": 1.0, "timeout": 1.5, **limits}
    return OpenAIEmbedder(
        model="toy-model", dimensions=WIDTH, base_url=server.url, batch={"texts": batch}, limits=limits
    )


def run(server, cache, texts=TEXTS, **settings):
    """Embed with a new client, as a new job does."""
    embedder = client(server, **settings)
    return embed(texts, embedder, store=open_store(embedder, cache))


def stored(server, cache, texts=TEXTS):
    """The texts that the store has, each with its right vector."""
    out = np.zeros((len(texts), WIDTH), np.float32)
    found = open_store(client(server), cache).read(text_keys(texts), out)
    np.testing.assert_allclose(out[found], vectors(texts)[found], atol=1e-6)
    return {text for text, there in zip(texts, found, strict=True) if there}


def right(result, texts=TEXTS):
    np.testing.assert_allclose(result.vectors, vectors(texts), atol=1e-6)


def paid(server, texts=TEXTS):
    """Those of the texts that were answered well; a client may have tried the service with a text of its own."""
    return set(server.account.paid) & set(texts)


def never_paid_twice(server, cache, texts=TEXTS):
    """What was answered well is in the store, all of it and nothing else, and was not asked for again."""
    assert stored(server, cache, texts) == paid(server, texts)
    assert not set(server.account.again) & set(texts)
    assert all(server.account.paid[text] <= 1 for text in texts)


def fails(server, cache, cause, texts=TEXTS, **settings):
    with pytest.raises(UserError) as raised:
        run(server, cache, texts, **settings)
    said = str(raised.value)
    assert re.search(cause, said) and server.url in said and KEY not in said
    return said


def test_every_fault_has_a_cause_to_be_named():
    assert set(CAUSES) | set(HARMLESS) == set(FAULTS)


@pytest.mark.parametrize("fault", [*OUTAGES, *FALSE_ANSWERS, *ROW_FAULTS, *HARMLESS])
def test_a_fault_that_passes_is_overcome(fault, tmp_path):
    # The first answer, an early one of several under way, and the last one.
    script = [fault, None, None, fault, *[None] * 16, fault]
    with FaultServer(script=script, retry_after=0.1, hang=2) as server:
        result = run(server, tmp_path, patience=5)
        right(result)
        never_paid_twice(server, tmp_path)
        assert server.account.faults[fault] >= 2 and server.account.most <= CONCURRENCY
        assert result.usage["requests"] == len(server.account.requests)
        asked = len(server.account.requests)
        right(run(server, tmp_path))
        assert len(server.account.requests) == asked


@pytest.mark.parametrize("fault", [*OUTAGES, *FALSE_ANSWERS, *ROW_FAULTS])
def test_a_fault_that_stays_is_named_and_what_was_answered_is_kept(fault, tmp_path):
    with FaultServer(script=[None] * 4, then=fault, retry_after=0.1, hang=2) as server:
        fails(server, tmp_path, CAUSES[fault], patience=0.4)
        assert len(paid(server)) >= 4 * BATCH
        never_paid_twice(server, tmp_path)
        server.settings.then = None
        right(run(server, tmp_path))
        never_paid_twice(server, tmp_path)


@pytest.mark.parametrize("fault", HOPELESS)
@pytest.mark.parametrize("before", [0, 4])
def test_what_no_second_try_mends_ends_the_run_at_once(fault, before, tmp_path):
    with FaultServer(script=[None] * before, then=fault) as server:
        fails(server, tmp_path, CAUSES[fault])
        # Before the first answer there is one request, to spare a refused key the other seven.
        assert server.account.faults[fault] <= (CONCURRENCY if before else 1)
        assert len(server.account.paid) == before * BATCH
        never_paid_twice(server, tmp_path)
        server.settings.then = None
        right(run(server, tmp_path))
        never_paid_twice(server, tmp_path)


@pytest.mark.parametrize("fault", HOPELESS)
def test_requests_under_way_are_awaited_and_kept_when_the_run_ends(fault, tmp_path):
    with FaultServer(script=[None, None, fault], latency=0.3) as server:
        fails(server, tmp_path, CAUSES[fault])
        # The refusal comes at once, the answers to the other seven a third of a second later.
        assert len(server.account.requests) == 1 + CONCURRENCY
        assert len(server.account.paid) == CONCURRENCY * BATCH
        never_paid_twice(server, tmp_path)


def test_a_fault_of_one_row_costs_that_row_alone(tmp_path):
    with FaultServer(script=[None, "nan", "zero", "long"], latency=0.05) as server:
        result = run(server, tmp_path, batch=25)
        right(result)
        again = [text for text, times in server.account.sent().items() if times > 1]
        assert len(again) == 3 and result.usage["requests"] == len(server.account.requests) <= 4 + 3
        never_paid_twice(server, tmp_path)


def test_a_row_that_stays_bad_is_asked_three_times_more_and_named(tmp_path):
    texts = ["the only one"]
    with FaultServer(then="nan") as server:
        said = fails(server, tmp_path, "not finite", texts)
        assert "the only one" in said and 3 <= len(server.account.requests) <= 4


@pytest.mark.parametrize("place", [0, 1, 499, 777, 999])
def test_one_poisonous_text_in_a_thousand_is_found_and_named_and_all_others_are_kept(place, tmp_path):
    texts = [f"text {i}" for i in range(1000)]
    texts[place] = f"text {place} with poison in it, and many words after it " + "word " * 100
    with FaultServer(poison="poison") as server:
        said = fails(server, tmp_path, f"text {place} with poison in it", texts, batch=100)
        assert "cannot be embedded" in said and len(said) < 1000
        assert len(server.account.requests) <= 10 + 2 * math.ceil(math.log2(100))
        assert len(paid(server, texts)) == 999
        never_paid_twice(server, tmp_path, texts)
        asked = len(server.account.requests)
        fails(server, tmp_path, f"text {place} with poison in it", texts, batch=100)
        assert len(server.account.requests) == asked + 1
        del texts[place]
        right(run(server, tmp_path, texts), texts)
        assert len(server.account.requests) == asked + 1


def test_several_poisonous_texts_are_all_named_at_once(tmp_path):
    bad = {3, 4, 57, 99}
    texts = [f"poison {i:02}" if i in bad else f"text {i}" for i in range(100)]
    with FaultServer(poison="poison") as server:
        said = fails(server, tmp_path, r"4 of 100", texts, batch=20)
        assert "poison 03" in said and len(paid(server, texts)) == 96
        never_paid_twice(server, tmp_path, texts)


@pytest.mark.parametrize("bad", [{0, 1}, {0, 1, 2}, set(range(0, 12)), {0, 99}])
def test_poisonous_texts_at_the_beginning_do_not_bar_the_others(bad, tmp_path):
    """As what is left after a run that found some of them."""
    texts = [f"poison {i:02}" if i in bad else f"text {i}" for i in range(100)]
    with FaultServer(poison="poison") as server:
        fails(server, tmp_path, "poison 00", texts)
        assert len(paid(server, texts)) == 100 - len(bad)
        never_paid_twice(server, tmp_path, texts)


def test_a_service_that_refuses_every_text_is_left_alone_soon(tmp_path):
    with FaultServer(poison="") as server:  # which every text holds
        fails(server, tmp_path, "cannot be embedded")
        assert len(server.account.requests) < 20


@pytest.mark.parametrize("place", [0, 50, 100])
def test_a_text_whose_vector_is_never_sound_is_named_and_all_others_are_kept(place, tmp_path):
    texts = [*TEXTS[:place], "cursed", *TEXTS[place:]]
    with FaultServer(curse="cursed", latency=0.02) as server:
        fails(server, tmp_path, "cursed.*not finite", texts)
        never_paid_twice(server, tmp_path, texts)
        assert len(paid(server, texts)) == 100


def test_a_service_that_is_only_starting_is_waited_for(tmp_path):
    with FaultServer(starting=(0.3, 0.3)) as server:
        right(run(server, tmp_path))
        never_paid_twice(server, tmp_path)


def test_a_service_that_is_not_there_is_named_before_long(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "FIRST_PATIENCE", 0.2)
    with FaultServer(starting=(60, 0)) as server:
        fails(server, tmp_path, "no connection", patience=900)


def pauses(server):
    """Seconds from each refusal to the next request that came, those aside that were under way."""
    times = [(when, fault) for when, _, fault in server.account.requests]
    return [min((t for t, _ in times if t > when + 0.05), default=when) - when for when, fault in times if fault]


@pytest.mark.parametrize("fault", ["429 seconds", "429 date"])
def test_the_pause_that_is_asked_for_is_made_by_all_requests(fault, tmp_path):
    seconds = {"429 seconds": 0.7, "429 date": 2.0}[fault]  # a date is without fractions
    with FaultServer(script=[None] * 4 + [fault], retry_after=seconds, latency=0.02) as server:
        right(run(server, tmp_path, patience=5))
        assert min(pauses(server)) >= seconds - (1.05 if fault == "429 date" else 0.05)
        never_paid_twice(server, tmp_path)


def test_a_pause_longer_than_patience_ends_the_run_and_says_how_long(tmp_path):
    with FaultServer(script=[None] * 4, then="429 seconds", retry_after=86400) as server:
        fails(server, tmp_path, "86400 s")
        assert server.account.faults["429 seconds"] <= CONCURRENCY
        never_paid_twice(server, tmp_path)


@pytest.mark.parametrize(("fault", "seconds"), [("429 seconds", 0), ("429 seconds", -5), ("429 date", -600)])
def test_a_pause_of_nothing_is_not_taken_at_its_word(fault, seconds, tmp_path, monkeypatch):
    """As services send whose clock is behind: they would be asked hundreds of times a second."""
    monkeypatch.setattr(service, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(service, "LONGEST_WAIT", 0.4)
    with FaultServer(script=[None], then=fault, retry_after=seconds) as server:
        fails(server, tmp_path, "HTTP 429", patience=1.0)
        assert len(server.account.requests) <= 1 + CONCURRENCY * 10


def test_a_service_that_refuses_what_is_above_its_limits_is_served_by_less(tmp_path):
    with FaultServer(requests_per_minute=10, tokens_per_minute=400, window=0.4, retry_after=0.1) as server:
        right(run(server, tmp_path, patience=10))
        never_paid_twice(server, tmp_path)
        assert server.account.refused > 0  # or the test shows nothing


@pytest.mark.parametrize("told", [True, False])
def test_limits_are_kept_whether_the_service_tells_them_or_the_config(told, tmp_path, monkeypatch):
    monkeypatch.setattr(pacing, "MINUTE", 1.0)
    limits = {"requests_per_minute": 30, "tokens_per_minute": 2000}
    with FaultServer(window=1.0, headers=told, **limits) as server:
        right(run(server, tmp_path, batch=3, **({} if told else limits)))
        assert server.account.refused == 0
        never_paid_twice(server, tmp_path)


MIXED = [*OUTAGES, *FALSE_ANSWERS, *ROW_FAULTS, *HARMLESS]


def mixture(seed):
    """Settings of a service with many faults, and texts for it."""
    draw = random.Random(seed)
    faults = draw.sample(MIXED, draw.randint(3, 7))
    total = draw.uniform(0.1, 0.5)
    mix = {fault: total / len(faults) for fault in faults}
    for fault in {"hang", "429 date"} & set(mix):  # they cost seconds
        mix[fault] = min(mix[fault], 0.03)
    if draw.random() < 0.3:
        mix[draw.choice(HOPELESS)] = 0.03
    settings = {"mix": mix, "seed": seed, "retry_after": 0.05, "hang": 2, "latency": draw.choice([0, 0.005, 0.03])}
    if draw.random() < 0.2:
        settings["starting"] = (draw.uniform(0, 0.3), draw.uniform(0, 0.3))
    if draw.random() < 0.2:
        settings |= {"requests_per_minute": 30, "window": 0.3, "headers": draw.random() < 0.5}
        if settings["headers"]:
            settings["told"] = (6000, None)
    texts = [f"{seed} {i} {'word ' * draw.randint(0, 20)}" for i in range(draw.randint(50, 150))]
    if draw.random() < 0.4:
        settings["poison"] = "poison"
        for i in draw.sample(range(len(texts)), draw.randint(1, 3)):
            texts[i] += "poison"
    return settings, texts


@pytest.mark.parametrize("seed", range(30))
def test_no_mixture_of_faults_loses_a_text_or_pays_for_it_twice(seed, tmp_path):
    settings, texts = mixture(seed)
    whole = [text for text in texts if "poison" not in text]
    causes = "|".join([*CAUSES.values(), "cannot be embedded"])
    with FaultServer(**settings) as server:
        for _ in range(40):
            try:
                result = run(server, tmp_path, texts, batch=1 + seed % 7, patience=3)
            except UserError as error:
                assert re.search(causes, str(error)) and server.url in str(error)
                never_paid_twice(server, tmp_path, texts)
                if len(paid(server, texts)) == len(whole) < len(texts):
                    break
            else:
                assert whole == texts
                right(result, texts)
                break
        never_paid_twice(server, tmp_path, texts)
        asked = len(server.account.requests)
        right(run(server, tmp_path, whole), whole)
        assert len(server.account.requests) == asked
    assert server.account.most <= CONCURRENCY


def test_a_key_is_in_no_file_log_metadata_or_error_under_any_fault(tmp_path, capfd):
    written = tmp_path / "log.txt"
    handler = logging.FileHandler(written)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)  # the words of the client library and of asyncio too
    said = []
    try:
        with FaultServer(echo=True, retry_after=0.01, hang=2) as server:
            for number, fault in enumerate([*FAULTS, "poison"]):
                server.settings.script, server.settings.then = [None], fault
                embedder = client(server, patience=0.05, timeout=0.4)
                store = open_store(embedder, tmp_path / f"cache {number}")
                try:
                    said.append(repr(embed(TEXTS[:20], embedder, store=store)))
                    assert fault in HARMLESS
                except UserError as error:
                    said += [str(error), repr(error), *traceback.format_exception(error)]
                    logging.getLogger("as an uncaught error is logged").exception("ended", exc_info=error)
                said += [repr(embedder), json.dumps(embedder.namespace), str(vars(store))]
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(path.suffix == ".arrow" for path in files) > len(FAULTS) and len(said) > 5 * len(FAULTS)
    assert "***" in written.read_text(encoding="utf-8")  # the service did repeat it
    said += [path.name for path in files] + list(capfd.readouterr())
    for secret in (KEY, KEY.removeprefix("sk-")):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
        assert not [text for text in said if secret in text]
