"""`langchain-kie models`: the table that ships with the package, and KIE's live list."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from langchain_kie import models
from langchain_kie.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie import KieListedModel


def rows_of(live: Sequence[KieListedModel] | None) -> list[dict[str, Any]]:
    """One row for each model and API, then the live models that the table does not have.

    Args:
        live: KIE's list; `None` if it was not read.
    """
    listed = {model.model: model for model in live or ()}
    rows = []
    for model in models():
        for api in model.apis:
            entry = listed.pop(api.model, None)
            is_live = None if live is None else entry is not None
            rows.append(_row(model.name, api.api, api.model, api.efforts, entry, is_live=is_live))
    return rows + [_row("", "", name, (), entry, is_live=True) for name, entry in listed.items()]


def _row(
    name: str,
    api: str,
    spelling: str,
    efforts: Sequence[str],
    entry: KieListedModel | None,
    *,
    is_live: bool | None,
) -> dict[str, Any]:
    price = entry.price if entry else None
    return {
        "name": name,
        "api": api,
        "model": spelling,
        "efforts": list(efforts),
        "is_listed": is_live,
        "input_credits": price and price.input_credits,
        "output_credits": price and price.output_credits,
        "price": price and price.text,
    }


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows, for people; it fits into 80 columns."""
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="Live: whether KIE lists it now. Prices: credits for 1 million tokens of input "
        "and output; 1 credit is 0.005 USD.",
    )
    table.add_column("Model, KIE's spelling", no_wrap=True)
    table.add_column("api", no_wrap=True)
    table.add_column("Efforts")
    table.add_column("Live")
    table.add_column("Price", justify="right")
    words = {None: "?", True: "yes", False: "no"}
    for name, group in groupby(rows, key=itemgetter("name")):
        table.add_row(Text(name or "not in the package's table", "bold"))
        for row in group:
            table.add_row(
                plain(f" {row['model']}"),
                row["api"],
                ", ".join(row["efforts"]),
                words[row["is_listed"]],
                _price(row["input_credits"], row["output_credits"]),
            )
    return table


def _price(input_credits: float | None, output_credits: float | None) -> str:
    if input_credits is None or output_credits is None:
        return ""
    return f"{input_credits:g}/{output_credits:g}"
