"""How often the right partner is found, where somebody knows it: hit@1, hit@10, mean reciprocal rank.

Truth measures and does nothing else: no weight, no map and no choice is ever made with it.
"""

import logging

import numpy as np

from crosswalk.known_pairs import read_pairs
from crosswalk.neighbours import TILE
from crosswalk.retrieval import interval
from crosswalk.texts import plain

logger = logging.getLogger(__name__)

TEN = 10
TIE = 1e-5  # of the greatest score of a row: scores this near to each other are taken as equal
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

    pairs: DataFrame with the columns a and b, ids as strings; a_ids, b_ids: of all rows. Pairs with an id that its side
    does not have are left out, as happens when a sample was drawn. Returns Truth, or None if no pair is left.
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

    a_labels, b_labels: a label for each row; None, NaN and blanks are none. same: label of b -> the label of a that
    means the same. Only rows whose label occurs on the other side take part, of a as those asked, of b as those among
    which they look. Returns Truth, or None if no label is shared.
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


def truths(pairs, labels, a_rows, b_rows):
    """Every Truth that the config names.

    pairs, labels: the config's `truth` and `labels`, or None; a_rows, b_rows: tables of the collections, in the order
    of the scores. Returns a list of Truth, perhaps empty.
    """
    found = {}
    if pairs:
        table = read_pairs(pairs)
        ids = a_rows["id"].to_numpy(), b_rows["id"].to_numpy()
        found["truth"] = from_pairs(table, *ids)
        for column, value in pairs.get("apart", {}).items():
            own, measure = table[[_equal(cell, value) for cell in table[column]]], f"truth, {column} = {plain(value)}"
            found[measure] = from_pairs(own, *ids, measure=measure)
    if labels:
        own = a_rows[labels["a"]], b_rows[labels["b"]]
        found["labels"] = from_labels(*own, same=labels["same"], ignore_case=labels["ignore_case"])
    for measure in [measure for measure, truth in found.items() if truth is None]:
        logger.warning("%s: no pair or label is on both sides; it is not measured", measure)
        del found[measure]
    return list(found.values())


def ranks(scores, truth):
    """What stands before the best right partner of each row, and what beside it.

    scores: a `Scores`. Returns three float (k,): wrong rows of b that are nearer, inf if nothing is right; wrong ones
    as near; right ones as near, itself included (0 if nothing is right).
    """
    before, wrong, right = np.full(len(truth.rows), np.inf), np.zeros(len(truth.rows)), np.zeros(len(truth.rows))
    step = max(CELLS // scores.shape[1] // TILE, 1) * TILE
    whole = len(truth.columns) == scores.shape[1]
    place = 0
    for start in range(0, scores.shape[0], step):
        stop = min(start + step, scores.shape[0])
        until = int(np.searchsorted(truth.rows, stop))
        if until == place:
            continue
        block = scores.rows(start, stop)
        for k in range(place, until):
            row = block[truth.rows[k] - start]
            row, own = row if whole else row[truth.columns], truth.right[k]
            if len(own):
                best, tie = row[own].max(), TIE * np.abs(row).max()
                right[k] = (row[own] >= best - tie).sum()
                before[k] = (row > best + tie).sum()
                wrong[k] = (row >= best - tie).sum() - before[k] - right[k]
        place = until
    return before, wrong, right


def evaluate(scores, truth, *, scorer, resamples, seed):
    """One row of the evaluation table: how a scorer does by a truth. Returns a dict with COLUMNS.

    Where right and wrong partners tie, each order of them counts alike. low, high: 95 % bootstrap interval over rows.
    """
    merits = np.array([_merits(*row) for row in zip(*ranks(scores, truth), strict=True)])
    low, high = interval(merits[:, 0], np.ones(len(merits)), resamples=resamples, seed=seed)
    return {
        "scorer": scorer,
        "measure": truth.measure,
        "n": len(merits),
        "hit_at_1": float(merits[:, 0].mean()),
        "low": low,
        "high": high,
        "hit_at_10": float(merits[:, 1].mean()),
        "mrr": float(merits[:, 2].mean()),
        "chance": truth.chance,
        "bound": truth.bound,
    }


def evaluate_pairs(partner, truth, *, scorer, resamples, seed):
    """The same for what was given out: share of right ones among the rows that got a partner with a known truth.

    partner: int (n,), row of b or -1. Returns a dict with COLUMNS; n counts the rows judged. Rows without a partner, or
    with one whose own partner nobody knows, are not judged, so that it is precision, not a share of all.
    """
    place = np.full(max(int(truth.columns.max()), int(partner.max(initial=0))) + 1, -1)
    place[truth.columns] = np.arange(len(truth.columns))
    got = partner[truth.rows]
    judged = [k for k in range(len(got)) if got[k] >= 0 and place[got[k]] >= 0]
    right = np.array([place[got[k]] in truth.right[k] for k in judged], dtype=np.float64)
    low, high = interval(right, np.ones(len(right)), resamples=resamples, seed=seed) if len(right) else (np.nan, np.nan)
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


def _merits(before, wrong, right):
    """Expected hit at 1, hit at 10 and reciprocal rank of a row, over all orders of the ones that tie."""
    if not right:
        return 0.0, 0.0, 0.0
    if not wrong:
        return float(before == 0), float(before < TEN), 1 / (before + 1)
    tied = np.arange(wrong)
    later = np.concatenate([[1.0], np.cumprod((wrong - tied) / (right + wrong - tied))])  # none right among the first i
    places = later * right / (right + wrong - np.arange(wrong + 1))  # the first right one stands at place i of them
    ten = 1 - later[int(TEN - before)] if before + wrong >= TEN and before < TEN else float(before < TEN)
    return places[0] * (before == 0), ten, float(places @ (1 / (before + 1 + np.arange(wrong + 1))))


def _equal(cell, value):
    """Whether a cell holds a value of the config: 2 is 2.0, and True is how pandas writes true."""
    try:
        return float(cell) == float(plain(value))
    except ValueError:
        return cell.strip().casefold() == plain(value).strip().casefold()


def _label(value, ignore_case):
    if value is None or value != value or not str(value).strip():
        return None
    return str(value).strip().casefold() if ignore_case else str(value).strip()
