"""The faults of a response's status and headers, and the bodies of error statuses."""

from __future__ import annotations

import gzip
from typing import Any

from scripted_server import Scripted

from faults.answers import DOCUMENTS
from faults.fault import (
    BREAKS,
    FEW,
    JSON,
    LEGAL,
    UNREADABLE,
    Effect,
    Fault,
    Script,
    rows,
)
from langchain_kie import (
    KieAuthenticationError,
    KieEmptyResponseError,
    KieError,
    KieInsufficientCreditsError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieProtocolError,
    KieRateLimitError,
    KieServerError,
    KieTimeoutError,
)

_STATUS = ("status",)
STATUSES: dict[int, tuple[type[KieError], int | None]] = {
    **dict.fromkeys((400, 413, 422), (KieInvalidRequestError, 0)),
    401: (KieAuthenticationError, 0),
    **dict.fromkeys((402, 433), (KieInsufficientCreditsError, 0)),
    403: (KiePermissionDeniedError, 0),
    404: (KieModelNotFoundError, 0),
    408: (KieTimeoutError, 1),
    429: (KieRateLimitError, None),
    501: (KieServerError, 1),
    **dict.fromkeys((409, 455, 500, 502, 503, 520), (KieServerError, None)),
    **dict.fromkeys((504, 522, 524), (KieTimeoutError, 0)),
}
"""docs/wire.md 7."""

CODES = {**STATUSES, 524: (KieServerError, None)}
"""KIE's codes in a body with status 200."""

_1010 = b"<!DOCTYPE html><title>Access denied</title><span>Error</span> <span>1010</span>"
_PAGE = b"<!DOCTYPE html><html><title>A timeout occurred</title></html>"
_GOOGLE = b'[{"error":{"code":429,"message":"Slow","details":[{"retryDelay":"12s"}]}}]'

ERROR_BODIES: dict[str, tuple[bytes, int | None]] = {
    "Google's": (b'[{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}]', 503),
    "KIE's error": (b'{"code":503,"msg":"Busy","data":null}', 503),
    "OpenAI's error": (b'{"error":{"message":"Busy","type":"overloaded"}}', None),
    "an error that is text": (b'{"error":"Busy"}', None),
    "Spring's": (b'{"timestamp":"t","status":503,"error":"Service Unavailable"}', 503),
    "HTML": (b"<!DOCTYPE html><html><title>503 Busy</title></html>", None),
    "no body": (b"", None),
    "bad UTF-8": (b"\xff\xfe\x00 busy", None),
    "10 MiB": (b"busy " * 2_097_152, None),
}
"""Bodies of a 503, and the code in them."""

CONTENT_TYPES = ("text/plain", "application/json", "text/event-stream; charset=latin-1")
LOCATIONS = ("/elsewhere", "http://localhost:9/", "https://localhost:9/", "", "http://[", None)
RETRY_AFTER = {"3.5": [3.5], "120": [120.0], "121": [], "1e2": [100.0]}


def _status(
    status: int, body: bytes = b"", missing: int = 0, ending: Any = "chunk-end", **headers: str
) -> Script:
    """Respond with a status; `missing` bytes are declared but not sent."""
    named = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    framing: dict[str, Any] = {"framing": "length", "length": len(body) + missing}
    return lambda answer, point: Scripted([body], status, named, ending, **framing)


def _head(*lines: bytes) -> Script:
    """Respond with these lines as the head."""
    head = b"".join(line + b"\r\n" for line in (*lines, b""))
    return lambda answer, point: Scripted([head + answer.body], framing="raw", ending="hang-up")


def _typed(**headers: str) -> Script:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer, point: Scripted([answer.body], headers=named)


def _gzip(body: bytes | None = None) -> Script:
    headers = {"Content-Encoding": "gzip"}
    return lambda answer, point: Scripted([gzip.compress(body or answer.body)], headers=headers)


def _numbered(status: int, code: int | None) -> Effect:
    return Effect("reports", *STATUSES[status], code, status)


_401 = b'{"code":401,"msg":"No"}'
_EARLY_HINTS = (b"HTTP/1.1 103 Early Hints", b"Link: </>", b"", b"HTTP/1.1 200 OK")

ROWS = (
    *(
        Fault("H1", f"status {n}", _numbered(n, n), _status(n, b'{"code":%d}' % n), _STATUS, FEW)
        for n in STATUSES
    ),
    *(
        Fault("H2", f"503, {name}", _numbered(503, code), _status(503, body), _STATUS, FEW)
        for name, (body, code) in ERROR_BODIES.items()
    ),
    *(
        Fault("H2", f"401, {name}", _numbered(401, 401), script, _STATUS, FEW, "read")
        for name, script in (
            ("a body that breaks", _status(401, _401, missing=7, ending="hang-up")),
            ("a body that stalls", _status(401, _401, missing=7, ending="stall")),
        )
    ),
    *(
        Fault(
            "H2", f"{status}, HTML", _numbered(status, None), _status(status, _PAGE), _STATUS, FEW
        )
        for status in (504, 522, 524)
    ),
    Fault("H2", "403, error 1010", _numbered(403, None), _status(403, _1010), _STATUS, FEW),
    Fault(
        "H7",
        "429, RetryInfo",
        _numbered(429, 429),
        _status(429, _GOOGLE),
        _STATUS,
        FEW,
        delays=[12.0],
    ),
    *(
        Fault(
            "H3",
            f"{status} to {location!r}",
            Effect(cls=KieProtocolError, status=status),
            _status(status, **({} if location is None else {"Location": location})),
            _STATUS,
            FEW,
        )
        for status in (302, 307, 308)
        for location in LOCATIONS
    ),
    Fault(
        "H3",
        "204",
        Effect(cls=KieEmptyResponseError, retries=None, status=204),
        _head(b"HTTP/1.1 204 No Content", b"Connection: close"),
        _STATUS,
    ),
    Fault("H3", "103, then 200", LEGAL, _head(*_EARLY_HINTS), _STATUS),
    Fault("H4", "a malformed status line", BREAKS, _head(b"HTTP/9 OK 200"), _STATUS),
    Fault(
        "H4",
        "200 KiB of header",
        BREAKS,
        _head(b"HTTP/1.1 200 OK", b"X: " + b"y" * 204_800),
        _STATUS,
    ),
    Fault("H5", "no Content-Type", LEGAL, _typed()),
    *rows("H5", LEGAL, {kind: _typed(Content_Type=kind) for kind in CONTENT_TYPES}),
    Fault("H6", "gzip", UNREADABLE, _gzip(), ("first byte",)),
    Fault("H6", "br", UNREADABLE, _typed(Content_Encoding="br"), ("first byte",)),
    Fault("H6", "a bomb", UNREADABLE, _gzip(b" " * 67_108_864), ("first byte",), DOCUMENTS),
    *(
        Fault(
            "H7",
            f"{status}, Retry-After {after}",
            Effect("reports", STATUSES[status][0], None if delays else 0, None, status),
            _status(status, b"Later", Retry_After=after),
            _STATUS,
            FEW,
            delays=delays,
        )
        for status in (429, 503)
        for after, delays in RETRY_AFTER.items()
    ),
)
