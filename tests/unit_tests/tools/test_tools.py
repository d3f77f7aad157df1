"""Tools in all their forms, and the function that stands for a `response_format`."""

from __future__ import annotations

import copy
import gc
import json
import warnings
import weakref
from collections import OrderedDict
from datetime import date
from enum import IntEnum
from socket import socket  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, Tool, tool
from pydantic import BaseModel, Field, create_model
from pydantic import v1 as pydantic_v1
from typing_extensions import TypedDict

from langchain_kie._catalog import Route
from langchain_kie._json import Json, to_json
from langchain_kie._json_schema.gemini import to_gemini_schema
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie._tools import definitions
from langchain_kie._tools.answer_function import build_answer_function, needs_answer_function
from langchain_kie._tools.cache import normalize_tools
from langchain_kie._tools.definitions import normalize_tool
from langchain_kie._tools.structured_output import build_response_format

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT = {"name": "get_weather", "description": "Get the weather."}
FUNCTION = {**ABOUT, "parameters": PARAMETERS}


def get_weather(city: str) -> str:
    """Get the weather."""
    return city


class GetWeather(BaseModel):
    """Get the weather."""

    city: str


class GetWeatherV1(pydantic_v1.BaseModel):
    """Get the weather."""

    city: str


class GetWeatherDict(TypedDict):
    """Get the weather."""

    city: str


class _Sdk(BaseModel):
    """A tool as the SDKs of MCP and Google define it."""

    name: str
    description: str
    input_schema: Json = Field(serialization_alias="inputSchema")
    annotations: None = None


class _Named(BaseTool):
    name: str = "get_weather"
    description: str = "Get the weather."
    args_schema: Any = GetWeather

    def _run(self, city: str) -> str:
        return city


for _class in (GetWeather, GetWeatherV1, GetWeatherDict):
    _class.__name__ = "get_weather"
GetWeather.model_config["title"] = "get_weather"
GetWeather.model_rebuild(force=True)


def _as_tool() -> BaseTool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RunnableLambda(lambda args: args["city"]).as_tool(
            name="get_weather", description="Get the weather.", arg_types={"city": str}
        )


FORMS: dict[str, Any] = {
    "function": get_weather,
    "tool": tool(get_weather),
    "structured tool": StructuredTool.from_function(get_weather),
    "tool with a JSON schema": StructuredTool(
        name="get_weather", description="Get the weather.", args_schema=PARAMETERS, func=get_weather
    ),
    "BaseTool": _Named(),
    "Runnable.as_tool": _as_tool(),
    "pydantic": GetWeather,
    "pydantic v1": GetWeatherV1,
    "TypedDict": GetWeatherDict,
    "OpenAI": {"type": "function", "function": FUNCTION},
    "OpenAI's function": FUNCTION,
    "OpenAI's newer form": {"type": "function", **FUNCTION},
    "Anthropic": {**ABOUT, "input_schema": PARAMETERS, "cache_control": {"type": "ephemeral"}},
    "Anthropic's custom": {"type": "custom", **ABOUT, "input_schema": PARAMETERS},
    "MCP": {**ABOUT, "title": "Weather", "inputSchema": PARAMETERS, "annotations": {}},
    "MCP's object": _Sdk(**ABOUT, input_schema=PARAMETERS),
    "Bedrock": {"toolSpec": {**ABOUT, "inputSchema": {"json": PARAMETERS}}},
    "JSON schema": {"title": "get_weather", "description": "Get the weather.", **PARAMETERS},
    "Gemini": {"functionDeclarations": [FUNCTION]},
    "Gemini in snake case": {"function_declarations": [FUNCTION]},
    "Gemini's newer form": {**ABOUT, "parametersJsonSchema": PARAMETERS},
    "Gemini's newer form, listed": {
        "functionDeclarations": [{**ABOUT, "parametersJsonSchema": PARAMETERS}]
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_tool_gives_the_same_function(form: Any) -> None:
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


def test_a_recursive_class_keeps_its_references() -> None:
    ((function,), _) = normalize_tools([Plant])
    parameters = function["parameters"]
    assert set(parameters["properties"]) >= {"tree", "size", "$ref", "title", "type"}
    assert "title" not in parameters["properties"]["title"]
    properties = normalize_schema(parameters)["properties"]
    assert properties["size"]["enum"] == [1, 2]
    branch = properties["tree"]["anyOf"][1]["properties"]
    inner = branch["children"]["items"]["anyOf"][1]
    assert inner["properties"].keys() == branch.keys()
    size = to_gemini_schema(parameters)["properties"]["size"]
    assert size == {"type": "INTEGER", "description": "One of: 1, 2."}


def test_arguments_are_described_by_the_docstring_and_injected_ones_left_out() -> None:
    def find(name: str, token: Annotated[str, InjectedToolArg], limit: int = 5) -> None:
        """Find it.

        Args:
            name: The name.
            token: Not for the model.
            limit: The limit.
        """

    ((function,), _) = normalize_tools([tool(find, parse_docstring=True)])
    assert function["description"] == "Find it."
    assert function["parameters"]["properties"] == {
        "name": {"type": "string", "description": "The name."},
        "limit": {"type": "integer", "default": 5, "description": "The limit."},
    }
    assert function["parameters"]["required"] == ["name"]


def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    "form",
    [nothing, tool(nothing), {"name": "nothing"}, {"name": "nothing", "inputSchema": {}},
     {"title": "nothing", "type": "object"}],
    ids=["function", "tool", "a name", "MCP", "JSON schema"],
)  # fmt: skip
def test_a_tool_may_have_no_arguments(form: Any) -> None:
    ((function,), _) = normalize_tools([form])
    assert function["name"] == "nothing"
    assert not function.get("parameters", {}).get("properties")


def test_a_method_of_a_built_in_class_is_a_tool() -> None:
    (converted,) = normalize_tool(str.split)
    assert converted["function"]["name"] == "split"
    assert [*converted["function"]["parameters"]["properties"]] == ["sep", "maxsplit"]


def test_a_tool_without_a_schema_takes_one_text() -> None:
    ((function,), _) = normalize_tools([Tool(name="ask", description="Ask.", func=str)])
    assert function["parameters"]["required"] == ["__arg1"]


def test_alternative_parameters_are_merged_into_one_object() -> None:
    by_id = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    by_name = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
        "required": ["name"],
    }
    schema = {"oneOf": [by_id, by_name]}
    ((function,), _) = normalize_tools([{"name": "get", "inputSchema": schema}])
    assert function["parameters"] == {
        "type": "object",
        "description": "Required: id, or name.",
        "properties": {
            "id": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "name": {"type": "string"},
        },
        "required": [],
    }


@pytest.mark.parametrize(
    "name", ["", "1st", "a b", "größe", "a" * 129, "a/b", "Answer[int]", "-a", "a\n", None, 7]
)
def test_an_invalid_name_is_rejected(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        normalize_tool({"type": "function", "function": {**FUNCTION, "name": name}})


@pytest.mark.parametrize("name", ["_", "a.b:c-d", "a" * 128, "Get_2", "auto", "google_search_2"])
def test_a_valid_name_is_accepted(name: str) -> None:
    """wire.md 5-7: at most 128 characters."""
    assert normalize_tool({**FUNCTION, "name": name})[0]["function"]["name"] == name


def needs_what_is_undefined(a: Undefined) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do something."""


def takes_a_connection(connection: socket) -> None:
    """Do something."""


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ({"type": "object", "properties": {}}, "no name"),
        ({}, "no name"),
        (5, "5 cannot be a tool: it must be a dict, a class, a function or a BaseTool"),
        (RunnableLambda(str), "must be a dict"),
        ([FUNCTION], "must be a dict"),
        ("google_search", r"'google_search' cannot be a tool: write {\"google_search\": {}}"),
        (int | str, "cannot be a tool"),
        (dict, "<class 'dict'> cannot be a tool: no signature"),
        (needs_what_is_undefined, "cannot be a tool: name 'Undefined' is not defined"),
        (takes_a_connection, "cannot be a tool: Cannot generate a JsonSchema"),
        ({"type": "function", "function": "get"}, "function of a tool must be a dict; got 'get'"),
        ({"type": "function", "function": {"name": ["get"]}}, "name"),
        ({"toolSpec": ["get"]}, "function of a tool must be a dict"),
        ({"functionDeclarations": {"name": "get"}}, "functionDeclarations must be a list"),
        ({**FUNCTION, "description": 5}, "description of 'get_weather' must be a string; got 5"),
        ({"type": "function", "function": {**FUNCTION, "parameters": "x"}}, "not a JSON schema"),
        ({**FUNCTION, "name": "googleSearch"}, "built-in"),
        ({**FUNCTION, "parameters": {"type": "array"}}, "must be an object"),
        ({**FUNCTION, "parameters": {"enum": ["a", None]}}, "must be an object"),
        ({**FUNCTION, "parameters": {"type": ["string", "null"]}}, "must be an object"),
        (
            {**FUNCTION, "parameters": {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}},
            "must be an object",
        ),
        ({**FUNCTION, "parameters": {"type": ["array", "null"], "allOf": []}}, "not 'array'"),
        ({**FUNCTION, "parameters": "city"}, "not a JSON schema"),
    ],
    ids=range(23),
)
def test_an_invalid_tool_is_rejected(form: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        normalize_tool(form)


SEARCH, FETCH, CODE = (
    f'bind {{"{name}": {{}}}}' for name in ("google_search", "url_context", "code_execution")
)
SERVER_TOOLS: list[tuple[Json, str, str]] = [
    ({"type": "web_search_20250305", "name": "web_search"}, "web_search_20250305", SEARCH),
    ({"type": "web_search"}, "web_search", SEARCH),
    ({"type": "web_search_preview"}, "web_search_preview", SEARCH),
    ({"google_search_retrieval": {}}, "google_search_retrieval", SEARCH),
    ({"enterpriseWebSearch": {}}, "enterpriseWebSearch", SEARCH),
    ({"type": "web_fetch_20250910", "name": "web_fetch"}, "web_fetch_20250910", FETCH),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, "code_interpreter", CODE),
    ({"type": "code_execution_20250522", "name": "code_execution"}, "code_execution_2025", CODE),
    ({"type": "mcp", "server_label": "a"}, "mcp", "langchain-mcp-adapters"),
    ({"type": "computer_use_preview", "display_width": 1}, "computer_use_preview", "function"),
    ({"type": "bash_20250124", "name": "bash"}, "bash_20250124", "function"),
    ({"google_maps": {}}, "google_maps", "function"),
    ({"google_search": {}, "googleMaps": {}}, "googleMaps", "function"),
    ({"functionDeclarations": [FUNCTION], "googleMaps": {}}, "googleMaps", "function"),
    ({"type": "custom", "name": "grep", "format": {"type": "text"}}, "custom", "one string"),
]


@pytest.mark.parametrize(("form", "name", "instead"), SERVER_TOOLS, ids=lambda v: str(v)[:40])
def test_a_server_tool_that_kie_does_not_have_is_rejected_by_name(
    form: Json, name: str, instead: str
) -> None:
    with pytest.raises(ValueError, match=f"no server tool '{name}.*{instead}"):
        normalize_tools([form])


def test_two_tools_of_one_name_are_rejected() -> None:
    with pytest.raises(ValueError, match="two tools are named 'get_weather'"):
        normalize_tools([get_weather, FUNCTION])


def test_one_dict_can_hold_functions_and_built_in_tools() -> None:
    mixed = {"functionDeclarations": [FUNCTION], "googleSearch": {}}
    assert normalize_tools([mixed]) == ([FUNCTION], [("google_search", {})])


def test_python_values_in_a_schema_are_read_as_json() -> None:
    properties = OrderedDict(day={"enum": (date(2026, 1, 2), "never"), "default": date(2026, 1, 2)})
    form = {**FUNCTION, "parameters": {"properties": properties, "required": ("day",)}}
    ((function,), _) = normalize_tools([form])
    assert function["parameters"]["required"] == ["day"]
    day = to_gemini_schema(function["parameters"])["properties"]["day"]
    assert day["enum"] == ["2026-01-02", "never"]
    assert normalize_tools([form])[0][0] is function


HUGE = 12345678901234567890123


def test_huge_integers_in_a_schema_keep_their_digits() -> None:
    properties = {"wei": {"enum": [HUGE, 1], "default": HUGE, "type": "integer"}}
    form = {**FUNCTION, "parameters": {"properties": properties}}
    wrapped = {"type": "function", "function": form}
    model = create_model("get_weather", wei=(Literal[HUGE, 1], HUGE))
    for given in (form, wrapped, model):
        for _ in range(2):  # the second time from the cache, if it is cached
            ((function,), _) = normalize_tools([given])
            assert function["parameters"]["properties"]["wei"]["default"] == HUGE
            native = to_gemini_schema(function["parameters"])["properties"]["wei"]
            assert f"One of: {HUGE}, 1." in native["description"]
            sent = json.loads(to_json(function))["parameters"]["properties"]["wei"]
            assert sent["enum"] == [HUGE, 1]


@pytest.mark.parametrize(
    "schema",
    [
        {"nullable": True, "$defs": {}},
        {"nullable": True, "type": "object"},
        {"type": ["object", "null"]},
        {"type": ["object", "null"], "enum": [None, {"a": 1}]},
        {"type": "object", "enum": [None], "$defs": {}},
        {"type": "object", "const": None},
        {"type": ""},
        {"description": "d"},
        {"$ref": "#/$defs/Any", "$defs": {"Any": {}}},
        {"$ref": "#/$defs/Nullable", "$defs": {"Nullable": {"type": ["null", "object"]}}},
        {"allOf": [{}]},
        {"anyOf": [{}, {"type": "null"}]},
        {"anyOf": [{"type": "object"}, {"type": "null"}]},
        {"anyOf": [False, {"type": [], "description": ""}]},
    ],
)
def test_the_parameters_of_a_function_are_one_object(schema: Json) -> None:
    ((function,), _) = normalize_tools([{**FUNCTION, "parameters": schema}])
    assert normalize_schema(function["parameters"])["type"] == "object"
    native = to_gemini_schema(function["parameters"])
    assert native["type"] == "OBJECT"
    assert "nullable" not in native


def test_a_hundred_tools_keep_their_order() -> None:
    functions, _ = normalize_tools([{**FUNCTION, "name": f"tool_{n}"} for n in range(100)])
    assert [function["name"] for function in functions] == [f"tool_{n}" for n in range(100)]


# --- conversions are cached -----------------------------------------------------------------


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tools that were converted, not taken from the cache."""
    tools: list[Any] = []
    convert = definitions._function_from_code

    def record(tool: Any) -> Json:
        tools.append(tool)
        return convert(tool)

    monkeypatch.setattr(definitions, "_function_from_code", record)
    return tools


def test_a_tool_is_converted_once(conversions: list[Any]) -> None:
    class Other(BaseModel):
        n: int

    def other(n: int) -> None:
        """Do."""

    tools = [Other, tool(other), other]
    first = [normalize_tool(form) for form in tools]
    assert [normalize_tool(form, strict=True) for form in tools] != first
    assert [normalize_tool(form) for form in tools] == first
    assert len(conversions) == 3


def test_a_tool_that_changed_is_converted_again(conversions: list[Any]) -> None:
    changing = tool(nothing)
    assert normalize_tool(changing)[0]["function"]["name"] == "nothing"
    changing.name, changing.description = "something", "Do it."
    assert normalize_tool(changing)[0]["function"]["name"] == "something"
    assert len(conversions) == 2


def test_the_cache_does_not_keep_a_tool_alive() -> None:
    def make() -> tuple[weakref.ref[Any], ...]:
        class Gone(BaseModel):
            n: int

        def gone(n: int) -> None:
            """Do."""

        tools = [Gone, tool(gone), gone]
        for one in tools:
            normalize_tool(one)
        return tuple(map(weakref.ref, tools))

    gc.collect()
    before = len(definitions._functions_from_code)
    references = make()
    gc.collect()
    assert [reference() for reference in references] == [None, None, None]
    assert len(definitions._functions_from_code) == before


# --- structured output through a function ----------------------------------------------------

TYPE_PROPERTY = {"properties": {"type": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"items": {"anyOf": [TYPE_PROPERTY]}}, True),
        ({"default": TYPE_PROPERTY}, False),
        ({"properties": {"m": {"type": "object"}}}, True),
        ({"properties": {"m": {"type": "object", "additionalProperties": False}}}, False),
        ({"properties": {"m": {"patternProperties": {"^a": {"type": "number"}}}}}, True),
        ({"properties": {"m": {"properties": {"x": {}}, "additionalProperties": {}}}}, True),
    ],
    ids=range(6),
)
def test_a_type_property_or_a_map_needs_a_function(schema: Json, expected: bool) -> None:
    response_format = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert needs_answer_function(response_format, [], Route("m")) is expected


def test_a_response_format_without_the_schema_of_an_object_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"needs json_schema\.schema"):
        build_response_format({"type": "json_schema"}, None)
    with pytest.raises(ValueError, match="make the answer a property of an object"):
        build_answer_function({"json_schema": {"schema": {"type": "array"}}}, [])
