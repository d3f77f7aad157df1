"""Unusual tool calls, and the calls of the message that they must become.

Depends on the bytes of KIE's responses (docs/wire.md 5) and LangChain's messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from call_modes import FAULT_CALL_MODES
from scripted_server import sse

from faults.answers import CHAT_DOCUMENT, NATIVE, SHAPE_A, Answer

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

HOSTILE_NAMES = ("x" * 10_000, "a\nb", "../x", "__class__", "a\u202eb", "no_such_tool", "{0}", "%s")
_DEEP = '{"a":' * 10_000 + "1" + "}" * 10_000


@dataclass(frozen=True)
class Calls:
    """Tool calls in OpenAI's form, one event for each piece, and the calls they add up to.

    Attributes:
        row: The row of the matrix.
        name: What is unusual.
        pieces: Members of `tool_calls`.
        valid: The names and arguments of the valid calls.
        invalid: The number of invalid calls.
        is_complete: Whether each piece is a complete call, which a document can hold as well.
        call_modes: The call modes that support them.
        is_heavy: Whether they take long, and are run only with `FAULTS=full`.
    """

    row: str
    name: str
    pieces: tuple[dict[str, Any], ...]
    valid: tuple[tuple[str, dict[str, Any]], ...] = ()
    invalid: int = 0
    is_complete: bool = True
    call_modes: tuple[str, ...] = FAULT_CALL_MODES
    is_heavy: bool = False

    def answers(self) -> tuple[Answer, ...]:
        """Return the answers that can hold these calls."""
        if not self.is_complete:
            return (SHAPE_A,)
        return (SHAPE_A, CHAT_DOCUMENT, NATIVE) if self.valid else (SHAPE_A, CHAT_DOCUMENT)

    def body(self, answer: Answer) -> bytes:
        """Return an answer of that form with only the calls."""
        if answer is NATIVE:
            candidate = {"content": {"parts": self._parts()}, "finishReason": "STOP"}
            return sse({"candidates": [candidate], "credits_consumed": 0.1})
        if answer is CHAT_DOCUMENT:
            message = {"content": None, "tool_calls": [*self.pieces]}
            return orjson.dumps({"choices": [{"message": message}]})
        deltas = ({"choices": [{"delta": {"tool_calls": [piece]}}]} for piece in self.pieces)
        return sse(*deltas, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]")

    def _parts(self) -> list[dict[str, Any]]:
        return [
            {"functionCall": {"name": name, "args": args, "id": piece.get("id")}}
            for piece, (name, args) in zip(self.pieces, self.valid, strict=True)
        ]

    def check(self, message: AIMessage) -> None:
        """Assert that the calls are these, in order, with distinct ids."""
        assert [(call["name"], call["args"]) for call in message.tool_calls] == [*self.valid]
        assert len(message.invalid_tool_calls) == self.invalid
        ids = [call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls)]
        assert all(ids)
        assert len({*ids}) == len(ids)


def _piece(name: str | None = None, arguments: Any = None, **members: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"function": {k: v for k, v in function.items() if v is not None}, **members}


def _split(arguments: str) -> tuple[dict[str, Any], ...]:
    return (
        _piece("f", "", index=0, id="c"),
        *(_piece(arguments=char, index=0) for char in arguments),
    )


_A = ("f", {"a": 1})
_JSON_A = '{"a": 1}'

CALLS = (
    Calls("K1", "arguments in pieces", _split(_JSON_A), (_A,), is_complete=False),
    Calls(
        "K2",
        "no index",
        (_piece("f", '{"a"', id="c"), _piece(arguments=": 1}", id="c"), _piece("g", "{}", id="d")),
        (_A, ("g", {})),
        is_complete=False,
    ),
    Calls("K3", "no id", (_piece("f", _JSON_A, index=0), _piece("f", _JSON_A, index=1)), (_A, _A)),
    Calls(
        "K4",
        "an id twice",
        (_piece("f", _JSON_A, index=0, id="c"), _piece("g", "{}", index=1, id="c")),
        (_A, ("g", {})),
    ),
    Calls(
        "K5",
        "an index twice",
        (_piece("f", _JSON_A, index=0, id="c"), _piece("g", "{}", index=0, id="d")),
        (_A, ("g", {})),
    ),
    Calls(
        "K6",
        "hostile names",
        tuple(_piece(n, _JSON_A, index=i, id=f"c{i}") for i, n in enumerate(HOSTILE_NAMES)),
        tuple((name, {"a": 1}) for name in HOSTILE_NAMES),
    ),
    Calls("K7", "arguments that are an object", (_piece("f", {"a": 1}, index=0, id="c"),), (_A,)),
    *(
        Calls("K7", f"arguments that are {args}", (_piece("f", args, index=0, id="c"),), invalid=1)
        for args in ([1], 5, "[1]", "5", '"x"')
    ),
    *(
        Calls("K8", f"arguments {args!r}", (_piece("f", args, index=0, id="c"),), invalid=1)
        for args in ("{'a': 1}", "nonsense", '{"a": 1}}')
    ),
    *(
        Calls("K9", f"arguments {args!r}, cut", (_piece("f", args, index=0, id="c"),), invalid=1)
        for args in ('{"a": 1', '{"a": "x', '{"a": [1', "{")
    ),
    Calls(
        "K10",
        "1 000 at once",
        tuple(_piece("f", f'{{"a": {i}}}', index=i, id=f"c{i}") for i in range(1000)),
        tuple(("f", {"a": i}) for i in range(1000)),
        is_heavy=True,
    ),
    Calls(
        "K11",
        "arguments of depth 10 000",
        (_piece("f", _DEEP, index=0, id="c"),),
        invalid=1,
        call_modes=tuple(
            call_mode for call_mode in FAULT_CALL_MODES if "events" not in call_mode
        ),  # langchain-core's own parser
    ),
)
