"""What a client of the user sends, its hooks read and its transport gets: the pool's body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
from call_modes import BASIC_CALL_MODES, ainvoke, astream, fixture, invoke, model_at, server_sending

from langchain_kie import media_block
from langchain_kie._json import PIECE_BYTES, JsonPieces
from unit_tests.upload_server import unique_png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import ScriptedServer

    from langchain_kie import ChatKieGemini

PROMPTS: dict[str, list[tuple[str, Any]]] = {
    "short text": [("user", ["hi"])],
    "long text": [("user", ["long äöü " * PIECE_BYTES])],
    "many messages": [("user", "word " * 200)] * (PIECE_BYTES // 500),
    "small picture": [("user", ["See", media_block(unique_png(1_000))])],
    "large pictures": [
        ("user", ["See", *(media_block(unique_png(n * 1_000_000)) for n in (1, 2))])
    ],
}
API_BODIES = {"chat_completions": "shape_a.sse", "generate_content": "native.sse"}


def model_of(server: ScriptedServer, api: str, **clients: Any) -> ChatKieGemini:
    limits = {"inline_media_limit": 10**8, "require_media_seen": False, "max_retries": 1}
    return model_at(server, api=api, **limits, **clients)


def watching(transport_class: Any, seen: list[Any]) -> Any:
    """A transport class that reads the body twice before it sends it, as one that retries does."""

    class Watching(transport_class):
        def handle_request(self, request: Any) -> Any:
            seen.append([[*request.stream] for _ in range(2)])
            return super().handle_request(request)

        async def handle_async_request(self, request: Any) -> Any:
            seen.append([[piece async for piece in request.stream] for _ in range(2)])
            return await super().handle_async_request(request)

    return Watching()


@pytest.fixture
def joined_on_a_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of the long bodies that were joined on an event loop."""
    sizes: list[int] = []

    def join(body: JsonPieces) -> bytes:
        if asyncio._get_running_loop() is not None:
            sizes.append(len(body))
        return b"".join(body)

    monkeypatch.setattr(JsonPieces, "__bytes__", join)
    return sizes


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("api", API_BODIES)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
async def test_a_client_sends_what_the_pool_sends(
    library: Any, api: str, prompt: list[Any], joined_on_a_loop: list[int]
) -> None:
    read, seen = [], []

    def hook(request: Any) -> None:
        read.append(request.content)

    async def async_hook(request: Any) -> None:
        read.append(request.content)
        read.append(request.read())
        read.append(await request.aread())

    with (
        server_sending(fixture(API_BODIES[api])) as server,
        library.Client(
            transport=watching(library.HTTPTransport, seen), event_hooks={"request": [hook]}
        ) as client,
    ):
        async with library.AsyncClient(
            transport=watching(library.AsyncHTTPTransport, seen),
            event_hooks={"request": [async_hook]},
        ) as async_client:
            clients = {"http_client": client, "http_async_client": async_client}
            for call_mode in BASIC_CALL_MODES:
                server.requests.clear()
                read.clear()
                await call_mode(model_of(server, api), prompt)
                is_async = call_mode in (ainvoke, astream)
                joined_on_a_loop.clear()
                await call_mode(model_of(server, api, **clients), prompt)
                pooled, sent = server.requests
                assert pooled.body == sent.body
                assert sent.headers["content-length"] == str(len(sent.body))
                assert "transfer-encoding" not in sent.headers
                for name in ("content-type", "host", "content-length", "authorization"):
                    assert pooled.headers[name] == sent.headers[name]
                assert set(read) == {sent.body}
                first, second = seen.pop()
                assert b"".join(first) == b"".join(second) == sent.body
                if is_async:
                    assert max(map(len, first)) <= 2 * PIECE_BYTES
                    assert all(size <= PIECE_BYTES for size in joined_on_a_loop)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
async def test_a_mock_transport_and_a_retry_get_the_whole_body(
    library: Any, prompt: list[Any], no_sleep: Any
) -> None:
    def answer(request: Any) -> Any:
        bodies.append(request.content)
        if len(bodies) % 2:
            return library.Response(500, json={"code": 500, "msg": "no"})
        return library.Response(200, content=fixture("shape_a.sse"))

    bodies: list[bytes] = []
    transport = library.MockTransport(answer)
    with server_sending(b"") as server, library.Client(transport=transport) as client:
        async with library.AsyncClient(transport=transport) as async_client:
            clients = {"http_client": client, "http_async_client": async_client}
            for call_mode in (invoke, ainvoke):
                model = model_of(server, "chat_completions", stream_invoke=True, **clients)
                assert (await call_mode(model, prompt)).text
    assert len(bodies) == 4
    assert len(set(bodies)) == 1
    assert len(bodies[0]) > len(str(prompt)) / 2
