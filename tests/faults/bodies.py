"""The faults of a body: errors, invalid JSON, unusual framings, unusual tool calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from call_modes import FAULT_CALL_MODES
from error_texts import (
    CREDITS,
    FREQUENCY,
    MAINTENANCE,
    NOT_ENABLED,
    RETRIES_FAILED,
    SERVER_EXCEPTION,
    TOO_LARGE,
    UNSUPPORTED_CHANNEL,
    UNSUPPORTED_NAME,
)
from scripted_server import Scripted, sse

from faults.answers import NATIVE, SHAPE_A, STREAMS, TEXT, Answer, Point
from faults.calls import CALLS
from faults.fault import (
    CHAT_STREAMS,
    EMPTY,
    FEW,
    LEGAL,
    UNREADABLE,
    Effect,
    Fault,
    Script,
    rows,
)
from faults.status import CODES
from langchain_kie import (
    KieAuthenticationError,
    KieEmptyResponseError,
    KieError,
    KieInvalidRequestError,
    KieModelNotFoundError,
    KiePermissionDeniedError,
    KieRateLimitError,
    KieServerError,
    KieStreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import AIMessage

ERROR_MESSAGES: dict[int, str] = {
    400: "Invalid parameter: messages",
    401: "You do not have access permissions",
    402: CREDITS,
    404: "Not found",
    408: "Upstream is timed out",
    422: "validation failed",
    429: "Too many requests",
    433: "The sub-key has reached its limit",
    455: "Service unavailable: maintenance",
    500: SERVER_EXCEPTION,
    501: "Generation failed",
    524: RETRIES_FAILED,
}
TEXT_ERRORS: dict[str, tuple[int, type[KieError], int | None]] = {
    UNSUPPORTED_CHANNEL: (422, KieModelNotFoundError, 0),
    UNSUPPORTED_NAME: (404, KieModelNotFoundError, 0),
    NOT_ENABLED: (401, KiePermissionDeniedError, 0),
    FREQUENCY: (455, KieRateLimitError, None),
    TOO_LARGE: (400, KieInvalidRequestError, 0),
    MAINTENANCE: (400, KieServerError, None),
}
"""Messages that count more than the code."""

OPENAI_ERRORS: dict[str, tuple[Effect, bytes]] = {
    "an error object": (
        Effect(cls=KieServerError, retries=None),
        sse({"error": {"message": "Busy", "type": "server_error"}}),
    ),
    "an error that is text": (Effect(cls=KieServerError, retries=None), sse({"error": "Busy"})),
    "event: error": (
        Effect(cls=KieAuthenticationError, code=401),
        b"event: error\n" + sse({"error": {"message": "No", "code": 401}}),
    ),
    "an error in a list": (
        Effect(cls=KieRateLimitError, retries=None, code=429),
        sse('[{"error": {"code": 429, "message": "Slow"}}]'),
    ),
    "a nested error": (
        Effect(cls=KieRateLimitError, retries=None, code=429),
        sse({"error": {"error": {"code": 429, "message": "Slow"}}}),
    ),
    "type: error": (
        Effect(cls=KieRateLimitError, retries=None),
        sse({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}}),
    ),
}
INVALID = {
    "malformed JSON": sse('{"choices": ['),
    "choices that are a number": sse({"choices": 5}),
    "content that is a number": sse({"choices": [{"delta": {"content": 5}}]}),
    "parts that are numbers": sse({"candidates": [{"content": {"parts": [5]}}]}),
}
SKIPPED = {
    "a ping": sse({"type": "ping"}),
    "an empty object": sse({}),
    "null": sse("null"),
    "an array": sse("[]"),
    "text": sse('"x"'),
    "a number": sse("42"),
    "a status": sse({"type": "status", "detail": "still working"}),
    "a message of success": sse({"event": "start", "msg": "ok"}),
    "an unknown shape": sse({"hello": "world"}),
    "a long integer": sse('{"choices": [], "x": 12345678901234567890123}'),
    "5 000 digits": sse(f'{{"choices": [], "x": {"9" * 5000}}}'),
    "400 digits and a fraction": sse(f'{{"choices": [], "x": {"9" * 400}.5}}'),
    "an exponent of 400": sse('{"choices": [], "x": -1e400}'),
}
"""Events without anything of the answer."""

HOSTILE = {
    "NaN": sse('{"choices": [], "x": NaN}'),
    "Infinity": sse('{"choices": [], "x": Infinity}'),
    "depth 100 000": sse(f'{{"choices": {"[" * 100_000}{"]" * 100_000}}}'),
    "invalid UTF-8": b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n',
}
EMPTY_BODIES = {
    "no body": b"",
    "line ends": b"\n\n",
    "only comments": b": here\n\n: still here\n\n",
    "only [DONE]": sse("[DONE]"),
    "[DONE] without content": sse({"choices": [{"delta": {"role": "assistant"}}]}, "[DONE]"),
    "choices without content": sse({"choices": [{"delta": {"content": None}}]}, "[DONE]"),
    "an empty choice": sse({"choices": [{"index": 0}]}, "[DONE]"),
    "candidates without content": orjson.dumps({"candidates": [{"index": 0}]}),
    "an empty document": b"[]",
    "zero usage": sse({"choices": [], "usage": {"total_tokens": 0}}, "[DONE]"),
    "native zero usage": sse({"candidates": [], "usageMetadata": {"totalTokenCount": 0}}),
}
ENDLESS_BODIES = {
    "choices without content, and no end": sse({"choices": [{"delta": {"content": None}}]}),
    "an empty choice, and no end": sse({"choices": [{"index": 0}]}),
    "candidates without content, and no end": sse({"candidates": [{"index": 0}]}),
}
BILLED_BODIES = {
    "usage without a choice": sse({"choices": [], "usage": {"total_tokens": 7}}, "[DONE]"),
    "credits without a candidate": sse({"candidates": [], "credits_consumed": 0.1}),
}
_BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "credits_consumed": 0.0}
_REFUSED = {"candidates": [{"content": {"parts": []}, "finishReason": "SAFETY"}]}
BLOCKS = {
    "a block": orjson.dumps(_BLOCKED),
    "a block in a stream": sse(_BLOCKED),
    "a refusal": orjson.dumps(_REFUSED),
    "a refusal in a stream": sse(_REFUSED),
}


def _is_blocked(message: AIMessage) -> None:
    assert message.text == ""
    assert message.response_metadata["finish_reason"] == "content_filter"
    assert message.response_metadata["native_finish_reason"] == "SAFETY"


def _has_replacement(message: AIMessage) -> None:
    assert message.text.count("\ufffd") == 1
    assert "".join(TEXT) in message.text.replace("\ufffd", "")
    assert message.tool_calls


def _inserted(event: bytes, start: bytes = b"") -> Script:
    """Insert an event at the point of the fault."""

    def script(answer: Answer, point: Point) -> Scripted:
        prefix = point.prefix(answer)
        return Scripted([start + prefix + event + answer.body[len(prefix) :]])

    return script


def _replaced(body: bytes) -> Script:
    return lambda answer, point: Scripted([body] if body else [])


def _transformed(change: Callable[[bytes], bytes]) -> Script:
    return lambda answer, point: Scripted([change(answer.body)])


def _values(body: bytes) -> list[bytes]:
    """Return the JSON of each event."""
    return [event.removeprefix(b"data: ") for event in body.strip().split(b"\n\n")]


def _usage_twice(**members: Any) -> Script:
    """Send the event before `[DONE]` twice, first with other members."""

    def change(body: bytes) -> bytes:
        *before, usage, done = (value.decode() for value in _values(body))
        return sse(*before, {**orjson.loads(usage), **members}, usage, done)

    return _transformed(change)


def _with_second_choice(body: bytes) -> bytes:
    second = {"index": 1, "delta": {"content": "another"}}
    *values, _done = _values(body)
    events = [orjson.loads(value) for value in values]
    for event in events:
        event["choices"] += [second] if event["choices"] else []
    return sse(*events, "[DONE]")


def _with_roles(body: bytes) -> bytes:
    return body.replace(b'"delta":{"', b'"delta":{"role":"assistant","')


def _with_keys_twice(body: bytes) -> bytes:
    return body.replace(b'"index":0,', b'"index":1,"index":0,')


_FIRST = ("first byte",)
_IN_STREAM = ("first byte", "role", "after a thought", "after text", "all but the end", "close")
_HEAVY: dict[str, Any] = {
    "points": ("after text",),
    "answers": (SHAPE_A,),
    "call_modes": FAULT_CALL_MODES[:2],
    "is_heavy": True,
}
_MORE = sse({"choices": [{"delta": {"content": "more"}}]})
_SMALLER = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

CONTENT = (
    *(
        fault
        for code, message in ERROR_MESSAGES.items()
        for effect in (Effect("reports", *CODES[code], code),)
        for value in ({"code": code, "msg": message, "data": None},)
        for fault in (
            Fault("S1", f"code {code}", effect, _inserted(sse(value)), _IN_STREAM, STREAMS),
            Fault(
                "S1",
                f"code {code}, a document",
                effect,
                _replaced(orjson.dumps(value)),
                _FIRST,
                FEW,
            ),
        )
    ),
    *(
        Fault(
            "S1",
            f"code {code} without data:",
            Effect("reports", *CODES[code], code),
            _inserted(b'{"code":%d,"msg":"m"}\n\n' % code, b": here\n\n"),
            _IN_STREAM,
            STREAMS,
        )
        for code in (402, 429, 500)
    ),
    *(
        Fault(
            "S1",
            f"code {code} without data:, in several lines",
            Effect("reports", *CODES[code], code),
            _inserted(b'{\n "code": %d,\n "msg": "m"\n}\n\n' % code, b": here\n\n"),
            _IN_STREAM,
            STREAMS,
        )
        for code in (402, 429, 500)
    ),
    *(
        Fault("S2", name, effect, _inserted(event), _IN_STREAM, STREAMS)
        for name, (effect, event) in OPENAI_ERRORS.items()
    ),
    *(
        Fault(
            "S2",
            message,
            Effect("reports", cls, retries, code),
            _inserted(sse({"code": code, "msg": message})),
            ("first byte", "after text"),
            STREAMS,
        )
        for message, (code, cls, retries) in TEXT_ERRORS.items()
    ),
    *rows("S3", UNREADABLE, {n: _inserted(e) for n, e in INVALID.items()}, _IN_STREAM, STREAMS),
    *rows("S4", EMPTY, {n: _replaced(body) for n, body in EMPTY_BODIES.items()}, _FIRST, FEW),
    *rows(
        "S4",
        Effect(cls=KieEmptyResponseError),
        {name: _replaced(body) for name, body in BILLED_BODIES.items()},
        _FIRST,
        FEW,
    ),
    *rows(
        "S4",
        Effect(cls=KieStreamInterruptedError),
        {name: _replaced(body) for name, body in ENDLESS_BODIES.items()},
        _FIRST,
        FEW,
    ),
    *rows("S5", LEGAL, {n: _inserted(e) for n, e in SKIPPED.items()}, _IN_STREAM, STREAMS),
    Fault("S5", "only a ping", UNREADABLE, _replaced(SKIPPED["a ping"]), _FIRST, FEW),
    Fault(
        "S5",
        "success in each event",
        LEGAL,
        _transformed(lambda b: b.replace(b"data: {", b'data: {"code":"success","success":true,')),
        answers=STREAMS,
    ),
    Fault("S6", "usage twice", LEGAL, _usage_twice(), answers=(SHAPE_A,)),
    Fault("S6", "usage grows", LEGAL, _usage_twice(usage=_SMALLER), answers=(SHAPE_A,)),
    Fault("S6", "two choices", LEGAL, _transformed(_with_second_choice), answers=(SHAPE_A,)),
    Fault("S6", "repeated roles", LEGAL, _transformed(_with_roles), answers=CHAT_STREAMS),
    Fault(
        "S8",
        "text after [DONE]",
        LEGAL,
        _transformed(lambda body: body + _MORE),
        answers=CHAT_STREAMS,
    ),
    Fault("S8", "garbage", LEGAL, _transformed(lambda b: b + b"data: x\n\n\xff"), answers=STREAMS),
    *rows("S9", UNREADABLE, {n: _inserted(e) for n, e in HOSTILE.items()}, _IN_STREAM, STREAMS),
    Fault(
        "S9",
        "a lone surrogate",
        LEGAL,
        _inserted(sse('{"choices": [{"delta": {"content": "\\udc00"}}]}')),
        _IN_STREAM[:-1],
        CHAT_STREAMS,
        check=_has_replacement,
    ),
    Fault("S9", "duplicate keys", LEGAL, _transformed(_with_keys_twice), answers=CHAT_STREAMS),
    Fault("S9", "more than 64 MiB", UNREADABLE, _inserted(sse(" " * 68_157_440)), **_HEAVY),
    Fault("S9", "50 000 events", LEGAL, _inserted(sse({"choices": []}) * 50_000), **_HEAVY),
    *rows(
        "S10",
        LEGAL,
        {name: _replaced(body) for name, body in BLOCKS.items()},
        answers=(NATIVE,),
        check=_is_blocked,
    ),
    Fault(
        "S11",
        "an array of events",
        LEGAL,
        _transformed(lambda body: b"[" + b",\n".join(_values(body)) + b"]"),
        answers=(NATIVE,),
    ),
    Fault("S12", "a stream for a document, and the reverse", LEGAL, _transformed(bytes)),
)


BOM = b"\xef\xbb\xbf"
_FIELDS = b"id: 7\nretry: 3\nevent: message\nfoo\ndata:"
FRAMINGS: dict[str, dict[str, Callable[[bytes], bytes]]] = {
    "E1": {"a BOM": lambda body: BOM + body},
    "E3": {"CRLF": lambda body: body.replace(b"\n", b"\r\n")},
    "E4": {"CR": lambda body: body.replace(b"\n", b"\r")},
    "E5": {"mixed line ends": lambda body: body.replace(b"\n\n", b"\r\n\r")},
    "E6": {"comments": lambda body: body.replace(b"data:", b": here\ndata:") + b":\n"},
    "E7": {"id, retry, event": lambda body: body.replace(b"data:", _FIELDS)},
    "E8": {"several lines": lambda body: body.replace(b"data: {", b"data: {\ndata: ")},
    "E9": {"no space": lambda body: body.replace(b"data: ", b"data:")},
    "E15": {"no last line end": lambda body: body.rstrip(b"\n")},
    "E17": {
        "one line end": lambda body: body.replace(b"\n\n", b"\n"),
        "one line end, none at the end": lambda body: body.replace(b"\n\n", b"\n")[:-1],
    },
    "E10": {"two spaces": lambda body: body.replace(b"data: {", b"data:  {")},
    "E12": {"NUL in an id": lambda body: body.replace(b"data:", b"id: \0\ndata:")},
    "E16": {"empty data": lambda body: body.replace(b"data: {", b"data:\n\ndata\n\ndata: {")},
}


FRAMING = (
    *(
        fault
        for row, changes in FRAMINGS.items()
        for fault in rows(
            row, LEGAL, {n: _transformed(c) for n, c in changes.items()}, answers=STREAMS
        )
    ),
    Fault("E2", "two BOMs", LEGAL, _transformed(lambda body: BOM + BOM + body), answers=(SHAPE_A,)),
)
TOOL_CALLS = (
    Fault(
        calls.row,
        calls.name,
        LEGAL,
        _replaced(calls.body(answer)),
        answers=(answer,),
        check=calls.check,
        call_modes=calls.call_modes,
        is_heavy=calls.is_heavy,
    )
    for calls in CALLS
    for answer in calls.answers()
)

ROWS = (*CONTENT, *FRAMING, *TOOL_CALLS)
