"""A loopback server that answers each request with the next scripted bytes, and breaks as told."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import orjson

if TYPE_CHECKING:
    import io
    import ssl
    from collections.abc import Sequence

Ending = Literal[
    "chunk-end", "fin-unframed", "fin-mid-chunk", "rst", "stall", "hang-up", "comments", "trickle"
]
Framing = Literal["chunks", "close", "length", "raw"]
Reads = Literal["all", "head", "nothing"]

_LONG = 10.0
"""Seconds after which a client that still waits is given up."""

_DRIPS: dict[str, bytes] = {"stall": b"", "comments": b": still here\n\n", "trickle": b" "}


@dataclass(frozen=True)
class Scripted:
    """One response: its body in pieces, and how it ends.

    `chunk-end` closes the chunked body properly; `fin-unframed` has no framing but the end of
    the connection; `fin-mid-chunk` and `rst` break inside a chunk; `stall` says nothing more.
    `hang-up` closes the connection after a proper end, unannounced; `comments` and `trickle`
    go on and on, with comments or with single bytes that complete no event.

    `framing` is chosen by the ending unless it is given: `length` sends `length` as the body's,
    `raw` sends the pieces only, without a head. `reads` is how much of the request is read.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: dict[str, str] = field(
        default_factory=lambda: {"Content-Type": "text/event-stream;charset=UTF-8"}
    )
    ending: Ending = "chunk-end"
    pause: float = 0.0
    framing: Framing | None = None
    length: int = 0
    reads: Reads = "all"

    @property
    def head(self) -> bytes:
        """The status line and the headers."""
        framing = {
            "chunks": {"Transfer-Encoding": "chunked"},
            "close": {"Connection": "close"},
            "length": {"Content-Length": str(self.length)},
        }[self.framed]
        lines = [f"{name}: {value}\r\n" for name, value in {**self.headers, **framing}.items()]
        return f"HTTP/1.1 {self.status} OK\r\n{''.join(lines)}\r\n".encode()

    @property
    def framed(self) -> Framing:
        """How the end of the body is told."""
        return self.framing or ("close" if self.ending == "fin-unframed" else "chunks")


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return orjson.loads(self.body)


class ScriptedServer:
    """Serves `script` in order; the last response again and again.

    Attributes:
        requests: What was asked, as far as it was read.
        tries: How many responses were begun; more than there are requests where one was not read.
        open_connections: Those that neither side has closed.
        busy_connections: Those of them with a response that has not ended.
    """

    def __init__(self, *script: Scripted, tls: ssl.SSLContext | None = None) -> None:
        self.script = list(script)
        self.requests: list[Received] = []
        self.tries = 0
        self.open_connections = 0
        self.busy_connections = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        scheme = "https" if tls else "http"
        self.base_url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):  # wakes the thread in accept(), which would take one more
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.open_connections += 1
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls and self._next().reads != "nothing":
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection, connection.makefile("rb") as reader:
                    while self._exchange(connection, reader):
                        pass
        except (OSError, ValueError):  # the client broke off, or does not speak HTTP
            pass
        finally:
            with self._lock:
                self.open_connections -= 1

    def _next(self) -> Scripted:
        return self.script[min(self.tries, len(self.script) - 1)]

    def _exchange(self, connection: socket.socket, reader: io.BufferedReader) -> bool:
        """Answer one request; whether the connection can serve another."""
        scripted = self._next()
        if scripted.reads != "nothing":
            line = reader.readline()
            if not line:
                return False
            with self._lock:
                scripted = self._next()
            request = _read(line, reader, with_body=scripted.reads == "all")
        with self._lock:
            self.tries += 1
            self.busy_connections += 1
            if scripted.reads != "nothing":
                self.requests.append(request)
        try:
            return self._answer(connection, scripted)
        finally:
            with self._lock:
                self.busy_connections -= 1

    def _answer(self, connection: socket.socket, scripted: Scripted) -> bool:
        framed = scripted.framed == "chunks"
        if scripted.framed != "raw":
            connection.sendall(scripted.head)
        for piece in scripted.pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if framed else piece)
            if scripted.pause:
                time.sleep(scripted.pause)
        if framed and scripted.ending in {"chunk-end", "hang-up"}:
            connection.sendall(b"0\r\n\r\n")
        elif scripted.ending == "fin-mid-chunk":
            connection.sendall(b"ff\r\n ")
        elif scripted.ending == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif scripted.ending in _DRIPS:
            self._wait_for_the_end(connection, scripted)
        return scripted.ending == "chunk-end"

    def _wait_for_the_end(self, connection: socket.socket, scripted: Scripted) -> None:
        """Say nothing of use until the client hangs up, or the server stops."""
        drip = _DRIPS[scripted.ending]
        if scripted.framed == "chunks":
            drip = drip and b"%x\r\n%s\r\n" % (len(drip), drip)
        connection.settimeout(0.02)
        until = time.monotonic() + _LONG
        while not self._stopping.is_set() and time.monotonic() < until:
            with suppress(TimeoutError):
                if not connection.recv(65536):
                    return
            connection.sendall(drip)


def _read(line: bytes, reader: io.BufferedReader, *, with_body: bool) -> Received:
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while (line := reader.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        before = f"{headers[name.lower()]}, " if name.lower() in headers else ""
        headers[name.lower()] = before + value.strip()
    length = int(headers.get("content-length", 0)) if with_body else 0
    return Received(method, path, headers, reader.read(length))


def sse(*events: dict | str, newline: bytes = b"\n") -> bytes:
    """Events as the bytes of a stream."""
    return b"".join(
        b"data: "
        + (event.encode() if isinstance(event, str) else orjson.dumps(event))
        + newline * 2
        for event in events
    )
