"""JSON text, and fragments of it that are encoded only once."""

from __future__ import annotations

import json
import math
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Json: TypeAlias = dict[str, Any]

DIGITS_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
ONLY_JSON_TYPES: Final = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
"""An option of orjson: values of other types are errors."""

LONG_INTEGER: Final = b"0" * 19
"""Contained in JSON after `DIGITS_TO_ZEROS`, if an integer may have more than 64 bits."""

MAX_DEPTH: Final = 180
"""How deeply JSON may be nested. LangChain's `loads` reads 200 levels (langchain-core 1.8.3), and a
checkpoint of LangGraph 1.2 can have 254, each with those of the state and of the message."""

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")

PIECE_BYTES: Final = 1 << 18
"""The length of the pieces in which a long text is sent."""

_MARK = b"\0"
"""Where a long text is left out. JSON never contains this byte."""

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


_EXPONENT = re.compile(rb"\d[eE]\+?\d")
_TOO_MANY_DIGITS: Final = b"0" * 309
"""Contained in JSON after `DIGITS_TO_ZEROS`, if a number without an exponent may be too large."""


class RawJson:
    """Encoded JSON, which `to_json` inserts unchanged.

    Args:
        text: The JSON.
    """

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class LongText:
    """A text that `to_json` encodes without a copy of it.

    Args:
        prefix: What the encoded text begins with.
        text: ASCII without characters that JSON escapes.
        start: Where the text begins in `text`.
    """

    __slots__ = ("prefix", "start", "text")

    def __init__(self, prefix: str, text: str, start: int = 0) -> None:
        self.prefix, self.text, self.start = prefix, text, start


class JsonPieces:
    """Encoded JSON that is longer than it should be in one piece.

    Args:
        texts: The JSON before, between and after the long fragments.
        long: The long fragments, one fewer.
    """

    def __init__(self, texts: list[bytes], long: list[LongText | RawJson]) -> None:
        self._fragments: list[tuple[bytes | str, int]] = [(texts[0], 0)]
        for fragment, text in zip(long, texts[1:], strict=True):
            if isinstance(fragment, LongText):
                opening = b'"' + fragment.prefix.encode()
                self._fragments += [(opening, 0), (fragment.text, fragment.start), (b'"', 0)]
            else:
                self._fragments.append((fragment.text, 0))
            self._fragments.append((text, 0))
        self._size = sum(len(text) - start for text, start in self._fragments)

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def __iter__(self) -> Iterator[bytes]:
        pending = b""
        for text, start in self._fragments:
            for at in range(start, len(text), PIECE_BYTES):
                piece = text[at : at + PIECE_BYTES]
                pending += piece.encode() if isinstance(piece, str) else piece
                if len(pending) >= PIECE_BYTES:
                    yield pending
                    pending = b""
        if pending:
            yield pending


def to_json(value: Any) -> bytes:
    """Encode as JSON; integers that orjson rejects are left to the standard library.

    Half a surrogate pair becomes U+FFFD, with a warning: a model wrote it into the arguments of a
    call, or a file name that is not UTF-8 is in a tool result, and the conversation must go on.

    Raises:
        ValueError: The value cannot be encoded as JSON.
    """
    return bytes(to_json_pieces(value))


def json_key(value: Any) -> bytes:
    """Bytes that are the same for equal JSON values, to find them in a set or a dict."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers above 64 bits
        return json.dumps(value, sort_keys=True).encode()


def to_json_pieces(value: Any) -> bytes | JsonPieces:
    """As `to_json`, but media are not copied into one text.

    Raises:
        ValueError: The value cannot be encoded as JSON.
    """
    long: list[LongText | RawJson] = []

    def encode(raw: Any) -> orjson.Fragment:
        if isinstance(raw, LongText) or (isinstance(raw, RawJson) and len(raw.text) > PIECE_BYTES):
            long.append(raw)
            return orjson.Fragment(_MARK)
        if isinstance(raw, RawJson):
            return orjson.Fragment(raw.text)
        raise TypeError(f"{type(raw).__name__} cannot be encoded as JSON")

    try:
        encoded = orjson.dumps(value, default=encode)
        return JsonPieces(encoded.split(_MARK), long) if long else encoded
    except TypeError:
        pass
    try:
        return _to_json_by_python(value)
    except RecursionError:
        raise ValueError("the request cannot be encoded as JSON: it is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"the request cannot be encoded as JSON: {error}") from None


def _to_json_by_python(value: Any) -> bytes | JsonPieces:
    fragments: list[LongText | RawJson] = []
    mark = secrets.token_hex(16)  # random, because a message could contain a fixed text

    def encode(raw: Any) -> str:
        if not isinstance(raw, (LongText, RawJson)):
            raise TypeError(f"{type(raw).__name__} cannot be encoded as JSON")
        fragments.append(raw)
        return mark

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=encode)
    sendable = without_surrogates(text)
    if sendable != text:
        warn("the request has text that is not UTF-8; U+FFFD is sent in its place")
    encoded = sendable.encode()
    return JsonPieces(encoded.split(f'"{mark}"'.encode()), fragments) if fragments else encoded


def without_surrogates(text: str) -> str:
    """Text with U+FFFD in place of each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parse_json(text: bytes) -> Any:
    """Parse JSON; unlike orjson alone, with all digits of integers beyond 64 bits.

    Half a surrogate pair, for which orjson rejects the text, becomes U+FFFD.

    Raises:
        ValueError: It is not JSON, has a number that no float can hold, or is nested more deeply
            than `MAX_DEPTH`.
    """
    has_long_integer = LONG_INTEGER in text.translate(DIGITS_TO_ZEROS)
    try:
        value = None if has_long_integer else orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"\\u" not in text:
            raise
        value = orjson.loads(_with_replaced_halves(text))
    if has_long_integer:
        value = _parse_by_python(_with_replaced_halves(text), _finite_float, int)
    is_long = text[2 * MAX_DEPTH : 2 * MAX_DEPTH + 1]
    if is_long and text.count(b"[") + text.count(b"{") > MAX_DEPTH and _is_deep(text):
        raise ValueError("the JSON is nested too deeply")
    return value


def _with_replaced_halves(text: bytes) -> bytes:
    return _ESCAPES.sub(lambda escape: b"\\ufffd" if escape[1] else escape[0], text)


def _parse_by_python(
    text: bytes, parse_float: Callable[[str], float], parse_int: Callable[[str], float]
) -> Any:
    try:
        return json.loads(
            text.decode(),
            parse_float=parse_float,
            parse_int=parse_int,
            parse_constant=_reject_constant,
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _int_or_infinite(text: str) -> float:
    """An integer; infinite if it has more digits than Python reads, which are 4,300."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def parse_event_json(text: bytes) -> Any:
    """As `parse_json`, but a number that no float can hold, or no integer, is infinite.

    One argument of a tool call does not make an answer unreadable.
    """
    try:
        return parse_json(text)
    except ValueError:
        has_many_digits = _TOO_MANY_DIGITS in text.translate(DIGITS_TO_ZEROS)
        if not (has_many_digits or _EXPONENT.search(text)):
            raise
    value = _parse_by_python(_with_replaced_halves(text), float, _int_or_infinite)
    if _is_deep(text):
        raise ValueError("the JSON is nested too deeply")
    return value


def answer_json(value: Any) -> str:
    """Encode a value of an answer, such as the arguments of a tool call.

    An infinite number is written as `Infinity`, which is no JSON: such a call is invalid.
    """
    try:
        text = to_json(value).decode()
        if "null" in text:  # orjson 3.11 writes it for an infinite number
            json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(value, ensure_ascii=False)
    return text


def _is_deep(text: bytes) -> bool:
    """Return whether valid JSON is nested more deeply than `MAX_DEPTH`; no recursion."""
    brackets = _STRINGS.sub(b"", text).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    return brackets != b""


def open_brackets(line: bytes) -> int:
    """How many more brackets a line of JSON opens than it closes."""
    brackets = _STRINGS.sub(b"", line).translate(_BRACKETS, _NO_BRACKETS)
    return brackets.count(b"[") - brackets.count(b"]")


def parse_next_json(text: bytes, half: bytes) -> tuple[Any, bytes]:
    """Parse JSON that continues the strings of the JSON before it, as the events of a stream do.

    Some servers cut text between the halves of a surrogate pair, each as a separate escape. In an
    array, each element is an event.

    Args:
        text: The JSON.
        half: The first half of a pair, at the end of an earlier string; else empty.

    Returns:
        The value, and the half that is still open; in the value it is left out.

    Raises:
        ValueError: It is not JSON.
    """
    if b"\\ud" not in text and b"\\uD" not in text:
        return parse_event_json(text), half

    is_array = text[:1] == b"["
    can_join = half != b""  # but not with another value of the same event

    def join(escape: re.Match[bytes]) -> bytes:
        nonlocal half, can_join
        start, end, code = *escape.span(), escape[1]
        if not code:
            return escape[0]
        is_second, before = code[2:3] in b"cdefCDEF", text[max(start - 2, 0) : start]
        if is_second and half and can_join and before.endswith(b'"') and before != b'\\"':
            joined, half = half + escape[0], b""
            return joined
        is_end = text[end : end + 1] == b'"' and text[end + 1 : end + 9].lstrip()[:1] != b":"
        if not is_second and is_end:
            half, can_join = escape[0], is_array
            return b""
        return escape[0]

    joined = _ESCAPES.sub(join, text)
    return parse_event_json(joined), half


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


def raw_list(items: Iterable[bytes]) -> RawJson:
    """A list of encoded items."""
    return RawJson(b"[%b]" % b",".join(items))


def json_list(items: list[bytes | Json]) -> list[Any]:
    """A list of values, of which some are encoded; several short ones become one fragment."""
    joined: list[Any] = []
    short: list[bytes] = []
    for item in items:
        is_encoded = item.__class__ is bytes
        if is_encoded and len(item) <= PIECE_BYTES:
            short.append(item)  # type: ignore[arg-type]
            continue
        if short:
            joined.append(RawJson(b",".join(short)))
            short = []
        joined.append(RawJson(item) if is_encoded else item)  # type: ignore[arg-type]
    return [*joined, RawJson(b",".join(short))] if short else joined


def without_none(**members: Any) -> Json:
    """The members that are not `None`."""
    return {name: value for name, value in members.items() if value is not None}
