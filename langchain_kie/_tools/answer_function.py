"""A function for structured output, used where `response_format` cannot be.

KIE accepts no `response_format` together with functions, rejects one with a property named `type`,
and loses maps in it (docs/wire.md 2). A function has none of these limits: the model must call it
to give the final answer, and its arguments are returned as the text of the answer. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import type_names, walk_schemas
from langchain_kie._tools.definitions import ILLEGAL_CHARS, to_object_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._catalog import Route


def needs_answer_function(
    response_format: dict[str, Any], functions: Sequence[dict[str, Any]], route: Route
) -> bool:
    """Whether a model needs a function instead of this `response_format`."""
    if response_format.get("type") != "json_schema":
        return False
    if functions and frozenset({"functions", "response_format"}) in route.exclusive:
        return True
    schema = response_format["json_schema"]["schema"]
    return route.limits_schemas and any(map(_is_unsupported, walk_schemas(schema)))


def _is_unsupported(schema: dict[str, Any]) -> bool:
    """Whether it is an object with a property named `type`, or a map, whose keys are unknown."""
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    if isinstance(properties, dict) and "type" in properties:
        return True
    is_object = type_names(schema.get("type")) == ["object"]
    has_any_names = is_object and not properties and others is not False
    return has_any_names or isinstance(others, dict) or "patternProperties" in schema


def build_answer_function(
    response_format: dict[str, Any], functions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The definition of a function whose arguments are the answer.

    Args:
        response_format: A `response_format` of the type `json_schema`.
        functions: The other functions of the call, whose names are not used again.

    Raises:
        ValueError: The answer is not an object, as the arguments of a function must be.
    """
    inner = response_format["json_schema"]
    schema = inner["schema"]
    try:
        schema = to_object_schema(schema, "the answer") or schema
    except ValueError as error:
        raise ValueError(f"{error}; make the answer a property of an object") from None
    name = ILLEGAL_CHARS.sub("_", inner.get("name") or "answer")[:48]
    used = {function["name"] for function in functions}
    while name in used or not name[:1].isalpha():
        name = f"answer_{name}"
    purpose = "Call this function alone to give the final answer."
    description = f"{purpose} {schema.get('description') or ''}".strip()
    strict = {"strict": inner["strict"]} if "strict" in inner else {}
    return {"name": name, "description": description, "parameters": schema, **strict}
