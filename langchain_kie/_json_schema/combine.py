"""JSON schemas put together: two that must both hold, alternatives, and texts about them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import ANNOTATIONS, MAX_DEPTH, NAMED_SCHEMAS, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_TEXT_CHARS = 10_000
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


def intersect(first: Schema, second: Schema) -> Schema:
    """One schema for two that must both hold; annotations are those of the first."""
    result = {**second, **first}
    for key in [key for key in second if key in first]:
        if key in _INTERSECTIONS:
            result[key] = _INTERSECTIONS[key](first[key], second[key])
        elif first[key] != second[key]:
            result = with_description(result, f"Also {key}: {as_json_text(second[key])}.")
    return result


def _shared_types(first: list[str], second: list[str]) -> list[str]:
    """The types in both lists; an integer is a number."""
    accepted = [[*types, "integer"] if "number" in types else types for types in (first, second)]
    shared = [name for name in first + second if all(name in types for types in accepted)]
    return list(dict.fromkeys(shared)) or first


def _combinations(first: list[Any], second: list[Any]) -> list[Any]:
    """Each alternative of one list with each of the other; only the first list if too many."""
    if len(first) * len(second) > MAX_DEPTH:
        return first
    return [{"allOf": [a, b]} for a in first for b in second]


def _all_properties(first: Schema, second: Schema) -> Schema:
    shared = {name: _all_of(first[name], second[name]) for name in second if name in first}
    return {**second, **first, **shared}


def _all_of(first: Any, second: Any) -> Any:
    return False if first is False or second is False else {"allOf": [first, second]}


_INTERSECTIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(ANNOTATIONS, lambda first, _: first),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    **dict.fromkeys(("minProperties", "minContains"), max),
    **dict.fromkeys(("maxProperties", "maxContains"), min),
    **dict.fromkeys(("items", "additionalProperties"), _all_of),
    **dict.fromkeys(NAMED_SCHEMAS, _all_properties),
    "nullable": lambda first, second: first and second,
    "uniqueItems": lambda first, second: first or second,
    "required": lambda first, second: list(dict.fromkeys([*first, *second])),
    "type": _shared_types,
    "enum": lambda first, second: [value for value in first if value in second] or first,
    "anyOf": _combinations,
}
"""The value of a keyword that two schemas have. For a keyword without a row the value of the
first schema is kept, and that of the second is added to the description."""


def any_of(alternatives: list[Schema], outside: Schema) -> Schema:
    """One schema for normalized alternatives, with the keywords of `outside`.

    Nested alternatives are flattened, duplicates removed, and a single one needs no `anyOf`.
    """
    branches: list[Schema] = []
    for alternative in alternatives:
        inner = alternative["anyOf"] if alternative.keys() == {"anyOf"} else [alternative]
        branches += [schema for schema in inner if schema not in branches]
    if len(branches) == 1:
        return {**branches[0], **outside}
    return {**({"anyOf": branches} if branches else {}), **outside}


def with_description(schema: Schema, sentence: str) -> Schema:
    """A schema with `sentence` at the end of its description, unless it is already in it."""
    description = schema.get("description") or ""
    if sentence in description:
        return schema
    return {**schema, "description": f"{description} {sentence}".strip()}


def as_json_text(value: Any) -> str:
    """JSON for a description; values that JSON has no form for are written as Python does.

    Text of more than `_MAX_TEXT_CHARS` characters is cut: a value that refers to one other value
    in several places can have more text than there is memory.
    """
    text, size = [], 0
    try:
        for piece in _ENCODER.iterencode(value):
            text.append(piece)
            size += len(piece)
            if size > _MAX_TEXT_CHARS:
                return "".join(text)[:_MAX_TEXT_CHARS] + "…"
        return "".join(text)
    except (ValueError, TypeError, RecursionError):
        return "(not representable as JSON)"
