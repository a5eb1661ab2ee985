"""How much of a relation is one side repeating the other, and what is left of that side without the repetition.

What y may repeat are the directions in which x's items differ most. They are taken out of y's vectors before anything
is searched: found from x alone they see no link, so that a search of what is left is tested like any other. To regress
y on x would see the links, and leave nothing that goes with x by construction.
"""

from dataclasses import dataclass

import numpy as np

from crosswalk.components import component_count, principal_components

# Of the directions that y spans: so many stay at least. Where x's directions are more, a part of the repetition stays.
LEFT = 0.5


@dataclass(frozen=True)
class Removal:
    """basis (d, k): orthonormal directions of x, k may be 0; of_x, of_y: shares of the variance of the items' x and y
    vectors that lie in them.
    """

    basis: np.ndarray
    of_x: float
    of_y: float


def repeated_directions(x, y, *, remove="auto", components=None):
    """The directions of x that y is to lose.

    x, y: (n, d) item vectors of one embedding space; remove: how many, at most; "auto": all that a search for axes
    sees of x (`components`, see `canonical_axes`), so that no trait of x that it can find is left to be read in y, but
    at most half of y's directions. Fewer leave an echo that outweighs what is new: in planted worlds, repeated topics
    led the list until the last of them was taken out, however little of y's variance was left then, while taking out
    twice as many directions as there were cost planted correlations of .30 to .34 no more than .01.
    Returns Removal. Raises ValueError if the two sides have different widths.
    """
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"vectors of width {x.shape[1]} and {y.shape[1]} are not of one space")
    most = component_count(len(x), components) if remove == "auto" else remove
    if remove == "auto":
        most = min(most, int(LEFT * np.linalg.matrix_rank(y - y.mean(0))))
    basis = principal_components(x, most)[1] if most else np.empty((x.shape[1], 0))
    return Removal(basis, *(_share(side, basis) for side in (x, y)))


def removed(y, basis):
    """Vectors y (n, d) without what lies in the orthonormal columns of basis (d, k)."""
    return y - (y @ basis) @ basis.T


def echo(x_score, y_score, x_direction, y_embeddings, *, fold):
    """How much of a relation is y repeating x, and what is left when the repetition is taken out.

    x_score, y_score: (n,); x_direction: (d,) the trait of x in embedding space; y_embeddings: (n, d) item means of y,
    in the same space; fold: intp (n,) folds within which held-out scores are comparable.
    Returns (echo, beyond): |correlation| of y's score with the trait of x read in y's own text, and the correlation
    of x_score with what that reading leaves of y_score.
    """
    repeated = _within(y_embeddings @ x_direction, fold)
    u, v = _within(x_score, fold), _within(y_score, fold)
    slope = (repeated @ v) / max(repeated @ repeated, 1e-12)
    return abs(_cosine(repeated, v)), _cosine(u, v - slope * repeated)


def _share(vectors, basis):
    centred = vectors - vectors.mean(0)
    return float(((centred @ basis) ** 2).sum() / max((centred * centred).sum(), 1e-12))


def _within(values, fold):
    values = np.array(values, dtype=np.float64)
    for f in np.unique(fold):
        values[fold == f] -= values[fold == f].mean()
    return values


def _cosine(a, b):
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 1e-12 else 0.0
