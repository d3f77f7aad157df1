"""The documentation agrees with the code, and with itself. `make docs` checks its links."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from langchain_core import exceptions
from langchain_core.language_models.chat_models import BaseChatModel
from pydantic_core import PydanticUndefined

import langchain_kie
import pytest_langchain_kie
from langchain_kie import ChatKieGemini, KieError, emulator, errors, models
from langchain_kie._settings import ALIASES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE = f"{PROJECT['urls']['Source']}/blob/main/"


def rows(page: str, header: str) -> list[list[str]]:
    """The cells of the table of a page whose first column has this header."""
    lines = (DOCS / page).read_text().splitlines()
    tables = [n for n, line in enumerate(lines) if line.startswith(f"| {header} |")]
    found = []
    for start in tables:
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            found.append([cell.strip().replace("`", "") for cell in line.split("|")[1:-1]])
    return found


def documented() -> set[str]:
    """The names that a page of the reference shows; a module shows all of its classes."""
    text = "".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))
    names = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    shown = {f"langchain_kie.{name}" for name in dir(errors) if name.startswith("Kie")}
    return names | shown if "langchain_kie.errors" in names else names


def test_the_reference_has_every_public_name():
    public = {f"langchain_kie.{name}" for name in langchain_kie.__all__} - {
        "langchain_kie.__version__"
    }
    public |= {f"langchain_kie.emulator.{name}" for name in emulator.__all__}
    public |= {pytest_langchain_kie.__name__}
    assert public - documented() == set()


def test_the_menu_has_every_page():
    menu = re.findall(r'= "([^"]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(menu) == PAGES


def test_the_readme_links_to_files_that_exist():
    """Absolute links, because a package index shows the README too."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    own = [link.removeprefix(BASE) for link in links if link.startswith(BASE)]
    assert len(own) > 20
    assert [link for link in links if not link.startswith("https://")] == []
    assert [link for link in own if not (ROOT / link).is_file()] == []
    assert all(url.startswith(PROJECT["urls"]["Source"]) for url in PROJECT["urls"].values())


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("page", [*(DOCS / page for page in PAGES), ROOT / "README.md"], ids=str)
def test_code_uses_models_that_kie_lists(page):
    code = "".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    listed = {model.name for model in models() if model.is_listed}
    assert set(re.findall(r'"(?:kie:)?(gemini-[\w.-]+)"', code)) <= listed


def test_each_threat_has_tests_that_exist():
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    threats = [line.split("|")[1:-1] for line in lines if line.startswith("| ")][1:]
    assert len(threats) > 20
    for threat, _, tests in threats:
        named = re.findall(r"`([^`]+)::(\w+)`", tests)
        assert named, threat
        for path, name in named:
            module = ast.parse((ROOT / "tests" / path).read_text())
            assert name in {getattr(node, "name", None) for node in module.body}, f"{path}::{name}"


def test_the_table_of_models_is_the_catalog():
    expected = []
    for model in models():
        default, *others = model.apis
        efforts = ", ".join(default.efforts or ())
        listed = "yes" if model.is_listed else "no"
        expected.append([model.name, listed, default.api, *[", ".join(a.api for a in others)]])
        expected[-1].append(efforts)
    assert [row[:5] for row in rows("models.md", "name")] == expected


def test_the_tables_of_parameters_are_the_fields():
    table = {row[0]: row for row in rows("parameters.md", "parameter")}
    fields = ChatKieGemini.model_fields
    inherited = BaseChatModel.model_fields.keys()
    assert table.keys() == fields.keys() - inherited
    for name, row in table.items():
        default: Any = fields[name].default
        if default not in (None, PydanticUndefined):
            written = row[2].strip('"').replace("_", "")
            assert written == str(default).replace("_", ""), name
    written = {
        alias: row[0] for row in table.values() for alias in re.findall(r"alias (\w+)", row[3])
    }
    assert written == ALIASES


def test_the_table_of_exceptions_is_their_tree():
    table = {name: base for name, _, base in rows("failures.md", "class")}
    classes = {name for name in langchain_kie.__all__ if name.startswith("Kie")}
    classes = {
        name
        for name in classes
        if issubclass(getattr(langchain_kie, name), KieError) and name != "KieError"
    }
    assert table.keys() == classes
    for name, base in table.items():
        bases = [cls.__name__ for cls in getattr(langchain_kie, name).__mro__]
        assert base in bases or not hasattr(exceptions, base), name


def test_the_attributes_of_an_error_exist():
    error = KieError("no")
    assert all(hasattr(error, name) for name, _ in rows("failures.md", "attribute"))
