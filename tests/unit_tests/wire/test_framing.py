"""Answers in unexpected envelopes, formats and content types, and the chunks of a stream."""

from __future__ import annotations

import threading

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    astream,
    events_of,
    fixture,
    invoke,
    model_at,
    model_reading,
    server_sending,
)
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import KieInsufficientCreditsError
from unit_tests.answer.rows import (
    NATIVE_STOP,
    Row,
    check,
    check_every_call_mode,
    completion,
    delta,
    each,
    native,
    native_row,
)
from unit_tests.wire import test_chat_completions as chat
from unit_tests.wire import test_generate_content as generate

HI = completion(content="hi")
LONG_ID = b"chatcmpl-2026112903123456789"
HALVES = (
    b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83c"}}],"x":"ID"}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"\\udf24b"}}],"x":"ID"}\n\n'
) + sse(delta("stop"))
NATIVE_HALVES = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"a\\ud83c"}]}}],"responseId":"ID"}\n\n'
    b'data: {"candidates":[{"content":{"parts":[{"text":"\\udf24b"}]},"finishReason":"STOP"}],'
    b'"responseId":"ID"}\n\n'
)
ROWS = [
    native_row("a completion instead of a native answer", HI, text="hi", metadata=chat.STOP),
    Row(
        "a native answer instead of a completion",
        fixture("native_response.json"),
        text="pong",
        usage=generate.RECORDED[2].usage,
        metadata=generate.RECORDED[2].metadata,
    ),
    *(
        Row(f"in {member!r}", b'{"code":200,"msg":"success","%s":%s}' % (member.encode(), HI), "hi")
        for member in ("data", "result", "response")
    ),
    Row("in 'data', without a code", b'{"data":%s}' % HI, "hi"),
    Row("in 'data' of an event", sse({"code": 0, "data": delta("stop", content="hi")}), "hi"),
    Row("after a byte order mark", b"\xef\xbb\xbf" + HI, "hi"),
    Row("after white space", b"\r\n \t" + HI, "hi"),
    Row("a surrogate pair in two events", HALVES.replace(b"ID", b"7"), "a🌤b"),
    Row("a surrogate pair in two events with a long id", HALVES.replace(b"ID", LONG_ID), "a🌤b"),
    *(
        native_row(
            f"a native surrogate pair in two events with the id {answer_id.decode()}",
            NATIVE_HALVES.replace(b"ID", answer_id),
            text="a🌤b",
            metadata={**NATIVE_STOP, "id": answer_id.decode()},
        )
        for answer_id in (b"7", LONG_ID)
    ),
    Row(
        "events after [DONE], which are ignored",
        sse(delta("stop", content="a"), "[DONE]", "nonsense", {"code": 500, "msg": "late"}),
        "a",
    ),
    Row(
        "nonsense after the finish reason, which ends the answer",
        sse(delta("stop", content="a"), "nonsense", delta(content="never")),
        "a",
    ),
]


LINES = orjson.dumps(orjson.loads(HI), option=orjson.OPT_INDENT_2)
NATIVE_LINES = orjson.dumps(native({"text": "hi"}, finish="STOP"), option=orjson.OPT_INDENT_2)
BEFORE = {"nothing": b"", "a comment": b": keep-alive\n\n", "a ping": sse({"type": "ping"})}
AFTER = {"nothing": b"", "a blank line": b"\n\n", "[DONE]": b"\n\n" + sse("[DONE]")}
ROWS += [
    row
    for before, start in BEFORE.items()
    for after, end in AFTER.items()
    for name in (f"in several lines without `data:`, after {before}, before {after}",)
    for row in (
        Row(name, start + LINES + end, "hi"),
        native_row(f"native, {name}", start + NATIVE_LINES + end, text="hi"),
    )
]


@each(ROWS)
async def test_an_answer_is_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 4-1, 4-3, 4-4: lines, one document and an array, in pieces of any size."""
    await check_every_call_mode(row)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/event-stream", "text/plain;charset=latin-1", None],
)
async def test_the_content_type_is_ignored(content_type: str | None) -> None:
    """wire.md 4-2: a stream is UTF-8 whatever its headers state."""
    headers = {"Content-Type": content_type} if content_type else {}
    for row in (*chat.RECORDED, *generate.RECORDED):
        with server_sending(row.body, headers=headers) as server:
            for call_mode in (invoke, astream):
                check(row, await call_mode(model_at(server, model=row.model)))


SHAPE_A = fixture("shape_a.sse")
THOUGHTS = ["**Weighing it**\n\nTwo", " ways.\n"]
TEXTS = ["The sky", " is ", "blue, né 🌤."]


@pytest.mark.parametrize(
    ("pieces", "thoughts", "texts"),
    [
        (events_of(SHAPE_A), THOUGHTS, TEXTS),
        ([SHAPE_A], ["".join(THOUGHTS)], ["".join(TEXTS)]),
    ],
    ids=["apart", "together"],
)
async def test_the_events_of_one_read_are_one_chunk_of_each_kind(pieces, thoughts, texts) -> None:
    model = model_reading(*pieces)
    for chunks in ([*model.stream("hi")], [chunk async for chunk in model.astream("hi")]):
        assert [chunk.text for chunk in chunks if chunk.text] == texts
        found = [chunk.additional_kwargs.get("reasoning_content") for chunk in chunks]
        assert [thought for thought in found if thought] == thoughts
        assert [chunk.chunk_position for chunk in chunks] == [None] * (len(chunks) - 1) + ["last"]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"zz\r\n" + b"z" * 64], ids=["end", "no chunk"])
async def test_http_chunks_of_one_read_are_read_together(api: str, end: bytes) -> None:
    """What follows them in the same read may be the end, or an error."""
    events = [delta(content="a"), delta(content="b"), delta(content="c"), delta("stop")]
    if api == "generate_content":
        events = [*(native({"text": c}) for c in "abc"), native(finish="STOP")]
    body = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in map(sse, events))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    warm = Scripted([head + body + b"0\r\n\r\n"], framing="raw")
    with ScriptedServer(warm, Scripted([head + body + end], framing="raw")) as server:
        model = model_at(server, api=api)
        assert model.invoke("hi").text == "abc"  # the reads of a connection are known after a call
        texts = [chunk.text for chunk in model.stream("hi")]
        assert [text for text in texts if text] == ["abc"]
    with ScriptedServer(warm, Scripted([head + body + end], framing="raw")) as server:
        model = model_at(server, api=api)
        assert (await model.ainvoke("hi")).text == "abc"
        texts = [chunk.text async for chunk in model.astream("hi")]
        assert [text for text in texts if text] == ["abc"]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_an_error_in_several_lines_is_read(content_type: str, api: str) -> None:
    """wire.md 11-24: also within a stream, where its lines have no `data:`."""
    error = {"code": 402, "msg": "Credits insufficient", "data": None}
    lines = orjson.dumps(error, option=orjson.OPT_INDENT_2)
    for start in (*BEFORE.values(), sse(delta(content="a"))):
        for end in AFTER.values():
            headers = {"Content-Type": content_type}
            with server_sending(start + lines + end, headers=headers) as server:
                for call_mode in BASIC_CALL_MODES:
                    with pytest.raises(KieInsufficientCreditsError):
                        await call_mode(model_at(server, api=api))
                    assert len(server.requests) == 1
                    server.requests.clear()


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
async def test_a_chunk_arrives_before_the_next_event_is_sent(api: str) -> None:
    """The server sends the next event only after the test has the chunk."""
    first, *others = [delta(content="a"), delta(content="b"), delta("stop")]
    if api == "generate_content":
        first, *others = [*(native({"text": c}) for c in "ab"), native(finish="STOP")]

    def waiting_server() -> tuple[ScriptedServer, threading.Event]:
        seen = threading.Event()
        return ScriptedServer(Scripted([sse(first), seen, sse(*others)])), seen

    server, seen = waiting_server()
    with server:
        chunks = model_at(server, api=api).stream("hi")
        assert next(chunks).text == "a"
        seen.set()
        assert "".join(chunk.text for chunk in chunks) == "b"
    server, seen = waiting_server()
    with server:
        later = model_at(server, api=api).astream("hi")
        assert (await anext(later)).text == "a"
        seen.set()
        assert "".join([chunk.text async for chunk in later]) == "b"
