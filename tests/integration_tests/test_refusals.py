"""Refusals: structured output, agents, and the next turn of a conversation."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import orjson
import pytest
from call_modes import model_at, server_sending
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRefusalMiddleware
from langchain.agents.structured_output import (
    ProviderStrategy,
    StructuredOutputValidationError,
    ToolStrategy,
)
from langchain_core.exceptions import ModelRefusalError
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel
from scripted_server import sse

from langchain_kie import KieRefusalError, KieToolCallMissingError

CHAT, NATIVE = "gemini-3-flash", "gemini-3.5-flash"
METHODS = ["json_schema", "function_calling", "json_mode"]


class City(BaseModel):
    """A city."""

    name: str


def _chat(finish_reason: str, **members: Any) -> bytes:
    choice = {"delta": members, "finish_reason": finish_reason}
    return sse({"choices": [choice]}, "[DONE]")


def _native(finish_reason: str, text: str = "", **members: Any) -> bytes:
    parts = [{"text": text}] if text else []
    candidate = {"content": {"parts": parts}, "finishReason": finish_reason, **members}
    return sse({"candidates": [candidate]})


# The model, the answer, and the text and the extras of the refusal block.
REFUSALS: dict[str, tuple[str, bytes, str, dict[str, str] | None]] = {
    "message.refusal": (CHAT, _chat("stop", refusal="I will not."), "I will not.", None),
    "content_filter": (CHAT, _chat("content_filter"), "", {"finish_reason": "content_filter"}),
    "content_filter in JSON": (
        CHAT,
        _chat("content_filter", content='{"name": "Os'),
        "",
        {"finish_reason": "content_filter"},
    ),
    **{
        reason: (NATIVE, _native(reason), "", {"finish_reason": reason})
        for reason in ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION")
    },
    "SAFETY after text": (NATIVE, _native("SAFETY", "Os"), "", {"finish_reason": "SAFETY"}),
    "SAFETY after complete JSON": (
        NATIVE,
        _native("SAFETY", '{"name": "Oslo"}'),
        "",
        {"finish_reason": "SAFETY"},
    ),
    "SAFETY with a message": (
        NATIVE,
        _native("SAFETY", finishMessage="violence"),
        "violence",
        {"finish_reason": "SAFETY"},
    ),
    "a blocked prompt": (
        NATIVE,
        sse({"promptFeedback": {"blockReason": "SAFETY"}}),
        "",
        {"block_reason": "SAFETY"},
    ),
}
refusals = pytest.mark.parametrize("case", REFUSALS)


def _check_block(message: Any, case: str) -> None:
    _, _, text, extras = REFUSALS[case]
    block = {k: v for k, v in message.content_blocks[-1].items() if k != "index"}
    expected = {"type": "refusal", "refusal": text}
    assert block == (expected if extras is None else expected | {"extras": extras})


async def _streamed(chain: Any) -> list[Any]:
    return [part async for part in chain.astream("?")]


@refusals
@pytest.mark.parametrize("method", METHODS)
async def test_structured_output_raises_langchain_s_error(case: str, method: str) -> None:
    name, body, text, _ = REFUSALS[case]
    with server_sending(body) as server:
        model = model_at(server, model=name)
        chain = model.with_structured_output(City, method=method)
        for call in (chain.invoke, lambda prompt: list(chain.stream(prompt))):
            with pytest.raises(ModelRefusalError, match=text or "refused") as caught:
                call("?")
            _check_block(caught.value.raw_message, case)
        for awaitable in (chain.ainvoke("?"), _streamed(chain)):
            with pytest.raises(ModelRefusalError, match=text or "refused") as caught:
                await awaitable
            _check_block(caught.value.raw_message, case)


@refusals
@pytest.mark.parametrize("method", METHODS)
async def test_with_the_raw_answer_the_error_is_a_value(case: str, method: str) -> None:
    name, body, _, _ = REFUSALS[case]
    with server_sending(body) as server:
        model = model_at(server, model=name)
        chain = model.with_structured_output(City, method=method, include_raw=True)
        results = [chain.invoke("?"), await chain.ainvoke("?")]
        results += [*chain.stream("?"), *await _streamed(chain)]
    assert len(results) == 4
    for result in results:
        assert result["parsed"] is None
        assert isinstance(result["parsing_error"], ModelRefusalError)
        _check_block(result["raw"], case)


@refusals
async def test_a_required_call_that_was_refused_is_both_errors(case: str) -> None:
    name, body, _, _ = REFUSALS[case]
    with server_sending(body) as server:
        model = model_at(server, model=name).bind_tools([City], tool_choice="any")
        for call in (model.invoke, lambda prompt: list(model.stream(prompt))):
            with pytest.raises(KieRefusalError) as caught:
                call("?")
            assert isinstance(caught.value, ModelRefusalError)
            assert isinstance(caught.value, KieToolCallMissingError)
            assert not caught.value.is_retryable
            _check_block(caught.value.raw_message, case)


STRATEGIES: dict[str, tuple[Any, type[Exception]]] = {
    "tool": (ToolStrategy(City), KieRefusalError),
    "provider": (ProviderStrategy(City), StructuredOutputValidationError),
    "schema": (City, StructuredOutputValidationError),
}
QUESTION: dict[str, Any] = {"messages": [HumanMessage("?")]}


@refusals
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_an_agent_with_structured_output_ends_after_one_request(case, strategy) -> None:
    name, body, _, _ = REFUSALS[case]
    response_format, error = STRATEGIES[strategy]
    is_answered = "complete JSON" in case and strategy != "tool"  # only the middleware objects
    with server_sending(body) as server:
        model = model_at(server, model=name)
        agent = create_agent(model, [], response_format=response_format)
        with nullcontext() if is_answered else pytest.raises(error):
            await agent.ainvoke(QUESTION)
        checked = create_agent(
            model, [], response_format=response_format, middleware=[ModelRefusalMiddleware()]
        )
        with pytest.raises(ModelRefusalError):
            checked.invoke(QUESTION)
        assert len(server.requests) == 2


@refusals
@pytest.mark.parametrize("response_format", [None, ToolStrategy(City), City], ids=repr)
async def test_the_middleware_falls_back_to_another_model(case: str, response_format: Any) -> None:
    name, body, _, _ = REFUSALS[case]
    other = _chat("stop", content='{"name": "Oslo"}')
    with server_sending(body) as server, server_sending(other) as fallback:
        agent = create_agent(
            model_at(server, model=name),
            response_format=response_format,
            middleware=[
                ModelFallbackMiddleware(model_at(fallback, model=CHAT)),
                ModelRefusalMiddleware(),
            ],
        )
        states = [agent.invoke(QUESTION), await agent.ainvoke(QUESTION)]
        states.append([*agent.stream(QUESTION, stream_mode="values")][-1])
        assert len(fallback.requests) == len(server.requests) == len(states)
    for state in states:
        if response_format:
            assert state["structured_response"] == City(name="Oslo")
        else:
            assert state["messages"][-1].text == '{"name": "Oslo"}'


REFUSED_TURNS = {
    "additional_kwargs": AIMessage("", additional_kwargs={"refusal": "I will not."}),
    "a block": AIMessage([{"type": "refusal", "refusal": "I will not."}]),
    "both": AIMessage(
        [{"type": "refusal", "refusal": "I will not.", "index": 0}],
        additional_kwargs={"refusal": "I will not."},
    ),
}


@pytest.mark.parametrize("form", REFUSED_TURNS)
@pytest.mark.parametrize("name", [CHAT, NATIVE])
def test_the_refusal_of_an_earlier_answer_is_sent_as_text(form: str, name: str) -> None:
    good = _chat("stop", content="ok") if name == CHAT else _native("STOP", "ok")
    with server_sending(good) as server:
        model_at(server, model=name).invoke(["Hi", REFUSED_TURNS[form], HumanMessage("Why?")])
        body = server.requests[0].json
    if name == CHAT:
        assert body["messages"][1] == {"role": "assistant", "content": "I will not."}
    else:
        assert body["contents"][1] == {"role": "model", "parts": [{"text": "I will not."}]}


@pytest.mark.parametrize("case", ["content_filter", "SAFETY"])
async def test_a_refusal_without_text_is_left_out_of_the_next_request(case: str) -> None:
    name, body, _, _ = REFUSALS[case]
    with server_sending(body) as server:
        model = model_at(server, model=name)
        refused = [model.invoke("Hi"), await model.ainvoke("Hi"), sum_of(model)]
        for message in refused:
            model.invoke(["Hi", message, HumanMessage("Why?")])
            sent = orjson.loads(server.requests[-1].body)
            assert all(turn["role"] == "user" for turn in sent.get("messages") or sent["contents"])


def sum_of(model: Any) -> Any:
    """The sum of the chunks of a stream."""
    first, *rest = model.stream("Hi")
    return first + rest if rest else first
