"""Reads prices from the sentences in which KIE writes them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from langchain_kie._catalog import USD_PER_CREDIT

_UNIT = re.compile(r"\b1\s?M(illion)?\s+tokens\b", re.IGNORECASE)
_NUMBER = r"(\d[\d,]*(?:\.\d+)?)"
_CREDITS = re.compile(rf"{_NUMBER}\s*credits?\b", re.IGNORECASE)
_USD = re.compile(rf"\$\s*{_NUMBER}")
_SENTENCE_END = re.compile(r"\.(?!\d)")


@dataclass(frozen=True, slots=True)
class KiePrice:
    """What a model costs, for 1 million tokens.

    Attributes:
        text: KIE's sentence, with conditions such as the end of an offer; `None` if there is none.
        input_credits: Credits for 1 million input tokens; `None`, as the others, if the text does
            not state exactly one price for input and one for output.
        output_credits: Credits for 1 million output tokens.
        input_usd: US dollars for 1 million input tokens.
        output_usd: US dollars for 1 million output tokens.
    """

    text: str | None = None
    input_credits: float | None = None
    output_credits: float | None = None
    input_usd: float | None = None
    output_usd: float | None = None


def parse_price(text: str | None) -> KiePrice:
    """Read a price such as `Input 45 credits / 1M tokens (≈ $0.225), Output 225 credits ...`."""
    sentence = _SENTENCE_END.split(text or "", maxsplit=1)[0]
    sides = re.split(r"\boutput\b", sentence, flags=re.IGNORECASE)
    names_input_once = len(re.findall(r"\binput\b", sides[0], re.IGNORECASE)) == 1
    prices = [price for side in sides if (price := _side(side))]
    is_plain = len(sides) == len(prices) == 2 and names_input_once  # noqa: PLR2004 - input and output
    if not (is_plain and _UNIT.search(sentence)):
        return KiePrice(text)
    (input_credits, input_usd), (output_credits, output_usd) = prices
    return KiePrice(text, input_credits, output_credits, input_usd, output_usd)


def _side(text: str) -> tuple[float, float] | None:
    """The price of input or output, in credits and dollars; a missing one is computed."""
    in_credits, in_usd = _numbers(_CREDITS, text), _numbers(_USD, text)
    if len(in_credits) > 1 or len(in_usd) > 1 or not (in_credits or in_usd):
        return None
    amount = in_credits[0] if in_credits else round(in_usd[0] / USD_PER_CREDIT, 6)
    return amount, in_usd[0] if in_usd else round(amount * USD_PER_CREDIT, 10)


def _numbers(pattern: re.Pattern[str], text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in pattern.findall(text)]
