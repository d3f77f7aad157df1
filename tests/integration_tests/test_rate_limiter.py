"""The documented rate limiter of several processes keeps the limit of the account."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from limits import MAX_RUN

from langchain_kie.emulator import Emulator

DOCS = Path(__file__).parents[2] / "docs"
LIMIT = 20
"""Requests in 10 seconds."""
PROCESSES = 3
CALLS = 24
"""Of a process."""
TENTH_MS = 100
"""A tenth of a second: the limiter's time is ten times as fast as that of the emulator."""
PERIOD = 10
"""Seconds of KIE's limit."""
LATE = 0.9
"""Seconds that a request needs to arrive, at most."""
LOG = """
CREATE TABLE granted (milliseconds INTEGER);
CREATE TRIGGER log AFTER INSERT ON rate_bucket
    BEGIN INSERT INTO granted VALUES (NEW.item_timestamp); END;
"""


def documented_program() -> str:
    """The program in the documentation, with several calls."""
    pages = "".join(page.read_text() for page in DOCS.glob("*.md"))
    snippets = re.findall(r"```python\n(.*?)```", pages, re.DOTALL)
    (code,) = (text for text in snippets if "class SharedRateLimiter" in text)
    code, count = re.subn(r"\bDuration\.SECOND\b", str(TENTH_MS), code)
    assert count == 1
    program, _, call = code.partition("\nprint(")
    assert call
    return f"{program}\nmodel.batch(['Hello!'] * {CALLS})"


def test_processes_share_one_limit(tmp_path: Path) -> None:
    code, path = documented_program(), tmp_path / "kie-rate.sqlite"
    with Emulator() as emulator:
        environment = os.environ | {
            "TMPDIR": str(tmp_path),
            "KIE_API_KEY": emulator.api_key,
            "KIE_BASE_URL": emulator.base_url,
        }
        program = [sys.executable, "-c", code.partition("\nmodel = ")[0]]
        subprocess.run(program, env=environment, timeout=MAX_RUN, check=True)  # makes the file
        with closing(sqlite3.connect(path)) as database:
            database.executescript(LOG)
        program = [sys.executable, "-c", code]
        processes = [subprocess.Popen(program, env=environment) for _ in range(PROCESSES)]
        assert [process.wait(timeout=MAX_RUN) for process in processes] == [0] * PROCESSES
        assert len(emulator.requests) == PROCESSES * CALLS
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT milliseconds FROM granted ORDER BY 1").fetchall()
    seconds = [milliseconds / TENTH_MS for (milliseconds,) in rows]
    assert len(seconds) == PROCESSES * CALLS
    apart = [later - first for first, later in zip(seconds, seconds[LIMIT:], strict=False)]
    assert min(apart) >= PERIOD + LATE, "else a period of KIE could have more than 20 requests"
