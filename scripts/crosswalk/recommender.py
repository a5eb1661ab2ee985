"""What every model of a recommender is given, and what it gives: one small interface.

A model's module has `fit(fitting, *, options) -> model`; a model has `score(queries) -> float32 (b, S)`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

BATCH = 512  # works answered at once: with 20,000 subjects one model's scores are 40 MB


@dataclass(frozen=True)
class Fitting:
    """What a model learns from: n works, S subjects, F terms.

    links: csr (n, S) float32, 1 where a work visibly bears a subject, indices sorted; features: csr (n, F) float32,
    tf-idf of the works' texts, rows of length 1 or empty; labels: S strings; vectors: float32 (n, d), embedding of the
    works, or None; broader: csr (S, S) float32, in row s 1 at the broader subjects of s on all levels, or None;
    paths: csr (n, P) float32, 1 at each place on a work's path, or None.
    """

    links: csr_array
    features: csr_array
    labels: list[str]
    vectors: np.ndarray | None = None
    broader: csr_array | None = None
    paths: csr_array | None = None


@dataclass(frozen=True)
class Queries:
    """A batch of b works to be answered; rows of all parts belong together.

    links: csr (b, S) float32, the subjects they visibly bear, an empty row for a work that has none;
    features: csr (b, F); rows: int64 (b,), row among the works fitted on, -1 for a work that is not among them;
    texts: b strings; vectors: float32 (b, d) or None; paths: csr (b, P) or None.
    """

    links: csr_array
    features: csr_array
    rows: np.ndarray
    texts: list[str]
    vectors: np.ndarray | None = None
    paths: csr_array | None = None

    def __len__(self):
        return len(self.rows)


class Model(Protocol):
    """A fitted model."""

    def score(self, queries: Queries) -> np.ndarray:
        """Float32 (b, S), finite: the higher, the likelier; 0 where the model has nothing to say."""
