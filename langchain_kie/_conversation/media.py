"""Media parts of messages: their MIME type, base64 data and URL.

Pure: opens no file, fetches no URL and knows nothing of content blocks.
"""

from __future__ import annotations

import binascii
import codecs
import mimetypes
import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD_BYTES = 8192
"""How many bytes of a file are read to detect its MIME type."""

_MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*")
_DATA_URL = re.compile(r"(?is)data:([^,;]*+)(?:;[^,;]*+)*?(;\s*base64\s*)?,(.*)")
_TO_STANDARD_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_SLICE = 1 << 18
"""Characters, a multiple of four. Longer calls of C would block the other threads of a process."""

_PDF = "application/pdf"
_PDF_SIGNATURE = b"%PDF-"

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
"""Names of the same MIME type, the one that Gemini uses first."""

_CONTAINERS = (
    "video/mp4 video/x-m4v video/quicktime video/mov video/3gpp audio/mp4",
    "video/webm audio/webm video/x-matroska",
    "audio/ogg video/ogg application/ogg audio/opus",
    "image/heic image/heif",
)
"""MIME types whose files begin with the same bytes."""

_SAME_FORMAT = tuple(row.split() for row in (*_SYNONYMS, *_CONTAINERS))
_GEMINI_NAMES = {name: names[0] for names in _SAME_FORMAT[: len(_SYNONYMS)] for name in names}

_EXTENSIONS = {
    "application/ogg": ".ogx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
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
    "image/webp": ".webp",
    "text/javascript": ".js .mjs",
    "text/markdown": ".md .markdown",
    "text/plain": ".txt .log",
    "text/rtf": ".rtf",
    "text/yaml": ".yaml .yml",
    "video/3gpp": ".3gp",
    "video/avi": ".avi",
    "video/mov": ".mov",
    "video/mp2t": ".ts",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/wmv": ".wmv",
    "video/x-flv": ".flv",
    "video/x-m4v": ".m4v",
    "video/x-matroska": ".mkv",
    "video/x-ms-wmv": ".wmv",
}
"""Extensions that Python 3.11 does not know or names differently; the preferred one first."""

_TYPE_BY_EXTENSION = mimetypes.MimeTypes().types_map[True] | {
    extension: mime_type
    for mime_type, extensions in _EXTENSIONS.items()
    for extension in extensions.split()
}
"""From Python's table, without the operating system's, which differ."""

_EXTENSION_BY_TYPE = {
    **{mime_type: extension for extension, mime_type in reversed(_TYPE_BY_EXTENSION.items())},
    **{mime_type: extensions.split()[0] for mime_type, extensions in _EXTENSIONS.items()},
}

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

_UNSUPPORTED_TYPES = re.compile(
    r"(font|model|multipart)/|image/svg"
    r"|application/(?!(pdf|json|(x-)?(javascript|python|python-code|sh|yaml|typescript)|xml|rtf|sql"
    r"|[a-z0-9.-]+\+(json|xml))$)"
)
"""Types of files that Gemini does not document: archives, office documents, programs, ..."""

_MAX_URL_CHARS_SHOWN = 80

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Characters that text files do not contain. ESC is allowed: colored logs contain it."""


@dataclass(slots=True)
class Media:
    """A media part of a message; exactly one of `data`, `url` and `path` is set.

    Attributes:
        kind: `image`, `audio`, `video`, `pdf` or `file`.
        mime_type: `None` for a URL whose path does not tell the type.
        data: A text that ends with base64 in the standard alphabet, to be sent inline: the base64
            itself, or a `data:` URL, which is not copied.
        start: Where the base64 begins in `data`.
        url: An http(s) URL that KIE fetches.
        path: A local file that the caller passed to `media_block`.
        size: Bytes, if known.
        index: The `index` of the content block, which identifies it within an answer.
        digests: The SHA-256 of the data, once it is computed; copies share it.
    """

    kind: str
    mime_type: str | None
    data: str | None = None
    url: str | None = None
    path: Path | None = None
    size: int | None = field(default=None, compare=False)
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
        name: A file name, whose extension may tell the type.
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
        declared = _normalized_type(found[1]) or declared
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
    mime_type = _normalized_type(declared) or type_from_name(parts.path)
    return Media(media_kind(mime_type, kind), mime_type, url=url)


def detect_mime_type(head: bytes, declared: str | None, name: str | None) -> str:
    """Detect the MIME type of a file.

    The content takes precedence over `declared`, and `declared` over `name`, except where the
    content does not distinguish the types: containers and synonyms begin alike, and a text may
    begin with the signature of a media file. A PDF always contains `%PDF-`.

    Args:
        head: The first bytes of the file, up to `HEAD_BYTES`.
        declared: A MIME type that the caller or the content block states.
        name: A file name.

    Raises:
        ValueError: The type cannot be detected.
    """
    import filetype  # noqa: PLC0415 - loads with the first media part

    is_text = _is_text(head)
    expected, from_name = _normalized_type(declared), type_from_name(name or "")
    if expected == _PDF and _PDF_SIGNATURE not in head:
        expected = None
    if not (expected or from_name == _PDF or (is_text and _is_media(from_name or ""))):
        expected = from_name
    detected = _normalized_type(filetype.guess_mime(head))
    if detected and _is_conclusive(detected, expected, head, is_text=is_text):
        return expected if expected and is_same_format(expected, detected) else detected
    if expected is None:
        hint = f" (declared as {declared!r})" if declared else ""
        if from_name and not declared:
            hint = f" (its content is {'text' if is_text else 'something else'}, not {from_name})"
        raise ValueError(
            f"cannot detect the MIME type of {name or 'the data'}{hint}; pass mime_type="
        )
    return expected


def check_supported(mime_type: str | None, name: str) -> None:
    """Refuse a type that Gemini does not read, before a file of it is public.

    Args:
        mime_type: The MIME type, `None` if unknown.
        name: What the error calls the file.

    Raises:
        ValueError: It names the file and the type.
    """
    if mime_type and _UNSUPPORTED_TYPES.match(mime_type):
        raise ValueError(
            f"{name}: Gemini does not read {mime_type}; convert the file to PDF, text or an image"
        )


def _is_conclusive(detected: str, expected: str | None, head: bytes, *, is_text: bool) -> bool:
    """Whether the type detected in the content overrides the expected one."""
    if detected == _PDF:
        return True
    if not _is_media(detected):
        return expected is None or (detected in _ARCHIVES and _is_media(expected))
    is_expected_text = expected is not None and not _is_media(expected)
    return not is_text and not (is_expected_text and b"\0" not in head)


def _is_media(mime_type: str) -> bool:
    """Whether files of a type are binary media."""
    return mime_type.startswith(("image/", "audio/", "video/", _PDF)) and "+xml" not in mime_type


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROL_CHARACTERS.search(text)


def is_same_format(one: str | None, other: str | None) -> bool:
    """Whether two MIME types are the same, or have files that begin with the same bytes."""
    return one == other or any(one in names and other in names for names in _SAME_FORMAT)


def _normalized_type(mime_type: str | None) -> str | None:
    """A MIME type in Gemini's spelling, without parameters; `None` if it states no type."""
    bare = (mime_type or "").partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(bare) or bare.endswith(("/octet-stream", "/unknown")):
        return None
    return _GEMINI_NAMES.get(bare, bare)


def type_from_name(name: str) -> str | None:
    """The MIME type for the extension of a file name or a URL's path, `None` if unknown."""
    stem, _, extension = name.rpartition(".")
    return _normalized_type(_TYPE_BY_EXTENSION.get(f".{extension.lower()}")) if stem else None


def with_extension(name: str, mime_type: str) -> str:
    """A file name with an extension for the MIME type, added if it has no such extension.

    Raises:
        ValueError: The MIME type has no extension.
    """
    if is_same_format(type_from_name(name), mime_type):
        return name
    extension = _EXTENSION_BY_TYPE.get(mime_type)
    if extension is None:
        raise ValueError(f"cannot upload a file of type {mime_type}: its extension is not known")
    return name + extension


def media_kind(mime_type: str | None, kind: str = "file") -> str:
    """The `kind` of `Media` for a MIME type; without a type, the given one."""
    if mime_type is None:
        return kind
    if mime_type == _PDF:
        return "pdf"
    top = mime_type.partition("/")[0]
    return top if top in {"image", "audio", "video"} else "file"


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
        ValueError: It is not base64.
    """
    repaired = data.translate(_TO_STANDARD_BASE64).rstrip("=")
    repaired += "=" * (-len(repaired) % 4)
    if _is_base64(repaired, 0) and (repaired or not data.strip()):
        return repaired
    raise ValueError(f"{name or 'the data'} is not base64; pass raw bytes to media_block()")
