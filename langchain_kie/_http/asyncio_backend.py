"""Connections of the shared async pools, on asyncio's protocols instead of AnyIO's streams.

httpcore 1.0.9 reads and writes through AnyIO 4, which for each read creates a cancel scope and
starts and stops the socket's reader, and for each connection a task group: with many calls at
once, a sixth of the CPU time of a call. Knows httpcore's interface of a network backend. Knows
nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import select
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httpcore

from langchain_kie._http.connection import MAX_JOINED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

_MAX_RECEIVED = 1 << 16
"""Bytes; with more that nobody has read, the socket is not read."""

_NEXT_ADDRESS_DELAY = 0.25
"""Seconds after which the next address of a host is tried as well (RFC 8305)."""

_TRANSPORT_NAMES = {"client_addr": "sockname", "server_addr": "peername"}


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections. For the event loops of asyncio: uvloop tries one address at a time."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore passes the timeout
        local_address: str | None = None,  # noqa: ARG002 - the shared pools set none
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncioStream:
        """Connect to the first address of a host that answers, within `timeout` seconds."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(
                    partial(AsyncioStream, loop),
                    host,
                    port,
                    happy_eyeballs_delay=_NEXT_ADDRESS_DELAY,
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        return stream


class AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection: asyncio calls it when bytes arrive, httpcore reads and writes.

    Args:
        loop: The running event loop.
    """

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._received = bytearray()
        self._reads_are_paused = False
        self._writes_are_paused = False
        self._is_at_end = False
        self._is_lost = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._unsent = b""

    # --- called by asyncio --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport; a write waits until the system has taken all bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        """Keep what arrived, and wake the reader."""
        self._received += data
        if len(self._received) > _MAX_RECEIVED and not self._reads_are_paused:
            self._reads_are_paused = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        """Wake the reader; asyncio closes the connection."""
        self._is_at_end = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader and the writer."""
        self._is_lost, self._error = True, exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        """Let a write wait."""
        self._writes_are_paused = True

    def resume_writing(self) -> None:
        """Wake the writer."""
        self._writes_are_paused = False
        _wake(self._writer)

    # --- called by httpcore -------------------------------------------------------------------

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bytes:
        """Send what was joined, and return what arrived, at the end of the stream `b""`."""
        if self._unsent and not self._is_lost:
            self._transport.write(self._unsent)
            self._unsent = b""
        if self._received:
            await asyncio.sleep(0)  # other tasks run between the parts of a long answer
        elif not (self._is_at_end or self._is_lost):
            self._reader = self._loop.create_future()
            await self._wait(self._reader, timeout, httpcore.ReadTimeout)
        if self._received:
            data = bytes(self._received[:max_bytes])
            del self._received[:max_bytes]
            if self._reads_are_paused and not self._received:
                self._reads_are_paused = False
                if not self._transport.is_closing():
                    self._transport.resume_reading()
            return data
        if self._is_at_end:
            return b""
        raise httpcore.ReadError(self._error or "the connection is closed") from self._error

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """Keep a short write until more is written or read; write a long one."""
        if max(len(buffer), len(self._unsent)) <= MAX_JOINED:
            self._unsent += buffer
            return
        if self._unsent:
            self._transport.write(self._unsent)
            self._unsent = b""
        if not self._is_lost:
            self._transport.write(buffer)
            if self._writes_are_paused:
                self._writer = self._loop.create_future()
                await self._wait(self._writer, timeout, httpcore.WriteTimeout)
            else:
                await asyncio.sleep(0)  # other tasks run between the parts of a long body
        if self._is_lost:
            raise httpcore.WriteError(self._error or "the connection is closed") from self._error

    async def _wait(
        self,
        waiter: asyncio.Future[None],
        timeout: float | None,  # noqa: ASYNC109
        error: type[Exception],
    ) -> None:
        timer = None if timeout is None else self._loop.call_later(timeout, _fail, waiter, error)
        try:
            await waiter
        finally:
            if timer:
                timer.cancel()

    async def aclose(self) -> None:
        """Close the connection in the loop's next step.

        Waits for nothing: a task that is cancelled while httpcore closes several connections
        would leave the others open.
        """
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncioStream:
        """Encrypt the connection; if that fails or is cancelled, asyncio closes it."""
        try:
            async with asyncio.timeout(timeout):
                transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        self.connection_made(cast("asyncio.Transport", transport))
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for; `is_readable` tells whether the server closed."""
        if info == "is_readable":
            return bool(self._received) or self._is_at_end or self._is_lost or self._has_input()
        return self._transport.get_extra_info(_TRANSPORT_NAMES.get(info, info))

    def _has_input(self) -> bool:
        """Ask the system: the event loop may have done nothing since the last call."""
        socket = self._transport.get_extra_info("socket")
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([socket], [], [], 0)[0])
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter and not waiter.done():
        waiter.set_result(None)


def _fail(waiter: asyncio.Future[None], error: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(error())
