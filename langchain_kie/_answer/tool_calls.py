"""The tool calls of one answer, assembled from fragments of any format.

Independent of APIs and I/O.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_kie._answer.event import ToolCallDelta
from langchain_kie._answer.partial_args import PartialArgs
from langchain_kie._json import complete_escapes, parse_json, to_json
from langchain_kie._json_schema.coerce import coerce
from langchain_kie._json_schema.keywords import type_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._conversation.thought_signatures import SignatureLog
    from langchain_kie._json import Json

_NO_ARGUMENTS = frozenset({"", "null", "[]", '""'})
_NEXT_OBJECT = re.compile(r"\}\s*\{")
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
        native_id: The id that the server sent.
        id: The server's id, or a generated one.
        name: The name of the function.
        schema: The schema of its arguments, if the function is known.
        is_buffered: Whether its arguments are emitted only when they are complete.
        is_quoted: Whether its arguments are a JSON string, which should hold the object.
        is_answer: Whether its arguments are the text of the answer.
        is_announced: Whether its name and id were emitted.
        is_emitted: Whether its arguments were emitted, at least in part.
        is_complete: Whether no more fragments will come.
        emitted_args: Its arguments as they were emitted, if they were converted.
        partial_args: The pieces of its arguments, if these have JSON paths.
        fragments: The fragments of its arguments.
        cut_escape: The start of an escape at the end of the last fragment, not yet among them.
        nesting: The JSON nesting of the fragments that were scanned.
        scanned_count: The number of fragments that were scanned.
    """

    index: int
    native_index: int | str | None
    native_id: str | None
    id: str | None
    name: str = ""
    schema: Json | None = None
    is_buffered: bool = False
    is_quoted: bool = False
    is_answer: bool = False
    is_announced: bool = False
    is_emitted: bool = False
    is_complete: bool = False
    emitted_args: Json | None = None
    partial_args: PartialArgs | None = None
    fragments: list[str] = field(default_factory=list)
    cut_escape: str = ""
    nesting: _JsonNesting = field(default_factory=_JsonNesting)
    scanned_count: int = 0

    def arguments(self) -> str:
        """Return the arguments so far."""
        return "".join(self.fragments)

    def add_arguments(self, delta: ToolCallDelta) -> str:
        """Add the arguments of a fragment, and return them.

        Before the object starts, nothing but white space or `null` is no arguments. Half a
        surrogate pair becomes U+FFFD; what may be one waits for the next fragment.
        """
        if self.partial_args:
            self.partial_args.add(delta.partial_args or ())
            if not delta.is_complete:
                return ""
            text = to_json(self.partial_args.args).decode()
            args = text[:-1] if self.partial_args.is_open else text
        elif not self.fragments and delta.args.strip() in _NO_ARGUMENTS:
            return ""
        else:
            args = delta.args
            if "\\" in args or self.cut_escape:
                args, self.cut_escape = complete_escapes(self.cut_escape + args)
            if not self.fragments:
                self.is_quoted = args.lstrip()[:1] == '"'
        self.fragments.append(args)
        return args

    def defect(self) -> str:
        """Why nobody can execute the call, empty if it can be executed."""
        if self.schema is None:
            return f"the model called {self.name!r}, which it was not offered"
        is_open = self.partial_args is not None and not self.is_complete
        if is_open or not isinstance(_arguments_value(self.arguments()), dict):
            return f"the arguments of its call of {self.name!r} are not complete JSON"
        return ""

    def has_complete_arguments(self) -> bool:
        """Whether its arguments are a complete JSON value, so that a fragment cannot follow."""
        if self.is_complete:
            return True
        return not self.is_open() and parse_arguments(self.arguments()) is not None

    def is_open(self) -> bool:
        """Whether its arguments have open brackets or strings; faster than parsing them."""
        self.nesting.scan("".join(self.fragments[self.scanned_count :]))
        self.scanned_count = len(self.fragments)
        return self.nesting.in_string or bool(self.nesting.open_brackets)

    def split(self, delta: ToolCallDelta) -> list[ToolCallDelta]:
        """Split a fragment where it completes the object of this call and another follows.

        The first has to continue this call, so that it is not complete alone.
        """
        self.is_open()
        nesting = replace(self.nesting, open_brackets=[*self.nesting.open_brackets])
        args, ends, scanned = delta.args, [0], 0
        for found in _NEXT_OBJECT.finditer(args):
            end = found.start() + 1
            nesting.scan(args[scanned:end])
            scanned = end
            if not (nesting.in_string or nesting.open_brackets):
                ends.append(end)
        first, *others = (
            args[start:end] for start, end in zip(ends, [*ends[1:], None], strict=True)
        )
        bare = replace(delta, name=delta.name or self.name, extra=None, signature=None)
        return [
            replace(delta, args=first, is_complete=False),
            *(replace(bare, args=piece) for piece in others),
        ]

    def differs_from(self, delta: ToolCallDelta) -> bool:
        """Whether a fragment has another id or another name."""
        return bool(
            (delta.id and self.native_id and delta.id != self.native_id)
            or (delta.name and self.name and delta.name != self.name)
        )

    def is_repeated_by(self, delta: ToolCallDelta) -> bool:
        """Whether a fragment that does not differ has the complete arguments of this call."""
        if delta.partial_args is not None or not self.has_complete_arguments():
            return False
        return bool(_arguments_value(delta.args) == _arguments_value(self.arguments()))


class ToolCalls:
    """Assembles the tool calls of one answer.

    Args:
        functions: The functions that were sent to the model.
        answer_function: The function, if any, whose arguments are the answer.
        signatures: Stores the signatures and undocumented members of tool calls.

    Attributes:
        answer: The first call of `answer_function`, if any.
        invalid_arguments: The arguments that are not an object, by the id of the call; complete
            after `closing_chunks`.
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
        self.invalid_arguments: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Whether there are tool calls that need a result."""
        return any(call.name and not call.is_answer for call in self._calls)

    def has_usable_call(self) -> bool:
        """Whether there is a call of an offered function with a JSON object as arguments."""
        return any(call.name and not call.defect() for call in self._calls)

    def defect(self) -> str:
        """Why the first call is of no use, empty if it is or if there is none."""
        return next((call.defect() for call in self._calls if call.name), "")

    def add(self, delta: ToolCallDelta, text_length: int, chunks: dict[int, ToolCallChunk]) -> str:
        """Add a tool call or a fragment to the chunks of its event; a call has one chunk there.

        A call without a name is emitted once its name is known. If a fragment has the arguments
        of several calls, each object is a call.

        Args:
            delta: The tool call or fragment.
            text_length: The length of the answer's text before it.
            chunks: The event's chunks so far, by the index of the tool call; modified.

        Returns:
            The fragment's arguments, if they are text of the answer.
        """
        call, is_repeated = self._find_or_start(delta)
        if is_repeated:
            return ""
        args = delta.args
        if "}{" in args or "} " in args or "}\n" in args:
            deltas = call.split(delta)
            if len(deltas) > 1:
                return "".join(self.add(one, text_length, chunks) for one in deltas)
        args = call.add_arguments(delta)
        call.is_complete = call.is_complete or delta.is_complete
        if delta.name and not call.name:
            self._set_name(call, delta.name, is_complete=delta.is_complete)
            args = call.arguments()
        if call.is_answer:
            return args if call is self.answer else ""
        if delta.extra or delta.signature:
            self._store_extras(call, delta, text_length)
        if not call.name:
            return ""
        chunk = chunks.get(call.index) or tool_call_chunk(args="", index=call.index)
        if not call.is_announced:
            call.is_announced = True
            chunk["name"], chunk["id"] = call.name, call.id
        if delta.id and not call.id:
            call.native_id, call.id = delta.id, self._unique_id(delta.id)
            chunk["id"] = call.id
        chunk["args"] = (chunk["args"] or "") + _arguments_to_emit(call, args)
        chunks[call.index] = chunk
        return ""

    def _store_extras(self, call: _ToolCall, delta: ToolCallDelta, text_length: int) -> None:
        if delta.extra:
            self._signatures.add_extra(call.index, delta.extra)
        if delta.signature:
            self._signatures.add_call(call.index, text_length, delta.signature)

    def closing_chunks(self) -> list[ToolCallChunk]:
        """Return the missing ids, and a suffix for arguments that are not an object.

        When LangChain adds chunks, it repairs truncated JSON (seen in langchain-core 1.7.2), so
        that a tool would run with part of its arguments. The suffix makes them an invalid tool
        call, and `invalid_arguments` has them without it. Both can go when LangChain no longer
        repairs JSON.
        """
        chunks = []
        for call in [call for call in self._calls if call.name and not call.is_answer]:
            rest = ""
            if call.partial_args and not call.is_complete:
                end = ToolCallDelta(None, "", is_complete=True)
                rest = _arguments_to_emit(call, call.add_arguments(end))
            elif call.cut_escape:
                rest, call.cut_escape = call.cut_escape, ""
                call.fragments.append(rest)
            arguments = call.arguments()
            parsed = _arguments_value(arguments)
            is_broken = not isinstance(parsed, dict)
            new_id = None if call.id else self._unique_id(None)
            if is_broken or new_id or rest:
                call.id = call.id or new_id
                if is_broken and call.id:
                    self.invalid_arguments[call.id] = arguments
                rest = rest if call.is_emitted else arguments
                args = rest + (_unrepairable_suffix(arguments) if is_broken else "")
                chunks.append(tool_call_chunk(args=args, id=new_id, index=call.index))
            is_converted = call.emitted_args is not None
            emitted, signed = (call.emitted_args, arguments) if is_converted else (parsed, None)
            self._signatures.set_call_id(call.index, call.id, call.name, emitted, signed)
        return chunks

    def _find_or_start(self, delta: ToolCallDelta) -> tuple[_ToolCall, bool]:
        """Return the call of a fragment, and whether the fragment only repeats the call.

        The call is found by the server's index, else by its id, else it is the last one; but a
        new id, another name, or a name or an object after complete arguments starts a new call
        (docs/wire.md 5).
        """
        call = self._candidate(delta)
        if call is None or ((delta.id or delta.name) and call.differs_from(delta)):
            return self._start(delta, delta.name), False
        if call.partial_args and not call.is_complete and (delta.id or not delta.name):
            return call, False
        args = delta.args
        starts_object = "{" in args and args.lstrip()[0] == "{"
        is_object = delta.is_complete or starts_object or args == "null"
        if call.is_quoted and not is_object:
            is_object = args.lstrip()[:1] == '"'
        if is_object and call.is_repeated_by(delta):
            return call, True
        is_named = delta.name and call.name and not (delta.id and call.native_id)
        if (is_object or is_named) and call.has_complete_arguments():
            return self._start(delta, delta.name or call.name), False
        return call, False

    def _candidate(self, delta: ToolCallDelta) -> _ToolCall | None:
        """Return the call that a fragment may continue or repeat."""
        candidates = self._calls
        if delta.index is not None:
            candidates = [call for call in candidates if call.native_index == delta.index]
        elif delta.id:
            candidates = [call for call in candidates if call.native_id == delta.id]
        elif delta.is_complete and delta.partial_args is None:
            return None
        if not candidates and delta.id:
            same_id = [call for call in self._calls if call.native_id == delta.id]
            candidates = [
                call
                for call in same_id
                if not call.differs_from(delta) and call.is_repeated_by(delta)
            ]
        return candidates[-1] if candidates else None

    def _start(self, delta: ToolCallDelta, name: str | None) -> _ToolCall:
        call = _ToolCall(
            index=len(self._calls),
            native_index=delta.index,
            native_id=delta.id,
            id=self._unique_id(delta.id) if delta.id or delta.is_complete else None,
            partial_args=None if delta.partial_args is None else PartialArgs(),
        )
        if name:
            self._set_name(call, name, is_complete=delta.is_complete)
        self._calls.append(call)
        return call

    def _set_name(self, call: _ToolCall, name: str, *, is_complete: bool) -> None:
        matching = (f for f in self._functions if f["name"] == name)
        schema = next((function.get("parameters") or {} for function in matching), None)
        call.name, call.schema = name, schema
        call.is_buffered = schema is not None and (is_complete or not _is_text_only(schema))
        call.is_answer = name == self._answer_function
        if call.is_answer and not self.answer:
            self.answer = call

    def _unique_id(self, call_id: str | None) -> str:
        """Return `call_id` if it is not in use, else a generated id."""
        if call_id and all(call.id != call_id for call in self._calls):
            return call_id
        return f"call_{uuid.uuid4().hex}"


def _arguments_to_emit(call: _ToolCall, args: str) -> str:
    """Return the arguments to emit after `args` were added to `call`.

    Arguments that are all strings are emitted fragment by fragment. Others are emitted when they
    are complete, converted to the types of the tool's schema; likewise an object in a string.
    """
    if not (call.is_buffered or call.is_quoted):
        call.is_emitted = call.is_emitted or args != ""
        return args
    if call.is_emitted or not args.rstrip().endswith('"' if call.is_quoted else "}"):
        return ""
    if len(call.fragments) > 1 and call.is_open():
        return ""
    arguments = _arguments_value(call.arguments())
    if not isinstance(arguments, dict):
        return ""
    call.is_emitted = True
    converted = coerce(arguments, call.schema) if call.schema else arguments
    if converted is arguments and not call.is_quoted:
        return call.arguments()
    call.emitted_args = converted
    return to_json(converted).decode()


def _is_text_only(schema: Json) -> bool:
    """Whether every argument is a string."""
    return schema.keys().isdisjoint(_INDIRECT) and all(
        isinstance(inner, dict) and "string" in type_names(inner.get("type"))
        for inner in (schema.get("properties") or {}).values()
    )


def _arguments_value(text: str) -> Any:
    """Return the value of arguments; nothing, or `null`, is an empty object.

    Some servers encode the object twice, so that it is the text of a JSON string.
    """
    if text.strip() in _NO_ARGUMENTS:
        return {}
    value = parse_arguments(text)
    if not isinstance(value, str):
        return value
    inner = parse_arguments(value)
    return inner if isinstance(inner, dict) else value


def parse_arguments(text: str) -> Any:
    """Return the value of JSON text, with all digits of integers; `None` if it is invalid."""
    try:
        return parse_json(text.encode(errors="replace"))
    except ValueError:
        return None


def _unrepairable_suffix(text: str) -> str:
    """Return a suffix that makes truncated JSON unrepairable."""
    nesting = _JsonNesting()
    nesting.scan(text)
    closed = ("\\" if nesting.is_escaped else "") + '"' if nesting.in_string else ""
    return closed + ("}" if nesting.open_brackets[-1:] == ["["] else "]")
