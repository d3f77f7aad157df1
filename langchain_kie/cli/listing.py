"""`langchain-kie models`: the table that ships with the package, and KIE's live list."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from langchain_kie import KiePrice, models
from langchain_kie.cli.output import plain, price_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie import KieListedModel


def rows_of(live: Sequence[KieListedModel] | None) -> list[dict[str, Any]]:
    """One row for each model and API, then the live models that the table does not have.

    Args:
        live: KIE's list; `None` if it was not read.
    """
    rows: list[dict[str, Any]] = [
        {"name": model.name, "api": api.api, "model": api.model, "efforts": list(api.efforts)}
        for model in models()
        for api in model.apis
    ]
    listed = {model.model: model for model in live or ()}
    others = [name for name in listed if name not in {row["model"] for row in rows}]
    rows += [{"name": "", "api": "", "model": name, "efforts": []} for name in others]
    for row in rows:
        entry = listed.get(row["model"])
        price = entry.price if entry else KiePrice()
        row["is_listed"] = None if live is None else entry is not None
        row["input_credits"], row["output_credits"] = price.input_credits, price.output_credits
        row["price"] = price.text
    return rows


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
                plain(
                    price_text(KiePrice(row["price"], row["input_credits"], row["output_credits"]))
                ),
            )
    return table
