"""JSON Schema to what each dialect accepts, keeping the meaning.

What a dialect cannot say goes into the description, in words. Pure; knows nothing of tools or
messages. Sources: docs/wire.md 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema: TypeAlias = dict[str, Any]

_MAX_DEPTH = 64
_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "$anchor", "$defs", "definitions"})
_NATIVE_KEYS = frozenset(
    {
        "description",
        "nullable",
        "maxItems",
        "minItems",
        "required",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
    }
)
_NATIVE_FORMATS = {
    "string": {"date-time", "enum"},
    "integer": {"int32", "int64"},
    "number": {"float", "double"},
}
_SAID_OTHERWISE = frozenset(
    {"type", "properties", "items", "anyOf", "enum", "format", "title", "default"}
)


def for_chat_completions(schema: Schema) -> Schema:
    """A schema for the OpenAI-shaped dialect: references resolved, one type a schema.

    A list of types becomes `anyOf`, with each type's own keywords inside its branch, because
    KIE loses those that stand beside it (docs/wire.md 2).
    """
    plain: Schema = _plain(_resolved(schema, schema, ()))
    return plain


def for_generate_content(schema: Schema) -> Schema:
    """A schema for the native dialect: Gemini's OpenAPI subset, nothing else."""
    native = _native(for_chat_completions(schema))
    if native.get("type") == "OBJECT":
        native.setdefault("properties", {})
    return native


def reserved_property(schema: Any, path: str = "$") -> str | None:
    """Where a schema has a property named `type`, which KIE refuses in a response format."""
    if isinstance(schema, list):
        found = (reserved_property(s, f"{path}[{i}]") for i, s in enumerate(schema))
        return next(filter(None, found), None)
    if not isinstance(schema, dict):
        return None
    for name, inner in schema.items():
        is_map = name == "properties" and isinstance(inner, dict)
        if is_map and "type" in inner:
            return f"{path}.properties.type"
        children = inner.items() if is_map else ((name, inner),)
        for child, value in children:
            inside = f"{path}.properties.{child}" if is_map else f"{path}.{child}"
            if found_at := reserved_property(value, inside):
                return found_at
    return None


def _resolved(schema: Any, root: Schema, open_refs: tuple[str, ...]) -> Any:
    """Put what references point to in their place; a recursion ends in any object."""
    if isinstance(schema, list):
        return [_resolved(item, root, open_refs) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        beside = {k: v for k, v in schema.items() if k != "$ref"}
        if reference in open_refs or len(open_refs) > _MAX_DEPTH:
            return {"type": "object", **beside}
        target = _looked_up(reference, root)
        return _resolved({**target, **beside}, root, (*open_refs, reference))
    return {
        key: _map(value, root, open_refs)
        if key in {"properties", "patternProperties"}
        else value
        if key in {"enum", "const", "default", "examples", "required"}
        else _resolved(value, root, open_refs)
        for key, value in schema.items()
        if key not in _ANNOTATIONS
    }


def _map(properties: Any, root: Schema, open_refs: tuple[str, ...]) -> Any:
    """Properties by name: the names are the user's, whatever they look like."""
    if not isinstance(properties, dict):
        return properties
    return {name: _resolved(inner, root, open_refs) for name, inner in properties.items()}


def _looked_up(reference: str, root: Schema) -> Schema:
    node: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if not step:
            continue
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"the schema refers to {reference!r}, which it does not hold")
        node = node[name]
    return dict(node) if isinstance(node, dict) else {}


def _plain(schema: Any) -> Any:
    """Say type lists, `const`, `oneOf` and `allOf` with the keywords that every dialect has."""
    if not isinstance(schema, dict):
        return schema
    schema = _merged(schema)
    plain: Schema = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            plain[key] = {name: _plain(inner) for name, inner in value.items()}
        elif key == "items" and isinstance(value, dict):
            plain[key] = _plain(value)
        elif key in {"anyOf", "prefixItems"}:
            plain[key] = [_plain(branch) for branch in value]
        elif key == "const":
            plain["enum"] = [value]
        else:
            plain[key] = value
    if isinstance(plain.get("type"), list):
        return _one_type_a_branch(plain)
    return plain


def _merged(schema: Schema) -> Schema:
    """`oneOf` as `anyOf`, and the branches of `allOf` in one."""
    schema = dict(schema)
    if "oneOf" in schema:
        schema["anyOf"] = [*schema.get("anyOf", ()), *schema.pop("oneOf")]
    for branch in map(_merged, schema.pop("allOf", ())):
        for key, value in branch.items():
            if key == "properties":
                schema[key] = {**value, **schema.get(key, {})}
            elif key == "required":
                schema[key] = list(dict.fromkeys([*schema.get(key, ()), *value]))
            else:
                schema.setdefault(key, value)
    return schema


def _one_type_a_branch(schema: Schema) -> Schema:
    outside = {k: v for k, v in schema.items() if k in {"title", "description", "default"}}
    inside = {k: v for k, v in schema.items() if k not in outside and k != "type"}
    types = schema["type"]
    branches = [
        {"type": name} if name == "null" else {"type": name, **_fitting(inside, name)}
        for name in types
    ]
    return {**outside, **(branches[0] if len(branches) == 1 else {"anyOf": branches})}


_KEYS_OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "object": ("properties", "required", "additionalProperties"),
    "string": ("minLength", "maxLength", "pattern", "format"),
}


def _fitting(keywords: Schema, type_name: str) -> Schema:
    """The keywords that can hold of a type: its own, and those that belong to none."""
    foreign = {k for name, keys in _KEYS_OF_TYPE.items() if name != type_name for k in keys}
    return {k: v for k, v in keywords.items() if k not in foreign}


def _native(schema: Any) -> Schema:
    """A plain schema in Gemini's subset."""
    if not isinstance(schema, dict):
        return {"type": "OBJECT"} if schema else {"type": "STRING"}
    branches = schema.get("anyOf")
    if branches:
        return _native_branches(schema, branches)
    kind = schema.get("type") or _guessed_type(schema)
    native: Schema = {k: v for k, v in schema.items() if k in _NATIVE_KEYS}
    words = [str(schema["description"])] if schema.get("description") else []
    native["type"] = str(kind).upper()
    if kind == "null":
        return {"type": "STRING", "nullable": True}
    if "properties" in schema:
        native["properties"] = {k: _native(v) for k, v in schema["properties"].items()}
    if kind == "array":
        items = schema.get("items") or {"anyOf": schema.get("prefixItems") or [{}]}
        native["items"] = _native(items)
    if "enum" in schema:
        words += _native_enum(native, schema["enum"])
    if (format_ := schema.get("format")) in _NATIVE_FORMATS.get(str(kind), ()):
        native["format"] = format_
    elif format_:
        words.append(f"Format: {format_}.")
    words += _unsayable(schema)
    if words:
        native["description"] = " ".join(words)
    return native


def _native_branches(schema: Schema, branches: list[Any]) -> Schema:
    """Alternatives; "or null" is the flag `nullable` here."""
    beside = {k: v for k, v in schema.items() if k != "anyOf"}
    is_null = [isinstance(b, dict) and b.get("type") == "null" for b in branches]
    kept = [b for b, null in zip(branches, is_null, strict=True) if not null]
    if len(kept) == 1 and isinstance(kept[0], dict):
        native = _native({**kept[0], **beside})
    else:
        native = {"anyOf": [_native(b) for b in kept] or [{"type": "STRING"}]}
        if schema.get("description"):
            native["description"] = schema["description"]
    if any(is_null):
        native["nullable"] = True
    return native


def _native_enum(native: Schema, values: list[Any]) -> list[str]:
    """An enum of strings stays one; of anything else, it can only be told in words."""
    strings = [value for value in values if isinstance(value, str)]
    if None in values:
        native["nullable"] = True
    if len(strings) == len(values) - values.count(None):
        native["enum"] = strings
        return []
    return [f"One of {orjson.dumps(values).decode()}."]


def _guessed_type(schema: Schema) -> str:
    """The type of a schema that names none, from what it says."""
    if values := schema.get("enum"):
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
        return kinds.get(type(values[0]), "string")
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "object" if "properties" in schema or "additionalProperties" in schema else "string"


def _unsayable(schema: Schema) -> list[str]:
    """Constraints that Gemini's subset has no keyword for, in words."""
    said = _NATIVE_KEYS | _SAID_OTHERWISE | {"prefixItems"}
    words = []
    for key, value in schema.items():
        if key in said or (key == "additionalProperties" and value in (True, False)):
            continue
        if key in {"strict", "examples", "example", "readOnly", "writeOnly", "deprecated"}:
            continue
        words.append(f"{key}: {orjson.dumps(value).decode()}.")
    return words
