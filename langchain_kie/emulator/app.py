"""The ASGI application: each endpoint parses a request, answers it, and encodes the answer."""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from langchain_kie.emulator.answering import cut_bytes, cut_events, find_answer, finish, prepare
from langchain_kie.emulator.catalog import catalog_routes
from langchain_kie.emulator.chat_request import read_chat_request
from langchain_kie.emulator.chat_response import ChatEncoder
from langchain_kie.emulator.conversation import RawAnswer
from langchain_kie.emulator.errors import (
    FEATURE_NOT_SUPPORTED,
    MODEL_NOT_SUPPORTED,
    TIMEOUT_PAGE,
    ApiError,
    GatewayTimeoutError,
    bad_request,
    unauthorized,
    unprocessable,
)
from langchain_kie.emulator.media import UrlFetcher
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS, gateway_endpoint
from langchain_kie.emulator.native_request import read_native_request
from langchain_kie.emulator.native_response import NativeEncoder
from langchain_kie.emulator.streaming import DONE, encode_event, encode_json
from langchain_kie.emulator.uploads import upload_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from starlette.requests import Request

    from langchain_kie.emulator.conversation import ChatRequest
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.state import ServerState

_JSON = "application/json;charset=UTF-8"
_EVENTS = "text/event-stream;charset=UTF-8"
_POLL_SECONDS = 0.02
_NATIVE_METHODS = {"streamGenerateContent": True, "generateContent": False}


def build_app(state: ServerState) -> Starlette:
    """Build the ASGI application."""
    fetcher = UrlFetcher(state.settings, state.files)

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
    return await _answer_chat(CHAT_ENDPOINTS.get(slug), request, body, state, fetcher)


async def _gateway(
    request: Request, body: Any, state: ServerState, fetcher: UrlFetcher
) -> Response:
    endpoint = gateway_endpoint(body.get("model") if isinstance(body, dict) else None)
    return await _answer_chat(endpoint, request, body, state, fetcher)


async def _answer_chat(
    endpoint: Endpoint | None, request: Request, body: Any, state: ServerState, fetcher: UrlFetcher
) -> Response:
    if endpoint is None:
        raise unprocessable(MODEL_NOT_SUPPORTED)
    state.check_account(endpoint)
    parsed = await read_chat_request(body, endpoint, fetcher)
    return await _answer(request, parsed, endpoint, state, fetcher)


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
    parsed = replace(parsed, stream=method_streams and parsed.stream)
    if state.settings.hang_on_stream_false and not parsed.stream:
        await _wait(math.inf, request, state)
        return Response()
    return await _answer(request, parsed, endpoint, state, fetcher)


async def _answer(
    http_request: Request,
    request: ChatRequest,
    endpoint: Endpoint,
    state: ServerState,
    fetcher: UrlFetcher,
) -> Response:
    request = replace(request, headers=state.public_headers(http_request))
    request, prompt = await prepare(request, endpoint, state, fetcher)
    answer = await find_answer(request, state)
    if state.settings.delay:
        await _wait(state.settings.delay, http_request, state)
    cut = state.cuts.popleft() if state.cuts else None
    if isinstance(answer, RawAnswer):
        return _raw(answer, cut, state)
    answer, usage = finish(answer, request, endpoint, prompt, state)
    details = (endpoint, request, answer, usage, next(state.serials))
    is_native = request.api == "generate_content"
    encoder = (
        NativeEncoder(*details)
        if is_native
        else ChatEncoder(*details, state.settings.tool_call_format)
    )
    if not request.stream:
        return _json(encoder.body()) if cut is None else _cut_json(encoder.body(), cut)
    events = encoder.events() if cut is None else cut_events(encoder.events(), cut)
    return _stream(_encoded(events, b"" if is_native else DONE), state)


def _encoded(events: Iterable[Any], last: bytes) -> Iterator[bytes]:
    yield from map(encode_event, events)
    if last:
        yield last


async def _wait(seconds: float, request: Request, state: ServerState) -> None:
    """Wait some seconds, at most until the client gives up or the emulator stops."""
    end = time.monotonic() + seconds
    # Another thread stops the emulator, so there is no asyncio.Event to wait for.
    while (left := end - time.monotonic()) > 0 and not state.is_stopping:
        if await request.is_disconnected():
            return
        await asyncio.sleep(min(_POLL_SECONDS, left))


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


# --- responses -------------------------------------------------------------------------------


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


def _cut_json(body: Any, after: int) -> Response:
    data = encode_json(body)
    headers = {"content-length": str(len(data)), "content-type": _JSON}
    pieces = cut_bytes([data], min(after, len(data) - 1))
    return StreamingResponse(pieces, headers=headers)


def _stream(pieces: Iterable[bytes], state: ServerState, **options: Any) -> Response:
    async def one_by_one() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(state.settings.piece_delay)

    return StreamingResponse(one_by_one(), **{"media_type": _EVENTS, **options})


def _raw(answer: RawAnswer, cut: int | None, state: ServerState) -> Response:
    if isinstance(answer.body, bytes) and cut is None:
        return Response(answer.body, answer.status, media_type=answer.content_type or _JSON)
    body = [answer.body] if isinstance(answer.body, bytes) else answer.body
    pieces = [piece if isinstance(piece, bytes) else encode_event(piece) for piece in body]
    return _stream(
        pieces if cut is None else cut_bytes(pieces, cut),
        state,
        status_code=answer.status,
        media_type=answer.content_type or _EVENTS,
    )
