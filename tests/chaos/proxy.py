"""A proxy between agents and the emulator, which breaks answers as a seed decides.

It knows just enough of HTTP/1.1 for this. It reads the complete answer of the emulator first, so
it knows what each answer cost, also of those that it destroys.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT_HEADER = "x-chaos-client"
"""`<generation>/<thread>`: which process sent a request, and for which conversation."""

PHASES = ("request", "charged", "half", "answered")
"""The points of an exchange at which the agents' process can be killed."""

_JSON = "application/json;charset=UTF-8"
_CREDITS = re.compile(rb'"credits_consumed":([0-9.]+)')
_MAX_DELAY = 0.02
_RESET = struct.pack("ii", 1, 0)

CODES = {
    "code 429": (429, "Your call frequency is too high. Please try again later."),
    "code 455": (455, "The server is currently being maintained, please try again later~"),
    "code 500": (500, "Server exception, please try again later"),
    "code 524": (524, "2 times retry fail"),
}
"""KIE's errors in a body with HTTP status 200."""

FAULTS = {
    "delay": 3,  # the answer is late
    "trickle": 3,  # it arrives in small pieces
    "hang-up": 3,  # the connection is closed after the complete answer
    "hang-up by reset": 2,
    "refuse": 3,  # the request does not reach the server
    "lost": 4,  # the server answers and charges, but nothing arrives
    "twice": 2,  # the server gets the request twice
    "empty": 2,  # HTTP 200 without a body, charged
    "cut": 6,  # the connection is closed within the answer
    "reset": 4,
    "error event": 3,  # the stream ends with an error of KIE
    **dict.fromkeys(CODES, 2),
    "status 503": 2,  # an HTML page
    "status 524": 2,
}
"""The faults and how often they come, compared with each other."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        client: Who sent the request, as in `CLIENT_HEADER`.
        fault: What the proxy did, or "none".
        charges: What the emulator charged: nothing, one amount, or two if it was sent twice. The
            last one belongs to the answer that was sent on.
        delivered: How much of that answer was sent: if it is "part", the client may have seen
            what it cost.
    """

    client: str
    fault: str
    charges: list[float] = field(default_factory=list)
    delivered: Literal["none", "part", "all"] = "none"


@dataclass(slots=True)
class _Reply:
    """What the proxy sends: a head and a body, of which `end` bytes; then it may close."""

    head: bytes
    body: bytes
    end: int | None = None
    close: Literal["", "close", "reset"] = ""
    piece: int = 1 << 20

    def data(self) -> bytes:
        return (self.head + self.body)[: self.end]


@dataclass(slots=True)
class _Answer:
    """What the emulator answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    def reply(self, rng: Random) -> _Reply:
        head = f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.content_type}\r\n"
        if not self.is_stream:
            return _Reply(f"{head}content-length: {len(self.body)}\r\n\r\n".encode(), self.body)
        return _Reply(
            f"{head}transfer-encoding: chunked\r\n\r\n".encode(), _chunked(self.body, rng)
        )


class Proxy:
    """A proxy that serves as long as its `async with` block.

    The fault of a request depends on the seed, on the conversation, and on how many requests
    there were in this conversation: so it is the same in the next run, whatever the other
    conversations do.

    Attributes:
        exchanges: All requests in the order of their arrival.
        errors: What went wrong in the proxy itself, or in the emulator.
    """

    def __init__(self, upstream: str, seed: int, fault_rate: float) -> None:
        self.exchanges: list[Exchange] = []
        self.errors: list[str] = []
        self._upstream = upstream
        self._seed = seed
        self._fault_rate = fault_rate
        self._counts: Counter[str] = Counter()
        self._kill_at: tuple[int, str] | None = None
        self._kill: Callable[[], None] = lambda: None
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def base_url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def kill_at(self, request: int, phase: str, kill: Callable[[], None]) -> None:
        """Call `kill` when the request with this number, or a later one, reaches the phase.

        Args:
            request: The number of the request, counted from now on.
            phase: One of `PHASES`.
            kill: Kills the agents' process.
        """
        self._kill_at, self._kill = (len(self.exchanges) + request, phase), kill

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            base_url=self._upstream,
            timeout=None,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),  # the emulator may close idle ones
        )
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._connections:
            writer.transport.abort()
        await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client closed the connection, or was killed
        except Exception as error:  # noqa: BLE001 - the run fails
            self.errors.append(f"proxy: {error!r}")
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and return whether the connection stays open."""
        path, headers, body = await _read_request(reader)
        client = headers[CLIENT_HEADER]
        thread = client.partition("/")[2]
        self._counts[thread] += 1
        rng = Random(f"{self._seed}/{thread}/{self._counts[thread]}")
        is_fault = rng.random() < self._fault_rate
        [fault] = rng.choices([*FAULTS], [*FAULTS.values()]) if is_fault else ["none"]
        exchange = Exchange(client, fault)
        self.exchanges.append(exchange)
        number = len(self.exchanges)
        self._reached(number, "request")
        reply = await self._reply(exchange, rng, (path, headers, body))
        self._reached(number, "charged")
        await self._send(exchange, number, reply, writer)
        self._reached(number, "answered")
        return not reply.close

    def _reached(self, number: int, phase: str) -> None:
        if self._kill_at and number >= self._kill_at[0] and phase == self._kill_at[1]:
            self._kill_at = None
            self._kill()

    async def _reply(
        self, exchange: Exchange, rng: Random, request: tuple[str, dict[str, str], bytes]
    ) -> _Reply:
        fault = exchange.fault
        closing: Literal["close", "reset"] = rng.choice(("close", "reset"))
        if fault == "refuse":
            return _Reply(b"", b"", close=closing)
        if fault in CODES:
            code, message = CODES[fault]
            body = f'{{"code":{code},"msg":"{message}","data":null}}'.encode()
            return _Answer(200, _JSON, body).reply(rng)
        if fault.startswith("status"):
            page = f"<!DOCTYPE html><title>Error {fault[7:]}</title>".encode()
            return _Answer(int(fault[7:]), "text/html", page).reply(rng)
        for _ in range(2 if fault == "twice" else 1):
            answer = await self._forward(exchange, request)
        if fault == "error event" and answer.is_stream:
            answer.body = _with_error_event(answer.body, rng)
            return answer.reply(rng)
        return _broken(answer.reply(rng), fault, closing, rng)

    async def _forward(
        self, exchange: Exchange, request: tuple[str, dict[str, str], bytes]
    ) -> _Answer:
        path, headers, body = request
        response = await self._client.post(path, headers=headers, content=body)
        exchange.charges += [float(found) for found in _CREDITS.findall(response.content)[-1:]]
        return _Answer(response.status_code, response.headers["content-type"], response.content)

    async def _send(
        self, exchange: Exchange, number: int, reply: _Reply, writer: asyncio.StreamWriter
    ) -> None:
        if exchange.fault == "delay":
            await asyncio.sleep(_MAX_DELAY * Random(number).random())
        data = reply.data()
        half = len(data) // 2
        exchange.delivered = "part" if data else "none"
        starts = sorted({*range(0, len(data), reply.piece), half})
        for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
            if start >= half:
                self._reached(number, "half")
            writer.write(data[start:end])
            await writer.drain()
            await asyncio.sleep(0)
        is_complete = reply.end is None and exchange.fault not in {"empty", "error event"}
        if is_complete and exchange.charges and reply.close != "reset":
            exchange.delivered = "all"
        if reply.close == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    length = int(headers.pop("content-length"))
    del headers["host"]
    return first.split()[1], headers, await reader.readexactly(length)


def _broken(reply: _Reply, fault: str, closing: Literal["close", "reset"], rng: Random) -> _Reply:
    """Apply a fault to the answer of the server."""
    size = len(reply.head) + len(reply.body)
    if fault == "trickle":
        reply.piece = rng.randint(7, 60)
    elif fault.startswith("hang-up"):
        reply.close = "reset" if fault.endswith("reset") else "close"
    elif fault == "lost":
        reply.end, reply.close = 0, closing
    elif fault == "empty":
        return _Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"")
    elif fault in {"cut", "reset", "error event"}:
        reply.end, reply.close = rng.randrange(1, size), "reset" if fault == "reset" else "close"
    return reply


def _chunked(body: bytes, rng: Random) -> bytes:
    """Write a body in chunks, which begin anywhere: in a word, in a character."""
    starts = sorted({0, *(rng.randrange(1, len(body)) for _ in range(rng.randint(0, 4)))})
    parts = (body[a:b] for a, b in zip(starts, [*starts[1:], len(body)], strict=True))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def _with_error_event(body: bytes, rng: Random) -> bytes:
    """Replace the end of a stream with an error event."""
    events = body.split(b"\n\n")[:-1]
    events = events[: rng.randrange(len(events))]
    events.append(b'data: {"code":500,"msg":"Server exception, please try again later"}')
    return b"\n\n".join(events) + b"\n\n"
