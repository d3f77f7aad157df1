"""KIE's File Upload API: three ways in, and one out.

Knows its routes, their parameters and how they refuse (docs/wire.md 9). Where the files are
kept is for `files` to know.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

import orjson
import python_multipart  # noqa: F401 - Starlette's forms need it, and tell only when used
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from langchain_kie.emulator import media_types
from langchain_kie.emulator.errors import UNAUTHORIZED, WireError, bad_request
from langchain_kie.emulator.media import UnreachableError
from langchain_kie.emulator.pieces import dump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langchain_kie.emulator.media import Internet
    from langchain_kie.emulator.world import World

_OWNER = "kieai/100001"
_NO_NAMES = frozenset({"", ".", ".."})
_MISSING = "Missing required parameter: {}"
_BAD_BASE64 = "Base64 decoding failed: Invalid Base64 format"
_REFUSALS = {
    400: "Request parameter error",
    UNAUTHORIZED: "Authentication failed: Invalid API Key",
    500: "Internal server error",
}


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An upload as it arrived.

    Attributes:
        upload_path: The folder, as sent.
        file_name: The name, as sent.
        own_name: The name that the file itself came with; a made-up one ends alike.
        content: The file, `None` where there is none.
        fault: Why there is none.
    """

    upload_path: Any
    file_name: Any
    own_name: str = ""
    content: BinaryIO | None = None
    fault: str = ""


def upload_routes(world: World, internet: Internet) -> list[Route]:
    """Make the routes."""

    def upload(read: Callable[[Request, Internet], Awaitable[_Arrival]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                return _json(await _upload(request, await read(request, internet), world))
            except WireError as error:
                return _json({"success": False, "code": error.code, "msg": error.message})
            finally:
                await request.close()

        return endpoint

    async def download(request: Request) -> Response:
        path = f"{_OWNER}/{request.path_params['path']}"
        file = world.files.find(path)
        if file is None:
            return Response("Not Found", HTTPStatus.NOT_FOUND)
        return FileResponse(file.held, media_type=media_types.by_name(path))

    return [
        Route("/api/file-stream-upload", upload(_read_stream), methods=["POST"]),
        Route("/api/file-base64-upload", upload(_read_base64), methods=["POST"]),
        Route("/api/file-url-upload", upload(_read_url), methods=["POST"]),
        Route(f"/{_OWNER}/{{path:path}}", download),
    ]


def _json(body: Any) -> Response:
    return Response(dump(body), media_type="application/json")


async def _upload(request: Request, arrival: _Arrival, world: World) -> dict[str, Any]:
    """Note an upload down, check it, and keep its file."""
    name = arrival.file_name or _made_up_name(arrival, world)
    mime_type = media_types.by_name(str(name))
    noted = {"uploadPath": arrival.upload_path, "fileName": arrival.file_name}
    world.record(request, noted | {"size": _size(arrival.content), "mimeType": mime_type})
    content = _checked(request, arrival, name, world)
    path = f"{_OWNER}/{arrival.upload_path}/{name}"
    file = await world.files.keep(path, content)
    uploaded_at = file.uploaded_at.isoformat(timespec="milliseconds")
    return {
        "success": True,
        "code": 200,
        "msg": "File uploaded successfully",
        "data": {
            "success": True,
            "fileName": name,
            "filePath": path,
            "downloadUrl": f"{request.base_url}{quote(path)}",
            "fileSize": file.size,
            "mimeType": mime_type,
            "uploadedAt": uploaded_at.replace("+00:00", "Z"),
        },
    }


def _checked(request: Request, arrival: _Arrival, name: Any, world: World) -> BinaryIO:
    """Give the file of an upload with which nothing is wrong.

    Raises:
        WireError: If something is.
    """
    code = world.fail_uploads if world.trusts(request) else UNAUTHORIZED
    if code is not None:
        raise WireError(code, _REFUSALS.get(code, "File upload failed"))
    if arrival.content is None:
        raise bad_request(arrival.fault)
    if not _size(arrival.content):
        raise bad_request("The uploaded file is empty")
    path = arrival.upload_path
    if not isinstance(path, str) or not path:
        raise bad_request(_MISSING.format("uploadPath"))
    if not _NO_NAMES.isdisjoint(path.split("/")):
        raise bad_request("Invalid uploadPath: no slash may lead, trail or follow another")
    if not isinstance(name, str) or name in _NO_NAMES or "/" in name:
        raise bad_request("Invalid fileName: it must be the name of a file")
    return arrival.content


def _made_up_name(arrival: _Arrival, world: World) -> str:
    return f"upload-{next(world.serials)}{PurePosixPath(arrival.own_name).suffix}"


def _size(content: BinaryIO | None) -> int | None:
    return None if content is None else content.seek(0, os.SEEK_END)


async def _read_stream(request: Request, _internet: Internet) -> _Arrival:
    try:
        form = await request.form(max_files=1)
    except HTTPException as error:
        return _Arrival(None, None, fault=error.detail)
    sent, file = (form.get("uploadPath"), form.get("fileName")), form.get("file")
    if not isinstance(file, UploadFile):
        return _Arrival(*sent, fault=_MISSING.format("file"))
    return _Arrival(*sent, file.filename or "", file.file)


async def _read_json(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        body = None
    return body if isinstance(body, dict) else {}


async def _read_base64(request: Request, _internet: Internet) -> _Arrival:
    body = await _read_json(request)
    sent, given = (body.get("uploadPath"), body.get("fileName")), body.get("base64Data")
    if not isinstance(given, str) or not given:
        return _Arrival(*sent, fault=_MISSING.format("base64Data"))
    head, comma, data = given.rpartition(",")
    try:
        if comma and not (head.startswith("data:") and head.endswith(";base64")):
            return _Arrival(*sent, fault=_BAD_BASE64)
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return _Arrival(*sent, fault=_BAD_BASE64)
    mime_type = head.removeprefix("data:").partition(";")[0]
    own_name = f"file{media_types.extension_of(mime_type)}"
    return _Arrival(*sent, own_name, io.BytesIO(content))


async def _read_url(request: Request, internet: Internet) -> _Arrival:
    body = await _read_json(request)
    sent, url = (body.get("uploadPath"), body.get("fileName")), body.get("fileUrl")
    if not isinstance(url, str) or not url:
        return _Arrival(*sent, fault=_MISSING.format("fileUrl"))
    try:
        _, content = await internet.fetch(url)
    except UnreachableError as error:
        return _Arrival(*sent, fault=f"Failed to download the file from its URL: {error}")
    own_name = PurePosixPath(unquote(urlsplit(url).path)).name
    return _Arrival(*sent, own_name, io.BytesIO(content))
