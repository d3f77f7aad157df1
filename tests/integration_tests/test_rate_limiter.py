"""The documented rate limiter shares one limit among processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

TRIES = """
from pathlib import Path

limiter = SharedRateLimiter(Path({path!r}))
print(sum(limiter.acquire(blocking=False) for _ in range(30)))
"""


def documented_class() -> str:
    """The imports and the class in the documentation.

    The limit is for an hour instead of 10 seconds: processes may take longer to start.
    """
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))
    snippets = re.findall(r"```python\n(.*?)```", pages, re.DOTALL)
    (snippet,) = (text for text in snippets if "class SharedRateLimiter" in text)
    code, count = re.subn(r"\b10 \* Duration\.SECOND\b", "Duration.HOUR", snippet)
    assert count == 1
    return code.partition("\nlimiter = ")[0]


def test_processes_share_one_limit(tmp_path: Path) -> None:
    code = documented_class() + TRIES.format(path=str(tmp_path / "rate.sqlite"))
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    granted = [int(process.communicate(timeout=600)[0]) for process in processes]
    assert sum(granted) == 20
