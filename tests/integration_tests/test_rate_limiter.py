"""The documented rate limiter keeps several processes within one limit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "failures.md"

TRIES = """
from pathlib import Path

limiter = SharedRateLimiter(Path({path!r}))
print(sum(limiter.acquire(blocking=False) for _ in range(30)))
"""


def documented_class() -> str:
    """The imports and the class of the page's snippet."""
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (snippet,) = (text for text in snippets if "class SharedRateLimiter" in text)
    return snippet.partition("\nlimiter = ")[0]


def test_processes_share_the_limit_of_an_account(tmp_path: Path) -> None:
    code = documented_class() + TRIES.format(path=str(tmp_path / "rate.sqlite"))
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    granted = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(granted) == 20
