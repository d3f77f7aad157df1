"""The routes: a request is checked, read, thought about and answered.

Knows HTTP and which dialect lives where. What the dialects mean is theirs to know.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as HttpRoute

from langchain_kie.emulator.brain import page_urls, think
from langchain_kie.emulator.chat_request import read_chat_request
from langchain_kie.emulator.chat_response import ChatAnswer, chat_content
from langchain_kie.emulator.errors import (
    MODEL_NOT_SUPPORTED,
    WireError,
    bad_request,
    unauthorized,
    unprocessable,
)
from langchain_kie.emulator.media import Internet
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS, gateway_endpoint
from langchain_kie.emulator.native_request import read_native_request
from langchain_kie.emulator.native_response import NativeAnswer
from langchain_kie.emulator.pieces import dump
from langchain_kie.emulator.uploads import upload_routes
from langchain_kie.emulator.usage import weigh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from starlette.requests import Request

    from langchain_kie.emulator.conversation import Conversation, Reply
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.world import World

_JSON = "application/json;charset=UTF-8"
_EVENTS = "text/event-stream;charset=UTF-8"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_NATIVE_METHODS = {"streamGenerateContent": True, "generateContent": False}


def build_app(world: World) -> Starlette:
    """Build the ASGI application."""
    internet = Internet(world.media)

    def served(handle: Callable[[Request, Any, World, Internet], Awaitable[Response]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                body = await _receive(request, world)
                return await handle(request, body, world, internet)
            except WireError as error:
                return _json(error.envelope())
            except RecursionError:
                return _json(bad_request("The schema is nested too deeply.").envelope())

        return endpoint

    async def not_found(request: Request, _error: Exception) -> Response:
        return await _not_found(request, world)

    async def hung_up(_request: Request, _error: Exception) -> Response:
        return Response()  # to nobody

    return Starlette(
        routes=[
            *upload_routes(world, internet),
            HttpRoute("/v1/chat/completions", served(_gateway), methods=["POST"]),
            HttpRoute("/{slug}/v1/chat/completions", served(_chat), methods=["POST"]),
            HttpRoute("/gemini/v1/models/{model}:{method:str}", served(_native), methods=["POST"]),
        ],
        exception_handlers={404: not_found, 405: not_found, ClientDisconnect: hung_up},
    )


def _json(body: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(dump(body), status, media_type=_JSON)


def _events(events: Iterable[bytes]) -> Response:
    async def paced() -> AsyncIterator[bytes]:
        for piece in events:
            yield piece
            await asyncio.sleep(0)

    return StreamingResponse(paced(), media_type=_EVENTS)


async def _record(request: Request, world: World) -> Any:
    """Note a request down, and give its body."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    world.record(request, body)
    return body


async def _receive(request: Request, world: World) -> Any:
    """Check the headers and give the body (docs/wire.md 1).

    Raises:
        WireError: If the key or the content type is wrong, or the body is not JSON.
    """
    body = await _record(request, world)
    sent_json = request.headers.get("content-type", "").lower().startswith("application/json")
    if not world.trusts(request) or not sent_json:
        raise unauthorized()
    if body is None:
        raise bad_request("Invalid JSON payload received. Unable to parse the request body.")
    return body


async def _not_found(request: Request, world: World) -> Response:
    await _record(request, world)
    return _json(
        {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "status": int(HTTPStatus.NOT_FOUND),
            "error": HTTPStatus.NOT_FOUND.phrase,
            "path": request.url.path,
        },
        HTTPStatus.NOT_FOUND,
    )


def _endpoint(table: Mapping[str, Endpoint], model: str) -> Endpoint:
    """Find the row of a path; spellings are exact (docs/wire.md 1)."""
    if model not in table:
        raise unprocessable(MODEL_NOT_SUPPORTED)
    return table[model]


async def _think(
    conversation: Conversation, world: World, internet: Internet
) -> tuple[Conversation, Reply]:
    """Read the pages that are named, lose what shall be lost, and answer."""
    if world.drops_media:
        turns = tuple(replace(turn, media=()) for turn in conversation.turns)
        conversation = replace(conversation, turns=turns)
    urls = page_urls(conversation)
    if urls:
        conversation = replace(conversation, pages=await internet.pages(urls))
    return conversation, think(conversation)


async def _chat(request: Request, body: Any, world: World, internet: Internet) -> Response:
    endpoint = _endpoint(CHAT_ENDPOINTS, request.path_params["slug"])
    return await _answer_chat(endpoint, body, world, internet)


async def _gateway(_request: Request, body: Any, world: World, internet: Internet) -> Response:
    endpoint = gateway_endpoint(body.get("model") if isinstance(body, dict) else None)
    if endpoint is None:
        raise unprocessable(MODEL_NOT_SUPPORTED)
    return await _answer_chat(endpoint, body, world, internet)


async def _answer_chat(endpoint: Endpoint, body: Any, world: World, internet: Internet) -> Response:
    request = await read_chat_request(body, endpoint, internet)
    conversation, reply = await _think(request.conversation, world, internet)
    usage = weigh(endpoint, conversation, reply)
    shown = request.include_thoughts
    # Thoughts are shown by default, but a gateway does not know of them unless asked.
    shown = endpoint.api != "gateway" if shown is None else shown
    answer = ChatAnswer(
        endpoint=endpoint,
        reply=reply,
        content=chat_content(reply),
        usage=usage,
        serial=next(world.serials),
        show_thoughts=shown,
    )
    return _events(answer.events()) if request.stream else _json(answer.body())


async def _native(request: Request, body: Any, world: World, internet: Internet) -> Response:
    streams = _NATIVE_METHODS.get(request.path_params["method"])
    if streams is None:
        return await _not_found(request, world)
    endpoint = _endpoint(NATIVE_ENDPOINTS, request.path_params["model"])
    read = await read_native_request(body, endpoint, internet)
    conversation, reply = await _think(read.conversation, world, internet)
    answer = NativeAnswer(
        endpoint=endpoint,
        reply=reply,
        usage=weigh(endpoint, conversation, reply),
        serial=next(world.serials),
        show_thoughts=read.include_thoughts,
    )
    return _events(answer.events()) if streams and read.stream else _json(answer.body())
