"""The body of an embeddings answer, trusted once it is checked.

The official client accepts a missing row, a shuffled order, a wrong length or NaN in silence.
"""

import base64
import binascii

import msgspec
import numpy as np

from crosswalk.embedding import sound_rows
from crosswalk.service import check_model


def read_vectors(raw, *, count, model, dimensions=None, billed=None):
    """The vectors of an answer to `count` texts, in their order.

    raw: bytes of JSON; model: that was asked; dimensions: expected, None for any; billed: list that is given the
    tokens, even if the answer is wrong: it has been paid for.
    Returns float32 (count, d) rows of length 1, a list of count, what is wrong with each row or None, and the tokens.
    Raises ValueError if the answer as a whole is wrong.
    """
    try:
        answer = msgspec.json.decode(raw, type=_Body)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not the JSON of an embeddings answer ({error})") from None
    tokens = answer.usage.total_tokens if answer.usage else 0
    if billed is not None:
        billed.append(tokens)
    check_model(model, answer.model)
    if len(answer.data) != count:
        raise ValueError(f"{len(answer.data)} vectors for {count} texts")
    ordered = sorted(answer.data, key=lambda row: row.index)
    if [row.index for row in ordered] != list(range(count)):
        raise ValueError("its indices are not those of the texts, each once")
    rows = [_numbers(row.embedding) for row in ordered]
    if len({len(row) for row in rows}) > 1:
        raise ValueError("vectors of different dimensions")
    return *sound_rows(np.stack(rows), dimensions=dimensions), tokens


class _Row(msgspec.Struct):
    index: int
    embedding: str | list[float]


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Body(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


def _numbers(embedding):
    """A vector from base64 of little-endian float32, or from a list for services that know no base64."""
    if isinstance(embedding, list):
        return np.asarray(embedding, np.float32)
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a vector that is not base64 of float32 ({error})") from None
