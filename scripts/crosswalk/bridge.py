"""A bridge between two embedding models: what both have embedded, brought together by ridge canonical correlation.

Any text can be embedded by both models: the words that both collections use, and halves of some of their texts. The two
clouds of the same texts are then turned to the directions in which they agree (Hotelling, 1936; ridge after Vinod,
1976). Unlike a rotation this weighs directions by how well the other model knows them, which was better on every
labelled set.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from crosswalk.halves import BRIDGE
from crosswalk.procrustes import Transform, ranks_of

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


def held_out(x, y):
    """How well a bridge of every other text takes the rest to themselves: a dict of hit_at_1, mrr and chance.

    x, y: as for `bridge`. None of the three where half of the texts carry no bridge.
    """
    if len(x) < 2 * FEWEST:
        return {"hit_at_1": None, "mrr": None, "chance": None}
    first, second, _ = bridge(x[::2], y[::2])
    own = np.arange(len(x[1::2]))
    ranks, _ = ranks_of(first.apply(x[1::2]), second.apply(y[1::2]), own, centre=0.0)
    return {"hit_at_1": float((ranks <= 1).mean()), "mrr": float((1 / ranks).mean()), "chance": 1 / len(own)}


def bridge_texts(halves):
    """The texts, besides words, that both models embed: the halves that `halves.draw_apart` drew for it, sorted.

    halves: table with the columns use, first, second.
    """
    own = halves[halves["use"] == BRIDGE]
    return sorted({*own["first"], *own["second"]})


def _inverse_root(covariance, *, ridge):
    values, axes = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + ridge * max(np.trace(covariance) / len(covariance), 1e-300)
    return axes / np.sqrt(values) @ axes.T
