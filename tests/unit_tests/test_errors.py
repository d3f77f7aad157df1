"""Failures in, errors out: wherever KIE says that something failed, and however it says it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    CALL_MODES,
    astream,
    fixture,
    invoke,
    model_at,
    server_sending,
    stream,
)
from langchain_core import exceptions as core
from langchain_core.runnables import RunnableLambda
from scripted_server import Scripted, ScriptedServer, sse

import langchain_kie
from langchain_kie import (
    KieAuthenticationError,
    KieConfigurationError,
    KieConnectionError,
    KieContextOverflowError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieMediaNotSeenError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieStreamInterruptedError,
    KieTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UNAUTHORIZED = orjson.loads(fixture("envelope_401.json"))["msg"]
CREDITS = (
    "Credits insufficient : Your current balance isn't enough to run this request. "
    "Please top up to continue."
)
BUSY = "Server exception, please try again later"
MAINTAINED = "The server is currently being maintained, please try again later~"


@dataclass(frozen=True)
class Row:
    """A code and a message, the class that they are, and how often they are tried again."""

    code: int
    message: str
    cls: type[KieError]
    tries: int | None = 0
    """Tries after the first, `None` for as many as the model has."""


CODES = [
    Row(400, "Invalid parameter: messages", KieInvalidRequestError),
    Row(
        400,
        "The image URL <https://a.b/c> image download failed: HTTP 403: Forbidden",
        KieInvalidRequestError,
    ),
    Row(400, "The image URL <x> image download failed: HTTP 429", KieInvalidRequestError),
    Row(400, "The 'type' property must be a single string, not an array", KieInvalidRequestError),
    Row(400, MAINTAINED, KieServerError, None),
    Row(400, "input token count 2000000 exceeds the maximum", KieContextOverflowError),
    Row(401, UNAUTHORIZED, KieAuthenticationError),
    Row(401, "You do not have access permissions", KieAuthenticationError),
    Row(402, CREDITS, KieInsufficientCreditsError),
    Row(402, "no money", KieInsufficientCreditsError),
    Row(403, "Your request was blocked", KiePermissionDeniedError),
    Row(404, "Not found", KieModelNotFoundError),
    Row(408, "Upstream is timed out", KieTimeoutError, 1),
    Row(408, "Request timeout, please try again later", KieTimeoutError, 1),
    Row(413, "Payload too large", KieInvalidRequestError),
    Row(
        422, "The 'text' field within the message content cannot be empty.", KieInvalidRequestError
    ),
    Row(
        422,
        "$.response_format.json_schema.schema.properties.type must be string or array",
        KieInvalidRequestError,
    ),
    Row(422, "The model is not supported", KieModelNotFoundError),
    Row(422, "channel not supported", KieModelNotFoundError),
    Row(422, "validation failed", KieInvalidRequestError),
    Row(429, "Too many requests", KieRateLimitError, None),
    Row(429, "Rate limit: you must be patient, please try again later", KieRateLimitError, None),
    Row(433, "The sub-key has reached its spending limit", KieInsufficientCreditsError),
    Row(433, "limit", KieInsufficientCreditsError),
    Row(455, "Service unavailable: maintenance", KieServerError, None),
    Row(455, "later", KieServerError, None),
    Row(500, BUSY, KieServerError, None),
    Row(500, "Internal error, please contact support", KieServerError, None),
    Row(500, "oops", KieServerError, None),
    Row(500, "The page does not exist", KieModelNotFoundError),
    Row(500, CREDITS, KieInsufficientCreditsError),
    Row(501, "Generation failed", KieServerError, 1),
    Row(502, "Bad gateway", KieServerError, None),
    Row(503, "Unavailable", KieServerError, None),
    Row(505, "The feature is disabled", KiePermissionDeniedError),
    Row(520, "Unknown", KieServerError, None),
    Row(522, "Timed out", KieServerError, None),
    Row(524, "no user can use", KieServerError, 1),
    Row(524, "2 times retry fail", KieServerError, None),
]

CORE: dict[type[KieError], type[core.ModelError]] = {
    KieConfigurationError: core.ModelInvalidRequestError,
    KieAuthenticationError: core.ModelAuthenticationError,
    KiePermissionDeniedError: core.ModelPermissionDeniedError,
    KieInsufficientCreditsError: core.ModelPermissionDeniedError,
    KieInvalidRequestError: core.ModelInvalidRequestError,
    KieContextOverflowError: core.ContextOverflowError,
    KieModelNotFoundError: core.ModelNotFoundError,
    KieRateLimitError: core.ModelRateLimitError,
    KieServerError: core.ModelAPIError,
    KieEmptyResponseError: core.ModelAPIError,
    KieMediaNotSeenError: core.ModelAPIError,
    KieProtocolError: core.ModelAPIError,
    KieTimeoutError: core.ModelTimeoutError,
    KieConnectionError: core.ModelConnectionError,
    KieStreamInterruptedError: core.ModelConnectionError,
}

SHOWN = {"id": "x", "choices": [{"index": 0, "delta": {"content": "Once"}}]}


def envelope(row: Row) -> dict[str, Any]:
    return {"code": row.code, "msg": row.message, "data": None}


# Where a failure can stand: a response made of its row, whether HTTP tells the code, whether the
# body does, and whether text was delivered before it.
PLACES: dict[str, tuple[Callable[[Row], Scripted], bool, bool, bool]] = {
    "a whole body, HTTP 200": (
        lambda row: Scripted([orjson.dumps(envelope(row))]),
        False,
        True,
        False,
    ),
    "a whole body without data, its code a string": (
        lambda row: Scripted([orjson.dumps({"code": str(row.code), "msg": row.message})]),
        False,
        True,
        False,
    ),
    "the first event": (lambda row: Scripted([sse(envelope(row))]), False, True, False),
    "an event after an empty one": (
        lambda row: Scripted([sse({"choices": [{"delta": {"role": "assistant"}}]}, envelope(row))]),
        False,
        True,
        False,
    ),
    "an event after text": (
        lambda row: Scripted([sse(SHOWN, envelope(row))]),
        False,
        True,
        True,
    ),
    "an OpenAI error after text": (
        lambda row: Scripted([sse(SHOWN, {"error": {"message": row.message, "code": row.code}})]),
        False,
        True,
        True,
    ),
    "HTTP's status and KIE's envelope": (
        lambda row: Scripted([orjson.dumps(envelope(row))], status=row.code),
        True,
        True,
        False,
    ),
    "HTTP's status and an OpenAI error": (
        lambda row: Scripted(
            [orjson.dumps({"error": {"message": row.message, "type": "some_error"}})],
            status=row.code,
        ),
        True,
        False,
        False,
    ),
    "HTTP's status and an error that is text": (
        lambda row: Scripted([orjson.dumps({"error": row.message})], status=row.code),
        True,
        False,
        False,
    ),
    "HTTP's status and plain text": (
        lambda row: Scripted([row.message.encode()], status=row.code),
        True,
        False,
        False,
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row.code}-{row.message[:25]}")
async def test_a_failure_is_its_error_in_every_place_and_every_way(row: Row, place: str) -> None:
    response, http_tells, body_tells, partial = PLACES[place]
    with ScriptedServer(response(row)) as server:
        for ask in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await ask(model_at(server, model="gemini-3.1-pro"))
            error = caught.value
            assert type(error) is row.cls
            assert isinstance(error, CORE[row.cls])
            assert error.code == (row.code if body_tells else None)
            assert error.status_code == (row.code if http_tells else 200)
            assert error.message == row.message
            assert row.message.rstrip(".") in str(error)
            assert error.model == "gemini-3.1-pro"
            assert error.is_retryable == (row.tries != 0)
            assert error.partial == (partial and ask in (stream, astream))
            assert error.__cause__ is None


@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row.code}-{row.message[:25]}")
async def test_a_failure_is_tried_again_as_often_as_it_may_help(row: Row, no_sleep) -> None:
    with ScriptedServer(Scripted([orjson.dumps(envelope(row))])) as server:
        for ask in (invoke, astream):
            server.requests.clear()
            with pytest.raises(row.cls):
                await ask(model_at(server, max_retries=3))
            assert len(server.requests) == 1 + (3 if row.tries is None else row.tries)


@pytest.mark.parametrize("ask", CALL_MODES)
async def test_no_way_of_asking_takes_an_envelope_for_an_answer(ask) -> None:
    with (
        server_sending(fixture("envelope_401.json")) as server,
        pytest.raises(KieAuthenticationError) as caught,
    ):
        await ask(model_at(server))
    assert caught.value.code == 401
    assert caught.value.message == UNAUTHORIZED
    assert "KIE_API_KEY" in str(caught.value)


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    ("body", "cls", "message"),
    [
        ({"error": {"message": "m", "type": "x"}}, KieServerError, "m"),
        ({"error": {"type": "upstream_error"}}, KieServerError, "upstream_error"),
        ({"error": "text"}, KieServerError, "text"),
        (
            {"type": "error", "error": {"type": "server_error", "message": MAINTAINED}},
            KieServerError,
            MAINTAINED,
        ),
        ({"type": "error", "message": "m"}, KieServerError, "m"),
        ({"error": {"code": 401, "message": "no"}}, KieAuthenticationError, "no"),
        (
            {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}},
            KieRateLimitError,
            "slow",
        ),
        ({"code": 500}, KieServerError, "an error without a message"),
        ({"code": 401, "message": "no"}, KieAuthenticationError, "no"),
        ({"error": {"message": "m", "type": "invalid_request_error"}}, KieInvalidRequestError, "m"),
        ({"error": {"message": "m", "type": "authentication_error"}}, KieAuthenticationError, "m"),
        ({"error": {"message": "m", "type": "rate_limit_error"}}, KieRateLimitError, "m"),
    ],
)
async def test_an_error_member_is_an_error_whole_or_in_an_event(
    ask, body: dict[str, Any], cls: type[KieError], message: str
) -> None:
    """The three types of error are those that KIE documents (docs/wire.md 7)."""
    for wire in (orjson.dumps(body), sse(body)):
        with server_sending(wire) as server, pytest.raises(KieError) as caught:
            await ask(model_at(server))
        assert (type(caught.value), caught.value.message) == (cls, message)


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    ("status", "body", "cls", "message"),
    [
        (
            404,
            b'{"timestamp":"2026-08-30T10:00:00","status":404,"error":"Not Found","path":"/x"}',
            KieModelNotFoundError,
            "Not Found",
        ),
        (
            524,
            fixture("gateway_524.html"),
            KieServerError,
            "an HTML page, 'api.kie.ai | 524: A timeout occurred'",
        ),
        (
            403,
            b"<html><body>Your request was blocked</body></html>",
            KiePermissionDeniedError,
            "an HTML page",
        ),
        (500, b"", KieServerError, "the answer had no body"),
        (401, b"", KieAuthenticationError, "the answer had no body"),
        (429, b"", KieRateLimitError, "the answer had no body"),
        (400, b"null", KieInvalidRequestError, "null"),
        (400, b"[1]", KieInvalidRequestError, "[1]"),
        (400, b"{}", KieInvalidRequestError, "{}"),
        (502, b"\xff\xfe", KieServerError, "\ufffd\ufffd"),
        (500, b"[" * 100_000, KieServerError, "[" * 200),
        (418, b"teapot", KieInvalidRequestError, "teapot"),
    ],
)
async def test_a_status_with_any_body_is_the_status_s_error(
    ask, status: int, body: bytes, cls: type[KieError], message: str
) -> None:
    with server_sending(body, status=status) as server, pytest.raises(KieError) as caught:
        await ask(model_at(server))
    error = caught.value
    assert (type(error), error.message, error.status_code) == (cls, message, status)


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    "body",
    [
        fixture("gateway_524.html"),
        b"upstream connect error or disconnect/reset before headers",
        b"\xff\xfe\x00",
        b"{",
        b'{"choices":',
        b"nonsense: 1\n\n",
        b"data: nonsense\n\n",
        sse("null"),
        sse("[]"),
        sse('"x"'),
        sse("42"),
        b"[1]",
        b"[[]]",
        b'{"hello":"world"}',
        sse({"hello": "world"}),
        b"data: " + b'{"a":' * 100_000 + b"\n\n",
        b'{"a":' * 100_000,
        sse({"choices": 5}),
        sse({"choices": [5]}),
        sse({"choices": {"a": 1}}),
        sse({"choices": [{"delta": {"content": 5}}]}),
        sse({"choices": [{"delta": {"refusal": True}}]}),
        sse({"choices": [{"delta": {"tool_calls": [5]}}]}),
        sse({"choices": [{"delta": {"tool_calls": [{"function": {"name": ["f"]}}]}}]}),
        sse({"choices": [{"delta": {"tool_calls": [{"id": 5, "function": {"name": "f"}}]}}]}),
        sse({"candidates": [{"content": {"parts": [5]}}]}),
        sse({"candidates": [{"content": {"parts": [{"text": 5}]}, "finishReason": "STOP"}]}),
        sse({"candidates": [], "credits_consumed": "much"}),
    ],
    ids=lambda body: body[:40].decode("utf-8", "replace"),
)
async def test_what_cannot_be_read_is_a_protocol_error(ask, body: bytes) -> None:
    with server_sending(body) as server, pytest.raises(KieError) as caught:
        await ask(model_at(server))
    assert type(caught.value) is KieProtocolError
    assert caught.value.status_code == 200
    assert len(caught.value.message) <= 300


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    "event",
    [
        {"choices": [], "usage": {"prompt_tokens": "many"}},
        {"choices": [{"finish_reason": "stop"}], "usage": ["many"]},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": "x"}},
    ],
    ids=str,
)
async def test_usage_that_cannot_be_read_is_a_protocol_error(ask, event: dict) -> None:
    text = {"choices": [{"delta": {"content": "x"}}]}
    with server_sending(sse(text, event)) as server, pytest.raises(KieProtocolError, match="usage"):
        await ask(model_at(server))


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b": keep-alive\n\n",
        b"data: [DONE]\n\n",
        b"[]",
        orjson.dumps({"choices": []}),
        orjson.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}),
        orjson.dumps({"choices": [{"message": {"content": None}}]}),
        orjson.dumps({"candidates": []}),
        orjson.dumps({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}),
        sse({"choices": [{"delta": {"role": "assistant"}}]}, "[DONE]"),
        sse({"choices": [{"delta": {}, "finish_reason": "stop"}]}, "[DONE]"),
    ],
    ids=lambda body: body[:60].decode(),
)
async def test_an_answer_with_nothing_in_it_is_an_error_and_tried_again(
    ask, body: bytes, no_sleep
) -> None:
    with server_sending(body) as server, pytest.raises(KieEmptyResponseError):
        await ask(model_at(server, max_retries=2))
    assert len(server.requests) == 3


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("status", [200, 500])
async def test_a_long_error_is_shortened(ask, status: int) -> None:
    long = "x" * 200_000
    for body in (
        orjson.dumps({"code": 500, "msg": long}),
        orjson.dumps({"error": {"message": long}}),
        long.encode(),
        b"<html><title>" + long.encode() + b"</title></html>",
        sse(long),
    ):
        with server_sending(body, status=status) as server, pytest.raises(KieError) as caught:
            await ask(model_at(server))
        assert len(caught.value.message) <= 300
        assert len(str(caught.value)) <= 500


TEXTS = [
    (MAINTAINED, KieServerError),
    ("The server is currently being maintained, please try again later", KieServerError),
    ("Server exception, please try again later", KieServerError),
    (" server exception, please try again later... ", KieServerError),
    (
        "The file mime type is not supported by Gemini, please convert or change the file",
        KieInvalidRequestError,
    ),
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


@pytest.mark.parametrize("ask", CALL_MODES)
@pytest.mark.parametrize(("text", "cls"), TEXTS, ids=[text for text, _ in TEXTS])
async def test_an_upstream_error_that_is_the_whole_answer_is_an_error(ask, text, cls) -> None:
    whole = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    halves = [{"choices": [{"delta": {"content": t}}]} for t in (text[:9], text[9:])]
    for body in (whole, sse(*halves, "[DONE]")):
        with server_sending(body) as server, pytest.raises(KieError) as caught:
            await ask(model_at(server))
        assert type(caught.value) is cls


@pytest.mark.parametrize("text", PROSE)
async def test_prose_that_only_speaks_of_errors_is_an_answer(text: str) -> None:
    message = {"content": text, "reasoning_content": "hm"}
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    with server_sending(body) as server:
        for ask in CALL_MODES:
            assert (await ask(model_at(server))).text == text


async def test_an_error_text_beside_a_call_is_text() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    message = {"content": "Internal error", "tool_calls": [call]}
    with server_sending(orjson.dumps({"choices": [{"message": message}]})) as server:
        answer = await invoke(model_at(server))
    assert answer.text == "Internal error"
    assert len(answer.tool_calls) == 1


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_nobody_else_hears_of_it(ask, status: int) -> None:
    with server_sending(fixture("chat_whole.json")) as other:
        for location in (other.base_url + "/x", "/elsewhere", "http://[", ""):
            with server_sending(b"", status=status, headers={"Location": location}) as server:
                with pytest.raises(KieProtocolError) as caught:
                    await ask(model_at(server, max_retries=3))
                assert len(server.requests) == 1
            assert caught.value.status_code == status
            assert not caught.value.is_retryable
        assert other.requests == []


async def test_a_client_that_follows_redirects_does_not_for_us() -> None:
    import httpx  # noqa: PLC0415

    with server_sending(fixture("chat_whole.json")) as other:
        headers = {"Location": other.base_url}
        with server_sending(b"", status=307, headers=headers) as server:
            with httpx.Client(follow_redirects=True) as client, pytest.raises(KieProtocolError):
                model_at(server, http_client=client).invoke("hi")
            async with httpx.AsyncClient(follow_redirects=True) as client:
                with pytest.raises(KieProtocolError):
                    await model_at(server, http_async_client=client).ainvoke("hi")
        assert other.requests == []


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd"])
async def test_an_encoded_answer_is_refused_and_not_asked_for_again(
    ask, encoding: str, no_sleep
) -> None:
    import gzip  # noqa: PLC0415

    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    body = gzip.compress(fixture("chat_whole.json"))
    with server_sending(body, headers=headers) as server, pytest.raises(KieProtocolError) as caught:
        await ask(model_at(server, max_retries=2))
    assert encoding in str(caught.value)
    assert len(server.requests) == 1
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_what_cannot_be_read_is_not_asked_for_again(ask, no_sleep) -> None:
    """It was an answer, and may have been billed."""
    for body in (sse("nonsense"), sse("null"), b'{"hello":"world"}', b'{"choices":'):
        with server_sending(body) as server, pytest.raises(KieProtocolError):
            await ask(model_at(server, max_retries=2))
        assert len(server.requests) == 1, body


def every_class() -> list[type[KieError]]:
    return [
        value
        for name in langchain_kie.__all__
        if isinstance(value := getattr(langchain_kie, name), type) and issubclass(value, KieError)
    ]


def test_the_table_of_core_s_classes_has_every_class_of_ours() -> None:
    assert set(CORE) == set(every_class()) - {KieError}


@pytest.mark.parametrize("cls", every_class())
def test_an_error_survives_pickle_copy_and_deepcopy_with_all_it_knows(cls: type[KieError]) -> None:
    error = cls(
        "m",
        code=500,
        status_code=200,
        model="gemini-3-flash",
        partial=True,
        max_retries=1,
        retry_after=2.5,
    )
    error.add_note("a note")
    for twin in (
        pickle.loads(pickle.dumps(error)),
        copy.copy(error),
        copy.deepcopy(error),
    ):
        assert type(twin) is cls
        assert vars(twin) == vars(error)
        assert (str(twin), twin.args) == (str(error), error.args)


@pytest.mark.parametrize("cls", every_class())
def test_every_class_is_core_s_of_its_kind_and_agrees_whether_to_retry(cls) -> None:
    error = cls("m")
    assert isinstance(error, core.ModelError)
    assert isinstance(error, CORE.get(cls, core.ModelError))
    assert error.is_retryable == cls.is_retryable
    assert cls.__doc__
    assert str(error).startswith("m")


async def test_an_error_of_the_network_keeps_its_cause_and_pickles() -> None:
    with ScriptedServer(Scripted([sse(SHOWN)], ending="fin-mid-chunk")) as server:
        for ask in BASIC_CALL_MODES:
            with pytest.raises(KieStreamInterruptedError) as caught:
                await ask(model_at(server))
            assert type(caught.value.__cause__).__module__.startswith("httpx")
            assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


async def test_an_error_of_the_user_s_own_in_mid_stream_is_the_error() -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with server_sending(fixture("shape_a.sse")) as server:
        chain = model_at(server) | RunnableLambda(fail)
        for ask in BASIC_CALL_MODES:
            with pytest.raises(ZeroDivisionError):
                await ask(chain)


@pytest.mark.parametrize(
    ("body", "cls", "words"),
    [
        ({"code": 200, "data": {"code": 500, "msg": "boom"}}, KieServerError, "boom"),
        ({"data": {"error": {"message": "boom"}}}, KieServerError, "boom"),
        ({"message": "Server exception, try again later"}, KieServerError, "Server exception"),
        ({"msg": "Credits insufficient"}, KieInsufficientCreditsError, "Credits insufficient"),
        ({"success": False, "detail": "bad thing"}, KieServerError, "bad thing"),
        ({"status": 404, "error": "Not Found", "path": "/x"}, KieModelNotFoundError, "Not Found"),
        ({"code": 200, "msg": "success", "data": None}, KieEmptyResponseError, "empty"),
        ({"code": 429, "msg": "Credits insufficient"}, KieInsufficientCreditsError, "Credits"),
        ({"code": 403, "msg": "Insufficient permissions"}, KiePermissionDeniedError, "perm"),
        ({"code": 503, "msg": "insufficient resources"}, KieServerError, "resources"),
        ({"code": 500, "msg": "The server must be restarted"}, KieServerError, "restarted"),
    ],
    ids=str,
)
@pytest.mark.parametrize("as_event", [False, True])
def test_a_failure_keeps_the_server_s_words(body, cls, words, as_event) -> None:
    data = sse(body, "[DONE]") if as_event else orjson.dumps(body)
    with server_sending(data) as server, pytest.raises(KieError, match=words) as caught:
        model_at(server).invoke("hi")
    assert type(caught.value) is cls
