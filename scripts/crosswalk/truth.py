"""How often the right partner is found, where somebody knows it: hit@1, hit@10, mean reciprocal rank, with chance and bound.

Truth measures and does nothing else: no weight, no map and no choice is ever made with it.
"""

import logging

import numpy as np
import pandas as pd

from crosswalk.config import source_paths
from crosswalk.errors import UserError
from crosswalk.sources import read
from crosswalk.texts import identifier

logger = logging.getLogger(__name__)

TEN = 10
TIE = 1e-5  # scores this near to each other are taken as equal
CELLS = 1 << 23  # scores held at once
COLUMNS = ["scorer", "measure", "n", "hit_at_1", "low", "high", "hit_at_10", "mrr", "chance", "bound"]


class Truth:
    """Which rows of b are right for rows of a.

    measure: what it is called; rows: int (k,), rows of a that have a truth; columns: int (c,), rows of b among which
    they look; right: list of k integer arrays, places in `columns` that are right, perhaps none.
    """

    def __init__(self, measure, rows, columns, right):
        self.measure, self.rows, self.columns, self.right = measure, np.asarray(rows), np.asarray(columns), right

    @property
    def chance(self):
        """Share of hits at first place when the order says nothing."""
        return float(np.mean([len(right) / len(self.columns) for right in self.right]))

    @property
    def bound(self):
        """Share of the rows that have a right partner at all."""
        return float(np.mean([len(right) > 0 for right in self.right]))


def from_pairs(pairs, a_ids, b_ids, *, measure="truth"):
    """The Truth of a table of pairs, among all rows of b.

    pairs: DataFrame with the columns a and b, ids as strings; a_ids, b_ids: of all rows. Pairs with an id that is on
    neither side are left out, as happens when a sample was drawn. Returns Truth, or None if no pair is left.
    """
    a, b = ({row: i for i, row in enumerate(ids)} for ids in (a_ids, b_ids))
    right = {}
    for one, other in zip(pairs["a"], pairs["b"], strict=True):
        if one in a and other in b:
            right.setdefault(a[one], set()).add(b[other])
    if not right:
        return None
    rows = sorted(right)
    return Truth(measure, rows, np.arange(len(b_ids)), [np.array(sorted(right[row])) for row in rows])


def from_labels(a_labels, b_labels, *, same=None, ignore_case=True, measure="labels"):
    """The Truth of labels on both sides: right is every row of b whose label means the same.

    a_labels, b_labels: a label or None for each row; same: label of b -> label of a. Only rows whose label occurs on
    the other side take part. Returns Truth, or None if no label is shared.
    """
    same = {_label(b, ignore_case): _label(a, ignore_case) for b, a in (same or {}).items()}
    a = [_label(label, ignore_case) for label in a_labels]
    b = [_label(label, ignore_case) for label in b_labels]
    b = [same.get(label, label) for label in b]
    shared = (set(a) & set(b)) - {None}
    if not shared:
        return None
    rows = [i for i, label in enumerate(a) if label in shared]
    columns = [j for j, label in enumerate(b) if label in shared]
    places = {label: np.array([p for p, j in enumerate(columns) if b[j] == label]) for label in shared}
    return Truth(measure, rows, columns, [places[a[i]] for i in rows])


def read_pairs(settings):
    """A table of pairs that the config names.

    settings: dict with path, the names of the columns a and b, and perhaps `apart`, further columns to keep.
    Returns a DataFrame with the columns a and b (ids as strings) and those of `apart` (strings). Raises UserError, as
    `sources.read` does, for a missing file or column, and if the table has no row.
    """
    kept = list(settings.get("apart", {}))
    columns = [settings["a"], settings["b"], *kept]
    rows = [
        [identifier(row.get(column)) for column in columns]
        for _, _, row in read(source_paths(settings), columns=columns)
    ]
    if not rows:
        raise UserError(f"{settings['path']}: the table of pairs has no row")
    return pd.DataFrame(rows, columns=["a", "b", *kept])


def truths(pairs, labels, a_rows, b_rows):
    """Every Truth that the config names.

    pairs, labels: the config's `truth` and `labels`, or None; a_rows, b_rows: tables of the collections, in the order
    of the scores. Returns a list of Truth, perhaps empty.
    """
    found = []
    if pairs:
        table = read_pairs(pairs)
        ids = a_rows["id"].to_numpy(), b_rows["id"].to_numpy()
        found.append(from_pairs(table, *ids))
        for column, value in pairs["apart"].items():
            own = table[[_equal(cell, value) for cell in table[column]]]
            found.append(from_pairs(own, *ids, measure=f"truth, {column} = {value}"))
    if labels:
        own = a_rows[labels["a"]], b_rows[labels["b"]]
        found.append(from_labels(*own, same=labels["same"], ignore_case=labels["ignore_case"]))
    if None in found:
        logger.warning("no pair or label of the truth is on both sides; what it would measure is left out")
    return [truth for truth in found if truth is not None]


def ranks(scores, truth):
    """What stands before the best right partner of each row: (k,) places before it, (k,) as good as it; inf if none.

    scores: a `Scores`. Only rows of b that are wrong count.
    """
    before, equal = np.full(len(truth.rows), np.inf), np.zeros(len(truth.rows))
    step = max(1, CELLS // scores.shape[1])
    whole = len(truth.columns) == scores.shape[1]
    place = 0
    for start in range(0, scores.shape[0], step):
        stop = min(start + step, scores.shape[0])
        until = place + int(np.searchsorted(truth.rows[place:], stop))
        if until == place:
            continue
        block = scores.rows(start, stop)
        for k in range(place, until):
            row = block[truth.rows[k] - start]
            row = row if whole else row[truth.columns]
            right = truth.right[k]
            if len(right):
                best = row[right].max()
                before[k] = (row > best + TIE).sum() - (row[right] > best + TIE).sum()
                near = np.abs(row - best) <= TIE
                equal[k] = near.sum() - near[right].sum()
        place = until
    return before, equal


def evaluate(scores, truth, *, scorer, resamples, seed):
    """One row of the evaluation table: how a scorer does by a truth. Returns a dict with COLUMNS.

    Of a right partner that ties with e wrong ones the hit counts 1 / (1 + e). low, high: 95 % bootstrap interval over rows.
    """
    before, equal = ranks(scores, truth)
    first = np.where(before == 0, 1 / (1 + equal), 0.0)
    ten = np.clip((TEN - before) / (1 + equal), 0, 1)
    low, high = _interval(first, resamples=resamples, seed=seed)
    return {
        "scorer": scorer,
        "measure": truth.measure,
        "n": len(first),
        "hit_at_1": float(first.mean()),
        "low": low,
        "high": high,
        "hit_at_10": float(ten.mean()),
        "mrr": float((1 / (1 + before + equal / 2)).mean()),
        "chance": truth.chance,
        "bound": truth.bound,
    }


def evaluate_pairs(partner, truth, *, scorer, resamples, seed):
    """The same for what was given out: share of right ones among the rows that got a partner with a known truth.

    partner: int (n,), row of b or -1. Returns a dict with COLUMNS; n counts the rows judged.
    """
    place = np.full(max(int(truth.columns.max()), int(partner.max(initial=0))) + 1, -1)
    place[truth.columns] = np.arange(len(truth.columns))
    got = partner[truth.rows]
    judged = [k for k in range(len(got)) if got[k] >= 0 and place[got[k]] >= 0]
    right = np.array([place[got[k]] in truth.right[k] for k in judged], dtype=np.float64)
    low, high = _interval(right, resamples=resamples, seed=seed) if len(right) else (np.nan, np.nan)
    return {
        "scorer": scorer,
        "measure": truth.measure,
        "n": len(right),
        "hit_at_1": float(right.mean()) if len(right) else np.nan,
        "low": low,
        "high": high,
        "hit_at_10": np.nan,
        "mrr": np.nan,
        "chance": truth.chance,
        "bound": truth.bound,
    }


def _interval(hits, *, resamples, seed, level=0.95):
    rng = np.random.default_rng(seed)
    shares = [hits[rng.integers(len(hits), size=len(hits))].mean() for _ in range(resamples)]
    tail = 100 * (1 - level) / 2
    return tuple(float(share) for share in np.percentile(shares, [tail, 100 - tail]))


def _equal(cell, value):
    try:
        return float(cell) == float(value)
    except (TypeError, ValueError):
        return str(cell) == str(value)


def _label(value, ignore_case):
    if value is None or value != value or not str(value).strip():
        return None
    return str(value).strip().casefold() if ignore_case else str(value).strip()
