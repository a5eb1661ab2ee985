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


class Found(NamedTuple):
    """What `study_topics` found.

    models: DataFrame of what was tried, with `chosen` and `side`; keywords: plain dict with "topics", "coherence" and
    "engine", each by side or "both", and "words", the size of the vocabulary; mixtures: side -> {"rows", "again",
    "halves"} arrays, "rows" and "again" in the order of the collection. "halves" holds the first halves, then the
    second; "again" the rows by a model of another seed, whose topics stand in an order of their own. counts: the
    `Counts` that all was made of, rows in the order in which they were fitted.
    """

    models: pd.DataFrame
    keywords: dict
    mixtures: dict
    counts: object


def study_topics(texts, orders, *, settings, seed, folder, key, held=None):
    """Fit the topic model, or one of each side with mode "separate".

    texts: side -> {"rows", "first", "second"} lists; orders: side -> order in which the rows are fitted; settings: the
    config's `topics`; folder: for NLTK's data; key: of the config, for errors; held: side -> bool for each row, those
    that the model must not learn from, since halves of a text agree by themselves if the model has seen both.
    Of few texts one in twenty must hold a word, if that is less than `min_df`. Returns Found. Raises UserError if no
    word is left, or if all numbers of topics are too large.
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
    if least < settings["min_df"]:
        logger.info(
            "words that stand in %d texts count, for there are few texts (min_df: %d)", least, settings["min_df"]
        )
    counts = count(ordered["a"], ordered["b"], min_df=least, max_df=float(settings["max_df"]), key=key)
    separate = settings["mode"] == "separate"
    seen = {side: np.ones(len(orders[side]), bool) if held is None else ~held[side][orders[side]] for side in "ab"}
    learned = counts._replace(a=counts.a[seen["a"]], b=counts.b[seen["b"]])
    parts = {"a": learned.a, "b": learned.b} if separate else {"both": learned.both}
    numbers = settings["number"] if isinstance(settings["number"], list) else [settings["number"]]
    models, tables, told = {}, [], {"topics": {}, "coherence": {}, "engine": {}, "words": len(counts.vocabulary)}
    for name, part in parts.items():
        model, tried = choose(
            part, engines=ENGINES[settings["engine"]], numbers=numbers, seed=seed, key=f"{key}.number"
        )
        again = fit(part, engine=model.engine, number=len(model.words), seed=seed + 1, key=f"{key}.number")
        models[name] = model, again
        tried["chosen"] = np.arange(len(tried)) == tried["score"].argmax()
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
    """Words that both sides use, keywords of topics first, then the most frequent; list of at most `number` strings.

    found: Found. A word of one side only would be strange to a model that learned from the other side's texts.
    """
    both = [np.asarray((part > 0).sum(axis=0)).ravel() for part in (found.counts.a, found.counts.b)]
    shared = np.flatnonzero((both[0] > 0) & (both[1] > 0))
    order = shared[np.lexsort((shared, -(both[0] + both[1])[shared]))]
    keys = {word for topics in found.keywords["topics"].values() for topic in topics for word, _ in topic}
    words = [found.counts.vocabulary[i] for i in order]
    return sorted(words, key=lambda word: word not in keys)[:number]  # a stable sort


def _counted(tokens, vocabulary):
    """Counts of the words of other texts over a vocabulary, CSR int64, just as those of the rows are."""
    place = {word: i for i, word in enumerate(vocabulary)}
    indices = [[place[word] for word in words if word in place] for words in tokens]
    flat = np.array([column for row in indices for column in row], dtype=np.int64)
    indptr = np.cumsum([0, *map(len, indices)])
    counts = sparse.csr_matrix((np.ones(len(flat), np.int64), flat, indptr), shape=(len(tokens), len(vocabulary)))
    counts.sum_duplicates()
    return counts
