"""Which media of a conversation go inline, and which are uploaded first, each only once.

Knows media, files and KIE's upload. Knows nothing of dialects or of LangChain's messages.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
from base64 import b64decode, b64encode
from collections import OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from langchain_kie._conversation.media import HEAD_BYTES, detect_mime_type, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from langchain_kie._conversation.media import Media
    from langchain_kie._options import Options
    from langchain_kie.files import KieFile, KieFiles

_Key: TypeAlias = tuple[Any, ...]

_MARGIN = timedelta(hours=1)
"""A file is not used again this shortly before it expires."""

_MOST_FILES = 10_000


def upload_all(media: Sequence[Media], files: KieFiles) -> None:
    """Upload media, and let them be fetched from there.

    Raises:
        ValueError: A file cannot be read.
        KieError: An upload failed.
    """
    for medium in media:
        with _readable(medium):
            key = _key(medium, files)
            medium.replace_with_url(_upload(medium, key, files).url)


async def aupload_all(media: Sequence[Media], files: KieFiles) -> None:
    """Upload media side by side, and let them be fetched from there; as `upload_all`."""
    tasks = [asyncio.create_task(_aplace(medium, files)) for medium in media]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _aplace(medium: Media, files: KieFiles) -> None:
    with _readable(medium):
        key = await asyncio.to_thread(_key, medium, files)
        medium.replace_with_url((await _aupload(medium, key, files)).url)


def evict(media: Sequence[Media]) -> bool:
    """Forget the uploads of these media, so that they are uploaded again.

    Returns:
        Whether any of them was uploaded.
    """
    urls = {medium.url for medium in media}
    with _shared.lock:
        lost = [key for key, file in _shared.files.items() if file.url in urls]
        for key in lost:
            del _shared.files[key]
    return bool(lost)


async def achoose_uploads(media: Sequence[Media], options: Options) -> list[Media]:
    """Choose what to upload; as `choose_uploads`, but files are read off the event loop."""
    if any(medium.path for medium in media):
        return await asyncio.to_thread(choose_uploads, media, options)
    return choose_uploads(media, options)


def choose_uploads(media: Sequence[Media], options: Options) -> list[Media]:
    """Choose what to upload; a file that is not gets its data now.

    Raises:
        ValueError: A file cannot be read, or `never` leaves more than the limit.
    """
    mode, limit = options.media_upload, options.inline_media_limit
    inline = [medium for medium in media if medium.url is None]
    sizes = {id(medium): _measured(medium) for medium in inline}
    total = rest = sum(sizes.values())
    chosen: list[Media] = []
    inline.sort(key=lambda medium: sizes[id(medium)])
    while inline and (mode == "always" or rest > limit):
        chosen.append(inline.pop())
        rest -= sizes[id(chosen[-1])]
    if chosen and mode == "never":
        raise ValueError(
            f"media of {total:,} bytes are more than may go inline ({limit:,}, "
            'inline_media_limit); with media_upload="auto" the largest would be uploaded'
        )
    for medium in inline:
        if medium.path:
            with _readable(medium):
                medium.data = b64encode(medium.path.read_bytes()).decode()
                medium.path = None
    return chosen


def _measured(medium: Media) -> int:
    """The bytes of a medium; the type of a file is told, which may not be what it was."""
    if medium.path is None:
        return len(medium.data or "") * 3 // 4
    with _readable(medium):
        medium.size = medium.path.stat().st_size
        if not medium.size:
            raise ValueError(f"{str(medium.path)!r} is empty")
        with medium.path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        medium.mime_type = detect_mime_type(head, medium.mime_type, medium.path.name)
        medium.kind = kind_of(medium.mime_type)
        return medium.size


@contextmanager
def _readable(medium: Media) -> Iterator[None]:
    path = medium.path
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


# --- each content once ----------------------------------------------------------------------


class _AbandonedError(Exception):
    """Who uploaded was cancelled: whoever waits must do it."""


@dataclass(slots=True, eq=False)
class _Pending:
    """An upload under way; `loop` is whose task does it, `None` for a thread that waits."""

    loop: asyncio.AbstractEventLoop | None
    future: Future[KieFile] = field(default_factory=Future)

    def can_be_waited_for(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether it goes on meanwhile: its loop runs, and is not the one that would block."""
        if self.loop is None or self.loop is loop:
            return True
        return self.loop.is_running() and self.loop is not asyncio._get_running_loop()  # noqa: SLF001


class _Shared:
    """What this process has uploaded and is uploading."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: OrderedDict[_Key, KieFile] = OrderedDict()
        self.pending: dict[_Key, _Pending] = {}
        self.digests: OrderedDict[_Key, str] = OrderedDict()

    def get_or_start(
        self, key: _Key, loop: asyncio.AbstractEventLoop | None
    ) -> tuple[_Pending, bool]:
        """The upload of a content, and whether it is for the caller to do.

        Args:
            key: The content and the account.
            loop: The caller's, `None` of a caller that blocks its thread.
        """
        with self.lock:
            pending = self.pending.get(key)
            if pending and pending.can_be_waited_for(loop):
                return pending, False
            pending = _Pending(loop)
            file = self.files.get(key)
            if file and datetime.now(UTC) < file.expires_at - _MARGIN:
                pending.future.set_result(file)
                return pending, False
            self.pending[key] = pending
            return pending, True

    @contextmanager
    def uploading(self, key: _Key, pending: _Pending) -> Iterator[list[KieFile]]:
        """For the time of an upload; takes the file, and tells those who wait."""
        files: list[KieFile] = []
        error: Exception = _AbandonedError()
        try:
            yield files
        except Exception as failure:
            error = failure
            raise
        finally:
            with self.lock:
                if self.pending.get(key) is pending:
                    del self.pending[key]
                if files:
                    self.files[key] = files[0]
                    while len(self.files) > _MOST_FILES:
                        self.files.popitem(last=False)
            if files:
                pending.future.set_result(files[0])
            else:
                pending.future.set_exception(error)


_shared = _Shared()


def _after_fork() -> None:
    """Forget what the parent was uploading: its threads are not here to finish it."""
    global _shared  # noqa: PLW0603 - this is the process's state
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _upload(medium: Media, key: _Key, files: KieFiles) -> KieFile:
    while True:
        pending, is_mine = _shared.get_or_start(key, None)
        try:
            if is_mine:
                with _shared.uploading(key, pending) as uploaded, _opened(medium) as content:
                    uploaded.append(files.upload(content, mime_type=medium.mime_type))
            return pending.future.result()
        except _AbandonedError:
            continue


async def _aupload(medium: Media, key: _Key, files: KieFiles) -> KieFile:
    loop = asyncio.get_running_loop()
    while True:
        pending, is_mine = _shared.get_or_start(key, loop)
        try:
            if is_mine:
                with _shared.uploading(key, pending) as uploaded:
                    content: Any = medium.path or await asyncio.to_thread(_opened, medium)
                    uploaded.append(await files.aupload(content, mime_type=medium.mime_type))
            return await asyncio.shield(asyncio.wrap_future(pending.future))
        except _AbandonedError:
            continue


def _opened(medium: Media) -> BinaryIO:
    return medium.path.open("rb") if medium.path else io.BytesIO(b64decode(medium.data or ""))


def _key(medium: Media, files: KieFiles) -> _Key:
    """What makes two uploads the same: the account, the type and the content."""
    if medium.path is None:
        digest = hashlib.sha256(b64decode(medium.data or "")).hexdigest()
    else:
        digest = _digest(medium.path)
    return (files.account, medium.mime_type, digest)


def _digest(path: Path) -> str:
    """A file's content in short; it is read again only when it has changed."""
    stat = path.stat()
    known = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    digest = _shared.digests.get(known)
    if digest is None:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        _shared.digests[known] = digest
        if len(_shared.digests) > _MOST_FILES:
            _shared.digests.popitem(last=False)
    return digest
