"""Whole agent conversations with the real LangChain and LangGraph, on every route."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool

from langchain_kie import ChatKieGemini

ROUTES = [
    ("gemini-3-flash", "chat_completions"),
    ("gemini-3.1-pro", "chat_completions"),
    ("gemini-3.6-flash", "chat_completions"),
    ("gemini-3.5-flash", "generate_content"),
    ("gemini-3-flash", "gateway"),
]
QUESTION = {"messages": [{"role": "user", "content": "Multiply 17 by 23."}]}


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@pytest.fixture(params=ROUTES, ids="-".join)
def agent(request):
    """An agent with one tool, on one route."""
    model, api = request.param
    return create_agent(ChatKieGemini(model=model, api=api), [multiply])


def _check(messages):
    _, asked, result, answer = messages
    assert isinstance(asked, AIMessage)
    assert [(c["name"], c["args"]) for c in asked.tool_calls] == [("multiply", {"a": 17, "b": 23})]
    assert isinstance(result, ToolMessage)
    assert result.content == "391"
    assert "391" in answer.text
    assert answer.usage_metadata["output_tokens"] > 0


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


@pytest.mark.parametrize("model", ["gemini-3.5-flash", "gemini-2.5-pro"])
def test_the_demo_shows_thoughts_calls_results_and_cost(model):
    command = [sys.executable, "-m", "demo", "--model", model]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.search(r"calculate\(expression='17 ?\* ?23'\)", shown)
    assert "tool  391" in shown
    assert "current_time(timezone='Europe/Paris')" in shown
    assert "credits" in shown.splitlines()[-1]
