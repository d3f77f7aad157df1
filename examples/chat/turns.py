"""Turns of an agent, each in a task that ends when its reader leaves.

Depends on LangGraph and LangChain's messages; independent of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import anyio
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage

from langchain_kie import KieError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from anyio.streams.memory import MemoryObjectSendStream
    from langgraph.graph.state import CompiledStateGraph

    Agent = CompiledStateGraph[Any, Any, Any, Any]

Event = dict[str, Any]

KEEP_ALIVE: Event = {"type": "keep_alive"}
"""Sent when nothing happens for a time: proxies close silent connections, and some servers notice
only when they send that the reader left."""
_KEEP_ALIVE_SECONDS = 15.0
_MAX_QUEUED_EVENTS = 100

logger = logging.getLogger(__name__)


class Turns:
    """The running turns, at most one of each thread."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def events(self, agent: Agent, thread: str, text: str) -> AsyncIterator[Event]:
        """Run one turn.

        The agent runs in a task, which is cancelled when the reader of the events leaves: that
        closes the connection to KIE. A turn of the same thread that still runs is stopped first.

        Args:
            agent: An agent with a checkpointer.
            thread: The conversation.
            text: What the user wrote.

        Yields:
            Events with a `type`, and members that depend on it; the last is `end`.
        """
        while thread in self._tasks:  # another question may wait for the same end
            await self._stop(thread)
        sender, receiver = anyio.create_memory_object_stream[Event](_MAX_QUEUED_EVENTS)
        task = asyncio.create_task(_run(agent, thread, text, sender))
        self._tasks[thread] = task
        task.add_done_callback(lambda _: self._remove(thread, task))
        try:
            while True:
                event = KEEP_ALIVE
                with anyio.move_on_after(_KEEP_ALIVE_SECONDS):
                    event = await receiver.receive()
                yield event
        except anyio.EndOfStream:
            yield {"type": "end"}
        finally:
            task.cancel()
            receiver.close()

    async def stop_all(self) -> None:
        """Stop all turns, and wait for their ends."""
        await asyncio.gather(*map(self._stop, list(self._tasks)))

    async def _stop(self, thread: str) -> None:
        task = self._tasks[thread]
        task.cancel()
        await asyncio.wait([task])

    def _remove(self, thread: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(thread) is task:
            del self._tasks[thread]


async def _run(agent: Agent, thread: str, text: str, sender: MemoryObjectSendStream[Event]) -> None:
    """Send the events of a turn, an error as an event."""
    async with sender:
        try:
            async for event in _agent_events(agent, thread, text):
                await sender.send(event)
        except KieError as error:
            await sender.send(
                {"type": "error", "text": str(error), "retryable": error.is_retryable}
            )
        except Exception:
            logger.exception("A turn failed")
            await sender.send(
                {"type": "error", "text": "The server has an error.", "retryable": False}
            )


async def _agent_events(agent: Agent, thread: str, text: str) -> AsyncIterator[Event]:
    config: Any = {"configurable": {"thread_id": thread}}
    question: Any = {"messages": [{"role": "user", "content": text}]}
    stream: Any = agent.astream(question, config, stream_mode=["messages", "updates"])
    async for mode, value in stream:
        if mode == "messages":
            if isinstance(value[0], AIMessageChunk):
                for event in _chunk_events(value[0]):
                    yield event
        else:
            for update in value.values():
                for message in (update or {}).get("messages", ()):
                    for event in _message_events(message):
                        yield event


def _chunk_events(chunk: AIMessageChunk) -> Iterator[Event]:
    """The thoughts and the text of a chunk."""
    for block in chunk.content_blocks:
        if block["type"] == "reasoning" and block.get("reasoning"):
            yield {"type": "reasoning", "text": block["reasoning"]}
        elif block["type"] == "text" and block["text"]:
            yield {"type": "text", "text": block["text"]}


def _message_events(message: Any) -> Iterator[Event]:
    """What is known when a message is complete: results, or tool calls, sources and credits."""
    if isinstance(message, ToolMessage):
        yield {
            "type": "tool_result",
            "id": message.tool_call_id,
            "text": message.text,
            "is_error": message.status == "error",
        }
    elif isinstance(message, AIMessage):
        for call in message.tool_calls:
            yield {"type": "tool_call"} | {key: call[key] for key in ("id", "name", "args")}
        for url, title in _sources(message).items():
            yield {"type": "source", "url": url, "title": title}
        usage = message.usage_metadata
        yield {
            "type": "usage",
            "tokens": usage["total_tokens"] if usage else 0,
            "credits": message.response_metadata.get("credits_consumed", 0),
        }


def _sources(message: AIMessage) -> dict[str, str]:
    """The titles of the cited pages, by their URLs."""
    return {
        annotation["url"]: annotation.get("title") or annotation["url"]
        for block in message.content_blocks
        if block["type"] == "text"
        for annotation in block.get("annotations", ())
        if annotation["type"] == "citation" and annotation.get("url")
    }
