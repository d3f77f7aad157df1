"""JSON Schema as Gemini's subset of OpenAPI; what the subset lacks is added to the description.

Pure. Independent of tools and messages. Sources: docs/wire.md 2.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.combine import any_of, as_json_text, with_description
from langchain_kie._json_schema.keywords import (
    MAX_ADDED_NODES,
    MAX_DEPTH,
    TYPES,
    VALUE_CHECKS,
    Schema,
    instance_of,
    map_subschemas,
    subschemas,
    walk_schemas,
)
from langchain_kie._json_schema.normalize import normalize_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_SENT_UNCHANGED = frozenset(
    {"minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"}
    | {"minProperties", "maxProperties"}
)
"""The keywords that mean the same in both."""


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_GEMINI_TYPES = frozenset(name.upper() for name in TYPES)
_FORMATS: Mapping[str, frozenset[str]] = {
    "STRING": frozenset({"date-time", "enum"}),
    "INTEGER": frozenset({"int32", "int64"}),
    "NUMBER": frozenset({"float", "double"}),
}

_GEMINI_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    **{key: VALUE_CHECKS[key] for key in ("title", "description", "nullable", *_SENT_UNCHANGED)},
    "default": lambda _: True,
    "example": lambda _: True,
    "type": lambda value: isinstance(value, str) and value in _GEMINI_TYPES,
    "format": instance_of(str),
    "enum": lambda value: value != [] and _is_list_of_text(value),
    "properties": instance_of(dict),
    "required": _is_list_of_text,
    "propertyOrdering": _is_list_of_text,
    "items": instance_of(dict),
    "anyOf": instance_of(list),
}
"""The fields of Gemini's `Schema`, each with a check of its value."""

_SENTENCES: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(("type", "title", "description", "deprecated", "required"), lambda _: ""),
    "additionalProperties": lambda value: (
        "" if isinstance(value, bool) else f"Any property names, each value: {as_json_text(value)}."
    ),
    "default": lambda value: "" if value is None else f"Default: {as_json_text(value)}.",
    "enum": lambda values: f"One of: {', '.join(map(as_json_text, values))}.",
    "examples": lambda values: f"Examples: {', '.join(map(as_json_text, values))}.",
    "format": lambda value: f"Format: {value}.",
    "multipleOf": lambda value: f"A multiple of {as_json_text(value)}.",
    "prefixItems": lambda value: f"Items in this order: {as_json_text(value)}.",
}
"""The sentence that is added to the description for a keyword that is not sent. A keyword without
a row is described as `<keyword>: <value>.`"""

_ANY_VALUE: Sequence[Schema] = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
    {"type": "array", "items": {"type": "string"}},
)
"""Without null, which would make every property of any type optional."""

_MAY_BE_ABSENT = "Leave out if there is none."
_MAY_BE_NULL = "null if there is none."
_MAY_BE_EMPTY = "Empty text if there is none."

_NULL_TEXT: Schema = {"type": "STRING", "enum": ["null"]}
"""null as a text that the model can write; `coerce` reads it as null."""


def to_gemini_schema(schema: Schema) -> Schema:
    """A JSON schema as Gemini's `Schema`; one that is a Gemini schema already is only copied.

    Properties that can be null are optional in both cases.

    Raises:
        ValueError: A reference points to nothing.
    """
    is_gemini = _is_gemini_schema(schema)
    converted = copy.deepcopy(schema) if is_gemini else _convert(normalize_schema(schema))
    if converted.get("type") == "OBJECT":
        converted.setdefault("properties", {})
    return _with_optional_nulls(converted)


def _with_optional_nulls(schema: Schema) -> Schema:
    """A Gemini schema in which the model never has to write null, which KIE does not let it do.

    KIE ignores `nullable`, so that a required property gets an invented value, and fails on a
    `NULL` in `anyOf` (seen with gemini-3.8-flash in 2026-09). A property can be left out instead;
    an item of a list cannot, so a text means null there.
    """
    schema = map_subschemas(schema, _with_optional_nulls)
    if "anyOf" in schema:
        all_branches = schema.pop("anyOf")
        branches = [one for one in all_branches if one.get("type") != "NULL"] or [{"type": "NULL"}]
        if len(branches) < len(all_branches) or any(map(_is_nullable, branches)):
            schema["nullable"] = True
        schema = {**branches[0], **schema} if len(branches) == 1 else {"anyOf": branches, **schema}
    properties = schema.get("properties", {})
    for name in filter(lambda name: _is_nullable(properties[name]), properties):
        properties[name] = with_description(properties[name], _MAY_BE_ABSENT)
    if "required" in schema:
        required = [name for name in schema["required"] if not _is_nullable(properties[name])]
        schema = {k: v for k, v in schema.items() if k != "required"}
        schema |= {"required": required} if required else {}
    if _is_nullable(schema.get("items", {})):
        schema["items"] = _with_null_text(schema["items"])
    return schema


def _with_null_text(schema: Schema) -> Schema:
    """A nullable schema in which a text can mean null, `""` where any text is valid."""
    branches = schema.get("anyOf", [schema])
    texts = [one for one in branches if one.get("type") == "STRING"]
    if any("enum" not in one for one in texts):
        return with_description(schema, _MAY_BE_EMPTY)
    schema = with_description(schema, _MAY_BE_NULL)
    if any("null" in one["enum"] for one in texts):
        return schema
    if schema.get("type") == "STRING":
        return {**schema, "enum": [*schema["enum"], "null"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*branches, _NULL_TEXT]}
    outside = {key: value for key, value in schema.items() if key in {"nullable", "description"}}
    inner = {key: value for key, value in schema.items() if key not in outside}
    return any_of([*([] if inner["type"] == "NULL" else [inner]), _NULL_TEXT], outside)


def _is_nullable(schema: Schema) -> bool:
    return bool(schema.get("nullable")) or schema.get("type") == "NULL"


def _is_gemini_schema(root: Any) -> bool:
    """Whether a schema and all schemas inside it are Gemini's, and not too many or too deep."""
    nodes_left = MAX_ADDED_NODES + 4 * sum(1 for _ in walk_schemas(root))
    pending = [(root, 0)]
    while pending:
        schema, depth = pending.pop()
        nodes_left -= 1
        if nodes_left < 0 or depth > MAX_DEPTH or not _has_gemini_fields(schema):
            return False
        pending += [(inner, depth + 1) for inner in subschemas(schema)]
    return True


def _has_gemini_fields(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if not all(key in _GEMINI_FIELDS and _GEMINI_FIELDS[key](schema[key]) for key in schema):
        return False
    kind = schema.get("type")
    rules = (
        kind is not None or schema.get("anyOf"),
        kind != "ARRAY" or "items" in schema,
        kind == "STRING" or "enum" not in schema,
        "format" not in schema or str(schema["format"]) in _FORMATS.get(str(kind), ()),
        {*schema.get("required", ())} <= schema.get("properties", {}).keys(),
    )
    return all(rules)


def _convert(schema: Schema) -> Schema:
    """Convert a normalized schema."""
    if "anyOf" not in schema and "type" not in schema:
        schema = {**schema, "anyOf": _ANY_VALUE}
    if "anyOf" in schema:
        null = {"type": "null"}
        branches = [one for one in schema["anyOf"] if one.get("type") != "null"] or [null]
        nullable = {"nullable": True} if len(branches) < len(schema["anyOf"]) else {}
        if len(branches) == 1:
            outside = {key: value for key, value in schema.items() if key != "anyOf"}
            return _convert({**branches[0], **outside}) | nullable
        converted: Schema = {"anyOf": [_convert(branch) for branch in branches], **nullable}
    else:
        schema = _with_inclusive_bounds(schema) if schema["type"] == "integer" else schema
        converted = _convert_type(schema)
    converted = with_description(converted, schema.get("description", ""))
    for key in [key for key in schema if key not in converted]:
        describe = _SENTENCES.get(key, lambda value, key=key: f"{key}: {as_json_text(value)}.")
        converted = with_description(converted, describe(schema[key]))
    return converted


def _convert_property(schema: Schema) -> Schema:
    """Convert the normalized schema of a property.

    If it has another default than null, to leave it out is not to say null.
    """
    converted = _convert(schema)
    if schema.get("default") is None or not converted.pop("nullable", False):
        return converted
    return _with_null_text(converted)


def _with_inclusive_bounds(schema: Schema) -> Schema:
    """The schema of an integer, with inclusive bounds only, since Gemini has no others."""
    bounded = dict(schema)
    if "exclusiveMinimum" in schema:
        lowest = math.floor(bounded.pop("exclusiveMinimum")) + 1
        bounded["minimum"] = max(lowest, schema.get("minimum", lowest))
    if "exclusiveMaximum" in schema:
        highest = math.ceil(bounded.pop("exclusiveMaximum")) - 1
        bounded["maximum"] = min(highest, schema.get("maximum", highest))
    return bounded


def _convert_type(schema: Schema) -> Schema:
    """The fields of a schema that has one type, without a description."""
    kind = schema["type"].upper()
    converted: Schema = {"type": kind} | {k: v for k, v in schema.items() if k in _SENT_UNCHANGED}
    if "properties" in schema:
        converted["properties"] = {k: _convert_property(v) for k, v in schema["properties"].items()}
        required = [name for name in schema.get("required", ()) if name in schema["properties"]]
        converted |= {"required": required} if required else {}
    if kind == "ARRAY":
        first = schema.get("prefixItems", [])
        rest = [schema["items"]] if "items" in schema or not first else []
        converted["items"] = _convert(any_of([*first, *rest], {}))
    if kind == "STRING" and _is_list_of_text(schema.get("enum")):
        converted["enum"] = schema["enum"]
    if str(schema.get("format")) in _FORMATS.get(kind, ()):
        converted["format"] = schema["format"]
    return converted
