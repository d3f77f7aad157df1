"""Time-outs: how they are set, what their errors say, and what extends no deadline."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at
from limits import MAX_STALL
from scripted_server import Scripted, ScriptedServer

from langchain_kie._http.connection import Connection
from langchain_kie._http.errors import to_kie_error
from langchain_kie._http.read_deadline import read_pieces
from langchain_kie._http.request_values import DEFAULT_TIMEOUT

FOUR = {"connect": 1.0, "read": 2.0, "write": 0.5, "pool": None}
TIMEOUTS: list[tuple[type[httpx.TimeoutException], bool, str]] = [
    (httpx.ConnectTimeout, False, "no connection within 1 s"),
    (httpx.PoolTimeout, False, "no free connection in time"),
    (httpx.WriteTimeout, False, "the request could not be sent within 0.5 s"),
    (httpx.ReadTimeout, False, "no response within 2 s"),
    (httpx.TimeoutException, False, "no response within 2 s"),
    (httpx.ReadTimeout, True, "no further event within 2 s"),
]


@pytest.mark.parametrize(("cls", "after_first_item", "message"), TIMEOUTS)
@pytest.mark.parametrize("retry_on_timeout", [False, True])
@pytest.mark.parametrize("model", ["gemini-3-flash", None])
def test_a_timeout_says_what_did_not_happen_and_is_retried_if_not_billed(
    cls, after_first_item: bool, message: str, model: str | None, retry_on_timeout: bool
) -> None:
    error = to_kie_error(
        cls("timed out"),
        model=model,
        timeouts=FOUR,
        retry_on_timeout=retry_on_timeout,
        after_first_item=after_first_item,
        may_be_billed=after_first_item,
    )
    assert (error.message, error.model) == (message, model)
    assert error.is_retryable
    may_be_billed = bool(model) and cls not in {httpx.ConnectTimeout, httpx.PoolTimeout}
    assert bool(error.hint) is ("may have billed" in str(error)) is may_be_billed
    assert ("answer" in error.hint) is (may_be_billed and after_first_item)
    may_retry = retry_on_timeout or cls is httpx.ConnectTimeout
    assert (error.max_retries > 0) is (may_retry and not after_first_item)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, DEFAULT_TIMEOUT),
        (7, dict.fromkeys(FOUR, 7)),
        (httpx.Timeout(9, read=7), {**dict.fromkeys(FOUR, 9), "read": 7}),
    ],
    ids=str,
)
async def test_a_timeout_is_set_for_a_model_or_for_a_call(limit: Any, expected: Any) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"] == expected
        assert b"timeout" not in request.content
        return httpx.Response(200, content=fixture("chat_completion.json"))

    transport = httpx.MockTransport(respond)
    with ScriptedServer() as server, httpx.Client(transport=transport) as client:
        async with httpx.AsyncClient(transport=transport) as async_client:
            clients = {"http_client": client, "http_async_client": async_client}
            for call_mode in BASIC_CALL_MODES:
                await call_mode(model_at(server, timeout=limit, **clients))
            model = model_at(server, **clients)
            model.invoke("hi", timeout=limit)
            await model.ainvoke("hi", timeout=limit)


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
@pytest.mark.parametrize("ending", ["stall", "comments"])
async def test_the_end_of_a_body_is_not_awaited_after_done(
    call_mode, ending: Any, monkeypatch
) -> None:
    monkeypatch.setattr("langchain_kie._http.read_deadline.USAGE_TIMEOUT", 600)
    with ScriptedServer(Scripted([fixture("shape_a.sse")], ending=ending)) as server:
        start = time.monotonic()
        message = await call_mode(model_at(server, timeout=600))
        assert time.monotonic() - start < MAX_STALL
    assert message.text == "The sky is blue, né 🌤."


# --- deadlines, with a fake clock and a fake connection ---------------------------------------


class Stream(httpx.SyncByteStream):
    """A body and its connection, which records the time-out of each read."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []

    def __iter__(self) -> Any:
        while True:
            yield self.read(1, 2.0)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout and round(timeout, 3))
        return b"x"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Not called."""


@pytest.fixture
def exchange(monkeypatch) -> SimpleNamespace:
    """A response with a read time-out of 2 s, its reader, its connection and its clock."""
    now = [100.0]
    monkeypatch.setattr("langchain_kie._http.read_deadline.time.monotonic", lambda: now[0])
    stream = Stream()
    request = httpx.Request("POST", "http://x", extensions={"timeout": {"read": 2.0}})
    response = httpx.Response(
        200, request=request, stream=stream, extensions={"network_stream": stream}
    )
    reader = SimpleNamespace(
        event_count=0,
        has_terminal_event=False,
        output_can_follow=False,
        can_stop_reading=False,
        is_complete=False,
    )
    pieces = read_pieces(response, reader, Connection.of(response, is_pooled=False))
    return SimpleNamespace(now=now, stream=stream, response=response, reader=reader, pieces=pieces)


def test_bytes_that_complete_no_event_do_not_extend_the_deadline(exchange) -> None:
    next(exchange.pieces)
    exchange.now[0] += 1.5
    next(exchange.pieces)
    assert exchange.stream.timeouts == [2.0, 0.5]
    exchange.now[0] += 1.0
    with pytest.raises(httpx.ReadTimeout):
        next(exchange.pieces)


def test_an_event_starts_a_new_deadline(exchange) -> None:
    for _ in range(4):
        next(exchange.pieces)
        exchange.reader.event_count += 1
        exchange.now[0] += 1.5
    assert exchange.stream.timeouts == [2.0] * 4


@pytest.mark.parametrize(
    ("can_follow", "can_stop", "limit"),
    [(True, False, 2.0), (False, False, 0.5), (False, True, 0.1)],
    ids=["finish reason", "token counts", "credits"],
)
def test_token_counts_and_credits_shorten_the_deadline_and_a_finish_reason_does_not(
    exchange, monkeypatch, can_follow: bool, can_stop: bool, limit: float
) -> None:
    monkeypatch.setattr("langchain_kie._http.read_deadline.USAGE_TIMEOUT", 0.5)
    next(exchange.pieces)
    exchange.reader.event_count = 1
    exchange.reader.has_terminal_event = exchange.reader.is_complete = True
    exchange.reader.output_can_follow = can_follow
    exchange.reader.can_stop_reading = can_stop
    next(exchange.pieces)
    next(exchange.pieces)
    assert exchange.stream.timeouts[-1] == limit
    exchange.now[0] += limit + 0.01
    assert [*exchange.pieces] == []


def test_without_a_limit_no_event_is_overdue(exchange) -> None:
    exchange.response.request.extensions.clear()
    for _ in range(3):
        next(exchange.pieces)
        exchange.now[0] += 1_000


def test_output_after_a_complete_answer_restores_the_deadline(exchange) -> None:
    next(exchange.pieces)
    exchange.reader.event_count = 1
    exchange.reader.has_terminal_event = exchange.reader.can_stop_reading = True
    for _ in range(2):
        next(exchange.pieces)
    assert exchange.stream.timeouts[-1] == 0.1
    exchange.reader.event_count = 2
    exchange.reader.has_terminal_event = False
    for _ in range(2):
        next(exchange.pieces)
    assert exchange.stream.timeouts[-1] == 2.0
    exchange.now[0] += 2.01
    with pytest.raises(httpx.ReadTimeout):
        next(exchange.pieces)


def test_a_closed_response_leaves_the_connection_its_own_timeouts(exchange) -> None:
    exchange.reader.event_count = 1
    for _ in range(3):
        next(exchange.pieces)
    exchange.now[0] += 1.9
    assert exchange.stream.read(1, 9.0)
    exchange.response.close()
    assert exchange.stream.read(1, 9.0)
    assert exchange.stream.timeouts[-2:] == [0.1, 9.0]
