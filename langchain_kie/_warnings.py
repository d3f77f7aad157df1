"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

_LIBRARIES = frozenset({"langchain_kie", "langchain_core", "langchain", "langgraph", "pydantic"})

_given = 0


def warnings_given() -> int:
    """How many warnings there were, by which to see whether there was one."""
    return _given


def warn(message: str) -> None:
    """Warn at the nearest calling line that is in none of these libraries.

    Args:
        message: A sentence that names the thing and what happens to it.
    """
    global _given  # noqa: PLW0603 - one count a process
    _given += 1
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - `skip_file_prefixes` needs Python 3.12
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
