"""Which failures are tried again, when, and how often; on a clock that nobody waits for."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from call_modes import BASIC_CALL_MODES, fixture, invoke, model_at
from scripted_server import Scripted, ScriptedServer, sse
from tenacity import AsyncRetrying, Retrying

from langchain_kie import (
    KieConnectionError,
    KieError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
)
from langchain_kie._http import retry as _retry
from langchain_kie._http.retry import parse_retry_after
from unit_tests.loopback import SLOW

WHOLE = fixture("chat_whole.json")


BUSY = Scripted([b'{"code":500,"msg":"Server exception, please try again later"}'])


LIMITED = Scripted([b'{"code":429,"msg":"Too many requests"}'])


NOW = 1_800_000_000.0


def after(seconds: float) -> str:
    """An HTTP date so many seconds from now."""
    return email.utils.formatdate(NOW + seconds, usegmt=True)


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
    (after(30), 30.0),
    (after(-30), None),
    (after(0), None),
    (email.utils.formatdate(NOW + 90, localtime=False), 90.0),
    ("Fri, 32 Foo 2026 99:99:99 GMT", None),
    ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ("Sun, 06 Nov 1994 08:49:37", None),
    ("\u0663", 3.0),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER, ids=lambda value: str(value)[:32])
def test_a_retry_after_header_asks_for_these_seconds(value, seconds, monkeypatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
@pytest.mark.parametrize("max_retries", [0, 1, 2, 5])
async def test_a_failure_that_may_pass_is_tried_again_so_often(
    ask, max_retries: int, no_sleep
) -> None:
    for response in (BUSY, LIMITED, Scripted([], status=503), Scripted([], ending="rst")):
        with ScriptedServer(response) as server, pytest.raises(KieError) as caught:
            await ask(model_at(server, max_retries=max_retries))
        assert len(server.requests) == max_retries + 1
        assert len(no_sleep) == max_retries
        assert caught.value.is_retryable
        no_sleep.clear()


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_the_waits_grow_are_random_and_have_a_bound(ask, no_sleep) -> None:
    random.seed(7)
    with ScriptedServer(BUSY) as server, pytest.raises(KieServerError):
        await ask(model_at(server, max_retries=30))
    assert all(0 <= delay <= 8 for delay in no_sleep)
    assert no_sleep[0] <= 1
    assert no_sleep[1] <= 2
    assert no_sleep[2] <= 4
    assert len(set(no_sleep)) > 20


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_a_rate_limit_is_waited_for_as_long_as_its_window(ask, no_sleep) -> None:
    for response in (LIMITED, Scripted([b"slow down"], status=429)):
        with ScriptedServer(response) as server, pytest.raises(KieRateLimitError):
            await ask(model_at(server, max_retries=2))
        assert all(10 <= delay <= 18 for delay in no_sleep)


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_what_the_server_asks_to_wait_is_waited(ask, no_sleep) -> None:
    slow = Scripted([b"slow down"], status=429, headers={"Retry-After": "3.5"})
    with ScriptedServer(slow, Scripted([WHOLE])) as server:
        assert (await ask(model_at(server, max_retries=2))).text == "pong"
    assert no_sleep == [3.5]
    no_sleep.clear()
    forever = Scripted([b"slow down"], status=503, headers={"Retry-After": "3600"})
    with ScriptedServer(forever) as server, pytest.raises(KieServerError) as caught:
        await ask(model_at(server, max_retries=2))
    assert (len(server.requests), no_sleep, caught.value.retry_after) == (1, [], 3600.0)


async def test_a_retry_is_logged_without_the_prompt(no_sleep, caplog) -> None:
    with ScriptedServer(BUSY, Scripted([WHOLE])) as server:
        await invoke(model_at(server, max_retries=1), "my secret prompt")
    (record,) = [r for r in caplog.records if r.name.startswith("langchain_kie")]
    assert "retry 1 in" in record.getMessage()
    assert "my secret prompt" not in record.getMessage()


async def test_each_retry_is_one_line_of_the_log(no_sleep, caplog) -> None:
    for ask in BASIC_CALL_MODES:
        caplog.clear()
        with ScriptedServer(BUSY) as server, pytest.raises(KieServerError):
            await ask(model_at(server, max_retries=3))
        told = [r for r in caplog.records if r.name.startswith("langchain_kie")]
        assert [r.levelno for r in told] == [logging.WARNING] * 3
        for number, record in enumerate(told, 1):
            assert record.getMessage().startswith(f"retry {number} in ")
            assert "Server exception" in record.getMessage()


# --- which ------------------------------------------------------------------------------------


def envelope(code: int, message: str = "no") -> Scripted:
    return Scripted([b'{"code":%d,"msg":"%s"}' % (code, message.encode())])


def empty(*usage: dict[str, Any]) -> Scripted:
    return Scripted([sse({"choices": [{"delta": {"role": "assistant"}}]}, *usage, "[DONE]")])


_COUNTED = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 0}}
_BILLED = {**_COUNTED, "credits_consumed": 0.4}
_JSON = {"Content-Type": "application/json"}

MOST = 3
AGAIN: dict[str, tuple[Scripted, int]] = {
    "500": (envelope(500), MOST),
    "500 of HTTP": (Scripted([], status=500), MOST),
    "502": (Scripted([b"<html>"], status=502), MOST),
    "503": (Scripted([], status=503), MOST),
    "504": (Scripted([], status=504), MOST),
    "520": (envelope(520), MOST),
    "522": (Scripted([], status=522), MOST),
    "524": (Scripted([], status=524), MOST),
    "409": (Scripted([], status=409), MOST),
    "429": (LIMITED, MOST),
    "429 of HTTP": (Scripted([], status=429), MOST),
    "455, maintenance": (envelope(455), MOST),
    "400 that tells of maintenance": (envelope(400, "being maintained, try again later"), MOST),
    "a reset": (Scripted([], ending="rst"), MOST),
    "an end in the first chunk": (Scripted([], ending="fin-mid-chunk"), MOST),
    "an empty body": (Scripted([]), MOST),
    "only [DONE]": (Scripted([sse("[DONE]")]), MOST),
    "a role, and no more": (empty(), MOST),
    "408, the model is silent": (envelope(408), 1),
    "501, the model failed": (envelope(501), 1),
    "nobody serves it now": (envelope(500, "no user can use this"), 1),
    "nothing, but tokens were counted": (empty(_COUNTED), 0),
    "nothing, but it was billed": (empty(_BILLED), 0),
    "400": (envelope(400), 0),
    "401": (envelope(401), 0),
    "402": (envelope(402), 0),
    "403": (envelope(403), 0),
    "404": (Scripted([], status=404), 0),
    "413": (Scripted([], status=413), 0),
    "422": (envelope(422), 0),
    "433, the key's limit": (envelope(433), 0),
    "505, disabled": (envelope(505), 0),
    "500 for want of credits": (envelope(500, "Credits insufficient"), 0),
    "500 for a page that is not there": (envelope(500, "The page does not exist"), 0),
    "a prompt that is too long": (envelope(400, "token count 9 exceeds the maximum"), 0),
    "a redirect": (Scripted([], status=307, headers={"Location": "/"}), 0),
    "an encoding": (Scripted([b"x"], headers={"Content-Encoding": "gzip"}), 0),
    "HTML for an answer": (Scripted([b"<html>hi</html>"]), 0),
    "no JSON": (Scripted([b"data: {\n\n"]), 0),
    "silence": (Scripted([], ending="stall"), 0),
    "a reset after the first token": (Scripted(SLOW[:1], ending="fin-mid-chunk"), 0),
    "an end after the first token": (Scripted(SLOW), 0),
    "500 after the first token": (Scripted([*SLOW, sse({"code": 500, "msg": "no"})]), 0),
    "429 after the first token": (Scripted([*SLOW, sse({"code": 429, "msg": "no"})]), 0),
    "silence after the first token": (Scripted(SLOW, ending="stall"), 0),
}
"""Each failure, and how often it is tried again when three retries are allowed."""


@pytest.mark.parametrize("name", AGAIN)
async def test_a_failure_is_tried_again_where_that_can_help(name: str, no_sleep) -> None:
    failure, times = AGAIN[name]
    for ask in BASIC_CALL_MODES:
        no_sleep.clear()
        with ScriptedServer(failure) as server:
            with suppress(KieError):  # what was billed may be a message
                await ask(model_at(server, max_retries=MOST, timeout=0.15))
            assert (len(server.requests), len(no_sleep)) == (times + 1, times)


async def test_silence_is_tried_again_only_for_who_wants_it(no_sleep) -> None:
    silent = Scripted([], ending="stall")
    for ask in BASIC_CALL_MODES:
        with ScriptedServer(silent) as server, pytest.raises(KieTimeoutError) as caught:
            await ask(model_at(server, max_retries=2, timeout=0.1, retry_on_timeout=True))
        assert (len(server.requests), caught.value.is_retryable) == (3, True)
        begun = Scripted(SLOW[:1], ending="stall")
        with ScriptedServer(begun) as server, pytest.raises(KieTimeoutError):
            await ask(model_at(server, max_retries=2, timeout=0.1, retry_on_timeout=True))
        assert len(server.requests) == 1


async def test_the_error_of_the_last_attempt_tells_of_no_other(no_sleep) -> None:
    with ScriptedServer(envelope(500), envelope(501)) as server:
        for ask in BASIC_CALL_MODES:
            with pytest.raises(KieError) as caught:
                await ask(model_at(server, max_retries=1))
            assert (caught.value.__context__, caught.value.__cause__) == (None, None)


async def test_what_was_never_sent_is_tried_again(no_sleep) -> None:
    with ScriptedServer(Scripted()) as server:
        pass
    for ask in BASIC_CALL_MODES:
        no_sleep.clear()
        with pytest.raises(KieConnectionError, match=r"Errno 111"):
            await ask(model_at(server, max_retries=2))
        assert len(no_sleep) == 2


# --- when, on a clock of its own --------------------------------------------------------------


class Clock:
    """Time that passes only when somebody sleeps, or is said to have worked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def run(
    clock: Clock, error: KieError, *, seconds: float = 0.0, most: int = 10**9, is_async: bool
) -> int:
    """How often something is tried that fails again and again after so many seconds."""
    tries = 0

    def fail() -> None:
        nonlocal tries
        tries += 1
        clock.now += seconds
        raise error

    async def afail() -> None:
        fail()

    options = _retry.options(most)
    try:
        if is_async:
            await AsyncRetrying(**options, sleep=clock.asleep)(afail)
        Retrying(**options, sleep=clock.sleep)(fail)
    except BaseException as caught:
        if caught is not error:
            raise
    return tries


BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@BOTH
async def test_waits_are_drawn_from_the_whole_of_a_range_that_doubles(clock, is_async) -> None:
    draws: list[list[float]] = []
    for seed in range(200):
        random.seed(seed)
        clock.slept.clear()
        await run(clock, KieServerError("busy"), most=6, is_async=is_async)
        draws.append([*clock.slept])
    for position, limit in enumerate((1, 2, 4, 8, 8, 8)):
        waits = [draw[position] for draw in draws]
        assert 0 <= min(waits) < limit * 0.05
        assert limit * 0.95 < max(waits) <= limit
        assert limit * 0.4 < sum(waits) / len(waits) < limit * 0.6


@BOTH
async def test_a_rate_limit_without_words_is_its_window_and_the_jitter(clock, is_async) -> None:
    await run(clock, KieRateLimitError("slow"), most=4, is_async=is_async)
    for wait, jitter in zip(clock.slept, (1, 2, 4, 8), strict=True):
        assert _retry.RATE_LIMIT_WINDOW <= wait <= _retry.RATE_LIMIT_WINDOW + jitter


@BOTH
@pytest.mark.parametrize("cls", [KieServerError, KieRateLimitError])
async def test_the_server_s_own_word_is_kept_to_the_second(clock, cls, is_async) -> None:
    await run(clock, cls("wait", retry_after=7.5), most=3, is_async=is_async)
    assert clock.slept == [7.5] * 3


@BOTH
async def test_no_wait_goes_beyond_the_budget(clock, is_async) -> None:
    for seconds in (0.0, 1.0, 59.0, 179.0, 181.0):
        clock.now, begun = 1000.0, 1000.0
        tries = await run(clock, KieServerError("busy"), seconds=seconds, is_async=is_async)
        last = clock.now - seconds
        assert last - begun < _retry.RETRY_BUDGET
        assert tries > 1 or seconds > 170
    clock.now = 0.0
    waits = KieServerError("busy", retry_after=100)
    assert await run(clock, waits, is_async=is_async) == 2
    assert clock.now == 100


@BOTH
@pytest.mark.parametrize(("seconds", "tries"), [(120.0, 2), (120.1, 1), (3600.0, 1)])
async def test_who_asks_for_too_long_is_not_waited_for(clock, seconds, tries, is_async) -> None:
    error = KieRateLimitError("slow", retry_after=seconds)
    assert await run(clock, error, most=1, is_async=is_async) == tries


@BOTH
async def test_any_number_of_retries_is_kept_and_none_overflows(clock, is_async) -> None:
    for most in (0, 1, 2, 5):
        clock.now = 0.0
        assert await run(clock, KieServerError("busy"), most=most, is_async=is_async) == most + 1
    clock.now = 0.0
    patient = KieServerError("busy", retry_after=1e-6)
    assert await run(clock, patient, most=5000, is_async=is_async) == 5001


@BOTH
async def test_an_error_that_is_not_ours_is_not_tried_again(clock, is_async) -> None:
    for error in (ValueError("no"), KeyboardInterrupt(), asyncio.CancelledError()):
        assert await run(clock, error, is_async=is_async) == 1  # type: ignore[arg-type]
    assert clock.slept == []


async def test_a_task_that_is_cancelled_while_it_waits_to_try_again_ends_at_once() -> None:
    slow = Scripted([b"slow down"], status=429, headers={"Retry-After": "100"})
    with ScriptedServer(slow) as server:
        waiting = asyncio.ensure_future(model_at(server, max_retries=5).ainvoke("hi"))
        while not server.requests:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(server.requests) == 1
