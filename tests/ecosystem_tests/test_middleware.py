"""An agent with each middleware of LangChain."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent, middleware
from langchain.agents.middleware import (
    AgentMiddleware,
    AutoModeMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    FilesystemFileSearchMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelChoice,
    ModelFallbackMiddleware,
    ModelRefusalMiddleware,
    ModelRetryMiddleware,
    ModelRouterMiddleware,
    PIIMiddleware,
    ProviderToolSearchMiddleware,
    ShellToolMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from script import call, transcript

from langchain_kie import ChatKieGemini
from langchain_kie.emulator import Answer, Failure

QUESTION = "Weather in Oslo?"
CALL = call("get_weather", city="Oslo")
CALLED = "call get_weather {'city': 'Oslo'}"
RAIN = "tool: rain in Oslo"


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"rain in {city}"


@tool
def delete_file(path: str) -> str:
    """Delete a file."""
    raise PermissionError(f"{path} is read-only")


def documented_decision_model():
    """The class in docs/other-libraries.md."""
    page = (Path(__file__).parents[2] / "docs" / "other-libraries.md").read_text()
    (code,) = re.findall(r"```python\n([^`]*class ChatDecisions.*?)\nfast = ", page, re.DOTALL)
    names = {"__name__": "documented"}
    exec(compile(code, "other-libraries.md", "exec", dont_inherit=True), names)
    return names["ChatDecisions"]


ChatDecisions = documented_decision_model()


@dataclass(kw_only=True)
class Scenario:
    """What happens in an agent with a middleware.

    Attributes:
        middleware: The middleware.
        answers: What the model answers, request by request.
        transcript: The messages in the end; `None` if the agent fails.
        inputs: What the user sends; a command resumes the agent.
        sent: Texts that a request, by its number, must have.
        not_sent: Texts that it must not have.
        tools: The names of the functions that a request, by its number, declares.
        models: Which model got each request; not compared if it is empty.
        state: Other values of the state in the end.
        error: A text of the error that the agent fails with.
    """

    middleware: list[Any]
    answers: list[Any]
    transcript: list[str] | None = None
    inputs: list[Any] = field(default_factory=lambda: [QUESTION])
    sent: dict[int, list[str]] = field(default_factory=dict)
    not_sent: dict[int, list[str]] = field(default_factory=dict)
    tools: dict[int, list[str]] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def auto_mode(model, path):
    return Scenario(
        middleware=[AutoModeMiddleware(tools=[delete_file], classifier=ChatDecisions(chat=model))],
        answers=[call("delete_file", path="/etc"), '{"is_risky": 0.875}', "I may not."],
        sent={1: ["Delete a file.", "/etc"]},
        transcript=[
            f"human: {QUESTION}",
            "call delete_file {'path': '/etc'}",
            (
                "error: The tool call `delete_file` was blocked because it was classified as risky "
                "(probability: 0.88). The tool was not executed."
            ),
            "ai: I may not.",
        ],
    )


def context_editing(model, path):
    edit = ClearToolUsesEdit(trigger=1, keep=1, clear_tool_inputs=True)
    return Scenario(
        middleware=[ContextEditingMiddleware(edits=[edit], token_count_method="model")],
        answers=[CALL, call("get_weather", city="Rome"), "Rain."],
        sent={1: ["rain in Oslo"], 2: ["[cleared]", "rain in Rome"]},
        not_sent={2: ["rain in Oslo", "{'city': 'Oslo'}"]},
        transcript=[
            f"human: {QUESTION}",
            CALLED,
            RAIN,
            "call get_weather {'city': 'Rome'}",
            "tool: rain in Rome",
            "ai: Rain.",
        ],
    )


def file_search(model, path):
    (path / "trip.txt").write_text("Oslo\n")
    return Scenario(
        middleware=[FilesystemFileSearchMiddleware(root_path=str(path), use_ripgrep=False)],
        answers=[call("grep_search", pattern="Os.o", output_mode="content"), "In trip.txt."],
        tools={0: ["delete_file", "get_weather", "glob_search", "grep_search"]},
        transcript=[
            f"human: {QUESTION}",
            "call grep_search {'pattern': 'Os.o', 'output_mode': 'content'}",
            "tool: /trip.txt:1:Oslo",
            "ai: In trip.txt.",
        ],
    )


def human_in_the_loop(model, path):
    edited = {"name": "get_weather", "args": {"city": "Rome"}}
    decision = {"type": "edit", "edited_action": edited}
    return Scenario(
        middleware=[HumanInTheLoopMiddleware({"get_weather": True}, edit_notice="reviewed")],
        inputs=[QUESTION, Command(resume={"decisions": [decision]})],
        answers=[CALL, "Rain in Rome."],
        sent={1: ["rain in Rome", "reviewed"]},
        transcript=[
            f"human: {QUESTION}",
            CALLED,
            (
                'tool: reviewed Executed instead: get_weather with arguments {"city": "Rome"}.'
                "\n\nTool response:\nrain in Rome"
            ),
            "ai: Rain in Rome.",
        ],
    )


def tool_emulator(model, path):
    return Scenario(
        middleware=[LLMToolEmulator(tools=["delete_file"], model=model)],
        answers=[call("delete_file", path="/a"), "deleted", "Done."],
        sent={1: ["{'path': '/a'}"], 2: ["deleted"]},
        tools={1: []},
        transcript=[
            f"human: {QUESTION}",
            "call delete_file {'path': '/a'}",
            "tool: deleted",
            "ai: Done.",
        ],
    )


def tool_selector(model, path):
    return Scenario(
        middleware=[LLMToolSelectorMiddleware(max_tools=1)],
        answers=['{"tools": ["get_weather"]}', CALL, '{"tools": ["get_weather"]}', "Rain."],
        sent={0: ["only the first 1 will be used"]},
        tools={0: [], 1: ["get_weather"], 3: ["get_weather"]},
        transcript=[f"human: {QUESTION}", CALLED, RAIN, "ai: Rain."],
    )


def model_call_limit(model, path):
    return Scenario(
        middleware=[ModelCallLimitMiddleware(run_limit=1)],
        answers=[CALL],
        transcript=[
            f"human: {QUESTION}",
            CALLED,
            RAIN,
            "ai: Model call limits exceeded: run limit (1/1)",
        ],
    )


def model_fallback(model, path):
    other = ChatKieGemini(model="gemini-3.6-flash", max_retries=0)
    return Scenario(
        middleware=[ModelFallbackMiddleware(other)],
        answers=[Failure(500), CALL, "Rain."],
        models=["main", "gemini-3-6-flash", "main"],
        tools={1: ["delete_file", "get_weather"]},
        transcript=[f"human: {QUESTION}", CALLED, RAIN, "ai: Rain."],
    )


def model_refusal(model, path):
    other = ChatKieGemini(model="gemini-3.6-flash", max_retries=0)
    return Scenario(
        middleware=[ModelFallbackMiddleware(other), ModelRefusalMiddleware()],
        answers=[Answer(block_reason="PROHIBITED_CONTENT"), "Rain."],
        models=["main", "gemini-3-6-flash"],
        transcript=[f"human: {QUESTION}", "ai: Rain."],
    )


def model_retry(model, path):
    return Scenario(
        middleware=[ModelRetryMiddleware(max_retries=1, initial_delay=0, on_failure="error")],
        answers=[Failure(500), CALL, "Rain."],
        transcript=[f"human: {QUESTION}", CALLED, RAIN, "ai: Rain."],
    )


def model_router(model, path):
    choices = {
        "weather": ModelChoice(ChatKieGemini(model="gemini-3.6-flash"), "the weather"),
        "other": ModelChoice(model, "all the rest"),
    }
    classifier = ChatDecisions(chat=model)
    return Scenario(
        middleware=[
            ModelRouterMiddleware(choices=choices, instructions="Choose.", classifier=classifier)
        ],
        answers=['{"model_route": "weather"}', CALL, "Rain."],
        models=["main", "gemini-3-6-flash", "gemini-3-6-flash"],
        transcript=[f"human: {QUESTION}", CALLED, RAIN, "ai: Rain."],
    )


def pii(model, path):
    return Scenario(
        middleware=[
            PIIMiddleware("email", apply_to_input=True, apply_to_output=True),
            PIIMiddleware("ip", apply_to_tool_results=True),
        ],
        inputs=["I am ann@example.org."],
        answers=[call("get_weather", city="10.0.0.1"), "Hi bob@example.org."],
        sent={0: ["[REDACTED_EMAIL]"], 1: ["rain in [REDACTED_IP]"]},
        not_sent={0: ["ann@"], 1: ["rain in 10.0"]},
        transcript=[
            "human: I am [REDACTED_EMAIL].",
            "call get_weather {'city': '10.0.0.1'}",
            "tool: rain in [REDACTED_IP]",
            "ai: Hi [REDACTED_EMAIL].",
        ],
    )


def provider_tool_search(model, path):
    return Scenario(
        middleware=[ProviderToolSearchMiddleware(searchable_tools=["get_weather"])],
        answers=[],
        error="requires a provider with server-side tool search, but got 'kie'",
    )


def shell_tool(model, path):
    return Scenario(
        middleware=[ShellToolMiddleware(path)],
        answers=[call("shell", command="echo $((2 + 3))"), "5"],
        tools={0: ["delete_file", "get_weather", "shell"]},
        sent={1: ["5"]},
        transcript=[
            f"human: {QUESTION}",
            "call shell {'command': 'echo $((2 + 3))'}",
            "tool: 5\n",
            "ai: 5",
        ],
    )


def summarization(model, path):
    return Scenario(
        middleware=[
            SummarizationMiddleware(
                model,
                trigger=("messages", 3),
                keep=("messages", 1),
                token_counter=model.get_num_tokens_from_messages,
            )
        ],
        inputs=["Oslo?", "Rome?"],
        answers=["Rain.", "The user asks about weather.", "Sun."],
        sent={1: ["Oslo?", "Rain."], 2: ["The user asks about weather.", "Rome?"]},
        not_sent={2: ["Oslo?"]},
        transcript=[
            "human: Here is a summary of the conversation to date:\n\nThe user asks about weather.",
            "human: Rome?",
            "ai: Sun.",
        ],
    )


def todo_list(model, path):
    todos = [{"content": "Look", "status": "in_progress"}]
    return Scenario(
        middleware=[TodoListMiddleware()],
        answers=[call("write_todos", todos=todos), "Later."],
        sent={0: ["write_todos"]},
        state={"todos": todos},
        transcript=[
            f"human: {QUESTION}",
            f"call write_todos {{'todos': {todos}}}",
            f"tool: Updated todo list to {todos}",
            "ai: Later.",
        ],
    )


def tool_call_limit(model, path):
    return Scenario(
        middleware=[ToolCallLimitMiddleware(tool_name="get_weather", run_limit=1)],
        answers=[CALL, CALL, "Rain."],
        transcript=[
            f"human: {QUESTION}",
            CALLED,
            RAIN,
            CALLED,
            "error: Tool call limit exceeded. Do not call 'get_weather' again.",
            "ai: Rain.",
        ],
    )


def tool_error(model, path):
    return Scenario(
        middleware=[ToolErrorMiddleware(lambda error, request: f"Sorry: {error}")],
        answers=[call("delete_file", path="/a"), "No."],
        sent={1: ["Sorry: /a is read-only"]},
        transcript=[
            f"human: {QUESTION}",
            "call delete_file {'path': '/a'}",
            "error: Sorry: /a is read-only",
            "ai: No.",
        ],
    )


def tool_retry(model, path):
    return Scenario(
        middleware=[ToolRetryMiddleware(max_retries=1, initial_delay=0)],
        answers=[call("delete_file", path="/a"), "No."],
        transcript=[
            f"human: {QUESTION}",
            "call delete_file {'path': '/a'}",
            (
                "error: Tool 'delete_file' failed after 2 attempts with PermissionError: "
                "/a is read-only. Please try again."
            ),
            "ai: No.",
        ],
    )


SCENARIOS = {
    AutoModeMiddleware: auto_mode,
    ContextEditingMiddleware: context_editing,
    FilesystemFileSearchMiddleware: file_search,
    HumanInTheLoopMiddleware: human_in_the_loop,
    LLMToolEmulator: tool_emulator,
    LLMToolSelectorMiddleware: tool_selector,
    ModelCallLimitMiddleware: model_call_limit,
    ModelFallbackMiddleware: model_fallback,
    ModelRefusalMiddleware: model_refusal,
    ModelRetryMiddleware: model_retry,
    ModelRouterMiddleware: model_router,
    PIIMiddleware: pii,
    ProviderToolSearchMiddleware: provider_tool_search,
    ShellToolMiddleware: shell_tool,
    SummarizationMiddleware: summarization,
    TodoListMiddleware: todo_list,
    ToolCallLimitMiddleware: tool_call_limit,
    ToolErrorMiddleware: tool_error,
    ToolRetryMiddleware: tool_retry,
}


def test_every_middleware_has_a_scenario():
    exported = [getattr(middleware, name) for name in middleware.__all__]
    classes = {c for c in exported if inspect.isclass(c) and issubclass(c, AgentMiddleware)}
    assert classes - {AgentMiddleware} == SCENARIOS.keys()


async def run(agent, inputs, mode):
    config = {"configurable": {"thread_id": "1"}, "recursion_limit": 30}
    for value in inputs:
        given = {"messages": [("user", value)]} if isinstance(value, str) else value
        if mode == "invoke":
            state = agent.invoke(given, config)
        else:
            state = await agent.ainvoke(given, config)
    return state


def text_of(request):
    return "\n".join(
        f"{turn.text} {[c.args for c in turn.calls]} {[r.text for r in turn.results]}"
        for turn in request.turns
    )


@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=[c.__name__ for c in SCENARIOS])
async def test_agent_with_middleware(scenario, mode, model, script, tmp_path):
    expected = scenario(model, tmp_path)
    agent = create_agent(
        model,
        [get_weather, delete_file],
        middleware=expected.middleware,
        checkpointer=InMemorySaver(),
    )
    script.answers = list(expected.answers)
    if expected.error:
        with pytest.raises(ValueError, match=expected.error):
            await run(agent, expected.inputs, mode)
        return
    state = await run(agent, expected.inputs, mode)
    assert transcript(state["messages"]) == expected.transcript
    for number, texts in expected.sent.items():
        assert not [text for text in texts if text not in text_of(script.requests[number])]
    for number, texts in expected.not_sent.items():
        assert not [text for text in texts if text in text_of(script.requests[number])]
    for number, names in expected.tools.items():
        assert sorted(tool.name for tool in script.requests[number].tools) == names
    if expected.models:
        main = script.requests[0].model
        assert ["main" if r.model == main else r.model for r in script.requests] == expected.models
    assert {name: state[name] for name in expected.state} == expected.state


def test_streamed_events_are_redacted(model, script):
    agent = create_agent(model, middleware=[PIIMiddleware("email", apply_to_output=True)])
    script.answers = ["Write to ann@example.org, then to bob@example.org. " * 5]
    run = agent.stream_events({"messages": [("user", QUESTION)]}, version="v3")
    text = "".join(piece for message in run.messages for piece in message.text)
    assert text == run.output["messages"][-1].text
    assert text == "Write to [REDACTED_EMAIL], then to [REDACTED_EMAIL]. " * 5
