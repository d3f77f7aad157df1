"""What the tests of the command line share: how to run it, in this process or in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limits import MAX_RUN
from typer.testing import CliRunner

from langchain_kie.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "gemini-3.5-flash"


@dataclass(frozen=True)
class Result:
    """What a command printed, wrote and returned."""

    exit_code: int
    output: str
    json: dict[str, Any]

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each question, of the last model and API."""
        return {row["question"]: row["outcome"] for row in self.json["findings"]}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that are advised for the only model."""
        [advice] = self.json["advice"]
        return advice["settings"]

    @property
    def notes(self) -> str:
        """The notes for the only model."""
        [advice] = self.json["advice"]
        return " ".join(advice["notes"])


def run(*arguments: str, stdin: str = "", json_file: Path | None = None) -> Result:
    """Run a command in this process."""
    options = ["--json", str(json_file)] if json_file else []
    result = CliRunner().invoke(app, [*arguments, *options], input=stdin, env={"COLUMNS": "100"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    written = json_file.exists() if json_file else False
    value = json.loads(json_file.read_text()) if json_file and written else {}
    return Result(result.exit_code, result.output, value)


def run_process(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "langchain_kie", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
        timeout=MAX_RUN,
        check=False,
    )
