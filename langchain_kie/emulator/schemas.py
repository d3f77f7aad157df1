"""The schemas of both dialects: what each refuses, and both as plain JSON Schema.

Knows KIE's rules for `response_format` (docs/wire.md 2) and Gemini's subset of OpenAPI.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from langchain_kie.emulator.errors import bad_request, unprocessable

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import Schema

_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords that hold values of any shape, in which no schema is to be looked for."""

_COUNTS = ("maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength")
_MOST = 10_000


def check_chat_schema(schema: Schema, path: str, *, answer: bool) -> None:
    """Refuse what the OpenAI-shaped path refuses in a schema.

    Args:
        schema: A function's parameters or the schema of an answer.
        path: Where it stands, as KIE's messages write it.
        answer: Whether it is the answer's: only there a property named `type` is refused.

    Raises:
        WireError: If KIE would not take it.
    """
    _walk(schema, path, answer=answer)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise bad_request(f"Invalid schema at '{path}': {error.message[:200]}") from None
    check_servable(schema)
    for reference in _references(schema):
        if not _resolves(schema, reference):
            raise bad_request(f"Invalid schema at '{path}': cannot resolve $ref '{reference}'")


def _walk(node: Any, path: str, *, answer: bool) -> None:
    if isinstance(node, list):
        for position, item in enumerate(node):
            _walk(item, f"{path}[{position}]", answer=answer)
    if not isinstance(node, dict):
        return
    kind = node.get("type", "")
    names_a_property = isinstance(kind, dict)
    if not isinstance(kind, str | list) and (answer or not names_a_property):
        raise unprocessable(f"{path}.type must be string or array")
    if isinstance(kind, list):
        raise bad_request("The 'type' property must be a single string, not an array")
    for key, child in node.items():
        if key not in _VALUES:
            _walk(child, f"{path}.{key}", answer=answer)


def check_servable(node: Any) -> None:
    """Refuse a JSON Schema of which no instance can be made in good time.

    Raises:
        WireError: If it asks for too much, for nothing, or for a pattern that is none.
    """
    if isinstance(node, list):
        for item in node:
            check_servable(item)
    if not isinstance(node, dict):
        return
    counts = [(word, node[word]) for word in _COUNTS if isinstance(node.get(word), int | float)]
    if any(n < 0 or (n > _MOST and word.startswith("min")) for word, n in counts):
        raise bad_request(
            "The specified schema produces a constraint that has too many states for serving."
        )
    if node.get("enum") == []:
        raise bad_request("Invalid schema: enum cannot be empty")
    _check_pattern(node.get("pattern"))
    for key, child in node.items():
        if key not in _VALUES:
            check_servable(child)


def _check_pattern(pattern: Any) -> None:
    try:
        re.compile(pattern if isinstance(pattern, str) else "")
    except re.error:
        raise bad_request("Invalid schema: pattern is not a regular expression") from None


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for key in node if key not in _VALUES for found in _references(node[key])]


def _resolves(root: Schema, reference: str) -> bool:
    if not reference.startswith("#"):
        return False
    target: Any = root
    for step in reference.lstrip("#").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if key:
            target = target.get(key) if isinstance(target, dict) else None
    return isinstance(target, dict | bool)


def read_gemini_schema(schema: Schema) -> Schema:
    """Turn a Gemini schema, whose fields were checked, into JSON Schema.

    Raises:
        WireError: If no instance of it can be made in good time.
    """
    made = _from_gemini(schema)
    check_servable(made)
    return made


def _from_gemini(schema: Schema) -> Schema:
    """Turn a checked Gemini schema into JSON Schema."""
    made = {key: value for key, value in schema.items() if key not in {"nullable", "example"}}
    if "type" in made:
        made["type"] = made["type"].lower()
    if "example" in schema:
        made["examples"] = [schema["example"]]
    for keyword in _COUNTS:
        if keyword in made:
            made[keyword] = int(made[keyword])
    if "items" in made:
        made["items"] = _from_gemini(made["items"])
    if "anyOf" in made:
        made["anyOf"] = [_from_gemini(branch) for branch in made["anyOf"]]
    if "properties" in made:
        made["properties"] = {key: _from_gemini(value) for key, value in made["properties"].items()}
    if made.get("type") == "type_unspecified":
        del made["type"]
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") else made
