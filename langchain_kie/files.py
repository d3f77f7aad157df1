"""KIE's file upload, and content blocks for files.

Depends on files and the upload API; independent of chat.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr  # noqa: TC002 - for `typing.get_type_hints`

from langchain_kie import _settings, _warm_up
from langchain_kie._conversation.media import LOCAL_PATH, Media, media_from_data, media_from_url
from langchain_kie._conversation.mime_types import media_kind
from langchain_kie._error_bodies import only_item
from langchain_kie._json import without_none
from langchain_kie._upload_request import upload_call, upload_errors
from langchain_kie._upload_stream import File, Progress, detect_file_type, to_path
from langchain_kie.errors import KieProtocolError, KieServerError

if TYPE_CHECKING:
    from langchain_kie._http.transport import Transport
    from langchain_kie._json import Json

logger = logging.getLogger(__name__)

FILE_LIFETIME = timedelta(hours=24)
"""How long KIE keeps an uploaded file (docs/wire.md 9)."""


@dataclass(frozen=True, slots=True)
class KieFile:
    """An uploaded file (docs/wire.md 9).

    Attributes:
        url: Where the file is. It is public: everybody who has the URL can download it.
        name: The file name at KIE.
        mime_type: The MIME type, `None` if unknown.
        size: The size in bytes, `None` if KIE does not report it.
        expires_at: When KIE deletes the file, in UTC: at most 24 hours after the upload.
    """

    url: str
    name: str
    mime_type: str | None
    size: int | None
    expires_at: datetime

    @property
    def is_expired(self) -> bool:
        """Whether `expires_at` has passed, by the clock of this machine."""
        return datetime.now(UTC) >= self.expires_at

    def block(self) -> dict[str, Any]:
        """The content block that adds the file to a message, by its URL.

        Returns:
            A LangChain content block of type `image` or `file`.

        Raises:
            ValueError: The file has expired.
        """
        if self.is_expired:
            raise ValueError(f"{self.url} has expired; upload the file again")
        return _block_for(Media(media_kind(self.mime_type), self.mime_type, url=self.url))


class KieFiles:
    """KIE's file upload (docs/wire.md 9).

    Example:
        ```python
        from pathlib import Path

        from langchain_core.messages import HumanMessage

        from langchain_kie import KieFiles

        file = KieFiles().upload(Path("lecture.mp4"))
        message = HumanMessage([{"type": "text", "text": "Summarize it."}, file.block()])
        ```

    Args:
        api_key: The API key. Default: `KIE_API_KEY`.
        upload_url: The base URL of the upload API. Default: `KIE_UPLOAD_URL`; if that is not set,
            `https://kieai.redpandaai.co`, or `KIE_BASE_URL` if that is not KIE's.
        allow_http: Whether `upload_url` may use http for another host than this machine; the key
            is then sent without encryption, with a warning.
        timeout: Seconds above 0 for each network operation, or a `Timeout` of httpx or httpx2.
            Default: 10 s to connect, 180 s to read, 60 s to write, and 60 s to wait for a
            connection.
        max_retries: How often a failed upload is retried, 0 or more.
        http_client: A `Client` of httpx or httpx2 for `upload`. Default: a pool shared by the
            process.
        http_async_client: An `AsyncClient` of either for `aupload`. Default: a shared pool.

    Raises:
        KieConfigurationError: There is no API key, or a setting is invalid.
    """

    def __init__(
        self,
        *,
        api_key: SecretStr | str | None = None,
        upload_url: str | None = None,
        allow_http: bool = False,
        timeout: Any = None,
        max_retries: int = 2,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        base_url = os.environ.get("KIE_BASE_URL", _settings.DEFAULT_BASE_URL)
        self._settings: dict[str, Any] = {
            "api_key": _settings.checked_key(_settings.key_or_default(api_key)),
            "base_url": _settings.upload_url_for(base_url, upload_url, allow_http=allow_http),
            "allow_http": allow_http,
            "timeout": _settings.checked_timeout(timeout),
            "max_retries": _settings.checked_minimum("max_retries", max_retries, int),
            "client": _settings.checked_sync_client(http_client),
            "async_client": _settings.checked_async_client(http_async_client),
        }

    @cached_property
    def _transport(self) -> Transport:
        from langchain_kie._http.transport import transport_for  # noqa: PLC0415 - loads httpx

        return transport_for(**self._settings)

    @property
    def account(self) -> str:
        """Identifies the upload API and the API key, without revealing the key."""
        return self._transport.account

    def __repr__(self) -> str:
        """Show the upload URL, and no key."""
        return f"KieFiles(upload_url={self._settings['base_url']!r})"

    def upload(
        self,
        file: File,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> KieFile:
        """Upload a file, streamed from the disk.

        Args:
            file: A path object, bytes, a binary file object, which is read from its beginning and
                not closed, or an http(s) URL, which KIE downloads (at most 100 MB). Text is always
                a URL, never a path: it may come from a user or a model.
            name: The file name at KIE, without slashes; the extension of the MIME type is added
                if it is missing. An existing file of that name is replaced. Default: a random
                name, because names are part of the public URL.
            mime_type: The MIME type. Default: detected in the content, else by the file name.
            on_progress: Called repeatedly with the bytes sent so far and the total; a retry
                begins at 0 again. An exception that it raises ends the upload.

        Returns:
            The uploaded file, which is public and expires after 24 hours.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is empty, its type cannot be detected, or the name is invalid.
            KieError: The upload failed.
        """
        with ExitStack() as stack, upload_errors(file):
            call = upload_call(file, name, mime_type, on_progress, stack, _parse_receipt)
            receipt = only_item(self._transport.stream(call))
            return self._logged(receipt.value)

    def _logged(self, file: KieFile) -> KieFile:
        """Log an upload, without the URL: everybody who has it can read the file."""
        logger.info(
            "uploaded a file of type %s (%s bytes) to %s: it is public until %s",
            *(file.mime_type, file.size, self._transport.base_url, f"{file.expires_at:%F %T %Z}"),
        )
        return file

    async def aupload(
        self,
        file: File,
        *,
        name: str | None = None,
        mime_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> KieFile:
        """Upload a file without blocking the event loop.

        Args:
            file: As in `upload`; it is read in threads.
            name: As in `upload`.
            mime_type: As in `upload`.
            on_progress: As in `upload`; it is called in threads.

        Returns:
            The uploaded file, which is public and expires after 24 hours.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is empty, its type cannot be detected, or the name is invalid.
            KieError: The upload failed.
        """
        await _warm_up.aload()
        with ExitStack() as stack, upload_errors(file):
            call = await asyncio.to_thread(
                upload_call, file, name, mime_type, on_progress, stack, _parse_receipt
            )
            receipt = only_item([item async for item in self._transport.astream(call)])
            return self._logged(receipt.value)


def media_block(
    file: os.PathLike[str] | KieFile | bytes | bytearray | memoryview | str,
    *,
    mime_type: str | None = None,
) -> dict[str, Any]:
    """The content block for an image, audio, a video or a document.

    Only a path that is passed here lets `ChatKieGemini` read a local file. When the message is
    sent, data and files go inline or are uploaded, depending on `media_upload` of the model.

    Args:
        file: A path object, an http(s) or `data:` URL, bytes, or an uploaded file. Text is always
            a URL, never a path: it may come from a user or a model.
        mime_type: The MIME type. Default: detected in the content, else by the name. Ignored for
            a `KieFile`.

    Returns:
        A LangChain content block of type `image` or `file`, which a tool may return, too.

    Raises:
        OSError: The file cannot be read.
        ValueError: The type cannot be detected, or KIE cannot fetch the URL (docs/wire.md 9).
    """
    if isinstance(file, KieFile):
        return file.block()
    if isinstance(file, (bytes, bytearray, memoryview)):
        return _block_for(media_from_data(bytes(file), mime_type, "file", None))
    if isinstance(file, str):
        return _block_for(media_from_url(file, mime_type, "file"))
    path = to_path(file).absolute()
    with path.open("rb") as content:
        detected = detect_file_type(content, mime_type, path.name)
    return _block_for(Media(media_kind(detected), detected, path=path))


async def amedia_block(
    file: os.PathLike[str] | KieFile | bytes | bytearray | memoryview | str,
    *,
    mime_type: str | None = None,
) -> dict[str, Any]:
    """As `media_block`, but reads a file in a thread, so that the event loop does not stop.

    Args:
        file: As in `media_block`.
        mime_type: As in `media_block`.

    Returns:
        A LangChain content block of type `image` or `file`.

    Raises:
        OSError: The file cannot be read.
        ValueError: The type cannot be detected, or KIE cannot fetch the URL (docs/wire.md 9).
    """
    return await asyncio.to_thread(media_block, file, mime_type=mime_type)


def _block_for(media: Media) -> Json:
    """A block of a type that langchain-core 1.7.2 keeps in a tool result; others become text."""
    source = {"base64": media.base64, "url": media.url, LOCAL_PATH: media.path}
    block_type = "image" if media.kind == "image" else "file"
    return without_none(type=block_type, **source, mime_type=media.mime_type)


def _parse_receipt(mime_type: str, sent: int | None, data: Json) -> KieFile:
    """The uploaded file; KIE's pages disagree on the names of the fields (docs/wire.md 9).

    Args:
        mime_type: The MIME type of the file.
        sent: Its size in bytes, `None` if KIE downloaded it.
        data: The answer.
    """
    url = data.get("downloadUrl") or data.get("fileUrl")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise KieProtocolError("the answer has no URL of the file")
    name = str(data.get("fileName") or url.rpartition("/")[2])
    size = data.get("fileSize")
    size = size if isinstance(size, int) else None
    if sent is not None and size is not None and size != sent:
        raise KieServerError(f"KIE stored {size:,} of {sent:,} bytes")
    return KieFile(url, name, mime_type, size, _expiry(data.get("expiresAt")))


def _expiry(stated: Any) -> datetime:
    """When the file expires: as KIE states, but no later than KIE documents."""
    latest = datetime.now(UTC) + FILE_LIFETIME
    try:
        expiry = datetime.fromisoformat(stated)
    except (TypeError, ValueError):
        return latest
    return min(expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC), latest)
