"""About how many tokens messages cost, and the fewest that they can: arithmetic, no network.

Sources: docs/wire.md 9 for what media were measured to cost, and Google's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages.utils import count_tokens_approximately

from langchain_kie._conversation.content import parts_of
from langchain_kie._conversation.media import Media
from langchain_kie._settings import CHARS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._conversation.content import Part

_MOST_CHARS_PER_TOKEN = 6
_MOST_JSON_PER_TOKEN = 8


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a kind of media costs, in tokens.

    Attributes:
        usual: Where the size is not known.
        least: The fewest, where the size is not known.
        bytes_per_token: Of usual quality, `None` where size does not count.
        most_bytes_per_token: Of the best quality that there is.
    """

    usual: int
    least: int
    bytes_per_token: int | None = None
    most_bytes_per_token: int | None = None


_COSTS = {
    "image": _Cost(1_100, 200),
    "pdf": _Cost(2_600, 200, bytes_per_token=100, most_bytes_per_token=20_000),
    "audio": _Cost(1_900, 30, bytes_per_token=500, most_bytes_per_token=20_000),
    "video": _Cost(6_000, 60, bytes_per_token=2_500, most_bytes_per_token=100_000),
    "file": _Cost(1_000, 10, bytes_per_token=CHARS_PER_TOKEN, most_bytes_per_token=20),
}
"""An image as measured; a PDF at 258 tokens a page; sound at 32, video at 100 a second.

The best quality is a scan of 5 MB a page, sound of 24 bits at 96 kHz, and 80 Mbit of video a
second: the fewest tokens must never be more than honest ones."""


def estimate(messages: Sequence[BaseMessage], tools: list[Any] | None) -> int:
    """About as many tokens as messages and tools cost.

    Raises:
        ValueError: A block cannot be sent.
    """
    texts: list[BaseMessage] = []
    tokens = 0
    for message in messages:
        if isinstance(message.content, str):
            texts.append(message)
            continue
        parts = parts_of(message)
        text = "".join(part for part in parts if isinstance(part, str))
        texts.append(message.model_copy(update={"content": text}))
        tokens += sum(_usual(part) for part in parts if isinstance(part, Media))
    return tokens + count_tokens_approximately(texts, tools=tools)


def min_prompt_tokens(parts: Iterable[Part], tools: Sequence[Any] = ()) -> int:
    """The fewest tokens that text, media, and the tools' schemas and calls can be counted as."""
    return sum(
        len(part) // _MOST_CHARS_PER_TOKEN if isinstance(part, str) else _least(part)
        for part in parts
    ) + sum(len(str(tool)) // _MOST_JSON_PER_TOKEN for tool in tools)


def _usual(medium: Media) -> int:
    cost = _COSTS[medium.kind]
    if cost.bytes_per_token is None or medium.size is None:
        return cost.usual
    return max(cost.least, medium.size // cost.bytes_per_token)


def _least(medium: Media) -> int:
    """What a medium costs at least: a little one less than usual, a large one by its size."""
    cost = _COSTS[medium.kind]
    if cost.most_bytes_per_token is None or medium.size is None:
        return cost.least
    little = max(1, min(cost.least, _usual(medium) // 4))
    return max(little, medium.size // cost.most_bytes_per_token)
