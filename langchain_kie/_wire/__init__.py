"""The dialects: one codec each, and the table by which everything else finds them.

A codec is a module with two pure functions. `encode` turns a conversation and options into a path
and a body; `decode` turns one JSON object of an answer into a `Delta`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from langchain_kie._wire import chat_completions, generate_content
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_kie._answer.event import Delta
    from langchain_kie._catalog import Api, Target
    from langchain_kie._conversation.turns import Turn
    from langchain_kie._options import Options


class Encode(Protocol):
    """A conversation and options to the path and the body of a request."""

    def __call__(
        self,
        turns: Sequence[Turn],
        options: Options,
        target: Target,
        *,
        stream: bool,
    ) -> tuple[str, dict[str, Any]]: ...


ENCODERS: Mapping[Api, Encode] = {
    "chat_completions": chat_completions.encode,
    "gateway": chat_completions.encode_for_gateway,
    "generate_content": generate_content.encode,
}

_DECODERS: Mapping[str, Callable[[dict[str, Any]], Delta]] = {
    "choices": chat_completions.decode,
    "usage": chat_completions.decode,
    "candidates": generate_content.decode,
    "usageMetadata": generate_content.decode,
    "promptFeedback": generate_content.decode,
    "credits_consumed": chat_completions.decode,
}


def decode(event: dict[str, Any]) -> Delta:
    """Read one object of an answer, in whichever dialect it came.

    KIE has been documented to answer one dialect in the other (docs/wire.md 3), so the
    object's own shape decides.

    Raises:
        KieProtocolError: It is of no known shape.
    """
    for key in _DECODERS:
        if key in event:
            try:
                return _DECODERS[key](event)
            except (TypeError, AttributeError, KeyError, ValueError) as error:
                raise KieProtocolError(f"KIE's {key!r} has an unknown shape: {error}") from None
    raise KieProtocolError(f"an object of an unknown shape, with keys {sorted(event)[:8]}")
