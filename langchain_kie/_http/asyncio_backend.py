"""Connections of the shared async pools, on asyncio's protocols instead of AnyIO's streams.

httpcore 1.0.9 reads and writes through AnyIO 4, which for each read creates a cancel scope and
starts and stops the socket's reader, and for each connection a task group: with many calls at
once, a sixth of the CPU time of a call. Knows httpcore's interface of a network backend. Knows
nothing of HTTP.

Two parts of asyncio (3.11 to 3.13) are not used: `happy_eyeballs_delay` loses the socket of a
cancelled connect, and TLS (`loop.start_tls`) loses what arrived just before a broken record.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import time
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

import httpcore

from langchain_kie._http.connection import MAX_JOINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MAX_RECEIVED = 1 << 16
"""Bytes; with more that nobody has read, the socket is not read."""

_NEXT_ADDRESS_DELAY = 0.25
"""Seconds after which the next address of a host is tried as well (RFC 8305)."""

_TRANSPORT_NAMES = {"client_addr": "sockname", "server_addr": "peername"}


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections. For the event loops of asyncio; not tested with others."""

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
                sock = await _first_connected(loop, await _addresses(loop, host, port))
                _, stream = await loop.create_connection(partial(AsyncioStream, loop), sock=sock)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        return stream


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Any]:
    """The addresses of a host, one of each family after the other; a number needs no thread."""
    # With the protocol, asyncio sets TCP_NODELAY; not every system's resolver adds it.
    kind = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP}
    try:
        return socket.getaddrinfo(host, port, **kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, **kind)
    families: dict[int, list[Any]] = {}
    for address in found:
        families.setdefault(address[0], []).append(address)
    return [address for row in zip_longest(*families.values()) for address in row if address]


async def _first_connected(loop: asyncio.AbstractEventLoop, addresses: list[Any]) -> socket.socket:
    """Connect to one address after another until one answers; close all other sockets."""
    left = iter(addresses)
    attempts: list[asyncio.Future[socket.socket]] = []
    first: asyncio.Future[socket.socket] | None = None
    try:
        while True:
            address = next(left, None)
            if address:
                attempts.append(asyncio.ensure_future(_connected(loop, *address)))
            running = [attempt for attempt in attempts if not attempt.done()]
            if running:
                delay = _NEXT_ADDRESS_DELAY if address else None
                await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            first = next((a for a in attempts if a.done() and not a.exception()), None)
            if first or not (address or running):
                return (first or attempts[-1]).result()
    finally:
        for attempt in attempts:
            if attempt is not first:
                attempt.cancel()
                attempt.add_done_callback(_close_socket)


async def _connected(
    loop: asyncio.AbstractEventLoop, family: int, kind: int, protocol: int, _: str, address: Any
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003 - has no keyword
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_socket(attempt: asyncio.Future[socket.socket]) -> None:
    if not attempt.cancelled() and not attempt.exception():
        attempt.result().close()


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
        self._write_timeout: float | None = None

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
        if self._unsent:
            await self._send_joined()
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
            self._write_timeout = timeout
            return
        if self._unsent:
            await self._send_joined()
        if not await self._send(buffer, timeout):
            await asyncio.sleep(0)  # other tasks run between the parts of a long body
        if self._is_lost:
            raise httpcore.WriteError(self._error or "the connection is closed") from self._error

    async def _send_joined(self) -> None:
        unsent, self._unsent = self._unsent, b""
        await self._send(unsent, self._write_timeout)

    async def _send(self, data: bytes, timeout: float | None) -> bool:  # noqa: ASYNC109
        """Send bytes, unless the connection is lost; return whether the system let it wait."""
        if not self._is_lost:
            self._transport.write(data)
        if must_wait := self._writes_are_paused and not self._is_lost:
            self._writer = self._loop.create_future()
            await self._wait(self._writer, timeout, httpcore.WriteTimeout)
        return must_wait

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
    ) -> TlsStream:
        """Encrypt the connection; it is closed if that fails or is cancelled."""
        try:
            stream = TlsStream(self, ssl_context, server_hostname)
            async with asyncio.timeout(timeout):
                await stream.shake_hands()
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(error) from error
            if isinstance(error, (OSError, httpcore.NetworkError)):
                raise httpcore.ConnectError(error) from error
            raise
        return stream

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for; `is_readable` tells whether the server closed."""
        if info == "is_readable":
            return bool(self._received) or self._is_at_end or self._is_lost or self._has_input()
        return self._transport.get_extra_info(_TRANSPORT_NAMES.get(info, info))

    def _has_input(self) -> bool:
        """Ask the system: the event loop may have done nothing since the last call."""
        sock = self._transport.get_extra_info("socket")
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([sock], [], [], 0)[0])
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))


class TlsStream(httpcore.AsyncNetworkStream):
    """An encrypted connection.

    Args:
        stream: The connection that carries the encrypted bytes.
        ssl_context: The certificates and versions that are accepted.
        server_hostname: The name that the server's certificate must have.
    """

    def __init__(
        self, stream: AsyncioStream, ssl_context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = ssl_context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._error: ssl.SSLError | None = None
        self._is_at_end = False
        self._write_timeout: float | None = None

    async def shake_hands(self) -> None:
        """Agree on the keys; the last message is sent with the first request."""
        await self._run(self._ssl.do_handshake, None)

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> bytes:
        """Send what was joined, and return what arrived, at the end of the stream `b""`.

        A server that ends the connection without TLS's own end is common; HTTP notices an answer
        that is not complete.
        """
        if self._error:
            raise httpcore.ReadError(self._error) from self._error
        try:
            data: bytes = await self._run(partial(self._ssl.read, max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(error) from error
        more = data
        while more and len(data) < max_bytes:
            try:
                more = self._ssl.read(max_bytes - len(data))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:  # OpenSSL does not report it again
                self._error = error
                break
            data += more
        self._is_at_end = not more
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """Keep a short write until more is written or read; write a long one."""
        if not buffer:
            return
        self._write_timeout = timeout
        try:
            await self._run(partial(self._ssl.write, buffer), timeout)
        except ssl.SSLError as error:
            raise httpcore.WriteError(error) from error
        if self._outgoing.pending > MAX_JOINED:
            await self._stream.write(self._outgoing.read(), timeout)

    async def _run(self, step: Callable[[], Any], timeout: float | None) -> Any:  # noqa: ASYNC109
        """Repeat a step of TLS until it needs no further bytes of the server."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    await self._stream.write(self._outgoing.read(), self._write_timeout)
                if deadline is not None:  # a record may arrive in many pieces
                    timeout = max(deadline - time.monotonic(), 0)
                data = await self._stream.read(MAX_JOINED, timeout)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()

    async def aclose(self) -> None:
        """Close the connection, as `AsyncioStream`."""
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for, as `AsyncioStream`."""
        if info == "ssl_object":
            return self._ssl
        if info == "is_readable" and (self._incoming.pending or self._is_at_end):
            return True
        return self._stream.get_extra_info(info)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter and not waiter.done():
        waiter.set_result(None)


def _fail(waiter: asyncio.Future[None], error: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(error())
