"""Schemas that grow without end when their references are resolved, or are in several places."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._json_schema.keywords import without_titles
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie.emulator.schemas import check_chat_schema
from unit_tests.json_schema.gemini_schemas import check_gemini_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie._json import Json

NULL = {"type": "null"}
MAX_CALLS = 20_000_000
"""Calls of Python functions. The most that a schema below takes is a third of it."""


def _doubling(depth: int) -> Json:
    """Each definition refers to the next one twice, so that resolving them takes 2^depth nodes."""
    definitions = {
        f"d{n}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{n + 1}"} for name in "ab"},
        }
        for n in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{depth}": {"type": "string"}}}


def _mutual(width: int) -> Json:
    """Every definition refers to every other one."""
    names = [f"d{n}" for n in range(width)]
    properties = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    definition = {"type": "object", "properties": properties}
    return {"type": "object", "properties": properties, "$defs": dict.fromkeys(names, definition)}


def _nested(depth: int, wrap: Callable[[Json], Json]) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = wrap(schema)
    return schema


def _with_alternatives(schema: Json) -> Json:
    return {
        "type": ["object", "array", "string", "null"],
        "properties": {"a": schema},
        "anyOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}}],
    }


def _endless() -> Json:
    schema: Json = {"type": "object"}
    schema["properties"] = {"a": schema, "b": schema}
    schema["allOf"] = [schema, schema]
    return schema


HUGE = {
    "doubling": _doubling(40),
    "mutual": _mutual(40),
    "a reference to true": {**_mutual(40), "items": {"$ref": "#/$defs/d0/properties/any"},
                            "$defs": {**_mutual(40)["$defs"], "any": True},
                            "not": {"$ref": "#/$defs/any"},
                            "anyOf": [{"$ref": "#/$defs/any"}, {"type": "string"}]},
    "one dict twice": _nested(40, lambda s: {"type": "object", "properties": {"a": s, "b": s}}),
    "branching": _nested(30, _with_alternatives),
    "deep": _nested(300, lambda schema: {"type": "array", "items": schema}),
    "endless": _endless(),
    "a cycle": {"$ref": "#/$defs/a", "$defs": {
        "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "itself": {"$ref": "#"},
    **{
        f"the same {name} twice at each of 40 levels": _nested(40, wrap)
        for name, wrap in {
            "Gemini property": lambda one: {"type": "OBJECT", "properties": {"a": one, "b": one}},
            "Gemini alternative": lambda one: {"anyOf": [one, one, {"type": "STRING"}]},
            "item": lambda one: {"type": "array", "prefixItems": [one, one]},
            "part": lambda one: {"allOf": [{"title": "x", **one}, one]},
            "condition": lambda one: {"allOf": [{"not": one}, {"not": NULL}], "if": one},
            "sibling": lambda one: {"anyOf": [one, one], "properties": {"a": one}},
        }.items()
    },
    "wide": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(3_000)}},
}  # fmt: skip


@pytest.mark.parametrize("schema", HUGE.values(), ids=HUGE)
def test_a_schema_that_grows_without_end_is_truncated_quickly(schema: Json) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1
        assert calls < MAX_CALLS  # in the conversion, which may have no end

    before = sys.gettrace()
    sys.settrace(count)
    try:
        normalized, gemini = normalize_schema(schema), to_gemini_schema(schema)
    finally:
        sys.settrace(before)
    assert len(str(normalized)) + len(str(gemini)) < 3_000_000
    check_chat_schema(normalized, "$", answer=False)
    check_gemini_schema(gemini)


def test_a_truncated_schema_keeps_the_outer_properties() -> None:
    normalized = normalize_schema(_mutual(40))
    assert len(normalized["properties"]) == 40
    assert all(schema["type"] == "object" for schema in normalized["properties"].values())


def test_titles_are_removed_once_from_a_schema_in_several_places() -> None:
    shared = _nested(40, lambda one: {"title": "x", "anyOf": [one, one], "items": one})
    bare = without_titles(shared)
    for _ in range(40):
        assert bare.keys() == {"anyOf", "items"}
        first, second = bare["anyOf"]
        assert first is second is bare["items"]
        bare = first


def test_titles_are_removed_but_properties_of_that_name_stay() -> None:
    schema = {
        "title": "T",
        "properties": {"title": {"title": "Title", "type": "string"}},
        "$defs": {"title": {"title": "X"}},
        "anyOf": [True, {"title": "A", "default": {"title": "kept"}}],
        "items": [{"title": "First"}],
    }
    assert without_titles(schema) == {
        "properties": {"title": {"type": "string"}},
        "$defs": {"title": {}},
        "anyOf": [True, {"default": {"title": "kept"}}],
        "items": [{}],
    }
