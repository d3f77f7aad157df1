"""A tool call or JSON that was required: what becomes of an answer that is text instead."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    CALL_MODES,
    astream,
    events_of,
    model_at,
    model_reading,
    server_sending,
    stream,
)
from langchain_core.exceptions import OutputParserException
from scripted_server import sse

from langchain_kie import (
    KieProtocolError,
    KieRefusalError,
    KieServerError,
    KieToolCallMissingError,
)
from unit_tests.answer.rows import (
    completion,
    delta,
    fragment,
    fragments,
    native,
    signed_call,
    signed_content,
    signed_text,
)

CHAT, NATIVE = "gemini-3-flash", "gemini-3.5-flash"
APIS = ("chat_completions", "generate_content", "gateway")


def function(name: str, *required: str, **types: Any) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in types.items()}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TOOLS = [
    function("weather", "city", city="string", days="integer"),
    function("rate", "base", base="string", amount="number"),
    function("now"),
]
FENCED = '```json\n{"city": "Oslo", "days": "2"}\n```'
OSLO = {"city": "Oslo", "days": 2}


def chat_stream(*pieces: str, finish_reason: str = "stop") -> bytes:
    return sse(*(delta(content=piece) for piece in pieces), delta(finish_reason), "[DONE]")


def native_stream(*pieces: str, finish_reason: str = "STOP") -> bytes:
    return sse(*(native({"text": piece}) for piece in pieces), native(finish=finish_reason))


def bodies(text: str) -> list[tuple[str, bytes]]:
    """A text as the answer of both APIs, complete and in pieces."""
    pieces = [text[i : i + 3] for i in range(0, len(text), 3)]
    return [
        (CHAT, completion(content=text)),
        (CHAT, chat_stream(*pieces)),
        (NATIVE, native_stream(*pieces)),
    ]


async def answers(body: bytes, name: str, tools: Any = TOOLS, **options: Any) -> list[Any]:
    """The message in every call mode; each sends one request."""
    with server_sending(body) as server:
        model = model_at(server, model=name)
        model = model.bind_tools(tools, **options)
        messages = [await call_mode(model) for call_mode in BASIC_CALL_MODES]
        assert len(server.requests) == len(BASIC_CALL_MODES)
    return messages


@pytest.mark.parametrize("choice", ["any", "weather", ["weather", "rate"]])
@pytest.mark.parametrize(
    "text",
    [
        *(FENCED, FENCED[8:-4], f" {FENCED}\n", FENCED[:-4], f"Sure:\n{FENCED}\nDone."),
        '{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}',
    ],
)
async def test_json_that_fits_one_function_is_the_required_call(text: str, choice: Any) -> None:
    for name, body in bodies(text):
        for message in await answers(body, name, tool_choice=choice):
            (call,) = message.tool_calls
            assert (call["name"], call["args"]) == ("weather", OSLO)
            assert call["id"].startswith("call_")
            assert message.content == ""
            assert message.response_metadata["finish_reason"] == "tool_calls"


MISSING = {
    "prose": ("It is sunny.", "any", "ignored it; its answer: 'It is sunny.'"),
    "JSON that fits no function": ('{"town": "Oslo"}', "any", "ignored it"),
    "a value of the wrong type": ('{"city": "Oslo", "days": "few"}', "any", "ignored it"),
    "a list": ('[{"city": "Oslo"}]', "any", "ignored it"),
    "JSON of a function that was not chosen": ('{"base": "NOK"}', "weather", "call of weather,"),
    "JSON with a text after it": ('{"city": "Oslo"} or so', "any", "ignored it"),
    "a long text": ("word " * 99, "any", "…'"),
    "white space": (" ", "any", "ignored it"),
}


@pytest.mark.parametrize(("text", "choice", "match"), MISSING.values(), ids=MISSING)
async def test_a_required_call_that_is_missing_is_an_error(text, choice, match) -> None:
    """wire.md 2.1-6: a function that was forced by name was ignored."""
    for name, body in bodies(text):
        for call_mode in BASIC_CALL_MODES:
            with server_sending(body) as server:
                model = model_at(server, model=name, max_retries=3)
                with pytest.raises(KieToolCallMissingError, match=match) as caught:
                    await call_mode(model.bind_tools(TOOLS, tool_choice=choice))
                assert len(server.requests) == 1
            error = caught.value
            assert (error.is_retryable, error.max_retries, error.partial) == (False, 0, False)
            assert len(error.message) < 250


A, B = function("a", "city", city="string"), function("b", "city", city="string", n="integer")
OPTIONAL, EMPTY = function("c", n="integer"), function("d")
FORBIDS = function("e", "city", city="string")
FORBIDS["function"]["parameters"]["additionalProperties"] = False
ALLOWS = function("f", "city", city="string")
ALLOWS["function"]["parameters"]["additionalProperties"] = True
MORE = '{"city": "Oslo", "mood": "good"}'
FITTING: dict[str, tuple[list[Any], str, str | None]] = {
    "one, exactly": ([A, OPTIONAL, EMPTY], '{"city": "Oslo"}', "a"),
    "two, exactly": ([A, B], '{"city": "Oslo"}', None),
    "one, exactly, another with more": ([A, B], '{"city": "Oslo", "n": 1}', "b"),
    "one, with more": ([A, EMPTY], MORE, "a"),
    "one, with more, others have nothing of it": ([A, OPTIONAL, EMPTY], MORE, "a"),
    "two, with more": ([A, B], MORE, None),
    "one, with what it forbids": ([FORBIDS], MORE, None),
    "one, with more; another forbids it": ([A, FORBIDS], MORE, "a"),
    "one, with more; another allows it": ([A, ALLOWS], MORE, "f"),
    "one, with more, of the wrong type": ([A], '{"city": [], "mood": "good"}', None),
    "one, with more, but not what it requires": ([B], '{"n": 1, "mood": "good"}', None),
    "one without a name in common": ([OPTIONAL], '{"mood": "good"}', None),
    "one that has no arguments": ([EMPTY], '{"mood": "good"}', None),
    "one with no arguments that has none": ([EMPTY, A], "{}", "d"),
    "one, its name and more": ([A], f'{{"name": "a", "arguments": {MORE}}}', "a"),
    "a list": ([OPTIONAL], "[]", None),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(("tools", "text", "expected"), FITTING.values(), ids=FITTING)
async def test_json_is_the_call_of_the_only_function_that_it_fits(
    tools: list[Any], text: str, expected: str | None, api: Any
) -> None:
    """The same for a structured answer by function calling."""
    value = orjson.loads(text)
    args = value.get("arguments", value) if isinstance(value, dict) else value
    for _, body in bodies(text):
        with server_sending(body) as server:
            model = model_at(server, api=api)
            for call_mode in BASIC_CALL_MODES:
                bound = model.bind_tools(tools, tool_choice="any")
                if expected:
                    calls = (await call_mode(bound)).tool_calls
                    assert [(call["name"], call["args"]) for call in calls] == [(expected, args)]
                else:
                    with pytest.raises(KieToolCallMissingError, match="ignored it"):
                        await call_mode(bound)
            if len(tools) == 1:
                chain = model.with_structured_output(tools[0], method="function_calling")
                for results in (
                    lambda chain=chain: [chain.invoke("hi")],
                    lambda chain=chain: [*chain.stream("hi")],
                ):
                    if expected:
                        assert results()[-1] == args
                    else:
                        with pytest.raises(OutputParserException):
                            results()


@pytest.mark.parametrize(
    ("body", "match", "refusal"),
    [
        (chat_stream("Sorry.", finish_reason="content_filter"), "refused .content_.*Sorry", {}),
        (completion(content=None, refusal="No."), "refused .content_filter.", {"refusal": "No."}),
        (native_stream("", finish_reason="SAFETY"), "refused .content_filter.", {}),
        (native_stream("I wou", finish_reason="MAX_TOKENS"), "cut at max_tokens", None),
        (chat_stream("I wou", finish_reason="length"), "cut at max_tokens", None),
        (fragments(fragment("now", ""), finish_reason="length"), "cut at max_tokens", None),
        (completion("length", tool_calls=[fragment("now")]), "cut at max_tokens", None),
        (completion("language", tool_calls=[fragment("now")]), "not complete JSON", None),
        (fragments(fragment("now", ""), finish_reason="content_filter"), "refused", {}),
    ],
)
async def test_the_error_explains_why_a_call_is_missing(
    body: bytes, match: str, refusal: dict[str, str] | None
) -> None:
    with pytest.raises(KieToolCallMissingError, match=match) as caught:
        await answers(body, CHAT, tool_choice="any")
    message = caught.value.raw_message if isinstance(caught.value, KieRefusalError) else None
    assert (message and message.additional_kwargs) == refusal


async def test_the_text_of_an_upstream_error_is_that_error() -> None:
    with pytest.raises(KieServerError):
        await answers(completion(content="Internal error."), CHAT, tool_choice="any")


CALL = fragment("weather", '{"city":"Oslo"}', index=0, id="c1")


async def test_text_before_a_required_call_is_sent_with_the_call() -> None:
    body = sse(delta(content="Wait"), delta(content="."), delta(tool_calls=[CALL]), delta("stop"))
    for message in await answers(body, CHAT, tool_choice="any"):
        assert message.content == "Wait."
        assert [call["args"] for call in message.tool_calls] == [{"city": "Oslo"}]
    with server_sending(body) as server:
        model = model_at(server).bind_tools(TOOLS, tool_choice="any")
        texts = [chunk.text for chunk in model.stream("hi")]
    assert [text for text in texts if text] == ["Wait."]


async def test_signed_text_before_a_required_call_keeps_its_signature() -> None:
    call = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}, "id": "c1"}}
    signed = {"text": "Wait.", "thoughtSignature": "S=="}
    body = sse(native({"text": "Hm. "}), native(signed), native(call, finish="STOP"))
    for message in await answers(body, NATIVE, tool_choice="any"):
        assert message.content == "Hm. Wait."
        entries = message.additional_kwargs["thought_signatures"]["gemini-3.5-flash"]
        assert entries == [signed_text(4, 9, "S=="), signed_content("Hm. Wait.")]


def answer_calling(name: str, *calls: tuple[str, str]) -> bytes:
    """An answer of an API that calls these functions with these arguments."""
    if name == NATIVE:
        parts = [{"functionCall": {"name": f, "args": orjson.loads(args)}} for f, args in calls]
        return sse(native(*parts, finish="STOP"))
    pieces = [fragment(f, args, index=n, id=f"c{n}") for n, (f, args) in enumerate(calls)]
    return sse(*(delta(tool_calls=[piece]) for piece in pieces), delta("tool_calls"), "[DONE]")


BASE = ("rate", '{"base":"NOK"}')


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("choice", ["weather", ["weather", "now"], ["now"]])
async def test_a_call_of_a_function_that_was_not_chosen_is_an_error(choice: Any, api: str) -> None:
    names = choice if isinstance(choice, list) else [choice]
    name = NATIVE if api == "generate_content" else CHAT
    with server_sending(answer_calling(name, BASE)) as server:
        model = model_at(server, model=name, api=api, max_retries=3)
        for call_mode in BASIC_CALL_MODES:
            match = f"a call of {', '.join(names)}, but the model called 'rate' instead"
            with pytest.raises(KieToolCallMissingError, match=match):
                await call_mode(model.bind_tools(TOOLS, tool_choice=choice))
            options = {"tool_choice": choice, "require_tool_call": False}
            message = await call_mode(model.bind_tools(TOOLS, **options))
            assert [call["name"] for call in message.tool_calls] == ["rate"]
        assert len(server.requests) == 2 * len(BASIC_CALL_MODES)


@pytest.mark.parametrize("name", [CHAT, NATIVE])
async def test_a_call_next_to_the_required_one_is_no_error(name: str) -> None:
    body = answer_calling(name, BASE, ("weather", '{"city":"Oslo"}'))
    for message in await answers(body, name, tool_choice="weather"):
        assert [call["name"] for call in message.tool_calls] == ["rate", "weather"]


async def test_a_choice_that_requires_nothing_leaves_the_text() -> None:
    for choice in (None, "auto"):
        for message in await answers(completion(content=FENCED), CHAT, tool_choice=choice):
            assert (message.content, message.tool_calls) == (FENCED, [])


SCHEMA = {"title": "report", "type": "object", "properties": {"city": {"type": "string"}}}
JSON = '{"city": "Oslo ``` {"}'
TEXTS = {
    "a fence": (f"```json\n{JSON}\n```", JSON),
    "a fence without a language": (f" \n```\n{JSON}\n``` ", JSON),
    "a fence in upper case": (f"```JSON {JSON}```", JSON),
    "a fence without an end": (f"```json\n{JSON}", JSON),
    "bare JSON": (JSON, JSON),
    "a fence with something else": ("```json\nOslo\n```", "```json\nOslo\n```"),
    "a fence that is cut": ('```json\n{"city": "Os', '```json\n{"city": "Os'),
    "prose": ("It is Oslo.", "It is Oslo."),
    "prose and a fence": (f"Here: ```json\n{JSON}\n```", JSON),
    "prose around a fence": (f"Here:\n```\n{JSON}\n```\nBye", JSON),
    "a fence and prose": (f"```json\n{JSON}\n``` It is Oslo.", JSON),
    "prose and a list in a fence": ("Here: ```json\n[1]\n```", "[1]"),
    "prose and two fences": ("A ```\n{}\n``` B ```\n{}\n```", "A ```\n{}\n``` B ```\n{}\n```"),
    "prose and a fenced word": ("It is ```\n1\n```", "It is ```\n1\n```"),
    "prose and a fence that is cut": ('Here: ```\n{"city": "Os', 'Here: ```\n{"city": "Os'),
    "a long number": (f'```\n{{"n": {10**22}}}\n```', f'{{"n": {10**22}}}'),
    "nothing but an accent": ("``", "``"),
}
FORMATS = {
    "json_schema": ((), {"response_format": SCHEMA}),
    "json_object": ((), {"response_format": {"type": "json_object"}}),
    "an answer function": (TOOLS, {"response_format": SCHEMA}),
}


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize(("sent", "expected"), TEXTS.values(), ids=TEXTS)
async def test_the_text_of_a_json_answer_is_bare_json(sent, expected, response_format) -> None:
    tools, options = FORMATS[response_format]
    for name, body in bodies(sent):
        if tools and name == CHAT:
            name = "gemini-3-pro"  # noqa: PLW2901 - it takes no response_format with functions
        for message in await answers(body, name, tools, **options):
            assert message.content == expected
            assert message.tool_calls == []


REPORT = '{"city":"Oslo"}'
NULLABLE = {**SCHEMA, "properties": {"city": {"type": ["string", "null"]}}}
NAMED = {"type": "json_schema", "json_schema": {"name": "response_format", "schema": SCHEMA}}


def calls_of(name: str, *pieces: str) -> list[tuple[str, bytes]]:
    """A call as the answer of both APIs, with text before it."""
    text = "".join(pieces)
    first, *others = pieces
    fragments = [
        fragment(name, first, index=0, id="c1"),
        *(fragment(None, piece, index=0) for piece in others),
    ]
    part = {"functionCall": {"name": name, "args": orjson.loads(text)}}
    return [
        (CHAT, completion(content="", tool_calls=[fragment(name, text, id="c1")])),
        (CHAT, completion(content="Here.", tool_calls=[fragment(name, text, id="c1")])),
        (CHAT, sse(*(delta(tool_calls=[one]) for one in fragments), delta("tool_calls"))),
        (CHAT, sse(delta(content="Here"), *(delta(tool_calls=[one]) for one in fragments),
                   delta("tool_calls"))),
        (NATIVE, sse(native({"text": "Here."}), native(part, finish="STOP"))),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "schema"),
    [("report", SCHEMA), ("report", NULLABLE), ("report", NAMED), ("response_format", NAMED)],
)
async def test_a_call_with_the_name_of_the_schema_is_the_answer(name: str, schema: Any) -> None:
    for model, body in calls_of(name, '{"city":', '"Oslo"}'):
        for message in await answers(body, model, (), response_format=schema):
            assert message.content == REPORT
            assert message.tool_calls == message.invalid_tool_calls == []
            assert message.response_metadata["finish_reason"] == "stop"


OF_TOOL, OF_ANSWER = ("weather", OSLO), ("report", orjson.loads(REPORT))
NEXT_TO_ANSWER: dict[str, tuple[list[Any], str, str, int]] = {
    "text": (["Let me see."], "Let me see.", "", 0),
    "text and a call": (["Let me see.", OF_TOOL], "Let me see.", "", 1),
    "a call and text": ([OF_TOOL, "Let me see."], "Let me see.", "", 1),
    "text and the answer": (["It is ", "Oslo.", OF_ANSWER], REPORT, "It is Oslo.", 0),
    "the answer and text": ([OF_ANSWER, "It is Oslo."], REPORT, "It is Oslo.", 0),
    "text on both sides": (["It is", OF_ANSWER, " Oslo."], REPORT, "It is Oslo.", 0),
    "text, a call, the answer": (["Hm.", OF_TOOL, OF_ANSWER], REPORT, "Hm.", 1),
    "text, the answer, a call": (["Hm.", OF_ANSWER, OF_TOOL], REPORT, "Hm.", 1),
    "a call, text, the answer": ([OF_TOOL, "Hm.", OF_ANSWER], REPORT, "Hm.", 1),
    "a call, the answer, text": ([OF_TOOL, OF_ANSWER, "Hm."], REPORT, "Hm.", 1),
    "the answer and the same JSON": ([OF_ANSWER, REPORT], REPORT, REPORT, 0),
    "JSON and the same answer": ([REPORT, OF_ANSWER], REPORT, REPORT, 0),
    "JSON, a call, the same answer": ([REPORT, OF_TOOL, OF_ANSWER], REPORT, REPORT, 1),
    "a call and JSON after prose": ([OF_TOOL, f"Sure:\n{FENCED}"], f"Sure:\n{FENCED}", "", 1),
    "a call and JSON": ([OF_TOOL, '{"city": 1}'], '{"city": 1}', "", 1),
}
"""What an answer has, in order; its text, its thoughts, and the number of tool calls."""


def pieces_of(parts: list[Any]) -> list[tuple[str, bytes]]:
    """Text and calls as the answer of each API."""
    texts = "".join(part for part in parts if isinstance(part, str))
    calls = [
        fragment(part[0], orjson.dumps(part[1]).decode(), index=at, id=f"c{at}")
        for at, part in enumerate(parts)
        if not isinstance(part, str)
    ]
    left = iter(calls)
    deltas = [
        delta(content=part) if isinstance(part, str) else delta(tool_calls=[next(left)])
        for part in parts
    ]
    chat = sse(*deltas, delta("stop"))
    native_parts = [
        {"text": part}
        if isinstance(part, str)
        else {"functionCall": {"name": part[0], "args": part[1]}}
        for part in parts
    ]
    whole = completion(content=texts, **({"tool_calls": calls} if calls else {}))
    return [
        *((api, body) for api in ("chat_completions", "gateway") for body in (chat, whole)),
        ("generate_content", sse(*map(native, native_parts), native(finish="STOP"))),
        ("generate_content", sse(native(*native_parts, finish="STOP"))),
    ]


@pytest.mark.parametrize("schema", [SCHEMA, NULLABLE], ids=["schema", "nullable"])
@pytest.mark.parametrize("parts", NEXT_TO_ANSWER)
async def test_text_next_to_the_answer_is_kept_as_a_thought(parts: str, schema: Any) -> None:
    """On every API alike, whether it has an answer function or not."""
    sent, text, thoughts, calls = NEXT_TO_ANSWER[parts]
    for api, body in pieces_of(sent):
        with server_sending(body) as server:
            model = model_at(server, model="gemini-3-flash", api=api)
            model = model.bind_tools(TOOLS, response_format=schema)
            for call_mode in CALL_MODES:
                message = await call_mode(model)
                assert message.text == text
                assert message.additional_kwargs.get("reasoning_content", "") == thoughts
                assert len(message.tool_calls) == calls


@pytest.mark.parametrize("text", ["{", '{"city"'])
async def test_a_call_after_json_that_was_sent_is_a_thought(text: str) -> None:
    for api, body in pieces_of([text, OF_ANSWER]):
        model = model_reading(*events_of(body), api=api).bind_tools((), response_format=SCHEMA)
        for call_mode in (stream, astream):
            message = await call_mode(model)
            assert message.text == text
            assert message.additional_kwargs["reasoning_content"] == REPORT


@pytest.mark.parametrize("text", [FENCED, FENCED[8:-4], f"Sure:\n{FENCED}"])
async def test_the_json_of_an_answer_has_the_types_of_its_schema(text: str) -> None:
    days = {"type": ["integer", "null"]}  # a stream holds the answer only if null is allowed
    schema = {**SCHEMA, "properties": {"city": {"type": "string"}, "days": days}}
    for name, body in bodies(text):
        for message in await answers(body, name, (), response_format=schema):
            assert message.content == '{"city":"Oslo","days":2}'


async def test_a_signed_call_is_after_the_text_that_was_held() -> None:
    call = {"name": "weather", "args": OSLO, "id": "c1"}
    signed = {"functionCall": call, "thoughtSignature": "S=="}
    body = sse(native({"text": "Hm. "}), native({"text": "Wait."}), native(signed, finish="STOP"))
    for message in await answers(body, NATIVE, response_format=SCHEMA):
        assert (message.content, len(message.tool_calls)) == ("Hm. Wait.", 1)
        entries = message.additional_kwargs["thought_signatures"][NATIVE]
        assert signed_call("c1", 9, "S==", OSLO, "weather") in entries


async def test_json_is_held_beyond_a_block() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    body = sse(native({"text": f"Sure:\n{FENCED}"}), native(code), native(finish="STOP"))
    for message in await answers(body, NATIVE, (), response_format=SCHEMA):
        assert message.text == FENCED[8:-4]


@pytest.mark.parametrize("tools", [(), TOOLS])
async def test_an_answer_without_arguments_is_an_empty_object(tools: Any) -> None:
    body = sse(delta(tool_calls=[fragment("report", "", index=0, id="c1")]), delta("tool_calls"))
    for name, answer in (
        (CHAT, body),
        (CHAT, completion(content="", tool_calls=[fragment("report", "null", id="c1")])),
        (NATIVE, sse(native({"functionCall": {"name": "report"}}, finish="STOP"))),
    ):
        for message in await answers(answer, name, tools, response_format=SCHEMA):
            assert (message.content, message.tool_calls) == ("{}", [])


async def test_a_call_with_another_name_or_of_a_tool_is_not_the_answer() -> None:
    report = [function("report", city="string")]
    for model, body in calls_of("report", REPORT):
        with pytest.raises(KieProtocolError, match="'report', which it was not offered"):
            await answers(body, model, (), response_format={"type": "json_object"})
        for response_format in ({"type": "json_object"}, SCHEMA):
            options = {"response_format": response_format, "check_combinations": False}
            for message in await answers(body, model, report, **options):
                assert [call["name"] for call in message.tool_calls] == ["report"]


async def test_the_error_for_an_unknown_call_next_to_the_answer_names_that_call() -> None:
    calls = [fragment("report", REPORT, index=0, id="c1"), fragment("zz", "{}", index=1, id="c2")]
    parts = [{"functionCall": {"name": name, "args": {}}} for name in ("report", "zz")]
    for model, body in (
        (CHAT, completion(content="", tool_calls=calls)),
        (NATIVE, sse(native(*parts, finish="STOP"))),
    ):
        with pytest.raises(KieProtocolError, match="'zz', which it was not offered"):
            await answers(body, model, (), response_format=SCHEMA)


def test_only_text_that_does_not_start_like_json_is_held() -> None:
    for pieces, shown in (
        (["{", '"a"', ":1}"], ["{", '"a"', ":1}"]),
        (["\n", "{", "}"], ["\n{", "}"]),
        (["``", "`json\n{}", "\n```"], ["{}"]),
        (["``", " no fence", "."], ["`` no fence."]),
        (["Here", ": ```json\n", "{}", "\n```", " Bye"], ["{}"]),
    ):
        model = model_reading(*events_of(chat_stream(*pieces)))
        bound = model.bind_tools((), response_format={"type": "json_object"})
        texts = [chunk.text for chunk in bound.stream("hi")]
        assert [text for text in texts if text] == shown


def test_structured_output_by_function_calling_reads_json_text() -> None:
    with server_sending(completion(content=FENCED)) as server:
        schema = {**SCHEMA, "description": "A report."}
        schema["properties"] = {"city": {"type": "string"}, "days": {"type": "integer"}}
        model = model_at(server).with_structured_output(schema, method="function_calling")
        assert model.invoke("hi") == OSLO
        assert orjson.loads(server.requests[-1].body)["tool_choice"]


async def test_a_second_call_of_the_answer_function_is_left_out() -> None:
    schema = {"title": "report", **TOOLS[0]["function"]["parameters"]}
    body = fragments(
        fragment("report", '{"city": "Oslo"}', index=0, id="c1"), fragment("report", index=1)
    )
    for message in await answers(body, "gemini-3-pro", response_format=schema):
        assert (message.text, message.tool_calls) == ('{"city": "Oslo"}', [])
