"""The tools of a call, separated into functions and built-in tools; conversions are cached.

An agent sends the same tools with every call. The cache recognizes them by their JSON, not by
their identity, because a dict can be changed at any time. Pure.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from langchain_kie._bounded_cache import BoundedCache
from langchain_kie._json import ONLY_JSON_TYPES
from langchain_kie._tools.definitions import normalize_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_kie._json import Json


class _WithForms:
    @cached_property
    def forms(self) -> dict[Callable[[Function], Json], bytes]:
        """The JSON in the form of each API, by the function that converts a definition."""
        return {}


class Function(dict[str, Any], _WithForms):
    """The definition of a function, in OpenAI's form; not to be changed."""


class Functions(list[Function], _WithForms):
    """The functions of a call; not to be changed."""


NormalizedTools = tuple["Sequence[Function]", "Sequence[tuple[str, Json]]"]


_cache: BoundedCache[int | bytes, Any] = BoundedCache(32_000_000)
"""Functions by their JSON; lists of tools by their JSON and, of the last calls, by `id`."""


def normalize_tools(tools: Sequence[Any]) -> NormalizedTools:
    """Separate tools into functions and built-in tools.

    Args:
        tools: Tools in any form that `normalize_each` takes.

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
    kept: tuple[bytes, NormalizedTools] | None = _cache.get(id(tools))
    if kept is None or kept[0] != encoded:
        kept, size = _cache.get(encoded), 200
        if kept is None:
            encoded = kept_json(encoded)
            kept = _cache[encoded] = encoded, _normalize(orjson.loads(encoded))
            size = 1000 + 2 * len(encoded)  # and the joined forms of two APIs
        _cache[id(tools)] = kept
        _cache.add_size(size)
    return kept[1]


def _normalize(tools: Sequence[Any]) -> NormalizedTools:
    functions: dict[str, Function] = {}
    builtins: dict[str, Json] = {}
    for normalized in normalize_each(tools):
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
        encoded = orjson.dumps(definition, option=orjson.OPT_APPEND_NEWLINE)  # unlike a list
    except TypeError:
        return Function(definition)
    function: Function | None = _cache.get(encoded)
    if function is None:
        function = _cache[kept_json(encoded)] = Function(orjson.loads(encoded))
        # 40 bytes for a quote and 64 for a comma are what strings, lists and dicts take.
        parsed = len(encoded) + 40 * encoded.count(b'"') + 64 * encoded.count(b",")
        _cache.add_size(1000 + parsed)
    return function


def kept_json(encoded: bytes) -> bytes:
    """JSON to keep, counted; a copy, because orjson 3.13.0 takes five times as much memory."""
    _cache.add_size(len(encoded))
    return bytes(memoryview(encoded))
