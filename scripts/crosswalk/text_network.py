"""Subjects from a work's words and embedding by a small network, learned by softmax over the subjects of each work.

The words' vectors are summed, as in fastText (Joulin et al., 2017), the embedding is projected and added, and two
layers with a shortcut follow (He et al., 2016). Whole words and units are hidden at random while it learns (Srivastava
et al., 2014). It reads no subject of the work it answers: known and new works are the same to it.
"""

import json
import logging

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from crosswalk import batches, files
from crosswalk.factorisation import SAMPLED, sampler_of
from crosswalk.factors import one_thread
from crosswalk.priors import bag, chosen_terms, renumbered
from crosswalk.recommender import Fitting, Queries
from crosswalk.softmax import cross_entropy, targets

log = logging.getLogger(__name__)

DIM = 256
EPOCHS = 10
BATCH_SIZE = 512
RATE = 0.004  # at its height
WORDS_RATE = 2.5  # times as much for the words' vectors, of which a batch moves few
WORDS, UNITS = 0.1, 0.1  # shares hidden
FIRST = 0.1  # spread of the words' first vectors
LENGTH = 8.0  # to which an embedding is brought, that it count beside the words from the start
USUAL = 5  # subjects of a work by which the loss is measured
LEAST_STEPS = 600  # few works are gone through more often
LEAST_BATCH = 32


class Network(nn.Module):
    """The network. terms, width: of the words and of the embedding, 0 for none; subjects; dim: of the layers."""

    def __init__(self, *, terms, width, subjects, dim, generator):
        super().__init__()
        self.words = nn.Parameter(torch.randn(terms, dim, generator=generator) * FIRST) if terms else None
        self.project = _table(width, dim, generator) if width else None
        self.first, self.second = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.hidden = _table(dim, dim, generator)
        self.out = nn.Parameter(_table(dim, subjects, generator).detach().T.contiguous())
        self.bias = nn.Parameter(torch.zeros(subjects))
        self._generator = generator

    def forward(self, words, vectors):
        """What the last layer multiplies with `out`: float32 (b, dim). words: Part; vectors: float32 (b, width)."""
        inner = self.first
        if self.words is not None:
            inner = inner + self._bag(words)
        if self.project is not None:
            inner = inner + vectors @ self.project
        inner = self._thinned(torch.relu(inner))
        return self._thinned(inner + torch.relu(inner @ self.hidden + self.second))

    def _bag(self, words):
        if not self.training:
            return bag(self.words, words)
        seen = torch.rand(len(words.indices), generator=self._generator) >= WORDS
        weights = torch.from_numpy(words.data) * seen / (1 - WORDS)
        indices, starts = torch.from_numpy(words.indices), torch.from_numpy(words.indptr[:-1])
        return functional.embedding_bag(
            indices, self.words, starts, mode="sum", per_sample_weights=weights, sparse=True
        )

    def _thinned(self, units):
        if not self.training:
            return units
        return units * (torch.rand(units.shape, generator=self._generator) >= UNITS) / (1 - UNITS)


class TextNetwork:
    """A fitted model. net: Network; numbers: int64 (F,), the word of each term, -1 for none."""

    def __init__(self, net, numbers):
        self.net, self.numbers = net.eval().requires_grad_(False), numbers

    def score(self, queries: Queries) -> np.ndarray:
        """Float32 (b, S): share of each subject in what a work is about, as the network sees it."""
        with one_thread(), torch.inference_mode():
            inner = self.net(*_seen(queries, np.arange(len(queries)), self.net, self.numbers))
            shares = torch.softmax(torch.addmm(self.net.bias, inner, self.net.out.T), 1).numpy()
        silent = np.diff(queries.features.indptr) == 0
        if silent.any() and self.net.project is None:
            shares[silent] = 0
        return shares

    def save(self, path) -> None:
        """Write the model to one safetensors file."""
        net = self.net
        sizes = {
            "terms": 0 if net.words is None else len(net.words),
            "width": 0 if net.project is None else len(net.project),
            "subjects": len(net.out),
            "dim": len(net.first),
        }
        tensors = {f"net.{name}": value.numpy() for name, value in net.state_dict().items()}
        tensors["sizes"] = np.frombuffer(json.dumps(sizes, sort_keys=True).encode(), np.uint8)
        files.write_tensors(path, tensors | {"numbers": self.numbers})


def load(path) -> TextNetwork:
    """What `save` wrote."""
    tensors = load_file(path)
    net = Network(**json.loads(bytes(tensors["sizes"]).decode()), generator=torch.Generator())
    own = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in own.items()})
    return TextNetwork(net, tensors["numbers"])


def fit(fitting: Fitting, *, dim=DIM, epochs=EPOCHS, batch_size=BATCH_SIZE, learning_rate=RATE, seed=0) -> TextNetwork:
    """Learn from the works that have subjects, and a word or an embedding. The same bytes for the same seed.

    dim: units of a layer; epochs: passes over the works, more if these are few; batch_size: works learned at once;
    learning_rate: at its height. Beyond `factorisation.FULL` subjects the softmax is over some that are drawn.
    Raises ValueError if no such work exists or a number is not above 0.
    """
    if min(dim, epochs, batch_size) < 1 or learning_rate <= 0:
        raise ValueError("dim, epochs, batch_size and learning_rate must be above 0")
    numbers = chosen_terms(fitting.features)
    rows = np.flatnonzero(np.diff(fitting.links.indptr))
    if fitting.vectors is None:
        rows = rows[np.diff(fitting.features.indptr)[rows] > 0]
    if not len(rows):
        raise ValueError("no work has both a subject and a text: there is nothing to learn from")
    rng, generator = np.random.default_rng([seed, 0x7E87]), torch.Generator().manual_seed(seed)
    with one_thread():
        width = 0 if fitting.vectors is None else fitting.vectors.shape[1]
        sizes = {"terms": int(numbers.max(initial=-1)) + 1, "width": width, "subjects": fitting.links.shape[1]}
        net = Network(**sizes, dim=dim, generator=generator)
        counts = np.bincount(fitting.links.indices, minlength=len(net.bias)) + 1.0
        with torch.no_grad():
            net.bias.copy_(torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32)))
        _train(net, fitting, rows, numbers, epochs=epochs, batch_size=batch_size, rate=learning_rate, rng=rng)
    return TextNetwork(net, numbers)


def _train(net, fitting, rows, numbers, *, epochs, batch_size, rate, rng):
    batch_size = min(batch_size, max(LEAST_BATCH, len(rows) // 50))
    epochs = max(epochs, -(-LEAST_STEPS * LEAST_BATCH // max(len(rows), 1)))
    steps, sampler = epochs * -(-len(rows) // batch_size), sampler_of(fitting.links, size=SAMPLED)
    dense = [value for name, value in net.named_parameters() if name != "words"]
    movers = [(torch.optim.Adam(dense, lr=rate, fused=True), rate)]
    if net.words is not None:
        movers.append((torch.optim.SparseAdam([net.words], lr=rate * WORDS_RATE), rate * WORDS_RATE))
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(mover, height, total_steps=steps, cycle_momentum=False)
        for mover, height in movers
    ]
    net.train()
    for epoch in tqdm(range(1, epochs + 1), desc="epochs of the network", disable=None, delay=5):
        total = 0.0
        for batch in batches.epoch(fitting.links, rows, batch_size=batch_size, rng=rng):
            loss = _loss(net, fitting, batch, numbers, sampler, rng)
            for mover, _ in movers:
                mover.zero_grad(set_to_none=True)
            loss.backward()
            for (mover, _), schedule in zip(movers, schedules, strict=True):
                mover.step()
                schedule.step()
            total += float(loss.detach()) * len(batch.rows)
        log.info("epoch %d of %d: loss %.3f", epoch, epochs, total / len(rows))


def _loss(net, fitting, batch, numbers, sampler, rng):
    """Each subject of a work counts alike: works with many count for more, which new works' recall rewards."""
    inner = net(*_seen(fitting, batch.rows, net, numbers))
    drawn = None if sampler is None else sampler.draw(batch.links, rng=rng)
    wanted = targets(batch.links, among=None if drawn is None else drawn.subjects)
    mass = torch.from_numpy((np.repeat(batch.links.lengths, batch.links.lengths) / USUAL).astype(np.float32))
    wanted = wanted._replace(weights=wanted.weights * mass)
    if drawn is None:
        return cross_entropy(inner, net.out, net.bias, wanted)
    some = torch.from_numpy(drawn.subjects)
    return cross_entropy(inner, net.out[some], net.bias[some], wanted, log_chance=drawn.log_chance)


def _seen(source, rows, net, numbers):
    """What the network is shown of some rows of a Fitting or of Queries: a Part of words, and vectors or None."""
    words = None if net.words is None else renumbered(batches.take(source.features, rows), numbers)
    if net.project is None:
        return words, None
    vectors = source.vectors[rows].astype(np.float32, copy=False)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return words, torch.from_numpy(vectors * (LENGTH / np.where(lengths > 0, lengths, 1)))


def _table(rows, columns, generator):
    """Trainable weights, even between +- 1 / sqrt(rows), as torch's own layers begin."""
    return nn.Parameter((torch.rand(rows, columns, generator=generator) * 2 - 1) / rows**0.5)
