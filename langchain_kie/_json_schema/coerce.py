"""Arguments of a tool call, in the types that the tool's JSON schema expects.

Models write `"2"` or `2.0` for 2, and an object as JSON text. A value is only converted where it
means the same in the new type; anything else is left for the tool to reject. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import (
    is_number,
    resolve_reference,
    type_names,
    value_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NUMERAL = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_MAX_STEPS = 100_000
_MAX_DEPTH = 100
_NOTHING = object()
"""What a converter returns for a value that it cannot convert."""


def coerce(args: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Convert the values in `args` to the types that `schema` expects.

    Args:
        args: The arguments of a call; not changed.
        schema: The parameters of the function, as the user defined them.

    Returns:
        The converted arguments; `args` itself if there is nothing to convert, or if the schema
        is too complex.
    """
    coerced, _ = fit(args, schema)
    return coerced if isinstance(coerced, dict) else args


def fit(value: Any, schema: Any) -> tuple[Any, bool]:
    """Convert a value to the types that `schema` expects, as `coerce`.

    Returns:
        The converted value, and whether it matches the types, the values of enums and the
        required properties of the schema; `value` itself and True if the schema is too complex.
    """
    try:
        return _Coercion(schema).fit(value, schema)
    except _TooComplexError:
        return value, True


class _TooComplexError(Exception):
    """The conversion takes too many steps, or the schema is nested too deeply."""


@dataclass(slots=True)
class _Coercion:
    """Fits values to a schema; every method returns the value and whether it matches now.

    Attributes:
        root: The schema in which references are resolved.
        steps: How many schemas have been applied.
    """

    root: dict[str, Any]
    steps: int = 0

    def fit(self, value: Any, schema: Any, depth: int = 0) -> tuple[Any, bool]:
        """Fit a value to a schema.

        Raises:
            _TooComplexError: It takes too many steps.
        """
        self.steps += 1
        if self.steps > _MAX_STEPS or depth > _MAX_DEPTH:
            raise _TooComplexError
        if not isinstance(schema, dict):
            return value, schema is not False
        value, matches = self._fit_type(value, schema, depth)
        for part in (*self._referenced(schema), *_list_at(schema, "allOf")):
            value, fits = self.fit(value, part, depth + 1)
            matches = matches and fits
        for key in ("anyOf", "oneOf"):
            if branches := _list_at(schema, key):
                null = [{"type": "null"}] if schema.get("nullable") is True else []
                value, fits = self._fit_any(value, [*branches, *null], depth + 1)
                matches = matches and fits
        return value, matches

    def _referenced(self, schema: dict[str, Any]) -> list[Any]:
        reference = schema.get("$ref")
        try:
            return [resolve_reference(reference, self.root)] if isinstance(reference, str) else []
        except ValueError:
            return []

    def _fit_any(self, value: Any, branches: Iterable[Any], depth: int) -> tuple[Any, bool]:
        """Keep a value that matches a branch, else fit it to the first branch possible."""
        first = _NOTHING
        for branch in branches:
            fitted, fits = self.fit(value, branch, depth)
            if fits and fitted is value:
                return value, True
            if fits and first is _NOTHING:
                first = fitted
        return (value, False) if first is _NOTHING else (first, True)

    def _fit_type(self, value: Any, schema: dict[str, Any], depth: int) -> tuple[Any, bool]:
        """Fit a value to the keywords of a schema that do not combine schemas."""
        values = [schema["const"]] if "const" in schema else _list_at(schema, "enum") or None
        types = type_names(schema.get("type"))
        if values and not types:
            types = list(dict.fromkeys(map(value_type, values)))
        if types and schema.get("nullable") is True:
            types = [*types, "null"]
        if types and not _is_allowed(value, types, values):
            value = _converted(value, types, values)
        matches = not types or _is_allowed(value, types, values)
        fits = True
        if isinstance(value, (dict, list)):
            value, fits = self._fit_members(value, schema, depth)
        return value, matches and fits

    def _fit_members(
        self, value: dict[str, Any] | list[Any], schema: dict[str, Any], depth: int
    ) -> tuple[Any, bool]:
        """Fit the values of an object, or the items of an array, each to its schema."""
        members = value.values() if isinstance(value, dict) else value
        fitted, is_changed, fits = [], False, True
        for member, inner in zip(members, _schemas_of_members(value, schema), strict=False):
            new, is_fit = self.fit(member, inner, depth + 1)
            fitted.append(new)
            is_changed = is_changed or new is not member
            fits = fits and is_fit
        if isinstance(value, dict):
            fits = fits and all(name in value for name in _list_at(schema, "required"))
        if not is_changed:
            return value, fits
        return dict(zip(value, fitted, strict=True)) if isinstance(value, dict) else fitted, fits


def _schemas_of_members(value: dict[str, Any] | list[Any], schema: dict[str, Any]) -> Iterable[Any]:
    if isinstance(value, list):
        items = schema.get("items", True)
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        return chain(_list_at(schema, "prefixItems") or _list_at(schema, "items"), repeat(rest))
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
    return (properties.get(name, others) for name in value)


def _list_at(schema: dict[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _is_allowed(value: Any, types: list[str], values: list[Any] | None) -> bool:
    """Whether a value is of one of `types`, and one of `values` if these are given."""
    kind = value_type(value)
    if kind not in types and not (kind == "integer" and "number" in types):
        return False
    if values is None or value is None:
        return True
    is_boolean = isinstance(value, bool)  # True == 1, but not in JSON
    return any(value == one and is_boolean == isinstance(one, bool) for one in values)


def _converted(value: Any, types: list[str], values: list[Any] | None) -> Any:
    """The same value in the first of `types` that can represent it, else the value itself."""
    for name in types:
        converted = _CONVERTERS[name](value)
        if converted is _NOTHING or (name == "string" and {*types} - {"null"} != {"string"}):
            continue
        if _is_allowed(converted, types, values):
            return converted
    return value


def _to_integer(value: Any) -> Any:
    number = _to_number(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, int) else _NOTHING


def _to_number(value: Any) -> Any:
    if isinstance(value, str) and _NUMERAL.fullmatch(value.strip()):
        value = json.loads(value.strip())
    return value if is_number(value) else _NOTHING


def _to_boolean(value: Any) -> Any:
    known = {"true": True, "false": False}
    return known.get(value.strip().lower(), _NOTHING) if isinstance(value, str) else _NOTHING


def _from_json(value: Any, kind: type) -> Any:
    try:
        parsed = json.loads(value) if isinstance(value, str) else _NOTHING
    except (ValueError, RecursionError):
        return _NOTHING
    return parsed if isinstance(parsed, kind) else _NOTHING


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "null": lambda value: None if value == "null" else _NOTHING,
    "string": lambda value: json.dumps(value) if is_number(value) else _NOTHING,
    "array": partial(_from_json, kind=list),
    "object": partial(_from_json, kind=dict),
}
