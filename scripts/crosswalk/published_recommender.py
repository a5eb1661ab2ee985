"""The chapter's own recommender, faults included, made to run: works and subjects as ten numbers each, for comparison.

Nothing here finds what is missing. What is unsound about each step is said at its function; figures were measured on
30,000 works of a library. Three things differ: rows and columns are numbers, where the chapter's were strings and
failed; every draw takes a seed; and there are ten epochs, where its progress range made 250 of them. The targets are
the chapter's, found in whole arrays: its loop over `list.index` gives the same numbers, only later.
"""

import json
import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from scipy.sparse import csr_array
from torch import nn
from tqdm import tqdm

from crosswalk import files
from crosswalk.batches import take
from crosswalk.factors import one_thread
from crosswalk.recommender import Fitting, Queries

log = logging.getLogger(__name__)

DIM = 10
BATCH_SIZE = 512
EPOCHS = 10
RATE = 1e-3


class PublishedBatch(NamedTuple):
    """Works, int64 (b,), the subjects that are the columns, int64 (c,), and the targets, float32 (b, c)."""

    works: np.ndarray
    subjects: np.ndarray
    targets: np.ndarray


class PublishedRecommender:
    """A fitted model. works: float32 (n, dim); subjects: float32 (S, dim); history: DataFrame, or None after `load`.

    history: epoch (from 1), loss (mean of the batches' binary cross-entropies, NaN if there was none) and log_loss (its
    natural logarithm, which the chapter draws beside it).
    """

    def __init__(self, *, works, subjects, history=None):
        self.works, self.subjects, self.history = works, subjects, history

    def score(self, queries: Queries) -> np.ndarray:
        """Float32 (b, S): the sigmoid of the product; 0 for a work that was not fitted on.

        Unsound: what a work is known to bear since it was trained on changes nothing, and a new work has no vector.
        """
        with one_thread(), torch.inference_mode():
            known = torch.from_numpy(queries.rows >= 0)[:, None]
            works = torch.from_numpy(self.works[np.maximum(queries.rows, 0)])
            return (torch.sigmoid(works @ torch.from_numpy(self.subjects).T) * known).numpy()

    def save(self, path) -> None:
        """Write the vectors as safetensors."""
        options = np.frombuffer(json.dumps({"model": "as published"}).encode(), np.uint8)
        files.write_tensors(path, {"works": self.works, "subjects": self.subjects, "options": options})


def load(path) -> PublishedRecommender:
    """What `save` wrote, without its history."""
    tensors = load_file(path)
    return PublishedRecommender(works=tensors["works"], subjects=tensors["subjects"])


def fit(
    fitting: Fitting,
    *,
    dim: int = DIM,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = RATE,
    seed: int = 0,
) -> PublishedRecommender:
    """Train as the chapter does: Adam, binary cross-entropy of the sigmoid of the products, no bias.

    The vectors begin as torch's embeddings do, standard normal.
    Unsound: without a bias the ten numbers must tell how frequent a subject is as well; nothing is held out, so nothing
    says when to stop, nor that recall@10 on the library is 0.0002, where popularity alone has 0.003.
    """
    rng = np.random.default_rng([seed, 0xC4A9])
    generator = torch.Generator().manual_seed(seed)
    n, subjects = fitting.links.shape
    with one_thread():
        tables = [nn.Parameter(torch.randn(count, dim, generator=generator)) for count in (n, subjects)]
        adam = torch.optim.Adam(tables, lr=learning_rate)
        history = []
        for epoch in tqdm(range(1, epochs + 1), desc="epochs as published", disable=None, delay=5):
            losses = [
                step(tables, adam, batch) for batch in published_batches(fitting.links, batch_size=batch_size, rng=rng)
            ]
            loss = float(np.mean(losses)) if losses else float("nan")
            history.append({"epoch": epoch, "loss": loss, "log_loss": float(np.log(loss))})
    if epochs and not losses:
        log.warning("fewer works than a batch of %d: as published, nothing was learned", batch_size)
    vectors = [table.detach().numpy() for table in tables]
    columns = ["epoch", "loss", "log_loss"]
    return PublishedRecommender(works=vectors[0], subjects=vectors[1], history=pd.DataFrame(history, columns=columns))


def published_batches(links: csr_array, *, batch_size: int, rng: np.random.Generator) -> Iterator[PublishedBatch]:
    """One epoch of the chapter's batches: works that bear a subject, in a drawn order.

    Unsound: floor division drops the tail, and every work where there are fewer than a batch. The columns are the
    concatenated subjects of the batch's works, copies and all, and only the first copy of a subject is marked, because
    `list.index` finds no other: 96 to 99 % of the true cells of a batch are labelled 0. The same code with each subject
    once has recall@10 .681 instead of .004 on software packages. Subjects that no work of the batch bears are never
    told from those that fit.
    """
    works = rng.permutation(np.flatnonzero(np.diff(links.indptr)))
    for i in range(len(works) // batch_size):
        some = works[i * batch_size : (i + 1) * batch_size]
        part = take(links, some)
        _, first, number = np.unique(part.indices, return_index=True, return_inverse=True)
        targets = np.zeros((len(some), len(part.indices)), np.float32)
        targets[part.owners, first[number]] = 1
        yield PublishedBatch(some, part.indices, targets)


def step(tables, adam, batch):
    """One step of Adam; returns the loss before it."""
    works, subjects = (table[torch.from_numpy(x)] for table, x in zip(tables, batch[:2], strict=True))
    loss = nn.functional.binary_cross_entropy(torch.sigmoid(works @ subjects.T), torch.from_numpy(batch.targets))
    adam.zero_grad()
    loss.backward()
    adam.step()
    return float(loss.detach())
