"""Tokens and credits: rough counts by length, and the prices that were seen.

Knows what a conversation and a reply weigh. Does not know how a dialect spells it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.conversation import Conversation, Medium, Reply
    from langchain_kie.emulator.models import Endpoint

_LETTERS_A_TOKEN = 4
_TOKENS_A_MEDIUM: Mapping[str, int] = {  # of a second of sound or film, and of a page
    "audio/": 32,
    "video/": 258 + 32,
    "application/pdf": 258,
}
_HIDDEN_THINKING = {"low": 24, "high": 96}
_LEAST_CREDITS = 0.01


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one exchange; `answer` is without `thinking`."""

    prompt: int
    answer: int
    thinking: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.prompt + self.answer + self.thinking


def tokens_of(text: str) -> int:
    """Count a text's tokens, at least one."""
    return max(1, len(text) // _LETTERS_A_TOKEN)


def _tokens_of_medium(endpoint: Endpoint, medium: Medium) -> int:
    """Count a file's tokens, at least: a second of what lasts, a page of what has pages."""
    if medium.mime_type.startswith("text/"):
        return tokens_of(medium.data.decode("utf-8", "replace"))
    kinds = _TOKENS_A_MEDIUM.items()
    return next(
        (n for kind, n in kinds if medium.mime_type.startswith(kind)), endpoint.image_tokens
    )


def weigh(endpoint: Endpoint, conversation: Conversation, reply: Reply) -> Usage:
    """Count the tokens of an exchange with a model; thinking counts, shown or not."""
    said = [turn.text for turn in conversation.turns]
    said += [result.text for turn in conversation.turns for result in turn.results]
    said += [json.dumps(dict(call.args)) for turn in conversation.turns for call in turn.calls]
    said += [f"{f.name}{f.description}{json.dumps(f.parameters)}" for f in conversation.functions]
    media = [medium for turn in conversation.turns for medium in turn.media]
    answered = reply.text + "".join(f"{c.name}{json.dumps(dict(c.args))}" for c in reply.calls)
    return Usage(
        prompt=tokens_of("".join(said)) + sum(_tokens_of_medium(endpoint, one) for one in media),
        answer=tokens_of(answered),
        thinking=tokens_of("".join(reply.thoughts)) + _HIDDEN_THINKING[conversation.effort],
    )


def credits_for(endpoint: Endpoint, usage: Usage) -> float:
    """Price an exchange with a model; the native path does not charge for thinking."""
    price_in, price_out = endpoint.credits_per_million
    charged = usage.answer + (0 if endpoint.api == "generate_content" else usage.thinking)
    amount = (usage.prompt * price_in + charged * price_out) / 1_000_000
    return max(_LEAST_CREDITS, round(amount, 2))
