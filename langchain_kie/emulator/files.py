"""The uploaded files: on disk, for 24 hours."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.settings import Settings

_LIFETIME = timedelta(hours=24)  # documented, next to 3 days; KIE's agent skill has 24 hours


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file.

    Attributes:
        location: Where the content is on this machine.
        size: The length in bytes.
        uploaded_at: The time of the upload.
    """

    location: Path
    size: int
    uploaded_at: datetime


class FileStore:
    """Files by their upload paths, which are never used as paths on the disk.

    Attributes:
        paths: The upload paths by the URLs that were returned; also those of expired files.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.paths: dict[str, str] = {}
        self._files: dict[str, StoredFile] = {}
        self._directory: TemporaryDirectory[str] | None = None
        self._serials: Iterator[int] = itertools.count()
        self._elapsed = timedelta()

    async def save(self, path: str, content: BinaryIO) -> StoredFile:
        """Store `content` at `path`, and replace an earlier file there."""
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="kie-emulator-", ignore_cleanup_errors=True)
        location = Path(self._directory.name, str(next(self._serials)))
        size = await asyncio.to_thread(_copy, content, location)
        self._delete(path)
        self._files[path] = StoredFile(location, size, self._now())
        return self._files[path]

    def find(self, path: str) -> StoredFile | None:
        """Find the file at `path`, if it exists and has not expired."""
        oldest = self._now() - _LIFETIME
        for stored_path, file in list(self._files.items()):
            if file.uploaded_at <= oldest:
                self._delete(stored_path)
        return self._files.get(path)

    def expire(self) -> None:
        """Set the clock of the uploads forward by 24 hours."""
        self._elapsed += _LIFETIME

    def close(self) -> None:
        """Delete all files."""
        self.paths.clear()
        self._files.clear()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._settings.clock(), UTC) + self._elapsed

    def _delete(self, path: str) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            file.location.unlink(missing_ok=True)


def _copy(content: BinaryIO, location: Path) -> int:
    with location.open("wb") as copy:
        content.seek(0)
        shutil.copyfileobj(content, copy)
        return copy.tell()
