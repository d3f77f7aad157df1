"""Answers of the native API: one `GenerateContentResponse`, or a stream of them.

Their parts and counters are described in docs/wire.md 3, thought signatures in docs/wire.md 6.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.signatures import sign_call, sign_text
from langchain_kie.emulator.streaming import make_id, split_text
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import (
        Answer,
        ChatRequest,
        Grounding,
        ToolCall,
        Usage,
        WebPage,
    )
    from langchain_kie.emulator.models import Endpoint

_WORDS_PER_EVENT = 8
_REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect/"
_FINISH_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}


@dataclass(frozen=True, slots=True)
class NativeEncoder:
    """Encodes one answer.

    Attributes:
        endpoint: The model that answers.
        request: The request.
        answer: The content.
        usage: The token counts.
        serial: A number unique to this call.
    """

    endpoint: Endpoint
    request: ChatRequest
    answer: Answer
    usage: Usage
    serial: int

    def body(self) -> dict[str, Any]:
        """Build the answer as one JSON document, which has no grounding (docs/wire.md 3)."""
        if self.answer.block_reason:
            return self._blocked()
        parts = [*self._leading_parts(), *self._call_parts()]
        if self.answer.text or not parts:
            parts.append({"text": self.answer.text, **self._text_signature()})
        parts += self._image_parts()
        candidate: dict[str, Any] = {
            "finishReason": self._finish_reason(),
            "index": 0,
            "content": {"role": "model", "parts": parts},
        }
        return {
            "candidates": [candidate | _url_context(self.request.pages)],
            "usageMetadata": self._counts(1.0),
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }

    def events(self) -> Iterator[dict[str, Any]]:
        """Build the answer as a stream; metadata and credits are in the last event."""
        if self.answer.block_reason:
            yield self._blocked() | self._identity()
            return
        parts = list(self._streamed_parts())
        for number, part in enumerate(parts, start=1):
            candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
            response: dict[str, Any] = {
                "candidates": [candidate],
                "usageMetadata": self._counts(number / len(parts)),
                **self._identity(),
            }
            if number == len(parts):
                candidate |= {"finishReason": self._finish_reason()}
                candidate |= _url_context(self.request.pages)
                if self.answer.grounding is not None:
                    metadata = _grounding_metadata(self.answer.grounding, self.answer.text)
                    candidate["groundingMetadata"] = metadata
                response["credits_consumed"] = credits_for(self.endpoint, self.usage)
            yield response

    def _blocked(self) -> dict[str, Any]:
        prompt = self.usage.prompt
        return {
            "promptFeedback": {"blockReason": self.answer.block_reason},
            "usageMetadata": {"promptTokenCount": prompt, "totalTokenCount": prompt},
        }

    def _identity(self) -> dict[str, str]:
        response_id = make_id("native", self.serial, length=22)
        return {"modelVersion": self.endpoint.version, "responseId": response_id}

    def _finish_reason(self) -> str:
        reason = self.answer.finish_reason or "stop"
        return _FINISH_REASONS.get(reason, reason)

    def _streamed_parts(self) -> Iterator[dict[str, Any]]:
        yield from self._leading_parts()
        yield from self._call_parts()
        for text in split_text(self.answer.text, _WORDS_PER_EVENT):
            yield {"text": text}
        yield from self._image_parts()
        if not self.answer.tool_calls:
            yield {"text": "", **self._text_signature()}

    def _leading_parts(self) -> Iterator[dict[str, Any]]:
        if self.request.include_thoughts:
            for thought in self.answer.paragraphs:
                yield {"text": thought, "thought": True}
        run = self.answer.code_run
        if run is not None:
            yield {"executableCode": {"language": "PYTHON", "code": run.code}}
            yield {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": run.output}}

    def _image_parts(self) -> Iterator[dict[str, Any]]:
        for image in self.answer.images:
            data = base64.b64encode(image.data).decode()
            yield {"inlineData": {"mimeType": image.mime_type, "data": data}}

    def _call_parts(self) -> Iterator[dict[str, Any]]:
        for number, call in enumerate(self.answer.tool_calls):
            function_call = {
                "name": call.name,
                "args": dict(call.args),
                "id": call.id or make_id("call", self.serial, number, length=8),
            }
            part: dict[str, Any] = {"functionCall": function_call}
            if signature := self._call_signature(number, call):
                part["thoughtSignature"] = signature
            yield part

    def _call_signature(self, number: int, call: ToolCall) -> str:
        """Sign only the first call of a batch, as Gemini does."""
        if call.signature is not None:
            return call.signature
        is_signed = self.endpoint.requires_signatures and number == 0
        return sign_call(self.endpoint.model, call) if is_signed else ""

    def _text_signature(self) -> dict[str, str]:
        if not self.endpoint.requires_signatures:
            return {}
        return {"thoughtSignature": sign_text(self.endpoint.model, self.answer.text)}

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
