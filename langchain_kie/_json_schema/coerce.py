"""Arguments of a call, in the types that the tool's JSON schema expects.

Models write `"2"` or `2.0` for 2, and an object as JSON text. What is plainly the same value is
given its type; anything else is the tool's to judge. Pure; knows nothing of dialects.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from langchain_kie._json_schema.keywords import find, type_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_MAX_STEPS = 100_000
_MAX_DEPTH = 100
_NOTHING = object()


def coerced(args: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """`args` with its values in the types that `schema` expects; itself if they are.

    Args:
        args: A call's arguments; not changed.
        schema: The function's parameters, as the user gave them.
    """
    try:
        fitted, _ = _Coercion(schema).fit(args, schema)
    except _GiveUp:
        return args
    return fitted if isinstance(fitted, dict) else args


class _GiveUp(Exception):  # noqa: N818
    """A schema is too large or too deep to be worth it."""


class _Coercion:
    """One use of a schema; every method gives a value and whether it is now the schema's."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._steps = 0

    def fit(self, value: Any, schema: Any, depth: int = 0) -> tuple[Any, bool]:
        """Fit a value to a schema."""
        self._steps += 1
        if self._steps > _MAX_STEPS or depth > _MAX_DEPTH:
            raise _GiveUp
        if not isinstance(schema, dict):
            return value, schema is not False
        value, is_fit = self._fit_own(value, schema, depth)
        for part in (*self._referred_to(schema), *_listed(schema, "allOf")):
            value, fits = self.fit(value, part, depth + 1)
            is_fit = is_fit and fits
        for key in ("anyOf", "oneOf"):
            if branches := _listed(schema, key):
                nulls = [{"type": "null"}] if schema.get("nullable") is True else []
                value, fits = self._fit_any(value, [*branches, *nulls], depth + 1)
                is_fit = is_fit and fits
        return value, is_fit

    def _referred_to(self, schema: dict[str, Any]) -> list[Any]:
        reference = schema.get("$ref")
        try:
            return [find(reference, self._root)] if isinstance(reference, str) else []
        except ValueError:
            return []

    def _fit_any(self, value: Any, branches: Iterable[Any], depth: int) -> tuple[Any, bool]:
        """What fits as it stands stays; else the first branch that it can be fitted to."""
        found = _NOTHING
        for branch in branches:
            fitted, fits = self.fit(value, branch, depth)
            if fits and fitted is value:
                return value, True
            if fits and found is _NOTHING:
                found = fitted
        return (value, False) if found is _NOTHING else (found, True)

    def _fit_own(self, value: Any, schema: dict[str, Any], depth: int) -> tuple[Any, bool]:
        """Fit a value to what a schema says itself, in no other schema."""
        allowed = _allowed(schema)
        kinds = _kinds(schema, allowed)
        if kinds and not _is_of(value, kinds, allowed):
            value = _converted(value, kinds, allowed)
        is_fit = not kinds or _is_of(value, kinds, allowed)
        if isinstance(value, dict):
            value, fits = self._fit_object(value, schema, depth)
        elif isinstance(value, list):
            value, fits = self._fit_array(value, schema, depth)
        else:
            fits = True
        return value, is_fit and fits

    def _fit_object(
        self, value: dict[str, Any], schema: dict[str, Any], depth: int
    ) -> tuple[dict[str, Any], bool]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        others = True if "patternProperties" in schema else schema.get("additionalProperties", True)
        required = schema.get("required")
        is_fit = not isinstance(required, list) or all(name in value for name in required)
        changed: dict[str, Any] = {}
        for name, inner in value.items():
            fitted, fits = self.fit(inner, properties.get(name, others), depth + 1)
            is_fit = is_fit and fits
            if fitted is not inner:
                changed[name] = fitted
        return ({**value, **changed} if changed else value), is_fit

    def _fit_array(
        self, value: list[Any], schema: dict[str, Any], depth: int
    ) -> tuple[list[Any], bool]:
        items = schema.get("items", True)
        first = _listed(schema, "prefixItems") or (items if isinstance(items, list) else [])
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        is_fit, is_changed, made = True, False, []
        for position, inner in enumerate(value):
            wanted = first[position] if position < len(first) else rest
            fitted, fits = self.fit(inner, wanted, depth + 1)
            is_fit = is_fit and fits
            is_changed = is_changed or fitted is not inner
            made.append(fitted)
        return (made if is_changed else value), is_fit


def _listed(schema: dict[str, Any], key: str) -> list[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _allowed(schema: dict[str, Any]) -> list[Any] | None:
    """The values that a schema lists, `None` where it lists none."""
    if "const" in schema:
        return [schema["const"]]
    return _listed(schema, "enum") or None


def _kinds(schema: dict[str, Any], allowed: list[Any] | None) -> list[str]:
    """The types that a schema takes, none for any."""
    kinds = type_names(schema.get("type"))
    if not kinds and allowed:
        kinds = list(dict.fromkeys(_kind_of(value) for value in allowed))
    if kinds and schema.get("nullable") is True and "null" not in kinds:
        kinds = [*kinds, "null"]
    return kinds


_KIND_OF: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def _kind_of(value: Any) -> str:
    """The JSON type of a value; an enum's member is of its value's type."""
    return next((_KIND_OF[cls] for cls in type(value).__mro__ if cls in _KIND_OF), "")


def _is_of(value: Any, kinds: list[str], allowed: list[Any] | None) -> bool:
    kind = _kind_of(value)
    if kind not in kinds and not (kind == "integer" and "number" in kinds):
        return False
    if allowed is None or value is None:
        return True
    is_truth = isinstance(value, bool)
    return any(value == member and is_truth == isinstance(member, bool) for member in allowed)


def _converted(value: Any, kinds: list[str], allowed: list[Any] | None) -> Any:
    """The same value in the first of `kinds` that has it, else itself."""
    for kind in kinds:
        made = _CONVERTERS[kind](value)
        if made is _NOTHING or (kind == "string" and {*kinds} - {"null"} != {"string"}):
            continue
        if _is_of(made, kinds, allowed):
            return made
    return value


def _to_integer(value: Any) -> Any:
    number = _to_number(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, int) else _NOTHING


def _to_number(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOTHING
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return _NOTHING
    number = json.loads(value)
    return number if isinstance(number, int) or math.isfinite(number) else _NOTHING


def _to_boolean(value: Any) -> Any:
    known = {"true": True, "false": False}
    return known.get(value.strip().lower(), _NOTHING) if isinstance(value, str) else _NOTHING


def _to_null(value: Any) -> Any:
    return None if value == "null" else _NOTHING


def _to_string(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return _NOTHING
    return json.dumps(value) if _kind_of(value) in {"integer", "number"} else _NOTHING


def _from_text(kind: type, opening: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, str) or not value.strip().startswith(opening):
            return _NOTHING
        try:
            made = json.loads(value)
        except (ValueError, RecursionError):
            return _NOTHING
        return made if isinstance(made, kind) else _NOTHING

    return convert


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
    "null": _to_null,
    "string": _to_string,
    "array": _from_text(list, "["),
    "object": _from_text(dict, "{"),
}
