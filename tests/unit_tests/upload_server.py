"""What tests of uploads share: unique images, answers of the upload API, and waiting for events."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from limits import MAX_RUN
from scripted_server import Scripted

from langchain_kie import KieFile, KieFiles

MEDIA = Path(__file__).parents[1] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
KEY = "sk-CANARY-0123456789"
STORED_AT = "https://files.example/kieai/1/langchain-kie/a.png"
MEGABYTE = 1024 * 1024

_SERIALS = count(1)


def unique_png(size: int = 200) -> bytes:
    """A PNG of a size in bytes that no other test uploads."""
    return PNG.ljust(size - 4, b"\0") + next(_SERIALS).to_bytes(4, "big")


def receipt(**members: Any) -> bytes:
    """The answer to an upload."""
    data = {"success": True, "downloadUrl": STORED_AT, **members}
    return orjson.dumps({"success": True, "code": 200, "msg": "ok", "data": data})


def failure(code: int, message: str) -> Scripted:
    """The answer to an upload that failed."""
    return Scripted([orjson.dumps({"success": False, "code": code, "msg": message})])


def files_at(server: Any, **settings: Any) -> KieFiles:
    """An upload API that is `server`, without retries."""
    return KieFiles(upload_url=server.base_url, **{"api_key": KEY, "max_retries": 0, **settings})


async def upload(files: KieFiles, *args: Any, **kwargs: Any) -> KieFile:
    return files.upload(*args, **kwargs)


async def aupload(files: KieFiles, *args: Any, **kwargs: Any) -> KieFile:
    return await files.aupload(*args, **kwargs)


UPLOADS = pytest.mark.parametrize("upload_mode", [upload, aupload])


def empty(path: Path) -> Path:
    """An empty file in a folder."""
    (path / "a.png").write_bytes(b"")
    return path / "a.png"


class HeldBack:
    """A response whose body is sent only when `released` is set."""

    def __init__(self, body: bytes) -> None:
        self.released = threading.Event()
        self.response = Scripted([self.released, body], ending="fin-unframed")


def run_python(script: str, *arguments: str) -> str:
    """What a script prints in another process, in which it must succeed."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.check_output(command, text=True, timeout=MAX_RUN)
