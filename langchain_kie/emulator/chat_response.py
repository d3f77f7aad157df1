"""OpenAI-shaped answers, each model in the shape that was recorded for it.

Knows the bodies of docs/wire.md 3 and the stream shapes A, B and C of docs/wire.md 4. Does not know
requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.pieces import DONE, event, identifier, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_kie._catalog import StreamShape
    from langchain_kie.emulator.conversation import Call, Reply
    from langchain_kie.emulator.usage import Usage

_EPOCH = 1_767_225_600
_WORDS_A_PIECE = 3
_ARGUMENT_LETTERS = 8


@dataclass(frozen=True, slots=True)
class CallStyle:
    """One of the ways in which calls may come, as none was recorded (docs/wire.md 5).

    Attributes:
        index: Each call's own, always 0, or left out.
        fragments: Whether arguments come in pieces.
        as_object: Whether arguments are an object instead of a string.
        with_id: Whether calls have ids.
    """

    index: str = "own"
    fragments: bool = False
    as_object: bool = False
    with_id: bool = True


_CALL_STYLES: Mapping[StreamShape, tuple[CallStyle, ...]] = {
    "A": (CallStyle(fragments=True),),
    "B": (CallStyle(),),
    "C": (
        CallStyle(index="none"),
        CallStyle(index="zero"),
        CallStyle(index="none", as_object=True, with_id=False),
        CallStyle(index="zero", as_object=True),
    ),
}
_TOOL_FINISH: Mapping[StreamShape, str] = {"A": "tool_calls", "B": "stop", "C": "stop"}


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer that is about to be written.

    Attributes:
        reply: What it says.
        content: Its text, Markdown included.
        usage: Its tokens.
        credits: Its price.
        shape: How the model streams.
        row: The model's number among those of its shape, which chooses the style of calls.
        serial: The exchange's number.
        show_thoughts: Whether thoughts are shown.
        model: The name to give, where one is given.
        relay: Whether this is the plain relay of kie/docs 004.
    """

    reply: Reply
    content: str
    usage: Usage
    credits: float
    shape: StreamShape
    row: int
    serial: int
    show_thoughts: bool
    model: str | None = None
    relay: bool = False

    @property
    def style(self) -> CallStyle:
        """How calls come from this model."""
        styles = _CALL_STYLES[self.shape]
        return styles[self.row % len(styles)]

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
        if self.relay:
            body.pop("model", None)
            tokens = self._usage()
            body["usage"] = {k: v for k, v in tokens.items() if not k.endswith("_details")}
            return body
        return body | {"usage": self._usage(), "credits_consumed": self.credits}

    def events(self) -> Iterator[bytes]:
        """Write the answer as a stream."""
        writers = {"A": self._shape_a, "B": self._shape_b, "C": self._shape_c}
        yield from map(event, writers[self.shape]())
        yield DONE

    def _shape_a(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"content": "", "role": "assistant"})
        yield from map(self._chunk, self._deltas())
        yield self._chunk({}, self._finish())
        yield {
            **self._envelope(),
            "choices": [],
            "credits_consumed": self.credits,
            "usage": self._usage(),
        }

    def _shape_b(self) -> Iterator[dict[str, Any]]:
        first, *others = list(self._deltas()) or [{"content": ""}]
        yield self._chunk({"role": "assistant", **first})
        yield from map(self._chunk, others)
        yield {
            **self._chunk({}, self._finish()),
            "usage": self._usage(),
            "credits_consumed": self.credits,
        }

    def _shape_c(self) -> Iterator[dict[str, Any]]:
        chunks = [
            self._chunk({"role": "assistant", **delta})
            for delta in list(self._deltas()) or [{"content": ""}]
        ]
        chunks.append({**self._envelope(), "choices": []})
        last = {"usage": self._usage(), "credits_consumed": self.credits}
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
        if not self.style.fragments:
            yield {"tool_calls": [whole]}
            return
        arguments = whole["function"]["arguments"]
        yield {"tool_calls": [{**whole, "function": {"name": call.name, "arguments": ""}}]}
        for start in range(0, len(arguments), _ARGUMENT_LETTERS):
            fragment = {"arguments": arguments[start : start + _ARGUMENT_LETTERS]}
            yield {"tool_calls": [{"index": number, "function": fragment}]}

    def _call(self, number: int, call: Call) -> dict[str, Any]:
        arguments: Any = dict(call.args)
        if not self.style.as_object:
            arguments = json.dumps(arguments, ensure_ascii=False)
        made: dict[str, Any] = {
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }
        if self.style.with_id:
            made["id"] = f"call_{identifier('call', self.serial, number)}"
        if self.style.index != "none":
            made["index"] = number if self.style.index == "own" else 0
        return made

    def _finish(self) -> str:
        return _TOOL_FINISH[self.shape] if self.reply.calls else "stop"

    def _id(self, number: int = 0) -> str:
        return f"chatcmpl-{identifier('chat', self.serial, number)}"

    def _envelope(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self._id(),
            "object": kind,
            "created": _EPOCH + self.serial,
        }
        if self.model is not None:
            body["model"] = self.model
        if self.shape == "A" and kind.endswith("chunk"):
            body["system_fingerprint"] = ""
        return body

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta}
        if self.shape != "C":
            choice["finish_reason"] = finish
        return {**self._envelope(), "choices": [choice]}

    def _usage(self) -> dict[str, Any]:
        """Count as the recordings do: thinking is itemised, or hides in the total."""
        itemised = self.shape == "A" or (self.shape == "B" and self.show_thoughts)
        reasoning = self.usage.thinking if itemised else 0
        details = {"reasoning_tokens": reasoning}
        if self.shape == "A":
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
