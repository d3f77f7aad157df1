"""The answers that faults strike: one of each form, in labelled pieces, and the points of faults.

Bytes of KIE's responses (docs/wire.md 3 to 5); independent of faults and of the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import orjson
from scripted_server import sse

Stage = Literal["connection", "headers", "body"]

TEXT = ("The sky\u2028 is", " blue\x85,\0 né 🌤.")
"""Text with characters that look like line ends, but end no line of an event stream."""

THOUGHTS = ("**Weighing it**\n\n", "Two ways.")
ARGUMENTS = ('{"city": ', '"Oslo", "unit":', ' "C"}')


@dataclass(frozen=True)
class Answer:
    """A complete answer as a server sends it.

    Attributes:
        name: The name of its form.
        model: A model that answers in this form.
        pieces: Labels and bytes. The pieces of a stream are events; those of a document end
            inside the thought, the text and the arguments.
        evidence: The label of the piece that proves the answer complete. An earlier piece
            `pause` has a finish reason as well, but output follows.
        is_document: Whether it is one JSON document.
    """

    name: str
    model: str
    pieces: tuple[tuple[str, bytes], ...]
    evidence: str
    is_document: bool = False

    @cached_property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def labels(self) -> list[str]:
        return [label for label, _ in self.pieces]


@dataclass(frozen=True)
class Point:
    """Where a fault strikes.

    Attributes:
        name: The name of the point.
        column: The column of the printed matrix.
        label: The label of the last complete piece; empty for the start of the body.
        inside: Whether the fault strikes inside the next piece.
        unterminated: Whether it strikes after the evidence, before the blank line of that event.
        stage: How far the exchange got.
    """

    name: str
    column: str
    label: str = ""
    inside: bool = False
    unterminated: bool = False
    stage: Stage = "body"

    def exists_in(self, answer: Answer) -> bool:
        if self.unterminated:
            return not answer.is_document
        labels = ["", *answer.labels()]
        return self.label in labels and not (self.inside and labels[-1] == self.label)

    def complete_pieces(self, answer: Answer) -> tuple[tuple[str, bytes], ...]:
        """Return the complete pieces before the fault."""
        end = ["", *answer.labels()].index(self.label)
        if self.unterminated:
            end = answer.labels().index(answer.evidence)
        return answer.pieces[:end] if self.stage == "body" else ()

    def prefix(self, answer: Answer) -> bytes:
        """Return the bytes of the body before the fault."""
        pieces = self.complete_pieces(answer)
        complete = b"".join(piece for _, piece in pieces)
        if self.unterminated:
            return complete + answer.pieces[len(pieces)][1].removesuffix(b"\n\n")
        cut = answer.pieces[len(pieces)][1] if self.inside else b""
        return complete + cut[: max(1, len(cut) // 2)]


POINTS = {
    point.name: point
    for point in (
        Point("before the request", "request", stage="connection"),
        Point("in the request", "request", stage="connection"),
        Point("waiting for headers", "headers", stage="headers"),
        Point("in the headers", "headers", stage="headers", inside=True),
        Point("status", "headers", stage="headers"),
        Point("first byte", "first byte"),
        Point("in the first event", "first byte", inside=True),
        Point("role", "first byte", "role"),
        Point("after a thought", "thought", "thought"),
        Point("in a thought", "thought", "thought", inside=True),
        Point("after text", "text", "text"),
        Point("in text", "text", "text", inside=True),
        Point("intermediate finish reason", "text", "pause"),
        Point("after a call", "tool call", "call"),
        Point("in tool arguments", "tool call", "call", inside=True),
        Point("all but the end", "end", "content"),
        Point("in the end", "end", "content", inside=True),
        Point("before the last blank line", "end", unterminated=True),
        Point("finish reason", "after it", "finish"),
        Point("usage", "after it", "usage"),
        Point("close", "after it", "end"),
        Point("complete", "complete", stage="headers"),
    )
}

_ELSEWHERE = ("in the request", "status", "complete")
"""Points of faults that do not cut the answer."""

EVERYWHERE = tuple(name for name in POINTS if name not in _ELSEWHERE)
BODY = tuple(name for name in EVERYWHERE if POINTS[name].stage == "body")


def _chat(shape: str, *choices: Any, more: dict[str, Any] | None = None) -> bytes:
    return sse({"id": f"chatcmpl-{shape}", "choices": [*choices], **(more or {})})


def _delta(shape: str, **delta: Any) -> bytes:
    return _chat(shape, {"index": 0, "delta": delta})


def _call(shape: str, arguments: str, **first: Any) -> bytes:
    function = {"arguments": arguments, **({"name": "get_weather"} if first else {})}
    return _delta(shape, tool_calls=[{"index": 0, **first, "function": function}])


def _chat_content(shape: str, *pause: tuple[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    return (
        ("thought", _delta(shape, reasoning_content=THOUGHTS[0])),
        ("thought 2", _delta(shape, reasoning_content=THOUGHTS[1])),
        ("text", _delta(shape, content=TEXT[0])),
        ("text 2", _delta(shape, content=TEXT[1])),
        *pause,
        ("call", _call(shape, ARGUMENTS[0], id="call_7", type="function")),
        ("arguments", _call(shape, ARGUMENTS[1])),
        ("content", _call(shape, ARGUMENTS[2])),
    )


_BILL = {
    "usage": {"prompt_tokens": 5, "completion_tokens": 40, "total_tokens": 61},
    "credits_consumed": 0.49,
}
_FINISH: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
_DONE = ("end", sse("[DONE]"))

SHAPE_A = Answer(
    "chat A",
    "gemini-3-flash",
    (
        ("role", _delta("a", role="assistant", content="")),
        *_chat_content("a", ("pause", _chat("a", {**_FINISH, "finish_reason": "stop"}))),
        ("finish", _chat("a", _FINISH)),
        ("usage", _chat("a", more=_BILL)),
        _DONE,
    ),
    "finish",
)
SHAPE_B = Answer(
    "chat B",
    "gemini-3.1-pro",
    (*_chat_content("b"), ("finish", _chat("b", _FINISH, more=_BILL)), _DONE),
    "finish",
)
SHAPE_C = Answer(
    "chat C",
    "gemini-3-flash",
    (*_chat_content("c"), ("empty", _chat("c")), ("usage", _chat("c", more=_BILL)), _DONE),
    "usage",
)


def _native(*parts: Any, **more: Any) -> dict[str, Any]:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12}
    candidate = {"content": {"role": "model", "parts": [*parts]}, "index": 0}
    if "finishReason" in more:
        candidate["finishReason"] = more.pop("finishReason")
    return {"candidates": [candidate], "usageMetadata": usage, **more}


_NATIVE_CALL = {
    "functionCall": {"name": "get_weather", "args": {"city": "Oslo", "unit": "C"}, "id": "call_7"},
    "thoughtSignature": "Es8CCswCAb4example",
}
_NATIVE_END = {"finishReason": "STOP", "credits_consumed": 0.02, "responseId": "r7"}

NATIVE = Answer(
    "native",
    "gemini-3.5-flash",
    (
        ("thought", sse(_native({"text": THOUGHTS[0], "thought": True}))),
        ("thought 2", sse(_native({"text": THOUGHTS[1], "thought": True}))),
        ("text", sse(_native({"text": TEXT[0]}))),
        ("pause", sse(_native({"text": TEXT[1]}, finishReason="STOP"))),
        ("call", sse(_native({"text": " I check."}))),
        ("content", sse(_native(_NATIVE_CALL))),
        ("end", sse(_native(**_NATIVE_END))),
    ),
    "end",
)


def _document(name: str, model: str, value: Any) -> Answer:
    """Return a document with pieces that end inside its thought, text and arguments."""
    body = orjson.dumps(value)
    marks = {"thought": b"Weighing", "text": b"The sky", "call": b"city", "content": b"Oslo"}
    ends = [(label, body.index(mark) + 3) for label, mark in marks.items()]
    pieces, start = [], 0
    for label, end in (*ends, ("end", len(body))):
        pieces.append((label, body[start:end]))
        start = end
    return Answer(name, model, tuple(pieces), "end", is_document=True)


CHAT_DOCUMENT = _document(
    "chat document",
    "gemini-3-flash",
    {
        "id": "chatcmpl-w",
        "choices": [
            {
                "index": 0,
                "message": {
                    "reasoning_content": "".join(THOUGHTS),
                    "content": "".join(TEXT),
                    "tool_calls": [
                        {
                            "id": "call_7",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": "".join(ARGUMENTS)},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        **_BILL,
    },
)
NATIVE_DOCUMENT = _document(
    "native document",
    "gemini-3.5-flash",
    _native(
        {"text": "".join(THOUGHTS), "thought": True},
        {"text": "".join(TEXT)},
        _NATIVE_CALL,
        **_NATIVE_END,
    ),
)

STREAMS = (SHAPE_A, SHAPE_B, SHAPE_C, NATIVE)
DOCUMENTS = (CHAT_DOCUMENT, NATIVE_DOCUMENT)
ANSWERS = (*STREAMS, *DOCUMENTS)
