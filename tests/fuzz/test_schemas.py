"""Every schema is converted to a form that KIE accepts; valid arguments are never changed."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import event, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.messages import HumanMessage

from fuzz.bodies import JSON, words
from fuzz.laws import MODELS, accepted_body, sized
from fuzz.shapes import ARGS
from langchain_kie._json import to_json
from langchain_kie._json_schema.coerce import coerce
from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._json_schema.keywords import walk_schemas
from langchain_kie._json_schema.normalize import normalize_schema

if TYPE_CHECKING:
    from langchain_kie import ChatKieGemini

Schema = dict[str, Any]

_WORD = st.sampled_from(["a", "b", "type", "$ref", "é", "properties", "x y", ""])
_TYPE = st.sampled_from(words("string number integer boolean object array null String any int"))
_COUNT = st.integers(0, 5) | st.sampled_from([-1, 2.0, 1.5])
_NUMBER = st.integers(-9, 9) | st.floats(-9, 9) | st.just(2**62)
_REFERENCE = st.sampled_from(
    words("""# #/$defs/A #/$defs/B #/$defs/A #/properties/a #/definitions/A #anchor #/$defs/none
    https://x.example/y #/$defs/A/properties/b""")
)
_PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "type": _TYPE | st.lists(_TYPE, max_size=3),
    "enum": st.lists(JSON, max_size=4) | st.lists(st.sampled_from(["a", "b", 1, None])),
    "const": JSON,
    "default": JSON,
    "description": st.sampled_from(["", "Says what.", "é"]),
    "title": _WORD,
    "format": st.sampled_from(["date-time", "int32", "email", "uuid", "double", ""]),
    "pattern": st.sampled_from(["^a+$", "[", "\\p{L}", ""]),
    "nullable": st.booleans(),
    "$ref": _REFERENCE,
    "$anchor": st.just("anchor"),
    "examples": st.lists(JSON, max_size=2),
    "x-other": JSON,
    "required": st.lists(_WORD, max_size=3),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "multipleOf"], _NUMBER),
    "exclusiveMaximum": _NUMBER | st.booleans(),
    **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "maxProperties"], _COUNT),
}

_TYPES = st.sampled_from(words("string integer number boolean object array null"))
_VALUE = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -2, "", "1", "true", "[1]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORD, inner, max_size=3),
    max_leaves=6,
)
_PLAIN_VALID: dict[str, st.SearchStrategy[Any]] = {
    "type": _TYPES | st.lists(_TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(_VALUE, min_size=1, max_size=3),
    "required": _PLAIN["required"],
    "$ref": st.just("#/$defs/Node"),
}
_NODE = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"$ref": "#/$defs/Node"}}}


def _schema(inner: st.SearchStrategy[Any], *, is_valid: bool = False) -> st.SearchStrategy[Any]:
    """A schema that contains schemas of `inner`; keywords may be invalid unless `is_valid`."""
    many = st.lists(inner, min_size=int(is_valid), max_size=3)
    named = st.dictionaries(_WORD, inner, max_size=3)
    keywords = {
        **(_PLAIN_VALID if is_valid else _PLAIN),
        **dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems"], many),
        **dict.fromkeys(["properties", "patternProperties", "$defs", "definitions"], named),
        **dict.fromkeys(["additionalProperties", "not", "if", "then", "contains"], inner),
        "items": inner if is_valid else inner | many,
    }
    pairs = [st.tuples(st.just(name), value) for name, value in keywords.items()]
    pairs.append(st.tuples(st.just("properties"), named))
    if not is_valid:
        odd = st.sampled_from([None, [], {}, 5, "x", True])
        pairs.append(st.tuples(st.sampled_from(sorted(keywords)), odd))
    return st.lists(st.one_of(*pairs), max_size=5).map(dict)


_ANY = st.recursive(_schema(st.just({})) | st.booleans(), _schema, max_leaves=10)
_valid_schema = partial(_schema, is_valid=True)
_VALID_SCHEMA = st.recursive(
    _valid_schema(st.just({})) | st.booleans(), _valid_schema, max_leaves=6
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """A schema, which may be deep; its definitions may refer to each other and to the root."""
    root = draw(_ANY.filter(lambda schema: isinstance(schema, dict)))
    defs = {"$defs": {name: draw(_ANY) for name in draw(st.sets(st.sampled_from(["A", "B"])))}}
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 90]))):
        root = {"type": "object", "properties": {"a": root}}
    return {**root, **defs}


@sized(250)
@given(schemas(), st.sampled_from([normalize_schema, to_gemini_schema]))
def test_a_converted_schema_is_stable_and_not_much_larger(schema: Schema, convert: Any) -> None:
    before = copy.deepcopy(schema)
    try:
        converted = convert(schema)
    except ValueError:
        assert "$ref" in repr(schema)
        return
    assert schema == before
    assert convert(converted) == converted
    size, size_before = (sum(1 for _ in walk_schemas(one)) for one in (converted, schema))
    assert size <= 20_000 + 40 * size_before


@sized(200)
@given(schemas())
def test_for_gemini_no_property_must_be_null(schema: Schema) -> None:
    with suppress(ValueError):
        for inner in walk_schemas(to_gemini_schema(schema)):
            properties = inner.get("properties", {})
            required = [properties[name] for name in inner.get("required", ())]
            assert not any(one.get("nullable") or one.get("type") == "NULL" for one in required)
            assert all(branch.get("type") != "NULL" for branch in inner.get("anyOf", ()))


@sized(200)
@given(schemas(), st.sampled_from(MODELS[:2]), st.booleans())
def test_the_emulator_accepts_every_schema_that_is_sent(
    schema: Schema, model: ChatKieGemini, is_answer: bool
) -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    answer = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    options = {"response_format": answer} if is_answer else {"tools": [function]}
    with suppress(ValueError):
        assert asyncio.run(accepted_body(model, [HumanMessage("hi")], options))
        event("accepted")


@sized(400)
@given(ARGS | st.dictionaries(st.sampled_from("ab"), JSON, max_size=2), schemas())
def test_coerced_arguments_are_stable_and_stay_json(args: dict[str, Any], schema: Schema) -> None:
    before = copy.deepcopy(args)
    coerced = coerce(args, schema)
    assert args == before
    assert coerce(coerced, schema) == coerced
    assert json.loads(to_json(coerced)) == coerced


@sized(300)
@given(_VALID_SCHEMA, _VALUE)
def test_valid_arguments_are_returned_as_they_are(schema: Any, value: Any) -> None:
    root = {"type": "object", "properties": {"value": schema}, "$defs": {"Node": _NODE}}
    args = {"value": value}
    coerced = coerce(args, root)
    assert coerced.keys() == args.keys()
    if Draft202012Validator(root).is_valid(args):
        event("valid")
        assert coerced is args
