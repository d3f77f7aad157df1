"""The check of schemas and of simple values, compared with the package `jsonschema`."""

from __future__ import annotations

from itertools import product

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from langchain_kie.emulator.json_schema import is_valid, schema_error

VALUES = [None, True, 0, 1.0, -1, 0.5, "", "a", "(", "object", [], ["a"], ["a", "a"], [1], {}]
VALUES += [{"a": 1}, {"(": {}}, {"a": {}}, {"a": ["b"]}, [{}], [True, {"type": 1}], {"type": "x"}]
KEYWORDS = sorted(
    {
        *("$comment", "$defs", "additionalProperties", "allOf", "anyOf", "const", "contains"),
        *("default", "dependentRequired", "dependentSchemas", "deprecated", "description", "else"),
        *("enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items"),
        *("maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains"),
        *("minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf"),
        *("pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "readOnly"),
        *("required", "then", "title", "type", "unevaluatedItems", "unevaluatedProperties"),
        *("uniqueItems", "unknown", "writeOnly"),
    }
)


def is_schema(value: object) -> bool:
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError:
        return False
    return True


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_has_the_values_that_it_can_have(keyword: str) -> None:
    schemas = [{keyword: value} for value in VALUES]
    schemas += [{"properties": {"p": {"items": schema}}} for schema in schemas]
    for schema in [*schemas, *VALUES]:
        assert (schema_error(schema) == "") is is_schema(schema), schema


def test_the_error_names_the_place() -> None:
    schema = {"properties": {"a": {"anyOf": [{}, {"minimum": "1"}]}}}
    assert schema_error(schema) == ".properties.a.anyOf[1].minimum is not valid: '1'"


SIMPLE = [
    *({}, {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "null"}),
    *({"type": ["string", "null"]}, {"type": "object"}, {"const": 2}, {"const": True}),
    *({"const": None}, {"enum": ["ab", 1]}, {"enum": [True]}, {"minLength": 2}, {"maxLength": 2}),
    *({"pattern": "^a"}, {"pattern": "b$"}, {"minimum": 1}, {"maximum": 1}, {"multipleOf": 0.1}),
    *({"exclusiveMinimum": 1}, {"exclusiveMaximum": 1}, {"multipleOf": 2}, {"format": "date"}),
    *({"allOf": [{"minimum": 1}, {"type": "integer"}]}, {"anyOf": [{"minimum": 3}, {"const": 1}]}),
    *({"oneOf": [{"minimum": 1}, {"type": "integer"}]}, {"not": {"type": "string"}}),
    *({"anyOf": [False, {"type": "null"}]}, {"not": True}, {"properties": {"a": False}}),
]
TEXTS_AND_NUMBERS = [
    None,
    "",
    "a",
    "ab",
    "bab",
    "2026-01-01",
    -1,
    0,
    1,
    1.0,
    1.5,
    2,
    0.3,
    3,
    10**30,
]


@pytest.mark.parametrize(("schema", "value"), [*product(SIMPLE, TEXTS_AND_NUMBERS)], ids=str)
def test_a_value_matches_a_schema_as_it_does_for_the_package(schema, value) -> None:
    assert is_valid(schema, value) is Draft202012Validator(schema).is_valid(value)
