"""Answers of the chat completions API and of the gateway.

Each model streams in the shape that was recorded for it. Bodies are described in docs/wire.md 3,
the stream shapes A, B and C in docs/wire.md 4.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.streaming import make_id, split_evenly, split_text
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import Answer, ChatRequest, ToolCall, Usage
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.settings import ToolCallFormat

_EPOCH = 1_767_225_600
_WORDS_PER_CHUNK = 3
_ARGUMENTS_FRAGMENT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class ChatEncoder:
    """Encodes one answer.

    Attributes:
        endpoint: The model that answers.
        request: The request.
        answer: The content.
        usage: The token counts.
        serial: A number unique to this call.
        call_format: How tool calls are written.
    """

    endpoint: Endpoint
    request: ChatRequest
    answer: Answer
    usage: Usage
    serial: int
    call_format: ToolCallFormat

    def body(self) -> dict[str, Any]:
        """Build the answer as one JSON document."""
        message: dict[str, Any] = {"role": "assistant", "content": _content(self.answer)}
        if thoughts := "".join(self._thoughts()):
            message["reasoning_content"] = thoughts
        if images := self._images():
            message["images"] = images
        if self.answer.tool_calls:
            calls = enumerate(self.answer.tool_calls)
            message["tool_calls"] = [self._call(number, call) for number, call in calls]
        body = self._envelope("chat.completion")
        body["choices"] = [{"index": 0, "message": message, "finish_reason": self._finish_reason()}]
        if self.endpoint.api != "gateway":
            return body | self._costs()
        body.pop("model")
        counts = self._costs()["usage"].items()
        return body | {"usage": {k: v for k, v in counts if not k.endswith("_details")}}

    def events(self) -> Iterator[dict[str, Any]]:
        """Build the answer as the events of a stream."""
        match self.endpoint.stream_shape:
            case "A":
                return self._shape_a()
            case "B":
                return self._shape_b()
        return self._shape_c()

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
        # Measured on 3.8 Flash: a stream that was cut has a finish reason, a complete one has none.
        if self.answer.finish_reason or self.answer.block_reason:
            chunks.append(self._chunk({}, self._finish_reason()))
        chunks.append({**self._envelope(), "choices": []})
        chunks.append({**self._envelope(), "choices": [], **self._costs()})
        for number, chunk in enumerate(chunks):
            yield chunk | {"id": self._id(number)}

    def _deltas(self) -> Iterator[dict[str, Any]]:
        for thought in self._thoughts():
            yield {"reasoning_content": thought}
        for text in split_text(_content(self.answer), _WORDS_PER_CHUNK):
            yield {"content": text}
        if images := self._images():
            yield {"images": images}
        for number, call in enumerate(self.answer.tool_calls):
            yield from self._call_deltas(number, call)

    def _thoughts(self) -> tuple[str, ...]:
        return self.answer.paragraphs if self.request.include_thoughts else ()

    def _images(self) -> list[dict[str, Any]]:
        """Write images as relays do: KIE was not seen to send any (docs/wire.md 11)."""
        urls = (
            f"data:{image.mime_type};base64,{base64.b64encode(image.data).decode()}"
            for image in self.answer.images
        )
        return [{"type": "image_url", "image_url": {"url": url}} for url in urls]

    def _call_deltas(self, number: int, call: ToolCall) -> Iterator[dict[str, Any]]:
        complete = self._call(number, call)
        arguments = complete["function"]["arguments"]
        if not self.call_format.in_fragments or not isinstance(arguments, str):
            yield {"tool_calls": [complete]}
            return
        yield {"tool_calls": [complete | {"function": {"name": call.name, "arguments": ""}}]}
        index = {"index": complete["index"]} if "index" in complete else {}
        for fragment in split_evenly(arguments, _ARGUMENTS_FRAGMENT_LENGTH):
            yield {"tool_calls": [{**index, "function": {"arguments": fragment}}]}

    def _call(self, number: int, call: ToolCall) -> dict[str, Any]:
        form = self.call_format
        arguments: Any = dict(call.args)
        if not form.as_object:
            arguments = json.dumps(arguments, ensure_ascii=False)
        tool_call: dict[str, Any] = {
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if form.has_id:
            tool_call["id"] = call.id or f"call_{make_id('call', self.serial, number)}"
        if form.index != "none":
            tool_call["index"] = number if form.index == "position" else 0
        return tool_call

    def _finish_reason(self) -> str:
        if self.answer.finish_reason:
            return self.answer.finish_reason
        if self.answer.block_reason:
            return "content_filter"
        return "tool_calls" if self.answer.tool_calls and self._has_shape_a() else "stop"

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
        is_reported = shape == "A" or (shape == "B" and self.request.include_thoughts)
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


def _content(answer: Answer) -> str:
    """Write code and sources into the text as Markdown, as this API does (docs/wire.md 1, 3)."""
    text = answer.text
    if answer.code_run is not None:
        run = answer.code_run
        text = f"```python\n{run.code}```\n\nOutput:\n\n```\n{run.output}```\n\n{text}"
    if answer.grounding is not None and answer.grounding.supports:
        links = ", ".join(f"[{title}]({uri})" for uri, title in answer.grounding.sources)
        text = f"{text}\n\nSources: {links}"
    return text
