"""The tools of a call as functions and built-ins; those of an earlier call are known again.

An agent sends the same tools with every call. A tool is known by its JSON, and not by being the
same object, since whoever has a dict can change it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from langchain_kie._tools import normalize_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = dict[str, Any]

_ONLY_JSON = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


class Function(dict[str, Any]):
    """A function's definition, as OpenAI has it; not to be changed.

    Attributes:
        forms: Its JSON in a dialect, by what makes that form.
    """

    __slots__ = ("forms",)

    def __init__(self, definition: Json) -> None:
        super().__init__(definition)
        self.forms: dict[Callable[[Function], Json], bytes] = {}


Split = tuple["Sequence[Function]", "Sequence[tuple[str, Json]]"]


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What one tool is."""

    functions: Sequence[Function]
    builtins: Sequence[tuple[str, Json]]


def split_tools(tools: Sequence[Any]) -> Split:
    """Tools as function definitions and built-ins, each once; not to be changed.

    Raises:
        ValueError: Two functions have the same name, or one has an illegal name.
    """
    return _joined(tuple([_known(tool) for tool in tools]))


def known_function(definition: Json) -> Function:
    """A function that is no tool of the caller's."""
    try:
        return _function_of_json(orjson.dumps(definition, option=_ONLY_JSON))
    except TypeError:
        return Function(definition)


@lru_cache(maxsize=256)
def _function_of_json(definition: bytes) -> Function:
    return Function(orjson.loads(definition))


def _known(tool: Any) -> _Known:
    try:
        return _known_json(orjson.dumps(tool, option=_ONLY_JSON))
    except TypeError:
        return _known_tool(tool)


@lru_cache(maxsize=2048)
def _known_json(tool: bytes) -> _Known:
    return _known_tool(orjson.loads(tool))


def _known_tool(tool: Any) -> _Known:
    normal = normalize_tool(tool)
    return _Known(
        [known_function(n["function"]) for n in normal if n["type"] == "function"],
        [
            (n["type"], {key: value for key, value in n.items() if key != "type"})
            for n in normal
            if n["type"] != "function"
        ],
    )


@lru_cache(maxsize=256)
def _joined(known: tuple[_Known, ...]) -> Split:
    functions: dict[str, Function] = {}
    builtins: dict[str, Json] = {}
    for tool in known:
        builtins.update(tool.builtins)
        for function in tool.functions:
            if function["name"] in functions:
                raise ValueError(f"two tools are named {function['name']!r}")
            functions[function["name"]] = function
    return [*functions.values()], [*builtins.items()]
