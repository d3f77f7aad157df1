"""Text of models and servers: prices, and text without what could change a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from langchain_kie import KiePrice

_CONTROL_CHARACTERS = dict.fromkeys(
    [code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"]
)


def plain(text: str, style: str = "") -> Text:
    """The text without control characters, which could change the terminal; no markup."""
    return Text(text.translate(_CONTROL_CHARACTERS), style)


def price_text(price: KiePrice, unit: str = "") -> str:
    """The credits for input and output, or KIE's words if they have no such two numbers."""
    if price.input_credits is None or price.output_credits is None:
        return " ".join((price.text or "").split())
    return f"{price.input_credits:g}/{price.output_credits:g}{unit}"
