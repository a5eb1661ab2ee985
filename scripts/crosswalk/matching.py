"""Match two collections: scores of all blocks together, levels, chance, assignment, and the tables that say why."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk import chance as by_chance
from crosswalk.assignment import assign
from crosswalk.blocks import Combined, Levelled
from crosswalk.neighbours import chunks, neighbours

logger = logging.getLogger(__name__)

LEVEL = 0.05  # false discovery rate of pairs that are nearer than chance
ROUNDING = 1e-5  # of the greatest possible score: two ways of adding the same blocks differ by less
CELLS = 1 << 23  # scores held at once
NO_NEARER = "no b is nearer than chance"
TOO_FAR = "no b is as near as the config asks for"
TAKEN = "the b's it is near to went to others"
SILENT = "nothing in it can be compared"


class Matched(NamedTuple):
    """What `match` found, row numbers instead of ids.

    partner: int (n,), -1 for nobody; matches: DataFrame, one row for each a; candidates: DataFrame; scores: the
    `Scores` that decided, levels included; facts: dict for diagnostics; threshold: float, -inf where everybody is
    matched, inf where nobody is nearer than chance.
    """

    partner: np.ndarray
    matches: pd.DataFrame
    candidates: pd.DataFrame
    scores: object
    facts: dict
    threshold: float


def match(blocks, coefficients, *, groups=(), settings, seed, key="match.assignment"):
    """Give the rows of a partners in b.

    blocks: list of Block; coefficients: of each, weight / spread; a block of coefficient 0 is as none at all;
    groups: list of (int (n,), int (m,)), levels matched first; settings: the config's `assignment`; seed: of the
    decoys; key: of the config, for errors.
    Returns Matched. Nothing depends on the order of rows but which of equal scores comes first. Raises UserError if
    capacities are too small for everybody.
    """
    blocks, coefficients = zip(*[pair for pair in zip(blocks, coefficients, strict=True) if pair[1]], strict=True)
    base = Combined(blocks, coefficients)
    n, m = base.shape
    reach = sum(abs(c) for c in coefficients)  # no score lies further from 0
    null = by_chance.null_scores(blocks, coefficients, seed=seed)
    scores = Levelled(base, list(groups), step=4 * reach) if len(groups) else base
    k = max(settings["candidates"], settings["top"] + 1)
    near = neighbours(scores, k=k)
    threshold = _threshold(settings["unmatched"], _scores(base, near.a_index[:, 0]), null, slack=ROUNDING * reach)
    capacity = (settings["capacity"] or -(-n // m)) if settings["mode"] == "capacity" else None
    best, chosen = near.a_score[:, 0], None
    if threshold < np.inf:
        final, known = scores, near
        if len(groups) and threshold > -np.inf:
            final = Levelled(base, list(groups), step=4 * reach, floor=threshold)
            known = neighbours(final, k=k)
            best = known.a_score[:, 0]
        chosen = assign(
            final,
            mode=settings["mode"],
            capacity=capacity,
            unmatched=None if threshold == -np.inf else threshold,
            k=k,
            neighbours=known,
            key=f"{key}.capacity",
        )
    partner = np.full(n, -1) if chosen is None else chosen.partner.astype(np.intp)
    table = _table(scores, base, near, partner, null=null)
    silent = ~np.any([block.parts["a"].dense.any(axis=1) for block in blocks], axis=0)
    far = TOO_FAR if settings["unmatched"] not in ("auto", "never") else NO_NEARER
    reason = np.where(silent, SILENT, np.where(best < threshold, far, TAKEN))
    table["reason"] = np.where(partner >= 0, "", reason)
    facts = _facts(table["reason"], chosen, mode=settings["mode"], capacity=capacity)
    facts["chance"] = {"threshold": float(threshold) if np.isfinite(threshold) else None, "level": LEVEL}
    logger.info("%d of %d rows matched (%s)", facts["matched"], n, settings["mode"])
    return Matched(partner, table, _candidates(base, near, top=settings["top"]), scores, facts, threshold)


def nearest(scores):
    """The best b of each a; int (n,)."""
    return np.concatenate([part.argmax(axis=1) for _, part in chunks(scores, cells=CELLS, label="nearest")])


def _threshold(setting, bests, null, *, slack):
    """The score from which a pair may be made; slack: what rounding may take from the score that decides."""
    if setting == "never":
        return -np.inf
    return by_chance.threshold(bests, null, level=LEVEL) - slack if setting == "auto" else float(setting)


def _scores(base, partner):
    """The score of each row of a with one row of b, of all blocks together; float64 (n,)."""
    return sum(base.pairs(np.arange(len(partner)), partner).values())


def _table(scores, base, near, partner, *, null):
    """One row for each a: its partner, or -1 and what its nearest is like, which is told and not given."""
    rows, has = np.arange(len(partner)), partner >= 0
    shown = np.where(has, partner, near.a_index[:, 0])
    parts = base.pairs(rows, shown)
    score = sum(parts.values())
    table = pd.DataFrame({"a": rows, "b": partner, "score": score})
    table["margin"] = np.nan
    if near.a_index.shape[1] > 1:  # less than 0 where the first choice went to another
        other = np.where(near.a_index[:, 0] == shown, near.a_index[:, 1], near.a_index[:, 0])
        table["margin"] = score - _scores(base, other)
    table["choice"] = _choice(scores, near, partner)
    table["mutual"] = (table["choice"] == 1) & (near.b_index[shown, 0] == rows)
    table["chance"] = by_chance.chance(score.astype(np.float32), null)
    for name, values in parts.items():
        table[f"share_{name}"] = values
    table["level"] = scores.depth(rows, shown) if isinstance(scores, Levelled) else 0
    return table


def _choice(scores, near, partner):
    """Place of the partner in the list of its a, from 1; 0 for nobody. Beyond the candidates it is counted."""
    place = near.a_index == partner[:, None]
    found = np.where(place.any(axis=1), place.argmax(axis=1) + 1, 0)
    beyond = np.flatnonzero((partner >= 0) & (found == 0))
    if len(beyond):
        for start, part in chunks(scores, cells=CELLS, label="choices"):
            own = beyond[(beyond >= start) & (beyond < start + len(part))]
            rows = part[own - start]
            score = rows[np.arange(len(own)), partner[own]][:, None]
            before = (rows == score) & (np.arange(rows.shape[1]) < partner[own, None])
            found[own] = 1 + (rows > score).sum(axis=1) + before.sum(axis=1)
    return found


def _candidates(base, near, *, top):
    """The first rows of b in the list of each a, with the share of each block."""
    n, k = len(near.a_index), min(top, near.a_index.shape[1])
    i, j = np.repeat(np.arange(n), k), near.a_index[:, :k].ravel()
    parts = base.pairs(i, j)
    table = pd.DataFrame({"a": i, "rank": np.tile(np.arange(1, k + 1), n), "b": j, "score": sum(parts.values())})
    for name, values in parts.items():
        table[f"share_{name}"] = values
    return table


def _facts(reason, chosen, *, mode, capacity):
    """What the diagnostics tell of an assignment; chosen: None where there was none to make."""
    alone = reason[reason != ""].value_counts().to_dict()
    return {
        "matched": int((reason == "").sum()),
        "unmatched": {why: int(count) for why, count in sorted(alone.items())},
        "assignment": {
            "mode": mode,
            "capacity": capacity,
            "solver": "none" if chosen is None else chosen.solver,
            "total": 0.0 if chosen is None else float(chosen.total),
            "bound": 0.0 if chosen is None else float(chosen.bound),
        },
    }
