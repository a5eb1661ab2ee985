"""The notebook's own way from codes to relations, step by step and faults included, for comparison.

Nothing here is a valid test. What is unsound about each step is said at its function; figures were measured on two real
sets, 514 novels with 8 reviews each and 1,000 papers with 4. The default method does none of it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk.items import average_by_group

# How many rows of the sorted texts the notebook reads at an end.
SHOWN = 5


class Pair(NamedTuple):
    """One unit of x and one of y, counted from 0 on each side, and the correlation of their codes over rows."""

    x_unit: int
    y_unit: int
    r: float


class Ends(NamedTuple):
    """Row numbers of the texts read at the two ends of a sorted score, in the order in which they are read."""

    low: np.ndarray
    high: np.ndarray


class Published(NamedTuple):
    """What one encoding gives: relations, ends and scores as the default method writes them, and the matrix."""

    relations: pd.DataFrame
    ends: pd.DataFrame
    scores: pd.DataFrame
    matrix: np.ndarray


def relate(sides, codes, weights, *, encoder, collections, critical=1000, shown=SHOWN, first=1) -> Published:
    """Go the notebook's way from the codes of one encoding to pairs of units and the texts at their ends.

    sides: {"x": (rows, embeddings), "y": ...}, rows with id, group and text; codes: {"x": (rows, dim), "y": ...};
    weights: {"x": tensors with "encoder.weight" (dim, width) and "decoder.weight" (width, dim), "y": ...};
    encoder: its name; collections: names of x and y; critical: weights kept of a unit; shown: pairs, and texts of an
    end; first: number of the first relation.
    The notebook read decoder weights for x and encoder weights for y.
    """
    (x_rows, x), (y_rows, y) = sides["x"], sides["y"]
    position = {item: i for i, item in enumerate(x_rows["id"])}
    groups = y_rows["group"].map(position).to_numpy()
    matrix = correlation_matrix(codes["x"], codes["y"], groups)
    table = first_pairs(pairs(matrix, codes["x"].shape[1]), encoder=encoder, rows=len(y_rows), count=shown)
    table["relation"] += first - 1
    items = x_rows["id"].to_numpy()[np.unique(groups)]
    means = average_by_group(codes["y"], y_rows["group"].to_numpy(), items)
    texts, scores = [], []
    for row in table.itertuples():
        x_cosines = cosines(x, unit_vector(weights["x"]["decoder.weight"].T, row.x_unit, n=critical))
        y_cosines = cosines(y, unit_vector(weights["y"]["encoder.weight"], row.y_unit, n=critical))
        read = read_ends(x_cosines, y_cosines, groups, shown=shown)
        for end, numbers in (("high", read.high[::-1]), ("low", read.low)):
            for rank, number in enumerate(numbers, start=1):
                item = groups[number]
                for side, rows, at, score in (("x", x_rows, item, x_cosines), ("y", y_rows, number, y_cosines)):
                    own = rows.iloc[at]
                    texts.append((row.relation, side, end, rank, own["group"], own["id"], score[at], own["text"]))
        x_code = codes["x"][np.unique(groups), row.x_unit].astype(np.float64)
        score = {
            "relation": row.relation,
            "id": items,
            "x_score": x_code,
            "y_score": means[:, row.y_unit],
            "held_out": False,
        }
        scores.append(pd.DataFrame(score).assign(held_out=False, block=items))
    ends_table = pd.DataFrame(texts, columns=["relation", "side", "end", "rank", "item", "id", "score", "text"])
    ids = ends_table.groupby(["relation", "side", "end"], sort=False)["id"].agg("|".join)
    for side in ("x", "y"):
        for end in ("high", "low"):
            table[f"{side}_{end}"] = ""
            table[f"{side}_{end}_ids"] = [ids.get((number, side, end), "") for number in table["relation"]]
        table[f"{side}_fidelity"] = np.nan
    table["sentence"] = [
        f"Unit {row.x_unit} of {collections[0]} and unit {row.y_unit} of {collections[1]} in {encoder}: "
        f"r = {row.r:.2g} over {row.n} rows, the very rows it was found in; not tested"
        for row in table.itertuples()
    ]
    return Published(table, ends_table, pd.concat(scores, ignore_index=True), np.nan_to_num(matrix))


def correlation_matrix(codes_x, codes_y, groups) -> np.ndarray:
    """Correlate the concatenated codes over the rows of y, each merged with its x; set the within-blocks to zero.

    codes_x: (items, dx); codes_y: (rows, dy); groups: int (rows,), which row of codes_x each row of codes_y belongs to.
    Returns float64 (dx + dy, dx + dy); only the off-diagonal blocks are not zero.

    Unsound: an item with k rows counts k times and its rows resemble one another (intraclass correlation .15-.18), so
    that there are fewer independent observations than rows. With the links shuffled, a Bonferroni test of these
    numbers still found a relation in 81 % (papers) and 100 % (novels) of draws. A dead unit has no variance: as numpy
    does it, its correlations are NaN, here without the warning.
    """
    codes_x, codes_y, groups = np.asarray(codes_x), np.asarray(codes_y), np.asarray(groups)
    merged = np.hstack([codes_x[groups], codes_y]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.corrcoef(merged, rowvar=False)
    dim = codes_x.shape[1]
    matrix[:dim, :dim] = 0
    matrix[dim:, dim:] = 0
    return matrix


def pairs(matrix, dim: int) -> list[Pair]:
    """Every pair of a unit of x and a unit of y, sorted by |r| in ascending order.

    matrix: as `correlation_matrix` returns it; dim: units of x.

    Unsound: index 0, where the notebook reads, is the *weakest* pair (|r| about 1e-6, the strongest being about .2).
    NaN sorts last, as numpy sorts it, so that with dead units the other end is not the strongest pair either.
    Equal |r| keep the order of the matrix, so that two runs agree.
    """
    block = np.asarray(matrix)[:dim, dim:]
    order = np.argsort(np.abs(block), axis=None, kind="stable")
    return [
        Pair(int(x), int(y), float(block[x, y])) for x, y in zip(*np.unravel_index(order, block.shape), strict=True)
    ]


def critical_weights(weights, n: int = 1000) -> np.ndarray:
    """Keep each unit's n greatest weights and set the others to zero.

    weights: (units, width), the encoder's weight or the decoder's transposed; n: weights kept, all if n >= width.
    Returns float64 (units, width).

    Unsound: the greatest by signed value, not by size. Strongly negative weights go and weak positive ones stay: of
    1,000 kept of 1,536, 756 were positive, and the cosine to all weights was .69, against .99 when chosen by size.
    """
    weights = np.asarray(weights, dtype=np.float64)
    kept = np.zeros_like(weights)
    if n > 0:
        best = np.argsort(weights, axis=1, kind="stable")[:, -n:]
        np.put_along_axis(kept, best, np.take_along_axis(weights, best, axis=1), axis=1)
    return kept


def unit_vector(weights, unit: int, *, n: int = 1000) -> np.ndarray:
    """A unit's critical weights scaled to length 1, as a direction among the embeddings.

    weights: (units, width); unit: which; n: critical weights kept. Returns float64 (width,); NaN if all are zero.

    Unsound: the notebook takes decoder weights on one side and encoder weights on the other, which answer different
    questions (what a unit writes, what it reads), and applies them to raw embeddings although they were learned on
    standardised ones.
    """
    vector = critical_weights(np.asarray(weights)[[unit]], n)[0]
    with np.errstate(invalid="ignore"):
        return vector / np.linalg.norm(vector)


def cosines(embeddings, vector) -> np.ndarray:
    """Cosine of every raw embedding, float (rows, width), with one unit vector, (width,). Returns float64 (rows,)."""
    embeddings = np.asarray(embeddings, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return embeddings @ vector / np.linalg.norm(embeddings, axis=1)


def read_ends(x_cosines, y_cosines, groups, *, shown: int = SHOWN) -> Ends:
    """Sort the merged rows by the sum of their two cosines and read both ends.

    x_cosines: (items,); y_cosines: (rows,); groups: int (rows,) as in `correlation_matrix`; shown: rows of an end.
    Returns row numbers of y: the first `shown` in ascending order, and the slice [-shown:-1].

    Unsound: the sum supposes a positive correlation, also where the pair's is negative; the slice leaves out the top
    row; and as rows of one item share its cosine, all rows shown at an end may be one item.
    """
    order = np.argsort(np.asarray(x_cosines)[np.asarray(groups)] + np.asarray(y_cosines), kind="stable")
    return Ends(order[:shown], order[-shown:-1])


def first_pairs(found: list[Pair], *, encoder: str, rows: int, count: int) -> pd.DataFrame:
    """The first `count` pairs, weakest first, in the columns of relations.csv that they have.

    found: as `pairs` returns them; encoder: name of the encoding, such as "dense-8"; rows: rows of y that were merged.
    p, q, the interval, echo, beyond and stability are NaN and nothing is confirmed: the notebook tests nothing.
    """
    table = pd.DataFrame(found[:count], columns=list(Pair._fields))
    table.insert(0, "relation", np.arange(1, len(table) + 1))
    table.insert(1, "kind", "pair")
    table.insert(2, "encoder", encoder)
    table = table.assign(**dict.fromkeys(("r_low", "r_high", "p", "q"), np.nan), confirmed=False, strict=False, n=rows)
    return table.assign(**dict.fromkeys(("echo", "beyond", "stability"), np.nan), also="")
