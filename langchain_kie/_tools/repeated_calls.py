"""Stops an agent whose model repeats a tool call that the agent rejects each time.

LangChain's agents send the reason back and call the model again, up to 9,999 times (langchain
1.5.2, langgraph 1.2.24). This module can go when they stop by themselves. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_kie._conversation.content import text_and_media
from langchain_kie.errors import KieToolCallMissingError, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._conversation.parsed_message import Turn

_MAX_SAME = 3
_MAX_REJECTED = 6
"""How often in succession the same calls, and any calls, may be rejected."""

_REJECTION = re.compile(
    "Failed to parse structured output for tool"
    "|Model incorrectly returned multiple structured responses"
    "|is not a valid tool, try one of"
)
"""The agents' texts for an invalid structured answer and for an unknown tool. The error of a tool
is not one of them: it can be temporary."""

_MAX_QUOTED_CHARS = 200


def raise_if_repeating(turns: Sequence[Turn], model_name: str) -> None:
    """Refuse a conversation that ends with rejected tool calls: the same three times, or any six.

    Args:
        turns: The conversation.
        model_name: The model that is called; the calls of other models do not count.

    Raises:
        KieToolCallMissingError: The conversation ends so; nothing was sent.
    """
    if len(turns) < _MAX_SAME or not turns[-1].tools:
        return
    rejected = [_rejected_calls(turn, model_name) for turn in turns[-_MAX_REJECTED:]]
    if not all(rejected[-_MAX_SAME:]):
        return
    if all(calls == rejected[-1] for calls in rejected[-_MAX_SAME:]):
        times = f"{_MAX_SAME} times with the same arguments"
    elif len(rejected) == _MAX_REJECTED and all(rejected):
        times = f"and others {_MAX_REJECTED} times"
    else:
        return
    name, reason = rejected[-1][0][0], _text(turns[-1].tools[0].parts)
    raise KieToolCallMissingError(
        f"the model called {name!r} {times}, and each "
        f"call was rejected ({shortened(reason, _MAX_QUOTED_CHARS)!r}); nothing was sent",
        model=model_name,
    )


def _rejected_calls(turn: Turn, model_name: str) -> list[tuple[str, Any]]:
    """The names and arguments of a turn's tool calls, if the agent rejected all of them."""
    if turn.model_name != model_name or not all(
        _REJECTION.search(_text(tool.parts)) for tool in turn.tools
    ):
        return []
    return [(tool.call["name"], tool.call["args"]) for tool in turn.tools]


def _text(parts: list[Any]) -> str:
    return text_and_media(parts)[0]
