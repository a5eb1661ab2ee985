"""From texts to unit vectors: each distinct text once, what is known from the store, what is new kept as it arrives."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from crosswalk.budget import MILLION, Budget
from crosswalk.errors import UserError
from crosswalk.models import DEFAULTS
from crosswalk.store import Store, text_keys

log = logging.getLogger(__name__)

DEFAULT_MODELS = {provider: model for provider, (model, _) in DEFAULTS.items()}


class Answer(NamedTuple):
    """What a model gives back: float32 (n, d) unit rows, and what they took."""

    vectors: np.ndarray
    tokens: int = 0
    requests: int = 0


class Result(NamedTuple):
    """float32 (n, d) unit rows in the order of the texts, and a dict of counts."""

    vectors: np.ndarray
    usage: dict


class Embedder(Protocol):
    """What turns texts into vectors.

    namespace: everything a vector depends on but its text, with "provider", "model" and "dimensions";
    dimensions: length of the vectors, None if only an answer can tell; stored: whether vectors are worth keeping.
    """

    namespace: dict
    dimensions: int | None
    stored: bool

    def prepare(self, texts: list[str]) -> tuple[list[str], int]:
        """The texts as they are sent, and how many of them the model will see only in part."""

    def answers(self, texts: list[str], *, budget: Budget | None = None) -> Iterator[tuple[np.ndarray, Answer]]:
        """Which of the texts, int64 (k,), and their vectors, checked, part by part and in any order.

        Before it raises an error it yields all that was answered.
        """


class InTurn:
    """The `answers` of a model in this process: one chunk after the other."""

    def chunks(self, texts: list[str]) -> Iterator[slice]:
        """Consecutive parts of the texts, each to be embedded, and kept, in one go."""
        raise NotImplementedError

    def embed(self, texts: list[str]) -> Answer:
        """The vectors of one chunk, checked with `unit_rows`."""
        raise NotImplementedError

    def answers(self, texts, *, budget=None):
        """See `Embedder`; costs nothing, so that no budget matters."""
        for part in self.chunks(texts):
            yield np.arange(*part.indices(len(texts))), self.embed(texts[part])


def embed(texts, embedder, *, store=None, budget=None, study=""):
    """Unit vectors of texts.

    texts: n strings; embedder: an `Embedder`; store: a `Store` of its namespace, or None to keep nothing; budget: a
    `Budget` that stops it; study: under which the store records what was spent.
    Each distinct text, as it is sent, that the store lacks is embedded once. What is answered is in the store before
    more than the embedder's own number of requests are under way, so an interruption costs at most these.
    Returns a Result; usage has texts, distinct, cached, embedded, requests, tokens, cut (distinct texts of which the
    model sees only the beginning), cost where the embedder knows a price, and seconds. Raises UserError for an empty
    text, or as the embedder does.
    """
    began = time.perf_counter()
    texts = list(texts)
    for row, text in enumerate(texts):
        if not text.strip():
            raise UserError(f"text {row + 1} of {len(texts)} is empty: no model embeds that. Leave such rows out.")
    distinct = list(dict.fromkeys(texts))
    sent, cut = embedder.prepare(distinct)
    rows = {text: row for row, text in enumerate(dict.fromkeys(sent))}  # texts that differ only past the cut share one
    row_of = {text: rows[short] for text, short in zip(distinct, sent, strict=True)}
    inverse = np.fromiter((row_of[text] for text in texts), np.int64, len(texts))
    vectors, usage = _known_or_new(list(rows), embedder, store, budget, study, total=len(texts))
    usage = {"texts": len(texts), "distinct": len(rows), "cut": cut, **usage}
    if getattr(embedder, "price", None) is not None:
        usage["cost"] = round(usage["tokens"] * embedder.price / MILLION, 9)
    usage["seconds"] = round(time.perf_counter() - began, 3)
    log.info(
        "%(texts)d texts, %(distinct)d distinct: %(cached)d from the store, %(embedded)d embedded "
        "(%(requests)d requests, %(tokens)d tokens) in %(seconds).1f s",
        usage,
    )
    if cut:
        log.warning("%d texts are longer than the model reads; it sees only their beginning", cut)
    return Result(vectors if len(rows) == len(texts) else vectors[inverse], usage)


def unit_rows(vectors, *, count, dimensions=None):
    """Check what a model answered and bring every row to length 1.

    vectors: (count, dimensions) array of numbers. Returns float32 of the same shape.
    Raises ValueError that says what is wrong: number of rows, dimension, a value that is not finite, or a length
    outside (0.5, 2), which no embedding model gives and a zeroed or garbled row does.
    """
    if np.ndim(vectors) != 2 or len(vectors) != count:
        raise ValueError(f"{len(vectors)} vectors for {count} texts")
    vectors, faults = sound_rows(vectors, dimensions=dimensions)
    if any(faults):
        raise ValueError(next(filter(None, faults)))
    return vectors


def sound_rows(vectors, *, dimensions=None):
    """Bring every row to length 1, and say of each what is wrong with it.

    vectors: (n, d) array of numbers. Returns float32 (n, d), and a list of n, None for a sound row: a value that is not
    finite, or a length outside (0.5, 2), which no embedding model gives and a zeroed or garbled row does.
    Raises ValueError for another dimension.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.shape[1] != (dimensions or vectors.shape[1]):
        raise ValueError(f"{vectors.shape[1]} dimensions instead of {dimensions}")
    with np.errstate(invalid="ignore", over="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    faults = [None] * len(vectors)
    for row in np.flatnonzero(~((norms > 0.5) & (norms < 2))).tolist():
        finite = np.isfinite(vectors[row]).all()
        what = f"has length {norms[row]:.3g} instead of 1" if finite else "holds a value that is not finite"
        faults[row] = f"vector {row + 1} of {len(vectors)} {what}"
    with np.errstate(invalid="ignore", divide="ignore"):
        return (vectors / norms[:, None]).astype(np.float32), faults


def open_embedder(settings, *, lexical=None, device="cpu", threads=1, seed=0, cache=None, asking=True):
    """The embedder that the config asks for, ready to work; what it lacks is said now, before any text is read.

    settings: the config's `embedding`; lexical: for `tfidf`, paths of the fitted model and its vocabulary;
    device: "cpu" or "cuda", for `local`; threads: of `local`; seed: of `hashing`; cache: folder that remembers batches,
    for `mode: batch`; asking: whether it will be asked, for which a service needs a key, or only what it would take.
    Raises UserError if the model, its weights or its key are missing.
    """
    provider = settings.get("provider", "local")
    model = settings.get("model") or DEFAULT_MODELS[provider]
    dimensions = settings.get("dimensions")
    if provider == "openai":
        from crosswalk.openai_client import OpenAIEmbedder

        keys = ("base_url", "organization", "batch", "limits", "price", "mode")
        service = {key: settings[key] for key in keys if settings.get(key) is not None}
        embedder = OpenAIEmbedder(model=model, dimensions=dimensions, cache=cache, **service)
        if asking:
            embedder.open()
        return embedder
    if model != DEFAULT_MODELS[provider]:
        raise UserError(
            f"embedding.model: {provider!r} has no model {model!r}. "
            f"Leave it out for {DEFAULT_MODELS[provider]}, or set embedding.provider."
        )
    if provider == "local":
        from crosswalk.minilm import DIMENSIONS, MiniLM

        if dimensions not in (None, DIMENSIONS):
            raise UserError(f"embedding.dimensions: {model} has {DIMENSIONS}, not {dimensions}. Leave it out.")
        return MiniLM(device=device, threads=threads)
    from crosswalk.lexical import DIMENSIONS, Hashing, Lexical

    if provider == "hashing":
        return Hashing(dimensions=dimensions or DIMENSIONS, seed=seed)
    return Lexical.load(*lexical)


def open_store(embedder, cache, *, precision="float32"):
    """The store of an embedder's vectors under the folder `cache`; None if they are not worth keeping.

    precision: "float32" or "float16", of what is added; see `Store`.
    """
    return Store(Path(cache) / "embeddings", embedder.namespace, dtype=precision) if embedder.stored else None


def vector_metadata(embedder, vectors):
    """What a file of embeddings says about itself, for `files.write_vectors`: dict of str to str."""
    about = {key: str(embedder.namespace[key]) for key in ("provider", "model")}
    return {**about, "dimensions": str(vectors.shape[1]), "normalised": "true"}


def with_parts(usage, parts):
    """The usage of a job that found in the store what others had embedded for it; parts: usage of each of them.

    Their seconds do not count: they may have run side by side.
    """
    bought = sum(part["embedded"] for part in parts)
    spent = {key: usage[key] + sum(part[key] for part in parts) for key in ("embedded", "requests", "tokens")}
    if "cost" in usage:
        spent["cost"] = round(usage["cost"] + sum(part.get("cost", 0) for part in parts), 9)
    return {**usage, **spent, "cached": max(usage["cached"] - bought, 0)}


def _known_or_new(texts, embedder, store, budget, study, *, total):
    keys = text_keys(texts)
    width = embedder.dimensions if store is None else store.dimensions
    out = np.empty((len(texts), width or 0), np.float32)
    known = store.read(keys, out) if store is not None and width else np.zeros(len(texts), bool)
    if hasattr(embedder, "kept"):
        embedder.kept([texts[i] for i in np.flatnonzero(known)])
    new = np.flatnonzero(~known)
    wanted = [texts[i] for i in new]
    if wanted:
        copies, cached = total - len(texts), len(texts) - len(wanted)
        log.info("%d texts, %d of them copies, %d in the cache; %d to embed", total, copies, cached, len(wanted))
    usage = {"cached": int(known.sum()), "embedded": len(new), "requests": 0, "tokens": 0}
    owed = 0  # tokens of answers that nothing is kept of, recorded with the next
    with tqdm(total=len(wanted), desc="embedding", unit="text", disable=None) as bar:
        for part, answer in embedder.answers(wanted, budget=budget):
            if not out.shape[1]:
                out = np.empty((len(texts), answer.vectors.shape[1]), np.float32)
            out[new[part]] = answer.vectors
            owed += answer.tokens
            if store is not None and len(part):
                store.append(keys[new[part]], answer.vectors, tokens=owed, study=study)
                owed = 0
            usage["requests"] += answer.requests
            usage["tokens"] += answer.tokens
            bar.update(len(answer.vectors))
    if store is not None and len(new):
        # Another job may have bought the same text meanwhile: all then take the vector that was there first.
        store.refresh()
        store.read(keys, out)
    return out, usage
