"""Subjects whose label stands in the text of a work, each as likely as such a find was right among the works fitted on.

A find is one of three kinds: the words of the label in their order; all its words somewhere; most of its words, by
weight. For each subject and kind the share of finds that were right is learned, drawn toward the share of all subjects
where there are few (a beta prior). So a label that is a common word too counts for little.
"""

from collections import defaultdict
from functools import cache

import numpy as np
from scipy.sparse import csr_array

from crosswalk.features import follow, look_up, numbered

KINDS = 3
PHRASE, ALL, MOST = range(KINDS)
SHARE = 0.5  # of the weight of a label's words, enough for a find of the kind MOST
SMOOTHING = 3.0  # finds that the share of all subjects counts for
CHUNK = 4096  # texts searched at once
EXACT = 1e-6


class LabelMatch:
    """A fitted model.

    finder: Finder of the labels; right, made: int64 (KINDS, S), finds that were right and finds made among the works
    fitted on; smoothing: finds that the share of right ones over all subjects counts for.
    """

    def __init__(self, *, finder, right, made, smoothing):
        self.finder, self.right, self.made, self.smoothing = finder, right, made, smoothing
        self._rates = right.sum(axis=1) / np.maximum(made.sum(axis=1), 1)

    def score(self, queries):
        """Float32 (b, S): the chance that a find of its kind is right, 0 where a label is not found.

        What a work fitted on does not bear is not held against the subject when it is asked itself.
        """
        out = np.zeros((len(queries), self.made.shape[1]), np.float32)
        rows, subjects, kinds = self.finder.find(queries.texts)
        counted = (queries.rows[rows] >= 0) & (np.diff(queries.links.indptr)[rows] > 0)
        wrong = counted & ~_holds(queries.links, rows, subjects)
        right, made = self.right[kinds, subjects], self.made[kinds, subjects]
        made = np.maximum(made - wrong, right)
        out[rows, subjects] = (right + self.smoothing * self._rates[kinds]) / (made + self.smoothing)
        return out


class Finder:
    """Finds labels in texts, by words without plural endings.

    labels: S strings; texts: n strings, of which the weight of each word is learned (inverse document frequency).
    """

    def __init__(self, labels, texts):
        growing = defaultdict(int)
        growing.default_factory = growing.__len__
        words, rows = numbered(labels, growing, fold=_folded)
        self.vocabulary, self.size = dict(growing), len(labels)
        held = np.zeros(len(growing))
        for start in range(0, len(texts), CHUNK):
            held += np.bincount(self._words(texts[start : start + CHUNK])[2].indices, minlength=len(growing))
        weights = np.log((1 + len(texts)) / (1 + held)) + 1
        own = _incidence(words, rows, (len(labels), len(growing)))
        own.data *= weights[own.indices]
        total = np.asarray(own.sum(axis=1)).ravel()
        own.data /= np.repeat(total, np.diff(own.indptr))
        self._shares = own.T.tocsr()  # of a word in the weight of a label; words x labels
        self._levels = _levels(words, rows, (len(labels), len(growing)))

    def find(self, texts):
        """The best find of each label in each text: rows, subjects, kinds, int64 (finds,), by row, then by subject."""
        parts = [np.empty((3, 0), np.int64)]
        for start in range(0, len(texts), CHUNK):
            found = np.stack(self._find(texts[start : start + CHUNK]))
            found[0] += start
            parts.append(found)
        return tuple(np.concatenate(parts, axis=1))

    def _find(self, texts):
        words, rows, incidence = self._words(texts)
        shares = csr_array(incidence @ self._shares)
        at = np.repeat(np.arange(len(texts)), np.diff(shares.indptr))
        enough = shares.data > SHARE - EXACT
        keys = [at[enough] * self.size + shares.indices[enough]]
        kinds = [np.where(shares.data[enough] > 1 - EXACT, ALL, MOST)]
        terms = words
        for steps, (table, ends) in enumerate(self._levels):
            terms = look_up(follow(terms, words, rows, steps, len(self.vocabulary)) if steps else words, table)
            places = np.flatnonzero(terms >= 0)
            whole = csr_array(ends[terms[places]])
            keys.append(np.repeat(rows[places], np.diff(whole.indptr)) * self.size + whole.indices)
            kinds.append(np.full(whole.nnz, PHRASE))
        keys, kinds = np.concatenate(keys), np.concatenate(kinds)
        order = np.lexsort((kinds, keys))
        keys, first = np.unique(keys[order], return_index=True)
        return *np.divmod(keys, max(self.size, 1)), kinds[order][first]

    def _words(self, texts):
        words, rows = numbered(texts, self.vocabulary, fold=_folded)
        return words, rows, _incidence(words, rows, (len(texts), len(self.vocabulary)))


def fit(fitting, *, texts, smoothing=SMOOTHING):
    """Learn how often a find of each label is right. Returns LabelMatch.

    texts: n strings, of the works in `fitting`; those without subjects count neither as right nor as wrong.
    smoothing: above 0.
    """
    links = fitting.links
    if len(texts) != links.shape[0] or len(fitting.labels) != links.shape[1]:
        raise ValueError(f"{len(texts)} texts and {len(fitting.labels)} labels for links of {links.shape}")
    if smoothing <= 0:
        raise ValueError(f"smoothing {smoothing} must be above 0")
    finder = Finder(fitting.labels, texts)
    counts = np.zeros((2, KINDS, links.shape[1]), np.int64)
    works = np.flatnonzero(np.diff(links.indptr))
    for start in range(0, len(works), CHUNK):
        part = works[start : start + CHUNK]
        rows, subjects, kinds = finder.find([texts[work] for work in part])
        right = _holds(links[part], rows, subjects)
        for i, kept in enumerate((right, slice(None))):
            np.add.at(counts[i], (kinds[kept], subjects[kept]), 1)
    return LabelMatch(finder=finder, right=counts[0], made=counts[1], smoothing=smoothing)


@cache
def singular(word):
    """An English word without its plural ending, by the plainest rules; any other word as it is."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    return word[:-2] if word.endswith(("sses", "zzes", "xes", "ches", "shes")) else word[:-1]


def _folded(words):
    return [singular(word) for word in words]


def _incidence(words, rows, shape):
    """CSR float64, 1 where a row has a word; unknown words (-1) are left out."""
    known = words >= 0
    pairs = np.unique(rows[known] * max(shape[1], 1) + words[known])
    rows, words = np.divmod(pairs, max(shape[1], 1))
    return csr_array((np.ones(len(pairs)), words, np.searchsorted(rows, np.arange(shape[0] + 1))), shape=shape)


def _levels(words, rows, shape):
    """The labels as a tree of words: for each number of words the keys of the runs that labels begin with, as `follow`
    makes them, sorted, and as CSR (runs, S) the labels that end there."""
    lengths = np.bincount(rows, minlength=shape[0])
    first = np.cumsum(lengths) - lengths
    levels, terms = [], np.full(len(words), -1)
    for steps in range(lengths.max(initial=0)):
        labels = np.flatnonzero(lengths > steps)
        starts = first[labels]
        keys = words[starts] if not steps else terms[starts] * shape[1] + words[starts + steps]
        table, places = np.unique(keys, return_inverse=True)
        terms[starts] = places
        end = lengths[labels] == steps + 1
        ends = csr_array((np.ones(end.sum()), (places[end], labels[end])), shape=(len(table), shape[0]))
        levels.append((table, ends))
    return levels


def _holds(links, rows, subjects):
    """Whether a CSR matrix has an entry at each pair."""
    own = np.repeat(np.arange(links.shape[0]), np.diff(links.indptr)) * links.shape[1] + links.indices
    return look_up(rows * links.shape[1] + subjects, np.sort(own)) >= 0
