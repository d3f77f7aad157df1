"""Turns the events of one answer into LangChain's chunks.

Emits the id, the finish reason and the token counts once, in the last chunk, and generates
missing ids and indexes, so that every sum of the chunks is the same message. Independent of APIs
and I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.citations import (
    CITATION_SPANS_KEY,
    FIRST_TEXT,
    MERGED_KEYS,
    citation_spans,
    merge_metadata,
)
from langchain_kie._answer.event import STOP, TOOL_CALLS
from langchain_kie._answer.messages import PROVIDER, last_chunk, message_chunk
from langchain_kie._answer.tool_calls import ToolCalls
from langchain_kie._conversation.thought_signatures import SignatureLog
from langchain_kie._error_bodies import error_from_text
from langchain_kie.errors import KieMediaNotSeenError, KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._json import Json

_ERROR_LENGTH = 200
"""The length of the longest text that is compared with KIE's error messages."""


class MessageAssembler:
    """Assembles one answer.

    Args:
        model: The model's name in the catalog, under which thought signatures are stored.
        model_name: The model's name as the caller wrote it.
        functions: The functions that were sent to the model.
        answer_function: The function, if any, whose arguments are the answer.
        detect_error_text: Whether an answer that is one of KIE's error messages raises.
        media_count: The number of media in the prompt.
        min_prompt_tokens: The lowest plausible number of prompt tokens.

    Attributes:
        has_output: Whether a chunk was returned.
    """

    def __init__(
        self,
        model: str,
        model_name: str,
        *,
        functions: Sequence[Json] = (),
        answer_function: str | None = None,
        detect_error_text: bool = True,
        media_count: int = 0,
        min_prompt_tokens: int = 0,
    ) -> None:
        self.has_output = False
        self._model_name = model_name
        self._detect_error_text = detect_error_text
        self._media_count = media_count
        self._min_prompt_tokens = min_prompt_tokens
        self._signatures = SignatureLog(model)
        self._tool_calls = ToolCalls(functions, answer_function, self._signatures)
        self._text_outside_answer = "" if answer_function else None
        self._text_length = 0
        self._text_index = FIRST_TEXT
        self._texts: dict[str, list[str]] = {FIRST_TEXT: []}
        self._block_count = 0
        self._server_call_id: str | None = None
        self._usage: Any = None
        self._parse_usage: Callable[[Json], UsageMetadata] | None = None
        self._finish_reason = STOP
        self._metadata: Json = {"model_provider": PROVIDER, "model_name": model_name}

    def feed(self, event: AnswerEvent) -> AIMessageChunk | None:
        """Return the chunk of an event, `None` if it has no output."""
        self._record(event)
        if not (event.outputs or event.reasoning or event.refusal):
            return None
        self.has_output = True
        tool_call_chunks: dict[int, ToolCallChunk] = {}
        content = self._event_content(event, tool_call_chunks)
        additional_kwargs: Json = {}
        if event.reasoning:
            additional_kwargs["reasoning_content"] = event.reasoning
        if event.refusal:
            additional_kwargs["refusal"] = event.refusal
        return message_chunk(content, additional_kwargs, [*tool_call_chunks.values()])

    def _event_content(self, event: AnswerEvent, tool_call_chunks: dict[int, ToolCallChunk]) -> Any:
        """The text and blocks of an event; its tool calls are added to `tool_call_chunks`."""
        outputs, signatures = event.outputs, event.signatures
        is_plain = not (self._block_count or signatures) and self._text_outside_answer is None
        if is_plain and len(outputs) == 1 and isinstance(outputs[0], str):
            return self._add_text(outputs[0], None)
        content: list[Any] = []
        for position, output in enumerate(outputs):
            if isinstance(output, str):
                if self._text_outside_answer is not None:
                    self._text_outside_answer += output
                elif text := self._add_text(output, signatures.get(position)):
                    content.append(text)
            elif isinstance(output, dict):
                content.append(self._add_block(output, signatures.get(position)))
            elif answer := self._tool_calls.add(output, self._text_length, tool_call_chunks):
                content.append(self._add_text(answer, None))
        return content if self._block_count else "".join(content)

    def finish(self) -> AIMessageChunk:
        """Return the last chunk, with the values that are final only at the end.

        Raises:
            KieError: The complete text is one of KIE's error messages.
        """
        additional_kwargs: Json = {}
        content: str | Json = ""
        if self._text_outside_answer and self._tool_calls.answer:
            additional_kwargs["reasoning_content"] = self._text_outside_answer
        elif self._text_outside_answer:
            content = self._add_text(self._text_outside_answer, None)
        texts = {index: "".join(pieces) for index, pieces in self._texts.items() if pieces}
        if self._detect_error_text and not self._tool_calls and self._text_length <= _ERROR_LENGTH:
            error = error_from_text("".join(texts.values()), model=self._model_name)
            if error:
                raise error
        usage = self._checked_usage()
        if spans := citation_spans(self._metadata, texts):
            self._metadata[CITATION_SPANS_KEY] = spans
        finish_reason = self._finish_reason
        if finish_reason in {STOP, TOOL_CALLS}:
            finish_reason = TOOL_CALLS if self._tool_calls else STOP
        self._metadata["finish_reason"] = finish_reason.word
        closing_chunks = self._tool_calls.closing_chunks()
        return last_chunk(
            content if isinstance(content, str) else [content],
            {**self._signatures.additional_kwargs(), **additional_kwargs},
            self._metadata,
            closing_chunks,
            usage,
        )

    def _checked_usage(self) -> UsageMetadata | None:
        """Add the token counts to the metadata, and check that they include the media.

        Raises:
            KieMediaNotSeenError: There are fewer prompt tokens than the media need.
            KieProtocolError: The counts cannot be read.
        """
        try:
            usage = self._parse_usage(self._usage) if self._parse_usage else None
        except (TypeError, AttributeError, ValueError) as error:
            message = f"cannot read KIE's token usage: {error}"
            raise KieProtocolError(message, model=self._model_name) from None
        if usage:
            self._metadata["token_usage"] = _token_usage(usage)
        if self._media_count:
            self._metadata["media_count"] = self._media_count
        if usage and usage["input_tokens"] < self._min_prompt_tokens:
            raise KieMediaNotSeenError(
                f"KIE counted {usage['input_tokens']} tokens for a prompt with "
                f"{self._media_count} media; at least {self._min_prompt_tokens} are expected",
                model=self._model_name,
            )
        return usage

    def _record(self, event: AnswerEvent) -> None:
        """Store the values that later events can replace."""
        if event.parse_usage:
            self._usage, self._parse_usage = event.usage, event.parse_usage
        if event.finish_reason:
            self._finish_reason = event.finish_reason
            self._metadata["native_finish_reason"] = event.native_finish_reason
        for key, value in event.metadata.items():
            if key == "id":
                self._metadata.setdefault(key, value)
            elif key in MERGED_KEYS:
                self._metadata[key] = merge_metadata(key, self._metadata.get(key), value)
            else:
                self._metadata[key] = value

    def _add_text(self, text: str, signature: str | None) -> Any:
        """Return text for a chunk's content; after another block, as a block with an index."""
        start = self._text_length
        self._text_length += len(text)
        self._texts[self._text_index].append(text)
        if signature:
            self._signatures.add_text(start, self._text_length, signature)
        if not self._block_count or not text:
            return text
        return {"type": "text", "text": text, "index": self._text_index}

    def _add_block(self, block: Json, signature: str | None) -> Json:
        """Return a block that is not text, with an index, so that LangChain does not merge it.

        If a call of a server tool has no id, one is generated; its result gets the same.
        """
        index = f"lc_block_{self._block_count}"
        self._block_count += 1
        self._text_index = f"lc_txt_{self._block_count}"
        self._texts[self._text_index] = []
        if signature:
            self._signatures.add_block(index, signature)
        if block["type"] == "server_tool_call":
            self._server_call_id = block["id"] or f"{block['name']}_{self._block_count}"
            block = {**block, "id": self._server_call_id}
        elif block["type"] == "server_tool_result":
            block = {**block, "tool_call_id": block["tool_call_id"] or self._server_call_id}
        return {**block, "index": index}


_COUNTS = {"cache_read": "cached_tokens", "reasoning": "reasoning_tokens", "audio": "audio_tokens"}


def _token_usage(usage: Mapping[str, Any]) -> Json:
    """LangChain's token counts in OpenAI's format, for `response_metadata`."""
    token_usage: Json = {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    for side, openai_side in (("input", "prompt"), ("output", "completion")):
        if details := usage.get(f"{side}_token_details"):
            counts = {_COUNTS[name]: count for name, count in details.items()}
            token_usage[f"{openai_side}_tokens_details"] = counts
    return token_usage
