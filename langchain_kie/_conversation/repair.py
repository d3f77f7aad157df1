"""Conversations that cannot be sent as they are, and can be sent after a change.

Agents that were interrupted, or that hand over to two others at once, leave tool calls without a
result, which Gemini rejects (docs/wire.md 5). Anthropic's tool calls and results are content
blocks. Pure.
"""

from __future__ import annotations

from itertools import takewhile
from operator import is_
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call

from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._json import Json

NOT_CARRIED_OUT = "not carried out: the conversation went on without a result"
"""The text of the result that is added to a tool call without one."""


def repaired(messages: Sequence[BaseMessage]) -> list[BaseMessage] | None:
    """The messages with a result for each tool call, in LangChain's form.

    A tool call in the last message gets no result: nobody went on without it.

    Returns:
        The changed messages, `None` if there is nothing to change.

    Raises:
        ValueError: A tool result comes after a later answer.
    """
    converted = [*in_langchain_form(messages)]
    result: list[BaseMessage] = []
    for position, message in enumerate(converted):
        result.append(message)
        if isinstance(message, AIMessage) and message.tool_calls:
            result += _missing_results(message.tool_calls, converted[position + 1 :])
    is_same = len(result) == len(messages) and all(map(is_, result, messages))
    return None if is_same else result


def _missing_results(calls: Sequence[Any], later: Sequence[BaseMessage]) -> Iterator[ToolMessage]:
    """The results of the calls that have none, with a warning for each."""
    if not later:
        return
    following = takewhile(lambda message: not isinstance(message, AIMessage), later)
    answered = [m.tool_call_id for m in following if isinstance(m, ToolMessage)]
    ids = [call["id"] for call in calls]
    spare = [call_id for call_id in answered if call_id not in ids]
    for call in calls:
        if call["id"] in answered or (not call["id"] and spare and spare.pop()):
            continue
        if call["id"] and call["id"] in _late_results(later):
            raise ValueError(f"tool result {call['id']!r} comes after a later answer of the model")
        warn(
            f"tool call {call['id']!r} ({call['name']}) has no tool result; the model is informed "
            "that it was not carried out"
        )
        yield ToolMessage(NOT_CARRIED_OUT, tool_call_id=call["id"] or "", status="error")


def _late_results(later: Sequence[BaseMessage]) -> set[str]:
    """The ids of tool results that belong to no tool call in these messages."""
    found: set[str] = set()
    called: set[str | None] = set()
    for message in later:
        if isinstance(message, AIMessage):
            called |= {call["id"] for call in message.tool_calls}
        elif isinstance(message, ToolMessage) and message.tool_call_id not in called:
            found.add(message.tool_call_id)
    return found


def in_langchain_form(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """The messages; tool calls and results in Anthropic's form are those of LangChain."""
    for message in messages:
        if isinstance(message.content, str):
            yield message
            continue
        blocks = [block for block in message.content if isinstance(block, dict)]
        uses = [block for block in blocks if block.get("type") == "tool_use"]
        results = [block for block in blocks if block.get("type") == "tool_result"]
        if isinstance(message, AIMessage) and uses and not message.tool_calls:
            yield message.model_copy(update={"tool_calls": list(map(_tool_call, uses))})
        elif isinstance(message, HumanMessage) and results:
            yield from map(_tool_message, results)
            if rest := [block for block in message.content if block not in results]:
                yield message.model_copy(update={"content": rest})
        else:
            yield message


def _tool_call(block: Json) -> Any:
    args = block.get("input")
    return tool_call(
        name=block.get("name") or "",
        args=args if isinstance(args, dict) else {},
        id=block.get("id"),
    )


def _tool_message(block: Json) -> ToolMessage:
    return ToolMessage(
        block.get("content") or "",
        tool_call_id=block.get("tool_use_id") or "",
        status="error" if block.get("is_error") else "success",
    )
