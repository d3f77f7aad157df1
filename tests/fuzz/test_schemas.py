"""Any schema is brought into a form that KIE takes, once and for all; arguments only ever fit."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import event, given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from fuzz.bodies import JSON, words
from fuzz.laws import MODELS, asked, sized
from fuzz.shapes import ARGS
from langchain_kie._json import to_json
from langchain_kie._json_schema.coerce import coerced
from langchain_kie._json_schema.gemini import for_generate_content
from langchain_kie._json_schema.keywords import schemas as schemas_in
from langchain_kie._json_schema.normalize import for_chat_completions

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
    "required": st.lists(_WORD, max_size=3),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "multipleOf"], _NUMBER),
    "exclusiveMaximum": _NUMBER | st.booleans(),
    **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "maxProperties"], _COUNT),
}


def _schema(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many, named = st.lists(inner, max_size=3), st.dictionaries(_WORD, inner, max_size=3)
    keywords = {
        **_PLAIN,
        **dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems"], many),
        **dict.fromkeys(["properties", "patternProperties", "$defs", "definitions"], named),
        **dict.fromkeys(["additionalProperties", "not", "if", "then", "contains"], inner),
        "items": inner | many,
    }
    odd = st.tuples(
        st.sampled_from(sorted(keywords)), st.sampled_from([None, [], {}, 5, "x", True])
    )
    pairs = [st.tuples(st.just(name), value) for name, value in keywords.items()]
    properties = st.tuples(st.just("properties"), named)
    return st.lists(st.one_of(*pairs, properties, odd), max_size=5).map(dict)


_ANY = st.recursive(_schema(st.just({})) | st.booleans(), _schema, max_leaves=10)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """A schema whose definitions may refer to each other and to the whole; it may be deep."""
    root = draw(_ANY.filter(lambda schema: isinstance(schema, dict)))
    defs = {"$defs": {name: draw(_ANY) for name in draw(st.sets(st.sampled_from(["A", "B"])))}}
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 90]))):
        root = {"type": "object", "properties": {"a": root}}
    return {**root, **defs}


@sized(250)
@given(schemas(), st.sampled_from([for_chat_completions, for_generate_content]))
def test_the_form_of_a_schema_is_final_and_no_giant(schema: Schema, form: Any) -> None:
    before = copy.deepcopy(schema)
    try:
        made = form(schema)
    except ValueError:
        assert "$ref" in repr(schema)
        return
    assert schema == before
    assert form(made) == made
    assert sum(1 for _ in schemas_in(made)) <= 20_000 + 40 * sum(1 for _ in schemas_in(schema))


@sized(120)
@given(schemas(), st.sampled_from(MODELS[:2]), st.booleans())
def test_the_emulator_takes_every_schema_that_is_sent(
    schema: Schema, model: ChatKieGemini, is_answer: bool
) -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": schema}}
    answer = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    options = {"response_format": answer} if is_answer else {"tools": [function]}
    with suppress(ValueError):
        assert asyncio.run(asked(model, [HumanMessage("hi")], options))
        event("taken")


@sized(400)
@given(ARGS | st.dictionaries(st.sampled_from("ab"), JSON, max_size=2), schemas())
def test_arguments_are_fitted_once_and_stay_json(args: dict[str, Any], schema: Schema) -> None:
    before = copy.deepcopy(args)
    fitted = coerced(args, schema)
    assert args == before
    assert coerced(fitted, schema) == fitted
    assert json.loads(to_json(fitted)) == fitted
