"""Which failures are retried, after which waits, and how often."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import logging
import random
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at
from scripted_server import Scripted, ScriptedServer, refusing_url, sse

from langchain_kie import (
    KieAccount,
    KieConnectionError,
    KieError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
)
from langchain_kie._http.errors import to_kie_error
from langchain_kie._http.retry import (
    RATE_LIMIT_WINDOW,
    RETRY_BUDGET,
    parse_retry_after,
    retry_delay,
)
from unit_tests.loopback import TEXT_EVENTS, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BUSY = Scripted([b'{"code":500,"msg":"Server exception, please try again later"}'])
NOW = 1_800_000_000.0


def http_date(seconds: float) -> str:
    """Return the HTTP date that is `seconds` after `NOW`."""
    return email.utils.formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), True),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"), False),
        (httpx.ProxyError("407 Proxy Authentication Required"), False),
        (httpx.ProxyError("502 Bad Gateway"), True),
    ],
    ids=str,
)
def test_a_rejected_certificate_or_proxy_is_not_retried(
    error: httpx.TransportError, is_retried: bool
) -> None:
    kie_error = to_kie_error(
        error,
        model="m",
        timeouts={},
        retry_on_timeout=False,
        after_first_item=False,
        may_be_billed=False,
    )
    assert (retry_delay(kie_error, 1, 0.0, 2) is not None) is is_retried
    assert kie_error.model == "m"


async def test_a_library_that_is_not_loaded_completely_changes_nothing(monkeypatch) -> None:
    """As while another thread imports it."""
    monkeypatch.setitem(sys.modules, "httpx2", ModuleType("httpx2"))
    with ScriptedServer() as server, refusing_url() as url:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieConnectionError):
                await call_mode(model_at(server, base_url=url))


RETRY_AFTER: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    (" ", None),
    ("0", None),
    ("1", 1.0),
    ("60", 60.0),
    (" 7 ", 7.0),
    ("1.5", 1.5),
    ("1e2", 100.0),
    ("-1", None),
    ("-0.5", None),
    ("nan", None),
    ("inf", None),
    ("-inf", None),
    ("1" * 400, None),
    ("soon", None),
    ("0x10", None),
    (http_date(30), 30.0),
    (http_date(-30), None),
    (http_date(0), None),
    (email.utils.formatdate(NOW + 90, localtime=False), 90.0),
    ("Fri, 32 Foo 2026 99:99:99 GMT", None),
    ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ("Sun, 06 Nov 1994 08:49:37", None),
    ("\u0663", 3.0),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER, ids=lambda value: str(value)[:32])
def test_a_retry_after_header_is_parsed(value, seconds, monkeypatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    assert parse_retry_after(value) == seconds


# --- the waits, without sockets ---------------------------------------------------------------


def delays(error: KieError, max_retries: int, *, seconds: float = 0.0) -> list[float]:
    """Return the waits of a call whose attempts all fail with `error`, each after `seconds`."""
    waited: list[float] = []
    for attempt in itertools.count(1):
        delay = retry_delay(error, attempt, seconds * attempt + sum(waited), max_retries)
        if delay is None:
            return waited
        waited.append(delay)
    raise AssertionError


def test_waits_are_random_below_a_limit_that_doubles_up_to_8_seconds() -> None:
    samples = []
    for seed in range(200):
        random.seed(seed)
        samples.append(delays(KieServerError("busy"), 6))
    for position, limit in enumerate((1, 2, 4, 8, 8, 8)):
        waits = [sample[position] for sample in samples]
        assert 0 <= min(waits) < limit * 0.05
        assert limit * 0.95 < max(waits) <= limit
        assert limit * 0.4 < sum(waits) / len(waits) < limit * 0.6


def test_a_rate_limit_adds_its_window() -> None:
    """wire.md 7-13, 8-1: 20 requests in 10 s, and no `Retry-After`."""
    for delay, limit in zip(delays(KieRateLimitError("slow"), 4), (1, 2, 4, 8), strict=True):
        assert RATE_LIMIT_WINDOW <= delay <= RATE_LIMIT_WINDOW + limit


@pytest.mark.parametrize("cls", [KieServerError, KieRateLimitError])
def test_the_wait_that_the_server_asks_for_is_exact(cls: type[KieError]) -> None:
    assert delays(cls("wait", retry_after=7.5), 3) == [7.5] * 3


@pytest.mark.parametrize(("seconds", "retries"), [(120.0, 1), (120.1, 0), (3600.0, 0)])
def test_a_wait_of_more_than_120_seconds_is_not_waited(seconds: float, retries: int) -> None:
    assert len(delays(KieRateLimitError("slow", retry_after=seconds), 1)) == retries


@pytest.mark.parametrize("seconds", [0.0, 1.0, 59.0, 179.0, 181.0])
def test_no_retry_starts_180_seconds_after_the_call(seconds: float) -> None:
    waited = delays(KieServerError("busy"), 10**9, seconds=seconds)
    assert seconds * len(waited) + sum(waited) < RETRY_BUDGET
    assert waited or seconds > 170


def test_a_wait_beyond_the_180_seconds_is_not_waited() -> None:
    assert delays(KieServerError("busy", retry_after=100), 10**9) == [100]


@pytest.mark.parametrize("max_retries", [0, 1, 2, 5, 5000])
def test_the_smaller_number_of_retries_counts(max_retries: int) -> None:
    assert len(delays(KieServerError("busy", retry_after=1e-6), max_retries)) == max_retries
    error = KieServerError("busy", retry_after=1e-6, max_retries=max_retries)
    assert len(delays(error, 10**9)) == max_retries


# --- the retries, on a socket -----------------------------------------------------------------


@pytest.mark.parametrize("max_retries", [0, 1, 5])
async def test_each_retry_is_one_request_one_wait_and_one_warning(
    max_retries: int, no_sleep, caplog
) -> None:
    for call_mode in BASIC_CALL_MODES:
        no_sleep.clear()
        caplog.clear()
        with ScriptedServer(BUSY) as server, pytest.raises(KieServerError) as caught:
            await call_mode(model_at(server, max_retries=max_retries), "my secret prompt")
        assert caught.value.is_retryable
        assert (caught.value.__context__, caught.value.__cause__) == (None, None)
        assert (len(server.requests), len(no_sleep)) == (max_retries + 1, max_retries)
        assert len({request.body for request in server.requests}) == 1
        warnings = [r for r in caplog.records if r.name == "langchain_kie._http.retry"]
        assert [record.levelno for record in warnings] == [logging.WARNING] * max_retries
        for number, record in enumerate(warnings, 1):
            assert record.getMessage().startswith(f"retry {number} in ")
            assert record.getMessage().endswith(" s: KieServerError, 500")
            assert "my secret prompt" not in record.getMessage()


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_a_successful_retry_returns_the_answer(call_mode, no_sleep) -> None:
    with ScriptedServer(BUSY, Scripted([fixture("chat_completion.json")])) as server:
        assert (await call_mode(model_at(server, max_retries=2))).text == "pong"
    assert (len(server.requests), len(no_sleep)) == (2, 1)


_USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}


@pytest.mark.parametrize("usage", [_USAGE, {**_USAGE, "credits_consumed": 0.4}], ids=str)
async def test_an_empty_answer_that_was_billed_is_not_retried(usage: Any, no_sleep) -> None:
    body = sse({"choices": [{"delta": {"role": "assistant"}}]}, usage, "[DONE]")
    with ScriptedServer(Scripted([body])) as server:
        for call_mode in BASIC_CALL_MODES:
            server.requests.clear()
            with pytest.warns(UserWarning, match="the answer is empty, but 3 tokens"):
                message = await call_mode(model_at(server, max_retries=3))
            assert message.response_metadata["empty_answer"] is True
            assert len(server.requests) == 1


_ERROR: dict[str, Any] = {"code": 500, "msg": "Server exception"}
_NO_TOKENS = {"total_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}, "cost": "0"}
BILLED_ERRORS: list[tuple[dict[str, Any], bool]] = [
    (_ERROR, False),
    ({**_ERROR, "credits_consumed": 0}, False),
    ({**_ERROR, "credits_consumed": None, "usage": _NO_TOKENS}, False),
    ({**_ERROR, "data": {"credits_consumed": 0.0}}, False),
    ({**_ERROR, "credits_consumed": 0.5}, True),
    ({**_ERROR, "credits_consumed": "0.5"}, True),
    ({**_ERROR, "data": {"credits_consumed": 0.5}}, True),
    ({"error": {"message": "Busy", "credits_consumed": 0.5}}, True),
    ({"error": {"message": "Slow", "code": 429}, "credits_consumed": 0.5}, True),
    ({"error": {"message": "Busy"}, "usage": {"total_tokens": 7}}, True),
    ({"error": {"message": "Busy"}, "usageMetadata": {"promptTokenCount": "7"}}, True),
]
"""Errors that a retry can help, and whether they were billed."""


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
@pytest.mark.parametrize("status", [200, 503, 504])
@pytest.mark.parametrize(("value", "is_billed"), BILLED_ERRORS, ids=str)
async def test_an_error_that_was_billed_is_not_retried(
    value: Any, is_billed: bool, status: int, api: str, no_sleep
) -> None:
    """It has the credits, and `is_retryable` leaves a retry to the caller."""
    fields = {"model": "gemini-3.8-flash", "api": api, "max_retries": 2, "retry_on_timeout": True}
    for call_mode in BASIC_CALL_MODES:
        for body in (orjson.dumps(value), sse(value))[: 1 + (status == 200)]:
            with ScriptedServer(Scripted([body], status=status)) as server:
                with pytest.raises(KieError) as caught:
                    await call_mode(model_at(server, **fields))
                assert caught.value.is_retryable
                assert len(server.requests) == (1 if is_billed else 3)
                if b"0.5" in body:
                    assert caught.value.credits_consumed == 0.5


class TimingOut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose reader times out after some pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        raise httpx.ReadTimeout("timed out")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@pytest.mark.parametrize("retry_on_timeout", [False, True])
@pytest.mark.parametrize("pieces", [[], TEXT_EVENTS[:1]], ids=len)
async def test_a_timeout_is_retried_on_request_before_the_first_item(
    pieces: list[bytes], retry_on_timeout: bool, no_sleep
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, stream=TimingOut(pieces))

    requests: list[httpx.Request] = []
    transport = httpx.MockTransport(respond)
    with ScriptedServer() as server, httpx.Client(transport=transport) as client:
        async with httpx.AsyncClient(transport=transport) as async_client:
            clients = {"http_client": client, "http_async_client": async_client}
            for call_mode in BASIC_CALL_MODES:
                requests.clear()
                fields = {"max_retries": 2, "retry_on_timeout": retry_on_timeout, **clients}
                with pytest.raises(KieTimeoutError) as caught:
                    await call_mode(model_at(server, **fields))
                assert caught.value.is_retryable
                assert len(requests) == (3 if retry_on_timeout and not pieces else 1)


@pytest.mark.parametrize("status", [504, 522, 524])
@pytest.mark.parametrize(("retry_on_timeout", "requests"), [(False, 1), (True, 3)])
async def test_a_timeout_of_a_gateway_is_retried_on_request(
    status: int, retry_on_timeout: bool, requests: int, no_sleep
) -> None:
    """wire.md 7-20, 7-21: the call was probably billed."""
    page = fixture("gateway_524.html")
    for call_mode in BASIC_CALL_MODES:
        with ScriptedServer(Scripted([page], status=status)) as server:
            model = model_at(server, max_retries=2, retry_on_timeout=retry_on_timeout)
            with pytest.raises(KieTimeoutError, match="may have billed") as caught:
                await call_mode(model)
            assert caught.value.is_retryable
            assert caught.value.status_code == status
            assert len(server.requests) == requests


@pytest.mark.parametrize("status", [504, 522, 524])
async def test_a_timeout_of_a_gateway_costs_nothing_where_no_model_is_called(status: int) -> None:
    with ScriptedServer(Scripted([fixture("gateway_524.html")], status=status)) as server:
        account = KieAccount(api_key="k", base_url=server.base_url, max_retries=0)
        with pytest.raises(KieTimeoutError) as caught:
            account.credits()
        with pytest.raises(KieTimeoutError) as acaught:
            await account.acredits()
        assert caught.value.hint == acaught.value.hint == ""


async def test_an_answer_that_a_client_cannot_decode_is_not_retried(no_sleep) -> None:
    async def read(response: httpx.Response) -> None:
        await response.aread()

    answer = Scripted([b"no gzip"], headers={"Content-Encoding": "gzip"})
    hook = {"response": [httpx.Response.read]}
    with ScriptedServer(answer) as server, httpx.Client(event_hooks=hook) as client:
        async with httpx.AsyncClient(event_hooks={"response": [read]}) as async_client:
            model = model_at(
                server, max_retries=2, http_client=client, http_async_client=async_client
            )
            for tries, call_mode in enumerate(BASIC_CALL_MODES, 1):
                with pytest.raises(KieProtocolError, match="DecodingError") as caught:
                    await call_mode(model)
                assert not caught.value.is_retryable
                assert caught.value.model == "gemini-3-flash"
                assert len(server.requests) == tries


async def test_an_error_that_is_not_of_this_package_is_not_retried(no_sleep) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise ZeroDivisionError

    requests: list[httpx.Request] = []
    transport = httpx.MockTransport(fail)
    with ScriptedServer() as server, httpx.Client(transport=transport) as client:
        with pytest.raises(ZeroDivisionError):
            model_at(server, http_client=client, max_retries=3).invoke("hi")
        async with httpx.AsyncClient(transport=transport) as async_client:
            model = model_at(server, http_async_client=async_client, max_retries=3)
            with pytest.raises(ZeroDivisionError):
                await model.ainvoke("hi")
    assert len(requests) == 2


async def test_a_task_can_be_cancelled_while_it_waits_to_retry(caplog) -> None:
    slow = Scripted([b"slow down"], status=429, headers={"Retry-After": "100"})
    with ScriptedServer(slow) as server:
        task = asyncio.ensure_future(model_at(server, max_retries=5).ainvoke("hi"))
        await until(lambda: "retry 1 in 100.0 s" in caplog.text)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.requests) == 1
