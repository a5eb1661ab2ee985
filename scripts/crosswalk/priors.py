"""What is known of works and subjects before any link is seen, as trainable parts of their vectors behind gates.

Works have words, an embedding and places on a path; subjects have broader subjects and the words of their label. Each
part is a table of vectors, summed over what a row has (an embedding bag), times one number that is learned: its gate.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn
from torch.nn import functional

from crosswalk.batches import Part, kept, take
from crosswalk.features import split
from crosswalk.recommender import Fitting

PRIORS = ("text", "vectors", "hierarchy", "labels")
OF_WORKS = ("text", "vectors", "paths")  # gates of what a work brings along, so that new works have it too
MAX_TERMS = 1 << 16  # terms with a vector of their own: those of most works; 4 times their table is what Adam needs
LEAST_LABELS = 2  # labels a word must stand in: one of a single label says no more than the subject's own vector


def wanted(fitting: Fitting, prior: Sequence[str]) -> list[str]:
    """The gates that a model of `fitting` with these priors has; `hierarchy` has one for subjects and one for paths.

    A prior of which the fitting holds nothing has none. Raises ValueError for a name that is not in PRIORS.
    """
    if unknown := sorted(set(prior) - set(PRIORS)):
        raise ValueError(f"unknown prior {', '.join(unknown)}: there are {', '.join(PRIORS)}")
    there = {
        "text": "text" in prior and fitting.features.nnz > 0,
        "vectors": "vectors" in prior and fitting.vectors is not None,
        "paths": "hierarchy" in prior and fitting.paths is not None and fitting.paths.nnz > 0,
        "hierarchy": "hierarchy" in prior and fitting.broader is not None and fitting.broader.nnz > 0,
        "labels": "labels" in prior and words_of_labels(fitting.labels).nnz > 0,
    }
    return [gate for gate, found in there.items() if found]


def chosen_terms(features: csr_array, *, most: int = MAX_TERMS) -> np.ndarray:
    """Number of each term among the at most `most` that stand in most works, -1 for the others; int64 (F,)."""
    held = np.bincount(features.indices, minlength=features.shape[1])
    best = np.sort(np.argsort(-held, kind="stable")[:most])
    best = best[held[best] > 0]
    numbers = np.full(len(held), -1, np.int64)
    numbers[best] = np.arange(len(best))
    return numbers


def renumbered(part: Part, numbers: np.ndarray) -> Part:
    """A Part with its columns by other numbers; entries whose number is -1 are left out."""
    columns = numbers[part.indices]
    return kept(part._replace(indices=columns), columns >= 0)


def words_of_labels(labels: Sequence[str]) -> csr_array:
    """Which words stand in which labels: csr float32 (S, v), rows of length 1 or empty.

    Only words of at least LEAST_LABELS labels, in the order of the alphabet.
    """
    words = [sorted(set(label)) for label in split(labels)]
    flat = np.array([word for label in words for word in label], dtype=object)
    rows = np.repeat(np.arange(len(words)), [len(label) for label in words])
    _, columns, counts = np.unique(flat.astype(str), return_inverse=True, return_counts=True)
    mask = counts[columns] >= LEAST_LABELS
    numbers = np.cumsum(counts >= LEAST_LABELS) - 1
    rows, columns = rows[mask], numbers[columns[mask]]
    lengths = np.bincount(rows, minlength=len(words))
    data = (1 / np.sqrt(np.maximum(lengths, 1)))[rows].astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return csr_array((data, columns, indptr), shape=(len(words), int((counts >= LEAST_LABELS).sum())))


def bag(table: torch.Tensor, part: Part) -> torch.Tensor:
    """Sums of the rows of `table` (r, dim) that a Part names, each times its weight; (b, dim), empty rows zeros."""
    indices, starts, weights = (
        torch.from_numpy(np.ascontiguousarray(x)) for x in (part.indices, part.indptr[:-1], part.data)
    )
    if not len(indices):
        return table.new_zeros(len(starts), table.shape[1])
    return functional.embedding_bag(indices, table, starts, mode="sum", per_sample_weights=weights)


def table(rows: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Trainable vectors, normal, of length about 1."""
    return nn.Parameter(torch.randn(rows, dim, generator=generator) / dim**0.5)


class Subjects(nn.Module):
    """Vectors of S subjects: each its own, plus those of its broader subjects and of its label's words, gated.

    broader: csr (S, S), labels: csr (S, v), or None; gates: the parameters shared with whoever else uses the prior.
    """

    def __init__(self, count, dim, *, broader, labels, generator):
        super().__init__()
        self.own = table(count, dim, generator)
        self.words = None if labels is None else table(labels.shape[1], dim, generator)
        self._broader, self._labels = broader, labels

    def forward(self, gates, some: np.ndarray | None = None) -> torch.Tensor:
        """Vectors of all subjects, or of `some`, int64 (k,); float32 (k, dim)."""
        vectors = self.own if some is None else self.own[torch.from_numpy(some)]
        rows = np.arange(len(self.own)) if some is None else some
        if self._broader is not None:
            vectors = vectors + gates["hierarchy"] * bag(self.own, take(self._broader, rows))
        if self._labels is not None:
            vectors = vectors + gates["labels"] * bag(self.words, take(self._labels, rows))
        return vectors
