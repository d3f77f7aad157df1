"""Instances of JSON Schemas, with values from a prompt where it contains them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from langchain_kie.emulator.hints import (
    EXPRESSION_PROPERTIES,
    Hints,
    split_identifier,
    stem,
    take,
    words_of,
)
from langchain_kie.emulator.schemas import IGNORED_NULLABLE, resolve_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langchain_kie.emulator.conversation import Schema

_MAX_DEPTH = 5
_SHORT_LENGTH = 40
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
_CANDIDATES_FOR_PATTERNS = (
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
    """Build an instance of a schema.

    Args:
        schema: JSON Schema, whose references must be local.
        hints: The values of the prompt.
        every_property: Whether to set also the optional properties without a value in the
            prompt.
    """
    validator = Draft202012Validator(schema)
    instance = _Filler(schema, hints, every_property=every_property).value(schema, "", 0)
    if validator.is_valid(instance):
        return instance
    plain = _Filler(schema, Hints(""), every_property=False).value(schema, "", 0)
    return plain if validator.is_valid(plain) else instance


class _Filler:
    """Builds one instance; `_item` is the index of the list item that is being built."""

    def __init__(self, root: Schema, hints: Hints, *, every_property: bool) -> None:
        self._root = root
        self._hints = hints
        self._every_property = every_property
        self._item = 0
        self._builders: dict[str, Callable[[Schema, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": self._boolean,
            "null": lambda _schema, _name, _depth: None,
        }

    def value(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._enum_member(schema)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(schema, branches, name, depth)
        return self._builders[_type_of(schema, depth)](schema, name, depth)

    def _resolve(self, schema: Any) -> Schema:
        """Replace references and `allOf` by their content."""
        if not isinstance(schema, dict):
            return {}
        merged: Schema = {}
        if isinstance(schema.get("$ref"), str):
            merged = self._resolve(resolve_pointer(self._root, schema["$ref"]))
        for part in schema.get("allOf", ()):
            merged = _merge(merged, self._resolve(part))
        return _merge(merged, {k: v for k, v in schema.items() if k not in {"$ref", "allOf"}})

    def _is_valid(self, schema: Schema, instance: Any) -> bool:
        scoped = {k: self._root[k] for k in ("$defs", "definitions") if k in self._root} | schema
        return Draft202012Validator(scoped).is_valid(instance)

    def _enum_member(self, schema: Schema) -> Any:
        members = [member for member in schema["enum"] if self._is_valid(schema, member)]
        members = members or schema["enum"]
        prompt = f"{self._hints.prompt}\n{self._hints.results}".lower()
        for member in members:
            if isinstance(member, str) and member and member.lower() in prompt:
                return member
        if "default" in schema and schema["default"] in members:
            return schema["default"]
        return members[self._item % len(members)]

    def _branch(self, schema: Schema, branches: list[Any], name: str, depth: int) -> Any:
        base = {k: v for k, v in schema.items() if k not in {"anyOf", "oneOf"}}
        resolved = [_merge(base, self._resolve(branch)) for branch in branches]
        resolved.sort(key=lambda branch: (branch.get("type") == "null") is (depth < _MAX_DEPTH))
        value = None
        for branch in resolved:
            value = self.value(branch, name, depth + 1)
            if self._is_valid(schema, value):
                break
        return value

    def _object(self, schema: Schema, _name: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        ordering = schema.get("propertyOrdering")
        ordering = ordering if isinstance(ordering, list) else []
        keys = [key for key in ordering if isinstance(key, str) and key in properties]
        keys = list(dict.fromkeys([*keys, *properties, *required]))
        everything = self._every_property and depth < _MAX_DEPTH
        # Properties with a label in the prompt come first, because each value is used once.
        values = {
            key: self.value(properties.get(key, {}), key, depth + 1)
            for key in sorted(keys, key=lambda key: self._hints.labelled(key) is None)
            if key in required
            or (everything and IGNORED_NULLABLE not in self._resolve(properties[key]))
            or self._has_value(properties[key], key)
        }
        if not values and not required and not everything:
            values = self._first_fitting(properties, depth)
        values = {key: values[key] for key in keys if key in values}
        return values | self._extra_properties(schema, set(values), depth)

    def _first_fitting(self, properties: Schema, depth: int) -> dict[str, Any]:
        """Set the first property that fits a value, if none is required or labelled."""
        values = self._hints.values_by_type()
        for key, declared in properties.items():
            schema = _without_null(self._resolve(declared))
            kind = _type_of(self._resolve(schema), depth)
            if values.get(kind) or (kind == "string" and _has_word(key, _TEXT_PROPERTIES)):
                return {key: self.value(schema, key, depth + 1)}
        return {}

    def _extra_properties(self, schema: Schema, present: set[str], depth: int) -> dict[str, Any]:
        """Build as many properties as `minProperties` still requires."""
        missing = max(0, schema.get("minProperties", 0) - len(present))
        declared, other = schema.get("properties", {}), schema.get("additionalProperties", {})
        keys = [key for key in declared if key not in present]
        keys += [f"key_{number + 1}" for number in range(missing)]
        return {key: self.value(declared.get(key, other), key, depth + 1) for key in keys[:missing]}

    def _has_value(self, declared: Any, name: str) -> bool:
        """Tell whether the prompt contains a value for an optional property."""
        schema = self._resolve(_without_null(self._resolve(declared)))
        prompt = self._hints.prompt.lower()
        if "enum" in schema:
            return any(isinstance(m, str) and m and m.lower() in prompt for m in schema["enum"])
        if schema.get("format") in {"date", "date-time"}:
            return bool(self._hints.dates)
        kind = _type_of(schema, 0)
        if kind == "string":
            is_labelled = self._hints.labelled(name) is not None
            return is_labelled or (_has_word(name, _NAME_PROPERTIES) and bool(self._hints.names))
        words = split_identifier(name)
        is_named = all(stem(word) in self._hints.stems for word in words)
        if kind in {"integer", "number"}:
            return is_named and bool(self._hints.numbers)
        return is_named and bool(words)

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        values = [self.value(item, name, depth + 1) for item in schema.get("prefixItems", ())]
        maximum = schema.get("maxItems", math.inf)
        minimum = schema.get("minItems", 0 if depth >= _MAX_DEPTH else 1)
        items = schema.get("items", {})
        if items is False:
            return values
        count = min(maximum, max(minimum, len(values) + self._count_for(self._resolve(items)), 0))
        outer = self._item
        while len(values) < count:
            self._item = outer + len(values)
            values.append(self.value(items, name, depth + 1))
        self._item = outer
        if schema.get("uniqueItems"):
            return _unique(values, minimum)
        return values[: int(min(maximum, len(values)))]

    def _count_for(self, items: Schema) -> int:
        """Count the values of the prompt that a list of `items` can contain."""
        kind = items.get("type")
        if kind == "string" and "enum" not in items:
            return len(self._hints.quotes or self._hints.names)
        return len(self._hints.numbers) if kind in {"integer", "number"} else 0

    def _string(self, schema: Schema, name: str, _depth: int) -> str:
        def is_valid(value: str) -> bool:
            return self._is_valid(schema, value)

        is_unknown = IGNORED_NULLABLE in schema and not self._has_value(schema, name)
        if is_unknown and is_valid(""):
            return ""
        found = self._string_from_prompt(schema, name, is_valid)
        if found is not None:
            return found
        for placeholder in self._placeholders(schema, name):
            if is_valid(placeholder):
                return placeholder
        return self._sized_string(schema, name)

    def _string_from_prompt(
        self, schema: Schema, name: str, is_valid: Callable[[str], bool]
    ) -> str | None:
        hints = self._hints
        kind = schema.get("format", "")
        if kind in _FORMATS or _has_word(name, {"email", "url", "uri", "link", "date"}):
            if kind == "email" or _has_word(name, {"email"}):
                return take(hints.emails, is_valid)
            if kind in {"uri", "url"} or _has_word(name, {"url", "uri", "link"}):
                return take(hints.urls, is_valid)
            if kind == "date-time":
                return take([date for date in hints.dates if "T" in date], is_valid)
            return take(hints.dates, is_valid) if kind in {"date", ""} else None
        if (
            _has_word(name, EXPRESSION_PROPERTIES)
            and hints.expression
            and is_valid(hints.expression)
        ):
            return hints.expression
        labelled = None if self._item else hints.take_labelled(name, is_valid)
        found = labelled or take(hints.quotes, is_valid)
        if found is None and not _has_word(name, _TEXT_PROPERTIES):
            found = take(hints.names, is_valid)
        return found

    def _placeholders(self, schema: Schema, name: str) -> Iterable[str]:
        hints = self._hints
        examples = [schema.get("default"), schema.get("example"), *schema.get("examples", ())]
        yield from (text for text in examples if isinstance(text, str) and not self._item)
        if schema.get("format") in _FORMATS:
            yield _FORMATS[schema["format"]]
        words = " ".join(split_identifier(name)) or "value"
        number = f" {self._item + 1}" if self._item else ""
        is_text = _has_word(name, _TEXT_PROPERTIES)
        if hints.results and (self._every_property or is_text):
            yield hints.results + number
        if hints.prompt and is_text:
            yield hints.topic + number
        if hints.prompt:
            yield f"{words.capitalize()}: {hints.topic}{number}"
        yield words[:_SHORT_LENGTH] + number
        if "pattern" in schema:
            yield from _CANDIDATES_FOR_PATTERNS

    def _sized_string(self, schema: Schema, name: str) -> str:
        """Shorten or repeat the name of the property until it has a valid length."""
        text = " ".join(split_identifier(name)) or "value"
        if self._item:
            text = f"{self._item + 1} {text}"
        minimum, maximum = schema.get("minLength", 0), schema.get("maxLength", _SHORT_LENGTH)
        length = max(int(minimum), min(int(maximum), len(text)))
        return (text * (length // len(text) + 1))[:length]

    def _number(self, schema: Schema, name: str, _depth: int) -> int | float:
        integer = schema.get("type") == "integer"

        def is_valid(text: str) -> bool:
            number = _parse(text, integer=integer)
            return number is not None and self._is_valid(schema, number)

        hints = self._hints
        text = None if self._item else hints.take_labelled(name, is_valid)
        text = text or take(hints.numbers, is_valid)
        if text is not None:
            return _parse(text, integer=integer) or 0
        examples = [schema.get("default"), schema.get("example"), *schema.get("examples", ())]
        candidates = [*examples, 1, 0, *_boundary_numbers(schema)]
        valid = (
            number
            for number in candidates[self._item :] + candidates
            if isinstance(number, int | float)
            and not isinstance(number, bool)
            and self._is_valid(schema, number)
        )
        return next(valid, 1)

    def _boolean(self, schema: Schema, name: str, _depth: int) -> bool:
        words = split_identifier(name)
        prompt = self._hints.prompt.lower()
        if words and all(stem(word) in self._hints.stems for word in words):
            return not any(f"{negation} {words[0]}" in prompt for negation in _NEGATIONS)
        return bool(schema.get("default", False)) ^ bool(self._item % 2)


def _type_of(schema: Schema, depth: int) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        kinds = [kind for kind in declared if kind != "null" or depth >= _MAX_DEPTH]
        return str((kinds or declared)[-1 if depth >= _MAX_DEPTH else 0])
    if declared:
        return str(declared)
    return next((kind for keyword, kind in _KEYWORD_TYPES if keyword in schema), "string")


def _has_word(name: str, words: Iterable[str]) -> bool:
    return not set(split_identifier(name)).isdisjoint(words)


def _without_null(schema: Schema) -> Schema:
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
    """List numbers at and near the bounds; multiples of `multipleOf` come first."""
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
        multiples = [(start + n) * step for n in range(64)]
        if high is not None:
            multiples.append(math.floor(high / step) * step)
        numbers = multiples + numbers
    return [int(n) if float(n).is_integer() else n for n in numbers]


def _unique(items: list[Any], minimum: int) -> list[Any]:
    distinct = [item for position, item in enumerate(items) if item not in items[:position]]
    number = 2
    while len(distinct) < minimum and number < minimum + _SHORT_LENGTH:
        last = items[-1]
        more = f"{last} {number}" if isinstance(last, str) else last
        if isinstance(last, int | float) and not isinstance(last, bool):
            more = last + number
        if more not in distinct:
            distinct.append(more)
        number += 1
    return distinct
