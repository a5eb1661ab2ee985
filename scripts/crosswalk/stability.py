"""How far a finding depends on the items it was found in: the same search in halves that share none.

Single axes vary between halves more than the space they span: the space is the finding, each axis a view of it.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment


def matched(u, v, other_u, other_v):
    """Which axes are which: axes come in no fixed order and with no fixed sign.

    u, v, other_u, other_v: (n, m) standardised scores of the same items by two sets of axes, on both sides.
    Returns order, intp (m,), and sign (m,): column i is column order[i] of the others times sign[i].
    """
    alike = (u.T @ other_u + v.T @ other_v) / len(u)
    _, order = linear_sum_assignment(-np.abs(alike))
    return order, np.where(alike[np.arange(len(order)), order] < 0, -1.0, 1.0)


def agreement(halves):
    """How alike the axes of disjoint halves are, one by one and as a space.

    halves: for each repeat the scores ((u, v), (u, v)) of all n items by the axes of the two halves, each (n, m)
    standardised, matched to the same m axes.
    Returns stability (m,): mean over the repeats of the correlation between the two, the lower side; and overlap (m,):
    mean squared cosine of the angles between the spaces that the first 1, 2, ..., m axes span, the lower side.
    """
    stability, overlap = [], []
    for one, other in halves:
        stability.append([(a * b).mean(0) for a, b in zip(one, other, strict=True)])
        overlap.append([_overlaps(a, b) for a, b in zip(one, other, strict=True)])
    return np.mean(np.min(stability, axis=1), axis=0), np.mean(np.min(overlap, axis=1), axis=0)


def _overlaps(a, b):
    cosines = np.linalg.qr(a)[0].T @ np.linalg.qr(b)[0]
    squares = np.cumsum(np.cumsum(cosines**2, axis=0), axis=1)
    return np.diagonal(squares) / np.arange(1, len(squares) + 1)
