"""Topics the notebook's own way, a model for each side, for comparison with `crosswalk.topic_study`."""

from typing import NamedTuple

import pandas as pd

from crosswalk.coherence import coherence
from crosswalk.tokens import tokenize
from crosswalk.topics import choose, count, keywords, top_words


class Fits(NamedTuple):
    """One LDA for each side.

    models: DataFrame, as `topic_study.Found`'s; words: plain dict, as its keywords; mixtures: side -> float64 (n, k),
    rows sum to 1.
    """

    models: pd.DataFrame
    words: dict
    mixtures: dict


def topics_apart(texts, *, settings, seed, folder, key) -> Fits:
    """Fit an LDA to each side's own words.

    texts: side -> list of str; settings: the config's `topics`, of which `engine` and `mode` are not asked and `number`
    is the first where there are several; folder: for NLTK's data; key: of the config, for errors.
    Raises UserError for more topics than documents or words.

    Unsound: two models have nothing in common, neither topics nor vocabulary. One start, as the notebook made, loses a
    topic in about a quarter of the fits.
    """
    number = settings["number"][0] if isinstance(settings["number"], list) else settings["number"]
    tables, mixtures, vocabulary = [], {}, set()
    told = {"topics": {}, "coherence": {}, "engine": {}, "bridge": []}
    for side, own in texts.items():
        tokens = tokenize(
            own, engine=settings["tokens"], stop_words=settings["stop_words"], folder=folder, key=f"{key}.tokens"
        )
        least = min(settings["min_df"], max(1, len(tokens) // 20))
        counts = count(tokens, [], min_df=least, max_df=float(settings["max_df"]), key=key)
        model, tried = choose(counts.a, engines=("lda",), numbers=[number], seed=seed, starts=1, key=f"{key}.number")
        tables.append(tried.assign(chosen=True, side=side))
        told["topics"][side] = keywords(model, counts.vocabulary)
        told["coherence"][side] = [float(value) for value in coherence(counts.a, top_words(model))]
        told["engine"][side] = model.engine
        mixtures[side] = model.mixture(counts.a)
        vocabulary.update(counts.vocabulary)
    return Fits(pd.concat(tables, ignore_index=True), told | {"words": len(vocabulary)}, mixtures)
