"""The tool calls of one answer, assembled from fragments of any format.

Independent of APIs and I/O.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_kie._answer.partial_args import PartialArgs
from langchain_kie._answer.pending_call import (
    PendingCall,
    arguments_value,
    split,
    unrepairable_suffix,
)
from langchain_kie._json_schema.keywords import type_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from langchain_kie._answer.event import ToolCallDelta
    from langchain_kie._conversation.thought_signatures import SignatureLog
    from langchain_kie._json import Json

_INDIRECT = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "additionalProperties", "patternProperties"}
)

_Relation = Literal["continues", "repeats", "starts"]
_Chunks = dict[int, ToolCallChunk]
"""The chunks of one event, by the index of their tool call."""

_MAX_COMPARED = 200
"""How many calls a call without an id is compared with."""


class ToolCalls:
    """Assembles the tool calls of one answer.

    Args:
        functions: The functions that were sent to the model.
        answer_names: The names of functions whose arguments are the answer.
        signatures: Stores the signatures and undocumented members of tool calls.

    Attributes:
        needs_end: Whether a call started without arguments, so that `end_calls` has work to do.
        answer: The first call of one of `answer_names`, if any.
        invalid_arguments: The arguments that are not an object, by the id of the call; complete
            after `closing_chunks`.
    """

    def __init__(
        self, functions: Sequence[Json], answer_names: Collection[str], signatures: SignatureLog
    ) -> None:
        self._functions = functions
        self._answer_names = answer_names
        self._signatures = signatures
        self._calls: list[PendingCall] = []
        self._has_calls = False
        self._sending: PendingCall | None = None
        self._waiting: _Chunks = {}
        self.needs_end = False
        self.answer: PendingCall | None = None
        self.invalid_arguments: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Whether there are tool calls that need a result."""
        return self._has_calls

    def has_usable_call(self, names: Collection[str] | None = None) -> bool:
        """Whether there is a call of an offered function with a JSON object as arguments.

        Args:
            names: The functions that count, `None` for all.
        """
        return any(
            call.name and (names is None or call.name in names) and not call.defect()
            for call in self._calls
        )

    def defect(self) -> str:
        """Why the first call that is not the answer cannot be used; empty if there is none."""
        call = next((call for call in self._calls if call.name and not call.is_answer), None)
        return (call.defect() or f"the model called {call.name!r} instead") if call else ""

    def add(self, delta: ToolCallDelta, text_length: int, chunks: _Chunks) -> str:
        """Add a tool call or a fragment to the chunks of its event; a call has one chunk there.

        A call without a name is emitted once its name is known; if it has no id then, one is
        generated, and one that comes later is ignored. If a fragment has the arguments
        of several calls, each object is a call.

        Args:
            delta: The tool call or fragment.
            text_length: The length of the answer's text before it.
            chunks: The event's chunks so far, by the index of the tool call; modified.

        Returns:
            The fragment's arguments, if they are text of the answer.
        """
        is_piece = not (delta.name or delta.is_complete)
        call = self._nearest(delta, chunks) if is_piece else self._candidate(delta, chunks)
        if call and delta.name and not call.name:
            delta = self._add_name(call, delta)
        args = delta.args
        if "}{" in args or "} " in args or "}\n" in args:
            deltas = split(delta, call)
            if len(deltas) > 1:
                return "".join(self.add(one, text_length, chunks) for one in deltas)
        call = self._unrepeated(delta, call, text_length, chunks)
        if call is None:
            return ""
        args = call.add_arguments(delta)
        call.is_complete = call.is_complete or (delta.is_complete and call.fragments != [])
        call.native_id = call.native_id or delta.id
        self.needs_end = self.needs_end or not call.fragments
        if call.is_answer:
            return args if call is self.answer else ""
        if not call.name:
            return ""
        is_sent = call is self._sending or self._start_sending(call)
        target = chunks if is_sent else self._waiting
        chunk = target.get(call.index) or tool_call_chunk(args="", index=call.index)
        if not call.id:
            call.id = self._unique_id(call.native_id)
            chunk["name"], chunk["id"] = call.name, call.id
        chunk["args"] = (chunk["args"] or "") + call.emit_arguments(args)
        target[call.index] = chunk
        if self._waiting and is_sent:
            self._send_waiting(call, chunks)
        return ""

    def _add_name(self, call: PendingCall, delta: ToolCallDelta) -> ToolCallDelta:
        """Name a call; return the fragment without the name, but with all arguments so far."""
        self._set_name(call, delta.name or "", is_complete=delta.is_complete)
        is_new = delta.args != "null" and not call.is_repeated_by(delta)
        args = call.take_arguments() + (delta.args if is_new else "")
        return replace(delta, name=None, args=args)

    def _start_sending(self, call: PendingCall) -> bool:
        """Whether the chunks of a call can be sent, because those of the call before are complete.

        Else they wait: a reader may take all arguments for those of the last name.
        """
        if self._waiting or (self._sending and not self._sending.has_all_arguments()):
            return False
        self._sending = call
        return True

    def _send_waiting(self, call: PendingCall, chunks: _Chunks) -> None:
        """Add to the chunks of an event those that waited for the arguments of a call."""
        while self._waiting and call.has_all_arguments():
            self._sending = call = self._calls[next(iter(self._waiting))]
            waiting = self._waiting.pop(call.index)
            chunk = chunks.setdefault(call.index, waiting)
            if chunk is not waiting:
                chunk["args"] = (chunk["args"] or "") + (waiting["args"] or "")

    def _unrepeated(
        self, delta: ToolCallDelta, call: PendingCall | None, text_length: int, event: _Chunks
    ) -> PendingCall | None:
        """Return the call of a fragment, its candidate or a new one, and store its extras.

        Returns:
            The call; `None` if the fragment repeats it, or is an end of pieces that no call has.
        """
        if call is None and delta.is_complete and delta.partial_args == []:
            return None
        relation = _relation(delta, call, event) if call else "starts"
        if call is None or relation == "starts":
            call = self._start(delta, delta.name or (call.name if call else None))
        call.event = event
        if delta.extra:
            self._signatures.add_extra(call.index, delta.extra)
        if delta.signature and call.signature != delta.signature:
            call.signature = delta.signature
            self._signatures.add_call(call.index, text_length, delta.signature)
        return None if relation == "repeats" else call

    def end_calls(self, *, is_cut: bool) -> list[str]:
        """Complete the calls without arguments, and those whose pieces have no end.

        Args:
            is_cut: Whether the answer was cut, so that arguments are missing.

        Returns:
            The arguments that are text of the answer.
        """
        answer = []
        for call in [call for call in self._calls if call.name and not call.fragments]:
            args = call.end_arguments(is_cut=is_cut)
            if call.id:
                chunk = self._waiting.get(call.index) or tool_call_chunk(args="", index=call.index)
                self._waiting[call.index] = {**chunk, "args": call.emit_arguments(args)}
            elif call is self.answer:
                answer.append(args)
        return answer

    def closing_chunks(self) -> list[ToolCallChunk]:
        """Return the arguments that were held, and a suffix for those that are not an object.

        When LangChain adds chunks, it repairs truncated JSON (seen in langchain-core 1.7.2), so
        that a tool would run with part of its arguments. The suffix makes them an invalid tool
        call, and `invalid_arguments` has them without it. Both can go when LangChain no longer
        repairs JSON.
        """
        chunks = []
        for call in self._calls:
            if not call.id:
                continue
            rest, call.cut_escape = call.cut_escape, ""
            if rest:
                call.fragments.append(rest)
            arguments = call.arguments()
            parsed = arguments_value(arguments)
            if not isinstance(parsed, dict):
                self.invalid_arguments[call.id] = arguments
                rest = rest if call.is_emitted else arguments[call.held_from :]
                rest += unrepairable_suffix(arguments)
            if rest or call.index in self._waiting:
                chunk = self._waiting.get(call.index) or tool_call_chunk(args="", index=call.index)
                chunk["args"] = (chunk["args"] or "") + rest
                chunks.append(chunk)
            is_converted = call.emitted_args is not None
            emitted, signed = (call.emitted_args, arguments) if is_converted else (parsed, None)
            self._signatures.set_call_id(call.index, call.id, call.name, emitted, signed)
        return chunks

    def _candidate(self, delta: ToolCallDelta, event: _Chunks) -> PendingCall | None:
        """Return the call that a fragment may continue or repeat; the first rule that holds counts.

        The numbers are those of docs/wire.md.
        """
        if delta.is_complete and delta.args in {"", "{}"} and not delta.partial_args:
            last = self._calls[-1] if self._calls else None
            if last and last.has_open_pieces and not last.differs_from(delta):
                return last  # 11-3: the end of arguments in pieces
            if delta.partial_args is not None:
                return None
        if delta.name and not delta.id and (call := self._repeated(delta, event)):
            return call  # 11-22: a complete call again, without an id
        if delta.is_complete and delta.partial_args is None:
            for call in self._calls:
                if call.has_open_pieces and call.is_completed_by(delta):
                    return call  # 11-3: the complete arguments after pieces
            if delta.name and delta.index is None and not delta.id:
                return None  # 5-5: a complete call
        return self._nearest(delta, event)

    def _nearest(self, delta: ToolCallDelta, event: _Chunks) -> PendingCall | None:
        """Return the last call with the index of a fragment, else with its id, else the last.

        If that is complete, or has another id or name, the fragment can repeat another call.
        """
        calls = self._calls
        if delta.index is not None:
            calls = [call for call in calls if call.native_index == delta.index]
        elif delta.id:
            calls = [call for call in calls if call.native_id == delta.id]
        call = calls[-1] if calls else None
        if call and (delta.id or delta.name) and call.differs_from(delta):
            same = (one for one in reversed(calls) if delta.id and one.native_id == delta.id)
            call = next((one for one in same if not one.differs_from(delta)), None)
        return (delta.id and self._repeated(delta, event, call)) or call  # 11-7

    def _repeated(
        self, delta: ToolCallDelta, event: _Chunks, nearest: PendingCall | None = None
    ) -> PendingCall | None:
        """Return the call that a complete call repeats or completes: with its id, or with none.

        If it has no id, it is compared with the calls of earlier events. It is none if the nearest
        call needs it.
        """
        if not (delta.is_complete or delta.args.rstrip().endswith(("}", '"'))):
            return None
        if nearest and not nearest.has_complete_arguments():
            return None
        for call in self._calls[:_MAX_COMPARED]:
            is_later = call.event is not event
            is_same = None in (delta.index, call.native_index) or delta.index == call.native_index
            if delta.id:
                is_generated = call.native_id is None or call.id not in (None, call.native_id)
                is_same = call.native_id == delta.id or (is_same and is_generated)
            else:
                if delta.signature and call.signature:
                    is_same = is_same and delta.signature == call.signature
                is_same = is_same and is_later
            is_same = is_same and call.name == (delta.name or call.name)
            if is_same and (
                call.is_repeated_by(delta) or (is_later and call.is_continued_by(delta))
            ):
                return call
        return None

    def _start(self, delta: ToolCallDelta, name: str | None) -> PendingCall:
        call = PendingCall(
            index=len(self._calls),
            native_index=delta.index,
            native_id=delta.id,
            is_whole=delta.is_complete and delta.name is not None,
            partial_args=None if delta.partial_args is None else PartialArgs(),
        )
        if name:
            self._set_name(call, name, is_complete=delta.is_complete)
        self._calls.append(call)
        return call

    def _set_name(self, call: PendingCall, name: str, *, is_complete: bool) -> None:
        matching = (f for f in self._functions if f["name"] == name)
        schema = next((function.get("parameters") or {} for function in matching), None)
        call.name, call.schema = name, schema
        call.is_text = schema is not None and not is_complete and _is_text_only(schema)
        call.is_buffered = schema is not None and not call.is_text
        call.is_answer = name in self._answer_names
        self._has_calls = self._has_calls or not call.is_answer
        if call.is_answer and not self.answer:
            self.answer = call

    def _unique_id(self, call_id: str | None) -> str:
        """Return `call_id` if it is not in use, else a generated id."""
        if call_id and all(call.id != call_id for call in self._calls):
            return call_id
        return f"call_{uuid.uuid4().hex}"


def _relation(delta: ToolCallDelta, call: PendingCall, event: _Chunks) -> _Relation:
    """Whether a fragment continues or repeats its candidate, or starts the next call of it.

    The first rule that holds counts. The numbers are those of docs/wire.md.
    """
    start = delta.args.lstrip()[:1]
    is_value = delta.is_complete or start == "{" or (start == '"' and call.is_quoted)
    is_value = is_value or delta.args == "null"
    is_named = delta.name and not (delta.id and call.native_id)
    if not (is_value or is_named):
        return "continues"  # a piece of arguments, as most fragments are
    is_in_same_event = is_named and not delta.id and call.event is event
    if not call.has_complete_arguments():  # only equal calls, without arguments, are two (11-22)
        is_equal = not (delta.args or call.fragments)
        return "starts" if is_equal and is_in_same_event else "continues"
    is_value = is_value or (not delta.args and call.requires_arguments)
    if is_value and call.is_repeated_by(delta):  # 11-7; in the same event, they are two (11-22)
        return "starts" if is_in_same_event and delta.args else "repeats"
    if delta.args == "null" and (not delta.name or delta.id == call.native_id):
        return "repeats"  # 11-6: no arguments
    return "starts" if call.name else "continues"  # 5, 11-7: after complete arguments


def _is_text_only(schema: Json) -> bool:
    """Whether a schema has only string arguments, none of which can be null."""
    return schema.keys().isdisjoint(_INDIRECT) and all(
        isinstance(inner, dict) and type_names(inner.get("type")) == ["string"]
        for inner in (schema.get("properties") or {}).values()
    )
