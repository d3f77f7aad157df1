"""The File Upload API, and the use of uploaded files in a conversation."""

from __future__ import annotations

import re
import socket
import tempfile
import tracemalloc
from datetime import datetime

import httpx
import pytest

from langchain_kie.emulator import Emulator
from unit_tests.emulator.emulator_client import PNG, EmulatorClient
from unit_tests.emulator.media_client import (
    FOLDER,
    MIME,
    PNG_BASE64,
    ask_about,
    data_url,
    stream,
    text_of,
)

MEGABYTE = 1024 * 1024


def from_base64(client, fields, data=PNG_BASE64):
    return client.post("/api/file-base64-upload", {"base64Data": data, **fields})


def from_url(client, fields, url="https://files.example/cat.png"):
    return client.post("/api/file-url-upload", {"fileUrl": url, **fields})


UPLOADS = {"stream": stream, "base64": from_base64, "url": from_url}


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
    downloaded = httpx.get(url, trust_env=False, verify=False)
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
    served = httpx.head(data["downloadUrl"], trust_env=False, verify=False).headers["content-type"]
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
    assert httpx.get(first["downloadUrl"], trust_env=False, verify=False).text == "second"


def test_files_expire_after_a_day(isolated):
    """Later uploads do not expire."""
    first = stream(isolated, FOLDER)["data"]["downloadUrl"]
    isolated.emulator.expire_files()
    second = stream(isolated, FOLDER)["data"]["downloadUrl"]
    statuses = [
        httpx.get(url, trust_env=False, verify=False).status_code for url in (first, second)
    ]
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
    assert httpx.get(data["downloadUrl"], trust_env=False, verify=False).status_code == status
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
    httpx.get(f"{url}x", trust_env=False, verify=False)
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
    with httpx.stream("GET", url, trust_env=False, verify=False) as response:
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
