"""From everything that was tested to distinct relations: direction, echo, scores and the texts at each end."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crosswalk.echo import echo
from crosswalk.ends import end_texts, mean_shift
from crosswalk.judging import listed

# What a search looks for, by how the name of its family starts; a family that is named after an encoding looks for
# pairs of its units.
KINDS = {"axes": "axis", "concepts-": "concept", "focus-": "focus"}


def kind_of(family):
    """What the candidates of a family are: "axis", "concept", "focus" or "pair"."""
    return next((kind for start, kind in KINDS.items() if family.startswith(start)), "pair")


@dataclass(frozen=True)
class Relations:
    """Distinct relations of n items: k rows.

    relations: DataFrame with relation (from 1), list, kind, encoder, x_unit, y_unit, r, r_low, r_high, p, q, confirmed,
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
    directions,
    fold,
    held_out,
    sides,
    examples=5,
):
    """Distinct relations among the candidates of every list, each with its direction, echo, scores and texts.

    tests: m rows from `judge_lists`; x_scores, y_scores: (n, m) in the order of the rows; items: n ids; x_embeddings
    (n, d_x) and y_embeddings (n, d_y): of the items, y averaged; directions: {"x": (m, d_x), "y": (m, d_y)}, nan in the
    rows of candidates that have none and take that from their bottom to their top items; fold: intp (n,); held_out:
    bool (n, m), whether the search of a candidate left the item's link unseen; sides: {"x": (rows, embeddings),
    "y": ...}, the collections themselves with columns id, group, text. Returns Relations.
    """
    rows, known = listed(tests), {}
    for row in rows:
        unseen = held_out[:, row]
        score = {"x": x_scores[:, row].astype(np.float64), "y": y_scores[:, row].astype(np.float64)}
        trait = {
            key: own if np.isfinite(own := directions[key][row]).all() else mean_shift(embeddings, score[key])
            for key, embeddings in (("x", x_embeddings), ("y", y_embeddings))
        }
        repeated = echo(score["x"][unseen], score["y"][unseen], trait["x"], y_embeddings[unseen], fold=fold[unseen])
        known[row] = score, trait, *repeated
    found, all_ends, all_scores, traits = [], [], [], {"x": [], "y": []}
    for number, row in enumerate(_in_order(rows, tests, known), start=1):
        score, trait, repeated, beyond = known[row]
        for key in "xy":
            traits[key].append(trait[key])
            owner = "id" if key == "x" else "group"
            texts = _texts(*sides[key], score[key], trait[key], items, owner=owner, count=examples)
            all_ends.append(texts.assign(relation=number, side=key))
        test, unseen = tests.iloc[row], held_out[:, row]
        found.append({"relation": number, **_told(test, tests[tests["view_of"] == row], repeated, beyond)})
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


def _in_order(rows, tests, known):
    """The rows as they are numbered: what was confirmed beyond the echo by what is left of it without repetition.

    Topics leave traces in what is left of y when x's directions are out of it, and their r is great.
    """
    beyond = [row for row in rows if tests["list"].iloc[row] == "beyond" and tests["confirmed"].iloc[row]]
    led = iter(sorted(beyond, key=lambda row: known[row][-1], reverse=True))
    return [next(led) if row in beyond else row for row in rows]


def _told(test, views, repeated, beyond):
    """What is told of a candidate, besides its texts: test, its row; views, the rows that are views of it."""
    also = [f"{view.family} {view.x_unit}-{view.y_unit}" for view in views.itertuples()]
    return {
        "list": test["list"],
        "kind": kind_of(test["family"]),
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


def _texts(rows, vectors, scores, trait, items, *, owner, count):
    """The texts at the ends of a trait; owner: the column of the rows that names their item."""
    columns = (rows[key].to_numpy() for key in ("id", "text"))
    return end_texts(scores, trait, *columns, vectors, rows[owner].to_numpy(), items, count=count)
