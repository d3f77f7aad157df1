"""The faults of connections: ends, breaks and stalls at any point, and failures to connect."""

from __future__ import annotations

from typing import Any

from call_modes import FAULT_CALL_MODES
from scripted_server import Scripted

from faults.answers import BODY, EVERYWHERE, POINTS, STREAMS, Answer, Point
from faults.fault import BREAKS, ENDS, FEW, JSON, LEGAL, STALLS, Effect, Fault, Script
from faults.network import REACHING
from langchain_kie import KieInvalidRequestError


def _cut(**response: Any) -> Script:
    """End the response at the point, which may be before its first byte."""

    def script(answer: Answer, point: Point) -> Scripted:
        if point.stage == "body":
            prefix = point.prefix(answer)
            length = len(prefix) + response.get("length", 0)
            return Scripted([prefix] if prefix else [], **{**response, "length": length})
        pieces = [b"HTTP/1.1 200 OK\r\nContent-Ty"] if point.inside else []
        reads: Any = "nothing" if point.stage == "connection" else "all"
        return Scripted(pieces, **{**response, "framing": "raw", "reads": reads})

    return script


def _cut_short(answer: Answer, point: Point) -> Scripted:
    length, headers = len(point.prefix(answer)), {"Connection": "close"}
    return Scripted([answer.body], 200, headers, "hang-up", framing="length", length=length)


def _in_bytes(answer: Answer, point: Point) -> Scripted:
    return Scripted([bytes([byte]) for byte in answer.body])


_FIN, _BREAK = _cut(ending="fin-unframed"), _cut(ending="fin-mid-chunk")
_RST = _cut(ending="rst", pause=0.02)
_TOO_LONG = _cut(ending="hang-up", framing="length", length=7)
_BOUNDARIES = tuple(name for name in BODY if not (POINTS[name].inside or POINTS[name].unterminated))
_SLOW: dict[str, Any] = {"times_out": "read", "call_modes": FAULT_CALL_MODES[:4]}

TRANSPORT = (
    Fault("T1", "proper end of the body", ENDS, _cut(), BODY),
    Fault("T2", "FIN, unframed", ENDS, _FIN, EVERYWHERE),
    Fault("T2", "FIN, TLS", ENDS, _FIN, BODY, FEW, is_tls=True),
    Fault("T3", "FIN inside a chunk", BREAKS, _BREAK, BODY),
    Fault("T3", "FIN inside a chunk, TLS", BREAKS, _BREAK, BODY, FEW, is_tls=True),
    Fault("T4", "RST", BREAKS, _RST, EVERYWHERE),
    Fault("T4", "RST, TLS", BREAKS, _RST, BODY, FEW, is_tls=True),
    Fault("T5", "silence", STALLS, _cut(ending="stall"), EVERYWHERE, times_out="read"),
    Fault("T6", "comments", STALLS, _cut(ending="comments"), _BOUNDARIES, STREAMS, **_SLOW),
    Fault("T7", "an event without end", STALLS, _cut(ending="trickle"), BODY, **_SLOW),
    Fault("T7", "a byte a segment", LEGAL, _in_bytes),
    Fault("T8", "Content-Length too long", BREAKS, _TOO_LONG, BODY),
    Fault("T8", "Content-Length too short", ENDS, _cut_short, BODY),
)


def _fault_free(answer: Answer, point: Point) -> Scripted:
    return Scripted([answer.body])


def _hanging_up(answer: Answer, point: Point) -> Scripted:
    return Scripted([answer.body], ending="hang-up")


def _unread(*pieces: bytes, **response: Any) -> Script:
    """Respond after reading only the head of the request."""
    return lambda answer, point: Scripted(pieces, reads="head", **response)


_BIG: dict[str, Any] = {"points": ("in the request",), "answers": FEW, "prompt": "x" * 8_000_000}
_SILENT = _unread(b"", framing="raw", ending="stall", pause=2)
_413 = Effect(cls=KieInvalidRequestError, code=413, status=413)
_TOO_LARGE = b'{"code":413,"msg":"Payload too large"}'


def _refused(ending: Any) -> Script:
    headers, length = {**JSON, "Connection": "close"}, len(_TOO_LARGE)
    response = {"status": 413, "headers": headers, "framing": "length", "length": length}
    return _unread(_TOO_LARGE, ending=ending, pause=0.3, **response)


NETWORK = (
    *(
        Fault(
            row,
            name,
            Effect(cls=cls, retries=retries, status=None) if cls else LEGAL,
            _fault_free,
            ("before the request",),
            FEW,
            reach=reach,
        )
        for row, name, cls, retries, reach in REACHING
    ),
    Fault("W1", "RST in the body", BREAKS, _unread(framing="raw", ending="rst"), **_BIG),
    Fault("W2", "an unread body", STALLS, _SILENT, times_out="write", **_BIG),
    Fault("W3", "early 413, the rest is read", _413, _refused("stall"), **_BIG),
    # asyncio (Python 3.11) drops data that was received before a reset
    Fault(
        "W3",
        "early 413, RST, sync",
        _413,
        _refused("hang-up"),
        call_modes=FAULT_CALL_MODES[::2],
        **_BIG,
    ),
    Fault("W4", "a kept connection that was closed", LEGAL, _fault_free, before=_hanging_up),
    Fault(
        "W4",
        "a kept connection that closes now",
        BREAKS,
        _cut(ending="hang-up"),
        ("waiting for headers",),
        before=_fault_free,
    ),
)

ROWS = (*TRANSPORT, *NETWORK)
