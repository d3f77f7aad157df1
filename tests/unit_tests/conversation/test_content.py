"""Content blocks: which cannot be sent, and what happens to them in a tool result.

That each form of a block is sent is tested in `integration_tests/test_media.py`.
"""

from __future__ import annotations

import base64
import re
import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_kie import media_block
from langchain_kie._conversation.content import parse_content, repaired_for_langchain
from langchain_kie._conversation.media import Media

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import ScriptedServer

MEDIA = Path(__file__).parents[2] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
PNG_BASE64 = base64.b64encode(PNG).decode()
URL = "https://media.example/cat"

NO_LOCAL_FILE = r"local files that a message names are not read; .* langchain_kie.media_block\("
NO_FILE_ID = "KIE cannot read files by id; upload the file with langchain_kie.KieFiles"
NO_TYPE = "cannot detect the MIME type of the data; pass mime_type="
REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "YouTube": ({"type": "video", "url": "https://www.youtube.com/watch?v=x"}, "a YouTube link"),
    "YouTube, short": ({"type": "media", "file_uri": "https://youtu.be/x"}, "a YouTube link"),
    "YouTube, embedded": (
        {"type": "image_url", "image_url": "HTTPS://M.YOUTUBE-NOCOOKIE.COM/embed/x"},
        "send the video itself",
    ),
    "YouTube, with a final dot": (
        {"type": "video", "url": "https://www.youtube.com./watch?v=x"},
        "a YouTube link",
    ),
    "Google's Files API": (
        {"file_data": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
        "a file of Google's Files API cannot be sent.* langchain_kie.KieFiles",
    ),
    "Google's Files API, by name": (
        {"type": "media", "file_uri": "files/abc-1"},
        "Google's Files API",
    ),
    "Google Cloud Storage": ({"type": "media", "file_uri": "gs://a/b.mp4"}, "http.* a signed URL"),
    "path": ({"type": "image", "url": "/etc/passwd"}, NO_LOCAL_FILE),
    "Windows path": ({"type": "image", "url": r"C:\secrets.png"}, NO_LOCAL_FILE),
    "file URL": (
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        NO_LOCAL_FILE,
    ),
    "path in OpenAI's form": ({"type": "file", "file": {"file_url": "../a.pdf"}}, NO_LOCAL_FILE),
    "path in Anthropic's form": (
        {"type": "image", "source": {"type": "url", "url": "./a.png"}},
        NO_LOCAL_FILE,
    ),
    "media_block that was JSON": ({"type": "image", "kie_path": "/etc/passwd"}, NO_LOCAL_FILE),
    "FTP": ({"type": "image", "url": "ftp://a.example/a.png"}, "'ftp://.*': not an http"),
    "data URL without a comma": ({"type": "image", "url": "data:" + "a" * 10**6}, "not an http"),
    "no host": ({"type": "image", "url": "https:///a.png"}, "not an http"),
    "invalid host": ({"type": "image", "url": "https://[::1/a.png"}, "not an http"),
    "base64 as a URL": ({"type": "image", "url": PNG_BASE64}, "this is base64, not a URL"),
    "bytes as base64": (
        {"type": "image", "base64": PNG, "mime_type": "image/png"},
        "the data is not base64; pass raw bytes to media_block",
    ),
    "invalid base64": (
        {"type": "image", "base64": "no base64!", "mime_type": "image/png"},
        "the data is not base64",
    ),
    "unknown type": ({"type": "file", "base64": "aGVsbG8="}, NO_TYPE),
    "text declared as PDF": (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGVsbG8="}},
        r"cannot detect the MIME type of the data \(declared as 'application/pdf'\)",
    ),
    "v1 file id": ({"type": "image", "file_id": "file-1"}, NO_FILE_ID),
    "v0 file id": ({"type": "file", "source_type": "id", "id": "file-1"}, NO_FILE_ID),
    "OpenAI file id": ({"type": "file", "file": {"file_id": "file-1"}}, NO_FILE_ID),
    "OpenAI image id": ({"type": "input_image", "file_id": "file-1"}, NO_FILE_ID),
    "Anthropic file id": (
        {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
        NO_FILE_ID,
    ),
    "section of a video": (
        {"type": "media", "file_uri": URL, "video_metadata": {"fps": 1}},
        "video_metadata cannot be sent; send only that section of the video",
    ),
    "section of a video, in camel case": (
        {"type": "media", "file_uri": URL, "videoMetadata": {"fps": 1}},
        "videoMetadata cannot be sent",
    ),
}
MALFORMED: dict[str, dict[str, Any]] = {
    "a title that is no text": {
        "type": "document",
        "title": 5,
        "source": {"type": "text", "data": "x"},
    },
    "no data": {"type": "image"},
    "path": {"type": "image", "path": Path("/etc/passwd")},
    "path as text": {"type": "image", "path": "/etc/passwd"},
    "empty URL": {"type": "image", "url": ""},
    "no URL": {"type": "image_url", "image_url": None},
    "no audio": {"type": "input_audio"},
    "no audio of an answer": {"type": "output_audio"},
    "no audio, an empty transcript": {"type": "audio", "id": "audio_1", "transcript": ""},
    "no text": {"type": "text"},
    "number as text": {"type": "text", "text": 5},
    "number as base64": {"type": "file", "base64": 5},
    "text as Gemini's part": {"type": "inline_data", "inline_data": "x"},
    "empty Gemini part": {"inline_data": {}},
    "Anthropic source without content": {"type": "document", "source": {"type": "content"}},
    "list as type": {"type": ["image"]},
}
UNKNOWN = {"unknown type": {"type": "hologram", "url": URL}, "no type": {"hologram": URL}}


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    with server_sending(fixture("chat_completion.json")) as started:
        yield started


@pytest.fixture
def server(running: ScriptedServer) -> ScriptedServer:
    running.requests.clear()
    return running


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
@pytest.mark.parametrize(("block", "match"), REJECTED.values(), ids=REJECTED.keys())
async def test_block_is_rejected_before_a_request(
    server: ScriptedServer, call_mode: Any, block: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        await call_mode(model_at(server), [HumanMessage([block])])
    assert server.requests == []


@pytest.mark.parametrize(("block", "match"), REJECTED.values(), ids=REJECTED.keys())
def test_tool_result_explains_a_rejected_block(block: dict[str, Any], match: str) -> None:
    """An error would make the saved conversation unusable."""
    with pytest.warns(UserWarning, match=match):
        (text,) = parse_content(ToolMessage([block], tool_call_id="c0"))
    sent = orjson.loads(str(text))
    assert re.search(match, sent["not sent"])
    assert "base64" not in sent["block"]


@pytest.mark.parametrize("block", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_block_is_rejected(block: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"block of type .*: malformed: it has neither text, data"):
        parse_content(HumanMessage([block]))


@pytest.mark.parametrize("block", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_unknown_block_is_rejected(block: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="blocks of this type cannot be sent"):
        parse_content(HumanMessage([block]))


@pytest.mark.parametrize(
    "block", [*MALFORMED.values(), *UNKNOWN.values()], ids=[*MALFORMED, *UNKNOWN]
)
def test_tool_result_sends_an_unknown_block_as_json(block: dict[str, Any]) -> None:
    (text,) = parse_content(ToolMessage([block], tool_call_id="c0"))
    assert orjson.loads(str(text)) == orjson.loads(orjson.dumps(block, default=str))


def test_text_is_one_part_and_empty_text_is_none() -> None:
    assert parse_content(HumanMessage("a")) == ["a"]
    assert parse_content(HumanMessage("")) == []


def test_tool_result_sends_text_that_is_not_utf8_escaped() -> None:
    (text,) = parse_content(ToolMessage([{"type": "hologram", "a": "\ud800"}], tool_call_id="c0"))
    assert str(text).encode() == b'{"type": "hologram", "a": "\\ud800"}'


def test_tool_result_that_orjson_cannot_encode_sends_dates_and_tuples_as_text() -> None:
    value = {"a": "\ud800", "at": date(2026, 1, 2), ("b", "c"): [{(1,): None, None: 2}]}
    (text,) = parse_content(ToolMessage([{"json": value}], tool_call_id="c0"))
    tuples = """"('b', 'c')": [{"(1,)": null, "null": 2}]"""
    assert text == '{"a": "\\ud800", "at": "2026-01-02", ' + tuples + "}"


def test_tool_result_sends_the_value_of_a_block_that_is_not_standard() -> None:
    block = {"type": "non_standard", "value": {"a": 1}}
    assert parse_content(ToolMessage([block], tool_call_id="c0")) == ['{"a":1}']


def test_tool_result_sends_keys_that_are_numbers() -> None:
    (text,) = parse_content(ToolMessage([{"json": {1: "a", None: 2}}], tool_call_id="c0"))
    assert text == '{"1":"a","null":2}'


@pytest.mark.parametrize("kind", ["x", "image"])
def test_a_tool_result_that_is_nested_too_deeply_is_rejected(kind: str) -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    block = {"type": kind, "url": "ftp://a.example/b", "more": value}
    warnings.simplefilter("ignore")
    with pytest.raises(ValueError, match="content is nested too deeply"):
        parse_content(ToolMessage([block], tool_call_id="c0"))


def test_data_in_a_list_of_a_rejected_block_are_not_sent() -> None:
    block = {"type": "image", "url": "ftp://a.example/b", "more": [{"base64": "x", "a": "y" * 999}]}
    with pytest.warns(UserWarning, match="not an http"):
        (text,) = parse_content(ToolMessage([block], tool_call_id="c0"))
    (more,) = orjson.loads(str(text))["block"]["more"]
    assert more.keys() == {"a"}
    assert len(more["a"]) < 999


def test_error_does_not_show_the_content() -> None:
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
def test_media_that_the_profile_excludes_are_rejected(
    server: ScriptedServer, kind: str, block: dict[str, Any]
) -> None:
    model = model_at(server, profile={f"{kind}_inputs": False})
    call = {"name": "f", "args": {}, "id": "c0"}
    with_result = [AIMessage("", tool_calls=[call]), ToolMessage([block], tool_call_id="c0")]
    for messages in ([HumanMessage([block])], [HumanMessage("hi"), *with_result]):
        with pytest.raises(ValueError, match=f"gemini-3-flash does not support {kind} input"):
            model.invoke(messages)
    assert server.requests == []
    model.invoke("Hello!")
    model.invoke([HumanMessage([block])], model="gemini-3.1-pro")


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "text-plain", "text": "body", "mime_type": "text/plain"}, "body"),
        ({"type": "text-plain", "text": "body", "url": URL}, "body"),
        ({"type": "document", "source": {"type": "text", "data": "body"}}, "body"),
        ({"type": "document", "source": {"type": "content", "content": "body"}}, "body"),
        ({"type": "file", "source_type": "text", "text": "body"}, "body"),
        ({"type": "non_standard", "value": {"type": "input_text", "text": "body"}}, "body"),
        ({"type": "refusal", "refusal": "body"}, "body"),
        ({"type": "text-plain", "text": ""}, None),
        ({"type": "text", "text": ""}, None),
    ],
)
def test_text_of_a_document_is_sent_as_text(block: dict[str, Any], text: str | None) -> None:
    assert parse_content(HumanMessage([block])) == ([text] if text else [])


def test_media_block_with_text_is_sent_as_media() -> None:
    block = {"type": "image", "url": URL, "mime_type": "image/png", "text": "a cat"}
    assert parse_content(HumanMessage([block])) == [Media("image", "image/png", url=URL)]


def test_a_local_file_whose_type_is_not_known_has_the_kind_of_its_block() -> None:
    block = {**media_block(MEDIA / "diagram.png"), "mime_type": None}
    (part,) = parse_content(HumanMessage([block]))
    assert isinstance(part, Media)
    assert (part.kind, part.mime_type) == ("image", None)


CSV = base64.b64encode(b"a,b").decode()
AUDIO = base64.b64encode((MEDIA / "tone.wav").read_bytes()).decode()
IMAGE, TABLE = Media("image", "image/png", data=PNG_BASE64), Media("file", "text/csv", data=CSV)
FORMS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "output_text", "text": "body"}, ["body"]),
    ({"type": "input_text", "text": "body"}, ["body"]),
    ({"type": "input_file", "file_data": CSV, "filename": "a.csv"}, [TABLE]),
    ({"type": "input_file", "file_url": f"{URL}.csv"},
     [Media("file", "text/csv", url=f"{URL}.csv")]),
    ({"type": "file", "file": {"file_data": CSV, "filename": "a.csv"}}, [TABLE]),
    ({"type": "file", "file": {"file_data": f"{URL}.csv"}},
     [Media("file", "text/csv", url=f"{URL}.csv")]),
    ({"type": "file", "file": {"file_url": URL}}, [Media("file", None, url=URL)]),
    ({"type": "input_file", "file_data": f"data:;base64,{CSV}", "filename": "a.csv"},
     [Media("file", "text/csv", data=f"data:;base64,{CSV}", start=13)]),
    ({"type": "file", "url": URL}, [Media("file", None, url=URL)]),
    ({"type": "media", "file_uri": URL}, [Media("file", None, url=URL)]),
    ({"file_data": {"file_uri": URL}}, [Media("file", None, url=URL)]),
    ({"type": "input_image", "image_url": f"{URL}.png"},
     [Media("image", "image/png", url=f"{URL}.png")]),
    ({"type": "input_audio", "input_audio": {"data": AUDIO, "format": "wav"}},
     [Media("audio", "audio/wav", data=AUDIO)]),
    ({"type": "input_audio", "input_audio": {"data": AUDIO}},
     [Media("audio", "audio/wav", data=AUDIO)]),
    ({"type": "input_audio", "input_audio": {"data": CSV, "format": "mp3"}},
     [Media("audio", "audio/mpeg", data=CSV)]),
    ({"type": "input_audio", "input_audio": {"data": AUDIO, "transcript": "hm"}},
     [Media("audio", "audio/wav", data=AUDIO), "hm"]),
    ({"type": "input_audio", "audio": None, "transcript": "hm"}, ["hm"]),
    ({"type": "output_audio", "data": "", "transcript": "hm"}, ["hm"]),
    ({"type": "output_audio", "data": AUDIO}, [Media("audio", "audio/wav", data=AUDIO)]),
    ({"type": "audio", "id": "audio_1", "transcript": "hm"}, ["hm"]),
    ({"type": "audio", "audio": {"id": "audio_1", "transcript": "hm"}}, ["hm"]),
    ({"type": "audio", "base64": AUDIO, "mime_type": "audio/wav", "extras": {"transcript": "hm"}},
     [Media("audio", "audio/wav", data=AUDIO), "hm"]),
    ({"type": "audio", "base64": AUDIO, "extras": {"audio_transcript": "hm"}},
     [Media("audio", "audio/wav", data=AUDIO), "hm"]),
    ({"type": "audio", "base64": AUDIO, "transcript": ["hm"]},
     [Media("audio", "audio/wav", data=AUDIO)]),
    ({"type": "image_generation_call", "result": PNG_BASE64}, [IMAGE]),
    ({"type": "image_generation_call", "result": CSV}, [Media("image", "image/png", data=CSV)]),
    ({"type": "image_generation_call", "result": CSV, "output_format": "webp"},
     [Media("image", "image/webp", data=CSV)]),
    ({"type": "image_generation_call", "status": "failed"}, []),
    ({"inline_data": {"data": CSV, "display_name": "a.csv"}}, [TABLE]),
    ({"inlineData": {"data": CSV, "displayName": "a.csv"}}, [TABLE]),
    ({"inline_data": {"data": CSV, "mime_type": "text/csv"}}, [TABLE]),
    ({"type": "inlineData", "inlineData": {"data": CSV, "mimeType": "text/csv"}}, [TABLE]),
    ({"type": "media", "data": CSV, "mime_type": "text/csv"}, [TABLE]),
    ({"type": "media", "data": f"DATA:text/csv;base64,{CSV}"},
     [Media("file", "text/csv", data=f"DATA:text/csv;base64,{CSV}", start=21)]),
    ({"file_data": {"file_uri": URL, "mime_type": "video/mp4"}},
     [Media("video", "video/mp4", url=URL)]),
    ({"fileData": {"fileUri": URL, "mimeType": "video/mp4"}},
     [Media("video", "video/mp4", url=URL)]),
    ({"type": "document", "source": {"type": "url", "url": URL, "media_type": "application/pdf"}},
     [Media("pdf", "application/pdf", url=URL)]),
    ({"type": "document", "title": "a.csv", "source": {"type": "base64", "data": CSV}}, [TABLE]),
    ({"type": "document", "title": "t", "context": "c", "source": {"type": "text", "data": "d"}},
     ["t", "c", "d"]),
    ({"type": "document", "title": "t", "source": {"type": "content", "content": "d"}},
     ["t", "d"]),
    ({"type": "search_result", "title": "t", "source": "s",
      "content": [{"type": "text", "text": "body"}]}, ["t", "s", "body"]),
    ({"type": "search_result", "title": "", "content": "body"}, ["body"]),
    ({"type": "text", "text": "a", "value": {"type": "text", "text": "b"}}, ["a"]),
]  # fmt: skip


@pytest.mark.parametrize(("block", "parts"), FORMS, ids=lambda v: str(v)[:60])
def test_each_form_of_a_block_is_read(block: dict[str, Any], parts: list[Any]) -> None:
    assert parse_content(HumanMessage([block])) == parts


REPAIRED: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"type": "image", "base64": PNG_BASE64},
     {"type": "image", "base64": PNG_BASE64, "mime_type": "image/png"}),
    ({"type": "image", "source_type": "base64", "data": PNG_BASE64},
     {"type": "image", "base64": PNG_BASE64, "mime_type": "image/png"}),
    ({"type": "file", "source_type": "text", "text": "a"},
     {"type": "text-plain", "text": "a", "mime_type": "text/plain"}),
    ({"type": "file", "file": {"file_data": CSV, "filename": "a.csv"}},
     {"type": "file", "base64": CSV, "mime_type": "text/csv", "filename": "a.csv"}),
    ({"type": "image", "base64": PNG_BASE64, "mime_type": "image/jpeg"}, None),
    ({"type": "image", "base64": "no base64!"}, None),
    ({"type": "image", "url": f"{URL}.png"}, None),
    ({"type": "audio", "base64": AUDIO}, None),
    ({"type": "file", "source_type": "base64", "data": PNG_BASE64}, None),
    ({"type": "file", "source_type": "text"}, None),
    ({"type": "file", "file": {"file_url": f"{URL}.csv"}}, None),
    ({"type": "file", "file": "x"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("block", "repaired"), REPAIRED, ids=lambda v: str(v)[:60])
def test_a_block_that_langchain_misreads_is_replaced(block: Any, repaired: Any) -> None:
    message = HumanMessage(["a", block])
    new = repaired_for_langchain(message)
    assert (new is message) == (repaired is None)
    assert new.content == ["a", repaired or block]


def test_base64_may_be_ascii_bytes() -> None:
    block = {"type": "image", "base64": PNG_BASE64.encode(), "mime_type": "image/png"}
    assert parse_content(HumanMessage([block])) == [Media("image", "image/png", data=PNG_BASE64)]
