"""KIE's File Upload API: three endpoints for uploads and one for downloads (docs/wire.md 9)."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

import orjson
import python_multipart  # noqa: F401 - Starlette imports it only when it parses a form
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from langchain_kie.emulator import media_types
from langchain_kie.emulator.errors import UNAUTHORIZED, ApiError, bad_request
from langchain_kie.emulator.media import FetchError
from langchain_kie.emulator.streaming import encode_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langchain_kie.emulator.media import UrlFetcher
    from langchain_kie.emulator.state import ServerState

_USER_FOLDER = "kieai/100001"
_RESERVED_NAMES = frozenset({"", ".", ".."})
_MISSING = "Missing required parameter: {}"
_BAD_BASE64 = "Base64 decoding failed: Invalid Base64 format"
_MESSAGES = {
    400: "Request parameter error",
    UNAUTHORIZED: "Authentication failed: Invalid API Key",
    500: "Internal server error",
}


@dataclass(frozen=True, slots=True)
class _Upload:
    """The parsed request of an upload.

    Attributes:
        folder: `uploadPath` as sent.
        name: `fileName` as sent.
        source_name: The name of the source file, whose extension a generated name gets.
        content: The file; `None` if there is none.
        error: Why there is no file.
    """

    folder: Any
    name: Any
    source_name: str = ""
    content: BinaryIO | None = None
    error: str = ""

    @property
    def size(self) -> int | None:
        """The length of the file in bytes."""
        return None if self.content is None else self.content.seek(0, os.SEEK_END)


def upload_routes(state: ServerState, fetcher: UrlFetcher) -> list[Route]:
    """Build the routes."""

    def upload(read: Callable[[Request, UrlFetcher], Awaitable[_Upload]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                return _json(await _save(request, await read(request, fetcher), state))
            except ApiError as error:
                return _json({"success": False, "code": error.code, "msg": error.message})
            finally:
                await request.close()

        return endpoint

    async def download(request: Request) -> Response:
        path = f"{_USER_FOLDER}/{request.path_params['path']}"
        file = state.files.find(path)
        if file is None:
            return Response("Not Found", HTTPStatus.NOT_FOUND)
        return FileResponse(file.location, media_type=media_types.guess_from_name(path))

    return [
        Route("/api/file-stream-upload", upload(_read_stream), methods=["POST"]),
        Route("/api/file-base64-upload", upload(_read_base64), methods=["POST"]),
        Route("/api/file-url-upload", upload(_read_url), methods=["POST"]),
        Route(f"/{_USER_FOLDER}/{{path:path}}", download),
    ]


def _json(body: Any) -> Response:
    return Response(encode_json(body), media_type="application/json")


async def _save(request: Request, upload: _Upload, state: ServerState) -> dict[str, Any]:
    """Record an upload, check it, and store its file."""
    name = upload.name or f"upload-{next(state.serials)}{PurePosixPath(upload.source_name).suffix}"
    mime_type = media_types.guess_from_name(str(name))
    summary = {"uploadPath": upload.folder, "fileName": upload.name}
    state.record(request, summary | {"size": upload.size, "mimeType": mime_type})
    code = state.settings.fail_uploads if state.is_authorized(request) else UNAUTHORIZED
    if code is not None:
        raise ApiError(code, _MESSAGES.get(code, "File upload failed"))
    path = f"{_USER_FOLDER}/{upload.folder}/{name}"
    file = await state.files.save(path, _check(upload, name))
    url = f"{request.base_url}{quote(path)}"
    state.files.paths[url] = path
    uploaded_at = file.uploaded_at.isoformat(timespec="milliseconds")
    return {
        "success": True,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "success": True,
            "fileName": name,
            "filePath": path,
            "downloadUrl": url,
            "fileSize": file.size,
            "mimeType": mime_type,
            "uploadedAt": uploaded_at.replace("+00:00", "Z"),
        },
    }


def _check(upload: _Upload, name: Any) -> BinaryIO:
    """Check the parameters, and return the file.

    Raises:
        ApiError: If a parameter is missing or invalid.
    """
    if upload.content is None:
        raise bad_request(upload.error)
    if not upload.size:
        raise bad_request("The uploaded file is empty")
    folder = upload.folder
    if not isinstance(folder, str) or not folder:
        raise bad_request(_MISSING.format("uploadPath"))
    if not _RESERVED_NAMES.isdisjoint(folder.split("/")):
        raise bad_request("Invalid uploadPath: leading, trailing and double slashes are forbidden")
    if not isinstance(name, str) or name in _RESERVED_NAMES or "/" in name:
        raise bad_request("Invalid fileName: it must be the name of a file")
    return upload.content


async def _read_stream(request: Request, _fetcher: UrlFetcher) -> _Upload:
    try:
        form = await request.form(max_files=1)
    except HTTPException as error:
        return _Upload(None, None, error=error.detail)
    folder, name, file = form.get("uploadPath"), form.get("fileName"), form.get("file")
    if not isinstance(file, UploadFile):
        return _Upload(folder, name, error=_MISSING.format("file"))
    return _Upload(folder, name, file.filename or "", file.file)


async def _read_json(request: Request, field: str) -> tuple[Any, Any, str]:
    """Parse a JSON body, and return the folder, the name, and `field` if it is text."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    body = body if isinstance(body, dict) else {}
    value = body.get(field)
    return body.get("uploadPath"), body.get("fileName"), value if isinstance(value, str) else ""


async def _read_base64(request: Request, _fetcher: UrlFetcher) -> _Upload:
    folder, name, value = await _read_json(request, "base64Data")
    if not value:
        return _Upload(folder, name, error=_MISSING.format("base64Data"))
    head, comma, data = value.rpartition(",")
    try:
        if comma and not (head.startswith("data:") and head.endswith(";base64")):
            return _Upload(folder, name, error=_BAD_BASE64)
        content = base64.b64decode(data, validate=True)
    except ValueError:
        return _Upload(folder, name, error=_BAD_BASE64)
    mime_type = head.removeprefix("data:").partition(";")[0]
    source_name = f"file{media_types.extension_of(mime_type)}"
    return _Upload(folder, name, source_name, io.BytesIO(content))


async def _read_url(request: Request, fetcher: UrlFetcher) -> _Upload:
    folder, name, url = await _read_json(request, "fileUrl")
    if not url:
        return _Upload(folder, name, error=_MISSING.format("fileUrl"))
    try:
        _, content = await fetcher.fetch(url)
    except FetchError as error:
        message = f"Failed to download the file from its URL: {error}"
        return _Upload(folder, name, error=message)
    source_name = PurePosixPath(unquote(urlsplit(url).path)).name
    return _Upload(folder, name, source_name, io.BytesIO(content))
