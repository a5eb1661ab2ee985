"""From everything that was tested to distinct relations: multiplicity, overlap, echo, the texts at each end."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crosswalk.significance import false_discovery_rate

UNCONFIRMED_SHOWN = 5  # distinct findings kept beside the confirmed ones, so that "nothing found" can be looked into
ENCODER_COLUMNS = ["encoder", "dim", "seed", "tested", "confirmed", "median_r", "pca_confirmed", "pca_median_r"]
ENCODER_COLUMNS += ["explained_variance_x", "explained_variance_y"]
FIFTH = 5  # a trait's two ends are the top and bottom fifth of the items


def judge(tests, *, alpha):
    """Correct for everything that was tested together.

    tests: one row for each candidate of every search, with `family` (the search), `p` (one-sided) and `p_max`
    (family-wise within the search). Returns a copy with `q` (false discovery rate over all rows), `confirmed`
    (q <= alpha) and `strict` (family-wise error over all searches <= alpha: p_max by Bonferroni over families).
    """
    tests = tests.copy()
    tests["q"] = false_discovery_rate(tests["p"])
    tests["confirmed"] = tests["q"] <= alpha
    tests["strict"] = tests["confirmed"] & (tests["p_max"] * tests["family"].nunique() <= alpha)
    return tests


def distinct(tests, x_scores, y_scores, *, overlap):
    """Fold findings that stronger ones already account for into the strongest of those they resemble.

    tests: m rows from `judge`; x_scores, y_scores: (n, m), columns in the order of the rows; overlap: share of a
    finding's correlation from which it counts as a view of the stronger ones. That share is what goes when the
    stronger findings' scores are projected out of its own, on either side.
    Returns a list of (row, [rows folded into it]): the confirmed first, by held-out r, then a few unconfirmed.
    """
    confirmed = tests["confirmed"].to_numpy()
    x, y = _standardise(x_scores), _standardise(y_scores)
    x_known, y_known = np.empty((len(x), 0)), np.empty((len(y), 0))  # orthonormal bases of the scores kept so far
    kept, members, unconfirmed = [], [], 0
    for row in np.lexsort((-tests["r"].to_numpy(), ~confirmed)):
        u, v = _project_out(x[:, row], x_known), _project_out(y[:, row], y_known)
        whole, left = x[:, row] @ y[:, row], u @ v
        if kept and left < (1 - overlap) * whole:
            if confirmed[row]:  # an unconfirmed view of a relation adds nothing to it
                like = (x[:, kept].T @ x[:, row]) * (y[:, kept].T @ y[:, row])
                members[int(np.argmax(like))].append(int(row))
            continue
        if not confirmed[row]:
            unconfirmed += 1
            if unconfirmed > UNCONFIRMED_SHOWN:
                break
        kept.append(int(row))
        members.append([])
        x_known, y_known = _extend(x_known, u), _extend(y_known, v)
    return list(zip(kept, members, strict=True))


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
    strict, n, echo, beyond, stability, also; ends: DataFrame from `ends` with relation and side; scores: DataFrame with
    relation, id, x_score, y_score; x_traits (k, d_x), y_traits (k, d_y): unit directions in embedding space.
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
    sides,
    overlap=0.5,
    examples=5,
):
    """Distinct relations among all candidates, each with its direction, echo, scores and texts.

    tests: m rows from `judge`; x_scores, y_scores: (n, m) in the order of the rows; items: n ids; x_embeddings (n, d_x)
    and y_embeddings (n, d_y): of the items, y averaged; axis_directions: the (m_axes, d) directions of the family
    "axes" on either side, by unit; fold: intp (n,); sides: {"x": (rows, embeddings), "y": ...}, the collections
    themselves with columns id, group, text. Returns Relations.
    """
    listed, all_ends, all_scores, traits = [], [], [], {"x": [], "y": []}
    for number, (row, members) in enumerate(distinct(tests, x_scores, y_scores, overlap=overlap), start=1):
        test = tests.iloc[row]
        score = {"x": x_scores[:, row].astype(np.float64), "y": y_scores[:, row].astype(np.float64)}
        kind = "axis" if test["family"] == "axes" else "pair"
        for i, (key, embeddings) in enumerate((("x", x_embeddings), ("y", y_embeddings))):
            unit = int(test[f"{key}_unit"])
            trait = axis_directions[i][unit] if kind == "axis" else mean_shift(embeddings, score[key])
            traits[key].append(trait)
            rows, vectors = sides[key]
            own = rows["id"].to_numpy() if key == "x" else rows["group"].to_numpy()
            texts = ends(
                score[key], trait, rows["id"].to_numpy(), rows["text"].to_numpy(), vectors, own, items, count=examples
            )
            all_ends.append(texts.assign(relation=number, side=key))
        repeated, beyond = echo(score["x"], score["y"], traits["x"][-1], y_embeddings, fold=fold)
        also = [f"{tests.iloc[m]['family']} {tests.iloc[m]['x_unit']}-{tests.iloc[m]['y_unit']}" for m in members]
        listed.append(
            {
                "relation": number,
                "kind": kind,
                "encoder": test["family"],
                **{key: test[key] for key in ("x_unit", "y_unit", "r", "r_low", "r_high", "p", "q")},
                "confirmed": bool(test["confirmed"]),
                "strict": bool(test["strict"]),
                "n": len(items),
                "echo": repeated,
                "beyond": beyond,
                "stability": test["stability"],
                "also": "; ".join(also),
            }
        )
        scores = {"relation": number, "id": items, "x_score": score["x"], "y_score": score["y"]}
        all_scores.append(pd.DataFrame(scores))
    columns = ["relation", "side", "end", "rank", "item", "id", "score", "text"]
    return Relations(
        relations=pd.DataFrame(listed),
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
    of x_score with what that reading leaves of y_score. Both nan if the two spaces differ in width.
    """
    if y_embeddings.shape[1] != len(x_direction):
        return np.nan, np.nan
    repeated = _within(y_embeddings @ x_direction, fold)
    u, v = _within(x_score, fold), _within(y_score, fold)
    slope = (repeated @ v) / max(repeated @ repeated, 1e-12)
    return abs(_cosine(repeated, v)), _cosine(u, v - slope * repeated)


def ends(scores, direction, ids, texts, embeddings, groups, items, *, count):
    """The texts that show a trait best: for each of the outermost items, its row furthest along the trait.

    scores: (n,) of the items; direction: (d,); ids, texts, groups: N rows; embeddings: (N, d) rows; items: n ids.
    Returns a DataFrame with end ("high", "low"), rank (from 1), item, id, score, text.
    """
    rows = pd.DataFrame({"item": groups, "row": np.arange(len(ids)), "along": embeddings @ direction})
    members = dict(tuple(rows.groupby("item", sort=False)))
    order = np.argsort(-np.asarray(scores), kind="stable")
    found = []
    for end, chosen, sign in (("high", order[:count], 1), ("low", order[::-1][:count], -1)):
        for rank, item in enumerate(chosen, start=1):
            own = members[items[item]]
            row = int(own["row"].iloc[int(np.argmax(sign * own["along"].to_numpy()))])
            found.append((end, rank, items[item], ids[row], float(scores[item]), texts[row]))
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
