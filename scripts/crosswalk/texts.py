"""One row of a source as one text, and single values as strings."""

import html
import re

import msgspec

from crosswalk.errors import UserError


class Template:
    """How the rows of a collection become texts: the `text` part of its settings, ready for use.

    settings: dict with `columns`, and optionally `preamble`, `labels`, `separator`, `unescape`,
    `strip`, `max_chars`.
    Raises UserError if a pattern of `strip` is not a regular expression.
    """

    def __init__(self, settings):
        self.columns = list(settings["columns"])
        self.preamble = settings.get("preamble", "")
        self.labels = settings.get("labels", False)
        self.separator = settings.get("separator", "\n")
        self.max_chars = settings.get("max_chars", 10000)
        self.unescape = settings.get("unescape", False)
        self.strip = [pattern(source, key="text.strip") for source in settings.get("strip", ())]

    def values(self, row):
        """The string of each column, after `unescape` and `strip`; "" where the row has none."""
        values = [plain(row.get(column)) for column in self.columns]
        if self.unescape:
            values = [html.unescape(value) for value in values]
        if self.strip:
            values = [self._stripped(value) for value in values]
        return values

    def render(self, values):
        """The text made of what `values` returned, and whether it was cut; ("", False) if the columns say nothing."""
        parts = [pair for pair in zip(self.columns, values, strict=True) if pair[1] and not pair[1].isspace()]
        if not parts:
            return "", False
        body = self.separator.join(f"{column}: {value}" if self.labels else value for column, value in parts)
        text = self.preamble + body
        if self.max_chars is None or len(text) <= self.max_chars:
            return text, False
        return text[: self.max_chars], True

    def _stripped(self, value):
        for expression in self.strip:
            value = expression.sub("", value)
        return value.strip()


def pattern(source, *, key):
    """A compiled regular expression; UserError naming the config key if it is none."""
    try:
        return re.compile(source)
    except re.error as error:
        raise UserError(f"{key}: {source!r} is not a regular expression ({error}). Correct it.") from None


def absent(value):
    """Whether a value stands for nothing: None or NaN."""
    return value is None or value != value


def plain(value):
    """A value as people write it: lists joined by commas, dicts as `name: value`; "" for None and NaN."""
    if isinstance(value, str):
        return value
    if absent(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text}" for key, item in value.items() if (text := plain(item)))
    if isinstance(value, list | tuple):
        separator = "; " if any(isinstance(item, dict) for item in value) else ", "
        return separator.join(filter(None, map(plain, value)))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def stored(value):
    """A value as the string that a collection keeps: JSON for lists and dicts; None for None and NaN."""
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value, enc_hook=plain).decode()
    return None if absent(value) else plain(value)


def identifier(value):
    """An id as a string: 7, 7.0 and "7" are the same; "" if it is absent or no text or number."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | list | tuple | dict) or absent(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return plain(value)
