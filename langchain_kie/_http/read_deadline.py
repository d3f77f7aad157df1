"""Reads a response body until its end, or until the next event is overdue.

Depends on `ResponseReader` and the responses of httpx and httpx2. Opens and closes nothing.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, cast

import httpx

from langchain_kie._http.errors import network_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_kie._http.response import ResponseReader

USAGE_TIMEOUT = 5.0
"""Seconds to wait, after the token counts, for the credits that may follow."""

DRAIN_TIMEOUT = 0.1
"""Seconds to wait, after the last event, for the end of the body."""

_MAX_FRAMING = 32
"""Bytes; the head of an HTTP chunk is shorter."""

_MIN_SOCKET_TIMEOUT = 0.001
"""Seconds; 0 would make the socket non-blocking."""


def read_pieces(response: httpx.Response, reader: ResponseReader[Any]) -> Iterator[bytes]:
    """Yield the body until its end or its deadline; what arrived in one read is one piece."""
    reads = _SocketReads.of(response, "read")
    deadline = _EventDeadline(response, reader, reads)
    pieces: list[bytes] = []
    try:
        for piece in cast("httpx.SyncByteStream", response.stream):
            if reads and reads.has_more(piece):
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
    if pieces:
        yield b"".join(pieces)


async def aread_pieces(
    response: httpx.Response, reader: ResponseReader[Any]
) -> AsyncIterator[bytes]:
    """Yield the body until its end or its deadline; what arrived in one read is one piece."""
    reads = _SocketReads.of(response, "aread")
    deadline = _EventDeadline(response, reader, reads)
    pieces: list[bytes] = []
    try:
        async for piece in cast("httpx.AsyncByteStream", response.stream):
            if reads and reads.has_more(piece):
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
    if pieces:
        yield b"".join(pieces)


class _SocketReads:
    """What arrived in the last read of one connection.

    httpcore 1.0.9 yields every HTTP chunk by itself, fixes the read timeout when a body starts,
    and has no interface for either, so `read` of its network stream is replaced, for as long as
    the connection lives. Can go when httpcore yields what is buffered at once, and allows another
    timeout per read.
    """

    def __init__(self, stream: Any) -> None:
        # Weak, because the stream holds this object.
        self._stream = weakref.proxy(stream)
        self._original_read = type(stream).read
        self._data = b""
        self._position = 0
        self._is_shared = False
        self._deadline: weakref.ref[_EventDeadline] | None = None

    @classmethod
    def of(cls, response: httpx.Response, method: str) -> _SocketReads | None:
        """Return the reads of the connection of a response, `None` if they cannot be observed."""
        stream = response.extensions.get("network_stream")
        if stream is None:
            return None
        reads = getattr(stream.read, "__self__", None)
        if not isinstance(reads, cls):
            reads = cls(stream)
            stream.read = getattr(reads, method)
        reads._deadline = None
        reads._is_shared = response.extensions.get("http_version") == b"HTTP/2"
        return reads

    def limit(self, deadline: _EventDeadline) -> None:
        """Make each read end at a deadline, until its response is closed."""
        self._deadline = weakref.ref(deadline)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read as the stream does, until the deadline at most."""
        data: bytes = self._original_read(self._stream, max_bytes, self._timeout(timeout))
        self._data, self._position = b"" if self._is_shared else data, 0
        return data

    async def aread(  # httpcore passes the timeout
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bytes:
        """Read as the stream does, until the deadline at most."""
        data: bytes = await self._original_read(self._stream, max_bytes, self._timeout(timeout))
        self._data, self._position = b"" if self._is_shared else data, 0
        return data

    def _timeout(self, timeout: float | None) -> float | None:
        deadline = self._deadline and self._deadline()
        return deadline.socket_timeout(timeout) if deadline else timeout

    def has_more(self, piece: bytes) -> bool:
        """Return whether another piece arrived in the same read as this one.

        What follows must be longer than the head of an HTTP chunk: a head alone is no piece, and
        to wait for one would delay this piece.
        """
        if len(self._data) - self._position - len(piece) > _MAX_FRAMING < len(piece):
            start = self._data.find(piece, self._position)
            self._position = start + len(piece)
            if start >= 0 and len(self._data) - self._position > _MAX_FRAMING:
                return True
        self._data = b""
        return False


class _EventDeadline:
    """The time by which the next event must arrive.

    Bytes that complete no event, such as keep-alive comments, do not extend the deadline.
    After a finish reason, output may still follow, so that the deadline stays the same. After
    the token counts, and after a complete answer, the body is still read to its end, so that
    the connection can be reused, but only for `USAGE_TIMEOUT` or `DRAIN_TIMEOUT`.
    """

    def __init__(
        self, response: httpx.Response, reader: ResponseReader[Any], reads: _SocketReads | None
    ) -> None:
        self._response = response
        self._reader = reader
        self._event_count = 0
        self._last_event = time.monotonic()
        self._read_timeout: float | None = response.request.extensions.get("timeout", {}).get(
            "read"
        )
        self._limit: float | None = self._read_timeout
        self._reads = reads

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
        if self._reads:
            self._reads.limit(self)

    def socket_timeout(self, timeout: float | None) -> float | None:
        """Return the seconds to wait for bytes, given the `timeout` that httpcore chose."""
        if self._limit is None or self._response.is_closed:
            return timeout
        return max(self._last_event + self._limit - time.monotonic(), _MIN_SOCKET_TIMEOUT)
