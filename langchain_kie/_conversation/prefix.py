"""The start of a conversation that was sent before, converted once for as long as it exists.

An agent sends its complete history with every call: only the new messages are converted and joined
with the JSON of the earlier ones. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_kie._conversation.parsed_message import Turn

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from langchain_kie._conversation.parsed_message import ParsedMessage


@dataclass(slots=True, eq=False)
class Prefix:
    """Messages that were sent before and have not changed; not to be changed.

    The last one is a user message, or the last result of a tool call. The `ParsedMessage` of the
    last one holds it.

    Attributes:
        parsed: The messages; one that changes is parsed anew, and is another object then.
        turns: Their turns.
        json: The JSON of their first turns: the text and the number of turns, by its form.
    """

    parsed: Sequence[ParsedMessage]
    turns: Sequence[Turn]
    json: dict[Hashable, tuple[bytes, int]]


class Turns(list[Turn]):
    """The turns of a conversation.

    Attributes:
        prefix: What the first ones have in common with an earlier call, `None` if nothing.
    """

    prefix: Prefix | None = None

    @property
    def new(self) -> Sequence[Turn]:
        """The turns after the prefix."""
        return self[len(self.prefix.turns) :] if self.prefix else self


MIN_MESSAGES = 8
"""With fewer messages, to look for a prefix takes as long as it saves."""


def find_prefix(parsed: Sequence[ParsedMessage]) -> Prefix | None:
    """The prefix of an earlier call with which a conversation starts, if any."""
    for end in range(len(parsed), MIN_MESSAGES - 1, -1):
        prefix = parsed[end - 1].prefix
        if prefix and prefix.parsed == parsed[:end]:
            return prefix
    return None


def extended_prefix(
    prefix: Prefix | None, parsed: Sequence[ParsedMessage], turns: Sequence[Turn]
) -> Prefix | None:
    """The longest prefix for the next call; the one before is no longer found.

    Args:
        prefix: The prefix of this call.
        parsed: The messages that will be the same objects in the next call, unless they change.
        turns: The turns of this call.
    """
    start = len(prefix.parsed) if prefix else 0
    end = len(parsed)
    while end > start and parsed[end - 1].role not in {"user", "tool"}:
        end -= 1
    if end == start or end < MIN_MESSAGES:
        return prefix
    count = sum(message.role != "tool" for message in parsed[start:end])
    count += len(prefix.turns) if prefix else 0
    if prefix:
        prefix.parsed[-1].prefix = None
    longer = Prefix(parsed[:end], turns[:count], {**prefix.json} if prefix else {})
    parsed[end - 1].prefix = longer
    return longer
