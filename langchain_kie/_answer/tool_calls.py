"""The tool calls of one answer, put together from pieces in whatever form the wire has them.

Knows LangChain's tool-call chunks. Knows nothing of dialects or I/O.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_kie._json import to_json
from langchain_kie._json_schema.coerce import coerced
from langchain_kie._json_schema.keywords import type_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._answer.event import ToolCallDelta
    from langchain_kie._conversation.thought_signatures import SignatureLog

_PLAIN_TYPES = frozenset({"string"})
_INDIRECT = frozenset({"$ref", "allOf", "anyOf", "oneOf", "additionalProperties"})


@dataclass(slots=True)
class _Brackets:
    """What stands open in JSON text that comes in pieces.

    Attributes:
        opened: The brackets that are not closed.
        in_string: A string is not closed.
        escapes: The string's last character takes the next one's meaning.
    """

    opened: list[str] = field(default_factory=list)
    in_string: bool = False
    escapes: bool = False

    def feed(self, text: str) -> None:
        """Read the next piece."""
        for char in text:
            if self.escapes:
                self.escapes = False
            elif self.in_string:
                self.escapes = char == "\\"
                self.in_string = char != '"'
            elif char == '"':
                self.in_string = True
            elif char in "{[":
                self.opened.append(char)
            elif char in "}]" and self.opened:
                self.opened.pop()


@dataclass(slots=True)
class _Call:
    """A tool call as it grows.

    Attributes:
        index: Its place among the answer's calls.
        wire_index: The index that its pieces carry.
        id: The id it goes by.
        schema: What its arguments are fitted to when they are whole, if it is known.
        is_held: Its arguments wait until they are whole.
        is_answer: Its arguments are the answer's text.
        is_told: Its arguments were passed on, or begun to be.
        args: The pieces of its arguments.
        is_whole: No more pieces will come.
        brackets: What stands open in the pieces that were read.
        read: How many those are.
    """

    index: int
    wire_index: int | None
    id: str | None
    name: str
    schema: dict[str, Any] | None
    is_held: bool
    is_answer: bool
    args: list[str] = field(default_factory=list)
    is_whole: bool = False
    is_told: bool = False
    brackets: _Brackets = field(default_factory=_Brackets)
    read: int = 0

    def text(self) -> str:
        """The arguments so far."""
        return "".join(self.args)

    def is_complete(self) -> bool:
        """Whether its arguments are a whole JSON value, so that no more can belong to it."""
        return self.is_whole or (not self.is_open() and _json_value(self.text()) is not None)

    def is_open(self) -> bool:
        """Whether its arguments cannot be a whole JSON value yet; quicker than to parse them."""
        self.brackets.feed("".join(self.args[self.read :]))
        self.read = len(self.args)
        return self.brackets.in_string or bool(self.brackets.opened)


class ToolCalls:
    """Puts the calls of one answer together.

    Args:
        functions: The functions that the model was offered.
        answer_function: The one, if any, whose arguments are the answer.
        signatures: Where what came beside a call is kept.
    """

    def __init__(
        self,
        functions: Sequence[dict[str, Any]],
        answer_function: str | None,
        signatures: SignatureLog,
    ) -> None:
        self._functions = functions
        self._answer_function = answer_function
        self._signatures = signatures
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        """Whether there are calls that somebody must answer."""
        return any(not call.is_answer for call in self._calls)

    def _answer(self) -> _Call | None:
        """The call that is the answer; a second one is none."""
        return next((call for call in self._calls if call.is_answer), None)

    @property
    def has_answer(self) -> bool:
        """Whether the answer came as a call."""
        return self._answer() is not None

    def add(self, piece: ToolCallDelta, at: int, chunks: dict[int, ToolCallChunk]) -> str:
        """Add a piece to the chunks of its event, of which each call has one.

        Args:
            piece: A call, or a piece of one.
            at: The length of the answer's text before it.
            chunks: The event's chunks so far, by the call's index; changed.

        Returns:
            What of the piece is text of the answer.
        """
        call = self._continued(piece)
        is_new = call is None
        if call is None:
            call = self._begin(piece)
        call.args.append(piece.args)
        call.is_whole = call.is_whole or piece.is_whole
        if call.is_answer:
            return piece.args if call is self._answer() else ""
        if piece.extra:
            self._signatures.add_extra(call.index, piece.extra)
        if piece.signature:
            self._signatures.add_call(call.index, at, piece.signature)
        chunk = chunks.get(call.index) or tool_call_chunk(args="", index=call.index)
        if is_new:
            chunk["name"], chunk["id"] = call.name, call.id
        if piece.id and not call.id:
            call.id = chunk["id"] = self._unique(piece.id)
        if piece.name and not call.name:
            call.name = chunk["name"] = piece.name
        chunk["args"] = (chunk["args"] or "") + _tellable(call, piece)
        chunks[call.index] = chunk
        return ""

    def closing_chunks(self) -> list[ToolCallChunk]:
        """What the calls still need: an id, and a mark on arguments that are no object.

        LangChain completes cut JSON by itself when it adds chunks up, and would hand a tool
        half of its arguments; a bracket too many turns them into an invalid call.
        """
        chunks = []
        for call in self._calls:
            if call.is_answer:
                continue
            args = call.text()
            broken = args.strip() != "" and not isinstance(_json_value(args), dict)
            call_id = None if call.id else self._unique(None)
            if broken or call_id:
                call.id = call.id or call_id
                untold = "" if call.is_told else args
                mark = untold + _breaking_mark(args) if broken else ""
                chunks.append(tool_call_chunk(args=mark, id=call_id, index=call.index))
            self._signatures.set_call_id(call.index, call.id)
        return chunks

    def _continued(self, piece: ToolCallDelta) -> _Call | None:
        """The call that a piece goes on with, `None` when it begins one.

        The wire's index decides, then its id, then what stands open; but a new id, another
        name, or a name after a complete call begins another (docs/wire.md 5).
        """
        if piece.is_whole or not self._calls:
            return None
        if piece.index is not None:
            same = [call for call in self._calls if call.wire_index == piece.index]
        elif piece.id:
            same = [call for call in self._calls if call.id == piece.id]
        else:
            same = self._calls
        if not same:
            return None
        call = same[-1]
        if piece.id and call.id and piece.id != call.id:
            return None
        is_same = piece.id and piece.id == call.id
        if piece.name and call.name and not is_same:
            return call if piece.name == call.name and not call.is_complete() else None
        return call

    def _begin(self, piece: ToolCallDelta) -> _Call:
        schema = self._schema_of(piece.name)
        call = _Call(
            index=len(self._calls),
            wire_index=piece.index,
            id=self._unique(piece.id) if piece.id or piece.is_whole else None,
            name=piece.name or "",
            schema=schema,
            is_held=schema is not None and (piece.is_whole or _has_types(schema)),
            is_answer=piece.name is not None and piece.name == self._answer_function,
        )
        self._calls.append(call)
        return call

    def _schema_of(self, name: str | None) -> dict[str, Any] | None:
        found = (f for f in self._functions if f["name"] == name)
        return next((function.get("parameters") or {} for function in found), None)

    def _unique(self, call_id: str | None) -> str:
        if call_id and all(call.id != call_id for call in self._calls):
            return call_id
        return f"call_{uuid.uuid4().hex}"


def _tellable(call: _Call, piece: ToolCallDelta) -> str:
    """What can be passed on of a call's arguments now that `piece` came.

    Pieces of text are passed on as they come. Arguments with other types wait until they are
    whole, to be fitted to the tool's schema.
    """
    if call.schema is None or not call.is_held:
        call.is_told = True
        return piece.args
    if call.is_told or not piece.args.rstrip().endswith("}"):
        return ""
    if len(call.args) > 1 and call.is_open():
        return ""
    args = _json_value(call.text())
    if not isinstance(args, dict):
        return ""
    call.is_told = True
    fitting = coerced(args, call.schema)
    return call.text() if fitting is args else to_json(fitting).decode()


def _has_types(schema: dict[str, Any]) -> bool:
    """Whether any argument may be something other than text."""
    if not schema.keys().isdisjoint(_INDIRECT):
        return True
    return any(
        not isinstance(inner, dict) or not {*type_names(inner.get("type"))} & _PLAIN_TYPES
        for inner in (schema.get("properties") or {}).values()
    )


def _json_value(text: str) -> Any:
    """The value of JSON text, `None` for what is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _breaking_mark(text: str) -> str:
    """What makes JSON text, cut wherever it was, no JSON that could be completed."""
    brackets = _Brackets()
    brackets.feed(text)
    closed = ("\\" if brackets.escapes else "") + '"' if brackets.in_string else ""
    return closed + ("}" if brackets.opened[-1:] == ["["] else "]")
