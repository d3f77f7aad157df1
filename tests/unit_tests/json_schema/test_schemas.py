"""JSON schemas as each dialect can say them: hard cases one by one, then whatever there may be."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_kie._json_schema.gemini import for_generate_content
from langchain_kie._json_schema.keywords import reserved_property, without_titles
from langchain_kie._json_schema.normalize import for_chat_completions
from langchain_kie.emulator.native_fields import parse_request
from langchain_kie.emulator.schemas import check_chat_schema, read_gemini_schema

Json = dict[str, Any]

NODE = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/Node"}, "n": {"type": "integer"}},
}


CASES: list[tuple[str, Any, Json, Json]] = [
    ("text", {"type": "string"}, {"type": "string"}, {"type": "STRING"}),
    ("null only", {"type": "null"}, {"type": "null"}, {"type": "NULL"}),
    (
        "a list of types",
        {"type": ["string", "null"], "maxLength": 5},
        {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
        {"type": "STRING", "maxLength": 5, "nullable": True},
    ),
    (
        "a list of types, each with its own keywords",
        {"type": ["array", "string"], "items": {"type": "integer"}, "minLength": 1},
        {"anyOf": [{"type": "array", "items": {"type": "integer"}},
                   {"type": "string", "minLength": 1}]},
        {"anyOf": [{"type": "ARRAY", "items": {"type": "INTEGER"}},
                   {"type": "STRING", "minLength": 1}]},
    ),
    (
        "Optional[Union]",
        {"anyOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"type": "null"}],
         "default": None, "description": "d"},
        {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}],
         "default": None, "description": "d"},
        {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": True, "description": "d"},
    ),
    (
        "oneOf",
        {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
        {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        {"anyOf": [{"type": "INTEGER"}, {"type": "BOOLEAN"}]},
    ),
    (
        "allOf, both of which hold",
        {"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "minimum": 3}],
         "maximum": 9},
        {"type": "integer", "minimum": 3, "maximum": 9},
        {"type": "INTEGER", "minimum": 3, "maximum": 9},
    ),
    (
        "allOf of one property",
        {"type": "object", "allOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"a": {"maxLength": 3}, "b": True}, "required": ["b"]}]},
        {"type": "object", "properties": {"b": {}, "a": {"type": "string", "maxLength": 3}},
         "required": ["a", "b"]},
        {"type": "OBJECT", "properties": {"b": ..., "a": {"type": "STRING", "maxLength": 3}},
         "required": ["a", "b"]},
    ),
    (
        "what stands beside alternatives",
        {"type": "object", "properties": {"a": {"type": "string"}},
         "anyOf": [{"properties": {"b": {"type": "string"}}},
                   {"properties": {"c": {"type": "string"}}}]},
        {"anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            {"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string"}}},
        ]},
        {"anyOf": [
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "c": {"type": "STRING"}}},
        ]},
    ),
    (
        "alternatives that only say what is required",
        {"type": "object", "properties": {"a": {"type": "string"}},
         "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"type": "object", "properties": {"a": {"type": "string"}},
         "description": 'One of these holds: [{"type":"object","required":["a"]},'
                        '{"type":"object","required":["b"]}].'},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}},
         "description": 'One of these holds: [{"type":"object","required":["a"]},'
                        '{"type":"object","required":["b"]}].'},
    ),
    ("const", {"const": "a"}, {"type": "string", "enum": ["a"]},
     {"type": "STRING", "enum": ["a"]}),
    ("const true", {"const": True}, {"type": "boolean", "enum": [True]},
     {"type": "BOOLEAN", "description": "One of: true."}),
    ("IntEnum", {"type": "integer", "enum": [1, 2]}, {"type": "integer", "enum": [1, 2]},
     {"type": "INTEGER", "description": "One of: 1, 2."}),
    (
        "an enum of everything",
        {"enum": [1, "x", True, None]},
        {"anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["x"]},
                   {"type": "boolean", "enum": [True]}, {"type": "null"}]},
        {"anyOf": [{"type": "INTEGER", "description": "One of: 1."},
                   {"type": "STRING", "enum": ["x"]},
                   {"type": "BOOLEAN", "description": "One of: true."}], "nullable": True},
    ),
    ("an enum of another type", {"type": "integer", "enum": ["1"]},
     {"type": "integer", "description": 'One of: "1".'},
     {"type": "INTEGER", "description": 'One of: "1".'}),
    ("an empty enum", {"type": "string", "enum": []}, {"type": "string"}, {"type": "STRING"}),
    (
        "dict[str, int]",
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "OBJECT", "properties": {},
         "description": 'Any names, each value: {"type":"integer"}.'},
    ),
    ("no further properties", {"type": "object", "additionalProperties": False},
     {"type": "object", "additionalProperties": False}, {"type": "OBJECT", "properties": {}}),
    (
        "a tuple",
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}],
         "minItems": 2, "maxItems": 2},
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}],
         "minItems": 2, "maxItems": 2},
        {"type": "ARRAY", "items": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
         "minItems": 2, "maxItems": 2,
         "description": 'Items in this order: [{"type":"integer"},{"type":"string"}].'},
    ),
    ("an old tuple, closed", {"items": [{"type": "string"}], "additionalItems": False},
     {"type": "array", "prefixItems": [{"type": "string"}], "maxItems": 1},
     {"type": "ARRAY", "items": {"type": "STRING"}, "maxItems": 1,
      "description": 'Items in this order: [{"type":"string"}].'}),
    ("missing items", {"type": "array"}, {"type": "array", "items": {}},
     {"type": "ARRAY", "items": ...}),
    ("a default", {"type": "integer", "default": 3}, {"type": "integer", "default": 3},
     {"type": "INTEGER", "description": "Default: 3."}),
    ("exclusive bounds of an integer",
     {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 4.5},
     {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 4.5},
     {"type": "INTEGER", "minimum": 3, "maximum": 4}),
    ("exclusive bounds of a number", {"type": "number", "exclusiveMinimum": 2},
     {"type": "number", "exclusiveMinimum": 2},
     {"type": "NUMBER", "description": "exclusiveMinimum: 2."}),
    ("an old exclusive bound", {"type": "integer", "minimum": 2, "exclusiveMinimum": True},
     {"type": "integer", "exclusiveMinimum": 2}, {"type": "INTEGER", "minimum": 3}),
    ("a format", {"type": "string", "format": "date"}, {"type": "string", "format": "date"},
     {"type": "STRING", "description": "Format: date."}),
    ("Gemini's format", {"type": "integer", "format": "int64"},
     {"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
    ("examples", {"type": "string", "examples": ["a", "b"]},
     {"type": "string", "examples": ["a", "b"]},
     {"type": "STRING", "description": 'Examples: "a", "b".'}),
    ("no pattern at all", {"type": "string", "pattern": "("}, {"type": "string"},
     {"type": "STRING"}),
    ("OpenAPI's nullable", {"type": "string", "nullable": True},
     {"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
    ("upper case", {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
     {"type": "object", "properties": {"a": {"type": "integer"}}},
     {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}),
    (
        "properties named like keywords",
        {"type": "object", "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "$ref": {"type": "string"},
            "properties": {"type": "object", "properties": {"enum": {"type": "integer"}}},
            "required": {"type": "boolean"}, "default": {"type": "string"},
            "ключ 🔑": {"type": "string"}},
         "required": ["$ref", "nobody"]},
        {"type": "object", "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "$ref": {"type": "string"},
            "properties": {"type": "object", "properties": {"enum": {"type": "integer"}}},
            "required": {"type": "boolean"}, "default": {"type": "string"},
            "ключ 🔑": {"type": "string"}},
         "required": ["$ref", "nobody"]},
        {"type": "OBJECT", "properties": {
            "type": {"type": "STRING"}, "title": {"type": "STRING"}, "$ref": {"type": "STRING"},
            "properties": {"type": "OBJECT", "properties": {"enum": {"type": "INTEGER"}}},
            "required": {"type": "BOOLEAN"}, "default": {"type": "STRING"},
            "ключ 🔑": {"type": "STRING"}},
         "required": ["$ref"]},
    ),
    (
        "a reference with siblings",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a~1b", "description": "mine"}},
         "$defs": {"a/b": {"type": "string", "description": "its", "minLength": 1}}},
        {"type": "object",
         "properties": {"a": {"type": "string", "description": "mine", "minLength": 1}}},
        {"type": "OBJECT",
         "properties": {"a": {"type": "STRING", "description": "mine", "minLength": 1}}},
    ),
    (
        "recursion",
        {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
        {"type": "object", "properties": {
            "next": {"type": "object", "description": "Another Node."}, "n": {"type": "integer"}}},
        {"type": "OBJECT", "properties": {
            "next": {"type": "OBJECT", "description": "Another Node."}, "n": {"type": "INTEGER"}}},
    ),
    (
        "properties that may not be, and may be anything",
        {"type": "object", "properties": {"a": False, "b": {"type": "string"}}},
        {"type": "object", "properties": {"b": {"type": "string"}}},
        {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}},
    ),
    ("no arguments", {"type": "object", "properties": {}}, {"type": "object", "properties": {}},
     {"type": "OBJECT", "properties": {}}),
]  # fmt: skip


def alike(made: Any, expected: Any) -> bool:
    """Whether `made` is as expected, where `...` is anything."""
    if expected is ...:
        return True
    if isinstance(expected, dict) and isinstance(made, dict):
        return made.keys() == expected.keys() and all(alike(made[k], expected[k]) for k in made)
    return made == expected


def accepted_natively(native: Json) -> None:
    """The emulator, which is as strict as Gemini, takes the schema."""
    config = {"responseMimeType": "application/json", "responseSchema": native}
    body = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config}
    read_gemini_schema(parse_request(body)["generationConfig"]["responseSchema"])


@pytest.mark.parametrize(
    ("schema", "chat", "native"), [pytest.param(*c[1:], id=c[0]) for c in CASES]
)
def test_a_schema_is_said_as_each_dialect_can(schema: Any, chat: Json, native: Json) -> None:
    before = copy.deepcopy(schema)
    made = for_chat_completions(schema)
    assert made == chat
    check_chat_schema(made, "$", answer=False)
    assert for_chat_completions(made) == made
    said = for_generate_content(schema)
    assert alike(said, native), said
    accepted_natively(said)
    assert for_generate_content(said) == said
    assert schema == before


def test_any_value_natively_is_any_of_all_types() -> None:
    said = for_generate_content({"type": "object", "properties": {"a": {}}})
    kinds = [branch["type"] for branch in said["properties"]["a"]["anyOf"]]
    assert kinds == ["STRING", "NUMBER", "BOOLEAN", "OBJECT", "ARRAY"]
    assert said["properties"]["a"]["nullable"] is True


def test_gemini_s_own_schema_goes_out_as_it_came() -> None:
    schema = {
        "type": "OBJECT",
        "title": "t",
        "properties": {
            "a": {"type": "STRING", "format": "enum", "enum": ["x"], "default": "x"},
            "b": {"type": "ARRAY", "items": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}]}},
        },
        "required": ["a"],
        "propertyOrdering": ["a", "b"],
    }
    assert for_generate_content(schema) == schema


@pytest.mark.parametrize("reference", ["#/$defs/nobody", "other.json", "#nobody", "#/type/x"])
def test_a_reference_to_nowhere_is_named(reference: str) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}}
    for convert in (for_chat_completions, for_generate_content):
        with pytest.raises(ValueError, match="refers to"):
            convert(schema)


def test_references_by_anchor_by_id_and_into_lists_are_found() -> None:
    schema = {
        "$id": "https://example.com/s",
        "type": "object",
        "properties": {
            "a": {"$ref": "#here"},
            "b": {"$ref": "https://example.com/s#/$defs/x"},
            "c": {"$ref": "#/$defs/y/anyOf/1"},
        },
        "$defs": {
            "x": {"$anchor": "here", "type": "string"},
            "y": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
    }
    kinds = {k: v["type"] for k, v in for_chat_completions(schema)["properties"].items()}
    assert kinds == {"a": "string", "b": "string", "c": "integer"}


def _doubling(depth: int) -> Json:
    """Each definition refers to the next one twice: 2 to the power of `depth`, in their place."""
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


def _shared(depth: int) -> Json:
    """One dict in two places, again and again."""
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema, "b": schema}}
    return schema


def _branching(depth: int) -> Json:
    """Keywords beside alternatives, with the like inside."""
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {
            "type": ["object", "array", "string", "null"],
            "properties": {"a": schema},
            "anyOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}}],
        }
    return schema


def _deep(depth: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def _endless() -> Json:
    schema: Json = {"type": "object"}
    schema["properties"] = {"a": schema, "b": schema}
    schema["allOf"] = [schema, schema]
    return schema


HUGE = {
    "doubling": _doubling(40),
    "mutual": _mutual(40),
    "shared": _shared(40),
    "branching": _branching(30),
    "deep": _deep(300),
    "endless": _endless(),
    "a circle": {"$ref": "#/$defs/a", "$defs": {
        "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "itself": {"$ref": "#"},
    "wide": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(3_000)}},
}  # fmt: skip


@pytest.mark.parametrize("schema", HUGE.values(), ids=HUGE)
def test_what_would_grow_without_end_is_cut_in_good_time(schema: Json) -> None:
    begun = time.monotonic()
    chat, native = for_chat_completions(schema), for_generate_content(schema)
    assert time.monotonic() - begun < 5
    assert len(str(chat)) + len(str(native)) < 3_000_000
    check_chat_schema(chat, "$", answer=False)
    accepted_natively(native)


def test_a_cut_keeps_near_what_it_takes_far() -> None:
    chat = for_chat_completions(_mutual(40))
    assert len(chat["properties"]) == 40
    assert all(schema["type"] == "object" for schema in chat["properties"].values())


def test_titles_go_but_properties_of_that_name_stay() -> None:
    schema = {
        "title": "T",
        "properties": {"title": {"title": "Title", "type": "string"}},
        "$defs": {"title": {"title": "X"}},
        "anyOf": [{"title": "A", "default": {"title": "kept"}}],
    }
    assert without_titles(schema) == {
        "properties": {"title": {"type": "string"}},
        "$defs": {"title": {}},
        "anyOf": [{"default": {"title": "kept"}}],
    }


def test_a_reserved_property_is_found_only_where_it_is_a_property() -> None:
    assert reserved_property({"default": {"properties": {"type": 1}}}) is None
    found = {"items": {"anyOf": [{"properties": {"type": {"type": "string"}}}]}}
    assert reserved_property(found) == "$.items.anyOf[0].properties.type"


# --- whatever there may be -------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "type", "title", "$ref", "enum", "required", "é"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["a", "1", "x"]))
TYPES = st.sampled_from(
    ["string", "integer", "number", "boolean", "object", "array", "null", "STRING", "any"]
)
REFERENCES = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/$defs/c"])
LEAVES = st.one_of(
    st.booleans(),
    st.builds(lambda kind: {"type": kind}, TYPES),
    st.builds(lambda place: {"$ref": place}, REFERENCES),
)


def _nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
            "$ref": REFERENCES,
            "properties": named,
            "patternProperties": named,
            "required": st.lists(NAMES, max_size=2, unique=True),
            "items": st.one_of(inner, several),
            "prefixItems": several,
            "anyOf": several,
            "oneOf": several,
            "allOf": several,
            "not": inner,
            "if": inner,
            "additionalProperties": inner,
            "enum": st.lists(VALUES, max_size=3),
            "const": VALUES,
            "default": VALUES,
            "nullable": st.booleans(),
            "minimum": st.integers(-5, 5),
            "exclusiveMinimum": st.one_of(st.booleans(), st.floats(-5, 5)),
            "maxLength": st.integers(-1, 5),
            "minItems": st.integers(0, 5),
            "pattern": st.sampled_from(["^a$", "(", r"\p{L}"]),
            "format": st.sampled_from(["date", "date-time", "int32"]),
            "title": NAMES,
            "description": NAMES,
            "examples": st.lists(VALUES, max_size=2),
            "x-own": st.dictionaries(NAMES, VALUES, max_size=2),
        },
    )


SCHEMAS = st.recursive(LEAVES, _nodes, max_leaves=8)
ROOTS = st.builds(
    lambda root, a, b, c: {**root, "$defs": {"a": a, "b": b, "c": c}},
    _nodes(SCHEMAS),
    SCHEMAS,
    SCHEMAS,
    SCHEMAS,
)


@given(ROOTS)
@settings(max_examples=150, deadline=None)
def test_any_schema_is_taken_by_both_dialects(schema: Json) -> None:
    before = copy.deepcopy(schema)
    chat, native = for_chat_completions(schema), for_generate_content(schema)
    assert schema == before
    check_chat_schema(chat, "$", answer=False)
    accepted_natively(native)
    assert for_generate_content(native) == native
    assert for_chat_completions(chat) == chat
