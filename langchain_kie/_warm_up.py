"""Loads what calls need, so that the first one is fast and does not stop an event loop.

Imports and the creation of a TLS context read files in the calling thread. On an event loop they
would stop every other task for up to half a second. The modules are named, not imported, so that
what they import can use this module.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from threading import Event

_MODULES = (
    "langchain_kie._request",
    "langchain_kie._uploads",
    "langchain_kie._http.transport",
    "httpcore",
)
"""They import the others that calls need."""

_IMPORTED_LATE_BY_OTHERS = (
    "anyio._backends._asyncio",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.langchain",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
    "langsmith.run_helpers",
)
"""What httpcore 1.0.9 imports when it first connects, and langchain-core 1.8.3 when it first calls
a model. Partly private, so a missing one is ignored. Can go when they do not import late."""

_is_loaded = Event()


def load() -> None:
    """Import the modules and create the TLS context, once in a process."""
    if _is_loaded.is_set():
        return
    for name in _MODULES:
        import_module(name)
    for name in _IMPORTED_LATE_BY_OTHERS:
        with suppress(ImportError):
            import_module(name)
    pools = import_module("langchain_kie._http.pools")
    with suppress(OSError, ValueError):  # a pool reports unusable certificates
        pools.ssl_context()
    _is_loaded.set()


async def aload() -> None:
    """As `load`, in a thread."""
    if not _is_loaded.is_set():
        await asyncio.to_thread(load)
