"""What embedding will take, before anything is paid."""

from typing import NamedTuple

import numpy as np

from crosswalk.budget import MILLION
from crosswalk.store import text_keys


class Forecast(NamedTuple):
    """texts, distinct (as they are sent), cached, cut: counts; requests, tokens: of those that are not cached, exact:
    whether tokens were counted by the model's own tokeniser or are at most so many; price: in the currency of the
    config, None where nobody said; minutes: at least, at the limits a minute that are set, None without any."""

    texts: int
    distinct: int
    cached: int
    cut: int
    requests: int
    tokens: int
    exact: bool
    price: float | None
    minutes: float | None

    @property
    def new(self):
        """Texts that are to be embedded."""
        return self.distinct - self.cached

    def __str__(self):
        told = f"{self.texts:,} texts, {self.texts - self.distinct:,} of them copies, {self.cached:,} in the cache"
        return f"{told}; {f'{self.new:,} to embed in {self.bill()}' if self.new else 'nothing to embed'}"

    def bill(self):
        """What the service will be asked for, in words."""
        how = "" if self.exact else "at most "
        parts = [f"{self.requests:,} requests, {how}{self.tokens:,} tokens"]
        if self.price is not None:
            parts.append(f"{how}{self.price:,.4f} US$")
        if self.minutes is not None:
            parts.append(f"{how}{self.minutes:,.1f} minutes at the set limits")
        return "; ".join(parts)


def forecast(texts, embedder, *, store=None):
    """What embedding texts with an `OpenAIEmbedder` will take.

    texts: n strings; store: the `Store` of its namespace, or None if there is none yet. Returns Forecast.
    """
    distinct = list(dict.fromkeys(texts))
    sent, cut = embedder.prepare(distinct)
    sent = list(dict.fromkeys(sent))
    known = np.zeros(len(sent), bool) if store is None else store.has(text_keys(sent))
    wanted = [text for text, has in zip(sent, known.tolist(), strict=True) if not has]
    return needed(wanted, embedder)._replace(texts=len(texts), distinct=len(sent), cached=int(known.sum()), cut=cut)


def needed(texts, embedder, tokens=None):
    """The Forecast for distinct texts of which none is known; tokens: of each, if they have been counted."""
    tokens = embedder.counter.count(texts) if tokens is None else tokens
    total, requests = int(tokens.sum()), sum(1 for _ in embedder.chunks(tokens))
    price = None if embedder.price is None else embedder.price * total / MILLION
    minute = embedder.minute
    waits = [
        amount / minute[kind]
        for kind, amount in (("requests_per_minute", requests), ("tokens_per_minute", total))
        if minute[kind]
    ]
    exact = embedder.counter.exact
    return Forecast(len(texts), len(texts), 0, 0, requests, total, exact, price, max(waits) if waits else None)
