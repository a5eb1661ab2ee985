"""What of everything that was tested together is confirmed: multiplicity, and which findings are one."""

import numpy as np
import pandas as pd

from crosswalk.significance import false_discovery_rate

UNCONFIRMED_SHOWN = 5  # distinct findings kept beside the confirmed ones, so that "nothing found" can be looked into
ASKED = "focus"  # the list of what was asked for by name: each is answered, whatever the answer


def judge_lists(tests, x_scores, y_scores, *, alpha, overlap):
    """`judge` for each list of tests by itself: lists answer different questions and are corrected apart.

    tests: as in `judge`, with `list` (see ASKED); the order of its rows stays. `view_of` counts rows of all tests.
    """
    parts = []
    for name, own in tests.groupby("list", sort=False):
        rows = own.index.to_numpy()
        judged = judge(
            own, x_scores[:, rows], y_scores[:, rows], alpha=alpha, overlap=overlap, distinct=name != ASKED
        )  # fmt: skip
        viewed = judged["view_of"].to_numpy()
        parts.append(judged.assign(view_of=np.where(viewed >= 0, rows[viewed], -1)))
    return pd.concat(parts).sort_index()


def judge(tests, x_scores, y_scores, *, alpha, overlap, distinct=True):
    """Correct for everything that was tested together, and tell distinct relations from views of them.

    tests: one row for each candidate of every search, with `family` (the search), `r`, `p` (one-sided) and `p_max`
    (family-wise within the search); x_scores, y_scores: (n, m), columns in the order of the rows; overlap: see `views`;
    distinct: whether candidates may be views of others.
    Returns a copy with `strict` (family-wise error over all searches <= alpha: p_max by Bonferroni), `view_of` (row of
    the relation that a candidate is a view of, else -1), `q` (false discovery rate, nan for views left out of it) and
    `confirmed` (q <= alpha, and no view).
    Views of strict relations are no discoveries of their own, as many more of which would loosen the correction for the
    rest, but they count as tests: what is a view is told by the same data, and chance findings are so more easily than
    not. (Left out of the count, 7 % of the claims in planted worlds were false at a rate of 5 %.) Nothing else leaves:
    the best of several chance findings, kept for all of them, would pass for one. Among the confirmed, views of
    stronger ones are then told as such.
    """
    tests = tests.copy()
    tests["strict"] = tests["p_max"] * tests["family"].nunique() <= alpha
    absorbing = tests["strict"].to_numpy() & distinct
    view_of = views(tests["r"], x_scores, y_scores, overlap=overlap, absorbing=absorbing)
    own = view_of < 0
    tests["q"] = np.nan
    tests.loc[own, "q"] = false_discovery_rate(np.where(own, tests["p"], 1.0))[own]
    found = np.flatnonzero((tests["q"] <= alpha) & distinct)
    among = views(tests["r"].iloc[found], x_scores[:, found], y_scores[:, found], overlap=overlap)
    view_of[found[among >= 0]] = found[among[among >= 0]]
    tests["view_of"] = view_of
    tests["confirmed"] = (tests["q"] <= alpha) & (view_of < 0)
    tests["strict"] &= tests["confirmed"]
    return tests


def views(r, x_scores, y_scores, *, overlap, absorbing=None):
    """Which candidates are views of stronger ones that account for them.

    r: (m,) correlations, which order the candidates; x_scores, y_scores: (n, m); overlap: share of a candidate's
    correlation from which it counts as a view of the stronger ones. That share is what goes when the stronger
    candidates' scores are projected out of its own, on either side. absorbing: bool (m,), which candidates others can
    be views of (default: all).
    Returns intp (m,): -1 for a candidate that stands for itself, else the number of the one it resembles most.
    """
    x, y = _standardise(x_scores), _standardise(y_scores)
    x_known, y_known = np.empty((len(x), 0)), np.empty((len(y), 0))  # orthonormal bases of the scores kept so far
    view_of, kept = np.full(len(r), -1), []
    absorbing = np.ones(len(r), dtype=bool) if absorbing is None else absorbing
    for row in np.lexsort((-np.asarray(r), ~absorbing)):
        u, v = _project_out(x[:, row], x_known), _project_out(y[:, row], y_known)
        whole, left = x[:, row] @ y[:, row], u @ v
        # Without a correlation of its own there is nothing that others could account for.
        if whole > 0 and left < (1 - overlap) * whole:
            like = (x[:, kept].T @ x[:, row]) * (y[:, kept].T @ y[:, row])
            view_of[row] = kept[int(np.argmax(like))]
        elif absorbing[row]:
            kept.append(int(row))
            x_known, y_known = _extend(x_known, u), _extend(y_known, v)
    return view_of


def listed(tests):
    """Rows of `judge_lists` that are told: of each list the confirmed by held-out r, then a few of the others.

    What was asked for is told whole.
    """
    told = []
    for name, of_list in tests.groupby("list", sort=False):
        own = of_list[of_list["view_of"] < 0].sort_values("r", ascending=False, kind="stable")
        others = own.index[~own["confirmed"]]
        told += [*own.index[own["confirmed"]], *(others if name == ASKED else others[:UNCONFIRMED_SHOWN])]
    return told


def _project_out(values, basis):
    return values - basis @ (basis.T @ values)


def _extend(basis, residual):
    """An orthonormal basis with one more direction, unless nothing of it is new."""
    residual = _project_out(residual, basis)  # once more, for orthogonality to rounding
    norm = np.linalg.norm(residual)
    return np.column_stack([basis, residual / norm]) if norm > 1e-6 * np.sqrt(len(residual)) else basis


def _standardise(scores):
    centred = scores - scores.mean(0)
    scale = centred.std(0)
    return centred / np.where(scale > 1e-12, scale, 1.0)
