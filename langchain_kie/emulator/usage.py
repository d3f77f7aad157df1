"""Token counts, estimated from lengths, and credits, calculated from KIE's prices."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from langchain_kie.emulator.conversation import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.conversation import Answer, ChatRequest, MediaFile
    from langchain_kie.emulator.models import Endpoint

_CHARACTERS_PER_TOKEN = 4
_MEDIA_TOKENS: Mapping[str, int] = {  # of one second, or of one page
    "audio/": 32,
    "video/": 258 + 32,
    "application/pdf": 258,
}
_HIDDEN_THINKING = {"none": 0, "low": 24, "medium": 48, "high": 96}
_MIN_CREDITS = 0.01


def count_prompt(endpoint: Endpoint, request: ChatRequest) -> int:
    """Count the tokens of a prompt."""
    turns = request.turns
    prompt = [turn.text for turn in turns]
    prompt += [result.text for turn in turns for result in turn.results]
    prompt += [json.dumps(dict(call.args)) for turn in turns for call in turn.calls]
    prompt += [f"{f.name}{f.description}{json.dumps(f.parameters)}" for f in request.tools]
    media = [file for turn in turns for file in turn.media if not file.is_lost]
    return _text_tokens("".join(prompt)) + sum(_media_tokens(endpoint, file) for file in media)


def count_usage(endpoint: Endpoint, prompt: int, effort: str, answer: Answer) -> Usage:
    """Count the tokens of a call, including thoughts that are not shown."""
    calls = "".join(f"{c.name}{json.dumps(dict(c.args))}" for c in answer.tool_calls)
    thoughts = "".join(answer.paragraphs)
    thinking = (_text_tokens(thoughts) if thoughts else 0) + _HIDDEN_THINKING[effort]
    images = len(answer.images) * endpoint.image_tokens
    return Usage(prompt, _text_tokens(answer.text + calls) + images, thinking)


def limit_output(answer: Answer, usage: Usage, max_tokens: int) -> tuple[Answer, Usage]:
    """Cut an answer after `max_tokens`, which include thinking; cut calls are left out."""
    if usage.thinking + usage.answer <= max_tokens:
        return answer, usage
    thinking = max(0, min(usage.thinking, max_tokens))
    tokens = max(0, max_tokens - thinking)
    text = answer.text[: tokens * _CHARACTERS_PER_TOKEN]
    cut = replace(truncate(answer, len(text)), tool_calls=(), images=(), finish_reason="length")
    return cut, Usage(usage.prompt, tokens, thinking)


def truncate(answer: Answer, length: int) -> Answer:
    """Cut the text of an answer, and what refers to the rest of it."""
    grounding = None if answer.grounding is None else answer.grounding.up_to(length)
    return replace(answer, text=answer.text[:length], grounding=grounding)


def credits_for(endpoint: Endpoint, usage: Usage) -> float:
    """Calculate the price of a call; the native API does not charge for thinking."""
    input_price, output_price = endpoint.credits_per_million
    output = usage.answer + (0 if endpoint.api == "generate_content" else usage.thinking)
    amount = (usage.prompt * input_price + output * output_price) / 1_000_000
    return max(_MIN_CREDITS, round(amount, 2))


def _text_tokens(text: str) -> int:
    return max(1, len(text) // _CHARACTERS_PER_TOKEN)


def _media_tokens(endpoint: Endpoint, file: MediaFile) -> int:
    """Count the tokens of a file; durations and pages are not read, so each counts as one."""
    if file.mime_type.startswith("text/"):
        return _text_tokens(file.data.decode("utf-8", "replace"))
    tokens = (n for kind, n in _MEDIA_TOKENS.items() if file.mime_type.startswith(kind))
    return next(tokens, endpoint.image_tokens)
