"""The autoencoders: dense as the notebook published it, sparse after Gao et al. (2024), linear, and independent.

All are `encoder` (width -> dim), an activation, and a linear `decoder` (dim -> width). A class added here and
listed in `ENCODERS` can be trained, saved and swept like the rest.
"""

import math

import torch
from torch import nn


class _Autoencoder(nn.Module):
    """What all kinds share; a kind says what `activate` does with the pre-activations.

    width: length of an input row; dim: number of units; generator: torch.Generator of the initial weights, on the CPU.
    The initial weights are those of `nn.Linear`, drawn without touching torch's global generator.
    """

    def __init__(self, width, dim, *, generator=None):
        super().__init__()
        self.width, self.dim = width, dim
        self.encoder = nn.utils.skip_init(nn.Linear, width, dim)
        self.decoder = nn.utils.skip_init(nn.Linear, dim, width)
        for layer in (self.encoder, self.decoder):
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def shift(self):
        """Constant added to `x @ encoder.weight.T` before the activation; float32 (dim,)."""
        return self.encoder.bias

    def activate(self, z):
        raise NotImplementedError

    def fired(self, codes):
        """Which units of which rows say something about their row; bool, the shape of `codes`."""
        return codes > self.floor

    def encode(self, x):
        """Codes of standardised rows; float32 (n, width) -> (n, dim)."""
        return self.activate(x @ self.encoder.weight.T + self.shift())

    def decode(self, codes):
        """Rows from codes; float32 (n, dim) -> (n, width)."""
        return self.decoder(codes)

    def forward(self, x):
        return self.decode(self.encode(x))

    def squared_error(self, x, total):
        """Sum of squared errors of the reconstruction, without the reconstruction.

        x: float32 (n, width); total: sum of squares of x.
        |h W' + b - x|^2 is expanded, so that x enters one product, with both weight matrices side by side, and one
        more in the backward pass: half of the arithmetic and no temporary of the size of x.
        Returns the sum (scalar, differentiable) and the codes h, float32 (n, dim).
        """
        weight, bias = self.decoder.weight, self.decoder.bias
        z, back = (x @ torch.cat([self.encoder.weight.T, weight], 1)).split(self.dim, 1)
        codes = self.activate(z + self.shift())
        constant = len(x) * (bias @ bias) - 2 * (x.sum(0) @ bias) + 2 * (codes.sum(0) @ (weight.T @ bias))
        return total + constant + ((codes.T @ codes) * (weight.T @ weight)).sum() - 2 * (codes * back).sum(), codes

    def nested_error(self, x, total, prefixes):
        """`squared_error`, and the mean of the errors that the first units alone would leave, for each of `prefixes`.

        prefixes: rising numbers of units, the last one `dim`. The products are those of `squared_error`, summed in
        parts. Returns both sums (scalars, differentiable) and the codes.
        """
        weight, bias = self.decoder.weight, self.decoder.bias
        z, back = (x @ torch.cat([self.encoder.weight.T, weight], 1)).split(self.dim, 1)
        codes = self.activate(z + self.shift())
        alone = 2 * codes.sum(0) * (weight.T @ bias) - 2 * (codes * back).sum(0)
        between = (codes.T @ codes) * (weight.T @ weight)
        constant = total + len(x) * (bias @ bias) - 2 * (x.sum(0) @ bias)
        errors = [constant + alone[:m].sum() + between[:m, :m].sum() for m in prefixes]
        return errors[-1], torch.stack(errors).mean(), codes


class Dense(_Autoencoder):
    """Linear, ReLU, Sigmoid, Linear: the notebook's autoencoder. A unit that is off reads .5."""

    floor = 0.5

    def activate(self, z):
        return torch.sigmoid(torch.relu(z))


class Linear(_Autoencoder):
    """Linear, Linear: learns the space of as many principal components, its units anywhere within (Baldi and Hornik,
    1989). Codes have either sign. The decoder starts as the encoder's transpose, with atoms of unit norm."""

    def __init__(self, width, dim, *, generator=None):
        super().__init__(width, dim, generator=generator)
        _tie(self)

    def activate(self, z):
        return z

    def fired(self, codes):
        return codes != 0


class Independent(Linear):
    """Independent components, which `crosswalk.independent` finds without gradients, in the frame of the rest."""


class TopK(_Autoencoder):
    """k-sparse autoencoder with unit-norm atoms (Gao et al., Scaling and evaluating sparse autoencoders, 2024).

    active: units of a row that may be on, 1 <= active <= dim; the rest are 0, and no code is negative.
    matryoshka: whether the first quarter and the first half of the units are also trained to do alone, so that the
    first units hold what is general (Bussmann et al., Learning multi-level features with matryoshka sparse
    autoencoders, 2025).
    The decoder's columns ("atoms") have unit norm and the decoder starts as the encoder's transpose. `decoder.bias`
    is the pre-bias: taken from a row before it is encoded, added again after it is decoded.
    """

    floor = 0.0

    def __init__(self, width, dim, *, active, matryoshka=False, generator=None):
        super().__init__(width, dim, generator=generator)
        self.active, self.matryoshka = active, matryoshka
        self.prefixes = sorted({max(1, dim // 4), max(1, dim // 2), dim}) if matryoshka else [dim]
        _tie(self)

    def shift(self):
        return self.encoder.bias - self.encoder.weight @ self.decoder.bias

    def activate(self, z):
        kept = z.topk(self.active, dim=1, sorted=False)
        return torch.zeros_like(z).scatter(1, kept.indices, torch.relu(kept.values))

    @torch.no_grad()
    def normalise(self):
        """Give every atom unit norm again; call after each step."""
        _normalise(self.decoder.weight)

    @torch.no_grad()
    def straighten(self):
        """Take from the decoder's gradient what would only change the norm of an atom; call before each step."""
        weight, gradient = self.decoder.weight, self.decoder.weight.grad
        gradient -= (gradient * weight).sum(0) * weight

    def dead_error(self, x, codes, dead, count):
        """Squared error of the residual as dead units alone would explain it: the auxiliary loss of Gao et al.

        x, codes: as in `squared_error`; dead: bool (dim,), at least one; count: how many dead units each row may use.
        Their strengths are not rectified here, or a unit below zero in all rows would have no gradient to rise by.
        Returns the error as a share of the residual's square, a differentiable scalar.
        """
        residual = x - self.decode(codes).detach()
        z = (x @ self.encoder.weight.T + self.shift()).masked_fill(~dead, -torch.inf)
        kept = z.topk(min(count, int(dead.sum())), dim=1, sorted=False)
        revived = torch.zeros_like(z).scatter(1, kept.indices, kept.values)
        return (residual - revived @ self.decoder.weight.T).square().sum() / residual.square().sum().clamp_min(1e-12)

    @torch.no_grad()
    def reinitialise(self, unit, row, residual, strength):
        """Let `unit` read what the others leave of a row.

        row, residual: float32 (width,), the row and what its reconstruction lacks; strength: the unit's
        pre-activation of the row, above 0 and among its `active` largest for the unit to be on.
        """
        atom = residual / torch.linalg.vector_norm(residual)
        self.decoder.weight[:, unit] = atom
        self.encoder.weight[unit] = atom
        self.encoder.bias[unit] = strength - atom @ (row - self.decoder.bias)


@torch.no_grad()
def _tie(model):
    """Start with atoms of unit norm, an encoder that is the decoder's transpose, and no biases."""
    model.decoder.weight.copy_(model.encoder.weight.T)
    _normalise(model.decoder.weight)
    model.encoder.weight.copy_(model.decoder.weight.T)
    model.encoder.bias.zero_()
    model.decoder.bias.zero_()


def _normalise(weight):
    weight /= torch.linalg.vector_norm(weight, dim=0).clamp_min(1e-12)


ENCODERS = {"dense": Dense, "topk": TopK, "linear": Linear, "ica": Independent}
