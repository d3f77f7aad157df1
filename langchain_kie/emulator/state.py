"""The state that the emulator keeps between requests, and the checks that depend on it."""

from __future__ import annotations

import hmac
import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.errors import (
    CHANNEL_NOT_SUPPORTED,
    KEY_NOT_AUTHORIZED,
    NO_CREDITS,
    TOO_FAST,
    UNAUTHORIZED,
    ApiError,
    unprocessable,
)
from langchain_kie.emulator.files import FileStore
from langchain_kie.emulator.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from langchain_kie.emulator.conversation import AnyAnswer
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.settings import Settings

_SECRET_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key"})


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as the emulator received it.

    Attributes:
        path: The path, without the query.
        query: The query parameters.
        headers: The headers, with names in lower case and without those that hold a key.
        body: The parsed JSON; `None` if the body was not JSON. For an upload it is a summary:
            `uploadPath` and `fileName` as sent, `size` and `mimeType` of the file.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class ServerState:
    """The state that the emulator keeps between requests.

    Attributes:
        settings: The behaviour, which can change between requests.
        files: The uploaded files.
        requests: The received requests in order.
        script: The answers to give next.
        cuts: After how many characters to cut the next answers.
        charged: The credits that all answers cost.
        serials: Unique numbers for ids and file names.
        is_stopping: Whether requests that are never answered must end.
        chat_limit: The limit of chat requests (docs/wire.md 8).
        catalog_limit: The limit of requests about the models, which share one budget.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.files = FileStore(settings)
        self.requests: list[ReceivedRequest] = []
        self.script: deque[AnyAnswer] = deque()
        self.cuts: deque[int] = deque()
        self.is_stopping = False
        self.reset()

    def reset(self) -> None:
        """Delete all requests, scripted answers, files and charges."""
        self.requests.clear()
        self.script.clear()
        self.cuts.clear()
        self.files.close()
        self.charged = 0.0
        self.serials: Iterator[int] = itertools.count(1)
        self.chat_limit = RateLimit(20, 10.0)
        self.catalog_limit = RateLimit(1, 1.0)

    def record(self, request: Request, body: Any) -> None:
        """Add a request to `requests`."""
        query, headers = dict(request.query_params), self.public_headers(request)
        self.requests.append(ReceivedRequest(request.url.path, query, headers, body))

    def public_headers(self, request: Request) -> dict[str, str]:
        """Copy the headers without those that hold a key."""
        return {k: v for k, v in request.headers.items() if k not in _SECRET_HEADERS}

    def is_authorized(self, request: Request) -> bool:
        """Return whether a request has the key."""
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.settings.api_key}".encode())

    def check_rate(self, limit: RateLimit) -> None:
        """Reject a request that is too early, if the emulator limits the rate."""
        if self.settings.rate_limit and not limit.accepts(self.settings.clock()):
            raise ApiError(429, TOO_FAST)

    def check_account(self, endpoint: Endpoint) -> None:
        """Reject a model that the key must not use, and any model without credits."""
        if endpoint.model in self.settings.unauthorized_models:
            raise ApiError(UNAUTHORIZED, KEY_NOT_AUTHORIZED)
        if endpoint.model in self.settings.unsupported_models:
            raise unprocessable(CHANNEL_NOT_SUPPORTED)
        if self.settings.credits <= 0:
            raise ApiError(402, NO_CREDITS)

    def charge(self, amount: float) -> None:
        """Subtract the price of an answer; the balance has two decimals."""
        self.charged = round(self.charged + amount, 2)
        self.settings.credits = max(0.0, round(self.settings.credits - amount, 2))
