"""Agents of LangChain and LangGraph, on every API."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import call_modes
import orjson
import pytest
from agent_parts import (
    PONG,
    QUESTION,
    agent_of,
    ask,
    check_messages,
    find_capital,
    multiply,
    results_of,
)
from checkpoint_reader import (
    approved_agent,
    get_weather,
    in_another_process,
    send_email,
    thread,
)
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    SummarizationMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
    wrap_model_call,
)
from langchain_core.caches import InMemoryCache
from langchain_core.messages import (
    HumanMessage,
    trim_messages,
)
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from limits import MAX_WAIT

from langchain_kie import ChatKieGemini, media_block

HERE = Path(__file__).parent

MODELS = [
    ("gemini-3-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3.6-flash", "chat_completions"),
    ("gemini-3.5-flash", "generate_content"),
    ("gemini-3-flash", "gateway"),
]


@pytest.fixture(params=MODELS, ids="-".join)
def agent(request):
    """An agent with one tool."""
    model, api = request.param
    return agent_of(ChatKieGemini(model=model, api=api), [multiply])


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
    running, at_once = [], threading.Barrier(3, timeout=MAX_WAIT)

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


def test_interrupted_agents_are_resumed_by_another_process(fields, tmp_path):
    path = str(tmp_path / "checkpoints.sqlite")
    rows = {f"{fields['model']}/{fields['api']}/{name}": row for name, row in DECISIONS.items()}
    with SqliteSaver.from_conn_string(path) as saver:
        agent = approved_agent(saver, **fields)
        states = [agent.invoke(EMAIL, thread(name)) for name in rows]
    for state in states:
        (interrupt,) = state["__interrupt__"]
        (request,) = interrupt.value["action_requests"]
        assert request["name"] == "send_email"
        assert request["args"]["to"] == "ann@example.org"
    decisions = {name: decision for name, (decision, _) in rows.items()}
    resumed = in_another_process("resume", path, json.dumps(decisions))
    assert [line["thread"] for line in resumed] == [*rows]
    for line, (_, expected) in zip(resumed, rows.values(), strict=True):
        messages = line["messages"]
        kinds = [kind for kind, _ in messages]
        assert kinds == ["human", "ai", "tool", "ai", "tool", "ai"], line
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
