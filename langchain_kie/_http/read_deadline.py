"""How long a body is read: until its end, or until nothing more of it is worth the wait.

Knows httpx's responses and the guard of an answer. Opens and closes nothing.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_kie._http.response import ResponseReader

USAGE_TIMEOUT = 5.0
"""Seconds to wait, after a finish reason, for the usage and credits that may follow."""

DRAIN_TIMEOUT = 0.1
"""Seconds to wait, after an answer's last event, for the end of its body."""

_LEAST_WAIT = 0.001
"""Seconds; none at all would make a socket non-blocking."""


def pieces_of(response: httpx.Response, answer: ResponseReader[Any]) -> Iterator[bytes]:
    """The pieces of a body, as long as there is something to wait for."""
    deadline = _EventDeadline(response, answer)
    for piece in cast("httpx.SyncByteStream", response.stream):
        yield piece
        if deadline.is_at_end():
            return


async def apieces_of(response: httpx.Response, answer: ResponseReader[Any]) -> AsyncIterator[bytes]:
    """The pieces of a body, as long as there is something to wait for."""
    deadline = _EventDeadline(response, answer)
    async for piece in cast("httpx.AsyncByteStream", response.stream):
        yield piece
        if deadline.is_at_end():
            return


class _EventDeadline:
    """How long to wait for the next event of an answer; bytes that are none do not count.

    Once an answer is complete, its body is still read to the end, so that the connection can
    be used again; but a server that says nothing more, or only comments, must not hold up the
    caller. httpcore fixes the time-out of a body when it begins; so the response's own network
    stream is told to read with less patience, until the response is closed. Sync and async
    streams have the same `read`.
    """

    def __init__(self, response: httpx.Response, answer: ResponseReader[Any]) -> None:
        self._response = response
        self._answer = answer
        self._seen = 0
        self._since = time.monotonic()
        self._limit: float | None = response.request.extensions.get("timeout", {}).get("read")
        self._hurries = False

    def is_at_end(self) -> bool:
        """Whether to read no more.

        Raises:
            httpx.ReadTimeout: No event came in time, and the answer is not complete.
        """
        now = time.monotonic()
        answer = self._answer
        if answer.event_count != self._seen:
            self._seen, self._since = answer.event_count, now
            if answer.has_terminal_event:
                rest = DRAIN_TIMEOUT if answer.can_stop_reading else USAGE_TIMEOUT
                self._limit = min(rest, self._limit or rest)
                self._shorten_socket_reads()
        elif self._limit is not None:
            if now - self._since > self._limit:
                if not answer.is_complete:
                    raise httpx.ReadTimeout("no event came in time")
                return True
            self._shorten_socket_reads()
        return False

    def _shorten_socket_reads(self) -> None:
        """Let reads end when the time for the next event does.

        The connection outlives the response, and must not keep it alive.
        """
        stream = self._response.extensions.get("network_stream")
        if self._hurries or stream is None:
            return
        self._hurries = True
        own, plain_read = weakref.proxy(stream), type(stream).read
        deadline = weakref.ref(self)

        def read(max_bytes: int, timeout: float | None = None) -> Any:
            waiting = deadline()
            return plain_read(own, max_bytes, waiting.left(timeout) if waiting else timeout)

        stream.read = read

    def left(self, timeout: float | None) -> float | None:
        """The seconds to wait for the next bytes, instead of those that httpcore waits."""
        if self._limit is None or self._response.is_closed:
            return timeout
        return max(self._since + self._limit - time.monotonic(), _LEAST_WAIT)
