"""What both codecs need. Pure; knows the forms that both dialects share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._json import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._json import Json
    from langchain_kie._tools.cache import Function


def without_none(**members: Any) -> dict[str, Any]:
    """The members that are set."""
    return {name: value for name, value in members.items() if value is not None}


def merged(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`body` with the members of `extra`; objects in both are merged, not replaced."""
    result = dict(body)
    for name, value in extra.items():
        old = result.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[name] = merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def cached_json(function: Function, form: Callable[[Function], Json]) -> bytes:
    """The JSON of a function in a dialect's form, made once."""
    known = function.forms.get(form)
    if known is None:
        known = function.forms[form] = to_json(form(function))
    return known


def args_text(args: Any) -> str:
    """A call's arguments as JSON text; the wire has them as text or as an object."""
    if isinstance(args, str):
        return args
    return "" if args is None else to_json(args).decode()


def as_text(value: Any) -> str:
    """What must be text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    return value


def usage_of(
    *,
    input_tokens: int,
    output_tokens: int,
    reasoning: int | None = None,
    cache_read: int | None = None,
    input_audio: int | None = None,
    output_audio: int | None = None,
) -> UsageMetadata:
    """LangChain's form of token counts; details only where the wire has them."""
    usage: UsageMetadata = {
        "input_tokens": int(input_tokens),
        "output_tokens": int(output_tokens),
        "total_tokens": int(input_tokens) + int(output_tokens),
    }
    if details := _whole(cache_read=cache_read, audio=input_audio or None):
        usage["input_token_details"] = details  # type: ignore[typeddict-item]
    if details := _whole(reasoning=reasoning, audio=output_audio or None):
        usage["output_token_details"] = details  # type: ignore[typeddict-item]
    return usage


def _whole(**counts: int | None) -> dict[str, int]:
    return {name: int(count) for name, count in counts.items() if count is not None}


def first_choice(choices: list[Json]) -> list[Json]:
    """The choice that is the answer, where a server sends several."""
    if len(choices) == 1 and not choices[0].get("index"):
        return choices
    return [choice for choice in choices if not choice.get("index")][:1]


def first_set(values: Iterable[Any]) -> Any:
    """The first of `values` that is not `None`."""
    return next((value for value in values if value is not None), None)
