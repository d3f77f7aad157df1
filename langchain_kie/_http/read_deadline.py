"""Reads a response body until its end, or until the next event is overdue.

Depends on `ResponseReader` and the responses of httpx and httpx2. Opens and closes nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import httpx

from langchain_kie._http.errors import network_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_kie._http.connection import Connection
    from langchain_kie._http.response import ResponseReader

USAGE_TIMEOUT = 5.0
"""Seconds to wait, after the token counts, for the credits that may follow."""

DRAIN_TIMEOUT = 0.1
"""Seconds to wait, after the last event, for the end of the body."""

_MIN_SOCKET_TIMEOUT = 0.001
"""Seconds; 0 would make the socket non-blocking."""


def read_pieces(
    response: httpx.Response, reader: ResponseReader[Any], connection: Connection | None
) -> Iterator[bytes]:
    """Yield the body until its end or its deadline; what arrived in one read is one piece.

    Args:
        response: The response.
        reader: Decodes the pieces.
        connection: Its connection.
    """
    deadline = _EventDeadline(response, reader, connection)
    pieces: list[bytes] = []
    try:
        for piece in cast("httpx.SyncByteStream", response.stream):
            if connection and connection.has_more(piece):
                pieces.append(piece)
                continue
            if pieces:
                yield b"".join([*pieces, piece])
                pieces = []
            else:
                yield piece
            if deadline.stops_reading():
                return
    except network_errors():
        if pieces:
            yield b"".join(pieces)
        raise
    if connection:
        connection.end_response()
    if pieces:
        yield b"".join(pieces)


async def aread_pieces(
    response: httpx.Response, reader: ResponseReader[Any], connection: Connection | None
) -> AsyncIterator[bytes]:
    """Yield the body until its end or its deadline; as `read_pieces`."""
    deadline = _EventDeadline(response, reader, connection)
    pieces: list[bytes] = []
    try:
        async for piece in cast("httpx.AsyncByteStream", response.stream):
            if connection and connection.has_more(piece):
                pieces.append(piece)
                continue
            if pieces:
                yield b"".join([*pieces, piece])
                pieces = []
            else:
                yield piece
            if deadline.stops_reading():
                return
    except network_errors():
        if pieces:
            yield b"".join(pieces)
        raise
    if connection:
        connection.end_response()
    if pieces:
        yield b"".join(pieces)


class _EventDeadline:
    """The time by which the next event must arrive.

    Bytes that complete no event, such as keep-alive comments, do not extend the deadline.
    After a finish reason, output may still follow, so that the deadline stays the same. After
    the token counts, and after a complete answer, the body is still read to its end, so that
    the connection can be reused, but only for `USAGE_TIMEOUT` or `DRAIN_TIMEOUT`.
    """

    def __init__(
        self, response: httpx.Response, reader: ResponseReader[Any], connection: Connection | None
    ) -> None:
        self._response = response
        self._reader = reader
        self._event_count = 0
        self._last_event = time.monotonic()
        self._read_timeout: float | None = response.request.extensions.get("timeout", {}).get(
            "read"
        )
        self._limit: float | None = self._read_timeout
        self._connection = connection

    def stops_reading(self) -> bool:
        """Return whether the rest of the body is not worth waiting for.

        Raises:
            httpx.ReadTimeout: The next event is overdue, and the answer is not complete.
        """
        now = time.monotonic()
        reader = self._reader
        if reader.event_count != self._event_count:
            self._event_count, self._last_event = reader.event_count, now
            self._limit = self._read_timeout
            if reader.has_terminal_event and not reader.output_can_follow:
                limit = DRAIN_TIMEOUT if reader.can_stop_reading else USAGE_TIMEOUT
                self._limit = min(limit, self._limit or limit)
                self._limit_socket_reads()
        elif self._limit is not None:
            if now - self._last_event > self._limit:
                if not reader.is_complete:
                    raise httpx.ReadTimeout("no event before the deadline")
                return True
            self._limit_socket_reads()
        return False

    def _limit_socket_reads(self) -> None:
        if self._connection:
            self._connection.limit(self)

    def socket_timeout(self, timeout: float | None) -> float | None:
        """Return the seconds to wait for bytes, given the `timeout` that httpcore chose."""
        if self._limit is None or self._response.is_closed:
            return timeout
        return max(self._last_event + self._limit - time.monotonic(), _MIN_SOCKET_TIMEOUT)
