"""The check of schemas and of values: `jsonschema-rs`, and where the emulator differs from it."""

from __future__ import annotations

import pytest

from langchain_kie.emulator.json_schema import is_valid, schema_error


def nested(levels: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        (True, ""),
        ({}, ""),
        ({"type": ["string", "null"], "propertyOrdering": ["a"], "format": "unknown"}, ""),
        ({"$ref": "#/$defs/Box[int] <1>", "$schema": "no URI", "$id": "::"}, ""),
        ({"pattern": r"(?P<a>x)(?P=a)\Z"}, ""),  # of Python only
        (5, '5 is not of types "boolean", "object"'),
        ({"pattern": "("}, '.pattern "(" is not a "regex"'),
        ({"patternProperties": {"(": {}}}, '.patternProperties "(" is not a "regex"'),
        (
            {"properties": {"a": {"anyOf": [{}, {"minimum": "1"}]}}},
            '.properties.a.anyOf[1].minimum "1" is not of type "number"',
        ),
        ({"required": ["a", "a"]}, '.required ["a","a"] has non-unique elements'),
    ],
    ids=str,
)
def test_an_error_names_its_place(schema: object, error: str) -> None:
    assert schema_error(schema) == error


@pytest.mark.parametrize("schema", [nested(120), {"description": "\ud800"}], ids=["deep", "text"])
def test_what_the_library_cannot_read_raises_nothing(schema: dict) -> None:
    assert isinstance(schema_error(schema), str)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (True, "a", True),
        (False, "a", False),
        ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, True, False),
        ({"multipleOf": 0.1}, 0.3, True),
        ({"maximum": 10**30}, 10**31, False),
        ({"type": "string", "pattern": "^a"}, "ba", False),
        ({"type": "string", "format": "date"}, "no date", True),
        ({"$ref": "#/$defs/not_here"}, "a", True),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "a", True),
        ({"$schema": "urn:unknown", "minLength": 2}, "a", False),
        ({"pattern": r"a\Z"}, "b", True),
        ({"minLength": 2}, "\ud800", True),
    ],
    ids=str,
)
def test_a_value_matches_a_schema(schema, value, expected: bool) -> None:
    assert is_valid(schema, value) is expected
