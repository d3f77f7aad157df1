"""Token counts, estimated from lengths, and credits, calculated from KIE's prices."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
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
_HIDDEN_THINKING = {"none": 0, "low": 24, "medium": 48, "high": 96}
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


def count_prompt(endpoint: Endpoint, conversation: Conversation) -> int:
    """Count the tokens of a prompt."""
    turns = conversation.turns
    prompt = [turn.text for turn in turns]
    prompt += [result.text for turn in turns for result in turn.results]
    prompt += [json.dumps(dict(call.args)) for turn in turns for call in turn.calls]
    prompt += [f"{f.name}{f.description}{json.dumps(f.parameters)}" for f in conversation.functions]
    media = [file for turn in turns for file in turn.media if not file.is_lost]
    return _text_tokens("".join(prompt)) + sum(_media_tokens(endpoint, file) for file in media)


def count_usage(prompt: int, effort: str, reply: Reply) -> Usage:
    """Count the tokens of a call, including thoughts that are not shown."""
    answer = reply.text + "".join(f"{c.name}{json.dumps(dict(c.args))}" for c in reply.calls)
    thoughts = "".join(reply.thoughts)
    thinking = (_text_tokens(thoughts) if thoughts else 0) + _HIDDEN_THINKING[effort]
    return Usage(prompt, _text_tokens(answer), thinking)


def limit_output(reply: Reply, usage: Usage, max_tokens: int) -> tuple[Reply, Usage]:
    """Cut an answer after `max_tokens`, which include thinking; cut calls are left out."""
    if usage.thinking + usage.answer <= max_tokens:
        return reply, usage
    thinking = max(0, min(usage.thinking, max_tokens))
    answer = max(0, max_tokens - thinking)
    text = reply.text[: answer * _CHARACTERS_PER_TOKEN]
    grounding = None if reply.grounding is None else reply.grounding.up_to(len(text))
    cut = replace(reply, text=text, calls=(), grounding=grounding, is_cut=True)
    return cut, replace(usage, answer=answer, thinking=thinking)


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
