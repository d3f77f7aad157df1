"""Graphs of LangGraph, MCP, several agents, and the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from agent_parts import agent_of, ask, multiply, results_of
from checkpoint_reader import (
    get_weather,
)
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ToolRetryMiddleware,
)
from langchain_core.messages import (
    AIMessageChunk,
)
from langchain_core.tools import tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph_supervisor import create_supervisor
from limits import MAX_RUN

HERE = Path(__file__).parent

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
    assert len(tokens[messages[-1].id]) > 1
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
    shown = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=MAX_RUN
    ).stdout
    assert re.search(r"calculate\(expression='17 ?\* ?23'\)", shown)
    assert "tool  391" in shown
    assert "current_time(timezone='Europe/Paris')" in shown
    assert "credits" in shown.splitlines()[-1]
