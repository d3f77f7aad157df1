"""`KieAccount` on the emulator and scripted servers; the clock moves only when somebody waits."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from call_modes import KEY
from scripted_server import READ_TIMEOUTS, Scripted, ScriptedServer

from langchain_kie import (
    KieAccount,
    KieAuthenticationError,
    KieConfigurationError,
    KieConnectionError,
    KieEmptyResponseError,
    KieError,
    KieInvalidRequestError,
    KieListedModel,
    KieModelNotFoundError,
    KiePrice,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
    rate_limiter,
)
from langchain_kie._account import state
from langchain_kie._account.prices import parse_price
from langchain_kie.emulator import Emulator
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTED = sum(row.is_listed for row in (*CHAT_ENDPOINTS.values(), *NATIVE_ENDPOINTS.values()))
"""How many models the list has."""

HTML = b"<html><title>502 Bad Gateway</title></html>"


class Clock:
    """A clock, and a sleep that sets it."""

    now = 1_790_000_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the rate limit and of the stored lists, which are new for each test."""
    clock = Clock()
    monkeypatch.setattr(rate_limiter, "time", clock)
    monkeypatch.setattr(rate_limiter, "asyncio", SimpleNamespace(sleep=clock.asleep))
    monkeypatch.setattr(state, "time", clock)
    monkeypatch.setattr(state.process, "value", state.ProcessState())
    return clock


@pytest.fixture
def emulator(clock: Clock) -> Iterator[Emulator]:
    with Emulator(rate_limit=True, clock=clock.monotonic) as emulator:
        yield emulator


def account_at(server: Emulator | ScriptedServer, **settings: Any) -> KieAccount:
    key = server.api_key if isinstance(server, Emulator) else KEY
    return KieAccount(**{"api_key": key, "base_url": server.base_url, "max_retries": 0, **settings})


async def call(account: KieAccount, method: str, *args: Any, sync: bool, **kwargs: Any) -> Any:
    if sync:
        return getattr(account, method)(*args, **kwargs)
    return await getattr(account, f"a{method}")(*args, **kwargs)


both = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


def sending(data: Any) -> Scripted:
    body = orjson.dumps({"code": 200, "msg": "success", "data": data})
    return Scripted([body], headers={"Content-Type": "application/json"})


def listing(*names: str) -> Scripted:
    return sending({"total": len(names), "models": [{"model": name} for name in names]})


# --- answers ----------------------------------------------------------------------------------


@both
async def test_the_balance(emulator: Emulator, sync: bool) -> None:
    emulator.credits = 5916.25
    assert await call(account_at(emulator), "credits", sync=sync) == 5916.25


@both
async def test_the_list_of_models(emulator: Emulator, sync: bool) -> None:
    account = account_at(emulator)
    listed = await call(account, "models", sync=sync)
    assert len(listed) == LISTED
    (model,) = (model for model in listed if model.model == "gemini-3-8-flash")
    assert model == KieListedModel(
        model="gemini-3-8-flash",
        slug="gemini-3-8-flash",
        title="Gemini 3.8 Flash",
        provider="Google",
        task_types=("Chat",),
        description="",
        price=parse_price(model.price.text),
    )
    assert (model.price.input_usd, model.price.output_usd) == (0.225, 1.125)
    for selection, count in [
        ({"task_type": "Chat"}, LISTED),
        ({"task_type": "Text to Video"}, 0),
        ({"query": "3.8 FLASH"}, 2),
        ({"query": "gemini-3-8", "task_type": "Chat"}, 2),
        ({"query": "claude"}, 0),
    ]:
        assert len(await call(account, "models", sync=sync, **selection)) == count
    assert [request.query for request in emulator.requests] == [{}]


@both
@pytest.mark.parametrize(
    "name",
    [
        *("gemini-3.5-flash", "gemini-3-5-flash", "GEMINI-3-5-FLASH-openai"),
        "models/gemini-3.5-flash",
    ],
)
async def test_a_price_by_each_name_of_a_model(emulator: Emulator, sync: bool, name: str) -> None:
    price = await call(account_at(emulator), "price", name, sync=sync)
    assert price == KiePrice(price.text, 90, 540, 0.45, 2.7)
    assert "90 credits" in price.text


@both
async def test_a_success_rate(emulator: Emulator, sync: bool, clock: Clock) -> None:
    rate = await call(account_at(emulator), "success_rate", "gemini-3.1-pro", sync=sync)
    assert (rate.model, len(rate.points), rate.mean) == ("gemini-3.1-pro", 144, 98.5)
    first, second = rate.points[:2]
    assert (first.success_rate, first.error_rate, first.is_normal) == (None, None, True)
    assert (second.success_rate, second.error_rate) == (98.5, 1.5)
    assert second.end - second.start == timedelta(minutes=10)
    assert second.start.tzinfo is UTC
    assert rate.points[-1].end <= datetime.fromtimestamp(clock.now, UTC)


PARSED = [
    ("credits", (), 5916, 5916.0),
    ("credits", (), "12.5", 12.5),
    ("price", ("x",), {"model": "x", "pricingDesc": None}, KiePrice()),
    ("price", ("x",), {"model": "x"}, KiePrice()),
    ("price", ("x",), {"model": "x", "pricingDesc": "Ask us"}, KiePrice("Ask us")),
    ("models", (), {"total": 0, "models": []}, ()),
    (
        "models",
        (),
        {"models": [{"model": "a", "taskType": "Chat", "provider": None, "new": 1}]},
        (KieListedModel("a", "a", "a", "", ("Chat",), "", KiePrice()),),
    ),
    (
        "models",
        (),
        {"models": [{"slug": "x"}, None, "x", {"model": ""}, {"model": "a", "taskType": 5}]},
        (KieListedModel("a", "a", "a", "", ("5",), "", KiePrice()),),
    ),
]


@both
@pytest.mark.parametrize(("method", "args", "data", "expected"), PARSED)
async def test_other_forms_of_an_answer(
    method: str, args: Any, data: Any, expected: Any, sync: bool
) -> None:
    with ScriptedServer(sending(data)) as server:
        assert await call(account_at(server), method, *args, sync=sync) == expected


@both
async def test_no_data_are_no_success_rate(sync: bool) -> None:
    point = {"start": "2026-10-01T00:00:00", "end": "2026-10-01T02:10:00+02:00"}
    with ScriptedServer(sending({"model": "x", "points": []})) as server:
        assert (await call(account_at(server), "success_rate", "x", sync=sync)).mean is None
    with ScriptedServer(sending({"model": "x", "points": [point]})) as server:
        rate = await call(account_at(server), "success_rate", "x", sync=sync)
    assert rate.mean is None
    assert rate.points[0].is_normal is None
    assert rate.points[0].end == datetime(2026, 10, 1, 0, 10, tzinfo=UTC)


PRICES = [
    ("Input 45 credits / 1M tokens (≈ $0.225), Output 225 credits / 1M tokens (≈ $1.125)",
     (45, 225, 0.225, 1.125)),
    (("Input 45 credits / 1M tokens (≈ $0.225), Output 225 credits / 1M tokens (≈ $1.125). "
      "50% OFF until Dec 31, 2026 at 06:00 UTC (was 90 credits)"), (45, 225, 0.225, 1.125)),
    ("Input $0.38 (≈76 credits) & Output $3 (≈600 credits) per 1M tokens", (76, 600, 0.38, 3)),
    ("input 1,200 Credits / 1M tokens, output 6,000.5 credits / 1M tokens",
     (1200, 6000.5, 6, 30.0025)),
    ("Input $0.50 / 1 million tokens, Output $3.50 / 1 million tokens", (100, 700, 0.5, 3.5)),
    *((text, (None,) * 4) for text in (
        None,
        "",
        "12 credits per image",
        "Input 45 credits, Output 225 credits",
        "Input 45 credits / 1M tokens",
        "Output 225 credits / 1M tokens",
        "Input free / 1M tokens, Output 225 credits / 1M tokens",
        "Input 45 credits (up to 200k), 90 credits (above) / 1M tokens, Output 225 credits",
        "Input 1 credit, Output 2 credits / 1M tokens, Input 3 credits, Output 4 credits",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("text", "numbers"), PRICES)
def test_prices_are_read_only_if_they_are_clear(text: str | None, numbers: Any) -> None:
    assert parse_price(text) == KiePrice(text, *numbers)


# --- requests ---------------------------------------------------------------------------------


@both
async def test_a_request_is_a_get_with_the_key_and_without_a_body(sync: bool) -> None:
    paths = {
        "gemini-3.5-flash": "gemini-3-5-flash",
        "google/gemini-tts": "google/gemini-tts",
        "a b?c#d%2F": "a%20b%3Fc%23d%252F",
        "models/x": "x",
    }
    for client in (None, httpx.Client() if sync else httpx.AsyncClient()):
        with ScriptedServer(sending(1.0), sending({"model": "x"})) as server:
            clients = {"http_client" if sync else "http_async_client": client}
            account = account_at(server, **clients)
            await call(account, "credits", sync=sync)
            for name in paths:
                await call(account, "price", name, sync=sync)
        assert [request.path for request in server.requests] == [
            "/api/v1/chat/credit",
            *(f"/api/v1/models/{path}/price" for path in paths.values()),
        ]
        for request in server.requests:
            assert (request.method, request.body) == ("GET", b"")
            assert request.headers["authorization"] == f"Bearer {KEY}"
            assert request.headers.keys().isdisjoint({"content-type", "content-length"})
    if sync:
        client.close()
    else:
        await client.aclose()


@pytest.mark.parametrize("name", ["", " ", "..", "a/../b", "/", "."])
def test_a_name_that_cannot_be_in_a_path_is_refused(name: str, emulator: Emulator) -> None:
    for method in ("price", "success_rate"):
        with pytest.raises(KieConfigurationError, match="model name"):
            getattr(account_at(emulator), method)(name)
    assert emulator.requests == []


async def test_all_objects_of_an_account_keep_to_one_request_a_second(
    emulator: Emulator, clock: Clock
) -> None:
    start = clock.now
    accounts = [account_at(emulator) for _ in range(3)]
    for account in accounts:
        account.models(refresh=True)
        account.price("gemini-3.5-flash")
        await account.asuccess_rate("gemini-3.5-flash")
        await account.aprice("gemini-3.8-flash")
        assert account.credits() == await account.acredits()
    assert clock.now - start == pytest.approx(11 * 1.1)
    for model in ("gemini-3-pro", "gemini-3.1-pro"):
        with pytest.raises(KieAuthenticationError):
            account_at(emulator, api_key="other").price(model)
    assert clock.now - start == pytest.approx(12 * 1.1), "another key has a limit of its own"
    assert len(emulator.requests) == 12 + 6 + 2


@both
async def test_retries_keep_to_the_limit_too(clock: Clock, sync: bool, no_sleep: Any) -> None:
    busy = Scripted([b'{"code":500,"msg":"Internal error, please try again later."}'])
    with ScriptedServer(busy, busy, sending({"model": "x"})) as server:
        start = clock.now
        assert await call(account_at(server, max_retries=2), "price", "x", sync=sync) == KiePrice()
        assert server.tries == 3
        assert clock.now - start == pytest.approx(2 * 1.1)
        assert len(no_sleep) == 2


# --- the stored list --------------------------------------------------------------------------


@both
async def test_the_list_is_read_once_for_all_objects(clock: Clock, sync: bool) -> None:
    with ScriptedServer(listing("a"), listing("a", "b")) as server:
        counts = []
        for seconds in (0, 599, 2, 599, 2):
            clock.now += seconds
            counts.append(len(await call(account_at(server), "models", sync=sync)))
        assert (counts, server.tries) == ([1, 1, 2, 2, 2], 3)
        assert len(await call(account_at(server), "models", sync=sync, refresh=True)) == 2
        assert server.tries == 4
        other = account_at(server, api_key="another")
        await call(other, "models", sync=sync)
        assert server.tries == 5, "another key may see another list"


def test_the_oldest_list_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.process.value.listings, "results", {})
    monkeypatch.setattr(state.process.value.listings, "_max_results", 2)
    with ScriptedServer(listing("a")) as server:
        for keys, tries in (("abc", 3), ("bc", 3), ("a", 4)):
            for key in keys:
                account_at(server, api_key=f"key {key}".replace(" ", "_")).models()
            assert server.tries == tries


@both
async def test_a_life_of_zero_stores_nothing(sync: bool) -> None:
    with ScriptedServer(listing("a")) as server:
        for _ in range(3):
            await call(account_at(server, cache_seconds=0), "models", sync=sync)
        assert server.tries == 3


async def test_concurrent_calls_read_the_list_once() -> None:
    with ScriptedServer(listing("a")) as server, ThreadPoolExecutor(8) as threads:
        lists = [*threads.map(lambda _: account_at(server).models(), range(8))]
        lists += await asyncio.gather(*(account_at(server).amodels() for _ in range(8)))
        assert (server.tries, {len(each) for each in lists}) == (1, {1})


@both
@pytest.mark.parametrize(
    "failure",
    [
        Scripted([b'{"code":500,"msg":"Internal error"}']),
        Scripted([b'{"code":429,"msg":"Your call frequency is too high."}']),
        Scripted([b'{"code":200,"msg":"success","data":{"models":[{"id":1}]}}']),
        Scripted([HTML], status=502),
        Scripted([HTML], status=524),
        Scripted(ending="rst"),
    ],
    ids=["500", "429", "another form", "502", "524", "reset"],
)
async def test_an_old_list_is_used_with_a_warning_if_kie_fails(
    failure: Scripted, sync: bool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer(listing("a"), failure, failure, listing("b")) as server:
        account = account_at(server)
        first = await call(account, "models", sync=sync)
        clock.now += 700
        with (
            caplog.at_level(logging.WARNING, "langchain_kie._account.state"),
            pytest.warns(UserWarning, match=r"70\d s old, because reading it failed") as warned,
        ):
            assert await call(account, "models", sync=sync) == first
        assert warned[0].filename == __file__
        assert "is 70" in caplog.text
        clock.now += 50
        assert await call(account, "models", sync=sync) == first
        assert server.tries == 2, "for a minute it is not tried again"
        clock.now += 11
        with pytest.warns(UserWarning, match="76"):
            assert await call(account, "models", sync=sync) == first
        clock.now += 61
        assert [model.model for model in await call(account, "models", sync=sync)] == ["b"]


@both
async def test_a_rejected_key_is_an_error_also_with_an_old_list(sync: bool, clock: Clock) -> None:
    with ScriptedServer(listing("a"), Scripted([b'{"code":401,"msg":"Unauthorized"}'])) as server:
        account = account_at(server)
        await call(account, "models", sync=sync)
        clock.now += 700
        with pytest.raises(KieAuthenticationError):
            await call(account, "models", sync=sync)


# --- errors -----------------------------------------------------------------------------------

FAILURES: list[tuple[Scripted, type[KieError], str]] = [
    (Scripted([b'{"code":401,"msg":"Unauthorized"}']), KieAuthenticationError, "Unauthorized"),
    (Scripted([b'{"code":429,"msg":"Your call frequency is too high. Please try again later."}']),
     KieRateLimitError, "frequency"),
    (Scripted([b'{"code":500,"msg":"Server exception"}']), KieServerError, "exception"),
    (Scripted([HTML], status=404), KieInvalidRequestError, "no account endpoints"),
    (Scripted([b'{"error":"Not Found","status":404,"path":"/"}'], status=404),
     KieInvalidRequestError, "no account endpoints"),
    (Scripted([HTML]), KieProtocolError, "neither JSON"),
    (Scripted([b'{"code":200,"msg":"success"}']), KieProtocolError, "no data, but the keys"),
    (Scripted([b'{"code":200,"data":null}']), KieProtocolError, "cannot read the answer of /api"),
    (Scripted([b'{"code":200,"data":true}']), KieProtocolError, "cannot read the answer of /api"),
    (Scripted([b'{"code":200,"data":[1]}']), KieProtocolError, "cannot read the answer of /api"),
    (Scripted([b'{"code":200,"data":{"x":1}}']), KieProtocolError, "cannot read the answer"),
    *((Scripted([b'{"code":200,"data":%s}' % data]), KieProtocolError, "cannot read the answer")
      for data in (b'"nan"', b'"1e400"', b"1" + b"0" * 400, b"1" + b"0" * 5_000)),
    (Scripted([b"[1, 2]"]), KieProtocolError, "expected a JSON object"),
    (Scripted(), KieEmptyResponseError, "empty"),
    (Scripted(ending="rst"), KieConnectionError, "Error"),
    (Scripted(status=302, headers={"Location": "http://127.0.0.1:1/"}), KieProtocolError,
     "redirect"),
]  # fmt: skip


@both
@pytest.mark.parametrize(("response", "cls", "text"), FAILURES)
async def test_failures_are_errors_of_the_same_tree(
    response: Scripted, cls: type[KieError], text: str, sync: bool
) -> None:
    with ScriptedServer(response) as server:
        account = account_at(server)
        for method in ("credits", "models"):
            with pytest.raises(cls, match=text) as caught:
                await call(account, method, sync=sync)
            assert "billed" not in str(caught.value)
            assert KEY not in f"{caught.value!r} {caught.value}"


@both
@pytest.mark.parametrize(
    ("start", "rate"),
    [
        ("0001-01-01T00:00:00+05:00", b"1"),
        ("9999-12-31T23:59:59-05:00", b"1"),
        ("2026-01-01T00:00:00", b"1" + b"0" * 400),
        ("2026-01-01T00:00:00", b'"inf"'),
        ("soon", b"1"),
    ],
)
async def test_a_success_rate_that_cannot_be_read_is_an_error(
    start: str, rate: bytes, sync: bool
) -> None:
    point = b'{"start":"%s","end":"%s","successRate":%s}' % (*[start.encode()] * 2, rate)
    body = b'{"code":200,"data":{"model":"x","points":[%s]}}' % point
    server = ScriptedServer(Scripted([body]))
    with server, pytest.raises(KieProtocolError, match="cannot read the answer"):
        await call(account_at(server), "success_rate", "x", sync=sync)


@both
@pytest.mark.parametrize(("method", "data"), [("credits", b"1"), ("models", b'{"models":[]}')])
async def test_two_answers_are_an_error(method: str, data: bytes, sync: bool) -> None:
    answer = b'{"code":200,"data":%s}' % data
    server = ScriptedServer(Scripted([b"[%s,%s]" % (answer, answer)]))
    with server, pytest.raises(KieProtocolError, match="2 values instead of one"):
        await call(account_at(server), method, sync=sync)


@both
async def test_an_unknown_model_is_named_with_near_names(emulator: Emulator, sync: bool) -> None:
    for method in ("price", "success_rate"):
        with pytest.raises(KieModelNotFoundError) as caught:
            await call(account_at(emulator), method, "gemini-3-5-flsh", sync=sync)
        assert caught.value.model == "gemini-3-5-flsh"
        assert "Did you mean gemini-3-5-flash" in str(caught.value)
        assert "KieAccount().models()" in str(caught.value)


@both
async def test_a_timeout_is_retried_because_nothing_is_billed(sync: bool, no_sleep: Any) -> None:
    for seconds in READ_TIMEOUTS:
        with ScriptedServer(Scripted(ending="stall"), sending(3.5)) as server:
            account = account_at(server, max_retries=1, timeout=seconds)
            with suppress(KieTimeoutError):
                assert await call(account, "credits", sync=sync) == 3.5
                break
    else:
        pytest.fail("the call was not retried")


# --- settings ---------------------------------------------------------------------------------


def test_settings_come_from_the_environment(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KieConfigurationError, match="KIE_API_KEY"):
        KieAccount(base_url=emulator.base_url)
    monkeypatch.setenv("KIE_API_KEY", emulator.api_key)
    monkeypatch.setenv("KIE_BASE_URL", emulator.base_url)
    account = KieAccount()
    assert account.credits() == 1_000_000
    assert repr(account) == f"KieAccount(base_url='{emulator.base_url}')"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"api_key": "  "}, "key is empty"),
        ({"api_key": ""}, "key is empty"),
        ({"base_url": ""}, "base_url is empty"),
        ({"max_retries": None}, "max_retries must be an integer, 0 or more; got None"),
        ({"max_retries": "2"}, "max_retries"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"max_retries": True}, "max_retries"),
        ({"cache_seconds": None}, "cache_seconds must be a number, 0 or more"),
        ({"base_url": "http://example.com"}, "https"),
        ({"timeout": -1}, "timeout"),
        ({"http_client": object()}, "httpx"),
        ({"http_async_client": httpx.Client}, "httpx"),
        ({"cache_seconds": -1}, "cache_seconds"),
    ],
)
def test_invalid_settings_are_named(
    settings: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", KEY)
    monkeypatch.setenv("KIE_BASE_URL", "http://127.0.0.1:1")
    with pytest.raises(KieConfigurationError, match=named):
        KieAccount(**{"api_key": KEY, **settings})
