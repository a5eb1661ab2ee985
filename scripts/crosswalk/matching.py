"""Match two collections: scores of all blocks together, levels, chance, assignment, and the tables that say why."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk import chance as by_chance
from crosswalk.assignment import assign
from crosswalk.blocks import Combined, Levelled
from crosswalk.neighbours import neighbours

logger = logging.getLogger(__name__)

LEVEL = 0.05  # false discovery rate of pairs that are nearer than chance
NO_NEARER = "no b is nearer than chance"
TAKEN = "the b's it is near to went to others"
SILENT = "nothing in it can be compared"


class Matched(NamedTuple):
    """What `match` found, row numbers instead of ids.

    partner: int (n,), -1 for nobody; matches: DataFrame, one row for each a; candidates: DataFrame; scores: the `Scores`
    that decided, levels included; facts: dict for diagnostics; threshold: float, -inf where everybody is matched.
    """

    partner: np.ndarray
    matches: pd.DataFrame
    candidates: pd.DataFrame
    scores: object
    facts: dict
    threshold: float


def match(blocks, coefficients, *, groups=(), settings, seed, key="match.assignment"):
    """Give the rows of a partners in b.

    blocks: list of Block; coefficients: of each, weight / spread; groups: list of (int (n,), int (m,)), levels matched
    first; settings: the config's `assignment`; seed: of the decoys; key: of the config, for errors.
    Returns Matched. Nothing depends on the order of rows but which of equal scores comes first.
    """
    base = Combined(blocks, coefficients)
    n, m = base.shape
    null = by_chance.null_scores(blocks, coefficients, seed=seed)
    step = 4 * sum(abs(c) for c in coefficients) + 1
    levelled = Levelled(base, list(groups), step=step) if len(groups) else base
    near = neighbours(levelled, k=min(max(settings["candidates"], settings["top"] + 1), max(n, m)))
    rows = np.arange(n)
    depth = levelled.depth if len(groups) else (lambda i, j: np.zeros(len(i), dtype=np.intp))
    bests = _base(base, rows, near.a_index[:, 0])
    threshold = _threshold(settings["unmatched"], bests, null)
    scores = levelled if threshold == -np.inf else Levelled(base, list(groups), step=step, floor=threshold)
    chosen = assign(
        scores,
        mode=settings["mode"],
        capacity=_capacity(settings, n, m),
        unmatched=None if threshold == -np.inf else threshold,
        k=settings["candidates"],
        neighbours=near if scores is levelled else None,
        key=f"{key}.capacity",
    )
    partner = chosen.partner
    table = _table(base, near, partner, null=null, depth=depth, threshold=threshold, bests=bests)
    reasons = table.loc[partner < 0, "reason"].value_counts().to_dict()
    logger.info("%d of %d rows matched (%s, %s)", (partner >= 0).sum(), n, settings["mode"], chosen.solver)
    facts = {
        "matched": int((partner >= 0).sum()),
        "unmatched": {reason: int(count) for reason, count in sorted(reasons.items())},
        "assignment": {
            "mode": settings["mode"],
            "capacity": settings["capacity"],
            "solver": chosen.solver,
            "total": float(chosen.total),
            "bound": float(chosen.bound),
        },
        "chance": {"threshold": float(threshold) if np.isfinite(threshold) else None, "level": LEVEL},
    }
    listed = _candidates(base, near, top=settings["top"])
    return Matched(partner, table, listed, levelled, facts, threshold)


def nearest(scores):
    """The best b of each a; int (n,)."""
    n, m = scores.shape
    step = max(1, (1 << 23) // m)
    return np.concatenate([scores.rows(i, min(i + step, n)).argmax(axis=1) for i in range(0, n, step)])


def _threshold(setting, bests, null):
    if setting == "never":
        return -np.inf
    return by_chance.threshold(bests, null, level=LEVEL) if setting == "auto" else float(setting)


def _capacity(settings, n, m):
    if settings["mode"] != "capacity":
        return None
    return settings["capacity"] or -(-n // m)


def _base(base, i, j):
    """Scores of pairs, of all blocks together; float64 (pairs,)."""
    return sum(base.pairs(i, j).values())


def _table(base, near, partner, *, null, depth, threshold, bests):
    n = len(partner)
    rows = np.arange(n)
    has = partner >= 0
    shown = np.where(has, partner, near.a_index[:, 0])  # of unmatched rows the nearest is told, not given
    parts = base.pairs(rows, shown)
    score = sum(parts.values())
    others = np.where(near.a_index == shown[:, None], -np.inf, _listed(base, near.a_index))
    place = near.a_index == partner[:, None]
    table = pd.DataFrame({"a": rows, "b": partner, "score": score})
    table["margin"] = score - others.max(axis=1) if near.a_index.shape[1] > 1 else np.nan
    table["choice"] = np.where(place.any(axis=1), place.argmax(axis=1) + 1, 0)
    table["mutual"] = has & (near.b_index[shown, 0] == rows)
    table["chance"] = by_chance.chance(score.astype(np.float32), null)
    for name, values in parts.items():
        table[f"share_{name}"] = values
    table["level"] = depth(rows, shown)
    silent = np.all([values == 0 for values in parts.values()], axis=0)
    reason = np.where(silent, SILENT, np.where(bests < threshold, NO_NEARER, TAKEN))
    table["reason"] = np.where(has, "", reason)
    return table


def _listed(base, index):
    """Scores of every row with each of its candidates; float64 (n, k)."""
    rows = np.arange(len(index))
    return np.column_stack([_base(base, rows, column) for column in index.T])


def _candidates(base, near, *, top):
    n, k = len(near.a_index), min(top, near.a_index.shape[1])
    i, j = np.repeat(np.arange(n), k), near.a_index[:, :k].ravel()
    parts = base.pairs(i, j)
    table = pd.DataFrame({"a": i, "rank": np.tile(np.arange(1, k + 1), n), "b": j, "score": sum(parts.values())})
    for name, values in parts.items():
        table[f"share_{name}"] = values
    return table
