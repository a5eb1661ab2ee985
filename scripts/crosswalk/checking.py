"""What can only be checked once all collections are drawn, and should be before anything is embedded or paid for."""

import pyarrow.parquet as pq

from crosswalk.errors import UserError
from crosswalk.item_table import item_table
from crosswalk.known_pairs import read_anchors, read_truth
from crosswalk.labels import labelled
from crosswalk.limits import LEAST_ITEMS, LEAST_ITEMS_A_FOLD, ROWS_PER_UNIT
from crosswalk.links import show

BATCH = 10_000  # texts looked at once


def check(tables, *, links, contrasts=None, relations=None, matchings=None, units=None, preambles=None):
    """Check collections against one another and against what the steps below need.

    tables: dict of collection to the path of its table; links: dict of collection to the collection it links to;
    contrasts: dict of collection to its `contrast`; relations: dict of relation to its x, y, folds and
    covariates; matchings: dict of matching to its entry in the config; units: dict of collection to the units of its
    largest encoder; preambles: dict of collection to what stands before every text.
    Returns dict of collection to its number of rows. Raises UserError that lists every fault: ids that are not unique,
    empty texts, too few items, distinct texts, rows for the encoder or items and blocks for the folds, covariates that
    cannot be taken out, labels that no row carries, groups that are no item of the other collection, and
    matchings that cannot be done with these rows.
    """
    faults, ids, groups, broken = [], {}, {}, set()
    for name, path in tables.items():
        table = pq.read_table(path, columns=["id", "group"])
        ids[name], groups[name] = table["id"].to_pylist(), set(table["group"].to_pylist())
        faults += _collection_faults(name, path, ids[name], groups[name], (units or {}).get(name, 0))
        if len(set(ids[name])) < len(ids[name]):
            broken.add(name)
        if contrast := (contrasts or {}).get(name):
            faults += _contrast_faults(name, path, contrast)
    for name, other in links.items():
        if lost := groups[name] - set(ids[other]):
            broken.add(name)
            faults.append(
                f"{tables[name]}: rows belong to items that {tables[other]} lacks ({show(sorted(lost))}). "
                "One of the two files is of an earlier run: delete both and run again."
            )
    for name, relation in (relations or {}).items():
        if not broken & {relation["x"], relation["y"]}:
            faults += _item_faults(name, relation, tables, preambles)
    for name, matching in (matchings or {}).items():
        faults += _match_faults(f"match.{name}", matching, ids)
    if faults:
        raise UserError("\n  ".join(["The collections cannot be used:", *faults] if len(faults) > 1 else faults))
    return {name: len(own) for name, own in ids.items()}


def _collection_faults(name, path, ids, groups, units):
    if len(set(ids)) < len(ids):
        return [f"{path}: ids are not unique. Delete the file and run again."]
    first, distinct = None, False
    for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["text"]):
        texts = batch["text"].to_pylist()
        if not all(text.strip() for text in texts):
            return [f"{path}: there are empty texts. Delete the file and run again."]
        first = texts[0] if first is None else first
        distinct = distinct or any(text != first for text in texts)
    faults = []
    if len(groups) < LEAST_ITEMS:
        faults.append(
            f"collections.{name}: {len(groups)} items in {path}, and no result can rest on fewer than {LEAST_ITEMS}. "
            "Raise sample.n, loosen where and link.at_least, or give more data."
        )
    if not distinct:
        faults.append(f"collections.{name}.text: every row says the same. Name columns that differ in text.columns.")
    if len(ids) < ROWS_PER_UNIT * units:
        faults.append(
            f"collections.{name}: {len(ids)} rows are too few for {units} units (encode.dims), which need "
            f"{ROWS_PER_UNIT * units}. Draw more (sample.n, link.take) or take the larger dims out of encode.dims."
        )
    return faults


def _contrast_faults(name, path, contrast):
    values = pq.read_table(path, columns=[contrast["column"]])[contrast["column"]].to_pylist()
    try:
        labelled(values, contrast=contrast)
    except UserError as error:
        return [f"collections.{name}.{error}"]
    return []


def _item_faults(name, relation, tables, preambles):
    """Faults of a relation whose items cannot be parted into folds, or whose covariates cannot be taken out."""
    x, y, folds = relation["x"], relation["y"], relation["folds"]
    listed = [f"{side}.{own}" for side in "xy" for own in relation.get("covariates", {}).get(side, ())]
    cure = f"Lower relate.{name}.folds, or draw more items (collections.{x}.sample.n)."
    try:
        _, facts = item_table(
            tables[x],
            tables[y],
            name=name,
            collections=(x, y),
            preambles=[(preambles or {}).get(side, "") for side in (x, y)],
            listed=listed,
            folds=folds,
        )
    except UserError as error:
        return [str(error)]
    if facts["blocks"] < folds:
        levels = [f"collections.{relation[side]}.block" for side, own in facts["levels"].items() if own]
        what = f"blocks ({', '.join(levels)})" if levels else f"groups of items without a text in common ({x}, {y})"
        return [f"relate.{name}.folds: {facts['blocks']} {what} cannot make {folds} folds. {cure}"]
    if facts["items"] < LEAST_ITEMS_A_FOLD * folds:
        return [
            f"relate.{name}.folds: {facts['items']} items of {x} have rows in {y}, too few for {folds} folds of "
            f"{LEAST_ITEMS_A_FOLD} items or more on average. {cure}"
        ]
    return []


def _match_faults(at, matching, ids):
    """Faults of a matching that its rows and its tables of known pairs show."""
    a, b = ids[matching["a"]], ids[matching["b"]]
    faults = []
    if "truth" in matching:
        faults += _said(read_truth, matching["truth"], a, b, key=f"{at}.truth")
    if "anchors" in matching["alignment"]:
        faults += _said(read_anchors, matching["alignment"]["anchors"], a, b, key=f"{at}.alignment.anchors")
    topics = matching["topics"]
    fewest = min(topics["number"]) if isinstance(topics["number"], list) else topics["number"]
    texts = min(len(a), len(b)) if topics["mode"] == "separate" else len(a) + len(b)
    if fewest > texts:
        faults.append(f"{at}.topics.number: {texts} texts cannot have {fewest} topics. Lower it, or draw more rows.")
    settings = matching["assignment"]
    capacity = settings["capacity"]
    if settings["mode"] == "capacity" and capacity and settings["unmatched"] == "never" and capacity * len(b) < len(a):
        faults.append(
            f"{at}.assignment.capacity: {len(b)} rows of {matching['b']}, each taken {capacity} times at most, are too "
            f"few for {len(a)} of {matching['a']}. Raise it to {-(-len(a) // len(b))}, or let rows stay alone "
            "(unmatched: auto)."
        )
    return faults


def _said(read, *arguments, **options):
    """What reading a table ends with, as a list of faults."""
    try:
        read(*arguments, **options)
    except UserError as error:
        return [str(error)]
    return []
