"""`TypedDict` classes as schemas and tools: which keys are required, and which may be null."""

import typing
from typing import Annotated, Any, Literal, Optional

import pytest
import typing_extensions
from pydantic import Field

from langchain_kie._tools.definitions import normalize_tool
from langchain_kie._tools.structured_output import build_response_format
from langchain_kie._tools.typed_dicts import typed_dict_schema

KINDS = {"typing": typing.TypedDict, "typing_extensions": typing_extensions.TypedDict}
STRING, INTEGER = {"type": "string"}, {"type": "integer"}
NULLABLE = {"anyOf": [INTEGER, {"type": "null"}]}


class Inner(typing.TypedDict, total=False):
    """Optional keys, inside another class."""

    x: int


INNER = {
    "description": "Optional keys, inside another class.",
    "properties": {"x": INTEGER},
    "type": "object",
}

# The annotation of a key, whether the class is total; its schema, and whether it is required.
KEYS: list[tuple[Any, bool, dict[str, Any], bool]] = [
    (str, True, STRING, True),
    (str, False, STRING, False),
    (typing.NotRequired[str], True, STRING, False),
    (typing_extensions.NotRequired[str], True, STRING, False),
    (typing.Required[str], False, STRING, True),
    (typing_extensions.ReadOnly[str], True, STRING, True),
    (typing.NotRequired[typing_extensions.ReadOnly[str]], True, STRING, False),
    (int | None, True, NULLABLE, True),
    (Optional[int], True, NULLABLE, True),  # noqa: UP045
    (typing.NotRequired[int | None], True, NULLABLE, False),
    (Annotated[str, ..., "A text"], True, STRING | {"description": "A text"}, True),
    (Annotated[str, "A text"], True, STRING | {"description": "A text"}, True),
    (Annotated[int, 5, "A count"], True, INTEGER | {"default": 5, "description": "A count"}, False),
    (Annotated[int, Field(ge=0, description="d")], True,
     INTEGER | {"description": "d", "minimum": 0}, True),
    (typing.NotRequired[Annotated[int, Field(ge=0)]], True, INTEGER | {"minimum": 0}, False),
    (Annotated[typing.NotRequired[str], ..., "A text"], True,
     STRING | {"description": "A text"}, False),
    (list[str], True, {"type": "array", "items": STRING}, True),
    (Literal["a", "b"], True, {"type": "string", "enum": ["a", "b"]}, True),
    (dict[str, int], True, {"type": "object", "additionalProperties": INTEGER}, True),
    (Inner, True, {"$ref": "#/$defs/Inner"}, True),
    (list[Inner] | None, True,
     {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Inner"}}, {"type": "null"}]}, True),
]  # fmt: skip


def _without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_titles(v) for k, v in schema.items() if k != "title"}
    return [_without_titles(one) for one in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("annotation", "total", "expected", "is_required"), KEYS)
def test_a_key_has_its_type_and_is_required_or_not(
    annotation, total, expected, is_required, kind
) -> None:
    typed_dict = KINDS[kind]("Stay", {"key": annotation}, total=total)
    schema = _without_titles(typed_dict_schema(typed_dict))
    assert schema["properties"] == {"key": expected}
    assert schema.get("required", []) == (["key"] if is_required else [])
    assert schema.get("$defs", {}) in ({}, {"Inner": INNER})
    assert typed_dict_schema(typed_dict)["title"] == "Stay"


class Base(typing.TypedDict):
    """What all have."""

    name: str


class Stay(Base, total=False):
    """A stay.

    Args:
        days: How long
        price: In euros
    """

    days: int | None
    price: Annotated[float, ..., "Not this text"]


STAY = {
    "type": "object",
    "properties": {
        "name": STRING,
        "days": NULLABLE | {"description": "How long"},
        "price": {"type": "number", "description": "In euros"},
    },
    "required": ["name"],
}


def test_keys_of_a_base_class_and_texts_of_the_docstring_are_read() -> None:
    assert _without_titles(typed_dict_schema(Stay)) == STAY | {"description": "A stay."}


def test_a_tool_and_a_response_format_have_the_same_schema() -> None:
    [tool] = normalize_tool(Stay)
    assert tool["function"] == {"name": "Stay", "description": "A stay.", "parameters": STAY}
    inner = build_response_format(Stay, None)["json_schema"]
    assert inner["name"] == "Stay"
    assert _without_titles(inner["schema"]) == STAY | {"description": "A stay."}


class Tree(typing.TypedDict):
    """A tree."""

    value: int
    children: "list[Tree]"


def test_a_recursive_class_keeps_its_reference() -> None:
    schema = _without_titles(typed_dict_schema(Tree))
    assert schema["$ref"] == "#/$defs/Tree"
    children = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert schema["$defs"]["Tree"]["properties"] == {"value": INTEGER, "children": children}


class Broken(typing.TypedDict):
    """A type that JSON does not have."""

    key: typing.Callable[[], int]


class Unknown(typing.TypedDict):
    """A type that does not exist."""

    key: "NoSuchType"  # noqa: F821


@pytest.mark.parametrize("typed_dict", [Broken, Unknown])
def test_a_class_without_a_schema_is_an_error_that_names_it(typed_dict) -> None:
    with pytest.raises(ValueError, match=f"{typed_dict.__name__} has no JSON schema"):
        typed_dict_schema(typed_dict)


def _divide(a: int, /, b: int) -> float:
    """Divide."""
    return a / b


def test_positional_only_parameters_are_no_additional_property() -> None:
    [tool] = normalize_tool(_divide)
    assert tool["function"]["parameters"]["properties"] == {"a": INTEGER, "b": INTEGER}
    assert tool["function"]["parameters"]["required"] == ["a", "b"]
