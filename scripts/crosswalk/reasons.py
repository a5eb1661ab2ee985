"""Why a subject is suggested for a work, in words: which works like it bear the subject, which of its own subjects go
with that one, and which words of its text do.

A reason tells what there is to see in the data. It does not open up the model, whose score adds up far more.
"""

import re
import unicodedata
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from tqdm import tqdm

from crosswalk.features import UNSPACED, look_up
from crosswalk.naming import STOP_WORDS
from crosswalk.neighbours import places

LIKE, WITH, WORDS = 2, 2, 3  # works, subjects and words that a reason names at most
ALIKE = 0.2  # least similarity of a work that is called like another; below it they share the paper they are drawn on
LIFT = 2.0  # times as often as anywhere a subject stands beside another subject, or a word, that points to it
LEAST = 3  # works with a word and a subject before the word counts as telling
SURE = 1.96  # of a share, how many standard errors are taken off: the lower end of the 95 % interval
PAIR = 1.25  # how much less sure a run of words may be than its parts and yet be named in their stead
WEAK = 0.3  # a word that is less telling than this share of the best one is not named beside it
CONSIDERED = 12  # telling words of a text that are looked at, as some share a word
TOLD = 256  # subjects that are remembered of one word
FREQUENT = 0.01  # share of the works with subjects from which a subject is called frequent
STEP = 128  # works answered at once: which subjects are asked of them then fits into the cache
CELLS = 1 << 22  # co-occurrences counted at once
UNPARTED = re.compile(rf"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")
BETWEEN = " | "  # ids and labels may hold commas and semicolons
COLUMNS = ["reason", "like_works", "with_subjects", "words"]


class Parts(NamedTuple):
    """What speaks for each of p suggestions, the most telling first, -1 where there is no more.

    like: int64 (p, LIKE), works fitted on; beside: int64 (p, WITH), subjects; words: int64 (p, WORDS), terms.
    """

    like: np.ndarray
    beside: np.ndarray
    words: np.ndarray


class _Pairs:
    """Pairs of a work and a subject, none twice, each known by its place: work, subject int (p,)."""

    def __init__(self, work, subject, shape):
        self.work, self.subject = work, subject
        self._number = np.full(shape, -1, np.int32)
        self._number[work, subject] = np.arange(len(work), dtype=np.int32)

    def __len__(self):
        return len(self.work)

    def met(self, work, sign, matrix):
        """What meets the pairs if each work has some signs, rows of the csr `matrix` that have entries at subjects.

        work, sign: int (m,). Returns the places of pairs, the places of the signs among the m, and the entries.
        """
        lengths = np.diff(matrix.indptr)[sign]
        source = np.repeat(np.arange(len(sign), dtype=np.int32), lengths)
        before = np.cumsum(lengths) - lengths
        at = np.arange(len(source)) + np.repeat(matrix.indptr[sign] - before, lengths)
        pair = self._number[work[source], matrix.indices[at]]
        kept = np.flatnonzero(pair >= 0)
        return pair[kept], source[kept], matrix.data[at[kept]]


class Reasons:
    """Finds reasons; what they need of the works fitted on is counted once.

    fitting: Fitting of n works; terms: the F strings of its features; ids: n ids; text_knn, item_knn: the fitted
    models, or None: without them no reason names works, or subjects.
    Memory: at most 8 bytes x F x TOLD, in practice a small part of it.
    """

    def __init__(self, fitting, *, terms, ids, text_knn=None, item_knn=None):
        if len(ids) != fitting.links.shape[0] or len(terms) != fitting.features.shape[1]:
            raise ValueError(
                f"{len(ids)} ids and {len(terms)} terms for links of {fitting.links.shape} and features of "
                f"{fitting.features.shape}"
            )
        self.links, self.labels, self.terms, self.ids = fitting.links, fitting.labels, terms, np.asarray(ids, object)
        tagged = np.flatnonzero(np.diff(fitting.links.indptr))
        links, features = fitting.links[tagged], fitting.features[tagged]
        self.works = np.bincount(links.indices, minlength=links.shape[1])
        self.tagged, self._text_knn = len(tagged), text_knn
        self._beside = None if item_knn is None else _pointing(item_knn.similarities, links, self.works)
        self._in_words, content = _words(terms)
        self._telling = _telling(features, links, self.works, content)

    def of(self, queries, ranked, *, near=None):
        """For each query the reason of each of its suggestions: a list of lists of str. As `table`."""
        reasons = iter(self.table(queries, ranked, near=near)["reason"])
        return [[next(reasons) for _ in range(n)] for n in (np.asarray(ranked) >= 0).sum(axis=1)]

    def table(self, queries, ranked, *, near=None):
        """The reasons of all suggestions, with what they are made of: DataFrame of strings with COLUMNS.

        queries: Queries of b works; ranked: int (b, k), subjects suggested for each, -1 where there is none; near: what
        `text_knn.neighbours(queries)` returned, if that is known.
        Rows are those of ranked >= 0, in its order. Several works, subjects or words are parted by BETWEEN.
        """
        parts = self.parts(queries, ranked, near=near)
        subjects = np.asarray(ranked)[np.asarray(ranked) >= 0].tolist()
        like = [[self.ids[i] for i in own if i >= 0] for own in parts.like.tolist()]
        beside = [[self.labels[i] for i in own if i >= 0] for own in parts.beside.tolist()]
        words = [[_written(self.terms[i]) for i in own if i >= 0] for own in parts.words.tolist()]
        told = list(map(self._told, subjects, like, beside, words))
        columns = told, *([BETWEEN.join(own) for own in part] for part in (like, beside, words))
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)), dtype="str")

    def parts(self, queries, ranked, *, near=None):
        """The Parts of all suggestions; arguments and order as in `table`. Raises ValueError if shapes do not fit."""
        ranked = np.asarray(ranked)
        if len(ranked) != len(queries) or queries.features.shape[1] != len(self.terms):
            raise ValueError(f"lists of {ranked.shape} for {len(queries)} works of {queries.features.shape[1]} terms")
        if near is None and self._text_knn is not None:
            near = self._text_knn.neighbours(queries)
        found = [Parts(*(np.empty((0, count), np.int64) for count in (LIKE, WITH, WORDS)))]
        for start in range(0, len(ranked), STEP):
            part = slice(start, start + STEP)
            work, place = np.nonzero(ranked[part] >= 0)
            asked = _Pairs(work, ranked[part][work, place], (len(ranked[part]), self.links.shape[1]))
            like = np.full((len(work), LIKE), -1) if near is None else self._like(asked, *(own[part] for own in near))
            beside = self._going_with(asked, queries.links[part])
            found.append(Parts(like, beside, self._saying(asked, queries.features[part], queries.texts[part])))
        return Parts(*(np.concatenate(own) for own in zip(*found, strict=True)))

    def _like(self, asked, rows, similarities):
        """The nearest works that bear each suggestion."""
        work, place = np.nonzero((rows >= 0) & (similarities >= ALIKE))
        near, similarity = rows[work, place], similarities[work, place]
        pair, at, _ = asked.met(work, near, self.links)
        return _foremost(pair, near[at], similarity[at], shape=(len(asked), LIKE))

    def _going_with(self, asked, links):
        """The subjects a work bears that point to each suggestion most."""
        if self._beside is None:
            return np.full((len(asked), WITH), -1)
        borne = _Pairs(*_entries(links), links.shape)
        # The other way round than for works and words: a common subject points to thousands, a row has at most those
        # that point to one.
        own, pair, similarity = borne.met(asked.work, asked.subject, self._beside)
        return _foremost(pair, links.indices[own], similarity, shape=(len(asked), WITH))

    def _saying(self, asked, features, texts):
        """The terms of a text that tell most of each suggestion, no two of them with a word in common."""
        work, term = _entries(features)
        pair, at, share = asked.met(work, term, self._telling)
        kept = self._stand_in(texts, work, term, np.bincount(at, minlength=len(term)) > 0)[at]
        pair, term, share, count = pair[kept], term[at[kept]], share[kept], len(asked)
        best = np.zeros(count, np.float32)
        np.maximum.at(best, pair, share)
        kept = share >= WEAK * best[pair]
        pair, term, share = pair[kept], term[kept], share[kept]
        share = share * PAIR ** np.count_nonzero(self._in_words[term] >= 0, axis=1)
        return _apart(_foremost(pair, term, share, shape=(count, CONSIDERED)), self._in_words)

    def _stand_in(self, texts, work, term, looked_at):
        """Which of the terms, int (m,), stand in the texts of their works as they are, bool (m,).

        A run of words goes on beyond the end of a sentence, or of a field, which nobody could call a word of the text.
        """
        stands = looked_at.copy()
        runs = np.flatnonzero(looked_at & (self._in_words[term, 1:2] >= 0).any(axis=1))
        plain = {i: unicodedata.normalize("NFKC", texts[i]).casefold() for i in np.unique(work[runs]).tolist()}
        found = zip(work[runs].tolist(), term[runs].tolist(), strict=True)
        stands[runs] = [_written(self.terms[own]) in plain[i] for i, own in found]
        return stands

    def _told(self, subject, like, beside, words):
        parts = ["like " + " and ".join(like)] if like else []
        parts += ["goes with " + ", ".join(map(_quoted, beside))] if beside else []
        parts += ["text says " + ", ".join(f'"{word}"' for word in words)] if words else []
        if parts:
            return "; ".join(parts)
        works = int(self.works[subject])
        number = f"({works:,} work{'' if works == 1 else 's'})"
        return f"frequent here {number}" if works >= FREQUENT * self.tagged else f"no single sign {number}"


def _pointing(similarities, links, works):
    """The subjects that point to each: csr (S, S), the rows of `similarities` where the two stand together more often
    than LIFT times what chance would have, given how many works bear each.
    """
    together = _counted_where(similarities, links)
    expected = works[_entries(similarities)[0]].astype(np.float64) * works[similarities.indices]
    data = np.where(together * links.shape[0] > LIFT * expected, similarities.data, 0)
    kept = csr_array((data, similarities.indices, similarities.indptr), shape=similarities.shape, copy=True)
    kept.eliminate_zeros()
    return kept


def _counted_where(pattern, links):
    """In how many works the two subjects of each entry of a csr (S, S) stand together; float (nnz,)."""
    by_subject, out = csr_array(links.T), np.zeros(pattern.nnz, np.float32)
    for start, stop in _slices(by_subject @ np.diff(links.indptr).astype(np.float64)):
        both = csr_array(by_subject[start:stop] @ links)
        both.sort_indices()
        held, asked = (row * both.shape[1] + column for row, column in map(_entries, (both, pattern[start:stop])))
        place = look_up(asked, held)
        out[pattern.indptr[start] : pattern.indptr[stop]][place >= 0] = both.data[place[place >= 0]]
    return out


def _telling(features, links, works, content):
    """What each term tells of each subject: csr (F, S), the share of the works with the term that bear the subject.

    Not the share itself but the lower end of its interval (Wilson, 1927), and only where that is above LIFT times the
    share among all works. features: csr (n, F); links: csr (n, S); works: int (S,); content: bool (F,).
    """
    n, shape = max(links.shape[0], 1), (features.shape[1], links.shape[1])
    held = np.bincount(features.indices, minlength=shape[0])
    # A term of more works than n / LIFT cannot reach the lift, whatever it stands beside.
    asked = np.flatnonzero(content & (held >= LEAST) & (held * LIFT < n))
    by_term = csr_array(features.T)[asked]
    by_term.data = np.ones_like(by_term.data)
    parts = [(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))]
    slices = _slices(by_term @ np.diff(links.indptr).astype(np.float64))
    for start, stop in tqdm(slices, desc="words that tell of subjects", disable=None, delay=5):
        both = csr_array(by_term[start:stop] @ links)
        enough = both.data >= LEAST
        term, subject = np.repeat(asked[start:stop], np.diff(both.indptr))[enough], both.indices[enough]
        share = _lower_end(both.data[enough].astype(np.float64), held[term])
        telling = np.flatnonzero(share > LIFT * works[subject] / n)
        order = telling[np.lexsort((subject[telling], -share[telling], term[telling]))]
        order = order[places(term[order]) < TOLD]
        parts.append((term[order], subject[order], share[order].astype(np.float32)))
    term, subject, share = (np.concatenate(own) for own in zip(*parts, strict=True))
    return csr_array((share, subject, np.searchsorted(term, np.arange(shape[0] + 1))), shape=shape)


def _lower_end(hits, count):
    """Lower end of the score interval of the share hits / count."""
    share, square = hits / count, SURE**2 / count
    return (share + square / 2 - np.sqrt(square * (share * (1 - share) + square / 4))) / (1 + square)


def _slices(sizes):
    """Slices of rows of which none has a sum of sizes above CELLS, or is a single row: pairs of start and stop."""
    after, start, found = np.cumsum(sizes), 0, []
    while start < len(sizes):
        before = after[start - 1] if start else 0
        stop = max(int(np.searchsorted(after, before + CELLS, side="right")), start + 1)
        found.append((start, stop))
        start = stop
    return found


def _words(terms):
    """The numbers of the words in each term, int32 (F + 1, words), -1 behind them; and whether a term has content.

    The last row is that of the term -1, which is none. A stop word has no content, nor has a run that begins or ends
    with one: "the cliffs" says no more than "cliffs".
    """
    parts = [term.split(" ") for term in terms]
    numbers = {word: i for i, word in enumerate(dict.fromkeys(word for own in parts for word in own))}
    out = np.full((len(terms) + 1, max(map(len, parts), default=1)), -1, np.int32)
    for i, own in enumerate(parts):
        out[i, : len(own)] = [numbers[word] for word in own]
    return out, np.array([own[0] not in STOP_WORDS and own[-1] not in STOP_WORDS for own in parts], bool)


def _entries(rows):
    """Row and column of each entry of a csr."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices


def _foremost(pair, item, value, *, shape):
    """The items of the greatest values of each pair, of equals the lower item: int64 `shape`, -1 behind them."""
    order = np.lexsort((item, -value, pair))
    place = places(pair[order])
    order, place = order[place < shape[1]], place[place < shape[1]]
    out = np.full(shape, -1)
    out[pair[order], place] = item[order]
    return out


def _apart(terms, in_words):
    """The first WORDS terms of each row, int (p, m), that share no word with one taken before; -1 behind them."""
    out, count = np.full((len(terms), WORDS), -1), np.zeros(len(terms), np.int64)
    taken = np.full((len(terms), WORDS, in_words.shape[1]), -2)
    for column in terms.T:
        own = in_words[column]
        clash = (own[:, :, None] == taken.reshape(len(terms), 1, -1)).any(axis=(1, 2))
        rows = np.flatnonzero((column >= 0) & ~clash & (count < WORDS))
        out[rows, count[rows]], taken[rows, count[rows]] = column[rows], own[rows]
        taken[taken == -1] = -2  # nothing is not a word that two terms share
        count[rows] += 1
    return out


def _quoted(label):
    """A label that could be taken for two is put in quotes."""
    return f'"{label}"' if "," in label or ";" in label else label


def _written(term):
    """A run of words as its script writes it: without spaces between letters that are words of their own."""
    return term if term.isascii() else UNPARTED.sub("", term)
