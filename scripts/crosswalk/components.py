"""Principal components, and the rotation that turns scores towards independent components."""

import numpy as np

MOST = 60  # principal components of a side that a search sees, unless it is told otherwise
ICA_STEPS = 40
ICA_TOLERANCE = 1e-4


def component_count(n, components=None):
    """Principal components that are searched among n items, `components` if that is given."""
    return components or min(MOST, n // 5)


def principal_components(x, count):
    """Scores (n, k) and orthonormal basis (d, k) of the leading principal components of x (n, d), signs fixed.

    k <= count leaves out components without variance. Raises ValueError if all rows are the same.
    """
    x = np.asarray(x, np.float64)
    centred = x - x.mean(0)
    if centred.shape[1] <= 2 * len(x):
        values, vectors = np.linalg.eigh(centred.T @ centred)
        basis = vectors[:, ::-1][:, :count]
        values = values[::-1][:count]
    else:
        _, singular, rows = np.linalg.svd(centred, full_matrices=False)
        basis, values = rows[:count].T, singular[:count] ** 2
    basis = basis[:, values > 1e-10 * values[0]]
    if not basis.shape[1]:
        raise ValueError("all embeddings are the same")
    basis = basis * np.where(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])] < 0, -1.0, 1.0)
    return centred @ basis, basis


def rotation(scores):
    """Orthogonal (m, m) matrix that turns scores (n, m) towards independent components.

    Symmetric FastICA (Hyvarinen, 1999) with the log-cosh contrast, started from no rotation, so that it takes no seed.
    """
    n, m = scores.shape
    values, vectors = np.linalg.eigh(scores.T @ scores / n)
    white = ((scores @ vectors) / np.sqrt(np.maximum(values, 1e-12)) @ vectors.T).T.astype(np.float32)
    turn = np.eye(m, dtype=np.float32)
    for _ in range(ICA_STEPS):
        signal = np.tanh(turn @ white)
        slope = 1 - (signal * signal).mean(1)
        left, _, right = np.linalg.svd(signal @ white.T / n - slope[:, None] * turn)
        new = left @ right
        change = np.max(1 - np.abs((new * turn).sum(1)))
        turn = new
        if change < ICA_TOLERANCE:
            break
    return turn.T.astype(np.float64)
