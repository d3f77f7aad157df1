"""The ways to ask a model, as the matrix needs them: what was delivered before an error counts too.

Knows LangChain's methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unit_tests.ways import aevents, ainvoke, events, invoke, total

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain_core.messages import AIMessage

    from langchain_kie import ChatKieGemini


async def _batch(model: ChatKieGemini, prompt: str) -> AIMessage:
    return model.batch([prompt])[0]


async def _abatch(model: ChatKieGemini, prompt: str) -> AIMessage:
    return (await model.abatch([prompt]))[0]


_WHOLE: dict[str, Callable[..., Awaitable[AIMessage]]] = {
    "invoke": invoke,
    "ainvoke": ainvoke,
    "events": events,
    "aevents": aevents,
    "batch": _batch,
    "abatch": _abatch,
}

WAYS = ("invoke", "astream", "stream", "ainvoke", "events", "abatch", "batch", "aevents")
"""All ways to ask; every second one is async."""

STREAMING_WAYS = frozenset({"stream", "astream"})
PARTIAL_WAYS = STREAMING_WAYS | {"events", "aevents"}
"""Ways that deliver before the end, so that their errors can be partial."""


async def ask(way: str, model: ChatKieGemini, prompt: str, chunks: list[Any]) -> AIMessage:
    """The answer, asked for in a way; chunks are kept, should the rest not come."""
    if way in _WHOLE:
        return await _WHOLE[way](model, prompt)
    if way == "stream":
        for chunk in model.stream(prompt):
            chunks.append(chunk)
    else:
        async for chunk in model.astream(prompt):
            chunks.append(chunk)
    return total(chunks)
