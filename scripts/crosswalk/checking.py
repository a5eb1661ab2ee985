"""What can only be checked once all collections are drawn, and should be before anything is embedded or paid for."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crosswalk.errors import UserError
from crosswalk.items import dependent
from crosswalk.known_pairs import read_anchors, read_truth
from crosswalk.labels import labelled
from crosswalk.limits import LEAST_ITEMS, LEAST_ITEMS_A_FOLD, ROWS_PER_UNIT
from crosswalk.links import show

BATCH = 10_000  # texts looked at once


def check(tables, *, links, contrasts=None, relations=None, matchings=None, units=None):
    """Check collections against one another and against what the steps below need.

    tables: dict of collection to the path of its table; links: dict of collection to the collection it links to;
    contrasts: dict of collection to its `contrast`; relations: dict of relation to its x, y and folds;
    matchings: dict of matching to its entry in the config; units: dict of collection to the units of its largest
    encoder.
    Returns dict of collection to its number of rows. Raises UserError that lists every fault: ids that are not unique,
    empty texts, too few items, distinct texts, rows for the encoder or items and blocks for the folds, labels that no
    row carries, groups that are no item of the other collection, and matchings that cannot be done with these rows.
    """
    faults, ids, groups = [], {}, {}
    for name, path in tables.items():
        table = pq.read_table(path, columns=["id", "group"])
        ids[name], groups[name] = table["id"].to_pylist(), set(table["group"].to_pylist())
        faults += _collection_faults(name, path, ids[name], groups[name], (units or {}).get(name, 0))
        if contrast := (contrasts or {}).get(name):
            faults += _contrast_faults(name, path, contrast)
    for name, other in links.items():
        if lost := groups[name] - set(ids[other]):
            faults.append(
                f"{tables[name]}: rows belong to items that {tables[other]} lacks ({show(sorted(lost))}). "
                "One of the two files is of an earlier run: delete both and run again."
            )
    for name, relation in (relations or {}).items():
        faults += _fold_faults(name, relation, tables, groups)
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


def _fold_faults(name, relation, tables, groups):
    """Faults of a relation whose items cannot be parted into as many folds as asked for."""
    x, y, folds = relation["x"], relation["y"], relation["folds"]
    blocked = "block" in pq.read_schema(tables[x]).names
    table = pq.read_table(tables[x], columns=["id", "text", *(["block"] if blocked else [])])
    table = table.filter(pc.is_in(table["id"], value_set=pa.array(groups[y], pa.string())))
    named = table["block" if blocked else "id"].to_pylist()
    blocks = len(set(dependent(table["text"].to_pylist(), named))) if named else 0
    cure = f"Lower relate.{name}.folds, or draw more items (collections.{x}.sample.n)."
    if blocks < folds:
        what = f"blocks (collections.{x}.block)" if blocked else f"different texts of {x}"
        return [f"relate.{name}.folds: {blocks} {what} cannot make {folds} folds. {cure}"]
    if len(table) < LEAST_ITEMS_A_FOLD * folds:
        return [
            f"relate.{name}.folds: {len(table)} items of {x} have rows in {y}, too few for {folds} folds of "
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
