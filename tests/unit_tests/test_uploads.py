"""Media of a model's requests: inline or uploaded, each content once, and only to one host."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from langchain_core.messages import HumanMessage
from scripted_server import Scripted, ScriptedServer

from langchain_kie import ChatKieGemini, KieInvalidRequestError, KieServerError, media_block
from langchain_kie import _uploads as uploads_module
from langchain_kie._conversation.content import parse_content
from langchain_kie._conversation.media import Media, media_from_data
from langchain_kie._options import Options
from langchain_kie._uploads import choose_uploads, evict, upload_all
from langchain_kie.emulator import Emulator
from unit_tests.loopback import until
from unit_tests.upload_server import (
    KEY,
    PNG,
    STORED_AT,
    HeldBack,
    failure,
    files_at,
    receipt,
    run_python,
    unique_png,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = 1024 * 1024
STORED = Scripted([receipt()])
BUSY = failure(500, "Internal server error")


@pytest.fixture
def chat() -> Iterator[ScriptedServer]:
    """A chat API that answers everything."""
    with server_sending(fixture("chat_completion.json")) as server:
        yield server


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as started:
        yield started


def uploading(chat: ScriptedServer, uploads: ScriptedServer, **fields: Any) -> ChatKieGemini:
    """A model that uploads all media to `uploads`."""
    settings = {"upload_url": uploads.base_url, "media_upload": "always", **fields}
    return model_at(chat, **{"api_key": KEY, **settings})


def asking_about(*blocks: dict[str, Any]) -> list[HumanMessage]:
    return [HumanMessage([{"type": "text", "text": "What is it?"}, *blocks])]


# --- inline or uploaded ----------------------------------------------------------------------


def media_of(block: dict[str, Any]) -> Media:
    (part,) = parse_content(HumanMessage([block]))
    assert isinstance(part, Media)
    return part


@pytest.mark.parametrize("name", ["猫.png", "a b%20c.png", "#1?.png", "noname"])
def test_local_file_of_any_name_goes_inline(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    link = tmp_path / "link"
    link.symlink_to(path)
    for given in (path, link):
        part = media_of(media_block(given))
        assert choose_uploads([part], Options()) == []
        assert part == media_of(media_block(PNG))


def test_local_file_that_changed_its_type_is_sent_with_the_new_type(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(PNG)
    part = media_of(media_block(path))
    path.write_bytes(b"%PDF-1.7")
    choose_uploads([part], Options())
    assert (part.mime_type, part.kind) == ("application/pdf", "pdf")


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_unreadable_local_file_is_rejected(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(PNG)
    part, options = media_of(media_block(path)), Options(media_upload=mode)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"image.png is empty"):
        choose_uploads([part], options)
    path.unlink()
    with pytest.raises(ValueError, match=r"cannot read '.*image.png': No such file"):
        choose_uploads([part], options)
    path.mkdir()
    with pytest.raises(ValueError, match=r"cannot read '.*image.png': Is a directory"):
        choose_uploads([part], options)


def test_largest_media_are_uploaded() -> None:
    """wire.md 9-2: larger data URLs are rejected."""
    media = [Media("image", "image/png", data="A" * 4 * (n % 7 + 1)) for n in range(20_000)]
    chosen = {id(part) for part in choose_uploads(media, Options(inline_media_limit=3_000))}
    sizes = [len(part.data or "") * 3 // 4 for part in media if id(part) not in chosen]
    assert sizes == [3] * 1_000


# --- the key and the headers -----------------------------------------------------------------


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_key_goes_to_two_hosts_and_default_headers_to_one(
    call_mode: Any, chat: ScriptedServer
) -> None:
    with server_sending(receipt()) as uploads, server_sending(PNG) as elsewhere:
        model = uploading(chat, uploads, default_headers={"X-Team": "secret", "X-Key": KEY})
        by_url = {"type": "image", "url": f"{elsewhere.base_url}/cat.png"}
        await call_mode(model, asking_about(media_block(unique_png()), by_url))
        assert elsewhere.requests == []
        (uploaded,), (sent,) = uploads.requests, chat.requests
    assert uploaded.headers["authorization"] == sent.headers["authorization"] == f"Bearer {KEY}"
    assert "x-team" not in uploaded.headers
    assert repr(uploaded.headers).count(KEY) == 1
    assert sent.headers["x-team"] == "secret"
    assert KEY.encode() not in uploaded.body
    assert [p["image_url"]["url"] for p in sent.json["messages"][0]["content"][1:]] == [
        STORED_AT,
        by_url["url"],
    ]


# --- each content once -----------------------------------------------------------------------


def test_two_accounts_upload_separately(chat: ScriptedServer) -> None:
    block = media_block(unique_png())
    with server_sending(receipt()) as uploads:
        for key in (KEY, KEY, f"{KEY}-2"):
            uploading(chat, uploads, api_key=key).invoke(asking_about(block))
        assert len(uploads.requests) == 2


def test_file_that_expires_within_an_hour_is_uploaded_again(chat: ScriptedServer) -> None:
    """wire.md 9-12: files live for 24 hours."""
    block = media_block(unique_png())
    now, hour = datetime.now(UTC), timedelta(hours=1)
    soon, later = (receipt(expiresAt=(now + n * hour).isoformat()) for n in (0.5, 3))
    with server_sending(soon, soon, later) as uploads:
        model = uploading(chat, uploads)
        for _ in range(5):
            model.invoke(asking_about(block))
        assert len(uploads.requests) == 3


def test_a_file_that_expired_ages_ago_is_uploaded_again(chat: ScriptedServer) -> None:
    block = media_block(unique_png())
    with server_sending(receipt(expiresAt="0001-01-01T00:00:00Z")) as uploads:
        model = uploading(chat, uploads)
        for _ in range(2):
            assert model.invoke(asking_about(block)).text
        assert len(uploads.requests) == 2


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_failed_upload_sends_nothing_and_is_repeated_by_the_next_call(
    call_mode: Any, chat: ScriptedServer
) -> None:
    block = media_block(unique_png())
    with ScriptedServer(BUSY, STORED) as uploads:
        model = uploading(chat, uploads)
        with pytest.raises(KieServerError, match=r"the upload of .+ failed") as caught:
            await call_mode(model, asking_about(block))
        assert not caught.value.partial
        assert chat.requests == []
        await call_mode(model, asking_about(block, block))
        assert len(uploads.requests) == 2


def test_evicted_file_is_uploaded_again(emulator: Emulator) -> None:
    files = files_at(emulator, api_key=emulator.api_key)
    data = unique_png()

    def uploaded() -> Media:
        part = media_from_data(data, None, "image", None)
        upload_all([part], files)
        return part

    first, again = uploaded(), uploaded()
    assert first.url == again.url
    evict([again])
    assert uploaded().url != first.url


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls that wait for the upload of another call, or use its file."""
    calls: list[Any] = []
    get_or_start = uploads_module._uploaded.value.get_or_start

    def recorded(key: Any, loop: Any) -> Any:
        pending, is_mine = get_or_start(key, loop)
        if not is_mine:
            calls.append(pending)
        return pending, is_mine

    monkeypatch.setattr(uploads_module._uploaded.value, "get_or_start", recorded)
    return calls


async def test_calls_waiting_for_a_failed_upload_fail(
    chat: ScriptedServer, waiting: list[Any]
) -> None:
    block, held = media_block(unique_png()), HeldBack(BUSY.pieces[0])
    with ScriptedServer(held.response) as uploads, ThreadPoolExecutor(4) as threads:
        model = uploading(chat, uploads)
        calls = [threads.submit(model.invoke, asking_about(block)) for _ in range(4)]
        await until(lambda: len(waiting) == 3)
        held.released.set()
        assert {type(call.exception()) for call in calls} == {KieServerError}
        assert (uploads.tries, chat.requests) == (1, [])


async def test_waiting_call_takes_over_a_cancelled_upload(
    chat: ScriptedServer, waiting: list[Any]
) -> None:
    block, held = media_block(unique_png()), HeldBack(b"")
    with ScriptedServer(held.response, STORED) as uploads:
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asking_about(block)))
        await until(lambda: uploads.tries == 1)
        others = [asyncio.create_task(model.ainvoke(asking_about(block))) for _ in range(3)]
        await until(lambda: len(waiting) == 3)
        assert (uploads.tries, chat.tries) == (1, 0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.gather(*others)
        assert (uploads.tries, chat.tries) == (2, 3)
        held.released.set()


async def test_cancelled_waiting_call_does_not_stop_the_upload(
    chat: ScriptedServer, waiting: list[Any]
) -> None:
    block, held = media_block(unique_png()), HeldBack(receipt())
    with ScriptedServer(held.response) as uploads:
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asking_about(block)))
        await until(lambda: uploads.tries == 1)
        other = asyncio.create_task(model.ainvoke(asking_about(block)))
        await until(lambda: len(waiting) == 1)
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        held.released.set()
        await first
        assert (uploads.tries, chat.tries) == (1, 1)


async def test_loops_and_threads_share_an_upload(chat: ScriptedServer, waiting: list[Any]) -> None:
    block, held = media_block(unique_png()), HeldBack(receipt())
    with ScriptedServer(held.response) as uploads, ThreadPoolExecutor(6) as threads:
        model = uploading(chat, uploads)
        calls = [threads.submit(asyncio.run, model.ainvoke(asking_about(block))) for _ in range(4)]
        calls += [threads.submit(model.invoke, asking_about(block)) for _ in range(2)]
        await until(lambda: len(waiting) == 5)
        held.released.set()
        assert all(call.result().text for call in calls)
        assert len(uploads.requests) == 1


async def test_blocking_call_does_not_wait_for_a_task_of_the_loop_that_it_blocks(
    chat: ScriptedServer,
) -> None:
    block, held = media_block(unique_png()), HeldBack(receipt())
    with ScriptedServer(held.response, STORED) as uploads:
        model = uploading(chat, uploads)
        first = asyncio.create_task(model.ainvoke(asking_about(block)))
        await until(lambda: uploads.tries == 1)
        assert model.invoke(asking_about(block)).text
        held.released.set()
        assert (await first).text
        assert len(uploads.requests) == 2


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


async def test_forked_process_does_not_wait_for_the_upload_of_its_parent(
    chat: ScriptedServer, tmp_path: Path
) -> None:
    path, held = tmp_path / "a.png", HeldBack(b"")
    path.write_bytes(unique_png())
    with ScriptedServer(held.response, STORED) as uploads:
        arguments = [textwrap.dedent(FORK), chat.base_url, uploads.base_url, str(path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", *arguments, stdin=subprocess.PIPE
        )
        await until(lambda: uploads.tries == 1)
        await process.communicate(b"\n")
        assert (process.returncode, uploads.tries, chat.tries) == (0, 2, 1)
        held.released.set()


# --- threads and memory ----------------------------------------------------------------------

AUDITED = """
    import asyncio, sys, threading
    from pathlib import Path
    from langchain_core.messages import HumanMessage
    from langchain_kie import ChatKieGemini, KieFiles, media_block

    url, key, small, large = sys.argv[1:]
    model = ChatKieGemini(model="gemini-3-flash", api_key=key, base_url=url)
    files = KieFiles(api_key=key, upload_url=url)
    thread_id = threading.get_ident
    main_thread, opened = thread_id(), []

    def audit(event, arguments):
        if event == "open" and thread_id() == main_thread and arguments[0] in {small, large}:
            opened.append(arguments[0])

    async def main():
        for path in (small, large):
            message = HumanMessage([block[path]])
            assert "1 file" in (await model.ainvoke([message])).text
            readers = []
            await files.aupload(Path(path), on_progress=lambda *_: readers.append(thread_id()))
            assert readers and main_thread not in readers

    block = {path: media_block(Path(path)) for path in (small, large)}
    sys.addaudithook(audit)
    asyncio.run(main())
    assert not opened, opened
"""


def test_no_file_is_read_in_the_thread_of_the_event_loop(
    emulator: Emulator, tmp_path: Path
) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(unique_png())
    large.write_bytes(unique_png(2 * MEGABYTE))
    run_python(AUDITED, emulator.base_url, emulator.api_key, str(small), str(large))


PEAK = """
    import asyncio, resource, sys
    from pathlib import Path
    from langchain_core.messages import HumanMessage
    from langchain_kie import ChatKieGemini, KieFiles, media_block

    url, key, mode, small, large = sys.argv[1:]
    files = KieFiles(api_key=key, upload_url=url)
    model = ChatKieGemini(model="gemini-3-flash", api_key=key, base_url=url)
    modes = {
        "upload": lambda path: files.upload(path),
        "aupload": lambda path: asyncio.run(files.aupload(path)),
        "invoke": lambda path: model.invoke(
            [HumanMessage([media_block(path)])], media_upload="always"
        ),
    }
    peaks = []
    for path in (small, large):
        modes[mode](Path(path))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(peaks[1] - peaks[0])
"""


@pytest.mark.parametrize("mode", ["upload", "aupload", "invoke"])
def test_large_file_is_not_held_in_memory(emulator: Emulator, tmp_path: Path, mode: str) -> None:
    small, large = tmp_path / "small.mp4", tmp_path / "large.mp4"
    for path, size in ((small, 2 * MEGABYTE), (large, 64 * MEGABYTE)):
        path.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isommp42")
        os.truncate(path, size)
    arguments = [emulator.base_url, emulator.api_key, mode, str(small), str(large)]
    assert int(run_python(PEAK, *arguments)) < 16
    assert [r.body["size"] for r in emulator.requests if "size" in r.body][-1] == 64 * MEGABYTE


# --- files that become public ----------------------------------------------------------------


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_the_first_automatic_upload_of_a_process_warns_and_each_is_logged(
    call_mode: Any, chat: ScriptedServer, tmp_path: Path, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(uploads_module, "_warned", False)
    caplog.set_level("INFO", "langchain_kie.files")
    path = tmp_path / "secret plans.png"
    with server_sending(receipt()) as uploads:
        model = uploading(chat, uploads, media_upload="auto", inline_media_limit=100)
        path.write_bytes(unique_png())
        with pytest.warns(UserWarning, match=r"secret plans\.png .*media_upload=\"never\""):
            await call_mode(model, asking_about(media_block(path)))
        await call_mode(model, asking_about(media_block(unique_png())))
        await call_mode(uploading(chat, uploads), asking_about(media_block(unique_png())))
        lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" (")[0] for line in lines] == ["uploaded a file of type image/png"] * 3
    assert all(uploads.base_url in line and "public until" in line for line in lines)
    assert STORED_AT not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("plan.docx", None),
        ("table.xlsx", None),
        ("a.zip", None),
        ("a.svg", None),
        ("a.ttf", "font/ttf"),
        ("a.bin", "application/x-sqlite3"),
    ],
)
def test_a_type_that_gemini_does_not_read_is_refused_before_it_is_public(
    name: str, mime_type: str | None, mode: Any, chat: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04" + bytes(200) if mime_type is None else bytes(200))
    if name.endswith(".svg"):
        path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>" + " " * 200)
    block = media_block(path, mime_type=mime_type)
    with server_sending(receipt()) as uploads:
        model = uploading(chat, uploads, media_upload=mode, inline_media_limit=100)
        with pytest.raises(ValueError, match=f"{name}: Gemini does not read"):
            model.invoke(asking_about(block))
        assert uploads.requests == []
        assert chat.requests == []
        if mode == "auto":
            model = model.model_copy(
                update={"check_combinations": False, "inline_media_limit": 1_000}
            )
            model.invoke(asking_about(block))
            assert len(chat.requests) == 1


@pytest.mark.parametrize("api", ["chat_completions", "generate_content"])
async def test_a_request_that_is_too_large_is_reported_with_its_sizes(api: Any) -> None:
    with server_sending(b"Too Large", status=413) as server:
        for call_mode in BASIC_CALL_MODES:
            with pytest.raises(KieInvalidRequestError) as caught:
                await call_mode(model_at(server, api=api), asking_about(media_block(unique_png())))
            size = f"{len(server.requests[-1].body):,} bytes"
            assert size in str(caught.value)
            assert "of them for 1 inline media" in str(caught.value)


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
NAMED = {"base64": "UEsD", "mime_type": DOCX}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", **NAMED, "filename": "plan.docx"},
        {"type": "file", **NAMED, "extras": {"filename": "plan.docx"}},
        {"type": "file", "source_type": "base64", "data": "UEsD", "mime_type": DOCX,
         "metadata": {"filename": "plan.docx"}},
        {"type": "file", "file": {"file_data": f"data:{DOCX};base64,UEsD",
                                  "filename": "plan.docx"}},
        {"type": "document", "title": "plan.docx",
         "source": {"type": "base64", "media_type": DOCX, "data": "UEsD"}},
        {"inlineData": {"data": "UEsD", "mimeType": DOCX, "displayName": "plan.docx"}},
        {"type": "file", **NAMED},
    ],
)  # fmt: skip
def test_the_error_of_such_a_type_has_the_name_that_the_block_states(
    block: dict[str, Any], chat: ScriptedServer
) -> None:
    label = "plan.docx" if "plan.docx" in repr(block) else "media of 3 bytes"
    with pytest.raises(ValueError, match=f"^{label}: Gemini does not read {DOCX}"):
        model_at(chat).invoke([HumanMessage([block])])
