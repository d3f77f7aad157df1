"""Token counts of several events, and in OpenAI's format. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie._json import Json

_COUNTS = {"cache_read": "cached_tokens", "reasoning": "reasoning_tokens", "audio": "audio_tokens"}


def merge_counts(old: Json, new: Json) -> Json:
    """The last counts, where they are not zero."""
    merged = dict(old)
    for name, value in new.items():
        if isinstance(value, dict):
            merged[name] = merge_counts(merged.get(name, {}), value)
        elif value or name not in merged:
            merged[name] = value
    return merged


def openai_token_usage(usage: Mapping[str, Any]) -> Json:
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
