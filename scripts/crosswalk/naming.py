"""Words for traits: phrases that part the two ends of a score, and the better of two such names.

Phrases come from log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn, 2008, "Fightin' words"),
ranked again by how well they lie along the trait in embedding space.
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from crosswalk.fidelity import Fidelity, end_items, fidelity

logger = logging.getLogger(__name__)

PRIOR = 300.0  # a0 of Monroe et al.: how many counts the background is worth
CANDIDATES = 40  # phrases of an end that are embedded
ALIKE = 0.8  # cosine above which two phrases say the same

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


class Words(NamedTuple):
    """What the two ends of a trait are called: phrases, best first; gists, a line for each end, or ""; who said so."""

    high: list[str]
    low: list[str]
    high_gist: str = ""
    low_gist: str = ""
    by: str = "phrases"


class Name(NamedTuple):
    """The words for a trait, and how well they fit texts that did not make them."""

    words: Words
    measured: Fidelity

    @property
    def high(self) -> list[str]:
        """Phrases of the high end, best first."""
        return self.words.high

    @property
    def low(self) -> list[str]:
        """Phrases of the low end, best first."""
        return self.words.low

    @property
    def fidelity(self) -> float:
        """AUC between the ends, or NaN."""
        return self.measured.side.value


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


def name_traits(
    vocabulary: Vocabulary,
    scores,
    *,
    embed: Callable[[list[str]], np.ndarray],
    train,
    vectors,
    test=None,
    blocks=None,
    n: int = 5,
    prior: float = PRIOR,
    candidates: int = CANDIDATES,
) -> list[Name]:
    """Name several traits of one side's items, with one call of the embedding model.

    scores: (items, traits); embed: turns k strings into a (k, d) array; train: bool (items,), the items that names are
    made from; vectors: (items, d) embeddings; test: bool (items,), those that fidelity is measured on (default: all not
    in `train`); blocks: of the items, for the intervals; n: phrases of an end.
    A phrase is ranked by its z-score plus its cosine to the trait, which is the way from the mean of the bottom to the
    mean of the top fifth of `train`; both are standardised over the candidates of the trait. Phrases within, or
    inflected from, or with a cosine above .8 to a better one of the same end are dropped.
    """
    scores, train, vectors = np.asarray(scores), np.asarray(train, dtype=bool), np.asarray(vectors, dtype=np.float64)
    test = ~train if test is None else test
    background = np.asarray(vocabulary.held[np.flatnonzero(train)].sum(axis=0)).ravel()
    drawn = [_candidates(vocabulary, column, train, background, prior, candidates) for column in scores.T]
    rows = _rows({phrase for sides in drawn for side in sides for phrase in side}, embed, width=vectors.shape[1])
    words = []
    for column, (high, low) in zip(scores.T, drawn, strict=True):
        top, bottom = (vectors[end].mean(axis=0) for end in end_items(column, train))
        both = {**high, **low}
        z, cosine = _standard(both.values()), _standard([rows[p] @ (top - bottom) for p in both])
        worth = dict(zip(both, z + cosine, strict=True))
        ranked = sorted(high, key=lambda p: (-worth[p], p)), sorted(low, key=lambda p: (worth[p], p))
        words.append(Words(*(_distinct(side, rows, n) for side in ranked)))
    unit = _unit(vectors)
    return [Name(one, _fit(one, column, test, unit, rows, blocks)) for one, column in zip(words, scores.T, strict=True)]


def name_trait(vocabulary: Vocabulary, scores, **settings) -> Name:
    """Name one trait: scores (items,); everything else as in `name_traits`."""
    return name_traits(vocabulary, np.asarray(scores)[:, None], **settings)[0]


def contest(
    names: Sequence[Name],
    drafts: Sequence[Name],
    rivals: Sequence[Words | None],
    scores,
    *,
    embed: Callable[[list[str]], np.ndarray],
    choose,
    report,
    vectors,
    blocks=None,
) -> list[Name]:
    """For each trait its name, or other words where these fit unseen texts better.

    names: what phrases make of all items but `report`; drafts: what they make of all items but `report` and `choose`,
    which stand for the names here, so that no side of the comparison has seen its texts; rivals: other words for each
    trait that have seen neither, or None; scores: (items, traits); choose: bool (items,), those on which draft and
    rival are compared; report: bool (items,), those on which a rival that wins is measured; embed, vectors, blocks: as
    in `name_traits`. A rival has to tell the two ends apart better; where both do so without a fault, better from the
    middle.
    """
    asked = [words for draft, rival in zip(drafts, rivals, strict=True) if rival for words in (draft.words, rival)]
    said = {text for words in asked for text in (*words.high, *words.low, words.high_gist, words.low_gist) if text}
    unit = _unit(np.asarray(vectors, dtype=np.float64))
    rows = _rows(said, embed, width=unit.shape[1])
    won = list(names)
    for i, (draft, rival, column) in enumerate(zip(drafts, rivals, np.asarray(scores).T, strict=True)):
        if rival is None:
            continue
        own, other = (_fit(words, column, choose, unit, rows, blocks) for words in (draft.words, rival))
        logger.debug("fidelity %.3f by phrases, %.3f by %s", own.side.value, other.side.value, rival.by)
        if _worth(other) > _worth(own):
            won[i] = Name(rival, _fit(rival, column, report, unit, rows, blocks))
    return won


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


def _rows(texts, embed, *, width):
    """A unit vector for each text, by one call of the model at most."""
    texts = sorted(texts)
    return dict(zip(texts, _unit(np.asarray(embed(texts), dtype=np.float64)), strict=True)) if texts else {}


def _distinct(ranked, rows, n):
    chosen = []
    for phrase in ranked:
        if len(chosen) == n:
            break
        stems = _stems(phrase)
        if not any(
            stems <= _stems(other)
            or stems >= _stems(other)
            or _closed(phrase) == _closed(other)
            or rows[phrase] @ rows[other] > ALIKE
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


def _fit(words, scores, mask, vectors, rows, blocks):
    ends = (_end(words.high, words.high_gist, rows), _end(words.low, words.low_gist, rows))
    none = np.zeros(vectors.shape[1])
    return fidelity(scores, mask, vectors, *(none if end is None else end for end in ends), blocks=blocks)


def _worth(measured):
    """What a name is compared by: between the ends, then each end against the middle; no name is worth nothing."""
    side, high, low = (-1.0 if np.isnan(area.value) else area.value for area in measured)
    return side, high + low


def _end(phrases, gist, rows):
    """The vector of an end's name: of its phrases together, and half and half of these and the gist if it has one."""
    parts = [np.mean([rows[phrase] for phrase in phrases], axis=0)] if phrases else []
    parts += [rows[gist]] if gist else []
    return _unit(np.mean([_unit(part) for part in parts], axis=0)) if parts else None


def _unit(rows):
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def _standard(values):
    values = np.fromiter(values, dtype=np.float64)
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))
