"""The whole search on a world of texts, down to the names: embed, search, name, and see what the names say."""

import numpy as np

from claims import claims
from crosswalk.echo import echo
from crosswalk.ends import mean_shift
from crosswalk.fidelity import REPORT, parts
from crosswalk.items import average_by_group, folds
from crosswalk.lexical import Lexical
from crosswalk.naming import Vocabulary, name_traits
from search import search
from worlds import World

SHOWN = 5  # phrases of an end
DIMENSIONS = 64  # of TF-IDF and SVD


def embedder(kind, texts, *, seed=0):
    """A function from strings to unit vectors: "tfidf", fitted on the texts, or "minilm"."""
    if kind == "tfidf":
        model = Lexical.fit(texts, dimensions=DIMENSIONS, seed=seed)
    else:
        from crosswalk.minilm import MiniLM

        model = MiniLM()

    def embed(strings):
        given, _ = model.prepare(list(strings))
        return np.concatenate([np.asarray(model.embed(given[part]).vectors) for part in model.chunks(given)])

    return embed


def vectors_of(w, *, kind="tfidf", seed=0):
    """A `text_world.TextWorld` as a `worlds.World`, and the function that embeds further strings."""
    embed = embedder(kind, [*w.works["text"], *w.replies["text"]], seed=seed)
    nothing = np.zeros((len(w.kinds), 0))
    numeric = World(
        x=np.asarray(embed(w.works["text"]), np.float64),
        y=np.asarray(embed(w.replies["text"]), np.float64),
        groups=w.replies["group"].to_numpy(),
        items=w.works["id"].to_numpy(),
        x_truth=w.x_truth,
        y_truth=w.y_truth,
        kinds=w.kinds,
        strengths=w.strengths,
        covariate=np.zeros(len(w.works)),
        blocks=np.arange(len(w.works)),
        x_loadings=nothing,
        y_loadings=nothing,
    )
    return numeric, embed


def names(w, numeric, x_scores, y_scores, *, embed, seed=0):
    """Name the claims (n, m) as the workflow does. Returns (names of x, names of y), a list of Name each."""
    report = parts(numeric.blocks, seed=seed) == REPORT
    y_means = average_by_group(numeric.y, numeric.groups, numeric.items)
    at = {item: i for i, item in enumerate(numeric.items)}
    sides = (
        (w.works["text"], None, numeric.x, x_scores),
        (w.replies["text"], [at[group] for group in w.replies["group"]], y_means, y_scores),
    )
    return tuple(
        name_traits(
            Vocabulary(list(texts), items=owners, count=len(at)),
            scores,
            embed=embed,
            train=~report,
            test=report,
            vectors=vectors,
        )
        for texts, owners, vectors, scores in sides
    )


def named_links(w, verdicts, x_names, y_names, x_scores, y_scores):
    """For each link that was found: does a planted word stand among the phrases of the right end, on either side?

    Returns a list of dicts: link, x, y (bool), fidelity of either side.
    """
    found = []
    for link, claim in enumerate(verdicts.recovered):
        if claim < 0:
            continue
        row = {"link": link}
        for side, named, scores, truth, words in (
            ("x", x_names, x_scores, w.x_truth, w.x_words),
            ("y", y_names, y_scores, w.y_truth, w.y_words),
        ):
            along = np.corrcoef(scores[:, claim], truth[:, link])[0, 1] > 0
            name = named[claim]
            ends = {"high": name.high if along else name.low, "low": name.low if along else name.high}
            row[side] = all(said(ends[end], planted) for end, planted in words[link].items() if planted)
            row[f"{side}_fidelity"] = name.fidelity
        found.append(row)
    return found


def said(phrases, planted):
    """Whether one of the phrases holds one of the planted words."""
    return any(set(phrase.split()) & planted for phrase in list(phrases)[:SHOWN])


def theme_share(scores, themes):
    """Share of the variance of each column of scores (n, m) that the n themes account for."""
    scores = scores - scores.mean(0)
    own = np.stack([scores[themes == theme].mean(0) for theme in np.unique(themes)])
    count = np.array([(themes == theme).sum() for theme in np.unique(themes)])
    return count @ (own * own) / np.maximum((scores * scores).sum(0), 1e-12)


def search_texts(w, *, kind="tfidf", seed=0, **settings):
    """Returns a dict: numeric, embed, table, x_scores, y_scores, verdicts, echo of each claim."""
    numeric, embed = vectors_of(w, kind=kind, seed=seed)
    table, x_scores, y_scores = search(numeric, seed=seed, **settings)
    y_means = average_by_group(numeric.y, numeric.groups, numeric.items)
    fold = folds(numeric.blocks, 5, seed=seed)
    echoes = [
        echo(x_scores[:, i], y_scores[:, i], mean_shift(numeric.x, x_scores[:, i]), y_means, fold=fold)[0]
        for i in range(len(table))
    ]
    return {
        "numeric": numeric, "embed": embed, "table": table, "x_scores": x_scores, "y_scores": y_scores,
        "verdicts": claims(numeric, x_scores, y_scores), "echo": np.array(echoes),
    }  # fmt: skip
