"""Agents with structured output end, whatever the model answers: requests cost money."""

from __future__ import annotations

from itertools import product
from typing import Any

import orjson
import pytest
from call_modes import model_at, server_sending
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ModelFallbackMiddleware
from langchain.agents.structured_output import (
    MultipleStructuredOutputsError,
    ProviderStrategy,
    StructuredOutputValidationError,
    ToolStrategy,
)
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, Field
from scripted_server import sse

from langchain_kie import KieProtocolError, KieToolCallMissingError


class Stay(BaseModel):
    """A stay in a city."""

    city: str
    days: int = Field(ge=0)


def find_city(country: str) -> str:
    """Find a city."""
    return f"no city in {country}"


MODELS = [
    ("gemini-2.5-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3-flash", "gateway"),
    ("gemini-3.8-flash", "generate_content"),
]
STRATEGIES = {"tool": ToolStrategy(Stay), "provider": ProviderStrategy(Stay), "schema": Stay}
QUESTION: dict[str, Any] = {"messages": [HumanMessage("?")]}
GOOD = Stay(city="Oslo", days=2)
TEXT = GOOD.model_dump_json()
BAD: dict[str, Any] = {"city": "Oslo", "days": -2}
MISSING, INVALID = KieToolCallMissingError, StructuredOutputValidationError
ANY_ERROR = (MISSING, INVALID, KieProtocolError)


def _chat(text: str, calls: Any, finish_reason: str | None) -> bytes:
    deltas: list[dict[str, Any]] = [{"content": text}] if text else []
    for index, (name, args) in enumerate(calls):
        arguments = args if isinstance(args, str) else orjson.dumps(args).decode()
        function = {"name": name, "arguments": arguments}
        deltas.append({"tool_calls": [{"index": index, "id": f"c{index}", "function": function}]})
    reason = finish_reason or ("tool_calls" if calls else "stop")
    end = {"choices": [{"delta": {}, "finish_reason": reason}]}
    return sse(*({"choices": [{"delta": one}]} for one in deltas), end, "[DONE]")


def _native(text: str, calls: Any) -> bytes:
    parts: list[dict[str, Any]] = [{"text": text}] if text else []
    parts += [{"functionCall": {"name": name, "args": args}} for name, args in calls]
    return sse({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})


def answer(api: str, text: str = "", *calls: Any, finish_reason: str | None = None) -> bytes:
    """The same answer on each API."""
    if api == "generate_content":
        return _native(text, calls)
    return _chat(text, calls, finish_reason)


# The answer that the model always gives, and how an agent with `ToolStrategy` ends: an error, or
# the good value; after three requests if LangChain lets the model repair its answer.
ANSWERS: dict[str, tuple[tuple[Any, ...], Any, int]] = {
    "prose": (("It rains.",), MISSING, 1),
    "JSON": ((TEXT,), GOOD, 1),
    "fenced JSON": ((f"```json\n{TEXT}\n```",), GOOD, 1),
    "a call": (("", ("Stay", GOOD.model_dump())), GOOD, 1),
    "JSON that only the class rejects": ((orjson.dumps(BAD).decode(),), MISSING, 3),
    "a call that only the class rejects": (("", ("Stay", BAD)), MISSING, 3),
    "a call without a required argument": (("", ("Stay", {"city": "Oslo"})), MISSING, 3),
    "two calls": (("", ("Stay", GOOD.model_dump()), ("Stay", BAD)), MISSING, 3),
    "a call of an unknown tool": (("", ("fly", {"to": "Oslo"})), MISSING, 1),
    "JSON and a call of an unknown tool": ((TEXT, ("fly", {"to": "Oslo"})), MISSING, 1),
    "a malformed call": (("", ("Stay", '{"city": "Os')), MISSING, 1),
}
CASES = [
    case
    for case in product(ANSWERS, STRATEGIES, [False, True], MODELS)
    if not (case[0] == "a malformed call" and case[3][1] == "generate_content")
    and not (case[0] == "two calls" and case[1] != "tool")
]


@pytest.mark.parametrize(("name", "strategy", "has_tools", "target"), CASES)
async def test_an_agent_ends_with_the_answer_or_an_error(name, strategy, has_tools, target) -> None:
    model_name, api = target
    parts, expected, requests = ANSWERS[name]
    # LangChain 1.5 has a rule for tools together with a schema on Gemini 2.5.
    is_tool_strategy = strategy == "tool" or (strategy, has_tools, api, model_name) == (
        ("schema", True, *reversed(MODELS[0]))
    )
    with server_sending(answer(api, *parts)) as server:
        model = model_at(server, model=model_name, api=api)
        tools = [find_city] if has_tools else []
        agent = create_agent(model, tools, response_format=STRATEGIES[strategy])
        if expected is GOOD:
            state = await agent.ainvoke(QUESTION)
            assert state["structured_response"] == GOOD
            assert len(server.requests) == 1
            return
        with pytest.raises(MISSING if is_tool_strategy else ANY_ERROR):
            await agent.ainvoke(QUESTION)
        if is_tool_strategy:
            assert len(server.requests) == requests
        assert len(server.requests) <= 3


@pytest.mark.parametrize("target", [MODELS[1], MODELS[3]])
def test_the_first_of_two_answers_counts_where_langchain_does_not_retry(target) -> None:
    name, api = target
    calls = [("Stay", GOOD.model_dump()), ("Stay", BAD)]
    with server_sending(answer(api, "", *calls)) as server:
        model = model_at(server, model=name, api=api)
        state = create_agent(model, [find_city], response_format=Stay).invoke(QUESTION)
    assert state["structured_response"] == GOOD


@pytest.mark.parametrize(("name", "api"), MODELS)
def test_a_model_may_repair_its_answer(name: str, api: str) -> None:
    bodies = [answer(api, "", ("Stay", BAD | {"city": city})) for city in ("a", "a", "b", "a", "a")]
    with server_sending(*bodies, answer(api, TEXT)) as server:
        model = model_at(server, model=name, api=api)
        state = create_agent(model, [], response_format=ToolStrategy(Stay)).invoke(QUESTION)
        assert state["structured_response"] == GOOD
        assert len(server.requests) == 6


def test_a_fallback_has_its_own_attempts() -> None:
    body = answer("chat_completions", "", ("Stay", BAD))
    good = answer("chat_completions", TEXT)
    with server_sending(body) as server, server_sending(good) as other:
        agent = create_agent(
            model_at(server, model="gemini-3.1-pro"),
            response_format=ToolStrategy(Stay),
            middleware=[ModelFallbackMiddleware(model_at(other, model="gemini-3-flash"))],
        )
        assert agent.invoke(QUESTION)["structured_response"] == GOOD
        assert (len(server.requests), len(other.requests)) == (3, 1)


@pytest.mark.parametrize(
    ("calls", "error"),
    [([("Stay", BAD)], INVALID), ([("Stay", BAD)] * 2, MultipleStructuredOutputsError)],
)
def test_without_handle_errors_an_invalid_answer_is_an_error_at_once(calls, error) -> None:
    calls = [(name, args | {"days": -n}) for n, (name, args) in enumerate(calls, start=1)]
    with server_sending(answer("chat_completions", "", *calls)) as server:
        strategy = ToolStrategy(Stay, handle_errors=False)
        with pytest.raises(error):
            create_agent(model_at(server), [], response_format=strategy).invoke(QUESTION)
        assert len(server.requests) == 1


def test_a_limit_ends_a_model_that_varies_its_invalid_answer() -> None:
    bodies = [answer("chat_completions", "", ("Stay", BAD | {"days": -n})) for n in range(1, 40)]
    with server_sending(*bodies) as server:
        agent = create_agent(
            model_at(server),
            response_format=ToolStrategy(Stay),
            middleware=[ModelCallLimitMiddleware(run_limit=5, exit_behavior="error")],
        )
        with pytest.raises(Exception, match="run limit"):
            agent.invoke(QUESTION)
        assert len(server.requests) == 5


# --- what is not a repeated rejection ---------------------------------------------------------

REJECTED = "Error: Failed to parse structured output for tool 'Stay': days.\n Please fix."
CALL = {"name": "Stay", "args": BAD, "id": "1"}


def _turns(
    *results: str, model_name: str = "gemini-3-flash", days: int = 0, **result: Any
) -> list[Any]:
    """The same call for each result; with `days`, the calls alternate between so many."""
    messages: list[Any] = [HumanMessage("?")]
    for number, text in enumerate(results):
        args = {**BAD, "days": -(number % days)} if days else BAD
        call = {**CALL, "args": args, "id": str(number)}
        metadata = {"model_name": model_name}
        messages.append(AIMessage("", tool_calls=[call], response_metadata=metadata))
        messages.append(ToolMessage(text, tool_call_id=str(number), **result))
    return messages


@pytest.mark.parametrize(
    "messages",
    [
        _turns(REJECTED, REJECTED),
        _turns("ok", REJECTED, REJECTED),
        _turns("Error: no connection", "Error: no connection", "Error: no connection"),
        _turns("timeout", "timeout", "timeout", status="error"),
        _turns(*[REJECTED] * 5, days=2),
        _turns(*[REJECTED] * 3, "timeout", *[REJECTED] * 3, days=7),
        _turns(REJECTED, REJECTED, REJECTED, model_name="gemini-3.1-pro"),
        [*_turns(REJECTED, REJECTED, REJECTED), HumanMessage("Try again.")],
        [*_turns(REJECTED, REJECTED), HumanMessage("Again."), *_turns(REJECTED)[1:]],
    ],
)
def test_a_call_that_may_succeed_is_sent(messages) -> None:
    with server_sending(answer("chat_completions", "ok")) as server:
        model = model_at(server).bind_tools([Stay])
        assert model.invoke(messages).text == "ok"


@pytest.mark.parametrize("count", [3, 4])
def test_the_third_rejection_of_the_same_call_is_the_last(count: int) -> None:
    with server_sending(answer("chat_completions", "ok")) as server:
        model = model_at(server).bind_tools([Stay])
        with pytest.raises(KieToolCallMissingError, match=r"'Stay' 3 times.*days"):
            model.invoke(_turns(*[REJECTED] * count))
        assert not server.requests


@pytest.mark.parametrize("days", [2, 7])
def test_an_agent_ends_at_the_sixth_rejection_of_calls_that_differ(days: int) -> None:
    bodies = [answer("chat_completions", "", ("Stay", BAD | {"days": ~n})) for n in range(days)]
    with server_sending(*bodies * 7) as server:
        agent = create_agent(model_at(server), response_format=ToolStrategy(Stay))
        with pytest.raises(KieToolCallMissingError, match=r"'Stay' and others 6 times.*days"):
            agent.invoke(QUESTION)
        assert len(server.requests) == 6
