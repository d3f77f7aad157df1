"""JSON text, and fragments of it that are encoded only once."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterable

Json: TypeAlias = dict[str, Any]

DIGITS_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
LONG_INTEGER: Final = b"0" * 19
"""Contained in JSON after `DIGITS_TO_ZEROS`, if an integer may have more than 64 bits."""

_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""Escapes of a JSON string; the group is half a surrogate pair."""

_ESCAPES_OF_PIECE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<cut>(?:u(?:[dD](?:[89abAB](?:[0-9a-fA-F]?|[0-9a-fA-F]{2}"
    r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)|[c-fC-F][0-9a-fA-F]?)?)?)?\Z)"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""Escapes of a piece of JSON text; `cut` is the start of a pair, or of a half, at its end."""


class RawJson:
    """Encoded JSON, which `to_json` inserts unchanged.

    Args:
        text: The JSON.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def to_json(value: Any) -> bytes:
    """Encode as JSON; integers that orjson rejects are left to the standard library.

    Half a surrogate pair becomes U+FFFD, with a warning: a model wrote it into the arguments of a
    call, or a file name that is not UTF-8 is in a tool result, and the conversation must go on.

    Raises:
        ValueError: The value cannot be encoded as JSON.
    """
    try:
        return orjson.dumps(value, default=lambda raw: orjson.Fragment(_raw_text(raw)))
    except TypeError:
        pass
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_raw_value)
        sendable = without_surrogates(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the request cannot be encoded as JSON: {error}") from None
    if sendable != text:
        warn("the request has text that is not UTF-8; U+FFFD is sent in its place")
    return sendable.encode()


def without_surrogates(text: str) -> str:
    """Text with U+FFFD in place of each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parse_json(text: bytes) -> Any:
    """Parse JSON; unlike orjson alone, with all digits of integers beyond 64 bits.

    Half a surrogate pair, for which orjson rejects the text, becomes U+FFFD.

    Raises:
        ValueError: It is not JSON.
    """
    has_long_integer = LONG_INTEGER in text.translate(DIGITS_TO_ZEROS)
    try:
        if not has_long_integer:
            return orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
    text = _ESCAPES.sub(lambda escape: b"\\ufffd" if escape[1] else escape[0], text)
    if not has_long_integer:
        return orjson.loads(text)
    try:
        return json.loads(text.decode(), parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def parse_next_json(text: bytes, half: bytes) -> tuple[Any, bytes]:
    """Parse JSON that continues the strings of the JSON before it, as the events of a stream do.

    Some servers cut text between the halves of a surrogate pair, each an escape of its own.

    Args:
        text: The JSON.
        half: The first half of a pair, at the end of an earlier string; else empty.

    Returns:
        The value, and the half that is still open; in the value it is left out.

    Raises:
        ValueError: It is not JSON.
    """
    if b"\\ud" not in text and b"\\uD" not in text:
        return parse_json(text), half

    def join(escape: re.Match[bytes]) -> bytes:
        nonlocal half
        start, end, code = *escape.span(), escape[1]
        if not code:
            return escape[0]
        is_second, before = code[2:3] in b"cdefCDEF", text[max(start - 2, 0) : start]
        if is_second and half and before.endswith(b'"') and before != b'\\"':
            joined, half = half + escape[0], b""
            return joined
        if not is_second and text[end : end + 1] == b'"':
            half = escape[0]
            return b""
        return escape[0]

    joined = _ESCAPES.sub(join, text)
    return parse_json(joined), half


def complete_escapes(text: str) -> tuple[str, str]:
    """A piece of JSON text, without half surrogate pairs.

    Returns:
        The text, in which the escape of a half became that of U+FFFD, and the start of an escape
        at its end, which the next piece may complete to a pair.
    """
    if "\\" not in text:
        return text, ""
    rest = ""

    def replace(escape: re.Match[str]) -> str:
        nonlocal rest
        if escape["cut"] is not None:
            rest = escape[0]
            return ""
        return r"\ufffd" if escape["half"] else escape[0]

    return _ESCAPES_OF_PIECE.sub(replace, text), rest


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


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
