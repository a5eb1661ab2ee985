"""A bridge between two embedding models: what both have embedded, brought together by ridge canonical correlation.

Any text can be embedded by both models: the words that both collections use, and halves of some of their texts. The two
clouds of the same texts are then turned to the directions in which they agree (Hotelling, 1936; ridge after Vinod,
1976). Unlike a rotation this weighs directions by how well the other model knows them, which was better on every
labelled set.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from crosswalk.procrustes import Transform

RIDGE = 1.0  # of the mean variance of an axis of either side
WIDTH = 200  # directions kept, of which the last agree hardly any more
FEWEST = 100  # texts that carry a bridge at all


def bridge(x, y, *, ridge=RIDGE, width=WIDTH):
    """The maps of two models into the space in which they agree.

    x: (k, d), y: (k, e): the same texts embedded by both, k >= FEWEST; ridge: shrinkage; width: directions at most.
    Returns (Transform of the first model, Transform of the second, correlations (w,) of the directions, falling).
    Each direction is scaled by the root of its correlation, so that cosines in the common space count what both know.
    Raises ValueError for too few texts or rows that do not belong together.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"rows of shape {x.shape} and {y.shape}; the same texts are needed of both models")
    if len(x) < FEWEST:
        raise ValueError(f"{len(x)} texts carry no bridge; at least {FEWEST} are needed")
    means = x.mean(axis=0), y.mean(axis=0)
    with threadpool_limits(1):
        x, y = x - means[0], y - means[1]
        white = [_inverse_root(side.T @ side / len(side), ridge=ridge) for side in (x, y)]
        left, correlations, right = np.linalg.svd(white[0] @ (x.T @ y / len(x)) @ white[1])
        width = min(width, len(correlations))
        scale = np.sqrt(correlations[:width])
        maps = [white[0] @ left[:, :width] * scale, white[1] @ right[:width].T * scale]
    # A singular vector is as good as its opposite; the same sign everywhere keeps the bytes the same.
    signs = np.sign(maps[0][np.abs(maps[0]).argmax(axis=0), np.arange(width)])
    first, second = (
        Transform(mean, rotation * signs, 1.0, np.zeros(width), kind="ridge")
        for mean, rotation in zip(means, maps, strict=True)
    )
    return first, second, correlations[:width]


def bridge_texts(halves, count):
    """The texts, besides words, that both models embed: the halves of up to `count` texts of each side.

    halves: table with the columns side, id, first, second, sorted by side and id. Returns a sorted list of strings.
    """
    found = set()
    for _, own in halves.groupby("side"):
        chosen = own.iloc[np.unique(np.linspace(0, len(own) - 1, min(count, len(own))).astype(np.intp))]
        found |= {*chosen["first"], *chosen["second"]}
    return sorted(found)


def _inverse_root(covariance, *, ridge):
    values, axes = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + ridge * max(np.trace(covariance) / len(covariance), 1e-300)
    return axes / np.sqrt(values) @ axes.T
