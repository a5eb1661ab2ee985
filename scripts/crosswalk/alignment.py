"""One space for two collections that different models embedded, by whatever is known about them.

Many anchors make a map chosen on held-out anchors; a few anchors a relative representation (Moschella et al., 2023)
from which the map teaches itself; nothing at all leaves several unsupervised starts. There is always a map. Whether the
data determine it is another question, and `identifiable` answers that one. What both models have embedded makes a
bridge, see `crosswalk.bridge`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from crosswalk.components import principal_components
from crosswalk.limits import FEWEST_ANCHORS
from crosswalk.procrustes import Transform, best_of, choose_map, fit_as, ranks_of, unit
from crosswalk.self_learning import best_start, csls, learn, spaces, start_similarities, unsupervised

log = logging.getLogger(__name__)

FEW_ANCHORS = 100  # below, the anchors cannot carry a map alone
FEWEST_TO_HOLD_OUT = 6  # anchors, so that each half has three
LEAST_AGREEMENT = 0.1  # of two halves when nothing is known; independent clouds of many shapes stay below
LEAST_WITH_PAIRS = 0.03  # with anchors, half of which lead less far than all; independent clouds have 0.004
MOST_COMPARED = 2000  # rows of a side on which agreement is measured
ANCHORS, LEARNED, RELATIVE, NOTHING = (
    "anchors",
    "anchors, self-learning",
    "relative representation, self-learning",
    "unsupervised",
)


@dataclass(frozen=True)
class Aligned:
    """Two collections in one space.

    transform: of new rows of x into the space of y; method: how it was found; diagnostics: what is known of it, plain
    numbers, strings and lists; x_mapped (n, e), y_mapped (m, e): float32, each centred, to be compared by cosine.
    """

    transform: Transform
    method: str
    diagnostics: dict
    x_mapped: np.ndarray
    y_mapped: np.ndarray


def align(x, y, *, anchors=None, seed, restarts=1):
    """Find the map from the space of x to that of y by the best that is known.

    x: (n, d), y: (m, e), in any order; anchors: integer (k, 2), row numbers of x and y that belong together, k >= 3,
    none twice; restarts: tries with dropout when nothing is known.
    Returns Aligned. Raises ValueError for anchors out of range, repeated or too few, or rows that are not finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if anchors is None:
        found = unsupervised(x, y, restarts=restarts, seed=seed)
        transform, method = found.transform, NOTHING
        diagnostics = {"start": found.start, "mean_csls": found.csls, "pairs": len(found.pairs)}
    else:
        anchors = checked_anchors(anchors, len(x), len(y))
        transform, method, diagnostics = _align_by_anchors(x, y, anchors, seed=seed)
    log.info("aligned %d and %d rows by %s (%s)", len(x), len(y), method, transform.kind)
    return Aligned(transform, method, diagnostics, _centred(transform.apply(x)), _centred(y))


def relative(rows, anchors):
    """Relative representation: the cosine of each row with each anchor (Moschella et al., 2023), standardised.

    rows: (n, d); anchors: (k,) row numbers. All rows are centred first; each column then has mean 0 and variance 1,
    because an anchor near the middle would else count for less than one at the rim. Returns float32 (n, k) unit rows,
    which compare across spaces that differ by a rotation, a shift and a scale.
    """
    rows = np.asarray(rows, np.float64)
    rows = unit(rows - rows.mean(0))
    with threadpool_limits(1):
        cosines = rows @ rows[anchors].T
    cosines -= cosines.mean(0)
    spread = cosines.std(0)
    return unit(cosines / np.where(spread > 1e-12, spread, 1)).astype(np.float32)


def checked_anchors(anchors, n, m):
    """Anchors as an integer (k, 2) array. Raises ValueError that says what is wrong with which."""
    anchors = np.asarray(anchors)
    if anchors.ndim != 2 or anchors.shape[1] != 2 or anchors.dtype.kind not in "iu":
        raise ValueError(f"anchors of shape {anchors.shape} and type {anchors.dtype}; pairs of row numbers are needed")
    if len(anchors) < FEWEST_ANCHORS:
        raise ValueError(f"{len(anchors)} anchors; at least {FEWEST_ANCHORS} are needed")
    for side, count, column in (("x", n, anchors[:, 0]), ("y", m, anchors[:, 1])):
        outside = column[(column < 0) | (column >= count)]
        if len(outside):
            raise ValueError(f"anchor row {outside[0]} of {side} is out of range; {side} has {count} rows")
        rows, times = np.unique(column, return_counts=True)
        if (times > 1).any():
            raise ValueError(f"anchor row {rows[times > 1][0]} of {side} is used more than once")
    return anchors.astype(np.intp)


@dataclass(frozen=True)
class Way:
    """A way to find a map, to be tried on halves.

    prepare(x, y, shuffle=None) gives fit and y; fit(half, rows) is a Transform: half 0 or 1 of the anchors, and
    the rows of x that take part. With a random generator as `shuffle`, nothing corresponds any more.
    least: the agreement of halves below which such a map is not believed.
    """

    prepare: Callable
    least: float


def fitter(*, anchors=None, method=None, seed):
    """The Way that `align` goes with the same anchors; method: `Aligned.method`, where anchors leave a choice.

    Raises ValueError, here or when it is used, as `align` does.
    """

    def prepare(x, y, shuffle=None):
        if shuffle is not None:
            y = _shuffled_axes(y, shuffle)
        checked = None if anchors is None else checked_anchors(anchors, len(x), len(y))
        return _fit_rows(x, y, checked, method=method, seed=seed), y

    return Way(prepare, LEAST_AGREEMENT if anchors is None else LEAST_WITH_PAIRS)


def identifiable(x, y, way, *, seed, repeats=3):
    """Whether the data determine the map: two halves of x, each for itself, must lead to the same neighbours.

    way: from `fitter`. The rows of x are halved at random; each half is aligned with y (and with half of the
    anchors); both maps then take all rows of x to y. The agreement is the share of rows whose nearest by CSLS is the
    same row of y, the mean over the repeats. Chance is 1/m. The null is the same on worlds where nothing corresponds:
    the principal axes of y shuffled each for itself, which keeps their number, spread and shape. It is drawn only if
    the agreement is at least `way.least`; below that the answer is no in any case. Identifiable: the agreement passes
    the highest null by `way.least` too.
    Returns a dict: agreement, null (highest; None if not drawn), chance, threshold, identifiable.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    prepared = way.prepare(x, y)
    agreements, null = [], None
    for repeat in range(repeats):
        agreements.append(_halves_agree(x, *prepared, seed=[seed, 0, repeat]))
        if agreements[0] < way.least:
            break
    agreement = float(np.mean(agreements))
    if agreement >= way.least:
        seeds = [[seed, 1, repeat] for repeat in range(repeats)]
        worlds = (way.prepare(x, y, np.random.default_rng(world)) for world in seeds)
        null = max(_halves_agree(x, *world, seed=s) for world, s in zip(worlds, seeds, strict=True))
    threshold = way.least + (null or 0.0)
    log.info("halves agree on %.1f %% of the rows (threshold %.1f %%)", 100 * agreement, 100 * threshold)
    return {
        "agreement": agreement,
        "null": null,
        "chance": 1 / len(y),
        "threshold": threshold,
        "identifiable": agreement >= threshold,
    }


def _align_by_anchors(x, y, anchors, *, seed):
    """The best of what anchors allow, by anchors held out; with a few there is little to choose between."""
    sides = spaces(x, y, seed=seed)
    methods = [RELATIVE] if len(anchors) < FEW_ANCHORS else [LEARNED, ANCHORS]
    with threadpool_limits(1):
        starts = start_similarities(sides, ["profiles"]) if RELATIVE in methods else None
        choice, diagnostics = None, {"anchors": len(anchors)}
        if starts is None:
            diagnostics["maps_tried"] = choose_map(x[anchors[:, 0]], y[anchors[:, 1]], seed=seed)[1]
            choice = best_of(diagnostics["maps_tried"])
        fits = {
            m: lambda pairs, m=m: _fit_anchors(sides, pairs, method=m, starts=starts, choice=choice) for m in methods
        }
        method = methods[0]
        if len(anchors) >= FEWEST_TO_HOLD_OUT:
            held_out = {m: _held_out(fit, x, y, anchors, seed=seed) for m, fit in fits.items()}
            # Self-learning comes first and stays where it does not lower what held-out anchors find.
            method = max(methods, key=lambda m: held_out[m]["mrr"])
            diagnostics["anchors_held_out"] = held_out
        return fits[method](anchors), method, diagnostics


def _fit_anchors(sides, anchors, *, method, starts, choice, rows=None):
    """A Transform from anchors by one of the methods; rows: which of the learning rows of x take part."""
    if method == RELATIVE:
        begin = _of(_relative_starts(sides, anchors, starts), rows)
        return best_start(sides, begin, rows=rows, anchors=anchors).transform
    transform = fit_as(sides.x[anchors[:, 0]], sides.y[anchors[:, 1]], choice)
    if method == ANCHORS:
        return transform
    mapped, target = _centred(transform.apply(sides.x))[sides.x_rows], _centred(sides.y)[sides.y_rows]
    mapped = mapped if rows is None else mapped[rows]
    found = learn(sides, unit(mapped) @ unit(target).T, rows=rows, anchors=anchors)
    return fit_as(sides.x[found.pairs[:, 0]], sides.y[found.pairs[:, 1]], choice)


def _relative_starts(sides, anchors, starts):
    """Similarities to begin with: by the anchors, by the anchors and what no rotation changes, each in equal parts."""
    profiles = starts["profiles"]
    if len(anchors) < FEWEST_ANCHORS:
        return {"profiles": profiles}
    a, b = relative(sides.x, anchors[:, 0])[sides.x_rows], relative(sides.y, anchors[:, 1])[sides.y_rows]
    similarity = a @ b.T
    return {"relative": similarity, "both": similarity / similarity.std() + profiles / profiles.std()}


def _held_out(fit, x, y, anchors, *, seed):
    """How well anchors that a map has not seen find their partner among all rows of y."""
    folds = 2 if len(anchors) < FEW_ANCHORS else 4
    fold = np.random.default_rng([seed, 2]).permutation(np.arange(len(anchors)) % folds)
    ranks = np.concatenate([_ranks(fit(anchors[fold != f]), x, y, anchors[fold == f]) for f in range(folds)])
    return _merits(ranks, len(y))


def _ranks(transform, x, y, anchors):
    mapped = transform.apply(x)
    centre = y.mean(0)
    return ranks_of(mapped[anchors[:, 0]] - mapped.mean(0) + centre, y, anchors[:, 1], centre=centre)[0]


def _merits(ranks, m):
    return {
        "hit_at_1": float((ranks <= 1).mean()),
        "hit_at_10": float((ranks <= 10).mean()),
        "mrr": float((1 / ranks).mean()),
        "chance_at_1": 1 / m,
    }


def _fit_rows(x, y, anchors, *, method, seed):
    """fit(half, rows): half of the anchors, some of the rows, all of y.

    What no rotation changes about a row is computed once among all rows: each half uses that of its own rows only.
    The axes are each half's own, since axes of all rows would lead both halves the same way for no other reason.
    """
    sides = spaces(x, y, seed=seed)
    with threadpool_limits(1):
        starts = start_similarities(sides, ("profiles", "cosines") if anchors is None else ("profiles",))
    if anchors is None:
        return lambda half, rows: _fit_half(sides, starts, _learning(sides, rows), seed=seed)
    method = method or (RELATIVE if len(anchors) < FEW_ANCHORS else LEARNED)
    choice = None if method == RELATIVE else best_of(choose_map(x[anchors[:, 0]], y[anchors[:, 1]], seed=seed)[1])
    order = np.random.default_rng([seed, 3]).permutation(len(anchors))

    def fit(half, rows):
        return _fit_anchors(
            sides, anchors[order[half::2]], method=method, starts=starts, choice=choice, rows=_learning(sides, rows)
        )

    return fit


def _fit_half(sides, starts, rows, *, seed):
    begin = _of(starts, rows) | start_similarities(sides, ["axes"], rows=rows)
    return best_start(sides, begin, rows=rows, seed=seed).transform


def _of(starts, rows):
    return starts if rows is None else {name: similarity[rows] for name, similarity in starts.items()}


def _learning(sides, rows):
    """Places of those of the given rows of x that were drawn to learn."""
    return np.flatnonzero(np.isin(sides.x_rows, rows))


def _shuffled_axes(y, rng):
    scores, basis = principal_components(y, min(y.shape))
    return np.stack([rng.permutation(column) for column in scores.T], 1) @ basis.T + y.mean(0)


def _halves_agree(x, fit, y, *, seed):
    """Share of the rows of x whose nearest row of y is the same by the maps of two halves."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    target, looking = (np.sort(rng.permutation(count)[:MOST_COMPARED]) for count in (len(y), len(x)))
    with threadpool_limits(1):
        goal = unit(_centred(y)[target]).T
        nearest = []
        for half in range(2):
            mapped = _centred(fit(half, order[half::2]).apply(x))
            nearest.append(csls(unit(mapped[looking]) @ goal).argmax(1))
    return float((nearest[0] == nearest[1]).mean())


def _centred(rows):
    return (rows - rows.mean(0)).astype(np.float32)
