"""Native answers: one `GenerateContentResponse`, or a stream of them.

Knows parts, signatures, grounding and the counters of docs/wire.md 3. Does not know
requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_kie.emulator.pieces import event, identifier, pieces
from langchain_kie.emulator.signatures import sign_call, sign_text
from langchain_kie.emulator.usage import credits_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_kie.emulator.conversation import Grounding, Reply
    from langchain_kie.emulator.models import Endpoint
    from langchain_kie.emulator.usage import Usage

_WORDS_A_PIECE = 8
_REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect/"


@dataclass(frozen=True, slots=True)
class NativeAnswer:
    """An answer that is about to be written.

    Attributes:
        endpoint: Who answers.
        reply: What it says.
        usage: Its tokens.
        serial: The exchange's number.
        show_thoughts: Whether thoughts are shown.
    """

    endpoint: Endpoint
    reply: Reply
    usage: Usage
    serial: int
    show_thoughts: bool

    def body(self) -> dict[str, Any]:
        """Write the whole answer as one document, which has no grounding (docs/wire.md 3)."""
        parts = [*self._leading_parts(), *self._call_parts()]
        if self.reply.text or not parts:
            parts.append({"text": self.reply.text, **self._text_signature()})
        candidate: dict[str, Any] = {
            "finishReason": "STOP",
            "index": 0,
            "content": {"role": "model", "parts": parts},
        }
        if self.reply.pages:
            candidate["urlContextMetadata"] = self._pages()
        return {
            "candidates": [candidate],
            "usageMetadata": self._counts(1.0),
            "credits_consumed": credits_for(self.endpoint, self.usage),
        }

    def events(self) -> Iterator[bytes]:
        """Write the answer as a stream; what closes it comes with the last event."""
        batches = list(self._batches())
        for number, parts in enumerate(batches, start=1):
            candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
            response: dict[str, Any] = {
                "candidates": [candidate],
                "usageMetadata": self._counts(number / len(batches)),
                "modelVersion": self.endpoint.version,
                "responseId": identifier("native", self.serial, length=22),
            }
            if number == len(batches):
                candidate |= {"finishReason": "STOP"} | self._metadata()
                response["credits_consumed"] = credits_for(self.endpoint, self.usage)
            yield event(response)

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        for part in self._leading_parts():
            yield [part]
        for part in self._call_parts():
            yield [part]
        for piece in pieces(self.reply.text, _WORDS_A_PIECE):
            yield [{"text": piece}]
        if not self.reply.calls:
            yield [{"text": "", **self._text_signature()}]

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
            made = {
                "name": call.name,
                "args": dict(call.args),
                "id": identifier("call", self.serial, number, length=8),
            }
            part: dict[str, Any] = {"functionCall": made}
            if (
                self.endpoint.requires_signatures and number == 0
            ):  # only the first of a batch (docs/wire.md 4)
                part["thoughtSignature"] = sign_call(self.endpoint.model, call)
            yield part

    def _text_signature(self) -> dict[str, str]:
        if not self.endpoint.requires_signatures:
            return {}
        return {"thoughtSignature": sign_text(self.endpoint.model, self.reply.text)}

    def _counts(self, share: float) -> dict[str, int]:
        """Count what was said so far: counters are cumulative, thinking apart."""
        answer = max(1, round(self.usage.answer * share))
        return {
            "promptTokenCount": self.usage.prompt,
            "candidatesTokenCount": answer,
            "thinkingTokenCount": self.usage.thinking,
            "totalTokenCount": self.usage.prompt + answer + self.usage.thinking,
        }

    def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        if self.reply.grounding is not None:
            metadata["groundingMetadata"] = grounding_metadata(
                self.reply.grounding, self.reply.text
            )
        if self.reply.pages:
            metadata["urlContextMetadata"] = self._pages()
        return metadata

    def _pages(self) -> dict[str, Any]:
        return {
            "urlMetadata": [
                {
                    "retrievedUrl": page.url,
                    "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_"
                    + ("ERROR" if page.text is None else "SUCCESS"),
                }
                for page in self.reply.pages
            ]
        }


def grounding_metadata(grounding: Grounding, text: str) -> dict[str, Any]:
    """Write what a search found; segments are counted in bytes of UTF-8, as Google does."""
    supports = []
    for support in grounding.supports:
        sentence = text[support.start : support.end]
        start = len(text[: support.start].encode())
        supports.append(
            {
                "segment": {
                    "startIndex": start,
                    "endIndex": start + len(sentence.encode()),
                    "text": sentence,
                },
                "groundingChunkIndices": [support.source],
            }
        )
    return {
        "webSearchQueries": [grounding.query],
        "groundingChunks": [
            {"web": {"uri": _REDIRECT + identifier(uri, length=32), "title": title}}
            for uri, title in grounding.sources
        ],
        "groundingSupports": supports,
    }
