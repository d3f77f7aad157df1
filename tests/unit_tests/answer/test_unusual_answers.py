"""Answers in shapes that relays and Gemini itself were seen to send (docs/wire.md 11)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, blocks_of, model_at, server_sending
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import (
    KieAuthenticationError,
    KieConnectionError,
    KieEmptyResponseError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieStreamInterruptedError,
)

NATIVE = {"model": "gemini-3.5-flash"}
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 4}


def chat(*choices: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"choices": [*choices], **members}


def native(*parts: dict[str, Any], finish: str | None = "STOP", **members: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": [*parts]}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], **members}


def call(arguments: str) -> dict[str, Any]:
    calls = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}}]
    return chat({"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"})


IMAGE = {"image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
ANSWER = chat({"message": {"content": "Hi"}, "finish_reason": "stop"})
READ: dict[str, tuple[bytes, dict[str, Any], Any]] = {
    "a message next to an empty delta": (
        sse(chat({"delta": {"role": "assistant", "content": None}, "message": {"content": "Hi"},
                  "finish_reason": "stop"})),
        {}, "Hi",
    ),
    "several choices, none with index 0": (
        orjson.dumps(chat({"index": 1, "message": {"content": "A"}, "finish_reason": "stop"},
                          {"index": 2, "message": {"content": "B"}, "finish_reason": "stop"})),
        {}, "A",
    ),
    "an index that is a number, then text": (
        sse(chat({"index": 0, "delta": {"content": "Hel"}}),
            chat({"index": "0", "delta": {"content": "lo"}, "finish_reason": "stop"})),
        {}, "Hello",
    ),
    "a ping with a text": (
        sse({"type": "ping", "message": "keepalive"}, {"type": []},
            chat({"delta": {"content": "Hi"}, "finish_reason": "stop"})),
        {}, "Hi",
    ),
    **{
        f"a good answer with the code {code!r}": (
            orjson.dumps({"code": code, "msg": "m", "data": ANSWER}), {}, "Hi",
        )
        for code in (200.0, "200.0", "0", "0.", "SUCCESS ", " Ok", "")
    },
    **{
        f"a good answer with the error {error!r}": (
            orjson.dumps({**ANSWER, "error": error}), {}, "Hi",
        )
        for error in (
            None, "", {}, {"code": 0, "message": ""}, {"code": "", "message": None, "type": ""},
            {"code": "200", "message": "success"}, {"code": None},
        )
    },
    "a good choice with an empty error": (
        orjson.dumps(chat({"message": {"content": "Hi"}, "finish_reason": "stop",
                           "error": {"code": 0, "message": ""}})),
        {}, "Hi",
    ),
    "an empty STOP while thinking": (
        sse(native(finish="STOP", usageMetadata=USAGE), native({"text": "Hi"})), NATIVE, "Hi",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "fields", "text"), READ.values(), ids=READ)
async def test_the_text_is_read(body: bytes, fields: dict[str, Any], text: str) -> None:
    """wire.md 11-2, 11-8, 11-13, 11-14: also next to a code or an empty error."""
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            assert (await call_mode(model_at(server, **fields))).text == text


@pytest.mark.parametrize("arguments", ["[]", '""'])
async def test_other_forms_of_no_arguments_are_read(arguments: str) -> None:
    with server_sending(sse(call(arguments), "[DONE]")) as server:
        for call_mode in BASIC_CALL_MODES:
            (tool_call,) = (await call_mode(model_at(server))).tool_calls
            assert tool_call["args"] == {}


@pytest.mark.parametrize("name", ["functionCall", "function_call"])
async def test_a_part_with_a_call_and_media_has_both(name: str) -> None:
    media = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
    part = {"text": "x", name: {"name": "f", "args": {}}, "inlineData": media}
    with server_sending(sse(native(part))) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server, **NATIVE))
            assert [c["name"] for c in message.tool_calls] == ["f"]
            assert "image" in [block["type"] for block in message.content_blocks]


async def test_an_image_only_in_the_complete_message_is_kept() -> None:
    final = chat({"message": {"content": "x", "images": [IMAGE]}, "finish_reason": "stop"})
    with server_sending(sse(chat({"delta": {"content": "x"}}), final)) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server))
            assert message.text == "x"
            assert [b["type"] for b in message.content_blocks] == ["text", "image"]


def several(api: str, *events: list[tuple[Any, str]]) -> list[dict[str, Any]]:
    """Events with choices or candidates, each with an index and a piece of its text."""
    last = {str(index): pieces for pieces in events for index, _ in pieces}
    values = []
    for pieces in events:
        choices: list[dict[str, Any]] = []
        for index, text in pieces:
            is_last = last[str(index)] is pieces
            if api == "generate_content":
                end = {"finishReason": "STOP"} if is_last else {}
                parts = [{"text": text}] if text else []
                choices.append({"index": index, "content": {"parts": parts}, **end})
            else:
                end = {"finish_reason": "stop"} if is_last else {}
                choices.append({"index": index, "delta": {"content": text}, **end})
        name = "candidates" if api == "generate_content" else "choices"
        values.append({name: choices})
    return values


SEVERAL: dict[str, tuple[list[list[tuple[Any, str]]], str]] = {
    "in each event": ([[(0, "A"), (1, "B")], [(0, "a"), (1, "b")]], "Aa"),
    "in each event, index 1 first": ([[(1, "B"), (0, "A")], [(1, "b"), (0, "a")]], "Aa"),
    "in each event, a text index": (
        [[("1", "B"), ("0", "A")], [(1, "b"), (0, "a")]],
        "Aa",
    ),
    "in each event, without index 0": ([[(2, "B"), (1, "A")], [(1, "a"), (2, "b")]], "Bb"),
    "in separate events": ([[(0, "A")], [(1, "B")], [(0, "a")], [(1, "b")]], "Aa"),
    "in separate events, index 1 first": ([[(1, "B")], [(0, "A")], [(1, "b")], [(0, "a")]], "Bb"),
    "apart, then together": ([[(1, "B")], [(0, "A"), (1, "b")], [(1, "c"), (0, "a")]], "Bbc"),
    "together, then apart": ([[(0, "A"), (1, "B")], [(1, "b")], [(0, "a")]], "Aa"),
    "one, then together": ([[(0, "A")], [(0, "a"), (1, "B")]], "Aa"),
    "together, index 0 without text": ([[(0, ""), (1, "B")], [(1, "b")], [(0, "A")]], "A"),
}
"""The choices of each event, and the text of the answer: that of one of them."""


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize(("events", "text"), SEVERAL.values(), ids=SEVERAL)
async def test_choices_do_not_mix(events: list[Any], text: str, api: str) -> None:
    """wire.md 11-23: one of them is the answer, wherever its pieces are."""
    values = several(api, *events)
    for split in (False, True):
        parts = [sse(value) for value in values]
        with ScriptedServer(Scripted(parts if split else [b"".join(parts)])) as server:
            for call_mode in BASIC_CALL_MODES:
                message = await call_mode(model_at(server, api=api))
                assert message.text == text
                assert message.response_metadata["finish_reason"] == "stop"


COMPLETE: dict[str, tuple[list[str], list[str], str]] = {
    "that continues the pieces": (["Hel"], ["Hello world"], "Hello world"),
    "that repeats the pieces": (["Hel", "lo"], ["Hello"], "Hello"),
    "that differs from the pieces": (["Hel"], ["Bye"], "Hel"),
    "twice, after pieces": (["Hel"], ["Hello", "Hello"], "Hello"),
    "of the text so far, in each event": (
        [],
        ["Hel", "Hello", "Hello world", "Hello world"],
        "Hello world",
    ),
    "that is only a piece": ([], ["Hel", "lo", " Hello", "."], "Hello Hello."),
    "that is a piece and equals the first": ([], ["ha", "ha", "ha", "haha"], "hahahahaha"),
}
"""The texts of pieces, those of the complete messages after them, and the text of the answer."""


@pytest.mark.parametrize(("pieces", "texts", "expected"), COMPLETE.values(), ids=COMPLETE)
async def test_a_complete_message_in_a_stream(
    pieces: list[str], texts: list[str], expected: str
) -> None:
    events = [chat({"delta": {"content": text}}) for text in pieces]
    events += [chat({"message": {"content": text}}) for text in texts]
    events.append(chat({"delta": {}, "finish_reason": "stop"}))
    with server_sending(sse(*events, "[DONE]")) as server:
        for call_mode in BASIC_CALL_MODES:
            assert (await call_mode(model_at(server))).text == expected


FAILED: dict[str, tuple[bytes, dict[str, Any], type[Exception], int]] = {
    "an error after an empty STOP": (
        sse(native(), {"code": 402, "msg": "Credits insufficient"}),
        NATIVE, KieInsufficientCreditsError, 1,
    ),
    "an error after an empty stop": (
        sse(chat({"delta": {}, "finish_reason": "stop"}), {"code": 401, "msg": "Unauthorized"}),
        {}, KieAuthenticationError, 1,
    ),
    "maintenance under code 400": (
        b'{"code":400,"msg":"The server is under maintenance"}', {}, KieServerError, 2,
    ),
    "an error in an answer that was billed": (
        orjson.dumps(chat({"message": {"content": "paid"}, "finish_reason": "error"},
                          usage={"prompt_tokens": 1, "completion_tokens": 2})),
        {}, KieServerError, 1,
    ),
    "the end after a role": (
        sse(chat({"delta": {"role": "assistant"}})), {}, KieStreamInterruptedError, 1,
    ),
    "the end after an empty event": (
        sse(native(finish=None)), NATIVE, KieStreamInterruptedError, 1,
    ),
    "a lost file with the finish reason error": (
        sse(chat({"delta": {"content": "Image download failed"}, "finish_reason": "error"})),
        {}, KieInvalidRequestError, 1,
    ),
    "a failed call in Google's OpenAI-compatible words": (
        sse(chat({"delta": {}, "finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"}),
            chat(usage={"prompt_tokens": 1, "completion_tokens": 2})),
        {}, KieProtocolError, 1,
    ),
    "an index that is no integer": (
        sse(chat({"delta": {"tool_calls": [{"index": 0.5, "function": {"name": "f"}}]}})),
        {}, KieProtocolError, 1,
    ),
    "counts without a candidate": (
        sse({"candidates": [], "usageMetadata": USAGE}), NATIVE, KieEmptyResponseError, 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "fields", "error", "requests"), FAILED.values(), ids=FAILED)
async def test_a_failure_is_reported(body, fields, error, requests, no_sleep) -> None:
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            with pytest.raises(error):
                await call_mode(model_at(server, max_retries=1, **fields))
            assert len(server.requests) == requests


@pytest.mark.parametrize("code", [429, 500])
async def test_an_error_after_output_says_that_the_call_may_be_billed(code, no_sleep) -> None:
    error = {"code": code, "msg": "m"}
    text = native({"text": "a"}, finish=None)
    for fields, event in ((NATIVE, text), ({}, chat({"delta": {"content": "a"}}))):
        with server_sending(sse(event, error)) as server:
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(KieServerError if code == 500 else KieRateLimitError) as caught:
                    await call_mode(model_at(server, **fields))
                assert "may have billed" in str(caught.value)


async def test_an_empty_stop_with_counts_is_no_end_if_the_connection_breaks() -> None:
    body = sse(native({"text": ""}, usageMetadata=USAGE))
    with ScriptedServer(Scripted([body], ending="rst")) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieConnectionError):
                await call_mode(model_at(server, **NATIVE))


async def test_a_part_of_an_unknown_type_is_kept() -> None:
    part = {"type": "custom", "x": 1}
    content = [{"type": "text", "text": "Hi"}, part]
    body = orjson.dumps(chat({"message": {"content": content}, "finish_reason": "stop"}))
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            blocks = blocks_of(await call_mode(model_at(server)))
            assert [block["type"] for block in blocks] == ["text", "non_standard"]
            assert blocks[1]["value"] == part
