"""JSON text, and fragments of it that were written once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

Json: TypeAlias = dict[str, Any]


class RawJson:
    """JSON that is written already, and stands in a body as it is.

    Args:
        text: The JSON.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def to_json(value: Any) -> bytes:
    """JSON; numbers that orjson cannot write are left to the standard library.

    Raises:
        ValueError: The value has no form in JSON.
    """
    try:
        return orjson.dumps(value, default=lambda raw: orjson.Fragment(_text_of(raw)))
    except TypeError:
        pass
    try:
        text = json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            default=lambda raw: json.loads(_text_of(raw)),
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"the request cannot be written as JSON: {error}") from None


def _text_of(value: Any) -> bytes:
    if isinstance(value, RawJson):
        return value.text
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def raw_list(items: Iterable[bytes]) -> RawJson:
    """A list of what is written already."""
    return RawJson(b"[%b]" % b",".join(items))
