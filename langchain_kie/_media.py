"""A picture, sound, video or document of a message: its type, told from its bytes.

Knows MIME types, base64 and URLs. Opens no file, fetches nothing and knows no content blocks.
"""

from __future__ import annotations

import binascii
import mimetypes
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 8192
"""As much of a file as its type is told from."""

_MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*")
_DATA_URL = re.compile(r"data:([^,]*),(.*)", re.DOTALL | re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/", " \t\r\n")

_PDF = "application/pdf"
_PDF_MARK = b"%PDF-"

_SYNONYMS = (
    "image/jpeg image/jpg image/pjpeg",
    "audio/mpeg audio/mp3 audio/mpga audio/x-mpeg",
    "audio/wav audio/x-wav audio/wave audio/vnd.wave",
    "audio/flac audio/x-flac",
    "audio/aiff audio/x-aiff",
    "audio/aac audio/x-aac audio/aacp",
    "video/avi video/x-msvideo",
    "video/mpeg video/mpg",
)
"""Several names of one type, Gemini's first."""

_CONTAINERS = (
    "video/mp4 video/x-m4v video/quicktime video/mov video/3gpp audio/mp4 audio/m4a audio/x-m4a",
    "video/webm audio/webm video/x-matroska",
    "audio/ogg video/ogg application/ogg audio/opus",
    "image/heic image/heif",
)
"""Types whose first bytes are alike."""

_ALIKE = tuple(row.split() for row in (*_SYNONYMS, *_CONTAINERS))
_GEMINI_NAMES = {name: names[0] for names in _ALIKE[: len(_SYNONYMS)] for name in names}

_EXTENSIONS = {
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/aiff": ".aiff",
    "audio/aac": ".aac",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "image/webp": ".webp",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/avif": ".avif",
    "image/jpeg": ".jpg",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "video/avi": ".avi",
    "video/3gpp": ".3gp",
    "video/x-matroska": ".mkv",
}
_TYPES = {extension: mime_type for mime_type, extension in _EXTENSIONS.items()}

LOCAL_PATH = "kie_path"
"""Where `media_block` puts a path. No tool's result has it by chance: what a tool found on the
disk must not be read because it looks like a block."""

NO_FILES = (
    "no file is read because a message names it; to send one of yours, use "
    "langchain_kie.media_block(pathlib.Path(...))"
)

_YOUTUBE = re.compile(r"(^|\.)(youtube(-nocookie)?\.com|youtu\.be)$")
_GOOGLE_FILES = re.compile(r"(^|\.)generativelanguage\.googleapis\.com$")


@dataclass(slots=True)
class Media:
    """A medium on its way: exactly one of `data`, `url` and `path` is set.

    Attributes:
        kind: `image`, `audio`, `video`, `pdf` or `file`.
        mime_type: `None` where only whoever fetches the URL can tell.
        data: Base64.
        url: Where KIE fetches it.
        path: A file that the caller named in code.
        index: Tells the blocks of one answer apart.
    """

    kind: str
    mime_type: str | None
    data: str | None = None
    url: str | None = None
    path: Path | None = None
    index: str | None = None

    def move_to(self, url: str) -> None:
        """Let it be fetched from where it was uploaded to."""
        self.data, self.path, self.url = None, None, url


def inline(data: str | bytes, declared: str | None, kind: str, name: str | None) -> Media:
    """A medium whose bytes are at hand.

    Args:
        data: Base64, of either alphabet, or the bytes themselves.
        declared: The type that the block names.
        kind: What the block calls itself, should the type be none of its kinds.
        name: A file name, whose extension may tell the type.

    Raises:
        ValueError: It is empty or not base64, or its type cannot be told.
    """
    if not data.strip():
        raise ValueError("its data is empty")
    data = b64encode(data).decode() if isinstance(data, bytes) else _checked_base64(data)
    head = binascii.a2b_base64(data[: HEAD_BYTES * 4 // 3 // 4 * 4])
    mime_type = tell_type(head, declared, name)
    return Media(kind_of(mime_type, kind), mime_type, data=data)


def remote(url: str, declared: str | None, kind: str, name: str | None = None) -> Media:
    """A medium that KIE is to fetch, or a `data:` URL; otherwise as `inline`.

    Raises:
        ValueError: KIE cannot fetch it; the message says what to do instead.
    """
    url = url.strip()
    if found := _DATA_URL.fullmatch(url):
        head, body = found[1], found[2]
        mime_type, *rest = head.split(";")
        is_base64 = bool(rest) and rest[-1].strip().lower() == "base64"
        data = unquote(body) if is_base64 else unquote_to_bytes(body)
        return inline(data, _declared(mime_type) or declared, kind, name)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        parts, host = None, ""
    if parts is None or parts.scheme.lower() not in {"http", "https"} or not host:
        raise ValueError(_unfetchable(url))
    if _YOUTUBE.search(host):
        raise ValueError(
            "a YouTube link cannot be sent: KIE downloads a URL as a file; send the video "
            "itself, with langchain_kie.media_block(path)"
        )
    if _GOOGLE_FILES.search(host):
        raise ValueError(
            "a file of Google's Files API cannot be sent: KIE cannot read it; send the file "
            "itself, or upload it with langchain_kie.KieFiles"
        )
    mime_type = _declared(declared) or type_by_name(parts.path)
    return Media(kind_of(mime_type, kind), mime_type, url=url)


def _unfetchable(url: str) -> str:
    shown = repr(url if len(url) <= 80 else url[:79] + "…")  # noqa: PLR2004
    if url.lower().startswith("gs://"):
        return f"{shown}: KIE fetches http(s) URLs only; sign it, or send the file"
    return f"{shown} is no http(s) or data: URL; {NO_FILES}"


def tell_type(head: bytes, declared: str | None, name: str | None) -> str:
    """The MIME type of a file.

    What was declared counts more than the file's name, and what the bytes say counts more than
    either, unless they cannot tell the two apart. LangChain calls every file of OpenAI's form
    a PDF, which is believed only of bytes that are one.

    Args:
        head: The file's first bytes.
        declared: What somebody said that it is.
        name: Its name.

    Raises:
        ValueError: It cannot be told.
    """
    import filetype  # noqa: PLC0415 - only who sends media needs it

    said, named = _declared(declared), type_by_name(name or "")
    if said is None or (said == _PDF and _PDF_MARK not in head):
        said = named or said
    told = filetype.guess_mime(head)
    told = _GEMINI_NAMES.get(told, told)
    if told is None or not _is_certain(told, said, head):
        if said is None:
            raise ValueError(
                f"its type cannot be told (given: {declared or 'none'}); say its mime_type"
            )
        return said
    is_alike = any(told in names and said in names for names in _ALIKE)
    return said if said and is_alike else told


def _is_certain(told: str, said: str | None, head: bytes) -> bool:
    """Whether bytes that look like `told` can be nothing else; texts may begin like a file."""
    if not told.startswith(("image/", "audio/", "video/", _PDF)):
        return said is None
    is_text = said is not None and (said.startswith("text/") or said.endswith(("json", "xml")))
    return not is_text or told == _PDF or b"\0" in head


def _declared(mime_type: str | None) -> str | None:
    """A type as Gemini names it, without parameters; one that says nothing is none."""
    bare = (mime_type or "").partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(bare) or bare.endswith(("/octet-stream", "/unknown")):
        return None
    return _GEMINI_NAMES.get(bare, bare)


def type_by_name(name: str) -> str | None:
    """The MIME type that a file name or a URL's path promises."""
    dot = name.rfind(".")
    return _TYPES.get(name[dot:].lower()) or _declared(mimetypes.guess_type(name)[0])


def extension_of(mime_type: str | None) -> str:
    """The extension that files of a type have, with its dot, or nothing."""
    if mime_type is None:
        return ""
    return _EXTENSIONS.get(mime_type) or mimetypes.guess_extension(mime_type) or ""


def kind_of(mime_type: str | None, kind: str = "file") -> str:
    """What a medium is, in LangChain's words; `kind` where the type does not say it."""
    if mime_type == _PDF:
        return "pdf"
    top = (mime_type or "").partition("/")[0]
    if top in {"image", "audio", "video"}:
        return top
    return kind if mime_type is None else "file"


def _checked_base64(data: str) -> str:
    """Base64 in the standard alphabet, padded.

    Raises:
        ValueError: It is none.
    """
    for candidate in (data, data.translate(_URL_SAFE).rstrip("=")):
        padded = candidate if candidate is data else candidate + "=" * (-len(candidate) % 4)
        try:
            if binascii.a2b_base64(padded, strict_mode=True):
                return padded
        except ValueError:
            continue
    raise ValueError("its data is not base64")
