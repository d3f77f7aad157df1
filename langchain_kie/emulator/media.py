"""The files and web pages of a request: decoded, fetched and checked as Gemini does."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx

from langchain_kie.emulator import media_types
from langchain_kie.emulator.conversation import MediaFile, WebPage
from langchain_kie.emulator.errors import INLINE_TOO_LARGE, MIME_NOT_SUPPORTED, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_kie.emulator.files import FileStore
    from langchain_kie.emulator.settings import Settings

_ACCEPTED_TYPES = ("image/", "audio/", "video/", "text/", "application/pdf")
_FETCH_SECONDS = 5.0
_MAX_BYTES = 100 * 1024 * 1024
_TOO_LARGE = "HTTP 413: Request Entity Too Large"
_MAX_PAGES = 20
_MAX_INLINE_CHARACTERS = 2_360_000
"""In September 2026, data URLs of this length were accepted, and of 2,676,538 rejected."""
_YOUTUBE = re.compile(r"https?://([\w-]+\.)*(youtube\.com|youtu\.be)([:/?#]|$)", re.IGNORECASE)


class FetchError(Exception):
    """A URL could not be fetched; the message is an HTTP status line."""


class UrlFetcher:
    """Fetches URLs: given ones and uploads from memory or disk, others of this machine over HTTP.

    The host of an upload's URL is the one that the client used, which may be a name that this
    machine does not have, such as `http://emulator:8787` with a port that is mapped.

    Args:
        settings: The given URLs, and what happens to files that cannot be downloaded.
        files: The uploads.
    """

    def __init__(self, settings: Settings, files: FileStore) -> None:
        self._settings = settings
        self._files = files

    async def media_file(self, url: str) -> MediaFile:
        """Read the file of a `data:` or HTTP(S) URL.

        Raises:
            ApiError: If it cannot be fetched or is too large, or Gemini does not support its type.
        """
        if url.startswith("data:"):
            return _from_data_url(url)
        try:
            mime_type, data = await self.fetch(url)
        except FetchError as error:
            if self._settings.lost_files_as_text:
                return MediaFile("", b"", is_lost=True)
            raise bad_request(f"The image URL {url} image download failed: {error}") from None
        return _check_type(mime_type, data)

    async def web_pages(self, urls: Iterable[str]) -> tuple[WebPage, ...]:
        """Read web pages; a page that cannot be fetched has no text."""
        pages = []
        for url in list(urls)[:_MAX_PAGES]:
            try:
                _, data = await self.fetch(url)
                pages.append(WebPage(url, data.decode("utf-8", "replace")))
            except FetchError:
                pages.append(WebPage(url, None))
        return tuple(pages)

    async def fetch(self, url: str) -> tuple[str, bytes]:
        """Fetch an HTTP(S) URL, and return the MIME type and the bytes.

        Raises:
            FetchError: If the URL cannot be fetched, or has more than 100 MiB.
        """
        given = self._settings.media
        source = None if given is None else given.get(url)
        if source is not None:
            return _read(url, source)
        if url in self._files.paths:
            return await self._uploaded(self._files.paths[url])
        if not _is_loopback(url):
            status = "429: Too Many Requests" if _YOUTUBE.match(url) else "403: Forbidden"
            raise FetchError(f"HTTP {status}")
        try:
            async with (
                httpx.AsyncClient(timeout=_FETCH_SECONDS, trust_env=False) as client,
                client.stream("GET", url) as response,
            ):
                return await _download(response)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise FetchError("HTTP 502: Bad Gateway") from None

    async def _uploaded(self, path: str) -> tuple[str, bytes]:
        """Read an upload, as its URL does.

        Raises:
            FetchError: If it has expired, or has more than 100 MiB.
        """
        file = self._files.find(path)
        if file is None:
            raise FetchError("HTTP 404: Not Found")
        if file.size > _MAX_BYTES:
            raise FetchError(_TOO_LARGE)
        data = await asyncio.to_thread(file.location.read_bytes)
        return media_types.guess_from_name(path), data


def from_base64(mime_type: str, data: str) -> MediaFile:
    """Decode an inline file.

    Raises:
        ApiError: If it is empty, too large or not base64, or Gemini does not support its type.
    """
    _check_length(data)
    try:
        decoded = base64.b64decode(data, validate=True)
    except ValueError:
        decoded = b""
    if not decoded:
        raise bad_request("Base64 decoding failed for the inline data of a media part.")
    return _check_type(mime_type, decoded)


def _from_data_url(url: str) -> MediaFile:
    _check_length(url)
    head, comma, data = url.removeprefix("data:").partition(",")
    mime_type, _, encoding = head.rpartition(";")
    if not comma or encoding.strip().lower() != "base64":
        raise bad_request("The data URL must hold base64 data: data:<mime type>;base64,<data>")
    return from_base64(mime_type, unquote(data))


def _check_length(inline: str) -> None:
    if len(inline) > _MAX_INLINE_CHARACTERS:
        raise bad_request(INLINE_TOO_LARGE.format(length=len(inline)))


def _check_type(mime_type: str, data: bytes) -> MediaFile:
    """Reject types that Gemini does not support, and data that is of another type."""
    bare = mime_type.partition(";")[0].strip().lower()
    if not bare.startswith(_ACCEPTED_TYPES) or media_types.contradicts(bare, data):
        raise bad_request(MIME_NOT_SUPPORTED)
    return MediaFile(bare, data)


def _read(url: str, source: bytes | Path) -> tuple[str, bytes]:
    if not isinstance(source, Path):
        return _guess_type(url, source, None), bytes(source)
    try:
        data = source.read_bytes()
    except OSError:
        raise FetchError("HTTP 404: Not Found") from None
    return _guess_type(url, data, source), data


def _guess_type(url: str, data: bytes, path: Path | None) -> str:
    """Guess a MIME type from the URL, else from the name of the file, else from the data."""
    for name in (urlsplit(url).path, str(path or "")):
        guessed = media_types.guess_from_name(name)
        if guessed != media_types.UNKNOWN:
            return guessed
    return media_types.guess_from_data(data)


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return False
        host = parts.hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _download(response: httpx.Response) -> tuple[str, bytes]:
    if response.status_code != HTTPStatus.OK:
        raise FetchError(f"HTTP {response.status_code}: {response.reason_phrase}")
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > _MAX_BYTES:
            raise FetchError(_TOO_LARGE)
    return response.headers.get("content-type", media_types.UNKNOWN), bytes(data)
