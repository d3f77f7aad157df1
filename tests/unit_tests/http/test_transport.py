"""Connections: how they are made, kept, shared and given up on."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, fixture, invoke, model_at, server_sending
from faults.network import REACHING
from scripted_server import Scripted, ScriptedServer

from langchain_kie import (
    ChatKieGemini,
    KieConnectionError,
    KieError,
    KieTimeoutError,
)
from langchain_kie._http import pools as _pools
from unit_tests.loopback import PRELUDE, SLOW, run_script

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = fixture("chat_whole.json")


@pytest.mark.parametrize("ask", [invoke, ainvoke])
async def test_accounts_that_share_a_client_share_no_cookies(ask) -> None:
    headers = {"Content-Type": "application/json", "Set-Cookie": "session=of-a; Path=/"}
    with ScriptedServer(Scripted([WHOLE], headers=headers)) as server:
        await ask(model_at(server, api_key="key-a"))
        await ask(model_at(server, api_key="key-b"))
        assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_comments_do_not_hold_a_caller_whose_answer_is_complete(ask) -> None:
    comments = [b": still here\n\n"] * 100
    with ScriptedServer(Scripted([fixture("shape_a.sse"), *comments], pause=0.05)) as server:
        begun = time.monotonic()
        await ask(model_at(server, timeout=30))
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_comments_are_no_sign_of_life(ask) -> None:
    begun = [b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n']
    comments = [b": still here\n\n"] * 100
    with (
        ScriptedServer(Scripted([*begun, *comments], pause=0.05)) as server,
        pytest.raises(KieTimeoutError),
    ):
        await ask(model_at(server, timeout=0.4))
    assert len(server.requests) == 1


def test_importing_and_constructing_loads_neither_an_http_client_nor_a_server() -> None:
    script = """
        import sys
        import langchain_kie
        heavy = {"httpx", "httpcore", "httpx_sse", "starlette", "uvicorn", "jsonschema", "anyio",
                 "langchain_kie.emulator"}
        print(sorted(heavy & set(sys.modules)))
        langchain_kie.ChatKieGemini(model="gemini-3-flash", api_key="k").bind_tools([])
        print(sorted(heavy & set(sys.modules)))
    """
    baseline = """
        import sys
        import langchain_core.language_models.chat_models, langchain_core.utils.function_calling
        heavy = {"httpx", "httpcore", "httpx_sse", "starlette", "uvicorn", "jsonschema", "anyio"}
        print(sorted(heavy & set(sys.modules)))
    """
    core = run_script(baseline)
    assert run_script(script).splitlines() == core.splitlines() * 2


@pytest.mark.parametrize("name", ["shape_a.sse", "native.sse", "chat_whole.json"])
async def test_one_connection_serves_one_call_after_another(name: str) -> None:
    for ask in BASIC_CALL_MODES:
        with server_sending(fixture(name)) as server:
            most = 0
            for _ in range(5):
                await ask(model_at(server))
                most = max(most, server.open_connections)
            assert len(server.requests) == 5
            assert most == 1


async def test_a_kept_connection_that_the_server_closed_is_not_a_failure(no_sleep) -> None:
    """The request goes out again on a new one; it is at most one retry."""
    closing = Scripted([WHOLE], ending="fin-unframed")
    with ScriptedServer(closing) as server:
        for ask in (invoke, ainvoke):
            for _ in range(3):
                assert (await ask(model_at(server, max_retries=1))).text == "pong"


async def test_a_user_s_clients_are_used_and_left_open() -> None:
    calls: list[str] = []

    def seen(request: httpx.Request) -> None:
        calls.append(request.url.path)

    async def aseen(request: httpx.Request) -> None:
        calls.append(request.url.path)

    with server_sending(WHOLE) as server:
        with httpx.Client(event_hooks={"request": [seen]}) as client:
            model = model_at(server, http_client=client)
            model.invoke("hi")
            [*model.stream("hi")]
            assert not client.is_closed
        async with httpx.AsyncClient(event_hooks={"request": [aseen]}) as async_client:
            model = model_at(server, http_async_client=async_client)
            await model.ainvoke("hi")
            [chunk async for chunk in model.astream("hi")]
            assert not async_client.is_closed
    assert len(calls) == 4


@pytest.mark.parametrize("limit", [0.15, httpx.Timeout(5, read=0.15)], ids=["float", "httpx"])
async def test_a_timeout_in_seconds_or_httpx_s_own_is_kept(limit: Any) -> None:
    with ScriptedServer(Scripted([], ending="stall")) as server:
        for ask in BASIC_CALL_MODES:
            begun = time.monotonic()
            with pytest.raises(KieError, match=r"no answer within 0\.15 s"):
                await ask(model_at(server, timeout=limit))
            assert time.monotonic() - begun < 2
        with pytest.raises(KieError, match=r"no answer within 0\.15 s"):
            model_at(server).invoke("hi", timeout=limit)
        assert "timeout" not in server.requests[-1].json


async def test_an_error_of_tls_or_a_name_is_a_connection_error(no_sleep) -> None:
    with server_sending(WHOLE) as server:
        model = model_at(server).model_copy(
            update={"base_url": server.base_url.replace("http:", "https:")}
        )
        for ask in BASIC_CALL_MODES:
            with pytest.raises(KieConnectionError):
                await ask(model)
    assert server.requests == []


@pytest.mark.parametrize(
    ("form", "around", "is_used"),
    [
        ("http://{}", "", True),
        ("{}", "other.invalid", True),
        ("http://{}", "kie.invalid", False),
        ("http://{}", "a.example, .kie.invalid", False),
        ("http://{}", "https://api.kie.invalid", False),
        ("http://{}", "*", False),
    ],
)
def test_proxies_of_the_environment_are_used(form, around, is_used, monkeypatch) -> None:
    script: Callable[..., str] = run_script
    with server_sending(WHOLE) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", form.format(proxy.base_url.removeprefix("http://")))
        monkeypatch.setenv("NO_PROXY", around)
        out = script(
            PRELUDE
            + textwrap.dedent("""
                try:
                    model.invoke("hi")
                except Exception as error:
                    print(type(error).__name__)
            """),
            base_url="https://api.kie.invalid",
        )
        assert out == "KieConnectionError\n"
        assert bool(proxy.requests) is is_used
        assert {request.method for request in proxy.requests} <= {"CONNECT"}
        assert not [r for r in proxy.requests if "authorization" in r.headers]


def test_an_environment_that_was_mended_is_read_again() -> None:
    script: Callable[..., str] = run_script
    with server_sending(WHOLE) as proxy:
        out = script(
            PRELUDE
            + textwrap.dedent("""
                asks = lambda: model.invoke("hi"), lambda: asyncio.run(model.ainvoke("hi"))
                for value in ("foo://bad", sys.argv[2]):
                    os.environ["HTTPS_PROXY"] = value
                    for ask in asks:
                        try:
                            ask()
                        except Exception as error:
                            print(type(error).__name__)
            """),
            proxy.base_url,
            base_url="https://api.kie.invalid",
        )
        assert out.split() == ["KieConfigurationError"] * 2 + ["KieConnectionError"] * 2
        assert [request.method for request in proxy.requests] == ["CONNECT"] * 2


class Whole:
    """An answer, as the ways to a server need it."""

    body = WHOLE


@pytest.mark.parametrize(
    ("call_mode", "limit", "words"),
    [
        ("nobody accepts", httpx.Timeout(9, connect=0.2), "no connection within 0.2 s"),
        ("pool exhausted", httpx.Timeout(9, pool=0.2), "no free connection within 0.2 s"),
    ],
)
async def test_a_time_out_tells_what_was_waited_for_on_the_way(call_mode, limit, words) -> None:
    (reach,) = [reach for _, name, _, _, reach in REACHING if name == call_mode]
    for ask in BASIC_CALL_MODES:
        async with reach(Whole) as fields:
            model = ChatKieGemini(
                model="gemini-3-flash", api_key="k", timeout=limit, max_retries=0, **fields
            )
            with pytest.raises(KieTimeoutError) as caught:
                await ask(model)
        assert caught.value.message == words


async def test_a_time_out_tells_what_was_waited_for_in_an_answer() -> None:
    timeout = httpx.Timeout(9, read=0.2, write=0.3)
    unread = Scripted([b""], reads="head", framing="raw", ending="stall", pause=0.7)
    for scripted, prompt, words in (
        (Scripted([], ending="stall"), "hi", "no answer within 0.2 s"),
        (Scripted(SLOW, ending="stall"), "hi", "nothing more within 0.2 s"),
        (unread, "x" * 8_000_000, "the request could not be sent within 0.3 s"),
    ):
        with ScriptedServer(scripted) as server:
            for ask in BASIC_CALL_MODES:
                with pytest.raises(KieTimeoutError) as caught:
                    await ask(model_at(server, timeout=timeout), prompt)
                assert caught.value.message == words


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_a_comment_before_the_silence_does_not_lengthen_the_wait(ask) -> None:
    comment = Scripted([*SLOW[:1], b": still here\n\n"], pause=0.45, ending="stall")
    with ScriptedServer(comment) as server:
        begun = time.monotonic()
        with pytest.raises(KieTimeoutError, match=r"nothing more within 0\.5 s"):
            await ask(model_at(server, timeout=0.5))
        assert time.monotonic() - begun < 0.85


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_no_proxy_hears_what_stays_on_this_machine(name: str, monkeypatch) -> None:
    with server_sending(WHOLE) as proxy, server_sending(WHOLE) as server:
        monkeypatch.setenv(name, proxy.base_url)
        monkeypatch.setattr(_pools, "_shared", _pools._Shared())
        for ask in BASIC_CALL_MODES:
            await ask(model_at(server))
        assert (len(proxy.requests), len(server.requests)) == (0, 4)
        for pool in _pools._shared.pools.clear():
            pool.close()
        for pools, _ in _pools._shared.async_pools.values():
            for async_pool in pools.clear():
                await async_pool.aclose()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "foo://user:password@host"),
        ("HTTPS_PROXY", "http://user:pass/word@host:1"),
        ("ALL_PROXY", "http://host:port"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ],
)
def test_an_environment_that_cannot_work_is_told_of(name: str, value: str) -> None:
    script = PRELUDE + textwrap.dedent("""
        from langchain_kie import KieConfigurationError
        os.environ[sys.argv[2]] = sys.argv[3]
        for ask in (lambda: model.invoke("hi"), lambda: asyncio.run(model.ainvoke("hi"))):
            try:
                ask()
            except KieConfigurationError as error:
                assert "pass" not in str(error)
                print(sys.argv[2] in str(error))
    """)
    with server_sending(WHOLE) as server:
        assert run_script(script, name, value, base_url=server.base_url) == "True\nTrue\n"
