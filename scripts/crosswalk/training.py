"""Training of an autoencoder on one collection: distinct texts, standardised; and the file it is kept in."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import nn

from crosswalk import files
from crosswalk.descent import CHUNK, evaluate, fit, schedule
from crosswalk.encoders import ENCODERS
from crosswalk.errors import UserError
from crosswalk.independent import independent_components
from crosswalk.limits import ROWS_PER_UNIT

# Encoders whose input has every column at one variance, as published. The others keep the columns' proportions: raised
# to the same variance, directions in which texts hardly differ take most units of a sparse code.
EACH_COLUMN = ("dense",)


@dataclass
class Trained:
    """An autoencoder with what is needed to use it on raw rows.

    model: one of `ENCODERS`, on the CPU; mean, scale: float32 (width,) of the standardisation; seed: of the training;
    history: DataFrame with one row per epoch, or None after `load`.
    """

    model: nn.Module
    mean: np.ndarray
    scale: np.ndarray
    seed: int
    history: pd.DataFrame | None = None


def train_texts(texts, vectors, **settings):
    """Train on each distinct text once, so that neither copies of rows nor their order change what is learned.

    texts: N strings; vectors: float (N, width), the same for the same text; settings: see `train`.
    Returns Trained, its codes of all rows, float32 (N, dim), the same to the byte for the same text, and first,
    intp (n,), the first row of each distinct text in the order of the texts. Raises what `train` raises.
    """
    _, first, copy = np.unique(np.asarray(texts, dtype=object), return_index=True, return_inverse=True)
    _check_rows(f"{len(first)} distinct texts", len(first), settings["dim"])
    own = vectors[first]
    trained = train(own, **settings)
    return trained, encode(trained, own)[copy], first


def train(
    x,
    *,
    encoder,
    dim,
    seed,
    epochs,
    batch_size=None,
    learning_rate=None,
    active=None,
    matryoshka=False,
    appended=0,
    device="cpu",
):
    """Fit an autoencoder to the rows of `x`, centred and scaled: by columns for EACH_COLUMN, else all by one number.

    x: float (n, width), finite; encoder: name in `ENCODERS`; dim: units; seed: of weights and shuffling, the same bytes
    for the same seed and number of threads on one machine's CPU; epochs: passes over x, at most so many for `ica`;
    batch_size, learning_rate: see `descent.schedule`, unused by `ica`; active: units on at once in `topk`, by default a
    quarter of them and at most 8; matryoshka: see `TopK`, unused by the others; appended: how many of the last columns
    come from `steering.steer` and keep their proportion to the others; device: "cpu" or "cuda".
    Returns Trained. Its history has the columns epoch (from 1), loss (what is minimised), reconstruction_error (mean
    squared error per element of the standardised data), explained_variance (1 - error / variance) and dead_units
    (units that were on in no row). All are running figures, of each row when its turn came, but the last epoch's,
    which are measured once more on all rows with the final weights. That of `ica` has a row for each step of its
    search, with the negative of the units' mean negentropy as loss; the error does not change with the steps.
    Raises ValueError for x that is not finite, UserError for too few rows or impossible settings.
    """
    x = np.asarray(x)
    _check(x, encoder=encoder, dim=dim, active=active)
    mean, scale = moments(x, each=encoder in EACH_COLUMN, appended=appended)
    model = build(encoder, x.shape[1], dim, active=active, matryoshka=matryoshka, seed=seed)
    standard = standardise(x, mean, scale)
    if encoder == "ica":
        history = _solve(model, standard, seed=seed, steps=epochs)
    else:
        rows = torch.from_numpy(standard).to(device)
        plan = schedule(*x.shape, encoder=encoder, dim=dim, batch_size=batch_size, learning_rate=learning_rate)
        history = list(fit(model.to(device), rows, plan, seed=seed, epochs=epochs))
    return Trained(model.cpu(), mean, scale, seed, pd.DataFrame(history))


def encode(trained, x):
    """Codes of raw rows; float (n, width) -> float32 (n, dim)."""
    return _apply(
        trained.model.encode, x, trained.model.dim, lambda part: standardise(part, trained.mean, trained.scale)
    )


def decode(trained, codes):
    """Reconstruction of standardised rows from codes; float32 (n, dim) -> (n, width)."""
    return _apply(trained.model.decode, codes, trained.model.width, lambda part: np.asarray(part, dtype=np.float32))


def moments(x, *, each=True, appended=0):
    """Mean of each column, and the scale for `standardise`; two float32 (width,) arrays.

    The scale is the population standard deviation; that of a constant column, which no rounding should blow up, is 1.
    With `each` every column has its own, else all have one, the root of their mean variance. That one is also the scale
    of the last `appended` columns, which do not count towards it.
    """
    mean = np.mean(x, axis=0, dtype=np.float64)
    square = sum(np.square(x[i : i + CHUNK] - mean).sum(0) for i in range(0, len(x), CHUNK))
    deviation = np.sqrt(square / len(x))
    constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    own = slice(0, x.shape[1] - appended)
    if not constant[own].all():
        shared = slice(own.stop if each else 0, None)
        deviation[shared] = np.sqrt(np.mean(np.square(deviation[own])))
        constant[shared] = False
    return mean.astype(np.float32), np.where(constant, 1, deviation).astype(np.float32)


def standardise(x, mean, scale):
    """(x - mean) / scale, column by column, as float32 (n, width); undone by `x * scale + mean`."""
    return ((np.asarray(x, dtype=np.float32) - mean) / scale).astype(np.float32, copy=False)


def restore(trained, x):
    """Raw rows standardised, and their reconstruction; float (n, width) -> two float32 (n, width)."""
    return standardise(x, trained.mean, trained.scale), decode(trained, encode(trained, x))


def restoring(**settings):
    """The function that `reconstruction.held_out_variance` asks for; settings: see `train`."""

    def trained_on(rows, held):
        other = train(rows, **settings)
        return standardise(rows, other.mean, other.scale), *restore(other, held)

    return trained_on


def build(encoder, width, dim, *, active=None, matryoshka=False, seed=0):
    """An untrained autoencoder, its weights drawn by `seed`; see `train` for the parameters."""
    options = {}
    if encoder == "topk":
        options = {"active": active or max(1, min(8, dim // 4)), "matryoshka": matryoshka}
    return ENCODERS[encoder](width, dim, generator=torch.Generator().manual_seed(seed), **options)


def save(path, trained):
    """Write an autoencoder as safetensors: weights, `mean` and `scale`, and metadata that say how to load it."""
    model = trained.model
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    tensors |= {"mean": torch.from_numpy(trained.mean), "scale": torch.from_numpy(trained.scale)}
    metadata = {
        "encoder": next(name for name, kind in ENCODERS.items() if type(model) is kind),
        "width": model.width,
        "dim": model.dim,
        "active": getattr(model, "active", model.dim),
        "seed": trained.seed,
    }
    if getattr(model, "matryoshka", False):
        metadata["matryoshka"] = "yes"
    if trained.history is not None:
        metadata["history"] = hashlib.sha256(trained.history.to_csv(index=False).encode()).hexdigest()
    content = to_safetensors(tensors, metadata={key: str(value) for key, value in metadata.items()})
    with files.atomic(path) as file:
        file.write(_sorted_metadata(content))


def load(path):
    """Read what `save` wrote, as Trained without history. Nothing in the file is executed."""
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    mean, scale = tensors.pop("mean").numpy(), tensors.pop("scale").numpy()
    model = build(
        metadata["encoder"],
        int(metadata["width"]),
        int(metadata["dim"]),
        active=int(metadata["active"]),
        matryoshka="matryoshka" in metadata,
    )
    model.load_state_dict(tensors)
    return Trained(model, mean, scale, int(metadata["seed"]))


@torch.no_grad()
def _solve(model, x, *, seed, steps):
    """Set the weights of a model of independent components from standardised rows; the history, a list of dicts."""
    for weight in model.parameters():
        weight.zero_()
    contrast = [0.0]
    if x.any():
        found = independent_components(x, model.dim, seed=seed, steps=steps)
        contrast, kept = found.contrast, len(found.decode)  # fewer than dim where x has no more components
        model.encoder.weight[:kept] = torch.from_numpy(found.encode.T)
        model.decoder.weight[:, :kept] = torch.from_numpy(found.decode.T)
    rows = torch.from_numpy(x)
    error, dead = evaluate(model, rows)
    variance = max(float(np.square(x, dtype=np.float64).mean()), 1e-12)
    figures = {
        "reconstruction_error": error,
        "explained_variance": 1 - error / variance,
        "dead_units": int(dead.sum()),
    }
    return [{"epoch": step, "loss": -value, **figures} for step, value in enumerate(contrast, start=1)]


def _check_rows(what, count, dim):
    least = ROWS_PER_UNIT * dim
    if count < least:
        raise UserError(
            f"{what} are too few for an encoder of {dim} units, which needs at least {least}. "
            f"Take more rows (`sample.n` of the collection) or leave {dim} out of `encode.dims`."
        )


def _check(x, *, encoder, dim, active):
    """Refuse what cannot be trained on."""
    if x.ndim != 2:
        raise ValueError(f"expected rows of numbers, got an array of shape {x.shape}")
    if not all(np.isfinite(x[i : i + CHUNK]).all() for i in range(0, len(x), CHUNK)):
        raise ValueError("embeddings contain NaN or infinity")
    _check_rows(f"{len(x)} rows", len(x), dim)
    if encoder == "topk" and active is not None and active > dim:
        raise UserError(
            f"`encode.active` is {active}, but an encoder of {dim} units cannot have more than {dim} on. "
            f"Lower `encode.active` or leave {dim} out of `encode.dims`."
        )


@torch.no_grad()
def _apply(function, x, width, prepare):
    """`function` of the rows of x, a chunk at a time; prepare: what makes float32 of a chunk; width: of the result."""
    result = np.empty((len(x), width), dtype=np.float32)
    for i in range(0, len(x), CHUNK):
        result[i : i + CHUNK] = function(torch.from_numpy(prepare(x[i : i + CHUNK]))).numpy()
    return result


def _sorted_metadata(content):
    """The same safetensors file with its metadata in order: the library writes them in another order each time."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
    return content[:8] + encoded + content[8 + length :]
