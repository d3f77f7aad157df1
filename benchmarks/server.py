"""A loopback server that sends prepared bytes for the paths of every client.

The first segment of a path names the answer (`text-2000`); the rest of the path and the body
determine the API and whether to stream. Knows both APIs and sockets. Knows no client.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

MODEL = "gemini-3-flash"
PROMPT_TOKENS = 11
_PAUSES = {"paced": 0.001, "slow": 0.05}
"""Seconds before each write."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n"
_STREAMING = (b'"stream":true', b'"stream": true')


# --- events -----------------------------------------------------------------------------------


def _chat_event(delta: Json, finish_reason: str | None = None, **members: Any) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **members,
    }


def _native_event(part: Json, output_tokens: int, **members: Any) -> Json:
    return {
        "candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0, **members}],
        "usageMetadata": {
            "promptTokenCount": PROMPT_TOKENS,
            "candidatesTokenCount": output_tokens,
            "totalTokenCount": PROMPT_TOKENS + output_tokens,
        },
        "modelVersion": MODEL,
        "responseId": "response-1",
    }


def _pieces(count: int) -> list[str]:
    """The arguments in `count` pieces: `{"text": "word0 word1 ..."}`."""
    return ['{"text": "', *(f"word{n} " for n in range(count - 2)), '"}']


def _chat_deltas(kind: str, count: int) -> Iterator[Json]:
    """The delta of each event."""
    if kind == "tool":
        for n, piece in enumerate(_pieces(count)):
            call: Json = {"index": 0, "function": {"arguments": piece}}
            if n == 0:
                call = {**call, "id": "call_1", "type": "function"}
                call["function"]["name"] = "write"
            yield {"role": "assistant", "tool_calls": [call]}
        return
    member = "reasoning_content" if kind == "reasoning" else "content"
    for n in range(count):
        yield {"role": "assistant", member: f"word{n} "}
    if kind == "reasoning":
        yield {"content": "So it is."}


def _native_parts(kind: str, count: int) -> Iterator[Json]:
    """The part of each event; a tool call is always in one part (docs/wire.md 5)."""
    if kind == "tool":
        arguments = json.loads("".join(_pieces(count)))
        yield {"functionCall": {"name": "write", "args": arguments, "id": "call_1"}}
        return
    for n in range(count):
        yield {"text": f"word{n} ", **({"thought": True} if kind == "reasoning" else {})}
    if kind == "reasoning":
        yield {"text": "So it is."}


def _usage(count: int) -> Json:
    total = PROMPT_TOKENS + count
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": count, "total_tokens": total}


def _chat_events(kind: str, count: int) -> Iterator[Json]:
    """The events of shape A (docs/wire.md 4)."""
    yield from map(_chat_event, _chat_deltas(kind, count))
    yield _chat_event({}, "tool_calls" if kind == "tool" else "stop")
    yield {**_chat_event({}), "choices": [], "usage": _usage(count), "credits_consumed": 0.25}


def _native_events(kind: str, count: int) -> Iterator[Json]:
    for n, part in enumerate(_native_parts(kind, count), start=1):
        yield _native_event(part, n)
    yield _native_event({"text": ""}, count, finishReason="STOP") | {"credits_consumed": 0.25}


# --- answers ----------------------------------------------------------------------------------


def _events(kind: str, count: int, *, native: bool) -> list[bytes]:
    events = _native_events(kind, count) if native else _chat_events(kind, count)
    lines = [b"data: %s\n\n" % json.dumps(event).encode() for event in events]
    return lines if native else [*lines, b"data: [DONE]\n\n"]


def _document(count: int, *, native: bool) -> bytes:
    text = "".join(f"word{n} " for n in range(count))
    if native:
        body = _native_event({"text": text}, count, finishReason="STOP")
    else:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {
            **_chat_event({}),
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(count),
        }
    return json.dumps(body | {"credits_consumed": 0.25}).encode()


def _framed(piece: bytes) -> bytes:
    """A piece in HTTP's chunked encoding."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


@cache
def answer(kind: str, count: int, *, native: bool, stream: bool) -> list[bytes]:
    """The writes of an answer: one, except for a paced answer, which has one for each event."""
    if not stream:
        body = _document(count, native=native)
        length = b"Content-Length: %d" % len(body)
        return [_HEAD % (b"application/json", length) + body]
    head = _HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked")
    events = _events("text" if kind == "paced" else kind, count, native=native)
    if kind == "paced":
        return [head, *map(_framed, events), b"0\r\n\r\n"]
    return [b"".join((head, *map(_framed, events), b"0\r\n\r\n"))]


# --- the server -------------------------------------------------------------------------------


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    every: ClassVar[set[_Connection]] = set()

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: Any = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.every.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.every.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end])
        size = end + 4 + _content_length(head)
        if len(self._buffer) < size:
            return
        body = bytes(self._buffer[end + 4 : size])
        del self._buffer[:size]
        self._answer(head.split(b" ", 2)[1].decode(), body)

    def _answer(self, path: str, body: bytes) -> None:
        key = path.split("/")[1]
        if key in {"cpu", "close"}:
            if key == "close":
                for other in self.every - {self}:
                    other._transport.close()  # noqa: SLF001 - a connection of this class
            spent = b"%.6f" % time.process_time()
            length = b"Content-Length: %d" % len(spent)
            self._transport.write(_HEAD % (b"text/plain", length) + spent)
            return
        kind, _, count = key.partition("-")
        native = "enerateContent" in path
        stream = "alt=sse" in path if native else any(mark in body for mark in _STREAMING)
        writes = answer(kind, int(count), native=native, stream=stream)
        if kind in _PAUSES:
            self._task = asyncio.ensure_future(self._write(writes, kind))
        else:
            self._transport.write(writes[0])

    async def _write(self, writes: list[bytes], kind: str) -> None:
        for piece in writes:
            await asyncio.sleep(_PAUSES[kind])
            self._transport.write(piece)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0] or 0)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)  # ends when the parent ends
    server.close()


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a separate process; the value is its base URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin  # noqa: S101 - piped above
        assert process.stdout  # noqa: S101
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def cpu_seconds(base_url: str, *, close: bool = False) -> float:
    """The CPU seconds of the server so far; `close` makes it close its connections, too."""
    command = "close" if close else "cpu"
    with urllib.request.urlopen(f"{base_url}/{command}") as response:  # noqa: S310
        return float(response.read())


if __name__ == "__main__":
    asyncio.run(_serve())
