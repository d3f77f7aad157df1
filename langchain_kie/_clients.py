"""The shared httpx clients: one a process for threads, one an event loop.

Knows httpx and lifetimes. Knows nothing of KIE: keys, URLs and timeouts come with each call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


class _Shared:
    """The clients of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.client: httpx.Client | None = None
        self.async_clients: dict[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None]]
        ] = {}


_shared = _Shared()


def _after_fork() -> None:
    """Forget the parent's connections: two processes must not read one socket."""
    global _shared  # noqa: PLW0603 - this is the process's state
    _shared = _Shared()


@atexit.register
def _at_exit() -> None:
    """Close the connections of threads; event loops close theirs when they end."""
    if _shared.client:
        _shared.client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared_client() -> httpx.Client:
    """The client that all models of this process share; safe from many threads."""
    if _shared.client is None:
        with _shared.lock:
            if _shared.client is None:
                _shared.client = httpx.Client(limits=LIMITS, cookies=_no_cookies())
    return _shared.client


async def shared_async_client() -> httpx.AsyncClient:
    """The client that all models share on the running event loop.

    An event loop that ends closes its client: `asyncio.run` finishes the async generators it
    knows, and one of them holds the client.
    """
    loop = asyncio.get_running_loop()
    entry = _shared.async_clients.get(loop)
    if entry is None:
        for other in list(_shared.async_clients):
            if other.is_closed():
                _shared.async_clients.pop(other, None)
        client = httpx.AsyncClient(limits=LIMITS, cookies=_no_cookies())
        entry = _shared.async_clients[loop] = (client, _close_at_end(loop, client))
        await anext(entry[1])
    return entry[0]


async def _close_at_end(
    loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _shared.async_clients.pop(loop, None)
        await client.aclose()


def _no_cookies() -> CookieJar:
    """A jar that keeps nothing: the accounts that share a client must not share cookies."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
