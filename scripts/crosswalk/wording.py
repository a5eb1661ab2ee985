"""The faults of a config in plain words."""

import difflib
import re

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def dotted(parts):
    """The path of a key as people write it: `collections.books.keep[0]`."""
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)
    return text.lstrip(".") or "the config"


def say(error):
    """One line for each fault in a jsonschema error, in plain words."""
    where, found, rule = dotted(error.absolute_path), error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        return [_unknown(where, key, known) for key in found if key not in known]
    if error.validator == "required":
        return [f"{where}: '{key}' is missing" for key in rule if key not in found]
    kinds, words = error.schema.get("type", []), _words(error.schema.get("pattern"))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if error.validator == "type" or (error.validator == "pattern" and words):
        allowed = [w for kind in kinds for w in (words if kind == "string" and words else [_KINDS[kind]])]
        line = f"{where}: found {show(found)}, expected {' or '.join(allowed)}"
        if isinstance(found, str) and {"number", "integer"} & set(kinds):
            line += _number_hint(found)
        return [line + (near(found, [word.strip("'") for word in words]) if isinstance(found, str) else "")]
    if error.validator == "enum":
        return [f"{where}: found {show(found)}, expected one of {', '.join(map(str, rule))}{near(found, rule)}"]
    if error.validator == "pattern":
        return [f"{where}: {show(found)} does not have the form {rule}"]
    if error.validator == "format":
        return [f"{where}: {show(found)} is not a regular expression: {error.cause}"]
    limits = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    if error.validator in limits:
        return [f"{where}: found {show(found)}, expected {limits[error.validator]} {rule}"]
    if error.validator in ("minItems", "minProperties", "minLength"):
        return [f"{where}: found {show(found)}, expected at least {rule} entr{'y' if rule == 1 else 'ies'}"]
    return [f"{where}: {error.message}"]


def _unknown(where, key, known):
    place = "" if where == "the config" else f"{where}."
    return f"{place}{key}: unknown key{near(key, known)} (known: {', '.join(map(str, known))})"


def near(word, known):
    """A hint at the one of the known words that is most like a word, or nothing."""
    found = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"; did you mean '{found[0]}'?" if found else ""


def _words(pattern):
    """The words, quoted, that a pattern such as ^(auto|never)$ lists; none if it is of another kind."""
    listed = re.fullmatch(r"\^\(?([a-z_|]+)\)?\$", pattern or "")
    return [f"'{word}'" for word in listed[1].split("|")] if listed else []


def _number_hint(text):
    try:
        value = float(text)
    except ValueError:
        return ""
    if re.search(r"[eE]", text):
        return f" (YAML reads {text} as text: write {value!r})"
    return " (remove the quotes)"


def show(value):
    """A value as it stands in the config, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
