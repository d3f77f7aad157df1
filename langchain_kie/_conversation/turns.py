"""Messages to turns: roles, order, and the tool result that belongs to each tool call.

Pure. Depends on LangChain's messages; independent of the APIs' JSON formats.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_kie._conversation.cache import parse_messages
from langchain_kie._conversation.parsed_message import (
    INVALID_ARGUMENTS_KEY,
    ParsedMessage,
    ToolTurn,
    Turn,
)
from langchain_kie._conversation.prefix import MIN_MESSAGES, Turns, extended_prefix, find_prefix
from langchain_kie._conversation.repair import repaired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._conversation.content import Part
    from langchain_kie._json import Json

_ROLE_BY_CLASS: dict[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    ToolMessage: "tool",
    SystemMessage: "system",
}

_CLASS_BY_CHAT_ROLE: dict[str, type[BaseMessage]] = {
    **dict.fromkeys(("user", "human"), HumanMessage),
    **dict.fromkeys(("assistant", "ai", "model"), AIMessage),
    **dict.fromkeys(("system", "developer"), SystemMessage),
}


TRUNCATION_NOTE = "(The beginning of this conversation was left out.)"
"""The text of a user turn that is put before a history which starts with a tool call, for example
because it was trimmed: Gemini refuses a tool call without a user turn before it."""

NO_MESSAGE_TO_SEND = "there is no user or assistant message to send"


def build_turns(messages: Sequence[BaseMessage]) -> Turns:
    """The turns of a conversation, in which each tool call has its tool result.

    Tool results may come in any order, and other messages may stand between a tool call and its
    result; such messages follow the result. If the conversation cannot be sent, it is repaired.

    Raises:
        ValueError: A tool call has no tool result although no message follows, a tool result has
            no tool call or is the second one, or a message cannot be sent.
    """
    try:
        return _build_turns(messages)
    except ValueError:
        messages_to_send = repaired(messages)
        if messages_to_send is None:
            raise
    return _build_turns(messages_to_send)


def _build_turns(messages: Sequence[BaseMessage]) -> Turns:
    every_parsed = parse_messages(messages, _with_role)
    prefix = find_prefix(every_parsed) if len(messages) >= MIN_MESSAGES else None
    start, turns = (len(prefix.parsed), Turns(prefix.turns)) if prefix else (0, Turns())
    with_calls: list[tuple[int, int, ParsedMessage, list[ParsedMessage]]] = []
    unmatched: list[ParsedMessage] = []
    results = unmatched
    for number, parsed in enumerate(every_parsed[start:], start):
        role = parsed.role
        if role == "tool":
            results.append(parsed)
            continue
        if role == "assistant":
            results = unmatched
            if parsed.has_calls:
                results = []
                with_calls.append((number, len(turns), parsed, results))
        turns.append(parsed.turn if parsed.is_text else parsed.new_turn())
    for number, position, parsed, results in with_calls:
        if parsed.matched and parsed.matched[0] == results:
            turns[position] = parsed.matched[1]
        else:
            turns[position] = _with_tools(turns[position], messages[number], parsed, results)
            unmatched += results
    if unmatched:
        raise ValueError(_unmatched_error(unmatched[0].tool_call_id, turns))
    if len(messages) >= MIN_MESSAGES:
        unkept = [n for n, parsed in enumerate(every_parsed[start:], start) if not parsed.is_text]
        unkept += [n for n, position, *_ in with_calls if turns[position].forms is None]
        end = min(unkept, default=len(messages))
        turns.prefix = extended_prefix(prefix, every_parsed[:end], turns)
    return turns


def _unmatched_error(call_id: str | None, turns: Sequence[Turn]) -> str:
    if any(tool.call["id"] == call_id for turn in turns for tool in turn.tools):
        return f"tool call {call_id!r} is answered twice: only one tool result may have its id"
    return f"tool result {call_id!r} matches no earlier tool call"


def all_parts(turns: Sequence[Turn]) -> list[Part]:
    """The text and media of a conversation, tool results included."""
    parts: list[Part] = []
    for turn in turns:
        parts += turn.parts
        for tool in turn.tools:
            parts += tool.parts
    return parts


def _with_role(message: BaseMessage) -> tuple[str, BaseMessage]:
    """The role of a message, and the message; a `ChatMessage` becomes the class for its role.

    Raises:
        ValueError: A message of this type or role cannot be sent.
    """
    cls: Any = message.__class__
    if role := _ROLE_BY_CLASS.get(cls) or _role_of(cls):
        return role, message
    if isinstance(message, FunctionMessage):
        raise ValueError(f"the function message {message.name!r} follows no call of this function")
    cls = _CLASS_BY_CHAT_ROLE.get(message.role) if isinstance(message, ChatMessage) else None
    if cls is None:
        kind = getattr(message, "role", message.type)
        raise ValueError(f"cannot send a message with type or role {kind!r}")
    return _ROLE_BY_CLASS[cls], cls(content=message.content, name=message.name)


@cache
def _role_of(cls: type[BaseMessage]) -> str | None:
    return next((role for known, role in _ROLE_BY_CLASS.items() if issubclass(cls, known)), None)


def _with_tools(
    turn: Turn, message: BaseMessage, parsed: ParsedMessage, results: list[ParsedMessage]
) -> Turn:
    """A turn with its tools, whose results are removed from `results`."""
    given = [*results]
    is_kept = turn.forms is not None and all(result.is_text for result in given)
    turn = turn.copy(turn.parts, _match_results(message, results))
    turn.forms = None
    if is_kept and not results:
        turn.forms = {}
        parsed.matched = given, turn
    return turn


def _match_results(message: Any, results: list[ParsedMessage]) -> list[ToolTurn]:
    """The tool calls of `message` with their tool results, which are removed from `results`.

    Calls without an id take the unmatched results in order. A call whose arguments could not be
    parsed is sent only if it has a result.

    Raises:
        ValueError: A tool call has no tool result or no name.
    """
    calls: list[Json] = message.tool_calls
    if message.invalid_tool_calls:
        answered = [result.tool_call_id for result in results]
        calls = calls + [
            {**call, "args": {"invalid_json": _invalid_arguments(message, call)}}
            for call in message.invalid_tool_calls
            if call["id"] in answered
        ]
    turns: list[ToolTurn] = []
    used_ids: set[str] = set()
    matched = [_pop_result(results, call["id"]) for call in calls]
    for call, match in zip(calls, matched, strict=True):
        if not call["name"]:
            raise ValueError(f"tool call {call['id']!r} has no name")
        result = match or (results.pop(0) if results and not call["id"] else None)
        if result is None:
            raise ValueError(f"tool call {call['id']!r} ({call['name']}) needs a tool result")
        call_id = call["id"] or result.tool_call_id
        if not call_id or call_id in used_ids:
            call_id = next(i for n in count(len(turns)) if (i := f"call_{n}") not in used_ids)
        used_ids.add(call_id)
        turns.append(ToolTurn(call_id, call, result.is_error, result.new_turn().parts))
    return turns


def _invalid_arguments(message: Any, call: Json) -> str:
    """The arguments of an invalid tool call, without what was added to them in a stream."""
    args = call["args"] or ""
    original = message.additional_kwargs.get(INVALID_ARGUMENTS_KEY, {}).get(call["id"])
    return original if original and args.startswith(original) else args


def _pop_result(results: list[ParsedMessage], call_id: str | None) -> ParsedMessage | None:
    """Remove and return the first result for a tool call, if it has an id and a result."""
    for position, result in enumerate(results):
        if call_id and result.tool_call_id == call_id:
            return results.pop(position)
    return None
