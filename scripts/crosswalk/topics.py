"""Topics of two collections: counts of their words, mixtures of topics, keywords, and pairs of topics.

Topics are latent Dirichlet allocation (Blei, Ng and Jordan, 2003; batch variational Bayes) or the non-negative
factorisation of tf-idf (Lee and Seung, 1999; started by NNDSVD, Boutsidis and Gallopoulos, 2008). One model of both
collections gives them the same topics; two models are brought together by their keywords.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linear_sum_assignment, nnls
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from crosswalk.coherence import coherence, coverage, diversity
from crosswalk.errors import UserError
from crosswalk.procrustes import unit

log = logging.getLogger(__name__)

ENGINES = ("lda", "nmf")
KEYWORDS = 10
STARTS = 5
LDA_TRIAL, LDA_PASSES = 4, 10  # passes of a short and of the whole run
NMF_STEPS = 400
RIDGE = 1e-10  # of the mean squared length of the topics, should two be the same
TABLE = ["engine", "topics", "coherence", "diversity", "coverage", "score"]


class Counts(NamedTuple):
    """vocabulary: v words, sorted; a, b: CSR int64 (n, v) and (m, v), how often each document holds each word."""

    vocabulary: list[str]
    a: sparse.csr_matrix
    b: sparse.csr_matrix

    @property
    def both(self) -> sparse.csr_matrix:
        """The documents of a, then those of b."""
        return sparse.vstack([self.a, self.b], format="csr")


@dataclass(frozen=True)
class Topics:
    """A fitted model. words: float64 (k, v), rows sum to 1: the share of each word in each topic."""

    engine: str
    words: np.ndarray
    _weigh: Callable[[sparse.csr_matrix], np.ndarray]

    def mixture(self, counts) -> np.ndarray:
        """Shares of the topics in documents.

        counts: sparse (n, v) over the vocabulary of the fit. Returns float64 (n, k); rows sum to 1. The row of a
        document depends on that document alone; one without a word of any topic is of all topics alike.
        """
        counts = sparse.csr_matrix(counts)
        if counts.shape[1] != self.words.shape[1]:
            raise ValueError(f"counts of {counts.shape[1]} words for topics of {self.words.shape[1]}")
        if not counts.shape[0]:
            return np.empty((0, len(self.words)))
        with threadpool_limits(1):
            return _shares(self._weigh(counts))


class Pair(NamedTuple):
    """Topic a of one model and topic b of the other, from 0, and the cosine of their keywords."""

    a: int
    b: int
    cosine: float


def count(
    a_tokens: Sequence[Sequence[str]],
    b_tokens: Sequence[Sequence[str]],
    *,
    min_df: int | float = 5,
    max_df: int | float = 0.5,
    key: str = "topics",
) -> Counts:
    """Count the words of both collections over one vocabulary.

    a_tokens, b_tokens: the words of n and of m documents; min_df, max_df: in how many documents of both together a word
    must and may stand, as a number (int) or a share (float): a small `max_df` drops what every document says.
    Raises UserError, which names the config key `key`, if no word is left.
    """
    counter = CountVectorizer(analyzer=_same, min_df=min_df, max_df=max_df)
    documents = [*a_tokens, *b_tokens]
    try:
        counts = counter.fit_transform(documents)
    except ValueError as error:  # how scikit-learn says that no word is left, or that min_df is above max_df
        raise UserError(
            f"{key}: no word stands in at least {min_df} and at most {max_df} of {len(documents)} documents. "
            f"Lower {key}.min_df, raise {key}.max_df, or name fewer stop words."
        ) from error
    vocabulary = counter.get_feature_names_out().tolist()
    empty = len(documents) - len(_told(counts))
    log.info("%d documents, %d words; %d documents hold none of them", len(documents), len(vocabulary), empty)
    return Counts(vocabulary, counts[: len(a_tokens)], counts[len(a_tokens) :])


def fit(counts, *, engine: str, number: int, seed: int, starts: int = STARTS, key: str = "topics.number") -> Topics:
    """Fit topics to documents.

    counts: sparse (n, v), the documents in an order that does not depend on the input's; engine: "lda" or "nmf";
    starts: of LDA, of which the best is kept; 1 takes a quarter of the time of 5.
    The same counts and seed give the same bytes on any number of threads. Topics that no word belongs to are left out.
    Raises UserError, which names the config key `key`, for more topics than documents with a word or than words.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")
    counts = sparse.csr_matrix(counts)
    if number > min(_carried(counts)):
        raise _too_many([number], counts, key)
    counts = counts[_told(counts)]
    with threadpool_limits(1):  # the order of sums, hence the last bits, depends on the number of threads
        return _lda(counts, number, seed, starts) if engine == "lda" else _nmf(counts, number, seed)


def choose(
    counts,
    *,
    engines: Sequence[str] = ENGINES,
    numbers: Sequence[int],
    seed: int,
    starts: int = STARTS,
    key: str = "topics.number",
) -> tuple[Topics, pd.DataFrame]:
    """Fit every engine with every number of topics and keep the best.

    counts, seed, starts, key: as for `fit`; numbers: those above the number of documents or words are left out with a
    warning.
    The score is coherence x diversity x coverage: coherence alone prefers few topics that say nothing of most documents
    and is as high when a topic is split in two. Where coherence is not above 0, it alone is the score.
    Returns the Topics of the highest score (the first of equals) and a DataFrame with engine, topics (their number),
    coherence (mean NPMI), diversity, coverage (see `crosswalk.coherence`), score.
    Raises UserError, which names the config key `key`, if all numbers are too large.
    """
    counts = sparse.csr_matrix(counts)
    most = min(_carried(counts))
    possible = [number for number in dict.fromkeys(numbers) if number <= most]
    if not possible:
        raise _too_many(numbers, counts, key)
    if len(possible) < len(set(numbers)):
        log.warning("%s: numbers above %d are left out, for there are no more documents or words", key, most)
    tried, rows = [], []
    plan = [(engine, number) for engine in engines for number in possible]
    for engine, number in tqdm(plan, desc="topics", disable=None, delay=5):
        topics = fit(counts, engine=engine, number=number, seed=seed, starts=starts, key=key)
        tried.append(topics)
        rows.append((engine, number, *_merits(counts, topics)))
        log.info("%s, %d topics: coherence %.3f, diversity %.2f, coverage %.2f, score %.3f", *rows[-1])
    table = pd.DataFrame(rows, columns=TABLE)
    return tried[int(table["score"].argmax())], table


def keywords(topics: Topics, vocabulary: Sequence[str], *, n: int = KEYWORDS) -> list[list[tuple[str, float]]]:
    """The n most probable words of each topic with their probabilities; equal ones in the order of the alphabet.

    vocabulary: v sorted words. A word without probability is none, so that a topic may have fewer than n.
    """
    return [
        [(vocabulary[i], float(row[i])) for i in top]
        for row, top in zip(topics.words, top_words(topics, n=n), strict=True)
    ]


def top_words(topics: Topics, *, n: int = KEYWORDS) -> list[np.ndarray]:
    """Columns of at most n words of each topic as in `keywords`; what `crosswalk.coherence` measures."""
    # A stable sort keeps equal words in the order of the sorted vocabulary.
    orders = np.argsort(-topics.words, axis=1, kind="stable")[:, :n]
    return [order[row[order] > 0] for row, order in zip(topics.words, orders, strict=True)]


def keyword_vectors(
    keywords: Sequence[Sequence[tuple[str, float]]], embed: Callable[[list[str]], np.ndarray]
) -> np.ndarray:
    """Where each topic lies in the space of an embedding: the mean of its keywords, weighted by their probability.

    keywords: of k topics; embed: turns w strings into a (w, d) array, called once.
    Returns float64 (k, d), unit rows (zero where the mean is).
    """
    words = sorted({word for topic in keywords for word, _ in topic})
    place = {word: i for i, word in enumerate(words)}
    weights = np.zeros((len(keywords), len(words)))
    for row, topic in zip(weights, keywords, strict=True):
        for word, probability in topic:
            row[place[word]] = probability
    with threadpool_limits(1):
        return unit(weights @ np.asarray(embed(words), dtype=np.float64))


def pair_topics(a_vectors, b_vectors, *, floor: float = 0.0) -> list[Pair]:
    """The topics of one model with those of another: the pairs with the greatest sum of cosines (Kuhn, 1955).

    a_vectors: (k, d), b_vectors: (l, d) from `keyword_vectors`; floor: pairs with a smaller cosine are dropped after.
    Returns at most min(k, l) pairs in the order of a; no topic is in two.
    """
    with threadpool_limits(1):
        cosines = unit(np.asarray(a_vectors, np.float64)) @ unit(np.asarray(b_vectors, np.float64)).T
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    pairs = [Pair(int(i), int(j), float(cosines[i, j])) for i, j in zip(rows, columns, strict=True)]
    kept = [pair for pair in pairs if pair.cosine >= floor]
    log.info("%d of %d and %d topics paired, cosine at least %g", len(kept), *cosines.shape, floor)
    return kept


def shared_mixtures(a_mixture, b_mixture, pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Mixtures of two models over the paired topics alone: (n, p) and (m, p), column i of both is pair i.

    Rows sum to 1; a document without any of these topics is of all alike. Without a pair there is no column.
    """
    return (
        _shares(np.asarray(a_mixture, np.float64)[:, [pair.a for pair in pairs]]),
        _shares(np.asarray(b_mixture, np.float64)[:, [pair.b for pair in pairs]]),
    )


def topic_table(
    keywords: Sequence[Sequence[tuple[str, float]]],
    *,
    coherence: Sequence[float],
    a_mixture=None,
    b_mixture=None,
) -> pd.DataFrame:
    """The topics of one model for people.

    keywords, coherence: of k topics; a_mixture: (n, k), b_mixture: (m, k), one of them None where the model is of one
    side. Returns a DataFrame with topic (from 1), side ("both", "a" or "b"), keywords, probabilities (joined by ", "),
    share_a, share_b (mean share of the topic in the documents of a side, NaN without them), coherence.
    """
    side = "a" if b_mixture is None else "b" if a_mixture is None else "both"
    return pd.DataFrame(
        {
            "topic": np.arange(1, len(keywords) + 1),
            "side": side,
            "keywords": [", ".join(word for word, _ in topic) for topic in keywords],
            "probabilities": [", ".join(f"{probability:.4g}" for _, probability in topic) for topic in keywords],
            "share_a": _mean_shares(a_mixture, len(keywords)),
            "share_b": _mean_shares(b_mixture, len(keywords)),
            "coherence": np.asarray(coherence, np.float64),
        }
    )


def _merits(counts, topics):
    """Coherence, diversity, coverage and score of a fitted model."""
    tops = top_words(topics)
    merits = float(coherence(counts, tops).mean()), diversity(tops), coverage(counts, topics.mixture(counts), tops)
    return *merits, merits[0] * merits[1] * merits[2] if merits[0] > 0 else merits[0]


def _lda(counts, number, seed, starts):
    """Of several short runs the one that explains the documents best is carried on.

    One run in four ends where two topics share a place and a third is lost, and has a clearly higher perplexity early.
    """

    def run(start, passes):
        model = LatentDirichletAllocation(
            number, learning_method="batch", max_iter=passes, random_state=start, n_jobs=1, evaluate_every=-1
        )
        return model.fit(counts)

    tried = [int(start) for start in np.random.SeedSequence(seed).generate_state(starts)]
    if starts > 1:
        bar = tqdm(tried, desc="starts of LDA", disable=None, delay=5, leave=False)
        tried = [min(bar, key=lambda start: run(start, LDA_TRIAL).bound_)]  # the perplexity
    model = run(tried[0], LDA_PASSES)  # repeats the short run before it goes on
    return Topics("lda", _shares(model.components_), model.transform)


def _nmf(counts, number, seed):
    """Topics are scaled to sum to 1, so that the weights of a document are amounts of tf-idf and can be compared."""
    scale = TfidfTransformer().fit(counts)
    weighted = scale.transform(counts)
    model = NMF(number, init="nndsvda", solver="cd", max_iter=NMF_STEPS, random_state=seed)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # an error of nothing, rounded below zero
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(weighted)
    words = model.components_[model.components_.sum(axis=1) > 0]
    if len(words) < number:
        log.warning("the words of the documents make %d topics, not %d", len(words), number)
    words = _shares(words)
    # With H H^T = L L^T, |x - w H|^2 = |L^-1 H x - L^T w|^2 + a constant: as few equations as topics, solved exactly.
    # scikit-learn's `transform` starts from the mean of all rows, so that a mixture would depend on the other texts.
    products = words @ words.T
    factor = np.linalg.cholesky(products + RIDGE * products.trace() / len(words) * np.eye(len(words)))

    def weigh(rows):
        aims = np.linalg.solve(factor, (scale.transform(rows) @ words.T).T).T
        return np.array([nnls(factor.T, aim)[0] for aim in aims])

    return Topics("nmf", words, weigh)


def _same(tokens):
    return tokens


def _told(counts):
    """Numbers of the documents that hold a word."""
    return np.flatnonzero(np.diff(counts.indptr))


def _carried(counts):
    """How many documents hold a word, and how many words are in a document: no model has more topics than either."""
    return len(_told(counts)), len(np.unique(counts.indices))


def _too_many(numbers, counts, key):
    documents, words = _carried(counts)
    cure = f"Ask for at most {min(documents, words)}, or give" if min(documents, words) else "Give"
    return UserError(
        f"{key}: {', '.join(map(str, numbers))} topics are too many for {documents} documents with a word "
        f"and {words} words. {cure} more documents."
    )


def _shares(weights):
    """Rows scaled to sum to 1; equal shares where nothing is to be scaled."""
    weights = np.asarray(weights, np.float64)
    sums = weights.sum(axis=1, keepdims=True)
    even = np.full_like(weights, 1 / max(weights.shape[1], 1))
    return np.divide(weights, sums, out=even, where=sums > 0)


def _mean_shares(mixture, topics):
    if mixture is None or not len(mixture):
        return np.full(topics, np.nan)
    return np.asarray(mixture, np.float64).mean(axis=0)
