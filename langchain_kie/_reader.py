"""The events of one answer to LangChain's chunks, and to the message they add up to.

Whatever must come once, or be made up, or be told apart, is decided here; so a message is the
same whether its chunks are looked at one by one or added up at once. Knows LangChain's
messages. Knows nothing of dialects or I/O.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import orjson
from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_kie._delta import CallDelta, Delta
from langchain_kie._envelope import error_from_text
from langchain_kie._signatures import SignatureLog

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._catalog import Target

PROVIDER = "kie"

_LONGEST_ERROR_TEXT = 200


@dataclass(slots=True)
class _Call:
    """A tool call as it grows.

    Attributes:
        index: Its place among the answer's calls.
        wire_index: The index that its pieces carry.
        id: The id it goes by.
    """

    index: int
    wire_index: int | None
    id: str | None
    name: str | None
    args: list[str] = field(default_factory=list)
    is_whole: bool = False

    def is_complete(self) -> bool:
        """Whether its arguments are a whole JSON value, so that no more can belong to it."""
        return self.is_whole or _json_value("".join(self.args)) is not None


class MessageReader:
    """Reads one answer.

    Args:
        target: The model that answers.
        model_name: Its name as the caller wrote it.
    """

    def __init__(self, target: Target, model_name: str) -> None:
        self.has_output = False
        self._model_name = model_name
        self._calls: list[_Call] = []
        self._signatures = SignatureLog(target.name)
        self._text_length = 0
        self._blocks = 0
        self._server_call: str | None = None
        self._head = ""
        self._usage: UsageMetadata | None = None
        self._finish_reason = ""
        self._metadata: dict[str, Any] = {}

    def feed(self, delta: Delta) -> AIMessageChunk | None:
        """The chunk that an event is, `None` when it has nothing to show yet."""
        self._note(delta)
        if not (delta.outputs or delta.reasoning or delta.refusal):
            return None
        self.has_output = True
        content: list[str | dict[str, Any]] = []
        calls: dict[int, ToolCallChunk] = {}
        for position, output in enumerate(delta.outputs):
            if isinstance(output, CallDelta):
                self._add_call(output, calls)
            elif isinstance(output, dict):
                content.append(self._block(output, delta.signatures.get(position)))
            elif text := self._text(output, delta.signatures.get(position)):
                content.append(text)
        additional_kwargs: dict[str, Any] = {}
        if delta.reasoning:
            additional_kwargs["reasoning_content"] = delta.reasoning
        if delta.refusal:
            additional_kwargs["refusal"] = delta.refusal
        return AIMessageChunk(
            content=content if self._blocks else "".join(content),  # type: ignore[arg-type]
            additional_kwargs=additional_kwargs,
            tool_call_chunks=list(calls.values()),
            response_metadata={"model_provider": PROVIDER},
        )

    def finish(self) -> AIMessageChunk:
        """The last chunk: what is only known, or may only be said once, at the end.

        Raises:
            KieError: The answer's whole text is one of the upstream's error messages.
        """
        if not self._calls and (error := error_from_text(self._head, model=self._model_name)):
            raise error
        finish_reason = self._finish_reason or "stop"
        if self._calls and finish_reason == "stop":
            finish_reason = "tool_calls"
        return AIMessageChunk(
            content="",
            additional_kwargs=self._signatures.additional_kwargs(),
            tool_call_chunks=[*self._closing_chunks()],
            usage_metadata=self._usage,
            response_metadata={
                "model_provider": PROVIDER,
                "model_name": self._model_name,
                "finish_reason": finish_reason,
                **self._metadata,
            },
            chunk_position="last",
        )

    def _note(self, delta: Delta) -> None:
        """Keep what later events may still correct; the last word counts."""
        if delta.usage:
            self._usage = delta.usage
        if delta.finish_reason:
            self._finish_reason = delta.finish_reason
        for key, value in delta.metadata.items():
            if key != "id" or "id" not in self._metadata:
                self._metadata[key] = value

    def _text(self, text: str, signature: str | None) -> str | dict[str, Any]:
        """A piece of text; behind a block that is not text, it is one of its own."""
        start = self._text_length
        self._text_length += len(text)
        if len(self._head) <= _LONGEST_ERROR_TEXT:
            self._head += text[: _LONGEST_ERROR_TEXT + 1]
        if signature:
            self._signatures.add_text(start, self._text_length, signature)
        if not self._blocks or not text:
            return text
        return {"type": "text", "text": text, "index": f"lc_txt_{self._blocks}"}

    def _block(self, block: dict[str, Any], signature: str | None) -> dict[str, Any]:
        """A block that is not text, numbered, so that LangChain adds it to no other.

        A call of the server's own tools that has no id gets one, and its result the same.
        """
        index = f"lc_block_{self._blocks}"
        self._blocks += 1
        if signature:
            self._signatures.add_block(index, signature)
        if block["type"] == "server_tool_call":
            self._server_call = block["id"] or f"{block['name']}_{self._blocks}"
            block = {**block, "id": self._server_call}
        elif block["type"] == "server_tool_result":
            block = {**block, "tool_call_id": block["tool_call_id"] or self._server_call}
        return {**block, "index": index}

    def _add_call(self, piece: CallDelta, chunks: dict[int, ToolCallChunk]) -> None:
        """Add a piece to the chunks of its event, of which each call has one."""
        call = self._continued(piece)
        if call is None:
            call = self._begin(piece)
            chunk = tool_call_chunk(name=call.name, args="", id=call.id, index=call.index)
        else:
            chunk = chunks.get(call.index) or tool_call_chunk(args="", index=call.index)
            if piece.id and not call.id:
                call.id = chunk["id"] = self._unique(piece.id)
            if piece.name and not call.name:
                call.name = chunk["name"] = piece.name
        chunk["args"] = (chunk["args"] or "") + piece.args
        chunks[call.index] = chunk
        call.args.append(piece.args)
        call.is_whole = call.is_whole or piece.is_whole
        if piece.extra:
            self._signatures.add_extra(call.index, piece.extra)
        if piece.signature:
            self._signatures.add_call(call.index, self._text_length, piece.signature)

    def _continued(self, piece: CallDelta) -> _Call | None:
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

    def _begin(self, piece: CallDelta) -> _Call:
        call_id = self._unique(piece.id) if piece.id or piece.is_whole else None
        call = _Call(len(self._calls), piece.index, call_id, piece.name or "")
        self._calls.append(call)
        return call

    def _unique(self, call_id: str | None) -> str:
        if call_id and all(call.id != call_id for call in self._calls):
            return call_id
        return f"call_{uuid.uuid4().hex}"

    def _closing_chunks(self) -> list[ToolCallChunk]:
        """What the calls still need: an id, and a mark on arguments that are no object.

        LangChain completes cut JSON by itself when it adds chunks up, and would hand a tool
        half of its arguments; a bracket too many turns them into an invalid call.
        """
        chunks = []
        for call in self._calls:
            args = "".join(call.args)
            broken = args.strip() != "" and not isinstance(_json_value(args), dict)
            call_id = None if call.id else self._unique(None)
            if broken or call_id:
                call.id = call.id or call_id
                mark = _breaking_mark(args) if broken else ""
                chunks.append(tool_call_chunk(args=mark, id=call_id, index=call.index))
            self._signatures.name_call(call.index, call.id)
        return chunks


def message_of(chunks: list[AIMessageChunk]) -> AIMessage:
    """The message that chunks add up to."""
    first, *rest = chunks
    return cast("AIMessage", message_chunk_to_message(first + rest if rest else first))


def _json_value(text: str) -> Any:
    """The value of JSON text, `None` for what is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _breaking_mark(text: str) -> str:
    """What makes JSON text, cut wherever it was, no JSON that could be completed."""
    inside = escaped = False
    brackets = ""
    for char in text:
        if escaped:
            escaped = False
        elif inside:
            escaped = char == "\\"
            inside = char != '"'
        elif char == '"':
            inside = True
        elif char in "{[":
            brackets += char
        elif char in "}]":
            brackets = brackets[:-1]
    closed = ("\\" if escaped else "") + '"' if inside else ""
    return closed + ("}" if brackets.endswith("[") else "]")
