"""Structured output: every method and model, with tools and without."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Annotated, Any, Generic, TypeVar

import pytest
from answer_events import call_event, native_event, server_of, text_answer, text_event
from call_modes import model_at, server_sending
from langchain.agents import create_agent
from langchain.agents.structured_output import (
    ProviderStrategy,
    StructuredOutputValidationError,
    ToolStrategy,
)
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field, model_validator
from scripted_server import sse
from typing_extensions import TypedDict

from langchain_kie import ChatKieGemini, KieServerError, KieToolCallMissingError
from langchain_kie._catalog import MODELS

SPELLINGS = [(spec.name, api, route.model) for spec in MODELS for api, route in spec.routes.items()]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sky: str = Field(description="What the sky looks like")


class WeatherDict(TypedDict):
    """The weather of a city."""

    city: str
    sky: str


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


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page. The name of a class such as `Page[int]` is the name of no function."""

    number: int
    items: list[T]


class IntPage(Page[int]):
    """A page of numbers."""


@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy, lambda schema: schema])
@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
async def test_an_agent_gets_json_in_the_types_of_the_schema(api, strategy):
    """None of the fields can be null, so a stream would deliver the text as it arrives."""
    text = text_event('```json\n{"number": "3", "items": "[1]"}\n```')
    with server_of(text) as server:
        agent = create_agent(model_at(server, api=api), response_format=strategy(IntPage))
        question = {"messages": [("user", "?")]}
        for state in (agent.invoke(question), await agent.ainvoke(question)):
            assert state["structured_response"] == IntPage(number=3, items=[1])


NUMBERED = "Get the weather of Lisbon, then a page with the number 3."


@pytest.mark.parametrize("schema", [Page[int], Page[Page[int]], IntPage])
@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
async def test_a_generic_class_is_a_schema(api, schema):
    model = ChatKieGemini(model="gemini-3-flash", api=api)
    for method in ("json_schema", "function_calling"):
        chain = model.with_structured_output(schema, method=method)
        pages = [chain.invoke(NUMBERED), await chain.ainvoke(NUMBERED)]
        pages += [
            [*chain.stream(NUMBERED)][-1],
            [page async for page in chain.astream(NUMBERED)][-1],
        ]
        assert {type(page) for page in pages} == {schema}
        assert {page.number for page in pages} == {3}
    question = {"messages": [("user", NUMBERED)]}
    strategies = [ProviderStrategy(schema), schema]
    for strategy in [*strategies, ToolStrategy(schema)] if schema is IntPage else strategies:
        agent = create_agent(model, [get_weather], response_format=strategy)
        states = [agent.invoke(question), await agent.ainvoke(question)]
        states += [[*agent.stream(question, stream_mode="values")][-1]]
        assert {type(state["structured_response"]) for state in states} == {schema}
        assert {state["structured_response"].number for state in states} == {3}


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
async def test_a_generic_class_as_a_tool_is_refused_with_a_hint(api):
    """LangChain names the tool `Page[int]` (langchain 1.5.2); nothing is sent."""
    with server_of() as server:
        model = model_at(server, api=api)
        agent = create_agent(model, [get_weather], response_format=ToolStrategy(Page[int]))
        question = {"messages": [("user", NUMBERED)]}
        with pytest.raises(ValueError, match=r"use a subclass: class MyPage\(Page\[int\]\)"):
            agent.invoke(question)
        with pytest.raises(ValueError, match=r"use a subclass: class MyPage\(Page\[int\]\)"):
            [state async for state in agent.astream(question)]
        assert server.requests == []


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


def test_json_in_thoughts_is_not_the_answer():
    thoughts = 'I will say {"city": "Oslo"}.'
    with server_of(
        text_event('{"city":"Rome","sky":"blue"}', reasoning_content=thoughts)
    ) as server:
        answer = model_at(server).with_structured_output(Weather).invoke("?")
    assert answer == Weather(city="Rome", sky="blue")


def test_an_empty_answer_is_a_parsing_error():
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    with server_of(text_event("") | usage) as server, pytest.raises(OutputParserException):
        model_at(server).with_structured_output(Weather).invoke("?")


METHODS = ["json_schema", "function_calling", "json_mode"]
WEATHER_DICT = {"title": "Weather", **Weather.model_json_schema()}
GOOD = '{"city": "Oslo", "sky": "blue"}'
FAILED_ANSWERS = [
    ("I would rather not.", "stop", "not complete JSON"),
    ("", "stop", "is empty"),
    (" \n", "length", "cut at max_tokens"),
    ('{"city": "Oslo", "sk', "stop", "not complete JSON"),
    ('{"city": "Oslo", "sk', "length", "cut at max_tokens"),
    ('```json\n{"city": "Oslo", "sk', "length", "cut at max_tokens"),
    ('{"city": "Oslo"', "stop", "not complete JSON"),
    (f"{GOOD}{GOOD}", "stop", "not complete JSON"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "schema", [Weather, WEATHER_DICT, WeatherDict], ids=["class", "dict", "TypedDict"]
)
@pytest.mark.parametrize(("text", "finish_reason", "match"), FAILED_ANSWERS)
async def test_an_answer_that_is_not_json_is_the_same_error_in_every_call_mode(
    text, finish_reason, match, schema, method
):
    with server_of(text_answer(text, finish_reason)) as server:
        chain = model_at(server).with_structured_output(schema, method=method)
        with pytest.raises(OutputParserException, match=match):
            chain.invoke("?")
        with pytest.raises(OutputParserException, match=match):
            await chain.ainvoke("?")
        with pytest.raises(OutputParserException, match=match):
            list(chain.stream("?"))
        with pytest.raises(OutputParserException, match=match):
            [part async for part in chain.astream("?")]
        raw = model_at(server).with_structured_output(schema, method=method, include_raw=True)
        results = [raw.invoke("?"), await raw.ainvoke("?"), *raw.stream("?")]
        results += [part async for part in raw.astream("?")]
    assert len(results) == 4
    for result in results:
        assert result["parsed"] is None
        assert isinstance(result["parsing_error"], OutputParserException)
        assert match in str(result["parsing_error"])
        assert result["raw"].response_metadata["finish_reason"] == finish_reason


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Oslo"}',
        '{"city": "Oslo", "sky": ["blue"]}',
        '{"city": "Oslo", "sky": 5.5e1, "x": "',
        "[]",
    ],
)
def test_json_that_does_not_match_is_the_same_error_with_every_method(method, text):
    with server_of(text_answer(text, "stop")) as server:
        chain = model_at(server).with_structured_output(Weather, method=method)
        for ask in (chain.invoke, lambda prompt: list(chain.stream(prompt))):
            with pytest.raises(OutputParserException):
                ask("?")


OSLO = '{"city": "Oslo", "sky": "blue"}'


@pytest.mark.parametrize("text", [OSLO, f"```json\n{OSLO}\n```", "I do not know."])
@pytest.mark.parametrize(("name", "api", "spelling"), SPELLINGS, ids="-".join)
async def test_an_agent_ends_after_one_answer_without_the_required_call(name, api, spelling, text):
    """docs/wire.md 2: a forced tool choice was seen to be ignored."""
    event = native_event(text) if api == "generate_content" else text_event(text)
    question = {"messages": [{"role": "user", "content": "Describe the weather."}]}
    with server_sending(sse(event)) as server:
        model = model_at(server, model=spelling, api=api)
        agent = create_agent(model, tools=[], response_format=Weather)
        if text.startswith("I"):
            with pytest.raises((KieToolCallMissingError, StructuredOutputValidationError)):
                await agent.ainvoke(question)
        else:
            result = await agent.ainvoke(question)
            assert result["structured_response"] == Weather(city="Oslo", sky="blue")
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "finish_reason", "match"),
    [
        ('{"city": "Oslo"}', "tool_calls", "does not match the schema"),
        ('{"city": "Oslo", "sk', "tool_calls", "not complete JSON"),
        ('{"city": "Oslo", "sk', "length", "cut at max_tokens"),
        ('{"beats": [null, null]}', "tool_calls", "does not match the schema"),
    ],
)
def test_a_call_that_does_not_match_is_a_parsing_error(arguments, finish_reason, match):
    with server_of(call_event("Weather", arguments, finish_reason)) as server:
        model = model_at(server)
        chain = model.with_structured_output(Weather, method="function_calling")
        with pytest.raises(OutputParserException, match=match):
            chain.invoke("?")
        with pytest.raises(OutputParserException, match=match):
            list(chain.stream("?"))
        raw = model.with_structured_output(Weather, method="function_calling", include_raw=True)
        result = raw.invoke("?")
    assert isinstance(result["parsing_error"], OutputParserException)
    assert result["parsed"] is None
    assert len(result["raw"].tool_calls + result["raw"].invalid_tool_calls) == 1


@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", f"Here:\n```\n{GOOD}\n```"])
@pytest.mark.parametrize("schema", [Weather, WEATHER_DICT], ids=["class", "dict"])
async def test_json_text_in_place_of_the_call_is_accepted(schema, text):
    with server_of(text_event(text)) as server:
        chain = model_at(server).with_structured_output(schema, method="function_calling")
        streamed = [part async for part in chain.astream("?")]
        values = [chain.invoke("?"), await chain.ainvoke("?"), [*chain.stream("?")][-1]]
    for value in (*values, streamed[-1]):
        assert value in (Weather(city="Oslo", sky="blue"), json.loads(GOOD))


@pytest.mark.parametrize("text", ['{"city": "Oslo"}', "[]", '"Oslo"', '{"city": 1.5, "sky": []}'])
def test_json_text_of_another_form_is_not_the_call(text):
    with server_of(text_event(text)) as server:
        chain = model_at(server).with_structured_output(WEATHER_DICT, method="function_calling")
        with pytest.raises(OutputParserException, match="does not match the schema"):
            chain.invoke("?")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_a_call_of_another_tool_is_no_error(method):
    with server_of(call_event("get_weather", '{"city": "Oslo"}')) as server:
        options = {"method": method, "tools": [get_weather]}
        chain = model_at(server).with_structured_output(Weather, **options)
        assert chain.invoke("?") is None
        assert await chain.ainvoke("?") is None
        assert list(chain.stream("?")) == [None]
        raw = model_at(server).with_structured_output(Weather, include_raw=True, **options)
        result = raw.invoke("?")
    assert result["parsed"] is None
    assert result["parsing_error"] is None
    assert [call["name"] for call in result["raw"].tool_calls] == ["get_weather"]


@pytest.mark.parametrize(
    ("method", "tools"),
    [*((method, None) for method in METHODS), *((m, [get_weather]) for m in METHODS[:2])],
)
async def test_a_call_of_an_unknown_function_is_a_parsing_error(method, tools):
    with server_of(call_event("fly", '{"city": "Oslo"}')) as server:
        chain = model_at(server).with_structured_output(Weather, method=method, tools=tools)
        for call in (chain.invoke, lambda prompt: list(chain.stream(prompt))):
            with pytest.raises(OutputParserException, match="'fly', which the model was not off"):
                call("?")
        with pytest.raises(OutputParserException):
            await chain.ainvoke("?")


def test_json_text_with_a_call_of_a_tool_is_the_answer():
    call = call_event("get_weather", '{"city": "Oslo"}')
    with server_of(text_event(GOOD), call) as server:
        chain = model_at(server).with_structured_output(Weather, tools=[get_weather])
        assert chain.invoke("?") == Weather(city="Oslo", sky="blue")


class Picky(BaseModel):
    """A class whose validator expects all keys."""

    city: str
    sky: str

    @model_validator(mode="before")
    @classmethod
    def check(cls, values: Any) -> Any:
        if len(values["sky"]) + len(values["city"]) > 20:
            raise RuntimeError("too long")
        return values


def test_a_validator_that_raises_for_a_part_of_the_answer_runs_again_at_the_end():
    pieces = [{"choices": [{"delta": {"content": piece}}]} for piece in ('{"city": ', '"Oslo"')]
    for rest, is_valid in ((', "sky": "blue"}', True), (', "sky": "a very long answer"}', False)):
        with server_of(*pieces, text_event(rest)) as server:
            chain = model_at(server).with_structured_output(Picky)
            with nullcontext() if is_valid else pytest.raises(RuntimeError, match="too long"):
                assert list(chain.stream("?")) == [Picky(city="Oslo", sky="blue")]


@pytest.mark.parametrize("schema", [Weather, WEATHER_DICT], ids=["class", "dict"])
def test_no_method_is_the_default_one(schema):
    with server_of(text_event(GOOD)) as server:
        model = model_at(server)
        assert model.with_structured_output(schema, method=None).invoke("?")
        model.with_structured_output(schema).invoke("?")
        first, second = (request.json for request in server.requests)
    assert first == second
    assert first["response_format"]["type"] == "json_schema"


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
    with server_of(*events, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}) as server:
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
    with server_of(text_event('{"name":"root","kids":[{"name":"leaf"}]}')) as server:
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
    with server_of(text_event("[]")) as server:
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
    with server_of(text_event("Here it is."), text_event("", tool_calls=[call])) as server:
        chain = model_at(server).with_structured_output(schema, include_raw=True)
        result = chain.invoke("?")
        parts = list(model_at(server).with_structured_output(schema).stream("?"))
    assert result["parsed"] == {"type": "x", "n": 2}
    assert isinstance(result["parsed"]["n"], int)
    assert parts[-1] == result["parsed"]
    assert "Here it is." in result["raw"].additional_kwargs["reasoning_content"]


@pytest.mark.parametrize("tools", [[], [get_weather]], ids=["no tools", "tools"])
def test_an_error_text_instead_of_the_answer_is_an_error(tools):
    event = text_event("Server exception, please try again later")
    with server_of(event) as server, pytest.raises(KieServerError):
        model_at(server).bind_tools(tools, response_format=Weather).invoke("?")
