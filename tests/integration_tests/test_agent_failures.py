"""Agents whose model fails, on every API: retries, fallbacks, rate limits."""

from __future__ import annotations

from contextlib import nullcontext

import call_modes
import orjson
import pytest
from agent_parts import PONG, QUESTION, agent_of, ask, check_messages, multiply
from langchain.agents.middleware import (
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.rate_limiters import InMemoryRateLimiter
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import RetryPolicy
from pydantic import BaseModel
from scripted_server import sse

from langchain_kie.errors import (
    KieAuthenticationError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieRateLimitError,
    KieServerError,
    KieStreamInterruptedError,
    KieToolCallMissingError,
)


@pytest.fixture
def failing(fields):
    """Makes a model, and its server, which answers with error codes and then with "pong"."""
    servers = []

    def make(*codes):
        script = [error_body(code) for code in codes] + [PONG[fields["api"]]]
        server = call_modes.server_sending(*map(orjson.dumps, script))
        servers.append(server.__enter__())
        return call_modes.model_at(server, **fields), server

    yield make
    for server in servers:
        server.__exit__()


def error_body(code):
    messages = {
        401: "Unauthorized",
        402: "Credits insufficient",
        403: "Forbidden",
        404: "Not found",
        422: "Invalid",
        429: "Too many requests",
    }
    return {"code": code, "msg": messages.get(code, "Server exception"), "data": None}


async def test_model_fallback_middleware(model, failing):
    broken, server = failing(500, 402, 401)
    agent = agent_of(broken, [multiply], middleware=[ModelFallbackMiddleware(model)])
    check_messages(agent.invoke(QUESTION)["messages"])
    assert len(server.requests) == 2
    broken, server = failing(402, 401)
    agent = agent_of(broken, [multiply], middleware=[ModelFallbackMiddleware(model)])
    check_messages((await agent.ainvoke(QUESTION))["messages"])
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ((429,), None),
        ((500, 455), None),
        ((524,), None),
        ((401,), KieAuthenticationError),
        ((402,), KieInsufficientCreditsError),
    ],
    ids=str,
)
@pytest.mark.parametrize("call_mode", [call_modes.invoke, call_modes.ainvoke])
async def test_model_retry_middleware_retries_only_retryable_errors(
    call_mode, codes, error, failing
):
    """By default, the middleware reads `is_retryable` of the error."""
    broken, server = failing(*codes)
    retry = ModelRetryMiddleware(initial_delay=0, jitter=False, on_failure="error")
    with pytest.raises(error) if error else nullcontext():
        state = await call_mode(agent_of(broken, middleware=[retry]), ask("ping"))
        assert state["messages"][-1].text == "pong"
    assert len(server.requests) == (1 if error else len(codes) + 1)


@pytest.mark.parametrize("error", [KieRateLimitError, ModelRateLimitError])
def test_model_retry_middleware_retries_a_class_of_errors(error, failing):
    retry = ModelRetryMiddleware(retry_on=(error,), initial_delay=0, on_failure="error")
    broken, server = failing(429)
    assert agent_of(broken, middleware=[retry]).invoke(ask("ping"))["messages"][-1].text
    broken, server = failing(500)
    with pytest.raises(KieServerError):
        agent_of(broken, middleware=[retry]).invoke(ask("ping"))
    assert len(server.requests) == 1


RETRY_POLICIES = {
    "the default": {},
    "is_retryable": {"retry_on": lambda error: getattr(error, "is_retryable", False)},
}


@pytest.mark.parametrize("policy", RETRY_POLICIES.values(), ids=RETRY_POLICIES)
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (401, KieAuthenticationError),
        (402, KieInsufficientCreditsError),
        (403, KiePermissionDeniedError),
        (404, KieModelNotFoundError),
        (422, KieInvalidRequestError),
        (429, None),
        (500, None),
    ],
)
@pytest.mark.parametrize("call_mode", [call_modes.invoke, call_modes.ainvoke])
async def test_retry_policies_of_langgraph_leave_hopeless_errors_alone(
    call_mode, code, error, policy, failing
):
    broken, server = failing(code, code)

    def answer(state):
        return {"messages": [broken.invoke(state["messages"])]}

    async def aanswer(state):
        return {"messages": [await broken.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    node = aanswer if call_mode is call_modes.ainvoke else answer
    retries = RetryPolicy(initial_interval=0, jitter=False, **policy)
    graph.add_node("model", node, retry_policy=retries)
    graph.add_edge(START, "model")
    with pytest.raises(error) if error else nullcontext():
        state = await call_mode(graph.compile(), ask("ping"))
        assert state["messages"][-1].text == "pong"
    assert len(server.requests) == (1 if error else 3)


def test_retry_policies_of_langgraph_do_not_repeat_a_missing_call(failing):
    broken, server = failing()
    bound = broken.bind_tools([multiply], tool_choice="any")
    graph = StateGraph(MessagesState)
    retries = RetryPolicy(initial_interval=0, jitter=False)
    node = lambda state: {"messages": [bound.invoke(state["messages"])]}  # noqa: E731
    graph.add_node("model", node, retry_policy=retries)
    graph.add_edge(START, "model")
    with pytest.raises(KieToolCallMissingError):
        graph.compile().invoke(ask("ping"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("call_mode", [call_modes.stream, call_modes.astream])
async def test_what_langchain_does_not_do_for_a_stream(call_mode, failing):
    """As docs/agents.md says; langchain-core 1.8.3."""
    broken, server = failing(500)
    with pytest.raises(KieServerError):
        await call_mode(broken.with_retry(stop_after_attempt=3), "ping")
    assert len(server.requests) == 1

    model, server = failing()
    cached = call_modes.with_fields(model, cache=InMemoryCache())
    assert {(await call_mode(cached, "ping")).text for _ in range(2)} == {"pong"}
    assert len(server.requests) == 2


@pytest.mark.parametrize("begins_with", ["text", "a thought"])
def test_a_stream_falls_back_only_before_its_first_chunk(begins_with, failing):
    part = {"content": "a"} if begins_with == "text" else {"reasoning_content": "a"}
    other, server = failing()
    with call_modes.server_sending(sse({"choices": [{"delta": part}]})) as cut:
        model = call_modes.model_at(cut).with_fallbacks([other])
        with pytest.raises(KieStreamInterruptedError):
            [*model.stream("ping")]
    assert server.requests == []
    broken, _ = failing(500)
    chunks = [*broken.with_fallbacks([other]).stream("ping")]
    assert "".join(chunk.text for chunk in chunks) == "pong"


def test_tokens_of_a_failed_attempt_are_delivered(failing):
    other, _ = failing()
    with call_modes.server_sending(sse({"choices": [{"delta": {"content": "half "}}]})) as cut:
        fallback = ModelFallbackMiddleware(other)
        agent = agent_of(call_modes.model_at(cut), middleware=[fallback])
        events = [*agent.stream(ask("ping"), stream_mode="messages")]
    assert "".join(chunk.text for chunk, _ in events) == "half pong"


def test_retry_middleware_raises_after_its_last_retry(failing):
    """By default it would return a message, which an agent with ToolStrategy repeats."""

    class Answer(BaseModel):
        text: str

    broken, server = failing(*[500] * 9)
    retry = ModelRetryMiddleware(
        max_retries=1,
        initial_delay=0,
        jitter=False,
        retry_on=lambda error: getattr(error, "is_retryable", False),
        on_failure="error",
    )
    agent = agent_of(broken, response_format=ToolStrategy(Answer), middleware=[retry])
    with pytest.raises(KieServerError):
        agent.invoke(ask("ping"))
    assert len(server.requests) == 2


def test_a_rate_limiter_counts_calls_and_not_retries(failing):
    taken = []

    class Counter(InMemoryRateLimiter):
        def acquire(self, *, blocking=True):
            taken.append(blocking)
            return True

    for retries, attempts, expected in ((2, 1, 1), (0, 3, 3)):
        taken.clear()
        broken, server = failing(500, 500)
        limited = call_modes.with_fields(broken, rate_limiter=Counter(), max_retries=retries)
        limited = limited.with_retry(wait_exponential_jitter=False, stop_after_attempt=attempts)
        assert limited.invoke("ping").text == "pong"
        assert len(server.requests) == 3
        assert len(taken) == expected


def test_fallback_model_keeps_its_tools(model, failing):
    broken, _ = failing(402)
    bound = broken.bind_tools([multiply]).with_fallbacks([model.bind_tools([multiply])])
    assert bound.invoke("Multiply 17 by 23.").tool_calls[0]["args"] == {"a": 17, "b": 23}
