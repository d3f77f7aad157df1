"""Schemas that contain themselves: a few levels are sent, and what was sent can be answered."""

from __future__ import annotations

from typing import Any, Optional

import jsonschema
import pytest
from call_modes import model_at, server_sending
from pydantic import BaseModel, Field
from scripted_server import sse

from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._json_schema.keywords import walk_schemas
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie.emulator.schemas import check_chat_schema


class Tree(BaseModel):
    """Optional children."""

    name: str
    children: list[Tree] | None = None


class NullableTree(BaseModel):
    """Children that are required, and can be null."""

    name: str
    children: list[NullableTree] | None


class FullTree(BaseModel):
    """Children that are required."""

    name: str
    children: list[FullTree]


class Chain(BaseModel):
    """A direct reference."""

    name: str
    next: Optional[Chain] = Field(None, description="The next one")  # noqa: UP045


class Binary(BaseModel):
    """Two references."""

    name: str
    left: Binary | None = None
    right: Binary | None = None


class Named(BaseModel):
    """A map of itself."""

    name: str
    members: dict[str, Named]


class Expression(BaseModel):
    """Itself or a number."""

    name: str
    terms: list[Expression | int]


class Section(BaseModel):
    """Refers to another class, which refers back."""

    name: str
    parts: list[Paragraph]


class Paragraph(BaseModel):
    """Refers back."""

    text: str
    section: Section | None = None


def _leaf(**members: Any) -> dict[str, Any]:
    return {"name": "leaf", **members}


# The class, an answer without the next level, and an answer around another.
CLASSES: dict[str, tuple[type[BaseModel], dict[str, Any], Any]] = {
    "optional": (Tree, _leaf(), lambda inner: {"children": [inner, _leaf()]}),
    "nullable": (NullableTree, _leaf(children=None), lambda inner: {"children": [inner]}),
    "required": (FullTree, _leaf(children=[]), lambda inner: {"children": [inner]}),
    "direct": (Chain, _leaf(), lambda inner: {"next": inner}),
    "two": (Binary, _leaf(), lambda inner: {"left": inner, "right": _leaf()}),
    "map": (Named, _leaf(members={}), lambda inner: {"members": {"a": inner}}),
    "alternative": (Expression, _leaf(terms=[1]), lambda inner: {"terms": [1, inner]}),
    "mutual": (
        Section,
        _leaf(parts=[{"text": "t"}]),
        lambda inner: {"parts": [{"text": "t", "section": inner}]},
    ),
}
LEVELS = 4


def _nested(name: str, levels: int) -> dict[str, Any]:
    """An answer with so many levels."""
    _, answer, wrap = CLASSES[name]
    for _ in range(levels - 1):
        answer = {"name": "node", **wrap(answer)}
    return answer


@pytest.mark.parametrize("name", CLASSES)
def test_some_levels_are_sent_completely(name: str) -> None:
    schema = normalize_schema(CLASSES[name][0].model_json_schema())
    for levels in range(1, LEVELS + 1):
        jsonschema.validate(_nested(name, levels), schema)
    objects = [one for one in walk_schemas(schema) if one.get("type") == "object"]
    named = [one for one in objects if "name" in one.get("properties", {})]
    assert len(named) >= LEVELS
    assert all("name" in one["required"] for one in named)
    assert all(one.get("required", []) for one in objects if "additionalProperties" not in one)
    assert "$ref" not in str(schema)
    check_chat_schema(schema, "$", answer=False)


@pytest.mark.parametrize("name", CLASSES)
def test_no_object_is_without_properties(name: str) -> None:
    gemini = to_gemini_schema(CLASSES[name][0].model_json_schema())
    for schema in walk_schemas(gemini):
        if schema.get("type") == "OBJECT" and name != "map":
            assert schema["properties"]
        assert schema.get("type") != "NULL"


def test_the_end_keeps_what_is_not_recursive() -> None:
    schema = normalize_schema(Tree.model_json_schema())
    for _ in range(LEVELS - 1):
        [array, null] = schema["properties"]["children"]["anyOf"]
        assert null == {"type": "null"}
        schema = array["items"]
    assert schema["properties"].keys() == {"name"}
    assert schema["required"] == ["name"]


def test_a_required_list_is_empty_at_the_end() -> None:
    schema = normalize_schema(FullTree.model_json_schema())
    for _ in range(LEVELS - 1):
        schema = schema["properties"]["children"]["items"]
    assert schema["required"] == ["name", "children"]
    assert schema["properties"]["children"]["maxItems"] == 0


def test_a_wide_schema_has_fewer_levels() -> None:
    names = [f"p{n}" for n in range(8)]
    node = {
        "type": "object",
        "properties": {"n": {"type": "string"}, **{name: {"$ref": "#/$defs/N"} for name in names}},
        "required": ["n"],
    }
    schema = normalize_schema({"$ref": "#/$defs/N", "$defs": {"N": node}})
    inner = schema["properties"]["p0"]
    assert schema["properties"].keys() == {"n", *names}
    assert inner["properties"].keys() == {"n"}


ONLY_ITSELF: dict[str, Any] = {
    "type": "object",
    "properties": {"next": {"$ref": "#"}},
}


@pytest.mark.parametrize(
    "schema",
    [
        ONLY_ITSELF,
        {**ONLY_ITSELF, "required": ["next"]},
        {"type": "object", "properties": {"all": {"type": "array", "items": {"$ref": "#"}}}},
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    ],
)
def test_a_schema_of_nothing_else_is_sent(schema: dict[str, Any]) -> None:
    normalized = normalize_schema(schema)
    assert "$ref" not in str(normalized)
    assert to_gemini_schema(schema)


ROOT: dict[str, Any] = {"$ref": "#"}
STUB = {"type": "object", "description": "Same form as the root."}
NO_ITEMS = {"type": "array", "items": {"type": "string"}, "maxItems": 0,
            "description": "Always empty."}  # fmt: skip
NO_MEMBERS = {"type": "object", "properties": {}, "additionalProperties": False,
              "description": "Always empty."}  # fmt: skip
ENDS: list[tuple[dict[str, Any], Any]] = [
    (ROOT, STUB),
    ({**ROOT, "nullable": True}, None),
    ({**ROOT, "nullable": 1}, STUB),
    ({"anyOf": [ROOT, {"type": "null"}]}, None),
    ({"anyOf": [ROOT, {"type": "string"}]}, {"type": "string"}),
    ({"anyOf": [ROOT, False]}, STUB),
    ({"anyOf": [ROOT], "nullable": True}, None),
    ({"anyOf": [ROOT, {**ROOT, "nullable": True}]}, None),
    ({"type": "array", "items": ROOT}, NO_ITEMS),
    ({"type": "array", "prefixItems": [ROOT]}, NO_ITEMS),
    ({"type": "array", "items": ROOT, "nullable": True}, None),
    ({"type": ["array", "null"], "items": ROOT}, None),
    ({"type": "object", "additionalProperties": ROOT}, NO_MEMBERS),
    ({"type": ["object", "null"], "additionalProperties": ROOT}, None),
    ({"type": "array", "contains": ROOT}, {"type": "array", "items": {}}),
]


@pytest.mark.parametrize(("following", "end"), ENDS)
@pytest.mark.parametrize("is_required", [True, False])
def test_the_end_of_a_recursion(following: Any, end: Any, is_required: bool) -> None:
    """A property that is optional or can be null is left out; else there is a stub of it."""
    names = ["n", "next"] if is_required else ["n"]
    schema = {"type": "object", "properties": {"n": {}, "next": following}, "required": names}
    last = [
        one for one in walk_schemas(normalize_schema(schema)) if "n" in one.get("required", ())
    ][-1]
    is_left_out = end is None or (not is_required and end in (STUB, NO_ITEMS, NO_MEMBERS))
    assert last["properties"] == {"n": {}} | ({} if is_left_out else {"next": end})
    assert last["required"] == (["n"] if is_left_out else names)


def test_the_end_of_a_recursion_has_the_type_that_properties_mean() -> None:
    schema = normalize_schema({"properties": {"next": ROOT}, "required": ["next"]})
    while "properties" in schema:
        schema = schema["properties"]["next"]
    assert schema == STUB


@pytest.mark.parametrize("keyword", [{"prefixItems": [{"$ref": "#"}]}, {"items": {"$ref": "#"}}])
def test_a_recursive_keyword_of_another_type_is_left_out(keyword: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, **keyword}
    assert normalize_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }
    assert normalize_schema({"type": "object", **keyword}) == {"type": "object"}


def test_a_circle_of_references_keeps_the_type_next_to_it() -> None:
    circle = {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#"}}}
    assert normalize_schema({"type": "object", **circle}) == {"type": "object"}
    assert to_gemini_schema({"type": "object", **circle})["type"] == "OBJECT"


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("name", CLASSES)
def test_a_deep_answer_is_returned(name: str, api: str, method: str) -> None:
    cls, answer = CLASSES[name][0], _nested(name, LEVELS + 2)
    text = cls.model_validate(answer).model_dump_json(exclude_none=True)
    delta = {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}
    native = {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
    with server_sending(sse(native if api == "generate_content" else delta)) as server:
        model = model_at(server, api=api).with_structured_output(cls, method=method)
        assert model.invoke("?") == cls.model_validate(answer)
