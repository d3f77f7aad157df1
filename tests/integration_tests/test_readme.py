"""The README's snippets, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_SNIPPET = r"^#+ ([^\n]+)\n(?:(?!^#+ ).)*?```python\n(.*?)```"
SNIPPETS = dict(re.findall(_SNIPPET, README, re.DOTALL | re.MULTILINE))


def test_the_readme_has_a_snippet_for_each_use():
    assert list(SNIPPETS) == [
        "Invoke",
        "Stream",
        "Async",
        "Tools",
        "Structured output",
        "Thoughts",
        "Images, sound, video and documents",
        "Agent",
        "Tests without a key",
        "Errors",
    ]


@pytest.mark.parametrize("heading", SNIPPETS)
def test_a_snippet_runs_and_prints_something(heading, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(SNIPPETS[heading], heading, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip()
