"""Tools and tool choices in all their forms, and the arguments that come back."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections import OrderedDict
from datetime import date
from enum import IntEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, Tool, tool
from pydantic import BaseModel, Field
from pydantic import v1 as pydantic_v1
from typing_extensions import TypedDict

from langchain_kie._json_schema.coerce import coerced
from langchain_kie._json_schema.gemini import for_generate_content
from langchain_kie._json_schema.normalize import for_chat_completions
from langchain_kie._tools import definitions as _tools
from langchain_kie._tools.cache import split_tools
from langchain_kie._tools.choice import ToolChoice, normalize_tool_choice
from langchain_kie._tools.definitions import normalize_tool

Json = dict[str, Any]

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT = {"name": "tell", "description": "Tell the weather."}
FUNCTION = {**ABOUT, "parameters": PARAMETERS}


def tell(city: str) -> str:
    """Tell the weather."""
    return city


class TellClass(BaseModel):
    """Tell the weather."""

    city: str


class TellV1(pydantic_v1.BaseModel):
    """Tell the weather."""

    city: str


class TellDict(TypedDict):
    """Tell the weather."""

    city: str


class _Sdk(BaseModel):
    """A tool as an SDK of MCP's or Google's has it."""

    name: str
    description: str
    input_schema: Json = Field(serialization_alias="inputSchema")
    annotations: None = None


class _Named(BaseTool):
    name: str = "tell"
    description: str = "Tell the weather."
    args_schema: Any = TellClass

    def _run(self, city: str) -> str:
        return city


for _class in (TellClass, TellV1, TellDict):
    _class.__name__ = "tell"
TellClass.model_config["title"] = "tell"
TellClass.model_rebuild(force=True)


def _as_tool() -> BaseTool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RunnableLambda(lambda args: args["city"]).as_tool(
            name="tell", description="Tell the weather.", arg_types={"city": str}
        )


FORMS: dict[str, Any] = {
    "function": tell,
    "tool": tool(tell),
    "structured tool": StructuredTool.from_function(tell),
    "tool with a JSON schema": StructuredTool(
        name="tell", description="Tell the weather.", args_schema=PARAMETERS, func=tell
    ),
    "BaseTool": _Named(),
    "Runnable.as_tool": _as_tool(),
    "pydantic": TellClass,
    "pydantic v1": TellV1,
    "TypedDict": TellDict,
    "OpenAI": {"type": "function", "function": FUNCTION},
    "OpenAI's function": FUNCTION,
    "OpenAI's newer form": {"type": "function", **FUNCTION},
    "Anthropic": {**ABOUT, "input_schema": PARAMETERS, "cache_control": {"type": "ephemeral"}},
    "Anthropic's custom": {"type": "custom", **ABOUT, "input_schema": PARAMETERS},
    "MCP": {**ABOUT, "title": "Tell", "inputSchema": PARAMETERS, "annotations": {}},
    "MCP's object": _Sdk(**ABOUT, input_schema=PARAMETERS),
    "Bedrock": {"toolSpec": {**ABOUT, "inputSchema": {"json": PARAMETERS}}},
    "JSON schema": {"title": "tell", "description": "Tell the weather.", **PARAMETERS},
    "Gemini": {"functionDeclarations": [FUNCTION]},
    "Gemini in snake case": {"function_declarations": [FUNCTION]},
    "Gemini's newer form": {**ABOUT, "parametersJsonSchema": PARAMETERS},
    "Gemini's newer form, listed": {
        "functionDeclarations": [{**ABOUT, "parametersJsonSchema": PARAMETERS}]
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_tool_in_any_form_is_the_same_function(form: Any) -> None:
    before = copy.deepcopy(form) if isinstance(form, dict) else None
    assert normalize_tool(form) == [{"type": "function", "function": FUNCTION}]
    (strict,) = normalize_tool(form, strict=True)
    assert strict["function"] == {**FUNCTION, "strict": True}
    assert normalize_tool(form) == [{"type": "function", "function": FUNCTION}]
    assert before is None or form == before


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    value: int


class Branch(BaseModel):
    kind: Literal["branch"] = "branch"
    children: list[Leaf | Branch] = []


class Plant(BaseModel):
    """Plant a tree."""

    tree: Leaf | Branch = Field(discriminator="kind")
    size: Size
    where: tuple[float, float] | None = None
    labels: dict[str, int] = {}
    anything: Any = None
    ref: str = Field("", alias="$ref")
    title: str = "t"
    type: str = "oak"


def test_a_class_with_recursion_keeps_its_references_and_both_dialects_take_it() -> None:
    ((function,), _) = split_tools([Plant])
    parameters = function["parameters"]
    assert set(parameters["properties"]) >= {"tree", "size", "$ref", "title", "type"}
    assert "title" not in parameters["properties"]["title"]
    chat, native = for_chat_completions(parameters), for_generate_content(parameters)
    assert chat["properties"]["size"]["enum"] == [1, 2]
    branch = chat["properties"]["tree"]["anyOf"][1]["properties"]
    assert branch["children"]["items"]["anyOf"][1]["description"] == "Another Branch."
    assert native["properties"]["size"] == {"type": "INTEGER", "description": "One of: 1, 2."}


def test_docstrings_tell_of_arguments_and_injected_ones_stay_out() -> None:
    def find(name: str, token: Annotated[str, InjectedToolArg], limit: int = 5) -> None:
        """Find it.

        Args:
            name: Whose it is.
            token: Not for the model.
            limit: How many.
        """

    ((function,), _) = split_tools([tool(find, parse_docstring=True)])
    assert function["description"] == "Find it."
    assert function["parameters"]["properties"] == {
        "name": {"type": "string", "description": "Whose it is."},
        "limit": {"type": "integer", "default": 5, "description": "How many."},
    }
    assert function["parameters"]["required"] == ["name"]


def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    "given",
    [nothing, tool(nothing), {"name": "nothing"}, {"name": "nothing", "inputSchema": {}},
     {"title": "nothing", "type": "object"}],
    ids=["function", "tool", "a name", "MCP", "JSON schema"],
)  # fmt: skip
def test_a_tool_may_have_no_arguments(given: Any) -> None:
    ((function,), _) = split_tools([given])
    assert function["name"] == "nothing"
    assert not function.get("parameters", {}).get("properties")


def test_a_tool_without_a_schema_takes_one_text() -> None:
    ((function,), _) = split_tools([Tool(name="ask", description="Ask.", func=str)])
    assert function["parameters"]["required"] == ["__arg1"]


def test_alternative_parameters_become_one_object() -> None:
    by_id = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    by_name = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        "required": ["name"],
    }
    ((function,), _) = split_tools([{"name": "get", "inputSchema": {"oneOf": [by_id, by_name]}}])
    assert function["parameters"] == {
        "type": "object",
        "description": "What is needed: id, or name.",
        "properties": {
            "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "name": {"type": "string"},
        },
        "required": [],
    }


@pytest.mark.parametrize(
    "name", ["", "1st", "a b", "größe", "a" * 65, "a/b", "Answer[int]", "-a", "a\n", None, 7]
)
def test_an_illegal_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        normalize_tool({"type": "function", "function": {**FUNCTION, "name": name}})


@pytest.mark.parametrize("name", ["_", "a.b:c-d", "a" * 64, "Get_2", "auto", "google_search_2"])
def test_a_legal_name_is_taken(name: str) -> None:
    assert normalize_tool({**FUNCTION, "name": name})[0]["function"]["name"] == name


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"type": "web_search"}, "no name"),
        ({"type": "object", "properties": {}}, "no name"),
        ({}, "no name"),
        (5, "Unsupported"),
        (RunnableLambda(str), "Unsupported"),
        ({**FUNCTION, "name": "googleSearch"}, "Gemini's own"),
        ({**FUNCTION, "parameters": {"type": "array"}}, "must be an object"),
        ({**FUNCTION, "parameters": {"enum": ["a", None]}}, "must be an object"),
        ({**FUNCTION, "parameters": "city"}, "no JSON schema"),
    ],
    ids=range(9),
)
def test_what_is_no_tool_is_refused(given: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        normalize_tool(given)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two tools are named 'tell'"):
        split_tools([tell, FUNCTION])


def test_built_ins_and_functions_of_one_dict_are_all_taken() -> None:
    functions, builtins = split_tools([{"functionDeclarations": [FUNCTION], "googleSearch": {}}])
    assert functions == [FUNCTION]
    assert builtins == [("google_search", {})]


def test_a_schema_of_python_s_own_values_is_read_as_its_json() -> None:
    properties = OrderedDict(day={"enum": (date(2026, 1, 2), "never"), "default": date(2026, 1, 2)})
    given = {**FUNCTION, "parameters": {"properties": properties, "required": ("day",)}}
    ((function,), _) = split_tools([given])
    assert function["parameters"]["required"] == ["day"]
    day = for_generate_content(function["parameters"])["properties"]["day"]
    assert day["enum"] == ["2026-01-02", "never"]
    assert split_tools([given])[0][0] is function


def test_a_hundred_tools_keep_their_order() -> None:
    functions, _ = split_tools([{**FUNCTION, "name": f"tool_{n}"} for n in range(100)])
    assert [function["name"] for function in functions] == [f"tool_{n}" for n in range(100)]


# --- conversions are remembered --------------------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tools that were really converted."""
    tools: list[Any] = []
    convert = _tools._function_of_code

    def counted(given: Any) -> Json:
        tools.append(given)
        return convert(given)

    monkeypatch.setattr(_tools, "_function_of_code", counted)
    return tools


def test_a_tool_is_converted_once(made: list[Any]) -> None:
    class Other(BaseModel):
        n: int

    def other(n: int) -> None:
        """Do."""

    tools = [Other, tool(other), other]
    first = [normalize_tool(given) for given in tools]
    assert [normalize_tool(given, strict=True) for given in tools] != first
    assert [normalize_tool(given) for given in tools] == first
    assert len(made) == 3


def test_a_tool_that_changed_is_converted_again(made: list[Any]) -> None:
    changing = tool(nothing)
    assert normalize_tool(changing)[0]["function"]["name"] == "nothing"
    changing.name, changing.description = "something", "Do it."
    assert normalize_tool(changing)[0]["function"]["name"] == "something"
    assert len(made) == 2


def test_what_is_remembered_of_a_tool_dies_with_it() -> None:
    def make() -> tuple[weakref.ref[Any], ...]:
        class Gone(BaseModel):
            n: int

        def gone(n: int) -> None:
            """Do."""

        tools = [Gone, tool(gone), gone]
        for made in tools:
            normalize_tool(made)
        return tuple(map(weakref.ref, tools))

    gc.collect()
    before = len(_tools._memory)
    references = make()
    gc.collect()
    assert [reference() for reference in references] == [None, None, None]
    assert len(_tools._memory) == before


# --- tool choice -----------------------------------------------------------------------------

REQUIRED, AUTO, NONE = ToolChoice("required"), ToolChoice("auto"), ToolChoice("none")
ONE = ToolChoice("required", ("a",))
TWO = ToolChoice("required", ("a", "b"))
CHOICES: list[tuple[Any, ToolChoice | None]] = [
    (None, None),
    ("auto", AUTO),
    ("none", NONE),
    ("any", REQUIRED),
    ("required", REQUIRED),
    (True, REQUIRED),
    (False, NONE),
    ("a", ONE),
    (["a"], ONE),
    (["a", "b", "a"], TWO),
    (("a", "b"), TWO),
    ({"type": "auto"}, AUTO),
    ({"type": "none"}, NONE),
    ({"type": "any", "disable_parallel_tool_use": True}, REQUIRED),
    ({"type": "required"}, REQUIRED),
    ({"type": "function", "function": {"name": "a"}}, ONE),
    ({"type": "function", "name": "a"}, ONE),
    ({"type": "tool", "name": "a"}, ONE),
    ({"name": "a"}, ONE),
    ({"tool": {"name": "a"}}, ONE),
    ({"any": {}}, REQUIRED),
    ({"auto": {}}, AUTO),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "a"}]},
     ONE),
    ({"type": "allowed_tools", "allowed_tools": {
        "mode": "required", "tools": [{"type": "function", "function": {"name": "a"}}]}}, ONE),
    ({"functionCallingConfig": {"mode": "ANY"}}, REQUIRED),
    ({"functionCallingConfig": {"mode": "AUTO"}}, AUTO),
    ({"functionCallingConfig": {"mode": "NONE"}}, NONE),
    ({"functionCallingConfig": {"mode": "VALIDATED"}}, AUTO),
    ({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "b"]}}, TWO),
    ({"function_calling_config": {"mode": "any", "allowed_function_names": ["a"]}}, ONE),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "expected"), CHOICES, ids=str)
def test_a_tool_choice_in_any_form(choice: Any, expected: ToolChoice | None) -> None:
    assert normalize_tool_choice(choice, ["a", "b"]) == expected


def test_a_function_named_like_a_mode_can_be_chosen() -> None:
    names = ["auto", "any"]
    assert normalize_tool_choice("auto", names) == ToolChoice("required", ("auto",))
    assert normalize_tool_choice({"type": "function", "name": "any"}, names) == ToolChoice(
        "required", ("any",)
    )


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ("c", "names .'c'., but the bound tools are"),
        (["a", "c"], "names .'c'."),
        ({"type": "function", "function": {"name": "c"}}, "names .'c'."),
        ("google_search", "built-in"),
        (["a", "urlContext"], "built-in"),
        ({"type": "google_search"}, "built-in"),
        ([], "no known form"),
        ("", "names"),
        (5, "no known form"),
        ({}, "no known form"),
        ({"type": "perhaps"}, "no known form"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"name": "a"}]}, "limits"),
    ],
    ids=str,
)
def test_a_tool_choice_that_cannot_be_is_refused(choice: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        normalize_tool_choice(choice, ["a", "b"])


# --- what comes back -------------------------------------------------------------------------

INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
BOOLEAN, NULL = {"type": "boolean"}, {"type": "null"}
POINT = {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}
NODE = {"type": "object", "properties": {"n": INTEGER, "next": {"$ref": "#/$defs/Node"}}}
FITTED: list[tuple[Any, Any, Any]] = [
    (INTEGER, "2", 2),
    (INTEGER, 2.0, 2),
    (INTEGER, "2.0", 2),
    (INTEGER, "-3", -3),
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
LEFT: list[tuple[Any, Any]] = [
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


def _whole(schema: Any) -> Json:
    return {"type": "object", "properties": {"value": schema}, "$defs": {"Node": NODE}}


@pytest.mark.parametrize(("schema", "value", "expected"), FITTED, ids=lambda v: str(v)[:40])
def test_what_is_plainly_the_same_value_gets_its_type(schema, value, expected) -> None:
    args = {"value": value}
    before = copy.deepcopy(args)
    fitted = coerced(args, _whole(schema))
    assert fitted == {"value": expected}
    assert type(fitted["value"]) is type(expected)
    assert args == before
    assert coerced(fitted, _whole(schema)) is fitted


@pytest.mark.parametrize(("schema", "value"), LEFT, ids=lambda v: str(v)[:40])
def test_what_cannot_be_told_is_left_as_it_is(schema, value) -> None:
    args = {"value": value, "more": "2"}
    assert coerced(args, _whole(schema)) is args


def test_arguments_that_make_a_schema_go_on_and_on_are_left_as_they_are() -> None:
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}, {"$ref": "#/$defs/Loop"}]}
    args = {"value": "2"}
    assert coerced(args, {"properties": {"value": loop}, "$defs": {"Loop": loop}}) is args


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["", "1", "true", "[1]"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])
SCHEMAS = st.recursive(
    st.one_of(
        st.booleans(),
        st.builds(lambda kind: {"type": kind}, KINDS),
        st.builds(lambda values: {"enum": values}, st.lists(VALUES, min_size=1, max_size=3)),
        st.just({"$ref": "#/$defs/Node"}),
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(KINDS, st.lists(KINDS, min_size=1, max_size=3, unique=True)),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "oneOf": st.lists(inner, min_size=1, max_size=3),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=6,
)


@given(schema=SCHEMAS, value=VALUES)
@settings(max_examples=300, deadline=None)
def test_arguments_that_fit_come_back_themselves(schema: Any, value: Any) -> None:
    whole, args = _whole(schema), {"value": value}
    before = copy.deepcopy(args)
    fitted = coerced(args, whole)
    assert args == before
    assert fitted.keys() == args.keys()
    if Draft202012Validator(whole).is_valid(args):
        assert fitted is args
