"""Media parts of messages: their base64 data, URL or path.

Pure: opens no file and fetches no URL. Independent of content blocks.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from langchain_kie._conversation.mime_types import (
    HEAD_BYTES,
    detect_mime_type,
    media_kind,
    normalized_type,
    type_from_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DATA_URL = re.compile(r"(?is)data:([^,;]*+)(?:;[^,;]*+)*?(;\s*base64\s*)?,(.*)")
_TO_STANDARD_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_SLICE = 1 << 18
"""Characters, a multiple of four. Longer calls of C would block the other threads of a process."""

LOCAL_PATH = "kie_path"
"""The key under which `media_block` puts a path. No other block has it: a tool result that lists
files under a common key must not make the client read them."""

LOCAL_FILE_HINT = (
    "local files that a message names are not read; to send one, use "
    "langchain_kie.media_block(pathlib.Path(...))"
)

_NO_GOOGLE_FILES = (
    "a file of Google's Files API cannot be sent, because KIE cannot read it; send the file "
    "itself, or upload it with langchain_kie.KieFiles"
)

_UNSUPPORTED_HOSTS = {
    r"(?!img\.)([\w-]+\.)*(youtube(-nocookie)?\.com|youtu\.be)": (
        "a YouTube link cannot be sent, because KIE downloads the URL as a file; send the video "
        "itself, with langchain_kie.media_block(path)"
    ),
    r"(.*\.)?generativelanguage\.googleapis\.com": _NO_GOOGLE_FILES,
}
"""What to do instead, by the pattern of an http(s) URL's host."""

_UNSUPPORTED_URLS = {
    r"gs://": "KIE fetches http(s) URLs only; send a signed URL, or the file itself",
    r"files/[\w-]+$": _NO_GOOGLE_FILES,
    r"[\w+/-]{64,}={0,2}$": "this is base64, not a URL; pass it as `base64` or in a data: URL",
    "": f"not an http(s) or data: URL; {LOCAL_FILE_HINT}",
}
"""The same for URLs of other schemes, by the pattern that they begin with; the first counts."""

_MAX_URL_CHARS_SHOWN = 80


@dataclass(slots=True)
class Media:
    """A media part of a message; exactly one of `data`, `url` and `path` is set.

    Attributes:
        kind: `image`, `audio`, `video`, `pdf` or `file`.
        mime_type: `None` for a URL whose path has no known extension.
        data: A text that ends with base64 in the standard alphabet, to be sent inline: the base64
            itself, or a `data:` URL, which is not copied.
        start: Where the base64 begins in `data`.
        url: An http(s) URL that KIE fetches.
        path: A local file that the caller passed to `media_block`.
        size: Bytes, if known.
        name: The file name that the content block states, for errors and warnings.
        index: The `index` of the content block, which identifies it within an answer.
        digests: The result of `digest`, once it is computed; copies share it.
    """

    kind: str
    mime_type: str | None
    data: str | None = None
    url: str | None = None
    path: Path | None = None
    size: int | None = field(default=None, compare=False)
    name: str | None = field(default=None, compare=False)
    index: str | None = None
    start: int = 0
    digests: list[str] = field(default_factory=list, compare=False, repr=False)

    def copy(self) -> Media:
        """A copy, which can be changed."""
        return replace(self)

    @property
    def base64(self) -> str | None:
        """The base64 alone."""
        return self.data[self.start :] if self.data else None

    def decoded(self) -> Iterator[bytes]:
        """The data, decoded piece by piece."""
        data = self.data or ""
        for at in range(self.start, len(data), _BASE64_SLICE):
            yield binascii.a2b_base64(data[at : at + _BASE64_SLICE])

    def digest(self) -> str | None:
        """The SHA-256 of the data, computed once; `None` if there is no data."""
        if not self.digests and self.data is not None:
            hasher = hashlib.sha256()
            for piece in self.decoded():
                hasher.update(piece)
            self.digests.append(hasher.hexdigest())
        return self.digests[0] if self.digests else None

    def replace_with_url(self, url: str) -> None:
        """Replace the data or the path with the URL of the uploaded file."""
        self.data, self.path, self.url = None, None, url


def media_from_data(
    data: str | bytes, declared: str | None, kind: str, name: str | None, *, start: int = 0
) -> Media:
    """A media part to be sent inline.

    Args:
        data: Base64 in the standard or the URL-safe alphabet, or raw bytes.
        declared: The MIME type that the content block states.
        kind: The kind that the content block states, used if the MIME type has no kind.
        name: A file name, whose extension is used if the content is not conclusive.
        start: Where the base64 begins in a `data` that is text.

    Raises:
        ValueError: The data is empty or not base64, or its type cannot be detected.
    """
    if isinstance(data, bytes):
        data = b64encode(data).decode()
    elif not _is_base64(data, start):
        data, start = _standard_base64(data[start:], name), 0
    if start == len(data):
        raise ValueError(f"{name or 'the data'} is empty")
    head = binascii.a2b_base64(data[start : start + HEAD_BYTES * 4 // 3 // 4 * 4])
    mime_type = detect_mime_type(head, declared, name)
    size = (len(data) - start) * 3 // 4
    return Media(media_kind(mime_type, kind), mime_type, data=data, size=size, start=start)


def media_from_url(url: str, declared: str | None, kind: str, name: str | None = None) -> Media:
    """A media part for an http(s) URL, which KIE fetches, or for a `data:` URL.

    Args:
        url: The URL.
        declared: As in `media_from_data`.
        kind: As in `media_from_data`.
        name: As in `media_from_data`.

    Raises:
        ValueError: KIE cannot fetch the URL (docs/wire.md 9); the message says what to do instead.
    """
    url = url.strip()
    if found := _DATA_URL.fullmatch(url):
        start, is_quoted = found.start(3), url.find("%", found.start(3)) >= 0
        declared = normalized_type(found[1]) or declared
        if found[2] and not is_quoted:
            return media_from_data(url, declared, kind, name, start=start)
        data = unquote(url[start:]) if found[2] else unquote_to_bytes(url[start:])
        return media_from_data(data, declared, kind, name)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".") if parts.scheme in {"http", "https"} else ""
    except ValueError:
        host = ""
    if not host:
        hint = next(h for p, h in _UNSUPPORTED_URLS.items() if re.match(p, url, re.IGNORECASE))
        is_long = len(url) > _MAX_URL_CHARS_SHOWN
        raise ValueError(f"{url[:_MAX_URL_CHARS_SHOWN]!r}{'…' if is_long else ''}: {hint}")
    for pattern, hint in _UNSUPPORTED_HOSTS.items():
        if re.fullmatch(pattern, host):
            raise ValueError(hint)
    mime_type = normalized_type(declared) or type_from_name(parts.path)
    return Media(media_kind(mime_type, kind), mime_type, url=url)


def _is_base64(text: str, start: int) -> bool:
    """Whether a text is base64 from `start` on: in the standard alphabet, padded, or empty.

    It is five times as fast as `binascii.a2b_base64` in its strict mode, which accepts too much
    padding in Python 3.11, and takes short steps.
    """
    end = len(text)
    if (end - start) % 4 or not text.isascii():
        return False
    while end > max(start, len(text) - 2) and text[end - 1] == "=":
        end -= 1
    return not any(
        text[at : min(at + _BASE64_SLICE, end)].encode().translate(None, _BASE64_ALPHABET)
        for at in range(start, end, _BASE64_SLICE)
    )


def _standard_base64(data: str, name: str | None) -> str:
    """Base64 in the standard alphabet, padded; empty for white space.

    Raises:
        ValueError: The data are not base64.
    """
    repaired = data.translate(_TO_STANDARD_BASE64).rstrip("=")
    repaired += "=" * (-len(repaired) % 4)
    if _is_base64(repaired, 0) and (repaired or not data.strip()):
        return repaired
    raise ValueError(f"{name or 'the data'} is not base64; pass raw bytes to media_block()")
