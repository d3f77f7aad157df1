"""Prints the matrix as a table at the end of a run."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from faults.answers import POINTS

pytest.register_assert_rewrite("faults.calls", "faults.cells", "faults.network")


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the cells of each row that pass, for the full matrix or if any fails."""
    cells: Counter[tuple[str, str]] = Counter()
    broken: Counter[tuple[str, str]] = Counter()
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for row, column, count, failures in dict(report.user_properties).get("cells", ()):
            for place in ((row, column), (row, "all"), ("all", column), ("all", "all")):
                cells[place] += count
                broken[place] += failures
    if not (broken.total() or os.environ.get("FAULTS")):
        return
    columns = [*dict.fromkeys(point.column for point in POINTS.values()), "all"]
    rows = sorted({row for row, _ in cells} - {"all"}, key=lambda row: (row[0], int(row[1:])))
    terminalreporter.section("fault matrix: cells, or passed / cells")
    terminalreporter.line("    " + "".join(f"{column:>13}" for column in columns))
    for row in (*rows, "all"):
        shown = [_shown(cells[row, column], broken[row, column]) for column in columns]
        terminalreporter.line(f"{row:4}" + "".join(f"{text:>13}" for text in shown))


def _shown(cells: int, broken: int) -> str:
    return f"{cells - broken}/{cells}" if broken else str(cells or "")
