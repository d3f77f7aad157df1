"""The emulator: a server thread that runs as long as its `with` block."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import uvicorn

from langchain_kie.emulator.app import build_app
from langchain_kie.emulator.state import ServerState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_kie.emulator.state import ReceivedRequest

DEFAULT_API_KEY = "kie-emulator-key"

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BACKLOG = 2048


class Emulator:
    """A local HTTP server that behaves like KIE.ai's Gemini API.

    Example:
        ```python
        with Emulator() as emulator:
            model = ChatKieGemini(
                model="gemini-3-flash", base_url=emulator.base_url, api_key=emulator.api_key
            )
        ```

    Args:
        port: The port to listen on; 0, the default, chooses a free one.
        api_key: The only key that is accepted.
        media: URLs that the emulator can fetch, and the bytes or the file of each. All other
            URLs must be of loopback hosts.
        host: The address to listen on.
        fail_uploads: KIE's code to reject every upload with, such as 402; `None`, the default,
            accepts uploads.
        drops_media: Whether the media of a prompt are ignored without an error, as KIE does at
            times.

    Attributes:
        api_key: The key to use.
        requests: The received requests in order, without downloads of files.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str = DEFAULT_API_KEY,
        media: Mapping[str, bytes | Path] | None = None,
        host: str = "127.0.0.1",
        fail_uploads: int | None = None,
        drops_media: bool = False,
    ) -> None:
        self.api_key = api_key
        self._address = (host, port)
        self._state = ServerState(
            api_key, {} if media is None else media, fail_uploads, drops_media
        )
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

    @property
    def fail_uploads(self) -> int | None:
        """The code to reject uploads with; `None` to accept them."""
        return self._state.fail_uploads

    @fail_uploads.setter
    def fail_uploads(self, code: int | None) -> None:
        self._state.fail_uploads = code

    @property
    def drops_media(self) -> bool:
        """Whether the media of a prompt are ignored."""
        return self._state.drops_media

    @drops_media.setter
    def drops_media(self, drops: bool) -> None:
        self._state.drops_media = drops

    def expire_files(self) -> None:
        """Set the clock forward by the three days after which uploaded files expire."""
        self._state.files.expire()

    def clear(self) -> None:
        """Empty `requests`."""
        self._state.requests.clear()

    def __enter__(self) -> Self:
        """Start the server, and wait until it accepts requests."""
        if self._socket is not None:
            raise RuntimeError("The emulator serves already.")
        self._socket = socket.create_server(self._address, backlog=_BACKLOG)
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
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()
        self._state.files.close()
        self._server = self._thread = self._socket = None
