"""What the clients are made to do: a row each, with its target.

Knows LangChain's interface. Knows no client.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
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
    """Rounds of question, call, result and answer, and a last question."""
    messages: list[BaseMessage] = []
    for n in range(rounds):
        call = {"name": "search", "args": {"query": f"word {n}", "limit": n}, "id": f"call_{n}"}
        messages += [
            HumanMessage(f"Question {n}: what do you know of word {n}?"),
            AIMessage("", tool_calls=[call]),
            ToolMessage(f"Result {n}: a line or two of what was found.", tool_call_id=f"call_{n}"),
            AIMessage(f"Answer {n}: so that is what there is to know of it."),
        ]
    return [*messages, HumanMessage("And now?")]


class _Place(BaseModel):
    """Where something is."""

    city: str = Field(description="The city")
    country: str = "PT"


def tools(count: int) -> list[type[BaseModel]]:
    """As many pydantic classes."""
    return [
        create_model(
            f"Tool{n}",
            __doc__=f"Do thing {n}, and nothing else.",
            query=(str, Field(description="What to look for")),
            limit=(int, Field(10, ge=1, le=100, description="How many at most")),
            tags=(list[str], Field(default_factory=list)),
            place=(_Place | None, None),
        )
        for n in range(count)
    ]


class _Handler(BaseCallbackHandler):
    """Hears every token."""

    def __init__(self) -> None:
        self.count = 0

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.count += bool(token)


HISTORY = conversation(50)
TOOLS = tools(50)
_CALLBACKS: Any = {"callbacks": [_Handler()]}


# --- calls ------------------------------------------------------------------------------------


def stream(model: Any) -> None:
    """Read a whole stream."""
    for _ in model.stream(HELLO):
        pass


def _heard(model: Any) -> None:
    for _ in model.stream(HELLO, _CALLBACKS):
        pass


async def _astream(model: Any) -> None:
    async for _ in model.astream(HELLO):
        pass


def invoke(model: Any) -> None:
    """Ask for a whole answer."""
    model.invoke(HELLO)


async def _ainvoke(model: Any) -> None:
    await model.ainvoke(HELLO)


def invoke_with(messages: list[BaseMessage]) -> Callable[[Any], None]:
    """Ask for a whole answer to a conversation."""

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
    """The model with as many tools."""
    offered = TOOLS if count == len(TOOLS) else tools(count)
    return lambda model: model.bind_tools(offered)


# --- rows -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do.

    Attributes:
        key: What `--only` calls it.
        title: What the tables call it.
        answer: The server's answer.
        run: Does it once; the seconds that count, if it returns any.
        units: How many chunks or calls it is divided by.
        target: The most that ours may take, as a multiple of `Plain`'s.
        settings: Further settings of the model.
        prepare: What is done to the model beforehand.
        is_cold: Whether it begins with no connection that is open.
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
    Work("stream", "`stream()`, 2,000 chunks, per chunk", "text-2000", stream, 0.70, 2000),
    Work("astream", "`astream()`, the same", "text-2000", _astream, 0.75, 2000),
    Work("paced", "`stream()`, a chunk every ms, per chunk", "paced-200", stream, 0.85, 200),
    Work("handler", "`stream()` with a handler, per chunk", "text-2000", _heard, 0.70, 2000),
    Work("streaming", "`streaming=True`, per chunk", "text-2000", invoke, 0.70, 2000, _STREAMING),
    Work("first", "time to the first chunk (wall)", "text-20", _first_chunk, 1.0),
    Work("invoke", "`invoke()`, small", "text-20", invoke, 0.95),
    Work("ainvoke", "`ainvoke()`, small", "text-20", _ainvoke, 0.95),
    Work("history", "`invoke()`, 201 messages", "text-20", invoke_with(HISTORY), 1.05),
    Work("tools", "`invoke()`, 50 bound tools", "text-20", invoke, 0.90, prepare=bound(50)),
    Work("bind", "`bind_tools()`, the same 50 again", "text-20", _bind, 0.02),
    Work("call", "`stream()`, a call in 500 deltas*", "tool-500", stream, 1.0),
    Work("call-merged", "`streaming=True`, the same*", "tool-500", invoke, 1.0, 1, _STREAMING),
    Work(
        "many", "200 `ainvoke()` at once, per call", "slow-20", _many(200), 0.25, 200, is_cold=True
    ),
    Work("kept", "50, over connections kept open", "slow-20", _many(50), 0.25, 50),
    Work("abatch", "`abatch()` of 200, per call", "slow-20", _abatch, 0.25, 200, is_cold=True),
    Work("streams", "50 `astream()` at once, per chunk", "text-200", _streams(50), 0.75, 10_000),
)


def _chunks(answer: str, run: Callable[[Any], Any]) -> Callable[[int], Work]:
    settings = _STREAMING if run is invoke else {}
    return lambda n: Work("", "", f"{answer}-{n}", run, settings=settings)


def _history(n: int) -> Work:
    return Work("", "", "text-20", invoke_with(conversation(n // 4)))


def _crowd(n: int) -> Work:
    return Work("", "", "slow-20", _streams(n), is_cold=True)


def _tools(n: int) -> Work:
    return Work("", "", "text-20", invoke, prepare=bound(n))


@dataclass(frozen=True, slots=True)
class Scale:
    """One thing to do in three sizes; what the smallest costs is taken off the others.

    Attributes:
        key: What `--only` calls it.
        title: What the tables call it.
        sizes: How many chunks, messages, tools.
        work: The work of a size.
        target: The most that one more may cost among many, as a multiple of among few.
        families: Who does it.
    """

    key: str
    title: str
    sizes: tuple[int, int, int]
    work: Callable[[int], Work]
    target: float = 1.1
    families: frozenset[str] = frozenset({"ours", "plain", "core"})


_FEW = frozenset({"ours", "core"})
"""All but `plain`, whose one client takes half a minute for a thousand streams at once."""

SCALES = (
    Scale("chunks", "`stream()`, per chunk", (2, 200, 20_000), _chunks("text", stream)),
    Scale("merged", "`streaming=True`, per chunk", (2, 200, 20_000), _chunks("text", invoke)),
    Scale("thoughts", "`stream()`, per thought", (2, 200, 20_000), _chunks("reasoning", stream)),
    Scale("deltas", "`stream()`, per argument delta*", (2, 500, 5_000), _chunks("tool", stream)),
    Scale("deltas-merged", "`streaming=True`, the same*", (2, 500, 5_000), _chunks("tool", invoke)),
    Scale("messages", "`invoke()`, per message", (0, 20, 2_000), _history),
    Scale("bound", "`invoke()`, per bound tool", (1, 50, 500), _tools),
    Scale("crowd", "`astream()` at once, per stream", (1, 50, 1_000), _crowd, families=_FEW),
)
