"""The lines of a batch's two files: answers, and errors."""

from typing import NamedTuple

import msgspec
import numpy as np


class Part(NamedTuple):
    """Of one line: rows int64 (k,), vectors (k, d), tokens, and the keys that are then over for the journal."""

    rows: np.ndarray
    vectors: np.ndarray | None
    tokens: int
    over: list[str]


class _Fault(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Response(msgspec.Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class Outcome(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Fault | None = None


class _Refusal(msgspec.Struct):
    error: _Fault


def read_outcome(outcome):
    """(HTTP status or None, body or None, what is said against it or None, its code or None) of a line."""
    response = outcome.response
    if outcome.error is not None and (outcome.error.code or outcome.error.message):
        return None, None, outcome.error.message or outcome.error.code, outcome.error.code
    if response is None:
        return None, None, "neither an answer nor an error", None
    if response.status_code == 200:
        return 200, response.body, None, None
    try:
        fault = msgspec.json.decode(response.body, type=_Refusal).error
    except msgspec.MsgspecError:
        fault = _Fault()
    said = " ".join((fault.message or fault.code or "no reason given").split())[:300]
    return response.status_code, None, f"HTTP {response.status_code}: {said}", fault.code
