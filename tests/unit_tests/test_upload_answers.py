"""What KIE answers to an upload: files, errors, and what a retry sends."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from call_modes import fixture, server_sending
from scripted_server import Scripted, ScriptedServer

from langchain_kie import (
    KieAuthenticationError,
    KieConnectionError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieProtocolError,
    KieServerError,
    KieTimeoutError,
    media_block,
)
from langchain_kie.errors import KieEmptyResponseError
from langchain_kie.files import FILE_LIFETIME
from unit_tests.upload_server import (
    KEY,
    MEGABYTE,
    PNG,
    STORED_AT,
    UPLOADS,
    failure,
    files_at,
    receipt,
    unique_png,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """wire.md 9-13."""
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
    "two answers": (
        Scripted([b"[%s,%s]" % (receipt(), receipt())]),
        KieProtocolError,
        "the upload of .+ failed: the answer has 2 values instead of one",
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


class Named(io.BytesIO):
    name = "/pictures/cat.png"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (Named, "cat.png"),
        (io.BytesIO, "the file"),
        (bytes, r"\d+ bytes"),
        (lambda _: "https://a.example/secret.png", "a file of a.example"),
    ],
)
def test_the_error_names_the_file(file: Callable[[bytes], Any], name: str) -> None:
    with (
        ScriptedServer(BUSY) as server,
        pytest.raises(KieServerError, match=f"the upload of {name} failed"),
    ):
        files_at(server).upload(file(unique_png()))


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
