"""The emulator: a server thread that runs as long as its `with` block."""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import fields
from typing import Self

import uvicorn

from langchain_kie.emulator.answering import ConnectionCutError
from langchain_kie.emulator.app import build_app
from langchain_kie.emulator.conversation import AnyAnswer, Failure
from langchain_kie.emulator.settings import Settings
from langchain_kie.emulator.state import ReceivedRequest, ServerState

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
_BACKLOG = 2048


def _is_no_cut(record: logging.LogRecord) -> bool:
    """Return whether a log record of uvicorn is about something else than a cut that was wanted."""
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionCutError))


class Emulator(Settings):
    """A local HTTP server that behaves like KIE.ai's Gemini API.

    Example:
        ```python
        with Emulator() as emulator:
            emulator.answer("It is sunny.")
            model = ChatKieGemini(
                model="gemini-3.5-flash", base_url=emulator.base_url, api_key=emulator.api_key
            )
            assert model.invoke("What is the weather?").text == "It is sunny."
        ```

    The keywords are described in `Settings`; most of them can also be changed while it runs, as
    in `emulator.rate_limit = True`. Every request is checked as KIE checks it before it is
    answered, by a scripted answer too.
    """

    def __post_init__(self) -> None:
        """Prepare the state, which lasts until the emulator is deleted."""
        self._initial = {field.name: getattr(self, field.name) for field in fields(self)}
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
        """The received requests in order, without downloads of files."""
        return self._state.requests

    @property
    def credits_charged(self) -> float:
        """What all answers cost together, in KIE's credits."""
        return self._state.charged

    def answer(self, *answers: AnyAnswer) -> None:
        """Set what the next chat requests are answered with, one after the other.

        Args:
            answers: A text, an `Answer`, a `Failure` or a `RawAnswer` for each request.
        """
        self._state.script.extend(answers)

    def fail_next(self, code: int, message: str | None = None, *, times: int = 1) -> None:
        """Fail the next chat requests as KIE does: with HTTP status 200 and a code in the body.

        Args:
            code: KIE's code, such as 402, 429, 455, 500 or 401.
            message: KIE's message; by default what KIE sends with this code.
            times: How many requests fail; a client that retries sends several.
        """
        self.answer(*[Failure(code, message)] * times)

    def cut_next(self, *, after: int, times: int = 1) -> None:
        """Close the connection in the middle of the next answers.

        Args:
            after: How many characters of the text of a stream arrive; of a body that is not
                streamed, how many bytes. The end of the answer never arrives.
            times: How many answers are cut; a client that retries gets several.
        """
        self._state.cuts.extend([after] * times)

    def expire_files(self) -> None:
        """Set the clock of uploads forward by the 24 hours after which they expire."""
        self._state.files.expire()

    def clear(self) -> None:
        """Empty `requests`."""
        self._state.requests.clear()

    def reset(self) -> None:
        """Start anew: no requests, scripted answers or files; the settings of the constructor."""
        address = {"host", "port"}
        self.__dict__.update({k: v for k, v in self._initial.items() if k not in address})
        self._state.reset()

    def __enter__(self) -> Self:
        """Start the server, and wait until it accepts requests."""
        if self._socket is not None:
            raise RuntimeError("The emulator serves already.")
        self._state.is_stopping = False
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut)
        self._socket = socket.create_server((self.host, self.port), backlog=_BACKLOG)
        # Connections inherit this; without it each answer waits for a delayed ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            build_app(self._state),
            loop="asyncio",  # "auto" sets the policy of the process, before uvicorn 0.36
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
