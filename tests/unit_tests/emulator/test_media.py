"""Media in a conversation: inline or uploaded, their limits, tokens and types."""

from __future__ import annotations

import base64

import pytest

from langchain_kie.emulator.media_types import contradicts
from unit_tests.emulator.emulator_client import PNG
from unit_tests.emulator.media_client import (
    FOLDER,
    MIME,
    PNG_BASE64,
    ask_about,
    data_url,
    stream,
    text_of,
)


def test_inline_data_natively_may_be_url_safe(client):
    """Google's JSON parser reads both alphabets of base64; google-genai sends this one."""
    data = PNG + b"\xff\xfe\xfb\xff"
    encoded = base64.urlsafe_b64encode(data).decode()
    assert set("-_") <= set(encoded)
    parts = [{"inline_data": {"mime_type": "image/png", "data": encoded}}]
    body = client.native([{"role": "user", "parts": parts}])
    text = body["candidates"][0]["content"]["parts"][-1]["text"]
    assert f"image/png ({len(data)} bytes)" in text


def test_drops_media(isolated):
    """The answer has no error, and only the text counts as tokens."""
    content = [
        {"type": "text", "text": "Hello"},
        {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
    ]
    parts = [{"text": "Hello"}, {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}]

    def ask():
        chat = isolated.chat([{"role": "user", "content": content}])
        native = isolated.native([{"role": "user", "parts": parts}])
        text = native["candidates"][0]["content"]["parts"][-1]["text"]
        tokens = (chat["usage"]["prompt_tokens"], native["usageMetadata"]["promptTokenCount"])
        return text_of(chat).startswith("I received"), text.startswith("I received"), tokens

    assert ask() == (True, True, (1101, 1101))
    isolated.emulator.drops_media = True
    assert ask() == (False, False, (1, 1))


COSTS = {
    "an image on 2.5 Flash": ("gemini-2.5-flash", "image/png", PNG, 1109),
    "an image on 3.1 Pro": ("gemini-3.1-pro", "image/png", PNG, 347),
    "an image on 3.6 Flash": ("gemini-3-6-flash-openai", "image/png", PNG, 1098),
    "an image elsewhere": ("gemini-3-flash", "image/jpeg", b"x", 1100),
    "audio": ("gemini-3-flash", "audio/mpeg", b"ID3\x04", 32),
    "video": ("gemini-3-flash", "video/mp4", b"\0\0\0 ftypisom", 290),
    "a document": ("gemini-3-flash", "application/pdf", b"%PDF-1.7", 258),
    "text": ("gemini-3-flash", "text/plain", b"word" * 100, 100),
}


@pytest.mark.parametrize(("slug", "mime_type", "data", "tokens"), COSTS.values(), ids=COSTS.keys())
def test_media_tokens(client, slug, mime_type, data, tokens):
    """The empty text counts as one more token."""
    answer = ask_about(client, data_url(mime_type, data), slug=slug)
    assert answer["usage"]["prompt_tokens"] == tokens + 1


HEAD = "data:image/png;x=yyy;base64,"  # 28 characters, so that its data can fill groups of 4
MAX_INLINE = 2_360_000
TOO_LARGE = (
    "The image URL<data:...(truncated,len={})> Inline data URL is too large. Upload the file and "
    "pass an HTTP(S) URL instead."
)
INLINE = {
    "the maximum": ((MAX_INLINE,), None),
    "the maximum twice": ((MAX_INLINE, MAX_INLINE), None),
    "one group of base64 more": ((MAX_INLINE + 4,), MAX_INLINE + 4),
    "a second one that is larger": ((40, MAX_INLINE + 40), MAX_INLINE + 40),
}


@pytest.mark.parametrize(("lengths", "refused"), INLINE.values(), ids=INLINE.keys())
@pytest.mark.parametrize("slug", ["gemini-2.5-flash", "gemini-3-8-flash-openai", "native"])
def test_inline_media_are_limited(client, slug, lengths, refused):
    """The limit is the length of one data URL; with the native API, of the base64 text."""
    if slug == "native":
        blobs = [{"mimeType": "image/png", "data": "A" * length} for length in lengths]
        parts = [{"inlineData": blob} for blob in blobs]
        answer = client.native([{"role": "user", "parts": parts}])
    else:
        urls = [HEAD + "A" * (length - len(HEAD)) for length in lengths]
        answer = ask_about(client, *urls, slug=slug)
    if refused is None:
        assert "msg" not in answer
    else:
        assert answer == {"code": 400, "msg": TOO_LARGE.format(refused), "data": None}


def test_uploaded_files_are_not_limited(client):
    """They are not inline data."""
    url = stream(client, FOLDER, b"x" * 3_460_000 + b".")["data"]["downloadUrl"]
    assert "(3460001 bytes)" in text_of(ask_about(client, url, slug="gemini-3-5-flash-openai"))


FIRST_BYTES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "image/heic": b"\0\0\0\x18ftypheic",
    "image/tiff": b"II*\0",
    "application/pdf": b"%PDF-1.7",
    "audio/mpeg": b"\xff\xfb\x90\0",
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "audio/aiff": b"FORM\0\0\0\x20AIFFCOMM",
    "audio/flac": b"fLaC\0",
    "video/avi": b"RIFF\x24\0\0\0AVI LIST",
    "video/mpeg": b"\0\0\x01\xba",
    "video/x-flv": b"FLV\x01",
}
AUDIO_OR_VIDEO = {"an MP4": b"\0\0\0\x20ftypisom", "a WebM": b"\x1aE\xdf\xa3", "an Ogg": b"OggS\0"}


@pytest.mark.parametrize(("mime_type", "data"), FIRST_BYTES.items(), ids=FIRST_BYTES.keys())
def test_first_bytes_must_match_the_type(mime_type, data):
    """Only the top-level type must match: a PNG may be declared as a JPEG."""
    kinds = {"image", "audio", "video", "text", "application"}
    matching = {kind for kind in kinds if not contradicts(f"{kind}/any", data)}
    assert matching == {mime_type.partition("/")[0]}


@pytest.mark.parametrize("data", AUDIO_OR_VIDEO.values(), ids=AUDIO_OR_VIDEO.keys())
def test_containers_of_audio_or_video(data):
    """Both types are accepted, others are not."""
    assert not contradicts("audio/any", data)
    assert not contradicts("video/any", data)
    assert contradicts("image/any", data)


@pytest.mark.parametrize("data", [b"", b"ID3 is a tag", b"GIF8", b"\xff\xfeh\0i\0", b"RIFF"])
def test_unknown_first_bytes_match_every_type(data):
    """A text can begin with any bytes."""
    assert not contradicts("text/plain", data)


def test_wrong_extension_is_rejected(client):
    """An image that was uploaded as audio cannot be read as audio."""
    url = stream(client, FOLDER | {"fileName": "cat.mp3"})["data"]["downloadUrl"]
    assert ask_about(client, url) == {"code": 400, "msg": MIME, "data": None}
