"""Connections: loaded late, reused, separate for accounts, or from a client of the user."""

from __future__ import annotations

from asyncio.selector_events import _SelectorSocketTransport
from typing import Any

import httpx
import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, fixture, invoke, model_at, server_sending
from httpcore._backends.sync import SyncStream
from langchain_core.messages import HumanMessage
from scripted_server import Scripted, ScriptedServer, sse

from langchain_kie import (
    ChatKieGemini,
    KieAccount,
    KieConfigurationError,
    KieConnectionError,
    media_block,
)
from langchain_kie._http.connection import Connection
from langchain_kie.emulator import Emulator
from unit_tests.answer.rows import delta
from unit_tests.loopback import named_host, run_script
from unit_tests.upload_server import unique_png

COMPLETION = fixture("chat_completion.json")


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


@pytest.mark.parametrize("name", ["shape_a.sse", "native.sse", "chat_completion.json"])
async def test_one_connection_serves_one_call_after_another(name: str) -> None:
    for call_mode in BASIC_CALL_MODES:
        with server_sending(fixture(name)) as server:
            most = 0
            for _ in range(5):
                await call_mode(model_at(server))
                most = max(most, server.open_connections)
            assert len(server.requests) == 5
            assert most == 1


def whole(body: bytes, **members: Any) -> bytes:
    """The head and the body of an answer."""
    return Scripted(framing="length", length=len(body), **members).head + body


SECOND_ANSWERS = {
    "a time-out": whole(b"", status=408),
    "an answer": whole(COMPLETION, headers={"Content-Type": "application/json"}),
}


@pytest.mark.parametrize("second", SECOND_ANSWERS.values(), ids=SECOND_ANSWERS)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
@pytest.mark.parametrize("is_pooled", [True, False], ids=["shared", "own client"])
async def test_a_second_answer_to_one_request_answers_no_other(
    call_mode: Any, second: bytes, is_pooled: bool
) -> None:
    """httpcore 1.0.9 gives it to the next request, and so each call the answer of another."""
    first = whole(sse(delta("stop", content="first"), "[DONE]"))
    both = Scripted([first + second], framing="raw")
    later = Scripted([sse(delta("stop", content="later"), "[DONE]")])
    with ScriptedServer(both, later) as server, httpx.Client() as client:
        async with httpx.AsyncClient() as async_client:
            clients = (
                {} if is_pooled else {"http_client": client, "http_async_client": async_client}
            )
            model = model_at(server, max_retries=0, **clients)
            assert (await call_mode(model)).text == "first"
            with pytest.raises(KieConnectionError, match="an earlier request twice"):
                await call_mode(model)
            assert (await call_mode(model)).text == "later"
            assert len(server.requests) == 2 or not is_pooled  # it was never sent


@pytest.mark.parametrize("call_mode", [invoke, ainvoke])
async def test_accounts_that_share_connections_share_no_cookies(call_mode) -> None:
    headers = {"Content-Type": "application/json", "Set-Cookie": "session=of-a; Path=/"}
    with ScriptedServer(Scripted([COMPLETION], headers=headers)) as server:
        await call_mode(model_at(server, api_key="key-a"))
        await call_mode(model_at(server, api_key="key-b"))
        assert "cookie" not in server.requests[1].headers


async def test_no_compressed_response_is_requested() -> None:
    with server_sending(COMPLETION) as server:
        for call_mode in BASIC_CALL_MODES:
            await call_mode(model_at(server))
        assert {r.headers["accept-encoding"] for r in server.requests} == {"identity"}
        expected = {"text/event-stream, application/json"}
        assert {r.headers["accept"] for r in server.requests} == expected


async def test_clients_of_the_user_are_used_and_left_open() -> None:
    paths: list[str] = []
    long = "long " * 200_000

    def record(request: httpx.Request) -> None:
        paths.append(request.url.path)

    async def arecord(request: httpx.Request) -> None:
        paths.append(request.url.path)

    with server_sending(COMPLETION) as server:
        with httpx.Client(event_hooks={"request": [record]}) as client:
            model = model_at(server, http_client=client)
            model.invoke("hi")
            [*model.stream(long)]
            assert not client.is_closed
        async with httpx.AsyncClient(event_hooks={"request": [arecord]}) as async_client:
            model = model_at(server, http_async_client=async_client)
            await model.ainvoke("hi")
            [chunk async for chunk in model.astream(long)]
            assert not async_client.is_closed
        prompts = [request.json["messages"][0]["content"] for request in server.requests]
    assert (len(paths), prompts) == (4, ["hi", long] * 2)


@pytest.mark.parametrize("api", ["chat_completions", "generate_content", "gateway"])
async def test_http_to_another_machine_works_if_it_is_allowed(api: str) -> None:
    """As `http://emulator:8787` of a compose file: calls, uploads and the account."""
    image = media_block(unique_png(1_000))
    with Emulator() as emulator, named_host(emulator.base_url) as url:
        key = emulator.api_key
        settings = {"model": "gemini-3-flash", "api": api, "base_url": url, "api_key": key}
        with pytest.raises(KieConfigurationError, match="allow_http=True allows http"):
            ChatKieGemini(**settings)
        assert emulator.requests == []
        with pytest.warns(UserWarning, match="sent to emulator without encryption"):
            model = ChatKieGemini(**settings, allow_http=True, media_upload="always")
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model, [HumanMessage(["Say 'hello'.", image])])
            assert "hello" in message.text
        assert KieAccount(base_url=url, api_key=key, allow_http=True).credits() > 0
        assert await KieAccount(base_url=url, api_key=key, allow_http=True).acredits() > 0
        paths = [request.path for request in emulator.requests]
        assert len(paths) == len(BASIC_CALL_MODES) + 3
        assert paths.count("/api/file-stream-upload") == 1
        hosts = {request.headers["host"] for request in emulator.requests}
        assert hosts == {url.removeprefix("http://")}


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_head_and_body_of_a_request_are_written_together(
    call_mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    for cls in (SyncStream, _SelectorSocketTransport):
        monkeypatch.setattr(cls, "write", _recording(cls.write, writes))
    with server_sending(fixture("shape_a.sse")) as server:
        await call_mode(model_at(server))  # a connection of threads is new, and not yet watched
        for text in ("Hi", "long " * 200_000):
            writes.clear()
            await call_mode(model_at(server), [HumanMessage(text)])
            assert len(writes) == 1 if text == "Hi" else len(writes) > 3
            assert len(writes[0]) < 2_000, "the head is joined only to a short body"
            head, _, body = b"".join(writes).partition(b"\r\n\r\n")
            assert head.startswith(b"POST ")
            assert body == server.requests[-1].body
        assert server.open_connections == 1


def _recording(write: Any, writes: list[bytes]) -> Any:
    """A method that stores what is written, and writes it."""

    def record(stream: Any, buffer: bytes, *args: Any, **kwargs: Any) -> Any:
        if buffer:
            writes.append(bytes(buffer))
        return write(stream, buffer, *args, **kwargs)

    return record


def test_a_user_s_connection_writes_as_it_comes() -> None:
    """After an upgrade, the user may write without reading."""
    with server_sending(COMPLETION) as server, httpx.Client() as client:
        model = model_at(server, http_client=client)
        model.invoke("Hi")
        with client.stream("GET", f"{server.base_url}/x") as response:
            stream = response.extensions["network_stream"]
        assert "write" not in vars(stream)


class Reading:
    """A network stream that reads some bytes at once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.written: list[tuple[bytes, float | None]] = []
        self.timeouts: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.timeouts.append(timeout)
        return self.data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.written.append((buffer, timeout))


class AsyncReading(Reading):
    """The same, async."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # type: ignore[override]  # noqa: ASYNC109
        self.timeouts.append(timeout)
        return self.data


def test_joined_writes_have_the_timeout_of_the_last() -> None:
    stream, long = Reading(b""), bytes(1 << 17)
    assert Connection.of(httpx.Response(200, extensions={"network_stream": stream}), is_pooled=True)
    for piece, timeout in ((b"head", 1.0), (b" body", 2.0)):
        stream.write(piece, timeout)
    stream.read(9, 3.0)
    for piece, timeout in ((b"head", 1.0), (long, 2.0), (long, None)):
        stream.write(piece, timeout)
    assert stream.written == [(b"head body", 2.0), (b"head", 2.0), (long, 2.0), (long, None)]


class Half:
    """A limit of half the time-out."""

    def socket_timeout(self, timeout: float | None) -> float | None:
        return timeout and timeout / 2


@pytest.mark.parametrize("stream_class", [Reading, AsyncReading])
async def test_a_limit_of_reads_knows_the_timeout_of_the_client(stream_class) -> None:
    stream = stream_class(b"")
    connection = Connection.of(
        httpx.Response(200, extensions={"network_stream": stream}), is_pooled=False
    )
    assert connection
    limit: Half | None = Half()
    connection.limit(limit)
    for _ in range(2):
        read = stream.read(100, 3.0)
        assert (await read if stream_class is AsyncReading else read) == b""
        limit = None
    assert stream.timeouts == [1.5, 3.0]


A, B = b"a" * 40, b"b" * 40
READS: list[tuple[bytes, list[tuple[bytes, bool]]]] = [
    (A + B, [(A, True), (B, False)]),
    (b"28\r\n" + A + b"\r\n28\r\n" + B, [(A, True), (B, False)]),
    (b"28\r\n" + A + b"\r\n28\r\n" + B[:26], [(A, False)]),
    (b"28\r\n" + A + b"\r\n28\r\n" + B[:27], [(A, True)]),
    (b"28\r\n" + A + b"\r\n28\r\n" + A + b"\r\n28\r\n" + B[:24], [(A, True), (A, False)]),
]
"""What is read at once, and its pieces, each with whether another follows it."""


@pytest.mark.parametrize("stream_class", [Reading, AsyncReading])
@pytest.mark.parametrize(("data", "expected"), READS)
@pytest.mark.parametrize(("version", "is_known"), [(b"HTTP/1.1", True), (b"HTTP/2", False)])
async def test_only_what_follows_in_a_response_s_own_connection_is_awaited(
    stream_class: type[Reading],
    version: bytes,
    is_known: bool,
    data: bytes,
    expected: list[tuple[bytes, bool]],
) -> None:
    """With HTTP/2, the rest of a read may be of another response."""
    stream = stream_class(data)
    response = httpx.Response(200, extensions={"network_stream": stream, "http_version": version})
    connection = Connection.of(response, is_pooled=False)
    assert connection
    read: Any = stream.read(100)
    assert (await read if stream_class is AsyncReading else read) == data
    for piece, follows in expected:
        assert connection.has_more(piece) is (is_known and follows)
    connection.end_response()
    assert connection.has_read is not is_known
