"""The File Upload API, and what becomes of the files in a conversation."""

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
from unit_tests.emulator.emulator_client import PNG, Wire

PNG_BASE64 = base64.b64encode(PNG).decode()
FOLDER = {"uploadPath": "images/mine"}
MIME = "The file mime type is not supported by Gemini, please convert or change the file"
MEGABYTE = 1024 * 1024


def stream(wire, fields, content=PNG, name="cat.png", field="file"):
    files = {field: (name, content)}
    return wire.http.post("/api/file-stream-upload", data=fields, files=files).json()


def from_base64(wire, fields, data=PNG_BASE64):
    return wire.post("/api/file-base64-upload", {"base64Data": data, **fields})


def from_url(wire, fields, url="https://files.example/cat.png"):
    return wire.post("/api/file-url-upload", {"fileUrl": url, **fields})


WAYS = {"stream": stream, "base64": from_base64, "url": from_url}


def look(wire, *urls, slug="gemini-3-flash"):
    content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return wire.chat([{"role": "user", "content": content}], slug)


def said(answer):
    return answer["choices"][0]["message"]["content"]


def data_url(mime_type, data):
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


@pytest.fixture
def own():
    """An emulator of the test's own, to be meddled with."""
    with Emulator() as emulator:
        spoken = Wire(emulator)
        yield spoken
        spoken.http.close()


@pytest.mark.parametrize("upload", WAYS.values(), ids=WAYS.keys())
def test_a_file_goes_in_and_comes_out(wire, upload):
    """The answer is the documented one, and nobody needs a key to download."""
    name = f"a cat of {upload.__name__}?.png"
    answer = upload(wire, FOLDER | {"fileName": name})
    data = answer["data"]
    path = f"kieai/100001/images/mine/{name}"
    assert datetime.fromisoformat(data.pop("uploadedAt")).utcoffset() is not None
    url = data.pop("downloadUrl")
    assert url.startswith(f"{wire.emulator.base_url}/kieai/100001/images/mine/a%20cat")
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
    assert "image/png (16 bytes)" in said(look(wire, url))


NAMES = {
    "of a streamed file": (lambda wire: stream(wire, FOLDER), r"upload-\d+\.png"),
    "of base64": (lambda wire: from_base64(wire, FOLDER), r"upload-\d+"),
    "of a data URL": (
        lambda wire: from_base64(wire, FOLDER, data_url("audio/wav", b"x")),
        r"upload-\d+\.wav",
    ),
    "of a URL": (lambda wire: from_url(wire, FOLDER), r"upload-\d+\.png"),
    "that is empty": (lambda wire: stream(wire, FOLDER | {"fileName": ""}), r"upload-\d+\.png"),
}


@pytest.mark.parametrize(("upload", "pattern"), NAMES.values(), ids=NAMES.keys())
def test_a_name_is_made_up(wire, upload, pattern):
    """A new one for every upload."""
    first, second = (upload(wire)["data"]["fileName"] for _ in range(2))
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
REFUSED = {"application/json", "application/octet-stream"}


@pytest.mark.parametrize(("name", "mime_type"), TYPES.items())
def test_the_name_tells_the_type(wire, name, mime_type):
    """Whatever the bytes are; and Gemini takes only what it can read."""
    content = b"%PDF-" if name == "a.pdf" else b"plain"
    data = stream(wire, FOLDER | {"fileName": name}, content, "other.png")["data"]
    served = httpx.head(data["downloadUrl"], trust_env=False).headers["content-type"]
    assert (data["mimeType"], served.partition(";")[0]) == (mime_type, mime_type)
    answer = look(wire, data["downloadUrl"])
    if mime_type in REFUSED:
        assert answer == {"code": 400, "msg": MIME, "data": None}
    else:
        assert f"{mime_type} (5 bytes)" in said(answer)


NO_BASE64 = "Base64 decoding failed: Invalid Base64 format"
MISSING = "Missing required parameter: "
REFUSALS = {
    "no file": (lambda w: stream(w, FOLDER, field="upload"), f"{MISSING}file"),
    "a file that is text": (
        lambda w: w.http.post("/api/file-stream-upload", data={"file": "x", **FOLDER}).json(),
        f"{MISSING}file",
    ),
    "JSON to the stream": (lambda w: w.post("/api/file-stream-upload", FOLDER), f"{MISSING}file"),
    "a form that is broken": (
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
    "a folder that is a number": (
        lambda w: from_base64(w, {"uploadPath": 1}),
        f"{MISSING}uploadPath",
    ),
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
    "bad base64": (lambda w: from_base64(w, FOLDER, "a?b="), NO_BASE64),
    "base64 that is not ASCII": (lambda w: from_base64(w, FOLDER, "ä"), NO_BASE64),
    "a data URL of text": (lambda w: from_base64(w, FOLDER, "data:text/plain,abcd"), NO_BASE64),
    "a data URL of nothing": (lambda w: from_base64(w, FOLDER, "data:a/b;base64,"), "empty"),
    "no JSON": (
        lambda w: w.http.post("/api/file-base64-upload", content=b"{").json(),
        f"{MISSING}base64Data",
    ),
    "JSON that is no object": (lambda w: w.post("/api/file-url-upload", []), f"{MISSING}fileUrl"),
    "a URL out of reach": (
        lambda w: from_url(w, FOLDER, "https://elsewhere.example/a.png"),
        "HTTP 403: Forbidden",
    ),
    "a URL of nothing": (
        lambda w: from_url(w, FOLDER, f"{w.emulator.base_url}/gone.png"),
        "HTTP 404: Not Found",
    ),
    "a URL that is none": (lambda w: from_url(w, FOLDER, "http://["), "HTTP 403: Forbidden"),
}


@pytest.mark.parametrize(("upload", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_wrong_is_refused(wire, upload, words):
    """With HTTP 200 and the documented members."""
    answer = upload(wire)
    assert answer.keys() == {"success", "code", "msg"}
    assert (answer["success"], answer["code"]) == (False, 400)
    assert words in answer["msg"]


@pytest.mark.parametrize("upload", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "kie-emulator-key"])
def test_a_wrong_key_is_refused(own, upload, authorization):
    """In the documented words, which are not those of the chat routes."""
    own.http.headers["authorization"] = authorization
    assert upload(own, FOLDER) == {
        "success": False,
        "code": 401,
        "msg": "Authentication failed: Invalid API Key",
    }


@pytest.mark.parametrize("code", [401, 402, 500])
def test_uploads_can_be_made_to_fail(code):
    """Until they are made to work again."""
    with Emulator(fail_uploads=code) as emulator:
        wire = Wire(emulator)
        answer = stream(wire, FOLDER)
        assert (answer["success"], answer["code"]) == (False, code)
        emulator.fail_uploads = None
        assert stream(wire, FOLDER)["success"]
        assert len(emulator.requests) == 2
        wire.http.close()


def test_a_name_given_again_overwrites(wire):
    """The URL stays, the file is the new one."""
    named = FOLDER | {"fileName": "again.txt"}
    first, second = (stream(wire, named, text)["data"] for text in (b"one", b"second"))
    assert first["downloadUrl"] == second["downloadUrl"]
    assert httpx.get(first["downloadUrl"], trust_env=False).text == "second"


def test_files_are_gone_after_three_days(own):
    """And what comes later stays."""
    first = stream(own, FOLDER)["data"]["downloadUrl"]
    own.emulator.expire_files()
    second = stream(own, FOLDER)["data"]["downloadUrl"]
    statuses = [httpx.get(url, trust_env=False).status_code for url in (first, second)]
    assert statuses == [404, 200]
    assert f"{first} image download failed: HTTP 404: Not Found" in look(own, first)["msg"]


def test_uploads_are_noted_down_without_their_bytes(own):
    """Downloads are not noted down at all, whoever makes them."""
    stream(own, FOLDER | {"fileName": "b.pdf"}, b"12345")
    url = from_base64(own, FOLDER)["data"]["downloadUrl"]
    stream(own, FOLDER, field="upload")
    look(own, url)
    httpx.get(f"{url}x", trust_env=False)
    *uploads, chat = own.emulator.requests
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


def test_a_large_file_is_not_held_in_memory(own, tmp_path):
    """It goes to the disk as it comes, and out again likewise."""
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(48 * MEGABYTE)
    tracemalloc.start()
    with large.open("rb") as file:
        url = stream(own, FOLDER, file, large.name)["data"]["downloadUrl"]
    with httpx.stream("GET", url, trust_env=False) as response:
        assert sum(map(len, response.iter_bytes())) == 48 * MEGABYTE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * MEGABYTE


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch):
    """Not even by an emulator that is started twice, or told to do it all again."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            assert list(tmp_path.iterdir()) == []
            wire = Wire(emulator)
            url = stream(wire, FOLDER | {"fileName": "a.png"})["data"]["downloadUrl"]
            stream(wire, FOLDER | {"fileName": "a.png"})
            (directory,) = tmp_path.iterdir()
            assert len(list(directory.iterdir())) == 1
            emulator.expire_files()
            assert wire.http.get(url).status_code == 404
            assert list(directory.iterdir()) == []
            wire.http.close()
        assert list(tmp_path.iterdir()) == []


def test_who_hangs_up_amid_an_upload_does_no_harm(own, caplog):
    """Nothing is kept, noted down or complained of."""
    host, port = own.emulator.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /api/file-stream-upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc'
        )
    assert stream(own, FOLDER)["success"]
    own.emulator.__exit__()
    assert len(own.emulator.requests) == 1
    assert caplog.records == []


def test_media_can_be_lost(own):
    """The answer is fluent, and the tokens are those of the text alone."""
    content = [
        {"type": "text", "text": "Hello"},
        {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
    ]
    parts = [{"text": "Hello"}, {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}]

    def ask():
        chat = own.chat([{"role": "user", "content": content}])
        native = own.native([{"role": "user", "parts": parts}])
        text = native["candidates"][0]["content"]["parts"][-1]["text"]
        tokens = (chat["usage"]["prompt_tokens"], native["usageMetadata"]["promptTokenCount"])
        return said(chat).startswith("I received"), text.startswith("I received"), tokens

    assert ask() == (True, True, (1101, 1101))
    own.emulator.drops_media = True
    assert ask() == (False, False, (1, 1))


COSTS = {
    "an image on 2.5 Flash": ("gemini-2.5-flash", "image/png", PNG, 1109),
    "an image on 3.1 Pro": ("gemini-3.1-pro", "image/png", PNG, 347),
    "an image on 3.6 Flash": ("gemini-3-6-flash-openai", "image/png", PNG, 1098),
    "an image elsewhere": ("gemini-3-flash", "image/jpeg", b"x", 1100),
    "sound": ("gemini-3-flash", "audio/mpeg", b"ID3\x04", 32),
    "film": ("gemini-3-flash", "video/mp4", b"\0\0\0 ftypisom", 290),
    "a document": ("gemini-3-flash", "application/pdf", b"%PDF-1.7", 258),
    "text": ("gemini-3-flash", "text/plain", b"word" * 100, 100),
}


@pytest.mark.parametrize(("slug", "mime_type", "data", "tokens"), COSTS.values(), ids=COSTS.keys())
def test_media_cost_tokens(wire, slug, mime_type, data, tokens):
    """By what they are; the one besides is that of the text, which is none."""
    answer = look(wire, data_url(mime_type, data), slug=slug)
    assert answer["usage"]["prompt_tokens"] == tokens + 1


@pytest.mark.parametrize("slug", ["gemini-2.5-flash", "gemini-3-5-flash-openai"])
@pytest.mark.parametrize(
    ("sizes", "accepted"),
    [([1_770_000], True), ([2_010_000], False), ([1_770_000, 1_770_000], False)],
)
def test_inline_media_are_limited(wire, slug, sizes, accepted):
    """The limit that was measured in September 2026 applies to all data of a request together."""
    answer = look(wire, *(data_url("image/png", b"x" * size) for size in sizes), slug=slug)
    assert ("choices" in answer) == accepted
    assert accepted or (answer["code"], "Inline data URL is too large" in answer["msg"]) == (
        400,
        True,
    )


def test_what_is_uploaded_is_not_inline(wire):
    """An uploaded file of any size is for every model."""
    url = stream(wire, FOLDER, b"x" * 3_460_000 + b".")["data"]["downloadUrl"]
    assert "(3460001 bytes)" in said(look(wire, url, slug="gemini-3-5-flash-openai"))


BEGINNINGS = {
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
EITHER = {
    "an MP4": b"\0\0\0\x20ftypisom",
    "a WebM": b"\x1aE\xdf\xa3",
    "an Ogg": b"OggS\0",
}


@pytest.mark.parametrize(("mime_type", "data"), BEGINNINGS.items(), ids=BEGINNINGS.keys())
def test_what_a_file_is_said_to_be_must_fit_it(mime_type, data):
    """Down to the kind; whether a picture is a PNG or a JPEG does not matter."""
    kinds = {"image", "audio", "video", "text", "application"}
    own_kind = mime_type.partition("/")[0]
    assert {kind for kind in kinds if not contradicts(f"{kind}/any", data)} == {own_kind}


@pytest.mark.parametrize("data", EITHER.values(), ids=EITHER.keys())
def test_some_containers_hold_sound_or_film(data):
    """Both are believed, nothing else is."""
    assert not contradicts("audio/any", data)
    assert not contradicts("video/any", data)
    assert contradicts("image/any", data)


@pytest.mark.parametrize("data", [b"", b"ID3 is a tag", b"GIF8", b"\xff\xfeh\0i\0", b"RIFF"])
def test_what_has_no_known_beginning_is_believed(data):
    """A text may begin with anything."""
    assert not contradicts("text/plain", data)


def test_a_wrong_extension_is_found_out(wire):
    """A picture that was uploaded as sound is read as sound, and fails."""
    url = stream(wire, FOLDER | {"fileName": "cat.mp3"})["data"]["downloadUrl"]
    assert look(wire, url) == {"code": 400, "msg": MIME, "data": None}
