"""Tools, tool choice and response formats in the format of each API."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from call_modes import fixture, model_at, server_sending
from langchain_core.tools import tool

from unit_tests.wire.request_sender import CHAT, GATEWAY, HI, NATIVE, Json, RequestSender


@tool
def get_weather(city: str, days: int = 1) -> str:
    """Return the weather."""
    return city * days


def find(city: str) -> str:
    """Return the weather."""
    return city


SCHEMA = {
    "title": "find",
    "description": "Return the weather.",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
OPENAI_TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Return the weather.",
        "parameters": {k: SCHEMA[k] for k in ("type", "properties", "required")},
    },
}
NATIVE_TOOL = {
    "functionDeclarations": [
        {
            "name": "find",
            "description": "Return the weather.",
            "parameters": {
                "type": "OBJECT",
                "properties": {"city": {"type": "STRING"}},
                "required": ["city"],
            },
        }
    ]
}


def test_a_tool_is_sent_in_the_format_of_each_api(send: RequestSender) -> None:
    for name, tools in ((CHAT, [OPENAI_TOOL]), (NATIVE, [NATIVE_TOOL])):
        bound = model_at(send.server, model=name).bind_tools([find])
        assert send.through(bound, "hi")["tools"] == tools
        assert send([HI], model=name, tools=[find])["tools"] == tools


def test_a_tool_without_parameters_is_sent_as_an_object(send: RequestSender) -> None:
    for tool_ in ({"name": "now"}, {"name": "now", "parameters": {}}):
        (sent,) = send([HI], model=CHAT, tools=[tool_])["tools"]
        assert sent["function"]["parameters"]["type"] == "object"
        (sent,) = send([HI], model=NATIVE, tools=[tool_])["tools"]
        (declared,) = sent["functionDeclarations"]
        assert declared["parameters"] == {"type": "OBJECT", "properties": {}}


BUILTINS = [
    ("google_search", "googleSearch"),
    ("code_execution", "codeExecution"),
    ("url_context", "urlContext"),
]


@pytest.mark.parametrize(("name", "wire"), BUILTINS)
def test_a_built_in_tool_in_any_form_is_sent_in_the_format_of_each_api(
    name, wire, send: RequestSender
) -> None:
    for given in (
        {name: {}},
        {wire: {}},
        {"type": name},
        {"type": wire},
        {"type": "function", "function": {"name": wire}},
        {"type": "function", "function": {"name": name}},
    ):
        for model, expected in (
            (CHAT, [{"type": "function", "function": {"name": wire}}]),
            (NATIVE, [{wire: {}}]),
        ):
            bound = model_at(send.server, model=model).bind_tools([given])
            assert send.through(bound, "hi")["tools"] == expected
        body = send([HI], fields=GATEWAY, tools=[given])
        assert body["tools"] == [{"type": "function", "function": {"name": wire}}]


def test_a_native_search_always_streams_because_its_sources_would_be_lost(
    send: RequestSender,
) -> None:
    """wire.md 3-10: grounding metadata come only in a stream."""
    for built_in, streams in (({"google_search": {}}, True), ({"url_context": {}}, False)):
        body = send([HI], model=NATIVE, tools=[built_in], stream_invoke=False)
        assert body["stream"] is streams
        assert send.path.endswith(
            ":streamGenerateContent?alt=sse" if streams else "GenerateContent"
        )
    assert send([HI], model=CHAT, tools=[{"google_search": {}}])["stream"] is False


CHOICES: list[tuple[Any, Any, Json]] = [
    ("auto", "auto", {"mode": "AUTO"}),
    (False, "none", {"mode": "NONE"}),
    ("any", "required", {"mode": "ANY"}),
    ("find", {"type": "function", "function": {"name": "find"}},
     {"mode": "ANY", "allowedFunctionNames": ["find"]}),
    (["find", "get_weather"], "required",
     {"mode": "ANY", "allowedFunctionNames": ["find", "get_weather"]}),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "chat", "native"), CHOICES, ids=lambda value: str(value)[:40])
def test_a_tool_choice_is_sent_in_the_format_of_each_api(
    choice: Any, chat: Any, native: Json, send: RequestSender
) -> None:
    tools = [find, get_weather]
    for name, member, expected in (
        (CHAT, "tool_choice", chat),
        (NATIVE, "toolConfig", {"functionCallingConfig": native}),
    ):
        bound = model_at(send.server, model=name).bind_tools(tools, tool_choice=choice)
        assert send.through(bound, "hi")[member] == expected
        assert send([HI], model=name, tools=tools, tool_choice=choice)[member] == expected


def test_an_empty_list_of_tools_sends_nothing(send: RequestSender) -> None:
    for name in (CHAT, NATIVE):
        bound = model_at(send.server, model=name).bind_tools([])
        assert set(send.through(bound, "hi")) == set(send([HI], model=name))


def test_strict_and_parallel_tool_calls_are_sent_if_they_are_set(send: RequestSender) -> None:
    """wire.md 2.1-7, 2.2-5, 2.4-5: a large schema with `strict` fails."""
    model = model_at(send.server)
    body = send.through(model.bind_tools([find], strict=True, parallel_tool_calls=False), "hi")
    assert body["tools"][0]["function"]["strict"] is True
    assert body["parallel_tool_calls"] is False
    body = send.through(model.bind_tools([find]), "hi")
    assert "strict" not in body["tools"][0]["function"]
    assert "parallel_tool_calls" not in body


def test_combinations_that_kie_documents_as_impossible_are_rejected(send: RequestSender) -> None:
    """wire.md 2.1-5, 2.1-8: search, functions and a response format."""
    pro = "gemini-2.5-pro"
    send.rejects([HI], "search", model=pro, tools=[find, {"google_search": {}}])
    json_mode = {"type": "json_object"}
    send.rejects([HI], "response_format", model=pro, tools=[find], response_format=json_mode)
    body = send([HI], model=pro, tools=[{"google_search": {}}], response_format=SCHEMA)
    assert len(body["tools"]) == 1


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
def test_a_bound_tool_that_is_modified_is_sent_modified(api: str) -> None:
    with server_sending(fixture("chat_completion.json")) as server:
        offered = [{"name": "f", "parameters": {}}, {"name": "g"}]
        model = model_at(server, api=api).bind_tools(offered)
        bound = model.kwargs["tools"]
        model.invoke("hi")
        bound[0]["function"]["description"] = "New."
        model.invoke("hi")
        del bound[1]
        model.invoke("hi")
        bound[0]["function"]["parameters"]["properties"] = {"city": {"type": "string"}}
        model.invoke("hi")
    bodies = [request.body for request in server.requests]
    assert [b'"New."' in body for body in bodies] == [False, True, True, True]
    assert [b'"g"' in body for body in bodies] == [True, True, False, False]
    assert [b'"city"' in body for body in bodies] == [False, False, False, True]


FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "find", "schema": SCHEMA},
}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (SCHEMA, "find"),
        (FORMAT, "find"),
        ({**SCHEMA, "title": "Page[int]"}, "Page_int_"),
        ({**FORMAT, "json_schema": {"name": "Page[int]", "schema": SCHEMA}}, "Page_int_"),
    ],
)
def test_a_response_format_is_sent_in_the_format_of_each_api(
    given: Json, name: str, send: RequestSender
) -> None:
    """wire.md 2.4-7, 2.4-8: natively only `responseSchema` is honoured."""
    before = copy.deepcopy(given)
    for body in (
        send([HI], response_format=given),
        send.through(model_at(send.server).bind_tools([], response_format=given), "hi"),
    ):
        assert body["response_format"]["type"] == "json_schema"
        inner = body["response_format"]["json_schema"]
        assert inner["name"] == name
        assert inner["schema"]["properties"] == SCHEMA["properties"]
    config = send([HI], model=NATIVE, response_format=given)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["properties"] == {"city": {"type": "STRING"}}
    assert config["responseSchema"]["required"] == ["city"]
    assert given == before


def test_json_mode_is_sent_in_the_format_of_each_api(send: RequestSender) -> None:
    """wire.md 2.4-6, 2.4-8: without a schema."""
    given = {"type": "json_object"}
    assert send([HI], response_format=given)["response_format"] == given
    config = send([HI], model=NATIVE, response_format=given)["generationConfig"]
    assert config == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    "properties",
    [
        {"risks": {"type": "array", "items": {"properties": {"type": {"type": "string"}}}}},
        {"prices": {"type": "object", "additionalProperties": {"type": "number"}}},
    ],
    ids=["a property named type", "a map"],
)
@pytest.mark.parametrize("model", [CHAT, NATIVE])
def test_a_schema_that_a_response_format_cannot_contain_is_sent_as_a_function(
    properties: Json, model: str, send: RequestSender
) -> None:
    """wire.md 2.4-1, 2.4-2: KIE rejects a property named `type` there, and loses maps."""
    schema = {"title": "report", "type": "object", "properties": properties}
    body = send([HI], model=model, response_format=schema)
    assert "response_format" not in body
    assert "responseSchema" not in body.get("generationConfig", {})
    if model == CHAT:
        assert body["tools"][0]["function"]["name"] == "report"
        assert body["tool_choice"] == "required"
    else:
        assert body["tools"][0]["functionDeclarations"][0]["name"] == "report"
        assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"
    raw = send([HI], model=model, response_format=schema, check_combinations=False)
    assert "response_format" in raw or "responseSchema" in raw["generationConfig"]


def test_a_response_format_with_functions_is_sent_as_one_of_them(send: RequestSender) -> None:
    body = send([HI], model="gemini-3-pro", tools=[find], response_format=FORMAT)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["find", "answer_find"]
    assert "response_format" not in body
    for choice, sent in (
        ("any", "required"),
        ("find", {"type": "function", "function": {"name": "find"}}),
    ):
        body = send(
            [HI], model="gemini-3-pro", tools=[find], response_format=FORMAT, tool_choice=choice
        )
        assert body["tool_choice"] == sent
    forbidden = send(
        [HI], model="gemini-3-pro", tools=[find], response_format=FORMAT, tool_choice="none"
    )
    assert "tools" not in forbidden
    assert "response_format" in forbidden


def test_text_is_the_response_format_without_one(send: RequestSender) -> None:
    body = send([HI], model=NATIVE, response_format={"type": "text"})
    assert body == send([HI], model=NATIVE)
    assert send([HI], response_format={"type": "text"})["response_format"] == {"type": "text"}
