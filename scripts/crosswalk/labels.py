"""Which rows carry a label, in whichever way a source writes labels."""

import json
from collections import Counter

import numpy as np

from crosswalk.errors import UserError

SUGGESTED = 8  # labels that an error message offers


def labelled(values, *, contrast):
    """Which rows carry each of the two labels that are compared.

    values: n strings or None, each the label itself, a JSON list of labels, or a JSON list of {name, count};
    contrast: dict of column, values (the two labels) and min_count, which a count must exceed.
    Returns bool (n,) twice. Raises UserError if a label is carried by no row, with the labels that are.
    """
    least = contrast.get("min_count", 0)
    carried = [_labels(value, least) for value in values]
    masks = []
    for label in contrast["values"]:
        masks.append(np.array([label in own for own in carried], dtype=bool))
        if not masks[-1].any():
            counts = Counter(name for own in carried for name in own)
            common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:SUGGESTED]
            raise UserError(
                f"contrast.values: no row has {label!r} in column {contrast['column']!r}. "
                f"The most common there: {', '.join(f'{name!r} ({n} rows)' for name, n in common) or 'none at all'}. "
                "Name two that rows have, or lower contrast.min_count."
            )
    return masks


def _labels(value, min_count):
    if not isinstance(value, str):
        return set()
    try:
        entries = json.loads(value) if value.lstrip().startswith("[") else None
    except ValueError:
        entries = None
    if entries is None:
        return {value}
    named = [e for e in entries if isinstance(e, dict) and _number(e.get("count")) > min_count]
    return {str(e) for e in entries if not isinstance(e, dict)} | {str(e.get("name")) for e in named}


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("-inf")
