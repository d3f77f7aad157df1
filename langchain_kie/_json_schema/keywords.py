"""JSON Schema's keywords: which hold what, where schemas stand in schemas, and what points where.

Pure; knows nothing of dialects.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Schema: TypeAlias = dict[str, Any]


MAX_DEPTH = 64


TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


_TYPE_NAMES: Mapping[str, str] = {name: name for name in TYPES} | {
    "bool": "boolean",
    "dict": "object",
    "double": "number",
    "float": "number",
    "int": "integer",
    "list": "array",
    "none": "null",
    "str": "string",
}


ONE_SCHEMA = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)


LISTED_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})


NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})


_DEFINITIONS = frozenset({"$defs", "definitions"})


ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated"})


CONDITIONS = frozenset({"not", "if", "then", "else"})


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (isinstance(value, int) or math.isfinite(value))


def _is_count(value: Any) -> bool:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_whole and not isinstance(value, bool) and value >= 0


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_expression(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return isinstance(value, str)


WELL_FORMED: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("title", "description", "format"), is_text),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), is_text),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("minContains", "maxContains"), _is_count),
    **dict.fromkeys(("nullable", "uniqueItems", "deprecated"), _is_flag),
    **dict.fromkeys(ONE_SCHEMA, _is_schema),
    **dict.fromkeys(NAMED_SCHEMAS, _is_map),
    **dict.fromkeys(("anyOf", "prefixItems", "enum"), lambda value: is_list(value) and value),
    **dict.fromkeys(("required", "examples"), is_list),
    "dependentRequired": _is_map,
    "pattern": _is_expression,
    "default": lambda _: True,
}
"""The keywords that mean something, and what must be so for them to; others are left out."""


KEYS_OF_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset(
        {"minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"}
    ),
    "number": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
    "object": frozenset(
        {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"}
        | {"minProperties", "maxProperties", "dependentSchemas", "dependentRequired"}
    ),
    "array": frozenset(
        {"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"}
        | {"minContains", "maxContains"}
    ),
}


BOUND_KEYS = frozenset().union(*KEYS_OF_TYPE.values())


def find(reference: str, root: Any) -> Any:
    """What a reference inside a schema points to.

    Raises:
        ValueError: Nothing is there.
    """
    own_id = root.get("$id") if isinstance(root, dict) else None
    place = reference.removeprefix(own_id) if isinstance(own_id, str) else reference
    if place.startswith("#") and not place.startswith("#/") and place != "#":
        return _find_anchor(reference, place[1:], root)
    node: Any = root
    for step in place.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            node = None
    if node is None or place[:1] not in {"", "#"}:
        raise ValueError(f"the schema refers to {reference!r}, which it does not hold")
    return node


def _find_anchor(reference: str, anchor: str, root: Any) -> Any:
    for _, node in schemas(root):
        if node.get("$anchor") == anchor or node.get("$id") == f"#{anchor}":
            return node
    raise ValueError(f"the schema refers to {reference!r}, which it does not hold")


def reserved_property(schema: Any, path: str = "$") -> str | None:
    """Where a schema has a property named `type`, which KIE refuses in a response format."""
    for place, node in schemas(schema):
        properties = node.get("properties")
        if isinstance(properties, dict) and "type" in properties:
            return f"{path}{place}.properties.type"
    return None


def without_titles(schema: Any) -> Any:
    """A schema without its titles, which generated schemas have for every property."""
    if not isinstance(schema, dict):
        return schema
    made: Schema = {}
    for key, value in schema.items():
        if key in NAMED_SCHEMAS | _DEFINITIONS and isinstance(value, dict):
            made[key] = {name: without_titles(inner) for name, inner in value.items()}
        elif key in LISTED_SCHEMAS and isinstance(value, list):
            made[key] = [without_titles(inner) for inner in value]
        elif key in ONE_SCHEMA:
            made[key] = without_titles(value)
        elif key != "title" or not isinstance(value, str):
            made[key] = value
    return made


def type_names(value: Any) -> list[str]:
    """The types that a `type` names, in JSON Schema's words; none for those unknown."""
    names = value if isinstance(value, list) else [value]
    known = [_TYPE_NAMES.get(name.lower()) for name in names if isinstance(name, str)]
    return list(dict.fromkeys(name for name in known if name))


def children(schema: Schema) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside a schema, with their places."""
    for key, value in schema.items():
        if key in NAMED_SCHEMAS | _DEFINITIONS and isinstance(value, dict):
            yield from ((f".{key}.{name}", inner) for name, inner in value.items())
        elif key in LISTED_SCHEMAS | {"items"} and isinstance(value, list):
            yield from ((f".{key}[{n}]", inner) for n, inner in enumerate(value))
        elif key in ONE_SCHEMA:
            yield f".{key}", value


def schemas(root: Any) -> Iterator[tuple[str, Schema]]:
    """A schema and all inside it, each once, with their places."""
    seen: set[int] = set()
    waiting = [("", root)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, dict) and id(node) not in seen:
            seen.add(id(node))
            yield place, node
            waiting += reversed([(place + step, child) for step, child in children(node)])
