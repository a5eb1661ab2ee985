"""Training of an autoencoder on one collection: standardise, schedule, loop, history, and the file it is kept in."""

import hashlib
import json
import logging
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save as to_safetensors
from torch import nn
from tqdm import tqdm

from crosswalk import files
from crosswalk.encoders import ENCODERS
from crosswalk.errors import UserError
from crosswalk.limits import ROWS_PER_UNIT

logger = logging.getLogger(__name__)

CHUNK = 8192  # rows held in memory at once outside the loop
AUXILIARY = 1 / 32  # weight of the loss on dead units (Gao et al., 2024)
WARM_UP = 0.05  # share of the steps in which the rate rises; then it falls to 0 along a line
# Peak rates before scaling, the best of a few powers of two on the data of benchmarks/training.py and on smaller ones.
DENSE_ENCODER_RATE, DENSE_DECODER_RATE, TOPK_RATE = 0.12, 0.6, 0.3


@dataclass
class Trained:
    """An autoencoder with what is needed to use it on raw rows.

    model: Dense or TopK, on the CPU; mean, scale: float32 (width,) of the standardisation; seed: of the training;
    history: DataFrame with one row per epoch, or None after `load`.
    """

    model: nn.Module
    mean: np.ndarray
    scale: np.ndarray
    seed: int
    history: pd.DataFrame | None = None


@dataclass(frozen=True)
class Schedule:
    """Rows of a step, the rates of Adam for the two layers, and whether they stay as they are or rise and fall."""

    batch_size: int
    encoder_rate: float
    decoder_rate: float
    constant: bool


def train(x, *, encoder, dim, seed, epochs, batch_size=None, learning_rate=None, active=None, device="cpu"):
    """Fit an autoencoder to the standardised rows of `x`.

    x: float (n, width), finite; encoder: name in `ENCODERS`; dim: units; seed: of weights and shuffling, the same bytes
    for the same seed and number of threads on one machine's CPU; epochs: passes over x; batch_size, learning_rate: see
    `schedule`; active: units on at once in `topk`, by default a quarter of them and at most 8; device: "cpu" or "cuda".
    Returns Trained. Its history has the columns epoch (from 1), loss (what is minimised), reconstruction_error (mean
    squared error per element of the standardised data), explained_variance (1 - error / variance) and dead_units
    (units that were on in no row). All are running figures, of each row when its turn came, but the last epoch's,
    which are measured once more on all rows with the final weights.
    Raises ValueError for x that is not finite, UserError for too few rows or impossible settings.
    """
    x = np.asarray(x)
    _check(x, encoder=encoder, dim=dim, active=active)
    mean, scale = moments(x)
    model = build(encoder, x.shape[1], dim, active=active, seed=seed).to(device)
    plan = schedule(*x.shape, encoder=encoder, dim=dim, batch_size=batch_size, learning_rate=learning_rate)
    rows = torch.from_numpy(standardise(x, mean, scale)).to(device)
    history = pd.DataFrame(list(fit(model, rows, plan, seed=seed, epochs=epochs)))
    return Trained(model.cpu(), mean, scale, seed, history)


def encode(trained, x):
    """Codes of raw rows; float (n, width) -> float32 (n, dim)."""
    return _apply(
        trained.model.encode, x, trained.model.dim, lambda part: standardise(part, trained.mean, trained.scale)
    )


def decode(trained, codes):
    """Reconstruction of standardised rows from codes; float32 (n, dim) -> (n, width)."""
    return _apply(trained.model.decode, codes, trained.model.width, lambda part: np.asarray(part, dtype=np.float32))


def moments(x):
    """Mean and scale of each column for `standardise`; two float32 (width,) arrays.

    The scale is the population standard deviation; that of a constant column, which no rounding should blow up, is 1.
    """
    mean = np.mean(x, axis=0, dtype=np.float64)
    square = sum(np.square(x[i : i + CHUNK] - mean).sum(0) for i in range(0, len(x), CHUNK))
    deviation = np.sqrt(square / len(x))
    constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
    return mean.astype(np.float32), np.where(constant, 1, deviation).astype(np.float32)


def standardise(x, mean, scale):
    """(x - mean) / scale, column by column, as float32 (n, width); undone by `x * scale + mean`."""
    return ((np.asarray(x, dtype=np.float32) - mean) / scale).astype(np.float32, copy=False)


def build(encoder, width, dim, *, active=None, seed=0):
    """An untrained autoencoder, its weights drawn by `seed`; see `train` for the parameters."""
    options = {"active": active or max(1, min(8, dim // 4))} if encoder == "topk" else {}
    return ENCODERS[encoder](width, dim, generator=torch.Generator().manual_seed(seed), **options)


def schedule(n, width, *, encoder, dim, batch_size=None, learning_rate=None):
    """Choose batch size and rates for `n` rows of `width` numbers.

    batch_size: rows of a step; by default about a tenth of the rows, between 32 and 1,024, evened out so that no batch
    is a remainder. learning_rate: a constant rate for all weights, as published; by default one rate for each layer
    that rises and falls, scaled with the square root of a batch that is not the default. A dense decoder is fed by few
    units between .5 and 1, so it needs far larger weights and a far larger rate than the encoder, which adds up a whole
    row and would saturate: a rate of its own for each is what lets large batches learn fast.
    """
    target = min(1024, max(32, 2 ** round(math.log2(n / 10))))
    even = math.ceil(n / max(1, round(n / target)))
    batch_size = batch_size or even
    if learning_rate is not None:
        return Schedule(batch_size, learning_rate, learning_rate, constant=True)
    scaled = math.sqrt(batch_size / even)
    if encoder == "topk":
        encoder_rate = decoder_rate = TOPK_RATE / math.sqrt(width)
    else:
        encoder_rate, decoder_rate = DENSE_ENCODER_RATE / math.sqrt(width), DENSE_DECODER_RATE / math.sqrt(dim)
    return Schedule(batch_size, encoder_rate * scaled, decoder_rate * scaled, constant=False)


def fit(model, x, plan, *, seed, epochs):
    """Train `model` in place; yield one row of history, a dict, after each epoch.

    model: as from `build`; x: float32 tensor (n, width), standardised, on the model's device; plan: Schedule.
    """
    # Not the seed of the weights itself, or the first shuffle would be made of the same numbers.
    generator = torch.Generator().manual_seed(seed ^ 0x5EED)
    adam = torch.optim.Adam(
        [
            {"params": list(model.encoder.parameters()), "peak": plan.encoder_rate, "lr": plan.encoder_rate},
            {"params": list(model.decoder.parameters()), "peak": plan.decoder_rate, "lr": plan.decoder_rate},
        ],
        fused=True,
    )
    squares = torch.cat([part.square().sum(1) for part in x.split(CHUNK)])
    variance = max(float(squares.double().sum()) / x.numel(), 1e-12)
    sparse = hasattr(model, "dead_error")
    steps, step = epochs * math.ceil(len(x) / plan.batch_size), 0
    dead = torch.zeros(model.dim, dtype=torch.bool, device=x.device)
    for epoch in tqdm(range(1, epochs + 1), desc="epochs", disable=None, leave=False):
        fired, loss, error = torch.zeros_like(dead), 0.0, 0.0
        revive = sparse and bool(dead.any())
        for rows in torch.randperm(len(x), generator=generator).to(x.device).split(plan.batch_size):
            step += 1
            if not plan.constant:
                factor = _factor(step, steps)
                for group in adam.param_groups:
                    group["lr"] = group["peak"] * factor
            batch = x[rows]
            squared, codes = model.squared_error(batch, squares[rows].sum())
            objective = squared / batch.numel()
            if sparse:
                objective = objective / variance
                if revive:
                    objective = objective + AUXILIARY * model.dead_error(batch, codes, dead, max(1, model.dim // 2))
            adam.zero_grad()
            objective.backward()
            if sparse:
                model.straighten()
            adam.step()
            if sparse:
                model.normalise()
            fired |= model.fired(codes.detach()).any(0)
            loss += objective.detach() * len(rows)
            error += squared.detach()
        dead = ~fired
        loss, error = float(loss) / len(x), float(error) / x.numel()
        if epoch == epochs:
            error, dead = evaluate(model, x)
            loss = error / variance if sparse else error
        yield {
            "epoch": epoch,
            "loss": loss,
            "reconstruction_error": error,
            "explained_variance": 1 - error / variance,
            "dead_units": int(dead.sum()),
        }


@torch.no_grad()
def evaluate(model, x):
    """Mean squared error per element of the reconstruction of `x`, a float, and the units off in all rows, bool (dim,).

    x: float32 tensor (n, width), standardised.
    """
    error, fired = 0.0, torch.zeros(model.dim, dtype=torch.bool, device=x.device)
    for part in x.split(CHUNK):
        codes = model.encode(part)
        fired |= model.fired(codes).any(0)
        error += float((model.decode(codes) - part).square().sum(dtype=torch.float64))
    return error / x.numel(), ~fired


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
    model = build(metadata["encoder"], int(metadata["width"]), int(metadata["dim"]), active=int(metadata["active"]))
    model.load_state_dict(tensors)
    return Trained(model, mean, scale, int(metadata["seed"]))


def _check(x, *, encoder, dim, active):
    """Refuse what cannot be trained on."""
    if x.ndim != 2:
        raise ValueError(f"expected rows of numbers, got an array of shape {x.shape}")
    if not all(np.isfinite(x[i : i + CHUNK]).all() for i in range(0, len(x), CHUNK)):
        raise ValueError("embeddings contain NaN or infinity")
    least = ROWS_PER_UNIT * dim
    if len(x) < least:
        raise UserError(
            f"{len(x)} rows are too few for an encoder of {dim} units, which needs at least {least}. "
            f"Take more rows (`sample.n` of the collection) or leave {dim} out of `encode.dims`."
        )
    if encoder == "topk" and active is not None and active > dim:
        raise UserError(
            f"`encode.active` is {active}, but an encoder of {dim} units cannot have more than {dim} on. "
            f"Lower `encode.active` or leave {dim} out of `encode.dims`."
        )


def _factor(step, steps):
    """Share of the peak rate at a step from 1: up along a line, then down to 0."""
    warm = max(1, round(WARM_UP * steps))
    return min(step / warm, (steps - step + 1) / (steps - warm + 1))


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
