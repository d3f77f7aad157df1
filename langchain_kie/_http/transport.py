"""Sends calls and reads their responses, sync and async: the only module that uses sockets.

Knows httpx, and clients of httpx2, which have the same interface. Knows nothing of LangChain or
of the meaning of a body: `response` decodes what arrives, and `retry` decides about retries.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import httpx

from langchain_kie import _settings
from langchain_kie._http import request_values
from langchain_kie._http.connection import Connection
from langchain_kie._http.errors import cause_chain, network_errors, to_kie_error
from langchain_kie._http.pools import (
    AsyncPool,
    HandshakeGuard,
    Pool,
    async_pooled_transport,
    pooled_transport,
)
from langchain_kie._http.read_deadline import aread_pieces, read_pieces
from langchain_kie._http.response import HttpCall, ItemT, MultipartBody, ResponseReader
from langchain_kie._http.retry import log_retry, retry_delay
from langchain_kie._json import PIECE_BYTES, JsonPieces
from langchain_kie._version import __version__
from langchain_kie.errors import KieConfigurationError, KieConnectionError, KieError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping

    from pydantic import SecretStr

    from langchain_kie._settings import AsyncHttpClient, HttpClient, Timeout
    from langchain_kie.rate_limiter import KieRateLimiter

_HEADERS = (
    ("Accept", "text/event-stream, application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"langchain-kie/{__version__}"),
)

_MIN_SECRET_CHARS = 8


class BearerAuth:
    """Sets the `Authorization` header just before sending, and redacts the key."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    def authorize(self, request: httpx.Request) -> None:
        """Set the `Authorization` header of `request`."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"

    @property
    def digest(self) -> str:
        """The key's SHA-256, to distinguish accounts without storing their keys."""
        return hashlib.sha256(self._key.get_secret_value().encode()).hexdigest()

    def redact(self, text: str) -> str:
        """Replace the key in a text, also if a shortened text ends in the middle of the key.

        A key of fewer than 8 characters, as tests use, is replaced only as a separate word.
        """
        if len(self._key) < _MIN_SECRET_CHARS:
            key = re.escape(self._key.get_secret_value())
            return re.sub(rf"(?<!\w){key}(?!\w)", "[API key]", text)
        text = text.replace(self._key.get_secret_value(), "[API key]")
        for length in range(len(self._key) - 1, 3, -1):
            if text.rstrip("…").endswith(self._key.get_secret_value()[:length]):
                return text.rstrip("…")[:-length] + "[API key]"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Sends the calls of one model to its server.

    Attributes:
        base_url: Scheme, host and path prefix, without a trailing slash.
        auth: Sets the key.
        timeout: Seconds, or a `Timeout` of httpx or httpx2; `None` is `DEFAULT_TIMEOUT`.
        max_retries: The most retries of a call, all before its first item.
        retry_on_timeout: Whether to retry after a timeout of a call that was sent, although it
            may have been billed.
        headers: Additional headers.
        client: The user's client, `None` to use the shared pools.
        async_client: The user's async client, likewise.
        limiter: Waited for before each request, also before retries; `None` for no limit.
    """

    base_url: str
    auth: BearerAuth
    timeout: float | Timeout | None = None
    max_retries: int = 2
    retry_on_timeout: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may be secret
    client: HttpClient | None = None
    async_client: AsyncHttpClient | None = None
    limiter: KieRateLimiter | None = None

    @property
    def account(self) -> str:
        """Identifies the API and the key, without revealing the key."""
        return f"{self.base_url} {self.auth.digest}"

    def open(self) -> None:
        """Open a connection pool, unless the user passed a client.

        Raises:
            KieConfigurationError: The environment's proxies or certificates cannot be used.
        """
        with nullcontext() if self.client else pooled_transport():
            pass

    async def aopen(self) -> None:
        """Open a connection pool of the running event loop; as `open`."""
        async with nullcontext() if self.async_client else async_pooled_transport():
            pass

    def stream(self, call: HttpCall[ItemT]) -> Iterator[ItemT]:
        """Send `call` and yield the items of its response.

        Raises:
            KieError: The call failed; it is not retried after the first item.
        """
        client, attempt, start = self.client, 1, time.monotonic()
        with nullcontext(client) if client else pooled_transport() as pool:
            while True:
                reader: ResponseReader[ItemT] | None = None
                try:
                    response = self._send(call, pool)
                    try:
                        connection = _connection(call, response, is_pooled=client is None)
                        reader = self._reader(call, response)
                        with self._mapping_network_errors(call, response.request, reader):
                            for piece in read_pieces(response, reader, connection):
                                yield from reader.feed(piece)
                                reader.raise_if_failed()
                        yield from reader.close()
                        return
                    finally:
                        response.close()
                except KieError as error:
                    elapsed = time.monotonic() - start
                    delay = retry_delay(error, attempt, elapsed, self.max_retries)
                    if delay is None or (reader and reader.has_items):
                        raise
                    log_retry(error, attempt, delay)
                time.sleep(delay)
                attempt += 1

    async def astream(self, call: HttpCall[ItemT]) -> AsyncGenerator[ItemT]:
        """Send `call` and yield the items of its response.

        A caller that stops early should drop this generator instead of closing it: an event
        loop that ends closes it as well, and reports an error if both do so at once.

        Raises:
            KieError: The call failed; it is not retried after the first item.
        """
        client, attempt, start = self.async_client, 1, time.monotonic()
        async with nullcontext(client) if client else async_pooled_transport() as pool:
            while True:
                reader: ResponseReader[ItemT] | None = None
                try:
                    response = await self._asend(call, pool)
                    try:
                        connection = _connection(call, response, is_pooled=client is None)
                        reader = self._reader(call, response)
                        with self._mapping_network_errors(call, response.request, reader):
                            async for piece in aread_pieces(response, reader, connection):
                                for item in reader.feed(piece):
                                    yield item
                                reader.raise_if_failed()
                        for item in reader.close():
                            yield item
                        return
                    finally:
                        await response.aclose()
                except KieError as error:
                    elapsed = time.monotonic() - start
                    delay = retry_delay(error, attempt, elapsed, self.max_retries)
                    if delay is None or (reader and reader.has_items):
                        raise
                    log_retry(error, attempt, delay)
                await asyncio.sleep(delay)
                attempt += 1

    def _send(self, call: HttpCall[Any], pool: Pool | HttpClient) -> httpx.Response:
        """Send the call once and return the open response."""
        if self.limiter:
            self.limiter.acquire()
        request = self._request(call, self.client)
        with self._mapping_network_errors(call, request):
            if isinstance(pool, httpx.HTTPTransport):
                response = pool.handle_request(request)
            else:
                response = pool.send(request, stream=True, auth=None, follow_redirects=False)
        response.request = request
        return response

    async def _asend(
        self, call: HttpCall[Any], pool: AsyncPool | AsyncHttpClient
    ) -> httpx.Response:
        """Send the call once and return the open response."""
        if self.limiter:
            await self.limiter.aacquire()
        request = await self._async_request(call, self.async_client)
        with self._mapping_network_errors(call, request):
            if isinstance(pool, httpx.AsyncHTTPTransport):
                response = await pool.handle_async_request(request)
            else:
                response = await pool.send(request, stream=True, auth=None, follow_redirects=False)
        response.request = request
        return response

    def _reader(self, call: HttpCall[ItemT], response: httpx.Response) -> ResponseReader[ItemT]:
        return ResponseReader(
            call,
            response.status_code,
            response.headers,
            self.auth.redact,
            retry_on_timeout=self.retry_on_timeout,
        )

    def _request(
        self, call: HttpCall[Any], client: HttpClient | AsyncHttpClient | None
    ) -> httpx.Request:
        """Build a request; a client of the user adds its headers and cookies."""
        if client and client.is_closed:
            raise KieConfigurationError("the HTTP client given to the model is closed")
        timeout = self.timeout if call.timeout is None else call.timeout
        text, body = self.base_url + call.path, call.body
        url = request_values.parsed_url(text)
        headers = [*_HEADERS]
        content: dict[str, Any]
        if isinstance(body, MultipartBody):
            file = (body.name, body.file, body.mime_type)
            content = {"data": body.fields, "files": {"file": file}}
        else:
            if body is not None:
                headers.append(("Content-Type", "application/json"))
            if client or body is None:
                content = {"content": bytes(body) if isinstance(body, JsonPieces) else body}
            else:
                headers += [("Host", url.netloc.decode()), ("Content-Length", str(len(body)))]
                content = {"stream": request_values.body_stream(body)}
        if self.headers:
            replaced = {name.lower() for name in self.headers}
            headers = [pair for pair in headers if pair[0].lower() not in replaced]
            headers += self.headers.items()
        method = "GET" if body is None else "POST"
        content["extensions"] = {"timeout": request_values.seconds(timeout)}
        request: httpx.Request
        if client:
            request = client.build_request(method, request_values.url_for(client, text), **content)
            for name, value in headers:  # half the time of passing them to `build_request`
                request.headers[name] = value
        else:
            request = httpx.Request(method, url, headers=headers, **content)
        self.auth.authorize(request)
        return request

    async def _async_request(
        self, call: HttpCall[Any], client: AsyncHttpClient | None
    ) -> httpx.Request:
        """Build a request; hooks of the user's client can read a JSON body, also a long one."""
        body = call.body
        pieces: AsyncIterable[bytes] | None = None
        if client and isinstance(body, (bytes, JsonPieces)) and len(body) > PIECE_BYTES:
            pieces = request_values.AsyncPieces(body)
            call = replace(call, body=await asyncio.to_thread(bytes, body))
        request = self._request(call, client)
        if isinstance(body, MultipartBody):
            pieces = request_values.in_threads(cast("httpx.SyncByteStream", request.stream))
        if pieces:
            request.stream = type(request)("POST", request.url, content=pieces).stream
        if request.url.scheme == "https":
            request.extensions["trace"] = HandshakeGuard()
        return request

    @contextmanager
    def _mapping_network_errors(
        self,
        call: HttpCall[Any],
        request: httpx.Request,
        reader: ResponseReader[Any] | None = None,
    ) -> Iterator[None]:
        """Convert network errors into `KieError`, and remove the key from them.

        Network errors after a complete answer are ignored. The original error is kept as the
        cause; it holds the request, and may quote what the server sent.
        """
        try:
            yield
        except network_errors() as error:
            if reader and reader.is_complete:
                return
            request.headers.pop("Authorization", None)
            error.request = request  # type: ignore[attr-defined]
            for link in cause_chain(error):
                link.args = tuple(
                    self.auth.redact(arg) if isinstance(arg, str) else arg for arg in link.args
                )
            raise to_kie_error(
                error,
                model=call.model,
                timeouts=request.extensions.get("timeout", {}),
                retry_on_timeout=self.retry_on_timeout,
                after_first_item=bool(reader and reader.has_items),
                may_be_billed=bool(reader and reader.may_be_billed),
            ) from error


def _connection(
    call: HttpCall[Any], response: httpx.Response, *, is_pooled: bool
) -> Connection | None:
    """The connection of a response, `None` if its stream is not available.

    httpcore 1.0.9 takes a second answer to one request, if it arrives with the first, for the
    answer to the next request, so that each later call would get the answer of the one before.

    Raises:
        KieConnectionError: The response arrived with the one before, so it answers no request.
    """
    connection = Connection.of(response, is_pooled=is_pooled)
    if connection and not connection.has_read:
        raise KieConnectionError("the server answered an earlier request twice", model=call.model)
    return connection


def transport_for(
    *, api_key: SecretStr | None, base_url: str, allow_http: bool, **settings: Any
) -> Transport:
    """Check the key and the URL, and return a transport.

    Raises:
        KieConfigurationError: The key is missing, or the key or the URL is invalid.
    """
    key = _settings.checked_key(api_key)
    url = _settings.checked_base_url(base_url, allow_http=allow_http)
    return Transport(base_url=url, auth=BearerAuth(key), **settings)
