"""How well an embedding knows which rows belong to which item: the yardstick that any embedding has to pass.

Each row of one collection looks for its own item among all items of the other by cosine. Rows of one item resemble one
another, so the interval resamples items, not rows (the cluster bootstrap of Field and Welsh, 2007).
"""

import logging

import numpy as np
import pandas as pd
from tqdm import tqdm

from crosswalk.lexical import Lexical
from crosswalk.significance import bounds, resampled

log = logging.getLogger(__name__)

TEN = 10  # first hits among which `recall_at_10` looks
TIE = 1e-6  # cosines this near to each other differ by the rounding of float32 and are taken as equal
CELLS = 1 << 22  # cosines held at once; 16 MB
MOST_ROWS = 20_000  # rows that look; beyond, a draw of items bounds the time and the interval is narrow anyway
LEXICAL = "tf-idf"
COLUMNS = ["embedding", "dimensions", "recall_at_1", "low", "high", "recall_at_10", "mrr", "items", "rows"]


def retrieval(x, y, groups, ids, *, resamples, seed):
    """How often a row of y finds its own item of x among all of them by cosine.

    x: (n, d) one row for each item; y: (m, d); groups: m item ids, the items of y's rows; ids: n unique ids of x's
    rows; resamples: of the items, behind the interval.
    Equal cosines share their places: a row whose item ties with another counts half a hit at the first place. A row
    without direction ties with everything.
    Returns a dict: recall_at_1, low, high (its 95 % interval), recall_at_10, mrr (mean reciprocal rank), items (n,
    among which is sought), rows (m). Raises ValueError if there is no row or one belongs to no item.
    """
    ids = np.asarray(ids, dtype=object)
    position = {item: i for i, item in enumerate(ids)}
    try:
        own = np.fromiter((position[g] for g in groups), dtype=np.intp, count=len(groups))
    except KeyError as error:
        raise ValueError(f"a row belongs to {error}, which is not an item") from None
    if not len(own):
        raise ValueError("there is no row to look for its item")
    first, ten, reciprocal = _merits(*_places(_unit(x), _unit(y), own), items=len(ids))
    rows = np.bincount(own, minlength=len(ids))
    looked = np.flatnonzero(rows)
    # In the order of the ids, so that the interval does not depend on the order of the rows.
    looked = looked[np.argsort(ids[looked].astype(str), kind="stable")]
    hits = np.bincount(own, weights=first, minlength=len(ids))[looked]
    low, high = interval(hits, rows[looked], resamples=resamples, seed=seed)
    return {
        "recall_at_1": first.mean(),
        "low": low,
        "high": high,
        "recall_at_10": ten.mean(),
        "mrr": reciprocal.mean(),
        "items": len(ids),
        "rows": len(own),
    }


def chance(items):
    """What `retrieval` gives on average when the order of the items says nothing: the same keys, without interval."""
    return {
        "recall_at_1": 1 / items,
        "recall_at_10": min(TEN, items) / items,
        "mrr": float((1 / np.arange(1, items + 1)).mean()),
    }


def compare(x, y, *, name, texts, groups, ids, resamples, seed):
    """`retrieval` by an embedding, by the words alone in as many dimensions, and by both side by side.

    x: (n, d), y: (m, d): the embedding called `name`; texts: (n strings, m strings), what was embedded; groups, ids,
    resamples, seed: as for `retrieval`. Of an embedding that is called LEXICAL itself only its own row is given.
    Of more than MOST_ROWS rows of y, those of a draw of items look. Returns a DataFrame with COLUMNS.
    """
    groups = np.asarray(groups, dtype=object)
    asked = _draw(groups, seed=seed)
    y, groups = y[asked], groups[asked]
    found = {name: (x, y)}
    if name != LEXICAL:
        x_texts, y_texts = (list(part) for part in texts)
        model = Lexical.fit([*x_texts, *y_texts], dimensions=x.shape[1], seed=seed)
        found[LEXICAL] = _embed(model, x_texts), _embed(model, [y_texts[i] for i in asked])
        both = zip(found[name], found[LEXICAL], strict=True)
        found["both"] = tuple(np.hstack([_unit(a), _unit(b)]) for a, b in both)
    rows = []
    for embedding, (items, lookers) in found.items():
        merits = retrieval(items, lookers, groups, ids, resamples=resamples, seed=seed)
        rows.append({"embedding": embedding, "dimensions": items.shape[1], **merits})
    return pd.DataFrame(rows)[COLUMNS]


def interval(hits, rows, *, resamples, seed):
    """95 % percentile interval of the share of hits when items, each with all its rows, are drawn again.

    hits, rows: (k,) hits and rows of each item. Returns two floats.
    """
    totals = resampled(np.column_stack([hits, rows]).astype(np.float64), resamples=resamples, seed=seed)
    low, high = bounds(totals[:, 0] / totals[:, 1])
    return float(low), float(high)


def _draw(groups, *, seed):
    """Numbers of the rows that look: all, or those of as many items, in random order, as have MOST_ROWS together."""
    if len(groups) <= MOST_ROWS:
        return np.arange(len(groups))
    items, item, rows = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(items))
    drawn = np.zeros(len(items), dtype=bool)
    drawn[order[np.cumsum(rows[order]) <= MOST_ROWS]] = True
    log.info("%d rows are many: those of %d of %d items look for theirs", len(groups), drawn.sum(), len(items))
    return np.flatnonzero(drawn[item])


def _places(x, y, own):
    """For each row of y, how many items are nearer than its own, and how many are as near, itself included."""
    nearer, equal = np.empty(len(y), dtype=np.intp), np.empty(len(y), dtype=np.intp)
    step = max(CELLS // len(x), 1)
    for start in tqdm(range(0, len(y), step), desc="retrieval", disable=None, delay=5):
        part = slice(start, start + step)
        cosines = y[part] @ x.T
        cosines -= np.take_along_axis(cosines, own[part, None], axis=1)
        nearer[part] = (cosines > TIE).sum(1)
        equal[part] = (cosines >= -TIE).sum(1) - nearer[part]
    return nearer, equal


def _merits(nearer, equal, *, items):
    """Expected hit at 1, hit within 10 and reciprocal rank of each row if equals stand in random order."""
    within = [np.clip((places - nearer) / equal, 0.0, 1.0) for places in (1, TEN)]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, items + 1))])
    return *within, (harmonic[nearer + equal] - harmonic[nearer]) / equal


def _embed(model, texts):
    return np.vstack([model.embed(texts[part]).vectors for part in model.chunks(texts)])


def _unit(vectors):
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
