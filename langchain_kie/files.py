"""KIE's file upload, and blocks for files: what a message needs to hold a file of the caller's.

Knows files and the upload API. Knows nothing of chat.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import tempfile
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

import orjson
from langchain_core.utils import from_env, secret_from_env
from pydantic import SecretStr

from langchain_kie import _settings
from langchain_kie._conversation.media import (
    HEAD_BYTES,
    LOCAL_PATH,
    detect_mime_type,
    extension_of,
    is_alike,
    kind_of,
    remote,
    type_by_name,
)
from langchain_kie.errors import (
    KieError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KieProtocolError,
    KieServerError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_kie._http.response import HttpCall

File: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO"
Progress: TypeAlias = "Callable[[int, int], None]"

FILE_LIFETIME = timedelta(hours=24)
"""How long KIE keeps an uploaded file (docs/wire.md 9)."""

_DIRECTORY = "langchain-kie"
_SPOOLED_BYTES = 1024 * 1024
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_SCHEME = re.compile(r"data:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NOT_BINARY = "the file must be opened in binary mode"


@dataclass(frozen=True, slots=True)
class KieFile:
    """An uploaded file.

    Attributes:
        url: Where everybody who knows it can fetch the file.
        name: Its name at KIE.
        mime_type: Its type.
        size: Bytes, `None` where KIE does not say.
        expires_at: When KIE deletes it, in UTC.
    """

    url: str
    name: str
    mime_type: str | None
    size: int | None
    expires_at: datetime

    @property
    def is_expired(self) -> bool:
        """Whether KIE has deleted it."""
        return datetime.now(UTC) >= self.expires_at

    def block(self) -> dict[str, Any]:
        """The content block that puts the file into a message.

        Raises:
            ValueError: KIE has deleted the file.
        """
        if self.is_expired:
            raise ValueError(f"{self.url} has expired: upload the file again")
        return _block(kind_of(self.mime_type), self.mime_type, url=self.url)


class KieFiles:
    """KIE's file upload.

    Example:
        ```python
        from pathlib import Path

        from langchain_kie import KieFiles

        file = KieFiles().upload(Path("lecture.mp4"))
        message = HumanMessage([{"type": "text", "text": "Sum it up."}, file.block()])
        ```

    Args:
        api_key: The key; by default `KIE_API_KEY`.
        upload_url: Where the upload API is; by default `KIE_UPLOAD_URL`, else KIE's own host,
            or `KIE_BASE_URL` where that is not KIE's.
        timeout: As `ChatKieGemini` takes it.
        max_retries: How often a failed upload is made again.
        http_client: An `httpx.Client` to use instead of the shared one.
        http_async_client: An `httpx.AsyncClient` likewise.

    Raises:
        KieConfigurationError: There is no key, or a setting cannot work.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr | str | None = None,
        upload_url: str | None = None,
        timeout: Any = None,
        max_retries: int = 2,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        from langchain_kie._http.transport import transport_for  # noqa: PLC0415 - loads httpx

        key = SecretStr(api_key) if isinstance(api_key, str) else api_key
        base_url = from_env("KIE_BASE_URL", default=_settings.DEFAULT_BASE_URL)()
        self._transport = transport_for(
            api_key=key or secret_from_env("KIE_API_KEY", default=None)(),
            base_url=_settings.upload_url_for(base_url, upload_url),
            timeout=_settings.checked_timeout(timeout),
            max_retries=max_retries,
            client=_settings.checked_client(http_client, "Client"),
            async_client=_settings.checked_client(http_async_client, "AsyncClient"),
        )

    @property
    def account(self) -> str:
        """What tells two accounts apart, and tells no key."""
        return f"{self._transport.base_url} {self._transport.auth.digest}"

    def __repr__(self) -> str:
        """Show where files go."""
        return f"KieFiles(upload_url={self._transport.base_url!r})"

    def upload(
        self,
        file: File,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> KieFile:
        """Upload a file.

        Args:
            file: A path, bytes, a binary file object, which is read from its beginning, or an
                http(s) URL, which KIE fetches.
            name: Its name at KIE. By default a random one: the same name overwrites, and
                names are public.
            mime_type: Its type; by default told from its bytes, then from its name.
            on_progress: Called with the bytes sent so far and their number in all.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is empty, or its type cannot be told.
            KieError: KIE did not take it.
        """
        with ExitStack() as stack, _upload_errors():
            call = _call_for(file, name, mime_type, on_progress, stack)
            [stored] = self._transport.stream(call)
            return stored.file

    async def aupload(
        self,
        file: File,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> KieFile:
        """Upload a file; as `upload`, with the file read, and `on_progress` called, in threads."""
        with ExitStack() as stack, _upload_errors():
            call = await asyncio.to_thread(_call_for, file, name, mime_type, on_progress, stack)
            [stored] = [item async for item in self._transport.astream(call)]
            return stored.file


def media_block(
    file: os.PathLike[str] | KieFile | bytes | bytearray | memoryview | str,
    *,
    mime_type: str | None = None,
) -> dict[str, Any]:
    """The content block for a picture, sound, video or document.

    A path given here, and only here, lets `ChatKieGemini` read a local file: it goes inline or
    is uploaded, as `media_upload` says, when the message is sent.

    Args:
        file: A path object, a `file://` or http(s) URL, bytes, or an uploaded file.
        mime_type: Its type; by default told from its bytes, then from its name.

    Raises:
        OSError: The file cannot be read.
        ValueError: Its type cannot be told, or the text is no URL.
    """
    if isinstance(file, KieFile):
        return file.block()
    if isinstance(file, (bytes, bytearray, memoryview)):
        file = bytes(file)
        told = detect_mime_type(file[:HEAD_BYTES], mime_type, None)
        return _block(kind_of(told), told, base64=b64encode(file).decode())
    if isinstance(file, str) and not _is_file_url(file):
        if not _SCHEME.match(file):
            raise ValueError(f"{file!r} is no URL; for a local file give a pathlib.Path")
        medium = remote(file, mime_type, "file")
        if medium.data:
            return _block(medium.kind, medium.mime_type, base64=medium.data)
        return _block(medium.kind, medium.mime_type, url=file)
    path = _path(file).absolute()
    with path.open("rb") as opened:
        told = detect_mime_type(opened.read(HEAD_BYTES), mime_type, path.name)
    return _block(kind_of(told), told, **{LOCAL_PATH: path})


def _block(kind: str, mime_type: str | None, **where: Any) -> dict[str, Any]:
    """A block of a type that LangChain lets a tool give back; others it turns into text."""
    block = {"type": "image" if kind == "image" else "file", **where}
    return {**block, "mime_type": mime_type} if mime_type else block


def _path(file: str | os.PathLike[str]) -> Path:
    if isinstance(file, str) and _is_file_url(file):
        return Path(url2pathname(urlsplit(file).path))
    return Path(file)


def _is_file_url(text: str) -> bool:
    return text.lower().startswith("file:")


@dataclass(frozen=True, slots=True)
class _Stored:
    """KIE's receipt, in the form that a transport hands on."""

    file: KieFile
    has_output: bool = True
    is_empty: bool = False
    is_terminal: bool = True
    is_last: bool = True


class _FileError(Exception):
    """The file could not be read, or whoever watched it stopped it: nothing of the network's."""


@contextmanager
def _upload_errors() -> Iterator[None]:
    """Let errors tell that it was an upload."""
    try:
        yield
    except _FileError as error:
        raise error.args[0] from None
    except KieModelNotFoundError as error:
        is_absent = error.status_code == HTTPStatus.NOT_FOUND
        raise KieInvalidRequestError(
            "there is no file upload at this address"
            if is_absent
            else f"the upload failed: {error.message}",
            code=error.code,
            status_code=error.status_code,
        ) from None
    except KieError as error:
        error.message = f"the upload failed: {error.message}"
        error.args = (error.message,)
        raise


def _call_for(
    file: File,
    name: str | None,
    mime_type: str | None,
    on_progress: Progress | None,
    stack: ExitStack,
) -> HttpCall[_Stored]:
    """The call that uploads a file, which the stack closes."""
    from langchain_kie._http.response import HttpCall, MultipartBody  # noqa: PLC0415 - only who uploads needs it

    if name is not None and (not name.strip(". ") or not _NAME.fullmatch(name)):
        raise ValueError(f"{name!r} cannot be a file's name")
    if isinstance(file, str) and file.lower().startswith(("http://", "https://")):
        mime_type = remote(file, mime_type, "file").mime_type
        if mime_type is None:
            raise ValueError(f"the type of {file!r} cannot be told; say its mime_type")
        fields = {
            "fileUrl": file,
            "uploadPath": _DIRECTORY,
            "fileName": _upload_name(name, mime_type),
        }
        body = orjson.dumps(fields)
        return HttpCall(
            None, "/api/file-url-upload", body, parse_event=_receipt_decoder(mime_type, None)
        )
    opened = _opened(file, stack)
    mime_type = _type_of(opened, mime_type, file)
    name = _upload_name(name, mime_type)
    reader = _UploadStream(opened, on_progress)
    form = MultipartBody({"uploadPath": _DIRECTORY, "fileName": name}, name, reader, mime_type)
    return HttpCall(
        None, "/api/file-stream-upload", form, parse_event=_receipt_decoder(mime_type, reader.total)
    )


def _opened(file: File, stack: ExitStack) -> BinaryIO:
    """A file that can be read from its beginning, more than once."""
    if isinstance(file, str) and _SCHEME.match(file) and not _is_file_url(file):
        raise ValueError(f"{file[:80]!r} is no http(s) or file URL; for its data give bytes")
    if isinstance(file, (str, os.PathLike)):
        return stack.enter_context(_path(file).open("rb"))
    if isinstance(file, (bytes, bytearray, memoryview)):
        return io.BytesIO(file)
    if not hasattr(file, "seekable"):
        raise ValueError(
            f"a {type(file).__name__} cannot be uploaded: give a path, bytes or a file"
        )
    if file.seekable():
        return file
    spooled = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115 - the stack closes it
    try:
        shutil.copyfileobj(file, stack.enter_context(spooled))
    except TypeError:
        raise ValueError(_NOT_BINARY) from None
    return cast("BinaryIO", spooled)


def _type_of(opened: BinaryIO, mime_type: str | None, file: File) -> str:
    opened.seek(0)
    head = opened.read(HEAD_BYTES)
    if not isinstance(head, bytes):
        raise ValueError(_NOT_BINARY)
    if not head:
        raise ValueError("the file is empty")
    name = os.fspath(file) if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
    return detect_mime_type(head, mime_type, name if isinstance(name, str) else None)


def _upload_name(name: str | None, mime_type: str | None) -> str:
    """A name with the extension by which KIE tells the type when the file is fetched."""
    if name and mime_type and is_alike(type_by_name(name), mime_type):
        return name
    extension = extension_of(mime_type)
    if not extension:
        raise ValueError(f"a file of type {mime_type} cannot be uploaded: it has no extension")
    return (name or uuid4().hex) + extension


class _UploadStream:
    """A file as the request's body reads it; tells how much was read.

    It has no `fileno`, whose size would be the compressed one of a file that is decompressed
    as it is read.
    """

    def __init__(self, file: BinaryIO, on_progress: Progress | None) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self._file = file
        self._on_progress = on_progress
        self.total = file.seek(0, os.SEEK_END)

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
            if data and self._on_progress:
                self._on_progress(self._file.tell(), self.total)
        except OSError as error:
            raise _FileError(error) from error
        return data


def _receipt_decoder(mime_type: str, sent: int | None) -> Callable[[dict[str, Any]], _Stored]:
    """Reads KIE's receipt for a file of a type and size; its pages disagree on the names in it."""

    def decode(data: dict[str, Any]) -> _Stored:
        url = data.get("downloadUrl") or data.get("fileUrl")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise KieProtocolError("KIE did not say where the file is")
        size = data.get("fileSize")
        if sent is not None and isinstance(size, int) and size != sent:
            raise KieServerError(f"KIE stored {size:,} of {sent:,} bytes")
        return _Stored(
            KieFile(
                url=url,
                name=str(data.get("fileName") or url.rpartition("/")[2]),
                mime_type=mime_type,
                size=size if isinstance(size, int) else None,
                expires_at=_expiry(data.get("expiresAt")),
            )
        )

    return decode


def _expiry(told: Any) -> datetime:
    latest = datetime.now(UTC) + FILE_LIFETIME
    try:
        expiry = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return latest
    return min(expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC), latest)
