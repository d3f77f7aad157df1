"""What both codecs need. Pure; knows the forms that both dialects share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.messages.ai import UsageMetadata


def without_none(**members: Any) -> dict[str, Any]:
    """The members that are set."""
    return {name: value for name, value in members.items() if value is not None}


def args_text(args: Any) -> str:
    """A call's arguments as JSON text; the wire has them as text or as an object."""
    if isinstance(args, str):
        return args
    return "" if args is None else orjson.dumps(args).decode()


def usage_of(
    *,
    input_tokens: int,
    output_tokens: int,
    reasoning: int | None = None,
    cache_read: int | None = None,
    input_audio: int | None = None,
    output_audio: int | None = None,
) -> UsageMetadata:
    """LangChain's form of token counts; details only where the wire has them."""
    usage: UsageMetadata = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    if details := without_none(cache_read=cache_read, audio=input_audio or None):
        usage["input_token_details"] = details  # type: ignore[typeddict-item]
    if details := without_none(reasoning=reasoning, audio=output_audio or None):
        usage["output_token_details"] = details  # type: ignore[typeddict-item]
    return usage


def first_set(values: Iterable[Any]) -> Any:
    """The first of `values` that is not `None`."""
    return next((value for value in values if value is not None), None)
