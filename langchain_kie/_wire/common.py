"""Conversions that both codecs need. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from langchain_kie._conversation.cache import add_size, keep_form
from langchain_kie._json import answer_json, json_list, to_json
from langchain_kie._tools.cache import Functions, kept_json
from langchain_kie._warnings import warnings_given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._answer.event import AnswerEvent
    from langchain_kie._catalog import ResolvedModel
    from langchain_kie._conversation.parsed_message import Turn
    from langchain_kie._conversation.prefix import Turns
    from langchain_kie._json import Json
    from langchain_kie._tools.cache import Function

_DETAILS = frozenset(
    f"{side}_tokens_details" for side in ("prompt", "completion", "input", "output")
)
_FIRST = (None, 0, "0")

EMPTY_MESSAGE = "a user message is empty, and KIE rejects empty text"


def deep_merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> Json:
    """`body` with the members of `extra`; objects in both are merged, not replaced."""
    result = dict(body)
    for name, value in extra.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[name] = deep_merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def functions_json(functions: Sequence[Function], convert: Callable[[Function], Json]) -> bytes:
    """The JSON of functions as `convert` returns them, with commas; encoded only once."""
    forms = functions.forms if isinstance(functions, Functions) else {}
    if convert not in forms:
        for function in functions:
            if convert not in function.forms:
                function.forms[convert] = kept_json(to_json(convert(function)))
        forms[convert] = b",".join([function.forms[convert] for function in functions])
    return forms[convert]


def turn_json(
    turn: Turn,
    target: ResolvedModel,
    convert: Callable[[Turn, ResolvedModel, Sequence[Turn]], list[Json]],
    before: Sequence[Turn],
) -> Sequence[bytes | Json]:
    """The messages of a turn as `convert` returns them; as one JSON text if that is kept.

    It is kept as the form `(convert, target.name)` of the turn.

    Args:
        turn: The turn.
        target: The model.
        convert: Converts a turn, joined with those before it.
        before: The turns to join, mostly none.
    """
    if before or turn.forms is None:
        return [*convert(turn, target, before)]
    warnings = warnings_given()
    encoded = to_json(convert(turn, target, before))[1:-1]
    if warnings != warnings_given():
        return [encoded]
    return keep_form(turn.forms, (convert, target.name), encoded)


class ConvertTurns(Protocol):
    """Converts turns to the messages of a request; `is_started` if others are before them."""

    def __call__(
        self, turns: Sequence[Turn], target: ResolvedModel, *, is_started: bool
    ) -> list[bytes | Json]: ...


def conversation_json(turns: Turns, target: ResolvedModel, convert: ConvertTurns) -> list[Any]:
    """The messages of a conversation as `convert` returns them; of the prefix, only new ones.

    Args:
        turns: The conversation.
        target: The model.
        convert: Converts the turns.
    """
    prefix, form = turns.prefix, (convert, target.name)
    if prefix is None:
        return json_list(convert(turns, target, is_started=False))
    encoded, count = prefix.json.get(form, (b"", 0))
    if count < len(prefix.turns):
        known = [encoded] if encoded else []
        warnings = warnings_given()
        added = convert(prefix.turns[count:], target, is_started=count > 0)
        pieces = [item if isinstance(item, bytes) else to_json(item) for item in added]
        joined = b",".join([*known, *pieces])
        if warnings == warnings_given():
            add_size(len(joined) - len(encoded))
            prefix.json[form] = joined, len(prefix.turns)
        encoded = joined
    return json_list([encoded, *convert(turns.new, target, is_started=True)])


def arguments_text(arguments: Any) -> str:
    """The arguments of a tool call as JSON text, from text or from an object."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else to_json(arguments).decode()


def received_arguments(arguments: Any) -> str:
    """As `arguments_text`, for arguments that a model wrote: those that are no JSON are kept."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else answer_json(arguments)


def id_text(call_id: Any) -> str | None:
    """The id of a tool call, which can be a number; `None` if it is empty."""
    return str(call_id) if isinstance(call_id, int) else call_id or None


def require_text(value: Any) -> str:
    """Return a value that must be a string.

    Raises:
        TypeError: It is not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {type(value).__name__}")
    return value


def set_usage(parsed: AnswerEvent, usage: Any, parse: Callable[[Json], UsageMetadata]) -> None:
    """Set the token counts of an event; counts that are all zero are none."""
    counts = _readable_counts(usage)
    for name, count in counts.items():
        if count and name not in _DETAILS:
            parsed.usage, parsed.parse_usage = counts, parse
            return


_MAX_COUNT = 10**15


def _readable_counts(usage: Any) -> Json:
    """The counts in a usage, and in its objects, that are numbers; some servers send text.

    One is at most `_MAX_COUNT`, because a checkpoint cannot store every integer.
    """
    counts: Json = {}
    for name, value in usage.items() if isinstance(usage, dict) else ():
        if name in _DETAILS:
            counts[name] = _readable_counts(value)
            continue
        if value.__class__ is int and 0 <= value <= _MAX_COUNT:
            counts[name] = value
            continue
        try:
            number = int(float(value)) if isinstance(value, str) else int(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if number >= 0:
            counts[name] = min(number, _MAX_COUNT)
    return counts


def usage_metadata(
    prompt: int, answer: int, input_details: Json, output_details: Json
) -> UsageMetadata:
    """Token counts in LangChain's format.

    Args:
        prompt: The tokens of the prompt.
        answer: The tokens of the answer, with its reasoning.
        input_details: Details of the prompt's tokens; `None` for unknown counts.
        output_details: Details of the answer's tokens; `None` for unknown counts.
    """
    usage: Json = {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer}
    for side, details in ("input", input_details), ("output", output_details):
        if known := {name: count for name, count in details.items() if count is not None}:
            usage[f"{side}_token_details"] = known
    return cast("UsageMetadata", usage)


def copy_metadata(source: Json, names: Mapping[str, str], parsed: AnswerEvent) -> None:
    """Add the members of `source` that have a name in `response_metadata`."""
    for member, value in source.items():
        if value and member in names:
            parsed.metadata[names[member]] = value


def first_choice(event: Json, name: str, parsed: AnswerEvent) -> Json:
    """Of the choices in the member `name`, the one with index 0, else the first.

    `parsed` gets the others, which are parsed only if one of them is the answer.
    """
    from langchain_kie._wire import parse_event  # noqa: PLC0415 - it imports this module

    choices = event[name]
    first: Json = next((item for item in choices if item.get("index") in _FIRST), choices[0])
    parsed.others = [
        partial(parse_event, {**event, name: [other]}) for other in choices if other is not first
    ]
    return first
