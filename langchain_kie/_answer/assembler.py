"""The events of one answer to LangChain's chunks, and to the message they add up to.

Whatever must come once, or be made up, or be told apart, is decided here; so a message is the
same whether its chunks are looked at one by one or added up at once. Knows LangChain's
messages. Knows nothing of dialects or I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.citations import (
    CITATION_SPANS_KEY,
    FIRST_TEXT,
    MERGED_KEYS,
    citation_spans,
    merged,
)
from langchain_kie._answer.messages import PROVIDER, last_chunk, message_chunk
from langchain_kie._answer.tool_calls import ToolCalls
from langchain_kie._conversation.thought_signatures import SignatureLog
from langchain_kie._error_bodies import error_from_text
from langchain_kie.errors import KieMediaNotSeenError, KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._answer.event import AnswerEvent

_LONGEST_ERROR_TEXT = 200


class MessageAssembler:
    """Reads one answer.

    Args:
        model: The model's name in the catalog, under which thought signatures are kept.
        model_name: Its name as the caller wrote it.
        functions: The functions that the model was offered.
        answer_function: The one, if any, whose arguments are the answer.
        detect_error_text: Whether an upstream's error message is no answer.
        media_count: How many media the prompt holds.
        min_prompt_tokens: The fewest tokens that the prompt can be counted as.
    """

    def __init__(
        self,
        model: str,
        model_name: str,
        *,
        functions: Sequence[dict[str, Any]] = (),
        answer_function: str | None = None,
        detect_error_text: bool = True,
        media_count: int = 0,
        min_prompt_tokens: int = 0,
    ) -> None:
        self.has_output = False
        self._model_name = model_name
        self._detects = detect_error_text
        self._media_count = media_count
        self._min_prompt_tokens = min_prompt_tokens
        self._signatures = SignatureLog(model)
        self._calls = ToolCalls(functions, answer_function, self._signatures)
        self._beside = "" if answer_function else None
        self._text_length = 0
        self._text_index = FIRST_TEXT
        self._texts: dict[str, list[str]] = {FIRST_TEXT: []}
        self._blocks = 0
        self._server_call: str | None = None
        self._usage_of: Callable[[dict[str, Any]], UsageMetadata] | None = None
        self._finish_reason = ""
        self._metadata: dict[str, Any] = {}

    def feed(self, delta: AnswerEvent) -> AIMessageChunk | None:
        """The chunk that an event is, `None` when it has nothing to show yet."""
        self._note(delta)
        if not (delta.outputs or delta.reasoning or delta.refusal):
            return None
        self.has_output = True
        calls: dict[int, ToolCallChunk] = {}
        content = self._content(delta, calls)
        additional_kwargs: dict[str, Any] = {}
        if delta.reasoning:
            additional_kwargs["reasoning_content"] = delta.reasoning
        if delta.refusal:
            additional_kwargs["refusal"] = delta.refusal
        return message_chunk(content, additional_kwargs, [*calls.values()])

    def _content(self, delta: AnswerEvent, calls: dict[int, ToolCallChunk]) -> Any:
        """The text and blocks of an event, whose calls are put into `calls`."""
        outputs, signatures = delta.outputs, delta.signatures
        is_plain = not (self._blocks or signatures) and self._beside is None
        if is_plain and len(outputs) == 1 and isinstance(outputs[0], str):
            return self._text(outputs[0], None)
        content: list[Any] = []
        for position, output in enumerate(outputs):
            if isinstance(output, str):
                if self._beside is not None:
                    self._beside += output
                elif text := self._text(output, signatures.get(position)):
                    content.append(text)
            elif isinstance(output, dict):
                content.append(self._block(output, signatures.get(position)))
            elif answer := self._calls.add(output, self._text_length, calls):
                content.append(self._text(answer, None))
        return content if self._blocks else "".join(content)

    def finish(self) -> AIMessageChunk:
        """The last chunk: what is only known, or may only be said once, at the end.

        Raises:
            KieError: The answer's whole text is one of the upstream's error messages.
        """
        additional_kwargs: dict[str, Any] = {}
        content: str | dict[str, Any] = ""
        if self._beside and self._calls.has_answer:
            additional_kwargs["reasoning_content"] = self._beside
        elif self._beside:
            content = self._text(self._beside, None)
        texts = {index: "".join(pieces) for index, pieces in self._texts.items() if pieces}
        if self._detects and not self._calls and self._text_length <= _LONGEST_ERROR_TEXT:
            error = error_from_text("".join(texts.values()), model=self._model_name)
            if error:
                raise error
        usage = self._parse_usage()
        if spans := citation_spans(self._metadata, texts):
            self._metadata[CITATION_SPANS_KEY] = spans
        finish_reason = self._finish_reason or "stop"
        if finish_reason in {"stop", "tool_calls"}:
            finish_reason = "tool_calls" if self._calls else "stop"
        closing_chunks = self._calls.closing_chunks()
        return last_chunk(
            content if isinstance(content, str) else [content],
            {**self._signatures.additional_kwargs(), **additional_kwargs},
            {
                "model_provider": PROVIDER,
                "model_name": self._model_name,
                "finish_reason": finish_reason,
                **self._metadata,
            },
            closing_chunks,
            usage,
        )

    def _parse_usage(self) -> UsageMetadata | None:
        """The token counts, which must be those of a prompt with its media.

        Raises:
            KieMediaNotSeenError: The prompt is smaller than its media, where that matters.
            KieProtocolError: The counts cannot be read.
        """
        try:
            usage = self._usage_of(self._metadata["token_usage"]) if self._usage_of else None
        except (TypeError, AttributeError, ValueError) as error:
            message = f"KIE's usage has an unknown shape: {error}"
            raise KieProtocolError(message, model=self._model_name) from None
        if self._media_count:
            self._metadata["media_count"] = self._media_count
        counted = usage["input_tokens"] if usage else self._min_prompt_tokens
        if counted < self._min_prompt_tokens:
            raise KieMediaNotSeenError(
                f"a prompt with {self._media_count} media was counted as {counted} tokens, "
                f"and must be at least {self._min_prompt_tokens}",
                model=self._model_name,
            )
        return usage

    def _note(self, delta: AnswerEvent) -> None:
        """Keep what later events may still correct; the last word counts."""
        if delta.parse_usage:
            self._usage_of = delta.parse_usage
        if delta.finish_reason:
            self._finish_reason = delta.finish_reason
        metadata = self._metadata
        for key, value in delta.metadata.items():
            if key == "id":
                metadata.setdefault(key, value)
            elif key in MERGED_KEYS:
                metadata[key] = merged(key, metadata.get(key), value)
            else:
                metadata[key] = value

    def _text(self, text: str, signature: str | None) -> Any:
        """A piece of text; behind a block that is not text, it is one of its own."""
        start = self._text_length
        self._text_length += len(text)
        self._texts[self._text_index].append(text)
        if signature:
            self._signatures.add_text(start, self._text_length, signature)
        if not self._blocks or not text:
            return text
        return {"type": "text", "text": text, "index": self._text_index}

    def _block(self, block: dict[str, Any], signature: str | None) -> dict[str, Any]:
        """A block that is not text, numbered, so that LangChain adds it to no other.

        A call of the server's own tools that has no id gets one, and its result the same.
        """
        index = f"lc_block_{self._blocks}"
        self._blocks += 1
        self._text_index = f"lc_txt_{self._blocks}"
        self._texts[self._text_index] = []
        if signature:
            self._signatures.add_block(index, signature)
        if block["type"] == "server_tool_call":
            self._server_call = block["id"] or f"{block['name']}_{self._blocks}"
            block = {**block, "id": self._server_call}
        elif block["type"] == "server_tool_result":
            block = {**block, "tool_call_id": block["tool_call_id"] or self._server_call}
        return {**block, "index": index}
