"""The schemas of both APIs: checked as each API does, and converted to JSON Schema.

KIE's rules for `response_format` are in docs/wire.md 2; native schemas are a subset of OpenAPI.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.errors import bad_request, unprocessable
from langchain_kie.emulator.json_schema import schema_error

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import Schema

_VALUE_KEYWORDS = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose content is a value, not a schema."""

IGNORED_NULLABLE = "x-ignored-nullable"
"""Marks a schema as `nullable` where the emulator ignores `nullable`."""

_EMPTY_OBJECT: Schema = {"type": "object", "const": {}}

_COUNTS = ("maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength")
_MAX_COUNT = 10_000


def check_chat_schema(schema: Schema, path: str, *, answer: bool) -> None:
    """Reject a schema that the chat completions API rejects.

    Args:
        schema: The parameters of a function, or the schema of an answer.
        path: The schema's JSON path in the request, for KIE's messages.
        answer: Whether it is the schema of an answer. Only there is a property named `type`
            rejected.

    Raises:
        ApiError: If KIE rejects it.
    """
    _check_types(schema, path, answer=answer)
    if error := schema_error(schema):
        raise bad_request(f"Invalid schema at '{path}': {error[:200]}")
    _check_limits(schema)
    for reference in _references(schema):
        if not _has_target(schema, reference):
            raise bad_request(f"Invalid schema at '{path}': cannot resolve $ref '{reference}'")


def read_gemini_schema(schema: Schema, *, ignore_nullable: bool = False) -> Schema:
    """Convert a native schema, whose fields are already checked, to JSON Schema.

    If `ignore_nullable`, `nullable` becomes `IGNORED_NULLABLE`, and a schema with a branch of type
    NULL becomes that of an empty object.

    Raises:
        ApiError: If Gemini cannot serve it.
    """
    if ignore_nullable and _has_null_branch(schema):
        return _EMPTY_OBJECT
    converted = _from_gemini(schema, ignore_nullable=ignore_nullable)
    _check_limits(converted)
    return converted


def resolve_pointer(root: Schema, reference: str) -> Any:
    """Find the target of a JSON pointer such as `#/$defs/Node`; `None` if there is none."""
    target: Any = root
    for step in reference.lstrip("#").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if key:
            target = target.get(key) if isinstance(target, dict) else None
    return target


def _check_types(node: Any, path: str, *, answer: bool) -> None:
    if isinstance(node, list):
        for position, item in enumerate(node):
            _check_types(item, f"{path}[{position}]", answer=answer)
    if not isinstance(node, dict):
        return
    declared = node.get("type", "")
    is_property = isinstance(declared, dict)
    if not isinstance(declared, str | list) and (answer or not is_property):
        raise unprocessable(f"{path}.type must be string or array")
    if isinstance(declared, list):
        raise bad_request("The 'type' property must be a single string, not an array")
    for key, child in node.items():
        if key not in _VALUE_KEYWORDS:
            _check_types(child, f"{path}.{key}", answer=answer)


def _check_limits(node: Any) -> None:
    """Reject counts that are too large, an empty `enum`, and an invalid `pattern`."""
    if isinstance(node, list):
        for item in node:
            _check_limits(item)
    if not isinstance(node, dict):
        return
    counts = [(word, node[word]) for word in _COUNTS if isinstance(node.get(word), int | float)]
    if any(n < 0 or (n > _MAX_COUNT and word.startswith("min")) for word, n in counts):
        raise bad_request(
            "The specified schema produces a constraint that has too many states for serving."
        )
    if node.get("enum") == []:
        raise bad_request("Invalid schema: enum cannot be empty")
    pattern = node.get("pattern")
    try:
        re.compile(pattern if isinstance(pattern, str) else "")
    except re.error:
        raise bad_request("Invalid schema: pattern is not a regular expression") from None
    for key, child in node.items():
        if key not in _VALUE_KEYWORDS:
            _check_limits(child)


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    found = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    for key, child in node.items():
        found += _references(child) if key not in _VALUE_KEYWORDS else []
    return found


def _has_target(root: Schema, reference: str) -> bool:
    return reference.startswith("#") and isinstance(resolve_pointer(root, reference), dict | bool)


def _has_null_branch(schema: Schema) -> bool:
    branches = schema.get("anyOf", [])
    children = [*branches, *schema.get("properties", {}).values()]
    children += [schema["items"]] if "items" in schema else []
    is_null = any(branch.get("type", "").upper() == "NULL" for branch in branches)
    return is_null or any(map(_has_null_branch, children))


def _from_gemini(schema: Schema, *, ignore_nullable: bool) -> Schema:
    convert = partial(_from_gemini, ignore_nullable=ignore_nullable)
    converted = {key: value for key, value in schema.items() if key not in {"nullable", "example"}}
    if "type" in converted:
        converted["type"] = converted["type"].lower()
    if converted.get("type") == "type_unspecified":
        del converted["type"]
    if "example" in schema:
        converted["examples"] = [schema["example"]]
    converted |= {keyword: int(converted[keyword]) for keyword in _COUNTS if keyword in converted}
    if "items" in schema:
        converted["items"] = convert(schema["items"])
    if "anyOf" in schema:
        converted["anyOf"] = [convert(branch) for branch in schema["anyOf"]]
    if "properties" in schema:
        properties = schema["properties"].items()
        converted["properties"] = {name: convert(value) for name, value in properties}
    if not schema.get("nullable"):
        return converted
    if ignore_nullable:
        return converted | {IGNORED_NULLABLE: True}
    return {"anyOf": [converted, {"type": "null"}]}
