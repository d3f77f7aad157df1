"""The events of one turn, as the browser gets them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage

from langchain_kie import KieError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langgraph.graph.state import CompiledStateGraph

Event = dict[str, Any]

_END: Event = {"type": "end"}
_tasks: set[asyncio.Task[None]] = set()


async def turn_events(
    agent: CompiledStateGraph[Any, Any, Any, Any], thread: str, text: str
) -> AsyncIterator[Event]:
    """Run one turn of the agent.

    The agent runs in a task, which is cancelled when the reader of the events leaves. Without
    the task, generation goes on: LangGraph 1.2 does not pass on the cancellation of a server that
    uses anyio, as Starlette does.

    Args:
        agent: An agent with a checkpointer.
        thread: The conversation.
        text: What the user wrote.

    Yields:
        Events with `type` and members that depend on it; the last is `end`.
    """
    queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=100)
    task = asyncio.create_task(_run(agent, thread, text, queue))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    try:
        while (event := await queue.get()) is not _END:
            yield event
        yield _END
    finally:
        task.cancel()


async def _run(
    agent: CompiledStateGraph[Any, Any, Any, Any],
    thread: str,
    text: str,
    queue: asyncio.Queue[Event],
) -> None:
    """Put the events of a turn into the queue, an error as an event."""
    config: Any = {"configurable": {"thread_id": thread}}
    question: Any = {"messages": [{"role": "user", "content": text}]}
    answer: AIMessageChunk | None = None
    try:
        async for message, _ in agent.astream(question, config, stream_mode="messages"):
            if isinstance(message, ToolMessage):
                result = {"id": message.tool_call_id, "text": message.text}
                await queue.put({"type": "tool_result", **result})
            elif isinstance(message, AIMessageChunk):
                for event in _chunk_events(message):
                    await queue.put(event)
                answer = message if answer is None else answer + message
                if message.chunk_position == "last":
                    for event in _message_events(answer):
                        await queue.put(event)
                    answer = None
    except KieError as error:
        await queue.put({"type": "error", "text": str(error), "retryable": error.is_retryable})
    await queue.put(_END)


def _chunk_events(chunk: AIMessageChunk) -> Iterator[Event]:
    """The thoughts and the text of a chunk."""
    for block in chunk.content_blocks:
        if block["type"] == "reasoning" and block.get("reasoning"):
            yield {"type": "reasoning", "text": block["reasoning"]}
        elif block["type"] == "text" and block["text"]:
            yield {"type": "text", "text": block["text"]}


def _message_events(message: AIMessage) -> Iterator[Event]:
    """What is known only when a message is complete: tool calls, sources and credits."""
    for call in message.tool_calls:
        yield {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
    sources = {
        annotation["url"]: annotation.get("title") or annotation["url"]
        for block in message.content_blocks
        if block["type"] == "text"
        for annotation in block.get("annotations", ())
        if annotation["type"] == "citation" and annotation.get("url")
    }
    for url, title in sources.items():
        yield {"type": "source", "url": url, "title": title}
    usage = message.usage_metadata
    yield {
        "type": "usage",
        "tokens": usage["total_tokens"] if usage else 0,
        "credits": message.response_metadata.get("credits_consumed", 0),
    }
