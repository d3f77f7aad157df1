"""The shared connection pools: some for the threads of a process, some for each event loop.

httpcore 1.0.9 scans every connection of a pool when a request starts or ends, so concurrent calls
are spread over several small pools (httpcore2 2.16 scans a tenth of them). Uses the transports of
httpx; its clients only where a proxy is configured. Independent of KIE: keys, URLs and timeouts
come with each call.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from urllib.request import getproxies

import httpcore
import httpx

from langchain_kie._http.asyncio_backend import AsyncioBackend
from langchain_kie._shared_work import PerProcess
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable

CALLS_PER_POOL = 8
"""With this many calls in progress a pool is busy, and the next call opens another."""

MAX_POOLS = 32
"""With this many pools, the next call shares the pool with the fewest calls."""

IDLE_SECONDS = 5.0
"""Seconds without a call, after which every pool but the first is closed."""

_LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=CALLS_PER_POOL, keepalive_expiry=IDLE_SECONDS
)

Pool: TypeAlias = httpx.HTTPTransport | httpx.Client
AsyncPool: TypeAlias = httpx.AsyncHTTPTransport | httpx.AsyncClient

PoolT = TypeVar("PoolT", Pool, AsyncPool)


@dataclass(slots=True, eq=False)
class _PoolSlot(Generic[PoolT]):
    """A pool and the number of calls in progress on it."""

    pool: PoolT
    calls: int = 0
    idle_since: float = 0.0
    is_retired: bool = False


class _Pools(Generic[PoolT]):
    """The pools of the threads of a process, or of an event loop.

    Args:
        open_pool: Opens one more pool.
    """

    def __init__(self, open_pool: Callable[[], PoolT]) -> None:
        self._open: Callable[[], PoolT] = open_pool
        # Reentrant: the garbage collector may close a stream, and so release its slot, while
        # this thread holds the lock.
        self._lock = threading.RLock()
        self._slots: list[_PoolSlot[PoolT]] = []

    def acquire(self) -> _PoolSlot[PoolT]:
        """Choose the pool of one call: the first that is not busy, which has open connections.

        Raises:
            KieConfigurationError: The environment's proxies or certificates cannot be used.
        """
        with self._lock:
            for slot in self._slots:
                if slot.calls < CALLS_PER_POOL:
                    break
            else:
                slot = self._new_or_least_busy()
            slot.calls += 1
        return slot

    def release(self, slot: _PoolSlot[PoolT], ending: type[BaseException] | None) -> list[PoolT]:
        """End one call.

        Args:
            slot: The slot of the call.
            ending: The class of the exception that ended the call, if any.

        Returns:
            The pools that are no longer needed; the caller must close them.
        """
        now = time.monotonic()
        with self._lock:
            slot.calls -= 1
            slot.idle_since = now
            # httpcore 1.0.9 never frees the connections of some cancelled calls, so
            # its pool gets no more calls. Can go when httpcore frees it (httpx2 2.16 does).
            if ending and not issubclass(ending, (Exception, GeneratorExit)):
                slot.is_retired = True
                self._slots = [other for other in self._slots if other is not slot]
            unused = [slot.pool] if slot.is_retired and not slot.calls else []
            while self._slots[1:] and self._is_idle(self._slots[-1], now):
                unused.append(self._slots.pop().pool)
        return unused

    @staticmethod
    def _is_idle(slot: _PoolSlot[PoolT], now: float) -> bool:
        return not slot.calls and now - slot.idle_since > IDLE_SECONDS

    def _new_or_least_busy(self) -> _PoolSlot[PoolT]:
        """Open a pool, or, with `MAX_POOLS` open, choose the one with the fewest calls."""
        if len(self._slots) >= MAX_POOLS:
            return min(self._slots, key=lambda slot: slot.calls)
        try:
            slot = _PoolSlot(self._open(), idle_since=time.monotonic())
        except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
            raise KieConfigurationError(
                "cannot use the environment's proxies (HTTPS_PROXY, ALL_PROXY) or certificates "
                f"(SSL_CERT_FILE, SSL_CERT_DIR): {type(error).__name__}"
            ) from error
        self._slots.append(slot)
        return slot

    def clear(self, *, in_use: bool = True) -> list[PoolT]:
        """Remove all pools; return them, or those without calls. The caller must close them."""
        slots, self._slots = self._slots, []
        return [slot.pool for slot in slots if in_use or not slot.calls]


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the context of all pools; creating one takes longer than the rest of a call."""
    return httpx.create_ssl_context()


def _transport_options() -> dict[str, Any]:
    return {"verify": ssl_context(), "limits": _LIMITS}


def _client_options() -> dict[str, Any]:
    """Return options without cookies, and without a proxy for http (used on loopback only)."""
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return {**_transport_options(), "cookies": no_cookies, "mounts": {"http://": None}}


def _has_proxies() -> bool:
    return bool(getproxies().keys() & {"https", "all"})


def _open_pool() -> Pool:
    if _has_proxies():
        return httpx.Client(**_client_options())
    return httpx.HTTPTransport(**_transport_options())


def _open_async_pool() -> AsyncPool:
    if _has_proxies():
        return httpx.AsyncClient(**_client_options())
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        return _AsyncioTransport()
    return httpx.AsyncHTTPTransport(**_transport_options())


class _AsyncioTransport(httpx.AsyncHTTPTransport):
    """With connections of `AsyncioBackend`; httpx 0.28.1 has no argument for it."""

    def __init__(self) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context(),
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=AsyncioBackend(),
        )


class _ProcessPools:
    """The pools of this process."""

    def __init__(self) -> None:
        self.of_threads = _Pools(_open_pool)
        self.of_loops: dict[
            asyncio.AbstractEventLoop, tuple[_Pools[AsyncPool], AsyncGenerator[None]]
        ] = {}


_process = PerProcess(_ProcessPools)


@atexit.register
def _at_exit() -> None:
    """Close the threads' connections; those of an event loop are closed when it ends.

    A connection that a daemon thread may read stays open: it would report an error while it ends.
    """
    may_be_read = any(thread.daemon for thread in threading.enumerate())
    for pool in _process.value.of_threads.clear(in_use=not may_be_read):
        pool.close()


class pooled_transport:  # noqa: N801 - a context manager, named like those of contextlib
    """A context with a shared pool for one call; safe to use from many threads."""

    def __enter__(self) -> Pool:
        """Acquire a slot and return its pool."""
        self._pools = _process.value.of_threads
        self._slot = self._pools.acquire()
        return self._slot.pool

    def __exit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Release the slot, unless this process was forked and the pools are the parent's."""
        if self._pools is _process.value.of_threads:
            for pool in self._pools.release(self._slot, ending):
                pool.close()


class async_pooled_transport:  # noqa: N801 - likewise
    """A context with a shared pool of the running event loop for one call.

    Not an `asynccontextmanager`: a loop that ends would close its generator too early.
    """

    async def __aenter__(self) -> AsyncPool:
        """Acquire a slot and return its pool."""
        self._pools = await _pools_of_running_loop()
        self._slot = self._pools.acquire()
        return self._slot.pool

    async def __aexit__(self, ending: type[BaseException] | None, *_: object) -> None:
        """Release the slot."""
        for pool in self._pools.release(self._slot, ending):
            await pool.aclose()


async def _pools_of_running_loop() -> _Pools[AsyncPool]:
    loop = asyncio.get_running_loop()
    entry = _process.value.of_loops.get(loop)
    if entry is None:
        for other in list(_process.value.of_loops):
            if other.is_closed():
                _process.value.of_loops.pop(other, None)
        pools = _Pools(_open_async_pool)
        entry = _process.value.of_loops[loop] = (pools, _close_with_loop(loop, pools))
        await anext(entry[1])
    return entry[0]


# asyncio (Python 3.11) has no hook for the end of an event loop, but `asyncio.run` closes the
# async generators that are still open; so one of them holds the pools. Can go with such a hook.
async def _close_with_loop(
    loop: asyncio.AbstractEventLoop, pools: _Pools[AsyncPool]
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _process.value.of_loops.pop(loop, None)
        for pool in pools.clear():
            await pool.aclose()
        await asyncio.sleep(0)  # an `AsyncioStream` closes its socket in the loop's next step


class HandshakeGuard:
    """A trace function of httpcore that closes the connection of a cancelled TLS handshake.

    httpcore 1.0.9 leaves that socket open. Can go when httpcore closes it.
    """

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Store the new connection, and close it if its TLS handshake fails."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.failed":
            await self._stream.aclose()
