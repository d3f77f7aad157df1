"""The shared httpx clients: some for a process's threads, some for each event loop.

httpx looks at every connection of a client whenever a request comes or goes, so many calls at
once are spread over several clients of few connections each. Knows httpx and lifetimes. Knows
nothing of KIE: keys, URLs and timeouts come with each call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable

CALLS_PER_CLIENT = 8
"""A client with this many calls under way is busy, and another is opened."""

MAX_CLIENTS = 32
"""With so many clients, calls go to the one with the fewest."""

IDLE_SECONDS = 5.0
"""A client that is not the first is closed when it had no call for so long."""

_LIMITS = httpx.Limits(
    max_connections=None,
    max_keepalive_connections=CALLS_PER_CLIENT,
    keepalive_expiry=IDLE_SECONDS,
)

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


@dataclass(slots=True, eq=False)
class _Seat(Generic[ClientT]):
    """A client, and how many calls are under way on it."""

    client: ClientT
    calls: int = 0
    idle_since: float = 0.0
    is_retired: bool = False


class _Clients(Generic[ClientT]):
    """The clients of a process's threads or of an event loop.

    Args:
        open_client: Opens another.
    """

    def __init__(self, open_client: Callable[[], ClientT]) -> None:
        self._open: Callable[[], ClientT] = open_client
        self._lock = threading.RLock()  # the garbage collector may end a call in the midst of it
        self._seats: list[_Seat[ClientT]] = []

    def take(self) -> _Seat[ClientT]:
        """A client for one call; the first that is not busy, since its connections are warm.

        Raises:
            KieConfigurationError: The environment's proxies or certificates cannot be used.
        """
        with self._lock:
            seat = self._free_seat()
            seat.calls += 1
        return seat

    def give_back(self, seat: _Seat[ClientT], ending: type[BaseException] | None) -> list[ClientT]:
        """End a call.

        A call that was cancelled may have left a connection behind that httpcore takes for one
        in use, for ever; its client gets no more calls, and goes with its last one.

        Args:
            seat: Where the call was.
            ending: What the call ended with.

        Returns:
            The clients that are not needed any more, for the caller to close.
        """
        now = time.monotonic()
        with self._lock:
            seat.calls -= 1
            seat.idle_since = now
            if ending and not issubclass(ending, (Exception, GeneratorExit)):
                seat.is_retired = True
                self._seats = [other for other in self._seats if other is not seat]
            unused = [seat.client] if seat.is_retired and not seat.calls else []
            while self._seats[1:] and self._is_idle(self._seats[-1], now):
                unused.append(self._seats.pop().client)
        return unused

    @staticmethod
    def _is_idle(seat: _Seat[ClientT], now: float) -> bool:
        return not seat.calls and now - seat.idle_since > IDLE_SECONDS

    def _free_seat(self) -> _Seat[ClientT]:
        for seat in self._seats:
            if seat.calls < CALLS_PER_CLIENT:
                return seat
        if len(self._seats) < MAX_CLIENTS:
            self._seats.append(_Seat(_opened(self._open)))
            return self._seats[-1]
        return min(self._seats, key=lambda seat: seat.calls)

    def clear(self) -> list[ClientT]:
        """Forget the clients, for the caller to close."""
        seats, self._seats = self._seats, []
        return [seat.client for seat in seats]


class _Shared:
    """The clients of this process."""

    def __init__(self) -> None:
        self.clients = _Clients(_open_client)
        self.async_clients: dict[
            asyncio.AbstractEventLoop, tuple[_Clients[httpx.AsyncClient], AsyncGenerator[None]]
        ] = {}


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all clients: to make one costs more than all else together."""
    return httpx.create_ssl_context()


def _options() -> dict[str, Any]:
    """Plain http stays on this machine, so no proxy hears it."""
    return {
        "verify": _ssl_context(),
        "limits": _LIMITS,
        "cookies": _no_cookies(),
        "mounts": {"http://": None},
    }


def _open_client() -> httpx.Client:
    return httpx.Client(**_options())


def _open_async_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(**_options())


def _opened(open_client: Callable[[], ClientT]) -> ClientT:
    try:
        return open_client()
    except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise KieConfigurationError(
            "the environment's proxies (HTTPS_PROXY, ALL_PROXY) or certificates "
            f"(SSL_CERT_FILE, SSL_CERT_DIR) cannot be used: {type(error).__name__}"
        ) from error


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: the accounts that share a client must not share cookies."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


_shared = _Shared()


def _after_fork() -> None:
    """Forget the parent's connections: two processes must not read one socket."""
    global _shared  # noqa: PLW0603 - this is the process's state
    _shared = _Shared()


@atexit.register
def _at_exit() -> None:
    """Close the connections of threads; event loops close theirs when they end."""
    for client in _shared.clients.clear():
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class ClientLease:
    """A client that the models of this process share, for one call; safe from many threads."""

    def __enter__(self) -> httpx.Client:
        """Take the client."""
        self._clients = _shared.clients
        self._seat = self._clients.take()
        return self._seat.client

    def __exit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back, unless it is the parent's, of which this process was forked."""
        if self._clients is _shared.clients:
            for client in self._clients.give_back(self._seat, ending):
                client.close()


class AsyncClientLease:
    """A client that all models share on the running event loop, for one call."""

    async def __aenter__(self) -> httpx.AsyncClient:
        """Take the client."""
        self._clients = await _clients_of_loop()
        self._seat = self._clients.take()
        return self._seat.client

    async def __aexit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back."""
        for client in self._clients.give_back(self._seat, ending):
            await client.aclose()


class HandshakeGuard:
    """Closes the connection of a TLS handshake that was cancelled, which httpcore forgets.

    It is one of httpcore's trace functions.
    """

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Take note of a connection, and of its handshake's failure."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.failed":
            await self._stream.aclose()


async def _clients_of_loop() -> _Clients[httpx.AsyncClient]:
    """The clients of the running event loop.

    An event loop that ends closes them: `asyncio.run` finishes the async generators it knows,
    and one of them holds the clients.
    """
    loop = asyncio.get_running_loop()
    entry = _shared.async_clients.get(loop)
    if entry is None:
        for other in list(_shared.async_clients):
            if other.is_closed():
                _shared.async_clients.pop(other, None)
        clients = _Clients(_open_async_client)
        entry = _shared.async_clients[loop] = (clients, _close_at_end(loop, clients))
        await anext(entry[1])
    return entry[0]


async def _close_at_end(
    loop: asyncio.AbstractEventLoop, clients: _Clients[httpx.AsyncClient]
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _shared.async_clients.pop(loop, None)
        for client in clients.clear():
            await client.aclose()
