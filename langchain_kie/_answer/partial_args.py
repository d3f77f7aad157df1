"""Arguments of a function call that come in pieces, each with a JSON path.

Vertex AI streams them so if `streamFunctionCallArguments` is set. Pure.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from langchain_kie._json import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._json import Json

_VALUES = ("stringValue", "numberValue", "boolValue")
_MEMBERS = frozenset({"jsonPath", "willContinue", *_VALUES})
_MAX_STEPS = 100
_STEP = re.compile(r"""\[(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|(\d{1,6}))\]|\.?([^.\[\]]+)""")
_QUOTE = re.compile(r"""\\'|\\.|\"""")


class PartialArgs:
    """Assembles the arguments of one call.

    Attributes:
        args: The arguments so far.
        is_open: Whether the last string is not complete, or a piece could not be placed.
    """

    def __init__(self) -> None:
        self.args: Json = {}
        self.is_open = False
        self._is_broken = False

    def add(self, pieces: Sequence[Json]) -> None:
        """Add pieces in their order; texts with the same path are joined while they continue."""
        try:
            for piece in pieces:
                path = _parse_path(piece["jsonPath"])
                name = next((name for name in _VALUES if piece.get(name) is not None), None)
                if name or "nullValue" in piece:
                    self._set(path, piece[name] if name else None)
                elif not piece.keys() <= _MEMBERS:
                    self._is_broken = True  # a value of an unknown type
                self.is_open = bool(piece.get("willContinue"))
        except (ValueError, TypeError, LookupError, AttributeError):
            self._is_broken = True
        self.is_open = self.is_open or self._is_broken

    def _set(self, path: list[str | int], value: Any) -> None:
        """Set the value at a path, with the objects and lists around it."""
        holder: Any = self.args
        for step, following in pairwise(path):
            inner = _get(holder, step)
            if inner is None:
                inner = [] if isinstance(following, int) else {}
                _put(holder, step, inner)
            holder = inner
        old = _get(holder, path[-1])
        is_continued = self.is_open and isinstance(old, str) and isinstance(value, str)
        _put(holder, path[-1], old + value if is_continued else value)


def is_start_of(value: Any, other: Any) -> bool:
    """Whether further pieces can make `value` the JSON value `other`."""
    if isinstance(value, dict) and isinstance(other, dict):
        return all(key in other and is_start_of(value[key], other[key]) for key in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) <= len(other) and all(map(is_start_of, value, other))
    if isinstance(value, str) and isinstance(other, str):
        return other.startswith(value)
    return bool(value == other)


def _parse_path(path: str) -> list[str | int]:
    """The names and indexes of a path such as `$.stops[0].city`."""
    steps: list[str | int] = [
        int(match[3]) if match[3] else match[4] or _unescaped(match[1] or match[2] or "")
        for match in _STEP.finditer(path.removeprefix("$"))
    ]
    if not 0 < len(steps) < _MAX_STEPS:
        raise ValueError(f"cannot read the JSON path {path!r} of a tool call's arguments")
    return steps


def _unescaped(key: str) -> str:
    r"""A key of a path without its escapes, which are those of JSON and `\'`."""
    if "\\" not in key:
        return key
    quotes = {"\\'": "'", '"': '\\"'}
    text = _QUOTE.sub(lambda found: quotes.get(found[0], found[0]), key)
    return str(parse_json(f'"{text}"'.encode()))


def _get(holder: Any, step: str | int) -> Any:
    if isinstance(step, str) and isinstance(holder, dict):
        return holder.get(step)
    if isinstance(step, int) and isinstance(holder, list):
        return holder[step] if step < len(holder) else None
    raise ValueError(f"{step!r} in the JSON path of arguments does not fit their values")


def _put(holder: Any, step: str | int, value: Any) -> None:
    if isinstance(step, str) or step < len(holder):
        holder[step] = value
    elif step == len(holder):
        holder.append(value)
    else:
        raise ValueError(f"the JSON path of arguments skips items before {step}")
