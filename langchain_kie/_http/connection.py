"""What this package changes in a connection of httpcore: joined writes, and watched reads.

Depends on the network streams of httpcore and httpcore2. Opens and closes nothing.
"""

from __future__ import annotations

import weakref
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx

_MAX_FRAMING = 32
"""Bytes; the head of an HTTP chunk is shorter."""

MAX_JOINED = 1 << 16
"""Bytes; shorter writes are joined to one. Longer ones are written as they come, without a copy."""
_END = MAX_JOINED + 1


class ReadLimit(Protocol):
    """Limits the time of each read."""

    def socket_timeout(self, timeout: float | None) -> float | None:
        """Return the seconds to wait for bytes, given the `timeout` that httpcore chose."""


class Connection:
    """The network stream of one connection, whose reads and writes go through this object.

    httpcore 1.0.9 yields every HTTP chunk by itself, fixes the read timeout when a body starts,
    writes the head and the body of a request with two calls of the operating system, and has no
    interface for any of it, so `read` and `write` of its network stream are replaced, for as long
    as the connection lives. Can go when httpcore yields what is buffered at once, allows another
    timeout per read, and joins writes.

    Args:
        stream: The network stream.
        is_shared: Whether several responses are read from it at the same time.

    Attributes:
        has_read: Whether anything was read since the end of the last response.
    """

    def __init__(self, stream: Any, *, is_shared: bool) -> None:
        # Weak, because the stream holds this object.
        self._stream = weakref.proxy(stream)
        self._original_read, self._original_write = type(stream).read, type(stream).write
        self._data = b""
        self._position = 0
        self._is_shared = is_shared
        self._limit: weakref.ref[ReadLimit] | None = None
        self._unsent = b""
        self._write_timeout: float | None = None
        self.has_read = True

    @classmethod
    def of(cls, response: httpx.Response, *, is_pooled: bool) -> Connection | None:
        """Return the connection of a response, `None` if its stream is not available.

        Args:
            response: The response.
            is_pooled: Whether all its requests are of this package. Only then are writes joined:
                after an upgrade, a user's WebSocket would write without reading.
        """
        stream = response.extensions.get("network_stream")
        if stream is None:
            return None
        connection = getattr(stream.read, "__self__", None)
        if not isinstance(connection, cls):
            is_shared = response.extensions.get("http_version") == b"HTTP/2"
            is_async = iscoroutinefunction(type(stream).read)
            connection = cls(stream, is_shared=is_shared)
            stream.read = connection.aread if is_async else connection.read
            if is_pooled and not is_async:  # `AsyncioStream` joins its writes itself
                stream.write = connection.write
        connection._limit = None
        return connection

    def limit(self, limit: ReadLimit) -> None:
        """Limit the time of each read, until the object is gone."""
        self._limit = weakref.ref(limit)

    def end_response(self) -> None:
        """Note that a response was read to its end: the next one must be read from the stream."""
        self.has_read = self._is_shared

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what was joined, and read as the stream does, until the limit at most."""
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._original_write(self._stream, unsent, self._write_timeout)
        if self._limit and (limit := self._limit()):
            timeout = limit.socket_timeout(timeout)
        data: bytes = self._original_read(self._stream, max_bytes, timeout)
        self.has_read = True
        self._data, self._position = b"" if self._is_shared else data, 0
        return data

    async def aread(  # httpcore passes the timeout
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bytes:
        """Read as the stream does, until the limit at most."""
        if self._limit and (limit := self._limit()):
            timeout = limit.socket_timeout(timeout)
        data: bytes = await self._original_read(self._stream, max_bytes, timeout)
        self.has_read = True
        self._data, self._position = b"" if self._is_shared else data, 0
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Keep a short write until more is written or read; `timeout` is in seconds."""
        if not (buffer[MAX_JOINED:_END] or self._unsent[MAX_JOINED:_END]):
            self._unsent += buffer
            self._write_timeout = timeout
            return
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self._original_write(self._stream, unsent, timeout)
        self._original_write(self._stream, buffer, timeout)

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
