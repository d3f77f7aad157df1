"""JSON Schema, draft 2020-12: what a schema must look like, and which simple values match it.

A validator package would be five of the packages that the emulator needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_kie.emulator.conversation import Schema

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_set_of_texts(value: Any) -> bool:
    is_texts = isinstance(value, list) and all(map(_is_text, value))
    return is_texts and len(set(value)) == len(value)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and _is_set_of_texts(names) and all(name in _TYPES for name in names)


def _is_map_of_sets(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_set_of_texts, value.values()))


_VALUES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("$id", "$schema", "$ref", "$anchor", "$comment", "$dynamicRef"), _is_text),
    **dict.fromkeys(("title", "description", "format", "$dynamicAnchor"), _is_text),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"), _is_number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems"), _is_count),
    **dict.fromkeys(("maxProperties", "minProperties", "maxContains", "minContains"), _is_count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _is_bool),
    **dict.fromkeys(("enum", "examples"), _is_list),
    "pattern": _is_pattern,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "required": _is_set_of_texts,
    "dependentRequired": _is_map_of_sets,
    "type": _is_type,
}
"""Keywords whose value is no schema, and what it must be."""

_SCHEMA = frozenset(
    {
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
        *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_SCHEMA_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_MAP = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)


def schema_error(schema: Any) -> str:
    """Why a value is no JSON schema; empty if it is one."""
    return next(_errors(schema, ""), "")


def _errors(schema: Any, path: str) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"{path or 'the schema'} must be an object or a boolean"
        return
    for keyword, value in schema.items():
        children = _children(keyword, value)
        if children is None or (keyword in _VALUES and not _VALUES[keyword](value)):
            yield f"{path}.{keyword} is not valid: {value!r}"
            return
        for place, child in children:
            yield from _errors(child, f"{path}.{keyword}{place}")


def _children(keyword: str, value: Any) -> list[tuple[str, Any]] | None:
    """The schemas in the value of a keyword, with their paths; `None` if it must have other."""
    if keyword in _SCHEMA:
        return [("", value)]
    if keyword in _SCHEMA_LIST:
        is_valid_list = isinstance(value, list) and value
        return [(f"[{n}]", item) for n, item in enumerate(value)] if is_valid_list else None
    if keyword in _SCHEMA_MAP:
        has_names = isinstance(value, dict) and (
            keyword != "patternProperties" or all(map(_is_pattern, value))
        )
        return [(f".{name}", item) for name, item in value.items()] if has_names else None
    return []


def is_valid(schema: Schema | bool, value: str | float | None) -> bool:
    """Whether a text, a number or null matches a schema, whose references are not followed."""
    if isinstance(schema, bool):
        return schema
    types = schema.get("type", _TYPES)
    is_text, is_number = isinstance(value, str), _is_number(value)
    return (
        any(_has_type(value, name) for name in ([types] if isinstance(types, str) else types))
        and _is_among(value, [schema.get("const", value)])
        and _is_among(value, schema.get("enum", [value]))
        and (not is_text or _is_valid_text(schema, str(value)))
        and (not is_number or _is_valid_number(schema, value))
        and all(is_valid(branch, value) for branch in schema.get("allOf", ()))
        and any(is_valid(branch, value) for branch in schema.get("anyOf", [True]))
        and sum(is_valid(branch, value) for branch in schema.get("oneOf", [True])) == 1
        and not is_valid(schema.get("not", False), value)
    )


def _is_among(value: Any, values: list[Any]) -> bool:
    return any(one == value and not isinstance(one, bool) for one in values)


def _has_type(value: Any, name: str) -> bool:
    match name:
        case "null":
            return value is None
        case "string":
            return isinstance(value, str)
        case "number":
            return _is_number(value)
        case "integer":
            return _is_number(value) and value == value // 1
    return False


def _is_valid_text(schema: Schema, text: str) -> bool:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", len(text))
    has_pattern = "pattern" not in schema or re.search(schema["pattern"], text) is not None
    return shortest <= len(text) <= longest and has_pattern


def _is_valid_number(schema: Schema, number: Any) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and ("exclusiveMinimum" not in schema or number > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or number < schema["exclusiveMaximum"])
        and (step is None or number % step == 0 or float(number / step).is_integer())
    )
