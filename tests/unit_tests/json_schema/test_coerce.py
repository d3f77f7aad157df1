"""The arguments of tool calls, in the types that the schema expects."""

from __future__ import annotations

import copy
from datetime import date
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest

from langchain_kie._json_schema.coerce import coerce, fit, fit_arguments

if TYPE_CHECKING:
    from langchain_kie._json import Json

INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
BOOLEAN, NULL = {"type": "boolean"}, {"type": "null"}
DATE, NULL_ENUM = {"type": "string", "format": "date"}, {"enum": ["a", "b", None]}
HUGE = 12345678901234567890123
POINT = {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}
NODE = {"type": "object", "properties": {"n": INTEGER, "next": {"$ref": "#/$defs/Node"}}}
FORMATS = [
    *("date", "date-time", "time", "duration", "email", "idn-email", "name-email", "hostname"),
    *("idn-hostname", "ipv4", "ipv6", "uri", "iri", "uuid", "uuid1", "uuid3", "uuid4", "uuid5"),
    *("ipv4network", "ipv6network", "ipv4interface", "ipv6interface", "ipvanyaddress"),
    *("ipvanynetwork", "ipvanyinterface", "file-path", "directory-path"),
]
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
    ({"anyOf": [INTEGER], "nullable": True}, "2", 2),
    ({"anyOf": [INTEGER], "nullable": True}, "null", None),
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
    ({"anyOf": [STRING, INTEGER]}, 2.0, 2),
    ({"anyOf": [INTEGER, STRING]}, 2.0, 2),
    ({"oneOf": [STRING, BOOLEAN, {"type": "integer", "maximum": 9}]}, 2.0, 2),
    ({"type": ["string", "integer"]}, 2.0, 2),
    ({"anyOf": [{"type": "array", "items": STRING}, {"type": "array", "items": INTEGER}]},
     [2.0, 3], [2, 3]),
    ({"anyOf": [STRING, BOOLEAN]}, 2.0, "2.0"),
    ({"anyOf": [INTEGER, NULL]}, "", None),
    ({"type": ["integer", "null"]}, "", None),
    ({"type": "boolean", "nullable": True}, "", None),
    ({"anyOf": [POINT, NULL]}, "", None),
    ({"anyOf": [{"type": "array", "items": POINT}, NULL]}, "", None),
    (NULL, "", None),
    (NULL_ENUM, "", None),
    (NULL_ENUM, "null", None),
    ({"anyOf": [{"type": "string", "enum": ["a"]}, NULL]}, "", None),
    ({"anyOf": [{"const": "a"}, NULL]}, "", None),
    ({"type": "string", "enum": ["a"], "nullable": True}, "", None),
    ({"anyOf": [DATE, NULL]}, "", None),
    ({**DATE, "type": ["string", "null"]}, "null", None),
    ({"anyOf": [{"type": "string", "minLength": 1}, NULL]}, "", None),
    ({"anyOf": [NUMBER, {"type": "string", "pattern": "^[0-9]+$"}, NULL]}, "", None),
    ({"type": "array", "items": {"anyOf": [INTEGER, NULL]}}, ["", 1], [None, 1]),
    ({"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
     {"a": ""}, {"a": None}),
    *(({"type": ["string", "null"], "format": name}, "", None) for name in FORMATS),
    (INTEGER, str(HUGE), HUGE),
    (INTEGER, f"{HUGE}.0", HUGE),
    (INTEGER, "1e25", 10**25),
    (NUMBER, str(HUGE), HUGE),
    (STRING, HUGE, str(HUGE)),
    ({"type": ["string", "null"]}, 2, "2"),
    (STRING, -(2**64), str(-(2**64))),
    ({"type": "array", "items": INTEGER}, f"[{HUGE}]", [HUGE]),
]  # fmt: skip
UNCHANGED: list[tuple[Any, Any]] = [
    (INTEGER, 2),
    (INTEGER, "two"),
    ({"anyOf": [INTEGER, BOOLEAN]}, "null"),
    ({"type": ["boolean", "null"]}, "yes"),
    (INTEGER, "007"),
    (INTEGER, "2.5"),
    (INTEGER, 2.5),
    (INTEGER, True),
    (INTEGER, "٣"),
    (INTEGER, "1" * 5000),
    (NUMBER, 2),
    (NUMBER, "NaN"),
    ({"type": ["array", "number"]}, "NaN"),
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
    (INTEGER, HUGE),
    (INTEGER, "1e-3"),
    ({"enum": [HUGE]}, HUGE),
    (INTEGER, ""),
    (INTEGER, "null"),
    (DATE, ""),
    (DATE, 5),
    ({"anyOf": [STRING, NULL]}, ""),
    ({"anyOf": [STRING, NULL]}, "null"),
    ({"type": ["integer", "string", "null"]}, ""),
    ({"type": ["string", "null"], "format": "password"}, ""),
    ({"type": ["string", "null"], "pattern": "("}, ""),
    ({"type": ["string", "null"], "pattern": "^[a-z]*$"}, "null"),
    ({"type": "array", "items": POINT}, [None, None]),
    ({"type": "object", "additionalProperties": INTEGER}, {}),
    ({"patternProperties": {"^a": STRING}, "additionalProperties": INTEGER}, {"a": "1"}),
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


@pytest.mark.parametrize(("levels", "is_converted"), [(45, True), (55, False)])
def test_a_value_that_is_nested_too_deeply_is_not_changed(levels: int, is_converted: bool) -> None:
    """Each level is a reference and a property."""
    value, expected = reduce(
        lambda inner, _: ({"next": inner[0]}, {"next": inner[1]}),
        range(levels),
        ({"n": "1"}, {"n": 1}),
    )
    coerced = coerce({"value": value}, _parameters({"$ref": "#/$defs/Node"}))
    assert coerced == {"value": expected if is_converted else value}


@pytest.mark.parametrize(("levels", "is_converted"), [(90, True), (110, False)])
def test_a_schema_that_is_nested_too_deeply_changes_nothing(
    levels: int, is_converted: bool
) -> None:
    schema = reduce(lambda inner, _: {"anyOf": [inner]}, range(levels), INTEGER)
    assert coerce({"value": "2"}, _parameters(schema)) == {"value": 2 if is_converted else "2"}


OPTIONAL_INTEGER = {"anyOf": [INTEGER, NULL]}
ABSENT: list[tuple[Any, Json, Json]] = [
    (OPTIONAL_INTEGER, {}, {"a": None}),
    ({"type": "integer", "nullable": True}, {}, {"a": None}),
    (NULL_ENUM, {}, {"a": None}),
    ({"oneOf": [POINT, NULL]}, {}, {"a": None}),
    ({"allOf": [{"$ref": "#/$defs/Null"}]}, {}, {"a": None}),
    (reduce(lambda inner, _: {"allOf": [inner]}, range(80), NULL), {}, {"a": None}),
    (INTEGER, {}, {}),
    ({}, {}, {}),
    (True, {}, {}),
    ({"$ref": "#/$defs/Loop"}, {}, {}),
    (OPTIONAL_INTEGER, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
]


@pytest.mark.parametrize(("schema", "args", "expected"), ABSENT)
def test_a_required_property_that_is_absent_is_null_if_it_can_be(schema, args, expected) -> None:
    inner = {"type": "object", "properties": {"a": schema}, "required": ["a", "c"]}
    definitions = {"$defs": {"Null": OPTIONAL_INTEGER, "Loop": {"$ref": "#/$defs/Loop"}}}
    for root, wrap in (
        (inner, lambda value: value),
        ({"properties": {"x": inner}}, lambda value: {"x": value}),
        ({"properties": {"x": {"items": inner}}}, lambda value: {"x": [value]}),
        ({"properties": {"x": {"anyOf": [STRING, inner | {"required": ["a"]}]}}},
         lambda value: {"x": value}),
    ):  # fmt: skip
        coerced = coerce(wrap(args), {**root, **definitions})
        assert coerced == wrap(expected)
        assert fit(wrap(args), {**root, **definitions}, is_partial=True)[0] == wrap(args)


def test_a_property_that_is_not_required_stays_absent() -> None:
    args: Json = {}
    assert coerce(args, {"type": "object", "properties": {"a": OPTIONAL_INTEGER}}) is args


def test_an_alternative_that_lacks_nothing_is_preferred() -> None:
    lacking = {"properties": {"a": OPTIONAL_INTEGER}, "required": ["a"]}
    complete = {"properties": {"b": INTEGER}, "required": ["b"]}
    args = {"value": {"b": "1"}}
    assert coerce(args, _parameters({"anyOf": [lacking, complete]})) == {"value": {"b": 1}}


@pytest.mark.parametrize(
    ("schema", "value", "matches"),
    [
        (INTEGER, "2", True),
        (INTEGER, "x", False),
        (INTEGER | {"format": []}, "x", False),
        (POINT, {}, False),
        ({"type": "integer", "allOf": [{"enum": [1]}]}, 2, False),
        ({"type": "integer", "anyOf": [{"enum": [1]}]}, 2, False),
        ({"allOf": [{"enum": [1]}, {"type": "integer"}]}, 2, False),
        (POINT, {"x": "1"}, True),
        ({"type": "array", "items": POINT}, [None], False),
        ({"items": [INTEGER]}, [1, "x"], True),
        ({"patternProperties": {"^a": STRING}, "additionalProperties": False}, {"a": "1"}, True),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1, True),
        (reduce(lambda inner, _: {"anyOf": [inner, inner]}, range(10), INTEGER), "x", False),
        (reduce(lambda inner, _: {"anyOf": [inner, inner]}, range(15), INTEGER), "x", False),
        (reduce(lambda inner, _: {"anyOf": [inner, inner]}, range(17), INTEGER), "x", True),
    ],
)
def test_it_is_known_whether_a_value_matches(schema, value, matches) -> None:
    """Of a schema that is too complex it is assumed."""
    assert fit(value, schema)[1] is matches


@pytest.mark.parametrize(
    ("value", "args"),
    [
        ({"name": "f", "arguments": {"x": "1"}}, {"x": 1}),
        ({"name": "g", "arguments": {"x": "1"}}, None),
        ({"name": "f", "arguments": "x", "x": "1"}, {"name": "f", "arguments": "x", "x": 1}),
        ({"x": "1"}, {"x": 1}),
        ([{"x": "1"}], None),
    ],
)
def test_arguments_may_be_in_an_object_with_the_name_of_the_function(value, args) -> None:
    fitted = fit_arguments(value, "f", POINT)
    assert (fitted and fitted.args) == args
