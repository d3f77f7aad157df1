"""Plain schemas to Gemini's subset of OpenAPI; what it cannot say goes into words.

Pure; knows nothing of tools or messages. Sources: docs/wire.md 2.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import (
    MAX_DEPTH,
    TYPES,
    WELL_FORMED,
    Schema,
    children,
    is_list,
    is_text,
)
from langchain_kie._json_schema.normalize import (
    any_of,
    as_json_text,
    for_chat_completions,
    with_description,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NATIVE_VALUES: Mapping[str, Callable[[Any], bool]] = {
    **{key: WELL_FORMED[key] for key in ("title", "description", "nullable", "pattern")},
    **{key: WELL_FORMED[key] for key in ("minimum", "maximum", "minLength", "maxLength")},
    **{key: WELL_FORMED[key] for key in ("minItems", "maxItems")},
    **{key: WELL_FORMED[key] for key in ("minProperties", "maxProperties")},
    "default": lambda _: True,
    "example": lambda _: True,
}


_NATIVE_FORMATS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"date-time", "enum"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}


_SHAPES = frozenset({"type", "properties", "items", "anyOf", "enum", "format", "required"})


_DESCRIBED = frozenset({"title", "description", "default"})


_NOT_SAID = frozenset({"title", "description", "deprecated", "type", "required"})


_WORDS: Mapping[str, str] = {
    "additionalProperties": "Any names, each value: ",
    "default": "Default: ",
    "enum": "One of: ",
    "examples": "Examples: ",
    "format": "Format: ",
    "multipleOf": "A multiple of ",
    "prefixItems": "Items in this order: ",
}


_ANYTHING: Sequence[Schema] = (
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "null"},
)


def for_generate_content(schema: Schema) -> Schema:
    """A schema for the native dialect: Gemini's OpenAPI subset, nothing else.

    One that is in it already is left as it is.

    Raises:
        ValueError: A reference leads nowhere.
    """
    if _is_native(schema, 0):
        return copy.deepcopy(schema)
    native = _native(for_chat_completions(schema))
    if native.get("type") == "OBJECT":
        native.setdefault("properties", {})
    return native


def _is_native(schema: Any, depth: int) -> bool:
    """Whether a schema is in Gemini's form."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return False
    kind, properties, names = (schema.get(key) for key in ("type", "properties", "required"))
    alternatives, items = schema.get("anyOf"), schema.get("items")
    enum, format_ = schema.get("enum"), schema.get("format")
    if isinstance(kind, str):
        known = kind.lower() in TYPES and kind.isupper() and (kind != "ARRAY" or items)
    else:
        known = kind is None and bool(alternatives)
    if not isinstance(properties or {}, dict):
        return False
    fits = (
        known,
        schema.keys() <= _NATIVE_VALUES.keys() | _SHAPES | {"propertyOrdering"},
        all(fits(schema[key]) for key, fits in _NATIVE_VALUES.items() if key in schema),
        _are_texts(enum) and enum != [] and (not enum or kind == "STRING"),
        format_ is None or format_ in _NATIVE_FORMATS.get(str(kind).lower(), ()),
        isinstance(alternatives or [], list),
        _are_texts(names) and set(names or ()) <= set(properties or ()),
        _are_texts(schema.get("propertyOrdering")),
    )
    return all(fits) and all(_is_native(child, depth + 1) for _, child in children(schema))


def _are_texts(values: Any) -> bool:
    return values is None or (is_list(values) and all(map(is_text, values)))


def _native(schema: Schema) -> Schema:
    """A plain schema in Gemini's form."""
    if "anyOf" not in schema and "type" not in schema:
        schema = {**schema, "anyOf": _ANYTHING}
    if "anyOf" in schema:
        beside = {k: v for k, v in schema.items() if k != "anyOf"}
        kept = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        null = {"nullable": True} if len(kept) < len(schema["anyOf"]) else {}
        if len(kept) == 1:
            return _native({**kept[0], **beside}) | null
        native: Schema = {"anyOf": [_native(branch) for branch in kept], **null}
    else:
        native = _native_of_type(schema, schema["type"])
    words = [_in_words(key, value, native) for key, value in schema.items()]
    for told in [schema.get("description"), *words]:
        native = with_description(native, told) if told else native
    return native


def _native_of_type(schema: Schema, kind: str) -> Schema:
    native: Schema = {"type": kind.upper()}
    native |= {k: v for k, v in schema.items() if k in _NATIVE_VALUES and k not in _DESCRIBED}
    if kind == "object" and "properties" in schema:
        native["properties"] = {k: _native(v) for k, v in schema["properties"].items()}
        names = [name for name in schema.get("required", ()) if name in native["properties"]]
        native |= {"required": names} if names else {}
    if kind == "array":
        first = schema.get("prefixItems", [])
        rest = [schema["items"]] if "items" in schema or not first else []
        native["items"] = _native(any_of([*first, *rest], {}))
    if kind == "string" and _are_texts(schema.get("enum")) and "enum" in schema:
        native["enum"] = schema["enum"]
    if schema.get("format") in _NATIVE_FORMATS.get(kind, ()):
        native["format"] = schema["format"]
    if kind == "integer":
        least, most = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        if least is not None:
            least = math.floor(least) + 1
            native["minimum"] = max(least, native.get("minimum", least))
        if most is not None:
            most = math.ceil(most) - 1
            native["maximum"] = min(most, native.get("maximum", most))
    return native


def _in_words(key: str, value: Any, native: Schema) -> str | None:
    """What a keyword says that `native` does not."""
    if key in native or key in _NOT_SAID or (key == "default" and value is None):
        return None
    if key in {"exclusiveMinimum", "exclusiveMaximum"} and native.get("type") == "INTEGER":
        return None
    if key == "additionalProperties" and isinstance(value, bool):
        return None
    if key in {"enum", "examples"}:
        value = [*value]
        return f"{_WORDS[key]}{', '.join(map(as_json_text, value))}."
    return f"{_WORDS.get(key, f'{key}: ')}{value if key == 'format' else as_json_text(value)}."
