"""Words and runs of letters of texts as sparse tf-idf rows, fitted on two collections together.

Term weighting as Salton and Buckley (1988): (1 + log count) x inverse document frequency. Runs of letters are found in
whole arrays of characters and hashed (Weinberger et al., 2009), so that no vocabulary of them is ever built.
"""

import unicodedata

import numpy as np
from scipy import sparse

from crosswalk.tokens import tokenize

RUNS = (3, 4, 5)  # lengths of the runs; a word's edges count as letters
HASHED = 1 << 20
STRONGEST = 512  # terms of a text that are kept, heaviest first: the rest changes hardly a score and costs most time
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, without pattern: Knuth's multiplicative hashing
SHIFT = np.uint64(64 - 20)  # leaves the highest 20 bits, which depend on all the others: one of HASHED numbers
SPACE = 32


def word_rows(texts, others=()):
    """Tf-idf rows of the words of `texts`, and of each list of texts in `others` by the same weights.

    texts: n strings, on which words and weights are fitted; a word must stand in two of them.
    Returns a list of CSR float32 matrices (rows, v), one for `texts` and one for each of `others`, and the v words in
    the order of the alphabet. Rows have length 1; that of a text without a known word is empty.
    """
    tokens = [tokenize(part) for part in (texts, *others)]
    held = {}
    for text in tokens[0]:
        for word in set(text):
            held[word] = held.get(word, 0) + 1
    words = sorted(word for word, count in held.items() if count > 1)
    place = {word: i for i, word in enumerate(words)}
    counts = [_count(([place[w] for w in text if w in place] for text in part), len(words)) for part in tokens]
    return _weigh(counts, np.array([held[word] for word in words], dtype=np.float64)), words


def letter_rows(texts, others=()):
    """Tf-idf rows of the runs of three to five letters of `texts`, and of each list of texts in `others`.

    As `word_rows`, over 2^20 hashed runs in lower case. A run crosses no space, but may begin or end with one.
    Returns a list of CSR float32 matrices (rows, 2^20).
    """
    counts = [_count((_runs(text) for text in part), HASHED) for part in (texts, *others)]
    held = np.bincount(counts[0].indices, minlength=HASHED).astype(np.float64)
    rare = held < 2
    for matrix in counts:
        matrix.data[rare[matrix.indices]] = 0
        matrix.eliminate_zeros()
    return _weigh(counts, held)


def shared_words(a, b, words, *, count=5):
    """The words that weigh most in both of each pair of rows.

    a, b: CSR (pairs, v), row i of the one beside row i of the other; words: v names. Returns a list of lists.
    """
    both = a.multiply(b).tocsr()
    found = []
    for start, stop in zip(both.indptr, both.indptr[1:], strict=False):
        order = np.lexsort((both.indices[start:stop], -both.data[start:stop]))[:count]
        found.append([words[both.indices[start + i]] for i in order])
    return found


def _runs(text):
    """Hashes of every run of letters of a text that crosses no space, spaces at its ends included."""
    text = " ".join(unicodedata.normalize("NFC", text).lower().split())
    letters = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), dtype="<u4")
    letters, space = letters.astype(np.uint64), letters == SPACE
    found = []
    for length in RUNS:
        if len(letters) < length:
            continue
        value = np.zeros(len(letters) - length + 1, dtype=np.uint64)
        inner = np.zeros(len(value), dtype=bool)
        for i in range(length):
            value = (value + letters[i : i + len(value)] + np.uint64(1)) * MULTIPLIER
            if 0 < i < length - 1:
                inner |= space[i : i + len(value)]
        found.append((value[~inner] >> SHIFT).astype(np.int32))
    return np.concatenate(found) if found else np.empty(0, np.int32)


def _count(rows, width):
    """A CSR matrix of how often each number stands in each row; rows may be a generator, one is held at a time."""
    indptr, indices, data = [0], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for row in rows:
        columns, times = np.unique(np.asarray(row, dtype=np.int32), return_counts=True)
        indices.append(columns)
        data.append(times.astype(np.float32))
        indptr.append(indptr[-1] + len(columns))
    return sparse.csr_matrix((np.concatenate(data), np.concatenate(indices), indptr), shape=(len(indptr) - 1, width))


def _weigh(counts, held):
    """Counts to tf-idf, each row of length 1 and cut to its strongest terms; in place."""
    n = counts[0].shape[0]
    idf = (np.log((1 + n) / (1 + held)) + 1).astype(np.float32)
    for matrix in counts:
        matrix.data = (1 + np.log(np.maximum(matrix.data, 1))) * idf[matrix.indices]
        _keep_strongest(matrix)
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix.data /= np.repeat(np.where(norms > 0, norms, 1), np.diff(matrix.indptr)).astype(np.float32)
    return counts


def _keep_strongest(matrix):
    """Drop all but the STRONGEST terms of each row, of equals the first; in place."""
    for start, stop in zip(matrix.indptr, matrix.indptr[1:], strict=False):
        if stop - start > STRONGEST:
            row = matrix.data[start:stop]
            row[np.lexsort((matrix.indices[start:stop], -row))[STRONGEST:]] = 0
    matrix.eliminate_zeros()
