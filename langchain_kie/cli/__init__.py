"""The command line: `langchain-kie doctor`, `models`, `credits` and `chat`.

It uses the public names of the package only, and nothing imports it. It needs the extra
`langchain-kie[cli]`; modules that need it are imported when a command runs.
"""

from __future__ import annotations

import sys

_EXTRA = frozenset({"rich", "typer"})


def main() -> None:
    """Run the command line, and exit."""
    try:
        from langchain_kie.cli.app import run  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        sys.exit(
            f"langchain-kie needs {package}, which is not installed. "
            'Run: pip install "langchain-kie[cli]"'
        )
    run()
