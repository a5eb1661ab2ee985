"""From everything that was tested to distinct relations: multiplicity, overlap, echo, the texts at each end."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crosswalk.significance import false_discovery_rate

UNCONFIRMED_SHOWN = 5  # distinct findings kept beside the confirmed ones, so that "nothing found" can be looked into
ENCODER_COLUMNS = ["encoder", "dim", "seed", "tested", "confirmed", "median_r", "pca_confirmed", "pca_median_r"]
ENCODER_COLUMNS += ["explained_variance_x", "explained_variance_y"]
FIFTH = 5  # a trait's two ends are the top and bottom fifth of the items


def judge(tests, x_scores, y_scores, *, alpha, overlap):
    """Correct for everything that was tested together, and tell distinct relations from views of them.

    tests: one row for each candidate of every search, with `family` (the search), `r`, `p` (one-sided) and `p_max`
    (family-wise within the search); x_scores, y_scores: (n, m), columns in the order of the rows; overlap: see `views`.
    Returns a copy with `strict` (family-wise error over all searches <= alpha: p_max by Bonferroni), `view_of` (row of
    the relation that a candidate is a view of, else -1), `q` (false discovery rate, nan for views left out of it) and
    `confirmed` (q <= alpha, and no view).
    Views of strict relations leave the list before it is corrected: as many more discoveries they would loosen the
    correction for the rest. Nothing else may leave it: the best of several chance findings, kept for all of them, would
    pass for one. Among the confirmed, views of stronger ones are then told as such.
    """
    tests = tests.copy()
    tests["strict"] = tests["p_max"] * tests["family"].nunique() <= alpha
    view_of = views(tests["r"], x_scores, y_scores, overlap=overlap, absorbing=tests["strict"].to_numpy())
    own = view_of < 0
    tests["q"] = np.nan
    tests.loc[own, "q"] = false_discovery_rate(tests.loc[own, "p"])
    found = np.flatnonzero(tests["q"] <= alpha)
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
    """Rows of `judge` that are told: the confirmed by held-out r, then a few of the others."""
    own = tests[tests["view_of"] < 0].sort_values("r", ascending=False, kind="stable")
    confirmed = own["confirmed"]
    return [*own.index[confirmed], *own.index[~confirmed][:UNCONFIRMED_SHOWN]]


def mean_shift(embeddings, scores):
    """Unit direction (d,) from the mean of the bottom fifth to the mean of the top fifth of the items by score."""
    low, high = fifths(scores)
    shift = embeddings[high].mean(0) - embeddings[low].mean(0)
    norm = np.linalg.norm(shift)
    return shift / norm if norm > 0 else shift


def fifths(scores):
    """Boolean masks of the bottom and the top fifth of the items by score; ties go by position."""
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    size = max(len(scores) // FIFTH, 1)
    return ranks < size, ranks >= len(scores) - size


@dataclass(frozen=True)
class Relations:
    """Distinct relations of n items: k rows.

    relations: DataFrame with relation (from 1), kind, encoder, x_unit, y_unit, r, r_low, r_high, p, q, confirmed,
    strict, n, echo, beyond, stability, also; ends: DataFrame from `end_texts` with relation and side; scores: DataFrame
    with relation, id, x_score, y_score and held_out, false where the search saw the item's link; x_traits (k, d_x),
    y_traits (k, d_y): unit directions in embedding space.
    """

    relations: pd.DataFrame
    ends: pd.DataFrame
    scores: pd.DataFrame
    x_traits: np.ndarray
    y_traits: np.ndarray


def collect_relations(
    tests,
    x_scores,
    y_scores,
    *,
    items,
    x_embeddings,
    y_embeddings,
    axis_directions,
    fold,
    held_out,
    sides,
    examples=5,
):
    """Distinct relations among all candidates, each with its direction, echo, scores and texts.

    tests: m rows from `judge`; x_scores, y_scores: (n, m) in the order of the rows; items: n ids; x_embeddings (n, d_x)
    and y_embeddings (n, d_y): of the items, y averaged; axis_directions: the (m_axes, d) directions of the family
    "axes" on either side, by unit; fold: intp (n,); held_out: bool (n, m), whether the search of a candidate left the
    item's link unseen; sides: {"x": (rows, embeddings), "y": ...}, the collections themselves with columns id, group,
    text. Returns Relations.
    """
    found, all_ends, all_scores, traits = [], [], [], {"x": [], "y": []}
    for number, row in enumerate(listed(tests), start=1):
        test, unseen = tests.iloc[row], held_out[:, row]
        score = {"x": x_scores[:, row].astype(np.float64), "y": y_scores[:, row].astype(np.float64)}
        kind = "axis" if test["family"] == "axes" else "pair"
        for i, (key, embeddings) in enumerate((("x", x_embeddings), ("y", y_embeddings))):
            unit = int(test[f"{key}_unit"])
            trait = axis_directions[i][unit] if kind == "axis" else mean_shift(embeddings, score[key])
            traits[key].append(trait)
            rows, vectors = sides[key]
            own = rows["id"].to_numpy() if key == "x" else rows["group"].to_numpy()
            texts = end_texts(
                score[key], trait, rows["id"].to_numpy(), rows["text"].to_numpy(), vectors, own, items, count=examples
            )
            all_ends.append(texts.assign(relation=number, side=key))
        repeated, beyond = echo(
            score["x"][unseen], score["y"][unseen], traits["x"][-1], y_embeddings[unseen], fold=fold[unseen]
        )
        also = [f"{view.family} {view.x_unit}-{view.y_unit}" for view in tests[tests["view_of"] == row].itertuples()]
        found.append(
            {
                "relation": number,
                "kind": kind,
                "encoder": test["family"],
                **{key: test[key] for key in ("x_unit", "y_unit", "r", "r_low", "r_high", "p", "q")},
                "confirmed": bool(test["confirmed"]),
                "strict": bool(test["strict"]),
                "n": int(test["n"]),
                "echo": repeated,
                "beyond": beyond,
                "stability": test["stability"],
                "also": "; ".join(also),
            }
        )
        scores = {"relation": number, "id": items, "x_score": score["x"], "y_score": score["y"], "held_out": unseen}
        all_scores.append(pd.DataFrame(scores))
    columns = ["relation", "side", "end", "rank", "item", "id", "score", "text"]
    return Relations(
        relations=pd.DataFrame(found),
        ends=pd.concat(all_ends, ignore_index=True)[columns],
        scores=pd.concat(all_scores, ignore_index=True),
        x_traits=np.array(traits["x"]),
        y_traits=np.array(traits["y"]),
    )


def compare_encoders(tables, encodings, explained, *, alpha):
    """What each encoder found, beside as many principal components as it has units.

    tables: one table from `significance.candidate_table` for each encoding and each baseline; encodings: names such as
    "topk-32/seed-42"; explained: share of variance each explains, x then y, two for each encoding.
    Each search is corrected by itself here, so that encoders compare whatever else was run.
    Returns a DataFrame with one row for each encoding.
    """
    merits = {}
    for table in tables:
        if len(table):
            confirmed = int((false_discovery_rate(table["p"]) <= alpha).sum())
            merits[table["family"].iloc[0]] = (len(table), confirmed, table["r"].median())
    rows = []
    for i, name in enumerate(encodings):
        kind, seed = name.split("/seed-")
        encoder, dim = kind.rsplit("-", 1)
        tested, confirmed, median = merits.get(name, (0, 0, np.nan))
        _, pca_confirmed, pca_median = merits.get(f"pca-{dim}", (0, 0, np.nan))
        found = (tested, confirmed, median, pca_confirmed, pca_median)
        rows.append((encoder, int(dim), int(seed), *found, explained[2 * i], explained[2 * i + 1]))
    return pd.DataFrame(rows, columns=ENCODER_COLUMNS)


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


def end_texts(scores, direction, ids, texts, embeddings, groups, items, *, count):
    """The texts that show a trait best: for each of the outermost items, its row furthest along the trait.

    scores: (n,) of the items; direction: (d,); ids, texts, groups: N rows; embeddings: (N, d) rows; items: n ids.
    A text that was shown already is passed over, and its item too if it has no other.
    Returns a DataFrame with end ("high", "low"), rank (from 1), item, id, score, text.
    """
    along = np.asarray(embeddings) @ direction
    members = pd.Series(np.arange(len(ids))).groupby(np.asarray(groups), sort=False).indices
    order = np.argsort(-np.asarray(scores), kind="stable")
    found = []
    for end, outermost, sign in (("high", order, 1), ("low", order[::-1], -1)):
        shown = set()
        for item in outermost:
            own = members[items[item]]
            own = own[np.argsort(-sign * along[own], kind="stable")]
            row = next((row for row in own if texts[row] not in shown), None)
            if row is None:
                continue
            shown.add(texts[row])
            found.append((end, len(shown), items[item], ids[row], float(scores[item]), texts[row]))
            if len(shown) == count:
                break
    return pd.DataFrame(found, columns=["end", "rank", "item", "id", "score", "text"])


def _project_out(values, basis):
    return values - basis @ (basis.T @ values)


def _extend(basis, residual):
    """An orthonormal basis with one more direction, unless nothing of it is new."""
    residual = _project_out(residual, basis)  # once more, for orthogonality to rounding
    norm = np.linalg.norm(residual)
    return np.column_stack([basis, residual / norm]) if norm > 1e-6 * np.sqrt(len(residual)) else basis


def _within(values, fold):
    values = np.array(values, dtype=np.float64)
    for f in np.unique(fold):
        values[fold == f] -= values[fold == f].mean()
    return values


def _cosine(a, b):
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 1e-12 else 0.0


def _standardise(scores):
    centred = scores - scores.mean(0)
    scale = centred.std(0)
    return centred / np.where(scale > 1e-12, scale, 1.0)
