"""The files that a conversation points at: decoded, fetched, and refused where Gemini would.

Knows data URLs and the emulator's own small internet. Does not know the dialects.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx

from langchain_kie.emulator import media_types
from langchain_kie.emulator.conversation import Medium, Page
from langchain_kie.emulator.errors import MIME_NOT_SUPPORTED, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ACCEPTED = ("image/", "audio/", "video/", "text/", "application/pdf")
_FETCH_SECONDS = 5.0
_MAX_BYTES = 100 * 1024 * 1024
_MAX_PAGES = 20
_YOUTUBE = re.compile(r"https?://([\w-]+\.)*(youtube\.com|youtu\.be)([:/?#]|$)", re.IGNORECASE)


class UnreachableError(Exception):
    """A URL gave no file; the message is the HTTP status line that says why."""


def _accepted(mime_type: str, data: bytes, *, inline: bool) -> Medium:
    """Take a file as what it is said to be, which is all that Gemini goes by."""
    bare = mime_type.partition(";")[0].strip().lower()
    if not bare.startswith(_ACCEPTED) or media_types.contradicts(bare, data):
        raise bad_request(MIME_NOT_SUPPORTED)
    return Medium(bare, data, inline)


def from_base64(mime_type: str, data: str) -> Medium:
    """Decode an inline file, strictly.

    Raises:
        WireError: If it is empty, not base64, or of a type that Gemini does not take.
    """
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded:
        raise bad_request("Base64 decoding failed for the inline data of a media part.")
    return _accepted(mime_type, decoded, inline=True)


def _from_data_url(url: str) -> Medium:
    head, comma, data = url.removeprefix("data:").partition(",")
    mime_type, _, encoding = head.rpartition(";")
    if not comma or encoding.strip().lower() != "base64":
        raise bad_request("The data URL must hold base64 data: data:<mime type>;base64,<data>")
    return from_base64(mime_type, unquote(data))


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return False
        host = parts.hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _guess(url: str, data: bytes, path: Path | None) -> str:
    """Tell a file's type by its address, by its name, or by its first bytes."""
    for name in (urlsplit(url).path, str(path or "")):
        guessed = media_types.by_name(name)
        if guessed != media_types.UNKNOWN:
            return guessed
    return media_types.by_content(data)


class Internet:
    """What the emulator can reach: the files it was given, and loopback hosts.

    Args:
        files: URLs and the bytes, or the file, behind each.
    """

    def __init__(self, files: Mapping[str, bytes | Path]) -> None:
        self._files = files

    async def medium(self, url: str) -> Medium:
        """Give the file behind a data: or http(s) URL.

        Raises:
            WireError: If it cannot be had, or is of a type that Gemini does not take.
        """
        if url.startswith("data:"):
            return _from_data_url(url)
        try:
            mime_type, data = await self.fetch(url)
        except UnreachableError as error:
            raise bad_request(f"The image URL {url} image download failed: {error}") from None
        return _accepted(mime_type, data, inline=False)

    async def pages(self, urls: Iterable[str]) -> tuple[Page, ...]:
        """Read web pages; one that cannot be had is a page without text."""
        pages = []
        for url in list(urls)[:_MAX_PAGES]:
            try:
                _, data = await self.fetch(url)
                pages.append(Page(url, data.decode("utf-8", "replace")))
            except UnreachableError:
                pages.append(Page(url, None))
        return tuple(pages)

    async def fetch(self, url: str) -> tuple[str, bytes]:
        """Give the MIME type and the bytes behind an http(s) URL.

        Raises:
            UnreachableError: If there are none, or too many.
        """
        held = self._files.get(url)
        if held is not None:
            return self._read(url, held)
        if not _is_loopback(url):
            refusal = "429: Too Many Requests" if _YOUTUBE.match(url) else "403: Forbidden"
            raise UnreachableError(f"HTTP {refusal}")
        try:
            async with (
                httpx.AsyncClient(timeout=_FETCH_SECONDS, trust_env=False) as client,
                client.stream("GET", url) as response,
            ):
                return await _download(response)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UnreachableError("HTTP 502: Bad Gateway") from None

    @staticmethod
    def _read(url: str, held: bytes | Path) -> tuple[str, bytes]:
        path = held if isinstance(held, Path) else None
        try:
            data = held.read_bytes() if isinstance(held, Path) else bytes(held)
        except OSError:
            raise UnreachableError("HTTP 404: Not Found") from None
        return _guess(url, data, path), data


async def _download(response: httpx.Response) -> tuple[str, bytes]:
    if response.status_code != HTTPStatus.OK:
        raise UnreachableError(f"HTTP {response.status_code}: {response.reason_phrase}")
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > _MAX_BYTES:
            raise UnreachableError("HTTP 413: Request Entity Too Large")
    return response.headers.get("content-type", media_types.UNKNOWN), bytes(data)
