"""Text of models and servers, without what could change a terminal."""

from __future__ import annotations

from rich.text import Text

_CONTROL_CHARACTERS = dict.fromkeys(
    [code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"]
)


def plain(text: str, style: str = "") -> Text:
    """The text without control characters, which could change the terminal; no markup."""
    return Text(text.translate(_CONTROL_CHARACTERS), style)
