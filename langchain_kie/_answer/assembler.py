"""Turns the events of one answer into LangChain's chunks.

Emits the id, the finish reason and the token counts once, in the last chunk, and generates
missing ids and indexes, so that every sum of the chunks is the same message. Independent of APIs
and I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.content import AnswerContent, joined_content
from langchain_kie._answer.event import LIMIT, ToolCallDelta
from langchain_kie._answer.event_filter import EventFilter
from langchain_kie._answer.expected import ANY_ANSWER
from langchain_kie._answer.held_text import bare_json, call_from_text, fitted_json, text_to_hold
from langchain_kie._answer.messages import last_chunk, message_chunk, refusal_message
from langchain_kie._answer.metadata import AnswerMetadata
from langchain_kie._answer.tool_calls import ToolCalls
from langchain_kie._conversation.parsed_message import INVALID_ARGUMENTS_KEY
from langchain_kie._conversation.thought_signatures import SignatureLog
from langchain_kie._error_bodies import error_from_text
from langchain_kie._json import to_json
from langchain_kie._warnings import warn
from langchain_kie.errors import (
    KieMediaNotSeenError,
    KieProtocolError,
    KieRefusalError,
    KieToolCallMissingError,
    shortened,
)

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._answer.expected import ExpectedAnswer
    from langchain_kie._json import Json

_ERROR_LENGTH = 200
"""The length of the longest text that is compared with KIE's error messages."""
_MAX_QUOTED_CHARS = 80


class MessageAssembler:
    """Assembles one answer.

    Args:
        model: The model's name in the catalog, under which thought signatures are stored.
        model_name: The model's name as the caller wrote it.
        expected: What the call expects of the answer.

    Attributes:
        has_output: Whether a chunk was returned.
        earlier_credits: What KIE charged for earlier attempts of the same call.
    """

    def __init__(self, model: str, model_name: str, expected: ExpectedAnswer = ANY_ANSWER) -> None:
        self.has_output = False
        self.earlier_credits = 0.0
        self._model_name = model_name
        self._expected = expected
        self._signatures = SignatureLog(model)
        self._answer_names = expected.answer_names()
        self._tool_calls = ToolCalls(expected.functions, self._answer_names, self._signatures)
        self._answer: list[str] = []
        self._is_after_text = False
        self._answer_after_text: list[str] = []
        self._held = text_to_hold(expected)
        self._filter = EventFilter(self._text)
        self._refusal = ""
        self._content = AnswerContent(self._signatures)
        self._metadata = AnswerMetadata(model_name)

    @property
    def credits_consumed(self) -> float | None:
        """What KIE charged, in credits; `None` if it did not report that."""
        reported: float | None = self._metadata.values.get("credits_consumed")
        if not self.earlier_credits:
            return reported
        return round((reported or 0.0) + self.earlier_credits, 10)

    def feed(self, event: AnswerEvent) -> AIMessageChunk | None:
        """Return the chunk of an event, `None` if it has no output."""
        event = self._filter.apply(event)
        self._metadata.record(event)
        if event.message_extra:
            self._signatures.add_message_extra(event.message_extra)
        if not (event.outputs or event.reasoning or event.refusal):
            return None
        tool_call_chunks: dict[int, ToolCallChunk] = {}
        content = self._event_content(event, tool_call_chunks)
        additional_kwargs: Json = {}
        if event.reasoning:
            additional_kwargs["reasoning_content"] = event.reasoning
        if event.refusal:
            self._refusal += event.refusal
            additional_kwargs["refusal"] = event.refusal
        if not (content or tool_call_chunks or additional_kwargs):
            return None
        self.has_output = True
        calls = [*tool_call_chunks.values()] if tool_call_chunks else []
        return message_chunk(content, additional_kwargs, calls)

    def _event_content(self, event: AnswerEvent, tool_call_chunks: dict[int, ToolCallChunk]) -> Any:
        """The text and blocks of an event; its tool calls are added to `tool_call_chunks`."""
        outputs = event.outputs
        is_plain = not (self._content.block_count or event.signatures) and self._held is None
        if is_plain and len(outputs) == 1 and isinstance(outputs[0], str):
            return self._content.add_text(outputs[0], None)
        signatures, native_parts = event.signatures or {}, event.native_parts or {}
        content: list[Any] = []
        for position, output in enumerate(outputs):
            signature = signatures.get(position)
            if isinstance(output, str):
                content += self._hold_or_add(output, signature)
            elif isinstance(output, dict):
                if self._held and self._held.until_block:
                    content += self._release()
                content.append(
                    self._content.add_block(output, signature, native_parts.get(position))
                )
            elif self._answer_names or self._held is not None:
                content += self._add_call(output, tool_call_chunks)
            else:
                self._tool_calls.add(output, self._content.text_length, tool_call_chunks)
        return joined_content(content) if self._content.block_count else "".join(content)

    def _add_call(
        self, output: ToolCallDelta, tool_call_chunks: dict[int, ToolCallChunk]
    ) -> list[Any]:
        """Add a tool call or a fragment; return the content that can be sent.

        Text is held further if a call may be the answer: then it is not part of the answer. Where
        text was sent before, it is the answer.
        """
        content = [] if self._answer_names else self._release()
        is_first = self._tool_calls.answer is None
        text_length = self._content.text_length + (len(str(self._held)) if self._held else 0)
        answer = self._tool_calls.add(output, text_length, tool_call_chunks)
        if is_first and self._tool_calls.answer:
            self._is_after_text = self._content.text_length > 0
        if answer and self._is_after_text:
            self._answer_after_text.append(answer)
        elif answer and self._expected.answer_schema:
            self._answer.append(answer)
        elif answer:
            content.append(self._content.add_text(answer, None))
        return content

    def _hold_or_add(self, text: str, signature: str | None) -> list[Any]:
        """Add text, unless it is held; return what can be sent."""
        if self._held is None:
            added = self._content.add_text(text, signature)
            return [added] if added else []
        is_held = self._held.add(text, signature) or self._tool_calls.answer is not None
        return [] if is_held else self._release()

    def _release(self) -> list[Any]:
        """Return the text that was held; what follows is not held."""
        pieces = self._held.pieces if self._held else []
        self._held = None
        return [text for piece in pieces if (text := self._content.add_text(*piece))]

    def _text(self) -> str:
        """The text of the answer so far."""
        return "".join(self._content.joined_texts().values()) + str(self._held or "")

    def finish(self) -> AIMessageChunk:
        """Return the last chunk, with the values that are final only at the end.

        Raises:
            KieError: The answer is one of KIE's error messages, or lacks what it must have.
        """
        if self._tool_calls.needs_end:
            is_cut = self._metadata.finish_reason.is_cut
            self._answer += self._tool_calls.end_calls(is_cut=is_cut)
        held, texts = str(self._held or ""), self._content.joined_texts()
        text = "".join(texts.values()) + held
        self._raise_if_error(text)
        self._metadata.add_cost(self.credits_consumed)
        usage = self._checked_usage()
        if self._metadata.finish_reason.is_refusal:
            self._metadata.add_refusal_reason()
        calls = self._missing_calls(held, text) if self._expected.checks_calls else []
        content, thoughts = "", ""
        if held or self._answer or self._answer_after_text:
            content, thoughts = self._held_content(held, has_calls=bool(calls))
            texts = self._content.joined_texts()
        if not (self._content or self._tool_calls or held or self._is_refusal()):
            self._mark_as_empty(usage)
        self._metadata.add_citation_spans(texts)
        has_calls, has_refusal = bool(self._tool_calls), self._refusal != ""
        self._metadata.add_finish_reason(has_calls=has_calls, has_refusal=has_refusal)
        closing_chunks = calls + self._tool_calls.closing_chunks()
        additional_kwargs = self._signatures.additional_kwargs(texts, self._refusal)
        if thoughts:
            additional_kwargs["reasoning_content"] = thoughts
        if self._tool_calls.invalid_arguments:
            additional_kwargs[INVALID_ARGUMENTS_KEY] = self._tool_calls.invalid_arguments
        return last_chunk(
            content if isinstance(content, str) else [content],
            additional_kwargs,
            self._metadata.values,
            closing_chunks,
            usage,
        )

    def _is_refusal(self) -> bool:
        return self._metadata.finish_reason.is_refusal or self._refusal != ""

    def _held_content(self, held: str, *, has_calls: bool) -> tuple[Any, str]:
        """The content of the last chunk, and the thoughts that it has.

        Text next to the call that is the answer is a thought, and so is such a call after JSON.
        Text from which a tool call was made is neither.
        """
        answer, thoughts = "".join(self._answer), "".join(self._answer_after_text)
        if held and self._tool_calls.answer:
            thoughts = held + thoughts
        elif held and not has_calls:
            answer = held
        return self._add_answer(answer) if answer else "", thoughts

    def _raise_if_error(self, text: str) -> None:
        """Raise the error that the text or the finish reason of the answer reports, if any.

        Raises:
            KieError: The text is one of KIE's error messages, or the model wrote only a tool call
                that failed.
        """
        if self._tool_calls:
            return
        if self._expected.detect_error_text and len(text) <= _ERROR_LENGTH:
            error = error_from_text(text, model=self._model_name)
            if error:
                raise error
        reason = self._metadata.finish_reason
        if reason.is_failed_call and not (text or self._content.block_count):
            details = self._metadata.values.get("finish_message") or "the server did not explain it"
            raise KieProtocolError(
                f"the model could not complete its answer ({reason.word}): {details}",
                model=self._model_name,
                is_retryable=True,
                max_retries=0,
            )

    def _missing_calls(self, held: str, text: str) -> list[ToolCallChunk]:
        """The required tool call, made from the text if the answer has no usable call.

        Raises:
            KieToolCallMissingError: The text is not JSON with the arguments of a required tool.
            KieProtocolError: The answer must be JSON, but has a tool call that nobody can
                execute; an agent would end with it.
        """
        if self._expected.required is not None:
            names = [function["name"] for function in self._expected.required]
            is_called = self._tool_calls.has_usable_call(names)
            return [] if is_called else self._required_call(held, text)
        if self._tool_calls.has_usable_call():
            return []
        if self._tool_calls:
            defect = self._tool_calls.defect()
            raise KieProtocolError(f"the answer must be JSON, but {defect}", model=self._model_name)
        return []

    def _required_call(self, held: str, text: str) -> list[ToolCallChunk]:
        """The required tool call, if the text that is held is the JSON of its arguments.

        Args:
            held: The text that is held.
            text: The complete text, for the error message.

        Raises:
            KieToolCallMissingError: The text is not the JSON of its arguments.
        """
        chunks: dict[int, ToolCallChunk] = {}
        is_refusal = self._is_refusal()
        is_possible = not (self._tool_calls or is_refusal)
        if is_possible and (found := call_from_text(held, self._expected.required or ())):
            name, args = found
            delta = ToolCallDelta(name, to_json(args).decode(), is_complete=True)
            self._tool_calls.add(delta, 0, chunks)
            return [*chunks.values()]
        names = ", ".join(function["name"] for function in self._expected.required or ())
        required = f"tool_choice requires a call of {names}, but"
        quoted = f"its answer: {shortened(text or self._refusal, _MAX_QUOTED_CHARS)!r}"
        if is_refusal:
            has_calls, has_refusal = bool(self._tool_calls), self._refusal != ""
            self._metadata.add_finish_reason(has_calls=has_calls, has_refusal=has_refusal)
            metadata = self._metadata.values
            raise KieRefusalError(
                f"{required} the model refused ({metadata['finish_reason']}); {quoted}",
                raw_message=refusal_message(text, self._refusal, metadata),
                model=self._model_name,
            )
        if self._metadata.finish_reason == LIMIT:
            reason = "the answer was cut at max_tokens"
        else:
            reason = self._tool_calls.defect() or "the model ignored it"
        raise KieToolCallMissingError(f"{required} {reason}; {quoted}", model=self._model_name)

    def _add_answer(self, text: str) -> Any:
        """Add the text that was held until the end; JSON without a fence, fitted to the schema."""
        has_calls = bool(self._tool_calls)
        fitted = bare_json(text) if has_calls else fitted_json(text, self._expected.answer_schema)
        if fitted != text or self._answer:
            return self._content.add_text(fitted, None)
        self._release()
        return self._content.text_content(text)

    def _mark_as_empty(self, usage: UsageMetadata | None) -> None:
        """Mark an empty answer, and warn, because an agent would end with it.

        An answer that has only thoughts is empty, too.
        """
        self._metadata.values["empty_answer"] = True
        thoughts = " except for thoughts" if self.has_output else ""
        details = f"{usage['total_tokens'] if usage else 0} tokens were counted"
        if not self._metadata.finish_reason.is_normal:
            details = f"{details}, and it ended with {self._metadata.finish_reason.word}"
        warn(f"{self._model_name}: the answer is empty{thoughts}, but {details}")

    def _checked_usage(self) -> UsageMetadata | None:
        """Add the token counts to the metadata, and check that they include the media.

        Raises:
            KieMediaNotSeenError: There are fewer prompt tokens than the media need.
        """
        usage, expected = self._metadata.add_usage(), self._expected
        if expected.media_count:
            self._metadata.values["media_count"] = expected.media_count
        if usage and usage["input_tokens"] < expected.min_prompt_tokens:
            raise KieMediaNotSeenError(
                f"KIE counted {usage['input_tokens']} tokens for a prompt with "
                f"{expected.media_count} media; at least {expected.min_prompt_tokens} are expected",
                model=self._model_name,
            )
        return usage
