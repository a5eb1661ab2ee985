"""The chat client, against a real server on this machine that answers well, badly and not at all."""

import json
import logging

import pytest

from crosswalk.budget import Budget, BudgetReached
from crosswalk.chat import WRONG, Chat
from crosswalk.errors import UserError
from servers import ChatService, FakeTime, said

KEY = "sk-test-8b2d60e1f4"
SCHEMA = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
WRONG_ANSWERS = {
    "prose": (lambda r: said(r, "Sure! Here is it: yes"), "not the JSON that was asked for"),
    "no object": (lambda r: said(r, "[1, 2]"), "not the JSON that was asked for"),
    "nothing": (lambda r: said(r, None), "not the JSON that was asked for"),
    "cut short": (lambda r: said(r, '{"word": "y', finish="length"), "cut short"),
    "html": (lambda r: "<html>try later</html>", "not the JSON of a chat answer"),
    "other JSON": (lambda r: {"result": "fine"}, "not the JSON of a chat answer"),
    "no choice": (lambda r: {**said(r), "choices": []}, "0 answers"),
    "another model": (lambda r: said(r, model="cheap-model"), "'cheap-model' answered"),
}


def failure(status, message, code=None, headers=None):
    return status, {"error": {"message": message, "type": "some_error", "code": code}}, headers or {}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatService() as service:
        yield service


@pytest.fixture
def waits(monkeypatch):
    """The pauses that would have been made."""
    return FakeTime(monkeypatch).waits


@pytest.fixture
def chat(service, tmp_path):
    return Chat(model="toy-model", base_url=service.url, cache=tmp_path / "chat")


def ask(chat, question="a question", **more):
    return chat.ask("Answer.", question, **{"name": "form", "schema": SCHEMA, **more})


def test_the_answer_is_the_object_that_the_form_asks_for(service, chat):
    assert ask(chat) == ({"word": "yes"}, False)
    assert service.requests == [
        {
            "model": "toy-model",
            "messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": "a question"}],
            "response_format": {
                "type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": SCHEMA},
            },
        }
    ]  # fmt: skip
    assert chat.usage == {
        "questions": 1, "cached": 0, "requests": 1, "refused": 0, "wrong": 0, "input_tokens": 100, "output_tokens": 10,
    }  # fmt: skip


def test_what_was_asked_before_costs_nothing(service, chat, tmp_path):
    first = ask(chat)
    again = Chat(model="toy-model", base_url=service.url + "/", cache=tmp_path / "chat")
    assert ask(again) == first and len(service.requests) == 1
    assert (again.usage["cached"], again.usage["requests"], again.usage["input_tokens"]) == (1, 0, 0)


def test_an_answer_is_kept_for_its_model_question_form_and_service_alone(service, chat, tmp_path):
    ask(chat)
    ask(chat, "another question")
    ask(chat, schema={**SCHEMA, "additionalProperties": False})
    chat.ask("Answer well.", "a question", name="form", schema=SCHEMA)
    ask(Chat(model="other-model", base_url=service.url, cache=tmp_path / "chat"))
    assert len(service.requests) == 5
    with ChatService() as other:
        ask(Chat(model="toy-model", base_url=other.url, cache=tmp_path / "chat"))
        assert len(other.requests) == 1


def test_a_damaged_answer_is_asked_for_again(service, chat, tmp_path):
    ask(chat)
    (kept,) = (tmp_path / "chat").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:10])
    assert ask(chat).answer == {"word": "yes"} and len(service.requests) == 2
    assert kept.read_bytes() == whole


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_wrong_answer_is_asked_again(service, chat, waits, name, caplog):
    service.script = [WRONG_ANSWERS[name][0]]
    assert ask(chat).answer == {"word": "yes"}
    assert len(service.requests) == 2 and len(waits) == 1 and WRONG_ANSWERS[name][1] in caplog.text


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_model_that_talks_nonsense_is_soon_given_up_and_not_kept(service, chat, waits, name, tmp_path, caplog):
    service.script = [WRONG_ANSWERS[name][0]] * 99
    assert ask(chat) == (None, False)
    assert len(service.requests) == chat.usage["requests"] == WRONG and chat.usage["wrong"] == 1
    assert not (tmp_path / "chat").exists() and WRONG_ANSWERS[name][1] in caplog.text


def test_wrong_answers_are_paid_for_and_counted(service, chat, waits):
    service.script = [lambda r: said(r, "no JSON")] * 2
    ask(chat)
    assert chat.usage["input_tokens"] == 200 and chat.usage["output_tokens"] == 20


@pytest.mark.parametrize(
    "answer",
    [
        lambda r: said(r, None, refusal="I cannot help with that."),
        lambda r: said(r, None, finish="content_filter"),
        lambda r: failure(400, "The prompt was filtered", "content_filter"),
    ],
    ids=["refusal", "filtered answer", "filtered question"],
)
def test_a_refusal_is_an_answer_that_is_kept(service, chat, answer):
    service.script = [answer]
    assert ask(chat) == (None, True)
    assert ask(chat) == (None, True) and len(service.requests) == 1 and chat.usage["refused"] == 2


def test_a_busy_service_is_given_the_pause_it_asks_for(service, chat, waits):
    service.script = [lambda r: failure(429, "slow down", "rate_limit_exceeded", {"Retry-After": "7"})]
    assert ask(chat).answer == {"word": "yes"} and 7 <= sum(waits) <= 7.7 and chat.usage["requests"] == 2


def test_a_service_that_stays_down_ends_the_run(service, chat, waits):
    service.script = [lambda r: failure(503, "down")] * 99
    with pytest.raises(UserError, match=r"gave up after .* tries in 9.. s, the last one with HTTP 503: down"):
        ask(chat)
    assert len(service.requests) > 20


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (failure(401, f"Incorrect API key provided: {KEY}"), "OPENAI_API_KEY is refused"),
        (failure(404, "no such model"), "Check relate.a_b.interpreter.model"),
        (failure(400, "json_schema is not supported"), "json_schema is not supported"),
        (failure(429, "exceeded", "insufficient_quota"), "no quota left"),
    ],
)
def test_what_no_second_try_mends_ends_the_run_at_once(service, waits, tmp_path, answer, told):
    service.script = [lambda r: answer] * 9
    with pytest.raises(UserError) as raised:
        ask(Chat(model="toy-model", base_url=service.url, at="relate.a_b.interpreter", cache=tmp_path))
    assert told in str(raised.value) and KEY not in str(raised.value)
    assert len(service.requests) == 1 and waits == []


def test_without_a_key_nothing_starts(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match=r"relate\.a_b\.interpreter\.provider openai.*or set .*provider to none"):
        Chat(model="toy-model", at="relate.a_b.interpreter", cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_named(service, tmp_path):
    (tmp_path / "file").write_text("")
    chat = Chat(model="toy-model", base_url=service.url, cache=tmp_path / "file" / "chat")
    with pytest.raises(UserError, match="cannot be kept"):
        ask(chat)


def test_neither_key_nor_question_is_in_a_file_and_the_key_in_no_log(service, chat, waits, tmp_path, capfd):
    written = tmp_path / "log.txt"
    handler = logging.FileHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)  # the client library's own words too
    try:
        service.script = [
            lambda r: failure(500, f"broken for Bearer {KEY}"),
            lambda r: said(r, model=KEY),
            said,
            lambda r: failure(401, f"bad {KEY}"),
        ]
        ask(chat, "a private text")
        with pytest.raises(UserError) as raised:
            ask(chat, "another")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert b"***" in written.read_bytes() and any(path.suffix == ".json" for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert not [path for path in files if path != written and b"private" in path.read_bytes()]
    assert KEY not in "".join(capfd.readouterr()) + str(raised.value) + json.dumps(chat.usage)


def test_a_budget_counts_answers_of_former_runs_and_ends_before_it_is_crossed(service, tmp_path):
    def opened(limit):
        budget = Budget(limit, at="relate.a_b.interpreter.budget")
        return Chat(model="toy-model", base_url=service.url, cache=tmp_path, budget=budget)

    first = opened(10_000)
    ask(first)
    assert len(service.requests) == 1
    later = opened(1300)
    assert ask(later).answer == {"word": "yes"} and len(service.requests) == 1  # of 110 tokens, from the memory
    with pytest.raises(BudgetReached, match=r"interpreter\.budget: 110 of 1,300 tokens are spent"):
        later.ask("Answer.", "another question " * 20, name="form", schema=SCHEMA)
    assert len(service.requests) == 1
