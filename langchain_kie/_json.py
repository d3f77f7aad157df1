"""JSON text, and fragments of it that are encoded only once."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

Json: TypeAlias = dict[str, Any]

_LONG_NUMBER = re.compile("[0-9]{19}")


class RawJson:
    """Encoded JSON, which `to_json` inserts unchanged.

    Args:
        text: The JSON.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def parse_json(text: str) -> Any:
    """Parse JSON; integers of any size keep their digits, where orjson alone returns floats.

    Raises:
        orjson.JSONDecodeError: The text is not JSON.
    """
    value = orjson.loads(text)
    if not _LONG_NUMBER.search(text):
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # more digits or levels than Python reads
        return value


def to_json(value: Any) -> bytes:
    """Encode as JSON; integers that orjson rejects are left to the standard library.

    Raises:
        ValueError: The value cannot be encoded as JSON.
    """
    try:
        return orjson.dumps(value, default=lambda raw: orjson.Fragment(_raw_text(raw)))
    except TypeError:
        pass
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_raw_value)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"the request cannot be encoded as JSON: {error}") from None


def _raw_value(value: Any) -> Any:
    return json.loads(_raw_text(value))


def _raw_text(value: Any) -> bytes:
    if isinstance(value, RawJson):
        return value.text
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")


def raw_list(items: Iterable[bytes]) -> RawJson:
    """A list of encoded items."""
    return RawJson(b"[%b]" % b",".join(items))


def without_none(**members: Any) -> Json:
    """The members that are not `None`."""
    return {name: value for name, value in members.items() if value is not None}
