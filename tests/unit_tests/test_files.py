"""`KieFiles`, `KieFile` and `media_block`."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import pickle
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import httpx
import pytest
from call_modes import fixture, server_sending
from langchain_core.messages import HumanMessage
from pydantic import SecretStr
from scripted_server import Scripted, ScriptedServer

from langchain_kie import (
    ChatKieGemini,
    KieAuthenticationError,
    KieConfigurationError,
    KieConnectionError,
    KieError,
    KieFile,
    KieFiles,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieProtocolError,
    KieServerError,
    KieTimeoutError,
    amedia_block,
    media_block,
)
from langchain_kie._chat_model.call import files_of
from langchain_kie._conversation.mime_types import HEAD_BYTES
from langchain_kie.emulator import Emulator
from langchain_kie.errors import KieEmptyResponseError
from langchain_kie.files import FILE_LIFETIME
from unit_tests.upload_server import (
    KEY,
    MEDIA,
    PNG,
    STORED_AT,
    aupload,
    failure,
    files_at,
    receipt,
    unique_png,
    upload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAV = (MEDIA / "tone.wav").read_bytes()
MEGABYTE = 1024 * 1024
KIE_FILE = KieFile(STORED_AT, "a.png", "image/png", 1, datetime(2999, 1, 1, tzinfo=UTC))
UPLOADS = pytest.mark.parametrize("upload_mode", [upload, aupload])


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(media={"https://media.example/cat.png": PNG}) as started:
        yield started


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.reset()
    return running


@pytest.fixture
def files(emulator: Emulator) -> KieFiles:
    return KieFiles(api_key=emulator.api_key, upload_url=emulator.base_url, max_retries=0)


def downloaded(file: KieFile) -> tuple[str, bytes]:
    """The MIME type and the content that the URL serves."""
    response = httpx.get(file.url, trust_env=False)
    return response.headers["content-type"], response.content


# --- files that can be uploaded --------------------------------------------------------------


class Unseekable(io.RawIOBase):
    """A file object without `seek`."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


def at_its_end(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(0, os.SEEK_END)
    return file


def gzipped(path: Path) -> Any:
    (path / "a.png.gz").write_bytes(gzip.compress(PNG))
    return gzip.open(path / "a.png.gz")


def zipped(path: Path) -> Any:
    with zipfile.ZipFile(path / "a.zip", "w") as archive:
        archive.writestr("a.png", PNG)
    return zipfile.ZipFile(path / "a.zip").open("a.png")


def unflushed(path: Path) -> Any:
    file = (path / "a.png").open("w+b")
    file.write(PNG)
    return file


def linked(path: Path) -> Path:
    (path / "link.jpg").symlink_to(MEDIA / "diagram.png")
    return path / "link.jpg"


SOURCES: dict[str, Callable[[Path], Any]] = {
    "path": lambda _: MEDIA / "diagram.png",
    "symbolic link": linked,
    "bytes": lambda _: PNG,
    "bytearray": lambda _: bytearray(PNG),
    "memoryview": lambda _: memoryview(PNG),
    "file object": lambda _: (MEDIA / "diagram.png").open("rb"),
    "file object at its end": lambda _: at_its_end(PNG),
    "file object that cannot seek": lambda _: Unseekable(PNG),
    "file that is decompressed": gzipped,
    "file in an archive": zipped,
    "file with unwritten buffers": unflushed,
}


@UPLOADS
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
async def test_every_kind_of_file_is_uploaded(
    files: KieFiles, emulator: Emulator, tmp_path: Path, upload_mode: Any, source: Any
) -> None:
    given = source(tmp_path)
    progress: list[tuple[int, int]] = []
    try:
        before = datetime.now(UTC)
        file = await upload_mode(files, given, on_progress=lambda *sent: progress.append(sent))
        assert not getattr(given, "closed", False)
    finally:
        getattr(given, "close", lambda: None)()
    assert downloaded(file) == ("image/png", PNG)
    assert (file.mime_type, file.size) == ("image/png", len(PNG))
    assert (len(file.name), file.name[-4:]) == (36, ".png")
    assert before + FILE_LIFETIME <= file.expires_at <= datetime.now(UTC) + FILE_LIFETIME
    assert not file.is_expired
    assert progress == [(len(PNG), len(PNG))]
    (request,) = emulator.requests
    assert request.body["uploadPath"] == "langchain-kie"
    assert request.path == "/api/file-stream-upload"


@UPLOADS
async def test_http_url_is_downloaded_by_kie(
    files: KieFiles, emulator: Emulator, upload_mode: Any
) -> None:
    file = await upload_mode(files, "https://media.example/cat.png")
    assert downloaded(file) == ("image/png", PNG)
    assert file.mime_type == "image/png"
    (request,) = emulator.requests
    assert request.path == "/api/file-url-upload"
    with pytest.raises(
        KieInvalidRequestError, match=r"the upload of a file of media\.example failed"
    ):
        await upload_mode(files, "https://media.example/dog.png")
    with pytest.raises(ValueError, match="a YouTube link"):
        await upload_mode(files, "https://youtu.be/x")


def test_progress_is_reported_repeatedly(files: KieFiles) -> None:
    progress: list[tuple[int, int]] = []
    files.upload(unique_png(MEGABYTE), on_progress=lambda *sent: progress.append(sent))
    assert len(progress) > 4
    assert progress == sorted(progress)
    assert progress[-1] == (MEGABYTE, MEGABYTE)
    assert {total for _, total in progress} == {MEGABYTE}


class UnseekableText(io.StringIO):
    def seekable(self) -> bool:
        return False


class Broken(io.BytesIO):
    """A file of which only the beginning can be read."""

    def read(self, size: int | None = -1) -> bytes:
        if size in {0, HEAD_BYTES}:
            return super().read(size)
        raise OSError("broken disk")


def text_file(_: Path) -> Any:
    return Path(__file__).open()


def empty(path: Path) -> Path:
    (path / "a.png").write_bytes(b"")
    return path / "a.png"


UNREADABLE: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "no bytes": (lambda _: b"", ValueError, "the file is empty"),
    "empty file": (empty, ValueError, "a.png is empty"),
    "no file": (lambda path: path / "none", FileNotFoundError, "none"),
    "directory": (lambda path: path, IsADirectoryError, "directory"),
    "text": (lambda _: io.StringIO("a"), ValueError, "the file must be opened in binary mode"),
    "text file": (text_file, ValueError, "test_files.py must be opened in binary mode"),
    "text that cannot seek": (lambda _: UnseekableText("a"), ValueError, "in binary mode"),
    "data URL": (lambda _: "data:,x", ValueError, "not an http"),
    "FTP": (lambda _: "ftp://a.example/a.png", ValueError, "not an http"),
    "URL without an extension": (
        lambda _: "https://media.example/cat",
        ValueError,
        r"cannot detect the MIME type of https://media.example/cat; pass mime_type=",
    ),
    "None": (lambda _: None, ValueError, "cannot upload a NoneType"),
    "file that cannot be read": (lambda _: Broken(PNG), OSError, "broken disk"),
    "unknown type": (lambda _: b"hello", ValueError, "cannot detect the MIME type of the data"),
}


@UPLOADS
@pytest.mark.parametrize(("source", "error", "match"), UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_unreadable_file_is_not_uploaded(
    files: KieFiles,
    emulator: Emulator,
    tmp_path: Path,
    upload_mode: Any,
    source: Any,
    error: type[Exception],
    match: str,
) -> None:
    given = source(tmp_path)
    with pytest.raises(error, match=match):
        await upload_mode(files, given)
    getattr(given, "close", lambda: None)()
    assert emulator.requests == []


def test_file_type_without_an_extension_is_not_uploaded(files: KieFiles) -> None:
    with pytest.raises(ValueError, match="cannot upload a file of type application/x-odd"):
        files.upload(b"\0", mime_type="application/x-odd")


@pytest.mark.parametrize(
    ("given", "data", "name", "served_as"),
    [
        ("cat.png", PNG, "cat.png", "image/png"),
        ("cat", PNG, "cat.png", "image/png"),
        ("cat.v2", PNG, "cat.v2.png", "image/png"),
        ("cat.txt", PNG, "cat.txt.png", "image/png"),
        ("CAT.PNG", PNG, "CAT.PNG", "image/png"),
        ("cat.jpg", PNG, "cat.jpg.png", "image/png"),
        ("song.mp3", WAV, "song.mp3.wav", "audio/wav"),
        ("tone.png", WAV, "tone.png.wav", "audio/wav"),
        ("猫 1%.png", PNG, "猫 1%.png", "image/png"),
        ('a"b;c.png', PNG, 'a"b;c.png', "image/png"),
        (".png", PNG, ".png.png", "image/png"),
    ],
)
def test_name_gets_the_extension_of_the_type(
    files: KieFiles, given: str, data: bytes, name: str, served_as: str
) -> None:
    file = files.upload(data, name=given)
    assert file.name == name
    assert downloaded(file) == (served_as, data)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a\\b", "/etc/x", "a\nb.png", "\0.png"]
)
def test_invalid_name_is_rejected(files: KieFiles, emulator: Emulator, name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid file name"):
        files.upload(PNG, name=name)
    assert emulator.requests == []


async def test_twenty_concurrent_uploads(files: KieFiles, emulator: Emulator) -> None:
    images = [unique_png(MEGABYTE) for _ in range(20)]
    stored = await asyncio.gather(*(files.aupload(data) for data in images))
    assert len({file.url for file in stored}) == len(emulator.requests) == 20
    assert [downloaded(file)[1] for file in stored] == images


# --- answers of the upload API ---------------------------------------------------------------

DAY = timedelta(hours=24)
EXPIRIES: dict[str, tuple[Callable[[datetime], Any], timedelta | None]] = {
    "as Python writes it": (lambda now: (now + DAY).isoformat(), DAY),
    "as JavaScript writes it": (lambda now: (now + DAY).isoformat().replace("+00:00", "Z"), DAY),
    "without a time zone": (lambda now: (now + DAY).replace(tzinfo=None).isoformat(), DAY),
    "later than documented": (lambda now: (now + 300 * DAY).isoformat(), FILE_LIFETIME),
    "long ago": (lambda _: "0001-01-01T00:00:00+05:00", None),
    "no time": (lambda _: "soon", FILE_LIFETIME),
    "a number": (lambda _: 1_800_000_000, FILE_LIFETIME),
    "missing": (lambda _: None, FILE_LIFETIME),
}


@pytest.mark.parametrize(("stated", "lifetime"), EXPIRIES.values(), ids=EXPIRIES.keys())
def test_expiry_is_read_from_the_answer(stated: Any, lifetime: timedelta | None) -> None:
    before = datetime.now(UTC)
    with server_sending(receipt(expiresAt=stated(before))) as server:
        file = files_at(server).upload(PNG)
    assert file.is_expired is (lifetime is None)
    if lifetime is None:
        with pytest.raises(ValueError, match="has expired; upload the file again"):
            file.block()
    else:
        assert before + lifetime <= file.expires_at <= datetime.now(UTC) + lifetime


def test_field_names_of_both_documentation_pages_are_read() -> None:
    other = receipt(downloadUrl=None, fileUrl=f"{STORED_AT}x", fileName="b.png", fileSize="5")
    with server_sending(receipt(fileSize=len(PNG)), other) as server:
        first, second = files_at(server).upload(PNG), files_at(server).upload(PNG)
    assert (first.url, first.name, first.size) == (STORED_AT, "a.png", len(PNG))
    assert (second.url, second.name, second.size) == (f"{STORED_AT}x", "b.png", None)
    assert first.block() == {"type": "image", "url": STORED_AT, "mime_type": "image/png"}
    assert media_block(first) == first.block()


BUSY = failure(500, "Internal server error")
FAILURES: dict[str, tuple[Scripted, type[KieError], str]] = {
    "key": (failure(401, "Invalid API Key"), KieAuthenticationError, "failed: Invalid API Key"),
    "credits": (
        failure(402, "Top up"),
        KieInsufficientCreditsError,
        "the upload of .+ failed: Top up",
    ),
    "parameter": (failure(400, "No uploadPath"), KieInvalidRequestError, "failed: No uploadPath"),
    "source": (
        failure(400, "The file does not exist"),
        KieInvalidRequestError,
        "the upload of .+ failed: The file does not exist",
    ),
    "server": (BUSY, KieServerError, "the upload of .+ failed: Internal server error"),
    "no upload API": (
        Scripted([b'{"status":404,"error":"Not Found"}'], status=404),
        KieInvalidRequestError,
        "there is no file upload at this address",
    ),
    "gateway": (
        Scripted([fixture("gateway_524.html")], status=524),
        KieTimeoutError,
        "the upload of .+ failed: an HTML page",
    ),
    "too large": (
        Scripted([b"Too Large"], status=413),
        KieInvalidRequestError,
        "the upload of .+ failed",
    ),
    "empty answer": (Scripted([]), KieEmptyResponseError, "the upload of .+ failed"),
    "no URL": (
        Scripted([receipt(downloadUrl=None)]),
        KieProtocolError,
        "the upload of .+ failed: the answer has no URL of the file",
    ),
    "FTP URL": (
        Scripted([receipt(downloadUrl="ftp://a.example/a")]),
        KieProtocolError,
        "the answer has no URL of the file",
    ),
    "truncated file": (
        Scripted([receipt(fileSize=3)]),
        KieServerError,
        "the upload of .+ failed: KIE stored 3 of 200 bytes",
    ),
    "JSON that is no object": (Scripted([b'"ok"']), KieProtocolError, "the upload of .+ failed"),
    "HTML page": (Scripted([b"<html>hi</html>"]), KieProtocolError, "the upload of .+ failed"),
    "truncated answer": (
        Scripted([receipt()[:40]], ending="rst"),
        KieConnectionError,
        "the upload of .+ failed",
    ),
    "connection reset": (
        Scripted(reads="head", framing="raw", ending="rst"),
        KieConnectionError,
        "the upload of .+ failed",
    ),
}


@UPLOADS
@pytest.mark.parametrize(("answer", "error", "match"), FAILURES.values(), ids=FAILURES.keys())
async def test_error_says_that_the_upload_failed(
    upload_mode: Any, answer: Scripted, error: type[KieError], match: str
) -> None:
    with ScriptedServer(answer) as server:
        with pytest.raises(error, match=match) as caught:
            await upload_mode(files_at(server), unique_png())
        assert KEY not in f"{caught.value!r}{caught.value}"
        assert server.tries == 1


def name_in(body: bytes) -> bytes:
    return body.partition(b'filename="')[2].partition(b'"')[0]


@UPLOADS
async def test_retry_sends_the_file_from_its_beginning(
    upload_mode: Any, no_sleep: list[float]
) -> None:
    data, progress = unique_png(200_000), []
    with ScriptedServer(BUSY, BUSY, Scripted([receipt()])) as server:
        file = await upload_mode(
            files_at(server, max_retries=2),
            io.BytesIO(data),
            on_progress=lambda *sent: progress.append(sent),
        )
        assert file.url == STORED_AT
        assert [data in request.body for request in server.requests] == [True] * 3
        assert len({name_in(request.body) for request in server.requests}) == 1
    assert progress.count((200_000, 200_000)) == 3


@UPLOADS
async def test_on_progress_can_stop_the_upload(upload_mode: Any) -> None:
    def stop(sent: int, _total: int) -> None:
        if sent > 100_000:
            raise InterruptedError("enough")

    with server_sending(receipt()) as server:
        with pytest.raises(InterruptedError, match="enough"):
            await upload_mode(files_at(server), unique_png(MEGABYTE), on_progress=stop)
        assert (await upload_mode(files_at(server), unique_png())).url == STORED_AT


@UPLOADS
async def test_redirect_is_not_followed(upload_mode: Any) -> None:
    with server_sending(receipt()) as other, httpx.Client(follow_redirects=True) as client:
        headers = {"Location": f"{other.base_url}/api/file-stream-upload"}
        with (
            ScriptedServer(Scripted([], status=307, headers=headers)) as server,
            pytest.raises(KieProtocolError, match="redirect, which is never followed"),
        ):
            await upload_mode(files_at(server, http_client=client), unique_png())
        assert other.requests == []


# --- settings and types ----------------------------------------------------------------------


def test_missing_key_and_http_host_are_rejected() -> None:
    with pytest.raises(KieConfigurationError, match="there is no key"):
        KieFiles()
    with pytest.raises(KieConfigurationError, match="upload_url must use https"):
        KieFiles(api_key=SecretStr(KEY), upload_url="http://files.example")


@pytest.mark.parametrize(
    ("environment", "settings", "host"),
    [
        ({}, {}, "https://kieai.redpandaai.co"),
        ({"KIE_BASE_URL": "https://relay.example/v"}, {}, "https://relay.example/v"),
        ({"KIE_UPLOAD_URL": "https://up.example"}, {}, "https://up.example"),
        (
            {"KIE_UPLOAD_URL": "https://up.example"},
            {"upload_url": "https://x.example/"},
            "https://x.example",
        ),
    ],
)
def test_host_of_the_upload_api(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    settings: dict[str, str],
    host: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert repr(KieFiles(api_key=KEY, **settings)) == f"KieFiles(upload_url={host!r})"
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY, **settings)
    assert repr(files_of(model)) == f"KieFiles(upload_url={host!r})"
    assert KEY not in KieFiles(api_key=KEY).account


@pytest.mark.parametrize(
    "documented",
    [
        media_block,
        KieFile,
        KieFile.block,
        KieFile.is_expired.fget,
        KieFiles.__init__,
        KieFiles.__repr__,
        KieFiles.account.fget,
        KieFiles.upload,
        KieFiles.aupload,
    ],
)
def test_type_hints_resolve_at_run_time(documented: Any) -> None:
    assert get_type_hints(documented)


# --- media_block -----------------------------------------------------------------------------


def test_media_block_holds_the_path() -> None:
    path = MEDIA / "tone.wav"
    block = media_block(path)
    assert block == {"type": "file", "kie_path": path.absolute(), "mime_type": "audio/wav"}
    for text in (str(path), path.as_uri(), path.as_uri().replace("file:", "FILE:")):
        with pytest.raises(ValueError, match=r"pathlib\.Path"):
            media_block(text)
    assert pickle.loads(pickle.dumps(HumanMessage([block]))).content == [block]
    assert HumanMessage([block]).content_blocks == [block]


def test_media_block_makes_a_relative_path_absolute(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(MEDIA)
    block = media_block(Path("diagram.png"))
    monkeypatch.chdir(tmp_path)
    assert block["kie_path"] == MEDIA / "diagram.png"


async def test_media_block_rejects_what_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        media_block(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        media_block(tmp_path)
    for given, match in (
        ("a.png", r"'a.png': not an http.* use langchain_kie.media_block\(pathlib.Path"),
        ("https://youtu.be/x", "a YouTube link"),
        (b"hello", "cannot detect the MIME type of the data"),
        (b"", "the data is empty"),
        (empty(tmp_path), "a.png is empty"),
    ):
        with pytest.raises(ValueError, match=match):
            media_block(given)
        with pytest.raises(ValueError, match=match):
            await amedia_block(given)


@pytest.mark.parametrize(
    "file",
    [MEDIA / "tone.wav", PNG, bytearray(PNG), "https://files.example/a.png", KIE_FILE],
    ids=type,
)
async def test_amedia_block_is_media_block_in_a_thread(file: Any) -> None:
    assert await amedia_block(file) == media_block(file)
    with pytest.raises(FileNotFoundError):
        await amedia_block(Path("none.png"))
