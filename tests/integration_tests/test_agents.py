"""Agents of LangChain and LangGraph, on every API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import call_modes
import orjson
import pytest
from checkpoint_reader import (
    approved_agent,
    get_weather,
    in_another_process,
    send_email,
    thread,
)
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
    wrap_model_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, RetryPolicy
from langgraph_supervisor import create_supervisor
from pydantic import BaseModel
from scripted_server import sse

from langchain_kie import ChatKieGemini, media_block
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

HERE = Path(__file__).parent
MODELS = [
    ("gemini-3-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3.6-flash", "chat_completions"),
    ("gemini-3.5-flash", "generate_content"),
    ("gemini-3-flash", "gateway"),
]
APIS = [("gemini-3-flash", "chat_completions"), ("gemini-3.5-flash", "generate_content")]
QUESTION = {"messages": [{"role": "user", "content": "Multiply 17 by 23."}]}


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def find_capital(country: str) -> str:
    """Find the capital of a country."""
    raise LookupError(f"no country is named {country}")


def agent_of(*args, **kwargs):
    """An agent that stops in an endless loop."""
    return create_agent(*args, **kwargs).with_config(recursion_limit=30)


@pytest.fixture(params=MODELS, ids="-".join)
def agent(request):
    """An agent with one tool."""
    model, api = request.param
    return agent_of(ChatKieGemini(model=model, api=api), [multiply])


@pytest.fixture(params=APIS, ids="-".join)
def fields(request):
    """The fields of a model, on one API."""
    model, api = request.param
    return {"model": model, "api": api}


@pytest.fixture
def model(fields):
    return ChatKieGemini(**fields)


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


PONG = {
    "chat_completions": {
        "choices": [{"message": {"content": "pong"}, "finish_reason": "stop"}],
        "credits_consumed": 0.01,
    },
    "generate_content": {
        "candidates": [{"content": {"parts": [{"text": "pong"}]}, "finishReason": "STOP"}],
        "credits_consumed": 0.01,
    },
}


def ask(content):
    return {"messages": [HumanMessage(content)]}


def results_of(state):
    return [m for m in state["messages"] if isinstance(m, ToolMessage)]


def check_messages(messages):
    _, request, result, answer = messages
    assert isinstance(request, AIMessage)
    (call,) = request.tool_calls
    assert (call["name"], call["args"]) == ("multiply", {"a": 17, "b": 23})
    assert isinstance(result, ToolMessage)
    assert result.content == "391"
    assert "391" in answer.text
    assert answer.usage_metadata["output_tokens"] > 0


# --- one tool, every API ---------------------------------------------------------------------


def test_agent_invoke(agent):
    check_messages(agent.invoke(QUESTION)["messages"])


async def test_agent_ainvoke(agent):
    check_messages((await agent.ainvoke(QUESTION))["messages"])


def test_agent_stream(agent):
    tokens, messages = [], [QUESTION["messages"][0]]
    for mode, event in agent.stream(QUESTION, stream_mode=["messages", "updates"]):
        if mode == "messages":
            tokens.append(event[0].text)
        else:
            messages += [m for update in event.values() for m in update["messages"]]
    check_messages(messages)
    assert "".join(tokens).endswith(messages[-1].text)


async def test_agent_astream(agent):
    messages = [QUESTION["messages"][0]]
    async for event in agent.astream(QUESTION, stream_mode="updates"):
        messages += [m for update in event.values() for m in update["messages"]]
    check_messages(messages)


# --- parallel tools, failing tools -----------------------------------------------------------


async def test_agent_calls_tools_in_parallel(model):
    running, at_once = [], threading.Barrier(3, timeout=600)

    @tool
    def get_temperature(city: str) -> str:
        """Get the temperature of a city."""
        running.append(city)
        at_once.wait()
        return f"{len(city)} degrees in {city}"

    agent = agent_of(model, [get_temperature])
    prompt = ask("What is the temperature in Oslo, in Rome and in Berlin?")
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        assert len(state["messages"][1].tool_calls) == 3
        answer = state["messages"][-1].text
        assert "4 degrees in Oslo; 4 degrees in Rome; 6 degrees in Berlin" in answer
    assert sorted(running) == sorted(["Oslo", "Rome", "Berlin"] * 2)


@pytest.mark.parametrize(
    "middleware",
    [
        ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False),
        ToolErrorMiddleware(lambda error, request: f"the tool failed: {error}"),
    ],
    ids=["ToolRetryMiddleware", "ToolErrorMiddleware"],
)
async def test_error_of_a_tool_reaches_the_model(middleware, model):
    agent = agent_of(model, [find_capital], middleware=[middleware])
    prompt = ask('Find the capital of the country "Atlantis".')
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        (result,) = results_of(state)
        assert result.status == "error"
        assert "error" in state["messages"][-1].text.lower()
        assert "Atlantis" in state["messages"][-1].text


async def test_one_of_two_tools_fails(model):
    retry = ToolRetryMiddleware(max_retries=0)
    agent = agent_of(model, [find_capital, multiply], middleware=[retry])
    prompt = ask('Find the capital of the country "Atlantis" and multiply 17 by 23.')
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        assert {r.status for r in results_of(state)} == {"error", "success"}
        assert "391" in state["messages"][-1].text


def documented(name):
    """An object that a program of docs/agents.md defines."""
    text = (HERE.parents[1] / "docs" / "agents.md").read_text()
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"def {name}" in c)
    values = {}
    exec(code.partition("\nagent = ")[0], values)
    return values[name]


@pytest.mark.parametrize("call_mode", [call_modes.invoke, call_modes.ainvoke])
async def test_an_invalid_call_ends_an_agent_unless_it_is_returned_to_the_model(call_mode, fields):
    cut = {"id": "c1", "function": {"name": "multiply", "arguments": '{"a": 17, "b'}}
    answer = {"message": {"tool_calls": [cut]}, "finish_reason": "length"}
    bodies = [orjson.dumps(body) for body in ({"choices": [answer]}, PONG[fields["api"]])]
    for middleware, kinds in (
        ([], ["human", "ai"]),
        ([documented("return_invalid_calls")], ["human", "ai", "tool", "ai"]),
    ):
        with call_modes.server_sending(*bodies) as server:
            broken = call_modes.model_at(server, **fields)
            state = await call_mode(agent_of(broken, [multiply], middleware=middleware), QUESTION)
        assert [message.type for message in state["messages"]] == kinds
        (call,) = state["messages"][1].invalid_tool_calls
        assert call["args"] == cut["function"]["arguments"]
        assert state["messages"][-1].text == ("pong" if middleware else "")
        sent = server.requests[-1].body.decode().replace("\\", "")
        assert ('{"a": 17, "b"' in sent) is bool(middleware)


# --- human in the loop, memory, long histories -----------------------------------------------

EMAIL = ask('Get the weather in "Oslo", then send an email to ann@example.org.')
DECISIONS = {
    "approve": ({"type": "approve"}, "sent "),
    "edit": (
        {
            "type": "edit",
            "edited_action": {
                "name": "send_email",
                "args": {"to": "bob@example.org", "subject": "rain"},
            },
        },
        "sent 'rain' to bob@example.org",
    ),
    "reject": ({"type": "reject", "message": "Not today."}, "Not today."),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_interrupted_agent_is_resumed_by_another_process(name, fields, tmp_path):
    decision, expected = DECISIONS[name]
    path = str(tmp_path / "checkpoints.sqlite")
    thread_id = f"{fields['model']}/{fields['api']}/{name}"
    with SqliteSaver.from_conn_string(path) as saver:
        state = approved_agent(saver, **fields).invoke(EMAIL, thread(thread_id))
    (interrupt,) = state["__interrupt__"]
    (request,) = interrupt.value["action_requests"]
    assert request["name"] == "send_email"
    assert request["args"]["to"] == "ann@example.org"
    (resumed,) = in_another_process("resume", path, thread_id, json.dumps(decision))
    messages = resumed["messages"]
    kinds = [kind for kind, _ in messages]
    assert kinds == ["human", "ai", "tool", "ai", "tool", "ai"]
    assert expected in messages[-2][1]
    assert "rain in Oslo" in messages[-1][1]
    assert expected in messages[-1][1]


async def test_interrupted_agent_is_resumed_asynchronously(model, tmp_path):
    path = str(tmp_path / "checkpoints.sqlite")
    for given in (EMAIL, Command(resume={"decisions": [{"type": "approve"}]})):
        async with AsyncSqliteSaver.from_conn_string(path) as saver:
            agent = agent_of(
                model,
                [get_weather, send_email],
                middleware=[HumanInTheLoopMiddleware({"send_email": True})],
                checkpointer=saver,
            )
            state = await agent.ainvoke(given, thread("t"))
    assert [m.type for m in state["messages"]] == ["human", "ai", "tool", "ai", "tool", "ai"]
    assert "sent" in state["messages"][-1].text


async def test_interrupted_agent_can_be_given_another_message(model):
    """The tool call of the interrupted run has no result; the thread goes on."""
    agent = agent_of(
        model,
        [get_weather, send_email],
        middleware=[HumanInTheLoopMiddleware({"send_email": True})],
        checkpointer=InMemorySaver(),
    )
    for name, call_mode in (("sync", call_modes.invoke), ("async", call_modes.ainvoke)):
        bound = agent.with_config(configurable={"thread_id": name})
        state = await call_mode(bound, ask("Send an email to ann@example.org."))
        assert state["__interrupt__"]
        with pytest.warns(UserWarning, match=r"\(send_email\) has no tool result"):
            state = await call_mode(bound, ask("What is the weather in Oslo?"))
        kinds = [message.type for message in state["messages"]]
        assert kinds == ["human", "ai", "human", "ai", "tool", "ai"]
        assert "rain in Oslo" in state["messages"][-1].text


async def test_agent_with_summarization(model):
    agent = agent_of(
        model,
        [multiply, get_weather],
        middleware=[SummarizationMiddleware(model, trigger=("messages", 5), keep=("messages", 3))],
        checkpointer=InMemorySaver(),
    )
    for number, city in enumerate(("Oslo", "Rome", "Berlin", "Paris")):
        prompt = ask(f"What is the weather in {city}?")
        for state in (
            agent.invoke(prompt, thread("sync")),
            await agent.ainvoke(prompt, thread("async")),
        ):
            assert f"rain in {city}" in state["messages"][-1].text
            assert len(state["messages"]) < 9, number
    assert "summary" in state["messages"][0].text


@pytest.mark.parametrize("counts_files", [True, False])
async def test_summarization_keeps_a_pdf_if_the_model_counts(counts_files, model):
    """LangChain's default counter counts each base64 character (langchain 1.5.2)."""
    counter = {"token_counter": model.get_num_tokens_from_messages} if counts_files else {}
    middleware = SummarizationMiddleware(
        model, trigger=("tokens", 100_000), keep=("messages", 2), **counter
    )
    saver = InMemorySaver()
    agent = agent_of(model, middleware=[middleware], checkpointer=saver)
    pdf = (HERE / "media" / "document.pdf").read_bytes() + b"\n%" + b"x" * 900_000
    first = [{"type": "text", "text": "Read this."}, media_block(pdf, mime_type="application/pdf")]
    for name, call_mode in (("sync", call_modes.invoke), ("async", call_modes.ainvoke)):
        bound = agent.with_config(configurable={"thread_id": name})
        await call_mode(bound, {"messages": [HumanMessage(first)]})
        state = await call_mode(bound, ask("Say 'two'."))
        assert state["messages"][-1].text == "two"
        is_kept = isinstance(state["messages"][0].content, list)
        assert is_kept is counts_files


@pytest.mark.parametrize("start_on", ["human", None])
async def test_agent_with_trimmed_history(start_on, model):
    """With `start_on`, a trimmed history begins with a user message; without, with any."""
    kept = []

    def trimmed(request):
        options = {"strategy": "last", "token_counter": len, "start_on": start_on}
        messages = trim_messages(request.messages, max_tokens=4, **options)
        while messages[0].type == "tool":  # its call was cut off
            messages.pop(0)
        kept.append(messages[0].type)
        return request.override(messages=messages)

    @wrap_model_call
    def trim(request, handler):
        return handler(trimmed(request))

    @wrap_model_call
    async def atrim(request, handler):
        return await handler(trimmed(request))

    saver = InMemorySaver()
    agent = agent_of(model, [get_weather], middleware=[trim], checkpointer=saver)
    async_agent = agent_of(model, [get_weather], middleware=[atrim], checkpointer=saver)
    for city in ("Oslo", "Rome", "Berlin"):
        prompt = ask(f"What is the weather in {city}?")
        for state in (
            agent.invoke(prompt, thread("sync")),
            await async_agent.ainvoke(prompt, thread("async")),
        ):
            assert f"rain in {city}" in state["messages"][-1].text
    assert set(kept) == ({"human"} if start_on else {"human", "ai"})


# --- failures --------------------------------------------------------------------------------


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


# --- other features of LangChain -------------------------------------------------------------


def test_configurable_alternatives():
    either = ChatKieGemini(model="gemini-3-flash").configurable_alternatives(
        ConfigurableField(id="which"),
        default_key="fast",
        deep=ChatKieGemini(model="gemini-3.1-pro"),
    )
    for which, name in (("fast", "gemini-3-flash"), ("deep", "gemini-3.1-pro")):
        answer = either.invoke("Say 'hello'.", {"configurable": {"which": which}})
        assert answer.response_metadata["model_name"] == name


def test_configurable_field_with_tools(fields):
    model = ChatKieGemini(**fields).configurable_fields(temperature=ConfigurableField(id="t"))
    bound = model.bind_tools([multiply])
    answer = bound.invoke("Multiply 17 by 23.", {"configurable": {"t": 0.1}})
    assert answer.tool_calls[0]["args"] == {"a": 17, "b": 23}


async def test_batch_keeps_the_order_and_returns_errors(model):
    words = [f"word{number}" for number in range(12)]
    prompts = [f"Say '{word}'." for word in words]
    assert [m.text for m in model.batch(prompts)] == words
    assert [m.text for m in await model.abatch(prompts, {"max_concurrency": 3})] == words
    done = dict(model.batch_as_completed(prompts))
    assert [done[number].text for number in range(12)] == words
    mixed = model.batch([prompts[0], "", prompts[1]], return_exceptions=True)
    assert [getattr(m, "text", None) for m in mixed] == ["word0", None, "word1"]
    assert isinstance(mixed[1], ValueError)


async def test_agent_with_a_cached_model_sends_no_request(fields, service):
    agent = agent_of(ChatKieGemini(**fields, cache=InMemoryCache()), [multiply])
    check_messages(agent.invoke(QUESTION)["messages"])
    # LangChain marks a cached answer, so the prompt that contains it is a new one.
    check_messages(agent.invoke(QUESTION)["messages"])
    count = service and len(service.requests)
    check_messages(agent.invoke(QUESTION)["messages"])
    check_messages((await agent.ainvoke(QUESTION))["messages"])
    assert (service and len(service.requests)) == count


# --- LangGraph -------------------------------------------------------------------------------


@pytest.fixture
def graph(model):
    """A tool-calling graph as in LangGraph's guide."""
    tools = [get_weather, multiply]
    bound = model.bind_tools(tools)

    def call_model(state):
        return {"messages": [bound.invoke(state["messages"])]}

    async def acall_model(state):
        return {"messages": [await bound.ainvoke(state["messages"])]}

    def build(node):
        builder = StateGraph(MessagesState)
        builder.add_node("model", node)
        builder.add_node("tools", ToolNode(tools))
        builder.add_edge(START, "model")
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
        return builder.compile()

    return build(call_model), build(acall_model)


WEATHER = ask("What is the weather in Oslo and in Rome?")
FOUND = "rain in Oslo; rain in Rome"


def _check_stream(events):
    """Check that the chunks add up to the messages of the updates."""
    tokens, updates = {}, []
    for mode, event in events:
        if mode == "updates":
            updates += [(node, m) for node, u in event.items() for m in u["messages"]]
        elif isinstance(event[0], AIMessageChunk):
            chunk, metadata = event
            assert metadata["langgraph_node"] == "model"
            assert metadata["ls_provider"] == "kie"
            tokens.setdefault(chunk.id, []).append(chunk)
    assert [node for node, _ in updates] == ["model", "tools", "tools", "model"]
    messages = [m for node, m in updates if node == "model"]
    assert [m.id for m in messages] == list(tokens)
    for message in messages:
        chunks = tokens[message.id]
        total = chunks[0]
        for chunk in chunks[1:]:
            total += chunk
        assert total.text == message.text
        assert total.tool_calls == message.tool_calls
        assert total.usage_metadata == message.usage_metadata
        assert total.additional_kwargs == message.additional_kwargs
    assert len(tokens[messages[-1].id]) > 3
    assert FOUND in messages[-1].text


async def test_graph_invoke(graph):
    sync_graph, async_graph = graph
    assert FOUND in sync_graph.invoke(WEATHER)["messages"][-1].text
    assert FOUND in (await async_graph.ainvoke(WEATHER))["messages"][-1].text


async def test_graph_stream(graph):
    sync_graph, async_graph = graph
    modes = ["messages", "updates"]
    _check_stream(sync_graph.stream(WEATHER, stream_mode=modes))
    _check_stream([e async for e in async_graph.astream(WEATHER, stream_mode=modes)])


# --- MCP, several agents ---------------------------------------------------------------------


async def test_agent_with_mcp_tools(model):
    """With a real server, in another process, over stdio."""
    connection = {
        "transport": "stdio",
        "command": sys.executable,
        "args": [str(HERE / "mcp_server.py")],
    }
    client = MultiServerMCPClient({"travel": connection})
    async with client.session("travel") as session:
        from langchain_mcp_adapters.tools import load_mcp_tools  # noqa: PLC0415

        tools = {t.name: t for t in await load_mcp_tools(session)}
        assert {"get_weather", "list_flights", "draw_map", "cancel_booking"} == tools.keys()

        state = await agent_of(model, [tools["get_weather"]]).ainvoke(WEATHER)
        assert len(results_of(state)) == 2
        assert FOUND in state["messages"][-1].text

        prompt = ask('List the flights with origin "Oslo" and destination "Rome".')
        state = await agent_of(model, [*tools.values()]).ainvoke(prompt)
        assert "Osl-Rom-1" in state["messages"][-1].text

        state = await agent_of(model, [tools["draw_map"]]).ainvoke(ask('Draw a map of "Oslo".'))
        assert isinstance(results_of(state)[0].content, list)
        assert "image/png" in state["messages"][-1].text

        agent = agent_of(
            model, [tools["cancel_booking"]], middleware=[ToolRetryMiddleware(max_retries=0)]
        )
        state = await agent.ainvoke(ask('Cancel the booking with code "X17".'))
        assert results_of(state)[0].status == "error"
        assert "X17" in state["messages"][-1].text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_supervisor_hands_over_to_two_agents(model):
    weather = create_agent(model, [get_weather], name="weather_agent")
    maths = create_agent(model, [multiply], name="maths_agent")
    instructions = "You hand over to the weather agent and to the maths agent."

    def supervisor(output_mode):
        graph = create_supervisor(
            [weather, maths], model=model, prompt=instructions, output_mode=output_mode
        )
        return graph.compile().with_config(recursion_limit=30)

    prompt = ask(
        "First transfer to the weather agent for the weather in Oslo, then transfer to the maths "
        "agent to multiply 17 by 23."
    )
    for mode in ("full_history", "last_message"):
        for state in (supervisor(mode).invoke(prompt), await supervisor(mode).ainvoke(prompt)):
            called = [c["name"] for m in state["messages"] if m.type == "ai" for c in m.tool_calls]
            assert "transfer_to_weather_agent" in called
            assert "transfer_to_maths_agent" in called
            names = {m.name for m in state["messages"] if m.type == "ai"}
            assert names >= {"supervisor", "weather_agent", "maths_agent"}
            assert state["messages"][-1].text


async def test_agents_as_tools_of_another_agent(model):
    """A supervisor calls its agents as tools, both in one turn."""
    weather = agent_of(model, [get_weather])
    maths = agent_of(model, [multiply])

    @tool
    def ask_weather(request: str) -> str:
        """Get the weather from the weather desk."""
        return weather.invoke(ask(request))["messages"][-1].text

    @tool
    def ask_maths(request: str) -> str:
        """Multiply numbers at the maths desk."""
        return maths.invoke(ask(request))["messages"][-1].text

    agent = agent_of(model, [ask_weather, ask_maths])
    prompt = ask(
        'Do ask_weather("What is the weather in Oslo?") and ask_maths("Multiply 17 by 23").'
    )
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        assert [r.name for r in results_of(state)] == ["ask_weather", "ask_maths"]
        assert "rain in Oslo" in state["messages"][-1].text
        assert "391" in state["messages"][-1].text


# --- the demo --------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "gemini-2.5-pro"])
def test_demo_prints_calls_results_and_credits(model):
    command = [sys.executable, "-m", "demo", "--model", model]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    assert re.search(r"calculate\(expression='17 ?\* ?23'\)", shown)
    assert "tool  391" in shown
    assert "current_time(timezone='Europe/Paris')" in shown
    assert "credits" in shown.splitlines()[-1]
