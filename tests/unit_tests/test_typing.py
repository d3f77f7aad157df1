"""The constructor and the methods have types: for type checkers, and at run time."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from call_modes import KEY, fixture, model_at, server_sending

from langchain_kie import ChatKieGemini, chat_models
from langchain_kie._settings import ALIASES, ModelOptions

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
    source = inspect.getsource(chat_models)
    parameters = source.partition("class _Parameters(")[2].partition("\nelse:")[0]
    typed = set(re.findall(r"^        ([a-z_]+):", parameters, re.MULTILINE))
    assert typed == {*ChatKieGemini.model_fields, *ALIASES} - {"model", "model_name"}


@pytest.mark.parametrize(
    "name", [n for n in vars(ChatKieGemini) if callable(getattr(ChatKieGemini, n)) and n[0] != "_"]
)
def test_the_hints_of_a_public_method_resolve_at_run_time(name: str) -> None:
    assert "return" in typing.get_type_hints(getattr(ChatKieGemini, name))


def test_a_model_with_fallbacks_still_binds_tools_and_schemas() -> None:
    with server_sending(fixture("chat_whole.json")) as server:
        model = model_at(server).with_fallbacks([model_at(server)])
        tool = {"title": "f", "type": "object", "properties": {}}
        assert model.bind_tools([tool]).invoke("hi").text == "pong"
        model.with_structured_output(tool)


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
