"""A truncated response is never complete, and a complete one is never truncated."""

from __future__ import annotations

import gzip
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    DOCUMENTS,
    astream,
    fixture,
    model_at,
    response_reader,
    server_sending,
    stream,
)
from limits import MAX_STALL
from scripted_server import READ_TIMEOUTS, Scripted, ScriptedServer, sse

from langchain_kie import (
    KieAccount,
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieStreamInterruptedError,
)
from langchain_kie._http.response import HttpCall
from langchain_kie._wire import parse_event
from unit_tests.loopback import TEXT_EVENTS, all_closed

if TYPE_CHECKING:
    from collections.abc import Sequence

TERMINAL_EVENTS = {
    "shape_a.sse": 6,
    "shape_b.sse": 3,
    "shape_c.sse": 5,
    "native.sse": 3,
    "native_call.sse": 4,
    "chat_call.sse": 7,
}
"""Each stream, and the position of its first terminal event."""


@pytest.mark.parametrize("name", TERMINAL_EVENTS)
def test_a_stream_cut_at_any_byte_raises_before_its_terminal_event_and_never_after(name) -> None:
    body = fixture(name)
    events = body.split(b"\n\n")[: TERMINAL_EVENTS[name] + 1]
    evidence = sum(len(event) + 2 for event in events) - len("\n\n")
    for end in range(len(body) + 1):
        reader = response_reader()
        try:
            for _ in (*reader.feed(body[:end]), *reader.close()):
                pass
        except (KieStreamInterruptedError, KieEmptyResponseError):
            assert end < evidence, body[:end][-60:]
        except KieProtocolError:
            assert end < len("data"), "only the start of the first field is no stream"
        else:
            assert end >= evidence, body[:end][-60:]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_cut_at_any_byte_is_a_protocol_error(name: str) -> None:
    body = fixture(name).rstrip()
    for end in range(1, len(body)):
        reader = response_reader()
        assert reader.feed(body[:end]) == []
        assert not reader.is_complete
        with pytest.raises(KieProtocolError):
            reader.close()
    reader = response_reader()
    reader.feed(body)
    assert reader.is_complete
    assert len(reader.close()) == 1


PING = {"type": "ping"}
_GZIP = gzip.compress(fixture("chat_completion.json"), mtime=0)
STARTS: list[tuple[bytes, bool]] = [
    (b"", True),
    (b": here\n\n: still here\n", True),
    (b"data:", True),
    (b'data: {"cho', False),
    (b'data:{"cho\n', False),
    (b": here\n\ndata: {\ndata: ", False),
    (b'event: message\r\ndata: {"cand', False),
    (sse(PING, PING), True),
    (b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n', False),
    (sse({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}), False),
    (sse({"choices": []}), False),
    (b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"cho', False),
    (b'{"usage":{"total_tokens":15},"credits_consumed":0.5,"choices":[{"index":0,"mess', False),
    (b'[{"candidates":[', False),
    (_GZIP[:40], False),
]
"""Starts of a body, and whether the call is retried when the connection is lost after them."""


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("ending", ["fin-mid-chunk", "rst"])
@pytest.mark.parametrize(("start", "is_retried"), STARTS, ids=range(len(STARTS)))
async def test_a_call_is_not_retried_once_a_part_of_its_answer_arrived(
    start: bytes, is_retried: bool, ending: Any, api: str, no_sleep
) -> None:
    """It may have been billed."""
    lost = Scripted([start] if start else [], ending=ending, pause=0.02)
    answer = Scripted([fixture("chat_completion.json")])
    for call_mode in BASIC_CALL_MODES:
        with ScriptedServer(lost, answer) as server:
            model = model_at(server, model="gemini-3.8-flash", api=api, max_retries=2)
            if is_retried:
                assert (await call_mode(model)).text == "pong"
            else:
                with pytest.raises(KieStreamInterruptedError, match="may have billed") as caught:
                    await call_mode(model)
                assert (caught.value.is_retryable, caught.value.partial) == (True, False)
            assert len(server.requests) == 1 + is_retried


def test_a_request_that_costs_nothing_is_retried_after_a_part_of_its_answer(no_sleep) -> None:
    body = b'{"code":200,"data":5.5}'
    lost = Scripted([body[:9]], ending="fin-mid-chunk")
    with ScriptedServer(lost, Scripted([body])) as server:
        assert KieAccount(api_key="k", base_url=server.base_url).credits() == 5.5


# What follows two events in the same read, and whether it breaks the response.
AFTER_EVENTS = {
    "no chunk": (b"nonsense " * 9, True),
    "a chunk that is cut": (b"64\r\n: " + b"x" * 40, True),
    "a trailer": (b"0\r\nX-Trailer: " + b"x" * 40 + b"\r\n\r\n", False),
}


@pytest.mark.parametrize(("rest", "is_broken"), AFTER_EVENTS.values(), ids=AFTER_EVENTS)
async def test_events_of_one_read_are_yielded_whatever_follows(rest, is_broken) -> None:
    events = [sse(chat("a")), sse(chat("b", None if is_broken else "stop"))]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    first = Scripted([fixture("shape_a.sse")])  # from then on the connection is watched
    second = Scripted([Scripted().head + chunks + rest], framing="raw", ending="fin-unframed")
    for call_mode in (stream, astream):
        received: list[Any] = []
        with ScriptedServer(first, second) as server:
            await call_mode(model_at(server))
            with pytest.raises(KieStreamInterruptedError) if is_broken else nullcontext():
                await call_mode(model_at(server), "hi", received)
        assert "".join(chunk.text for chunk in received) == "ab"


# --- output after a finish reason --------------------------------------------------------------


def chat(text: str = "", finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    """Return an event of `chat_completions`."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return {"choices": [choice], **members}


def native(text: str = "", finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    """Return an event of `generate_content`, which has token counts in each event."""
    candidate = {"content": {"parts": [{"text": text}] if text else []}}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    counts = {"promptTokenCount": 10, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": counts, **members}


def of_choice(index: int | str, event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that is about another choice or candidate."""
    name = "choices" if "choices" in event else "candidates"
    return {**event, name: [{**event[name][0], "index": index}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "total_tokens": 5}}
NATIVE_USAGE = {"usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 5}}
CREDITS = {"choices": [], "credits_consumed": 0.1}

EVIDENCE: list[tuple[Sequence[dict[str, Any] | str], bool, bool, bool]] = [
    ([chat("a")], False, True, False),
    ([chat("a", "stop")], True, True, False),
    ([chat("a", "stop"), chat("b")], False, True, False),
    ([chat("a", "stop"), chat("b", "stop")], True, True, False),
    ([chat("a", "stop"), chat()], True, True, False),
    ([chat("a", "stop"), PING], True, True, False),
    ([chat("a", "stop"), USAGE], True, False, False),
    ([chat("a", "stop"), USAGE, chat("b")], False, False, False),
    ([chat("a", "stop"), USAGE, chat("b", "stop")], True, True, False),
    ([chat("a"), chat("", "stop", usage=USAGE["usage"])], True, False, False),
    ([chat("a"), USAGE], True, False, False),
    ([chat("a", "stop"), CREDITS], True, False, True),
    ([chat("a", "stop"), CREDITS, chat("b")], False, False, False),
    ([chat("a"), "[DONE]"], True, False, True),
    ([chat("a", "stop"), "[DONE]", chat("b")], True, False, True),
    ([USAGE, chat("a")], False, True, False),
    ([USAGE, USAGE, chat("a", "stop")], True, True, False),
    ([CREDITS, chat("a")], False, True, False),
    ([NATIVE_USAGE, native("a")], False, True, False),
    ([native("", "STOP", credits_consumed=0), native("b")], False, True, False),
    ([chat(credits_consumed=0), chat("a")], False, True, False),
    ([native("", credits_consumed=0), native("a")], False, True, False),
    ([native("a", "STOP", credits_consumed=0)], True, True, False),
    ([native("a"), {"credits_consumed": 0}], True, True, False),
    ([native("a"), {"credits_consumed": 0}, native("b")], False, True, False),
    ([chat("a"), of_choice(1, chat("b", "stop"))], False, True, False),
    ([of_choice("0", chat("a")), chat("", "stop")], True, True, False),
    ([native("a"), of_choice(1, native("b", "STOP"))], False, True, False),
    ([native("a", "STOP"), of_choice(1, native("b"))], True, True, False),
    ([of_choice(1, native("a")), of_choice(1, native("b", "STOP"))], True, True, False),
    ([native("a", "STOP")], True, True, False),
    ([native("a", "STOP"), native("b")], False, True, False),
    ([native("a", "STOP"), native()], True, True, False),
    ([native("a", "STOP"), NATIVE_USAGE], True, False, False),
    ([native("a", "STOP"), native("b", "STOP", credits_consumed=0.1)], True, False, True),
]
"""Events; whether the answer is complete after them, output can follow, and reading can stop."""


@pytest.mark.parametrize(("events", "complete", "can_follow", "can_stop"), EVIDENCE, ids=str)
def test_output_after_a_finish_reason_withdraws_the_evidence(
    events, complete: bool, can_follow: bool, can_stop: bool
) -> None:
    body = sse(*events)
    for pieces in ([body], [body[:-9], body[-9:]], sse(*events).splitlines(keepends=True)):
        reader = response_reader()
        for piece in pieces:
            reader.feed(piece)
        assert (reader.has_terminal_event, reader.is_complete) == (complete, complete)
        assert reader.can_stop_reading == can_stop
        if complete:
            assert reader.output_can_follow == can_follow
            reader.close()
        else:
            with pytest.raises(KieStreamInterruptedError, match="may have billed"):
                reader.close()


@pytest.mark.parametrize("event", [chat, native], ids=["chat", "native"])
@pytest.mark.parametrize("ending", ["chunk-end", "stall", "fin-mid-chunk"])
async def test_an_answer_that_goes_on_after_a_finish_reason_is_read_to_its_end(
    event, ending, monkeypatch
) -> None:
    monkeypatch.setattr("langchain_kie._http.read_deadline.USAGE_TIMEOUT", 0.01)
    pieces = [sse(event("a", "STOP")), b": here\n\n", sse(event("b")), sse(event("c", "STOP"))]
    response = Scripted(pieces, ending=ending, pause=0.02)
    for call_mode in BASIC_CALL_MODES:
        with ScriptedServer(response) as server:
            for seconds in READ_TIMEOUTS:
                message = await call_mode(model_at(server, timeout=seconds))
                if message.text == "abc":
                    break
            assert message.text == "abc"


@pytest.mark.parametrize("event", [chat, native], ids=["chat", "native"])
async def test_a_real_end_costs_no_wait(event, monkeypatch) -> None:
    monkeypatch.setattr("langchain_kie._http.read_deadline.USAGE_TIMEOUT", 600)
    body = sse(event("a", "STOP"), event("b", "STOP", credits_consumed=0.1))
    for response in (Scripted([body]), Scripted([body], ending="stall")):
        for call_mode in BASIC_CALL_MODES:
            with ScriptedServer(response) as server:
                start = time.monotonic()
                assert (await call_mode(model_at(server, timeout=600))).text == "ab"
                assert time.monotonic() - start < MAX_STALL


# --- answers of nothing, and objects that are no events ----------------------------------------

ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "completion_tokens_details": {"audio": 0}}
NATIVE_ZEROS = {"promptTokenCount": 0, "totalTokenCount": 0}
FREE: list[dict[str, Any]] = [
    {"choices": []},
    {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]},
    {"choices": [{"message": {"content": None}}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"candidates": []},
    {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]},
    {"choices": [], "usage": ZEROS},
    {"choices": [], "usage": ZEROS, "credits_consumed": 0},
    {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}], "usage": ZEROS},
    {"candidates": [], "usageMetadata": NATIVE_ZEROS},
    {"candidates": [], "usageMetadata": NATIVE_ZEROS, "credits_consumed": 0.0},
    {"code": 200, "msg": "success", "data": None},
]


@pytest.mark.parametrize("body", FREE, ids=str)
async def test_an_empty_answer_that_cost_nothing_is_retried(body, no_sleep) -> None:
    """wire.md 7-22."""
    ends_itself = [sse(body)] * ("finish" in str(body))
    for sent in (orjson.dumps(body), sse(body, "[DONE]"), *ends_itself):
        with server_sending(sent) as server:
            for call_mode in BASIC_CALL_MODES:
                server.requests.clear()
                with pytest.raises(KieEmptyResponseError):
                    await call_mode(model_at(server, max_retries=1))
                assert len(server.requests) == 2


BILLED: list[tuple[dict[str, Any], str]] = [
    ({"choices": [], "usage": {"prompt_tokens": 321}}, '"prompt_tokens":321'),
    ({"choices": [], "credits_consumed": 0.25}, '"credits_consumed":0.25'),
    ({"candidates": [], "usageMetadata": {"promptTokenCount": 321}}, '"promptTokenCount":321'),
]


@pytest.mark.parametrize(("body", "bill"), BILLED, ids=str)
async def test_a_billed_answer_without_a_choice_is_not_retried(body, bill, no_sleep) -> None:
    """wire.md 7-22, 11-11: seen on KIE too."""
    for sent in (orjson.dumps(body), sse(body, "[DONE]")):
        with server_sending(sent) as server:
            for call_mode in BASIC_CALL_MODES:
                server.requests.clear()
                with pytest.raises(KieEmptyResponseError) as caught:
                    await call_mode(model_at(server, max_retries=1))
                assert bill in caught.value.message
                assert (caught.value.partial, caught.value.max_retries) == (False, 0)
                assert caught.value.is_retryable
                assert len(server.requests) == 1


UNKNOWN: list[dict[str, Any]] = [PING, {}, {"id": "x", "object": "chunk"}, {"type": "pong", "n": 1}]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=str)
async def test_an_object_that_is_no_event_is_skipped_in_a_stream(unknown, no_sleep) -> None:
    """wire.md 11-13: a ping, for example."""
    events = (unknown, chat("a"), unknown, chat("b", "stop"), unknown)
    for sent in (sse(*events), sse(*events, newline=b"\r\n"), orjson.dumps(events)):
        with server_sending(sent) as server:
            for call_mode in BASIC_CALL_MODES:
                assert (await call_mode(model_at(server))).text == "ab"
    for sent in (sse(unknown, unknown), sse(unknown, "[DONE]"), orjson.dumps(unknown)):
        with server_sending(sent) as server:
            for call_mode in BASIC_CALL_MODES:
                server.requests.clear()
                with pytest.raises(KieError, match="unknown JSON object") as caught:
                    await call_mode(model_at(server, max_retries=1))
                assert type(caught.value) is KieProtocolError
                assert len(server.requests) == 1


SKIPPED = ["null", '""', "[]", '"text"', "1", "[1]", '"[DONE]"', "[done]", "DONE"]


@pytest.mark.parametrize("value", SKIPPED)
async def test_a_value_that_is_no_object_is_skipped_in_a_stream(value: str) -> None:
    noise = f"data: {value}\n\n".encode()
    sent = noise + sse(chat("a")) + noise + sse(chat("b", "stop")) + noise
    with server_sending(sent) as server:
        for call_mode in BASIC_CALL_MODES:
            assert (await call_mode(model_at(server))).text == "ab"


UNREADABLE = [
    b"text\n\ndata: [DONE]\n\n",
    b": x\n\n<html><title>524</title></html>",
    b": x\n\ntext\n",
    b'{"code":200,"data":"text"}\n\ndata: [DONE]\n\n',
    b": x\n\n{text}\n\ndata: [DONE]\n\n",
    b'data: "text"\n\ndata: [DONE]\n\n',
]


@pytest.mark.parametrize("body", UNREADABLE, ids=str)
async def test_an_answer_of_unreadable_text_is_not_empty(body: bytes, no_sleep) -> None:
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            with pytest.raises(KieError, match=r"text|524") as caught:
                await call_mode(model_at(server, max_retries=1))
            assert type(caught.value) is KieProtocolError
            assert len(server.requests) == 1


def test_an_object_that_is_no_event_does_not_extend_the_deadline() -> None:
    reader = response_reader()
    reader.feed(sse(chat("a"), PING, PING))
    assert reader.event_count == 1


def test_only_the_events_of_one_read_are_joined() -> None:
    """Also with an empty header for the encoding."""
    joined: list[int] = []

    def count(values: list[Any]) -> list[Any]:
        joined.append(len(values))
        return values

    call = HttpCall("m", "/", b"", parse_event, count)
    reader = response_reader(call, headers={"content-encoding": ""})
    for data in (sse(chat("a")), sse(chat("b"), chat("c")), sse(chat("d", "stop"))):
        assert reader.feed(data)
    assert joined == [2]


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 200_000],
        [b"data: [\n" * 20_000],
        TEXT_EVENTS * 5000,
        [b"[" + b" " * 600_000],
    ],
    ids=["an event", "an event of many lines", "a stream", "a document"],
)
async def test_a_response_without_end_is_rejected_at_a_limit(pieces, monkeypatch) -> None:
    monkeypatch.setattr("langchain_kie._http.sse.MAX_EVENT_BYTES", 100_000)
    monkeypatch.setattr("langchain_kie._http.sse.MAX_BODY_BYTES", 500_000)
    with ScriptedServer(Scripted(pieces, ending="stall")) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError, match="larger than"):
                await call_mode(model_at(server))
        await all_closed(server)
