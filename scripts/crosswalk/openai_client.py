"""The embeddings endpoint of OpenAI, or of a service that speaks like it; an answer is trusted once it is checked.

The official client sends the request; it accepts a missing row, a shuffled order, a wrong length or NaN in silence, so
the body is read and verified here. The key is read from the environment and never leaves the request's header.
"""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np

from crosswalk.budget import Budget, price_of
from crosswalk.credentials import DEFAULT_URL, service_address
from crosswalk.embedding import Answer
from crosswalk.embedding_body import read_vectors
from crosswalk.forecast import needed
from crosswalk.service import WRONG, Refused, Service
from crosswalk.token_counts import Counter

log = logging.getLogger(__name__)

OWN_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
LIMITS = {"texts": 2048, "tokens": 300_000, "text_tokens": 8191}
HOPELESS = 20  # texts refused and none answered, after which no more is asked
HARMLESS = "text"  # that no service refuses
SHOWN, BEGINNING = 3, 60  # texts in a message, and characters of each


class OpenAIEmbedder:
    """An `Embedder` that calls a service.

    model: its name there; dimensions: length to ask for, None for the model's own; base_url: of the service (default:
    the variable OPENAI_BASE_URL, then OpenAI's); organization: that pays; batch: dict of the limits of a request;
    limits: see `service.Service`; price: of a million tokens (default: as OpenAI publishes it); mode: "online",
    or "batch" for the Batch API, at half the price; cache: folder whose `batches` remembers those under way.
    Attributes: counter, of tokens; price, None if unknown; minute: dict of the limits a minute that are set.
    Raises UserError if the address carries a password, and before any request if OPENAI_API_KEY is not set.
    """

    stored = True

    def __init__(
        self, *, model, dimensions=None, base_url=None, organization=None, batch=None, limits=None, price=None,
        mode="online", cache=None,
    ):  # fmt: skip
        self._given = {"model": model, "base_url": base_url, "organization": organization, "limits": limits}
        self.url = service_address(base_url, at="embedding")
        self.model, self.price = model, price_of(model, {"price": price, "mode": mode})
        self._batches = None
        if mode == "batch":
            self._batches = Path(cache or "cache") / "batches"
        self.minute = {kind: (limits or {}).get(kind) for kind in ("requests_per_minute", "tokens_per_minute")}
        self.counter = Counter(model)
        self.limits = {**LIMITS, **(batch or {})}
        self._asked, self._share = dimensions, 1.0
        self._any, self._tried = False, False  # whether any text was answered; whether a harmless one was asked
        self.dimensions = dimensions or (OWN_DIMENSIONS.get(model) if self.url == DEFAULT_URL else None)
        self.namespace = {
            "provider": "openai",
            "base_url": self.url,
            "model": model,
            "dimensions": self.dimensions,
            "dtype": "float32",
        }

    @cached_property
    def _service(self):
        return Service("embeddings", at="embedding", instead="local", **self._given)

    @cached_property
    def _by_batches(self):
        from crosswalk.batch_api import BatchAPI  # only where it is asked for

        given = {key: self._given[key] for key in ("model", "base_url", "organization")}
        patience = (self._given["limits"] or {}).get("patience")
        return BatchAPI(
            **given,
            folder=self._batches,
            dimensions=self._asked,
            width=self.dimensions,
            limits={**self.limits, "patience": patience},
            sizes=lambda texts: self.counter.count(texts).tolist(),
        )

    def kept(self, texts):
        """Take note that the vectors of these texts are in the store: no batch need answer them."""
        if self._batches is not None:
            self._by_batches.forget(texts)

    def open(self):
        """Look for the key now. Raises UserError without one."""
        self._service if self._batches is None else self._by_batches  # noqa: B018

    def prepare(self, texts):
        """The texts cut to the longest that the model reads, and how many were cut.

        A token is at least one byte, so a text of at most `text_tokens` bytes needs no counting. Where the model's
        tokeniser is not known here a longer one is cut at that many bytes, though it may have fewer tokens.
        """
        cuts = [self.counter.cut(text, self.limits["text_tokens"]) for text in texts]
        cut = sum(was for _, was in cuts)
        if cut and not self.counter.exact:
            log.warning(
                "%d texts are longer than %d bytes; tokens cannot be counted here, so they are cut there, where no "
                "text can have more than %d tokens (embedding.batch.text_tokens)",
                cut,
                self.limits["text_tokens"],
                self.limits["text_tokens"],
            )
        return [text for text, _ in cuts], cut

    def chunks(self, tokens):
        """Parts that one request may hold: no more texts, and surely no more tokens, than the limits.

        tokens: int (n,) of each text, or a bound. Where there is a limit of tokens a minute, a request takes at most a
        fiftieth of it, or what each of the requests a minute may: large ones would leave half of a minute unused.
        """
        most = self.limits["tokens"]
        if minute := self.minute["tokens_per_minute"]:
            requests = self.minute["requests_per_minute"] or 0
            most = min(most, max(minute // 50, minute // requests if requests else 0, 1))
        start = size = 0
        for stop, own in enumerate(tokens.tolist()):
            if stop > start and (size + own > most or stop - start == self.limits["texts"]):
                yield np.arange(start, stop)
                start, size = stop, 0
            size += own
        if start < len(tokens):
            yield np.arange(start, len(tokens))

    def answers(self, texts, *, budget=None):
        """Yield rows, int64 (k,), and the Answer to their texts, request by request, as the answers come.

        A request that is refused is split until the text is found that it is refused for, and a vector that is not
        sound is asked for again by itself. budget: a `Budget`. Raises UserError, once all that was answered has been
        yielded, that names what is refused, wrong or spent.
        """
        budget = Budget() if budget is None else budget
        tokens, refused = self.counter.count(texts), []
        if len(texts):
            log.info("%s", needed(texts, self, tokens).bill())
        if self._batches is not None:
            yield from self._by_batches.answers(texts, budget=budget)
            return

        async def work(rows, put):
            await self._embed(rows, texts, tokens, budget, refused, put)

        yield from self._service.stream(self.chunks(tokens), work)
        if refused:
            raise self._named(refused, texts)

    async def _embed(self, rows, texts, tokens, budget, refused, put):
        """Put rows and their Answer for one request, or for the parts it must be split into."""
        waiting = [(rows, 1)]  # with the number of tries
        while waiting:
            part, attempt = waiting.pop()
            own, billed = [texts[row] for row in part], []
            reserved = int(tokens[part].sum())
            budget.reserve(reserved)
            try:
                (vectors, faults), requests = await self._service.call(
                    lambda own=own, billed=billed: self._ask(own, billed),
                    tokens=self._expected(reserved),
                    billed=billed,
                )
            except Refused as error:
                if len(part) > 1:
                    waiting += [(half, 1) for half in reversed(np.array_split(part, 2))]
                    continue
                refused.append((int(part[0]), str(error)))
                if len(refused) > 1 and not self._any:
                    if not self._tried:  # are these texts refused, or whatever is asked?
                        self._tried = True
                        await self._service.call(lambda: self._ask([HARMLESS], []), tokens=1)
                    if len(refused) >= HOPELESS:
                        raise self._named(refused, texts) from None
                continue
            finally:
                budget.settle(reserved, sum(billed))
            self._any = True
            if not self.counter.exact and billed[-1]:
                self._share = max(billed[-1] / reserved, 0.9 * self._share)
            self.dimensions = vectors.shape[1]
            sound = np.array([fault is None for fault in faults], bool)
            put((part[sound], Answer(vectors[sound], tokens=sum(billed), requests=requests)))
            if not sound.all():
                bad = int(np.argmin(sound))
                log.warning("%s, try %d: a wrong answer: %s", self.url, attempt, faults[bad])
                if attempt == WRONG:
                    said = (
                        f"gave up after {attempt} tries for {_beginning(own[bad])}, the last one with a wrong answer: "
                    )
                    refused += [(int(row), said + faults[bad]) for row in part[~sound]]
                    continue
                waiting.append((part[~sound], attempt + 1))

    def _expected(self, bound):
        """The tokens that a request will take, for pacing: of a bound, the share that was billed before, and some."""
        return bound if self.counter.exact else min(bound, int(1.05 * self._share * bound) + 1)

    async def _ask(self, texts, billed):
        """Unit vectors of the texts and what is wrong with each, None for nothing; tokens are added to `billed`."""
        more = {"dimensions": self._asked} if self._asked else {}
        response = await self._service.client.embeddings.with_raw_response.create(model=self.model, input=texts, **more)
        self._service.heard(response.headers)
        raw = response.http_response.content
        vectors, faults, _ = read_vectors(
            raw, count=len(texts), model=self.model, dimensions=self.dimensions, billed=billed
        )
        return vectors, faults

    def _named(self, refused, texts):
        """The error that names texts that are refused."""
        shown = "; ".join(f"{_beginning(texts[row])} ({said})" for row, said in refused[:SHOWN])
        return self._service.error(
            f"{len(refused)} of {len(texts)} texts are refused, all others are kept: {shown}. "
            "Leave them out (collections.*.where) or change them, and run again.",
            Refused,
        )


def _beginning(text):
    return repr(text if len(text) <= BEGINNING else text[:BEGINNING] + "...")
