"""Token counts, estimated from lengths, and credits, calculated from KIE's prices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.conversation import Conversation, MediaFile, Reply
    from langchain_kie.emulator.models import Endpoint

_CHARACTERS_PER_TOKEN = 4
_MEDIA_TOKENS: Mapping[str, int] = {  # of one second, or of one page
    "audio/": 32,
    "video/": 258 + 32,
    "application/pdf": 258,
}
_HIDDEN_THINKING = {"low": 24, "high": 96}
_MIN_CREDITS = 0.01


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call; `answer` excludes `thinking`."""

    prompt: int
    answer: int
    thinking: int

    @property
    def total(self) -> int:
        """The sum of all tokens."""
        return self.prompt + self.answer + self.thinking


def count_usage(endpoint: Endpoint, conversation: Conversation, reply: Reply) -> Usage:
    """Count the tokens of a call, including thoughts that are not shown."""
    turns = conversation.turns
    prompt = [turn.text for turn in turns]
    prompt += [result.text for turn in turns for result in turn.results]
    prompt += [json.dumps(dict(call.args)) for turn in turns for call in turn.calls]
    prompt += [f"{f.name}{f.description}{json.dumps(f.parameters)}" for f in conversation.functions]
    media = [file for turn in turns for file in turn.media]
    answer = reply.text + "".join(f"{c.name}{json.dumps(dict(c.args))}" for c in reply.calls)
    return Usage(
        prompt=_text_tokens("".join(prompt)) + sum(_media_tokens(endpoint, file) for file in media),
        answer=_text_tokens(answer),
        thinking=_text_tokens("".join(reply.thoughts)) + _HIDDEN_THINKING[conversation.effort],
    )


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
