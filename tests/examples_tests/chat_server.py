"""The chat on a socket, and waiting for what happens there."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from limits import MAX_WAIT

from examples.chat.app import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOLS = ["h11", "httptools"]
"""How uvicorn parses HTTP; httptools comes with `uvicorn[standard]`."""
LONG = 600.0
"""Seconds that no test waits: only a closed connection ends what takes so long."""


@contextmanager
def served(http: str = "h11", **fields: Any) -> Iterator[str]:
    """Serve the chat; the value is its URL."""
    app = create_app(**{"model": "gemini-3.5-flash", "max_retries": 0, **fields})
    config = uvicorn.Config(app, http=http, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    started = threading.Event()
    startup = server.startup

    async def start(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = start
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert started.wait(MAX_WAIT)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def wait_until(condition):
    """Wait for what another thread does."""
    deadline = time.monotonic() + MAX_WAIT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def open_requests(emulator):
    """The requests that the emulator still answers."""
    return emulator._server.server_state.tasks
