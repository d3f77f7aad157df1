"""`with_structured_output`: the request for each method, and the value of each answer."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import orjson
import pytest
import typing_extensions
from call_modes import model_at, server_sending
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, create_model
from pydantic import v1 as pydantic_v1
from scripted_server import Scripted, sse

from langchain_kie import ChatKieGemini


def answer_body(content: str, **message: Any) -> bytes:
    choice = {"message": {"content": content, **message}, "finish_reason": "stop"}
    return orjson.dumps({"id": "x", "choices": [choice]})


def tool_call_body(name: str, arguments: str) -> bytes:
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}
    return answer_body("", tool_calls=[call])


class City(BaseModel):
    """A city."""

    name: str
    people: int


class CityDict(TypedDict):
    """A city."""

    name: str
    people: int


METHODS = ("json_schema", "function_calling", "json_mode")
CITY = City.model_json_schema()
SCHEMAS = {"pydantic": City, "TypedDict": CityDict, "dict": CITY}
GOOD = '{"name": "Oslo", "people": 700000}'
FENCES = {
    "bare": GOOD,
    "fenced": f"```json\n{GOOD}\n```",
    "fenced without a name": f"```\n{GOOD}\n```",
    "with white space": f"\n  {GOOD}\n\n",
    "fenced after text": f"Here it is:\n```\n{GOOD}\n```\n",
}


def as_dict(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


@pytest.mark.parametrize("text", FENCES.values(), ids=FENCES)
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
async def test_json_text_with_or_without_a_fence_is_the_value(method, schema, text) -> None:
    """wire.md 2.4-2: answers can be in a Markdown fence."""
    with server_sending(answer_body(text)) as server:
        structured = model_at(server).with_structured_output(schema, method=method)
        for value in (structured.invoke("hi"), await structured.ainvoke("hi")):
            assert as_dict(value) == {"name": "Oslo", "people": 700000}
            assert isinstance(value, City) == (schema is City)
        sent = server.requests[0].json["response_format"]
        assert sent["type"] == ("json_schema" if method == "json_schema" else "json_object")
        raw = model_at(server).with_structured_output(schema, method=method, include_raw=True)
        result = raw.invoke("hi")
        assert as_dict(result["parsed"]) == {"name": "Oslo", "people": 700000}
        assert result["parsing_error"] is None
        assert isinstance(result["raw"], AIMessage)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_a_forced_call_s_arguments_are_the_value(schema) -> None:
    name = "CityDict" if schema is CityDict else "City"
    with server_sending(tool_call_body(name, GOOD)) as server:
        structured = model_at(server).with_structured_output(schema, method="function_calling")
        for value in (structured.invoke("hi"), await structured.ainvoke("hi")):
            assert as_dict(value) == {"name": "Oslo", "people": 700000}
            assert isinstance(value, City) == (schema is City)
        body = server.requests[0].json
        assert [t["function"]["name"] for t in body["tools"]] == [name]
        assert body["tool_choice"] == {"type": "function", "function": {"name": name}}
        raw = model_at(server).with_structured_output(
            schema, method="function_calling", include_raw=True
        )
        assert as_dict(raw.invoke("hi")["parsed"]) == {"name": "Oslo", "people": 700000}


class Strict(BaseModel):
    """In Python it takes no text for a date; in JSON it does."""

    model_config = ConfigDict(strict=True)
    day: date
    pair: tuple[int, int]


class Timed(BaseModel):
    """Its schema says that the time is text; the class takes seconds, too."""

    wait: timedelta
    pairs: list[tuple[int, int]] = []


VALUES_OF_CLASSES = [
    (Strict, '{"day": "2026-01-02", "pair": [1, 2]}', Strict(day=date(2026, 1, 2), pair=(1, 2))),
    (Timed, '{"wait": 30}', Timed(wait=timedelta(seconds=30))),
    (Timed, '{"wait": "PT1M"}', Timed(wait=timedelta(minutes=1))),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("cls", "text", "expected"), VALUES_OF_CLASSES)
async def test_what_the_class_takes_is_the_value(cls, text, expected, method) -> None:
    with server_sending(answer_body(text)) as server:
        structured = model_at(server).with_structured_output(cls, method=method)
        assert structured.invoke("?") == await structured.ainvoke("?") == expected
        assert [*structured.stream("?")][-1] == expected
        assert structured.OutputType is cls


@pytest.mark.parametrize("method", METHODS)
async def test_a_tuple_with_too_few_items_is_a_parsing_error(method) -> None:
    with server_sending(answer_body('{"wait": 1, "pairs": [[1]]}')) as server:
        structured = model_at(server).with_structured_output(Timed, method=method)
        for call in (structured.invoke, lambda text: [*structured.stream(text)]):
            with pytest.raises(OutputParserException, match="does not match the schema"):
                call("?")


OPENAI_FORM = {"name": "Place", "schema": CITY, "strict": True}


@pytest.mark.parametrize(
    "given", [OPENAI_FORM, {"type": "json_schema", "json_schema": OPENAI_FORM}]
)
def test_a_schema_in_the_form_of_openai_is_its_schema(given) -> None:
    with server_sending(answer_body(GOOD)) as server:
        model = model_at(server)
        for method in METHODS:
            assert (
                model.with_structured_output(given, method=method).invoke("?")["people"] == 700000
            )
        model.bind(response_format=given).invoke("?")
        as_text, as_function, _, bound = (request.json for request in server.requests)
        for body in (as_text, bound):
            inner = body["response_format"]["json_schema"]
            assert inner["schema"]["properties"] == CITY["properties"]
            assert inner["strict"] is True
        (tool,) = as_function["tools"]
        assert tool["function"]["parameters"]["properties"].keys() == {"name", "people"}


def test_only_json_mode_needs_no_schema() -> None:
    with server_sending(answer_body(GOOD)) as server:
        model = model_at(server)
        assert model.with_structured_output(method="json_mode").invoke("?")["people"] == 700000
        for method in ("json_schema", "function_calling", None):
            with pytest.raises(ValueError, match="needs a schema; only json_mode does not"):
                model.with_structured_output(method=method)


class Count(RootModel[int]):
    """A number."""


@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.8-flash"])
async def test_a_number_that_was_cut_is_not_the_answer(model: str) -> None:
    """12 can be the start of 12345."""
    choice = {"delta": {"content": "12"}, "finish_reason": "length"}
    candidate = {"content": {"parts": [{"text": "12"}]}, "finishReason": "MAX_TOKENS"}
    body = {"candidates": [candidate]} if model == "gemini-3.8-flash" else {"choices": [choice]}
    with server_sending(sse(body)) as server:
        structured = model_at(server, model=model).with_structured_output(Count)
        with pytest.raises(OutputParserException, match="cut at max_tokens"):
            structured.invoke("?")
        with pytest.raises(OutputParserException, match="cut at max_tokens"):
            await structured.ainvoke("?")
        server.script = [
            Scripted([sse(body).replace(b'"length"', b'"stop"').replace(b"MAX_TOKENS", b"STOP")])
        ]
        assert structured.invoke("?") == Count(12)


class Unfinished(BaseModel):
    city: "Undefined"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (list[City], ""),
        (City | CityDict, ""),
        (Optional[City], ""),  # noqa: UP045 - of another class than `City | None`
        (Literal["a"], ""),
        (City(name="Oslo", people=1), ""),
        ([City], ""),
        ("City", ""),
        (int, r" \(no signature found"),
        (Unfinished, r" \(`Unfinished` is not fully defined"),
    ],
    ids=str,
)
def test_what_is_no_schema_of_an_object_is_rejected(schema: Any, reason: str, method: Any) -> None:
    match = rf"cannot be the schema of an answer{reason}.*: use a pydantic class"
    with pytest.raises(ValueError, match=match):
        ChatKieGemini(model="gemini-3-flash", api_key="k").with_structured_output(
            schema, method=method
        )


@pytest.mark.parametrize(
    ("schema", "method", "match"),
    [
        ({"google_search": {}}, "function_calling", "a built-in tool cannot be the schema"),
        ({"function": "f"}, "json_schema", "cannot be the schema of an answer"),
        ({"function": "f"}, "function_calling", "function of a tool must be a dict"),
        ({"type": "json_schema"}, "json_schema", "needs a schema"),
        ({"type": "json_schema", "json_schema": "x"}, "json_schema", "cannot be the schema"),
        ({"type": "json_object", "json_schema": "x"}, "json_schema", "needs json_schema.schema"),
    ],
    ids=str,
)
def test_a_dict_that_is_no_schema_is_rejected(schema: Any, method: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ChatKieGemini(model="gemini-3-flash", api_key="k").with_structured_output(
            schema, method=method
        )


class Color(Enum):
    RED = "red"


NULL_TEXTS = [
    *[(kind, text, None) for kind in (
        Decimal, int | Decimal, float, bool, date, datetime, timedelta, UUID, Color, City,
        Literal["a"], list[int], complex, Annotated[Decimal, Field(gt=0)],
        Annotated[str, AfterValidator(int)],
    ) for text in ("", "null")],
    (Annotated[str, Field(min_length=1)], "", None),
    (Annotated[str, Field(min_length=5)], "null", None),
    (str, "", ""),
    (str, "null", "null"),
    (str | int, "", ""),
    (Decimal, "1.50", Decimal("1.50")),
    (Decimal, 2, Decimal(2)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "expected"), NULL_TEXTS, ids=str)
async def test_a_text_in_place_of_null_is_none_if_the_type_cannot_have_it(
    kind: Any, value: Any, expected: Any
) -> None:
    """wire.md 2.4-8: `nullable` is ignored, so that models write a text where null is meant."""
    inner = create_model("Inner", v=(kind | None, ...), n=(int, ...))
    outer = create_model("Outer", items=(list[inner], ...), by_name=(dict[str, inner], ...))
    item = {"v": value, "n": 1}
    text = orjson.dumps({"items": [item, item], "by_name": {"": item}}).decode()
    parts = [{"text": text}]
    native = orjson.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    for model, body in (("gemini-3.5-flash", native), ("gemini-3-flash", answer_body(text))):
        with server_sending(body) as server:
            structured = model_at(server, model=model).with_structured_output(outer)
            parsed = [structured.invoke("hi"), await structured.ainvoke("hi")]
            parsed += [[*structured.stream("hi")][-1]]
        for one in parsed:
            values = [i.v for i in (*one.items, one.by_name[""])]
            assert values == [expected] * 3
            assert all(type(v) is type(expected) for v in values)


@pytest.mark.parametrize("item", [{"v": "", "n": ""}, {"v": "", "n": "null"}, {"v": "x", "n": 1}])
def test_a_text_that_is_not_valid_stays_an_error(item: dict[str, Any]) -> None:
    schema = create_model("Item", v=(Decimal | None, ...), n=(int, ...))
    with server_sending(answer_body(orjson.dumps(item).decode())) as server:
        structured = model_at(server).with_structured_output(schema)
        with pytest.raises(OutputParserException, match="does not match"):
            structured.invoke("hi")


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_half_a_surrogate_pair_does_not_cost_the_value(schema: Any, method: str) -> None:
    """wire.md 11-18: the escape of a half, which pydantic and UTF-8 reject."""
    text = GOOD.replace("Oslo", r"Oslo \ud83c \ud83c\udf24")
    name = "CityDict" if schema is CityDict else "City"
    body = answer_body(text) if method == "json_schema" else tool_call_body(name, text)
    with server_sending(body) as server:
        structured = model_at(server).with_structured_output(schema, method=method)
        for value in (structured.invoke("hi"), [*structured.stream("hi")][-1]):
            assert as_dict(value) == {"name": "Oslo \ufffd 🌤", "people": 700000}


class OptionalKey(TypedDict):
    """A key that may be absent."""

    name: str
    people: NotRequired[int]


class RequiredKey(typing_extensions.TypedDict, total=False):
    """A key that must be there, and one that must not be changed."""

    name: typing_extensions.Required[typing_extensions.ReadOnly[str]]
    people: int


class PartlyRequired(TypedDict, total=False):
    """A key that must be there."""

    name: Required[str]
    people: int


class Tree(TypedDict):
    """A class that refers to itself."""

    name: str
    parts: list[Tree]


class TreeModel(BaseModel):
    """A pydantic class that refers to itself."""

    name: str
    parts: "list[TreeModel]"


LEAF = {"name": "leaf", "parts": []}
UNUSUAL_CLASSES: list[tuple[Any, dict[str, Any]]] = [
    (OptionalKey, {"name": "Oslo"}),
    (RequiredKey, {"name": "Oslo"}),
    (PartlyRequired, {"name": "Oslo"}),
    (Tree, {"name": "root", "parts": [LEAF]}),
    (TreeModel, {"name": "root", "parts": [LEAF]}),
    ({**CITY, "type": ["object", "null"]}, {"name": "Oslo", "people": 1}),
]


@pytest.mark.parametrize(("schema", "value"), UNUSUAL_CLASSES)
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.8-flash"])
async def test_an_unusual_class_or_schema_is_the_schema_of_an_answer(
    model: str, method: Any, schema: Any, value: dict[str, Any]
) -> None:
    """langchain-core 1.8.3 fails to convert some of them for traces."""
    text = orjson.dumps(value).decode()
    with server_sending(answer_body(text)) as server:
        if model == "gemini-3.8-flash":
            candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
            server.script = [Scripted([sse({"candidates": [candidate]})])]
        structured = model_at(server, model=model).with_structured_output(schema, method=method)
        values = [structured.invoke("hi"), await structured.ainvoke("hi")]
        values += [
            [*structured.stream("hi")][-1],
            [one async for one in structured.astream("hi")][-1],
        ]
    assert [as_dict(one) for one in values] == [value] * 4


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page."""

    item: T


TITLES: list[tuple[Any, str]] = [
    (Page[int], "Page_int_"),
    (
        {"title": "My page", "type": "object", "properties": {"item": {"type": "integer"}}},
        "My_page",
    ),
    ({"title": "1st", "type": "object", "properties": {"item": {"type": "integer"}}}, "answer_1st"),
]


@pytest.mark.parametrize(("schema", "name"), TITLES)
@pytest.mark.parametrize("model", ["gemini-3-flash", "gemini-3.8-flash"])
async def test_a_title_that_no_function_can_have_is_changed(
    model: str, schema: Any, name: str
) -> None:
    with server_sending(tool_call_body(name, '{"item": "2"}')) as server:
        if model == "gemini-3.8-flash":
            part = {"functionCall": {"name": name, "args": {"item": "2"}}}
            candidate = {"content": {"parts": [part]}, "finishReason": "STOP"}
            server.script = [Scripted([sse({"candidates": [candidate]})])]
        structured = model_at(server, model=model).with_structured_output(
            schema, method="function_calling"
        )
        values = [structured.invoke("hi"), await structured.ainvoke("hi")]
        values += [[*structured.stream("hi")][-1]]
    assert [as_dict(value) for value in values] == [{"item": 2}] * 3
    assert isinstance(values[0], Page) == (schema is Page[int])


async def test_the_last_item_of_a_structured_stream_is_the_value() -> None:
    halves = [{"choices": [{"delta": {"content": t}}]} for t in (GOOD[:20], GOOD[20:])]
    with server_sending(sse(*halves, "[DONE]")) as server:
        structured = model_at(server).with_structured_output(CITY)
        values = [*structured.stream("hi")]
        assert values[-1] == {"name": "Oslo", "people": 700000}
        avalues = [value async for value in structured.astream("hi")]
        assert avalues[-1] == values[-1]


def test_strict_and_the_name_are_sent() -> None:
    """wire.md 2.4-4: `strict` is accepted."""
    with server_sending(answer_body(GOOD)) as server:
        structured = model_at(server).with_structured_output(City, strict=True)
        structured.invoke("hi")
        inner = server.requests[0].json["response_format"]["json_schema"]
    assert (inner["name"], inner["strict"]) == ("City", True)
    assert inner["schema"]["required"] == ["name", "people"]
    assert "ls_structured_output_format" not in server.requests[0].json


def test_a_class_of_pydantic_1_that_does_not_accept_an_answer_is_a_parsing_error() -> None:
    class CityV1(pydantic_v1.BaseModel):
        people: int

    with server_sending(answer_body('{"people": "many"}')) as server:
        structured = model_at(server).with_structured_output(CityV1)
        with pytest.raises(OutputParserException, match="integer"):
            structured.invoke("hi")


def test_a_method_that_does_not_exist_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="magic"):
        ChatKieGemini(model="gemini-3-flash").with_structured_output(City, method="magic")


def test_an_openai_function_and_a_schema_without_a_title_are_schemas() -> None:
    function = {
        "name": "City",
        "description": "A city.",
        "parameters": {k: CITY[k] for k in ("type", "properties", "required")},
    }
    bare = {k: CITY[k] for k in ("type", "properties", "required")}
    with_member = {**bare, "schema": {}}

    def city(name: str, people: int) -> None:
        """A city."""

    schemas = (
        *((function, "City"), (bare, "structured_output"), (with_member, "structured_output")),
        (city, "city"),
    )
    with server_sending(answer_body(GOOD)) as server:
        for schema, name in schemas:
            server.requests.clear()
            value = model_at(server).with_structured_output(schema).invoke("hi")
            assert value == {"name": "Oslo", "people": 700000}
            sent = server.requests[0].json["response_format"]["json_schema"]
            assert sent["name"] == name
            assert set(sent["schema"]["properties"]) == {"name", "people"}


def test_a_native_model_receives_gemini_s_schema() -> None:
    body = orjson.dumps(
        {"candidates": [{"content": {"parts": [{"text": GOOD}]}, "finishReason": "STOP"}]}
    )
    with server_sending(body) as server:
        structured = model_at(server, model="gemini-3.5-flash").with_structured_output(City)
        assert structured.invoke("hi") == City(name="Oslo", people=700000)
        config = server.requests[0].json["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"]["type"] == "OBJECT"
    assert config["responseSchema"]["properties"]["people"]["type"] == "INTEGER"


def test_the_parser_reads_text_and_its_pieces() -> None:
    parser = ChatKieGemini(model="gemini-3-flash", api_key="k").with_structured_output(City).last
    oslo = City(name="Oslo", people=700_000)
    assert parser.parse(GOOD) == oslo
    assert list(parser.transform(iter([GOOD[:20], GOOD[20:]])))[-1] == oslo
    assert list(parser.transform(iter([AIMessage("no"), AIMessage(GOOD)])))[-1] == oslo


def test_another_error_of_a_validator_is_raised_unchanged() -> None:
    def check(value: str) -> str:
        raise LookupError(value)

    Picky = create_model("Picky", name=(Annotated[str, AfterValidator(check)], ...))  # noqa: N806
    answer = answer_body('{"name": "Oslo"}')
    with server_sending(answer) as server, pytest.raises(LookupError, match="Oslo"):
        model_at(server).with_structured_output(Picky).invoke("hi")
