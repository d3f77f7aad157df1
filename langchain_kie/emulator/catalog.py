"""KIE's list of models with their schemas, prices and success rates, and the account's balance.

The endpoints were recorded in 2026-10, with the eleven Gemini models that were listed then. Each
answer has HTTP status 200; the code is in the body.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from langchain_kie.emulator.errors import UNKNOWN_MODEL, ApiError, unauthorized
from langchain_kie.emulator.models import CHAT_ENDPOINTS, NATIVE_ENDPOINTS
from langchain_kie.emulator.streaming import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.state import ServerState

_LISTED = {
    endpoint.model: endpoint
    for endpoint in (*CHAT_ENDPOINTS.values(), *NATIVE_ENDPOINTS.values())
    if endpoint.is_listed
}
_PROMOTION = ". 50% OFF until Dec 31, 2026 at 06:00 UTC"
_USD_PER_CREDIT = 0.005
_BUCKETS = 144
_BUCKET = timedelta(minutes=10)


def catalog_routes(state: ServerState) -> list[Route]:
    """Build the routes; the four about models share one rate limit."""

    def route(path: str, read: Callable[[Request], Any], *, is_limited: bool = True) -> Route:
        async def endpoint(request: Request) -> Response:
            state.record(request, None)
            try:
                if not state.is_authorized(request):
                    raise unauthorized()
                if is_limited:
                    state.check_rate(state.catalog_limit)
                body = {"code": 200, "msg": "success", "data": read(request)}
            except ApiError as error:
                body = error.envelope()
            return Response(encode_json(body), media_type="application/json")

        return Route(path, endpoint)

    def success_rate(request: Request) -> dict[str, Any]:
        now = datetime.fromtimestamp(state.settings.clock(), UTC)
        return {"model": _listed(request).model, "points": _success_rates(now)}

    return [
        route("/api/v1/models", _models),
        route("/api/v1/models/{model:path}/schema", _schema),
        route("/api/v1/models/{model:path}/price", _price),
        route("/api/v1/models/{model:path}/success-rate", success_rate),
        route("/api/v1/chat/credit", lambda _: float(state.settings.credits), is_limited=False),
    ]


def _listed(request: Request) -> Endpoint:
    endpoint = _LISTED.get(request.path_params["model"])
    if endpoint is None:
        raise ApiError(404, UNKNOWN_MODEL)
    return endpoint


def _models(request: Request) -> dict[str, Any]:
    """List the models that match all filters; `taskType` is a list of alternatives."""
    query = request.query_params
    tasks, provider, text = query.get("taskType"), query.get("provider"), query.get("q", "").lower()
    found = [
        entry
        for entry in map(_entry, _LISTED.values())
        if (not tasks or not set(tasks.split(",")).isdisjoint(entry["taskType"]))
        and provider in {None, "", entry["provider"]}
        and (text in entry["model"] or text in entry["title"].lower())
    ]
    return {"total": len(found), "models": found}


def _entry(endpoint: Endpoint) -> dict[str, Any]:
    words = re.sub(r"(?<=\d)-(?=\d)", ".", endpoint.model).title().split("-")
    return {
        "model": endpoint.model,
        "slug": endpoint.model,
        "title": " ".join(words),
        "provider": "Google",
        "taskType": ["Chat"],
        "description": "" if endpoint.api == "generate_content" else None,  # as KIE's lists
        "pricingDesc": _price_text(endpoint),
    }


def _price(request: Request) -> dict[str, Any]:
    endpoint = _listed(request)
    return {"model": endpoint.model, "pricingDesc": _price_text(endpoint)}


def _price_text(endpoint: Endpoint) -> str:
    """Describe a price in words, in one of the two formats that KIE has for Gemini."""
    prices = list(zip(("Input", "Output"), endpoint.credits_per_million, strict=True))
    if endpoint.is_priced_in_dollars:
        texts = [f"{side} ${n * _USD_PER_CREDIT:g} (\u2248{n} credits)" for side, n in prices]
        return " & ".join(texts) + " per 1M tokens"
    unit = "credits / 1M tokens"
    texts = [f"{side} {n} {unit} (\u2248 ${n * _USD_PER_CREDIT:g})" for side, n in prices]
    return ", ".join(texts) + (_PROMOTION if endpoint.is_promoted else "")


def _success_rates(now: datetime) -> list[dict[str, Any]]:
    """Build the last 24 hours, oldest first; every sixth period has no traffic."""
    end = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    points = []
    for number in range(_BUCKETS):
        start = end - _BUCKET * (_BUCKETS - number)
        is_idle = number % 6 == 0
        points.append(
            {
                "start": _utc(start),
                "end": _utc(start + _BUCKET),
                "successRate": None if is_idle else 98.5,
                "errorRate": None if is_idle else 1.5,
                "isNormal": True,
            }
        )
    return points


def _utc(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_BOOLEAN = {"type": "boolean", "default": True}
_LOW_HIGH = {"type": "string", "enum": ["low", "high"]}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_FUNCTION = _object(
    "name", name={"type": "string"}, description={"type": "string"}, parameters={"type": "object"}
)
_FUNCTIONS = _array(_object("type", "function", type={"const": "function"}, function=_FUNCTION))
_RESPONSE_FORMAT = _object(
    type={"const": "json_schema"},
    json_schema=_object(
        name={"type": "string"}, strict={"type": "boolean"}, schema={"type": "object"}
    ),
)
_CHAT = {
    "messages": _array({"type": "object"}) | {"minItems": 1},
    "stream": _BOOLEAN,
    "include_thoughts": _BOOLEAN,
    "reasoning_effort": _LOW_HIGH,
    "tools": {},
}
_DOCUMENTED: dict[str, dict[str, Any]] = {
    "functions": {"reasoning_effort": _LOW_HIGH | {"default": "high"}, "tools": _FUNCTIONS},
    "response_format": {"response_format": _RESPONSE_FORMAT},
}
"""The members that a documented feature adds to `_CHAT`, or replaces there."""
_NATIVE = {
    "contents": _array({"type": "object"}) | {"minItems": 1},
    "stream": _BOOLEAN,
    "tools": _array(
        {"oneOf": [_object(googleSearch=_object()), _object(functionDeclarations=_array({}))]}
    ),
    "generationConfig": _object(
        thinkingConfig=_object(includeThoughts={"type": "boolean"}, thinkingLevel=_LOW_HIGH)
    ),
}


def _schema(request: Request) -> dict[str, Any]:
    endpoint = _listed(request)
    if endpoint.api == "generate_content":
        path = f"/gemini/v1/models/{endpoint.model}:streamGenerateContent"
        properties = _NATIVE
    else:
        path = f"/{endpoint.model}/v1/chat/completions"
        properties = dict(_CHAT)
        for feature in endpoint.documented:
            properties |= _DOCUMENTED[feature]
    body = _object(next(iter(properties)), **properties)
    content = {"application/json": {"schema": body}}
    operation = {
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "The answer, or an error with a code."}},
    }
    openapi = {
        "openapi": "3.1.0",
        "info": {"title": endpoint.model, "version": "1.0.0"},
        "servers": [{"url": "https://api.kie.ai"}],
        "paths": {path: {"post": operation}},
    }
    return {"model": endpoint.model, "openapi": openapi}
