"""Agents behind the servers of LangGraph and AG-UI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint
from fastapi import FastAPI
from langchain.agents import create_agent
from langchain_core.messages import messages_from_dict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_sdk import get_client
from script import call, transcript

from langchain_kie.emulator import Answer, ToolCall

ROOT = Path(__file__).parents[2]


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"rain in {city}"


def pay(amount: int, to: str) -> str:
    """Pay an amount."""
    return f"paid {amount} to {to}"


# --- langgraph dev ---------------------------------------------------------------------------

GRAPHS = '''
import time

from langchain.agents import create_agent
from langgraph.graph import START, MessagesState, StateGraph

from langchain_kie import ChatKieGemini


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"rain in {city}"


async def wait(state):
    time.sleep(0)


chat_completions = create_agent(ChatKieGemini(model="gemini-3-flash"), [get_weather])
generate_content = create_agent(ChatKieGemini(model="gemini-3.5-flash"), [get_weather])
blocking = StateGraph(MessagesState).add_node(wait).add_edge(START, "wait").compile()
'''
NAMES = ["chat_completions", "generate_content", "blocking"]


class DevServer:
    """`langgraph dev` in a process, without telemetry.

    Args:
        folder: The project, with a `langgraph.json`.

    Attributes:
        url: The address.
        output: The lines that the server printed.
    """

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.output = []
        self._started = threading.Event()
        command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload"]
        switches = {
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGGRAPH_NO_VERSION_CHECK": "true",
            "LANGSMITH_TRACING": "false",
            "PYTHONPATH": str(ROOT),
        }
        self._process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env={**os.environ, **switches},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self._reader.start()
        self._started.wait()
        while not self._is_listening():
            assert self._process.poll() is None, "".join(self.output)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            self.output.append(line)
            if "Application started up" in line:
                self._started.set()
        self._started.set()

    def _is_listening(self):
        try:
            return httpx.get(f"{self.url}/ok", timeout=None).is_success
        except httpx.TransportError:
            return False


async def events_of(client, thread, name, question):
    given = {"messages": [{"role": "user", "content": question}]}
    stream = client.runs.stream(
        thread["thread_id"], name, input=given, stream_mode="messages-tuple"
    )
    return [event async for event in stream]


async def check_served_agent(client, name, script):
    thread = await client.threads.create()
    conversation = {
        "Weather in Oslo?": [call("get_weather", city="Oslo"), "It rains."],
        "Thanks.": ["You are welcome."],
    }
    for question, answers in conversation.items():
        script.answers = list(answers)
        events = await events_of(client, thread, name, question)
        assert not [event.data for event in events if event.event == "error"]
        texts = [event.data[0]["content"] for event in events if event.event == "messages"]
        assert "".join(texts).endswith(answers[-1])
    state = await client.threads.get_state(thread["thread_id"])
    messages = messages_from_dict(
        [{"type": message["type"], "data": message} for message in state["values"]["messages"]]
    )
    assert transcript(messages) == [
        "human: Weather in Oslo?",
        "call get_weather {'city': 'Oslo'}",
        "tool: rain in Oslo",
        "ai: It rains.",
        "human: Thanks.",
        "ai: You are welcome.",
    ]
    last = script.requests[-1]
    assert [c.args for turn in last.turns for c in turn.calls] == [{"city": "Oslo"}]


async def test_langgraph_dev_serves_agents_that_do_not_block_it(script, tmp_path):
    (tmp_path / "graphs.py").write_text(GRAPHS)
    graphs = {name: f"./graphs.py:{name}" for name in NAMES}
    config = {"dependencies": ["."], "graphs": graphs}
    (tmp_path / "langgraph.json").write_text(json.dumps(config))
    with DevServer(tmp_path) as server:
        client = get_client(url=server.url)
        events = await events_of(client, await client.threads.create(), "blocking", "Hi")
        assert events[-1].data["error"] == "BlockingError"  # else the rest would prove nothing
        for name in ("generate_content", "chat_completions"):
            await check_served_agent(client, name, script)


# --- AG-UI -----------------------------------------------------------------------------------


async def test_ag_ui_events_have_the_arguments_of_every_call(model, script):
    agent = create_agent(model, [get_weather, pay], checkpointer=InMemorySaver())
    app = FastAPI()
    add_langgraph_fastapi_endpoint(app, LangGraphAgent(name="agent", graph=agent), "/agent")
    calls = [ToolCall("get_weather", {"city": "Oslo"}), ToolCall("pay", {"amount": 5, "to": "Ann"})]
    script.answers = [Answer(tool_calls=calls), "It rains."]
    body = {
        "threadId": "t",
        "runId": "r",
        "state": {},
        "messages": [{"id": "1", "role": "user", "content": "Weather in Oslo? Pay Ann 5."}],
        "tools": [],
        "context": [],
        "forwardedProps": {},
    }
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        response = await client.post("/agent", json=body)
    lines = [line for line in response.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1]["type"] == "RUN_FINISHED"
    names = {e["toolCallId"]: e["toolCallName"] for e in events if e["type"] == "TOOL_CALL_START"}
    args = dict.fromkeys(names, "")
    for event in events:
        if event["type"] == "TOOL_CALL_ARGS":
            args[event["toolCallId"]] += event["delta"]
    assert {names[i]: json.loads(text) for i, text in args.items()} == {
        c.name: c.args for c in calls
    }
    results = {e["toolCallId"]: e["content"] for e in events if e["type"] == "TOOL_CALL_RESULT"}
    assert {names[i]: text for i, text in results.items()} == {
        "get_weather": "rain in Oslo",
        "pay": "paid 5 to Ann",
    }
    texts = [e["delta"] for e in events if e["type"] == "TEXT_MESSAGE_CONTENT"]
    assert "".join(texts) == "It rains."
