"""Instances of JSON Schemas: valid ones, filled from a prompt where it has the values.

Knows JSON Schema. Does not know tools or dialects: theirs are turned into it before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from langchain_kie.emulator.hints import (
    EXPRESSION_PROPERTIES,
    Hints,
    split_identifier,
    stem,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langchain_kie.emulator.conversation import Schema

_DEEPEST = 5
_SHORT = 40
_TEXT_PROPERTIES = words_of(
    """query question text prompt input request search message content topic task description
    summary body instruction instructions keywords term"""
)
_NAME_PROPERTIES = words_of(
    """address author city company country customer destination first full language last location
    name origin person place product region state title town user username"""
)
_FORMATS: dict[str, str] = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
    "duration": "PT1H",
}
_STOCK = (
    "a", "A", "ab", "AB", "abc", "ABC", "abcd", "ABCD", "x1", "A1", "AB-123", "ABC-123", "ABC123",
    "1", "12", "123", "1234", "12345", "123456", "1.0", "1.0.0", "#ffffff", "/", "true",
    "+15550100", "555-0100", "12:00", "2026-01", *_FORMATS.values(),
)  # fmt: skip
_KEYWORD_TYPES = (
    ("properties", "object"),
    ("additionalProperties", "object"),
    ("items", "array"),
    ("prefixItems", "array"),
    ("minimum", "number"),
    ("maximum", "number"),
)
_NEGATIONS = ("no", "not", "without", "don't", "dont", "never", "disable")


def fill(schema: Schema, hints: Hints, *, every_property: bool) -> Any:
    """Make an instance of a schema.

    Args:
        schema: JSON Schema; references must stay inside it.
        hints: The values to use where they fit.
        every_property: Whether to fill the optional properties that the prompt is silent on.
    """
    validator = Draft202012Validator(schema)
    instance = _Filler(schema, hints, every_property=every_property).value(schema, "", 0)
    if validator.is_valid(instance):
        return instance
    plain = _Filler(schema, Hints(""), every_property=False).value(schema, "", 0)
    return plain if validator.is_valid(plain) else instance


class _Filler:
    """One walk over one schema; `_variant` tells the items of a list from one another."""

    def __init__(self, root: Schema, hints: Hints, *, every_property: bool) -> None:
        self._root = root
        self._hints = hints
        self._every_property = every_property
        self._variant = 0
        self._makers: dict[str, Callable[[Schema, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": self._boolean,
            "null": lambda _schema, _name, _depth: None,
        }

    def value(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._flat(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._member(schema)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(schema, branches, name, depth)
        return self._makers[_type_of(schema, depth)](schema, name, depth)

    def _flat(self, schema: Any) -> Schema:
        """Replace references and `allOf` by what they say."""
        if not isinstance(schema, dict):
            return {}
        merged: Schema = {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target: Any = self._root
            for step in reference.lstrip("#").split("/"):
                key = step.replace("~1", "/").replace("~0", "~")
                target = target.get(key, {}) if key and isinstance(target, dict) else target
            merged = self._flat(target)
        for part in schema.get("allOf", ()):
            merged = _merge(merged, self._flat(part))
        return _merge(merged, {k: v for k, v in schema.items() if k not in {"$ref", "allOf"}})

    def _valid(self, schema: Schema, instance: Any) -> bool:
        scoped = {k: self._root[k] for k in ("$defs", "definitions") if k in self._root} | schema
        return Draft202012Validator(scoped).is_valid(instance)

    def _member(self, schema: Schema) -> Any:
        members = [member for member in schema["enum"] if self._valid(schema, member)]
        members = members or schema["enum"]
        prompt = f"{self._hints.prompt}\n{self._hints.results}".lower()
        for member in members:
            if isinstance(member, str) and member and member.lower() in prompt:
                return member
        if "default" in schema and schema["default"] in members:
            return schema["default"]
        return members[self._variant % len(members)]

    def _branch(self, schema: Schema, branches: list[Any], name: str, depth: int) -> Any:
        base = {k: v for k, v in schema.items() if k not in {"anyOf", "oneOf"}}
        flat = [_merge(base, self._flat(branch)) for branch in branches]
        flat.sort(key=lambda branch: (branch.get("type") == "null") is (depth < _DEEPEST))
        value = None
        for branch in flat:
            value = self.value(branch, name, depth + 1)
            if self._valid(schema, value):
                break
        return value

    def _object(self, schema: Schema, _name: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        wished = schema.get("propertyOrdering")
        wished = wished if isinstance(wished, list) else []
        order = [key for key in wished if isinstance(key, str) and key in properties]
        order += [key for key in [*properties, *required] if key not in order]
        everything = self._every_property and depth < _DEEPEST
        made = {
            key: self.value(properties.get(key, {}), key, depth + 1)
            for key in sorted(dict.fromkeys(order), key=lambda key: self._hints.cued(key) is None)
            if key in required or everything or self._mentioned(properties[key], key)
        }
        if not made and not required and not everything:
            made = self._first_fitting(properties, depth)
        made = {key: made[key] for key in order if key in made}
        return made | self._more(schema, set(made), depth)

    def _first_fitting(self, properties: Schema, depth: int) -> dict[str, Any]:
        """Use a value that no property asked for by name, when none is required."""
        loose = {
            "string": [*self._hints.quotes, *self._hints.names],
            "integer": self._hints.numbers,
            "number": self._hints.numbers,
        }
        for key, schema in properties.items():
            kind = _type_of(self._flat(_not_null(self._flat(schema))), depth)
            if loose.get(kind) or (kind == "string" and _names(key, _TEXT_PROPERTIES)):
                return {key: self.value(_not_null(self._flat(schema)), key, depth + 1)}
        return {}

    def _more(self, schema: Schema, present: set[str], depth: int) -> dict[str, Any]:
        """Add properties until there are `minProperties`."""
        missing = schema.get("minProperties", 0) - len(present)
        spare = [key for key in schema.get("properties", {}) if key not in present]
        spare += [f"key_{number + 1}" for number in range(max(0, missing))]
        declared, other = schema.get("properties", {}), schema.get("additionalProperties", {})
        return {
            key: self.value(declared.get(key, other), key, depth + 1)
            for key in spare[: max(0, missing)]
        }

    def _mentioned(self, schema: Any, name: str) -> bool:
        """Say whether the prompt has a value for an optional property."""
        flat = self._flat(_not_null(self._flat(schema)))
        prompt = self._hints.prompt.lower()
        if "enum" in flat:
            return any(isinstance(m, str) and m and m.lower() in prompt for m in flat["enum"])
        if flat.get("format") in {"date", "date-time"}:
            return bool(self._hints.dates)
        named = all(stem(word) in self._hints.stems for word in split_identifier(name))
        kind = _type_of(flat, 0)
        if kind == "string":
            cued = self._hints.cued(name) is not None
            return cued or (_names(name, _NAME_PROPERTIES) and bool(self._hints.names))
        if kind in {"integer", "number"}:
            return named and bool(self._hints.numbers)
        return named and bool(split_identifier(name))

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        prefix = schema.get("prefixItems", ())
        made = [self.value(item, name, depth + 1) for item in prefix]
        most = schema.get("maxItems", math.inf)
        least = schema.get("minItems", 0 if depth >= _DEEPEST else 1)
        items = schema.get("items", {})
        if items is False:
            return made
        count = min(most, max(least, len(made) + self._listed(self._flat(items)), 0))
        outer = self._variant
        while len(made) < count:
            self._variant = outer + len(made)
            made.append(self.value(items, name, depth + 1))
        self._variant = outer
        return (
            _unique(made, least) if schema.get("uniqueItems") else made[: int(min(most, len(made)))]
        )

    def _listed(self, items: Schema) -> int:
        """Count the values of the prompt that a list of `items` should hold."""
        kind = items.get("type")
        if kind == "string" and "enum" not in items:
            return len(self._hints.quotes or self._hints.names)
        return len(self._hints.numbers) if kind in {"integer", "number"} else 0

    def _string(self, schema: Schema, name: str, _depth: int) -> str:
        def fits(value: str) -> bool:
            return self._valid(schema, value)

        taken = self._found_string(schema, name, fits)
        if taken is not None:
            return taken
        for candidate in self._made_up_strings(schema, name):
            if fits(candidate):
                return candidate
        return self._sized(schema, name)

    def _found_string(self, schema: Schema, name: str, fits: Callable[[str], bool]) -> str | None:
        hints = self._hints
        kind = schema.get("format", "")
        if kind in _FORMATS or _names(name, {"email", "url", "uri", "link", "date"}):
            if kind == "email" or _names(name, {"email"}):
                return hints.take(hints.emails, fits)
            if kind in {"uri", "url"} or _names(name, {"url", "uri", "link"}):
                return hints.take(hints.urls, fits)
            if kind == "date-time":
                return hints.take([date for date in hints.dates if "T" in date], fits)
            return hints.take(hints.dates, fits) if kind in {"date", ""} else None
        if _names(name, EXPRESSION_PROPERTIES) and hints.expression and fits(hints.expression):
            return hints.expression
        cued = None if self._variant else hints.take_cued(name, fits)
        taken = cued or hints.take(hints.quotes, fits)
        if taken is None and not _names(name, _TEXT_PROPERTIES):
            taken = hints.take(hints.names, fits)
        return taken

    def _made_up_strings(self, schema: Schema, name: str) -> Iterable[str]:
        hints = self._hints
        given = [schema.get("default"), schema.get("example"), *schema.get("examples", ())]
        yield from (text for text in given if isinstance(text, str) and not self._variant)
        if schema.get("format") in _FORMATS:
            yield _FORMATS[schema["format"]]
        words = " ".join(split_identifier(name)) or "value"
        again = f" {self._variant + 1}" if self._variant else ""
        if hints.results and (self._every_property or _names(name, _TEXT_PROPERTIES)):
            yield hints.results + again
        if hints.prompt and _names(name, _TEXT_PROPERTIES):
            yield hints.topic + again
        if hints.prompt:
            yield f"{words.capitalize()}: {hints.topic}{again}"
        yield words[:_SHORT] + again
        if "pattern" in schema:
            yield from _STOCK

    def _sized(self, schema: Schema, name: str) -> str:
        """Cut or stretch a property's name to the length asked for."""
        text = " ".join(split_identifier(name)) or "value"
        if self._variant:
            text = f"{self._variant + 1} {text}"
        least, most = schema.get("minLength", 0), schema.get("maxLength", _SHORT)
        end = max(int(least), min(int(most), len(text)))
        stretched = text * (end // len(text) + 1)
        return stretched[:end]

    def _number(self, schema: Schema, name: str, _depth: int) -> int | float:
        integer = schema.get("type") == "integer"

        def fits(text: str) -> bool:
            number = _parse(text, integer=integer)
            return number is not None and self._valid(schema, number)

        hints = self._hints
        text = None if self._variant else hints.take_cued(name, fits)
        text = text or hints.take(hints.numbers, fits)
        if text is not None:
            return _parse(text, integer=integer) or 0
        given = [schema.get("default"), schema.get("example"), *schema.get("examples", ())]
        candidates = [*given, 1, 0, *_boundary_numbers(schema)]
        fitting = (
            number
            for number in candidates[self._variant :] + candidates
            if isinstance(number, int | float)
            and not isinstance(number, bool)
            and self._valid(schema, number)
        )
        return next(fitting, 1)

    def _boolean(self, schema: Schema, name: str, _depth: int) -> bool:
        words = split_identifier(name)
        prompt = self._hints.prompt.lower()
        if words and all(stem(word) in self._hints.stems for word in words):
            return not any(f"{negation} {words[0]}" in prompt for negation in _NEGATIONS)
        return bool(schema.get("default", False)) ^ bool(self._variant % 2)


def _type_of(schema: Schema, depth: int) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        kinds = [kind for kind in declared if kind != "null" or depth >= _DEEPEST]
        return str((kinds or declared)[-1 if depth >= _DEEPEST else 0])
    if declared:
        return str(declared)
    return next((kind for keyword, kind in _KEYWORD_TYPES if keyword in schema), "string")


def _names(name: str, words: Iterable[str]) -> bool:
    return not set(split_identifier(name)).isdisjoint(words)


def _not_null(schema: Schema) -> Schema:
    branches = schema.get("anyOf") or schema.get("oneOf") or ()
    return next((b for b in branches if isinstance(b, dict) and b.get("type") != "null"), schema)


def _merge(base: Schema, other: Schema) -> Schema:
    merged = base | other
    for keyword in ("properties", "required"):
        if keyword in base and keyword in other:
            both = base[keyword], other[keyword]
            merged[keyword] = both[0] | both[1] if keyword == "properties" else [*both[0], *both[1]]
    return merged


def _parse(text: str, *, integer: bool) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if number.is_integer() and math.isfinite(number):
        return int(number)
    return None if integer else number


def _boundary_numbers(schema: Schema) -> list[int | float]:
    """List numbers at and near the bounds, on the grid of `multipleOf` if there is one."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    numbers: list[int | float] = []
    if low is not None:
        numbers += [low, math.ceil(low), math.floor(low) + 1, *(low + n for n in range(1, 8))]
    if high is not None:
        numbers += [high, math.floor(high), math.ceil(high) - 1]
    if low is not None and high is not None:
        numbers.append((low + high) / 2)
    numbers += range(2, 40)
    step = schema.get("multipleOf")
    if step:
        start = math.ceil((low if low is not None else 0) / step)
        on_grid = [(start + n) * step for n in range(64)]
        if high is not None:
            on_grid.append(math.floor(high / step) * step)
        numbers = on_grid + numbers
    return [int(n) if float(n).is_integer() else n for n in numbers]


def _unique(items: list[Any], least: int) -> list[Any]:
    distinct = [item for position, item in enumerate(items) if item not in items[:position]]
    number = 2
    while len(distinct) < least and number < least + _SHORT:
        last = items[-1]
        more = f"{last} {number}" if isinstance(last, str) else last
        if isinstance(last, int | float) and not isinstance(last, bool):
            more = last + number
        if more not in distinct:
            distinct.append(more)
        number += 1
    return distinct
