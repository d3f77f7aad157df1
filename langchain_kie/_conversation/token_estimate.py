"""Token estimates for messages: a typical count, and a minimum. Pure arithmetic.

Sources: measurements of KIE (docs/wire.md 9), and Google's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages.utils import count_tokens_approximately

from langchain_kie._conversation.content import parse_content
from langchain_kie._conversation.media import Media
from langchain_kie._conversation.repair import in_langchain_form
from langchain_kie._settings import CHARS_PER_TOKEN, estimate_text_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._conversation.content import Part

_MAX_CHARS_PER_TOKEN = 6
_MAX_JSON_CHARS_PER_TOKEN = 8


@dataclass(frozen=True, slots=True)
class _Cost:
    """The tokens of one kind of media.

    Attributes:
        typical: For a file of unknown size.
        minimum: The minimum for a file of unknown size.
        bytes_per_token: At typical quality; `None` if the size does not matter.
        max_bytes_per_token: At the highest quality in use.
    """

    typical: int
    minimum: int
    bytes_per_token: int | None = None
    max_bytes_per_token: int | None = None


_COSTS = {
    "image": _Cost(1_100, 200),
    "pdf": _Cost(2_600, 200, bytes_per_token=100, max_bytes_per_token=20_000),
    "audio": _Cost(1_900, 30, bytes_per_token=500, max_bytes_per_token=20_000),
    "video": _Cost(6_000, 60, bytes_per_token=2_500, max_bytes_per_token=100_000),
    "file": _Cost(1_000, 10, bytes_per_token=CHARS_PER_TOKEN, max_bytes_per_token=20),
}
"""Images as measured; PDFs at 258 tokens a page, audio at 32 and video at 100 tokens a second.

The highest quality is a scan of 5 MB a page, audio of 24 bits at 96 kHz, and video of 80 Mbit/s:
the minimum must never exceed what KIE counts for media that it processed.
"""


def estimate_tokens(messages: Sequence[BaseMessage], tools: list[Any] | None) -> int:
    """Estimate how many tokens messages and tools cost.

    Raises:
        ValueError: A content block or a tool cannot be sent.
    """
    texts: list[BaseMessage] = []
    tokens = 0
    for message in in_langchain_form(messages):
        if isinstance(message.content, str):
            text = message.content
            texts.append(message)
        else:
            parts = parse_content(message)
            text = "".join(part for part in parts if isinstance(part, str))
            texts.append(message.model_copy(update={"content": text}))
            tokens += sum(_typical_tokens(part) for part in parts if isinstance(part, Media))
        # LangChain counts every character as a quarter of a token.
        tokens += estimate_text_tokens(text) - estimate_text_tokens("x" * len(text))
    try:
        return tokens + count_tokens_approximately(texts, tools=tools)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a tool cannot be encoded as JSON: {error}") from None


def min_prompt_tokens(parts: Iterable[Part], tools: Sequence[Any] = ()) -> int:
    """The minimum number of tokens that a prompt can cost.

    Args:
        parts: Its text and media.
        tools: Its function declarations and the arguments of its tool calls.
    """
    return sum(
        len(part) // _MAX_CHARS_PER_TOKEN if isinstance(part, str) else _min_tokens(part)
        for part in parts
    ) + sum(len(str(tool)) // _MAX_JSON_CHARS_PER_TOKEN for tool in tools)


def _typical_tokens(media: Media) -> int:
    cost = _COSTS[media.kind]
    if cost.bytes_per_token is None or media.size is None:
        return cost.typical
    return max(cost.minimum, media.size // cost.bytes_per_token)


def _min_tokens(media: Media) -> int:
    """The minimum for a media part: a quarter of the typical count for a small file."""
    cost = _COSTS[media.kind]
    if cost.max_bytes_per_token is None or media.size is None:
        return cost.minimum
    minimum_of_small_file = max(1, min(cost.minimum, _typical_tokens(media) // 4))
    return max(minimum_of_small_file, media.size // cost.max_bytes_per_token)
