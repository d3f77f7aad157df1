"""The works of the benchmark, one row each with its target.

Knows LangChain's interface. Knows no client.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from base64 import b64encode
from dataclasses import dataclass, field
from os import urandom
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from pydantic import BaseModel, Field, create_model

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

HELLO: list[BaseMessage] = [HumanMessage("Hello")]


def conversation(rounds: int) -> list[BaseMessage]:
    """Rounds of a question, a tool call, its result and an answer, and a last question."""
    messages: list[BaseMessage] = []
    for n in range(rounds):
        call = {"name": "search", "args": {"query": f"word {n}", "limit": n}, "id": f"call_{n}"}
        messages += [
            HumanMessage(f"Question {n}: what is word {n}?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage(f"Result {n}: a line or two of text as result.", tool_call_id=f"call_{n}"),
            AIMessage(f"Answer {n}: that is all there is about it."),
        ]
    return [*messages, HumanMessage("And now?")]


def pictures(count: int, size: int) -> list[BaseMessage]:
    """Pictures of `size` bytes: half of them data URLs of a human, half blocks of tool results."""
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    data = [b64encode(head + urandom(size - len(head))).decode() for _ in range(count)]
    urls, blocks = data[: count // 2], data[count // 2 :]
    images = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{d}"}} for d in urls
    ]
    return [
        HumanMessage([{"type": "text", "text": "What is this?"}, *images]),
        AIMessage("", tool_calls=[_picture_call(n) for n in range(len(blocks))]),
        *(
            ToolMessage(
                [{"type": "image", "base64": block, "mime_type": "image/png"}],
                tool_call_id=f"call_{n}",
            )
            for n, block in enumerate(blocks)
        ),
    ]


def _picture_call(number: int) -> Json:
    return {"name": "look", "args": {"number": number}, "id": f"call_{number}"}


def results(count: int) -> list[BaseMessage]:
    """Tool results that are JSON of 234 kB."""
    rows = [{"id": n, "name": f"name {n}", "text": 'a line of "text"'} for n in range(3_630)]
    document = json.dumps({"rows": rows})
    return [
        HumanMessage("What is in it?"),
        AIMessage("", tool_calls=[_picture_call(n) for n in range(count)]),
        *(ToolMessage(document, tool_call_id=f"call_{n}") for n in range(count)),
    ]


def agent_step(number: int) -> Callable[[Any], None]:
    """Return a step of an agent: its history, a new call, and the new result."""
    task, history = HumanMessage("Find it."), conversation(number // 2)[:-1]

    def run(model: Any) -> None:
        call = {"name": "search", "args": {"query": "next"}, "id": "call_next"}
        new = [AIMessage("", tool_calls=[call]), ToolMessage("Next.", tool_call_id="call_next")]
        model.invoke([*history, task, *new])

    return run


class _Place(BaseModel):
    """A place."""

    city: str = Field(description="The city")
    country: str = "PT"


def tools(count: int) -> list[type[BaseModel]]:
    """Return `count` pydantic classes."""
    return [
        create_model(
            f"Tool{n}",
            __doc__=f"Do task number {n} only.",
            query=(str, Field(description="What to look for")),
            limit=(int, Field(10, ge=1, le=100, description="How many at most")),
            tags=(list[str], Field(default_factory=list)),
            place=(_Place | None, None),
        )
        for n in range(count)
    ]


class _Handler(BaseCallbackHandler):
    """Counts the tokens."""

    def __init__(self) -> None:
        self.count = 0

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.count += bool(token)


HISTORY = conversation(50)
PICTURES = pictures(20, 500_000)
RESULTS = results(30)
TOOLS = tools(50)
_CALLBACKS: Any = {"callbacks": [_Handler()]}


# --- calls ------------------------------------------------------------------------------------


def stream(model: Any) -> None:
    """Read a complete stream."""
    for _ in model.stream(HELLO):
        pass


def _stream_with_handler(model: Any) -> None:
    for _ in model.stream(HELLO, _CALLBACKS):
        pass


async def _astream(model: Any) -> None:
    async for _ in model.astream(HELLO):
        pass


def invoke(model: Any) -> None:
    """Call once without streaming."""
    model.invoke(HELLO)


async def _ainvoke(model: Any) -> None:
    await model.ainvoke(HELLO)


def invoke_with(messages: list[BaseMessage]) -> Callable[[Any], None]:
    """Return a work that sends a conversation."""

    def run(model: Any) -> None:
        model.invoke(messages)

    return run


def _first_chunk(model: Any) -> float:
    """The seconds to the first chunk; the rest is read, to keep the connection."""
    start = time.perf_counter()
    chunks = iter(model.stream(HELLO))
    next(chunks)
    spent = time.perf_counter() - start
    for _ in chunks:
        pass
    return spent


def _many(count: int) -> Callable[[Any], Any]:
    async def run(model: Any) -> None:
        await asyncio.gather(*(model.ainvoke(HELLO) for _ in range(count)))

    return run


async def _abatch(model: Any) -> None:
    await model.abatch([HELLO] * 200)


def _streams(count: int) -> Callable[[Any], Any]:
    async def run(model: Any) -> None:
        await asyncio.gather(*(_astream(model) for _ in range(count)))

    return run


def _bind(model: Any) -> None:
    model.bind_tools(TOOLS)


def bound(count: int) -> Callable[[Any], Any]:
    """Return a function that binds `count` tools."""
    definitions = TOOLS if count == len(TOOLS) else tools(count)
    return lambda model: model.bind_tools(definitions)


def _with_client(package: str) -> Callable[[Any], Any]:
    """Return a function that gives this package's models clients of the user's."""

    def prepare(model: Any) -> Any:
        if type(model).__module__.partition(".")[0] != "langchain_kie":
            return model  # they have a client already
        module = importlib.import_module(package)
        clients = {"http_client": module.Client(), "http_async_client": module.AsyncClient()}
        return model.model_copy(update=clients)

    return prepare


# --- rows -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """One task of a client.

    Attributes:
        key: The name for `--only`.
        title: The title in the tables.
        answer: The server's answer.
        run: Runs once; if it returns seconds, these are the sample.
        units: The number of chunks or calls that the sample is divided by.
        target: The maximum for this package, as a multiple of `Plain`.
        settings: Further settings of the model.
        prepare: Changes the model before the measurement.
        is_cold: Whether all connections are closed before each sample.
    """

    key: str
    title: str
    answer: str
    run: Callable[[Any], Any]
    target: float = 1.0
    units: int = 1
    settings: Json = field(default_factory=dict)
    prepare: Callable[[Any], Any] = lambda model: model
    is_cold: bool = False


_STREAMING = {"streaming": True}

WORKS = (
    Work("stream", "`stream()`, 2,000 events together, per event", "text-2000", stream, 0.45, 2000),
    Work("astream", "`astream()`, the same", "text-2000", _astream, 0.50, 2000),
    Work("paced", "`stream()`, a chunk every ms, per chunk", "paced-200", stream, 0.80, 200),
    Work(
        "handler",
        "`stream()` with a handler, per chunk",
        "text-2000",
        _stream_with_handler,
        0.45,
        2000,
    ),
    Work("streaming", "`streaming=True`, per chunk", "text-2000", invoke, 0.45, 2000, _STREAMING),
    Work("first", "time to the first chunk (wall)", "text-20", _first_chunk, 1.0),
    Work("invoke", "`invoke()`, small", "text-20", invoke, 0.85),
    Work("ainvoke", "`ainvoke()`, small", "text-20", _ainvoke, 0.85),
    Work(
        "client",
        "`ainvoke()`, with your client of httpx",
        "text-20",
        _ainvoke,
        1.0,
        prepare=_with_client("httpx"),
    ),
    Work(
        "client2",
        "`ainvoke()`, with your client of httpx2",
        "text-20",
        _ainvoke,
        1.0,
        prepare=_with_client("httpx2"),
    ),
    Work("history", "`invoke()`, 201 messages", "text-20", invoke_with(HISTORY), 0.80),
    Work("pictures", "`invoke()`, 20 pictures of 500 kB", "text-20", invoke_with(PICTURES), 1.3),
    Work("results", "`invoke()`, 30 JSON results of 234 kB", "text-20", invoke_with(RESULTS), 1.3),
    Work("tools", "`invoke()`, 50 bound tools", "text-20", invoke, 0.80, prepare=bound(50)),
    Work("bind", "`bind_tools()`, the same 50 again", "text-20", _bind, 0.02),
    Work("call", "`stream()`, a call in 500 deltas*", "tool-500", stream, 1.0),
    Work("call-merged", "`streaming=True`, the same*", "tool-500", invoke, 1.0, 1, _STREAMING),
    Work(
        "many", "200 `ainvoke()` at once, per call", "slow-20", _many(200), 0.25, 200, is_cold=True
    ),
    Work("kept", "50, over connections kept open", "slow-20", _many(50), 0.25, 50),
    Work("abatch", "`abatch()` of 200, per call", "slow-20", _abatch, 0.25, 200, is_cold=True),
    Work("streams", "50 `astream()` at once, per chunk", "text-200", _streams(50), 0.50, 10_000),
)


def _chunks(answer: str, run: Callable[[Any], Any]) -> Callable[[int], Work]:
    settings = _STREAMING if run is invoke else {}
    return lambda n: Work("", "", f"{answer}-{n}", run, settings=settings)


def _history(n: int) -> Work:
    return Work("", "", "text-20", invoke_with(conversation(n // 4)))


def _agent_step(n: int) -> Work:
    return Work("", "", "text-20", agent_step(n))


def _crowd(n: int) -> Work:
    return Work("", "", "slow-20", _streams(n), is_cold=True)


def _tools(n: int) -> Work:
    return Work("", "", "text-20", invoke, prepare=bound(n))


@dataclass(frozen=True, slots=True)
class Scale:
    """One task in three sizes; the cost of the smallest is subtracted from the others.

    If the smallest size is `None`, the costs of the others are compared as they are.

    Attributes:
        key: The name for `--only`.
        title: The title in the tables.
        sizes: The numbers of chunks, messages or tools.
        work: Returns the work of a size.
        target: The maximum cost of one more among many, as a multiple of its cost among few.
        families: The clients that are measured.
    """

    key: str
    title: str
    sizes: tuple[int | None, int, int]
    work: Callable[[int], Work]
    target: float = 1.1
    families: frozenset[str] = frozenset({"ours", "plain", "core"})


_MOST = frozenset({"ours", "plain", "core", "mistralai", "openai", "google-genai"})
_FEW = frozenset({"ours", "core"})
"""All except `plain`, whose one client takes half a minute for a thousand concurrent streams."""

SCALES = (
    Scale("chunks", "`stream()`, per chunk", (2, 200, 20_000), _chunks("text", stream)),
    Scale("merged", "`streaming=True`, per chunk", (2, 200, 20_000), _chunks("text", invoke)),
    Scale("thoughts", "`stream()`, per thought", (2, 200, 20_000), _chunks("reasoning", stream)),
    Scale("deltas", "`stream()`, per argument delta*", (2, 500, 5_000), _chunks("tool", stream)),
    Scale("deltas-merged", "`streaming=True`, the same*", (2, 500, 5_000), _chunks("tool", invoke)),
    Scale("messages", "`invoke()`, per message", (0, 20, 2_000), _history),
    Scale(
        "steps", "`invoke()` of an agent's step", (None, 20, 200), _agent_step, 1.5, families=_MOST
    ),
    Scale("bound", "`invoke()`, per bound tool", (1, 50, 500), _tools),
    Scale("crowd", "`astream()` at once, per stream", (1, 50, 1_000), _crowd, families=_FEW),
)
