"""Answers in a schema: every method, every model, beside tools and alone."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field
from scripted_server import Scripted, ScriptedServer, sse
from typing_extensions import TypedDict

from langchain_kie import ChatKieGemini, KieServerError
from langchain_kie._catalog import MODELS

SPELLINGS = [(spec.name, api, route.model) for spec in MODELS for api, route in spec.routes.items()]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sky: str = Field(description="What the sky looks like")


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It is sunny in {city}."


@pytest.mark.parametrize(
    "strategy", [ToolStrategy(Weather), ProviderStrategy(Weather), Weather], ids=["t", "p", "bare"]
)
@pytest.mark.parametrize(("name", "api", "spelling"), SPELLINGS, ids="-".join)
def test_an_agent_with_tools_answers_in_a_schema(name, api, spelling, strategy):
    question = {"messages": [{"role": "user", "content": "Get the weather of Lisbon."}]}
    for model in (ChatKieGemini(model=name, api=api), ChatKieGemini(model=spelling)):
        agent = create_agent(model, [get_weather], response_format=strategy)
        result = agent.invoke(question)
        assert result["structured_response"].city == "Lisbon"
        called = [m.name for m in result["messages"] if m.type == "tool"]
        assert "get_weather" in called


@pytest.mark.parametrize("strategy", [ToolStrategy(Weather), ProviderStrategy(Weather), Weather])
@pytest.mark.parametrize("name", ["gemini-2.5-flash", "gemini-3.8-flash"])
async def test_an_agent_without_tools_answers_in_a_schema(name, strategy):
    agent = create_agent(ChatKieGemini(model=name), [], response_format=strategy)
    question = {"messages": [{"role": "user", "content": "Describe the weather of Lisbon."}]}
    result = await agent.ainvoke(question)
    assert isinstance(result["structured_response"], Weather)


class Risk(BaseModel):
    """A risk, with a property whose name KIE refuses in a response format."""

    type: str
    weight: int


class Report(BaseModel):
    """Nested, with a list of models and a map."""

    title: str
    risks: list[Risk]
    prices: dict[str, float]


class ReportDict(TypedDict):
    """The same kind of thing, as a dict."""

    title: Annotated[str, ..., "What it is about"]
    type: Annotated[str, ..., "What kind it is"]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_names_that_kie_refuses_come_back_as_the_user_s_own(api, method):
    model = ChatKieGemini(model="gemini-3-flash", api=api)
    chain = model.with_structured_output(Report, method=method)
    for report in (
        chain.invoke("Report on 'rust' of type 'decay' and weight 3."),
        await chain.ainvoke("Report on 'rust' of type 'decay' and weight 3."),
    ):
        assert isinstance(report, Report)
        assert report.risks
    chain = model.with_structured_output(ReportDict, method=method, include_raw=True)
    result = chain.invoke("Report on 'rust' of type 'decay'.")
    assert result["parsing_error"] is None
    assert result["parsed"].keys() == {"title", "type"}


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
def test_a_dict_schema_streams_what_there_is_of_it(api):
    schema = {
        "title": "story",
        "type": "object",
        "properties": {"title": {"type": "string"}, "type": {"type": "string"}},
        "required": ["title", "type"],
    }
    model = ChatKieGemini(model="gemini-3-flash", api=api).with_structured_output(schema)
    parts = list(model.stream("A story titled 'The long way home' of type 'drama'."))
    assert all(isinstance(part, dict) for part in parts)
    assert parts[-1].keys() == {"title", "type"}


def _served(*events: dict[str, Any]) -> ScriptedServer:
    return ScriptedServer(Scripted([sse(*events, "[DONE]")]))


def _at(server: ScriptedServer, **fields: Any) -> ChatKieGemini:
    return ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=server.base_url, **fields)


def _said(text: str, **members: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text, **members}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "text",
    [
        '{"city":"Rome","sky":"blue"}',
        '```json\n{"city":"Rome","sky":"blue"}\n```',
        'Here it is:\n```\n{"city":"Rome","sky":"blue"}\n```\n',
    ],
)
@pytest.mark.parametrize("schema", [Weather, Weather.model_json_schema()], ids=["class", "dict"])
def test_json_in_a_fence_is_json(text, schema):
    thoughts = 'I will say {"city": "Oslo"}.'
    with _served(_said(text, reasoning_content=thoughts)) as server:
        answer = _at(server).with_structured_output(schema).invoke("?")
    assert dict(answer) == {"city": "Rome", "sky": "blue"}


@pytest.mark.parametrize("text", ["", "I cannot say.", '{"city":"Rome","sk', '{"city":1'])
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
@pytest.mark.parametrize("schema", [Weather, Weather.model_json_schema()], ids=["class", "dict"])
def test_an_answer_that_is_empty_cut_or_refused_is_a_parsing_error(text, method, schema):
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    with _served(_said(text) | usage) as server:
        model = _at(server)
        with pytest.raises(OutputParserException):
            model.with_structured_output(schema, method=method).invoke("?")
        chain = model.with_structured_output(schema, method=method, include_raw=True)
        result = chain.invoke("?")
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], OutputParserException)
    assert result["raw"].text == text


def test_a_call_that_never_came_is_nothing_or_a_parsing_error():
    with _served(_said("I would rather not.")) as server:
        chain = _at(server).with_structured_output(
            Weather, method="function_calling", include_raw=True
        )
        assert chain.invoke("?")["parsed"] is None


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_arguments_of_the_answer_s_function_stream_as_text(piece):
    args = '{"type":"a","prices":{"x":1}}'
    schema = {
        "title": "report",
        "type": "object",
        "properties": {"type": {"type": "string"}, "prices": {"type": "object"}},
    }
    cuts = [args[i : i + piece] for i in range(0, len(args), piece)]
    first = {"index": 0, "id": "c1", "function": {"name": "report", "arguments": cuts[0]}}
    rest = [{"index": 0, "function": {"arguments": cut}} for cut in cuts[1:]]
    events = [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in (first, *rest)]
    with _served(*events, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}) as server:
        model = _at(server).bind_tools([], response_format=schema)
        message = model.invoke("?")
        streamed = list(model.stream("?"))
    assert message.text == args
    assert message.tool_calls == []
    assert message.response_metadata["finish_reason"] == "stop"
    assert "".join(chunk.text for chunk in streamed) == args


class Node(BaseModel):
    """A node that holds others."""

    name: str
    kids: list[Node] = []


def test_a_class_that_holds_itself_is_a_schema():
    with _served(_said('{"name":"root","kids":[{"name":"leaf"}]}')) as server:
        answer = _at(server).with_structured_output(Node).invoke("?")
        sent = server.requests[0].json["response_format"]["json_schema"]["schema"]
    assert answer == Node(name="root", kids=[Node(name="leaf")])
    assert sent["properties"]["kids"]["items"]["type"] == "object"
    for api in ("chat_completions", "generate_content"):
        model = ChatKieGemini(model="gemini-3-flash", api=api)
        assert model.bind_tools([Node], tool_choice="Node").invoke("A 'root'.").tool_calls


CUT = '{"city":"Porto","sky":"clear bl'


@pytest.mark.parametrize("text", [CUT, f"```json\n{CUT}", '{"city":"a","sky":"b"}{"city":"c"}'])
def test_no_class_is_made_of_half_an_answer(text):
    with _served(_said(text)) as server, pytest.raises(OutputParserException):
        _at(server).with_structured_output(Weather).invoke("?")


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "a", "anyOf": [{"type": "string"}, {"type": "array", "items": {}}]},
        {"title": "a", "type": "array", "items": {"type": "string"}},
        {"title": "a", "$ref": "#/$defs/X", "$defs": {"X": {"type": "array", "items": {}}}},
    ],
)
def test_a_schema_whose_root_has_no_properties_is_sent_whole(schema):
    with _served(_said("[]")) as server:
        _at(server).with_structured_output(schema).invoke("?")
        sent = server.requests[0].json["response_format"]["json_schema"]["schema"]
    assert sent.keys() & {"anyOf", "items"}


@pytest.mark.parametrize(
    "properties",
    [
        {"m": {"type": "object"}},
        {"m": {"type": "object", "patternProperties": {"^a": {"type": "number"}}}},
        {"m": {"properties": {"x": {}}, "additionalProperties": {"type": "number"}}},
    ],
)
def test_every_kind_of_map_goes_through_a_function(properties):
    schema = {"title": "a", "type": "object", "properties": properties}
    with _served(_said("{}")) as server:
        _at(server).with_structured_output(schema).invoke("?")
        assert "tools" in server.requests[0].json


def test_words_beside_the_answer_s_call_are_not_the_answer():
    schema = {
        "title": "a",
        "type": "object",
        "properties": {"type": {"type": "string"}, "n": {"type": "integer"}},
    }
    call = {"index": 0, "id": "c", "function": {"name": "a", "arguments": '{"type":"x","n":2.0}'}}
    with _served(_said("Here it is."), _said("", tool_calls=[call])) as server:
        chain = _at(server).with_structured_output(schema, include_raw=True)
        result = chain.invoke("?")
        parts = list(_at(server).with_structured_output(schema).stream("?"))
    assert result["parsed"] == {"type": "x", "n": 2}
    assert isinstance(result["parsed"]["n"], int)
    assert parts[-1] == result["parsed"]
    assert "Here it is." in result["raw"].additional_kwargs["reasoning_content"]


@pytest.mark.parametrize("beside", [[], [get_weather]], ids=["alone", "beside tools"])
def test_an_error_text_that_is_the_whole_answer_is_an_error(beside):
    said = _said("Server exception, please try again later")
    with _served(said) as server, pytest.raises(KieServerError):
        _at(server).bind_tools(beside, response_format=Weather).invoke("?")
