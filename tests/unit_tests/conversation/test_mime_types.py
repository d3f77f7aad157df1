"""MIME types: their detection, and the extensions of file names."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from langchain_kie._conversation.mime_types import (
    _EXTENSION_BY_TYPE,
    _EXTENSIONS,
    _SAME_FORMAT,
    detect_mime_type,
    is_same_format,
    normalized_type,
    type_from_name,
)

PNG = (Path(__file__).parents[2] / "integration_tests" / "media" / "diagram.png").read_bytes()
HEADS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "image/gif": b"GIF89a\1\0\1\0",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "image/heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "application/pdf": b"%PDF-1.7",
    "audio/mpeg": b"ID3\4\0\0\0",
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "audio/aiff": b"FORM\0\0\0\x20AIFFCOMM",
    "audio/flac": b"fLaC\0",
    "audio/ogg": b"OggS\0\2",
    "audio/mp4": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0",
    "video/mp4": b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
    "video/webm": b"\x1aE\xdf\xa3\1\0\0\0\0\0\0\x1f\x42\x86\x81\1\x42\xf7\x81\1\x42\x82\x84webm",
    "video/avi": b"RIFF\x24\0\0\0AVI LIST",
    "video/mpeg": b"\0\0\1\xba",
}
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(("mime_type", "head"), HEADS.items(), ids=HEADS.keys())
def test_content_takes_precedence_over_the_declared_type_and_the_name(
    mime_type: str, head: bytes
) -> None:
    for declared in (None, "", "image/tiff", "application/octet-stream", "nonsense"):
        assert detect_mime_type(head, declared, None) == mime_type
    assert detect_mime_type(head, None, "misnamed.tiff") == mime_type


# The declared type, the name, the content, and the type to detect.
DETECTED: dict[str, tuple[str | None, str | None, bytes, str]] = {
    "upper case": ("IMAGE/PNG", None, b"x", "image/png"),
    "parameters": ("text/plain; charset=utf-8", None, b"x", "text/plain"),
    "synonym": ("image/jpg", None, b"x", "image/jpeg"),
    "synonym, WAV": ("audio/x-wav", None, HEADS["audio/wav"], "audio/wav"),
    "synonym, M4A": ("audio/x-m4a", None, HEADS["audio/mp4"], "audio/mp4"),
    "audio in MP4": ("audio/mp4", None, HEADS["video/mp4"], "audio/mp4"),
    "audio in MP4, by name": (None, "a.m4a", HEADS["video/mp4"], "audio/mp4"),
    "QuickTime": ("video/quicktime", None, HEADS["video/mp4"], "video/quicktime"),
    "audio in WebM": ("audio/webm", None, HEADS["video/webm"], "audio/webm"),
    "video in Ogg": ("video/ogg", None, HEADS["audio/ogg"], "video/ogg"),
    "text like BMP": ("text/plain", None, b"BMW is a car", "text/plain"),
    "text like BMP, by name": (None, "cars.txt", b"BMW is a car", "text/plain"),
    "text like MP3": ("text/plain", None, b"ID3 tags", "text/plain"),
    "Markdown like GIF": (None, "a.md", b"GIFs are fun", "text/markdown"),
    "JSON like MP3": ("application/json", None, b"ID3 of it", "application/json"),
    "BMP declared as text": ("text/plain", None, b"BM\0\0\0\0", "image/bmp"),
    "PDF declared as text": ("text/plain", None, b"%PDF-1.7", "application/pdf"),
    "ZIP declared as image": ("image/png", None, b"PK\3\4\0", "application/zip"),
    "ZIP declared as PDF": ("application/pdf", None, b"PK\3\4", "application/zip"),
    "CSV declared as PDF": ("application/pdf", "a.csv", b"a,b", "text/csv"),
    "image declared as PDF": ("application/pdf", "a.pdf", PNG, "image/png"),
    "PDF after white space": ("application/pdf", None, b"\n\n%PDF-1.7", "application/pdf"),
    "compressed CSV": (None, "a.csv.gz", b"\x1f\x8b\x08\0", "application/gzip"),
    "SVG": ("image/svg+xml", None, b"<svg>", "image/svg+xml"),
    "SVG, by its name": (None, "a.svg", b"<svg>", "image/svg+xml"),
    "Word, by name": (None, "a.docx", b"PK\3\4", WORD),
    "Word, declared": (WORD, None, b"PK\3\4", WORD),
    "name in upper case": (None, "SONG.MP3", b"\0", "audio/mpeg"),
    "name in Chinese": (None, "猫.webp", b"\0", "image/webp"),
    "declared type before name": ("text/csv", "a.txt", b"x", "text/csv"),
    "name before octet-stream": ("application/octet-stream", "a.txt", b"x", "text/plain"),
}


@pytest.mark.parametrize("row", DETECTED.values(), ids=DETECTED.keys())
def test_mime_type_is_detected(row: tuple[str | None, str | None, bytes, str]) -> None:
    declared, name, head, mime_type = row
    assert detect_mime_type(head, declared, name) == mime_type


@pytest.mark.parametrize("declared", [None, "", "png", "a/b/c", "application/octet-stream"])
@pytest.mark.parametrize("name", [None, "", "noname", "a.unknown-thing"])
def test_error_for_an_unknown_type_names_the_file(declared: str | None, name: str | None) -> None:
    expected = rf"cannot detect the MIME type of {name or 'the data'}.*; pass mime_type="
    with pytest.raises(ValueError, match=expected) as caught:
        detect_mime_type(b"what is it?", declared, name)
    assert not declared or f"(declared as {declared!r})" in str(caught.value)


@pytest.mark.parametrize("data", [b"BMW service log", b"ID3 tags are fun", b"typescript: 1"])
@pytest.mark.parametrize("name", [None, "a.ts", "a.pdf", "a.mp3"])
@pytest.mark.parametrize("declared", [None, "application/pdf"])
def test_text_is_not_taken_for_media(data: bytes, name: str | None, declared: str | None) -> None:
    with pytest.raises(ValueError, match="cannot detect the MIME type"):
        detect_mime_type(data, declared, name)


@pytest.mark.parametrize("mime_type", [*HEADS, "text/csv", *_EXTENSIONS, *chain(*_SAME_FORMAT)])
def test_extension_of_a_type_leads_back_to_the_type(mime_type: str) -> None:
    normalized = normalized_type(mime_type)
    from_extension = type_from_name(f"a{_EXTENSION_BY_TYPE[normalized]}")
    assert is_same_format(from_extension, normalized) or from_extension == "video/x-ms-wmv"


NAMES = {
    "application/ogg": ".ogx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    WORD: ".docx",
    "audio/aiff": ".aiff .aif .aifc",
    "audio/amr": ".amr",
    "audio/flac": ".flac",
    "audio/midi": ".mid .midi",
    "audio/mp4": ".m4a .m4b",
    "audio/mpeg": ".mp3 .mpga",
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
    "video/mp2t": ".ts",
    "video/ogg": ".ogv",
    "video/quicktime": ".mov",
    "video/x-flv": ".flv",
    "video/x-m4v": ".m4v",
    "video/x-matroska": ".mkv",
    "video/x-ms-wmv": ".wmv",
}


@pytest.mark.parametrize(("mime_type", "extensions"), NAMES.items())
def test_the_name_of_a_file_leads_to_its_type(mime_type: str, extensions: str) -> None:
    first, *_ = extensions.split()
    assert {type_from_name(f"a{one}") for one in extensions.split()} == {mime_type}
    assert _EXTENSION_BY_TYPE[mime_type] == first


SYNONYMS = (
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


@pytest.mark.parametrize("row", SYNONYMS)
def test_a_synonym_is_sent_as_the_name_that_gemini_uses(row: str) -> None:
    assert {detect_mime_type(b"x", name, None) for name in row.split()} == {
        row.split(maxsplit=1)[0]
    }
