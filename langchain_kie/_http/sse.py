"""Parses response bytes into JSON values: an event stream, or one JSON document.

Independent of HTTP and of errors inside the JSON. The form is detected from the first byte, because
KIE's Content-Type is unreliable (docs/wire.md 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from langchain_kie._error_bodies import is_recognized, unreadable_body_error
from langchain_kie._json import (
    DIGITS_TO_ZEROS,
    LONG_INTEGER,
    MAX_DEPTH,
    open_brackets,
    parse_event_json,
    parse_next_json,
)
from langchain_kie.errors import KieProtocolError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_EVENT_BYTES = 64 * 1024 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
_HEAD_BYTES = 512
_MAX_QUOTED_CHARS = 80
_FIELDS = (b"data", b"event", b"id", b"retry", b":")
_JSON_STARTS = (b"{", b"[")
_OTHER_DONES = (b"DONE", b"[DONE]")
_LIST_MARKS = b"[], \t"
_SPACE = b" \t\r\n"
_BLANK = b"\xef\xbb\xbf" + _SPACE
"""White space, and the bytes of a BOM."""
_CR, _LF = b"\r\n"
"""Integers, because `bytes in bytes` takes ten times as long (CPython 3.11)."""


class Done:
    """The type of `DONE`."""


DONE: Final = Done()
"""The parsed value of the event `[DONE]`."""


class EventParser:
    """Parses a body in pieces; the values do not depend on where the pieces end.

    Attributes:
        is_document: Whether the body is one JSON document; `None` until that is known.
        ends_in_event: Whether the body ended inside an event, which was ignored.
        noise: The start of the text that is neither an event nor a field of a stream.
    """

    def __init__(self) -> None:
        self.is_document: bool | None = None
        self.ends_in_event = False
        self.noise = b""
        self._size = 0
        self._document = bytearray()
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._bare_lines: list[bytes] = []
        self._bare_depth = 0
        self._event_start = 0
        self._ends_with_cr = False
        self._has_events = False
        self._half_pair = b""

    def feed(self, data: bytes) -> list[Any]:
        """Parse the next piece.

        Returns:
            JSON values and `DONE`. If the piece is invalid, the last value is a
            `KieProtocolError`: the body or an event is too large, or an event is not JSON.
        """
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            return [KieProtocolError(f"the response is larger than {MAX_BODY_BYTES} bytes")]
        if self.is_document is None:
            data = data.lstrip(_BLANK)
            if not data:
                return []
            self.is_document = data[:1] in _JSON_STARTS
        if self.is_document:
            self._document += data
            return []
        return self._feed_stream(data)

    def close(self) -> list[Any]:
        """End the body; a document is parsed only now, or read as lines if others follow it.

        Returns:
            The document, or its elements if it is an array. If the body is not JSON, or has
            text but no event, a `KieProtocolError`.
        """
        if self.is_document:
            try:
                value = self._parse_document()
            except ValueError as error:
                self.is_document = False
                values = self._feed_stream(bytes(self._document) + b"\n\n")
                return values or [KieProtocolError(f"the response is not JSON: {error}")]
            return value if isinstance(value, list) else [value]
        is_in_event, self._ends_with_cr = self.is_in_event(), False
        values = self._feed_stream(b"\n") if self._line else []
        # The last event may lack its blank line. If it is not complete, it is ignored.
        values += [v for v in self._feed_stream(b"\n") if isinstance(v, (dict, Done))]
        self.ends_in_event = is_in_event and not values
        if self._has_events or not self.noise:
            return values
        return [unreadable_body_error(self.noise)]

    def is_in_event(self) -> bool:
        """Return whether a part of an event or of a document was received, but not its end."""
        if self.is_document:
            return not self.has_document()
        line = b"".join(self._line)
        is_in_line = line.startswith(b"data:") and bool(line[5:].strip())
        return is_in_line or any(map(bytes.strip, self._data)) or bool(self._bare_lines)

    def has_document(self) -> bool:
        """Return whether a complete JSON document was received."""
        if not self.is_document:
            return False
        try:
            self._parse_document()
        except ValueError:
            return False
        return True

    def _parse_document(self) -> Any:
        text = bytes(self._document)
        return parse_next_json(text, b"")[0] if text[:1] == b"[" else parse_event_json(text)

    def _feed_stream(self, data: bytes) -> list[Any]:
        if self._ends_with_cr or _CR in data:
            data = self._with_line_feeds(data)
        if _LF not in data:
            if data:
                self._line.append(data)
            if self._size - self._event_start > MAX_EVENT_BYTES:
                return [KieProtocolError(f"an event is larger than {MAX_EVENT_BYTES} bytes")]
            return []
        if self._line:
            data = b"".join((*self._line, data))
            self._line.clear()  # a large event is not held twice
        is_plain = data.translate(DIGITS_TO_ZEROS).find(LONG_INTEGER) < 0
        is_long = data[2 * MAX_DEPTH : 2 * MAX_DEPTH + 1]
        *lines, rest = data.split(b"\n")
        del data
        self._line = [rest] if rest else []
        if is_plain and is_long and max(map(len, lines)) > 2 * MAX_DEPTH:
            is_plain = all(line.count(b"[") + line.count(b"{") <= MAX_DEPTH for line in lines)
        values = self._parse_lines(lines, orjson.loads if is_plain else self._parse_exactly)
        if values:
            self._has_events = True
        if not self._data:
            self._event_start = self._size
        elif self._size - self._event_start > MAX_EVENT_BYTES:
            values.append(KieProtocolError(f"an event is larger than {MAX_EVENT_BYTES} bytes"))
        return values

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Replace the line ends CR and CRLF by LF; a CRLF may be in two pieces."""
        if self._ends_with_cr:
            data = data.removeprefix(b"\n")
        self._ends_with_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _parse_lines(self, lines: list[bytes], parse: Callable[[bytes], Any]) -> list[Any]:
        """Parse complete lines.

        A line with a complete object is an event, also without the blank line that should
        follow: no further line could continue the object. So is an error or an answer without
        `data:`, which KIE sends in place of a stream, if the stream has already started; JSON
        without `data:` that is corrupt is an error.
        """
        values: list[Any] = []
        open_data, bare_lines = self._data, self._bare_lines
        for line in lines:
            if not line:
                if open_data:
                    values += self._parse_data(b"\n".join(open_data))
                    open_data.clear()
            elif line[:5] == b"data:" or line == b"data":
                if bare_lines:
                    values += self._drop_bare_lines()
                text = line[5:]
                if not open_data:
                    try:
                        value = parse(text)
                    except ValueError:
                        value = self._repaired(text)
                    if value.__class__ is dict or value is DONE:
                        values.append(value)
                        continue
                open_data.append(text)
            elif not line.startswith(_FIELDS) or (bare_lines and line[:1] != b":"):
                values += self._add_bare_line(line)
        return values

    def _add_bare_line(self, line: bytes) -> list[Any]:
        """Add a line that may be JSON without `data:`; return what it completes.

        A line can be an element of a list that is not complete. JSON that is corrupt is an error.
        """
        lines = self._bare_lines
        is_first = not lines
        if is_first and line.strip(_LIST_MARKS)[:1] != b"{":
            return self._add_noise(line)
        lines.append(line)
        self._bare_depth += open_brackets(line)
        is_complete = self._bare_depth <= 0
        text = b"\n".join(lines).rstrip(b", \t") if is_complete else b""
        value = self._repaired(text) if text else None
        if value is None and (is_first or line[:1] in _JSON_STARTS):
            element = self._repaired(line.strip(_LIST_MARKS))
            if is_recognized(element):
                lines.pop()
                return [*self._drop_bare_lines(), element]
        if value is None:
            return self._drop_bare_lines() if is_complete else []
        lines.clear()
        self._bare_depth = 0
        values = [*filter(is_recognized, value if isinstance(value, list) else [value])]
        return values or self._add_noise(text)

    def _drop_bare_lines(self) -> list[Any]:
        """Forget lines that are not JSON; return an error if they are the start of JSON."""
        text = b"\n".join(self._bare_lines)
        self._bare_lines.clear()
        self._bare_depth = 0
        is_json = text.lstrip(b"[{" + _SPACE)[:1] == b'"'
        return self._parse_data(text) if is_json else self._add_noise(text)

    def _add_noise(self, text: bytes) -> list[Any]:
        """Keep text that is no event; return no values."""
        if len(self.noise) < _HEAD_BYTES and not any(name.startswith(text) for name in _FIELDS):
            self.noise += text[:_HEAD_BYTES] + b"\n"
        return []

    def _parse_exactly(self, text: bytes) -> Any:
        """Parse JSON for which orjson needs help, such as one half of a surrogate pair."""
        value, self._half_pair = parse_next_json(text, self._half_pair)
        return value

    def _repaired(self, text: bytes) -> Any:
        """The value of an event for which orjson needs help; `None` if it is not complete."""
        try:
            return self._parse_exactly(text)
        except ValueError:
            return DONE if text.strip(_SPACE) == b"[DONE]" else None

    def _parse_data(self, text: bytes) -> list[Any]:
        """Parse the data of an event, an object or a list of them; anything else is ignored."""
        text = text.strip(_SPACE)
        if not text or text == b"[DONE]":
            return [DONE] if text else []
        try:
            value = self._parse_exactly(text)
        except ValueError as error:
            if text.upper() in _OTHER_DONES:
                return []
            quoted = shortened(text.decode("utf-8", "replace"), _MAX_QUOTED_CHARS)
            return [KieProtocolError(f"an event is not JSON ({error}): {quoted}")]
        items = value if isinstance(value, list) else [value]
        values = [item for item in items if isinstance(item, dict)]
        return values if values or not value else self._add_noise(text)
