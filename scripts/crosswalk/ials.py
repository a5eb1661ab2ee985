"""Implicit alternating least squares (Hu, Koren and Volinsky, 2008) by conjugate gradient (Takacs et al., 2011).

All works at once take a few steps of conjugate gradient toward their optimum, then all subjects, in turn; so no system
is ever factorised. Regularisation grows with the number of links (Rendle et al., 2022). New works, and works that have
changed, are folded in: their vector is the optimum for what they bear, the subjects as they are.
"""

import json
import logging

import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from crosswalk import files
from crosswalk.recommender import Fitting, Queries

log = logging.getLogger(__name__)

DIM = 128
ITERATIONS = 12
ALPHA = 0.02  # weight of an absent link, a present one counting 1
PENALTY = 0.003
POWER = 1.0  # of the number of links, weighed with the absent ones, in the penalty of a row
STEPS = 3  # of conjugate gradient in one half of an epoch, from where the last one ended
FOLD_STEPS = 12  # for a query, from 0
CHUNK = 4096  # rows whose links' vectors are held at once


class IALS:
    """A fitted model.

    subjects: float32 (S, dim); alpha, penalty: as in `fit`; history: DataFrame with epoch, loss (what is minimised, for
    each work), log_loss and recall_at_10 (NaN: nothing is held back), or None after `load`; facts: dict with log_loss
    (None) and gates (none).
    """

    def __init__(self, *, subjects, alpha, penalty, history=None):
        self.subjects, self.alpha, self.penalty = subjects, alpha, penalty
        self.history, self.facts = history, {"log_loss": None, "gates": {}}

    def score(self, queries: Queries) -> np.ndarray:
        """Float32 (b, S): the product of the vectors; 0 for a work with no subject."""
        with threadpool_limits(1):
            return self.vectors_of_works(queries) @ self.subjects.T

    def vectors_of_subjects(self) -> np.ndarray:
        """Float32 (S, dim)."""
        return self.subjects

    def vectors_of_works(self, queries: Queries) -> np.ndarray:
        """Float32 (b, dim), from what the works bear; zeros for a work with no subject."""
        start = np.zeros((len(queries), self.subjects.shape[1]), np.float32)
        return improve(start, self.subjects, queries.links, alpha=self.alpha, penalty=self.penalty, steps=FOLD_STEPS)

    def save(self, path) -> None:
        """Write the model as one safetensors file."""
        options = {"alpha": self.alpha, "penalty": self.penalty}
        encoded = np.frombuffer(json.dumps(options, sort_keys=True).encode(), np.uint8)
        files.write_tensors(path, {"subjects": self.subjects, "options": encoded})


def load(path) -> IALS:
    """What `save` wrote, without its history."""
    tensors = load_file(path)
    return IALS(subjects=tensors["subjects"], **json.loads(bytes(tensors["options"]).decode()))


def fit(
    fitting: Fitting,
    *,
    dim: int = DIM,
    iterations: int = ITERATIONS,
    alpha: float = ALPHA,
    penalty: float = PENALTY,
    seed: int = 0,
) -> IALS:
    """Fit vectors of works and subjects to the links.

    Minimised is the sum of (1 - x)^2 over the links, plus alpha x^2 over all cells, plus penalty times each row's
    squared length times (its links + alpha x the cells of the row). alpha: small where a missing link tells little.
    The same for a seed, on one thread. Raises ValueError for numbers that are not above 0.
    """
    if min(dim, iterations) < 1 or min(alpha, penalty) <= 0:
        raise ValueError(f"dim {dim}, iterations {iterations}, alpha {alpha}, penalty {penalty}: all must be above 0")
    links = fitting.links
    across = csr_array(links.T.tocsr())
    rng = np.random.default_rng([seed, 0x1A15])
    works, subjects = ((rng.standard_normal((count, dim)) / dim).astype(np.float32) for count in links.shape)
    history = []
    with threadpool_limits(1):
        for epoch in tqdm(range(1, iterations + 1), desc="iterations of iALS", disable=None, delay=5):
            works = improve(works, subjects, links, alpha=alpha, penalty=penalty, steps=STEPS)
            subjects = improve(subjects, works, across, alpha=alpha, penalty=penalty, steps=STEPS)
            loss = objective(works, subjects, links, alpha=alpha, penalty=penalty) / len(works)
            history.append({"epoch": epoch, "loss": loss, "log_loss": np.nan, "recall_at_10": np.nan})
            log.info("epoch %d: loss %.4f", epoch, loss)
    history = pd.DataFrame(history)
    return IALS(subjects=subjects, alpha=alpha, penalty=penalty, history=history)


def improve(rows, others, links, *, alpha, penalty, steps):
    """Steps of conjugate gradient for the vectors of all rows at once, the others staying as they are.

    rows: float32 (b, dim), where to begin; others: float32 (m, dim); links: csr (b, m). Returns float32 (b, dim); a row
    without a link is zeros, which is its optimum.
    """
    gram = np.float32(alpha) * (others.T @ others)
    result = np.empty_like(rows)
    for start in range(0, len(rows), CHUNK):
        own = slice(start, start + CHUNK)
        result[own] = _descend(rows[own], others, links[own], gram, alpha, penalty, steps)
    return result


def objective(works, subjects, links, *, alpha, penalty):
    """What `fit` minimises; a float."""
    total = alpha * float(np.sum((works.T @ works).astype(np.float64) * (subjects.T @ subjects)))
    for start in range(0, len(works), CHUNK):
        part = links[start : start + CHUNK]
        total += float(np.square(1 - _products(works[start : start + CHUNK], subjects, part), dtype=np.float64).sum())
    for own, lengths, others in (
        (works, np.diff(links.indptr), len(subjects)),
        (subjects, np.bincount(links.indices, minlength=len(subjects)), len(works)),
    ):
        total += float(np.sum(_penalties(lengths, others, alpha, penalty) * np.square(own, dtype=np.float64).sum(1)))
    return total


def _descend(x, others, links, gram, alpha, penalty, steps):
    ridge = _penalties(np.diff(links.indptr), len(others), alpha, penalty).astype(np.float32)[:, None]

    def times(vectors):
        linked = csr_array((_products(vectors, others, links), links.indices, links.indptr), shape=links.shape)
        return vectors @ gram + linked @ others + ridge * vectors

    x = x * (np.diff(links.indptr) > 0)[:, None]
    residual = links @ others - times(x)
    direction, size = residual.copy(), _squares(residual)
    for _ in range(steps):
        image = times(direction)
        length = _ratio(size, np.einsum("ij,ij->i", direction, image))
        x += length * direction
        residual -= length * image
        now = _squares(residual)
        direction = residual + _ratio(now, size) * direction
        size = now
    return x


def _products(vectors, others, links):
    """The product of each link's row and column; float32 (links,)."""
    rows = np.repeat(np.arange(links.shape[0]), np.diff(links.indptr))
    return np.einsum("ij,ij->i", vectors[rows], others[links.indices])


def _penalties(lengths, others, alpha, penalty):
    return penalty * (lengths + alpha * others) ** POWER


def _squares(x):
    return np.einsum("ij,ij->i", x, x)


def _ratio(a, b):
    """a / b as a column, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)[:, None]
