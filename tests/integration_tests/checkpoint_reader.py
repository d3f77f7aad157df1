"""Continues conversations of a SQLite file in another process.

    python checkpoint_reader.py continue <file>   answers the open tool calls of every thread
    python checkpoint_reader.py resume <file> <decisions>   resumes interrupted agents

Prints one line of JSON for each thread, in the order of their names or of the decisions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from limits import MAX_RUN

from langchain_kie import ChatKieGemini


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"rain in {city}"


@tool
def send_email(to: str, subject: str) -> str:
    """Send an email."""
    return f"sent {subject!r} to {to}"


def conversation(checkpointer, **fields):
    """A graph that only calls the model."""

    def ask(state):
        model = ChatKieGemini(**fields).bind_tools([get_weather])
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("model", ask).add_edge(START, "model")
    return graph.compile(checkpointer)


def approved_agent(checkpointer, **fields):
    """An agent that sends emails only after approval."""
    return create_agent(
        ChatKieGemini(**fields),
        [get_weather, send_email],
        middleware=[HumanInTheLoopMiddleware({"send_email": True})],
        checkpointer=checkpointer,
    )


def followed_up(message):
    """The next messages: the tool results, or a user message."""
    results = [ToolMessage("rain", tool_call_id=c["id"]) for c in message.tool_calls]
    return results or [HumanMessage("Go on.")]


def thread(name):
    """The LangGraph config of a conversation."""
    return {"configurable": {"thread_id": name}}


def in_another_process(*arguments):
    """Run this script in another process, and return the objects that it prints."""
    command = [sys.executable, __file__, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    done = subprocess.run(command, stdout=pipe, env=environment, check=True, timeout=MAX_RUN)
    return [json.loads(line) for line in done.stdout.splitlines()]


def continue_threads(checkpointer):
    """Continue every thread; its name begins with `<model>/<api>/`."""
    names = {c.config["configurable"]["thread_id"] for c in checkpointer.list(None)}
    for name in sorted(names):
        model, api, _ = name.split("/", 2)
        graph = conversation(checkpointer, model=model, api=api)
        last = graph.get_state(thread(name)).values["messages"][-1]
        assert isinstance(last, AIMessage)
        state = graph.invoke({"messages": followed_up(last)}, thread(name))
        yield {"thread": name, "text": state["messages"][-1].text}


def resume(checkpointer, decisions):
    """Resume interrupted agents; `decisions` is JSON with a decision for each thread."""
    for name, decision in json.loads(decisions).items():
        model, api, _ = name.split("/", 2)
        agent = approved_agent(checkpointer, model=model, api=api)
        state = agent.invoke(Command(resume={"decisions": [decision]}), thread(name))
        yield {"thread": name, "messages": [[m.type, m.text] for m in state["messages"]]}


if __name__ == "__main__":
    command, path, *arguments = sys.argv[1:]
    with SqliteSaver.from_conn_string(path) as saver:
        for line in {"continue": continue_threads, "resume": resume}[command](saver, *arguments):
            print(json.dumps(line))  # noqa: T201 - the caller reads it
