"""The two JSON formats of KIE's APIs, one codec a module, and the tables that find them.

A codec has two pure functions: `build_request` converts a conversation and options to a path and
a body; `parse_event` converts one JSON object of an answer to an `AnswerEvent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from langchain_kie._answer.event import AnswerEvent, FinishReason
from langchain_kie._error_bodies import credits_of, with_bill
from langchain_kie._wire import chat_completions, generate_content
from langchain_kie._wire.common import set_usage
from langchain_kie.errors import KieError, KieProtocolError, error_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_kie._catalog import Api, ResolvedModel
    from langchain_kie._conversation.prefix import Turns
    from langchain_kie._json import Json
    from langchain_kie._options import Options


class BuildRequest(Protocol):
    """Converts a conversation and options to the path and the body of a request."""

    def __call__(
        self, turns: Turns, options: Options, target: ResolvedModel, *, stream: bool
    ) -> tuple[str, Json]: ...


REQUEST_BUILDERS: Mapping[Api, BuildRequest] = {
    "chat_completions": chat_completions.build_request,
    "gateway": chat_completions.build_gateway_request,
    "generate_content": generate_content.build_request,
}

_EVENT_PARSERS: Mapping[str, Callable[[Json], AnswerEvent]] = {
    "choices": chat_completions.parse_event,
    "candidates": generate_content.parse_event,
    "promptFeedback": generate_content.parse_event,
    "usageMetadata": generate_content.parse_event,
    "usage": chat_completions.parse_event,
    "credits_consumed": chat_completions.parse_event,
}

_OUTPUT_KEYS = ("choices", "candidates", "promptFeedback")

_CHAT, _NATIVE = (
    {word.lower(): row for word, row in table.items()}
    for table in (chat_completions.FINISH_REASONS, generate_content.FINISH_REASONS)
)
_FINISH_REASONS: Mapping[Callable[[Json], AnswerEvent], Mapping[str, FinishReason]] = {
    chat_completions.parse_event: {**_NATIVE, **_CHAT},
    generate_content.parse_event: {**_CHAT, **_NATIVE},
}
"""The table of each codec; relays also send the words of the other API."""

_NO_FINISH_REASONS = frozenset(
    {"null", "finish_reason_unspecified", "block_reason_unspecified", "blocked_reason_unspecified"}
)
_GOOGLES_PREFIX = "function_call_filter: "
_SERVER_TOOL_BLOCKS = frozenset({"server_tool_call", "server_tool_result"})


def parse_event(event: Json) -> AnswerEvent:
    """Parse one object of an answer of any API.

    The members of the object decide, because KIE documents answers of `chat_completions` in
    the format of `generate_content` (docs/wire.md 3). An object without any of them, such as
    `{"type": "ping"}`, is an empty event.

    Raises:
        KieError: The object cannot be read, or its choice reports an error.
    """
    for key in _EVENT_PARSERS:
        if key in event:
            break
    else:
        return AnswerEvent()
    if not event[key]:  # null, next to the members of the other format
        key = next((other for other in _OUTPUT_KEYS if event.get(other)), key)
    parser = _EVENT_PARSERS[key]
    try:
        parsed = parser(event)
        if "usage" in event and parsed.parse_usage is None:  # next to a native answer
            set_usage(parsed, event["usage"], chat_completions.parse_usage)
        if event.get("credits_consumed") is not None:
            credits_consumed = credits_of(event)
            # Next to a choice, 0 can mean that the answer is not billed yet.
            parsed.is_terminal = credits_consumed != 0 or parsed.choice is None
            if credits_consumed is not None:
                parsed.metadata["credits_consumed"] = credits_consumed
        if parsed.native_finish_reason:
            _set_finish_reason(parsed, _FINISH_REASONS[parser])
    except (TypeError, AttributeError, KeyError, ValueError, RecursionError) as error:
        message = f"cannot read {key!r} in KIE's answer: {error}"
        raise KieProtocolError(message, credits_consumed=credits_of(event)) from None
    except KieError as error:
        raise with_bill(error, event) from None
    return parsed


def _set_finish_reason(parsed: AnswerEvent, rows: Mapping[str, FinishReason]) -> None:
    """Set the row of the finish reason, unless its word says that there is none.

    Gemini sends `STOP` with code that it runs, and then goes on. Google's OpenAI-compatible API
    writes `function_call_filter: MALFORMED_FUNCTION_CALL` (reported in 2026 by users of
    other clients); KIE was not seen to do so.

    Raises:
        KieError: The word reports an error.
    """
    word = parsed.native_finish_reason.lower().removeprefix(_GOOGLES_PREFIX)
    if word in _NO_FINISH_REASONS:
        parsed.finish_reason, parsed.native_finish_reason = None, ""
        return
    if word == "error":
        texts = [output for output in parsed.outputs if isinstance(output, str)]
        text = ": ".join(["the answer ended with the finish reason 'error'", *texts])
        raise error_for(text)
    parsed.finish_reason = parsed.finish_reason or rows.get(word) or FinishReason(word)
    last = parsed.outputs[-1] if parsed.outputs else None
    if not (isinstance(last, dict) and last["type"] in _SERVER_TOOL_BLOCKS):
        parsed.is_terminal = True
