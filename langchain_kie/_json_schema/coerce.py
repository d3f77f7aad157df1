"""Arguments of a tool call, and answers, in the types that a JSON schema expects.

Models write `"2"` or `2.0` for 2, an object as JSON text, and `""` or nothing for null. A value is
only converted where it means the same in the new type; anything else is left for the tool, or for
the class of the answer, to reject. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_kie._json import complete_escapes
from langchain_kie._json_schema.keywords import (
    VALUE_CHECKS,
    accepts_null,
    is_number,
    resolve_reference,
    type_names,
    value_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NUMERAL = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
NULL_TEXTS = ("", "null")
"""What KIE's models write where they cannot write null (seen natively in 2026-09)."""

_FORMATS_OF_VALUES = frozenset(
    {"date", "date-time", "time", "duration", "email", "idn-email", "name-email", "hostname"}
    | {"idn-hostname", "ipv4", "ipv6", "uri", "iri", "uuid", "uuid1", "uuid3", "uuid4", "uuid5"}
    | {"ipv4network", "ipv6network", "ipv4interface", "ipv6interface", "ipvanyaddress"}
    | {"ipvanynetwork", "ipvanyinterface", "file-path", "directory-path"}
)
"""The formats of a text, by their names in JSON Schema and pydantic, that none of `NULL_TEXTS`
has."""

_MAX_STEPS = 100_000
_MAX_DEPTH = 100
_NOTHING = object()
"""What a converter returns for a value that it cannot convert."""


def coerce(args: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Convert the values in `args` to the types that `schema` expects.

    A required property that is absent becomes `None` if its schema accepts null.

    Args:
        args: The arguments of a call; not changed.
        schema: The parameters of the function, as the user defined them.

    Returns:
        The converted arguments; `args` itself if there is nothing to convert, or if the schema
        is too complex.
    """
    coerced, _ = fit(args, schema)
    return coerced if isinstance(coerced, dict) else args


def fit(value: Any, schema: Any, *, is_partial: bool = False) -> tuple[Any, bool]:
    """Convert a value to the types that `schema` expects, as `coerce`.

    Args:
        value: Any JSON value; not changed.
        schema: The schema of the value.
        is_partial: Whether absent properties may still follow, so that they are not added.

    Returns:
        The converted value, and whether it matches the types, the values of enums and the
        required properties of the schema; `value` itself and True if the schema is too complex.
    """
    try:
        return _Coercion(schema, adds_nulls=not is_partial).fit(value, schema)
    except _TooComplexError:
        return value, True


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


class _TooComplexError(Exception):
    """The conversion takes too many steps, or the schema is nested too deeply."""


@dataclass(slots=True)
class _Coercion:
    """Fits values to a schema; every method returns the value and whether it matches now.

    Attributes:
        root: The schema in which references are resolved.
        adds_nulls: Whether absent required properties that can be null are added.
        steps: How many schemas have been applied.
    """

    root: dict[str, Any]
    adds_nulls: bool
    steps: int = 0

    def fit(self, value: Any, schema: Any, depth: int = 0) -> tuple[Any, bool]:
        """Fit a value to a schema.

        Raises:
            _TooComplexError: It takes too many steps.
        """
        self._count_step(depth)
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

    def _count_step(self, depth: int) -> None:
        self.steps += 1
        if self.steps > _MAX_STEPS or depth > _MAX_DEPTH:
            raise _TooComplexError

    def _referenced(self, schema: dict[str, Any]) -> list[Any]:
        reference = schema.get("$ref")
        try:
            return [resolve_reference(reference, self.root)] if isinstance(reference, str) else []
        except ValueError:
            return []

    def _fit_any(self, value: Any, branches: Iterable[Any], depth: int) -> tuple[Any, bool]:
        """Keep a value that matches a branch, else fit it to the first branch possible.

        A branch to which no property has to be added is preferred, then one in which the value is
        equal, such as 2 for 2.0.
        """
        possible: list[Any] = []
        for branch in branches:
            fitted, fits = self.fit(value, branch, depth)
            if fits and fitted is value:
                return value, True
            possible += [fitted] if fits else []
        possible.sort(key=lambda fitted: (not _has_names_of(value, fitted), fitted != value))
        return possible[0] if possible else value, bool(possible)

    def _fit_type(self, value: Any, schema: dict[str, Any], depth: int) -> tuple[Any, bool]:
        """Fit a value to the keywords of a schema that do not combine schemas."""
        values = [schema["const"]] if "const" in schema else _list_at(schema, "enum") or None
        types = type_names(schema.get("type"))
        if values and not types:
            types = list(dict.fromkeys(map(value_type, values)))
        if types and schema.get("nullable") is True:
            types = [*types, "null"]
        matches = not types or _is_allowed(value, types, values)
        if types and (not matches or _is_placeholder(value, schema)):
            if str(schema.get("format")) in _FORMATS_OF_VALUES and is_number(value):
                return value, True  # for pydantic, a number can be a time or an address
            value = _converted(value, types, values)
            matches = _is_allowed(value, types, values) and not _is_placeholder(value, schema)
        fits = True
        if isinstance(value, (dict, list)):
            value, fits = self._fit_members(value, schema, depth)
        return value, matches and fits

    def _fit_members(
        self, value: dict[str, Any] | list[Any], schema: dict[str, Any], depth: int
    ) -> tuple[Any, bool]:
        """Fit the values of an object, or the items of an array, each to its schema."""
        if isinstance(value, dict) and self.adds_nulls:
            value = self._with_absent_nulls(value, schema, depth)
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

    def _with_absent_nulls(
        self, value: dict[str, Any], schema: dict[str, Any], depth: int
    ) -> dict[str, Any]:
        """Add the required properties that are absent and can be null."""
        properties = _properties(schema)
        absent = [
            name
            for name in _list_at(schema, "required")
            if name in properties and name not in value
            if self._is_nullable(properties[name], depth + 1)
        ]
        return {**value, **dict.fromkeys(absent)} if absent else value

    def _is_nullable(self, schema: Any, depth: int) -> bool:
        """Whether a schema accepts null explicitly; one of any value does not."""
        self._count_step(depth)
        if not isinstance(schema, dict):
            return False
        if accepts_null(schema):
            return True
        keys = ("allOf", "anyOf", "oneOf")
        inner = chain(self._referenced(schema), *(_list_at(schema, key) for key in keys))
        return any(self._is_nullable(one, depth + 1) for one in inner)


def _schemas_of_members(value: dict[str, Any] | list[Any], schema: dict[str, Any]) -> Iterable[Any]:
    if isinstance(value, list):
        items = schema.get("items", True)
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        return chain(_list_at(schema, "prefixItems") or _list_at(schema, "items"), repeat(rest))
    properties = _properties(schema)
    others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
    return (properties.get(name, others) for name in value)


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


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


def _has_names_of(value: Any, fitted: Any) -> bool:
    return not isinstance(value, dict) or (isinstance(fitted, dict) and len(fitted) == len(value))


def _is_placeholder(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is text in place of null, which the schema of a text does not accept.

    Only these texts are compared with a pattern, since a pattern may take exponential time.
    """
    if not isinstance(value, str) or value not in NULL_TEXTS:
        return False
    if str(schema.get("format")) in _FORMATS_OF_VALUES:
        return True
    least, pattern = schema.get("minLength", 0), schema.get("pattern", "")
    if is_number(least) and len(value) < least:
        return True
    return VALUE_CHECKS["pattern"](pattern) and re.search(pattern, value) is None


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
    if isinstance(value, str) and _NUMERAL.fullmatch(value.strip()):
        value = Decimal(value.strip())
    elif not is_number(value):
        return _NOTHING
    return int(value) if value == int(value) else _NOTHING


def _to_number(value: Any) -> Any:
    if isinstance(value, str) and _NUMERAL.fullmatch(value.strip()):
        value = json.loads(value.strip())
    return value if is_number(value) else _NOTHING


def _to_boolean(value: Any) -> Any:
    known = {"true": True, "false": False}
    return known.get(value.strip().lower(), _NOTHING) if isinstance(value, str) else _NOTHING


def _from_json(value: Any, kind: type) -> Any:
    try:
        parsed = json.loads(complete_escapes(value)[0]) if isinstance(value, str) else _NOTHING
    except (ValueError, RecursionError):
        return _NOTHING
    return parsed if isinstance(parsed, kind) else _NOTHING


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "null": lambda value: None if value in NULL_TEXTS else _NOTHING,
    "string": lambda value: json.dumps(value) if is_number(value) else _NOTHING,
    "array": partial(_from_json, kind=list),
    "object": partial(_from_json, kind=dict),
}
