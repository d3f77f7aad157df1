"""The tools of a call, separated into functions and built-in tools; conversions are cached.

An agent sends the same tools with every call. The cache recognizes them by their JSON, not by
their identity, because a dict can be changed at any time. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from langchain_kie._json import ONLY_JSON_TYPES
from langchain_kie._tools.definitions import normalize_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from langchain_kie._json import Json


class Function(dict[str, Any]):
    """The definition of a function, in OpenAI's form; not to be changed.

    Attributes:
        forms: Its JSON in the form of each API, by the function that converts it.
    """

    __slots__ = ("forms",)

    def __init__(self, definition: Json) -> None:
        super().__init__(definition)
        self.forms: dict[Callable[[Function], Json], bytes] = {}


class Functions(list[Function]):
    """The functions of a call; not to be changed.

    Attributes:
        forms: Their JSON in the form of each API, by the function that converts one.
    """

    __slots__ = ("forms",)

    def __init__(self, functions: Iterable[Function]) -> None:
        super().__init__(functions)
        self.forms: dict[Callable[[Function], Json], bytes] = {}


NormalizedTools = tuple["Sequence[Function]", "Sequence[tuple[str, Json]]"]

_MAX_LISTS = 256
_last_by_id: dict[int, tuple[bytes, NormalizedTools]] = {}


def normalize_tools(tools: Sequence[Any]) -> NormalizedTools:
    """Separate tools into functions and built-in tools.

    Args:
        tools: Tools in any form that `normalize_tool` takes.

    Returns:
        The functions, and the built-in tools as catalog names with their configuration; neither
        is to be changed.

    Raises:
        ValueError: Two functions have the same name, or a tool is invalid.
    """
    if not tools:
        return (), ()
    try:
        encoded = orjson.dumps(tools, option=ONLY_JSON_TYPES)
    except TypeError:
        return _normalize(tools)
    # The list of the last call is compared, because to look up 30 kB takes longer.
    last, normalized = _last_by_id.get(id(tools), (b"", ((), ())))
    if last != encoded:
        normalized = _normalize_json(encoded)
        if len(_last_by_id) >= _MAX_LISTS:
            _last_by_id.clear()
        _last_by_id[id(tools)] = encoded, normalized
    return normalized


@lru_cache(maxsize=_MAX_LISTS)
def _normalize_json(tools: bytes) -> NormalizedTools:
    return _normalize(orjson.loads(tools))


def _normalize(tools: Sequence[Any]) -> NormalizedTools:
    functions: dict[str, Function] = {}
    builtins: dict[str, Json] = {}
    for normalized in (one for tool in tools for one in normalize_tool(tool)):
        kind = normalized["type"]
        if kind != "function":
            builtins[kind] = {key: value for key, value in normalized.items() if key != "type"}
            continue
        function = cached_function(normalized["function"])
        if function["name"] in functions:
            raise ValueError(f"two tools are named {function['name']!r}")
        functions[function["name"]] = function
    return Functions(functions.values()), [*builtins.items()]


def cached_function(definition: Json) -> Function:
    """A function; the same object for every equal definition."""
    try:
        return _function_from_json(orjson.dumps(definition))
    except TypeError:
        return Function(definition)


@lru_cache(maxsize=2048)
def _function_from_json(definition: bytes) -> Function:
    return Function(orjson.loads(definition))
