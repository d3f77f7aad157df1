"""Sends many calls, then many streams at once, through one process, and checks that it stays flat.

`python -m benchmarks.load` starts a server and a client process for each mode and API, one after
the other, and prints a table. It exits with 1 if a call failed or something was left over.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from importlib.metadata import version
from typing import Any

from benchmarks import server

MODES = ("threads", "asyncio", "uvloop", "gevent")
APIS = ("chat_completions", "generate_content")
MAX_GROWTH_MB = 10
"""Memory that may be added after the first calls, and by streams after the first ones."""

KEPT_CONNECTIONS = 8
"""Idle connections that one pool keeps."""

COLUMNS = {
    "mode": "mode",
    "api": "API",
    "calls": "calls",
    "errors": "errors",
    "per_second": "calls/s",
    "cpu_ms": "CPU ms",
    "p50": "p50 ms",
    "p95": "p95 ms",
    "p99": "p99 ms",
    "streams_seconds": "streams s",
    "streams_p99": "first chunk p99 ms",
    "rss": "memory MB",
    "descriptors": "descriptors",
    "threads": "threads",
}
"""The figures of `benchmarks.load_worker`, and their headers."""


def failures(row: dict[str, Any], *, expected_calls: int) -> list[str]:
    """What is not as it has to be."""
    start, _, _, last = row["descriptors"]
    _, warm, after_calls, after_streams, after_more = row["rss"]
    checks = {
        f"{row['errors']} errors: {row['messages']}": row["errors"] == 0,
        f"only {row['calls']} calls": row["calls"] == expected_calls,
        f"descriptors: {row['descriptors']}": last <= start + KEPT_CONNECTIONS,
        f"threads: {row['threads']}": row["threads"][-1] <= row["threads"][0],
        f"memory after calls: {row['rss']}": after_calls - warm <= MAX_GROWTH_MB,
        f"memory after streams: {row['rss']}": after_more - after_streams <= MAX_GROWTH_MB,
    }
    return [f"{row['mode']} {row['api']}: {text}" for text, holds in checks.items() if not holds]


def measure(mode: str, api: str, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one mode and API, in a new process."""
    with server.running() as url:
        command = [sys.executable, "-m", "benchmarks.load_worker", mode, api, url]
        numbers = map(str, (options.calls, options.at_once, options.streams))
        run = subprocess.run([*command, *numbers], stdout=subprocess.PIPE, check=True)  # noqa: S603
    row: dict[str, Any] = json.loads(run.stdout)
    return row


def cell(value: Any) -> str:
    """A figure; several are those at the start and after each phase."""
    if isinstance(value, list):
        return " ".join(map(cell, value))
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004
    return f"{value:,}" if isinstance(value, int) else value


def main() -> int:
    """Run all modes on all APIs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--apis", nargs="+", choices=APIS, default=APIS)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=50, help="calls in progress")
    parser.add_argument("--streams", type=int, default=1000, help="all open at once")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    names = ("langchain-core", "httpx", "uvloop", "gevent")
    print(f"Python {sys.version.split()[0]},", ", ".join(f"{n} {version(n)}" for n in names))
    print("|", " | ".join(COLUMNS.values()), "|\n|" + "---|" * len(COLUMNS), flush=True)
    failed = []
    for mode in options.modes:
        for api in options.apis:
            row = measure(mode, api, options)
            print("|", " | ".join(cell(row[name]) for name in COLUMNS), "|", flush=True)
            failed += failures(row, expected_calls=options.calls)
    print(*failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
