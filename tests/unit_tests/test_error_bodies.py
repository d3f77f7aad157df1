"""Errors inside response bodies: each form in which they come, and texts that only look alike."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, CALL_MODES, fixture, invoke, model_at, server_sending
from scripted_server import sse

from langchain_kie import (
    KieAuthenticationError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
)

MAINTENANCE = "The server is currently being maintained, please try again later~"

OBJECTS: list[tuple[dict[str, Any], type[KieError], str]] = [
    ({"error": {"message": "m", "type": "x"}}, KieServerError, "m"),
    ({"error": {"type": "upstream_error"}}, KieServerError, "upstream_error"),
    ({"error": "text"}, KieServerError, "text"),
    ({"type": "error", "error": {"message": MAINTENANCE}}, KieServerError, MAINTENANCE),
    ({"type": "error", "message": "m"}, KieServerError, "m"),
    ({"error": {"code": 401, "message": "no"}}, KieAuthenticationError, "no"),
    ({"error": {"code": 429, "message": "m", "status": "EXHAUSTED"}}, KieRateLimitError, "m"),
    ({"code": 500}, KieServerError, "KIE reported an error without a message"),
    ({"code": 401, "message": "no"}, KieAuthenticationError, "no"),
    ({"error": {"message": "m", "type": "invalid_request_error"}}, KieInvalidRequestError, "m"),
    ({"error": {"message": "m", "type": "authentication_error"}}, KieAuthenticationError, "m"),
    ({"error": {"message": "m", "type": "rate_limit_error"}}, KieRateLimitError, "m"),
    ({"code": 200, "data": {"code": 500, "msg": "m"}}, KieServerError, "m"),
    ({"data": {"error": {"message": "m"}}}, KieServerError, "m"),
    ({"message": "Server exception"}, KieServerError, "Server exception"),
    ({"msg": "Credits insufficient"}, KieInsufficientCreditsError, "Credits insufficient"),
    ({"success": False, "detail": "m"}, KieServerError, "m"),
    ({"status": 404, "error": "Not Found", "path": "/x"}, KieModelNotFoundError, "Not Found"),
    ({"code": 200, "data": None}, KieEmptyResponseError, "KIE sent an empty response"),
    ({"hello": 1}, KieProtocolError, "KIE sent an unknown JSON object, with the keys ['hello']"),
]


@pytest.mark.parametrize(("body", "cls", "message"), OBJECTS, ids=str)
async def test_an_object_that_reports_an_error_is_that_error(body, cls, message) -> None:
    """The types of errors are those that KIE documents (docs/wire.md 7)."""
    for sent in (orjson.dumps(body), sse(body, "[DONE]")):
        with server_sending(sent) as server:
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(KieError) as caught:
                    await call_mode(model_at(server))
                assert (type(caught.value), caught.value.message) == (cls, message)


SPRING = b'{"timestamp":"2026-08-30T10:00:00","status":404,"error":"Not Found","path":"/x"}'
BLOCKED = b"<html><body>Your request was blocked</body></html>"
CLOUDFLARE = "an HTML page, 'api.kie.ai | 524: A timeout occurred'"

STATUSES: list[tuple[int, bytes, type[KieError], str]] = [
    (404, SPRING, KieModelNotFoundError, "Not Found"),
    (524, fixture("gateway_524.html"), KieServerError, CLOUDFLARE),
    (403, BLOCKED, KiePermissionDeniedError, "an HTML page"),
    (500, b"", KieServerError, "the response has no body"),
    (401, b"", KieAuthenticationError, "the response has no body"),
    (400, b"null", KieInvalidRequestError, "null"),
    (400, b"[1]", KieInvalidRequestError, "[1]"),
    (400, b"{}", KieInvalidRequestError, "{}"),
    (502, b"\xff\xfe", KieServerError, "\ufffd\ufffd"),
    (500, b"[" * 100_000, KieServerError, "[" * 200),
    (418, b"teapot", KieInvalidRequestError, "teapot"),
]


@pytest.mark.parametrize(("status", "body", "cls", "message"), STATUSES)
async def test_an_error_status_is_its_error_with_any_body(status, body, cls, message) -> None:
    with server_sending(body, status=status) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server))
            error = caught.value
            assert (type(error), error.message, error.status_code) == (cls, message, status)


def choice(**delta: Any) -> bytes:
    return sse({"choices": [{"delta": delta}]})


UNREADABLE = [
    fixture("gateway_524.html"),
    b"upstream connect error or disconnect/reset before headers",
    b"\xff\xfe\x00",
    b"{",
    b'{"choices":',
    b"nonsense: 1\n\n",
    b"[1]",
    b"[[]]",
    b'{"a":' * 100_000,
    sse({"choices": [5]}),
    sse({"choices": {"a": 1}}),
    choice(content=[None]),
    choice(refusal=True),
    choice(reasoning_content={"a": 1}),
    choice(tool_calls=[5]),
    choice(tool_calls=[{"function": {"name": ["f"]}}]),
    choice(tool_calls=[{"id": 5, "function": {"name": "f"}}]),
    sse({"candidates": [{"content": {"parts": [{"text": 5}]}, "finishReason": "STOP"}]}),
    sse({"candidates": [], "credits_consumed": "much"}),
]
"""More of them are rows of the fault matrix."""


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda b: b[:40].decode("utf-8", "replace"))
async def test_a_body_that_cannot_be_parsed_is_a_protocol_error(body: bytes) -> None:
    with server_sending(body) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server))
            assert type(caught.value) is KieProtocolError
            assert caught.value.status_code == 200
            assert len(caught.value.message) <= 300


USAGE: list[dict[str, Any]] = [
    {"choices": [], "usage": {"prompt_tokens": "many"}},
    {"choices": [{"finish_reason": "stop"}], "usage": ["many"]},
    {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": "x"}},
]


@pytest.mark.parametrize("event", USAGE, ids=str)
async def test_usage_that_cannot_be_parsed_is_a_protocol_error(event: dict[str, Any]) -> None:
    with server_sending(choice(content="x") + sse(event)) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieProtocolError, match="usage"):
                await call_mode(model_at(server))


EMPTY = [
    {"choices": []},
    {"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]},
    {"choices": [{"message": {"content": None}}]},
    {"candidates": []},
    {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
]
"""Those of a stream are rows of the fault matrix."""


@pytest.mark.parametrize("body", EMPTY, ids=str)
async def test_an_empty_answer_is_an_error_and_retried(body: dict[str, Any], no_sleep) -> None:
    with server_sending(orjson.dumps(body)) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            with pytest.raises(KieEmptyResponseError):
                await call_mode(model_at(server, max_retries=2))
            assert len(server.requests) == 3


# --- answers that are an error text -----------------------------------------------------------

_FILE_TYPE = "The file mime type is not supported by Gemini, please convert or change the file"
ERROR_TEXTS: list[tuple[str, type[KieError]]] = [
    (MAINTENANCE, KieServerError),
    ("The server is currently being maintained, please try again later", KieServerError),
    ("Server exception, please try again later", KieServerError),
    (" server exception, please try again later... ", KieServerError),
    (_FILE_TYPE, KieInvalidRequestError),
    ("Failed to get file information", KieInvalidRequestError),
    ("image download failed", KieInvalidRequestError),
    ("Internal Error", KieServerError),
    ("Internal Error, please try again later.", KieServerError),
]
PROSE = [
    "The server is currently being maintained, please try again later~ is what the page said.",
    'It says "Server exception, please try again later".',
    "An internal error is one that nobody outside can see.",
    "The image download failed because the address is wrong.",
    "Credits insufficient",
    "Unauthorized",
    "code 500",
    '{"code": 500, "msg": "Server exception, please try again later"}',
    "<html><title>Hi</title></html>",
    "",
]


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize(("text", "cls"), ERROR_TEXTS, ids=[text for text, _ in ERROR_TEXTS])
async def test_an_answer_that_is_an_upstream_error_text_is_an_error(call_mode, text, cls) -> None:
    whole = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    halves = [{"choices": [{"delta": {"content": t}}]} for t in (text[:9], text[9:])]
    for body in (whole, sse(*halves, "[DONE]")):
        with server_sending(body) as server, pytest.raises(KieError) as caught:
            await call_mode(model_at(server))
        assert type(caught.value) is cls


@pytest.mark.parametrize("text", PROSE)
async def test_an_answer_that_only_mentions_an_error_is_an_answer(text: str) -> None:
    message = {"content": text, "reasoning_content": "hm"}
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    with server_sending(body) as server:
        for call_mode in CALL_MODES:
            assert (await call_mode(model_at(server))).text == text


async def test_an_error_text_with_a_tool_call_is_an_answer() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "Internal error", "tool_calls": [call]}
    with server_sending(orjson.dumps({"choices": [{"message": message}]})) as server:
        answer = await invoke(model_at(server))
    assert answer.text == "Internal error"
    assert len(answer.tool_calls) == 1
