"""Bytes to values to messages: cuts, framing and shapes make no difference, truncation does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any
from unittest import mock

import orjson
from call_modes import CALL_MODES, blocks_of
from hypothesis import event, given
from hypothesis import strategies as st
from langchain_core.messages import message_chunk_to_message
from scripted_server import Scripted, ScriptedServer

from fuzz import bodies
from fuzz.laws import (
    KEY,
    MODELS,
    bare,
    body_of,
    check_kept,
    chunks_of,
    continued,
    merge_chunks,
    message_or_error,
    sized,
)
from fuzz.shapes import Shape, shaped
from langchain_kie import ChatKieGemini, KieEmptyResponseError, KieStreamInterruptedError
from langchain_kie._http import sse as _events
from langchain_kie._http.sse import DONE, EventParser
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, AIMessageChunk


def values_of(pieces: Sequence[bytes]) -> list[Any]:
    """What a parser makes of a body, up to the first error."""
    parser = EventParser()
    values = [value for piece in pieces for value in parser.feed(piece)] + [*parser.close()]
    kinds = [KieProtocolError if isinstance(v, KieProtocolError) else v for v in values]
    return kinds[: kinds.index(KieProtocolError) + 1] if KieProtocolError in kinds else kinds


@sized(500)
@given(bodies.SOUP, bodies.PLACES)
def test_any_bytes_are_values_or_an_error_wherever_they_are_cut(
    body: bytes, places: list[int]
) -> None:
    assert values_of(bodies.cut(body, places)) == values_of([body])


@sized(60)
@given(bodies.SOUP.filter(bool))
def test_a_body_without_end_is_refused_at_a_bound(soup: bytes) -> None:
    with mock.patch.multiple(_events, MAX_EVENT_CHARS=500, MAX_BODY_BYTES=5_000):
        assert values_of([soup] * (5_000 // len(soup) + 1))[-1] is KieProtocolError
        line = soup.translate(None, b"\r\n") or b"x"
        assert values_of([b"data: ", *[line] * 501])[-1:] == [KieProtocolError]


def events_by_the_standard(text: str) -> list[str]:
    """The data of each event, after WHATWG's "parsing an event stream", step for step."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    *lines, _unfinished = text.split("\n")
    found: list[str] = []
    data = ""
    for line in lines:
        if line == "":
            found += [data.removesuffix("\n")] if data else []
            data = ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            data += value.removeprefix(" ") + "\n" if name == "data" else ""
    return [data for data in found if data]


_DATA = bodies.JSON.map(orjson.dumps).map(bytes.decode)
_LINES = ["data", "data:", "data: [DONE]", ": x", ":", "id: 1", "id", "event: e", "retry: 1", ""]
_LINES += ["unknown: 1", "dat: 1", "Data: 1", "data : 1", " data: 1", 'data: {"a":', 'data: "b"']
_LINES += ["data: }", "data:  1", "data: \u2028", "data: 1 ", ""]
LINES = _DATA.map("data:{}".format) | _DATA.map("data: {}".format) | st.sampled_from(_LINES)


@sized(300)
@given(
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=25),
    st.booleans(),
    bodies.PLACES,
)
def test_a_stream_has_the_events_that_the_standard_finds_in_it(
    lines: list[tuple[str, str]], has_bom: bool, places: list[int]
) -> None:
    text = "\ufeff" * has_bom + "data: 0\n\n" + "".join(line + end for line, end in lines)
    expected: list[Any] = []
    for data in events_by_the_standard(text):
        try:
            expected.append(DONE if data == "[DONE]" else orjson.loads(data))
        except orjson.JSONDecodeError:
            expected.append(KieProtocolError)
            break
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
]


def framed(values: list[Any], form: str) -> bytes:
    """Values as a stream, as an array of events, or the first as a document."""
    if form == "stream":
        return bodies.sse(values)
    return orjson.dumps(values if form == "array" or not values else values[0])


@sized(400)
@given(
    bodies.SENT,
    st.sampled_from(["stream", "stream", "document", "array"]),
    st.sampled_from(OPTIONS),
    bodies.PLACES,
)
def test_any_json_is_a_message_that_lasts_or_a_kie_error(
    values: list[Any], form: str, options: dict[str, Any], places: list[int]
) -> None:
    """And what can be read can be sent again, or is refused: a call may have lost its name."""
    chunks, message, error = message_or_error(bodies.cut(framed(values, form), places), **options)
    event("a message" if message else type(error).__name__)
    if message is None:
        return
    check_kept(message, chunks)
    for model in MODELS:
        with suppress(ValueError):
            assert body_of(model, continued(message), **options)


def pairwise(chunks: list[AIMessageChunk]) -> AIMessage:
    """Chunks added up in a tree."""
    while len(chunks) > 1:
        pairs = zip(chunks[::2], [*chunks[1::2], None], strict=False)
        chunks = [first + second if second else first for first, second in pairs]
    return message_chunk_to_message(chunks[0])


@sized(200)
@given(shaped(), bodies.PLACES)
def test_whole_and_streamed_answers_are_the_same_message(answer: Shape, places: list[int]) -> None:
    whole = merge_chunks(chunks_of([orjson.dumps(answer.document)], answer.model))
    chunks = chunks_of(bodies.cut(answer.stream, places), answer.model)
    one_by_one = message_chunk_to_message(reduce(add, chunks))
    for streamed in (merge_chunks(chunks), pairwise(chunks), one_by_one):
        assert bare(streamed) == bare(whole)
        assert blocks_of(streamed) == blocks_of(whole)
    assert whole.text == answer.text
    assert whole.additional_kwargs.get("reasoning_content", "") == "".join(answer.thoughts)
    assert whole.tool_calls == [{**call, "type": "tool_call"} for call in answer.calls]
    assert whole.usage_metadata
    assert whole.usage_metadata["total_tokens"] == answer.total


def is_evidence(event: Any) -> bool:
    """Whether an event tells that the answer is complete (docs/wire.md 4)."""
    if event == "[DONE]" or "credits_consumed" in event:
        return True
    inner = event.get("choices") or event.get("candidates") or [{}]
    return bool(inner[0].get("finish_reason") or inner[0].get("finishReason"))


@sized(200)
@given(shaped(), st.integers(0), bodies.PLACES)
def test_a_stream_that_is_cut_raises_unless_its_end_was_evident(
    answer: Shape, place: int, places: list[int]
) -> None:
    body = answer.stream
    last = next(n for n, event in enumerate(answer.events) if is_evidence(event))
    end = place % (len(body) + 1)
    _, message, error = message_or_error(bodies.cut(body[:end], places), answer.model)
    if end >= len(bodies.sse(answer.events[: last + 1])):
        assert message
        assert message.text == answer.text
    else:
        cut = (KieStreamInterruptedError, KieEmptyResponseError)
        assert isinstance(error, cut) or (end < len("data") and isinstance(error, KieProtocolError))


@sized(5)
@given(shaped(), bodies.PLACES)
def test_on_a_socket_every_way_to_ask_gives_the_same_message(
    answer: Shape, places: list[int]
) -> None:
    """In a stream of blocks, text that comes behind a call stays there, so order is no matter."""
    expected = merge_chunks(chunks_of([orjson.dumps(answer.document)], answer.model))
    with ScriptedServer(Scripted(bodies.cut(answer.stream, places))) as server:
        model = ChatKieGemini(model=answer.model.model, api_key=KEY, base_url=server.base_url)
        for call_mode in CALL_MODES:
            message = asyncio.run(call_mode(model))
            assert (message.text, message.tool_calls) == (expected.text, expected.tool_calls)
            assert message.usage_metadata == expected.usage_metadata
            assert sorted(map(_words, blocks_of(message))) == sorted(
                map(_words, blocks_of(expected))
            )


def _words(block: dict[str, Any]) -> bytes:
    return orjson.dumps(block, option=orjson.OPT_SORT_KEYS)
