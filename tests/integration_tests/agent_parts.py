"""What the tests of agents share: tools, questions, agents."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

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
