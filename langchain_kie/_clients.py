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
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Generic, TypeVar

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable, Iterator
    from contextlib import AbstractContextManager

CALLS_PER_CLIENT = 8
"""A client with this many calls under way is busy, and another is opened."""

MAX_CLIENTS = 32
"""With so many clients, calls go to the one with the fewest."""

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=CALLS_PER_CLIENT)

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


@dataclass(slots=True)
class _Seat(Generic[ClientT]):
    """A client, and how many calls are under way on it."""

    client: ClientT
    calls: int = 0


class _Clients(Generic[ClientT]):
    """The clients of a process's threads or of an event loop.

    Args:
        open_client: Opens another.
    """

    def __init__(self, open_client: Callable[[], ClientT]) -> None:
        self._open: Callable[[], ClientT] = open_client
        self._lock = threading.Lock()
        self._seats: list[_Seat[ClientT]] = []

    @contextmanager
    def lease(self) -> Iterator[ClientT]:
        """A client for one call; the first that is not busy, since its connections are warm."""
        with self._lock:
            seat = self._free_seat()
            seat.calls += 1
        try:
            yield seat.client
        finally:
            with self._lock:
                seat.calls -= 1

    def _free_seat(self) -> _Seat[ClientT]:
        for seat in self._seats:
            if seat.calls < CALLS_PER_CLIENT:
                return seat
        if len(self._seats) < MAX_CLIENTS:
            self._seats.append(_Seat(self._open()))
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


def _open_client() -> httpx.Client:
    return httpx.Client(verify=_ssl_context(), limits=_LIMITS, cookies=_no_cookies())


def _open_async_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=_ssl_context(), limits=_LIMITS, cookies=_no_cookies())


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


def lease_client() -> AbstractContextManager[httpx.Client]:
    """A client that the models of this process share, for one call; safe from many threads."""
    return _shared.clients.lease()


async def lease_async_client() -> AbstractContextManager[httpx.AsyncClient]:
    """A client that all models share on the running event loop, for one call.

    An event loop that ends closes its clients: `asyncio.run` finishes the async generators it
    knows, and one of them holds the clients.
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
    return entry[0].lease()


async def _close_at_end(
    loop: asyncio.AbstractEventLoop, clients: _Clients[httpx.AsyncClient]
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _shared.async_clients.pop(loop, None)
        for client in clients.clear():
            await client.aclose()
