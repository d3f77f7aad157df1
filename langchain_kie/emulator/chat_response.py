"""OpenAI-shaped answers, each model in the shape that was recorded for it.

Knows the bodies of docs/wire.md 3 and the stream shapes A, B and C of docs/wire.md 4. Does not know
requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.pieces import DONE, event, identifier, pieces
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import Call, Reply
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.usage import Usage

_EPOCH = 1_767_225_600
_WORDS_A_PIECE = 3
_ARGUMENT_LETTERS = 8


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer that is about to be written.

    Attributes:
        endpoint: Who answers.
        reply: What it says.
        content: Its text, Markdown included.
        usage: Its tokens.
        serial: The exchange's number.
        show_thoughts: Whether thoughts are shown.
    """

    endpoint: Endpoint
    reply: Reply
    content: str
    usage: Usage
    serial: int
    show_thoughts: bool

    @property
    def _is_a(self) -> bool:
        return self.endpoint.stream_shape == "A"

    def body(self) -> dict[str, Any]:
        """Write the whole answer as one document."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.show_thoughts:
            message["reasoning_content"] = "\n\n".join(self.reply.thoughts)
        if self.reply.calls:
            message["tool_calls"] = [
                self._call(number, call) for number, call in enumerate(self.reply.calls)
            ]
        body = self._envelope("chat.completion")
        body["choices"] = [{"index": 0, "message": message, "finish_reason": self._finish()}]
        if self.endpoint.api == "gateway":
            body.pop("model", None)
            tokens = self._usage()
            body["usage"] = {k: v for k, v in tokens.items() if not k.endswith("_details")}
            return body
        return body | {
            "usage": self._usage(),
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }

    def events(self) -> Iterator[bytes]:
        """Write the answer as a stream."""
        writers = {"A": self._shape_a, "B": self._shape_b, "C": self._shape_c}
        yield from map(event, writers[self.endpoint.stream_shape]())
        yield DONE

    def _shape_a(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"content": "", "role": "assistant"})
        yield from map(self._chunk, self._deltas())
        yield self._chunk({}, self._finish())
        yield {
            **self._envelope(),
            "choices": [],
            "credits_consumed": credits_for(self.endpoint, self.usage),
            "usage": self._usage(),
        }

    def _shape_b(self) -> Iterator[dict[str, Any]]:
        first, *others = list(self._deltas()) or [{"content": ""}]
        yield self._chunk({"role": "assistant", **first})
        yield from map(self._chunk, others)
        yield {
            **self._chunk({}, self._finish()),
            "usage": self._usage(),
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }

    def _shape_c(self) -> Iterator[dict[str, Any]]:
        chunks = [
            self._chunk({"role": "assistant", **delta})
            for delta in list(self._deltas()) or [{"content": ""}]
        ]
        chunks.append({**self._envelope(), "choices": []})
        last = {"usage": self._usage(), "credits_consumed": credits_for(self.endpoint, self.usage)}
        chunks.append({**self._envelope(), "choices": [], **last})
        for number, chunk in enumerate(chunks):
            yield chunk | {"id": self._id(number)}

    def _deltas(self) -> Iterator[dict[str, Any]]:
        if self.show_thoughts:
            for number, thought in enumerate(self.reply.thoughts):
                yield {"reasoning_content": f"\n\n{thought}" if number else thought}
        for piece in pieces(self.content, _WORDS_A_PIECE):
            yield {"content": piece}
        for number, call in enumerate(self.reply.calls):
            yield from self._call_deltas(number, call)

    def _call_deltas(self, number: int, call: Call) -> Iterator[dict[str, Any]]:
        whole = self._call(number, call)
        if not self.endpoint.call_format.in_fragments:
            yield {"tool_calls": [whole]}
            return
        arguments = whole["function"]["arguments"]
        yield {"tool_calls": [{**whole, "function": {"name": call.name, "arguments": ""}}]}
        for start in range(0, len(arguments), _ARGUMENT_LETTERS):
            fragment = {"arguments": arguments[start : start + _ARGUMENT_LETTERS]}
            yield {"tool_calls": [{"index": number, "function": fragment}]}

    def _call(self, number: int, call: Call) -> dict[str, Any]:
        arguments: Any = dict(call.args)
        style = self.endpoint.call_format
        if not style.as_object:
            arguments = json.dumps(arguments, ensure_ascii=False)
        made: dict[str, Any] = {
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if style.has_id:
            made["id"] = f"call_{identifier('call', self.serial, number)}"
        if style.index != "none":
            made["index"] = number if style.index == "position" else 0
        return made

    def _finish(self) -> str:
        return "tool_calls" if self.reply.calls and self._is_a else "stop"

    def _id(self, number: int = 0) -> str:
        return f"chatcmpl-{identifier('chat', self.serial, number)}"

    def _envelope(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self._id(),
            "object": kind,
            "created": _EPOCH + self.serial,
        }
        if self._is_a:
            body["model"] = self.endpoint.model
        if self._is_a and kind.endswith("chunk"):
            body["system_fingerprint"] = ""
        return body

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta}
        if self.endpoint.stream_shape != "C":
            choice["finish_reason"] = finish
        return {**self._envelope(), "choices": [choice]}

    def _usage(self) -> dict[str, Any]:
        """Count as the recordings do: thinking is itemised, or hides in the total."""
        shape = self.endpoint.stream_shape
        itemised = shape == "A" or (shape == "B" and self.show_thoughts)
        reasoning = self.usage.thinking if itemised else 0
        details = {"reasoning_tokens": reasoning}
        if shape == "A":
            details = {"audio_tokens": 0, "text_tokens": 0, "reasoning_tokens": reasoning}
        return {
            "prompt_tokens": self.usage.prompt,
            "completion_tokens": self.usage.answer + reasoning,
            "total_tokens": self.usage.total,
            "completion_tokens_details": details,
        }


def chat_content(reply: Reply) -> str:
    """Write what the OpenAI shape cannot hold into the text, as Markdown (docs/wire.md 1, 3)."""
    text = reply.text
    if reply.code_run is not None:
        run = reply.code_run
        text = f"```python\n{run.code}```\n\nOutput:\n\n```\n{run.output}```\n\n{text}"
    if reply.grounding is not None and reply.grounding.supports:
        links = ", ".join(f"[{title}]({uri})" for uri, title in reply.grounding.sources)
        text = f"{text}\n\nSources: {links}"
    return text
