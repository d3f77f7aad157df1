"""Bytes to messages: neither the pieces nor the framing matter; a truncated stream raises."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any
from unittest import mock

import orjson
from call_modes import CALL_MODES, blocks_of
from hypothesis import event, given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import message_chunk_to_message
from scripted_server import Scripted, ScriptedServer
from scripted_server import sse as event_stream

from fuzz import bodies
from fuzz.laws import (
    KEY,
    MODELS,
    NATIVE,
    body_of,
    check_copies,
    chunks_of,
    continued,
    merge_chunks,
    message_or_error,
    sized,
    without_id,
)
from fuzz.shapes import Shape, shaped
from langchain_kie import ChatKieGemini, KieEmptyResponseError, KieStreamInterruptedError
from langchain_kie._conversation.thought_signatures import PLACEHOLDER_SIGNATURE
from langchain_kie._http import sse
from langchain_kie._http.sse import DONE, EventParser
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, AIMessageChunk


def values_of(pieces: Sequence[bytes]) -> list[Any]:
    """The values that a parser reads from a body, up to the first error."""
    parser = EventParser()
    values = [value for piece in pieces for value in parser.feed(piece)] + [*parser.close()]
    kinds = [KieProtocolError if isinstance(v, KieProtocolError) else v for v in values]
    return kinds[: kinds.index(KieProtocolError) + 1] if KieProtocolError in kinds else kinds


@sized(500)
@given(bodies.SOUP, bodies.PLACES)
def test_any_bytes_are_the_same_values_or_error_in_any_pieces(
    body: bytes, places: list[int]
) -> None:
    assert values_of(bodies.cut(body, places)) == values_of([body])


@sized(60)
@given(bodies.SOUP.filter(bool))
def test_a_body_without_an_end_is_rejected_at_a_limit(soup: bytes) -> None:
    with mock.patch.multiple(sse, MAX_EVENT_BYTES=500, MAX_BODY_BYTES=5_000):
        assert values_of([soup] * (5_000 // len(soup) + 1))[-1] is KieProtocolError
        line = soup.translate(None, b"\r\n") or b"x"
        assert values_of([b"data: ", *[line] * 501])[-1:] == [KieProtocolError]


def value_of(data: str) -> Any:
    """The value of an event's data."""
    try:
        return DONE if data.strip(" \t\r\n") == "[DONE]" else orjson.loads(data)
    except orjson.JSONDecodeError:
        return KieProtocolError


def values_of_event(data: str) -> list[Any]:
    """The values of an event: objects, also those of a list, the end, or an error."""
    value = value_of(data)
    if value is KieProtocolError and data.strip(" \t\r\n").upper() in {"DONE", "[DONE]"}:
        return []
    values = value if isinstance(value, list) else [value]
    return [item for item in values if is_object(item) or item is KieProtocolError]


def values_by_the_standard(text: str) -> list[Any]:
    """The values of the events, parsed step by step as in WHATWG's "parsing an event stream".

    Unlike there, a line with a complete object is an event alone, and the end of the body ends
    the last event if its value is complete. Values that are no objects are ignored.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found: list[Any] = []
    data = ""
    for line in text.removesuffix("\n").split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            found += values_of_event(data) if data.strip(" \t\r\n") else []
            data = ""
        elif name == "data" and not data and is_object(value_of(value)):
            found.append(value_of(value))
        elif name == "data":
            data += value + "\n"
    return found + [value for value in values_of_event(data) if is_object(value)]


def is_object(value: Any) -> bool:
    return isinstance(value, dict) or value is DONE


_DATA = bodies.JSON.map(orjson.dumps).map(bytes.decode)
_LINES = [
    "data",
    "data:",
    "data: [DONE]",
    "data:  [DONE] ",
    ": x",
    ":",
    "id: 1",
    "id",
    "event: e",
    "retry: 1",
    "",
]
_LINES += ["unknown: 1", "dat: 1", "Data: 1", "data : 1", " data: 1", 'data: {"a":', 'data: "b"']
_LINES += [
    "data: DONE",
    "data: [done]",
    'data: "[DONE]"',
    "data: [{}, 1]",
    "data: }",
    "data:  1",
    "data: \u2028",
    "data: 1 ",
    "",
]
LINES = _DATA.map("data:{}".format) | _DATA.map("data: {}".format) | st.sampled_from(_LINES)


@sized(300)
@given(
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=25),
    st.booleans(),
    bodies.PLACES,
)
def test_a_stream_has_the_events_of_the_standard(
    lines: list[tuple[str, str]], has_bom: bool, places: list[int]
) -> None:
    text = "\ufeff" * has_bom + "data: {}\n\n" + "".join(line + end for line, end in lines)
    expected = values_by_the_standard(text)
    if KieProtocolError in expected:
        expected = expected[: expected.index(KieProtocolError) + 1]
    assert values_of(bodies.cut(text.encode(), places)) == expected


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "location": {"type": "string"},
        "many": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "a": {"$ref": "#"},
    },
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"tools": [TOOL]},
    {"tools": [TOOL], "response_format": FORMAT},
    {"tools": [TOOL], "tool_choice": "any"},
    {"response_format": {"type": "json_object"}},
]


def in_lines(document: Any) -> bytes:
    return b": x\n\n" + orjson.dumps(document, option=orjson.OPT_INDENT_2)


def framed(values: list[Any], form: str) -> bytes:
    """Values as a stream or as an array of events; for a document, only the first.

    In lines, the document has none with `data:`, and is within a stream.
    """
    if form == "stream":
        texts = (v if isinstance(v, str) else bodies.as_json(v).decode() for v in values)
        body = event_stream(*texts)
    elif form == "lines":
        body = in_lines(values[0] if values else values)
    else:
        body = bodies.as_json(values if form == "array" or not values else values[0])
    return bodies.with_long_integers(body)


@sized(400)
@given(
    bodies.SENT,
    st.sampled_from(["stream", "stream", "document", "array", "lines"]),
    st.sampled_from(OPTIONS),
    bodies.PLACES,
)
def test_any_json_is_a_message_that_can_be_copied_or_a_kie_error(
    values: list[Any], form: str, options: dict[str, Any], places: list[int]
) -> None:
    """A message can be sent back, or is rejected, for example for a tool call without a name."""
    chunks, message, error = message_or_error(bodies.cut(framed(values, form), places), **options)
    event("a message" if message else type(error).__name__)
    if message is None:
        return
    check_copies(message, chunks)
    for model in MODELS:
        with suppress(ValueError):
            assert body_of(model, continued(message), **options)


_NAMED = st.tuples(st.sampled_from("fgh"), st.sampled_from([None, {"a": 1}, {"a": 2}]))


@sized(150)
@given(
    st.lists(_NAMED, min_size=1, max_size=5, unique_by=str),
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=5, max_size=5),
    st.sampled_from([{}, {"tools": [{"name": "f", "input_schema": {}}]}]),
)
def test_complete_calls_with_and_without_ids_are_the_same_with_and_without_a_stream(
    calls: list[tuple[str, Any]], forms: list[tuple[bool, ...]], options: dict[str, Any]
) -> None:
    """No two are equal, because an equal call of a later event is the same one (wire.md 11-22)."""
    parts: list[dict[str, Any]] = []
    for number, ((name, args), (has_id, has_args, is_signed)) in enumerate(
        zip(calls, forms, strict=False)
    ):
        call: dict[str, Any] = {"name": name}
        call |= {"id": f"c{number}"} if has_id else {}
        call |= {"args": args or {}} if has_args or args else {}
        parts.append({"functionCall": call})
        parts[-1] |= {"thoughtSignature": f"S{number}"} if is_signed else {}
    end = {"finishReason": "STOP"}
    document = {"candidates": [{"content": {"parts": parts}, **end}]}
    events = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
    stream = event_stream(*events, {"candidates": [{"content": {"parts": []}, **end}]})
    for body in (orjson.dumps(document), stream):
        message = merge_chunks(chunks_of([body], NATIVE, **options))
        assert [(c["name"], c["args"] or None) for c in message.tool_calls] == calls
        turn = body_of(NATIVE, continued(message), **options)["contents"][1]
        signatures = [part.get("thoughtSignature") for part in turn["parts"]]
        first, *others = (part.get("thoughtSignature") for part in parts)
        assert signatures == [first or PLACEHOLDER_SIGNATURE, *others]


_TEXTS = ["a", "b c", " ", "", "```", "json\n{", '{"n": 1}', "}", "<thought>", "x</thought>y", "<"]
_COUNTS = [
    {"a_tokens": 1},
    {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
    {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    {"prompt_tokens": 0, "completion_tokens": 4, "total_tokens": "7"},
    {"promptTokenCount": 2, "candidatesTokenCount": 1, "totalTokenCount": 3},
    {"promptTokenCount": 2, "candidatesTokenCount": 4, "totalTokenCount": 6},
    {"promptTokenCount": 1, "candidatesTokenCount": -4, "thoughtsTokenCount": [1]},
    None,
]
_GOOGLE = {"google": {"thought": True}}
_CALL = {"index": 0, "id": "c", "function": {"name": "get_weather", "arguments": "{}"}}
_GROUNDING = {"groundingChunks": [{"web": {"uri": "https://a"}}]}


_GENERATED_ID = re.compile("call_[0-9a-f]{32}")


def _members(*members: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Often nothing, else one of the members."""
    return st.just({}) | st.sampled_from([{}, *members])


_CHAT_EVENT = st.tuples(
    st.sampled_from(["content", "content", "reasoning_content", "reasoning"]),
    _members(
        {"role": "assistant"}, {"refusal": "no"}, {"extra_content": _GOOGLE}, {"content": "z"}
    ),
    _members(
        {"index": 1}, {"index": "0"}, {"finish_reason": "stop"}, {"message": {"content": "m"}}
    ),
    _members({"id": "2"}, {"code": 200}, {"error": None}, {"choices": []}, {"credits_consumed": 1}),
)
_NATIVE_EVENT = st.tuples(
    _members({"thought": True}, {"thoughtSignature": "AAAA"}, {"inlineData": {"data": "AA"}}),
    _members({"index": 1}, {"finishReason": "STOP"}, {"groundingMetadata": _GROUNDING}),
    _members({"responseId": "2"}, {"promptFeedback": {"blockReason": "SAFETY"}}, {"usage": {}}),
)
_LATER = st.lists(
    st.tuples(
        st.sampled_from(_TEXTS) | st.sampled_from(_TEXTS[:2]) | st.sampled_from([None, 1, ["a"]]),
        st.sampled_from(_COUNTS),
    ),
    min_size=1,
    max_size=5,
)


def _chat_events(drawn: tuple[Any, ...], later: list[tuple[Any, Any]]) -> list[Any]:
    member, delta, choice, members = drawn
    return [
        {
            "id": "1",
            "choices": [{"index": 0, "delta": {**delta, member: text}, **choice}],
            "usage": counts,
            **members,
        }
        for text, counts in later
    ]


def _native_events(drawn: tuple[Any, ...], later: list[tuple[Any, Any]]) -> list[Any]:
    part, candidate, members = drawn
    return [
        {
            "candidates": [{"content": {"parts": [{"text": text, **part}]}, **candidate}],
            "usageMetadata": counts,
            **members,
        }
        for text, counts in later
    ]


_SIMILAR = (
    st.builds(_chat_events, _CHAT_EVENT, _LATER)
    | st.builds(_native_events, _NATIVE_EVENT, _LATER)
    | bodies.SENT
    | bodies.mutated().map(lambda values: [value for value in values for _ in range(2)])
    | st.sampled_from([[{"choices": [{"delta": {"tool_calls": [_CALL]}}]}], ["[DONE]"]])
)


@sized(400)
@given(st.lists(_SIMILAR, min_size=1, max_size=4), st.sampled_from(OPTIONS))
def test_events_of_one_read_are_the_same_message_as_events_of_many_reads(
    events: list[list[Any]], options: dict[str, Any]
) -> None:
    pieces = [event_stream(value) for values in [*events, ["[DONE]"]] for value in values]
    _, message, error = message_or_error([b"".join(pieces)], **options)
    _, expected, expected_error = message_or_error(pieces, **options)
    assert repr(error) == repr(expected_error)
    if message and expected:
        assert normalized_ids(message) == normalized_ids(expected)


def normalized_ids(message: AIMessage) -> str:
    """The fields of a message; generated ids are numbered.

    LangChain adds up token counts in the order of a set (langchain-core 1.8.3), so they are sorted.
    """
    usage = orjson.loads(orjson.dumps(message.usage_metadata, option=orjson.OPT_SORT_KEYS))
    message = message.model_copy(update={"usage_metadata": usage})
    ids: dict[str, str] = {}
    return _GENERATED_ID.sub(
        lambda found: ids.setdefault(found[0], f"id {len(ids)}"), dumps(message)
    )


def pairwise(chunks: list[AIMessageChunk]) -> AIMessage:
    """The sum of chunks that are added in pairs."""
    while len(chunks) > 1:
        pairs = zip(chunks[::2], [*chunks[1::2], None], strict=False)
        chunks = [first + second if second else first for first, second in pairs]
    return message_chunk_to_message(chunks[0])


@sized(200)
@given(shaped(), bodies.PLACES)
def test_an_answer_is_the_same_message_with_and_without_a_stream(
    answer: Shape, places: list[int]
) -> None:
    document = merge_chunks(chunks_of([orjson.dumps(answer.document)], answer.model))
    chunks = chunks_of(bodies.cut(answer.stream, places), answer.model)
    one_by_one = message_chunk_to_message(reduce(add, chunks))
    lines = merge_chunks(chunks_of(bodies.cut(in_lines(answer.document), places), answer.model))
    for streamed in (merge_chunks(chunks), pairwise(chunks), one_by_one, lines):
        assert without_id(streamed) == without_id(document)
        assert blocks_of(streamed) == blocks_of(document)
    assert document.text == answer.text
    assert document.additional_kwargs.get("reasoning_content", "") == "".join(answer.thoughts)
    assert document.tool_calls == [{**call, "type": "tool_call"} for call in answer.calls]
    assert document.usage_metadata
    assert document.usage_metadata["total_tokens"] == answer.total


def is_terminal(event: Any) -> bool:
    """Whether an event is terminal (docs/wire.md 4)."""
    if event == "[DONE]" or "credits_consumed" in event:
        return True
    inner = event.get("choices") or event.get("candidates") or [{}]
    return bool(inner[0].get("finish_reason") or inner[0].get("finishReason"))


@sized(200)
@given(shaped(), st.integers(0), bodies.PLACES)
def test_a_truncated_stream_raises_before_its_terminal_event(
    answer: Shape, place: int, places: list[int]
) -> None:
    body = answer.stream
    last = next(n for n, event in enumerate(answer.events) if is_terminal(event))
    end = place % (len(body) + 1)
    _, message, error = message_or_error(bodies.cut(body[:end], places), answer.model)
    if end >= len(event_stream(*answer.events[: last + 1])) - len("\n\n"):
        assert message
        assert message.text == answer.text
    else:
        cut = (KieStreamInterruptedError, KieEmptyResponseError)
        assert isinstance(error, cut) or (end < len("data") and isinstance(error, KieProtocolError))


@sized(5)
@given(shaped(), bodies.PLACES)
def test_on_a_socket_every_call_mode_gives_the_same_message(
    answer: Shape, places: list[int]
) -> None:
    """The order of blocks is not compared: in a stream, text can follow a tool call."""
    expected = merge_chunks(chunks_of([orjson.dumps(answer.document)], answer.model))
    with ScriptedServer(Scripted(bodies.cut(answer.stream, places))) as server:
        model = ChatKieGemini(model=answer.model.model, api_key=KEY, base_url=server.base_url)
        for call_mode in CALL_MODES:
            message = asyncio.run(call_mode(model))
            assert (message.text, message.tool_calls) == (expected.text, expected.tool_calls)
            assert message.usage_metadata == expected.usage_metadata
            assert sorted(map(_sortable, blocks_of(message))) == sorted(
                map(_sortable, blocks_of(expected))
            )


def _sortable(block: dict[str, Any]) -> bytes:
    return orjson.dumps(block, option=orjson.OPT_SORT_KEYS)
