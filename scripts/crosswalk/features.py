"""The words of texts, and runs of neighbouring words, as sparse tf-idf rows that several models share.

Term weighting as Salton and Buckley (1988): (1 + log count) x inverse document frequency, rows of length 1. Words and
runs are numbered and counted in whole arrays: a run becomes a string only if it is kept.
"""

import logging
import re
import unicodedata
from collections import defaultdict
from functools import cache, partial
from itertools import chain

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_array, diags_array

from crosswalk import files

log = logging.getLogger(__name__)

NGRAMS = 2
MIN_DF = 2  # a term of one text relates it to no other
MAX_FEATURES = 1 << 18  # bounds the vocabulary of long texts
FEW = 5  # works of a term up to which chance rules what they have in common
DOUBT = 3  # works that speak for the usual, against those that have a term
LEAST = 1e-4  # cosine of works that share a term which tells nothing
CHUNK = 4096  # texts whose words are held as strings at once
# Thai and Lao, Myanmar, Khmer, kana, ideographs: written without spaces
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
UNSPACED += "\U00020000-\U0003ffff"


class Features:
    """A fitted vocabulary.

    terms: v strings, words or runs of words joined by a space, the shorter runs first and each length in the order of
    the alphabet; a run without its last word, and that word, are terms too. idf: float32 (v,).
    """

    def __init__(self, *, terms, idf):
        if len(terms) != len(idf):
            raise ValueError(f"{len(terms)} terms with {len(idf)} weights")
        self.terms, self.idf = list(terms), np.asarray(idf, np.float32)
        number = {term: i for i, term in enumerate(self.terms)}
        self._words = {term: i for term, i in number.items() if " " not in term}
        runs = defaultdict(list)  # by words before the last: keys of the terms, as `follow` makes them
        for term in self.terms[len(self._words) :]:
            start, _, last = term.rpartition(" ")
            runs[1 + start.count(" ")].append(number[start] * len(self._words) + number[last])
        self._keys = [np.array(runs[steps], np.int64) for steps in sorted(runs)]

    def transform(self, texts):
        """Tf-idf rows of texts: CSR float32 (len(texts), v), indices sorted.

        A row has length 1, or is empty if the text has no known term; it does not depend on the other texts.
        """
        return self.weigh(self.count(texts))

    def count(self, texts):
        """How often each term stands in each text: CSR int64 (len(texts), v), indices sorted."""
        width = max(len(self.terms), 1)
        words, rows = numbered(texts, self._words)
        terms, first = words, len(self._words)
        found = [(rows * width + terms)[terms >= 0]]
        for steps, table in enumerate(self._keys, 1):
            places = look_up(follow(terms, words, rows, steps, len(self._words)), table)
            terms = np.where(places < 0, -1, first + places)
            found.append((rows * width + terms)[terms >= 0])
            first += len(table)
        pairs, times = np.unique(np.concatenate(found), return_counts=True)
        rows, columns = np.divmod(pairs, width)
        indptr = np.searchsorted(rows, np.arange(len(texts) + 1)).astype(np.int32)
        return csr_array((times, columns.astype(np.int32), indptr), shape=(len(texts), len(self.terms)))

    def weigh(self, counts):
        """The tf-idf rows of what `count` returned."""
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        weights = (1 + np.log(counts.data)) * self.idf[counts.indices]
        norms = np.sqrt(np.bincount(rows, weights**2, minlength=counts.shape[0]))
        data = (weights / norms[rows]).astype(np.float32)
        return csr_array((data, counts.indices, counts.indptr), shape=counts.shape)

    def save(self, model, vocabulary):
        """Write the weights to `model` (safetensors) and the terms to `vocabulary` (JSON)."""
        files.write_tensors(model, {"idf": self.idf})
        files.write_json(vocabulary, {"terms": self.terms})

    @classmethod
    def load(cls, model, vocabulary):
        """What `save` wrote."""
        return cls(terms=files.read_json(vocabulary)["terms"], idf=load_file(model)["idf"])


def fit(texts, *, ngrams=NGRAMS, min_df=MIN_DF, max_features=MAX_FEATURES):
    """Learn the terms of n texts and their weights; the order of the texts changes nothing.

    ngrams: the longest run of words that is a term; min_df: texts a term must stand in; max_features: terms kept, those
    of most texts, of equals the shorter, then the earlier in the alphabet. Returns Features, perhaps without any term.
    """
    if min(ngrams, min_df, max_features) < 1:
        raise ValueError(f"ngrams {ngrams}, min_df {min_df}, max_features {max_features}: each must be at least 1")
    vocabulary = defaultdict(int)
    vocabulary.default_factory = vocabulary.__len__
    words, rows = numbered(texts, vocabulary)
    names = sorted(vocabulary)
    place = np.empty(len(names), np.int64)
    place[[vocabulary[name] for name in names]] = np.arange(len(names))
    words = place[words]
    tables, held, terms = [], [], words
    for steps in range(ngrams):
        keys = follow(terms, words, rows, steps, len(names)) if steps else words
        table, texts_with, terms = _frequent(keys, rows, min_df)
        tables.append(table)
        held.append(texts_with)
    strings = _strings(tables, _most_frequent(held, max_features), names)
    counts = np.array([held[steps][i] for steps, level in enumerate(strings) for i in level], np.float64)
    found = [string for level in strings for string in level.values()]
    log.info("%d texts, %d words, %d terms in %d texts or more", len(texts), len(names), len(found), min_df)
    return Features(terms=found, idf=np.log((1 + len(texts)) / (1 + counts)) + 1)


def telling(matrix, links):
    """How much each term tells of a work's subjects: what its idf is to be multiplied by.

    Works that share a term are compared by their subjects: the mean cosine over all pairs of them, each subject weighed
    by its rarity, is an unbiased measure of what the term tells, and says it of "watercolour" and of "cathedral" alike,
    where idf goes by frequency alone. Terms of few works are drawn towards the mean of their like.
    matrix: csr (n, F), nonzero where a work has a term; links: csr (n, S), what the works visibly bear.
    Returns float32 (F,), the square root of that cosine, above 0.
    """
    borne = np.bincount(links.indices, minlength=links.shape[1])
    rows = csr_array(links @ diags_array(np.log((1 + links.shape[0]) / (1 + borne)) + 1))
    length = np.sqrt(
        np.bincount(np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.data**2, rows.shape[0])
    )
    tagged = length > 0
    rows = csr_array(diags_array(1 / np.where(tagged, length, 1)) @ rows)
    where = np.repeat(tagged, np.diff(matrix.indptr))
    held = csr_array((where.astype(np.float64), matrix.indices, matrix.indptr), shape=matrix.shape)
    works, alike = np.bincount(held.indices, held.data, matrix.shape[1]), np.zeros(matrix.shape[1])
    by_term = held.T.tocsr()
    for start in range(0, matrix.shape[1], CHUNK):
        together = csr_array(by_term[start : start + CHUNK] @ rows)
        squares = np.bincount(
            np.repeat(np.arange(together.shape[0]), np.diff(together.indptr)), together.data**2, together.shape[0]
        )
        alike[start : start + CHUNK] = squares
    pairs = works * (works - 1)
    alike = np.where(pairs > 0, (alike - works) / np.where(pairs > 0, pairs, 1), 0)
    few = (works > 1) & (works <= FEW)
    few = few if few.any() else works > 1
    usual = max(float(alike[few].mean()) if few.any() else 0.0, LEAST)
    return np.sqrt(np.maximum((works * alike + DOUBT * usual) / (works + DOUBT), LEAST)).astype(np.float32)


def split(texts):
    """The words of each text: a list of lists of strings, without regard to case, width and composition (NFKC).

    A word has at least two letters or digits; an underscore parts words. In scripts that are written without spaces
    each letter is a word, so that runs of words are runs of letters.
    """
    plain, full = _patterns()
    return [
        plain.findall(text.lower())
        if text.isascii()
        else full.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))
        for text in texts
    ]


def numbered(texts, vocabulary, *, fold=None):
    """The words of texts as numbers: int64 (t,) words, -1 where unknown, and int64 (t,) the rows they stand in.

    vocabulary: dict from word to number; one that makes missing values (defaultdict) grows. fold: function of a list of
    words that gives the list to look up instead.
    """
    find = vocabulary.__getitem__ if isinstance(vocabulary, defaultdict) else partial(_number, vocabulary)
    words, lengths = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(texts), CHUNK):
        parts = split(texts[start : start + CHUNK])
        lengths.append(np.fromiter(map(len, parts), np.int64, len(parts)))
        flat = list(chain.from_iterable(parts))
        words.append(np.fromiter(map(find, fold(flat) if fold else flat), np.int64, len(flat)))
    return np.concatenate(words), np.repeat(np.arange(len(texts)), np.concatenate(lengths))


def follow(terms, words, rows, steps, width):
    """Keys of the runs that begin with the term at each place and end with the word `steps` places on.

    terms, words: int64 (t,), -1 for none; rows: int64 (t,), row each place belongs to; width: of the words' numbers.
    Returns int64 (t,): term x width + word, -1 where there is no such run.
    """
    keys = np.full(len(words), -1, np.int64)
    last = max(len(words) - steps, 0)
    ends = words[steps:]
    both = (terms[:last] >= 0) & (ends >= 0) & (rows[:last] == rows[steps:])
    keys[:last][both] = terms[:last][both] * width + ends[both]
    return keys


def look_up(keys, table):
    """Places of keys in a sorted table of distinct numbers; int64 like keys, -1 where it has none."""
    if not len(table):
        return np.full(len(keys), -1, np.int64)
    places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[places] == keys, places, -1)


def _number(vocabulary, word):
    return vocabulary.get(word, -1)


def _frequent(keys, rows, min_df):
    """Keys that stand in `min_df` rows, sorted; in how many; and at each place the key's own place among them or -1."""
    known = np.flatnonzero(keys >= 0)
    table, places = np.unique(keys[known], return_inverse=True)
    n = int(rows[-1]) + 1 if len(rows) else 1
    pairs = np.sort(places * n + rows[known])  # ten times as fast as np.unique, which hashes numbers first
    held = np.bincount(pairs[np.diff(pairs, prepend=-1) > 0] // n, minlength=len(table))
    kept = held >= min_df
    order = np.where(kept, np.cumsum(kept) - 1, -1)
    terms = np.full(len(keys), -1, np.int64)
    terms[known] = order[places]
    return table[kept], held[kept], terms


def _most_frequent(held, count):
    """For each level which of its terms are among the `count` that stand in most texts; a list of boolean arrays.

    Equals are taken by level and place: a run stands in no more texts than its parts, so these are taken before it.
    """
    everything = np.concatenate(held)
    kept = np.zeros(len(everything), bool)
    kept[np.argsort(-everything, kind="stable")[:count]] = True
    return np.split(kept, np.cumsum([len(level) for level in held])[:-1])


def _strings(tables, kept, names):
    """For each level a dict from the place of a kept term to its string."""
    levels = []
    for table, keep in zip(tables, kept, strict=True):
        places = np.flatnonzero(keep)
        starts, lasts = np.divmod(table[places], len(names)) if levels else (places, table[places])
        triples = zip(places.tolist(), starts.tolist(), lasts.tolist(), strict=True)
        levels.append({i: f"{levels[-1][a]} {names[b]}" if levels else names[b] for i, a, b in triples})
    return levels


@cache
def _patterns():
    """Words of ASCII text, and of any other, as findall finds them; compiled when first used."""
    # Accents and vowel signs that have no composed form are no letters to `re`, but belong to the word they stand in.
    marks = "".join(chr(i) for i in range(0x300, 0x10000) if unicodedata.category(chr(i)) in ("Mn", "Mc"))
    letter, mark = rf"[^\W_{UNSPACED}]", rf"[{marks}]"
    full = rf"[{UNSPACED}]{mark}*|(?={letter}(?:{letter}|{mark}))(?:{letter}+{mark}*)+"
    return re.compile(r"[^\W_]{2,}"), re.compile(full)
