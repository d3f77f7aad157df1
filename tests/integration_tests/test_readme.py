"""The code of the README and of docs/, run unchanged."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(("heading", "code"), README + DOCS, ids=[h for h, _ in README + DOCS])
def test_code_runs_and_prints_something(heading, code, capfd, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(code, heading, "exec"), {"__name__": "__main__"})
    assert capfd.readouterr().out.strip()
