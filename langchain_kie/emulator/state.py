"""The state that the emulator keeps between requests, and the check of the API key."""

from __future__ import annotations

import hmac
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.files import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from starlette.requests import Request

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


@dataclass(slots=True)
class ServerState:
    """The state that the emulator keeps between requests.

    Attributes:
        api_key: The only accepted key.
        media: The URLs that can be fetched, and the bytes or the file of each.
        fail_uploads: The code to reject uploads with; `None` to accept them.
        drops_media: Whether prompts lose their media.
        files: The uploaded files.
        requests: The received requests in order.
        serials: Unique numbers for ids and file names.
    """

    api_key: str
    media: Mapping[str, bytes | Path]
    fail_uploads: int | None = None
    drops_media: bool = False
    files: FileStore = field(default_factory=FileStore)
    requests: list[ReceivedRequest] = field(default_factory=list)
    serials: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def record(self, request: Request, body: Any) -> None:
        """Add a request to `requests`."""
        headers = {k: v for k, v in request.headers.items() if k not in _SECRET_HEADERS}
        query = dict(request.query_params)
        self.requests.append(ReceivedRequest(request.url.path, query, headers, body))

    def is_authorized(self, request: Request) -> bool:
        """Tell whether a request has the key."""
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.api_key}".encode())
