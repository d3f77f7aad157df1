"""What a call asks for besides its messages, checked and in one form for all dialects.

Pure. Knows the catalog's rules. Knows nothing of wire bodies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_kie._catalog import Feature, Target
    from langchain_kie._tools import ToolChoice

_NEAREST_EFFORT = {
    "none": "low",
    "minimal": "low",
    "medium": "high",
    "max": "high",
    "xhigh": "high",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one call.

    Attributes:
        temperature: Sent only when set; likewise the following.
        top_p: Nucleus sampling.
        max_tokens: The longest answer; measured to be ignored by some models.
        stop: Stop sequences.
        reasoning_effort: One of the route's efforts.
        include_thoughts: Whether thoughts come with the answer.
        functions: The client's tools, as OpenAI function definitions (the inner object).
        builtins: Gemini's own tools, as catalog names with their configuration.
        tool_choice: What the model must do about tools.
        parallel_tool_calls: Whether several calls may come at once.
        response_format: OpenAI's form, `json_schema` or `json_object`.
        extra: Further members of the body, as the user wrote them.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    reasoning_effort: str | None = None
    include_thoughts: bool | None = None
    functions: Sequence[dict[str, Any]] = ()
    builtins: Sequence[tuple[str, dict[str, Any]]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def with_effort(self, effort: str | None) -> Options:
        """The same options with another `reasoning_effort`."""
        return replace(self, reasoning_effort=effort)


def effort_for(effort: str | None, target: Target) -> str | None:
    """The `reasoning_effort` to send: the nearest that the model documents, with a warning.

    To send another value raw, put it into `model_kwargs`.
    """
    known = target.route.efforts
    if effort is None or effort in known or target.spec is None:
        return effort
    nearest = _NEAREST_EFFORT.get(effort) if known else None
    if known and nearest is None:
        raise KieConfigurationError(
            f"reasoning_effort {effort!r} is none of {', '.join(known)}", model=target.name
        )
    instead = f"{nearest!r} is sent instead" if nearest else "it is not sent"
    warnings.warn(
        f"{target.name} documents no reasoning_effort {effort!r}; {instead}", stacklevel=2
    )
    return nearest


def check_features(options: Options, target: Target) -> None:
    """Refuse a combination of features that KIE documents as impossible.

    Raises:
        ValueError: It names the features; nothing was sent.
    """
    used: set[Feature] = set()
    if options.functions:
        used.add("functions")
    if options.response_format:
        used.add("response_format")
    if any(name == "google_search" for name, _ in options.builtins):
        used.add("search")
    for pair in target.route.exclusive:
        if pair <= used:
            raise ValueError(
                f"{target.name} takes {' or '.join(sorted(pair))} in a request, not both "
                f"({target.api}); make two calls, or use a route without this rule"
            )
