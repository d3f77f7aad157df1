"""Tokens and credits: rough counts by length, and the prices that were seen.

Knows what a conversation and a reply weigh. Does not know how a dialect spells it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_kie.emulator.conversation import Conversation, Reply

_LETTERS_A_TOKEN = 4
_TOKENS_A_MEDIUM = 258
_HIDDEN_THINKING = {"low": 24, "high": 96}
_LEAST_CREDITS = 0.01

_PRICES: Mapping[str, tuple[float, float]] = {  # docs/wire.md 8: credits for a million tokens
    "gemini-2.5-flash": (18, 150),
    "gemini-2.5-pro": (76, 600),
    "gemini-3-flash": (30, 180),
    "gemini-3-pro": (100, 700),
    "gemini-3.1-pro": (86, 746),
    "gemini-3.5-flash": (90, 540),
    "gemini-3.8-flash": (45, 225),
}
_USUAL_PRICE = (90, 450)


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


def weigh(conversation: Conversation, reply: Reply) -> Usage:
    """Count the tokens of an exchange; thinking counts whether it is shown or not."""
    said = [turn.text for turn in conversation.turns]
    said += [result.text for turn in conversation.turns for result in turn.results]
    said += [json.dumps(dict(call.args)) for turn in conversation.turns for call in turn.calls]
    said += [f"{f.name}{f.description}{json.dumps(f.parameters)}" for f in conversation.functions]
    media = sum(len(turn.media) for turn in conversation.turns)
    answered = reply.text + "".join(f"{c.name}{json.dumps(dict(c.args))}" for c in reply.calls)
    return Usage(
        prompt=tokens_of("".join(said)) + media * _TOKENS_A_MEDIUM,
        answer=tokens_of(answered),
        thinking=tokens_of("".join(reply.thoughts)) + _HIDDEN_THINKING[conversation.effort],
    )


def credits_for(name: str, usage: Usage, *, thinking_is_free: bool = False) -> float:
    """Price an exchange with a model; the native path does not charge for thinking."""
    price_in, price_out = _PRICES.get(name, _USUAL_PRICE)
    charged = usage.answer + (0 if thinking_is_free else usage.thinking)
    amount = (usage.prompt * price_in + charged * price_out) / 1_000_000
    return max(_LEAST_CREDITS, round(amount, 2))
