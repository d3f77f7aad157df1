"""JSON schemas in the normalized form and in Gemini's form."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from langchain_kie._json_schema.combine import as_json_text
from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._json_schema.keywords import has_nullable
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie.emulator.schemas import check_chat_schema
from unit_tests.json_schema.gemini_schemas import check_gemini_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie._json import Json

NODE = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/Node"}, "n": {"type": "integer"}},
}
STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}


def _chain(node: Json, length: int) -> Json:
    """Nodes inside each other, each the `next` of the one before it."""
    schema = node
    for _ in range(length - 1):
        schema = {**node, "properties": {**node["properties"], "next": schema}}
    return schema


KEYWORDS: dict[str, Json] = {
    "string": {"title": "t", "description": "d", "format": "date", "contentEncoding": "base64",
               "contentMediaType": "text/plain", "minLength": 0, "maxLength": 2.0, "pattern": "^a"},
    "number": {"minimum": 1, "maximum": 9.5, "exclusiveMinimum": 0, "exclusiveMaximum": 10,
               "multipleOf": 0.5},
    "object": {"properties": {"a": {}}, "required": ["a"], "additionalProperties": False,
               "patternProperties": {"^a": {}}, "propertyNames": {"type": "string"},
               "dependentSchemas": {"a": {}}, "dependentRequired": {"a": ["b"]},
               "minProperties": 1, "maxProperties": 2},
    "array": {"prefixItems": [{}], "minItems": 0, "maxItems": 2, "uniqueItems": True,
              "contains": {}, "minContains": 1, "maxContains": 2},
}  # fmt: skip
INVALID: dict[str, Json] = {
    "string": {"title": 1, "description": 1, "format": 1, "contentEncoding": 1, "deprecated": 1,
               "contentMediaType": 1, "minLength": -1, "maxLength": 1.5, "pattern": 1, "x": 1,
               "examples": 1, "not": 1, "if": 1, "then": 1, "else": 1, "nullable": 1},
    "number": {"minimum": "1", "maximum": True, "exclusiveMinimum": None,
               "exclusiveMaximum": float("nan"), "multipleOf": 0, "anyOf": {"type": "null"},
               "enum": "a", "prefixItems": {"type": "null"}},
    "object": {"properties": [], "required": "a", "additionalProperties": 1, "propertyNames": 1,
               "patternProperties": 1, "dependentSchemas": 1, "dependentRequired": 1,
               "minProperties": -1, "maxProperties": "1"},
    "array": {"items": 1, "prefixItems": [], "minItems": -1, "maxItems": 1.5, "uniqueItems": 1,
              "contains": 1, "minContains": -1, "maxContains": "1"},
}  # fmt: skip
INTERSECTIONS: list[tuple[str, Json, Json, Json]] = [
    *((kind, {key: 1}, {key: 2}, {key: 2 if "min" in key.lower() else 1})
      for kind, keys in {
          "number": ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"),
          "string": ("minLength", "maxLength"),
          "array": ("minItems", "maxItems", "minContains", "maxContains"),
          "object": ("minProperties", "maxProperties")}.items()
      for key in keys),
    ("string", {"title": "a", "description": "a"}, {"title": "b", "description": "b"},
     {"title": "a", "description": "a"}),
    ("string", {"default": "a", "examples": ["a"], "deprecated": True},
     {"default": "b", "examples": ["b"], "deprecated": False},
     {"default": "a", "examples": ["a"], "deprecated": True}),
    ("string", {"enum": ["a", "b"]}, {"enum": ["b", "c"]}, {"enum": ["b"]}),
    ("string", {"enum": ["a"]}, {"enum": ["c"]}, {"enum": ["a"]}),
    ("string", {"pattern": "^a"}, {"pattern": "b$"},
     {"pattern": "^a", "description": 'Also pattern: "b$".'}),
    ("string", {"pattern": "^a"}, {"pattern": "^a"}, {"pattern": "^a"}),
    ("string", {"nullable": True}, {"nullable": False}, {}),
    ("array", {"uniqueItems": False}, {"uniqueItems": True}, {"uniqueItems": True}),
    ("array", {"items": {"type": "string"}}, {"items": {"maxLength": 2}},
     {"items": {"type": "string", "maxLength": 2}}),
    ("object", {"required": ["a", "b"]}, {"required": ["b", "c"]}, {"required": ["a", "b", "c"]}),
    ("object", {"additionalProperties": False}, {"additionalProperties": {"type": "string"}},
     {"additionalProperties": False}),
    ("object", {"additionalProperties": {"type": "string"}}, {"additionalProperties": False},
     {"additionalProperties": False}),
    ("object", {"patternProperties": {"^a": {"type": "string"}}},
     {"patternProperties": {"^a": {"maxLength": 2}}},
     {"patternProperties": {"^a": {"type": "string", "maxLength": 2}}}),
]  # fmt: skip
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
        "allOf of more alternatives than are combined",
        {"type": "string", "allOf": [{"anyOf": [{"maxLength": n} for n in range(1, 10)]},
                                     {"anyOf": [{"minLength": n} for n in range(9)]}]},
        {"anyOf": [{"type": "string", "maxLength": n} for n in range(1, 10)]},
        {"anyOf": [{"type": "STRING", "maxLength": n} for n in range(1, 10)]},
    ),
    (
        "allOf of as many alternatives as are combined",
        {"type": "string", "allOf": [{"anyOf": [{"maxLength": n} for n in range(8)]},
                                     {"anyOf": [{"minLength": n} for n in range(8)]}]},
        {"anyOf": [{"type": "string", "maxLength": high, "minLength": low}
                   for high in range(8) for low in range(8)]},
        {"anyOf": [{"type": "STRING", "maxLength": high, "minLength": low}
                   for high in range(8) for low in range(8)]},
    ),
    (
        "allOf of two types",
        {"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "minimum": 3}],
         "maximum": 9},
        {"type": "integer", "minimum": 3, "maximum": 9},
        {"type": "INTEGER", "minimum": 3, "maximum": 9},
    ),
    (
        "allOf of one property",
        {"type": "object", "allOf": [
            {"properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]},
            {"properties": {"a": {"maxLength": 3}, "b": True}, "required": ["b"]}]},
        {"type": "object", "required": ["a", "b"],
         "properties": {"b": {}, "a": {"type": "string", "minLength": 1, "maxLength": 3}}},
        {"type": "OBJECT", "required": ["a", "b"],
         "properties": {"b": ..., "a": {"type": "STRING", "minLength": 1, "maxLength": 3}}},
    ),
    (
        "keywords next to alternatives",
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
        "alternatives that only list required properties",
        {"type": "object", "properties": {"a": {"type": "string"}},
         "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"type": "object", "properties": {"a": {"type": "string"}},
         "description": 'One of these holds: [{"type":"object","required":["a"]},'
                        '{"type":"object","required":["b"]}].'},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}},
         "description": 'One of these holds: [{"type":"object","required":["a"]},'
                        '{"type":"object","required":["b"]}].'},
    ),
    (
        "alternatives of required and other properties, with a description",
        {"type": "object", "minProperties": 1, "anyOf": [
            {"required": ["a"], "not": {"required": ["b"]}, "description": "d"}]},
        {"type": "object", "minProperties": 1, "description":
            'One of these holds: [{"type":"object","required":["a"],'
            '"not":{"type":"object","required":["b"]},"description":"d"}].'},
        {"type": "OBJECT", "minProperties": 1, "properties": {}, "description": ...},
    ),
    (
        "alternatives that only list required properties, without a type next to them",
        {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "minProperties": 1},
        {"type": "object", "minProperties": 1,
         "description": 'One of these holds: [{"type":"object","required":["a"]},'
                        '{"type":"object","required":["b"]}].'},
        {"type": "OBJECT", "minProperties": 1, "properties": {}, "description": ...},
    ),
    (
        "a reference next to alternatives that only list required properties",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
         "anyOf": [{"required": ["a"]}], "$defs": {"A": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}},
         "description": 'One of these holds: [{"type":"object","required":["a"]}].'},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "description": ...},
    ),
    (
        "a Gemini schema that requires a property which it lacks",
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
    ),
    (
        "Optional of a type that Gemini needs a sentence for",
        {"anyOf": [{"type": "integer", "enum": [2]}, {"type": "null"}], "description": "d"},
        {"anyOf": [{"type": "integer", "enum": [2]}, {"type": "null"}], "description": "d"},
        {"type": "INTEGER", "nullable": True, "description": "d One of: 2."},
    ),
    (
        "allOf of two enums",
        {"type": "string", "allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
        {"type": "string", "enum": ["b"]},
        {"type": "STRING", "enum": ["b"]},
    ),
    (
        "allOf of alternatives",
        {"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]},
                   {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer"}]}]},
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "STRING", "maxLength": 3}, {"type": "STRING"}, {"type": "INTEGER"}]},
    ),
    (
        "alternatives next to nullable, of which one is false",
        {"nullable": True, "anyOf": [{"type": "string"}, False, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": True},
    ),
    (
        "items of any type",
        {"type": "array", "items": True},
        {"type": "array", "items": {}},
        {"type": "ARRAY", "items": ...},
    ),
    ("const", {"const": "a"}, {"type": "string", "enum": ["a"]},
     {"type": "STRING", "enum": ["a"]}),
    ("const true", {"const": True}, {"type": "boolean", "enum": [True]},
     {"type": "BOOLEAN", "description": "One of: true."}),
    ("IntEnum", {"type": "integer", "enum": [1, 2]}, {"type": "integer", "enum": [1, 2]},
     {"type": "INTEGER", "description": "One of: 1, 2."}),
    (
        "an enum of several types",
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
    ("an enum of another type in a Gemini schema", {"type": "INTEGER", "enum": ["1"]},
     {"type": "integer", "description": 'One of: "1".'},
     {"type": "INTEGER", "description": 'One of: "1".'}),
    ("an empty enum", {"type": "string", "enum": []}, {"type": "string"}, {"type": "STRING"}),
    (
        "dict[str, int]",
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "OBJECT", "properties": {},
         "description": 'Any property names, each value: {"type":"integer"}.'},
    ),
    ("no further items, and a lower maximum",
     {"type": "array", "prefixItems": [{"type": "integer"}, {}], "items": False, "maxItems": 1},
     {"type": "array", "prefixItems": [{"type": "integer"}, {}], "maxItems": 1},
     {"type": "ARRAY", "items": ..., "maxItems": 1, "description": ...}),
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
    ("a boolean in a Gemini schema", {"type": "OBJECT", "properties": {"a": True}},
     {"type": "object", "properties": {"a": {}}},
     {"type": "OBJECT", "properties": {"a": ...}}),
    ("keywords that Gemini does not see", {"type": "string", "title": "t", "deprecated": True},
     {"type": "string", "title": "t", "deprecated": True}, {"type": "STRING"}),
    ("an open tuple", {"type": "array", "prefixItems": [{"type": "integer"}], "items": STRING},
     {"type": "array", "prefixItems": [{"type": "integer"}], "items": STRING},
     {"type": "ARRAY", "items": {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]},
      "description": 'Items in this order: [{"type":"integer"}].'}),
    ("an open tuple (draft 7)", {"items": [{"type": "string"}]},
     {"type": "array", "prefixItems": [{"type": "string"}], "items": {}},
     {"type": "ARRAY", "items": ..., "description": ...}),
    ("a closed tuple (draft 7)", {"items": [{"type": "string"}], "additionalItems": False},
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
    ("exclusive bounds that inclusive ones are within",
     {"type": "integer", "exclusiveMinimum": 2, "minimum": 5, "exclusiveMaximum": 9, "maximum": 7},
     {"type": "integer", "exclusiveMinimum": 2, "minimum": 5, "exclusiveMaximum": 9, "maximum": 7},
     {"type": "INTEGER", "minimum": 5, "maximum": 7}),
    ("exclusive bounds of a number", {"type": "number", "exclusiveMinimum": 2},
     {"type": "number", "exclusiveMinimum": 2},
     {"type": "NUMBER", "description": "exclusiveMinimum: 2."}),
    ("an exclusive bound (draft 4)", {"type": "integer", "minimum": 2, "exclusiveMinimum": True},
     {"type": "integer", "exclusiveMinimum": 2}, {"type": "INTEGER", "minimum": 3}),
    ("a format", {"type": "string", "format": "date"}, {"type": "string", "format": "date"},
     {"type": "STRING", "description": "Format: date."}),
    ("a format that Gemini knows", {"type": "integer", "format": "int64"},
     {"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
    *((f"the format {name}", {"type": kind, "format": name}, {"type": kind, "format": name},
       {"type": kind.upper(), "format": name})
      for kind, name in (("integer", "int32"), ("number", "float"), ("number", "double"),
                         ("string", "date-time"), ("string", "enum"))),
    ("examples", {"type": "string", "examples": ["a", "b"]},
     {"type": "string", "examples": ["a", "b"]},
     {"type": "STRING", "description": 'Examples: "a", "b".'}),
    ("an invalid pattern", {"type": "string", "pattern": "("}, {"type": "string"},
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
         "required": ["$ref", "missing"]},
        {"type": "object", "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "$ref": {"type": "string"},
            "properties": {"type": "object", "properties": {"enum": {"type": "integer"}}},
            "required": {"type": "boolean"}, "default": {"type": "string"},
            "ключ 🔑": {"type": "string"}},
         "required": ["$ref", "missing"]},
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
        _chain({"type": "object", "properties": {"n": {"type": "integer"}}}, 4),
        _chain({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}, 4),
    ),
    (
        "a property that is forbidden",
        {"type": "object", "properties": {"a": False, "b": {"type": "string"}}},
        {"type": "object", "properties": {"b": {"type": "string"}}},
        {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}},
    ),
    ("no arguments", {"type": "object", "properties": {}}, {"type": "object", "properties": {}},
     {"type": "OBJECT", "properties": {}}),
    (
        "other spellings of types",
        {"anyOf": [{"type": name} for name in ("bool", "dict", "double", "list", "int", "str")]},
        {"anyOf": [{"type": "boolean"}, {"type": "object"}, {"type": "number"},
                   {"type": "array", "items": {}}, {"type": "integer"}, {"type": "string"}]},
        {"anyOf": ...},
    ),
    ("float or none", {"type": ["float", "none"]},
     {"anyOf": [{"type": "number"}, {"type": "null"}]}, {"type": "NUMBER", "nullable": True}),
    *((f"the type of {value!r}", {"const": value}, {"type": kind, "enum": [value]} | more, ...)
      for value, kind, more in (
          (1.5, "number", {}), ((), "array", {"items": {}}), ([1], "array", {"items": {}}),
          ({"a": 1}, "object", {}))),
    *((f"{kind}: each keyword", {"type": kind, **keywords}, {"type": kind, **keywords}, ...)
      for kind, keywords in KEYWORDS.items()),
    *((f"{kind}: each keyword alone means the type", {key: value},
       {"type": kind, **({"items": {}} if kind == "array" and key != "prefixItems" else {}),
        key: value}, ...)
      for kind, keywords in KEYWORDS.items() for key, value in keywords.items()
      if key not in {"format", "title", "description"}),
    *((f"{kind}: each keyword with an invalid value", {"type": kind, **keywords},
       {"type": kind, **({"items": {}} if kind == "array" else {})}, ...)
      for kind, keywords in INVALID.items()),
    *((f"both {first} and {second}", {"allOf": [{"type": kind, **first}, {"type": kind, **second}]},
       {"type": kind, **({"items": {}} if kind == "array" else {}), **both}, ...)
      for kind, first, second, both in INTERSECTIONS),
]  # fmt: skip


def matches(actual: Any, expected: Any) -> bool:
    """Whether `actual` is as expected, where `...` stands for any value."""
    if expected is ...:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = actual.keys()
        return keys == expected.keys() and all(matches(actual[k], expected[k]) for k in keys)
    return actual == expected


@pytest.mark.parametrize(
    ("schema", "normalized", "gemini"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_both_forms_keep_the_meaning(schema: Any, normalized: Json, gemini: Json) -> None:
    """wire.md 2.4-3, 7-3: a type each, and each branch with its keywords."""
    before = copy.deepcopy(schema)
    actual = normalize_schema(schema)
    assert actual == normalized
    check_chat_schema(actual, "$", answer=False)
    assert normalize_schema(actual) == actual
    converted = to_gemini_schema(schema)
    assert matches(converted, gemini), converted
    check_gemini_schema(converted)
    assert to_gemini_schema(converted) == converted
    assert schema == before


def test_for_gemini_any_value_is_any_of_all_types() -> None:
    converted = to_gemini_schema({"type": "object", "properties": {"a": {}}})["properties"]["a"]
    types = [branch["type"] for branch in converted["anyOf"]]
    assert types == ["STRING", "NUMBER", "BOOLEAN", "OBJECT", "ARRAY"]
    assert "nullable" not in converted


ABSENT, NONE = "Leave out if there is none.", "null if there is none."
NULL_TEXT = {"type": "STRING", "enum": ["null"]}
NULLABLE: list[tuple[str, Json, Json, bool]] = [
    ("not nullable", {"type": "string"}, {"type": "STRING"}, True),
    ("any value", {"description": "d"}, {"anyOf": ..., "description": "d"}, True),
    ("Optional[int]", {"anyOf": [INTEGER, NULL]},
     {"type": "INTEGER", "nullable": True, "description": ABSENT}, False),
    ("described", {"type": ["string", "null"], "description": "The name."},
     {"type": "STRING", "nullable": True, "description": f"The name. {ABSENT}"}, False),
    ("OpenAPI", {"type": "string", "nullable": True},
     {"type": "STRING", "nullable": True, "description": ABSENT}, False),
    ("an enum with null", {"enum": ["a", "b", None]},
     {"type": "STRING", "enum": ["a", "b"], "nullable": True, "description": ABSENT}, False),
    ("Optional[Literal]", {"anyOf": [{"enum": ["a"], "type": "string"}, NULL]},
     {"type": "STRING", "enum": ["a"], "nullable": True, "description": ABSENT}, False),
    ("Optional[Any]", {"anyOf": [{}, NULL]},
     {"anyOf": ..., "nullable": True, "description": ABSENT}, False),
    ("a union", {"anyOf": [INTEGER, STRING, NULL]},
     {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": True,
      "description": ABSENT}, False),
    ("a nested union", {"anyOf": [{"anyOf": [INTEGER, NULL], "description": "d"}, STRING]},
     {"anyOf": [{"type": "INTEGER", "nullable": True, "description": "d"}, {"type": "STRING"}],
      "nullable": True, "description": ABSENT}, False),
    ("a described null", {"anyOf": [STRING, NULL | {"description": "None."}]},
     {"type": "STRING", "nullable": True, "description": ...}, False),
    ("only null", {"anyOf": [NULL, NULL | {"description": "None."}]},
     {"type": "NULL", "nullable": True, "description": ABSENT}, False),
    ("null", NULL, {"type": "NULL", "description": ABSENT}, False),
    *[(f"a list of {name}", {"type": "array", "items": {"anyOf": [item, NULL]}},
       {"type": "ARRAY", "items": gemini}, True) for name, item, gemini in (
        ("integers", INTEGER, {"anyOf": [{"type": "INTEGER"}, NULL_TEXT], "nullable": True,
                               "description": NONE}),
        ("members", {"enum": ["a"]}, {"type": "STRING", "enum": ["a", "null"], "nullable": True,
                                      "description": NONE}),
        ("members with null", {"enum": ["null"]}, {**NULL_TEXT, "nullable": True,
                                                   "description": NONE}),
        ("a union", {"anyOf": [INTEGER, {"type": "boolean"}]},
         {"anyOf": [{"type": "INTEGER"}, {"type": "BOOLEAN"}, NULL_TEXT], "nullable": True,
          "description": NONE}),
        ("lists", {"type": "array", "items": INTEGER},
         {"anyOf": [{"type": "ARRAY", "items": {"type": "INTEGER"}}, NULL_TEXT],
          "nullable": True, "description": NONE}),
        ("texts", STRING, {"type": "STRING", "nullable": True,
                           "description": "Empty text if there is none."}),
        ("texts and numbers", {"anyOf": [INTEGER, STRING]},
         {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}], "nullable": True,
          "description": "Empty text if there is none."}),
    )],
    ("a list of nothing", {"type": "array", "items": NULL},
     {"type": "ARRAY", "items": {**NULL_TEXT, "description": NONE}}, True),
    ("another default than null", {"anyOf": [INTEGER, NULL], "default": 5},
     {"anyOf": [{"type": "INTEGER"}, NULL_TEXT], "description": f"Default: 5. {NONE}"}, True),
    ("the default null", {"anyOf": [INTEGER, NULL], "default": None},
     {"type": "INTEGER", "nullable": True, "description": ABSENT}, False),
    ("a Gemini schema", {"type": "ARRAY", "items": {
        "type": "OBJECT", "properties": {"b": {"type": "STRING", "nullable": True}},
        "required": ["b"]}},
     {"type": "ARRAY", "items": {
         "type": "OBJECT",
         "properties": {"b": {"type": "STRING", "nullable": True, "description": ABSENT}}}}, True),
    ("a Gemini union", {"anyOf": [{"type": "STRING"}, {"type": "NULL"}]},
     {"type": "STRING", "nullable": True, "description": ABSENT}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "gemini", "is_required"), [pytest.param(*c[1:], id=c[0]) for c in NULLABLE]
)
def test_for_gemini_a_property_that_can_be_null_may_be_left_out(
    schema: Json, gemini: Json, is_required: bool
) -> None:
    """wire.md 2.4-8: `nullable` is ignored, and `NULL` in `anyOf` fails."""
    inner = {"properties": {"a": schema, "z": STRING}, "required": ["a", "z"]}
    lower, upper = {"type": "object", **inner}, {
        "type": "OBJECT", "properties": {"a": schema, "z": {"type": "STRING"}},
        "required": ["a", "z"], "propertyOrdering": ["z", "a"],
    }  # fmt: skip
    roots: list[tuple[Json, Callable[[Json], Json]]] = [
        (lower, lambda converted: converted),
        (upper, lambda converted: converted),
        ({"type": "array", "items": lower}, lambda converted: converted["items"]),
        ({"anyOf": [lower, STRING]}, lambda converted: converted["anyOf"][0]),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": lower}},
         lambda converted: converted["properties"]["x"]),
    ]  # fmt: skip
    for root, find in roots:
        before = copy.deepcopy(root)
        converted = to_gemini_schema(root)
        assert root == before
        check_gemini_schema(converted)
        assert to_gemini_schema(converted) == converted
        found = find(converted)
        assert matches(found["properties"]["a"], gemini), found
        assert found["required"] == (["a", "z"] if is_required else ["z"])


def test_a_gemini_schema_is_sent_unchanged() -> None:
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
    assert to_gemini_schema(schema) == schema


def test_a_gemini_property_that_can_only_be_null_may_be_left_out() -> None:
    null = {"type": "NULL"}
    schema = {"type": "OBJECT", "properties": {"a": {"anyOf": [null, null]}}, "required": ["a"]}
    sent = {**null, "nullable": True, "description": ABSENT}
    assert to_gemini_schema(schema) == {"type": "OBJECT", "properties": {"a": sent}}


@pytest.mark.parametrize(
    ("kind", "format_", "is_sent"),
    [("INTEGER", "int32", True), ("STRING", "uuid", False), ("BOOLEAN", "date-time", False)],
)
def test_a_gemini_schema_with_an_unknown_format_is_converted(
    kind: str, format_: str, is_sent: bool
) -> None:
    given = {"type": kind, "format": format_}
    described = {"type": kind, "description": f"Format: {format_}."}
    sent = to_gemini_schema({"type": "OBJECT", "properties": {"a": given}})
    assert sent["properties"]["a"] == (given if is_sent else described)


def test_a_gemini_list_without_items_has_items_of_any_type() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}}
    assert len(to_gemini_schema(schema)["properties"]["a"]["items"]["anyOf"]) == 5


def test_a_large_gemini_schema_is_sent_unchanged() -> None:
    one = {"type": "STRING", "title": "t"}
    schema = {"type": "OBJECT", "properties": {f"p{n}": {**one} for n in range(2_100)}}
    assert to_gemini_schema(schema) == schema


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/missing", "other.json", "#missing", "#/type/x"]
    + [f"#/$defs/list/anyOf/{name}" for name in ("1", "7", "x", "-1")],
)
def test_an_unresolvable_reference_is_an_error(reference: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": reference}},
        "$defs": {"list": {"anyOf": [{"type": "string"}]}},
    }
    for convert in (normalize_schema, to_gemini_schema):
        with pytest.raises(ValueError, match="cannot resolve"):
            convert(schema)


def test_references_by_anchor_by_id_and_into_lists_are_resolved() -> None:
    schema = {
        "$id": "https://example.com/s",
        "type": "object",
        "properties": {
            "a": {"$ref": "#here"},
            "b": {"$ref": "https://example.com/s#/$defs/x"},
            "c": {"$ref": "#/$defs/y/anyOf/1"},
            "d": {"$ref": "#/$defs/z~0~1"},
            "e": {"$ref": "#there"},
            "f": {"$ref": "#/$defs/Page%3Cx%3E"},
            "g": {"$ref": "#/$defs/100%25"},
        },
        "$defs": {
            "there": {"$id": "#there", "type": "number"},
            "z~/": {"type": "boolean"},
            "Page<x>": {"type": "object"},
            "100%": {"type": "string"},
            "100%25": {"type": "null"},
            "x": {"$anchor": "here", "type": "string"},
            "y": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
    }
    types = {k: v["type"] for k, v in normalize_schema(schema)["properties"].items()}
    assert types == {
        "a": "string",
        "b": "string",
        "c": "integer",
        "d": "boolean",
        "e": "number",
        "f": "object",
        "g": "null",
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "required": ["a", 1, "a"]}, {"type": "object", "required": ["a"]}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        ({"type": ["number", "string"], "enum": [1, 2.5, "a"]},
         {"anyOf": [{"type": "number", "enum": [1, 2.5]}, {"type": "string", "enum": ["a"]}]}),
        ({"type": ["string", "integer"], "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
        ({"type": ["string", "null"], "nullable": True},
         {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ],
    ids=str,
)  # fmt: skip
def test_a_keyword_has_one_form(schema: Json, expected: Json) -> None:
    assert normalize_schema(schema) == expected


@pytest.mark.parametrize("siblings", [{}, {"type": "object"}, {"minProperties": 1}])
def test_an_alternative_that_is_never_valid_is_left_out(siblings: Json) -> None:
    inner = {"properties": {"a": {"type": "string"}}}
    schema = {"anyOf": [False, inner], **siblings}
    assert normalize_schema(schema) == {"type": "object", **inner, **siblings}


def test_a_condition_next_to_alternatives_may_have_a_reference() -> None:
    schema = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "not": {"$ref": "#/$defs/A"},
        "$defs": {"A": {"type": "integer"}},
    }
    expected = {"anyOf": schema["anyOf"], "not": {"type": "integer"}}
    assert normalize_schema(schema) == expected


def test_a_reference_to_the_id_of_the_root_is_one_to_the_root() -> None:
    root = "https://example.com/s"
    schema = {"$id": root, "type": "object", "properties": {"next": {"$ref": root}}}
    assert normalize_schema(schema)["properties"]["next"]["properties"]["next"]["type"] == "object"


def test_the_json_text_of_a_description_is_cut_at_a_limit() -> None:
    assert as_json_text("x" * 9_998) == f'"{"x" * 9_998}"'
    assert as_json_text(["x"] * 9_998) == ('["x"' + ',"x"' * 2_499)[:10_000] + "…"


def test_a_value_that_contains_itself_is_no_json_text() -> None:
    value: list[Any] = []
    value.append(value)
    assert as_json_text(value) == "(not representable as JSON)"


def test_a_schema_that_is_nested_too_deeply_keeps_its_type_and_description() -> None:
    level = {"type": "array", "minItems": 1, "description": "d"}
    schema: Json = {"type": "string"}
    for _ in range(70):
        schema = {**level, "items": schema}
    schema = normalize_schema(schema)
    for _ in range(65):
        assert schema.items() > level.items()
        schema = schema["items"]
    assert schema == {"type": "array", "description": "d", "items": {}}


def test_a_gemini_schema_that_is_nested_too_deeply_is_cut() -> None:
    schema: Json = {"type": "STRING"}
    for _ in range(70):
        schema = {"type": "ARRAY", "items": schema}
    schema = to_gemini_schema(schema)
    for _ in range(66):
        schema = schema["items"]
    assert schema.keys() == {"anyOf"}


def test_a_long_row_of_references_ends_with_the_name_of_the_next() -> None:
    references = [{"$ref": f"#/$defs/A{n}"} for n in range(71)]
    defs: Json = {
        f"A{n}": {"type": "object", "properties": {"next": references[n + 1]}} for n in range(70)
    }
    schema = normalize_schema({**references[0], "$defs": {**defs, "A70": {"type": "string"}}})
    while "properties" in schema:
        schema = schema["properties"]["next"]
    assert schema == {"type": "object", "description": "Another A64."}
    schema = normalize_schema({**references[0], "$defs": {**defs, "A64": True}})
    while "properties" in schema:
        schema = schema["properties"]["next"]
    assert schema == {}


@pytest.mark.parametrize(
    ("definition", "description"),
    [
        ("$defs/a/Node", "Another Node."),
        ("$defs/XRay", "Another XRay."),
        ("#Node#", "Another Node#."),
        ("#", "Same form as the root."),
    ],
)
def test_the_end_of_a_recursion_has_the_last_part_of_the_reference(
    definition: str, description: str
) -> None:
    reference = {"$ref": definition if definition.startswith("#") else f"#/{definition}"}
    node = {"type": "object", "properties": {"next": reference}, "required": ["next"]}
    anchored = {**node, "$anchor": "Node#"}
    root = {**node, "$defs": {"a": {"Node": node}, "b": anchored, "XRay": node}}
    schema = normalize_schema(root)
    while "properties" in schema:
        schema = schema["properties"]["next"]
    assert schema == {"type": "object", "description": description}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["string", "null"]}, True),
        ({"type": "string", "nullable": True}, True),
        ({"enum": ["a", None]}, True),
        ({"const": None}, True),
        ({"const": "a"}, False),
        ({"properties": {"a": {"items": {"type": "NULL"}}}}, True),
        ({"type": "string", "nullable": 1}, False),
        ({"enum": ["a"]}, False),
        ({"enum": {None: 1}}, False),
        ({"default": None}, False),
        (True, False),
    ],
)
def test_it_is_known_whether_a_schema_accepts_null(schema: Any, expected: bool) -> None:
    assert has_nullable(schema) is expected
