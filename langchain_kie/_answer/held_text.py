"""Text that is held until it is clear what it is, and functions that find JSON in it.

It may be JSON in a Markdown fence, or the arguments of a required tool call. No I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_kie._answer.pending_call import parse_arguments
from langchain_kie._error_bodies import may_be_lost_file
from langchain_kie._json import to_json
from langchain_kie._json_schema.coerce import fit, fit_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_kie._answer.expected import ExpectedAnswer
    from langchain_kie._json import Json
    from langchain_kie._json_schema.coerce import FittedArguments

_FENCE = "```"
_FIRST_FENCE = re.compile(r"```(?:json)?\s(.*?)```", re.DOTALL | re.IGNORECASE)
_OUTER_FENCE = re.compile(r"```(?:json)?\s(.*)```", re.DOTALL | re.IGNORECASE)
"""Matches from the first fence to the last. If a text has several blocks, the match includes the
fences between them, so it is not JSON."""
_BLANK = " \t\r\n"
_JSON_STARTS = frozenset("{[")
_START_CHARS = 40


class HeldText:
    """The pieces of a text that was not sent.

    Args:
        may_hold: Whether it is held, given its first characters.
        until_end: Whether it is held in any case.
        until_block: Whether it is sent when a block follows that is not text.
    """

    def __init__(
        self, may_hold: Callable[[str], bool], *, until_end: bool = False, until_block: bool = False
    ) -> None:
        self.until_end = until_end
        self.until_block = until_block
        self._may_hold = may_hold
        self.pieces: list[tuple[str, str | None]] = []
        self._start = ""

    def add(self, text: str, signature: str | None) -> bool:
        """Add a piece, with its signature; return whether the text must be held further."""
        self.pieces.append((text, signature))
        self._start = (self._start + text).lstrip(_BLANK)[:_START_CHARS]
        return self.until_end or self._may_hold(self._start)

    def __str__(self) -> str:
        """Return the text."""
        return "".join(text for text, _ in self.pieces)


def text_to_hold(expected: ExpectedAnswer) -> HeldText | None:
    """What is held of the text of an answer; `None` if its text is sent at once."""
    if expected.answer_function or expected.required is not None or expected.answer_schema:
        return HeldText(_has_text_before_json, until_end=True)
    if expected.expects_json:
        return HeldText(_has_text_before_json)
    if expected.media_count and expected.detect_error_text:
        return HeldText(may_be_lost_file, until_block=True)
    return None


def _has_text_before_json(text: str) -> bool:
    """Return whether a text does not start like JSON; a fence or a sentence may come before it."""
    return text[:1] not in _JSON_STARTS


def bare_json(text: str) -> str:
    """Remove the Markdown fence around JSON; other text is unchanged."""
    inner = text.strip(_BLANK)
    if not inner.startswith(_FENCE):
        return text
    inner = inner.removeprefix(_FENCE).removesuffix(_FENCE)
    inner = (inner[4:] if inner[:4].lower() == "json" else inner).strip(_BLANK)
    return text if parse_arguments(inner) is None else inner


def json_in_text(text: str) -> str:
    """As `bare_json`; also finds JSON that is the only fenced block of a longer text."""
    bare = bare_json(text)
    if bare is not text or parse_arguments(text) is not None:
        return bare
    fenced = _OUTER_FENCE.search(text)
    is_json = fenced and isinstance(parse_arguments(fenced[1]), (dict, list))
    return fenced[1].strip(_BLANK) if fenced and is_json else text


def fitted_json(text: str, schema: Json | None) -> str:
    """The JSON in a text, converted to the types of a schema; other text is unchanged."""
    bare = json_in_text(text)
    value = parse_arguments(bare) if schema else None
    if value is None:
        return bare
    fitted, _ = fit(value, schema)
    return bare if fitted is value else to_json(fitted).decode()


def call_from_text(text: str, functions: Sequence[Json]) -> tuple[str, Json] | None:
    """The only function whose arguments the JSON in a text can be: its name, and the arguments.

    A function that has all names in the text comes before others.
    """
    fenced = _FIRST_FENCE.search(text)
    value = parse_arguments(fenced[1] if fenced else bare_json(text))
    calls: dict[str, FittedArguments] = {}
    for function in functions:
        fitted = fit_arguments(value, function["name"], function.get("parameters") or {})
        if fitted:
            calls[function["name"]] = fitted
    exact = {name: fitted for name, fitted in calls.items() if fitted.is_exact}
    found = [(name, fitted.args) for name, fitted in (exact or calls).items()]
    return found[0] if len(found) == 1 else None
