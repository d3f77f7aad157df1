"""The methods that call a model; all must return the same message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import httpx
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.runnables import RunnableBinding
from pydantic import SecretStr
from scripted_server import Scripted, ScriptedServer

from langchain_kie import ChatKieGemini
from langchain_kie._http.response import HttpCall, ResponseReader
from langchain_kie._http.transport import BearerAuth
from langchain_kie._wire import parse_event
from langchain_kie._wire.joined_text import join_events

FIXTURES = Path(__file__).parent / "unit_tests" / "fixtures"
KEY = "test-key"
STREAMS = [
    "shape_a.sse",
    "shape_b.sse",
    "shape_c.sse",
    "native.sse",
    "native_call.sse",
    "chat_call.sse",
]
DOCUMENTS = [
    "chat_completion.json",
    "chat_docs.json",
    "native_response.json",
    "native_docs_call.json",
]


def fixture(name: str) -> bytes:
    """The bytes of a fixture; fixtures/README.md lists their sources."""
    return (FIXTURES / name).read_bytes()


def server_sending(*bodies: bytes, **response: Any) -> ScriptedServer:
    """A server that sends the bodies in order, and repeats the last one."""
    return ScriptedServer(*(Scripted([body] if body else [], **response) for body in bodies))


def model_at(server: ScriptedServer, **fields: Any) -> ChatKieGemini:
    """A model that calls `server`, without retries."""
    defaults = {"model": "gemini-3-flash", "api_key": KEY, "max_retries": 0}
    return ChatKieGemini(**{**defaults, "base_url": server.base_url, **fields})


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def model_reading(*pieces: bytes, **fields: Any) -> ChatKieGemini:
    """A model without a connection, whose answer arrives in these pieces, one in each read."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=_Body(pieces)))
    clients = {
        "http_client": httpx.Client(transport=transport),
        "http_async_client": httpx.AsyncClient(transport=transport),
    }
    return ChatKieGemini(**{"model": "gemini-3-flash", "api_key": KEY, **clients, **fields})


def events_of(body: bytes) -> list[bytes]:
    """The events of a stream, one piece each."""
    return [event + b"\n\n" for event in body.split(b"\n\n") if event]


def response_reader(
    call: HttpCall[Any] | None = None, status: int = 200, headers: Any = None, key: str = KEY
) -> ResponseReader[Any]:
    """A reader of a response, without a connection."""
    call = call or HttpCall("m", "/", b"", parse_event, join_events)
    return ResponseReader(call, status, headers or {}, BearerAuth(SecretStr(key)).redact)


def with_fields(model: Any, **fields: Any) -> Any:
    """A copy of a model with other values of its fields; tools may be bound to it."""
    if isinstance(model, RunnableBinding):
        return model.model_copy(update={"bound": with_fields(model.bound, **fields)})
    return model.model_copy(update=fields)


def v1(model: ChatKieGemini) -> ChatKieGemini:
    """The same model with `output_version="v1"`."""
    return with_fields(model, output_version="v1")


def sum_chunks(chunks: list[AIMessageChunk]) -> AIMessage:
    """The sum of chunks, added one by one; only the last may have token counts."""
    assert chunks, "a stream must have chunks"
    assert [chunk.usage_metadata for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    message = message_chunk_to_message(reduce(add, chunks))
    assert isinstance(message, AIMessage)
    return message


async def invoke(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return model.invoke(prompt)


async def ainvoke(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return await model.ainvoke(prompt)


async def stream(
    model: ChatKieGemini, prompt: Any = "hi", chunks: list[Any] | None = None
) -> AIMessage:
    chunks = [] if chunks is None else chunks
    for chunk in model.stream(prompt):
        chunks.append(chunk)
    return sum_chunks(chunks)


async def astream(
    model: ChatKieGemini, prompt: Any = "hi", chunks: list[Any] | None = None
) -> AIMessage:
    chunks = [] if chunks is None else chunks
    async for chunk in model.astream(prompt):
        chunks.append(chunk)
    return sum_chunks(chunks)


async def streaming(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return with_fields(model, streaming=True).invoke(prompt)


async def astreaming(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return await with_fields(model, streaming=True).ainvoke(prompt)


async def events(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return model.stream_events(prompt, version="v3").output


async def aevents(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    running = await model.astream_events(prompt, version="v3")
    return await running.output


async def batch(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return model.batch([prompt])[0]


async def abatch(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return (await model.abatch([prompt]))[0]


async def v1_invoke(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return v1(model).invoke(prompt)


async def v1_ainvoke(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return await v1(model).ainvoke(prompt)


async def v1_stream(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return await stream(v1(model), prompt)


async def v1_astream(model: ChatKieGemini, prompt: Any = "hi") -> AIMessage:
    return await astream(v1(model), prompt)


CallMode = Callable[..., Awaitable[AIMessage]]

CALL_MODES: list[CallMode] = [
    invoke,
    ainvoke,
    stream,
    astream,
    streaming,
    astreaming,
    events,
    aevents,
    v1_invoke,
    v1_ainvoke,
    v1_stream,
    v1_astream,
]
BASIC_CALL_MODES = [invoke, ainvoke, stream, astream]


def blocks_of(message: AIMessage) -> list[dict[str, Any]]:
    """The standard blocks of a message, without the indexes that only merging needs."""
    return [{k: v for k, v in block.items() if k != "index"} for block in message.content_blocks]


_FAULT_CALL_MODES: list[CallMode] = [
    invoke,
    astream,
    stream,
    ainvoke,
    events,
    abatch,
    batch,
    aevents,
]
FAULT_CALL_MODES = tuple(call_mode.__name__ for call_mode in _FAULT_CALL_MODES)
"""The names of the call modes of the fault matrix; every second one is async."""

STREAMING_CALL_MODES = frozenset({"stream", "astream"})
PARTIAL_CALL_MODES = STREAMING_CALL_MODES | {"events", "aevents"}
"""The call modes that return chunks before the end, so that their errors can be partial."""


async def call(name: str, model: ChatKieGemini, prompt: str, chunks: list[Any]) -> AIMessage:
    """Call a model; the chunks of a stream are added to `chunks`, also if it fails."""
    call_mode = _FAULT_CALL_MODES[FAULT_CALL_MODES.index(name)]
    return await (
        call_mode(model, prompt, chunks)
        if name in STREAMING_CALL_MODES
        else call_mode(model, prompt)
    )
