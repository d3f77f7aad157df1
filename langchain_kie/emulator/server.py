"""The emulator: a server thread that runs as long as its `with` block."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import uvicorn

from langchain_kie.emulator.app import build_app
from langchain_kie.emulator.settings import Settings
from langchain_kie.emulator.state import ServerState

if TYPE_CHECKING:
    from langchain_kie.emulator.state import ReceivedRequest

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BACKLOG = 2048


@dataclass(kw_only=True, eq=False, repr=False)
class Emulator(Settings):
    """A local HTTP server that behaves like KIE.ai's Gemini API.

    Example:
        ```python
        with Emulator() as emulator:
            model = ChatKieGemini(
                model="gemini-3-flash", base_url=emulator.base_url, api_key=emulator.api_key
            )
        ```

    The keywords are described in `Settings`; most of them can also be changed while it runs, as
    in `emulator.rate_limit = True`.

    Attributes:
        requests: The received requests in order, without downloads of files.
    """

    def __post_init__(self) -> None:
        """Prepare the state, which lasts until the emulator is deleted."""
        self._state = ServerState(self)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The URL of the server, for a client's `base_url`.

        Raises:
            RuntimeError: If the emulator is not running.
        """
        if self._socket is None:
            raise RuntimeError("The emulator serves only inside its `with` block.")
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The received requests in order."""
        return self._state.requests

    def expire_files(self) -> None:
        """Set the clock of uploads forward by the 24 hours after which they expire."""
        self._state.files.expire()

    def clear(self) -> None:
        """Empty `requests`."""
        self._state.requests.clear()

    def __enter__(self) -> Self:
        """Start the server, and wait until it accepts requests."""
        if self._socket is not None:
            raise RuntimeError("The emulator serves already.")
        self._state.is_stopping = False
        self._socket = socket.create_server((self.host, self.port), backlog=_BACKLOG)
        # Connections inherit this; without it each answer waits for a delayed ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            build_app(self._state),
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="kie-emulator",
            daemon=True,
        )
        self._thread.start()
        self._wait_until_started(self._server, self._thread)
        return self

    def _wait_until_started(self, server: uvicorn.Server, thread: threading.Thread) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError("The emulator did not start.")
            time.sleep(_POLL_SECONDS)

    def __exit__(self, *_: object) -> None:
        """Stop the server, wait until its socket is closed, and delete the uploaded files."""
        self._state.is_stopping = True
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()
        self._state.files.close()
        self._server = self._thread = self._socket = None
