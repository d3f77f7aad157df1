"""Conversations: who says what in which order, and which tool result answers which call.

Pure. Knows LangChain's messages. Knows nothing of dialects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_kie._conversation.content import parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._conversation.content import Part

_ROLES: dict[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    ToolMessage: "tool",
    SystemMessage: "system",
}

_CHAT_ROLES: dict[str, type[BaseMessage]] = {
    "user": HumanMessage,
    "human": HumanMessage,
    "assistant": AIMessage,
    "ai": AIMessage,
    "model": AIMessage,
    "system": SystemMessage,
    "developer": SystemMessage,
}


@dataclass(slots=True)
class ToolTurn:
    """One call of an AI message, and what answers it.

    Attributes:
        id: Unique in the turn; the call's own where it has one.
        call: The call.
        result: The message that answers.
        parts: What it says.
    """

    id: str
    call: dict[str, Any]
    result: ToolMessage
    parts: list[Part]


@dataclass(slots=True)
class Turn:
    """One message.

    Attributes:
        role: `system`, `user` or `assistant`.
        message: The message.
        parts: What it says.
        tools: Its calls with their results.
    """

    role: str
    message: BaseMessage
    parts: list[Part]
    tools: Sequence[ToolTurn] = ()


BEGINNING_LEFT_OUT = "(The beginning of this conversation was left out.)"
"""Gemini wants a human's turn before a call; a history that was trimmed may begin with one."""

NOTHING_TO_ANSWER = "nothing to answer: the messages hold no words of a human's or a model's"


def turns_of(messages: Sequence[BaseMessage]) -> list[Turn]:
    """The conversation, each AI message with its calls answered, in call order.

    Results may have come in any order, and other messages may stand between them; those
    follow the results.

    Raises:
        ValueError: A call has no result, a result no call, or a message is of a kind that
            cannot be sent.
    """
    turns: list[Turn] = []
    calling: Turn | None = None
    results: list[ToolMessage] = []
    for given in messages:
        role = _role_of(type(given))
        message: Any = given
        if role is None:
            role, message = _stood_for(given)
        if role == "tool":
            if calling is None:
                raise ValueError(
                    f"the result of tool call {message.tool_call_id!r} answers no call before it"
                )
            results.append(message)
            continue
        turn = Turn(role, message, parts_of(message))
        turns.append(turn)
        if role == "assistant":
            if calling:
                calling.tools = _answered(calling.message, results)
            calling, results = None, []
            if message.tool_calls or message.invalid_tool_calls:
                calling = turn
    if calling:
        calling.tools = _answered(calling.message, results)
    return turns


def all_parts(turns: Sequence[Turn]) -> list[Part]:
    """The text and media of a conversation."""
    parts: list[Part] = []
    for turn in turns:
        parts += turn.parts
        for tool in turn.tools:
            parts += tool.parts
    return parts


def _stood_for(message: BaseMessage) -> tuple[str, BaseMessage]:
    """The role of a message of a free role, and the message that it stands for."""
    if not isinstance(message, ChatMessage):
        raise ValueError(f"a message of type {message.type!r} cannot be sent")
    cls = _CHAT_ROLES.get(message.role)
    if cls is None:
        raise ValueError(f"a chat message of role {message.role!r} cannot be sent")
    return _ROLES[cls], cls(content=message.content, name=message.name)


@cache
def _role_of(cls: type[BaseMessage]) -> str | None:
    return next((role for known, role in _ROLES.items() if issubclass(cls, known)), None)


def _answered(message: Any, results: list[ToolMessage]) -> list[ToolTurn]:
    """Each of `message`'s calls with its result.

    A call without an id takes what the others leave. A call whose arguments could not be
    parsed is sent again only when something answered it.
    """
    calls: list[dict[str, Any]] = message.tool_calls
    if message.invalid_tool_calls:
        answered = [result.tool_call_id for result in results]
        calls = calls + [
            {**call, "args": {"invalid_json": call["args"] or ""}}
            for call in message.invalid_tool_calls
            if call["id"] in answered
        ]
    turns: list[ToolTurn] = []
    taken: set[str] = set()
    for call, result in _pairs(calls, results):
        call_id = call["id"] or result.tool_call_id
        if not call_id or call_id in taken:
            call_id = next(i for n in count(len(turns)) if (i := f"call_{n}") not in taken)
        taken.add(call_id)
        turns.append(ToolTurn(call_id, call, result, parts_of(result)))
    return turns


def _pairs(
    calls: list[dict[str, Any]], results: list[ToolMessage]
) -> list[tuple[dict[str, Any], ToolMessage]]:
    """Each call and its result; mostly there is one of each."""
    for call in calls:
        if not call["name"]:
            raise ValueError(f"tool call {call['id']!r} has no name")
    if len(calls) == len(results) == 1 and calls[0]["id"] == results[0].tool_call_id:
        return [(calls[0], results[0])]
    pairs: list[tuple[dict[str, Any], ToolMessage]] = []
    answers = [_take(results, call["id"]) if call["id"] else None for call in calls]
    for call, answer in zip(calls, answers, strict=True):
        result = answer or (results.pop(0) if results and not call["id"] else None)
        if result is None:
            raise ValueError(f"tool call {call['id']!r} ({call['name']}) has no result after it")
        pairs.append((call, result))
    if results:
        raise ValueError(
            f"the result of tool call {results[0].tool_call_id!r} answers no call before it"
        )
    return pairs


def _take(results: list[ToolMessage], call_id: str) -> ToolMessage | None:
    """Remove the result of a call."""
    for i, result in enumerate(results):
        if result.tool_call_id == call_id:
            return results.pop(i)
    return None
