"""About how many tokens messages cost, and the fewest that they can: arithmetic, no network.

Sources: docs/wire.md 9 for what media were measured to cost, and Google's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages.utils import count_tokens_approximately

from langchain_kie._content import parts_of
from langchain_kie._media import Media
from langchain_kie._settings import CHARS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._content import Part

_MOST_CHARS_PER_TOKEN = 6


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a kind of media costs, in tokens.

    Attributes:
        usual: Where the size is not known.
        least: The fewest.
        bytes_per_token: Of inline data of usual quality, `None` where size does not count.
    """

    usual: int
    least: int
    bytes_per_token: int | None = None


_COSTS = {
    "image": _Cost(1_100, 200),
    "pdf": _Cost(2_600, 200, bytes_per_token=100),
    "audio": _Cost(1_900, 30, bytes_per_token=500),
    "video": _Cost(6_000, 60, bytes_per_token=2_500),
    "file": _Cost(1_000, 10, bytes_per_token=CHARS_PER_TOKEN),
}
"""An image as measured; a PDF at 258 tokens a page; sound at 32, video at 100 a second."""


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


def least_tokens(parts: Iterable[Part]) -> int:
    """The fewest tokens that text and media can be counted as, if all were seen."""
    return sum(
        len(part) // _MOST_CHARS_PER_TOKEN if isinstance(part, str) else _least(part)
        for part in parts
    )


def _usual(medium: Media) -> int:
    cost = _COSTS[medium.kind]
    if cost.bytes_per_token is None or medium.data is None:
        return cost.usual
    return max(cost.least, len(medium.data) * 3 // 4 // cost.bytes_per_token)


def _least(medium: Media) -> int:
    """A quarter of the usual cost of this much data, which may be of a better quality."""
    cost = _COSTS[medium.kind]
    is_sized = cost.bytes_per_token is not None and medium.data is not None
    return max(1, min(cost.least, _usual(medium) // 4)) if is_sized else cost.least
