"""Embeddings without a neural network, by the words alone: the baselines that any other has to beat.

`Lexical` is latent semantic analysis (Deerwester et al., 1990): TF-IDF reduced by a truncated singular value
decomposition fitted on the texts of all collections. `Hashing` needs no fitting: hashed words and word pairs
(Weinberger et al., 2009), brought to few dimensions by a sparse random projection (Achlioptas, 2003).
"""

import json
import logging

import numpy as np
from safetensors.numpy import load_file, save
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from crosswalk import files
from crosswalk.embedding import Answer, InTurn, unit_rows
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

DIMENSIONS = 384
WORD = r"(?u)\b\w\w+\b"
MIN_TEXTS = 2  # a word of one text relates it to no other
MAX_WORDS = 50_000  # the most frequent ones; bounds the model at 77 MB
POWER_ITERATIONS = 7
HASHED = 2**18
NONZERO = 8  # of a hashed word's projection
CHUNK_TEXTS = 1000
NOTHING = 1e-6  # length of a projection that is rounding error


class Lexical(InTurn):
    """An `Embedder`: TF-IDF and SVD, fitted by `fit` or read by `load`.

    words: list of v str; idf: float32 (v,); axes: float32 (v, d); mean: float32 (d,) unit, the direction of the fitted
    texts together, which a text without any known word is given: it then says nothing that sets it apart.
    """

    stored = False

    def __init__(self, *, words, idf, axes, mean):
        self.words, self.idf, self.axes, self.mean = words, idf, axes, mean
        self.dimensions = axes.shape[1]
        self.namespace = {"provider": "tfidf", "model": "tfidf-svd", "dimensions": self.dimensions}
        self._counter = CountVectorizer(token_pattern=WORD, vocabulary=words)

    @classmethod
    def fit(cls, texts, *, dimensions=DIMENSIONS, seed):
        """Learn the words, their weights and the axes from texts.

        texts: n strings, each distinct one counted once; dimensions: of the vectors, fewer if the texts cannot carry
        as many (logged). The same texts in the same order and the same seed give the same bytes on any number of
        threads. Raises UserError if hardly a word occurs in two texts.
        """
        texts = sorted(set(texts))  # so that their order in a file changes nothing
        counter = CountVectorizer(token_pattern=WORD, min_df=MIN_TEXTS, max_features=MAX_WORDS)
        try:
            counts = counter.fit_transform(texts)
        except ValueError:  # how scikit-learn says that no word is left
            counts = None
        most = min(counts.shape) - 1 if counts is not None else 0
        if most < 2:
            raise UserError(
                f"embedding.provider tfidf: {len(texts)} distinct texts share too few words to learn from. "
                "Give more texts, or choose another provider."
            )
        if dimensions > most:
            log.warning("%d texts with %d words carry %d dimensions, not %d", *counts.shape, most, dimensions)
            dimensions = most
        documents = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype(np.float32)
        weighted = _tfidf(counts, idf)
        with threadpool_limits(1):  # the order of sums, hence the last bits, depends on the number of threads
            _, values, axes = randomized_svd(weighted, dimensions, n_iter=POWER_ITERATIONS, random_state=seed)
            axes = np.ascontiguousarray(axes.T, np.float32)
            mean = np.asarray(weighted.mean(axis=0), np.float32).ravel() @ axes
        strongest = np.abs(axes).argmax(axis=0)
        signs = np.sign(axes[strongest, np.arange(dimensions)])
        axes, mean = axes * signs, mean * signs
        log.info(
            "%d texts, %d words, %d dimensions hold %.0f %% of the weight",
            *counts.shape,
            dimensions,
            100 * (values**2).sum() / len(texts),
        )
        words = counter.get_feature_names_out().tolist()
        return cls(words=words, idf=idf, axes=axes, mean=mean / np.linalg.norm(mean))

    def save(self, model, vocabulary):
        """Write the numbers to `model` (safetensors) and the words to `vocabulary` (JSON)."""
        with files.atomic(model) as file:
            # one entry of metadata: safetensors writes several in an order that changes from run to run
            about = {"about": json.dumps(self.namespace, sort_keys=True)}
            file.write(save({"idf": self.idf, "axes": self.axes, "mean": self.mean}, metadata=about))
        files.write_json(vocabulary, {"words": self.words})

    @classmethod
    def load(cls, model, vocabulary):
        """What `save` wrote."""
        return cls(words=files.read_json(vocabulary)["words"], **load_file(model))

    def prepare(self, texts):
        """The texts unchanged; none is cut."""
        return texts, 0

    def chunks(self, texts):
        """Parts that bound the memory."""
        return _parts(texts)

    def embed(self, texts):
        """Unit vectors of texts as an Answer; a text's vector does not depend on its companions."""
        return Answer(_unit(_tfidf(self._counter.transform(texts), self.idf) @ self.axes, self.mean))


class Hashing(InTurn):
    """An `Embedder` without a fitted state: hashed words and word pairs under a seeded sparse random projection.

    dimensions: of the vectors; seed: of the projection. A text without any word gets the vector of equal values.
    """

    stored = False

    def __init__(self, *, dimensions=DIMENSIONS, seed):
        self.dimensions = dimensions
        self.namespace = {"provider": "hashing", "model": "hashing-projection", "dimensions": dimensions, "seed": seed}
        self._hasher = HashingVectorizer(token_pattern=r"(?u)\w+", ngram_range=(1, 2), n_features=HASHED)
        random = np.random.default_rng(seed)
        columns = random.integers(dimensions, size=HASHED * NONZERO)
        signs = random.choice(np.array([-1.0, 1.0]), size=HASHED * NONZERO)
        starts = np.arange(0, HASHED * NONZERO + 1, NONZERO)
        self._projection = sparse.csr_matrix((signs, columns, starts), shape=(HASHED, dimensions))

    def prepare(self, texts):
        """The texts unchanged; none is cut."""
        return texts, 0

    def chunks(self, texts):
        """Parts that bound the memory."""
        return _parts(texts)

    def embed(self, texts):
        """Unit vectors of texts as an Answer; a text's vector does not depend on its companions."""
        vectors = (self._hasher.transform(texts) @ self._projection).toarray()
        return Answer(_unit(vectors, np.full(self.dimensions, self.dimensions**-0.5)))


def _tfidf(counts, idf):
    """Rows of (1 + log count) x idf, of unit length; a row without words stays empty."""
    weighted = counts.astype(np.float32)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted.data /= np.repeat(norms, np.diff(weighted.indptr))
    return weighted


def _unit(vectors, fallback):
    norms = np.linalg.norm(vectors, axis=1)
    empty = norms < NOTHING
    vectors[empty], norms[empty] = fallback, 1
    return unit_rows(vectors / norms[:, None], count=len(vectors))


def _parts(texts):
    return (slice(start, start + CHUNK_TEXTS) for start in range(0, len(texts), CHUNK_TEXTS))
