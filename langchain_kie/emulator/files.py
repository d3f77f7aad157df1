"""The files that were uploaded: on disk, for three days.

Knows paths, a temporary directory and a clock. Knows nothing of HTTP.
"""

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

_LIFETIME = timedelta(days=3)  # docs/wire.md 9


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is kept.

    Attributes:
        held: Where it is on this machine.
        size: Its length in bytes.
        uploaded_at: When it came.
    """

    held: Path
    size: int
    uploaded_at: datetime


class FileStore:
    """Files by their paths, which are names only: none of them reaches the disk."""

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}
        self._directory: TemporaryDirectory[str] | None = None
        self._serials: Iterator[int] = itertools.count()
        self._passed = timedelta()

    async def keep(self, path: str, content: BinaryIO) -> StoredFile:
        """Keep `content` at `path`, in place of what was there."""
        if self._directory is None:
            self._directory = TemporaryDirectory(prefix="kie-emulator-", ignore_cleanup_errors=True)
        held = Path(self._directory.name, str(next(self._serials)))
        size = await asyncio.to_thread(_copy, content, held)
        self._forget(path)
        self._files[path] = StoredFile(held, size, self._now())
        return self._files[path]

    def find(self, path: str) -> StoredFile | None:
        """Give the file at `path`, if it is there and not too old."""
        oldest = self._now() - _LIFETIME
        for known, file in list(self._files.items()):
            if file.uploaded_at <= oldest:
                self._forget(known)
        return self._files.get(path)

    def expire(self) -> None:
        """Let three days pass."""
        self._passed += _LIFETIME

    def close(self) -> None:
        """Delete everything."""
        self._files.clear()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._passed

    def _forget(self, path: str) -> None:
        file = self._files.pop(path, None)
        if file is not None:
            file.held.unlink(missing_ok=True)


def _copy(content: BinaryIO, held: Path) -> int:
    with held.open("wb") as copy:
        content.seek(0)
        shutil.copyfileobj(content, copy)
        return copy.tell()
