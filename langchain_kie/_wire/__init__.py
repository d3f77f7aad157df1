"""The two JSON formats of KIE's APIs, one codec a module, and the tables that find them.

A codec has two pure functions: `build_request` turns a conversation and options into a path and
a body; `parse_event` turns one JSON object of an answer into an `AnswerEvent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from langchain_kie._wire import chat_completions, generate_content
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._catalog import Api, ResolvedModel
    from langchain_kie._conversation.turns import Turn
    from langchain_kie._options import Options


class BuildRequest(Protocol):
    """A conversation and options to the path and the body of a request."""

    def __call__(
        self,
        turns: Sequence[Turn],
        options: Options,
        target: ResolvedModel,
        *,
        stream: bool,
    ) -> tuple[str, dict[str, Any]]: ...


REQUEST_BUILDERS: Mapping[Api, BuildRequest] = {
    "chat_completions": chat_completions.build_request,
    "gateway": chat_completions.build_gateway_request,
    "generate_content": generate_content.build_request,
}

_EVENT_PARSERS: Mapping[str, Callable[[dict[str, Any]], AnswerEvent]] = {
    "choices": chat_completions.parse_event,
    "usage": chat_completions.parse_event,
    "candidates": generate_content.parse_event,
    "usageMetadata": generate_content.parse_event,
    "promptFeedback": generate_content.parse_event,
    "credits_consumed": chat_completions.parse_event,
}


def parse_event(event: dict[str, Any]) -> AnswerEvent:
    """Read one object of an answer, in whichever dialect it came.

    KIE has been documented to answer one dialect in the other (docs/wire.md 3), so the
    object's own shape decides.

    Raises:
        KieProtocolError: It is of no known shape.
    """
    for key in _EVENT_PARSERS:
        if key in event:
            try:
                return _EVENT_PARSERS[key](event)
            except (TypeError, AttributeError, KeyError, ValueError) as error:
                raise KieProtocolError(f"KIE's {key!r} has an unknown shape: {error}") from None
    raise KieProtocolError(f"an object of an unknown shape, with keys {sorted(event)[:8]}")
