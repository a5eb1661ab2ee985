"""Topics of two collections for a matching: tokens, counts, the chosen model, mixtures of rows and of half rows."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from crosswalk.coherence import coherence
from crosswalk.tokens import tokenize
from crosswalk.topics import choose, count, fit, keywords, top_words

logger = logging.getLogger(__name__)

ENGINES = {"auto": ("lda", "nmf"), "lda": ("lda",), "nmf": ("nmf",)}
BOTH = ("both",)


class Found(NamedTuple):
    """models: DataFrame of what was tried; keywords: plain dict; mixtures: side -> {"rows", "again", "halves"} arrays.

    "halves" holds the first halves, then the second; "again" the rows by a model of another seed, its topics in the
    order of the first's. counts: the `Counts` they were made of.
    """

    models: pd.DataFrame
    keywords: dict
    mixtures: dict
    counts: object


def study_topics(texts, orders, *, settings, seed, folder, key):
    """Fit the topic model, or one of each side with mode "separate".

    texts: side -> {"rows", "first", "second"} lists; orders: side -> order in which the rows are fitted; settings: the
    config's `topics`; folder: for NLTK's data; key: of the config, for errors.
    """
    words = {
        side: {
            part: tokenize(
                listed, engine=settings["tokens"], stop_words=settings["stop_words"], folder=folder, key=f"{key}.tokens"
            )
            for part, listed in parts.items()
        }
        for side, parts in texts.items()
    }
    ordered = {side: [words[side]["rows"][i] for i in orders[side]] for side in "ab"}
    least = min(settings["min_df"], max(1, sum(map(len, ordered.values())) // 20))
    counts = count(ordered["a"], ordered["b"], min_df=least, max_df=float(settings["max_df"]), key=key)
    separate = settings["mode"] == "separate"
    parts = {"a": counts.a, "b": counts.b} if separate else {"both": counts.both}
    numbers = settings["number"] if isinstance(settings["number"], list) else [settings["number"]]
    models, tables, told = {}, [], {"topics": {}, "coherence": {}, "engine": {}, "words": len(counts.vocabulary)}
    for name, part in parts.items():
        model, tried = choose(
            part, engines=ENGINES[settings["engine"]], numbers=numbers, seed=seed, key=f"{key}.number"
        )
        again = fit(part, engine=model.engine, number=len(model.words), seed=seed + 1, key=f"{key}.number")
        models[name] = model, again
        tried["chosen"] = (tried["engine"] == model.engine) & (tried["topics"] == len(model.words))
        tables.append(tried.assign(side=name))
        told["topics"][name] = keywords(model, counts.vocabulary)
        told["coherence"][name] = [float(value) for value in coherence(part, top_words(model))]
        told["engine"][name] = model.engine
    mixtures = {}
    for side in "ab":
        model, again = models[side if separate else "both"]
        own = counts.a if side == "a" else counts.b
        back = np.argsort(orders[side])
        halves = [*words[side]["first"], *words[side]["second"]]
        mixtures[side] = {
            "rows": model.mixture(own)[back],
            "again": again.mixture(own)[back],
            "halves": model.mixture(_counted(halves, counts.vocabulary)),
        }
    return Found(pd.concat(tables, ignore_index=True), told, mixtures, counts)


def bridge_words(found, number):
    """The most frequent words that both sides use, the topics' keywords first; list of at most `number` strings."""
    both = [np.asarray((part > 0).sum(axis=0)).ravel() for part in (found.counts.a, found.counts.b)]
    shared = np.flatnonzero((both[0] > 0) & (both[1] > 0))
    order = shared[np.lexsort((shared, -(both[0] + both[1])[shared]))]
    first = {word for topics in found.keywords["topics"].values() for topic in topics for word, _ in topic}
    return list(dict.fromkeys([*sorted(first), *(found.counts.vocabulary[i] for i in order)]))[:number]


def _counted(tokens, vocabulary):
    place = {word: i for i, word in enumerate(vocabulary)}
    indices = [[place[word] for word in words if word in place] for words in tokens]
    indptr = np.cumsum([0, *map(len, indices)])
    flat = np.concatenate([np.asarray(row, np.int64) for row in indices]) if indices else np.empty(0, np.int64)
    return sparse.csr_matrix((np.ones(len(flat)), flat, indptr), shape=(len(tokens), len(vocabulary)))
