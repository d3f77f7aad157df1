"""Text of models and servers, without control characters and data of the account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from langchain_kie import KiePrice

_CONTROL_CHARACTERS = dict.fromkeys(
    [code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"]
)
_ACCOUNT_NUMBER = re.compile(
    r"((?:balance|account|user)[ _-]?(?:id)?\b\W{0,4}(?:is |of )?)\d+(?:[.,]\d+)*"
    r"|\d+(?:[.,]\d+)*(?=\s*credits?\b)",
    re.IGNORECASE,
)


def without_account_numbers(text: str) -> str:
    """The text of an error with 0 for a balance and for the number of a user or account."""
    return _ACCOUNT_NUMBER.sub(lambda found: f"{found[1] or ''}0", text)


def plain(text: str, style: str = "") -> Text:
    """The text without control characters, which could change the terminal; no markup."""
    return Text(text.translate(_CONTROL_CHARACTERS), style)


def price_text(price: KiePrice, unit: str = "") -> str:
    """The credits for input and output, or KIE's words if they have no such two numbers."""
    if price.input_credits is None or price.output_credits is None:
        return " ".join((price.text or "").split())
    return f"{price.input_credits:g}/{price.output_credits:g}{unit}"
