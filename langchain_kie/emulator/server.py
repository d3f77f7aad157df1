"""The emulator on a real socket, for as long as a `with` block lasts.

Knows threads, sockets and uvicorn. What is served is the application's business.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import uvicorn

from langchain_kie.emulator.app import build_app
from langchain_kie.emulator.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from langchain_kie.emulator.world import ReceivedRequest

DEFAULT_API_KEY = "kie-emulator-key"

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BACKLOG = 2048


class Emulator:
    """KIE.ai's Gemini API on this machine: no key, no network, no credits.

    Example:
        ```python
        with Emulator() as emulator:
            model = ChatKieGemini(
                model="gemini-3-flash", base_url=emulator.base_url, api_key=emulator.api_key
            )
        ```

    Args:
        port: The port to serve on, 0 for a free one.
        api_key: The only key that is accepted.
        media: The emulator's internet: URLs and the bytes, or the file, behind each. Besides
            these it fetches from loopback hosts only.
        host: The address to serve on.
        fail_uploads: A code of KIE's to refuse every upload with.
        drops_media: Whether to lose, without a word, the media that arrive with a prompt, as
            KIE does now and then.

    Attributes:
        api_key: The key to use.
        requests: What arrived, in order; downloads are not noted down.
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
        self._world = World(api_key, {} if media is None else media, fail_uploads, drops_media)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The URL to point a client at.

        Raises:
            RuntimeError: If the emulator does not serve.
        """
        if self._socket is None:
            raise RuntimeError("The emulator serves only inside its `with` block.")
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What arrived, in order."""
        return self._world.requests

    @property
    def fail_uploads(self) -> int | None:
        """The code to refuse uploads with, `None` to accept them."""
        return self._world.fail_uploads

    @fail_uploads.setter
    def fail_uploads(self, code: int | None) -> None:
        self._world.fail_uploads = code

    @property
    def drops_media(self) -> bool:
        """Whether the media that arrive with a prompt are lost."""
        return self._world.drops_media

    @drops_media.setter
    def drops_media(self, drops: bool) -> None:
        self._world.drops_media = drops

    def expire_files(self) -> None:
        """Let the three days pass after which uploaded files are gone."""
        self._world.files.expire()

    def clear(self) -> None:
        """Forget what arrived."""
        self._world.requests.clear()

    def __enter__(self) -> Self:
        """Start, and wait until it serves."""
        if self._socket is not None:
            raise RuntimeError("The emulator serves already.")
        self._socket = socket.create_server(self._address, backlog=_BACKLOG)
        # Connections inherit this; without it each answer waits for a delayed ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            build_app(self._world),
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
                self._stop()
                raise RuntimeError("The emulator did not start.")
            time.sleep(_POLL_SECONDS)

    def __exit__(self, *_: object) -> None:
        """Stop, and wait until the socket is closed."""
        self._stop()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()
        self._world.files.close()
        self._server = self._thread = self._socket = None
