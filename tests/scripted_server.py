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
    from collections.abc import Sequence

Ending = Literal["chunk-end", "fin-unframed", "fin-mid-chunk", "rst", "stall"]


@dataclass(frozen=True)
class Scripted:
    """One response: its body in pieces, and how it ends.

    `chunk-end` closes the chunked body properly; `fin-unframed` has no framing but the end of
    the connection; `fin-mid-chunk` and `rst` break inside a chunk; `stall` says nothing more.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: dict[str, str] = field(
        default_factory=lambda: {"Content-Type": "text/event-stream;charset=UTF-8"}
    )
    ending: Ending = "chunk-end"
    pause: float = 0.0


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
    """Serves `script` in order; the last response again and again."""

    def __init__(self, *script: Scripted) -> None:
        self.script = list(script)
        self.requests: list[Received] = []
        self.open_connections = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

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
            with connection, connection.makefile("rb") as reader:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while request := _read(reader):
                    if not self._answer(connection, request):
                        return
        except (OSError, ValueError):  # the client broke off, or does not speak HTTP
            pass
        finally:
            with self._lock:
                self.open_connections -= 1

    def _answer(self, connection: socket.socket, request: Received) -> bool:
        with self._lock:
            self.requests.append(request)
            scripted = self.script[min(len(self.requests), len(self.script)) - 1]
        framed = scripted.ending != "fin-unframed"
        headers = {
            **scripted.headers,
            **({"Transfer-Encoding": "chunked"} if framed else {"Connection": "close"}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"HTTP/1.1 {scripted.status} OK\r\n{head}\r\n".encode())
        for piece in scripted.pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if framed else piece)
            if scripted.pause:
                time.sleep(scripted.pause)
        if scripted.ending == "chunk-end":
            connection.sendall(b"0\r\n\r\n")
            return True
        if scripted.ending == "fin-mid-chunk":
            connection.sendall(b"ff\r\ncut")
        elif scripted.ending == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif scripted.ending == "stall":
            self._wait_for_the_end(connection)
        return False

    def _wait_for_the_end(self, connection: socket.socket) -> None:
        """Say nothing until the client hangs up, or the server stops."""
        connection.settimeout(0.02)
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                if not connection.recv(1024):
                    return


def _read(reader) -> Received | None:
    line = reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while (line := reader.readline().decode("latin-1").rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, path, headers, reader.read(int(headers.get("content-length", 0))))


def sse(*events: dict | str, newline: bytes = b"\n") -> bytes:
    """Events as the bytes of a stream."""
    return b"".join(
        b"data: "
        + (event.encode() if isinstance(event, str) else orjson.dumps(event))
        + newline * 2
        for event in events
    )
