"""The embeddings endpoint of OpenAI, or of a service that speaks like it; an answer is trusted once it is checked.

The official client sends the request; it accepts a missing row, a shuffled order, a wrong length or NaN in silence, so
the body is read and verified here. The key is read from the environment and never leaves the request's header.
"""

import base64
import binascii
import logging

import msgspec
import numpy as np

from crosswalk.credentials import DEFAULT_URL
from crosswalk.embedding import Answer, unit_rows
from crosswalk.service import Service, check_model

log = logging.getLogger(__name__)

OWN_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
LIMITS = {"texts": 2048, "tokens": 300_000, "text_tokens": 8191}


class OpenAIEmbedder:
    """An `Embedder` that calls a service.

    model: its name there; dimensions: length to ask for, None for the model's own; base_url: of the service (default:
    the variable OPENAI_BASE_URL, then OpenAI's); organization: that pays; batch: dict of the limits of a request.
    Raises UserError, before any request, if OPENAI_API_KEY is not set or the address carries a password.
    """

    stored = True

    def __init__(self, *, model, dimensions=None, base_url=None, organization=None, batch=None):
        self._service = Service(
            "embeddings", at="embedding", instead="local", model=model, base_url=base_url, organization=organization
        )
        self.url = self._service.url
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
        """Unit vectors of the texts of one request as an Answer. Raises UserError as `Service.call` does."""
        (vectors, tokens), requests = self._service.call(lambda: self._ask(texts))
        self.dimensions = vectors.shape[1]
        return Answer(vectors, tokens=tokens, requests=requests)

    def _ask(self, texts):
        more = {"dimensions": self._asked} if self._asked else {}
        response = self._service.client.embeddings.with_raw_response.create(model=self.model, input=texts, **more)
        try:
            answer = msgspec.json.decode(response.http_response.content, type=_Body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not the JSON of an embeddings answer ({error})") from None
        check_model(self.model, answer.model)
        if len(answer.data) != len(texts):
            raise ValueError(f"{len(answer.data)} vectors for {len(texts)} texts")
        if sorted(row.index for row in answer.data) != list(range(len(texts))):
            raise ValueError("its indices are not those of the texts, each once")
        rows = [_numbers(row.embedding) for row in sorted(answer.data, key=lambda row: row.index)]
        if len({len(row) for row in rows}) > 1:
            raise ValueError("vectors of different dimensions")
        tokens = answer.usage.total_tokens if answer.usage else 0
        return unit_rows(np.stack(rows), count=len(texts), dimensions=self.dimensions), tokens


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
