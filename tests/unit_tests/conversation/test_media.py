"""Base64 and URLs of media parts."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from pathlib import Path

import pytest

from langchain_kie._conversation.media import media_from_data, media_from_url

MEDIA = Path(__file__).parents[2] / "integration_tests" / "media"
PNG = (MEDIA / "diagram.png").read_bytes()
PNG_BASE64 = base64.b64encode(PNG).decode()

# --- base64 and data URLs --------------------------------------------------------------------

BYTES = bytes(range(256)) * 3
BASE64 = {
    "plain": base64.b64encode(BYTES).decode(),
    "URL-safe": base64.urlsafe_b64encode(BYTES).decode(),
    "without padding": base64.b64encode(BYTES + b"x").decode().rstrip("="),
    "URL-safe, without padding": base64.urlsafe_b64encode(BYTES + b"xy").decode().rstrip("="),
    "too much padding": base64.b64encode(BYTES).decode() + "==",
    "lines": base64.encodebytes(BYTES).decode(),
    "lines with CRLF": "\r\n".join(textwrap.wrap(base64.b64encode(BYTES).decode(), 76)),
    "indented": textwrap.indent(base64.encodebytes(BYTES).decode(), "    "),
}


@pytest.mark.parametrize("data", BASE64.values(), ids=BASE64.keys())
def test_base64_is_normalized(data: str) -> None:
    part = media_from_data(data, "text/plain", "file", None)
    decoded = base64.b64decode(part.base64 or "", validate=True)
    assert decoded.removeprefix(BYTES) in {b"", b"x", b"xy"}


@pytest.mark.parametrize(
    "data", ["a", "no base64!", "ab%cd===", "🙂🙂🙂🙂", "ab=cd", "====", "A" * 5]
)
def test_invalid_base64_is_rejected(data: str) -> None:
    with pytest.raises(ValueError, match="the data is not base64"):
        media_from_data(data, "image/png", "image", None)


@pytest.mark.parametrize("data", ["", " \n", b""])
def test_empty_data_is_rejected(data: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"a\.png is empty"):
        media_from_data(data, "image/png", "image", "a.png")


QUOTED = PNG_BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
DATA_URLS = {
    "plain": f"data:image/png;base64,{PNG_BASE64}",
    "upper case": f"DATA:IMAGE/PNG;BASE64,{PNG_BASE64}",
    "parameters": f"data:image/png;name=a.png;charset=x;base64,{PNG_BASE64}",
    "percent-encoded parameter": f"data:image/png;name=a%20b.png;base64,{PNG_BASE64}",
    "percent-encoded": f"data:image/png;base64,{QUOTED}",
    "no type": f"data:;base64,{PNG_BASE64}",
    "octet-stream": f"data:application/octet-stream;base64,{PNG_BASE64}",
    "wrong type": f"data:image/jpg;base64,{PNG_BASE64}",
    "spaces": f"  data:image/png; base64,{PNG_BASE64}\n",
    "no base64": "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
}


@pytest.mark.parametrize("url", DATA_URLS.values(), ids=DATA_URLS.keys())
def test_data_url_becomes_data(url: str) -> None:
    media = media_from_url(url, None, "file")
    assert (media.kind, media.mime_type, media.base64) == ("image", "image/png", PNG_BASE64)
    is_decoded = "," not in (media.data or "")
    assert is_decoded == ("%" in url.partition(",")[2]), "the data of others are not copied"


def test_the_digest_is_that_of_the_data_also_after_an_upload() -> None:
    part = media_from_data(PNG_BASE64, None, "image", None)
    assert part.digest() == hashlib.sha256(PNG).hexdigest()
    copy = part.copy()
    copy.replace_with_url("https://files.example/a.png")
    assert copy.digest() == part.digest()
    assert media_from_url("https://files.example/a.png", None, "image").digest() is None


def test_data_url_with_percent_encoded_text_becomes_data() -> None:
    part = media_from_url("data:text/plain;charset=utf-8,sch%C3%B6n%2C%20ja", None, "file")
    assert base64.b64decode(part.base64 or "").decode() == "schön, ja"
