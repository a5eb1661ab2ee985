"""A chat model that fills in a form: one question, one JSON answer of a given schema, never asked for twice.

Answers are kept under a hash of all that they depend on, a small file each; the question itself is not kept.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple

import msgspec
import openai

from crosswalk import files
from crosswalk.budget import Budget
from crosswalk.errors import UserError
from crosswalk.service import Service, WrongAnswer, check_model

log = logging.getLogger(__name__)

WRONG = 2  # answers that are no JSON of the schema, before a question is given up: each is paid for
ANSWER = 1000  # tokens of an answer that are set aside before it is known; the questions here take far less
FILTERED = frozenset({"content_filter", "content_policy_violation"})  # a request that is refused for its content


class Reply(NamedTuple):
    """answer: the object as the schema has it, None without one; refused: whether the model would not answer."""

    answer: dict | None
    refused: bool = False


class Chat:
    """A chat model with a memory.

    model: its name; base_url: of the service; at: the config's key that holds its settings; cache: folder that keeps
    the answers; limits: see `service.Service`; budget: a `Budget`, towards which answers from the memory count as well,
    as they were paid for once. Attribute usage: dict of questions, cached, requests, refused, wrong, input_tokens and
    output_tokens; what wrong answers cost is among the tokens.
    Raises UserError, before any request, as `Service` does.
    """

    def __init__(self, *, model, base_url=None, at="interpreter", cache, limits=None, budget=None):
        self._service = Service("chat", at=at, instead="none", model=model, base_url=base_url, limits=limits)
        self._budget = Budget() if budget is None else budget
        self._model, self._cache = model, Path(cache)
        self.usage = dict.fromkeys(
            ("questions", "cached", "requests", "refused", "wrong", "input_tokens", "output_tokens"), 0
        )

    def ask(self, instructions, question, *, name, schema):
        """Answer a question.

        instructions, question: str, what the model is told and what it is given; name: of the form; schema: JSON schema
        of an object. A refusal counts as an answer and is kept. A model that gives no JSON twice gets no third try: the
        reply then has no answer, and nothing is kept.
        Returns Reply, whose answer is JSON but not checked against the schema. Raises UserError as `Service.call` does.
        """
        self.usage["questions"] += 1
        request = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": question},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": schema},
            },
        }
        path = self._cache / f"{_key(self._service.url, request)}.json"
        kept = _read(path)
        if kept is not None:
            self.usage["cached"] += 1
            self._budget.settle(0, kept.tokens)
        else:
            try:
                kept = self._paid(request)
            except WrongAnswer as error:
                log.warning("%s", error)
                self.usage["wrong"] += 1
                return Reply(None)
            _write(path, kept)
        self.usage["refused"] += kept.refused
        return Reply(kept.answer, kept.refused)

    def _paid(self, request):
        """The answer to a request, within the budget."""
        bound, spent = len(json.dumps(request, ensure_ascii=False).encode()) + ANSWER, []
        self._budget.reserve(bound)
        try:
            kept, _ = self._service.run(
                self._service.call(lambda: self._ask(request, spent), tokens=bound, billed=spent, wrong=WRONG)
            )
        finally:
            self._budget.settle(bound, sum(spent))
        kept.tokens = sum(spent)
        return kept

    async def _ask(self, request, billed):
        self.usage["requests"] += 1
        try:
            response = await self._service.client.chat.completions.with_raw_response.create(**request)
        except openai.BadRequestError as error:
            if error.code in FILTERED:
                return _Kept(answer=None, refused=True)
            raise
        self._service.heard(response.headers)
        try:
            body = msgspec.json.decode(response.http_response.content, type=_Body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not the JSON of a chat answer ({error})") from None
        spent = body.usage or _Usage()
        self.usage["input_tokens"] += spent.prompt_tokens
        self.usage["output_tokens"] += spent.completion_tokens
        billed.append(spent.prompt_tokens + spent.completion_tokens)
        check_model(self._model, body.model)
        if len(body.choices) != 1:
            raise ValueError(f"{len(body.choices)} answers to one question")
        choice = body.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            return _Kept(answer=None, refused=True)
        if choice.finish_reason == "length":
            raise ValueError("it is cut short")
        try:
            answer = msgspec.json.decode(choice.message.content or "", type=dict)
        except msgspec.MsgspecError as error:
            raise ValueError(f"its content is not the JSON that was asked for ({error})") from None
        return _Kept(answer=answer)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Body(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


class _Kept(msgspec.Struct):
    """What the memory holds of one question."""

    answer: dict | None
    refused: bool = False
    tokens: int = 0  # that it took


def _key(url, request):
    plain = json.dumps([url, request], sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()


def _read(path):
    """What is kept, None where nothing is or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be used and is asked for again (%s)", path, error)
        return None


def _write(path, kept):
    try:
        files.write_json(path, msgspec.to_builtins(kept))
    except OSError as error:
        raise UserError(
            f"{path.parent}: an answer cannot be kept there ({error.strerror}). See the config's `cache`."
        ) from None
