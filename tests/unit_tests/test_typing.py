"""The constructor and the methods have types: for type checkers, and at run time."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import KEY, fixture, model_at, server_sending
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, trim_messages

from langchain_kie import ChatKieGemini
from langchain_kie._chat_model.parameter_types import Parameters
from langchain_kie._settings import ALIASES, ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable

COMPLETION = fixture("chat_completion.json")
PUBLIC_MODULES = [
    *("langchain_kie", "langchain_kie.account", "langchain_kie.chat_models"),
    *("langchain_kie.credits", "langchain_kie.emulator", "langchain_kie.errors"),
    *("langchain_kie.files", "langchain_kie.rate_limiter", "pytest_langchain_kie"),
]
FOLDER = Path(__file__).parents[1] / "type_checks"
MYPY = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
"""It reads what `make typing` left in its cache."""

PYRIGHT = [
    *(sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable),
    *("--level", "error", "--outputjson"),
]


FILES = [FOLDER / "accepted.py", FOLDER / "rejected.py"]


def lines_mypy_rejects() -> set[tuple[str, int]]:
    done = subprocess.run([*MYPY, *FILES], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found = re.findall(r"(\w+\.py):(\d+): error", done.stdout)
    return {(name, int(line)) for name, line in found}


def lines_pyright_rejects() -> set[tuple[str, int]]:
    done = subprocess.run([*PYRIGHT, *FILES], capture_output=True, text=True, check=False)
    diagnostics = json.loads(done.stdout)["generalDiagnostics"]
    errors = [diagnostic for diagnostic in diagnostics if diagnostic["severity"] == "error"]
    return {(Path(e["file"]).name, e["range"]["start"]["line"] + 1) for e in errors}


@pytest.mark.parametrize("check", [lines_mypy_rejects, lines_pyright_rejects])
def test_type_checkers_reject_exactly_the_wrong_uses(check) -> None:
    assert check() == {
        (file.name, number)
        for file in FILES
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if line.endswith("# rejected")
    }


def test_the_typed_constructor_has_every_field_and_alias() -> None:
    typed = inspect.get_annotations(Parameters).keys()
    assert typed == {*ChatKieGemini.model_fields, *ALIASES} - {"model", "model_name"}


def is_public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("__")


def with_members(cls: type) -> dict[str, Callable[..., Any]]:
    """A class, and the methods and properties that this package defines for it, by name."""
    found: dict[str, Callable[..., Any]] = {cls.__name__: cls}
    classes = [c for c in cls.__mro__ if c.__module__.startswith("langchain_kie")]
    for name, value in chain.from_iterable(vars(c).items() for c in classes):
        function = value.fget if isinstance(value, property) else value
        function = inspect.unwrap(getattr(function, "__func__", function))
        if inspect.isfunction(function) and is_public(name):
            found.setdefault(f"{cls.__name__}.{name}", function)
    return found


def public_objects() -> dict[str, Callable[..., Any]]:
    """The functions, classes, methods and properties of the public modules, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in map(import_module, PUBLIC_MODULES):
        values = vars(module).items()
        defined = [n for n, v in values if getattr(v, "__module__", "") == module.__name__]
        for name in filter(is_public, getattr(module, "__all__", defined)):
            value = getattr(module, name)
            found |= with_members(value) if isinstance(value, type) else {name: value}
    return {name: value for name, value in found.items() if callable(value)}


PUBLIC = public_objects()


@pytest.mark.parametrize("value", PUBLIC.values(), ids=PUBLIC)
def test_the_hints_of_a_public_object_resolve_at_run_time(value: Callable[..., Any]) -> None:
    typing.get_type_hints(value)


def test_each_kind_of_public_object_is_checked() -> None:
    assert {
        *("ChatKieGemini.bind_tools", "ChatKieGemini.__deepcopy__", "KieAccount.__init__"),
        *("KieModelApi.__init__", "KieRefusalError.__init__", "error_for", "register"),
        *("Emulator.__init__", "Emulator.answer", "Emulator.requests", "default_respond"),
        *("Answer", "kie_emulator", "kie_model", "KieFiles.upload", "KieError.__str__"),
    } <= PUBLIC.keys()


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


def test_an_option_s_default_is_the_model_s() -> None:
    options = ModelOptions()
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY)
    assert {name: getattr(model, name) for name in vars(options)} == vars(options)
