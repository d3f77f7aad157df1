"""Conversations that cannot be sent as they are, and can be sent after a change.

Agents that were interrupted, or that hand over to two others at once, leave tool calls without a
result, which Gemini rejects (docs/wire.md 5). Anthropic's tool calls and results are content
blocks, OpenAI's first ones were functions. Pure.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, takewhile
from operator import is_
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, FunctionMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_kie._json import parse_json
from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    converted = _with_results_in_place(in_langchain_form(messages))
    result: list[BaseMessage] = []
    for position, message in enumerate(converted):
        result.append(message)
        if isinstance(message, AIMessage) and message.tool_calls:
            result += _missing_results(message.tool_calls, converted[position + 1 :])
    is_same = len(result) == len(messages) and all(map(is_, result, messages))
    return None if is_same else result


def _with_results_in_place(messages: Iterable[BaseMessage]) -> list[BaseMessage]:
    """The messages; of several answers in a row, each has the results of its calls after it.

    Two agents that ran at once leave both answers, and then the results of both.
    """
    ordered: list[BaseMessage] = []
    answers: list[tuple[set[str | None], list[BaseMessage]]] = []
    for message in messages:
        if isinstance(message, ToolMessage) and answers:
            call_id = message.tool_call_id
            ids, following = next((a for a in answers if call_id in a[0]), answers[-1])
            ids.discard(call_id)
            following.append(message)
            continue
        calls = isinstance(message, AIMessage) and message.tool_calls + message.invalid_tool_calls
        if not calls or any(len(following) > 1 for _, following in answers):
            ordered += chain.from_iterable(following for _, following in answers)
            answers = []
        if calls:
            answers.append(({call["id"] for call in calls}, [message]))
        else:
            ordered.append(message)
    return [*ordered, *chain.from_iterable(following for _, following in answers)]


def _missing_results(calls: Sequence[Any], later: Sequence[BaseMessage]) -> Iterator[ToolMessage]:
    """The results of the calls that have none, with a warning for each."""
    if not later:
        return
    following = takewhile(lambda message: not isinstance(message, AIMessage), later)
    answered = [m.tool_call_id for m in following if isinstance(m, ToolMessage)]
    ids = [call["id"] for call in calls]
    spare = [call_id for call_id in answered if call_id not in ids]
    for call in calls:
        if call["id"] in answered or (not call["id"] and spare and spare.pop() is not None):
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
    """The messages; tool calls and results in other forms are those of LangChain."""
    for message in _without_functions(messages):
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


def function_call_of(message: BaseMessage) -> Json | None:
    """The call of a message in OpenAI's older form, if it has no tool calls.

    Google's packages keep a copy of a tool call there.
    """
    call = message.additional_kwargs.get("function_call")
    is_call = isinstance(call, dict) and isinstance(call.get("name"), str)
    if not (is_call and isinstance(message, AIMessage)):
        return None
    is_googles = str(message.response_metadata.get("model_provider")).startswith("google")
    return None if message.tool_calls or message.invalid_tool_calls or is_googles else call


def _without_functions(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """The messages with OpenAI's older calls and results of functions as tool calls and results.

    A result belongs to the first call of its name in the answer before it.
    """
    calls: list[Any] = []
    for position, message in enumerate(messages):
        if isinstance(message, AIMessage):
            if function := function_call_of(message):
                message = message.model_copy(  # noqa: PLW2901
                    update=_calls_of_function(function, f"function_call_{position}")
                )
            calls = [*message.tool_calls, *message.invalid_tool_calls]
        elif isinstance(message, FunctionMessage):
            call = next((call for call in calls if call["name"] == message.name), None)
            if call:
                calls.remove(call)
                message = ToolMessage(message.content, tool_call_id=call["id"] or "")  # noqa: PLW2901
        yield message


def _calls_of_function(function: Json, call_id: str) -> Json:
    """The fields of a message that has a function call as its tool call."""
    name, args = function["name"], function.get("arguments") or {}
    with suppress(ValueError, AttributeError):
        args = args if isinstance(args, dict) else parse_json(args.encode(errors="replace"))
    if isinstance(args, dict):
        return {"tool_calls": [tool_call(name=name, args=args, id=call_id)]}
    args = str(function["arguments"])
    return {"invalid_tool_calls": [invalid_tool_call(name=name, args=args, id=call_id)]}


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
