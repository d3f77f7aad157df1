"""An answer in a schema, asked for through a function where `response_format` cannot carry it.

KIE takes no `response_format` beside functions, refuses one with a property named `type`, and
loses maps in it (docs/wire.md 2). A function has none of these limits: the model is made to
call it for its final answer, and the reader hands its arguments out as the answer's text, so
that nobody else sees a difference. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import reserved_property, schemas, type_names
from langchain_kie._tools.definitions import object_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._catalog import Route

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")


def needs_answer_function(
    response_format: dict[str, Any], functions: Sequence[dict[str, Any]], route: Route
) -> bool:
    """Whether a route can give this `response_format` only through a function."""
    if response_format.get("type") != "json_schema":
        return False
    pair = frozenset({"functions", "response_format"})
    if functions and pair in route.exclusive:
        return True
    schema = response_format["json_schema"]["schema"]
    return route.limits_schemas and bool(reserved_property(schema) or _has_map(schema))


def build_answer_function(
    response_format: dict[str, Any], functions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The function that stands for a `response_format`, named like no other.

    Raises:
        ValueError: The answer is to be no object, as a function's arguments must be.
    """
    inner = response_format["json_schema"]
    schema = inner["schema"]
    try:
        schema = object_schema(schema, "the answer") or schema
    except ValueError as error:
        raise ValueError(f"{error}; make the answer a property of an object") from None
    name = _ILLEGAL.sub("_", inner.get("name") or "answer")[:48]
    taken = {function["name"] for function in functions}
    while name in taken or not name[:1].isalpha():
        name = f"answer_{name}"
    says = "Call this, alone, to give the final answer."
    description = f"{says} {schema.get('description') or ''}".strip()
    strict = {"strict": inner["strict"]} if "strict" in inner else {}
    return {"name": name, "description": description, "parameters": schema, **strict}


def _has_map(schema: dict[str, Any]) -> bool:
    """Whether a schema has an object whose keys are not known beforehand."""
    return any(map(_is_map, (inner for _, inner in schemas(schema))))


def _is_map(schema: dict[str, Any]) -> bool:
    others = schema.get("additionalProperties")
    if "patternProperties" in schema or isinstance(others, dict):
        return True
    is_object = type_names(schema.get("type")) == ["object"]
    return is_object and not schema.get("properties") and others is not False
