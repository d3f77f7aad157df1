"""Clients and time-outs of httpx2: they work as those of httpx do, in every call mode."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from call_modes import CALL_MODES, abatch, batch, fixture, model_at, server_sending
from faults.network import client_tls, server_tls
from scripted_server import READ_TIMEOUTS, Scripted, ScriptedServer

from langchain_kie import KieAccount, KieConfigurationError, KieError
from langchain_kie._http.request_values import DEFAULT_TIMEOUT
from unit_tests.loopback import PRELUDE, TEXT_EVENTS, all_closed, fork_script, run_script
from unit_tests.upload_server import STORED_AT, aupload, files_at, receipt, unique_png, upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RESPONSES = {
    "chat_completions": fixture("chat_completion.json"),
    "gateway": fixture("chat_completion.json"),
    "generate_content": fixture("native_response.json"),
}
STREAMED = {
    "chat_completions": fixture("shape_a.sse"),
    "gateway": fixture("shape_b.sse"),
    "generate_content": fixture("native.sse"),
}


@asynccontextmanager
async def clients_of(library: Any, **options: Any) -> AsyncIterator[dict[str, Any]]:
    """Clients of a library, as parameters of a model or of `KieFiles`."""
    with library.Client(**options) as client:
        async with library.AsyncClient(**options) as async_client:
            yield {
                "http_client": client,
                "http_async_client": async_client,
                "timeout": library.Timeout(5),
            }


@pytest.mark.parametrize("bodies", [RESPONSES, STREAMED], ids=["one response", "streamed"])
@pytest.mark.parametrize("api", RESPONSES)
async def test_a_client_of_httpx2_gives_the_message_that_the_pools_give(api, bodies) -> None:
    with server_sending(bodies[api]) as server:
        async with clients_of(httpx2) as clients:
            for call_mode in [*CALL_MODES, batch, abatch]:
                expected = await call_mode(model_at(server, api=api))
                message = await call_mode(model_at(server, api=api, **clients))
                assert message.content == expected.content
                assert message.usage_metadata == expected.usage_metadata
                assert message.response_metadata == expected.response_metadata
        assert len({request.body for request in server.requests}) <= 2  # streamed, or not
        keys = {request.headers["authorization"] for request in server.requests}
        assert keys == {"Bearer test-key"}


FAULTS: dict[str, Scripted] = {
    "hangs up": Scripted(reads="all", framing="raw", ending="rst"),
    "not HTTP": Scripted([b"nonsense\r\n\r\n"], framing="raw", ending="hang-up"),
    "cut in a chunk": Scripted(TEXT_EVENTS, ending="fin-mid-chunk"),
    "reset in a chunk": Scripted(TEXT_EVENTS, ending="rst"),
    "ends early": Scripted(TEXT_EVENTS),
    "an event and nonsense in one read": Scripted(
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n%s\r\n" % (len(TEXT_EVENTS[0]), TEXT_EVENTS[0]) + b"z" * 60 + b"\r\n",
        ],
        framing="raw",
        pause=0.05,
        ending="hang-up",
    ),
    "HTTP 500": Scripted([b'{"code":500,"msg":"no"}'], status=500),
    "silent": Scripted(ending="stall"),
    "silent after a chunk": Scripted(TEXT_EVENTS, ending="stall"),
    "only comments": Scripted(TEXT_EVENTS, ending="comments"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_an_error_of_httpx2_is_the_error_that_httpx_gives(fault: Scripted) -> None:
    for seconds in READ_TIMEOUTS:
        expected, errors = [await errors_of(fault, one, seconds) for one in (httpx, httpx2)]
        if errors == expected:
            break
    assert errors == expected


async def errors_of(fault: Scripted, library: Any, seconds: float) -> list[Any]:
    """The error of each call mode with clients of a library."""
    errors = []
    with ScriptedServer(fault) as server:
        async with clients_of(library) as clients:
            clients["timeout"] = library.Timeout(60, read=seconds)
            for call_mode in CALL_MODES[:4]:
                with pytest.raises(KieError) as caught:
                    await call_mode(model_at(server, **clients))
                error = caught.value
                errors.append((type(error), error.message, error.max_retries))
                assert "test-key" not in repr(error.__cause__)
        await all_closed(server)
    return errors


async def test_httpx2_over_tls_and_to_nobody() -> None:
    with ScriptedServer(Scripted([RESPONSES["gateway"]]), tls=server_tls()) as server:
        async with clients_of(httpx2, verify=client_tls()) as clients:
            for call_mode in CALL_MODES[:4]:
                assert (await call_mode(model_at(server, **clients))).text == "pong"
    async with clients_of(httpx2) as clients:
        for call_mode in CALL_MODES[:4]:
            with pytest.raises(KieError, match="ConnectError"):
                await call_mode(model_at(server, **clients))


@pytest.mark.parametrize("upload_mode", [upload, aupload])
async def test_an_upload_with_httpx2_sends_the_same_request(upload_mode) -> None:
    content = unique_png(300_000)
    with server_sending(receipt()) as server:
        for library in (httpx, httpx2):
            async with clients_of(library) as clients:
                file = await upload_mode(files_at(server, **clients), content, name="a.png")
                assert file.url == STORED_AT
    first, second = server.requests
    assert content in second.body
    assert second.headers["content-length"] == str(len(second.body))
    assert second.headers.keys() == first.headers.keys()


async def test_the_account_is_read_with_httpx2() -> None:
    body = b'{"code":200,"msg":"success","data":12.5}'
    with server_sending(body) as server:
        async with clients_of(httpx2) as clients:
            account = KieAccount(api_key="k", base_url=server.base_url, **clients)
            assert (account.credits(), await account.acredits()) == (12.5, 12.5)
    assert {request.method for request in server.requests} == {"GET"}


def test_a_closed_client_or_one_of_the_other_kind_is_refused_by_name() -> None:
    client = httpx2.Client()
    client.close()
    with server_sending(RESPONSES["gateway"]) as server:
        with pytest.raises(KieConfigurationError, match="closed"):
            model_at(server, http_client=client).invoke("hi")
        for name, wrong in (("http_client", httpx2.AsyncClient()), ("http_async_client", client)):
            with pytest.raises(KieConfigurationError, match=type(wrong).__name__):
                model_at(server, **{name: wrong})


def test_a_client_s_own_subclass_is_a_client() -> None:
    class Mine(httpx2.Client):
        pass

    with server_sending(RESPONSES["gateway"]) as server, Mine() as client:
        assert model_at(server, http_client=client).invoke("hi").text == "pong"


def test_a_timeout_of_httpx2_is_sent_as_it_is() -> None:
    seen: list[Any] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.extensions["timeout"])
        return httpx2.Response(200, content=RESPONSES["gateway"])

    transport = httpx2.MockTransport(respond)
    with ScriptedServer() as server, httpx2.Client(transport=transport) as client:
        model = model_at(server, http_client=client, timeout=httpx2.Timeout(9, read=7))
        model.invoke("hi")
        model.invoke("hi", timeout=httpx2.Timeout(3))
        model_at(server, http_client=client).invoke("hi")
    assert seen[0] == {"connect": 9, "read": 7, "write": 9, "pool": 9}
    assert seen[1:] == [dict.fromkeys(DEFAULT_TIMEOUT, 3), DEFAULT_TIMEOUT]


@pytest.mark.parametrize("alias", ["import httpx2; httpx2.alias_httpx()", ""])
def test_the_package_works_where_httpx_is_an_alias_of_httpx2(alias: str) -> None:
    with server_sending(RESPONSES["gateway"]) as server:
        output = run_script(f"""
            {alias}
            import asyncio, sys
            import langchain_kie._http.transport
            from langchain_kie import ChatKieGemini, KieConnectionError
            model = ChatKieGemini(model="gemini-3-flash", api_key="k", max_retries=0,
                                  base_url={server.base_url!r})
            print(model.invoke("hi").text, asyncio.run(model.ainvoke("hi")).text)
            try:
                model.model_copy(update={{"base_url": "http://127.0.0.1:9"}}).invoke("hi")
            except KieConnectionError as error:
                print(type(error.__cause__).__module__)
        """)
    library = "httpx2" if alias else "httpx"
    assert output.split() == ["pong", "pong", library]


def test_httpx2_is_optional() -> None:
    """`sys.modules` decides, so nothing here imports it."""
    assert "httpx2" in sys.modules
    output = run_script("""
        import sys
        sys.modules["httpx2"] = None
        import langchain_kie._http.transport
        from langchain_kie._http.errors import network_errors
        print(len(network_errors()))
    """)
    assert output.split() == ["4"]


UNREAD = """
import httpx2
model.http_async_client = httpx2.AsyncClient()
stream = model.astream("hi")

async def main():
    async for _ in stream:
        break
    {end}

asyncio.run(main())
print("ok")
"""


@pytest.mark.parametrize(
    "answer", [Scripted([STREAMED["gateway"]]), FAULTS["silent after a chunk"]]
)
def test_a_stream_that_is_closed_logs_nothing_when_the_event_loop_ends(answer: Scripted) -> None:
    """docs/performance.md; httpx2 (2.16) mostly logs something for a stream that is left open."""
    with ScriptedServer(answer) as server:
        closed = PRELUDE + UNREAD.format(end="await stream.aclose()")
        assert fork_script(closed, base_url=server.base_url) == "ok\n"


def test_a_stream_that_is_read_logs_nothing_when_the_event_loop_ends() -> None:
    with server_sending(STREAMED["gateway"]) as server:
        read = PRELUDE + UNREAD.format(end="[chunk async for chunk in stream]")
        assert fork_script(read, base_url=server.base_url) == "ok\n"
