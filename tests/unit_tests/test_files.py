"""Files on their way to KIE: streamed, named, uploaded once, and to no host but one."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import subprocess
import sys
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import HumanMessage
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
    media_block,
)
from langchain_kie._conversation.media import HEAD_BYTES, Media, media_from_data
from langchain_kie._uploads import evict, upload_all
from langchain_kie.emulator import Emulator
from langchain_kie.errors import KieEmptyResponseError
from langchain_kie.files import FILE_LIFETIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEDIA = Path(__file__).parents[1] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
WAV = (MEDIA / "tone.wav").read_bytes()
KEY = "sk-CANARY-0123456789"
MEGABYTE = 1024 * 1024
STORED_AT = "https://files.example/kieai/1/langchain-kie/a.png"

_SERIALS = count(1)


def picture(size: int = 200) -> bytes:
    """A PNG that is like no other: what was uploaded once is not uploaded again."""
    return PNG.ljust(size - 4, b"\0") + next(_SERIALS).to_bytes(4, "big")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(media={"https://media.example/cat.png": PNG}) as started:
        yield started


@pytest.fixture(autouse=True)
def cleared(emulator: Emulator) -> None:
    emulator.clear()


@pytest.fixture
def files(emulator: Emulator) -> KieFiles:
    return KieFiles(api_key=emulator.api_key, upload_url=emulator.base_url, max_retries=0)


async def upload(files: KieFiles, *args: Any, **kwargs: Any) -> KieFile:
    return files.upload(*args, **kwargs)


async def aupload(files: KieFiles, *args: Any, **kwargs: Any) -> KieFile:
    return await files.aupload(*args, **kwargs)


UPLOADS = pytest.mark.parametrize("call_mode", [upload, aupload])


def fetched(file: KieFile) -> tuple[str, bytes]:
    response = httpx.get(file.url, trust_env=False)
    return response.headers["content-type"], response.content


# --- what can be uploaded --------------------------------------------------------------------


class Pipe(io.RawIOBase):
    """A file object that cannot go back."""

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
    "a path": lambda _: MEDIA / "diagram.png",
    "a path as text": lambda _: str(MEDIA / "diagram.png"),
    "a file URL": lambda _: (MEDIA / "diagram.png").as_uri(),
    "a symbolic link": linked,
    "bytes": lambda _: PNG,
    "a bytearray": lambda _: bytearray(PNG),
    "a memoryview": lambda _: memoryview(PNG),
    "a file object": lambda _: (MEDIA / "diagram.png").open("rb"),
    "a file object at its end": lambda _: at_its_end(PNG),
    "a file object without a call_mode back": lambda _: Pipe(PNG),
    "a file that is decompressed": gzipped,
    "a file in an archive": zipped,
    "a file that is being written": unflushed,
}


@UPLOADS
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
async def test_a_file_of_any_kind_arrives_whole(
    files: KieFiles, emulator: Emulator, tmp_path: Path, call_mode: Any, source: Any
) -> None:
    given = source(tmp_path)
    seen: list[tuple[int, int]] = []
    try:
        before = datetime.now(UTC)
        file = await call_mode(files, given, on_progress=lambda *numbers: seen.append(numbers))
        assert not getattr(given, "closed", False)
    finally:
        getattr(given, "close", lambda: None)()
    assert fetched(file) == ("image/png", PNG)
    assert (file.mime_type, file.size) == ("image/png", len(PNG))
    assert (len(file.name), file.name[-4:]) == (36, ".png")
    assert before + FILE_LIFETIME <= file.expires_at <= datetime.now(UTC) + FILE_LIFETIME
    assert not file.is_expired
    assert seen == [(len(PNG), len(PNG))]
    (request,) = emulator.requests
    assert request.body["uploadPath"] == "langchain-kie"
    assert request.path == "/api/file-stream-upload"


@UPLOADS
async def test_a_url_is_fetched_by_kie(files: KieFiles, emulator: Emulator, call_mode: Any) -> None:
    file = await call_mode(files, "https://media.example/cat.png")
    assert fetched(file) == ("image/png", PNG)
    assert file.mime_type == "image/png"
    (request,) = emulator.requests
    assert request.path == "/api/file-url-upload"
    with pytest.raises(KieInvalidRequestError, match="the upload failed: Failed to download"):
        await call_mode(files, "https://media.example/dog.png")
    with pytest.raises(ValueError, match="a YouTube link"):
        await call_mode(files, "https://youtu.be/x")


def test_progress_is_told_piece_by_piece(files: KieFiles) -> None:
    seen: list[tuple[int, int]] = []
    files.upload(picture(MEGABYTE), on_progress=lambda *numbers: seen.append(numbers))
    assert len(seen) > 4
    assert seen == sorted(seen)
    assert seen[-1] == (MEGABYTE, MEGABYTE)
    assert {total for _, total in seen} == {MEGABYTE}


def of_text(_: Path) -> Any:
    return Path(__file__).open()


class TextPipe(io.StringIO):
    def seekable(self) -> bool:
        return False


class Broken(io.BytesIO):
    """A file of which only the beginning can be read."""

    def read(self, size: int | None = -1) -> bytes:
        if size in {0, HEAD_BYTES}:
            return super().read(size)
        raise OSError("broken disk")


def with_data(path: Path, data: bytes) -> Path:
    (path / "a.png").write_bytes(data)
    return path / "a.png"


UNREADABLE: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "nothing": (lambda _: b"", ValueError, "the file is empty"),
    "an empty file": (lambda path: with_data(path, b""), ValueError, "a.png is empty"),
    "no file": (lambda path: path / "none", FileNotFoundError, "none"),
    "a directory": (lambda path: path, IsADirectoryError, "directory"),
    "text": (lambda _: io.StringIO("a"), ValueError, "must be opened in binary mode"),
    "a file of text": (of_text, ValueError, "opened in binary mode"),
    "text without a call_mode back": (lambda _: TextPipe("a"), ValueError, "opened in binary mode"),
    "a data URL": (lambda _: "data:,x", ValueError, "is not an http"),
    "another scheme": (lambda _: "ftp://a.example/a.png", ValueError, "is not an http"),
    "no address of a type": (
        lambda _: "https://media.example/cat",
        ValueError,
        r"cannot detect the MIME type of https://media.example/cat; pass mime_type=",
    ),
    "no file at all": (lambda _: None, ValueError, "cannot upload a NoneType"),
    "a file that fails": (lambda _: Broken(PNG), OSError, "broken disk"),
    "an unknown type": (lambda _: b"hello", ValueError, "cannot detect the MIME type"),
}


@UPLOADS
@pytest.mark.parametrize(("source", "error", "match"), UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_cannot_be_read_is_not_sent(
    files: KieFiles,
    emulator: Emulator,
    tmp_path: Path,
    call_mode: Any,
    source: Any,
    error: type[Exception],
    match: str,
) -> None:
    given = source(tmp_path)
    with pytest.raises(error, match=match):
        await call_mode(files, given)
    getattr(given, "close", lambda: None)()
    assert emulator.requests == []


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
def test_a_name_has_the_extension_that_tells_the_type(
    files: KieFiles, given: str, data: bytes, name: str, served_as: str
) -> None:
    file = files.upload(data, name=given)
    assert file.name == name
    assert fetched(file) == (served_as, data)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a\\b", "/etc/x", "a\nb.png", "\0.png"]
)
def test_a_name_that_cannot_be_is_refused(files: KieFiles, emulator: Emulator, name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid file name"):
        files.upload(PNG, name=name)
    assert emulator.requests == []


def test_names_are_never_the_same(files: KieFiles) -> None:
    assert len({files.upload(PNG).name for _ in range(5)}) == 5


async def test_twenty_at_once(files: KieFiles, emulator: Emulator) -> None:
    pictures = [picture(MEGABYTE) for _ in range(20)]
    stored = await asyncio.gather(*(files.aupload(data) for data in pictures))
    assert len({file.url for file in stored}) == len(emulator.requests) == 20
    assert [fetched(file)[1] for file in stored] == pictures


# --- receipts --------------------------------------------------------------------------------


def receipt(**members: Any) -> bytes:
    data = {"success": True, "downloadUrl": STORED_AT, **members}
    return orjson.dumps({"success": True, "code": 200, "msg": "ok", "data": data})


def files_at(server: ScriptedServer, **settings: Any) -> KieFiles:
    return KieFiles(api_key=KEY, upload_url=server.base_url, **{"max_retries": 0, **settings})


DAY = timedelta(hours=24)
EXPIRIES: dict[str, tuple[Callable[[datetime], Any], timedelta | None]] = {
    "as Python writes it": (lambda now: (now + DAY).isoformat(), DAY),
    "as JavaScript does": (lambda now: (now + DAY).isoformat().replace("+00:00", "Z"), DAY),
    "without a zone": (lambda now: (now + DAY).replace(tzinfo=None).isoformat(), DAY),
    "later than KIE keeps anything": (lambda now: (now + 300 * DAY).isoformat(), FILE_LIFETIME),
    "long ago": (lambda _: "0001-01-01T00:00:00+05:00", None),
    "no time": (lambda _: "soon", FILE_LIFETIME),
    "a number": (lambda _: 1_800_000_000, FILE_LIFETIME),
    "not told": (lambda _: None, FILE_LIFETIME),
}


@pytest.mark.parametrize(("told", "life"), EXPIRIES.values(), ids=EXPIRIES.keys())
def test_a_file_knows_when_it_expires(told: Any, life: timedelta | None) -> None:
    with server_sending(receipt(expiresAt=told(datetime.now(UTC)))) as server:
        file = files_at(server).upload(PNG)
    assert file.is_expired is (life is None)
    if life is not None:
        assert abs(file.expires_at - datetime.now(UTC) - life) < timedelta(minutes=5)


def test_the_names_of_either_page_are_read() -> None:
    other = receipt(downloadUrl=None, fileUrl=f"{STORED_AT}x", fileName="b.png", fileSize="5")
    with server_sending(receipt(fileSize=len(PNG)), other) as server:
        first, second = files_at(server).upload(PNG), files_at(server).upload(PNG)
    assert (first.url, first.name, first.size) == (STORED_AT, "a.png", len(PNG))
    assert (second.url, second.name, second.size) == (f"{STORED_AT}x", "b.png", None)
    assert first.block() == {"type": "image", "url": STORED_AT, "mime_type": "image/png"}
    assert media_block(first) == first.block()


# --- failures --------------------------------------------------------------------------------


def refusal(code: int, message: str) -> Scripted:
    return Scripted([orjson.dumps({"success": False, "code": code, "msg": message})])


BUSY = refusal(500, "Internal server error")
FAILURES: dict[str, tuple[Scripted, type[KieError], str]] = {
    "key": (refusal(401, "Invalid API Key"), KieAuthenticationError, "failed: Invalid API Key"),
    "credits": (refusal(402, "Top up"), KieInsufficientCreditsError, "the upload failed: Top up"),
    "parameter": (refusal(400, "No uploadPath"), KieInvalidRequestError, "failed: No uploadPath"),
    "source": (
        refusal(400, "The file does not exist"),
        KieInvalidRequestError,
        "the upload failed: The file does not exist",
    ),
    "server": (BUSY, KieServerError, "the upload failed: Internal server error"),
    "route": (
        Scripted([b'{"status":404,"error":"Not Found"}'], status=404),
        KieInvalidRequestError,
        "there is no file upload at this address",
    ),
    "gateway": (
        Scripted([fixture("gateway_524.html")], status=524),
        KieServerError,
        "the upload failed: an HTML page",
    ),
    "too large": (Scripted([b"Too Large"], status=413), KieInvalidRequestError, "upload failed"),
    "nothing": (Scripted([]), KieEmptyResponseError, "the upload failed"),
    "no URL": (
        Scripted([receipt(downloadUrl=None)]),
        KieProtocolError,
        "the upload failed: the answer has no URL of the file",
    ),
    "no web address": (
        Scripted([receipt(downloadUrl="ftp://a.example/a")]),
        KieProtocolError,
        "the answer has no URL of the file",
    ),
    "a part of the file": (
        Scripted([receipt(fileSize=3)]),
        KieServerError,
        "the upload failed: KIE stored 3 of 200 bytes",
    ),
    "no object": (Scripted([b'"ok"']), KieProtocolError, "the upload failed"),
    "a page": (Scripted([b"<html>hi</html>"]), KieProtocolError, "the upload failed"),
    "cut": (Scripted([receipt()[:40]], ending="rst"), KieConnectionError, "the upload failed"),
    "no answer": (
        Scripted(reads="head", framing="raw", ending="rst"),
        KieConnectionError,
        "the upload failed",
    ),
}


@UPLOADS
@pytest.mark.parametrize(("answer", "error", "match"), FAILURES.values(), ids=FAILURES.keys())
async def test_a_failure_says_that_it_was_the_upload(
    call_mode: Any, answer: Scripted, error: type[KieError], match: str
) -> None:
    with ScriptedServer(answer) as server:
        with pytest.raises(error, match=match) as caught:
            await call_mode(files_at(server), picture())
        assert KEY not in f"{caught.value!r}{caught.value}"
        assert server.tries == 1


@UPLOADS
async def test_an_upload_is_made_again_from_its_beginning(
    call_mode: Any, no_sleep: list[float]
) -> None:
    data, seen = picture(200_000), []
    with ScriptedServer(BUSY, BUSY, Scripted([receipt()])) as server:
        file = await call_mode(
            files_at(server, max_retries=2), io.BytesIO(data), on_progress=lambda *n: seen.append(n)
        )
        assert file.url == STORED_AT
        assert [data in request.body for request in server.requests] == [True] * 3
        assert len({name_in(request.body) for request in server.requests}) == 1
    assert seen.count((200_000, 200_000)) == 3


def name_in(body: bytes) -> bytes:
    return body.partition(b'filename="')[2].partition(b'"')[0]


@UPLOADS
async def test_who_watches_may_break_it_off(call_mode: Any) -> None:
    def stop(sent: int, _total: int) -> None:
        if sent > 100_000:
            raise InterruptedError("enough")

    with server_sending(receipt()) as server:
        with pytest.raises(InterruptedError, match="enough"):
            await call_mode(files_at(server), picture(MEGABYTE), on_progress=stop)
        assert (await call_mode(files_at(server), picture())).url == STORED_AT


def test_without_a_key_nothing_is_sent() -> None:
    with pytest.raises(KieConfigurationError, match="there is no key"):
        KieFiles()
    with pytest.raises(KieConfigurationError, match="upload_url must be https"):
        KieFiles(api_key=KEY, upload_url="http://files.example")


# --- who sees the key ------------------------------------------------------------------------


def uploading(chat: ScriptedServer, upload: ScriptedServer, **fields: Any) -> ChatKieGemini:
    settings = {"upload_url": upload.base_url, "media_upload": "always", **fields}
    return model_at(chat, api_key=KEY, **settings)


def asked_with(*blocks: dict[str, Any]) -> list[HumanMessage]:
    return [HumanMessage([{"type": "text", "text": "What is it?"}, *blocks])]


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_the_key_is_for_two_hosts_and_headers_are_for_one(call_mode: Any) -> None:
    whole = fixture("chat_whole.json")
    with (
        server_sending(whole) as chat,
        server_sending(receipt()) as uploads,
        server_sending(PNG) as elsewhere,
    ):
        model = uploading(chat, uploads, default_headers={"X-Team": "secret", "X-Key": KEY})
        remote = {"type": "image", "url": f"{elsewhere.base_url}/cat.png"}
        await call_mode(model, asked_with(media_block(picture()), remote))
        assert elsewhere.requests == []
        (sent,), (asked,) = uploads.requests, chat.requests
    assert sent.headers["authorization"] == asked.headers["authorization"] == f"Bearer {KEY}"
    assert "x-team" not in sent.headers
    assert repr(sent.headers).count(KEY) == 1
    assert asked.headers["x-team"] == "secret"
    assert KEY.encode() not in sent.body
    assert [p["image_url"]["url"] for p in asked.json["messages"][0]["content"][1:]] == [
        STORED_AT,
        remote["url"],
    ]


@UPLOADS
async def test_a_redirect_of_an_upload_is_not_followed(call_mode: Any) -> None:
    with server_sending(receipt()) as elsewhere, httpx.Client(follow_redirects=True) as own:
        away = {"Location": f"{elsewhere.base_url}/api/file-stream-upload"}
        with (
            ScriptedServer(Scripted([], status=307, headers=away)) as server,
            pytest.raises(KieProtocolError, match="redirect, which is never followed"),
        ):
            await call_mode(files_at(server, http_client=own), picture())
        assert elsewhere.requests == []


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
def test_where_files_go(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    settings: dict[str, str],
    host: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert repr(KieFiles(api_key=KEY, **settings)) == f"KieFiles(upload_url={host!r})"
    model = ChatKieGemini(model="gemini-3-flash", api_key=KEY, **settings)
    assert repr(model._files()) == f"KieFiles(upload_url={host!r})"
    assert KEY not in KieFiles(api_key=KEY).account


# --- once ------------------------------------------------------------------------------------


def test_two_accounts_upload_apart() -> None:
    block = media_block(picture())
    with server_sending(fixture("chat_whole.json")) as chat, server_sending(receipt()) as uploads:
        for key in (KEY, KEY, f"{KEY}-2"):
            uploading(chat, uploads).model_copy(update={"api_key": _secret(key)}).invoke(
                asked_with(block)
            )
        assert len(uploads.requests) == 2


def _secret(key: str) -> Any:
    return ChatKieGemini(model="gemini-3-flash", api_key=key).api_key


def test_a_file_about_to_expire_is_uploaded_again() -> None:
    block = media_block(picture())
    hour = timedelta(hours=1)
    soon, later = (receipt(expiresAt=(datetime.now(UTC) + n * hour).isoformat()) for n in (0.5, 2))
    with (
        server_sending(fixture("chat_whole.json")) as chat,
        server_sending(soon, soon, later) as uploads,
    ):
        model = uploading(chat, uploads)
        for _ in range(5):
            model.invoke(asked_with(block))
        assert len(uploads.requests) == 3


def test_a_failed_upload_is_tried_again_by_the_next_call(no_sleep: list[float]) -> None:
    block = media_block(picture())
    good = Scripted([receipt()])
    with server_sending(fixture("chat_whole.json")) as chat, ScriptedServer(BUSY, good) as uploads:
        model = uploading(chat, uploads)
        with pytest.raises(KieServerError, match="the upload failed"):
            model.invoke(asked_with(block))
        assert chat.requests == []
        model.invoke(asked_with(block, block))
        assert len(uploads.requests) == 2


def test_those_who_wait_for_a_failed_upload_fail_too() -> None:
    """They asked for the same at the same time; the error is the same, and nothing else is sent."""
    block = media_block(picture())
    slow = Scripted([b"", *BUSY.pieces], pause=0.3, ending="fin-unframed")
    with server_sending(fixture("chat_whole.json")) as chat, ScriptedServer(slow) as uploads:
        model = uploading(chat, uploads)
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(model.invoke, asked_with(block)) for _ in range(4)]
            assert {type(call.exception()) for call in calls} == {KieServerError}
        assert chat.requests == []


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


async def test_who_waits_for_a_cancelled_upload_does_it() -> None:
    block = media_block(picture())
    stalled, good = Scripted(ending="stall"), Scripted([receipt()])
    with (
        server_sending(fixture("chat_whole.json")) as chat,
        ScriptedServer(stalled, good) as uploads,
    ):
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asked_with(block)))
        await until(lambda: uploads.tries == 1)
        others = [asyncio.create_task(model.ainvoke(asked_with(block))) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (uploads.tries, chat.tries) == (1, 0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.gather(*others)
        assert (uploads.tries, chat.tries) == (2, 3)


async def test_a_cancelled_waiter_leaves_the_upload_alone() -> None:
    block = media_block(picture())
    slow = Scripted([b"", receipt()], pause=0.3, ending="fin-unframed")
    with server_sending(fixture("chat_whole.json")) as chat, ScriptedServer(slow) as uploads:
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asked_with(block)))
        await until(lambda: uploads.tries == 1)
        waiter = asyncio.create_task(model.ainvoke(asked_with(block)))
        await asyncio.sleep(0.05)
        waiter.cancel()
        await first
        assert waiter.cancelled()
        assert (uploads.tries, chat.tries) == (1, 1)


def test_event_loops_and_threads_upload_the_same_once() -> None:
    block = media_block(picture())
    slow = Scripted([b"", receipt()], pause=0.3, ending="fin-unframed")
    with server_sending(fixture("chat_whole.json")) as chat, ScriptedServer(slow) as uploads:
        model = uploading(chat, uploads)
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(asyncio.run, model.ainvoke(asked_with(block))) for _ in range(4)]
            calls += [pool.submit(model.invoke, asked_with(block)) for _ in range(2)]
            assert all(call.result().text for call in calls)
        assert len(uploads.requests) == 1


async def test_who_blocks_the_loop_does_not_wait_for_a_task_of_it() -> None:
    block = media_block(picture())
    slow = Scripted([b"", receipt()], pause=0.3, ending="fin-unframed")
    with server_sending(fixture("chat_whole.json")) as chat, ScriptedServer(slow) as uploads:
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asked_with(block)))
        await until(lambda: uploads.tries == 1)
        assert model.invoke(asked_with(block)).text
        assert (await first).text
        assert len(uploads.requests) == 2


def test_what_is_forgotten_is_uploaded_again(files: KieFiles, emulator: Emulator) -> None:
    data = picture()

    def placed() -> Media:
        medium = media_from_data(data, None, "image", None)
        upload_all([medium], files)
        return medium

    first, again = placed(), placed()
    assert first.url == again.url
    evict([again])
    assert placed().url != first.url
    assert len(emulator.requests) == 2


ON_THE_LOOP = """
    import asyncio, sys, threading
    from pathlib import Path
    from langchain_core.messages import HumanMessage
    from langchain_kie import ChatKieGemini, KieFiles, media_block

    url, key, small, large = sys.argv[1:]
    model = ChatKieGemini(model="gemini-3-flash", api_key=key, base_url=url)
    files = KieFiles(api_key=key, upload_url=url)
    ident = threading.get_ident
    own, opened = ident(), []

    def watch(event, arguments):
        if event == "open" and threading.get_ident() == own and arguments[0] in {small, large}:
            opened.append(arguments[0])

    async def main():
        for path in (small, large):
            message = HumanMessage([block[path]])
            assert "1 file" in (await model.ainvoke([message])).text
            read = []
            await files.aupload(Path(path), on_progress=lambda *_: read.append(ident()))
            assert read and own not in read

    block = {path: media_block(Path(path)) for path in (small, large)}
    sys.addaudithook(watch)
    asyncio.run(main())
    assert not opened, opened
"""


def test_no_file_is_read_on_the_event_loop(emulator: Emulator, tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(picture())
    large.write_bytes(picture(2 * MEGABYTE))
    arguments = [emulator.base_url, emulator.api_key, str(small), str(large)]
    command = [sys.executable, "-c", textwrap.dedent(ON_THE_LOOP), *arguments]
    subprocess.run(command, check=True, timeout=60)


FORK = """
    import os, sys, threading
    from langchain_core.messages import HumanMessage
    from langchain_kie import ChatKieGemini, media_block

    chat, upload, path = sys.argv[1:]
    model = ChatKieGemini(model="gemini-3-flash", api_key="k", base_url=chat, upload_url=upload,
                          media_upload="always", max_retries=0)
    messages = [HumanMessage([media_block(open(path, "rb").read())])]
    threading.Thread(target=model.invoke, args=(messages,), daemon=True).start()
    sys.stdin.readline()
    child = os.fork()
    if child == 0:
        assert model.invoke(messages).text
        os._exit(0)
    os._exit(os.waitpid(child, 0)[1] != 0)
"""


async def test_a_forked_process_does_not_wait_for_its_parent_s_upload(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    stalled, good = Scripted(ending="stall"), Scripted([receipt()])
    with (
        server_sending(fixture("chat_whole.json")) as chat,
        ScriptedServer(stalled, good) as uploads,
    ):
        arguments = ["-c", textwrap.dedent(FORK), chat.base_url, uploads.base_url, str(path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=subprocess.PIPE
        )
        await until(lambda: uploads.tries == 1)
        await process.communicate(b"\n")
        assert (process.returncode, uploads.tries, chat.tries) == (0, 2, 1)


# --- memory ----------------------------------------------------------------------------------

PEAK = """
    import asyncio, resource, sys
    from pathlib import Path
    from langchain_core.messages import HumanMessage
    from langchain_kie import ChatKieGemini, KieFiles, media_block

    url, key, way, small, large = sys.argv[1:]
    files = KieFiles(api_key=key, upload_url=url)
    model = ChatKieGemini(model="gemini-3-flash", api_key=key, base_url=url)
    ways = {
        "upload": lambda path: files.upload(path),
        "aupload": lambda path: asyncio.run(files.aupload(path)),
        "invoke": lambda path: model.invoke(
            [HumanMessage([media_block(path)])], media_upload="always"
        ),
    }
    peaks = []
    for path in (small, large):
        ways[way](Path(path))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(peaks[1] - peaks[0])
"""


@pytest.mark.parametrize("call_mode", ["upload", "aupload", "invoke"])
def test_a_large_file_does_not_show_in_memory(
    emulator: Emulator, tmp_path: Path, call_mode: str
) -> None:
    small, large = tmp_path / "small.mp4", tmp_path / "large.mp4"
    for path, size in ((small, 2 * MEGABYTE), (large, 64 * MEGABYTE)):
        path.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isommp42")
        os.truncate(path, size)
    arguments = [emulator.base_url, emulator.api_key, call_mode, str(small), str(large)]
    command = [sys.executable, "-c", textwrap.dedent(PEAK), *arguments]
    grown = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    assert int(grown) < 16
    assert [r.body["size"] for r in emulator.requests if "size" in r.body][-1] == 64 * MEGABYTE
