"""Instances of JSON Schemas, with values from a prompt where it contains them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.json_schema import is_valid as _is_valid
from langchain_kie.emulator.schemas import IGNORED_NULLABLE, resolve_pointer

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie.emulator.conversation import Schema
    from langchain_kie.emulator.prompt_values import PromptValues

_MAX_DEPTH = 5
_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_KEYWORD_TYPES = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
}


def fill(schema: Schema, values: PromptValues, fallback: str = "", *, every: bool = True) -> Any:
    """Build an instance of a schema.

    Args:
        schema: JSON Schema, whose references must be local.
        values: The values of the prompt.
        fallback: What a text says if the prompt has no value for it.
        every: Whether to set also the optional properties that the prompt does not name.
    """
    return _Filler(schema, values, fallback, every=every).value(schema, "", 0)


class _Filler:
    def __init__(self, root: Schema, values: PromptValues, fallback: str, *, every: bool) -> None:
        self._root = root
        self._values = values
        self._fallback = fallback
        self._every = every

    def value(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            prompt = self._values.prompt.lower()
            named = [m for m in schema["enum"] if m and isinstance(m, str) and m.lower() in prompt]
            null = [m for m in schema["enum"] if IGNORED_NULLABLE in schema and m == "null"]
            return [*named, *null, *schema["enum"]][0]
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            branches = [self._resolve(branch) for branch in branches]
            branches.sort(key=lambda b: (b.get("type") == "null") is (depth < _MAX_DEPTH))
            if IGNORED_NULLABLE in schema and not (self._values.texts or self._values.numbers):
                branches.sort(key=lambda branch: "null" not in branch.get("enum", ()))
            return self.value(branches[0], name, depth + 1)
        builders: dict[str, Callable[[Schema, str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "integer": self._number,
            "number": self._number,
            "boolean": lambda schema, _name, _depth: bool(schema.get("default", False)),
            "null": lambda _schema, _name, _depth: None,
        }
        return builders.get(_type_of(schema), self._string)(schema, name, depth)

    def _resolve(self, schema: Any) -> Schema:
        """Replace references and `allOf` by their content."""
        if not isinstance(schema, dict):
            return {}
        merged = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
        parts = list(schema.get("allOf", ()))
        if isinstance(schema.get("$ref"), str):
            parts.append(resolve_pointer(self._root, schema["$ref"]))
        for part in map(self._resolve, parts):
            properties = {**part.get("properties", {}), **merged.get("properties", {})}
            required = [*part.get("required", ()), *merged.get("required", ())]
            merged = part | merged
            merged |= {"properties": properties, "required": required} if properties else {}
        return merged

    def _object(self, schema: Schema, _name: str, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        ordering = [key for key in schema.get("propertyOrdering", ()) if key in properties]
        keys = list(dict.fromkeys([*ordering, *properties, *required]))
        chosen = [key for key in keys if key in required or self._is_wanted(properties[key], key)]
        if depth >= _MAX_DEPTH:
            chosen = list(required)
        # Properties with a label in the prompt come first, because each value is used once.
        chosen.sort(key=lambda key: self._values.labelled(key) is None)
        values = {key: self.value(properties.get(key, {}), key, depth + 1) for key in chosen}
        return {key: values[key] for key in keys if key in values}

    def _is_wanted(self, declared: Any, name: str) -> bool:
        """Return whether to set an optional property."""
        is_wanted = self._every and IGNORED_NULLABLE not in self._resolve(declared)
        return is_wanted or self._values.labelled(name) is not None

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        items = self._resolve(schema.get("items", {}))
        built = [self.value(item, name, depth + 1) for item in schema.get("prefixItems", ())]
        kind = "" if "enum" in items else _type_of(items)
        found = {"string": self._values.texts, "integer": self._values.numbers}
        found["number"] = found["integer"]
        default = max(len(found.get(kind, ())), len(built), int(depth < _MAX_DEPTH))
        count = max(schema.get("minItems", 0), min(default, schema.get("maxItems", math.inf)))
        more = 0 if schema.get("items") is False else int(count) - len(built)
        return built + [self.value(items, name, depth + 1) for _ in range(more)]

    def _string(self, schema: Schema, name: str, _depth: int) -> str:
        def is_valid(text: str) -> bool:
            form = schema.get("format", "")
            has_form = {"email": "@" in text, "uri": "://" in text, "date": text[:4].isdecimal()}
            return has_form.get(form, form not in _FORMATS) and _is_valid(schema, text)

        is_known = IGNORED_NULLABLE not in schema or self._values.labelled(name) is not None
        if "expression" in name and self._values.expression:
            return self._values.expression
        found = self._values.take(name, is_valid, number=False) if is_known else ""
        examples = [found, schema.get("default"), schema.get("example"), *_examples(schema)]
        examples += [_FORMATS.get(schema.get("format", "")), self._fallback, name]
        for text in examples:
            if isinstance(text, str) and (text or not is_known) and _is_valid(schema, text):
                return text
        shortest, longest = int(schema.get("minLength", 0)), int(schema.get("maxLength", 40))
        text = self._fallback or name or "value"
        return (text * (shortest // len(text) + 1))[: max(shortest, min(longest, len(text)))]

    def _number(self, schema: Schema, name: str, _depth: int) -> int | float:
        def is_valid(text: str) -> bool:
            number = _number_of(text)
            return number is not None and _is_valid(schema, number)

        found = _number_of(self._values.take(name, is_valid, number=True) or "")
        if found is not None:
            return found
        low: Any = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
        high: Any = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
        step = schema.get("multipleOf", 1)
        start = max(1, low) if high >= 1 else high
        candidates = [schema.get("default"), *_examples(schema), start, start // step * step]
        candidates += [start // step * step + step * n for n in (1, -1, 2, -2)]
        valid = (n for n in candidates if isinstance(n, int | float) and _is_valid(schema, n))
        return next(valid, 1)


def _examples(schema: Schema) -> list[Any]:
    examples = schema.get("examples", [])
    return examples if isinstance(examples, list) else []


def _type_of(schema: Schema) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((kind for kind in declared if kind != "null"), "null")
    kinds = (kind for keyword, kind in _KEYWORD_TYPES.items() if keyword in schema)
    return str(declared or next(kinds, "string"))


def _number_of(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else number
