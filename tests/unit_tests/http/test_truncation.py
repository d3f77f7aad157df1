"""A stream that is cut is never a finished one, and a finished one never a cut one."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    KEY,
    aevents,
    answer,
    astream,
    events,
    fixture,
    invoke,
    model_at,
    server_sending,
    stream,
)
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import (
    ChatKieGemini,
    KieConnectionError,
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
    KieTimeoutError,
)

ENDINGS = ["chunk-end", "fin-unframed", "fin-mid-chunk", "rst"]

# Each stream, its whole text, the first event that shows something (from 0), and the first that
# is evidence of the end.
STREAMS: dict[str, tuple[str, int, int]] = {
    "shape_a.sse": ("The sky is blue, né 🌤.", 1, 6),
    "shape_b.sse": ("The sky is blue.", 0, 3),
    "shape_c.sse": ("The sky is blue.", 0, 5),
    "native.sse": ("The sky is blue.", 0, 3),
    "native_call.sse": ("One moment.", 0, 4),
    "chat_call.sse": ("One moment.", 1, 7),
}


def events_of(name: str) -> list[bytes]:
    return [event + b"\n\n" for event in fixture(name).removesuffix(b"\n\n").split(b"\n\n")]


def cuts(name: str, first: int, last: int) -> list[tuple[int, bytes]]:
    """Bodies that end after, or inside, the events `first` to `last`, and how many are whole."""
    events = events_of(name)
    bodies = []
    for k in range(first, last):
        before = b"".join(events[:k])
        bodies.append((k, before))
        bodies += [(k, before + events[k][: len(events[k]) * part // 4]) for part in (1, 2, 3)]
        bodies.append((k, before + events[k][:-1]))
    return bodies


@pytest.mark.parametrize("name", STREAMS)
def test_at_every_byte_before_the_evidence_a_cut_raises_and_after_it_nothing_does(
    name: str,
) -> None:
    body = fixture(name)
    evidence = sum(map(len, events_of(name)[: STREAMS[name][2] + 1]))
    for end in range(len(body) + 1):
        guard = answer()
        try:
            for _ in (*guard.feed(body[:end]), *guard.close()):
                pass
        except (KieStreamInterruptedError, KieEmptyResponseError):
            assert end < evidence, body[:end][-60:]
        except KieProtocolError:
            assert end < len("data"), "only a cut in the first word looks like no stream at all"
        else:
            assert end >= evidence, body[:end][-60:]


async def consumed(
    model: ChatKieGemini, *, is_async: bool
) -> tuple[list[Any], KieError | None, str]:
    """The chunks of a stream, the error that it ended with, and the text."""
    chunks: list[Any] = []
    try:
        if is_async:
            async for chunk in model.astream("hi"):
                chunks.append(chunk)
        else:
            for chunk in model.stream("hi"):
                chunks.append(chunk)
    except KieError as error:
        return chunks, error, "".join(chunk.text for chunk in chunks)
    return chunks, None, "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_cut_before_its_evidence_raises_after_what_was_delivered(
    name: str, ending: Any, is_async: bool
) -> None:
    text, shown_from, evidence = STREAMS[name]
    for whole_events, body in cuts(name, 0, evidence):
        pieces = [body] if body else []
        with ScriptedServer(Scripted(pieces, ending=ending)) as server:
            chunks, error, delivered = await consumed(model_at(server), is_async=is_async)
        assert isinstance(error, (KieConnectionError, KieEmptyResponseError)), body[-60:]
        assert error.is_retryable
        assert error.model == "gemini-3-flash"
        assert text.startswith(delivered)
        assert not any(chunk.chunk_position == "last" for chunk in chunks)
        assert len(server.requests) == 1
        if ending != "rst":  # a reset may overtake what was sent before it
            assert error.partial == (whole_events > shown_from)
            assert bool(chunks) == (whole_events > shown_from)
        if error.partial:
            assert isinstance(error, KieStreamInterruptedError)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ending", ["chunk-end", "fin-unframed", "fin-mid-chunk"])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_cut_after_its_evidence_is_the_whole_answer(
    name: str, ending: Any, is_async: bool
) -> None:
    text, _, evidence = STREAMS[name]
    for _, body in cuts(name, evidence + 1, len(events_of(name))):
        with ScriptedServer(Scripted([body], ending=ending)) as server:
            chunks, error, delivered = await consumed(model_at(server), is_async=is_async)
        assert error is None
        assert delivered == text
        assert chunks[-1].chunk_position == "last"


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_no_way_of_asking_takes_a_cut_stream_for_an_answer(ask, ending: Any) -> None:
    body = b"".join(events_of("shape_a.sse")[:5])
    with (
        ScriptedServer(Scripted([body], ending=ending)) as server,
        pytest.raises((KieConnectionError, KieEmptyResponseError)),
    ):
        await ask(model_at(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("shown", [1, 2])
async def test_v3_events_raise_what_cut_the_stream(is_async: bool, shown: int) -> None:
    body = b"".join(events_of("shape_a.sse")[: 1 + shown])
    with server_sending(body) as server:
        model = model_at(server)
        with pytest.raises(KieStreamInterruptedError):
            await (aevents if is_async else events)(model)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_whole_document_that_is_cut_is_not_an_answer(is_async: bool) -> None:
    body = fixture("chat_whole.json").rstrip()
    for ending in ENDINGS:
        for end in range(1, len(body), 29):
            with ScriptedServer(Scripted([body[:end]], ending=ending)) as server:
                model = model_at(server)
                with pytest.raises(KieError) as caught:
                    await model.ainvoke("hi") if is_async else model.invoke("hi")
            assert not caught.value.partial


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("max_retries", [0, 1, 2, 5])
async def test_a_stream_that_ends_before_its_first_word_is_asked_for_again(
    ask, max_retries: int, no_sleep
) -> None:
    body = events_of("shape_a.sse")[0]
    for ending in ENDINGS:
        with (
            ScriptedServer(Scripted([body], ending=ending)) as server,
            pytest.raises(KieError),
        ):
            await ask(model_at(server, max_retries=max_retries))
        assert len(server.requests) == max_retries + 1
        assert len(no_sleep) == max_retries
        no_sleep.clear()


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_a_second_try_that_works_is_the_answer(ask, no_sleep) -> None:
    good = fixture("shape_a.sse")
    bad: list[Scripted] = [
        Scripted([]),
        Scripted([events_of("shape_a.sse")[0]], ending="rst"),
        Scripted([], ending="fin-mid-chunk"),
        Scripted([b": hello\n\n"]),
        Scripted([b"data: [DONE]\n\n"]),
        Scripted([b'{"code":500,"msg":"Server exception, please try again later"}']),
        Scripted([sse({"code": 500, "msg": "Server exception, please try again later"})]),
        Scripted([b"Bad gateway"], status=502),
    ]
    for first in bad:
        with ScriptedServer(first, Scripted([good])) as server:
            message = await ask(model_at(server, max_retries=1))
        assert message.text == "The sky is blue, né 🌤."
        assert len(server.requests) == 2
        assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_nothing_is_asked_for_again_once_something_was_read(ask, no_sleep) -> None:
    for k in range(2, 6):
        body = b"".join(events_of("shape_a.sse")[:k])
        for more in (b"", sse({"code": 500, "msg": "Server exception, please try again later"})):
            with server_sending(body + more) as server, pytest.raises(KieError):
                await ask(model_at(server, max_retries=5))
            assert len(server.requests) == 1
    assert no_sleep == []


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_an_event_without_its_blank_line_was_cut(is_async: bool) -> None:
    """Even when what is there of it is a whole JSON object that says it is the last."""
    events = events_of("shape_b.sse")
    body = b"".join(events[:3]) + events[3].rstrip()
    with server_sending(body) as server:
        _, error, _ = await consumed(model_at(server), is_async=is_async)
    assert isinstance(error, KieStreamInterruptedError)
    assert error.partial


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_a_stall_before_the_evidence_is_a_timeout_and_never_tried_again(
    is_async: bool, no_sleep
) -> None:
    for k, partial in ((0, False), (1, False), (4, True)):
        pieces = events_of("shape_a.sse")[:k]
        with ScriptedServer(Scripted(pieces, ending="stall")) as server:
            model = model_at(server, max_retries=3, timeout=0.15)
            _, error, _ = await consumed(model, is_async=is_async)
            assert len(server.requests) == 1
        assert isinstance(error, KieTimeoutError)
        assert error.partial == partial
        assert isinstance(error.__cause__, httpx.ReadTimeout)


@pytest.mark.parametrize("ask", [stream, astream, invoke])
async def test_a_stall_after_the_evidence_costs_no_waiting_and_no_answer(ask) -> None:
    """A `[DONE]` is the end; a server that then keeps the line open is not waited for."""
    with ScriptedServer(Scripted([fixture("shape_a.sse")], ending="stall")) as server:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        message = await ask(model_at(server, timeout=2))
        waited = loop.time() - begun
    assert message.text == "The sky is blue, né 🌤."
    assert waited < 0.5, f"waited {waited:.1f} s for a server that had said all"


async def test_a_tool_call_that_was_cut_never_becomes_a_call() -> None:
    events = events_of("chat_call.sse")
    for k in range(4, 7):
        with (
            server_sending(b"".join(events[:k])) as server,
            pytest.raises(KieStreamInterruptedError),
        ):
            model_at(server).invoke("hi")


async def test_a_caller_of_its_own_client_gets_the_same_errors() -> None:
    body = b"".join(events_of("shape_a.sse")[:4])
    with ScriptedServer(Scripted([body], ending="fin-mid-chunk")) as server:
        with httpx.Client() as client:
            model = model_at(server, http_client=client)
            with pytest.raises(KieStreamInterruptedError):
                model.invoke("hi")
        async with httpx.AsyncClient() as async_client:
            model = model_at(server, http_async_client=async_client)
            with pytest.raises(KieStreamInterruptedError):
                await model.ainvoke("hi")


async def test_a_server_that_cannot_be_reached_is_a_connection_error(no_sleep) -> None:
    with server_sending(b"") as server:
        pass
    model = ChatKieGemini(
        model="gemini-3-flash", api_key=KEY, base_url=server.base_url, max_retries=2
    )
    for ask in BASIC_CALL_MODES:
        with pytest.raises(KieConnectionError) as caught:
            await ask(model)
        assert not isinstance(caught.value, KieStreamInterruptedError)
        assert len(no_sleep) == 2
        no_sleep.clear()


async def test_the_bytes_of_a_document_may_stop_after_its_last_brace() -> None:
    """With the JSON complete, a connection that breaks has cost nothing."""
    value = orjson.loads(fixture("chat_whole.json"))
    with ScriptedServer(Scripted([orjson.dumps(value)], ending="fin-unframed")) as server:
        assert (await invoke(model_at(server))).text == "pong"
