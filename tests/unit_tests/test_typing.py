"""The constructor and the methods have types: for type checkers, and at run time."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import KEY, fixture, model_at, server_sending
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, trim_messages

import langchain_kie
from langchain_kie import ChatKieGemini
from langchain_kie._chat_model.parameter_types import Parameters
from langchain_kie._settings import ALIASES, ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETION = fixture("chat_completion.json")
FOLDER = Path(__file__).parents[1] / "type_checks"
MYPY = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "/dev/null"]
PYRIGHT = [
    *(sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable),
    *("--level", "error", "--outputjson"),
]


def lines_mypy_rejects(file: Path) -> set[int]:
    done = subprocess.run([*MYPY, file], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return {int(line) for line in re.findall(rf"{file.name}:(\d+): error", done.stdout)}


def lines_pyright_rejects(file: Path) -> set[int]:
    done = subprocess.run([*PYRIGHT, file], capture_output=True, text=True, check=False)
    diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    return {d["range"]["start"]["line"] + 1 for d in diagnostics if d["severity"] == "error"}


@pytest.mark.parametrize("check", [lines_mypy_rejects, lines_pyright_rejects])
@pytest.mark.parametrize("name", ["accepted.py", "rejected.py"])
def test_type_checkers_reject_exactly_the_wrong_uses(check, name: str) -> None:
    file = FOLDER / name
    lines = enumerate(file.read_text().splitlines(), start=1)
    assert check(file) == {number for number, line in lines if line.endswith("# rejected")}


def test_the_typed_constructor_has_every_field_and_alias() -> None:
    typed = inspect.get_annotations(Parameters).keys()
    assert typed == {*ChatKieGemini.model_fields, *ALIASES} - {"model", "model_name"}


def public_functions() -> dict[str, Callable[..., Any]]:
    """The functions of the package, and the methods that its classes define, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name in langchain_kie.__all__:
        value = getattr(langchain_kie, name)
        if isinstance(value, type):
            members = {f"{name}.{n}": getattr(value, n) for n in vars(value) if n[0] != "_"}
            found |= {n: member for n, member in members.items() if callable(member)}
        elif callable(value):
            found[name] = value
    return found


@pytest.mark.parametrize("function", public_functions().values(), ids=public_functions())
def test_the_hints_of_a_public_function_resolve_at_run_time(function: Callable[..., Any]) -> None:
    assert "return" in typing.get_type_hints(function)


async def test_a_model_with_fallbacks_works_where_a_model_does() -> None:
    """With `bind_tools`, schemas, agents and `trim_messages`; the first model always fails."""
    tool = {"title": "f", "description": "f", "type": "object", "properties": {}}
    schema = {"title": "P", "type": "object", "properties": {"a": {"type": "integer"}}}
    with server_sending(b"", status=500) as failing, server_sending(COMPLETION) as server:
        model = model_at(failing).with_fallbacks([model_at(server)])
        bound = model.bind_tools([tool])
        agent = create_agent(model, [tool])
        question = {"messages": [("user", "hi")]}
        for message in (
            bound.invoke("hi"),
            await bound.ainvoke("hi"),
            agent.invoke(question)["messages"][-1],
            (await agent.ainvoke(question))["messages"][-1],
        ):
            assert message.text == "pong"
        structured = model.with_structured_output(schema, include_raw=True)
        assert structured.invoke("hi")["raw"].text == "pong"
        messages = [HumanMessage("x" * 400), HumanMessage("y" * 40)]
        trimmed = trim_messages(messages, max_tokens=30, token_counter=model)
        assert trimmed == messages[1:]


def test_every_parameter_is_described_in_help_and_in_the_json_schema() -> None:
    properties = ChatKieGemini.model_json_schema()["properties"]
    fields = inspect.get_annotations(ChatKieGemini).keys() - {"model_config"}
    assert properties.keys() == fields
    for name in fields:
        assert properties[name]["description"] == ChatKieGemini.model_fields[name].description
        assert f"{name}: " in ChatKieGemini.__doc__
    assert properties["max_retries"]["default"] == 2
    assert properties["media_upload"]["default"] == "auto"


def test_an_option_s_default_is_the_model_s() -> None:
    options = ModelOptions()
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY)
    assert {name: getattr(model, name) for name in vars(options)} == vars(options)
