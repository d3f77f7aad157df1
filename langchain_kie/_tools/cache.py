"""The tools of a call as functions and built-ins; those of an earlier call are known again.

An agent sends the same tools with every call. They are known by their JSON, and not by being
the same objects, since whoever has a dict can change it. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from langchain_kie._tools.definitions import normalize_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_kie._json import Json


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


def split_tools(tools: Sequence[Any]) -> Split:
    """Tools as function definitions and built-ins, each once; not to be changed.

    Raises:
        ValueError: Two functions have the same name, or one has an illegal name.
    """
    if not tools:
        return (), ()
    try:
        return _split_json(orjson.dumps(tools, option=_ONLY_JSON))
    except TypeError:
        return _split(tools)


@lru_cache(maxsize=256)
def _split_json(tools: bytes) -> Split:
    return _split(orjson.loads(tools))


def _split(tools: Sequence[Any]) -> Split:
    functions: dict[str, Function] = {}
    builtins: dict[str, Json] = {}
    for tool in tools:
        for normal in normalize_tool(tool):
            if normal["type"] != "function":
                builtins[normal["type"]] = {k: v for k, v in normal.items() if k != "type"}
                continue
            function = known_function(normal["function"])
            if function["name"] in functions:
                raise ValueError(f"two tools are named {function['name']!r}")
            functions[function["name"]] = function
    return [*functions.values()], [*builtins.items()]


def known_function(definition: Json) -> Function:
    """A function; the same one again, where it has been seen before."""
    try:
        return _function_of_json(orjson.dumps(definition))
    except TypeError:
        return Function(definition)


@lru_cache(maxsize=2048)
def _function_of_json(definition: bytes) -> Function:
    return Function(orjson.loads(definition))
