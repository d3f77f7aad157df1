"""The URL, the timeout and the body of a request, as httpx and httpx2 take them."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import httpx

from langchain_kie._json import PIECE_BYTES, JsonPieces
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_kie._settings import AsyncHttpClient, HttpClient, Timeout

DEFAULT_TIMEOUT = {"connect": 10, "read": 180, "write": 60, "pool": 60}
"""Seconds; KIE's slowest responses take minutes before their first byte (docs/wire.md 8)."""


def url_for(client: HttpClient | AsyncHttpClient, text: str) -> Any:
    """A URL in the class of the client's library: httpx2 takes no URL of httpx."""
    return _url_in(type(getattr(client, "base_url", text)), text)


_url_in: Any = lru_cache(maxsize=256)(lambda url_class, text: url_class(text))


@lru_cache(maxsize=256)
def parsed_url(text: str) -> httpx.URL:
    """A URL of httpx, which accepts fewer hosts than `urllib`.

    Raises:
        KieConfigurationError: Its host is invalid.
    """
    try:
        url = httpx.URL(text)
        _ = url.host
    except (httpx.InvalidURL, ValueError):
        raise KieConfigurationError("the host of base_url is invalid") from None
    return url


def body_stream(body: bytes | JsonPieces) -> httpx.SyncByteStream | httpx.AsyncByteStream:
    """A JSON body as httpx sends it."""
    if isinstance(body, bytes) and len(body) <= PIECE_BYTES:
        return httpx.ByteStream(body)
    return _LongBody(body)


class AsyncPieces:
    """A long JSON body that is sent in pieces, as often as it is sent.

    httpcore 1.0.9 copies the rest of a piece with each write to the socket, and asyncio copies
    what the socket does not take. Can go when neither does.
    """

    def __init__(self, body: bytes | JsonPieces) -> None:
        self._body = JsonPieces([body], []) if isinstance(body, bytes) else body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._body:
            yield piece


class _LongBody(AsyncPieces, httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)


def seconds(timeout: float | Timeout | None) -> dict[str, float | None]:
    """A timeout in the form that the libraries pass on with a request."""
    if timeout is None:
        return {**DEFAULT_TIMEOUT}
    if isinstance(timeout, (int, float)):
        return dict.fromkeys(DEFAULT_TIMEOUT, timeout)
    return timeout.as_dict()


async def in_threads(stream: httpx.SyncByteStream) -> AsyncIterator[bytes]:
    """The pieces of a multipart body, whose file is read in threads.

    httpx 0.28.1 and httpx2 2.16.2 read it on the event loop. Can go when they do not.
    """
    pieces = iter(stream)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
