"""A map between two spaces that improves itself: mutual neighbours teach it, it finds better neighbours.

The loop is that of Artetxe, Labaka and Agirre (2018), with mutual neighbours by cross-domain similarity local scaling
(CSLS; Conneau et al., 2018) as its dictionary. To begin with nothing, rows are compared by what no rotation changes:
the sorted similarities of a row with all others of its side, as theirs, but in several bands of the spectrum at once.
One band finds some 6 % of the partners in a round cloud, all together 30 %, which is enough to go on from.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from crosswalk.components import principal_components
from crosswalk.procrustes import Transform, procrustes, unit

log = logging.getLogger(__name__)

NEIGHBOURS = 10  # of CSLS, as Conneau et al. (2018)
MOST_ROWS = 5000  # rows of a side that learn; more are drawn from, the map is for all
MOST_AXES = 300  # principal axes that learn; the map is for all
MATCHED_AXES = 30  # leading axes whose order and signs are sought
QUANTILES = 64  # at which sorted similarities are compared
STEP = 1000  # rows or columns of a similarity that are partitioned at once


@dataclass(frozen=True)
class Learned:
    """A map that was learned. csls: mean over the rows of both sides of the CSLS of their nearest, higher is better;
    pairs (p, 2): row numbers of x and y that are mutual neighbours under it, and the anchors; history: csls at each
    iteration; start: the name of the start."""

    transform: Transform
    csls: float
    pairs: np.ndarray
    history: list
    start: str = "given"


@dataclass(frozen=True)
class Spaces:
    """Both sides ready to learn: x, y as given; a (n', p), b (m', q): float32 unit rows of the rows that learn, centred
    and in principal axes; x_rows, y_rows: their row numbers."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    x_rows: np.ndarray
    y_rows: np.ndarray


def spaces(x, y, *, seed, most=MOST_ROWS):
    """The two sides (n, d) and (m, e) made ready. Raises ValueError for fewer than 3 rows, constant or not finite."""
    sides = []
    for name, rows, stream in (("x", x, 0), ("y", y, 1)):
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or len(rows) < 3 or not np.isfinite(rows).all():
            raise ValueError(f"{name} of shape {rows.shape}; three or more finite rows are needed")
        chosen = np.arange(len(rows))
        if len(rows) > most:
            chosen = np.sort(np.random.default_rng([seed, stream]).choice(len(rows), most, replace=False))
        with threadpool_limits(1):
            sides.append((rows, principal_components(rows[chosen], MOST_AXES)[0], chosen))
    (x, a, x_rows), (y, b, y_rows) = sides
    return Spaces(x, y, _units(a), _units(b), x_rows, y_rows)


def self_learning(
    x, y, *, start, anchors=None, keep=1.0, neighbours=NEIGHBOURS, tolerance=1e-4, iterations=200, seed=0
):
    """Improve a start until the mean CSLS stops rising.

    x: (n, d), y: (m, e): any rows, in any order; start: a Transform, a float (n, m) similarity of all rows, or an
    integer (k, 2) array of row numbers that belong together; anchors: (k, 2) pairs that always take part;
    keep: share of the similarities that an iteration sees, below 1 a stochastic search (Artetxe et al., 2018) whose
    share doubles whenever it stops rising; neighbours: of CSLS; tolerance: of the mean CSLS; seed: of all that is
    random. Returns Learned. Raises ValueError if the start does not fit the rows.
    """
    sides = spaces(x, y, seed=seed)
    with threadpool_limits(1):
        similarity = _similarity(sides, start)
        return learn(
            sides, similarity, anchors=anchors, keep=keep, neighbours=neighbours, tolerance=tolerance,
            iterations=iterations, seed=seed,
        )  # fmt: skip


def unsupervised(x, y, *, starts=("profiles", "cosines", "axes"), restarts=1, seed, neighbours=NEIGHBOURS):
    """Align two sides of which nothing is known: several starts, the one with the highest mean CSLS wins.

    x: (n, d), y: (m, e). starts: "profiles" compares rows by their sorted similarities in all bands of the spectrum,
    "cosines" by their sorted cosines alone, "axes" matches principal axes by the shape of their scores, with signs;
    restarts: how often the best is tried again with dropout. Returns Learned.
    There is always an answer, also where nothing corresponds: ask `alignment.identifiable` whether to believe it.
    """
    sides = spaces(x, y, seed=seed)
    with threadpool_limits(1):
        similarities = start_similarities(sides, starts)
        return best_start(sides, similarities, restarts=restarts, seed=seed, neighbours=neighbours)


def best_start(sides, similarities, *, rows=None, anchors=None, restarts=0, seed=0, neighbours=NEIGHBOURS):
    """Learn from each start, a dict of similarities by name; the highest mean CSLS wins.

    rows: the rows of a that take part (default all), to which the rows of the similarities belong.
    """
    best = None
    for name, similarity in tqdm(similarities.items(), desc="starts", disable=None, delay=5):
        found = learn(sides, similarity, rows=rows, anchors=anchors, neighbours=neighbours, seed=seed, start=name)
        log.debug("start %s: mean CSLS %.4f after %d iterations", name, found.csls, len(found.history))
        best = found if best is None or found.csls > best.csls else best
    for again in range(restarts):
        found = learn(
            sides, similarities[best.start], rows=rows, anchors=anchors, neighbours=neighbours, keep=0.5,
            seed=[seed, again], start=best.start,
        )  # fmt: skip
        best = found if found.csls > best.csls else best
    return best


def learn(
    sides, similarity, *, rows=None, anchors=None, keep=1.0, neighbours=NEIGHBOURS, tolerance=1e-4, iterations=200,
    seed=0, start="given",
):  # fmt: skip
    """The loop of `self_learning` on Spaces.

    rows: which rows of a take part (default all); similarity: float32 of these (or all) and all rows of b.
    """
    rows = np.arange(len(sides.a)) if rows is None else rows
    a, b = sides.a[rows], sides.b
    fixed = _fixed(sides, anchors)
    rng = np.random.default_rng(seed)
    local = csls(similarity, neighbours=neighbours)
    i, j = _mutual(local)
    best, best_pairs, waited, history = -np.inf, (i, j), 0, []
    while len(history) < iterations:
        cross = a[i].T @ b[j]
        if fixed is not None:
            cross += fixed
        left, _, right = np.linalg.svd(cross, full_matrices=False)
        local = csls((a @ (left @ right)) @ b.T, neighbours=neighbours)
        mean = (float(local.max(1).sum()) + float(local.max(0).sum())) / (len(a) + len(b))
        history.append(mean)
        waited = 0 if mean > best + tolerance else waited + 1
        if mean > best:
            best, best_pairs = mean, _mutual(local)
        if waited >= (2 if keep >= 1 else 5):
            if keep >= 1:
                break
            keep, waited = min(1.0, 2 * keep), 0
        if keep < 1:
            local[rng.random(local.shape, dtype=np.float32) > keep] = -np.inf
        i, j = _mutual(local)
    pairs = np.stack([sides.x_rows[rows[best_pairs[0]]], sides.y_rows[best_pairs[1]]], 1)
    if anchors is not None:
        pairs = np.unique(np.concatenate([pairs, anchors]), axis=0)
    return Learned(procrustes(sides.x[pairs[:, 0]], sides.y[pairs[:, 1]]), best, pairs, history, start)


def start_similarities(sides, names, *, rows=None):
    """Similarities of the learning rows of both sides with nothing known, by the name of the start.

    rows: only those of x that are at these places. Raises ValueError for a name that is not known.
    """
    x, y = sides.x[sides.x_rows if rows is None else sides.x_rows[rows]], sides.y[sides.y_rows]
    makers = {"profiles": _profile_similarity, "cosines": _cosine_similarity, "axes": _axes_similarity}
    unknown = [name for name in names if name not in makers]
    if unknown or not names:
        raise ValueError(f"starts {unknown or 'empty'}; choose from {', '.join(makers)}")
    return {name: makers[name](x, y) for name in names}


def csls(cosines, *, neighbours=NEIGHBOURS):
    """Cross-domain similarity local scaling (Conneau et al., 2018) of a dense float32 (n, m) similarity.

    Twice the similarity less the mean of either side's nearest: who is near to everybody is near to nobody.
    """
    return 2 * cosines - _nearness(cosines, neighbours)[:, None] - _nearness(cosines.T, neighbours)


def _nearness(cosines, neighbours):
    k = min(neighbours, cosines.shape[1])
    parts = range(0, len(cosines), STEP)
    # A copy in row order: partitioning along the columns of an array costs several times as much.
    blocks = (np.array(cosines[start : start + STEP], order="C") for start in parts)
    return np.concatenate([np.partition(block, -k, axis=1)[:, -k:].mean(1) for block in blocks])


def _mutual(similarity):
    """Row and column numbers of the cells that are the highest of their row and of their column."""
    forward, backward = similarity.argmax(1), similarity.argmax(0)
    rows = np.flatnonzero(backward[forward] == np.arange(len(forward)))
    rows = rows[similarity[rows, forward[rows]] > -np.inf]
    return rows, forward[rows]


def _units(rows):
    """Unit rows whose mean is near 0; both at once is not possible, in this order the lengths are exact."""
    rows = unit(rows)
    return unit(rows - rows.mean(0)).astype(np.float32)


def _fixed(sides, anchors):
    """What the anchors add to the cross-covariance, whether or not their rows were drawn to learn."""
    if anchors is None:
        return None
    x_place, y_place = _places(sides.x_rows, anchors[:, 0]), _places(sides.y_rows, anchors[:, 1])
    known = (x_place >= 0) & (y_place >= 0)
    return sides.a[x_place[known]].T @ sides.b[y_place[known]]


def _places(rows, wanted):
    """Where the wanted row numbers stand among the sorted rows, -1 where they do not."""
    at = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[at] == wanted, at, -1)


def _similarity(sides, start):
    """The similarity of the learning rows that a start stands for."""
    n, m = len(sides.x), len(sides.y)
    if isinstance(start, Transform):
        mapped, y = start.apply(sides.x[sides.x_rows]), sides.y[sides.y_rows]
        return _cosines(mapped - mapped.mean(0), y - y.mean(0))
    start = np.asarray(start)
    if start.dtype.kind in "iu" and start.ndim == 2 and start.shape[1] == 2:
        if not len(start) or start.min() < 0 or (start.max(0) >= (n, m)).any():
            raise ValueError(f"pairs of the start must be row numbers below {n} and {m}")
        return _similarity(sides, procrustes(sides.x[start[:, 0]], sides.y[start[:, 1]]))
    if start.shape != (n, m) or not np.isfinite(start).all():
        raise ValueError(f"start of shape {start.shape}; a finite similarity of {n} by {m} rows is needed")
    return start[np.ix_(sides.x_rows, sides.y_rows)].astype(np.float32)


def _cosines(a, b):
    return unit(a).astype(np.float32) @ unit(b).astype(np.float32).T


def _profile_similarity(x, y):
    return _cosines(_profiles(x), _profiles(y))


def _cosine_similarity(x, y):
    return _cosines(*(_standard(_sorted(unit(rows - rows.mean(0)))) for rows in (x, y)))


def _profiles(rows):
    """What no rotation changes about each row: its sorted similarities with the others in bands of the spectrum.

    Whole rows with and without their lengths, the spectrum sharpened and flattened, and each half and quarter of the
    variance for itself. All of them see the same rows another way, so that their errors are not the same.
    """
    scores, _ = principal_components(rows, MOST_AXES)
    variance = (scores**2).mean(0)
    scores = scores / np.sqrt(variance.sum())
    deviation = np.sqrt(variance / variance.sum())
    middle = np.cumsum(deviation**2) - deviation**2 / 2
    halves = [scores * (middle <= 0.5), scores * (middle > 0.5)]
    quarters = [scores * ((middle > low) & (middle <= low + 0.25)) for low in (0.0, 0.25, 0.5, 0.75)]
    views = [scores, unit(scores), unit(scores * deviation), unit(scores / np.sqrt(deviation))]
    views += [unit(view) for view in halves + quarters]
    return np.hstack([_standard(_sorted(view)) for view in views])


def _sorted(rows):
    """Quantiles (n, QUANTILES) of the inner products of each row with all others."""
    rows = rows.astype(np.float32)
    products = rows @ rows.T
    np.fill_diagonal(products, -np.inf)
    products.sort(1)
    at = np.linspace(1, len(rows) - 1, QUANTILES)
    low = np.floor(at).astype(int)
    part = (at - low).astype(np.float32)
    return products[:, low] * (1 - part) + products[:, np.minimum(low + 1, len(rows) - 1)] * part


def _standard(features):
    """Centred, with mean square length 1; features that say nothing stay 0."""
    features = features - features.mean(0)
    size = np.sqrt((features**2).sum(1).mean())
    return features / size if size > 1e-9 else features


def _axes_similarity(x, y):
    """Cosines after the principal axes of x are laid on those of y, whose order and signs are told by their shapes.

    Each axis is its sorted scores, the other way round for the other sign; axes are assigned so that these agree best.
    """
    a, b = (principal_components(rows, MATCHED_AXES)[0] for rows in (x, y))
    a, b = a / np.sqrt((a**2).sum(1).mean()), b / np.sqrt((b**2).sum(1).mean())
    grid = np.linspace(0, 1, QUANTILES)
    p, q = np.quantile(a, grid, axis=0).T, np.quantile(b, grid, axis=0).T
    same = ((p[:, None] - q) ** 2).sum(2)
    opposite = ((p[:, None] + q[:, ::-1]) ** 2).sum(2)
    rows, columns = linear_sum_assignment(np.minimum(same, opposite))
    signs = np.where(opposite < same, -1.0, 1.0)[rows, columns]
    return _cosines(a[:, rows] * signs, b[:, columns])
