"""Shows findings and advice, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from langchain_kie import __version__
from langchain_kie.cli.advice import advise
from langchain_kie.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from langchain_kie.cli.advice import Advice, Findings
    from langchain_kie.cli.doctor import Row
    from langchain_kie.cli.findings import Finding

_STYLES = {
    "works": "green",
    "partly": "yellow",
    "ignored": "magenta",
    "fails": "red",
    "skipped": "dim",
    "unclear": "yellow",
}


def show_findings(console: Console, rows: Sequence[Row]) -> None:
    """Print a table for each model and API; questions that were skipped are one line."""
    for (model, api), group in groupby(rows, lambda row: (row.target.model.model, row.target.api)):
        table = Table(title=f"{model}, {api}", title_justify="left", expand=True)
        table.add_column("Question", no_wrap=True)
        table.add_column("Result", no_wrap=True)
        table.add_column("Details", ratio=1)
        skipped: Counter[str] = Counter()
        for row in group:
            finding = row.finding
            if finding.outcome == "skipped":
                skipped[finding.detail] += 1
            else:
                _add(table, row.question.title, finding.outcome, finding.detail)
        for reason, count in skipped.items():
            _add(table, f"{count} other questions", "skipped", reason)
        console.print(table)


def _add(table: Table, title: str, outcome: str, detail: str) -> None:
    table.add_row(title, Text(outcome, _STYLES[outcome]), plain(detail))


def show_advice(console: Console, advice: Sequence[Advice]) -> None:
    """Print the advised settings, one model after the other."""
    for each in (advised for advised in advice if advised.code or advised.notes):
        console.print(Text("Advice: ", "bold") + Text(each.code or each.model), soft_wrap=True)
        for note in each.notes:
            console.print(Text(f"  - {note}"), soft_wrap=True)


def findings_by_api(key: Finding, rows: Sequence[Row]) -> dict[tuple[str, str], Findings]:
    """The findings of each model and API, by the name of the question; the key is one of them."""
    found: dict[tuple[str, str], Findings] = {}
    for row in rows:
        target = (row.target.model.model, row.target.api)
        found.setdefault(target, {"key": key})[row.question.name] = row.finding
    return found


def advice_for(key: Finding, rows: Sequence[Row]) -> list[Advice]:
    """One advice for each model."""
    by_model: dict[str, dict[str, Findings]] = {}
    for (model, api), findings in findings_by_api(key, rows).items():
        by_model.setdefault(model, {})[api] = findings
    return [advise(model, by_api) for model, by_api in by_model.items()]


def as_json(
    key: Finding, rows: Sequence[Row], advice: Sequence[Advice], *, used: float, limit: float
) -> dict[str, Any]:
    """The report as JSON, without the key and the balance."""
    return {
        "version": 1,
        "langchain_kie": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "max_credits": limit,
        "credits_used": round(used, 4),
        "key": asdict(key),
        "findings": [
            {
                "model": row.target.model.model,
                "api": row.target.api,
                "question": row.question.name,
                **asdict(row.finding),
            }
            for row in rows
        ],
        "advice": [asdict(each) for each in advice],
    }
