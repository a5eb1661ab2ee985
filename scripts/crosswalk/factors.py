"""Vectors of works and of subjects whose product says which subjects a work has: the network, nothing else.

A work's vector is made of what it visibly bears and of what is known of it, as in an autoencoder (Mult-DAE, Liang et
al., 2018), so that works that are new or have changed are answered without training. With `works="free"` each work has
a vector of its own in place of what it bears, as in plain factorisation.
"""

import contextlib
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from crosswalk.batches import Part, take
from crosswalk.priors import OF_WORKS, Subjects, bag, renumbered, table
from crosswalk.recommender import Fitting, Queries

WORKS = ("folded", "free")


class Sizes(NamedTuple):
    """Of a network: n works, S subjects, dim, terms, width of the works' embedding, places on paths; 0 where unused."""

    works: int
    subjects: int
    dim: int
    terms: int = 0
    width: int = 0
    places: int = 0


class Known(NamedTuple):
    """What a network is shown of b works; None for what it does not use.

    links, terms, places: Part; vectors: float32 (b, width); rows: int64 (b,), -1 for a work that was not fitted on.
    """

    links: Part
    terms: Part | None
    vectors: np.ndarray | None
    places: Part | None
    rows: np.ndarray


class Factors(nn.Module):
    """The network.

    sizes: Sizes; gates: names, as from `priors.wanted`; works: "folded" or "free"; generator: of the first vectors;
    broader: csr (S, S) and labels: csr (S, v), rows of length 1, where their gates are there; numbers: int64 (F,), of
    the terms; dropout: share of a work's vector that is hidden in training, drawn by the same generator.
    """

    def __init__(self, sizes, *, gates, works, generator, broader=None, labels=None, numbers=None, dropout=0.0):
        super().__init__()
        if works not in WORKS:
            raise ValueError(f"works '{works}': there are {', '.join(WORKS)}")
        self.sizes, self.works, self.dropout, self.generator = sizes, works, dropout, generator
        self.broader, self.labels, self.numbers = broader, labels, numbers
        matrices = {"broader": broader, "labels": labels, "generator": generator}
        self.outward = Subjects(sizes.subjects, sizes.dim, **matrices)
        self.inward = Subjects(sizes.subjects, sizes.dim, **matrices) if works == "folded" else None
        self.free = table(sizes.works, sizes.dim, generator) if works == "free" else None
        self.terms = table(sizes.terms, sizes.dim, generator) if "text" in gates else None
        self.projection = table(sizes.width, sizes.dim, generator) if "vectors" in gates else None
        self.places = table(sizes.places, sizes.dim, generator) if "paths" in gates else None
        self.gates = nn.ParameterDict({name: nn.Parameter(torch.ones(())) for name in gates})
        self.offset = nn.Parameter(torch.zeros(sizes.dim))
        self.scale = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(sizes.subjects))

    def known(self, source: Fitting | Queries, rows: np.ndarray, *, links: Part | None = None) -> Known:
        """What the network may see of some rows of a Fitting or of Queries. links: what they show, if not all."""
        return Known(
            take(source.links, rows) if links is None else links,
            None if self.terms is None else renumbered(take(source.features, rows), self.numbers),
            None if self.projection is None else source.vectors[rows].astype(np.float32, copy=False),
            None if self.places is None else lengthened(take(source.paths, rows)),
            source.rows[rows] if isinstance(source, Queries) else np.asarray(rows, np.int64),
        )

    def of_works(self, known: Known) -> torch.Tensor:
        """Vectors of works; float32 (b, dim)."""
        vectors = self._base(known)
        for gate in OF_WORKS:
            if gate in self.gates:
                vectors = vectors + self.gates[gate] * self._brought(gate, known)
        vectors = functional.layer_norm(vectors, (self.sizes.dim,))
        if self.training and self.dropout:
            mask = torch.rand(vectors.shape, generator=self.generator) >= self.dropout
            vectors = vectors * mask / (1 - self.dropout)
        return vectors * self.scale

    def of_subjects(self, some: np.ndarray | None = None) -> torch.Tensor:
        """Vectors of all subjects or of some, int64 (k,); float32 (k, dim)."""
        return self.outward(self.gates, some)

    def _base(self, known):
        """Of each work the offset and its own vector, or those of the subjects it bears."""
        if self.free is not None:
            mask = torch.from_numpy((known.rows >= 0).astype(np.float32))[:, None]
            return self.offset + self.free[torch.from_numpy(np.maximum(known.rows, 0))] * mask
        part = lengthened(known.links)
        if self.broader is None and self.labels is None:
            return self.offset + bag(self.inward.own, part)
        borne, columns = np.unique(part.indices, return_inverse=True)
        return self.offset + bag(self.inward(self.gates, borne), part._replace(indices=columns))

    def _brought(self, gate, known):
        """What a prior says of each work."""
        if gate == "vectors":
            return torch.from_numpy(np.ascontiguousarray(known.vectors)) @ self.projection
        if gate == "text":
            return bag(self.terms, known.terms)
        return bag(self.places, known.places)


def lengthened(part: Part) -> Part:
    """The same entries with 1 / sqrt(how many its row has): rows of length 1, however many entries they have."""
    data = np.repeat(1 / np.sqrt(np.maximum(part.lengths, 1)), part.lengths).astype(np.float32)
    return part._replace(data=data)


@contextlib.contextmanager
def one_thread():
    """Torch on one thread: the order of its sums, hence their last bits, depends on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
