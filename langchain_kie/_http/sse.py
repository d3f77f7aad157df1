"""Parses response bytes into JSON values: an event stream, or one JSON document.

Knows bytes, SSE and JSON. Knows nothing of HTTP, or of errors inside the JSON. The form is
detected from the first byte, because KIE's Content-Type is unreliable (docs/wire.md 4).
"""

from __future__ import annotations

import codecs
from typing import Any, Final

import orjson

# The public API of httpx-sse 0.4.3 requires a Content-Type and uses the charset in it. Only its
# private decoders can be fed with text; replace them when it has public ones.
from httpx_sse._decoders import SSEDecoder, SSELineDecoder

from langchain_kie._error_bodies import unreadable_body_error
from langchain_kie._json import DIGITS_TO_ZEROS, LONG_INTEGER, parse_json, parse_next_json
from langchain_kie.errors import KieProtocolError, shortened

MAX_EVENT_CHARS = 64 * 1024 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
_HEAD_BYTES = 512
_MAX_QUOTED_CHARS = 80
_UTF8 = codecs.getincrementaldecoder("utf-8-sig")
_FIELDS = (b"data", b"event", b"id", b"retry", b":")
_DONE_EVENTS = (b"data: [DONE]", b"data: [DONE]\n\n")
_BLANK = b"\xef\xbb\xbf \t\r\n"


class Done:
    """The type of `DONE`."""


DONE: Final = Done()
"""The parsed value of the event `[DONE]`."""


class EventParser:
    """Parses a body in pieces; the values do not depend on where the pieces end.

    Attributes:
        is_document: Whether the body is one JSON document; `None` until that is known.
    """

    def __init__(self) -> None:
        self.is_document: bool | None = None
        self._head = bytearray()
        self._size = 0
        self._pending_chars = 0
        self._document = bytearray()
        self._utf8 = _UTF8("strict")
        self._lines = SSELineDecoder()
        self._events = SSEDecoder()
        self._has_events = False
        self._has_open_event = False
        self._is_between_events = False
        self._half_pair = b""

    def feed(self, data: bytes) -> list[Any]:
        """Parse the next piece.

        Returns:
            JSON values and `DONE`. If the piece is invalid, the last value is a
            `KieProtocolError`: the body is too large or not UTF-8, or an event is not JSON.
        """
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            return [KieProtocolError(f"the response is larger than {MAX_BODY_BYTES} bytes")]
        if self._is_between_events and (values := self._parse_plain_events(data)):
            return values
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
            if self.is_document is None and (start := self._head.lstrip(_BLANK)[:1]):
                self.is_document = start in b"{["
        if not self.is_document:
            return self._feed_stream(data)
        self._document += data
        return []

    def close(self) -> list[Any]:
        """End the body; a document is parsed only now.

        Returns:
            The document, or its elements if it is an array. If the body is not JSON, or has
            text but no event, a `KieProtocolError`.
        """
        if self.is_document:
            try:
                value = self._parse_document()
            except ValueError as error:
                return [KieProtocolError(f"the response is not JSON: {error}")]
            return value if isinstance(value, list) else [value]
        values = self._parse_lines(self._lines.flush())
        # The last event may lack its blank line. If it is not complete, it is ignored.
        values += [v for v in self._parse_lines([""]) if isinstance(v, (dict, list, Done))]
        if self._has_events or self._starts_like_stream():
            return values
        return [unreadable_body_error(bytes(self._head))]

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
        text = bytes(self._document).lstrip(_BLANK)
        return parse_next_json(text, b"")[0] if text.startswith(b"[") else parse_json(text)

    def _starts_like_stream(self) -> bool:
        """Return whether the body is blank, or starts with (part of) a field of a stream."""
        head = bytes(self._head.lstrip(_BLANK))
        return any(head.startswith(name) or name.startswith(head) for name in _FIELDS)

    def _feed_stream(self, data: bytes) -> list[Any]:
        errors: list[Any] = []
        try:
            text = self._utf8.decode(data)
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode()
            errors = [KieProtocolError(f"the response is not UTF-8: {error.reason}")]
        self._pending_chars += len(text)
        if self._pending_chars > MAX_EVENT_CHARS:
            return [KieProtocolError(f"an event is larger than {MAX_EVENT_CHARS} characters")]
        values = self._parse_lines(self._lines.decode(text)) + errors
        self._is_between_events = self._has_events and data.endswith(b"\n\n")
        return values

    def _parse_plain_events(self, data: bytes) -> list[Any]:
        """Parse a piece of complete events of one `data` line each; else return nothing.

        This is the usual form, and needs neither a line decoder nor `parse_json`.
        """
        if data[-2:] != b"\n\n" or b"\r" in data or len(data) > MAX_EVENT_CHARS:
            return []
        if LONG_INTEGER in data.translate(DIGITS_TO_ZEROS):
            return []
        is_single = data.count(b"\n") == 2  # noqa: PLR2004 - the two line ends of one event
        values: list[Any] = []
        for event in [data] if is_single else data[:-2].split(b"\n\n"):
            if event[:6] != b"data: " or not (is_single or b"\n" not in event):
                return []
            try:
                values.append(orjson.loads(event[6:]))
            except orjson.JSONDecodeError:
                if event not in _DONE_EVENTS:
                    return []
                values.append(DONE)
        return values

    def _parse_lines(self, lines: list[str]) -> list[Any]:
        """Parse complete lines.

        A line with a complete object is an event, also without the blank line that should
        follow: no further line could continue the object.
        """
        values: list[Any] = []
        for line in lines:
            if not self._has_open_event and (value := self._value_of_line(line)) is not None:
                self._pending_chars = 0
                self._has_events = True
                values.append(value)
                continue
            is_data = line.partition(":")[0] == "data"
            self._has_open_event = line != "" and (self._has_open_event or is_data)
            event = self._events.decode(line)
            if event is None:
                continue
            self._pending_chars = 0
            if event.data:
                self._has_events = True
                values.append(self._parse_data(event.data))
        return values

    def _value_of_line(self, line: str) -> Any:
        """Return the value of a `data` line that is a complete event alone, else `None`."""
        if not line.startswith("data:"):
            return None
        start = 6 if line[5:6] == " " else 5
        if line[start:] == "[DONE]":
            return DONE
        try:
            value, half = parse_next_json(line[start:].encode(), self._half_pair)
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        self._half_pair = half
        return value

    def _parse_data(self, data: str) -> Any:
        if data == "[DONE]":
            return DONE
        try:
            value, self._half_pair = parse_next_json(data.encode(), self._half_pair)
        except ValueError as error:
            quoted = shortened(data, _MAX_QUOTED_CHARS)
            return KieProtocolError(f"an event is not JSON ({error}): {quoted}")
        return value
