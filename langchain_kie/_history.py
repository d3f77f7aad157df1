"""Conversations: which tool result answers which call, and what cannot be sent.

Pure. Knows LangChain's messages. Knows nothing of dialects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHAT_ROLES: dict[str, type[BaseMessage]] = {
    "user": HumanMessage,
    "human": HumanMessage,
    "assistant": AIMessage,
    "ai": AIMessage,
    "model": AIMessage,
    "system": SystemMessage,
    "developer": SystemMessage,
}


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """One call of an AI message, and the message that answers it."""

    call: dict[str, Any]
    result: ToolMessage


NOTHING_TO_ANSWER = "nothing to answer: the messages hold no words of a human's or a model's"

Turn = tuple[BaseMessage, list[ToolTurn]]


def turns_of(messages: Sequence[BaseMessage]) -> list[Turn]:
    """The conversation as messages, each AI message with its calls answered, in call order.

    Results may have come in any order, and other messages may stand between them; those
    follow the results.

    Raises:
        ValueError: A call has no result, a result no call, or a message is of a kind that
            cannot be sent.
    """
    turns: list[Turn] = []
    pending = list(messages)
    while pending:
        message = _known(pending.pop(0))
        if isinstance(message, ToolMessage):
            raise ValueError(
                f"the result of tool call {message.tool_call_id!r} answers no call before it"
            )
        turns.append((message, []))
        if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
            turns[-1][1].extend(_answered(message, pending))
    return turns


_SENDABLE = (HumanMessage, AIMessage, SystemMessage, ToolMessage)


def _known(message: BaseMessage) -> BaseMessage:
    if isinstance(message, ChatMessage):
        cls = _CHAT_ROLES.get(message.role)
        if cls is None:
            raise ValueError(f"a chat message of role {message.role!r} cannot be sent")
        return cls(content=message.content, name=message.name)
    if isinstance(message, _SENDABLE):
        return message
    raise ValueError(f"a message of type {message.type!r} cannot be sent")


def _answered(message: AIMessage, pending: list[BaseMessage]) -> Iterator[ToolTurn]:
    """Take the results of `message`'s calls out of `pending`.

    A call whose arguments could not be parsed is sent again only when something answered it.
    """
    results = _take_results(pending)
    for call in message.tool_calls:
        result = _take(results, call["id"])
        if result is None:
            raise ValueError(f"tool call {call['id']!r} ({call['name']}) has no result after it")
        yield ToolTurn(dict(call), result)
    for invalid in message.invalid_tool_calls:
        if result := _take(results, invalid["id"]):
            yield ToolTurn({**invalid, "args": invalid["args"] or ""}, result)
    if results:
        raise ValueError(
            f"the result of tool call {results[0].tool_call_id!r} answers no call before it"
        )


def _take_results(pending: list[BaseMessage]) -> list[ToolMessage]:
    """Remove the tool messages up to the next AI message."""
    end = next((i for i, m in enumerate(pending) if isinstance(m, AIMessage)), len(pending))
    results = [m for m in pending[:end] if isinstance(m, ToolMessage)]
    pending[:end] = [m for m in pending[:end] if not isinstance(m, ToolMessage)]
    return results


def _take(results: list[ToolMessage], call_id: str | None) -> ToolMessage | None:
    """Remove the result of a call; a call without an id takes the next one."""
    for i, result in enumerate(results):
        if call_id is None or result.tool_call_id == call_id:
            return results.pop(i)
    return None
