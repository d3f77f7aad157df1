"""JSON in place of a tool call: whether it can be the arguments of a function. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from langchain_kie._json_schema.coerce import fit


class FittedArguments(NamedTuple):
    """Arguments in the types of a schema.

    Attributes:
        args: The arguments.
        is_exact: Whether the schema has all their names.
    """

    args: dict[str, Any]
    is_exact: bool


def arguments_in(value: Any, name: str) -> Any:
    """The arguments in a JSON value, which may be an object with the name of the function."""
    if isinstance(value, dict) and value.get("name") == name:
        named = value.get("arguments")
        return named if isinstance(named, dict) else value
    return value


def fit_arguments(value: Any, name: str, schema: dict[str, Any]) -> FittedArguments | None:
    """The arguments of a function that a JSON value has, `None` if it has none.

    Names that the schema neither has nor forbids are kept, as in a call, but not alone.

    Args:
        value: The JSON value.
        name: The name of the function.
        schema: The schema of its arguments.
    """
    args = arguments_in(value, name)
    if not isinstance(args, dict):
        return None
    properties = None if schema.get("additionalProperties") else schema.get("properties")
    is_exact = not isinstance(properties, dict) or args.keys() <= properties.keys()
    if not is_exact and args.keys().isdisjoint(properties or ()):
        return None
    fitted, matches = fit(args, schema)
    return FittedArguments(fitted, is_exact) if matches and isinstance(fitted, dict) else None
