"""The request of a file upload, and the messages of its errors (docs/wire.md 9).

Depends on files and the upload API; independent of what the answer becomes.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from langchain_kie._conversation.media import media_from_url
from langchain_kie._conversation.mime_types import with_extension
from langchain_kie._upload_stream import File, FileReadError, Progress, UploadStream
from langchain_kie.errors import KieError, KieInvalidRequestError, KieModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from langchain_kie._http.response import HttpCall, SingleEvent, ValueT
    from langchain_kie._json import Json

_UPLOAD_PATH = "langchain-kie"
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")


@contextmanager
def upload_errors(file: File) -> Iterator[None]:
    """Make errors say that the upload failed, and of which file."""
    try:
        yield
    except FileReadError as error:
        raise error.args[0] from None
    except KieError as error:
        message = f"the upload of {_label(file)} failed: {error.message}"
        if isinstance(error, KieModelNotFoundError):
            if error.status_code == HTTPStatus.NOT_FOUND:
                message = "there is no file upload at this address"
            code, status_code = error.code, error.status_code
            raise KieInvalidRequestError(message, code=code, status_code=status_code) from None
        error.message, error.args = message, (message,)
        raise


def _label(file: File) -> str:
    """The name of a file in errors. A URL may be secret, so only its host is shown."""
    if isinstance(file, (bytes, bytearray, memoryview)):
        return f"{len(file):,} bytes"
    if isinstance(file, str):
        return f"a file of {urlsplit(file).hostname}"
    path = file if isinstance(file, os.PathLike) else getattr(file, "name", None)
    return os.path.basename(path) if isinstance(path, (str, os.PathLike)) else "the file"  # noqa: PTH119 - also text


def upload_call(
    file: File,
    name: str | None,
    mime_type: str | None,
    on_progress: Progress | None,
    stack: ExitStack,
    parse_receipt: Callable[[str, int | None, Json], ValueT],
) -> HttpCall[SingleEvent[ValueT]]:
    """The HTTP call that uploads a file.

    Args:
        file: As in `KieFiles.upload`, likewise the next three.
        name: The file name at KIE.
        mime_type: The MIME type.
        on_progress: Called with the bytes sent so far and the total.
        stack: Closes what is opened.
        parse_receipt: Reads the answer, given the MIME type of the file and the bytes that are
            sent, `None` if KIE downloads them.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is empty, its type cannot be detected, or the name is invalid.
    """
    from langchain_kie._http import response  # noqa: PLC0415 - loads late

    if name is not None and (not name.strip(". ") or not _FILE_NAME.fullmatch(name)):
        raise ValueError(f"{name!r} is not a valid file name")
    if isinstance(file, str) and file.lower().startswith(("http://", "https://")):
        path, stream = "/api/file-url-upload", None
        mime_type = media_from_url(file, mime_type, "file").mime_type
        if mime_type is None:
            raise ValueError(f"cannot detect the MIME type of {file}; pass mime_type=")
    else:
        path, stream = "/api/file-stream-upload", UploadStream(file, mime_type, on_progress, stack)
        mime_type = stream.mime_type
    name = with_extension(name or uuid4().hex, mime_type)
    fields = {"uploadPath": _UPLOAD_PATH, "fileName": name}
    body: bytes | response.MultipartBody
    if stream:
        body = response.MultipartBody(fields, name, stream, mime_type)
    else:
        body = orjson.dumps({"fileUrl": file, **fields})
    size = stream.size if stream else None

    def parse_event(event: Json) -> SingleEvent[ValueT]:
        return response.SingleEvent(parse_receipt(mime_type, size, event))

    return response.HttpCall(None, path, body, parse_event)
