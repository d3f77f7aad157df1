"""The metadata of one answer: its finish reason, token counts, cost and sources.

Depends on events; independent of the APIs and of the content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.citations import (
    CITATION_SPANS_KEY,
    MERGED_KEYS,
    citation_spans,
    merge_metadata,
)
from langchain_kie._answer.event import BLOCKED, STOP, TOOL_CALLS
from langchain_kie._answer.messages import PROVIDER, REFUSAL_REASON
from langchain_kie._catalog import USD_PER_CREDIT
from langchain_kie.errors import HAS_NORMALIZED_FINISH_REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._json import Json

_COUNTS = {"cache_read": "cached_tokens", "reasoning": "reasoning_tokens", "audio": "audio_tokens"}


class AnswerMetadata:
    """Collects the metadata of one answer.

    Args:
        model_name: The model's name as the caller wrote it.

    Attributes:
        values: The `response_metadata` so far.
        finish_reason: The row of the finish reason so far.
    """

    def __init__(self, model_name: str) -> None:
        self.values: Json = {"model_provider": PROVIDER, "model_name": model_name}
        self.finish_reason = STOP
        self._usage: Json = {}
        self._parse_usage: Callable[[Json], UsageMetadata] | None = None

    def record(self, event: AnswerEvent) -> None:
        """Store the values of an event; those of later events replace or extend them."""
        if event.parse_usage:
            usage = event.usage
            self._usage = _merge_counts(self._usage, usage) if self._usage else usage
            self._parse_usage = event.parse_usage
        reason = event.finish_reason
        if reason and (self.finish_reason.is_normal or not reason.is_normal):
            self.finish_reason = reason
            self.values["native_finish_reason"] = event.native_finish_reason
        for key, value in event.metadata.items():
            if key in MERGED_KEYS:
                self.values[key] = merge_metadata(key, self.values.get(key), value)
            elif key != "id" or key not in self.values:
                self.values[key] = value

    def add_cost(self, credits_consumed: float | None) -> None:
        """Add the cost.

        It is here because LangChain cannot add floats in `usage_metadata` (langchain-core 1.8.3);
        once it can, the cost can be there, too.
        """
        if credits_consumed is not None:
            self.values["credits_consumed"] = credits_consumed
            self.values["cost_usd"] = round(credits_consumed * USD_PER_CREDIT, 10)

    def add_usage(self) -> UsageMetadata | None:
        """Add the token counts in OpenAI's format, and return them in LangChain's."""
        usage = self._parse_usage(self._usage) if self._parse_usage else None
        if usage:
            self.values["token_usage"] = _openai_token_usage(usage)
        return usage

    def add_refusal_reason(self) -> None:
        """Add the reason for which the prompt or the answer was blocked."""
        native = self.values["native_finish_reason"]
        feedback = self.values.get("prompt_feedback") or {}
        key = "block_reason" if feedback.get("block_reason") == native else "finish_reason"
        self.values[REFUSAL_REASON] = {key: native}

    def add_citation_spans(self, texts: Mapping[str, str]) -> None:
        """Add the spans of the citations in the text blocks of the answer."""
        if spans := citation_spans(self.values, texts):
            self.values[CITATION_SPANS_KEY] = spans

    def add_finish_reason(self, *, has_calls: bool, has_refusal: bool) -> None:
        """Add the finish reason in LangChain's words.

        Args:
            has_calls: Whether there are tool calls that need a result.
            has_refusal: Whether the model explained a refusal.
        """
        reason = self.finish_reason
        if reason is STOP or reason is TOOL_CALLS:
            reason = TOOL_CALLS if has_calls else STOP
        if reason is STOP and has_refusal:
            reason = BLOCKED
        self.values["finish_reason"] = reason.word
        if HAS_NORMALIZED_FINISH_REASONS:
            self.values["normalized_finish_reason"] = reason.normalized


def _merge_counts(old: Json, new: Json) -> Json:
    """The last counts, where they are not zero."""
    merged = dict(old)
    for name, value in new.items():
        if isinstance(value, dict):
            merged[name] = _merge_counts(merged.get(name, {}), value)
        elif value or name not in merged:
            merged[name] = value
    return merged


def _openai_token_usage(usage: Mapping[str, Any]) -> Json:
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
