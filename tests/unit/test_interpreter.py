"""A chat model's words are taken as words and as nothing else, and only if they are short and plain."""

import json

import numpy as np
import pandas as pd
import pytest

from crosswalk.chat import Chat
from crosswalk.interpreter import LONGEST_TEXT, SCHEMA, rewrite, texts_of_ends
from crosswalk.naming import Words
from servers import ChatService, said

WORDS = Words(["sea", "ship"], ["court"])
TEXTS = {"high": ["the ship at sea"], "low": ["the court sits " * 100]}
GOOD = {
    "high": {"phrases": ["sea voyages", "storm-tossed ships"], "gist": "life aboard ships, far from land"},
    "low": {"phrases": ["court trials"], "gist": "lawyers & judges at work"},
}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ChatService() as service:
        yield service


@pytest.fixture
def ask(service, tmp_path):
    """Words for WORDS and TEXTS where the model answers with an object, or with a raw text."""

    def asked(answer):
        content = answer if isinstance(answer, str) else json.dumps(answer)
        service.script = [lambda request: said(request, content)]
        chat = Chat(model="toy-model", base_url=service.url, cache=tmp_path / str(len(service.requests)))
        return rewrite(chat, WORDS, TEXTS, by="toy-model")

    return asked


def changed(end, **fields):
    return {**GOOD, end: {**GOOD[end], **fields}}


def test_good_words_are_taken(service, ask):
    assert ask(GOOD) == Words(
        ["sea voyages", "storm-tossed ships"],
        ["court trials"],
        "life aboard ships, far from land",
        "lawyers & judges at work",
        "toy-model",
    )
    (request,) = service.requests
    form = request["response_format"]["json_schema"]
    assert form["strict"] and form["schema"] == SCHEMA
    question = json.loads(request["messages"][1]["content"])
    assert question["high"] == {"phrases": ["sea", "ship"], "texts": ["the ship at sea"]}
    assert len(question["low"]["texts"][0]) == LONGEST_TEXT


@pytest.mark.parametrize(
    "bad",
    [
        "{x}", "<script>alert(1)</script>", "see www.example.com", "http://example.com", "two\nlines", "a" * 200, "",
        " ", "right-to-left \u202e mark", "| cell", "`code`", "a; b", "=1+1", "-dash", '"quoted"', "\u200b", "@me", 7,
        None, ["x"],
    ],
)  # fmt: skip
def test_what_is_no_plain_short_text_names_nothing(ask, bad):
    assert ask(changed("high", gist=bad)) is None
    assert ask(changed("low", phrases=[bad])) is None
    assert ask(changed("low", phrases=[bad, "court trials"])).low == ["court trials"]


def test_at_most_five_phrases_each_once(ask):
    said = ["One", "one", "two", "three, four", "three", "four", "five", "six"]
    assert ask(changed("high", phrases=said)).high == ["One", "two", "three", "four", "five"]


@pytest.mark.parametrize("answer", [
    {}, {"high": GOOD["high"]}, {**GOOD, "low": None}, {**GOOD, "low": []}, {**GOOD, "low": {"phrases": "court"}},
    changed("low", phrases=None), changed("low", phrases={}), {"high": "sea", "low": "court"},
])  # fmt: skip
def test_another_form_names_nothing(ask, answer):
    assert ask(answer) is None


def test_further_keys_change_nothing(ask):
    assert ask({**changed("high", r=1.0), "confirmed": True, "by": "me"}) == ask(GOOD)


def test_nonsense_and_refusal_leave_the_phrases(service, ask, monkeypatch, tmp_path):
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert ask("I would rather not") is None or service.script == []
    service.answer = lambda request: said(request, "no JSON")
    chat = Chat(model="toy-model", base_url=service.url, cache=tmp_path / "nonsense")
    assert rewrite(chat, WORDS, TEXTS, by="toy-model") is None and chat.usage["wrong"] == 1
    service.answer = lambda request: said(request, None, refusal="I cannot.")
    chat = Chat(model="toy-model", base_url=service.url, cache=tmp_path / "refusal")
    assert rewrite(chat, WORDS, TEXTS, by="toy-model") is None and chat.usage["refused"] == 1


def test_only_texts_of_items_that_make_names_are_shown():
    n = 100
    scores, mask = np.arange(n, dtype=float), np.arange(n) % 2 == 0
    items = np.array([f"i{i}" for i in range(n)], dtype=object)
    vectors = np.column_stack([scores / n, np.ones(n)])
    owners = np.repeat(items, 2)
    rows = pd.DataFrame(
        {"id": [f"r{i}" for i in range(2 * n)], "text": [f"{o} row {i % 2}" for i, o in enumerate(owners)]}
    )
    shown = texts_of_ends(scores, mask, vectors, rows, np.repeat(vectors, 2, axis=0), owners, items, count=3)
    assert shown == {
        "high": ["i98 row 0", "i96 row 0", "i94 row 0"],
        "low": ["i0 row 0", "i2 row 0", "i4 row 0"],
    }
