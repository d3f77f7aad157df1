"""Retries, threads, loops, forks, and what stays open: nothing."""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson
import pytest
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import (
    KieConnectionError,
    KieError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
    _clients,
)
from langchain_kie._retry import parse_retry_after
from unit_tests.ways import BASIC_WAYS, ainvoke, fixture, invoke, model_at, served

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.mark.parametrize("ask", BASIC_WAYS)
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


@pytest.mark.parametrize("ask", BASIC_WAYS)
async def test_the_waits_grow_are_random_and_have_a_bound(ask, no_sleep) -> None:
    random.seed(7)
    with ScriptedServer(BUSY) as server, pytest.raises(KieServerError):
        await ask(model_at(server, max_retries=30))
    assert all(0 <= delay <= 8 for delay in no_sleep)
    assert no_sleep[0] <= 1
    assert no_sleep[1] <= 2
    assert no_sleep[2] <= 4
    assert len(set(no_sleep)) > 20


@pytest.mark.parametrize("ask", BASIC_WAYS)
async def test_a_rate_limit_is_waited_for_as_long_as_its_window(ask, no_sleep) -> None:
    for response in (LIMITED, Scripted([b"slow down"], status=429)):
        with ScriptedServer(response) as server, pytest.raises(KieRateLimitError):
            await ask(model_at(server, max_retries=2))
        assert all(10 <= delay <= 18 for delay in no_sleep)


@pytest.mark.parametrize("ask", BASIC_WAYS)
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


# --- threads, loops, processes ---------------------------------------------------------------


class Echo:
    """Answers each request with its own last message, a bit later."""

    def __enter__(self) -> Self:
        import http.server  # noqa: PLC0415

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = asked["messages"][-1]["content"]
                event = {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}
                body = sse(event, "[DONE]")
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()

            def log_message(self, *args: object) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_sixteen_threads_share_a_model_and_no_answer_goes_astray() -> None:
    with Echo() as server, ThreadPoolExecutor(16) as pool:
        model = model_at(server)
        prompts = [f"prompt {i}" for i in range(320)]
        answers = pool.map(lambda p: (model.invoke(p).text, _streamed(model, p)), prompts)
        assert [*answers] == [(prompt, prompt) for prompt in prompts]


def _streamed(model: Any, prompt: str) -> str:
    return "".join(chunk.text for chunk in model.stream(prompt))


def test_a_model_works_in_one_event_loop_after_another() -> None:
    with Echo() as server:
        model = model_at(server)
        for i in range(3):

            async def ask(i: int = i) -> list[str]:
                answers = await asyncio.gather(*(model.ainvoke(f"{i} {k}") for k in range(5)))
                return [answer.text for answer in answers]

            assert asyncio.run(ask()) == [f"{i} {k}" for k in range(5)]


def test_event_loops_that_ended_are_forgotten() -> None:
    with served(WHOLE) as server:
        model = model_at(server)
        for _ in range(5):
            asyncio.run(model.ainvoke("hi"))
    assert not [loop for loop in _clients._shared.async_clients if loop.is_closed()]


@pytest.mark.parametrize("ask", [invoke, ainvoke])
async def test_accounts_that_share_a_client_share_no_cookies(ask) -> None:
    headers = {"Content-Type": "application/json", "Set-Cookie": "session=of-a; Path=/"}
    with ScriptedServer(Scripted([WHOLE], headers=headers)) as server:
        await ask(model_at(server, api_key="key-a"))
        await ask(model_at(server, api_key="key-b"))
        assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("ask", BASIC_WAYS)
async def test_comments_do_not_hold_a_caller_whose_answer_is_complete(ask) -> None:
    comments = [b": still here\n\n"] * 100
    with ScriptedServer(Scripted([fixture("shape_a.sse"), *comments], pause=0.05)) as server:
        begun = time.monotonic()
        await ask(model_at(server, timeout=30))
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("ask", BASIC_WAYS)
async def test_comments_are_no_sign_of_life(ask) -> None:
    begun = [b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n']
    comments = [b": still here\n\n"] * 100
    with (
        ScriptedServer(Scripted([*begun, *comments], pause=0.05)) as server,
        pytest.raises(KieTimeoutError),
    ):
        await ask(model_at(server, timeout=0.4))
    assert len(server.requests) == 1


def test_a_model_works_in_two_event_loops_at_once() -> None:
    def run(name: str) -> list[str]:
        async def ask() -> list[str]:
            return [(await model.ainvoke(f"{name} {k}")).text for k in range(40)]

        return asyncio.run(ask())

    with Echo() as server, ThreadPoolExecutor(2) as pool:
        model = model_at(server)
        assert [*pool.map(run, ("a", "b"))] == [[f"{n} {k}" for k in range(40)] for n in "ab"]


def run_script(script: str, *args: str, base_url: str = "", flags: tuple[str, ...] = ()) -> str:
    """What a script prints, in a process of its own; it must succeed and not complain."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(script), base_url, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


PRELUDE = """
import asyncio, gc, os, sys
from langchain_kie import ChatKieGemini
model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=sys.argv[1], max_retries=0)
"""


def test_after_a_fork_parent_and_child_read_their_own_answers() -> None:
    script = PRELUDE + textwrap.dedent("""
        assert model.invoke("before").text == "before"
        child = os.fork()
        name = "parent" if child else "child"
        wrong = [i for i in range(50) if model.invoke(f"{name} {i}").text != f"{name} {i}"]
        async def ask():
            return [(await model.ainvoke(f"{name} {i}")).text for i in range(10)]
        wrong += [t for i, t in enumerate(asyncio.run(ask())) if t != f"{name} {i}"]
        if not child:
            os._exit(len(wrong))
        _, status = os.waitpid(child, 0)
        print(len(wrong), os.waitstatus_to_exitcode(status))
    """)
    with Echo() as server:
        assert run_script(script, base_url=server.base_url).split() == ["0", "0"]


def test_no_socket_or_loop_is_forgotten_at_the_end() -> None:
    script = PRELUDE + textwrap.dedent("""
        def leave():
            for chunk in model.stream("hi"):
                break
        async def ask():
            await model.ainvoke("hi")
            async for chunk in model.astream("hi"):
                break
            [chunk async for chunk in model.astream("hi")]
        model.invoke("hi"); [*model.stream("hi")]; leave()
        asyncio.run(ask()); asyncio.run(ask())
        del model
        gc.collect()
        print("done")
    """)
    flags = ("-X", "dev", "-W", "error::ResourceWarning")
    with served(fixture("shape_a.sse")) as server:
        assert run_script(script, base_url=server.base_url, flags=flags) == "done\n"


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


# --- what stays open -------------------------------------------------------------------------


async def nothing_open(server: ScriptedServer, seconds: float = 2.0) -> None:
    """Wait until the server has no connection left; shared clients may keep idle ones."""
    until = time.monotonic() + seconds
    while server.open_connections and time.monotonic() < until:  # noqa: ASYNC110 - of a thread
        await asyncio.sleep(0.005)
    assert server.open_connections == 0


SLOW = [sse({"choices": [{"index": 0, "delta": {"content": c}}]}) for c in "abc"]


async def test_leaving_a_stream_early_leaves_no_connection_open() -> None:
    with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
        for _ in range(20):
            for chunk in model_at(server).stream("hi"):
                assert chunk.text == "a"
                break
        await nothing_open(server)


async def test_closing_an_async_stream_early_leaves_no_connection_open() -> None:
    with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
        for _ in range(20):
            running = model_at(server).astream("hi")
            assert (await anext(running)).text == "a"
            await running.aclose()
        await nothing_open(server)
        for _ in range(20):
            async for _chunk in model_at(server).astream("hi"):
                break
        await nothing_open(server)


async def test_cancelling_a_task_in_any_phase_leaves_no_connection_open() -> None:
    for pieces in ([], SLOW[:1], SLOW):
        with ScriptedServer(Scripted(pieces, ending="stall")) as server:
            model = model_at(server)

            async def consume(model: Any = model) -> None:
                async for _ in model.astream("hi"):
                    pass

            for job in (consume, lambda model=model: model.ainvoke("hi")):
                tasks = [asyncio.ensure_future(job()) for _ in range(5)]
                await asyncio.sleep(0.05)
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(r, asyncio.CancelledError) for r in results)
            await nothing_open(server)


async def test_a_time_limit_of_the_caller_s_ends_the_call_and_its_connection() -> None:
    with ScriptedServer(Scripted([], ending="stall")) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await model_at(server, max_retries=5).ainvoke("hi")
        await nothing_open(server)
        assert len(server.requests) == 1


async def test_a_failed_call_leaves_no_connection_open_that_cannot_be_used_again() -> None:
    failures = [
        Scripted(SLOW, ending="fin-mid-chunk"),
        Scripted([sse("nonsense"), *SLOW], ending="stall"),
        Scripted([sse({"code": 500, "msg": "no"})], ending="stall"),
        Scripted([b"x"], status=307, ending="stall"),
    ]
    for failure in failures:
        with ScriptedServer(failure) as server:
            for ask in BASIC_WAYS:
                with pytest.raises(KieError):
                    await ask(model_at(server, timeout=0.3))
            await nothing_open(server)


@pytest.mark.parametrize("name", ["shape_a.sse", "native.sse", "chat_whole.json"])
async def test_one_connection_serves_one_call_after_another(name: str) -> None:
    for ask in BASIC_WAYS:
        with served(fixture(name)) as server:
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

    with served(WHOLE) as server:
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
        for ask in BASIC_WAYS:
            begun = time.monotonic()
            with pytest.raises(KieError, match=r"timed out \(read\)"):
                await ask(model_at(server, timeout=limit))
            assert time.monotonic() - begun < 2
        with pytest.raises(KieError, match=r"timed out \(read\)"):
            model_at(server).invoke("hi", timeout=limit)
        assert "timeout" not in server.requests[-1].json


async def test_many_calls_at_once_all_end(no_sleep) -> None:
    with Echo() as server:
        model = model_at(server)
        answers = await asyncio.gather(*(model.ainvoke(f"p{i}") for i in range(200)))
        assert [answer.text for answer in answers] == [f"p{i}" for i in range(200)]


async def test_a_dropped_stream_is_closed_at_once_without_the_garbage_collector() -> None:
    import gc  # noqa: PLC0415

    gc.disable()
    try:
        with ScriptedServer(Scripted(SLOW, ending="stall")) as server:
            running: Any = model_at(server).stream("hi")
            next(running)
            del running
            await nothing_open(server, 0.5)
    finally:
        gc.enable()


async def test_an_error_of_tls_or_a_name_is_a_connection_error(no_sleep) -> None:
    with served(WHOLE) as server:
        model = model_at(server).model_copy(
            update={"base_url": server.base_url.replace("http:", "https:")}
        )
        for ask in BASIC_WAYS:
            with pytest.raises(KieConnectionError):
                await ask(model)
    assert server.requests == []


def test_proxies_of_the_environment_are_used(monkeypatch) -> None:
    script: Callable[..., str] = run_script
    with served(WHOLE) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
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
        assert proxy.requests[0].method == "CONNECT"
        assert "authorization" not in proxy.requests[0].headers
