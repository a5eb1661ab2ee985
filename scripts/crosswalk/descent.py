"""The loop that trains an autoencoder: batches, rates, losses, units that fall silent, figures of each epoch."""

import math
from dataclasses import dataclass

import torch
from tqdm import tqdm

CHUNK = 8192  # rows held in memory at once outside the loop
AUXILIARY = 1 / 32  # weight of the loss on dead units (Gao et al., 2024)
WARM_UP = 0.05  # share of the steps in which the rate rises; then it falls to 0 along a line
PATIENCE = 0.05  # share of the epochs that the auxiliary loss has to revive a unit before it is given a row
LAST_PART = 0.2  # share of the epochs, the last ones, in which a dead unit is given a row at once
AMONG = 1.01  # a unit that is given a row is on by this much more than the weakest that was
# Peak rates before scaling, the best of a few powers of two on the data of benchmarks/training.py and on smaller ones.
DENSE_ENCODER_RATE, DENSE_DECODER_RATE, TOPK_RATE, LINEAR_RATE = 0.12, 0.6, 0.3, 0.3


@dataclass(frozen=True)
class Schedule:
    """Rows of a step, the rates of Adam for the two layers, and whether they stay as they are or rise and fall."""

    batch_size: int
    encoder_rate: float
    decoder_rate: float
    constant: bool


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
    if encoder == "dense":
        encoder_rate, decoder_rate = DENSE_ENCODER_RATE / math.sqrt(width), DENSE_DECODER_RATE / math.sqrt(dim)
    else:
        encoder_rate = decoder_rate = (TOPK_RATE if encoder == "topk" else LINEAR_RATE) / math.sqrt(width)
    return Schedule(batch_size, encoder_rate * scaled, decoder_rate * scaled, constant=False)


def fit(model, x, plan, *, seed, epochs):
    """Train `model` in place; yield one row of history, a dict, after each epoch.

    model: as from `training.build`; x: float32 tensor (n, width), standardised, on the model's device; plan: Schedule.
    A sparse model ends without a dead unit, unless all rows are the same: the auxiliary loss revives most, and one that
    it does not is given the worst reconstructed row to read, at the latest after the last epoch.
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
    sparse, nested = hasattr(model, "dead_error"), len(getattr(model, "prefixes", [])) > 1
    steps, step = epochs * math.ceil(len(x) / plan.batch_size), 0
    dead = torch.zeros(model.dim, dtype=torch.bool, device=x.device)
    silent = torch.zeros(model.dim, dtype=torch.int64, device=x.device)  # epochs since a unit was on
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
            if nested:
                squared, minimised, codes = model.nested_error(batch, squares[rows].sum(), model.prefixes)
            else:
                squared, codes = model.squared_error(batch, squares[rows].sum())
                minimised = squared
            objective = minimised / batch.numel()
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
        if sparse and epoch < epochs:
            silent = torch.where(dead, silent + 1, 0)
            patience = 1 if epoch >= (1 - LAST_PART) * epochs else max(1, round(PATIENCE * epochs))
            given = give_rows(model, x, silent >= patience, adam)
            silent[given], dead = 0, dead & ~given
        if epoch == epochs:
            error, dead = (rouse if sparse else evaluate)(model, x)
            loss = error / variance if sparse else error
        yield {
            "epoch": epoch,
            "loss": loss,
            "reconstruction_error": error,
            "explained_variance": 1 - error / variance,
            "dead_units": int((~fired if epoch < epochs else dead).sum()),
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


@torch.no_grad()
def give_rows(model, x, dead, adam=None):
    """Let each dead unit of a sparse model read what is missing of one of the worst reconstructed rows, one row each.

    x: as in `evaluate`; dead: bool (dim,); adam: the optimiser, which forgets what it knew of these units.
    Returns bool (dim,): the units that were given a row; none if there is nothing to read.
    """
    given = torch.zeros_like(dead)
    count = int(dead.sum())
    if not count:
        return given
    errors = torch.cat([(model(part) - part).square().sum(1) for part in x.split(CHUNK)])
    worst = errors.topk(min(count, len(x)))
    for unit, row, error in zip(dead.nonzero().ravel().tolist(), worst.indices.tolist(), worst.values, strict=False):
        if error <= 1e-12 * x.shape[1]:
            break
        codes = model.encode(x[[row]])
        residual = x[row] - model.decode(codes)[0]
        weakest = codes.topk(model.active, dim=1).values[0, -1]
        model.reinitialise(unit, x[row], residual, torch.maximum(AMONG * weakest, error.sqrt()))
        given[unit] = True
        for weight, at in (
            (model.encoder.weight, unit),
            (model.encoder.bias, unit),
            (model.decoder.weight, (slice(None), unit)),
        ):
            for key in ("exp_avg", "exp_avg_sq"):
                if adam is not None and weight in adam.state:
                    adam.state[weight][key][at] = 0
    return given


def rouse(model, x):
    """`evaluate`, after rows were given to dead units until none is left or none can be had."""
    for _ in range(model.dim):
        error, dead = evaluate(model, x)
        if not give_rows(model, x, dead).any():
            break
    return error, dead


def _factor(step, steps):
    """Share of the peak rate at a step from 1: up along a line, then down to 0."""
    warm = max(1, round(WARM_UP * steps))
    return min(step / warm, (steps - step + 1) / (steps - warm + 1))
