"""MIME types: how a file's is detected, what it is called, and which extension it has.

Pure: opens no file. Independent of content blocks and base64.
"""

from __future__ import annotations

import codecs
import mimetypes
import re

HEAD_BYTES = 8192
"""How many bytes of a file are read to detect its MIME type."""

MEDIA_KINDS = ("image", "audio", "video")
"""The kinds of media that are named like the first half of their MIME types."""

_MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*")
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

_UNSUPPORTED_TYPES = re.compile(
    r"(font|model|multipart)/|image/svg"
    r"|application/(?!(pdf|json|(x-)?(javascript|python|python-code|sh|yaml|typescript)|xml|rtf|sql"
    r"|[a-z0-9.-]+\+(json|xml))$)"
)
"""Types of files that Gemini does not document: archives, office documents, programs, ..."""

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Characters that text files do not contain. ESC is allowed: colored logs contain it."""


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
    expected, from_name = normalized_type(declared), type_from_name(name or "")
    if expected == _PDF and _PDF_SIGNATURE not in head:
        expected = None
    if not (expected or from_name == _PDF or (is_text and _is_media(from_name or ""))):
        expected = from_name
    detected = normalized_type(filetype.guess_mime(head))
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
        name: The name of the file in the error message.

    Raises:
        ValueError: Gemini does not read the type; the message names the file and the type.
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
    return mime_type.startswith((*MEDIA_KINDS, _PDF)) and "+xml" not in mime_type


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROL_CHARACTERS.search(text)


def is_same_format(one: str | None, other: str | None) -> bool:
    """Whether two MIME types are the same, or have files that begin with the same bytes."""
    return one == other or any(one in names and other in names for names in _SAME_FORMAT)


def normalized_type(mime_type: str | None) -> str | None:
    """A MIME type in Gemini's spelling, without parameters; `None` for invalid and unknown ones.

    `application/octet-stream` is an unknown type.
    """
    bare = (mime_type or "").partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(bare) or bare.endswith(("/octet-stream", "/unknown")):
        return None
    return _GEMINI_NAMES.get(bare, bare)


def type_from_name(name: str) -> str | None:
    """The MIME type for the extension of a file name or a URL's path, `None` if unknown."""
    stem, _, extension = name.rpartition(".")
    return normalized_type(_TYPE_BY_EXTENSION.get(f".{extension.lower()}")) if stem else None


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
    return top if top in MEDIA_KINDS else "file"
