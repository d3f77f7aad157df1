"""Whole agent conversations with the real LangChain and LangGraph, on every route."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from checkpoint_reader import approved_agent, get_weather, send_email, thread
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
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import ModelRateLimitError
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command
from langgraph_supervisor import create_supervisor
from scripted_server import Scripted, ScriptedServer

from langchain_kie import ChatKieGemini
from langchain_kie.errors import (
    KieAuthenticationError,
    KieInsufficientCreditsError,
    KieRateLimitError,
    KieServerError,
)

HERE = Path(__file__).parent
ROUTES = [
    ("gemini-3-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3.6-flash", "chat_completions"),
    ("gemini-3.5-flash", "generate_content"),
    ("gemini-3-flash", "gateway"),
]
DIALECTS = [("gemini-3-flash", "chat_completions"), ("gemini-3.5-flash", "generate_content")]
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
    """An agent that stops when it turns in circles."""
    return create_agent(*args, **kwargs).with_config(recursion_limit=30)


@pytest.fixture(params=ROUTES, ids="-".join)
def agent(request):
    """An agent with one tool, on one route."""
    model, api = request.param
    return agent_of(ChatKieGemini(model=model, api=api), [multiply])


@pytest.fixture(params=DIALECTS, ids="-".join)
def fields(request):
    """The fields of a model, in one dialect."""
    model, api = request.param
    return {"model": model, "api": api}


@pytest.fixture
def model(fields):
    return ChatKieGemini(**fields)


@pytest.fixture
def failing(fields):
    """Makes a model whose server answers with these codes, each an envelope, and then well."""
    servers = []

    def make(*codes, **more):
        script = [envelope(code) for code in codes] + [GOOD[fields["api"]]]
        server = ScriptedServer(*(Scripted([orjson.dumps(body)]) for body in script))
        servers.append(server.__enter__())
        given = {**fields, "base_url": server.base_url, "max_retries": 0, **more}
        return ChatKieGemini(**given), server

    yield make
    for server in servers:
        server.__exit__()


def envelope(code):
    words = {429: "Too many requests", 401: "Unauthorized", 402: "Credits insufficient"}
    return {"code": code, "msg": words.get(code, "Server exception"), "data": None}


GOOD = {
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


def _check(messages):
    _, asked, result, answer = messages
    assert isinstance(asked, AIMessage)
    assert [(c["name"], c["args"]) for c in asked.tool_calls] == [("multiply", {"a": 17, "b": 23})]
    assert isinstance(result, ToolMessage)
    assert result.content == "391"
    assert "391" in answer.text
    assert answer.usage_metadata["output_tokens"] > 0


# --- one tool, every route -------------------------------------------------------------------


def test_an_agent_thinks_calls_and_answers(agent):
    _check(agent.invoke(QUESTION)["messages"])


async def test_an_agent_does_so_asynchronously(agent):
    _check((await agent.ainvoke(QUESTION))["messages"])


def test_an_agent_streams_its_messages_and_updates(agent):
    tokens, messages = [], [QUESTION["messages"][0]]
    for mode, event in agent.stream(QUESTION, stream_mode=["messages", "updates"]):
        if mode == "messages":
            tokens.append(event[0].text)
        else:
            messages += [m for update in event.values() for m in update["messages"]]
    _check(messages)
    assert "".join(tokens).endswith(messages[-1].text)


async def test_an_agent_streams_asynchronously(agent):
    messages = [QUESTION["messages"][0]]
    async for event in agent.astream(QUESTION, stream_mode="updates"):
        messages += [m for update in event.values() for m in update["messages"]]
    _check(messages)


# --- parallel tools, tools that fail ---------------------------------------------------------


async def test_an_agent_calls_tools_in_parallel(model):
    running, at_once = [], threading.Barrier(3, timeout=10)

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
async def test_a_model_is_told_that_a_tool_failed(middleware, model):
    agent = agent_of(model, [find_capital], middleware=[middleware])
    prompt = ask('Find the capital of the country "Atlantis".')
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        (result,) = results_of(state)
        assert result.status == "error"
        assert "error" in state["messages"][-1].text.lower()
        assert "Atlantis" in state["messages"][-1].text


async def test_one_tool_fails_and_the_other_does_not(model):
    retry = ToolRetryMiddleware(max_retries=0)
    agent = agent_of(model, [find_capital, multiply], middleware=[retry])
    prompt = ask('Find the capital of the country "Atlantis" and multiply 17 by 23.')
    for state in (agent.invoke(prompt), await agent.ainvoke(prompt)):
        assert {r.status for r in results_of(state)} == {"error", "success"}
        assert "391" in state["messages"][-1].text


# --- a person in the loop, memory, long histories --------------------------------------------

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
def test_an_interrupted_agent_is_resumed_by_another_process(name, fields, tmp_path):
    """The process that asked is gone; the SQLite file is all that the next one has."""
    decision, expected = DECISIONS[name]
    path = str(tmp_path / "checkpoints.sqlite")
    thread_id = f"{fields['model']}/{fields['api']}/{name}"
    with SqliteSaver.from_conn_string(path) as saver:
        state = approved_agent(saver, **fields).invoke(EMAIL, thread(thread_id))
    (interrupt,) = state["__interrupt__"]
    (request,) = interrupt.value["action_requests"]
    assert request["name"] == "send_email"
    assert request["args"]["to"] == "ann@example.org"
    script = str(HERE / "checkpoint_reader.py")
    command = [sys.executable, script, "resume", path, thread_id, json.dumps(decision)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    messages = json.loads(ran.stdout)["messages"]
    kinds = [kind for kind, _ in messages]
    assert kinds == ["human", "ai", "tool", "ai", "tool", "ai"]
    assert expected in messages[-2][1]
    assert "rain in Oslo" in messages[-1][1]
    assert expected in messages[-1][1]


async def test_an_interrupted_agent_is_resumed_asynchronously(model, tmp_path):
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


async def test_an_agent_summarises_its_past_and_goes_on(model):
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


@pytest.mark.parametrize("start_on", ["human", None])
async def test_an_agent_s_history_is_trimmed(start_on, model):
    """With `start_on` a cut history begins with a question; without, wherever the cut was."""
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


async def test_an_agent_falls_back_to_another_model(model, failing):
    broken, server = failing(500, 402, 401)
    agent = agent_of(broken, [multiply], middleware=[ModelFallbackMiddleware(model)])
    _check(agent.invoke(QUESTION)["messages"])
    assert len(server.requests) == 2
    broken, server = failing(402, 401)
    agent = agent_of(broken, [multiply], middleware=[ModelFallbackMiddleware(model)])
    _check((await agent.ainvoke(QUESTION))["messages"])
    assert len(server.requests) == 2


async def test_an_agent_tries_again_what_may_succeed(failing):
    """The middleware's own default asks the error whether it is worth it."""
    quick = {"initial_delay": 0, "jitter": False, "on_failure": "error"}
    for codes in ((429,), (500, 455), (524,)):
        broken, server = failing(*codes)
        agent = agent_of(broken, middleware=[ModelRetryMiddleware(**quick)])
        assert agent.invoke(ask("ping"))["messages"][-1].text == "pong"
        broken, server = failing(*codes)
        agent = agent_of(broken, middleware=[ModelRetryMiddleware(**quick)])
        assert (await agent.ainvoke(ask("ping")))["messages"][-1].text == "pong"
        assert len(server.requests) == len(codes) + 1


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, KieAuthenticationError), (402, KieInsufficientCreditsError)],
    ids=["key", "credits"],
)
async def test_an_agent_does_not_try_again_what_cannot_succeed(code, error, failing):
    broken, server = failing(code)
    retry = ModelRetryMiddleware(initial_delay=0, jitter=False, on_failure="error")
    agent = agent_of(broken, middleware=[retry])
    with pytest.raises(error):
        agent.invoke(ask("ping"))
    assert len(server.requests) == 1
    broken, server = failing(code)
    with pytest.raises(error):
        await agent_of(broken, middleware=[retry]).ainvoke(ask("ping"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("error", [KieRateLimitError, ModelRateLimitError])
def test_an_agent_tries_again_for_a_class_of_errors(error, failing):
    retry = ModelRetryMiddleware(retry_on=(error,), initial_delay=0, on_failure="error")
    broken, server = failing(429)
    assert agent_of(broken, middleware=[retry]).invoke(ask("ping"))["messages"][-1].text
    broken, server = failing(500)
    with pytest.raises(KieServerError):
        agent_of(broken, middleware=[retry]).invoke(ask("ping"))
    assert len(server.requests) == 1


async def test_with_fallbacks(model, failing):
    for code in (402, 500):
        broken, _ = failing(code)
        safe = broken.with_fallbacks([model])
        assert safe.invoke("Say 'hello'.").text == "hello"
        broken, _ = failing(code)
        safe = broken.with_fallbacks([model])
        assert (await safe.ainvoke("Say 'hello'.")).text == "hello"
        broken, _ = failing(code)
        streamed = list(broken.with_fallbacks([model]).stream("Say 'hello'."))
        assert "".join(chunk.text for chunk in streamed) == "hello"
        broken, _ = failing(code)
        bound = broken.bind_tools([multiply]).with_fallbacks([model.bind_tools([multiply])])
        assert bound.invoke("Multiply 17 by 23.").tool_calls[0]["args"] == {"a": 17, "b": 23}


async def test_fallbacks_for_a_class_of_errors_leave_others_alone(model, failing):
    broken, _ = failing(401)
    safe = broken.with_fallbacks([model], exceptions_to_handle=(KieInsufficientCreditsError,))
    with pytest.raises(KieAuthenticationError):
        safe.invoke("ping")


async def test_with_retry(failing):
    options = {
        "retry_if_exception_type": (ModelRateLimitError,),
        "wait_exponential_jitter": False,
        "stop_after_attempt": 3,
    }
    broken, server = failing(429, 429)
    assert broken.with_retry(**options).invoke("ping").text == "pong"
    assert len(server.requests) == 3
    broken, server = failing(429, 429)
    assert (await broken.with_retry(**options).ainvoke("ping")).text == "pong"
    broken, server = failing(401)
    with pytest.raises(KieAuthenticationError):
        broken.with_retry(**options).invoke("ping")
    assert len(server.requests) == 1


# --- the rest of LangChain -------------------------------------------------------------------


def test_configurable_fields_and_alternatives(service):
    model = ChatKieGemini(model="gemini-3-flash").configurable_fields(
        model=ConfigurableField(id="model"),
        temperature=ConfigurableField(id="temperature"),
        reasoning_effort=ConfigurableField(id="effort"),
    )
    chosen = {"model": "gemini-3.5-flash", "temperature": 0.5, "effort": "low"}
    answer = model.invoke("Say 'hello'.", {"configurable": chosen})
    assert answer.text == "hello"
    assert answer.response_metadata["model_name"] == "gemini-3.5-flash"
    if service:
        config = service.requests[-1].body["generationConfig"]
        assert config["temperature"] == 0.5
        assert config["thinkingConfig"]["thinkingLevel"] == "low"
    either = ChatKieGemini(model="gemini-3-flash").configurable_alternatives(
        ConfigurableField(id="which"),
        default_key="fast",
        deep=ChatKieGemini(model="gemini-3.1-pro"),
    )
    for which, name in (("fast", "gemini-3-flash"), ("deep", "gemini-3.1-pro")):
        answer = either.invoke("Say 'hello'.", {"configurable": {"which": which}})
        assert answer.response_metadata["model_name"] == name


def test_configurable_fields_with_tools(fields):
    model = ChatKieGemini(**fields).configurable_fields(temperature=ConfigurableField(id="t"))
    bound = model.bind_tools([multiply])
    answer = bound.invoke("Multiply 17 by 23.", {"configurable": {"t": 0.1}})
    assert answer.tool_calls[0]["args"] == {"a": 17, "b": 23}


async def test_batches_keep_their_order_and_their_errors_apart(model):
    words = [f"word{number}" for number in range(12)]
    prompts = [f"Say '{word}'." for word in words]
    assert [m.text for m in model.batch(prompts)] == words
    assert [m.text for m in await model.abatch(prompts, {"max_concurrency": 3})] == words
    done = dict(model.batch_as_completed(prompts))
    assert [done[number].text for number in range(12)] == words
    mixed = model.batch([prompts[0], "", prompts[1]], return_exceptions=True)
    assert [getattr(m, "text", None) for m in mixed] == ["word0", None, "word1"]
    assert isinstance(mixed[1], ValueError)


async def test_an_agent_with_a_cached_model_does_not_ask_again(fields, service):
    agent = agent_of(ChatKieGemini(**fields, cache=InMemoryCache()), [multiply])
    _check(agent.invoke(QUESTION)["messages"])
    _check(agent.invoke(QUESTION)["messages"])  # LangChain marks a cached call: a new question
    asked = service and len(service.requests)
    _check(agent.invoke(QUESTION)["messages"])
    _check((await agent.ainvoke(QUESTION))["messages"])
    assert (service and len(service.requests)) == asked


# --- LangGraph by hand -----------------------------------------------------------------------


@pytest.fixture
def graph(model):
    """A tool-calling graph as LangGraph's own guide builds it."""
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
    """Tokens come as they are written, and add up to what the updates tell."""
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


async def test_a_graph_built_by_hand(graph):
    sync_graph, async_graph = graph
    assert FOUND in sync_graph.invoke(WEATHER)["messages"][-1].text
    assert FOUND in (await async_graph.ainvoke(WEATHER))["messages"][-1].text


async def test_a_graph_streams_messages_and_updates(graph):
    sync_graph, async_graph = graph
    modes = ["messages", "updates"]
    _check_stream(sync_graph.stream(WEATHER, stream_mode=modes))
    _check_stream([e async for e in async_graph.astream(WEATHER, stream_mode=modes)])


# --- MCP, several agents ---------------------------------------------------------------------


async def test_an_agent_uses_the_tools_of_an_mcp_server(model):
    """A real server, in a process of its own, over stdio."""
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
async def test_a_supervisor_hands_over_to_two_agents(model):
    weather = create_agent(model, [get_weather], name="weather_agent")
    maths = create_agent(model, [multiply], name="maths_agent")
    prompt = "You hand over to the weather agent and to the maths agent."

    def supervisor(output_mode):
        graph = create_supervisor(
            [weather, maths], model=model, prompt=prompt, output_mode=output_mode
        )
        return graph.compile().with_config(recursion_limit=30)

    asked = ask(
        "First transfer to the weather agent for the weather in Oslo, then transfer to the maths "
        "agent to multiply 17 by 23."
    )
    for mode in ("full_history", "last_message"):
        for state in (supervisor(mode).invoke(asked), await supervisor(mode).ainvoke(asked)):
            called = [c["name"] for m in state["messages"] if m.type == "ai" for c in m.tool_calls]
            assert "transfer_to_weather_agent" in called
            assert "transfer_to_maths_agent" in called
            names = {m.name for m in state["messages"] if m.type == "ai"}
            assert names >= {"supervisor", "weather_agent", "maths_agent"}
            assert state["messages"][-1].text


async def test_agents_that_are_tools_of_another(model):
    """A supervisor that calls its agents as tools, both at once."""
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
def test_the_demo_shows_thoughts_calls_results_and_cost(model):
    command = [sys.executable, "-m", "demo", "--model", model]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.search(r"calculate\(expression='17 ?\* ?23'\)", shown)
    assert "tool  391" in shown
    assert "current_time(timezone='Europe/Paris')" in shown
    assert "credits" in shown.splitlines()[-1]
