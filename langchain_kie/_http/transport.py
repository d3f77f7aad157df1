"""Sends a call and reads its answer, sync and async: the only place with sockets.

Knows httpx. Knows nothing of LangChain or of what a body means; `_answer` guards what comes
back, `_retry` says when to try again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import httpx
from tenacity import AsyncRetrying, Retrying

from langchain_kie import _settings
from langchain_kie._http import retry as _retry
from langchain_kie._http.errors import chain_of, error_of
from langchain_kie._http.pools import AsyncPool, AsyncPoolLease, HandshakeGuard, Pool, PoolLease
from langchain_kie._http.read_deadline import apieces_of, pieces_of
from langchain_kie._http.response import HttpCall, ItemT, MultipartBody, ResponseReader
from langchain_kie._version import __version__
from langchain_kie.errors import KieConfigurationError, KieError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

    from pydantic import SecretStr

DEFAULT_TIMEOUT = httpx.Timeout(connect=10, read=180, write=60, pool=60)
"""Seconds; KIE's slowest answers take minutes before their first byte (docs/wire.md 8)."""

_HEADERS = (
    ("Accept", "text/event-stream, application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"langchain-kie/{__version__}"),
)


PiecesT = TypeVar("PiecesT")

OpenResponse: TypeAlias = tuple[httpx.Response, ResponseReader[ItemT], PiecesT, list[ItemT]]
"""A response up to its first item: what is still to come, and what was read already."""


class BearerAuth:
    """The key, which goes into a request at the last moment."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def authorize(self, request: httpx.Request) -> None:
        """Put the key into `request`."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"

    @property
    def digest(self) -> str:
        """What tells two keys apart, and tells no key."""
        return hashlib.sha256(self._key.get_secret_value().encode()).hexdigest()

    def redact(self, text: str) -> str:
        """Take the key out of a text, and its beginning off the end of one that was cut."""
        text = text.replace(self._key.get_secret_value(), "[the key]")
        for length in range(len(self._key) - 1, 3, -1):
            if text.rstrip("…").endswith(self._key.get_secret_value()[:length]):
                return text.rstrip("…")[:-length] + "[the key]"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How a model reaches its server.

    Attributes:
        base_url: Scheme, host and path prefix, without a trailing slash.
        auth: The key.
        timeout: Seconds, or an `httpx.Timeout`; `None` is `DEFAULT_TIMEOUT`.
        max_retries: How often a call is made again before its answer has begun.
        retry_on_timeout: Whether also after a time-out, when it may have been billed.
        headers: Headers of the user's.
        client: The user's client, `None` for the shared pools.
        async_client: Likewise.
    """

    base_url: str
    auth: BearerAuth
    timeout: float | httpx.Timeout | None = None
    max_retries: int = 2
    retry_on_timeout: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    client: httpx.Client | None = None
    async_client: httpx.AsyncClient | None = None

    def stream(self, call: HttpCall[ItemT]) -> Iterator[ItemT]:
        """Make `call` and yield what its answer holds.

        Raises:
            KieError: The call failed; after the first item it is not made again.
        """
        since = time.monotonic()
        failed: list[KieError] = []
        with nullcontext(self.client) if self.client else PoolLease() as pool:
            opened: OpenResponse[ItemT, Iterator[bytes]]
            try:
                opened = self._open(call, pool)
            except KieError as error:
                failed = [error]
            if failed:
                options = _retry.options(self.max_retries, time.monotonic() - since)
                opened = Retrying(**options)(self._open, call, pool, failed)
            response, answer, pieces, items = opened
            try:
                yield from items
                answer.check()
                with self.mapping_network_errors(
                    call, response.request, answer, after_first_item=True
                ):
                    for piece in pieces:
                        yield from answer.feed(piece)
                        answer.check()
                yield from answer.close()
            finally:
                response.close()

    async def astream(self, call: HttpCall[ItemT]) -> AsyncGenerator[ItemT]:
        """Make `call` and yield what its answer holds.

        An event loop that ends closes its async generators all at once, and complains of one
        that another is closing: whoever reads this one lets it go, and the loop closes it.

        Raises:
            KieError: The call failed; after the first item it is not made again.
        """
        since = time.monotonic()
        failed: list[KieError] = []
        own = self.async_client
        async with nullcontext(own) if own else AsyncPoolLease() as pool:
            opened: OpenResponse[ItemT, AsyncIterator[bytes]]
            try:
                opened = await self._aopen(call, pool)
            except KieError as error:
                failed = [error]
            if failed:
                options = _retry.options(self.max_retries, time.monotonic() - since)
                opened = await AsyncRetrying(**options)(self._aopen, call, pool, failed)
            response, answer, pieces, items = opened
            try:
                for item in items:
                    yield item
                answer.check()
                with self.mapping_network_errors(
                    call, response.request, answer, after_first_item=True
                ):
                    async for piece in pieces:
                        for item in answer.feed(piece):
                            yield item
                        answer.check()
                for item in answer.close():
                    yield item
            finally:
                await response.aclose()

    def _open(
        self,
        call: HttpCall[ItemT],
        pool: Pool,
        failed: list[KieError] | None = None,
    ) -> OpenResponse[ItemT, Iterator[bytes]]:
        """Send the call and read up to the first item, so that it can be made again.

        Args:
            call: What to ask.
            pool: Where to send it.
            failed: How the attempt ended, if any, that was made before tenacity was asked.
        """
        if failed:
            raise failed.pop()
        request = self._request(call, self.client)
        with self.mapping_network_errors(call, request):
            if isinstance(pool, httpx.Client):
                response = pool.send(request, stream=True, auth=None, follow_redirects=False)
            else:
                response = pool.handle_request(request)
        response.request = request
        try:
            answer = ResponseReader(call, response.status_code, response.headers, self.auth.redact)
            pieces = pieces_of(response, answer)
            with self.mapping_network_errors(call, request, answer):
                for piece in pieces:
                    if items := answer.feed(piece):
                        return response, answer, pieces, items
                    answer.check()
            return response, answer, pieces, answer.close()
        except BaseException:
            response.close()
            raise

    async def _aopen(
        self,
        call: HttpCall[ItemT],
        pool: AsyncPool,
        failed: list[KieError] | None = None,
    ) -> OpenResponse[ItemT, AsyncIterator[bytes]]:
        """Send the call and read up to the first item; as `_open`."""
        if failed:
            raise failed.pop()
        request = self._request(call, self.async_client)
        if isinstance(call.body, MultipartBody):
            request.stream = _ReadInThreads(cast("httpx.SyncByteStream", request.stream))
        if request.url.scheme == "https":
            request.extensions["trace"] = HandshakeGuard()
        with self.mapping_network_errors(call, request):
            if isinstance(pool, httpx.AsyncClient):
                response = await pool.send(request, stream=True, auth=None, follow_redirects=False)
            else:
                response = await pool.handle_async_request(request)
        response.request = request
        try:
            answer = ResponseReader(call, response.status_code, response.headers, self.auth.redact)
            pieces = apieces_of(response, answer)
            with self.mapping_network_errors(call, request, answer):
                async for piece in pieces:
                    if items := answer.feed(piece):
                        return response, answer, pieces, items
                    answer.check()
            return response, answer, pieces, answer.close()
        except BaseException:
            await response.aclose()
            raise

    def _request(
        self, call: HttpCall[Any], client: httpx.Client | httpx.AsyncClient | None
    ) -> httpx.Request:
        """A request; what a client of the user's adds to every request is added to it."""
        if client and client.is_closed:
            raise KieConfigurationError("the client that you gave is closed")
        timeout = self.timeout if call.timeout is None else call.timeout
        timeout = DEFAULT_TIMEOUT if timeout is None else httpx.Timeout(timeout)
        url, body = _url(self.base_url + call.path), call.body
        headers = [*_HEADERS]
        content: dict[str, Any]
        if isinstance(body, MultipartBody):
            file = (body.name, body.file, body.mime_type)
            content = {"data": body.fields, "files": {"file": file}}
        else:
            headers.append(("Content-Type", "application/json"))
            content = {"content": body}
            if not client:
                size, host = str(len(body)), url.netloc.decode()
                headers += [("Host", host), ("Content-Length", size)]
                content = {"stream": httpx.ByteStream(body)}
        if self.headers:
            given = {name.lower() for name in self.headers}
            headers = [pair for pair in headers if pair[0].lower() not in given]
            headers += self.headers.items()
        make = client.build_request if client else httpx.Request
        extensions = {"timeout": timeout.as_dict()}
        request = make("POST", url, headers=headers, extensions=extensions, **content)
        self.auth.authorize(request)
        return request

    @contextmanager
    def mapping_network_errors(
        self,
        call: HttpCall[Any],
        request: httpx.Request,
        answer: ResponseReader[Any] | None = None,
        *,
        after_first_item: bool = False,
    ) -> Iterator[None]:
        """Turn what the network raises into this package's errors.

        Once the answer is complete, the network may break as it likes. The network's errors,
        which are kept as the cause, hold the request, and now and then what the server sent:
        the key is taken out of them.
        """
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            if answer and answer.is_complete:
                return
            request.headers.pop("Authorization", None)
            if isinstance(error, httpx.RequestError):
                error.request = request
            for link in chain_of(error):
                link.args = tuple(
                    self.auth.redact(arg) if isinstance(arg, str) else arg for arg in link.args
                )
            waited = request.extensions.get("timeout", {})
            raise error_of(
                error, call, waited, self.retry_on_timeout, after_first_item=after_first_item
            ) from error


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        _ = url.host
    except (httpx.InvalidURL, ValueError):
        raise KieConfigurationError("base_url has a host that cannot be") from None
    return url


def transport_for(*, api_key: SecretStr | None, base_url: str, **settings: Any) -> Transport:
    """A transport whose key and URL were checked.

    Raises:
        KieConfigurationError: There is no key, or it or the URL cannot work.
    """
    key = _settings.checked_key(api_key)
    if key is None:
        raise KieConfigurationError("there is no key: pass api_key= or set KIE_API_KEY")
    url = _settings.checked_base_url(base_url)
    return Transport(base_url=url, auth=BearerAuth(key), **settings)


class _ReadInThreads(httpx.AsyncByteStream):
    """A form whose pieces are read off the event loop: a disk may take its time."""

    def __init__(self, form: httpx.SyncByteStream) -> None:
        self._form = form

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._form)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
