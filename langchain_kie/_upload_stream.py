"""The content of a file to upload: opened, its type detected, and read as it is sent.

Depends on files; independent of KIE's upload API.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from langchain_kie._conversation.mime_types import HEAD_BYTES, detect_mime_type

if TYPE_CHECKING:
    from contextlib import ExitStack

File: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
Progress: TypeAlias = Callable[[int, int], None]

_MAX_SPOOLED_BYTES = 1024 * 1024

_FILE_ARGUMENT_HINT = "for a local file, pass pathlib.Path(...); for data, pass bytes"


class FileReadError(Exception):
    """Carries an `OSError` of the file, which the transport would take for a network error."""


class UploadStream:
    """The file object that a request body reads; it reports the progress.

    It has no `fileno`: httpx 0.28 would take the size on the disk as the length of the body, even
    of a compressed file that is decompressed as it is read. It can have one when httpx does not.

    Args:
        file: As in `KieFiles.upload`, but no http(s) URL.
        mime_type: The MIME type, `None` to detect it.
        on_progress: Called with the bytes read so far and the total.
        stack: Closes what is opened.

    Attributes:
        mime_type: The MIME type.
        size: The size in bytes.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is empty or not binary, or its type cannot be detected.
    """

    def __init__(
        self, file: File, mime_type: str | None, on_progress: Progress | None, stack: ExitStack
    ) -> None:
        self._file = _open_file(file, stack)
        self._on_progress = on_progress
        self.seek = self._file.seek
        self.tell = self._file.tell
        path = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
        self.seek(0)
        self.mime_type = detect_file_type(self._file, mime_type, name)
        self.size = self.seek(0, os.SEEK_END)

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes.

        Raises:
            FileReadError: The file cannot be read, or `on_progress` raised an `OSError`.
        """
        try:
            data = self._file.read(size)
            if data and self._on_progress:
                self._on_progress(self.tell(), self.size)
        except OSError as error:
            raise FileReadError(error) from error
        return data


def _open_file(file: File, stack: ExitStack) -> BinaryIO:
    """A binary file object that can be read from its beginning, more than once."""
    if isinstance(file, (str, os.PathLike)):
        return stack.enter_context(to_path(file).open("rb"))
    if isinstance(file, (bytes, bytearray, memoryview)):
        return io.BytesIO(file)
    if not hasattr(file, "seekable"):
        raise ValueError(f"cannot upload a {type(file).__name__}; pass a path, bytes or a file")
    if isinstance(file.read(0), str):
        raise ValueError(f"{getattr(file, 'name', 'the file')} must be opened in binary mode")
    if file.seekable():
        return file
    spooled = tempfile.SpooledTemporaryFile(_MAX_SPOOLED_BYTES)  # noqa: SIM115 - the stack closes it
    shutil.copyfileobj(file, stack.enter_context(spooled))
    return cast("BinaryIO", spooled)


def to_path(file: str | os.PathLike[str]) -> Path:
    """The path that an object names; text is never a path, because it may be of a stranger.

    Raises:
        ValueError: The file is text.
    """
    if isinstance(file, str):
        raise ValueError(f"{file[:80]!r}: not an http(s) URL; {_FILE_ARGUMENT_HINT}")
    return Path(file)


def detect_file_type(file: BinaryIO, declared: str | None, name: str | None) -> str:
    """Detect the MIME type of an open file by its first bytes; see `detect_mime_type`.

    Raises:
        ValueError: The file is empty, or its type cannot be detected.
    """
    head = file.read(HEAD_BYTES)
    if not head:
        raise ValueError(f"{name or 'the file'} is empty")
    return detect_mime_type(head, declared, name)
