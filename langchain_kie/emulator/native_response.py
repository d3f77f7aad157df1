"""Answers of the native API: one `GenerateContentResponse`, or a stream of them.

Their parts and counters are described in docs/wire.md 3, thought signatures in docs/wire.md 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.signatures import sign_call, sign_text
from langchain_kie.emulator.streaming import encode_event, make_id, split_text
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import Grounding, Reply, WebPage
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.usage import Usage

_WORDS_PER_EVENT = 8
_REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect/"


@dataclass(frozen=True, slots=True)
class NativeAnswer:
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
        """Build the answer as one JSON document, which has no grounding (docs/wire.md 3)."""
        parts = [*self._leading_parts(), *self._call_parts()]
        if self.reply.text or not parts:
            parts.append({"text": self.reply.text, **self._text_signature()})
        candidate: dict[str, Any] = {
            "finishReason": self._finish_reason(),
            "index": 0,
            "content": {"role": "model", "parts": parts},
        }
        return {
            "candidates": [candidate | _url_context(self.reply.pages)],
            "usageMetadata": self._counts(1.0),
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }

    def events(self) -> Iterator[bytes]:
        """Build the answer as a stream; metadata and credits are in the last event."""
        parts = list(self._streamed_parts())
        for number, part in enumerate(parts, start=1):
            candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
            response: dict[str, Any] = {
                "candidates": [candidate],
                "usageMetadata": self._counts(number / len(parts)),
                "modelVersion": self.endpoint.version,
                "responseId": make_id("native", self.serial, length=22),
            }
            if number == len(parts):
                candidate |= {"finishReason": self._finish_reason()}
                candidate |= _url_context(self.reply.pages)
                if self.reply.grounding is not None:
                    metadata = _grounding_metadata(self.reply.grounding, self.reply.text)
                    candidate["groundingMetadata"] = metadata
                response["credits_consumed"] = credits_for(self.endpoint, self.usage)
            yield encode_event(response)

    def _finish_reason(self) -> str:
        return "MAX_TOKENS" if self.reply.is_cut else "STOP"

    def _streamed_parts(self) -> Iterator[dict[str, Any]]:
        yield from self._leading_parts()
        yield from self._call_parts()
        for text in split_text(self.reply.text, _WORDS_PER_EVENT):
            yield {"text": text}
        if not self.reply.calls:
            yield {"text": "", **self._text_signature()}

    def _leading_parts(self) -> Iterator[dict[str, Any]]:
        if self.show_thoughts:
            for number, thought in enumerate(self.reply.thoughts):
                yield {"text": f"\n\n{thought}" if number else thought, "thought": True}
        run = self.reply.code_run
        if run is not None:
            yield {"executableCode": {"language": "PYTHON", "code": run.code}}
            yield {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": run.output}}

    def _call_parts(self) -> Iterator[dict[str, Any]]:
        for number, call in enumerate(self.reply.calls):
            function_call = {
                "name": call.name,
                "args": dict(call.args),
                "id": make_id("call", self.serial, number, length=8),
            }
            part: dict[str, Any] = {"functionCall": function_call}
            if self.endpoint.requires_signatures and number == 0:  # only the first of a batch
                part["thoughtSignature"] = sign_call(self.endpoint.model, call)
            yield part

    def _text_signature(self) -> dict[str, str]:
        if not self.endpoint.requires_signatures:
            return {}
        return {"thoughtSignature": sign_text(self.endpoint.model, self.reply.text)}

    def _counts(self, share: float) -> dict[str, int]:
        """Count the tokens up to this event; thinking is not part of `candidatesTokenCount`."""
        answer = max(1, round(self.usage.answer * share))
        return {
            "promptTokenCount": self.usage.prompt,
            "candidatesTokenCount": answer,
            "thinkingTokenCount": self.usage.thinking,
            "totalTokenCount": self.usage.prompt + answer + self.usage.thinking,
        }


def _url_context(pages: tuple[WebPage, ...]) -> dict[str, Any]:
    if not pages:
        return {}
    metadata = [
        {
            "retrievedUrl": page.url,
            "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_"
            + ("ERROR" if page.text is None else "SUCCESS"),
        }
        for page in pages
    ]
    return {"urlContextMetadata": {"urlMetadata": metadata}}


def _grounding_metadata(grounding: Grounding, text: str) -> dict[str, Any]:
    """Build the metadata of a search; as Google does, segments count bytes of UTF-8."""
    supports = []
    for support in grounding.supports:
        sentence = text[support.start : support.end]
        start = len(text[: support.start].encode())
        segment = {
            "startIndex": start,
            "endIndex": start + len(sentence.encode()),
            "text": sentence,
        }
        supports.append({"segment": segment, "groundingChunkIndices": [support.source]})
    return {
        "webSearchQueries": [grounding.query],
        "groundingChunks": [
            {"web": {"uri": _REDIRECT + make_id(uri, length=32), "title": title}}
            for uri, title in grounding.sources
        ],
        "groundingSupports": supports,
    }
