"""The ASGI application: each endpoint parses a request, answers it, and serializes the reply."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from langchain_kie.emulator.catalog import catalog_routes
from langchain_kie.emulator.chat_request import read_chat_request
from langchain_kie.emulator.chat_response import ChatAnswer
from langchain_kie.emulator.errors import (
    FEATURE_NOT_SUPPORTED,
    MODEL_NOT_SUPPORTED,
    TIMEOUT_PAGE,
    TOO_MANY_TOKENS,
    ApiError,
    GatewayTimeoutError,
    bad_request,
    unauthorized,
    unprocessable,
)
from langchain_kie.emulator.media import UrlFetcher
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS, gateway_endpoint
from langchain_kie.emulator.native_request import read_native_request
from langchain_kie.emulator.native_response import NativeAnswer
from langchain_kie.emulator.responder import page_urls, respond
from langchain_kie.emulator.streaming import encode_json
from langchain_kie.emulator.uploads import upload_routes
from langchain_kie.emulator.usage import (
    count_prompt,
    count_usage,
    credits_for,
    limit_output,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.requests import Request

    from langchain_kie.emulator.conversation import Conversation, Reply
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.state import ServerState
    from langchain_kie.emulator.usage import Usage

_JSON = "application/json;charset=UTF-8"
_EVENTS = "text/event-stream;charset=UTF-8"
_POLL_SECONDS = 0.02
_NATIVE_METHODS = {"streamGenerateContent": True, "generateContent": False}


def build_app(state: ServerState) -> Starlette:
    """Build the ASGI application."""
    fetcher = UrlFetcher(state.settings)

    def endpoint(
        handle: Callable[[Request, Any, ServerState, UrlFetcher], Awaitable[Response]],
    ) -> Any:
        async def respond_to(request: Request) -> Response:
            try:
                body = await _read_body(request, state)
                state.check_rate(state.chat_limit)
                return await handle(request, body, state, fetcher)
            except ApiError as error:
                return _json(error.envelope())
            except GatewayTimeoutError:
                return HTMLResponse(TIMEOUT_PAGE, 524)
            except RecursionError:
                return _json(bad_request("The schema is nested too deeply.").envelope())

        return respond_to

    async def not_found(request: Request, _error: Exception) -> Response:
        await _record(request, state)
        return _not_found(request)

    async def ignore(_request: Request, _error: Exception) -> Response:
        return Response()  # the client is gone, so nobody reads it

    return Starlette(
        routes=[
            *upload_routes(state, fetcher),
            *catalog_routes(state),
            Route("/v1/chat/completions", endpoint(_gateway), methods=["POST"]),
            Route("/{slug}/v1/chat/completions", endpoint(_chat), methods=["POST"]),
            Route("/gemini/v1/models/{model}:{method:str}", endpoint(_native), methods=["POST"]),
        ],
        exception_handlers={404: not_found, 405: not_found, ClientDisconnect: ignore},
    )


async def _chat(request: Request, body: Any, state: ServerState, fetcher: UrlFetcher) -> Response:
    slug = request.path_params["slug"]
    if slug == "api":  # `/api/v1/chat/completions`, measured in 2026-08
        raise unprocessable(FEATURE_NOT_SUPPORTED)
    endpoint = CHAT_ENDPOINTS.get(slug)
    return await _answer_chat(endpoint, body, state, fetcher)


async def _gateway(
    _request: Request, body: Any, state: ServerState, fetcher: UrlFetcher
) -> Response:
    endpoint = gateway_endpoint(body.get("model") if isinstance(body, dict) else None)
    return await _answer_chat(endpoint, body, state, fetcher)


async def _answer_chat(
    endpoint: Endpoint | None, body: Any, state: ServerState, fetcher: UrlFetcher
) -> Response:
    if endpoint is None:
        raise unprocessable(MODEL_NOT_SUPPORTED)
    state.check_account(endpoint)
    request = await read_chat_request(body, endpoint, fetcher)
    reply, usage = await _respond(endpoint, request.conversation, state, fetcher)
    answer = ChatAnswer(
        endpoint=endpoint,
        reply=reply,
        usage=usage,
        serial=next(state.serials),
        show_thoughts=request.include_thoughts,
    )
    return _events(answer.events()) if request.stream else _json(answer.body())


async def _native(request: Request, body: Any, state: ServerState, fetcher: UrlFetcher) -> Response:
    method_streams = _NATIVE_METHODS.get(request.path_params["method"])
    if method_streams is None:
        return _not_found(request)
    endpoint = NATIVE_ENDPOINTS.get(request.path_params["model"])
    if endpoint is None:
        raise unprocessable(MODEL_NOT_SUPPORTED)
    state.check_account(endpoint)
    parsed = await read_native_request(
        body, endpoint, fetcher, ignore_nullable=state.settings.ignore_nullable
    )
    streams = method_streams and parsed.stream
    if state.settings.hang_on_stream_false and not streams:
        return await _hang(request, state)
    reply, usage = await _respond(endpoint, parsed.conversation, state, fetcher)
    answer = NativeAnswer(
        endpoint=endpoint,
        reply=reply,
        usage=usage,
        serial=next(state.serials),
        show_thoughts=parsed.include_thoughts,
    )
    return _events(answer.events()) if streams else _json(answer.body())


async def _hang(request: Request, state: ServerState) -> Response:
    """Wait until the client gives up, or the emulator stops."""
    # Another thread stops the emulator, so there is no asyncio.Event to wait for.
    while not state.is_stopping and not await request.is_disconnected():  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)
    return Response()


async def _respond(
    endpoint: Endpoint, conversation: Conversation, state: ServerState, fetcher: UrlFetcher
) -> tuple[Reply, Usage]:
    """Answer a conversation, and charge for it.

    Raises:
        ApiError: If the prompt is longer than the context.
    """
    settings = state.settings
    if settings.drops_media:
        turns = tuple(replace(turn, media=()) for turn in conversation.turns)
        conversation = replace(conversation, turns=turns)
    prompt, maximum = count_prompt(endpoint, conversation), settings.context_tokens
    if prompt > maximum:
        raise bad_request(TOO_MANY_TOKENS.format(count=prompt, maximum=maximum))
    urls = page_urls(conversation)
    if urls:
        conversation = replace(conversation, pages=await fetcher.web_pages(urls))
    reply = respond(conversation, settings.ignore_tool_choice)
    usage = count_usage(prompt, conversation.effort, reply)
    if endpoint.honours_max_tokens and conversation.max_tokens is not None:
        reply, usage = limit_output(reply, usage, conversation.max_tokens)
    state.charge(credits_for(endpoint, usage))
    return reply, usage


async def _read_body(request: Request, state: ServerState) -> Any:
    """Check the headers, and parse the body (docs/wire.md 1).

    Raises:
        ApiError: If the key or the content type is wrong, or the body is not JSON.
    """
    body = await _record(request, state)
    is_json = request.headers.get("content-type", "").lower().startswith("application/json")
    if not state.is_authorized(request) or not is_json:
        raise unauthorized()
    if body is None:
        raise bad_request("Invalid JSON payload received. Unable to parse the request body.")
    return body


async def _record(request: Request, state: ServerState) -> Any:
    """Record a request, and return its parsed body."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    state.record(request, body)
    return body


def _not_found(request: Request) -> Response:
    return _json(
        {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "status": int(HTTPStatus.NOT_FOUND),
            "error": HTTPStatus.NOT_FOUND.phrase,
            "path": request.url.path,
        },
        HTTPStatus.NOT_FOUND,
    )


def _json(body: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(encode_json(body), status, media_type=_JSON)


def _events(events: Iterable[bytes]) -> Response:
    async def one_by_one() -> AsyncIterator[bytes]:
        for event in events:
            yield event
            await asyncio.sleep(0)

    return StreamingResponse(one_by_one(), media_type=_EVENTS)
