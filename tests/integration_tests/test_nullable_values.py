"""Structured output with values that may be null, as KIE's models write them."""

from __future__ import annotations

import json
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import pytest
from answer_events import call_event, native_event, server_of, text_event
from call_modes import model_at, model_reading, server_sending
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel
from scripted_server import sse

from langchain_kie import ChatKieGemini
from langchain_kie.emulator import Emulator

if TYPE_CHECKING:
    from scripted_server import ScriptedServer


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It is sunny in {city}."


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    sky: str


class Kind(Enum):
    """A kind."""

    SMALL = "small"
    LARGE = "large"


class Part(BaseModel):
    """A part."""

    name: str
    count: int | None


class Order(BaseModel):
    """An order, with every kind of property that may be null."""

    name: str
    age: int | None
    rate: float | None = None
    level: Literal["low", "high"] | None
    kind: Kind | None
    due: date | None
    parts: list[Part] | None
    first: Part | None
    tags: list[str | None]
    amount: int | str
    choice: Part | Kind
    scores: dict[str, int]


FULL_ORDER: dict[str, Any] = {
    "name": "n",
    "age": 3,
    "rate": 0.5,
    "level": "low",
    "kind": Kind.LARGE,
    "due": date(2026, 1, 2),
    "parts": [Part(name="p", count=1), Part(name="q", count=None)],
    "first": Part(name="f", count=None),
    "tags": ["a", None],
    "amount": 5,
    "choice": Part(name="c", count=2),
    "scores": {"x": 1},
}
PLAIN_ORDER = Order(**FULL_ORDER).model_dump(mode="json")
NULLABLE = ["age", "rate", "level", "kind", "due", "parts", "first"]
NO_NULLS = Order(**FULL_ORDER | dict.fromkeys(NULLABLE))
ORDERS: dict[str, tuple[dict[str, Any], Order]] = {
    "complete": (PLAIN_ORDER, Order(**FULL_ORDER)),
    "null": (PLAIN_ORDER | dict.fromkeys(NULLABLE), NO_NULLS),
    "absent": ({k: v for k, v in PLAIN_ORDER.items() if k not in NULLABLE}, NO_NULLS),
    "empty text": (PLAIN_ORDER | dict.fromkeys(NULLABLE, ""), NO_NULLS),
    "the text null": (PLAIN_ORDER | dict.fromkeys(NULLABLE, "null"), NO_NULLS),
    "nested": (
        PLAIN_ORDER | {"parts": [{"name": "p"}, {"name": "q", "count": ""}], "first": {"name": ""}},
        Order(**FULL_ORDER | {
            "parts": [Part(name="p", count=None), Part(name="q", count=None)],
            "first": Part(name="", count=None),
        }),
    ),
    "texts for numbers": (
        PLAIN_ORDER | {"age": "3", "rate": "0.5", "scores": {"x": "1"}}, Order(**FULL_ORDER)
    ),
    "no map": (PLAIN_ORDER | {"scores": {}}, Order(**FULL_ORDER | {"scores": {}})),
}  # fmt: skip


def _order_server(
    api: str, method: str, answer: dict[str, Any], name: str = "Order"
) -> ScriptedServer:
    """A server that answers as KIE does: with JSON text, or with a call."""
    arguments = json.dumps(answer)
    if api == "generate_content":
        call = {"functionCall": {"name": name, "args": answer}}
        part = {"text": arguments} if method == "json_schema" else call
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
        return server_sending(sse(json.dumps({"candidates": [candidate]})))
    if method == "json_schema":
        return server_of(text_event(arguments))
    return server_of(call_event(name, arguments))


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize(("answer", "expected"), ORDERS.values(), ids=ORDERS)
async def test_values_that_may_be_null_are_read_as_the_server_writes_them(
    api, method, answer, expected
):
    with _order_server(api, method, answer) as server:
        chain = model_at(server, api=api).with_structured_output(Order, method=method)
        streamed = [part async for part in chain.astream("?")]
        values = [chain.invoke("?"), await chain.ainvoke("?"), [*chain.stream("?")][-1]]
    assert [*values, streamed[-1]] == [expected] * 4


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("strategy", [ToolStrategy(Order), ProviderStrategy(Order), Order])
@pytest.mark.parametrize("name", ORDERS)
async def test_the_text_for_an_agent_has_the_types_of_the_schema(api, method, strategy, name):
    """LangChain validates it itself, and not with this package's parser."""
    answer, expected = ORDERS[name]
    question = {"messages": [{"role": "user", "content": "Order."}]}
    with _order_server(api, method, answer) as server:
        agent = create_agent(model_at(server, api=api), [get_weather], response_format=strategy)
        states = [agent.invoke(question), await agent.ainvoke(question)]
        modes = ["messages", "values"]  # with `messages`, the model streams
        states.append([*agent.stream(question, stream_mode=modes)][-1][1])
        assert len(server.requests) == 3
    assert [state["structured_response"] for state in states] == [expected] * 3


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
async def test_text_in_the_types_of_a_schema_is_the_same_in_a_stream(api):
    text = f"```json\n{json.dumps({'name': 'b', 'kind': ''})}\n```"
    event = native_event(text) if api == "generate_content" else text_event(text)
    with server_sending(sse(event)) as server:
        model = model_at(server, api=api).bind_tools([], response_format=Box)
        texts = ["".join(chunk.text for chunk in model.stream("?"))]
        texts += ["".join([chunk.text async for chunk in model.astream("?")])]
        texts += [model.invoke("?").text, (await model.ainvoke("?")).text]
        assert texts == ['{"name":"b","kind":null,"parts":null}'] * 4
        model = model_at(server, api=api).bind_tools([], response_format=Weather)
        assert model.invoke("?").text == text[8:-4]


def test_text_is_streamed_as_it_comes_if_nothing_can_be_null():
    pieces = [{"choices": [{"delta": {"content": piece}}]} for piece in ('{"city": ', '"Oslo"')]
    reads = [sse(piece) for piece in (*pieces, text_event("}"))]
    model = model_reading(*reads).bind_tools([], response_format=Weather)
    assert [chunk.text for chunk in model.stream("?")][:2] == ['{"city": ', '"Oslo"']


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize(
    "wrong", [{"parts": [None, None]}, {"name": None}, {"scores": None}, {"amount": None}]
)
def test_values_that_may_not_be_null_are_an_error(api, method, wrong):
    """wire.md 5-3: nested objects that were lost, for example."""
    with _order_server(api, method, PLAIN_ORDER | wrong) as server:
        chain = model_at(server, api=api).with_structured_output(Order, method=method)
        with pytest.raises(OutputParserException, match="does not match the schema"):
            chain.invoke("?")


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("digits", ["12345678901234567890123", "-98765432109876543210"])
def test_integers_in_json_text_keep_their_digits(api, digits):
    order = {**PLAIN_ORDER, "amount": int(digits), "scores": {"x": digits}}
    with _order_server(api, "json_schema", order) as server:
        chain = model_at(server, api=api).with_structured_output(Order)
        answers = [chain.invoke("?"), *chain.stream("?")]
    for answer in (answers[0], answers[-1]):
        assert answer.amount == int(digits)
        assert answer.scores == {"x": int(digits)}


class Lists(BaseModel):
    """Lists with items that may be null, and a property that is not null if it is absent."""

    sizes: list[int | None]
    kinds: list[Kind | None]
    levels: list[Literal["low", "high"] | None]
    days: list[date | None]
    parts: list[Part | None]
    rows: list[list[int] | None]
    mixed: list[int | Part | None]
    limit: int | None = 5


NULLS = {name: [None] for name in Lists.model_fields} | {"limit": None}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_natively_a_text_means_null_where_nothing_can_be_left_out(method):
    """wire.md 2.4-8: the model writes a text that the schema allows, else it invents a value."""
    with Emulator(ignore_nullable=True) as emulator:
        model = ChatKieGemini(
            model="gemini-3.8-flash", api="generate_content", base_url=emulator.base_url
        )
        chain = model.with_structured_output(Lists, method=method)
        answer = chain.invoke("The limit is 7.")
    assert answer == Lists(**NULLS | {"limit": 7})
    for text in ("null", ""):
        answer = {name: [text] for name in Lists.model_fields} | {"limit": text}
        with _order_server("generate_content", method, answer, name="Lists") as server:
            chain = model_at(server, api="generate_content")
            chain = chain.with_structured_output(Lists, method=method)
            assert chain.invoke("?") == [*chain.stream("?")][-1] == Lists(**NULLS)


class Box(BaseModel):
    """A box, without a map, which no `response_format` can carry."""

    name: str
    kind: Kind | None
    parts: list[Part] | None


def test_natively_the_model_never_has_to_write_null():
    with _order_server("generate_content", "json_schema", {"name": "b"}) as server:
        model = model_at(server, api="generate_content")
        assert model.with_structured_output(Box).invoke("?") == Box(name="b", kind=None, parts=None)
        config = server.requests[0].json["generationConfig"]
        model.bind_tools([Box]).invoke("?")
        [tools] = server.requests[1].json["tools"]
    [function] = tools["functionDeclarations"]
    assert config.keys() == {"responseMimeType", "responseSchema"}
    for schema in (config["responseSchema"], function["parameters"]):
        assert schema["required"] == ["name"]
        assert schema["properties"]["kind"]["enum"] == ["small", "large"]
        assert "Leave out" in schema["properties"]["kind"]["description"]
        assert schema["properties"]["parts"]["items"]["required"] == ["name"]
        assert '"NULL"' not in json.dumps(schema)
