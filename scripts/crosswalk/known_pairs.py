"""Tables of pairs that somebody knows to correspond: those that measure a matching, and those that anchor one."""

import numpy as np
import pandas as pd

from crosswalk.errors import UserError
from crosswalk.limits import FEWEST_ANCHORS
from crosswalk.paths import source_paths
from crosswalk.sources import read
from crosswalk.texts import identifier, plain


def read_pairs(settings, *, key="truth"):
    """A table of pairs that the config names.

    settings: dict with path, the names of the columns a and b, and perhaps `apart`, further columns to keep; key: of
    the config, for errors. Returns a DataFrame of strings with the columns a and b (ids) and those of `apart`.
    Raises UserError for a file that cannot be read, has no row or lacks a column.
    """
    kept = list(settings.get("apart", {}))
    columns = [settings["a"], settings["b"]]
    try:
        rows = [
            [*(identifier(row.get(column)) for column in columns), *(plain(row.get(column)) for column in kept)]
            for _, _, row in read(source_paths(settings), columns=[*columns, *kept])
        ]
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    return pd.DataFrame(rows, columns=["a", "b", *kept])


def read_truth(settings, a_ids, b_ids, *, key="truth"):
    """`read_pairs` of a table that measures; UserError if not one of its pairs has both ids among these rows."""
    pairs = read_pairs(settings, key=key)
    a, b = set(a_ids), set(b_ids)
    if not (pairs["a"].isin(a) & pairs["b"].isin(b)).any():
        shown = ", ".join(repr(value) for value in [*pairs["a"][:2], *pairs["b"][:2]])
        raise UserError(
            f"{key}: no pair of {settings['path']} has both ids among the rows (it has {shown}; the rows have "
            f"{a_ids[0]!r} and {b_ids[0]!r}). See that its columns are the right ones and that both sides have the "
            "column of ids (`id`) that it means."
        )
    return pairs


def read_anchors(settings, a_ids, b_ids, *, key):
    """Row numbers (k, 2) of the pairs in the user's table of anchors.

    settings: the config's `anchors`; a_ids, b_ids: of all rows; key: of the config, for errors.
    Raises UserError for a missing column, an id that its side does not have, one that stands in two pairs, and fewer
    than three pairs.
    """
    path, pairs = settings["path"], read_pairs(settings, key=key)
    found = []
    for name, ids in (("a", a_ids), ("b", b_ids)):
        place = {row: i for i, row in enumerate(ids)}
        unknown = [value for value in pairs[name] if value not in place]
        if unknown:
            shown = ", ".join(map(repr, unknown[:3]))
            raise UserError(
                f"{key}: {len(unknown)} of {len(pairs)} pairs in {path} name ids that side {name} does not have "
                f"({shown}). Take them out, or draw more rows (sample.n) of that collection."
            )
        repeated = pairs[name][pairs[name].duplicated()]
        if len(repeated):
            raise UserError(
                f"{key}: {path} names {repeated.iloc[0]!r} of side {name} in more than one pair. An anchor is one row "
                "of each side; leave one of its pairs."
            )
        found.append([place[value] for value in pairs[name]])
    if len(pairs) < FEWEST_ANCHORS:
        raise UserError(f"{key}: {path} holds {len(pairs)} pairs; give {FEWEST_ANCHORS} or more.")
    return np.array(found, dtype=np.intp).T
