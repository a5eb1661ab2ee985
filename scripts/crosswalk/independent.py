"""Independent components of rows: principal components turned until each is as far from normal as can be.

Symmetric FastICA with the log-cosh contrast (Hyvarinen, Fast and robust fixed-point algorithms for independent
component analysis, 1999). A turn changes what single units read, not what they keep together: the reconstruction is
that of as many principal components.
"""

import logging
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from crosswalk.components import principal_components

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4  # largest 1 - |cosine| between a unit's turns of two steps at which the search ends
NORMAL = 0.3745672  # mean of log cosh of a standard normal number


@dataclass(frozen=True)
class Components:
    """Independent components: k units of rows of length d.

    encode: float64 (d, k), rows @ encode are codes of variance 1, uncorrelated and skewed to the positive side; decode:
    float64 (k, d), from codes back to rows; contrast: for each step, how far units are from normal (mean negentropy).
    Units are in the order of the variance that they carry.
    """

    encode: np.ndarray
    decode: np.ndarray
    contrast: list


def independent_components(x, count, *, seed, steps=100):
    """Find `count` independent components of the rows of `x`.

    x: float (n, d), finite, its columns with mean 0; seed: of the turn that the search starts from; steps: at most.
    Returns Components with k <= count: no more than x has principal components. Computed in float64 on one thread, so
    that the same x and seed give the same bytes on one machine. Raises ValueError if all rows are the same.
    """
    with threadpool_limits(1):
        scores, basis = principal_components(x, count)
        scale = np.sqrt(np.square(scores).mean(0))
        white = np.ascontiguousarray((scores / scale).T)
        turn, contrast = _turned(white, np.random.default_rng(seed), steps)
        skew = np.power(turn @ white, 3).mean(1)
        turn *= np.where(skew < 0, -1.0, 1.0)[:, None]
        decode = (turn * scale) @ basis.T
        order = np.argsort(-np.square(decode).sum(1), kind="stable")
        encode = (basis / scale) @ turn.T
        return Components(np.ascontiguousarray(encode[:, order]), decode[order], contrast)


def _turned(white, rng, steps):
    """The orthogonal (k, k) matrix whose rows take white (k, n) to independent components, and the contrasts so far."""
    k, n = white.shape
    turn, contrast = np.linalg.qr(rng.standard_normal((k, k)))[0], []
    for _ in range(steps):
        signal = turn @ white
        size = np.abs(signal)
        # log cosh, without overflow
        contrast.append(float(np.square((size + np.log1p(np.exp(-2 * size)) - np.log(2)).mean(1) - NORMAL).mean()))
        slope = np.tanh(signal, out=signal)
        left, _, right = np.linalg.svd(slope @ white.T / n - (1 - np.square(slope).mean(1))[:, None] * turn)
        new = left @ right
        change = np.max(1 - np.abs((new * turn).sum(1)))
        turn = new
        if change < TOLERANCE:
            return turn, contrast
    logger.debug("independent components still turned after %d steps", steps)
    return turn, contrast
