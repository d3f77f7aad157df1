"""The vocabulary of JSON Schema: keywords and their values, types, subschemas and references.

Pure. Independent of tools, messages and KIE.
"""

from __future__ import annotations

import math
import re
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

Schema: TypeAlias = dict[str, Any]

MAX_ADDED_NODES = 2_000
"""How many schemas references, and schemas in several places, may add to those that are written."""

MAX_DEPTH = 64
"""How many schemas may be nested in each other; deeper ones are truncated."""

ONE_SCHEMA = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"}
)
_LISTED_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_NAMED_OR_DEFINED = NAMED_SCHEMAS | {"$defs", "definitions"}

ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated"})
CONDITIONS = frozenset({"not", "if", "then", "else"})


# --- valid values ---------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    """Whether a value is a number that JSON can represent."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0 and value == int(value)


def _is_regular_expression(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return isinstance(value, str)


def instance_of(*types: type) -> Callable[[Any], bool]:
    """A check that a value is of one of `types`."""
    return lambda value: isinstance(value, types)


VALUE_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("title", "description", "format"), instance_of(str)),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), instance_of(str)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), is_number),
    "multipleOf": lambda value: is_number(value) and value > 0,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("minContains", "maxContains"), _is_count),
    **dict.fromkeys(("nullable", "uniqueItems", "deprecated"), instance_of(bool)),
    **dict.fromkeys(ONE_SCHEMA, instance_of(dict, bool)),
    **dict.fromkeys(NAMED_SCHEMAS, instance_of(dict)),
    **dict.fromkeys(("anyOf", "prefixItems", "enum"), lambda v: isinstance(v, list) and v != []),
    **dict.fromkeys(("required", "examples"), instance_of(list)),
    "dependentRequired": instance_of(dict),
    "pattern": _is_regular_expression,
    "default": lambda _: True,
}
"""The known keywords, each with a check of its value. A keyword with an invalid value is ignored,
as is an unknown keyword."""


# --- types ----------------------------------------------------------------------------------

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

_TYPES_OF_PYTHON: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
    type(None): "null",
}

KEYWORDS_OF_TYPE: Mapping[str, AbstractSet[str]] = {
    "string": {"minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "object": {"properties", "required", "additionalProperties", "patternProperties"}
    | {"minProperties", "maxProperties", "propertyNames", "dependentSchemas", "dependentRequired"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}
    | {"contains", "minContains", "maxContains"},
}
"""The keywords that only apply to values of one type; those of a number apply to integers too."""

TYPE_SPECIFIC_KEYWORDS = frozenset().union(*KEYWORDS_OF_TYPE.values())


def type_names(value: Any) -> list[str]:
    """The types that the value of `type` lists, in JSON Schema's spelling.

    Unknown types are left out. Other spellings (`STRING`, `int`) are understood.
    """
    names = value if isinstance(value, list) else [value]
    known = [_TYPE_NAMES.get(name.lower()) for name in names if isinstance(name, str)]
    return list(dict.fromkeys(name for name in known if name))


def value_type(value: Any) -> str:
    """The JSON type of a Python value; `string` for what JSON has no type for, such as a date."""
    bases = type(value).__mro__
    return next((_TYPES_OF_PYTHON[base] for base in bases if base in _TYPES_OF_PYTHON), "string")


# --- subschemas and references --------------------------------------------------------------


def map_subschemas(schema: Schema, convert: Callable[[Any], Any]) -> Schema:
    """A copy of `schema`, with `convert` applied to each schema directly inside it.

    Booleans that a keyword has in place of its one schema (`additionalProperties: false`) stay.
    """
    mapped: Schema = {}
    for key, value in schema.items():
        if key in _NAMED_OR_DEFINED and isinstance(value, dict):
            mapped[key] = {name: convert(inner) for name, inner in value.items()}
        elif key in _LISTED_SCHEMAS and isinstance(value, list):
            mapped[key] = [convert(inner) for inner in value]
        elif key in ONE_SCHEMA and not isinstance(value, bool):
            mapped[key] = convert(value)
        else:
            mapped[key] = value
    return mapped


def subschemas(schema: Schema) -> list[Any]:
    """The schemas directly inside a schema."""
    found: list[Any] = []
    map_subschemas(schema, found.append)
    return found


def walk_schemas(root: Any) -> Iterator[Schema]:
    """A schema and all schemas inside it, each once."""
    seen: set[int] = set()
    pending = [root]
    while pending:
        schema = pending.pop()
        if isinstance(schema, dict) and id(schema) not in seen:
            seen.add(id(schema))
            yield schema
            pending += reversed(subschemas(schema))


def accepts_null(schema: Schema) -> bool:
    """Whether a schema accepts null explicitly; schemas inside it do not count."""
    values = schema.get("enum")
    return (
        schema.get("nullable") is True
        or "null" in type_names(schema.get("type"))
        or (isinstance(values, list) and None in values)
        or schema.get("const", "") is None
    )


def has_nullable(root: Any) -> bool:
    """Whether a schema, or one inside it, accepts null explicitly."""
    return any(map(accepts_null, walk_schemas(root)))


def without_titles(schema: Any) -> Any:
    """A schema without its titles, which pydantic generates for every property.

    A schema that is in several places is converted once, and is in these places afterwards too.
    """
    converted: dict[int, Any] = {}

    def convert(inner: Any) -> Any:
        if not isinstance(inner, dict):
            return inner
        if id(inner) not in converted:
            kept = {k: v for k, v in inner.items() if k != "title" or not isinstance(v, str)}
            converted[id(inner)] = map_subschemas(kept, convert)
        return converted[id(inner)]

    return convert(schema)


def resolve_reference(reference: str, root: Any) -> Any:
    """The schema in `root` that a `$ref` points to, by JSON pointer or by anchor.

    Raises:
        ValueError: The reference points to nothing.
    """
    base_uri = root.get("$id") if isinstance(root, dict) else None
    fragment = reference.removeprefix(base_uri) if isinstance(base_uri, str) else reference
    target = None
    if fragment in {"", "#"} or fragment.startswith("#/"):
        target = reduce(_member, fragment.split("/")[1:], root)
    elif fragment.startswith("#"):
        anchored = (
            schema
            for schema in walk_schemas(root)
            if fragment in (f"#{schema.get('$anchor')}", schema.get("$id"))
        )
        target = next(anchored, None)
    if target is None:
        raise ValueError(f"cannot resolve $ref {reference!r}: the schema has no such part")
    return target


def _member(node: Any, step: str) -> Any:
    """The member of `node` that a step of a JSON pointer names, `None` if there is none."""
    name = step.replace("~1", "/").replace("~0", "~")
    if isinstance(node, list):
        return node[int(name)] if name.isdecimal() and int(name) < len(node) else None
    if not isinstance(node, dict):
        return None
    return node[name] if name in node else node.get(unquote(name))  # a reference is a URL
