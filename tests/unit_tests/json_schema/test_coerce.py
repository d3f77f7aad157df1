"""The arguments of tool calls, in the types that the schema expects."""

from __future__ import annotations

import copy
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from langchain_kie._json_schema.coerce import coerce

if TYPE_CHECKING:
    from langchain_kie._json import Json

INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
BOOLEAN, NULL = {"type": "boolean"}, {"type": "null"}
POINT = {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}
NODE = {"type": "object", "properties": {"n": INTEGER, "next": {"$ref": "#/$defs/Node"}}}
CONVERTED: list[tuple[Any, Any, Any]] = [
    (INTEGER, "2", 2),
    (INTEGER, 2.0, 2),
    (INTEGER, "2.0", 2),
    (INTEGER, "-3", -3),
    (INTEGER, "\u00a02", 2),
    (NUMBER, "2.5", 2.5),
    (NUMBER, "2", 2),
    (BOOLEAN, "true", True),
    (BOOLEAN, "False", False),
    (STRING, 2, "2"),
    (STRING, 2.5, "2.5"),
    ({"type": "INTEGER"}, "2", 2),
    ({"type": "integer", "enum": [1, 2]}, "2", 2),
    ({"enum": [1, 2]}, "2", 2),
    ({"const": 3}, "3", 3),
    ({"type": "string", "enum": ["1", "2"]}, 1, "1"),
    ({"anyOf": [INTEGER, NULL]}, "2", 2),
    ({"anyOf": [INTEGER, NULL]}, "null", None),
    ({"type": ["integer", "null"]}, "2", 2),
    ({"type": "integer", "nullable": True}, "2", 2),
    ({"allOf": [INTEGER]}, "2", 2),
    ({"oneOf": [BOOLEAN, INTEGER]}, "true", True),
    ({"$ref": "#/$defs/Node"}, {"n": "1", "next": {"n": "2"}}, {"n": 1, "next": {"n": 2}}),
    (POINT, '{"x": "1"}', {"x": 1}),
    ({"type": "array", "items": INTEGER}, "[1, 2]", [1, 2]),
    ({"type": "array", "items": INTEGER}, ["1", 2.0, 3], [1, 2, 3]),
    ({"type": "array", "prefixItems": [INTEGER, STRING]}, ["1", 2], [1, "2"]),
    ({"items": [INTEGER], "additionalItems": BOOLEAN}, ["1", "true"], [1, True]),
    ({"type": "object", "additionalProperties": INTEGER}, {"é": "1"}, {"é": 1}),
    ({"anyOf": [{"properties": {"k": {"const": "a"}, "v": STRING}},
                {"properties": {"k": {"const": "b"}, "v": INTEGER}}]},
     {"k": "b", "v": "1"}, {"k": "b", "v": 1}),
]  # fmt: skip
UNCHANGED: list[tuple[Any, Any]] = [
    (INTEGER, 2),
    (INTEGER, "two"),
    (INTEGER, "007"),
    (INTEGER, "2.5"),
    (INTEGER, 2.5),
    (INTEGER, True),
    (INTEGER, "٣"),
    (INTEGER, "1" * 5000),
    (NUMBER, 2),
    (NUMBER, "NaN"),
    (NUMBER, "1e999"),
    (BOOLEAN, 1),
    (BOOLEAN, "yes"),
    (STRING, True),
    (STRING, None),
    (STRING, float("inf")),
    (STRING, {"a": 1}),
    ({"type": ["string", "integer"]}, "2"),
    ({"type": ["string", "boolean"]}, 2),
    ({"anyOf": [INTEGER, NUMBER]}, 2.0),
    ({"anyOf": [INTEGER, STRING]}, "2"),
    ({"enum": [1, 2]}, "3"),
    ({"enum": [1, "2"]}, "2"),
    ({"enum": [1]}, True),
    ({"enum": [date(2026, 1, 2)]}, 3),
    (POINT, "x"),
    (POINT, '{"x": '),
    (POINT, "[1]"),
    ({"type": "array"}, 5),
    ({"type": "array"}, "[" * 100_000),
    ({}, "2"),
    (True, "2"),
    (False, "2"),
    (None, "2"),
    ({"$ref": "#/nowhere"}, "2"),
    ({"$ref": 5}, "2"),
    ({"$ref": "#/properties/value"}, "2"),
    ({"type": "integer", "anyOf": "x", "enum": 5, "properties": 7}, 2),
]


def _parameters(schema: Any) -> Json:
    return {"type": "object", "properties": {"value": schema}, "$defs": {"Node": NODE}}


@pytest.mark.parametrize(("schema", "value", "expected"), CONVERTED, ids=lambda v: str(v)[:40])
def test_a_value_is_converted_where_it_means_the_same(schema, value, expected) -> None:
    args = {"value": value}
    before = copy.deepcopy(args)
    coerced = coerce(args, _parameters(schema))
    assert coerced == {"value": expected}
    assert type(coerced["value"]) is type(expected)
    assert args == before
    assert coerce(coerced, _parameters(schema)) is coerced


@pytest.mark.parametrize(("schema", "value"), UNCHANGED, ids=lambda v: str(v)[:40])
def test_other_values_are_not_changed(schema, value) -> None:
    args = {"value": value, "more": "2"}
    assert coerce(args, _parameters(schema)) is args


def test_a_schema_that_branches_without_end_changes_nothing() -> None:
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}]}
    args = {"value": "2"}
    assert coerce(args, {"properties": {"value": loop}, "$defs": {"Loop": loop}}) is args
