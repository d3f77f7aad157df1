"""What outlives a request: the key, the files, what arrived, and what shall go wrong.

Knows headers as far as they hold a key. Does not know what requests mean.
"""

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
    """A request as it arrived.

    Attributes:
        path: Its path, undecoded query not included.
        query: Its query parameters.
        headers: Its headers, names in lower case, without those that hold a key.
        body: Its body, parsed; `None` where it was not JSON. An upload's is a summary of it:
            `uploadPath` and `fileName` as sent, `size` and `mimeType` of the file.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class World:
    """What outlives a request.

    Attributes:
        api_key: The only key that is accepted.
        media: What can be fetched: URLs and the bytes, or the file, behind each.
        fail_uploads: The code to refuse uploads with, `None` to accept them.
        drops_media: Whether media are lost on their way to the model.
        files: What was uploaded.
        requests: What arrived, in order.
        serials: Numbers for whatever needs one of its own.
    """

    api_key: str
    media: Mapping[str, bytes | Path]
    fail_uploads: int | None = None
    drops_media: bool = False
    files: FileStore = field(default_factory=FileStore)
    requests: list[ReceivedRequest] = field(default_factory=list)
    serials: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def record(self, request: Request, body: Any) -> None:
        """Note a request down."""
        headers = {k: v for k, v in request.headers.items() if k not in _SECRET_HEADERS}
        query = dict(request.query_params)
        self.requests.append(ReceivedRequest(request.url.path, query, headers, body))

    def trusts(self, request: Request) -> bool:
        """Say whether a request bears the key."""
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self.api_key}".encode())
