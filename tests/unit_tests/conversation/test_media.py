"""What a medium is, told from its bytes; what cannot be sent; what it costs."""

from __future__ import annotations

import base64
import os
import pickle
import re
import textwrap
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from scripted_server import sse

from langchain_kie import KieError, KieInvalidRequestError, media_block
from langchain_kie._conversation.content import parse_content
from langchain_kie._conversation.media import (
    _EXTENSION_BY_TYPE,
    _EXTENSIONS,
    _SAME_FORMAT,
    Media,
    _normalized_type,
    detect_mime_type,
    is_same_format,
    media_from_data,
    media_from_url,
    type_from_name,
)
from langchain_kie._conversation.token_estimate import estimate_tokens, min_prompt_tokens
from langchain_kie._options import Options
from langchain_kie._uploads import choose_uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import ScriptedServer

MEDIA = Path(__file__).parents[2] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
PNG_BASE64 = base64.b64encode(PNG).decode()
URL = "https://media.example/cat"

# --- types -----------------------------------------------------------------------------------

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


@pytest.mark.parametrize(("mime_type", "head"), HEADS.items(), ids=HEADS.keys())
def test_bytes_tell_their_type(mime_type: str, head: bytes) -> None:
    for said in (None, "", "image/tiff", "application/octet-stream", "nonsense"):
        assert detect_mime_type(head, said, None) == mime_type
    assert detect_mime_type(head, None, "misnamed.tiff") == mime_type


# What was declared, the name, the bytes, and what it is.
TOLD: dict[str, tuple[str | None, str | None, bytes, str]] = {
    "upper case": ("IMAGE/PNG", None, b"x", "image/png"),
    "parameters": ("text/plain; charset=utf-8", None, b"x", "text/plain"),
    "image/jpg": ("image/jpg", None, b"x", "image/jpeg"),
    "another name of WAV": ("audio/x-wav", None, HEADS["audio/wav"], "audio/wav"),
    "sound in an MP4": ("audio/mp4", None, HEADS["video/mp4"], "audio/mp4"),
    "QuickTime": ("video/quicktime", None, HEADS["video/mp4"], "video/quicktime"),
    "sound in a WebM": ("audio/webm", None, HEADS["video/webm"], "audio/webm"),
    "film in an Ogg": ("video/ogg", None, HEADS["audio/ogg"], "video/ogg"),
    "a name that tells of a container's content": (
        None,
        "a.m4a",
        HEADS["video/mp4"],
        "audio/mp4",
    ),
    "a text that begins like a bitmap": ("text/plain", None, b"BMW is a car", "text/plain"),
    "such a text by its name": (None, "cars.txt", b"BMW is a car", "text/plain"),
    "Markdown that begins like a GIF": (None, "a.md", b"GIFs are fun", "text/markdown"),
    "a bitmap that is called a text": ("text/plain", None, b"BM\0\0\0\0", "image/bmp"),
    "JSON": ("application/json", None, b"ID3 of it", "application/json"),
    "SVG": ("image/svg+xml", None, b"<svg>", "image/svg+xml"),
    "a PDF that is called a text": ("text/plain", None, b"%PDF-1.7", "application/pdf"),
    "a text that begins like a sound": ("text/plain", None, b"ID3 tags", "text/plain"),
    "an archive that is called a picture": ("image/png", None, b"PK\3\4\0", "application/zip"),
    "an archive that is called a PDF": ("application/pdf", None, b"PK\3\4", "application/zip"),
    "a compressed text": (None, "a.csv.gz", b"\x1f\x8b\x08\0", "application/gzip"),
    "sound of Apple's": ("audio/x-m4a", None, HEADS["audio/mp4"], "audio/mp4"),
    "a PDF with something before it": ("application/pdf", None, b"\n\n%PDF-1.7", "application/pdf"),
    "a text that OpenAI's form makes a PDF": ("application/pdf", "a.csv", b"a,b", "text/csv"),
    "a picture that it makes a PDF": ("application/pdf", "a.pdf", PNG, "image/png"),
    "a Word file": (
        None,
        "a.docx",
        b"PK\3\4",
        extension_type := (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        ),
    ),
    "a Word file by its declaration": (extension_type, None, b"PK\3\4", extension_type),
    "a name in upper case": (None, "SONG.MP3", b"\0", "audio/mpeg"),
    "a name in another script": (None, "猫.webp", b"\0", "image/webp"),
    "what was declared, not the name": ("text/csv", "a.txt", b"x", "text/csv"),
    "the name, not what says nothing": ("application/octet-stream", "a.txt", b"x", "text/plain"),
}


@pytest.mark.parametrize("row", TOLD.values(), ids=TOLD.keys())
def test_the_type_is_told(row: tuple[str | None, str | None, bytes, str]) -> None:
    declared, name, head, mime_type = row
    assert detect_mime_type(head, declared, name) == mime_type


@pytest.mark.parametrize("declared", [None, "", "png", "a/b/c", "application/octet-stream"])
@pytest.mark.parametrize("name", [None, "", "noname", "a.unknown-thing"])
def test_a_type_that_cannot_be_told_is_refused(declared: str | None, name: str | None) -> None:
    with pytest.raises(ValueError, match=r"cannot detect the MIME type of .*; pass mime_type="):
        detect_mime_type(b"what is it?", declared, name)


@pytest.mark.parametrize("mime_type", [*HEADS, "text/csv", *_EXTENSIONS, *chain(*_SAME_FORMAT)])
def test_a_type_s_extension_tells_the_type(mime_type: str) -> None:
    told = type_from_name(f"a{_EXTENSION_BY_TYPE[_normalized_type(mime_type) or '']}")
    assert is_same_format(told, _normalized_type(mime_type)) or told == "video/x-ms-wmv"


@pytest.mark.parametrize("data", [b"BMW service log", b"ID3 tags are fun", b"typescript: 1"])
@pytest.mark.parametrize("name", [None, "a.ts", "a.pdf", "a.mp3"])
def test_a_text_is_no_medium(data: bytes, name: str | None) -> None:
    with pytest.raises(ValueError, match="cannot detect the MIME type"):
        detect_mime_type(data, None, name)
    with pytest.raises(ValueError, match="cannot detect the MIME type"):
        detect_mime_type(data, "application/pdf", name)


# --- base64 and data URLs --------------------------------------------------------------------

ODD = bytes(range(256)) * 3
BASE64 = {
    "plain": base64.b64encode(ODD).decode(),
    "URL-safe": base64.urlsafe_b64encode(ODD).decode(),
    "without padding": base64.b64encode(ODD + b"x").decode().rstrip("="),
    "URL-safe, without padding": base64.urlsafe_b64encode(ODD + b"xy").decode().rstrip("="),
    "too much padding": base64.b64encode(ODD).decode() + "==",
    "lines": base64.encodebytes(ODD).decode(),
    "lines of Windows": "\r\n".join(textwrap.wrap(base64.b64encode(ODD).decode(), 76)),
    "indented": textwrap.indent(base64.encodebytes(ODD).decode(), "    "),
}


@pytest.mark.parametrize("data", BASE64.values(), ids=BASE64.keys())
def test_base64_of_every_kind_goes_out_as_one(data: str) -> None:
    medium = media_from_data(data, "text/plain", "file", None)
    assert base64.b64decode(medium.data or "", validate=True).removeprefix(ODD) in {
        b"",
        b"x",
        b"xy",
    }


@pytest.mark.parametrize(
    "data", ["a", "no base64!", "ab%cd===", "🙂🙂🙂🙂", "ab=cd", "====", "A" * 5]
)
def test_what_is_no_base64_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="the data is not base64"):
        media_from_data(data, "image/png", "image", None)


@pytest.mark.parametrize("data", ["", " \n", b""])
def test_nothing_is_refused(data: str | bytes) -> None:
    with pytest.raises(ValueError, match="the data is empty"):
        media_from_data(data, "image/png", "image", None)


QUOTED = PNG_BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
DATA_URLS = {
    "plain": f"data:image/png;base64,{PNG_BASE64}",
    "upper case": f"DATA:IMAGE/PNG;BASE64,{PNG_BASE64}",
    "parameters": f"data:image/png;name=a.png;charset=x;base64,{PNG_BASE64}",
    "percent-encoded": f"data:image/png;base64,{QUOTED}",
    "no type": f"data:;base64,{PNG_BASE64}",
    "a type that says nothing": f"data:application/octet-stream;base64,{PNG_BASE64}",
    "a wrong type": f"data:image/jpg;base64,{PNG_BASE64}",
    "spaces": f"  data:image/png; base64,{PNG_BASE64}\n",
    "no base64": "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
}


@pytest.mark.parametrize("url", DATA_URLS.values(), ids=DATA_URLS.keys())
def test_data_urls_of_every_kind_are_read(url: str) -> None:
    assert media_from_url(url, None, "file") == Media("image", "image/png", data=PNG_BASE64)


def test_a_data_url_of_text_is_read() -> None:
    medium = media_from_url("data:text/plain;charset=utf-8,sch%C3%B6n%2C%20ja", None, "file")
    assert base64.b64decode(medium.data or "").decode() == "schön, ja"


# --- what cannot be sent ---------------------------------------------------------------------

NO_FILE = r"local files that a message names are not read; .* langchain_kie.media_block\("
NO_ID = "KIE cannot read files by id; upload the file with langchain_kie.KieFiles"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "YouTube": ({"type": "video", "url": "https://www.youtube.com/watch?v=x"}, "a YouTube link"),
    "YouTube, short": ({"type": "media", "file_uri": "https://youtu.be/x"}, "a YouTube link"),
    "YouTube, embedded": (
        {"type": "image_url", "image_url": "HTTPS://M.YOUTUBE-NOCOOKIE.COM/embed/x"},
        "send the video itself",
    ),
    "Google's files": (
        {"file_data": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
        "a file of Google's Files API cannot be sent.* langchain_kie.KieFiles",
    ),
    "Google's buckets": (
        {"type": "media", "file_uri": "gs://a/b.mp4"},
        "fetches http.* a signed URL",
    ),
    "a path": ({"type": "image", "url": "/etc/passwd"}, NO_FILE),
    "a path of Windows": ({"type": "image", "url": r"C:\secrets.png"}, NO_FILE),
    "a file URL": ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, NO_FILE),
    "a path in OpenAI's form": ({"type": "file", "file": {"file_url": "../a.pdf"}}, NO_FILE),
    "a path in Anthropic's form": (
        {"type": "image", "source": {"type": "url", "url": "./a.png"}},
        NO_FILE,
    ),
    "another scheme": (
        {"type": "image", "url": "ftp://a.example/a.png"},
        "'ftp://.*': not an http",
    ),
    "YouTube, absolute": (
        {"type": "video", "url": "https://www.youtube.com./watch?v=x"},
        "a YouTube link",
    ),
    "Google's files by name": ({"type": "media", "file_uri": "files/abc-1"}, "Google's Files API"),
    "base64 as a URL": ({"type": "image", "url": PNG_BASE64}, "this is base64, not a URL"),
    "bytes as base64": (
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
        "the data is not base64; pass raw bytes to media_block",
    ),
    "a text in OpenAI's PDF": (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGVsbG8="}},
        "cannot detect the MIME type",
    ),
    "no host": ({"type": "image", "url": "https:///a.png"}, "not an http"),
    "a broken host": ({"type": "image", "url": "https://[::1/a.png"}, "not an http"),
    "a path after JSON": ({"type": "image", "kie_path": "/etc/passwd"}, NO_FILE),
    "a v1 file id": ({"type": "image", "file_id": "file-1"}, NO_ID),
    "a v0 file id": ({"type": "file", "source_type": "id", "id": "file-1"}, NO_ID),
    "OpenAI's file id": ({"type": "file", "file": {"file_id": "file-1"}}, NO_ID),
    "OpenAI's image id": ({"type": "input_image", "file_id": "file-1"}, NO_ID),
    "Anthropic's file id": (
        {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
        NO_ID,
    ),
    "no type": ({"type": "file", "base64": "aGVsbG8="}, "cannot detect the MIME type"),
    "no base64": (
        {"type": "image", "base64": "no base64!", "mime_type": "image/png"},
        "the data is not base64",
    ),
    "a part of a video": (
        {"type": "media", "file_uri": URL, "video_metadata": {"fps": 1}},
        "video_metadata cannot be sent; send only that section",
    ),
}
MALFORMED: dict[str, dict[str, Any]] = {
    "nothing": {"type": "image"},
    "a path by hand": {"type": "image", "path": Path("/etc/passwd")},
    "a path by hand, as text": {"type": "image", "path": "/etc/passwd"},
    "an empty URL": {"type": "image", "url": ""},
    "no URL": {"type": "image_url", "image_url": None},
    "no audio": {"type": "input_audio"},
    "no text": {"type": "text"},
    "a text that is none": {"type": "text", "text": 5},
    "a number of base64": {"type": "file", "base64": 5},
    "a part that is none": {"type": "inline_data", "inline_data": "x"},
    "an empty part": {"inline_data": {}},
    "a source of nothing": {"type": "document", "source": {"type": "content"}},
    "a type that is a list": {"type": ["image"]},
}
UNKNOWN = {"an unknown type": {"type": "hologram", "url": URL}, "no type": {"hologram": URL}}


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with server_sending(fixture("chat_whole.json")) as answering:
        yield answering


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
@pytest.mark.parametrize(("block", "match"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_sent_is_refused_before_anything_is(
    server: ScriptedServer, call_mode: Any, block: dict[str, Any], match: str
) -> None:
    server.requests.clear()
    with pytest.raises(ValueError, match=match):
        await call_mode(model_at(server), [HumanMessage([block])])
    assert server.requests == []


@pytest.mark.parametrize(("block", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_of_a_tool_it_is_told_why(block: dict[str, Any], match: str) -> None:
    """Else a thread with it in its checkpoint could never go on."""
    with pytest.warns(UserWarning, match=match):
        (said,) = parse_content(ToolMessage([block], tool_call_id="c0"))
    told = orjson.loads(str(said))
    assert re.search(match, told["not sent"])
    assert "base64" not in told["block"]


def with_result(block: dict[str, Any]) -> list[Any]:
    call = {"name": "f", "args": {}, "id": "c0"}
    result = ToolMessage([block], tool_call_id="c0")
    return [HumanMessage("hi"), AIMessage("", tool_calls=[call]), result]


@pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_block_is_refused_of_a_person(block: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"block of type .*: malformed: it has neither"):
        parse_content(HumanMessage([block]))


@pytest.mark.parametrize("block", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unknown_block_is_refused_of_a_person(block: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="blocks of this type cannot be sent"):
        parse_content(HumanMessage([block]))


@pytest.mark.parametrize(
    "block",
    [*MALFORMED.values(), *UNKNOWN.values()],
    ids=[*MALFORMED.keys(), *UNKNOWN.keys()],
)
def test_of_a_tool_it_is_what_it_gave_back(block: dict[str, Any]) -> None:
    (said,) = parse_content(ToolMessage([block], tool_call_id="c0"))
    assert orjson.loads(str(said)) == orjson.loads(orjson.dumps(block, default=str))


def test_an_error_shows_no_content() -> None:
    """Nor the data of a URL that is too long to be one."""
    secret = "c2VjcmV0" * 1000
    for block in (
        {"type": "file", "base64": secret},
        {"type": "image", "url": f"x:{secret}"},
        {"type": "hologram", "data": secret},
    ):
        with pytest.raises(ValueError) as caught:
            parse_content(HumanMessage([block]))
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("image", media_block(PNG)),
        ("image", media_block(MEDIA / "diagram.png")),
        ("image", {"type": "image", "url": URL}),
        ("audio", media_block(MEDIA / "tone.wav")),
        ("pdf", media_block(MEDIA / "document.pdf")),
        ("pdf", {"type": "file", "url": URL, "mime_type": "application/pdf"}),
        ("video", {"type": "image_url", "image_url": f"{URL}.mp4"}),
    ],
)
def test_a_model_that_takes_none_is_sent_none(
    server: ScriptedServer, kind: str, block: dict[str, Any]
) -> None:
    server.requests.clear()
    blind = model_at(server, profile={f"{kind}_inputs": False})
    for messages in ([HumanMessage([block])], with_result(block)):
        with pytest.raises(ValueError, match=f"gemini-3-flash takes no {kind}"):
            blind.invoke(messages)
    assert server.requests == []
    blind.invoke("Hello!")
    blind.invoke([HumanMessage([block])], model="gemini-3.1-pro")


# --- text among the media --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "text-plain", "text": "body", "mime_type": "text/plain"}, "body"),
        ({"type": "text-plain", "text": "body", "url": URL}, "body"),
        ({"type": "document", "source": {"type": "text", "data": "body"}}, "body"),
        ({"type": "document", "source": {"type": "content", "content": "body"}}, "body"),
        ({"type": "file", "source_type": "text", "text": "body"}, "body"),
        ({"type": "non_standard", "value": {"type": "input_text", "text": "body"}}, "body"),
        ({"type": "text-plain", "text": ""}, None),
        ({"type": "text", "text": ""}, None),
    ],
)
def test_a_document_of_text_is_text(block: dict[str, Any], text: str | None) -> None:
    assert parse_content(HumanMessage([block])) == ([text] if text else [])


def test_a_medium_with_words_beside_it_is_still_sent() -> None:
    block = {"type": "image", "url": URL, "mime_type": "image/png", "text": "a cat"}
    assert parse_content(HumanMessage([block])) == [Media("image", "image/png", url=URL)]


def test_base64_that_was_not_decoded_to_text_is_read() -> None:
    block = {"type": "image", "base64": PNG_BASE64.encode(), "mime_type": "image/png"}
    assert parse_content(HumanMessage([block])) == [Media("image", "image/png", data=PNG_BASE64)]


# --- local files -----------------------------------------------------------------------------


def test_a_block_for_a_path_holds_the_path() -> None:
    block = media_block(MEDIA / "tone.wav")
    assert block == {
        "type": "file",
        "kie_path": (MEDIA / "tone.wav").absolute(),
        "mime_type": "audio/wav",
    }
    assert media_block((MEDIA / "tone.wav").as_uri().replace("file:", "FILE:")) == block
    assert pickle.loads(pickle.dumps(HumanMessage([block]))).content == [block]
    assert HumanMessage([block]).content_blocks == [block]


@pytest.mark.parametrize("name", ["猫.png", "a b%20c.png", "#1?.png", "noname"])
def test_a_file_of_any_name_is_found(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    link = tmp_path / "link"
    link.symlink_to(path)
    for given in (path, path.as_uri(), link):
        (medium,) = parse_content(HumanMessage([media_block(given)]))
        assert isinstance(medium, Media)
        assert choose_uploads([medium], Options()) == []
        assert (medium.mime_type, medium.data, medium.path) == ("image/png", PNG_BASE64, None)


def test_a_relative_path_means_what_it_meant(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(MEDIA)
    block = media_block(Path("diagram.png"))
    monkeypatch.chdir(tmp_path)
    assert block["kie_path"] == MEDIA / "diagram.png"


def test_a_file_that_cannot_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        media_block(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        media_block(tmp_path)
    with pytest.raises(
        ValueError, match=r"'a.png': not an http.* use langchain_kie.media_block\(pathlib"
    ):
        media_block("a.png")
    with pytest.raises(ValueError, match="a YouTube link"):
        media_block("https://youtu.be/x")
    with pytest.raises(ValueError, match="cannot detect the MIME type"):
        media_block(b"hello")


def test_a_file_that_changed_its_type_is_sent_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    (medium,) = parse_content(HumanMessage([media_block(path)]))
    assert isinstance(medium, Media)
    path.write_bytes(HEADS["application/pdf"])
    choose_uploads([medium], Options())
    assert (medium.mime_type, medium.kind) == ("application/pdf", "pdf")


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_a_file_that_is_gone_or_empty_is_refused(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    (medium,) = parse_content(HumanMessage([media_block(path)]))
    assert isinstance(medium, Media)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"picture.png is empty"):
        choose_uploads([medium], Options(media_upload=mode))
    path.unlink()
    with pytest.raises(ValueError, match=r"cannot read '.*picture.png': No such file"):
        choose_uploads([medium], Options(media_upload=mode))
    path.mkdir()
    with pytest.raises(ValueError, match=r"cannot read '.*picture.png': Is a directory"):
        choose_uploads([medium], Options(media_upload=mode))


def test_a_long_list_is_chosen_from_by_size() -> None:
    media = [Media("image", "image/png", data="A" * 4 * (n % 7 + 1)) for n in range(20_000)]
    chosen = choose_uploads(media, Options(inline_media_limit=3_000))
    inline_ = {id(medium) for medium in media} - {id(medium) for medium in chosen}
    sizes = [len(m.data or "") * 3 // 4 for m in media if id(m) in inline_]
    assert sizes == [3] * 1_000


# --- tokens ----------------------------------------------------------------------------------


def of_size(mime_type: str, size: int) -> dict[str, Any]:
    return {
        "type": "file",
        "base64": base64.b64encode(bytes(size)).decode(),
        "mime_type": mime_type,
    }


COSTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "an image": (media_block(PNG), 1_100, 200),
    "a large image": (of_size("image/jpeg", 900_000), 1_100, 200),
    "an image by URL": ({"type": "image", "url": URL}, 1_100, 200),
    "an image on the disk": (media_block(MEDIA / "diagram.png"), 1_100, 200),
    "a PDF": (media_block(HEADS["application/pdf"].ljust(300_000)), 3_000, 200),
    "a PDF by URL": ({"type": "file", "url": f"{URL}.pdf"}, 2_600, 200),
    "sound": (of_size("audio/mpeg", 300_000), 600, 30),
    "a little sound": (of_size("audio/mpeg", 3_000), 30, 7),
    "sound by URL": ({"type": "audio", "url": URL}, 1_900, 30),
    "a video": (of_size("video/mp4", 900_000), 360, 60),
    "a video by URL": ({"type": "video", "url": URL}, 6_000, 60),
    "a text": (of_size("text/plain", 4_000), 1_000, 200),
}


@pytest.mark.parametrize(("block", "usual", "least"), COSTS.values(), ids=COSTS.keys())
def test_a_medium_is_counted(block: dict[str, Any], usual: int, least: int) -> None:
    alone = estimate_tokens([HumanMessage("")], None)
    assert estimate_tokens([HumanMessage([block])], None) == alone + usual
    assert min_prompt_tokens(parse_content(HumanMessage([block]))) == least


def test_size_and_tools_raise_the_fewest_tokens(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(HEADS["audio/wav"])
    os.truncate(path, 4_000_000)
    (medium,) = parse_content(HumanMessage([media_block(path)]))
    assert isinstance(medium, Media)
    assert choose_uploads([medium], Options()) == [medium]
    assert min_prompt_tokens([medium]) == 200
    assert min_prompt_tokens([medium], [{"name": "f" * 800}]) == 301


def test_the_model_counts_messages_and_tools_without_a_network(server: ScriptedServer) -> None:
    server.requests.clear()
    model = model_at(server)
    messages = [HumanMessage([{"type": "text", "text": "x" * 4_000}, COSTS["an image"][0]])]
    tool = {"name": "f", "description": "y" * 400, "parameters": {"type": "object"}}
    counted = model.get_num_tokens_from_messages(messages)
    assert 2_100 <= counted <= 2_110
    assert 100 <= model.get_num_tokens_from_messages(messages, [tool]) - counted <= 140
    assert model.get_num_tokens_from_messages(with_result(COSTS["an image"][0])) > 1_100
    assert model.get_num_tokens("x" * 401) == 101
    with pytest.raises(ValueError, match=NO_ID):
        model.get_num_tokens_from_messages([HumanMessage([{"type": "image", "file_id": "x"}])])
    assert server.requests == []


# --- the provider's words --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Image download failed",
        "image download failed.",
        "Failed to get file information",
        "The file mime type is not supported by Gemini, please convert or change the file~",
    ],
)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_an_error_that_comes_as_an_answer_is_an_error(call_mode: Any, text: str) -> None:
    body = sse({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}, "[DONE]")
    with server_sending(body) as server:
        with pytest.raises(KieInvalidRequestError) as caught:
            await call_mode(model_at(server), [HumanMessage([{"type": "image", "url": URL}])])
        assert caught.value.message == text
        assert isinstance(caught.value, KieError)
