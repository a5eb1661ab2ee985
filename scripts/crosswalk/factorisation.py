"""Factorisation done properly: works and subjects as vectors, learned by softmax over the subjects of each work.

The network is in `factors`, its training in `factor_training`; here is the model that others use, and its file.
"""

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from crosswalk import files
from crosswalk.factor_training import hold_back, train
from crosswalk.factors import Factors, Sizes, one_thread
from crosswalk.priors import chosen_terms, wanted, words_of_labels
from crosswalk.recommender import Fitting, Queries
from crosswalk.softmax import Sampler

DIM = 256
EPOCHS = 10
BATCH_SIZE = 1024
RATE = 0.01
DECAY = 0.01
DROPOUT = 0.2
FULL = 4096  # subjects up to which the softmax is over all of them
SAMPLED = 2048  # subjects that stand for all beyond
MATRICES = ("broader", "labels")


class Factorisation:
    """A fitted model.

    net: Factors; history: DataFrame with epoch (from 1), loss (nats, what is minimised, running), log_loss (nats) and
    recall_at_10 of the links held back, or None after `load`; facts: dict with log_loss and recall_at_10 (None where
    nothing was held back), epoch (whose vectors were kept) and gates (dict of name to number).
    """

    def __init__(self, net, *, history=None, facts=None):
        self.net, self.history, self.facts = net.eval(), history, facts
        with torch.inference_mode():
            self._subjects = net.of_subjects().detach()

    def score(self, queries: Queries) -> np.ndarray:
        """Float32 (b, S): the probability that a subject is the next of a work, 0 for what it bears."""
        known = self.net.known(queries, np.arange(len(queries)))
        with one_thread(), torch.inference_mode():
            logits = self._logits(known)
            logits[torch.from_numpy(known.links.owners), torch.from_numpy(known.links.indices)] = -torch.inf
            # A work that bears everything has nothing left, of which the softmax would be NaN.
            return torch.softmax(logits, 1).nan_to_num_(0).numpy()

    def vectors_of_subjects(self) -> np.ndarray:
        """Float32 (S, dim)."""
        return self._subjects.numpy()

    def vectors_of_works(self, queries: Queries) -> np.ndarray:
        """Float32 (b, dim)."""
        with one_thread(), torch.inference_mode():
            return self.net.of_works(self.net.known(queries, np.arange(len(queries)))).numpy()

    def save(self, path) -> None:
        """Write the model as one safetensors file; nothing in it can be executed."""
        net = self.net
        options = {"sizes": net.sizes._asdict(), "gates": sorted(net.gates), "works": net.works, "facts": self.facts}
        tensors = {f"net.{name}": value.detach().numpy() for name, value in net.state_dict().items()}
        tensors["options"] = np.frombuffer(json.dumps(options, sort_keys=True).encode(), np.uint8)
        if net.numbers is not None:
            tensors["numbers"] = net.numbers
        for name in MATRICES:
            matrix = getattr(net, name)
            if matrix is not None:
                tensors |= {f"{name}.{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
                tensors[f"{name}.shape"] = np.array(matrix.shape, np.int64)
        files.write_tensors(path, tensors)

    def _logits(self, known):
        return torch.addmm(self.net.bias, self.net.of_works(known), self._subjects.T)


def load(path) -> Factorisation:
    """What `save` wrote, without its history."""
    tensors = load_file(path)
    options = json.loads(bytes(tensors["options"]).decode())
    matrices = {
        name: csr_array(
            tuple(tensors[f"{name}.{part}"] for part in ("data", "indices", "indptr")), shape=tensors[f"{name}.shape"]
        )
        for name in MATRICES
        if f"{name}.data" in tensors
    }
    net = Factors(
        Sizes(**options["sizes"]),
        gates=options["gates"],
        works=options["works"],
        generator=torch.Generator(),
        numbers=tensors.get("numbers"),
        **matrices,
    )
    state = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    return Factorisation(net, facts=options["facts"])


def fit(
    fitting: Fitting,
    *,
    dim: int = DIM,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = RATE,
    prior: Sequence[str] = ("text", "hierarchy", "labels"),
    works: str = "folded",
    loss: str = "auto",
    sampled: int = SAMPLED,
    dropout: float = DROPOUT,
    decay: float = DECAY,
    seed: int = 0,
) -> Factorisation:
    """Learn the vectors, by AdamW on one thread: the same bytes for the same seed.

    dim: length of the vectors; epochs: passes over the works, at most; batch_size: works in a batch, at most (few works
    are learned in smaller batches); learning_rate: at its height, it rises and falls; prior: names in `priors.PRIORS`,
    each of which counts if the fitting has it; works: "folded", made of what a work bears, or "free", one of its own;
    loss: "softmax" over all subjects, "sampled" over about `sampled` of them, or "auto" by their number; dropout: of
    the works' vectors; decay: of the weights.
    Raises ValueError for settings that cannot be, or no link to learn from.
    """
    if loss not in ("auto", "softmax", "sampled"):
        raise ValueError(f"loss '{loss}': there are auto, softmax, sampled")
    if min(dim, epochs, batch_size, sampled) < 1 or learning_rate <= 0 or not 0 <= dropout < 1:
        raise ValueError("dim, epochs, batch_size, sampled and the rate must be above 0, dropout from 0 to below 1")
    if not fitting.links.nnz:
        raise ValueError("no work bears a subject: there is nothing to learn from")
    rng = np.random.default_rng([seed, 0xFAC7])
    links, held = hold_back(fitting.links, rng=rng)
    own = dataclasses.replace(fitting, links=links)
    with one_thread():
        net = build(own, dim=dim, prior=prior, works=works, dropout=dropout, seed=seed)
        sampler = sampler_of(links, loss=loss, size=sampled)
        options = {"epochs": epochs, "batch_size": batch_size, "rate": learning_rate, "decay": decay}
        history = pd.DataFrame(train(net, own, held, sampler, rng=rng, **options))
        best = history.iloc[history["recall_at_10"].fillna(-1).to_numpy().argmax() if len(held.rows) else -1]
        facts = {
            "log_loss": None if np.isnan(best["log_loss"]) else float(best["log_loss"]),
            "recall_at_10": None if np.isnan(best["recall_at_10"]) else float(best["recall_at_10"]),
            "epoch": int(best["epoch"]),
            "gates": {name: float(gate.detach()) for name, gate in sorted(net.gates.items())},
        }
        return Factorisation(net, history=history, facts=facts)


def sampler_of(links: csr_array, *, loss: str = "auto", size: int = SAMPLED) -> Sampler | None:
    """What draws the subjects by which links (n, S) are learned; None for the softmax over all. loss: as in `fit`."""
    if loss == "softmax" or (loss == "auto" and links.shape[1] <= FULL):
        return None
    works = int((np.diff(links.indptr) > 0).sum())
    return Sampler(np.bincount(links.indices, minlength=links.shape[1]), works, size=size)


def build(fitting, *, dim, prior, works="folded", dropout=0.0, seed=0) -> Factors:
    """A network for what there is to learn from, untrained but for the bias, the log of the frequency."""
    gates = wanted(fitting, prior)
    numbers = chosen_terms(fitting.features) if "text" in gates else None
    sizes = Sizes(
        *fitting.links.shape,
        dim,
        terms=0 if numbers is None else int(numbers.max()) + 1,
        width=fitting.vectors.shape[1] if "vectors" in gates else 0,
        places=fitting.paths.shape[1] if "paths" in gates else 0,
    )
    net = Factors(
        sizes,
        gates=gates,
        works=works,
        generator=torch.Generator().manual_seed(seed),
        broader=fitting.broader if "hierarchy" in gates else None,
        labels=words_of_labels(fitting.labels) if "labels" in gates else None,
        numbers=numbers,
        dropout=dropout,
    )
    counts = np.bincount(fitting.links.indices, minlength=sizes.subjects) + 1.0
    with torch.no_grad():
        net.bias.copy_(torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32)))
    return net
