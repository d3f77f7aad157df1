"""Response bytes to JSON values: an event stream or a whole document, told by looking.

Knows bytes, SSE and JSON. Knows nothing of HTTP, of errors inside the JSON, or of dialects.
Content-Type is not consulted, because KIE's cannot be trusted (docs/wire.md 4).
"""

from __future__ import annotations

import codecs
from typing import Any, Final

import orjson
from httpx_sse._decoders import SSEDecoder, SSELineDecoder

from langchain_kie._error_bodies import unreadable
from langchain_kie.errors import KieProtocolError

MAX_EVENT_CHARS = 64 * 1024 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
_HEAD_BYTES = 512
_UTF8 = codecs.getincrementaldecoder("utf-8-sig")
_FIELDS = (b"data", b"event", b"id", b"retry", b":")
_ENDS = (b"data: [DONE]", b"data: [DONE]\n\n")
_BLANK = b"\xef\xbb\xbf \t\r\n"


class Done:
    """What stands for `[DONE]` among the values."""


DONE: Final = Done()


class EventParser:
    """Parses a body pushed in pieces; the values do not depend on where the pieces end.

    `whole` tells, once something was fed, whether the body is one JSON document. httpx-sse's
    decoders do the framing; fed with text from a strict UTF-8 decoder they meet neither a BOM
    nor a server's idea of a charset.
    """

    def __init__(self) -> None:
        self.whole: bool | None = None
        self._head = bytearray()
        self._size = 0
        self._pending = 0
        self._document = bytearray()
        self._utf8 = _UTF8("strict")
        self._lines = SSELineDecoder()
        self._events = SSEDecoder()
        self._any_event = False
        self._is_between = False

    def feed(self, data: bytes) -> list[Any]:
        """Parse the next piece.

        Returns:
            JSON values and `DONE`; behind them, where the piece goes wrong, the
            `KieProtocolError` that says so: the body is too large, is not UTF-8, or an event
            is not JSON.
        """
        self._size += len(data)
        if self._size > MAX_BODY_BYTES:
            return [KieProtocolError(f"the answer is larger than {MAX_BODY_BYTES} bytes")]
        if self._is_between and (values := self._whole_events(data)):
            return values
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
            if self.whole is None:
                self._look()
        if not self.whole:
            return self._feed_stream(data)
        self._document += data
        return []

    def close(self) -> list[Any]:
        """End the body; a whole document is parsed only now.

        Returns:
            The document, or each element of it when it is an array; or the
            `KieProtocolError` that it is no JSON, or that no event came out of a body that has
            some other text in it.
        """
        if self.whole:
            try:
                value = self._parse_document()
            except orjson.JSONDecodeError as error:
                return [KieProtocolError(f"the answer is not JSON: {error}")]
            return value if isinstance(value, list) else [value]
        values = self._events_of(self._lines.flush())
        if not self._any_event and self._head.strip(_BLANK) and self._looks_foreign():
            return [unreadable(bytes(self._head))]
        return values

    def has_document(self) -> bool:
        """Whether a whole document has come, so that its end need not be waited for."""
        if not self.whole:
            return False
        try:
            self._parse_document()
        except orjson.JSONDecodeError:
            return False
        return True

    def _parse_document(self) -> Any:
        return orjson.loads(bytes(self._document).lstrip(_BLANK))

    def _look(self) -> None:
        start = self._head.lstrip(_BLANK)[:1]
        if start:
            self.whole = start in b"{["

    def _looks_foreign(self) -> bool:
        """Whether what came is no beginning of an event stream, cut as it may be."""
        head = bytes(self._head.lstrip(_BLANK))
        return not any(head.startswith(f) or f.startswith(head) for f in _FIELDS)

    def _feed_stream(self, data: bytes) -> list[Any]:
        broken: list[Any] = []
        try:
            text = self._utf8.decode(data)
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode()
            broken = [KieProtocolError(f"the answer is not UTF-8: {error.reason}")]
        self._pending += len(text)
        if self._pending > MAX_EVENT_CHARS:
            return [KieProtocolError(f"an event is larger than {MAX_EVENT_CHARS} characters")]
        values = self._events_of(self._lines.decode(text)) + broken
        self._is_between = self._any_event and data.endswith(b"\n\n")
        return values

    def _whole_events(self, data: bytes) -> list[Any]:
        """The events of a piece that holds nothing but whole ones of a line each.

        Most pieces are so, and need no framing. Of any other there is nothing here.
        """
        if data[-2:] != b"\n\n" or b"\r" in data or len(data) > MAX_EVENT_CHARS:
            return []
        is_one = data.count(b"\n") == 2  # noqa: PLR2004 - its line's end, and its own
        values: list[Any] = []
        for event in [data] if is_one else data[:-2].split(b"\n\n"):
            if event[:6] != b"data: " or not (is_one or b"\n" not in event):
                return []
            try:
                values.append(orjson.loads(event[6:]))
            except orjson.JSONDecodeError:
                if event not in _ENDS:
                    return []
                values.append(DONE)
        return values

    def _events_of(self, lines: list[str]) -> list[Any]:
        values: list[Any] = []
        for line in lines:
            event = self._events.decode(line)
            if event is None:
                continue
            self._pending = 0
            if event.data:
                self._any_event = True
                values.append(self._parse(event.data))
        return values

    @staticmethod
    def _parse(data: str) -> Any:
        if data == "[DONE]":
            return DONE
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            shown = data if len(data) <= 80 else data[:79] + "…"  # noqa: PLR2004
            return KieProtocolError(f"an event is not JSON ({error}): {shown}")
