"""Records requests and responses, without the key and without data of the account.

Depends on httpx. A cassette is a JSON file with the exchanges of one question:

    {"question": "...", "exchanges": [{
        "request": {"method", "path", "body"},
        "response": {"status", "content_type", "body", "arrivals"}}]}

`arrivals` are pairs of seconds since the request and bytes that arrived then. A response that never
came is `null`. Bytes that are not UTF-8 are left out, with their number in their place.
"""

from __future__ import annotations

import base64
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

from langchain_kie.cli.output import without_account_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BALANCE_PATH = "/api/v1/chat/credit"
_UPLOAD_PATHS = frozenset({"/api/file-stream-upload", "/api/file-url-upload"})
_CATALOG_PATH = "/api/v1/models"
_BALANCE = 100.0
"""The recorded balance of every account that has credits."""
_FILE_URL = "https://files.invalid/file.png"
_SHORTEST_SECRET = 8


class Redactor:
    """Removes the key, parts of it, and addresses of uploaded files, which name the account."""

    def __init__(self, key: str) -> None:
        self._key = key.strip()
        encoders = (base64.b64encode, base64.urlsafe_b64encode)
        encoded = [encode(self._key.encode()).decode() for encode in encoders]
        unpadded = [text.rstrip("=") for text in encoded]
        self._replaced = dict.fromkeys([*encoded, *unpadded], "[API key]")

    def text(self, text: str) -> str:
        """Redact a text."""
        for length in range(len(self._key), min(len(self._key), _SHORTEST_SECRET) - 1, -1):
            for part in (self._key[:length], self._key[-length:]):
                text = text.replace(part, "[API key]")
        for secret, placeholder in self._replaced.items():
            text = text.replace(secret, placeholder)
        return text

    def json(self, value: Any) -> Any:
        """Redact the texts in a JSON value, but no names of its members."""
        if isinstance(value, dict):
            return {name: self.json(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def response(self, path: str, body: str) -> str:
        """Redact the body of a response; one about the account that is not understood is empty."""
        path = path.partition("?")[0]
        if path in _UPLOAD_PATHS or path == _BALANCE_PATH:
            try:
                answer = json.loads(body)
                redact = self._without_balance if path == _BALANCE_PATH else self._without_file
                body = json.dumps(redact(answer))
            except (AttributeError, TypeError, ValueError):
                return ""
        elif not path.startswith(_CATALOG_PATH):  # its prices are no secrets
            body = without_account_numbers(body)
        return self.text(body)

    def _without_balance(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Keep only whether there are credits."""
        data = answer.get("data")
        return answer if data is None else answer | {"data": _BALANCE if float(data) > 0 else 0.0}

    def _without_file(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Replace the URL of an uploaded file, also in later requests and responses."""
        data = answer.get("data")
        if data is None:
            return answer
        for name in ("downloadUrl", "fileUrl", "filePath"):
            if isinstance(data.get(name), str) and data[name]:
                self._replaced[data[name]] = _FILE_URL
        kept = {name: data[name] for name in ("fileSize", "mimeType", "fileName") if name in data}
        return answer | {"data": {**kept, "downloadUrl": _FILE_URL}}


class Recorder:
    """Records what an HTTP client sends and receives, one file a question.

    Args:
        folder: The folder of the files; it is created.
        key: The API key, which is removed.

    Attributes:
        client: The client to record, for `http_client=`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._redactor = Redactor(key)
        self._exchanges: list[_Exchange] = []
        self._count = 0
        hooks: Any = {"request": [self._on_request], "response": [self._on_response]}
        self.client = httpx.Client(event_hooks=hooks)

    def __enter__(self) -> Self:
        """Start to record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.client.close()

    @contextmanager
    def question(self, name: str) -> Iterator[None]:
        """Record the requests of a `with` block in one file; without requests, write no file."""
        self._exchanges.clear()
        try:
            yield
        finally:
            if self._exchanges:
                self._write(name)

    def _write(self, name: str) -> None:
        self._count += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        words = "".join(c if c.isalnum() or c in "._" else "-" for c in name)
        exchanges = [exchange.redacted(self._redactor) for exchange in self._exchanges]
        cassette = {"question": name, "exchanges": exchanges}
        text = json.dumps(cassette, indent=1, ensure_ascii=False) + "\n"
        path = self.folder / f"{self._count:03}-{words}.json"
        path.write_text(text, encoding="utf-8")

    def _on_request(self, request: httpx.Request) -> None:
        exchange = _Exchange(request)
        request.extensions["kie_exchange"] = exchange
        self._exchanges.append(exchange)

    def _on_response(self, response: httpx.Response) -> None:
        response.request.extensions["kie_exchange"].record(response)


class _Exchange(httpx.SyncByteStream):
    """One request and what came back: the response's stream, recorded while it is read."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._start = time.monotonic()
        self._stream: httpx.SyncByteStream = httpx.ByteStream(b"")
        self._status = 0
        self._content_type = ""
        self._pieces: list[tuple[float, bytes]] = []

    def record(self, response: httpx.Response) -> None:
        """Record a response."""
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - for mypy
        self._status, self._stream = response.status_code, response.stream
        self._content_type = response.headers.get("content-type", "")
        response.stream = self

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._pieces.append((round(time.monotonic() - self._start, 3), piece))
            yield piece

    def close(self) -> None:
        self._stream.close()

    def redacted(self, redactor: Redactor) -> dict[str, Any]:
        request = self._request
        path = request.url.raw_path.decode()
        is_json = request.headers.get("content-type", "").startswith("application/json")
        body = request.content.decode() if is_json else ""
        response = None
        if self._status:
            received = b"".join(piece for _, piece in self._pieces)
            response = {
                "status": self._status,
                "content_type": self._content_type,
                "body": redactor.response(path, _text(received)),
                "arrivals": [[seconds, len(piece)] for seconds, piece in self._pieces],
            }
        sent = {"method": request.method, "path": path, "body": redactor.text(body)}
        return {"request": sent, "response": response}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"[{len(body)} bytes]"
