"""Shows rows as tables and as a plot. Knows Markdown and matplotlib. Measures nothing."""

from __future__ import annotations

import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.suite import OURS, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Figure

_DISTRIBUTIONS = (
    "langchain-kie",
    "langchain-core",
    "langchain-mistralai",
    "langchain-openai",
    "langchain-google-genai",
    "httpx",
    "httpx-sse",
    "orjson",
    "pydantic",
)
_MANY = 1000
_SCALES = {"µs": 1e6, "ms": 1e3, "MB": 1.0}
_TABLES = {
    "calls": "CPU, as a multiple of `plain` with the same API in the same round",
    "scaling": "Cost of one more among many, as a multiple of its cost among few",
    "process": "Measured in a fresh process",
}
_LEGEND = """\
`plain` is the smallest correct integration, written with ordinary constructors on httpx,
httpx-sse and orjson. `wire` parses the events and creates no messages. `core` is the cost of
LangChain itself for prepared chunks. All connect to a server process on the loopback interface
that sends prepared bytes. The figures are medians of interleaved rounds, ± the interquartile
range. They are ratios, because absolute times are not stable; only `plain` shows its time. Rows
with a star are one complete call with the native API, which has no argument deltas.
"""


def environment() -> str:
    """The date, the machine and the versions."""
    return (
        f"{datetime.now(tz=UTC):%Y-%m-%d}; {_machine()}; Python {platform.python_version()}; "
        + (", ".join(_versions()))
    )


def _machine() -> str:
    model = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*: (.*)$", information.read_text(), re.MULTILINE)
        model = found.group(1) if found else model
    return f"{cpu_count()} x {model}, {platform.system()}"


def _versions() -> Iterator[str]:
    for name in _DISTRIBUTIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


# --- tables -----------------------------------------------------------------------------------


def value(figure: Figure) -> float:
    """The value that is compared with a target."""
    return figure.value if figure.ratio is None else figure.ratio


def _number(number: float) -> str:
    return f"{number:,.3g}" if abs(number) < _MANY else f"{number:,.0f}"


def _cell(row: Row, name: str) -> str:
    figure = row.figures.get(name)
    if figure is None:
        return "-"
    scaled = figure.value * _SCALES[row.unit]
    absolute = f"{_number(scaled)} {row.unit}"
    if row.table == "calls" and name.startswith("plain"):
        return absolute
    spread = "" if figure.spread is None else f" ±{figure.spread:.2f}"
    shown = absolute if figure.ratio is None else f"{figure.ratio:.2f}{spread}"
    if row.table != "calls" and figure.ratio is not None:
        shown += f" ({absolute})"
    if row.target is None or name not in OURS:
        return shown
    return f"{shown} ok" if value(figure) <= row.target else f"**{shown} MISSED**"


def _columns(rows: Sequence[Row]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row.figures)
    return [*(name for name in OURS if name in names), *(n for n in names if n not in OURS)]


def line(row: Row, columns: Sequence[str]) -> str:
    """A row of a table."""
    target = "" if row.target is None else f"{row.target:g}"
    return f"| {' | '.join([row.title, target, *(_cell(row, name) for name in columns)])} |"


def tables(rows: Sequence[Row]) -> str:
    """All tables."""
    parts: list[str] = []
    for table, title in _TABLES.items():
        if shown := [row for row in rows if row.table == table]:
            columns = _columns(shown)
            parts += [
                f"## {title}\n",
                f"| work | target | {' | '.join(columns)} |",
                f"|{'---|' * (len(columns) + 2)}",
                *(line(row, columns) for row in shown),
                "",
            ]
    failures = [
        f"- {row.title}: {name}: {why}" for row in rows for name, why in row.failures.items()
    ]
    return "\n".join([*parts, *(["Failures:\n", *failures, ""] if failures else [])])


def document(rows: Sequence[Row], note: str) -> str:
    """The page that is written into `docs`."""
    head = f"# Measurements\n\nWritten by `make bench`. {environment()}.\n\n{_LEGEND}"
    plot = "![The ratios of the first table](performance.svg)\n"
    return "\n".join([head, f"{note}\n", plot, tables(rows)])


# --- plot -------------------------------------------------------------------------------------

_MARKERS = {"ours": "o", "wire": "|", "core": "|", "plain": "|"}


def plot(rows: Sequence[Row], path: Path) -> None:
    """Plot a line for each work and a mark for each client, on a logarithmic scale."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "langchain-kie"
    import matplotlib.pyplot as plt

    shown = [row for row in rows if row.table == "calls"][::-1]
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(shown) + 1.4), layout="constrained")
    for name in _columns(shown):
        points = [
            (row.figures[name].ratio, y) for y, row in enumerate(shown) if name in row.figures
        ]
        if name.startswith("plain"):
            continue
        marker = _MARKERS.get(name.split()[0], "x")
        x, y = zip(*points, strict=True)
        axes.plot(x, y, marker, label=name, markersize=8)
    axes.plot([row.target for row in shown], range(len(shown)), "<", color="0.6", label="target")
    axes.axvline(1, color="0.7", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("CPU, as a multiple of plain's (less is better)")
    axes.set_yticks(range(len(shown)), [row.title.replace("`", "") for row in shown])
    axes.grid(axis="y", color="0.92")
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, metadata={"Date": None})
