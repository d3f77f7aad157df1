"""Answers in unexpected envelopes, formats and content types, and the chunks of a stream."""

from __future__ import annotations

import asyncio

import pytest
from call_modes import (
    astream,
    fixture,
    invoke,
    model_at,
    server_sending,
)
from scripted_server import Scripted, ScriptedServer, sse

from unit_tests.answer.rows import (
    Row,
    check,
    check_every_call_mode,
    completion,
    delta,
    each,
    native_row,
)
from unit_tests.wire import test_chat_completions as chat
from unit_tests.wire import test_generate_content as generate

HI = completion(content="hi")
ROWS = [
    native_row("a completion instead of a native answer", HI, text="hi", metadata=chat.STOP),
    Row(
        "a native answer instead of a completion",
        fixture("native_whole.json"),
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


def test_each_event_with_output_is_one_chunk() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        chunks = [*model_at(server).stream("hi")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["The sky", " is ", "blue, né 🌤."]
    thoughts = [chunk.additional_kwargs.get("reasoning_content") for chunk in chunks]
    assert [t for t in thoughts if t] == ["**Weighing it**\n\nTwo", " ways.\n"]
    assert [chunk.chunk_position for chunk in chunks] == [None] * (len(chunks) - 1) + ["last"]


async def test_a_chunk_arrives_before_the_next_event_was_sent() -> None:
    events = [sse(delta(content=c)) for c in "abc"]
    with ScriptedServer(Scripted([*events, sse(delta("stop"))], pause=0.15)) as server:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async for chunk in model_at(server).astream("hi"):
            assert chunk.text == "a"
            assert loop.time() - start < 0.14
            break
