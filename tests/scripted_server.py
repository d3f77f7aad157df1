"""A loopback server that sends scripted bytes, and ends or breaks connections as scripted."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import orjson
from limits import MAX_STALL, MAX_WAIT

if TYPE_CHECKING:
    import io
    import ssl
    from collections.abc import Iterator, Sequence

Ending = Literal[
    "chunk-end", "fin-unframed", "fin-mid-chunk", "rst", "stall", "hang-up", "comments", "trickle"
]
Framing = Literal["chunks", "close", "length", "raw"]
Reads = Literal["all", "head", "nothing"]

READ_TIMEOUTS = (0.2, 20.0)
"""Seconds for a call that must time out. The first saves time. The second is for a machine that
needs longer to send what must arrive before the stall.
"""

_STALLS: dict[str, bytes] = {"stall": b"", "comments": b": still here\n\n", "trickle": b" "}


@dataclass(frozen=True)
class Scripted:
    """One response: the pieces of its body, and how it ends.

    Attributes:
        pieces: The body; with `framing="raw"`, everything that is sent. What follows an event is
            sent after the test has set the event.
        status: The HTTP status.
        headers: The headers, without those of the framing.
        ending: `chunk-end` ends the chunked body properly. `fin-unframed` ends the body by
            closing the connection. `fin-mid-chunk` and `rst` break inside a chunk. `hang-up`
            ends the body properly, then closes the connection without notice. `stall`,
            `comments` and `trickle` send nothing, comments, or single bytes without end.
        pause: Seconds after each piece.
        framing: By default follows from `ending`. `length` declares `length` bytes; `raw` sends
            the pieces without a head.
        length: The declared Content-Length.
        reads: How much of the request is read before the response.
    """

    pieces: Sequence[bytes | threading.Event] = ()
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
        """How the end of the body is marked."""
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


@contextmanager
def refusing_url() -> Iterator[str]:
    """The URL of a port on which nobody listens, and that no other process can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class ScriptedServer:
    """Sends the responses of `script` in order, and repeats the last one.

    Attributes:
        requests: The requests, as far as they were read.
        tries: The number of responses started, including those to requests that were not read.
        open_connections: The number of connections that neither side has closed.
        busy_connections: The number of connections with a response in progress.
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
        self._connections: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        scheme = "https" if tls else "http"
        self.base_url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with suppress(OSError):  # wakes the thread in accept()
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for connection in self._connections:  # no pool of the client looks at them again
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        accepted = connection
        with self._lock:
            self.open_connections += 1
            self._connections.add(accepted)
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls and self._next().reads != "nothing":
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection, connection.makefile("rb") as reader:
                    while self._exchange(connection, reader):
                        pass
        except (OSError, ValueError):  # the client disconnected, or does not send HTTP
            pass
        finally:
            with self._lock:
                self.open_connections -= 1
                self._connections.remove(accepted)

    def _next(self) -> Scripted:
        return self.script[min(self.tries, len(self.script) - 1)]

    def _exchange(self, connection: socket.socket, reader: io.BufferedReader) -> bool:
        """Respond to one request; return whether the connection can serve another."""
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
            return self._respond(connection, scripted)
        finally:
            with self._lock:
                self.busy_connections -= 1

    def _respond(self, connection: socket.socket, scripted: Scripted) -> bool:
        is_chunked = scripted.framed == "chunks"
        if scripted.framed != "raw":
            connection.sendall(scripted.head)
        end = b"0\r\n\r\n" if is_chunked and scripted.ending in {"chunk-end", "hang-up"} else b""
        for number, piece in enumerate(scripted.pieces, 1):
            if isinstance(piece, threading.Event):
                if not piece.wait(MAX_WAIT):
                    return False
                continue
            data = b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece
            is_last = number == len(scripted.pieces)
            if is_last and not scripted.pause:  # a client waits for the end only for a moment
                data, end = data + end, b""
            connection.sendall(data)
            if scripted.pause:
                self._stopping.wait(scripted.pause)
        connection.sendall(end)
        if scripted.ending == "fin-mid-chunk":
            connection.sendall(b"ff\r\n ")
        elif scripted.ending == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif scripted.ending in _STALLS:
            self._stall(connection, scripted)
        return scripted.ending == "chunk-end"

    def _stall(self, connection: socket.socket, scripted: Scripted) -> None:
        """Send nothing of use until the client hangs up or the server stops."""
        noise = _STALLS[scripted.ending]
        if scripted.framed == "chunks":
            noise = noise and b"%x\r\n%s\r\n" % (len(noise), noise)
        connection.settimeout(0.02)
        deadline = time.monotonic() + MAX_STALL
        while not self._stopping.is_set() and time.monotonic() < deadline:
            with suppress(TimeoutError):
                if not connection.recv(65536):
                    return
            connection.sendall(noise)


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
    """Return the bytes of an event stream."""
    return b"".join(
        b"data: "
        + (event.encode() if isinstance(event, str) else orjson.dumps(event))
        + newline * 2
        for event in events
    )
