"""A picture, sound, video or document of a message: its type, told from its bytes.

Knows MIME types, base64 and URLs. Opens no file, fetches nothing and knows no content blocks.
"""

from __future__ import annotations

import binascii
import codecs
import mimetypes
import re
from base64 import b64encode
from dataclasses import dataclass, field
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

_ARCHIVES = frozenset({"application/zip", "application/gzip"})

_SYNONYMS = (
    "image/jpeg image/jpg image/pjpeg",
    "audio/mpeg audio/mp3 audio/mpga audio/x-mpeg",
    "audio/mp4 audio/m4a audio/x-m4a",
    "audio/wav audio/x-wav audio/wave audio/vnd.wave",
    "audio/flac audio/x-flac",
    "audio/aiff audio/x-aiff",
    "audio/aac audio/x-aac audio/aacp",
    "video/avi video/x-msvideo",
    "video/mpeg video/mpg",
    "text/yaml text/x-yaml application/yaml application/x-yaml",
    "text/rtf application/rtf",
)
"""Several names of one type, Gemini's first."""

_CONTAINERS = (
    "video/mp4 video/x-m4v video/quicktime video/mov video/3gpp audio/mp4",
    "video/webm audio/webm video/x-matroska",
    "audio/ogg video/ogg application/ogg audio/opus",
    "image/heic image/heif",
)
"""Types whose first bytes are alike."""

_ALIKE = tuple(row.split() for row in (*_SYNONYMS, *_CONTAINERS))
_GEMINI_NAMES = {name: names[0] for names in _ALIKE[: len(_SYNONYMS)] for name in names}

_EXTENSIONS = {
    "application/ogg": ".ogx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "audio/aac": ".aac",
    "audio/aiff": ".aiff .aif .aifc",
    "audio/amr": ".amr",
    "audio/flac": ".flac",
    "audio/midi": ".mid .midi",
    "audio/mp4": ".m4a .m4b",
    "audio/mpeg": ".mp3 .mpga",
    "audio/opus": ".opus",
    "audio/ogg": ".ogg .oga .opus",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/jpeg": ".jpg .jpeg",
    "image/webp": ".webp",
    "text/css": ".css",
    "text/html": ".html .htm",
    "text/javascript": ".js .mjs",
    "text/markdown": ".md .markdown",
    "text/plain": ".txt .log",
    "text/rtf": ".rtf",
    "text/xml": ".xml",
    "text/yaml": ".yaml .yml",
    "video/3gpp": ".3gp",
    "video/avi": ".avi",
    "video/mov": ".mov",
    "video/mp2t": ".ts",
    "video/mpeg": ".mpeg .mpg",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/wmv": ".wmv",
    "video/x-flv": ".flv",
    "video/x-m4v": ".m4v",
    "video/x-matroska": ".mkv",
    "video/x-ms-wmv": ".wmv",
}
"""The extensions of types that Python does not know, or names otherwise; the usual one first."""

_TYPES = mimetypes.MimeTypes().types_map[True] | {
    extension: mime_type
    for mime_type, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}
"""By extension; the machine's own tables have no say."""

_USUAL_EXTENSION = {
    **{mime_type: extension for extension, mime_type in reversed(_TYPES.items())},
    **{mime_type: extensions.split()[0] for mime_type, extensions in _EXTENSIONS.items()},
}

LOCAL_PATH = "kie_path"
"""Where `media_block` puts a path. No tool's result has it by chance: what a tool found on the
disk must not be read because it looks like a block."""

LOCAL_FILE_HINT = (
    "no file is read because a message names it; to send one of yours, use "
    "langchain_kie.media_block(pathlib.Path(...))"
)

_YOUTUBE = re.compile(r"(?!img\.)([\w-]+\.)*(youtube(-nocookie)?\.com|youtu\.be)")
_GOOGLE_FILES = re.compile(r"(^|\.)generativelanguage\.googleapis\.com$")
_NO_GOOGLE_FILES = (
    "a file of Google's Files API cannot be sent: KIE cannot read it; send the file itself, or "
    "upload it with langchain_kie.KieFiles"
)

_UNFETCHABLE = {
    r"gs://": "KIE fetches http(s) URLs only; sign it, or send the file",
    r"files/[\w-]+$": _NO_GOOGLE_FILES,
    r"[\w+/-]{64,}={0,2}$": "base64 is no URL: give it as the block's `base64`, or in a data: URL",
    "": f"it is no http(s) or data: URL; {LOCAL_FILE_HINT}",
}
"""What to do instead, by how the URL begins."""

_MOST_SHOWN = 80

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Characters that no text has; an ESC colours logs."""


@dataclass(slots=True)
class Media:
    """A medium on its way: exactly one of `data`, `url` and `path` is set.

    Attributes:
        kind: `image`, `audio`, `video`, `pdf` or `file`.
        mime_type: `None` where only whoever fetches the URL can tell.
        data: Base64.
        url: Where KIE fetches it.
        path: A file that the caller named in code.
        size: Its bytes, where they are known.
        index: Tells the blocks of one answer apart.
    """

    kind: str
    mime_type: str | None
    data: str | None = None
    url: str | None = None
    path: Path | None = None
    size: int | None = field(default=None, compare=False)
    index: str | None = None

    def replace_with_url(self, url: str) -> None:
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
    mime_type = detect_mime_type(head, declared, name)
    return Media(kind_of(mime_type, kind), mime_type, data=data, size=len(data) * 3 // 4)


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
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        parts, host = None, ""
    if parts is None or parts.scheme.lower() not in {"http", "https"} or not host:
        raise ValueError(_unfetchable(url))
    if _YOUTUBE.fullmatch(host):
        raise ValueError(
            "a YouTube link cannot be sent: KIE downloads a URL as a file; send the video "
            "itself, with langchain_kie.media_block(path)"
        )
    if _GOOGLE_FILES.search(host):
        raise ValueError(_NO_GOOGLE_FILES)
    mime_type = _declared(declared) or type_by_name(parts.path)
    return Media(kind_of(mime_type, kind), mime_type, url=url)


def _unfetchable(url: str) -> str:
    shown = repr(url if len(url) <= _MOST_SHOWN else url[:_MOST_SHOWN] + "…")
    advice = next(a for look, a in _UNFETCHABLE.items() if re.match(look, url, re.IGNORECASE))
    return f"{shown}: {advice}"


def detect_mime_type(head: bytes, declared: str | None, name: str | None) -> str:
    """The MIME type of a file.

    What was declared counts more than the file's name, and what the bytes say counts more than
    either, unless they cannot tell the two apart. Text may begin like any file, and is none;
    a PDF has its mark.

    Args:
        head: The file's first bytes.
        declared: What somebody said that it is.
        name: Its name.

    Raises:
        ValueError: It cannot be told.
    """
    import filetype  # noqa: PLC0415 - only who sends media needs it

    is_text = _is_text(head)
    said, named = _declared(declared), type_by_name(name or "")
    if said == _PDF and _PDF_MARK not in head:
        said = None
    if said is None and named and not (_is_medium(named) and (is_text or named == _PDF)):
        said = named
    told = filetype.guess_mime(head)
    told = _GEMINI_NAMES.get(told, told)
    if told is None or not _is_certain(told, said, head, is_text=is_text):
        if said is None:
            raise ValueError(
                f"its type cannot be told (given: {declared or 'none'}); say its mime_type"
            )
        return said
    return said if said and is_alike(said, told) else told


def _is_certain(told: str, said: str | None, head: bytes, *, is_text: bool) -> bool:
    """Whether bytes that look like `told` can be nothing else."""
    if told == _PDF:
        return True
    if not _is_medium(told):
        return said is None or (told in _ARCHIVES and _is_medium(said))
    is_called_text = bool(said) and not _is_medium(said or "")
    return not is_text and not (is_called_text and b"\0" not in head)


def _is_medium(mime_type: str) -> bool:
    """Whether files of a type are no text."""
    return mime_type.startswith(("image/", "audio/", "video/", _PDF)) and "+xml" not in mime_type


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)


def is_alike(one: str | None, other: str | None) -> bool:
    """Whether two types are the same, or cannot be told apart by their first bytes."""
    return one == other or any(one in names and other in names for names in _ALIKE)


def _declared(mime_type: str | None) -> str | None:
    """A type as Gemini names it, without parameters; one that says nothing is none."""
    bare = (mime_type or "").partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(bare) or bare.endswith(("/octet-stream", "/unknown")):
        return None
    return _GEMINI_NAMES.get(bare, bare)


def type_by_name(name: str) -> str | None:
    """The MIME type that a file name or a URL's path promises."""
    stem, _, extension = name.rpartition(".")
    return _declared(_TYPES.get(f".{extension.lower()}")) if stem else None


def extension_of(mime_type: str | None) -> str:
    """The extension that files of a type have, with its dot, or nothing."""
    return _USUAL_EXTENSION.get(mime_type or "", "")


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
