"""The tool calls of one answer, assembled from fragments of any format.

Independent of APIs and I/O.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_kie._json import to_json
from langchain_kie._json_schema.coerce import coerce
from langchain_kie._json_schema.keywords import type_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._answer.event import ToolCallDelta
    from langchain_kie._conversation.thought_signatures import SignatureLog
    from langchain_kie._json import Json

_INDIRECT = frozenset({"$ref", "allOf", "anyOf", "oneOf", "additionalProperties"})


@dataclass(slots=True)
class _JsonNesting:
    """The brackets and the string that JSON text, read in pieces, has not closed.

    Attributes:
        open_brackets: The brackets that are not closed.
        in_string: Whether a string is not closed.
        is_escaped: Whether the next character of the string is escaped.
    """

    open_brackets: list[str] = field(default_factory=list)
    in_string: bool = False
    is_escaped: bool = False

    def scan(self, text: str) -> None:
        """Scan the next piece."""
        for char in text:
            if self.is_escaped:
                self.is_escaped = False
            elif self.in_string:
                self.is_escaped = char == "\\"
                self.in_string = char != '"'
            elif char == '"':
                self.in_string = True
            elif char in "{[":
                self.open_brackets.append(char)
            elif char in "}]" and self.open_brackets:
                self.open_brackets.pop()


@dataclass(slots=True)
class _ToolCall:
    """A tool call that may still be incomplete.

    Attributes:
        index: Its position among the tool calls of the answer.
        native_index: The index that the server sends with its fragments.
        id: The server's id, or a generated one.
        name: The name of the function.
        schema: The schema of its arguments, if the function is known.
        is_buffered: Whether its arguments are emitted only when they are complete.
        is_answer: Whether its arguments are the text of the answer.
        is_emitted: Whether its arguments were emitted, at least in part.
        is_complete: Whether no more fragments will come.
        fragments: The fragments of its arguments.
        nesting: The JSON nesting of the fragments that were scanned.
        scanned_count: The number of fragments that were scanned.
    """

    index: int
    native_index: int | None
    id: str | None
    name: str
    schema: Json | None
    is_buffered: bool
    is_answer: bool
    is_emitted: bool = False
    is_complete: bool = False
    fragments: list[str] = field(default_factory=list)
    nesting: _JsonNesting = field(default_factory=_JsonNesting)
    scanned_count: int = 0

    def arguments(self) -> str:
        """Return the arguments so far."""
        return "".join(self.fragments)

    def has_complete_arguments(self) -> bool:
        """Whether its arguments are a complete JSON value, so that a fragment cannot follow."""
        return self.is_complete or (not self.is_open() and _parse(self.arguments()) is not None)

    def is_open(self) -> bool:
        """Whether its arguments have open brackets or strings; faster than parsing them."""
        self.nesting.scan("".join(self.fragments[self.scanned_count :]))
        self.scanned_count = len(self.fragments)
        return self.nesting.in_string or bool(self.nesting.open_brackets)


class ToolCalls:
    """Assembles the tool calls of one answer.

    Args:
        functions: The functions that were sent to the model.
        answer_function: The function, if any, whose arguments are the answer.
        signatures: Stores the signatures and undocumented members of tool calls.

    Attributes:
        answer: The first call of `answer_function`, if any.
    """

    def __init__(
        self,
        functions: Sequence[Json],
        answer_function: str | None,
        signatures: SignatureLog,
    ) -> None:
        self._functions = functions
        self._answer_function = answer_function
        self._signatures = signatures
        self._calls: list[_ToolCall] = []
        self.answer: _ToolCall | None = None

    def __bool__(self) -> bool:
        """Whether there are tool calls that need a result."""
        return any(not call.is_answer for call in self._calls)

    def add(self, delta: ToolCallDelta, text_length: int, chunks: dict[int, ToolCallChunk]) -> str:
        """Add a tool call or a fragment to the chunks of its event; a call has one chunk there.

        Args:
            delta: The tool call or fragment.
            text_length: The length of the answer's text before it.
            chunks: The event's chunks so far, by the index of the tool call; modified.

        Returns:
            The fragment's arguments, if they are text of the answer.
        """
        call = self._find(delta)
        is_new = call is None
        if call is None:
            call = self._start(delta)
        call.fragments.append(delta.args)
        call.is_complete = call.is_complete or delta.is_complete
        if call.is_answer:
            return delta.args if call is self.answer else ""
        if delta.extra:
            self._signatures.add_extra(call.index, delta.extra)
        if delta.signature:
            self._signatures.add_call(call.index, text_length, delta.signature)
        chunk = chunks.get(call.index) or tool_call_chunk(args="", index=call.index)
        if is_new:
            chunk["name"], chunk["id"] = call.name, call.id
        if delta.id and not call.id:
            call.id = chunk["id"] = self._unique_id(delta.id)
        if delta.name and not call.name:
            call.name = chunk["name"] = delta.name
        chunk["args"] = (chunk["args"] or "") + _arguments_to_emit(call, delta)
        chunks[call.index] = chunk
        return ""

    def closing_chunks(self) -> list[ToolCallChunk]:
        """Return the missing ids, and a suffix for arguments that are not an object.

        When LangChain adds chunks, it repairs truncated JSON (seen in langchain-core 1.7.2), so
        that a tool would run with part of its arguments. The suffix makes them an invalid tool
        call; it can go when LangChain no longer repairs JSON.
        """
        chunks = []
        for call in [call for call in self._calls if not call.is_answer]:
            arguments = call.arguments()
            is_broken = arguments.strip() != "" and not isinstance(_parse(arguments), dict)
            new_id = None if call.id else self._unique_id(None)
            if is_broken or new_id:
                call.id = call.id or new_id
                rest = "" if call.is_emitted else arguments
                args = rest + _unrepairable_suffix(arguments) if is_broken else ""
                chunks.append(tool_call_chunk(args=args, id=new_id, index=call.index))
            self._signatures.set_call_id(call.index, call.id)
        return chunks

    def _find(self, delta: ToolCallDelta) -> _ToolCall | None:
        """Return the tool call that a fragment continues, `None` if it starts one.

        It is found by the server's index, else by its id, else it is the last one; but a new
        id, another name, or a name after complete arguments starts a new call (docs/wire.md 5).
        """
        if delta.is_complete or not self._calls:
            return None
        if delta.index is not None:
            candidates = [call for call in self._calls if call.native_index == delta.index]
        elif delta.id:
            candidates = [call for call in self._calls if call.id == delta.id]
        else:
            candidates = self._calls
        if not candidates:
            return None
        call = candidates[-1]
        if delta.id and call.id:
            return call if delta.id == call.id else None
        if delta.name and call.name and (delta.name != call.name or call.has_complete_arguments()):
            return None
        return call

    def _start(self, delta: ToolCallDelta) -> _ToolCall:
        matching = (f for f in self._functions if f["name"] == delta.name)
        schema = next((function.get("parameters") or {} for function in matching), None)
        call = _ToolCall(
            index=len(self._calls),
            native_index=delta.index,
            id=self._unique_id(delta.id) if delta.id or delta.is_complete else None,
            name=delta.name or "",
            schema=schema,
            is_buffered=schema is not None and (delta.is_complete or not _is_text_only(schema)),
            is_answer=delta.name is not None and delta.name == self._answer_function,
        )
        self._calls.append(call)
        if call.is_answer and not self.answer:
            self.answer = call
        return call

    def _unique_id(self, call_id: str | None) -> str:
        """Return `call_id` if it is not in use, else a generated id."""
        if call_id and all(call.id != call_id for call in self._calls):
            return call_id
        return f"call_{uuid.uuid4().hex}"


def _arguments_to_emit(call: _ToolCall, delta: ToolCallDelta) -> str:
    """Return the arguments to emit after `delta` was added to `call`.

    Arguments that are all strings are emitted fragment by fragment. Others are emitted when they
    are complete, converted to the types of the tool's schema.
    """
    if call.schema is None or not call.is_buffered:
        call.is_emitted = True
        return delta.args
    if call.is_emitted or not delta.args.rstrip().endswith("}"):
        return ""
    if len(call.fragments) > 1 and call.is_open():
        return ""
    arguments = _parse(call.arguments())
    if not isinstance(arguments, dict):
        return ""
    call.is_emitted = True
    converted = coerce(arguments, call.schema)
    return call.arguments() if converted is arguments else to_json(converted).decode()


def _is_text_only(schema: Json) -> bool:
    """Whether every argument is a string."""
    return schema.keys().isdisjoint(_INDIRECT) and all(
        isinstance(inner, dict) and "string" in type_names(inner.get("type"))
        for inner in (schema.get("properties") or {}).values()
    )


def _parse(text: str) -> Any:
    """Return the value of JSON text, `None` if it is invalid."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _unrepairable_suffix(text: str) -> str:
    """Return a suffix that makes truncated JSON unrepairable."""
    nesting = _JsonNesting()
    nesting.scan(text)
    closed = ("\\" if nesting.is_escaped else "") + '"' if nesting.in_string else ""
    return closed + ("}" if nesting.open_brackets[-1:] == ["["] else "]")
