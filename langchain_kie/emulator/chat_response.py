"""Answers of the chat completions API and of the gateway.

Each model streams in the shape that was recorded for it. Bodies are described in docs/wire.md 3,
the stream shapes A, B and C in docs/wire.md 4.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.streaming import (
    DONE,
    encode_event,
    make_id,
    split_evenly,
    split_text,
)
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import Call, Reply
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.usage import Usage

_EPOCH = 1_767_225_600
_WORDS_PER_CHUNK = 3
_ARGUMENTS_FRAGMENT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer, ready to be serialized.

    Attributes:
        endpoint: The model that answers.
        reply: The content.
        usage: The token counts.
        serial: A number unique to this call.
        show_thoughts: Whether the answer includes the thoughts.
    """

    endpoint: Endpoint
    reply: Reply
    usage: Usage
    serial: int
    show_thoughts: bool

    def body(self) -> dict[str, Any]:
        """Build the answer as one JSON document."""
        message: dict[str, Any] = {"role": "assistant", "content": _content(self.reply)}
        if self.show_thoughts and self.reply.thoughts:
            message["reasoning_content"] = "\n\n".join(self.reply.thoughts)
        if self.reply.calls:
            message["tool_calls"] = [
                self._call(number, call) for number, call in enumerate(self.reply.calls)
            ]
        body = self._envelope("chat.completion")
        body["choices"] = [{"index": 0, "message": message, "finish_reason": self._finish_reason()}]
        if self.endpoint.api != "gateway":
            return body | self._costs()
        body.pop("model")
        counts = self._costs()["usage"].items()
        return body | {"usage": {k: v for k, v in counts if not k.endswith("_details")}}

    def events(self) -> Iterator[bytes]:
        """Build the answer as a stream of server-sent events."""
        shapes = {"A": self._shape_a, "B": self._shape_b, "C": self._shape_c}
        yield from map(encode_event, shapes[self.endpoint.stream_shape]())
        yield DONE

    def _shape_a(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"content": "", "role": "assistant"})
        yield from map(self._chunk, self._deltas())
        yield self._chunk({}, self._finish_reason())
        yield {**self._envelope(), "choices": [], **self._costs()}

    def _shape_b(self) -> Iterator[dict[str, Any]]:
        first, *others = list(self._deltas()) or [{"content": ""}]
        yield self._chunk({"role": "assistant", **first})
        yield from map(self._chunk, others)
        yield {**self._chunk({}, self._finish_reason()), **self._costs()}

    def _shape_c(self) -> Iterator[dict[str, Any]]:
        deltas = list(self._deltas()) or [{"content": ""}]
        chunks = [self._chunk({"role": "assistant", **delta}) for delta in deltas]
        if self.reply.is_cut:  # measured on 3.8 Flash, unlike any other finish reason
            chunks.append(self._chunk({}, self._finish_reason()))
        chunks.append({**self._envelope(), "choices": []})
        chunks.append({**self._envelope(), "choices": [], **self._costs()})
        for number, chunk in enumerate(chunks):
            yield chunk | {"id": self._id(number)}

    def _deltas(self) -> Iterator[dict[str, Any]]:
        if self.show_thoughts:
            for number, thought in enumerate(self.reply.thoughts):
                yield {"reasoning_content": f"\n\n{thought}" if number else thought}
        for text in split_text(_content(self.reply), _WORDS_PER_CHUNK):
            yield {"content": text}
        for number, call in enumerate(self.reply.calls):
            yield from self._call_deltas(number, call)

    def _call_deltas(self, number: int, call: Call) -> Iterator[dict[str, Any]]:
        complete = self._call(number, call)
        if not self.endpoint.call_format.in_fragments:
            yield {"tool_calls": [complete]}
            return
        yield {"tool_calls": [complete | {"function": {"name": call.name, "arguments": ""}}]}
        arguments = complete["function"]["arguments"]
        for fragment in split_evenly(arguments, _ARGUMENTS_FRAGMENT_LENGTH):
            yield {"tool_calls": [{"index": number, "function": {"arguments": fragment}}]}

    def _call(self, number: int, call: Call) -> dict[str, Any]:
        call_format = self.endpoint.call_format
        arguments: Any = dict(call.args)
        if not call_format.as_object:
            arguments = json.dumps(arguments, ensure_ascii=False)
        tool_call: dict[str, Any] = {
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if call_format.has_id:
            tool_call["id"] = f"call_{make_id('call', self.serial, number)}"
        if call_format.index != "none":
            tool_call["index"] = number if call_format.index == "position" else 0
        return tool_call

    def _finish_reason(self) -> str:
        if self.reply.is_cut:
            return "length"
        return "tool_calls" if self.reply.calls and self._has_shape_a() else "stop"

    def _has_shape_a(self) -> bool:
        return self.endpoint.stream_shape == "A"

    def _id(self, number: int = 0) -> str:
        return f"chatcmpl-{make_id('chat', self.serial, number)}"

    def _envelope(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        body: dict[str, Any] = {"id": self._id(), "object": kind, "created": _EPOCH + self.serial}
        if self._has_shape_a():
            body["model"] = self.endpoint.model
        if self._has_shape_a() and kind.endswith("chunk"):
            body["system_fingerprint"] = ""
        return body

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta}
        if self.endpoint.stream_shape != "C" or finish_reason:
            choice["finish_reason"] = finish_reason
        return {**self._envelope(), "choices": [choice]}

    def _costs(self) -> dict[str, Any]:
        """Build `usage` and `credits_consumed`.

        As in the recordings, some models report the tokens of thinking, and others only include
        them in `total_tokens`.
        """
        shape = self.endpoint.stream_shape
        is_reported = shape == "A" or (shape == "B" and self.show_thoughts)
        reasoning = self.usage.thinking if is_reported else 0
        details = {"audio_tokens": 0, "text_tokens": 0} if shape == "A" else {}
        return {
            "usage": {
                "prompt_tokens": self.usage.prompt,
                "completion_tokens": self.usage.answer + reasoning,
                "total_tokens": self.usage.total,
                "completion_tokens_details": {**details, "reasoning_tokens": reasoning},
            },
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }


def _content(reply: Reply) -> str:
    """Write code and sources into the text as Markdown, as this API does (docs/wire.md 1, 3)."""
    text = reply.text
    if reply.code_run is not None:
        run = reply.code_run
        text = f"```python\n{run.code}```\n\nOutput:\n\n```\n{run.output}```\n\n{text}"
    if reply.grounding is not None and reply.grounding.supports:
        links = ", ".join(f"[{title}]({uri})" for uri, title in reply.grounding.sources)
        text = f"{text}\n\nSources: {links}"
    return text
