"""The File Upload API, and the use of uploaded files in a conversation."""

from __future__ import annotations

import base64
import re
import socket
import tempfile
import tracemalloc
from datetime import datetime

import httpx
import pytest

from langchain_kie.emulator import Emulator
from langchain_kie.emulator.media_types import contradicts
from unit_tests.emulator.emulator_client import PNG, EmulatorClient

PNG_BASE64 = base64.b64encode(PNG).decode()
FOLDER = {"uploadPath": "images/mine"}
MIME = "The file mime type is not supported by Gemini, please convert or change the file"
MEGABYTE = 1024 * 1024


def stream(client, fields, content=PNG, name="cat.png", field="file"):
    files = {field: (name, content)}
    return client.http.post("/api/file-stream-upload", data=fields, files=files).json()


def from_base64(client, fields, data=PNG_BASE64):
    return client.post("/api/file-base64-upload", {"base64Data": data, **fields})


def from_url(client, fields, url="https://files.example/cat.png"):
    return client.post("/api/file-url-upload", {"fileUrl": url, **fields})


UPLOADS = {"stream": stream, "base64": from_base64, "url": from_url}


def ask_about(client, *urls, slug="gemini-3-flash"):
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return client.chat([{"role": "user", "content": content}], slug)


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def data_url(mime_type, data):
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS.keys())
def test_upload_and_download(client, upload):
    """The answer is the documented one, and a download needs no key."""
    name = f"a cat of {upload.__name__}?.png"
    answer = upload(client, FOLDER | {"fileName": name})
    data = answer["data"]
    path = f"kieai/100001/images/mine/{name}"
    assert datetime.fromisoformat(data.pop("uploadedAt")).utcoffset() is not None
    url = data.pop("downloadUrl")
    assert url.startswith(f"{client.emulator.base_url}/kieai/100001/images/mine/a%20cat")
    assert answer == {
        "success": True,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "success": True,
            "fileName": name,
            "filePath": path,
            "fileSize": len(PNG),
            "mimeType": "image/png",
        },
    }
    downloaded = httpx.get(url, trust_env=False)
    assert (downloaded.content, downloaded.headers["content-type"]) == (PNG, "image/png")
    assert "image/png (16 bytes)" in text_of(ask_about(client, url))


NAMES = {
    "of a streamed file": (lambda client: stream(client, FOLDER), r"upload-\d+\.png"),
    "of base64": (lambda client: from_base64(client, FOLDER), r"upload-\d+"),
    "of a data URL": (
        lambda client: from_base64(client, FOLDER, data_url("audio/wav", b"x")),
        r"upload-\d+\.wav",
    ),
    "of a URL": (lambda client: from_url(client, FOLDER), r"upload-\d+\.png"),
    "that is empty": (lambda client: stream(client, FOLDER | {"fileName": ""}), r"upload-\d+\.png"),
}


@pytest.mark.parametrize(("upload", "pattern"), NAMES.values(), ids=NAMES.keys())
def test_generated_name(client, upload, pattern):
    """Every upload without a name gets another one."""
    first, second = (upload(client)["data"]["fileName"] for _ in range(2))
    assert re.fullmatch(pattern, first)
    assert first != second


TYPES = {
    "a.png": "image/png",
    "a.JPG": "image/jpeg",
    "a.webp": "image/webp",
    "a.heic": "image/heic",
    "a.mp3": "audio/mpeg",
    "a.wav": "audio/wav",
    "a.m4a": "audio/mp4",
    "a.ogg": "audio/ogg",
    "a.flac": "audio/flac",
    "a.aiff": "audio/aiff",
    "a.3gp": "video/3gpp",
    "a.avi": "video/avi",
    "a.mp4": "video/mp4",
    "a.webm": "video/webm",
    "a.mov": "video/quicktime",
    "a.pdf": "application/pdf",
    "a.txt": "text/plain",
    "a.csv": "text/csv",
    "a.json": "application/json",
    "a.png.gz": "application/octet-stream",
    "a.unheard": "application/octet-stream",
    "a": "application/octet-stream",
}
UNSUPPORTED = {"application/json", "application/octet-stream"}


@pytest.mark.parametrize(("name", "mime_type"), TYPES.items())
def test_name_determines_the_type(client, name, mime_type):
    """The content does not matter; Gemini rejects unsupported types."""
    content = b"%PDF-" if name == "a.pdf" else b"plain"
    data = stream(client, FOLDER | {"fileName": name}, content, "other.png")["data"]
    served = httpx.head(data["downloadUrl"], trust_env=False).headers["content-type"]
    assert (data["mimeType"], served.partition(";")[0]) == (mime_type, mime_type)
    answer = ask_about(client, data["downloadUrl"])
    if mime_type in UNSUPPORTED:
        assert answer == {"code": 400, "msg": MIME, "data": None}
    else:
        assert f"{mime_type} (5 bytes)" in text_of(answer)


INVALID_BASE64 = "Base64 decoding failed: Invalid Base64 format"
MISSING = "Missing required parameter: "
REJECTED = {
    "no file": (lambda w: stream(w, FOLDER, field="upload"), f"{MISSING}file"),
    "a form field instead of a file": (
        lambda w: w.http.post("/api/file-stream-upload", data={"file": "x", **FOLDER}).json(),
        f"{MISSING}file",
    ),
    "JSON instead of a form": (
        lambda w: w.post("/api/file-stream-upload", FOLDER),
        f"{MISSING}file",
    ),
    "an invalid form": (
        lambda w: w.http.post(
            "/api/file-stream-upload",
            content=b"--x\r\nrubbish",
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ).json(),
        "",
    ),
    "two files": (
        lambda w: w.http.post(
            "/api/file-stream-upload", data=FOLDER, files=[("file", PNG), ("file", PNG)]
        ).json(),
        "Too many files",
    ),
    "an empty file": (lambda w: stream(w, FOLDER, b""), "empty"),
    "no folder": (lambda w: stream(w, {}), f"{MISSING}uploadPath"),
    "an empty folder": (lambda w: from_base64(w, {"uploadPath": ""}), f"{MISSING}uploadPath"),
    "a number as folder": (lambda w: from_base64(w, {"uploadPath": 1}), f"{MISSING}uploadPath"),
    **{
        f"the folder {folder}": (
            lambda w, folder=folder: stream(w, {"uploadPath": folder}),
            "Invalid uploadPath",
        )
        for folder in ("/images", "images/", "/", "a//b", "../a")
    },
    **{
        f"the name {name}": (
            lambda w, name=name: from_base64(w, FOLDER | {"fileName": name}),
            "Invalid fileName",
        )
        for name in ("a/b.png", "..", 7, ["a.png"])
    },
    "no base64": (lambda w: from_base64(w, FOLDER, None), f"{MISSING}base64Data"),
    "invalid base64": (lambda w: from_base64(w, FOLDER, "a?b="), INVALID_BASE64),
    "base64 that is not ASCII": (lambda w: from_base64(w, FOLDER, "ä"), INVALID_BASE64),
    "a data URL without base64": (
        lambda w: from_base64(w, FOLDER, "data:text/plain,abcd"),
        INVALID_BASE64,
    ),
    "an empty data URL": (lambda w: from_base64(w, FOLDER, "data:a/b;base64,"), "empty"),
    "invalid JSON": (
        lambda w: w.http.post("/api/file-base64-upload", content=b"{").json(),
        f"{MISSING}base64Data",
    ),
    "JSON that is not an object": (
        lambda w: w.post("/api/file-url-upload", []),
        f"{MISSING}fileUrl",
    ),
    "an unreachable URL": (
        lambda w: from_url(w, FOLDER, "https://elsewhere.example/a.png"),
        "HTTP 403: Forbidden",
    ),
    "a URL that is not found": (
        lambda w: from_url(w, FOLDER, f"{w.emulator.base_url}/gone.png"),
        "HTTP 404: Not Found",
    ),
    "an invalid URL": (lambda w: from_url(w, FOLDER, "http://["), "HTTP 403: Forbidden"),
}


@pytest.mark.parametrize(("upload", "words"), REJECTED.values(), ids=REJECTED.keys())
def test_rejected_uploads(client, upload, words):
    """An error is HTTP 200 with the documented fields."""
    answer = upload(client)
    assert answer.keys() == {"success", "code", "msg"}
    assert (answer["success"], answer["code"]) == (False, 400)
    assert words in answer["msg"]


@pytest.mark.parametrize("upload", UPLOADS.values(), ids=UPLOADS.keys())
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "kie-emulator-key"])
def test_wrong_key_is_rejected(isolated, upload, authorization):
    """The message is the documented one, which differs from that of the chat completions API."""
    isolated.http.headers["authorization"] = authorization
    assert upload(isolated, FOLDER) == {
        "success": False,
        "code": 401,
        "msg": "Authentication failed: Invalid API Key",
    }


@pytest.mark.parametrize("code", [401, 402, 500])
def test_fail_uploads(code):
    """Uploads fail with the given code until it is reset."""
    with Emulator(fail_uploads=code) as emulator:
        client = EmulatorClient(emulator)
        answer = stream(client, FOLDER)
        assert (answer["success"], answer["code"]) == (False, code)
        emulator.fail_uploads = None
        assert stream(client, FOLDER)["success"]
        assert len(emulator.requests) == 2
        client.http.close()


def test_same_name_overwrites(client):
    """The URL does not change."""
    named = FOLDER | {"fileName": "again.txt"}
    first, second = (stream(client, named, text)["data"] for text in (b"one", b"second"))
    assert first["downloadUrl"] == second["downloadUrl"]
    assert httpx.get(first["downloadUrl"], trust_env=False).text == "second"


def test_files_expire_after_a_day(isolated):
    """Later uploads do not expire."""
    first = stream(isolated, FOLDER)["data"]["downloadUrl"]
    isolated.emulator.expire_files()
    second = stream(isolated, FOLDER)["data"]["downloadUrl"]
    statuses = [httpx.get(url, trust_env=False).status_code for url in (first, second)]
    assert statuses == [404, 200]
    assert (
        f"{first} image download failed: HTTP 404: Not Found" in ask_about(isolated, first)["msg"]
    )


@pytest.mark.parametrize(("age", "status"), [(24 * 3600 - 1, 200), (24 * 3600, 404)])
def test_clock_determines_the_age_of_files(isolated, age, status):
    """The clock can be replaced, so that a test need not wait."""
    isolated.emulator.clock = lambda: 1_800_000_000.0
    data = stream(isolated, FOLDER)["data"]
    isolated.emulator.clock = lambda: 1_800_000_000.0 + age
    assert httpx.get(data["downloadUrl"], trust_env=False).status_code == status
    assert data["uploadedAt"] == "2027-01-15T08:00:00.000Z"


def test_lost_files_as_text(isolated):
    """The error of a lost file can be the text of the answer, with both APIs."""
    url = stream(isolated, FOLDER)["data"]["downloadUrl"]
    part = {"fileData": {"mimeType": "image/png", "fileUri": url}}
    isolated.emulator.expire_files()
    for switch in (False, True):
        isolated.emulator.lost_files_as_text = switch
        chat = ask_about(isolated, url)
        native = isolated.native([{"role": "user", "parts": [part]}])
        if switch:
            (text,) = native["candidates"][0]["content"]["parts"]
            assert text_of(chat) == text["text"] == "Failed to get file information"
        else:
            assert "image download failed" in chat["msg"]
            assert chat == native


def test_uploads_are_recorded_without_their_content(isolated):
    """Downloads are not recorded."""
    stream(isolated, FOLDER | {"fileName": "b.pdf"}, b"12345")
    url = from_base64(isolated, FOLDER)["data"]["downloadUrl"]
    stream(isolated, FOLDER, field="upload")
    ask_about(isolated, url)
    httpx.get(f"{url}x", trust_env=False)
    *uploads, chat = isolated.emulator.requests
    assert chat.path == "/gemini-3-flash/v1/chat/completions"
    assert [(r.path, r.body) for r in uploads] == [
        (
            "/api/file-stream-upload",
            {**FOLDER, "fileName": "b.pdf", "size": 5, "mimeType": "application/pdf"},
        ),
        (
            "/api/file-base64-upload",
            {**FOLDER, "fileName": None, "size": 16, "mimeType": "application/octet-stream"},
        ),
        (
            "/api/file-stream-upload",
            {**FOLDER, "fileName": None, "size": None, "mimeType": "application/octet-stream"},
        ),
    ]
    assert all("authorization" not in r.headers for r in uploads)


def test_large_file_is_not_loaded_into_memory(isolated, tmp_path):
    """Upload and download are streamed."""
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(48 * MEGABYTE)
    tracemalloc.start()
    with large.open("rb") as file:
        url = stream(isolated, FOLDER, file, large.name)["data"]["downloadUrl"]
    with httpx.stream("GET", url, trust_env=False) as response:
        assert sum(map(len, response.iter_bytes())) == 48 * MEGABYTE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * MEGABYTE


def test_no_files_remain_on_disk(tmp_path, monkeypatch):
    """Expired and overwritten files are deleted, and all others when the emulator stops."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            assert list(tmp_path.iterdir()) == []
            client = EmulatorClient(emulator)
            url = stream(client, FOLDER | {"fileName": "a.png"})["data"]["downloadUrl"]
            stream(client, FOLDER | {"fileName": "a.png"})
            (directory,) = tmp_path.iterdir()
            assert len(list(directory.iterdir())) == 1
            emulator.expire_files()
            assert client.http.get(url).status_code == 404
            assert list(directory.iterdir()) == []
            client.http.close()
        assert list(tmp_path.iterdir()) == []


def test_aborted_upload(isolated, caplog):
    """Nothing is stored, recorded or logged."""
    host, port = isolated.emulator.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /api/file-stream-upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc'
        )
    assert stream(isolated, FOLDER)["success"]
    isolated.emulator.__exit__()
    assert len(isolated.emulator.requests) == 1
    assert caplog.records == []


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
