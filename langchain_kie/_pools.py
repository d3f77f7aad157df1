"""The shared connection pools: some for a process's threads, some for each event loop.

httpx looks at every connection of a pool whenever a request comes or goes, so many calls at
once are spread over several pools of few connections each. A pool is a transport of httpx's:
its clients only add cookies, redirects and logs, which no call of ours has. Knows httpx and
lifetimes. Knows nothing of KIE: keys, URLs and timeouts come with each call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

CALLS_PER_POOL = 8
"""A pool with this many calls under way is busy, and another is opened."""

MAX_POOLS = 32
"""With so many pools, calls go to the one with the fewest."""

IDLE_SECONDS = 5.0
"""A pool that is not the first is closed when it had no call for so long."""

_LIMITS = httpx.Limits(
    max_connections=None,
    max_keepalive_connections=CALLS_PER_POOL,
    keepalive_expiry=IDLE_SECONDS,
)

PoolT = TypeVar("PoolT", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


@dataclass(slots=True, eq=False)
class _Seat(Generic[PoolT]):
    """A pool, its proxy, and how many calls are under way on it."""

    pool: PoolT
    proxy: str | None
    calls: int = 0
    idle_since: float = 0.0
    is_retired: bool = False


class _Pools(Generic[PoolT]):
    """The pools of a process's threads or of an event loop.

    Args:
        kind: What a pool is.
    """

    def __init__(self, kind: type[PoolT]) -> None:
        self._kind: type[PoolT] = kind
        self._lock = threading.RLock()  # the garbage collector may end a call in the midst of it
        self._seats: list[_Seat[PoolT]] = []

    def take(self, url: httpx.URL) -> _Seat[PoolT]:
        """A pool for one call; the first that is not busy, since its connections are warm.

        Args:
            url: Where the call goes.

        Raises:
            KieConfigurationError: The environment's proxies or certificates cannot be used.
        """
        proxy = _proxy_for(url.host) if url.scheme == "https" else None
        with self._lock:
            seat = self._free_seat(proxy)
            seat.calls += 1
        return seat

    def give_back(self, seat: _Seat[PoolT], ending: type[BaseException] | None) -> list[PoolT]:
        """End a call.

        A call that was cancelled may have left a connection behind that httpcore takes for one
        in use, for ever; its pool gets no more calls, and goes with its last one.

        Args:
            seat: Where the call was.
            ending: What the call ended with.

        Returns:
            The pools that are not needed any more, for the caller to close.
        """
        now = time.monotonic()
        with self._lock:
            seat.calls -= 1
            seat.idle_since = now
            if ending and not issubclass(ending, (Exception, GeneratorExit)):
                seat.is_retired = True
                self._seats = [other for other in self._seats if other is not seat]
            unused = [seat.pool] if seat.is_retired and not seat.calls else []
            while self._seats[1:] and self._is_idle(self._seats[-1], now):
                unused.append(self._seats.pop().pool)
        return unused

    @staticmethod
    def _is_idle(seat: _Seat[PoolT], now: float) -> bool:
        return not seat.calls and now - seat.idle_since > IDLE_SECONDS

    def _free_seat(self, proxy: str | None) -> _Seat[PoolT]:
        seats = [seat for seat in self._seats if seat.proxy == proxy]
        for seat in seats:
            if seat.calls < CALLS_PER_POOL:
                return seat
        if len(seats) < MAX_POOLS:
            self._seats.append(_Seat(_opened(self._kind, proxy), proxy))
            return self._seats[-1]
        return min(seats, key=lambda seat: seat.calls)

    def clear(self) -> list[PoolT]:
        """Forget the pools, for the caller to close."""
        seats, self._seats = self._seats, []
        return [seat.pool for seat in seats]


class _Shared:
    """The pools of this process."""

    def __init__(self) -> None:
        self.pools = _Pools(httpx.HTTPTransport)
        self.async_pools: dict[
            asyncio.AbstractEventLoop, tuple[_Pools[httpx.AsyncHTTPTransport], AsyncGenerator[None]]
        ] = {}


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all pools: to make one costs more than all else together."""
    return httpx.create_ssl_context()


@cache
def _proxy_for(host: str) -> str | None:
    """The proxy that the environment names for a host; plain http stays on this machine."""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _opened(kind: type[PoolT], proxy: str | None) -> PoolT:
    try:
        return kind(verify=_ssl_context(), limits=_LIMITS, proxy=proxy)
    except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise KieConfigurationError(
            "the environment's proxies (HTTPS_PROXY, ALL_PROXY) or certificates "
            f"(SSL_CERT_FILE, SSL_CERT_DIR) cannot be used: {type(error).__name__}"
        ) from error


_shared = _Shared()


def _after_fork() -> None:
    """Forget the parent's connections: two processes must not read one socket."""
    global _shared  # noqa: PLW0603 - this is the process's state
    _shared = _Shared()


@atexit.register
def _at_exit() -> None:
    """Close the connections of threads; event loops close theirs when they end."""
    for pool in _shared.pools.clear():
        pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class PoolLease:
    """A pool that the models of this process share, for one call; safe from many threads.

    Args:
        url: Where the call goes.
    """

    def __init__(self, url: httpx.URL) -> None:
        self._url = url

    def __enter__(self) -> httpx.HTTPTransport:
        """Take the pool."""
        self._pools = _shared.pools
        self._seat = self._pools.take(self._url)
        return self._seat.pool

    def __exit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back, unless it is the parent's, of which this process was forked."""
        if self._pools is _shared.pools:
            for pool in self._pools.give_back(self._seat, ending):
                pool.close()


class AsyncPoolLease:
    """A pool that all models share on the running event loop, for one call.

    Args:
        url: Where the call goes.
    """

    def __init__(self, url: httpx.URL) -> None:
        self._url = url

    async def __aenter__(self) -> httpx.AsyncHTTPTransport:
        """Take the pool."""
        self._pools = await _pools_of_loop()
        self._seat = self._pools.take(self._url)
        return self._seat.pool

    async def __aexit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back."""
        for pool in self._pools.give_back(self._seat, ending):
            await pool.aclose()


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


async def _pools_of_loop() -> _Pools[httpx.AsyncHTTPTransport]:
    """The pools of the running event loop.

    An event loop that ends closes them: `asyncio.run` finishes the async generators it knows,
    and one of them holds the pools.
    """
    loop = asyncio.get_running_loop()
    entry = _shared.async_pools.get(loop)
    if entry is None:
        for other in list(_shared.async_pools):
            if other.is_closed():
                _shared.async_pools.pop(other, None)
        pools = _Pools(httpx.AsyncHTTPTransport)
        entry = _shared.async_pools[loop] = (pools, _close_at_end(loop, pools))
        await anext(entry[1])
    return entry[0]


async def _close_at_end(
    loop: asyncio.AbstractEventLoop, pools: _Pools[httpx.AsyncHTTPTransport]
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _shared.async_pools.pop(loop, None)
        for pool in pools.clear():
            await pool.aclose()
