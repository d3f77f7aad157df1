"""The shared connection pools: some for a process's threads, some for each event loop.

httpx looks at every connection of a pool whenever a request comes or goes, so many calls at
once are spread over several pools of few connections each. A pool is a transport of httpx's;
its clients add cookies, redirects and logs, which no call of ours has, and proxies, for which
they are used. Knows httpx and lifetimes. Knows nothing of KIE: keys, URLs and timeouts come with
each call.
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
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from urllib.request import getproxies

import httpx

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable

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

Pool: TypeAlias = httpx.HTTPTransport | httpx.Client
AsyncPool: TypeAlias = httpx.AsyncHTTPTransport | httpx.AsyncClient

PoolT = TypeVar("PoolT", Pool, AsyncPool)


@dataclass(slots=True, eq=False)
class _PoolSlot(Generic[PoolT]):
    """A pool, and how many calls are under way on it."""

    pool: PoolT
    calls: int = 0
    idle_since: float = 0.0
    is_retired: bool = False


class _Pools(Generic[PoolT]):
    """The pools of a process's threads or of an event loop.

    Args:
        open_pool: Opens another.
    """

    def __init__(self, open_pool: Callable[[], PoolT]) -> None:
        self._open: Callable[[], PoolT] = open_pool
        self._lock = threading.RLock()  # the garbage collector may end a call in the midst of it
        self._seats: list[_PoolSlot[PoolT]] = []

    def take(self) -> _PoolSlot[PoolT]:
        """A pool for one call; the first that is not busy, since its connections are warm.

        Raises:
            KieConfigurationError: The environment's proxies or certificates cannot be used.
        """
        with self._lock:
            for seat in self._seats:
                if seat.calls < CALLS_PER_POOL:
                    break
            else:
                seat = self._new_or_least_busy()
            seat.calls += 1
        return seat

    def release(self, seat: _PoolSlot[PoolT], ending: type[BaseException] | None) -> list[PoolT]:
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
    def _is_idle(seat: _PoolSlot[PoolT], now: float) -> bool:
        return not seat.calls and now - seat.idle_since > IDLE_SECONDS

    def _new_or_least_busy(self) -> _PoolSlot[PoolT]:
        """A new pool, or, where there are too many, the one with the fewest calls."""
        if len(self._seats) >= MAX_POOLS:
            return min(self._seats, key=lambda seat: seat.calls)
        seat = _PoolSlot(_opened(self._open), idle_since=time.monotonic())
        self._seats.append(seat)
        return seat

    def clear(self) -> list[PoolT]:
        """Forget the pools, for the caller to close."""
        seats, self._seats = self._seats, []
        return [seat.pool for seat in seats]


class _Shared:
    """The pools of this process."""

    def __init__(self) -> None:
        self.pools = _Pools(_open_pool)
        self.async_pools: dict[
            asyncio.AbstractEventLoop, tuple[_Pools[AsyncPool], AsyncGenerator[None]]
        ] = {}


@cache
def _ssl_context() -> ssl.SSLContext:
    """One for all pools: to make one costs more than all else together."""
    return httpx.create_ssl_context()


def _options() -> dict[str, Any]:
    return {"verify": _ssl_context(), "limits": _LIMITS}


def _client_options() -> dict[str, Any]:
    """Plain http stays on this machine, so no proxy hears it; accounts share no cookies."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return {**_options(), "cookies": no_cookies, "mounts": {"http://": None}}


def _has_proxies() -> bool:
    return bool(getproxies().keys() & {"https", "all"})


def _open_pool() -> Pool:
    if _has_proxies():
        return httpx.Client(**_client_options())
    return httpx.HTTPTransport(**_options())


def _open_async_pool() -> AsyncPool:
    if _has_proxies():
        return httpx.AsyncClient(**_client_options())
    return httpx.AsyncHTTPTransport(**_options())


def _opened(open_pool: Callable[[], PoolT]) -> PoolT:
    try:
        return open_pool()
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
    """A pool that the models of this process share, for one call; safe from many threads."""

    def __enter__(self) -> Pool:
        """Take the pool."""
        self._pools = _shared.pools
        self._seat = self._pools.take()
        return self._seat.pool

    def __exit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back, unless it is the parent's, of which this process was forked."""
        if self._pools is _shared.pools:
            for pool in self._pools.release(self._seat, ending):
                pool.close()


class AsyncPoolLease:
    """A pool that all models share on the running event loop, for one call."""

    async def __aenter__(self) -> AsyncPool:
        """Take the pool."""
        self._pools = await _pools_of_loop()
        self._seat = self._pools.take()
        return self._seat.pool

    async def __aexit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Give it back."""
        for pool in self._pools.release(self._seat, ending):
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


async def _pools_of_loop() -> _Pools[AsyncPool]:
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
        pools = _Pools(_open_async_pool)
        entry = _shared.async_pools[loop] = (pools, _close_at_end(loop, pools))
        await anext(entry[1])
    return entry[0]


async def _close_at_end(
    loop: asyncio.AbstractEventLoop, pools: _Pools[AsyncPool]
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _shared.async_pools.pop(loop, None)
        for pool in pools.clear():
            await pool.aclose()
