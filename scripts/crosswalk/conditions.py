"""The conditions of `where`: functions that tell whether a value meets them."""

from crosswalk import texts


def condition(kind, bound, column):
    """A function that tells whether a value meets one condition of `where`."""
    if kind in ("matches", "not_matches"):
        search = texts.pattern(bound, key=f"where.{column}.{kind}").search
        if kind == "matches":
            return lambda value: search(texts.plain(value)) is not None
        return lambda value: search(texts.plain(value)) is None
    tests = {
        "min_chars": lambda value: len(texts.plain(value)) >= bound,
        "max_chars": lambda value: len(texts.plain(value)) <= bound,
        "equals": lambda value: _same(value, bound),
        "in": lambda value: any(_same(value, one) for one in bound),
        "not_in": lambda value: not any(_same(value, one) for one in bound),
        "min": lambda value: (number := _number(value)) is not None and number >= bound,
        "max": lambda value: (number := _number(value)) is not None and number <= bound,
    }
    return tests[kind]


def _same(value, bound):
    """Equality across what csv and json make of the same thing: 7 and "7", true and "True", null and ""."""
    if bound is None or texts.absent(value):
        return (bound is None or bound == "") and (texts.absent(value) or value == "")
    if isinstance(value, bool) or isinstance(bound, bool):
        return texts.plain(value).lower() == texts.plain(bound).lower()
    if isinstance(value, str) and isinstance(bound, str):
        return value == bound
    if isinstance(value, list | dict) or isinstance(bound, list | dict):
        return value == bound
    left, right = _number(value), _number(bound)
    return texts.plain(value) == texts.plain(bound) if left is None or right is None else left == right


def _number(value):
    try:
        number = None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return None if number is None or number != number else number
