"""Structured output: every method and model, with tools and without."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from call_modes import model_at, server_sending
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field
from scripted_server import ScriptedServer, sse
from typing_extensions import TypedDict

from langchain_kie import ChatKieGemini, KieServerError, KieToolCallMissingError
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
def test_an_agent_with_tools_returns_structured_output(name, api, spelling, strategy):
    question = {"messages": [{"role": "user", "content": "Get the weather of Lisbon."}]}
    for model in (ChatKieGemini(model=name, api=api), ChatKieGemini(model=spelling)):
        agent = create_agent(model, [get_weather], response_format=strategy)
        result = agent.invoke(question)
        assert result["structured_response"].city == "Lisbon"
        called = [m.name for m in result["messages"] if m.type == "tool"]
        assert "get_weather" in called


@pytest.mark.parametrize("strategy", [ToolStrategy(Weather), ProviderStrategy(Weather), Weather])
@pytest.mark.parametrize("name", ["gemini-2.5-flash", "gemini-3.8-flash"])
async def test_an_agent_without_tools_returns_structured_output(name, strategy):
    agent = create_agent(ChatKieGemini(model=name), [], response_format=strategy)
    question = {"messages": [{"role": "user", "content": "Describe the weather of Lisbon."}]}
    result = await agent.ainvoke(question)
    assert isinstance(result["structured_response"], Weather)


class Risk(BaseModel):
    """A risk, with a property name that KIE rejects in `response_format`."""

    type: str
    weight: int


class Report(BaseModel):
    """Nested, with a list of models and a map."""

    title: str
    risks: list[Risk]
    prices: dict[str, float]


class ReportDict(TypedDict):
    """A report as a `TypedDict`."""

    title: Annotated[str, ..., "The subject"]
    type: Annotated[str, ..., "The kind"]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_property_names_that_kie_rejects_are_returned_unchanged(api, method):
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
def test_partial_results_are_streamed(api):
    model = ChatKieGemini(model="gemini-3-flash", api=api).with_structured_output(ReportDict)
    parts = list(model.stream("A report titled 'Home' of type 'drama'."))
    assert all(isinstance(part, dict) for part in parts)
    assert parts[-1].keys() == {"title", "type"}


def _server(*events: dict[str, Any]) -> ScriptedServer:
    return server_sending(sse(*events, "[DONE]"))


def _event(text: str, **members: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text, **members}, "finish_reason": "stop"}]}


def test_json_in_thoughts_is_not_the_answer():
    thoughts = 'I will say {"city": "Oslo"}.'
    with _server(_event('{"city":"Rome","sky":"blue"}', reasoning_content=thoughts)) as server:
        answer = model_at(server).with_structured_output(Weather).invoke("?")
    assert answer == Weather(city="Rome", sky="blue")


def test_an_empty_answer_is_a_parsing_error():
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    with _server(_event("") | usage) as server, pytest.raises(OutputParserException):
        model_at(server).with_structured_output(Weather).invoke("?")


def test_a_missing_tool_call_is_an_error_after_one_request():
    with _server(_event("I would rather not.")) as server:
        chain = model_at(server).with_structured_output(
            Weather, method="function_calling", include_raw=True
        )
        with pytest.raises(KieToolCallMissingError, match="I would rather not"):
            chain.invoke("?")
        assert len(server.requests) == 1


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_arguments_of_the_answer_function_stream_as_text(piece):
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
    with _server(*events, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}) as server:
        model = model_at(server).bind_tools([], response_format=schema)
        message = model.invoke("?")
        streamed = list(model.stream("?"))
    assert message.text == args
    assert message.tool_calls == []
    assert message.response_metadata["finish_reason"] == "stop"
    assert "".join(chunk.text for chunk in streamed) == args


class Node(BaseModel):
    """A node of a tree."""

    name: str
    kids: list[Node] = []


def test_a_recursive_class_is_a_schema():
    with _server(_event('{"name":"root","kids":[{"name":"leaf"}]}')) as server:
        answer = model_at(server).with_structured_output(Node).invoke("?")
        sent = server.requests[0].json["response_format"]["json_schema"]["schema"]
    assert answer == Node(name="root", kids=[Node(name="leaf")])
    assert sent["properties"]["kids"]["items"]["type"] == "object"
    for api in ("chat_completions", "generate_content"):
        model = ChatKieGemini(model="gemini-3-flash", api=api)
        assert model.bind_tools([Node], tool_choice="Node").invoke("A 'root'.").tool_calls


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "a", "anyOf": [{"type": "string"}, {"type": "array", "items": {}}]},
        {"title": "a", "type": "array", "items": {"type": "string"}},
        {"title": "a", "$ref": "#/$defs/X", "$defs": {"X": {"type": "array", "items": {}}}},
    ],
)
def test_a_schema_without_properties_at_the_root_is_sent_completely(schema):
    with _server(_event("[]")) as server:
        model_at(server).with_structured_output(schema).invoke("?")
        sent = server.requests[0].json["response_format"]["json_schema"]["schema"]
    assert sent.keys() & {"anyOf", "items"}


def test_text_next_to_the_answer_function_is_not_the_answer():
    schema = {
        "title": "a",
        "type": "object",
        "properties": {"type": {"type": "string"}, "n": {"type": "integer"}},
    }
    call = {"index": 0, "id": "c", "function": {"name": "a", "arguments": '{"type":"x","n":2.0}'}}
    with _server(_event("Here it is."), _event("", tool_calls=[call])) as server:
        chain = model_at(server).with_structured_output(schema, include_raw=True)
        result = chain.invoke("?")
        parts = list(model_at(server).with_structured_output(schema).stream("?"))
    assert result["parsed"] == {"type": "x", "n": 2}
    assert isinstance(result["parsed"]["n"], int)
    assert parts[-1] == result["parsed"]
    assert "Here it is." in result["raw"].additional_kwargs["reasoning_content"]


@pytest.mark.parametrize("tools", [[], [get_weather]], ids=["no tools", "tools"])
def test_an_error_text_instead_of_the_answer_is_an_error(tools):
    event = _event("Server exception, please try again later")
    with _server(event) as server, pytest.raises(KieServerError):
        model_at(server).bind_tools(tools, response_format=Weather).invoke("?")
