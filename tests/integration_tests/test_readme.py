"""The code of the README and of docs/, run unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SNIPPET = re.compile(r"^#+ ([^\n]+)$|^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def snippets_of(page: Path) -> list[tuple[str, str]]:
    """The Python code blocks of a page, each with its heading."""
    snippets, heading = [], page.name
    for title, code in _SNIPPET.findall(page.read_text(encoding="utf-8")):
        if title:
            heading = title
        else:
            snippets.append((f"{page.name}: {heading}", code))
    return snippets


README = snippets_of(ROOT / "README.md")
DOCS = [snippet for page in sorted((ROOT / "docs").glob("*.md")) for snippet in snippets_of(page)]


def test_readme_has_code_for_each_use():
    assert [heading.removeprefix("README.md: ") for heading, _ in README] == [
        "Invoke",
        "Stream",
        "Async",
        "Tools",
        "Structured output",
        "Reasoning",
        "Images, audio, video and documents",
        "Agents",
        "Testing without an API key",
        "Errors",
    ]


PROGRAMS = [(heading, code) for heading, code in README + DOCS if "def test_" not in code]
TEST_FILES = [(heading, code) for heading, code in README + DOCS if "def test_" in code]


@pytest.mark.parametrize(("heading", "code"), PROGRAMS, ids=[h for h, _ in PROGRAMS])
def test_code_runs_and_prints_something(heading, code, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = compile(code, heading, "exec", dont_inherit=True)  # without this module's __future__
    exec(program, {"__name__": "__main__"})
    assert capfd.readouterr().out.strip()


def test_documented_tests_pass(tmp_path, monkeypatch):
    """Each file with tests, in one pytest that has no plugin but that of this package."""
    for number, (_, code) in enumerate(TEST_FILES):
        (tmp_path / f"test_{number}.py").write_text(code)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_langchain_kie", "-W", "error"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert re.search(
        rf"\b{sum(code.count('def test_') for _, code in TEST_FILES)} passed", run.stdout
    )
