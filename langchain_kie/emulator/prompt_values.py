"""The values in a prompt: quoted texts, names and numbers, from which arguments are made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The lengths have limits, so that no prompt makes the search slow.
_QUOTED = (
    r"\"([^\"]{1,2000})\"|\u201c([^\u201c\u201d]{1,2000})\u201d|`([^`]{1,2000})`"
    r"|(?<!\w)'([^']{1,2000}(?:'\w[^']{0,200}){0,4})'(?!\w)"
)
_ADDRESS = r"https?://[^\s\"'<>)\]]*[\w/]|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
_NAME = (
    r"(?<![\w'])[A-Z\u00c0-\u00de][\w'/-]*(?:(?: | de | la )[A-Z\u00c0-\u00de][\w'/-]*)*"
    r"(?:, [A-Z]{2}\b)?"
)
_DATE = r"\b\d{4}-\d{2}-\d{2}\b"
_TEXT = re.compile(f"{_QUOTED}|({_ADDRESS})|({_DATE})|({_NAME})")
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
_EXPRESSION = re.compile(r"(?<![\w.-])(\d{1,9}) ?([-+*/]) ?(\d{1,9})(?![\w.-])")
_OPENS_SENTENCE = re.compile(r"(?:^|[.!?:\n])[\s\"'(]*$")
_OPENING_NAME = re.compile(r" [A-Z]|\s(?:is|has|was|lives)\b")
_NO_NAMES = frozenset({"I", "It", "JSON", "That", "There", "This", "What", "Where", "Who"})
_LOOK_BEHIND = 8


def expression_in(text: str) -> tuple[int, str, int] | None:
    """Find the first sum, difference, product or quotient of two integers in a text."""
    found = _EXPRESSION.search(text)
    return (int(found[1]), found[2], int(found[3])) if found else None


def texts_in(prompt: str) -> list[tuple[int, str]]:
    """List quoted texts, addresses, dates and names, each with its position."""
    found = []
    for match in _TEXT.finditer(prompt):
        value = next(group for group in match.groups() if group)
        before = prompt[max(0, match.start() - _LOOK_BEHIND) : match.start()]
        if match.group(7) and _OPENS_SENTENCE.search(before):
            first, _, rest = value.partition(" ")
            if first in _NO_NAMES or not _OPENING_NAME.match(prompt, match.start() + len(first)):
                value = rest
        if value and value not in _NO_NAMES:
            found.append((match.start() + match.group().find(value), value))
    return found


class PromptValues:
    """The values of a prompt; each can be taken once.

    Args:
        prompt: The text of the user.
        start: Where in the prompt the search begins; values before it come last.
    """

    def __init__(self, prompt: str, start: int = 0) -> None:
        self.prompt = prompt
        ordered = sorted(texts_in(prompt), key=lambda found: found[0] < start)
        self.texts = [value for _, value in ordered]
        numbers = sorted(_NUMBER.finditer(prompt), key=lambda match: match.start() < start)
        self.numbers = [match.group() for match in numbers]
        self.expression = next((m.group() for m in _EXPRESSION.finditer(prompt)), None)

    def labelled(self, name: str) -> str | None:
        """Find the value that follows a property's name, as in "title: 'x'" or "limit 5"."""
        words = r"[ _-]?".join(re.findall(r"[A-Z]?[a-z]+|\d+|[^\W_]", name)) or re.escape(name)
        label = rf"(?<!\w){words}(?:d|ed)?(?:\s*(?:=|:|is\b|of\b|to\b)\s*|\s+)"
        value = f"(?:{_TEXT.pattern}|({_NUMBER.pattern}))"
        found = re.search(rf"(?i:{label}){value}", self.prompt) if name else None
        return next((group for group in found.groups() if group), None) if found else None

    def take(self, name: str, is_valid: Callable[[str], bool], *, number: bool) -> str | None:
        """Take the valid value that follows a property's name, else the first valid one."""
        values = self.numbers if number else self.texts
        label = self.labelled(name)
        for value in [label] if label and is_valid(label) else list(values):
            if value is not None and is_valid(value):
                if value in values:
                    values.remove(value)
                return value
        return None
