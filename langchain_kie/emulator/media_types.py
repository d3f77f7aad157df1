"""MIME types of files, from the extension of the name and from the first bytes."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = "application/octet-stream"

_MORE_EXTENSIONS: Mapping[str, str] = {
    ".3gp": "video/3gpp",
    ".aac": "audio/aac",
    ".aiff": "audio/aiff",
    ".avi": "video/avi",
    ".avif": "image/avif",
    ".flac": "audio/flac",
    ".flv": "video/x-flv",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".m4v": "video/mp4",
    ".js": "text/javascript",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".ogv": "video/ogg",
    ".rtf": "text/rtf",
    ".ts": "video/mp2t",
    ".wav": "audio/wav",
    ".weba": "audio/webm",
    ".webp": "image/webp",
    ".wmv": "video/x-ms-wmv",
    ".xml": "text/xml",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
}
_TYPES = mimetypes.MimeTypes()  # not the global table, which differs between machines
for _extension, _mime_type in _MORE_EXTENSIONS.items():
    _TYPES.add_type(_mime_type, _extension)

_PDF_HEAD_LENGTH = 1024
_HEAD_LENGTH = 16
_MAGIC: tuple[tuple[re.Pattern[bytes], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), types)
    for pattern, types in (
        (rb"\x89PNG\r\n\x1a\n", ("image/png",)),
        (rb"\xff\xd8\xff", ("image/jpeg",)),
        (rb"GIF8[79]a", ("image/gif",)),
        (rb"RIFF....WEBP", ("image/webp",)),
        (rb"....ftyp(?:heic|heix|mif1|msf1|avif)", ("image/heic",)),
        (rb"II\*\0|MM\0\*", ("image/tiff",)),
        (rb"%PDF-", ("application/pdf",)),
        (rb"PK\x03\x04", ("application/zip",)),
        (rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]", ("audio/mpeg",)),
        (rb"\xff[\xf1\xf9]", ("audio/aac",)),
        (rb"RIFF....WAVE", ("audio/wav",)),
        (rb"FORM....AIF[FC]", ("audio/aiff",)),
        (rb"fLaC", ("audio/flac",)),
        (rb"OggS\0", ("audio/ogg", "video/ogg")),
        (rb"....ftyp(?:M4A|M4B)", ("audio/mp4",)),
        (rb"....ftyp", ("video/mp4", "audio/mp4")),
        (rb"\x1aE\xdf\xa3", ("video/webm", "audio/webm")),
        (rb"RIFF....AVI ", ("video/avi",)),
        (rb"\0\0\x01[\xb3\xba]", ("video/mpeg",)),
        (rb"FLV\x01", ("video/x-flv",)),
    )
)
"""Patterns of first bytes, and the types of such files, the most common one first."""


def guess_from_name(name: str) -> str:
    """Guess the type from the extension of a name."""
    mime_type, encoding = _TYPES.guess_type(name)
    return UNKNOWN if mime_type is None or encoding else mime_type


def guess_from_data(data: bytes) -> str:
    """Guess the type from the first bytes."""
    return next(iter(_types_of(data)), UNKNOWN)


def extension_of(mime_type: str) -> str:
    """Find the usual extension of a type; empty if there is none."""
    return _TYPES.guess_extension(mime_type) or ""


def contradicts(mime_type: str, data: bytes) -> bool:
    """Return whether the first bytes belong to another top-level type than `mime_type`."""
    if mime_type == "application/pdf" and b"%PDF-" not in data[:_PDF_HEAD_LENGTH]:
        return True
    expected = {_top_level(possible) for possible in _types_of(data)}
    return bool(expected) and _top_level(mime_type) not in expected


def _types_of(data: bytes) -> tuple[str, ...]:
    head = data[:_HEAD_LENGTH]
    return next((types for pattern, types in _MAGIC if pattern.match(head)), ())


def _top_level(mime_type: str) -> str:
    return mime_type.partition("/")[0]
