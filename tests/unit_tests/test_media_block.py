"""`media_block` and `amedia_block`."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_kie import KieFile, amedia_block, media_block
from unit_tests.upload_server import MEDIA, PNG, STORED_AT, empty

KIE_FILE = KieFile(STORED_AT, "a.png", "image/png", 1, datetime(2999, 1, 1, tzinfo=UTC))


def test_media_block_holds_the_path() -> None:
    path = MEDIA / "tone.wav"
    block = media_block(path)
    assert block == {"type": "file", "kie_path": path.absolute(), "mime_type": "audio/wav"}
    for text in (str(path), path.as_uri(), path.as_uri().replace("file:", "FILE:")):
        with pytest.raises(ValueError, match=r"pathlib\.Path"):
            media_block(text)
    assert pickle.loads(pickle.dumps(HumanMessage([block]))).content == [block]
    assert HumanMessage([block]).content_blocks == [block]


def test_media_block_makes_a_relative_path_absolute(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(MEDIA)
    block = media_block(Path("diagram.png"))
    monkeypatch.chdir(tmp_path)
    assert block["kie_path"] == MEDIA / "diagram.png"


async def test_media_block_rejects_what_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        media_block(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        media_block(tmp_path)
    for given, match in (
        ("a.png", r"'a.png': not an http.* use langchain_kie.media_block\(pathlib.Path"),
        ("https://youtu.be/x", "a YouTube link"),
        (b"hello", "cannot detect the MIME type of the data"),
        (b"", "the data is empty"),
        (empty(tmp_path), "a.png is empty"),
    ):
        with pytest.raises(ValueError, match=match):
            media_block(given)
        with pytest.raises(ValueError, match=match):
            await amedia_block(given)


@pytest.mark.parametrize(
    "file",
    [MEDIA / "tone.wav", PNG, bytearray(PNG), "https://files.example/a.png", KIE_FILE],
    ids=type,
)
async def test_amedia_block_is_media_block_in_a_thread(file: Any) -> None:
    assert await amedia_block(file) == media_block(file)
    with pytest.raises(FileNotFoundError):
        await amedia_block(Path("none.png"))
