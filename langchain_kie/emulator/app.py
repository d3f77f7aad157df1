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

from langchain_kie._catalog import MODELS, resolve
from langchain_kie._catalog import ResolvedModel as Target
from langchain_kie.emulator.brain import page_urls, think
from langchain_kie.emulator.chat_request import is_known_model, read_chat_request
from langchain_kie.emulator.chat_response import ChatAnswer, chat_content
from langchain_kie.emulator.errors import (
    MODEL_NOT_SUPPORTED,
    WireError,
    bad_request,
    unauthorized,
    unprocessable,
)
from langchain_kie.emulator.media import Internet
from langchain_kie.emulator.native_request import read_native_request
from langchain_kie.emulator.native_response import NativeAnswer
from langchain_kie.emulator.pieces import dump
from langchain_kie.emulator.uploads import upload_routes
from langchain_kie.emulator.usage import credits_for, weigh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.requests import Request

    from langchain_kie._catalog import Api
    from langchain_kie.emulator.conversation import Conversation, Reply
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


def _served_by(spelling: str, api: Api) -> Target:
    """Find the row that a path names; spellings are exact (docs/wire.md 1)."""
    for spec in MODELS:
        route = spec.routes.get(api)
        if route is not None and route.model == spelling:
            return Target(spec.name, api, route, spec)
    raise unprocessable(MODEL_NOT_SUPPORTED)


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
    target = _served_by(request.path_params["slug"], "chat_completions")
    return await _answer_chat(target, body, world, internet)


async def _gateway(_request: Request, body: Any, world: World, internet: Internet) -> Response:
    name = body.get("model") if isinstance(body, dict) else None
    if not isinstance(name, str) or not is_known_model(name, gateway=True):
        raise unprocessable(MODEL_NOT_SUPPORTED)
    target = resolve(name, "gateway")
    return await _answer_chat(target, body, world, internet)


async def _answer_chat(target: Target, body: Any, world: World, internet: Internet) -> Response:
    relay = target.api == "gateway"
    request = await read_chat_request(body, target.route, internet, gateway=relay)
    conversation, reply = await _think(request.conversation, world, internet)
    shape = target.route.stream_shape
    # Thoughts are shown by default, but a relay does not know of them unless asked.
    shown = request.include_thoughts if request.include_thoughts is not None else not relay
    usage = weigh(target.name, conversation, reply)
    answer = ChatAnswer(
        reply=reply,
        content=chat_content(reply),
        usage=usage,
        credits=credits_for(target.name, usage),
        shape=shape,
        row=_row_in_shape(target),
        serial=next(world.serials),
        show_thoughts=shown,
        model=target.name if shape == "A" else None,
        relay=relay,
    )
    return _events(answer.events()) if request.stream else _json(answer.body())


def _row_in_shape(target: Target) -> int:
    """Give a model's number among the rows that stream as it does."""
    alike = [
        spec.name
        for spec in MODELS
        for route in spec.routes.values()
        if route.stream_shape == target.route.stream_shape
    ]
    return alike.index(target.name) if target.name in alike else 0


async def _native(request: Request, body: Any, world: World, internet: Internet) -> Response:
    streams = _NATIVE_METHODS.get(request.path_params["method"])
    if streams is None:
        return await _not_found(request, world)
    target = _served_by(request.path_params["model"], "generate_content")
    read = await read_native_request(body, target, internet)
    conversation, reply = await _think(read.conversation, world, internet)
    usage = weigh(target.name, conversation, reply)
    answer = NativeAnswer(
        reply=reply,
        usage=usage,
        credits=credits_for(target.name, usage, thinking_is_free=True),
        model=target.route.model,
        version=target.name,
        serial=next(world.serials),
        show_thoughts=read.include_thoughts,
        signs=bool(target.spec and target.spec.replays_signatures),
    )
    return _events(answer.events()) if streams and read.stream else _json(answer.body())
