"""The embeddings endpoint of OpenAI, or of a service that speaks like it; an answer is trusted once it is checked.

The official client sends the request; it accepts a missing row, a shuffled order, a wrong length or NaN in silence, so
the body is read and verified here. The key is read from the environment and never leaves the request's header.
"""

import base64
import binascii
import email.utils
import logging
import os
import random
import time
import urllib.parse

import msgspec
import numpy as np
import openai

from crosswalk.embedding import Answer, unit_rows
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
DEFAULT_URL = "https://api.openai.com/v1"
OWN_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
LIMITS = {"texts": 2048, "tokens": 300_000, "text_tokens": 8191}
TRIES = 5
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED = 0.5, 30.0, 120.0  # seconds
TIMEOUT = 120.0  # seconds for one request
HOPELESS = {
    "insufficient_quota": "the account has no quota left: see its billing page",
    "billing_hard_limit_reached": "the account's spending limit is reached: see its billing page",
}


class OpenAIEmbedder:
    """An `Embedder` that calls a service.

    model: its name there; dimensions: length to ask for, None for the model's own; base_url: of the service (default:
    the variable OPENAI_BASE_URL, then OpenAI's); organization: that pays; batch: dict of the limits of a request.
    Raises UserError, before any request, if OPENAI_API_KEY is not set or the address carries a password.
    """

    stored = True

    def __init__(self, *, model, dimensions=None, base_url=None, organization=None, batch=None):
        self.url = (base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or parts.username is not None or parts.query:
            raise UserError(
                "embedding.base_url: must be an http or https address without user name, password or query. "
                f"Put the key in {KEY_VARIABLE}."
            )
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        if not self._key:
            raise UserError(
                f"embedding.provider openai: the environment variable {KEY_VARIABLE} is not set. Export your key in it "
                "(any word will do for a service that asks for none), or set embedding.provider to local."
            )
        if not (self._key.isascii() and self._key.isprintable() and " " not in self._key):
            raise UserError(f"the environment variable {KEY_VARIABLE} holds a character that no key has. Set it again.")
        self.model = model
        self.limits = {**LIMITS, **(batch or {})}
        self._asked = dimensions
        self.dimensions = dimensions or (OWN_DIMENSIONS.get(model) if self.url == DEFAULT_URL else None)
        self.namespace = {
            "provider": "openai",
            "base_url": self.url,
            "model": model,
            "dimensions": self.dimensions,
            "dtype": "float32",
        }
        self._client = openai.OpenAI(
            api_key=self._key, base_url=self.url, organization=organization, timeout=TIMEOUT, max_retries=0
        )

    def prepare(self, texts):
        """The texts cut to the longest that is safe, and how many were cut.

        A token is at least one byte, so a text of at most `text_tokens` bytes needs no counting. Without the model's
        tokenizer a longer one is cut at that many bytes, though it may have fewer tokens.
        """
        limit = self.limits["text_tokens"]
        cut = 0
        sent = []
        for text in texts:
            raw = text.encode()
            if len(raw) > limit:
                cut += 1
                text = raw[:limit].decode(errors="ignore")
            sent.append(text)
        if cut:
            log.warning(
                "%d texts are longer than %d bytes; tokens cannot be counted here, so they are cut there, where no "
                "text can have more than %d tokens (embedding.batch.text_tokens)",
                cut,
                limit,
                limit,
            )
        return sent, cut

    def chunks(self, texts):
        """Parts that one request may hold: no more texts, and surely no more tokens, than the limits."""
        start = size = 0
        for stop, text in enumerate(texts):
            bound = len(text.encode())
            if stop > start and (size + bound > self.limits["tokens"] or stop - start == self.limits["texts"]):
                yield slice(start, stop)
                start, size = stop, 0
            size += bound
        if start < len(texts):
            yield slice(start, len(texts))

    def embed(self, texts):
        """Unit vectors of the texts of one request as an Answer.

        A refused connection, a busy or failing service and a wrong answer are tried again, with growing pauses or the
        one that the service asks for. Raises UserError that names the last fault, and at once if trying again is vain.
        """
        for attempt in range(1, TRIES + 1):
            try:
                vectors, tokens = self._ask(texts)
                self.dimensions = vectors.shape[1]
                return Answer(vectors, tokens=tokens, requests=attempt)
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                wait, fault = self._judge(error)
            except ValueError as error:
                wait, fault = None, f"a wrong answer: {error}"
            if attempt < TRIES:
                wait = wait or min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.75, 1)
                log.warning("%s, try %d of %d: %s; again in %.1f s", self.url, attempt, TRIES, self._safe(fault), wait)
                time.sleep(wait)
        raise self._error(f"gave up after {TRIES} tries, the last one with {fault}") from None

    def _ask(self, texts):
        more = {"dimensions": self._asked} if self._asked else {}
        response = self._client.embeddings.with_raw_response.create(model=self.model, input=texts, **more)
        try:
            answer = msgspec.json.decode(response.http_response.content, type=_Body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not the JSON of an embeddings answer ({error})") from None
        if answer.model and not _same_model(self.model, answer.model):
            raise ValueError(f"the model {answer.model!r} answered instead of {self.model!r}")
        if len(answer.data) != len(texts):
            raise ValueError(f"{len(answer.data)} vectors for {len(texts)} texts")
        if sorted(row.index for row in answer.data) != list(range(len(texts))):
            raise ValueError("its indices are not those of the texts, each once")
        rows = [_numbers(row.embedding) for row in sorted(answer.data, key=lambda row: row.index)]
        if len({len(row) for row in rows}) > 1:
            raise ValueError("vectors of different dimensions")
        tokens = answer.usage.total_tokens if answer.usage else 0
        return unit_rows(np.stack(rows), count=len(texts), dimensions=self.dimensions), tokens

    def _judge(self, error):
        """Seconds to wait before the next try, None for our own choice, and the fault; UserError if there is no use."""
        if isinstance(error, openai.APITimeoutError):
            return None, f"no answer within {TIMEOUT:.0f} s"
        if isinstance(error, openai.APIConnectionError):
            return None, f"no connection ({error.__cause__ or error})"
        status, said = error.status_code, _said(error)
        if error.code in HOPELESS or error.type in HOPELESS:
            raise self._error(HOPELESS.get(error.code) or HOPELESS[error.type]) from None
        if status in (401, 403):
            raise self._error(
                f"the key in {KEY_VARIABLE} is refused (HTTP {status}: {said}). Set a valid one."
            ) from None
        if status == 404:
            raise self._error(
                f"it has no model {self.model!r}, or no embeddings at this address (HTTP 404: {said}). "
                "Check embedding.model and embedding.base_url."
            ) from None
        if status not in (408, 409, 425, 429) and status < 500:
            raise self._error(f"the request is refused (HTTP {status}: {said}).") from None
        wait = _asked_wait(error.response.headers)
        if wait is not None and wait > LONGEST_ASKED:
            raise self._error(
                f"it asks to come back in {wait:.0f} s (HTTP {status}: {said}). Run again then."
            ) from None
        return wait, f"HTTP {status}: {said}"

    def _error(self, what):
        return UserError(f"embedding service {self.url}: {self._safe(what)}")

    def _safe(self, text):
        return text.replace(self._key, "***")


class _Row(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Body(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


def _numbers(embedding):
    """A vector from base64 of little-endian float32, or from a list for services that know no base64."""
    if isinstance(embedding, list):
        return np.asarray(embedding, np.float32)
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a vector that is not base64 of float32 ({error})") from None


def _same_model(asked, answered):
    """Whether a name is the one asked for, with a folder before it or a version after it at most."""
    answered = answered.removesuffix("/").split("/")[-1]
    asked = asked.split("/")[-1]
    return answered == asked or (answered.startswith(asked) and answered[len(asked)] in "-:@_.")


def _said(error):
    text = error.body.get("message") if isinstance(error.body, dict) else None
    return " ".join(str(text or error.message).split())[:300]


def _asked_wait(headers):
    """Seconds of a Retry-After header, which may be a number or a date; None without one that can be read."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
