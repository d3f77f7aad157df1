"""`KieFiles`, `KieFile` and `media_block`."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import httpx
import pytest
from pydantic import SecretStr

from langchain_kie import (
    ChatKieGemini,
    KieConfigurationError,
    KieFile,
    KieFiles,
    KieInvalidRequestError,
    media_block,
)
from langchain_kie._chat_model.call import files_of
from langchain_kie._conversation.mime_types import HEAD_BYTES
from langchain_kie.emulator import Emulator
from langchain_kie.files import FILE_LIFETIME
from unit_tests.upload_server import (
    KEY,
    MEDIA,
    MEGABYTE,
    PNG,
    UPLOADS,
    empty,
    unique_png,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAV = (MEDIA / "tone.wav").read_bytes()


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
    response = httpx.get(file.url, trust_env=False, verify=False)
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
    """wire.md 9-10, 9-11, 9-13."""
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
    """wire.md 9-5, 9-10: links to YouTube are rejected before that."""
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
    """wire.md 9-4, 9-14: the server's type depends on the extension."""
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


# --- settings and types ----------------------------------------------------------------------


def test_missing_key_and_http_host_are_rejected() -> None:
    with pytest.raises(KieConfigurationError, match="there is no key"):
        KieFiles()
    with pytest.raises(KieConfigurationError, match="upload_url must use https"):
        KieFiles(api_key=SecretStr(KEY), upload_url="http://files.example")
    for max_retries in (None, "2", -1):
        with pytest.raises(KieConfigurationError, match="max_retries"):
            KieFiles(api_key=KEY, max_retries=max_retries)


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
    """wire.md 9-9."""
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
