"""One row for each item that has both sides of a link: the block it belongs to, and what else is known of it."""

import logging

import pandas as pd
import pyarrow.parquet as pq

from crosswalk.covariates import item_covariates, refuse_unusable
from crosswalk.errors import UserError
from crosswalk.grouping import group_items
from crosswalk.limits import LEAST_ITEMS

log = logging.getLogger(__name__)


def item_table(x_path, y_path, *, name, collections, preambles=("", ""), listed=(), folds=5):
    """Bring together what a relation knows of its items apart from their vectors.

    x_path, y_path: tables of the two collections; name: of the relation, collections: of the two, for messages;
    preambles: what stands before every text of x and of y; listed: covariates that are to be taken out, as "x.length";
    folds: parts that the items are to be parted into.
    Returns a DataFrame with id, block and a column for each covariate (see `covariates.item_covariates`), in the order
    of x, and a dict of facts for JSON. Raises UserError if fewer than 10 items have both sides, or for covariates that
    cannot be taken out.
    """
    x_rows, y_rows = (pq.read_table(path).to_pandas() for path in (x_path, y_path))
    x_rows = x_rows[x_rows["id"].isin(y_rows["group"])].reset_index(drop=True)
    if len(x_rows) < LEAST_ITEMS:
        raise UserError(f"{len(x_rows)} items of {x_path} have rows in {y_path}; {LEAST_ITEMS} are needed. Draw more.")
    grouping = group_items(x_rows, y_rows, preambles=preambles, name=name)
    position = {item: i for i, item in enumerate(x_rows["id"])}
    columns, about = {}, {}
    for side, rows, owner, preamble in zip("xy", (x_rows, y_rows), ("id", "group"), preambles, strict=True):
        owners = [position[item] for item in rows[owner]]
        found = item_covariates(rows, owners, side=side, count=len(x_rows), preamble=preamble)
        columns |= found.columns
        about |= found.facts
    refuse_unusable(listed, about, name=name, collections=collections, items=len(x_rows), folds=folds)
    table = pd.DataFrame({"id": x_rows["id"], "block": grouping.blocks, **columns})
    for key, facts in about.items():
        facts["use"] = "left out" if "left_out" in facts else "listed" if key in listed else "watched"
    return table, {**grouping.facts, "covariates": about}
