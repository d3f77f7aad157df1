"""Which media parts go inline and which are uploaded, each content once.

Depends on media parts, files and `KieFiles`; independent of the APIs' JSON formats and of
LangChain's messages.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from langchain_kie._conversation.mime_types import check_supported, media_kind
from langchain_kie._shared_work import PerProcess, SharedWork
from langchain_kie._upload_stream import detect_file_type
from langchain_kie._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from langchain_kie._conversation.media import Media
    from langchain_kie._options import Options
    from langchain_kie.files import KieFile, KieFiles

_ContentKey: TypeAlias = tuple[str, str | None, str]

_EXPIRY_MARGIN = timedelta(hours=1)
"""An uploaded file is not used again in the last hour before it expires."""

_MAX_FILES = 10_000
"""How many files are stored; the oldest are evicted first."""


# --- inline or uploaded -----------------------------------------------------------------------


async def achoose_uploads(media: Sequence[Media], options: Options) -> list[Media]:
    """As `choose_uploads`, but reads local files in a thread."""
    if any(part.path for part in media):
        return await asyncio.to_thread(choose_uploads, media, options)
    return choose_uploads(media, options)


def choose_uploads(media: Sequence[Media], options: Options) -> list[Media]:
    """The media to upload: the largest, until the rest is within `inline_media_limit`.

    Local files that are not uploaded are read, and become data.

    Raises:
        ValueError: A file cannot be read, Gemini does not read its type, or `media_upload` is
            `never` and the media exceed the limit.
    """
    mode, limit = options.media_upload, options.inline_media_limit
    inline = sorted((part for part in media if part.url is None), key=_measure)
    if options.check_combinations:
        for part in inline:
            check_supported(part.mime_type, _label(part))
    total = rest = sum(part.size or 0 for part in inline)
    chosen: list[Media] = []
    while inline and (mode == "always" or rest > limit):
        chosen.append(inline.pop())
        rest -= chosen[-1].size or 0
    if chosen and mode == "never":
        raise ValueError(
            f"media of {total:,} bytes exceed inline_media_limit ({limit:,} bytes); set "
            'media_upload="auto" to upload the largest'
        )
    for part in inline:
        if part.path:
            with _naming_file(part):
                part.data, part.path = b64encode(part.path.read_bytes()).decode(), None
    return chosen


def _measure(part: Media) -> int:
    """The size in bytes. A local file's size and type are read again: it may have changed."""
    if part.path is None:
        part.size = (len(part.data or "") - part.start) * 3 // 4
        return part.size
    with _naming_file(part), part.path.open("rb") as file:
        part.size = os.fstat(file.fileno()).st_size
        part.mime_type = detect_file_type(file, part.mime_type, part.path.name)
        part.kind = media_kind(part.mime_type)
        return part.size


def _label(part: Media) -> str:
    """The name of a part in errors and warnings."""
    name = part.path.name if part.path else part.name
    return name or f"media of {part.size or 0:,} bytes"


@contextmanager
def _naming_file(part: Media) -> Iterator[None]:
    """Replace an `OSError` with a `ValueError` that names the local file."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot read {str(part.path)!r}: {error.strerror or error}") from error


# --- uploads ----------------------------------------------------------------------------------


_warned = False


def warn_of_uploads(media: Sequence[Media], options: Options) -> None:
    """Warn, once a process, that files become public, unless the user chose that all do.

    Args:
        media: The media to upload.
        options: The options of the call.
    """
    global _warned  # noqa: PLW0603 - once a process
    if _warned or options.media_upload != "auto":
        return
    _warned = True
    warn(
        f"{_label(media[0])} ({media[0].mime_type}): larger than inline_media_limit allows, so it "
        "is uploaded to KIE, where everybody who has its URL can read it for 24 hours. Later "
        'uploads do not warn. media_upload="never" turns them off'
    )


def upload_all(media: Sequence[Media], files: KieFiles) -> None:
    """Upload media, and replace their data or path with the URL.

    Raises:
        ValueError: A file cannot be read.
        KieError: An upload failed.
    """
    for part in media:
        with _naming_file(part):
            part.replace_with_url(_upload_once(part, files).url)


async def aupload_all(media: Sequence[Media], files: KieFiles) -> None:
    """As `upload_all`, but concurrently."""
    tasks = [asyncio.create_task(_aupload_once(part, files)) for part in media]
    try:
        for part, file in zip(media, await asyncio.gather(*tasks), strict=True):
            part.replace_with_url(file.url)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def evict(media: Sequence[Media]) -> None:
    """Evict uploaded files that KIE could not download, so that they are uploaded again."""
    urls = {part.url for part in media}
    cache = _uploaded.value
    with cache.lock:
        lost = [key for key, file in cache.results.items() if file.url in urls]
        for key in lost:
            del cache.results[key]


def is_fresh(file: KieFile) -> bool:
    """Whether an uploaded file can still be used for a while."""
    return datetime.now(UTC) + _EXPIRY_MARGIN < file.expires_at


def _new_cache() -> SharedWork[_ContentKey, KieFile]:
    return SharedWork(is_fresh, _MAX_FILES)


_uploaded = PerProcess(_new_cache)
"""The uploaded files of this process, as long as they do not expire soon."""


def _upload_once(part: Media, files: KieFiles) -> KieFile:
    def upload() -> KieFile:
        return files.upload(_upload_source(part), mime_type=part.mime_type)

    return _uploaded.value.run(_content_key(part, files), upload)


async def _aupload_once(part: Media, files: KieFiles) -> KieFile:
    async def upload() -> KieFile:
        content = await asyncio.to_thread(_upload_source, part)
        return await files.aupload(content, mime_type=part.mime_type)

    with _naming_file(part):
        key = await asyncio.to_thread(_content_key, part, files)
        return await _uploaded.value.arun(key, upload)


def _upload_source(part: Media) -> Path | bytes:
    return part.path or b"".join(part.decoded())


def _content_key(part: Media, files: KieFiles) -> _ContentKey:
    """Two uploads with the same account, MIME type and content are the same."""
    if part.path is None:
        digest = str(part.digest())
    else:
        stat = part.path.stat()
        version = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        digest = _file_digest(part.path, version)
    return (files.account, part.mime_type, digest)


@lru_cache(maxsize=_MAX_FILES)
def _file_digest(path: Path, version: tuple[int, ...]) -> str:  # noqa: ARG001 - a key of the cache
    """The digest of a file, computed again only if the file has changed."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
