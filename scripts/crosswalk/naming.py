"""Words for traits: phrases that part the two ends of a score, and the sentence that states a relation.

Phrases come from log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn, 2008, "Fightin' words"),
ranked again by how well they lie along the trait in embedding space.
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import rankdata
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

logger = logging.getLogger(__name__)

PRIOR = 300.0  # a0 of Monroe et al.: how many counts the background is worth
CANDIDATES = 40  # phrases of an end that are embedded
ALIKE = 0.8  # cosine above which two phrases say the same
ENDS = 0.2  # share of the items that makes an end

# scikit-learn's list holds some words that carry a meaning of their own.
CONTENT_WORDS = frozenset(
    {"bill", "bottom", "cry", "describe", "detail", "empty", "fill", "fire", "front", "full", "interest", "mill"}
    | {"mine", "serious", "show", "side", "sincere", "system", "thick", "thin", "top"}
)
STOP_WORDS = (ENGLISH_STOP_WORDS - CONTENT_WORDS) | {"does", "did", "doing", "having", "just", "let", "says", "used"}
BREAK = re.compile(r"[.!?;:,()\[\]{}<>|=/\"“”\n]+")
WORD = re.compile(r"(?<!\w)[^\W\d_]\w+(?:['’-]\w+)*")
POSSESSIVE = re.compile(r"['’](?:s|d|m|re|ve|ll)$")
NEGATION = re.compile(r"n['’]t$")
SUFFIX = re.compile(r"(?:izations?|ations?|ions?|ings?|ers?|ors?|ed|ies|es|ly|[sey])$")


class Name(NamedTuple):
    """What a trait is called: phrases of its high and low end, best first, and their fidelity (an AUC, or NaN)."""

    high: list[str]
    low: list[str]
    fidelity: float


def phrases(text: str) -> list[str]:
    """The words and pairs of adjacent words of a text that hold no stop word, number or punctuation, in lower case."""
    found = []
    for part in BREAK.split(text.lower()):
        before, end = None, 0
        for match in WORD.finditer(part):
            word = POSSESSIVE.sub("", match[0])
            if word in STOP_WORDS or NEGATION.search(word):
                before = None
                continue
            if before and part[end : match.start()].isspace():
                found.append(f"{before} {word}")
            found.append(word)
            before, end = word, match.end()
    return found


class Vocabulary:
    """Which item holds which phrase, counted once for all traits of one side.

    texts: n strings; items: for each text the number of its item, 0 <= item < count, when several texts belong to one
    (then an item holds a phrase if any of its texts does), else None; count: number of items; least: items that must
    hold a phrase; most: share of the items above which a phrase tells nothing.
    Attributes: phrases (array of p str, sorted), held (sparse CSR float64 (items, p) of zeros and ones).
    """

    def __init__(
        self, texts: Sequence[str], *, items=None, count: int | None = None, least: int = 5, most: float = 0.5
    ):
        counter = CountVectorizer(analyzer=phrases, binary=True, dtype=np.float64)
        try:
            held = counter.fit_transform(texts)
        except ValueError:  # no text holds a phrase
            held = sparse.csr_matrix((len(texts), 0))
        names = np.array(sorted(counter.vocabulary_) if held.shape[1] else [], dtype=object)
        if items is not None:
            items = np.asarray(items)
            count = int(items.max()) + 1 if count is None else count
            member = sparse.csr_matrix((np.ones(len(items)), (items, np.arange(len(items)))), (count, len(items)))
            held = member @ held
            held.data[:] = 1.0
        holders = np.asarray(held.sum(axis=0)).ravel()
        kept = (holders >= least) & (holders <= max(most * held.shape[0], least))
        self.phrases = names[kept]
        self.held = held.tocsr()[:, np.flatnonzero(kept)]
        logger.debug("%d phrases held by at least %d of %d items", len(self.phrases), least, held.shape[0])


def log_odds(top, bottom, background, *, prior: float = PRIOR) -> np.ndarray:
    """z-scores of the log-odds ratio of each phrase between two groups (Monroe et al., 2008, equations 16, 20, 22).

    top, bottom, background: (p,) counts of each phrase; prior: total of the Dirichlet prior, spread as the background.
    Returns float64 (p,), positive where a phrase belongs to the top.
    """
    top, bottom, background = (np.asarray(counts, dtype=np.float64) for counts in (top, bottom, background))
    pseudo = prior * background / background.sum()
    first, second = top + pseudo, bottom + pseudo
    odds = np.log(first / (top.sum() + prior - first)) - np.log(second / (bottom.sum() + prior - second))
    return odds / np.sqrt(1 / first + 1 / second)


def end_items(scores, mask) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the top and of the bottom fifth (at least one each) of the masked items; ties in order of items."""
    chosen = np.flatnonzero(mask)
    order = chosen[np.argsort(np.asarray(scores)[chosen], kind="stable")]
    size = max(1, round(ENDS * len(order))) if len(order) > 1 else 0
    return order[len(order) - size :], order[:size]


def name_traits(
    vocabulary: Vocabulary,
    scores,
    *,
    embed: Callable[[list[str]], np.ndarray],
    train,
    vectors,
    n: int = 5,
    prior: float = PRIOR,
    candidates: int = CANDIDATES,
) -> list[Name]:
    """Name several traits of one side's items, with one call of the embedding model.

    scores: (items, traits); embed: turns k strings into a (k, d) array; train: bool (items,), the items that names are
    made from; vectors: (items, d) embeddings; n: phrases of an end. Fidelity is measured on the items not in `train`.
    A phrase is ranked by its z-score plus its cosine to the trait, which is the way from the mean of the bottom to the
    mean of the top fifth of `train`; both are standardised over the candidates of the trait. Phrases within, or
    inflected from, or with a cosine above .8 to a better one of the same end are dropped.
    """
    scores, train, vectors = np.asarray(scores), np.asarray(train, dtype=bool), np.asarray(vectors, dtype=np.float64)
    background = np.asarray(vocabulary.held[np.flatnonzero(train)].sum(axis=0)).ravel()
    drawn = [_candidates(vocabulary, column, train, background, prior, candidates) for column in scores.T]
    wanted = sorted({phrase for sides in drawn for side in sides for phrase in side})
    rows = _unit(np.asarray(embed(wanted), dtype=np.float64)) if wanted else np.empty((0, vectors.shape[1]))
    place = {phrase: i for i, phrase in enumerate(wanted)}
    names = []
    for column, (high, low) in zip(scores.T, drawn, strict=True):
        top, bottom = (vectors[end].mean(axis=0) for end in end_items(column, train))
        both = {**high, **low}
        z, cosine = _standard(both.values()), _standard(rows[[place[p] for p in both]] @ (top - bottom))
        worth = dict(zip(both, z + cosine, strict=True))
        ranked = sorted(high, key=lambda p: (-worth[p], p)), sorted(low, key=lambda p: (worth[p], p))
        chosen = [_distinct(side, rows, place, n) for side in ranked]
        means = [_unit(rows[[place[p] for p in side]].mean(axis=0)) if side else 0.0 for side in chosen]
        names.append(Name(*chosen, _fidelity(column, ~train, vectors, means)))
    return names


def name_trait(vocabulary: Vocabulary, scores, **settings) -> Name:
    """Name one trait: scores (items,); everything else as in `name_traits`."""
    return name_traits(vocabulary, np.asarray(scores)[:, None], **settings)[0]


def auc(positive, negative) -> float:
    """Probability that a value of `positive` exceeds one of `negative`, ties counted half; NaN if one is empty."""
    positive, negative = np.asarray(positive), np.asarray(negative)
    if not len(positive) or not len(negative):
        return float("nan")
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)].sum()
    return float((ranks - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def sentence(
    *,
    x: str,
    y: str,
    x_high: Sequence[str] = (),
    x_low: Sequence[str] = (),
    y_high: Sequence[str] = (),
    y_low: Sequence[str] = (),
    r: float,
    interval: tuple[float, float] = (float("nan"), float("nan")),
    q: float = float("nan"),
    echo: float = float("nan"),
    beyond: float = float("nan"),
    verb: str = "tend to go with",
    unseen: bool = True,
) -> str:
    """State one relation in words; figures that are NaN are left out.

    x, y: names of the collections; x_high ... y_low: phrases; r, interval, q: the correlation, its 95 % interval and
    its false discovery rate; echo: correlation of y's score with x's trait read off y; beyond: r after x is projected
    out of y; verb: joins the halves; unseen: False when r comes from the very items that the relation was found in.
    With a negative r the ends of y change places, so that the words stay true.
    """
    if r < 0:
        y_high, y_low = y_low, y_high
    x, y = x.replace("_", " "), y.replace("_", " ")
    halves = f"{x[:1].upper()}{x[1:]} {_about(x_high, x_low)} {verb} {y} {_about(y_high, y_low)}"
    figures = f"r = {_figure(r)}"
    if not np.isnan(interval).any():
        figures += f" [{_figure(interval[0])}, {_figure(interval[1])}]"
    figures += f" on {'unseen' if unseen else 'the same'} {x}"
    if not np.isnan(q):
        figures += ", q < .001" if q < 0.001 else f", q = {_figure(q, 3)}"
    if not np.isnan(echo):
        figures += f", echo {_figure(echo)}"
    if not np.isnan(beyond):
        figures += f", beyond the echo {_figure(beyond)}"
    return f"{halves}; {figures}"


def describe_relations(relations, ends, names, *, collections, verb):
    """The table that people read: relations with names, fidelity, a sentence, and the ids of the texts shown.

    relations, ends: as in `relations.Relations`; names: {"x": [Name of each relation], "y": ...}; collections: names
    of x and y; verb: joins the halves of the sentence. Returns a DataFrame, one row for each relation.
    """
    table = relations.copy()
    for key in ("x", "y"):
        table[f"{key}_high"] = [", ".join(name.high) for name in names[key]]
        table[f"{key}_low"] = [", ".join(name.low) for name in names[key]]
        table[f"{key}_fidelity"] = np.array([name.fidelity for name in names[key]], dtype=np.float64)
    table["sentence"] = [
        sentence(
            x=collections[0],
            y=collections[1],
            x_high=names["x"][i].high,
            x_low=names["x"][i].low,
            y_high=names["y"][i].high,
            y_low=names["y"][i].low,
            r=row.r,
            interval=(row.r_low, row.r_high),
            q=row.q,
            echo=row.echo,
            beyond=row.beyond,
            verb=verb,
        )
        for i, row in enumerate(relations.itertuples())
    ]
    ids = ends.groupby(["relation", "side", "end"], sort=False)["id"].agg("|".join)
    for key in ("x", "y"):
        for end in ("high", "low"):
            table[f"{key}_{end}_ids"] = [ids[number, key, end] for number in relations["relation"]]
    return table


def _candidates(vocabulary, scores, train, background, prior, count):
    """The phrases of each end with the greatest z-scores, as two dicts of phrase to z."""
    if not len(vocabulary.phrases) or not background.sum():
        return {}, {}
    top, bottom = (np.asarray(vocabulary.held[end].sum(axis=0)).ravel() for end in end_items(scores, train))
    known = np.flatnonzero(background)
    z = log_odds(top[known], bottom[known], background[known], prior=prior)
    order = np.argsort(-z, kind="stable")
    high = {vocabulary.phrases[known[i]]: z[i] for i in order[:count] if z[i] > 0}
    low = {vocabulary.phrases[known[i]]: z[i] for i in order[::-1][:count] if z[i] < 0}
    return high, low


def _distinct(ranked, rows, place, n):
    chosen = []
    for phrase in ranked:
        if len(chosen) == n:
            break
        stems = _stems(phrase)
        if not any(
            stems <= _stems(other)
            or stems >= _stems(other)
            or _closed(phrase) == _closed(other)
            or rows[place[phrase]] @ rows[place[other]] > ALIKE
            for other in chosen
        ):
            chosen.append(phrase)
    return chosen


def _stems(phrase):
    """The words of a phrase without their endings: a crude stemmer, for it has only to find kin among 40 phrases."""
    stems = set()
    for word in re.split(r"[\s-]+", phrase):
        while len(shorter := SUFFIX.sub("", word)) >= 3 and shorter != word:
            word = shorter
        stems.add(word)
    return stems


def _closed(phrase):
    """The phrase written as one word: `fine-tuning` and `fine tuning` are `finetuning`."""
    return re.sub(r"[\s_-]", "", phrase)


def _fidelity(scores, test, vectors, means):
    if all(np.ndim(mean) == 0 for mean in means):
        return float("nan")
    top, bottom = end_items(scores, test)
    difference = means[0] - means[1]
    return auc(*(_unit(vectors[end]) @ difference for end in (top, bottom)))


def _unit(rows):
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def _standard(values):
    values = np.fromiter(values, dtype=np.float64)
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def _about(high, low):
    high, low = ", ".join(high), ", ".join(low)
    if high:
        return f"about {{{high}}}" + (f" (rather than {{{low}}})" if low else "")
    return f"not about {{{low}}}" if low else "of an unnamed kind"


def _figure(value, digits=2):
    """A number between -1 and 1 without its leading zero."""
    return "unknown" if np.isnan(value) else f"{value:.{digits}f}".replace("0.", ".", 1)
