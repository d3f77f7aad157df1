"""Measure, print the tables, and write them into `docs`."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

from benchmarks import report
from benchmarks.clients import CLIENTS
from benchmarks.server import cpu_seconds, running
from benchmarks.suite import Row, Suite, socket_rate
from benchmarks.work import SCALES, WORKS

DOCS = Path(__file__).parent.parent / "docs"
_KEYS = (
    *(w.key for w in WORKS),
    *(s.key for s in SCALES),
    "import",
    "construct",
    "memory",
    "media",
    "loop",
    "open",
)
_QUICK = {"rounds": 3, "patience": 1.0, "seconds": 0.01, "calls": 500, "shrinking": 4}


def main() -> None:
    """Run the benchmarks."""
    arguments = _arguments()
    os.environ["LANGSMITH_TRACING"] = "false"
    settings = _QUICK if arguments.quick else {}
    if arguments.rounds:
        settings = {**settings, "rounds": arguments.rounds}
    rows: list[Row] = []
    with running() as base_url, asyncio.Runner() as runner:
        suite = Suite(
            base_url=base_url,
            runner=runner,
            families=frozenset(arguments.clients),
            only=frozenset(arguments.only),
            **settings,
        )
        print(f"{report.environment()}\n", flush=True)
        columns = [client.name for client in suite.clients()]
        columns.sort(key=lambda name: not name.startswith("ours"))
        print(" | ".join(["work", "target", *columns]), flush=True)
        for row in suite.rows():
            rows.append(row)
            print(report.line(row, columns), flush=True)
        share = cpu_seconds(base_url) / time.process_time()
        rate = socket_rate(base_url)
    note = (
        f"The server used {share:.0%} of the CPU time of this process; "
        f"a bare socket reads {rate:,.0f} chunks per second from it."
    )
    print(f"\n{note}\n\n{report.tables(rows)}")
    if not (arguments.quick or arguments.only or arguments.clients):
        (DOCS / "performance-tables.md").write_text(report.document(rows, note))
        report.plot(rows, DOCS / "performance.svg")


def _arguments() -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return [name for name in text.split(",") if name]

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="less exact, only this package unless --clients is given; nothing is written",
    )
    parser.add_argument("--only", type=names, default=[], help=f"of {','.join(_KEYS)}")
    families = dict.fromkeys(client.family for client in CLIENTS)
    parser.add_argument("--clients", type=names, default=[], help=f"of {','.join(families)}")
    arguments = parser.parse_args()
    if unknown := {*arguments.only} - {*_KEYS} | {*arguments.clients} - {*families}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if arguments.quick and not arguments.clients:
        arguments.clients = ["ours"]
    return arguments


if __name__ == "__main__":
    main()
