"""Maps of works and of subjects: rows of a matrix in a plane where like lies near like, and names for its dense places.

Rows are laid out by UMAP (McInnes, Healy and Melville, 2018) from their exact nearest neighbours by cosine and from
their two principal components, so that neither an approximate search nor a random start has a say. Dense places are
peaks of a smoothed count on a grid; each takes the label that its rows bear most beyond what all rows bear.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_limits

from crosswalk.drawing import rank
from crosswalk.match_tables import plane
from crosswalk.neighbours import Product, best, chunks

logger = logging.getLogger(__name__)

FEWEST = 10  # distinct rows below which UMAP has nothing to go by
DIMENSIONS = 64  # a sparse matrix is first brought to
CELLS = 1 << 22  # scores held at once: 16 MB
GRID, SPREAD = 72, 1.8  # cells a side of the grid on which points are counted; standard deviation of the smoothing
APART = 5  # cells between two dense places
REACH = 2 * SPREAD  # cells around a peak whose rows name it
EDGE = 0.005  # share of the points beyond each limit of the grid: UMAP throws a few far out
LEAST, SHARE = 5, 0.001  # rows that a dense place holds at least, and their share of all


def subject_map(matrix, ids: Sequence[str], *, seed: int, most: int = 20_000, neighbours: int = 15) -> pd.DataFrame:
    """Lay the rows of a matrix out in a plane.

    matrix: (n, d) array or sparse matrix, rows compared by cosine; ids: n strings, all different; most: rows laid out,
    the others are left out by a draw that depends on seed and id alone; neighbours: of each row that shape the map.
    Returns a DataFrame id, x, y in the order of ids, without rows that are all zero or not finite, which have no
    direction. Equal rows lie on one spot; fewer than FEWEST distinct ones lie on their principal components. The same
    for any order of the rows. Raises ValueError if ids are repeated or not as many as rows.
    """
    ids = np.asarray(ids, dtype=object)
    if len(ids) != matrix.shape[0] or len(set(ids)) != len(ids):
        raise ValueError(f"{matrix.shape[0]} rows need as many different ids, not {len(set(ids))} among {len(ids)}")
    matrix = matrix.tocsr() if sparse.issparse(matrix) else np.asarray(matrix)
    kept = _drawn(ids, np.flatnonzero(_directed(matrix)), seed=seed, most=most)
    unit, told = _unit_rows(matrix[kept], seed=seed)
    kept = kept[told]
    if not len(kept):
        return pd.DataFrame({"id": np.array([], object), "x": np.array([], float), "y": np.array([], float)})
    distinct, spot = np.unique(unit, axis=0, return_inverse=True)
    start = plane([distinct, distinct[:0]])[0]
    start = np.column_stack([start, np.zeros((len(start), 2 - start.shape[1]))])
    if len(distinct) >= FEWEST:
        start = _umap(distinct, start, neighbours=min(neighbours, len(distinct) - 1), seed=seed)
    logger.info("map of %d rows, %d of them distinct, of %d", len(kept), len(distinct), len(ids))
    points = np.asarray(start, dtype=np.float64)[spot.ravel()]
    table = pd.DataFrame({"id": ids[kept], "x": points[:, 0], "y": points[:, 1]})
    return table.iloc[np.argsort(kept)].reset_index(drop=True)


def _directed(matrix):
    """Which rows of a matrix are neither zero nor beyond numbers."""
    square = (matrix.multiply(matrix) if sparse.issparse(matrix) else np.square(matrix, dtype=np.float64)).sum(axis=1)
    return np.isfinite(square) & (np.asarray(square).ravel() > 1e-24)


def _drawn(ids, rows, *, seed, most):
    """Numbers of at most `most` of some rows, ordered by id."""
    if len(rows) > most:
        ranks = np.array([rank(str(i), seed) for i in ids[rows]], dtype=np.uint64)
        rows = rows[np.argsort(ranks, kind="stable")[:most]]
    return np.array(sorted(rows, key=lambda i: ids[i]), dtype=np.int64)


def _unit_rows(matrix, *, seed):
    """The rows that have a direction, float32 of length 1, and which they are; a sparse matrix in fewer dimensions."""
    if sparse.issparse(matrix):
        matrix = matrix.astype(np.float64)
        if min(matrix.shape) <= DIMENSIONS:
            matrix = matrix.toarray()
        else:
            with threadpool_limits(1):
                matrix = TruncatedSVD(DIMENSIONS, random_state=seed).fit_transform(matrix)
    matrix = np.asarray(matrix, dtype=np.float64)
    length = np.linalg.norm(matrix, axis=1)
    told = length > 1e-12  # in fewer dimensions, nothing may be left of a row
    return (matrix[told] / length[told, None]).astype(np.float32), told


def _umap(rows, start, *, neighbours, seed):
    """UMAP of distinct unit rows from a given start; float32 (n, 2)."""
    import warnings

    from umap import UMAP  # takes seconds, and only maps need it

    index, distance = _nearest(rows, neighbours + 1)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")  # no new row is ever asked for
        model = UMAP(
            n_neighbors=neighbours + 1, metric="euclidean", init=start.astype(np.float32), random_state=seed, n_jobs=1,
            precomputed_knn=(index, distance, None),
        )  # fmt: skip
        return model.fit_transform(rows)


def _nearest(rows, k):
    """The k nearest of each unit row, itself first: index int32 (n, k), Euclidean distance float32 (n, k)."""
    index, distance = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    for start, part in chunks(Product(rows, rows), cells=CELLS, label="neighbours"):
        stop = start + len(part)
        part[np.arange(len(part)), np.arange(start, stop)] = np.inf
        index[start:stop], cosine = best(part, k)
        cosine[:, 0] = 1.0
        distance[start:stop] = np.sqrt(np.maximum(2 - 2 * cosine, 0))
    return index, distance


def dense_places(placed: pd.DataFrame, bears, ids: Sequence[str], labels: Sequence[str], *, most=20) -> pd.DataFrame:
    """Names for the dense places of a map.

    placed: id, x, y; bears: sparse (n, S), how much each row bears of each subject (the links of works; for a map of
    subjects, a diagonal matrix with how many works bear each); ids: of its n rows, among them those of `placed`;
    labels: S strings; most: names given. Returns a DataFrame label, x, y, the densest place first, none named twice;
    a place whose rows bear nothing more than the others do stays without a name.
    """
    points = placed[["x", "y"]].to_numpy(np.float64)
    rows = pd.Index(ids).get_indexer(placed["id"])
    if (rows < 0).any():
        raise ValueError(f"{placed['id'].iloc[int((rows < 0).argmax())]!r} is on the map, but not among the ids")
    bears = sparse.csr_array(bears)[rows]
    cells, peaks = _peaks(points, most=most)
    found, taken = [], np.zeros(len(labels), dtype=bool)
    for peak, own in zip(peaks, _members(cells, peaks), strict=True):
        subject = _most_distinctive(bears[own], bears, taken) if len(own) else None
        if subject is None:
            continue
        taken |= np.array([label == labels[subject] for label in labels])
        found.append((labels[subject], *np.median(points[own], axis=0)))
        logger.debug("dense place at cell %s: %s, %d rows", peak, labels[subject], len(own))
    return pd.DataFrame(found, columns=["label", "x", "y"]).astype({"x": float, "y": float})


def _peaks(points, *, most):
    """Points in cells of the grid, float64 (n, 2), and at most `most` cells where they are densest, densest first."""
    if len(points) < LEAST:
        return np.empty((0, 2)), np.empty((0, 2), int)
    low, high = np.quantile(points, [EDGE, 1 - EDGE], axis=0)
    span = float((high - low).max()) or 1.0  # one for both, so that a place is round
    cells = np.clip((points - low) / span, 0, 1) * (GRID - 1)
    count = np.zeros((GRID, GRID))
    np.add.at(count, tuple(np.round(cells).astype(int).T), 1)
    density = gaussian_filter(count, SPREAD, mode="constant")
    held = density * 2 * np.pi * SPREAD**2  # about how many rows lie around the cell
    candidates = np.argwhere(held >= max(LEAST, SHARE * len(points)))
    candidates = candidates[np.argsort(-density[tuple(candidates.T)], kind="stable")]
    peaks = np.empty((0, 2), int)
    for cell in candidates:
        if len(peaks) == most:
            break
        around = density[tuple(slice(max(c - 1, 0), c + 2) for c in cell)]
        if density[tuple(cell)] >= around.max() and (np.linalg.norm(peaks - cell, axis=1) >= APART).all():
            peaks = np.vstack([peaks, cell])
    return cells, peaks


def _members(cells, peaks):
    """For each peak the rows that are within reach of it and nearest to it."""
    if not len(peaks):
        return []
    far = np.linalg.norm(cells[:, None] - peaks[None], axis=2)
    nearest = np.where(far.min(axis=1) <= REACH, far.argmin(axis=1), -1)
    return [np.flatnonzero(nearest == i) for i in range(len(peaks))]


def _most_distinctive(own, every, taken):
    """The subject that adds most to the likelihood ratio of some rows against all; None if none is more frequent."""
    inside, all_ = (np.asarray(part.sum(axis=0), dtype=np.float64).ravel() for part in (own, every))
    if not inside.sum():
        return None
    held = (inside > 0) & ~taken
    gain = np.zeros(len(inside))
    gain[held] = inside[held] * np.log(inside[held] / inside.sum() * all_.sum() / all_[held])
    return int(gain.argmax()) if gain.max() > 1e-9 else None
