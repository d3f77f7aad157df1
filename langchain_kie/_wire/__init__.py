"""The two JSON formats of KIE's APIs, one codec a module, and the tables that find them.

A codec has two pure functions: `build_request` converts a conversation and options to a path and
a body; `parse_event` converts one JSON object of an answer to an `AnswerEvent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from langchain_kie._answer.event import FinishReason
from langchain_kie._wire import chat_completions, generate_content
from langchain_kie.errors import KieProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._catalog import Api, ResolvedModel
    from langchain_kie._conversation.turns import Turn
    from langchain_kie._json import Json
    from langchain_kie._options import Options


class BuildRequest(Protocol):
    """Converts a conversation and options to the path and the body of a request."""

    def __call__(
        self, turns: Sequence[Turn], options: Options, target: ResolvedModel, *, stream: bool
    ) -> tuple[str, Json]: ...


REQUEST_BUILDERS: Mapping[Api, BuildRequest] = {
    "chat_completions": chat_completions.build_request,
    "gateway": chat_completions.build_gateway_request,
    "generate_content": generate_content.build_request,
}

_EVENT_PARSERS: Mapping[str, Callable[[Json], AnswerEvent]] = {
    "choices": chat_completions.parse_event,
    "usage": chat_completions.parse_event,
    "candidates": generate_content.parse_event,
    "usageMetadata": generate_content.parse_event,
    "promptFeedback": generate_content.parse_event,
    "credits_consumed": chat_completions.parse_event,
}

_FINISH_REASONS = {
    word.lower(): row
    for table in (chat_completions.FINISH_REASONS, generate_content.FINISH_REASONS)
    for word, row in table.items()
}


def parse_event(event: Json) -> AnswerEvent:
    """Parse one object of an answer of any API.

    The members of the object decide, because KIE documents answers of `chat_completions` in
    the format of `generate_content` (docs/wire.md 3).

    Raises:
        KieProtocolError: The format of the object is unknown.
    """
    for key in _EVENT_PARSERS:
        if key in event:
            break
    else:
        raise KieProtocolError(f"an event of an unknown format, with keys {sorted(event)[:8]}")
    try:
        parsed = _EVENT_PARSERS[key](event)
        credits_consumed = event.get("credits_consumed")
        if credits_consumed is not None:
            parsed.metadata["credits_consumed"] = float(credits_consumed)
            parsed.is_terminal = True
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise KieProtocolError(f"cannot read {key!r} in KIE's answer: {error}") from None
    if parsed.native_finish_reason:
        parsed.finish_reason = parsed.finish_reason or _finish_reason(parsed.native_finish_reason)
        parsed.is_terminal = True
    return parsed


def _finish_reason(word: str) -> FinishReason:
    """The row of a finish reason, whichever API and case it has; else the word in lower case."""
    return _FINISH_REASONS.get(word.lower()) or FinishReason(word.lower())
