"""Errors inside response bodies: each form in which they come, and texts that only look alike."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    CALL_MODES,
    fixture,
    invoke,
    model_at,
    response_reader,
    server_sending,
)
from error_texts import CREDITS, FREQUENCY, MAINTENANCE, NOT_ENABLED, SERVER_EXCEPTION
from scripted_server import sse

from langchain_kie import (
    KieAuthenticationError,
    KieContextOverflowError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
)

NESTED = "Upstream failed"

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
    ({"type": "status", "code": 500, "msg": "m"}, KieServerError, "m"),
    ({"type": "status", "error": "m"}, KieServerError, "m"),
    ({"message": "not ok"}, KieServerError, "not ok"),
    ({"type": "note", "detail": "m"}, KieServerError, "m"),
    ({"msg": CREDITS}, KieInsufficientCreditsError, CREDITS),
    ({"success": False, "detail": "m"}, KieServerError, "m"),
    ({"success": False, "errorMessage": "m"}, KieServerError, "m"),
    ({"success": False, "detail": {"a": 1}}, KieServerError, "{'a': 1}"),
    ({"success": False, "errors": [{"message": CREDITS}]}, KieInsufficientCreditsError, CREDITS),
    ({"detail": {"error": "m"}}, KieServerError, "m"),
    ({"detail": [{"loc": ["body"], "msg": "m"}]}, KieServerError, "m"),
    ({"errors": [{"message": "m"}]}, KieServerError, "m"),
    ({"status": 404, "error": "Not Found", "path": "/x"}, KieModelNotFoundError, "Not Found"),
    ({"error": {"error": {"message": "m", "code": 429}}}, KieRateLimitError, "m"),
    ({"error": {"code": 502, "metadata": {"raw": "Upstream failed"}}}, KieServerError, NESTED),
    ({"error": {"message": "m", "code": "model_not_found"}}, KieModelNotFoundError, "m"),
    (
        {"error": {"message": "m", "code": "insufficient_user_quota"}},
        KieInsufficientCreditsError,
        "m",
    ),
    (
        {"error": {"message": "m", "type": "budget_exceeded", "code": "400"}},
        KieInsufficientCreditsError,
        "m",
    ),
    (
        {"error": {"message": "m", "type": "key_model_access_denied", "code": "401"}},
        KiePermissionDeniedError,
        "m",
    ),
    (
        {
            "error": {
                "message": "m",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            }
        },
        KieContextOverflowError,
        "m",
    ),
    ({"code": "model_not_found", "message": "m"}, KieModelNotFoundError, "m"),
    (
        {"code": "success", "error": {"message": "m", "code": ["x"], "type": {}}},
        KieServerError,
        "m",
    ),
    ({"code": "429.0", "msg": "m"}, KieRateLimitError, "m"),
    ({"code": "200.0", "msg": "m"}, KieEmptyResponseError, "KIE sent an empty response"),
    ({"error": {"code": 0, "message": ""}}, KieEmptyResponseError, "KIE sent an empty response"),
    ({"error": {"code": 0, "message": "", "type": "x"}}, KieServerError, "x"),
    ({"error": {"code": 0, "message": "m"}}, KieServerError, "m"),
    ({"error": {"code": "", "message": "m"}}, KieServerError, "m"),
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


@pytest.mark.parametrize(
    ("inner", "cls"), [({"errors": [{"message": "m"}]}, KieServerError), ({}, KieProtocolError)]
)
def test_an_object_in_two_lists_is_read_as_the_object(inner, cls) -> None:
    with server_sending(orjson.dumps([[inner]])) as server, pytest.raises(cls):
        model_at(server).invoke("hi")


STATUS_OBJECTS: list[dict[str, Any]] = [
    {"message": "processing"},
    {"msg": "OK."},
    {"message": "Success", "time": 1},
    {"event": "start", "msg": "ok"},
    {"event": "queued", "message": "3 calls before this one"},
    {"type": "status", "detail": "still working"},
    {"type": "heart_beat", "msg": "alive"},
    {"type": "keep-alive", "message": "x"},
    {"type": "progress", "msg": "in progress", "data": None},
    {"status": "in_progress", "message": "In progress..."},
]


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("status", STATUS_OBJECTS, ids=str)
async def test_a_status_of_a_server_that_works_is_no_error(status, api: str, no_sleep) -> None:
    """wire.md 11-13: alone, it is no answer, and may have been billed."""
    model = {"model": "gemini-3.8-flash", "api": api, "max_retries": 1}
    text, rest, end = (
        {"choices": [{"delta": {"content": content}, "finish_reason": reason}]}
        for content, reason in (("po", None), ("ng", None), ("", "stop"))
    )
    for call_mode in BASIC_CALL_MODES:
        with server_sending(sse(status, text, status, rest, end, status)) as server:
            assert (await call_mode(model_at(server, **model))).text == "pong"
        for body in (sse(status, status), orjson.dumps(status)):
            with server_sending(body) as server:
                with pytest.raises(KieProtocolError, match="unknown JSON object"):
                    await call_mode(model_at(server, **model))
                assert len(server.requests) == 1


SPRING = b'{"timestamp":"2026-08-30T10:00:00","status":404,"error":"Not Found","path":"/x"}'
BLOCKED = b"<html><body>Your request was blocked</body></html>"
PAGE_1010 = (
    b"<!DOCTYPE html><title>Access denied | api.kie.ai</title><body><h1>"
    b'<span class="cf-error-type">Error</span>\n<span class="cf-error-code">1010</span></h1>'
)
ACCESS_DENIED = "an HTML page, 'Access denied | api.kie.ai'"
CLOUDFLARE = "an HTML page, 'api.kie.ai | 524: A timeout occurred'"

STATUSES: list[tuple[int, bytes, type[KieError], str]] = [
    (404, SPRING, KieModelNotFoundError, "Not Found"),
    (524, fixture("gateway_524.html"), KieTimeoutError, CLOUDFLARE),
    (403, BLOCKED, KiePermissionDeniedError, "an HTML page"),
    (500, b"", KieServerError, "the response has no body"),
    (401, b"", KieAuthenticationError, "the response has no body"),
    (400, b"null", KieInvalidRequestError, "null"),
    (400, b"[1]", KieInvalidRequestError, "[1]"),
    (400, b"{}", KieInvalidRequestError, "{}"),
    (502, b"\xff\xfe", KieServerError, "\ufffd\ufffd"),
    (500, b"[" * 100_000, KieServerError, "[" * 200),
    (403, b"error code: 1010", KiePermissionDeniedError, "error code: 1010"),
    (403, PAGE_1010, KiePermissionDeniedError, f"{ACCESS_DENIED}, error 1010"),
    (504, b"<html><body>Gateway Timeout</body></html>", KieTimeoutError, "an HTML page"),
    (522, b'{"error":{"message":"Timed out"}}', KieTimeoutError, "Timed out"),
    (429, b'[{"error":{"code":429,"message":"Slow"}}]', KieRateLimitError, "Slow"),
    (500, b'{"error":{"message":"half a pair: \\ud83c"}}', KieServerError, "half a pair: \ufffd"),
    (418, b"teapot", KieInvalidRequestError, "teapot"),
    (429, gzip.compress(b'{"code":402,"msg":"m"}', mtime=0), KieInsufficientCreditsError, "m"),
    (503, gzip.compress(sse({"error": {"message": "m"}}, "[DONE]"), mtime=0), KieServerError, "m"),
    (503, b": x\n\nevent: error\n" + sse({"code": 429, "msg": "m"}), KieRateLimitError, "m"),
    (503, b'event: error\n{"code":429,"msg":"m"}', KieRateLimitError, "m"),
    (500, b"data: teapot\n\n", KieServerError, "data: teapot"),
    (500, gzip.compress(b"teapot", mtime=0), KieServerError, "teapot"),
    (500, b"\x1f\x8bteapot", KieServerError, "\ufffdteapot"),
]


@pytest.mark.parametrize(("status", "body", "cls", "message"), STATUSES)
async def test_an_error_status_is_its_error_with_any_body(status, body, cls, message) -> None:
    """wire.md 7-19, 7-20: pages of the gateway among them."""
    with server_sending(body, status=status) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await call_mode(model_at(server))
            error = caught.value
            assert (type(error), error.message, error.status_code) == (cls, message, status)


_NO_CHANNEL = {"message": "No available channel for model x", "type": "new_api_error"}
NAMED_CODES: list[tuple[int, str, type[KieError]]] = [
    (503, "model_not_found", KieModelNotFoundError),
    (403, "insufficient_user_quota", KieInsufficientCreditsError),
    (403, "pre_consume_token_quota_failed", KieInsufficientCreditsError),
    (429, "insufficient_quota", KieInsufficientCreditsError),
    (400, "context_length_exceeded", KieContextOverflowError),
    (400, "ContextWindowExceededError", KieContextOverflowError),
    (400, "budget_exceeded", KieInsufficientCreditsError),
    (429, "budget_exceeded", KieInsufficientCreditsError),
    (401, "key_model_access_denied", KiePermissionDeniedError),
    (400, "timeout", KieInvalidRequestError),
    (503, "unknown_code", KieServerError),
]


@pytest.mark.parametrize(("status", "code", "cls"), NAMED_CODES)
async def test_a_named_code_counts_more_than_the_status(status, code, cls, no_sleep) -> None:
    """wire.md 11-15: the codes of relays, some of which send them as the type."""
    for members in ({"code": code}, {"type": code, "code": None}):
        body = orjson.dumps({"error": {**_NO_CHANNEL, **members}})
        with server_sending(body, status=status) as server:
            for call_mode in BASIC_CALL_MODES:
                server.requests.clear()
                with pytest.raises(KieError) as caught:
                    await call_mode(model_at(server, max_retries=1))
                assert type(caught.value) is cls
                assert len(server.requests) == (2 if cls is KieServerError else 1)


ENVELOPES: list[dict[str, Any]] = [
    *({"code": code} for code in ("success", "SUCCESS", "ok", "0", "200", 0, 200, 200.0, None)),
    {"success": True},
    {"code": True},
    {"success": True, "code": "ok", "msg": "success", "error": None},
    {"success": True, "message": "ok", "error": ""},
]
GOOD = {"choices": [{"message": {"content": "pong"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize("envelope", ENVELOPES, ids=str)
async def test_an_envelope_of_success_is_no_error(envelope: dict[str, Any]) -> None:
    """wire.md 11-14: nor is a code that is a word or a float."""
    for value in ({**envelope, **GOOD}, {**envelope, "data": GOOD}, {**envelope, "result": GOOD}):
        for body in (orjson.dumps(value), orjson.dumps([value]), sse(value, "[DONE]")):
            with server_sending(body) as server:
                for call_mode in BASIC_CALL_MODES:
                    assert (await call_mode(model_at(server))).text == "pong"


@pytest.mark.parametrize("code", [200, 0, "success"])
@pytest.mark.parametrize(
    ("message", "cls"),
    [(FREQUENCY, KieRateLimitError), (NOT_ENABLED, KiePermissionDeniedError)],
)
async def test_an_error_text_next_to_a_code_of_success_is_an_error(
    message: str, cls: type[KieError], code: Any
) -> None:
    """wire.md 7: these texts were seen with several codes."""
    value = {"code": code, "msg": message, "data": None}
    for body in (orjson.dumps(value), sse(value)):
        with server_sending(body) as server:
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(cls) as caught:
                    await call_mode(model_at(server))
                assert caught.value.message == message


_RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo"}
RETRY_DELAYS: list[tuple[Any, float | None]] = [
    ([{"reason": "x"}, {**_RETRY_INFO, "retryDelay": "12s"}], 12.0),
    ([{**_RETRY_INFO, "retryDelay": "1.5s"}], 1.5),
    ([{**_RETRY_INFO, "retryDelay": "0s"}], None),
    ([{**_RETRY_INFO, "retryDelay": "-1s"}], None),
    ([{**_RETRY_INFO, "retryDelay": "soon"}], None),
    ([{**_RETRY_INFO, "retryDelay": 12}], None),
    (["x", None], None),
    ({"retryDelay": "12s"}, None),
    (None, None),
]


@pytest.mark.parametrize(("details", "seconds"), RETRY_DELAYS, ids=str)
async def test_google_s_retry_info_is_the_wait_before_a_retry(details, seconds) -> None:
    error = {"error": {"code": 429, "message": "Slow", "details": details}}
    for value in (error, [error]):
        for status in (200, 429):
            with server_sending(orjson.dumps(value), status=status) as server:
                with pytest.raises(KieRateLimitError, match="Slow") as caught:
                    model_at(server).invoke("hi")
                assert caught.value.retry_after == seconds


def test_a_retry_after_header_counts_more_than_retry_info() -> None:
    details = [{**_RETRY_INFO, "retryDelay": "12s"}]
    body = orjson.dumps({"error": {"message": "Slow", "details": details}})
    with server_sending(body, status=429, headers={"Retry-After": "3"}) as server:
        with pytest.raises(KieRateLimitError) as caught:
            model_at(server).invoke("hi")
        assert caught.value.retry_after == 3


def _raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


_BODY = b'{"error":{"message":"No such model","code":404}}'
COMPRESSED: list[tuple[str, bytes, str]] = [
    ("gzip", gzip.compress(_BODY, mtime=0), "No such model"),
    ("x-gzip", gzip.compress(_BODY, mtime=0), "No such model"),
    ("deflate", zlib.compress(_BODY), "No such model"),
    ("deflate", _raw_deflate(_BODY), "No such model"),
    ("gzip", zlib.compress(_BODY), "No such model"),
    ("GZIP", zlib.compress(_BODY), "No such model"),
    ("gzip", _BODY, "No such model"),
    ("gzip", gzip.compress(b"No such model" + b" " * 10_000_000, mtime=0), "No such model"),
    ("gzip", gzip.compress(b"No such model", mtime=0)[:-8], "No such model"),
    ("br", b"No such model", "No such model"),
]


@pytest.mark.parametrize(("encoding", "body", "message"), COMPRESSED, ids=range(len(COMPRESSED)))
async def test_a_compressed_error_body_is_read(encoding, body, message) -> None:
    with server_sending(body, status=404, headers={"Content-Encoding": encoding}) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieModelNotFoundError) as caught:
                await call_mode(model_at(server))
            assert caught.value.message == message


@pytest.mark.parametrize(
    ("headers", "body", "encoding"),
    [
        ({"Content-Encoding": "BR"}, b"answer", "br"),
        ({"Content-Encoding": "gzip, br"}, b"answer", "gzip, br"),
        ({}, gzip.compress(b"answer", mtime=0), "gzip"),
    ],
)
async def test_an_answer_in_an_encoding_that_was_not_requested(headers, body, encoding) -> None:
    with server_sending(body, headers=headers) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieProtocolError, match=f"unexpected Content-Encoding: {encoding}"):
                await call_mode(model_at(server))


def read_all(reader: Any, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)
        reader.raise_if_failed()
    reader.close()


@pytest.mark.parametrize("size", [2, 7, 1000])
@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}], ids=["no header", "gzip"])
async def test_a_compressed_error_under_status_200_is_read(headers, size) -> None:
    """wire.md 11-12: most of KIE's errors have status 200."""
    for sent, error in (
        (b'{"code":429,"msg":"Slow"}', KieRateLimitError),
        (sse({"code": 429, "msg": "Slow"}), KieRateLimitError),
        (b": x\n\n" + sse({"choices": []}, {"error": {"message": "m"}}), KieServerError),
        (b': x\n\n{"code":429,"msg":"Slow"}\n\n', KieRateLimitError),
        (sse({"choices": []}, "[DONE]"), KieProtocolError),
        (b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}', KieProtocolError),
        (random.Random(1).randbytes(100_000), KieProtocolError),
    ):
        body = gzip.compress(sent)
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        reader = response_reader(headers={k.lower(): v for k, v in headers.items()})
        with pytest.raises(error):
            read_all(reader, pieces)
        with server_sending(body, headers=headers) as server:
            for call_mode in BASIC_CALL_MODES:
                with pytest.raises(error):
                    await call_mode(model_at(server))


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
    b"[" * 1000 + b"]" * 1000,
    b'{"code":500,"msg":' + b"[" * 1000 + b"]" * 1000 + b"}",
    sse('{"error":{"metadata":{"raw":' + "[" * 1000 + "]" * 1000 + "}}}"),
    sse({"choices": [5]}),
    sse({"choices": {"a": 1}}),
    choice(content=[5]),
    choice(refusal=True),
    choice(reasoning_content={"a": 1}),
    choice(tool_calls=[5]),
    choice(tool_calls=[{"function": {"name": ["f"]}}]),
    choice(tool_calls=[{"id": [5], "function": {"name": "f"}}]),
    sse({"candidates": [{"content": {"parts": [{"text": 5}]}, "finishReason": "STOP"}]}),
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


UNREADABLE_COUNTS: list[dict[str, Any]] = [
    {"choices": [], "usage": {"prompt_tokens": "many"}},
    {"choices": [{"finish_reason": "stop"}], "usage": ["many"]},
    {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": "x"}},
    {"choices": [], "credits_consumed": "much"},
]


@pytest.mark.parametrize("event", UNREADABLE_COUNTS, ids=str)
async def test_counts_that_cannot_be_read_do_not_cost_the_answer(event: dict[str, Any]) -> None:
    """wire.md 11-17: nor do they replace real ones."""
    with server_sending(choice(content="x") + sse(event, "[DONE]")) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server))
            assert (message.text, message.usage_metadata) == ("x", None)


# --- answers that are an error text -----------------------------------------------------------

_FILE_TYPE = "The file mime type is not supported by Gemini, please convert or change the file"
ERROR_TEXTS: list[tuple[str, type[KieError]]] = [
    (MAINTENANCE, KieServerError),
    ("The server is currently being maintained, please try again later", KieServerError),
    (SERVER_EXCEPTION, KieServerError),
    (" server exception, please try again later... ", KieServerError),
    (_FILE_TYPE, KieInvalidRequestError),
    ("Failed to get file information", KieInvalidRequestError),
    ("image download failed", KieInvalidRequestError),
    ("Internal Error", KieServerError),
    ("Internal Error, please try again later.", KieServerError),
]
PROSE = [
    "I cannot help with this, because it may violate Google's Generative AI Prohibited Use Policy.",
    "The server is currently being maintained, please try again later~ is what the page said.",
    'It says "Server exception, please try again later".',
    "An internal error is one that nobody outside can see.",
    "The image download failed because the address is wrong.",
    CREDITS,
    "Unauthorized",
    "code 500",
    '{"code": 500, "msg": "Server exception, please try again later"}',
    "<html><title>Hi</title></html>",
]


@pytest.mark.parametrize("call_mode", CALL_MODES)
@pytest.mark.parametrize(("text", "cls"), ERROR_TEXTS, ids=[text for text, _ in ERROR_TEXTS])
async def test_an_answer_that_is_an_upstream_error_text_is_an_error(call_mode, text, cls) -> None:
    """wire.md 7-23: the complete text is the message."""
    at_once = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    halves = [{"choices": [{"delta": {"content": t}}]} for t in (text[:9], text[9:])]
    for body in (at_once, sse(*halves, "[DONE]")):
        with server_sending(body) as server, pytest.raises(KieError) as caught:
            await call_mode(model_at(server))
        assert type(caught.value) is cls


@pytest.mark.parametrize("text", PROSE)
async def test_an_answer_that_only_mentions_an_error_is_an_answer(text: str) -> None:
    """wire.md 7-24: so is a refusal in words that are not known."""
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
