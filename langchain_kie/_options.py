"""What a call asks for besides its messages, checked and in one form for all dialects.

Pure. Knows the catalog's rules. Knows nothing of wire bodies.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from langchain_kie._settings import INLINE_MEDIA_LIMIT, OPTION_NAMES, MediaUpload, stop_list
from langchain_kie._tools.answer_function import build_answer_function, needs_answer_function
from langchain_kie._tools.cache import Function, cached_function, normalize_tools
from langchain_kie._tools.choice import ToolChoice, normalize_tool_choice
from langchain_kie._tools.structured_output import build_response_format
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie._catalog import Feature, ResolvedModel, Route

_MEDIA_UPLOADS = get_args(MediaUpload)

_KNOWN = {*OPTION_NAMES, "tools", "tool_choice", "parallel_tool_calls", "response_format"}

_NEAREST_EFFORT = {
    "none": "low",
    "minimal": "low",
    "medium": "high",
    "max": "high",
    "xhigh": "high",
}


@dataclass(slots=True, kw_only=True)
class Options:
    """The options of one call; not to be changed.

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
        answer_function: The function, if any, whose arguments are the answer.
        media_upload: Which media are uploaded: `auto`, `always` or `never`.
        inline_media_limit: Bytes of media that may go inline together.
        require_media_seen: Whether an answer whose prompt was counted too small is refused.
        detect_error_text: Whether an upstream's error message is no answer.
        extra: Further members of the body, as the user wrote them.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    reasoning_effort: str | None = None
    include_thoughts: bool | None = None
    functions: Sequence[Function] = ()
    builtins: Sequence[tuple[str, dict[str, Any]]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    answer_function: str | None = None
    media_upload: MediaUpload = "auto"
    inline_media_limit: int = INLINE_MEDIA_LIMIT
    require_media_seen: bool = False
    detect_error_text: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


def options_for(
    call_kwargs: dict[str, Any],
    model_defaults: Mapping[str, Any],
    target: ResolvedModel,
    extra: Mapping[str, Any],
) -> Options:
    """The options of one call: what was asked for, else the model's own.

    Args:
        call_kwargs: The call's keyword arguments, by their proper names; what is no option is sent
            in the body as it is.
        model_defaults: The model's values of `OPTION_NAMES`.
        target: Where the call goes.
        extra: Further members of the body, from the model.

    Raises:
        ValueError: A tool, a choice or a combination cannot be sent.
    """
    set_ = dict(model_defaults)
    set_.update(
        (n, value) for n, value in call_kwargs.items() if n in model_defaults and value is not None
    )
    check = set_.pop("check_combinations")
    set_["stop"] = stop_list(set_["stop"])
    if set_["media_upload"] not in _MEDIA_UPLOADS:
        raise KieConfigurationError(
            f"media_upload {set_['media_upload']!r} is none of {', '.join(_MEDIA_UPLOADS)}"
        )
    set_["reasoning_effort"] = _effort_for(set_["reasoning_effort"], target)
    options = Options(
        **set_,
        **_tool_options(call_kwargs, target.route if check else None),
        parallel_tool_calls=call_kwargs.get("parallel_tool_calls"),
        extra={**extra, **_unknown(call_kwargs)},
    )
    if check:
        _check_features(options, target)
    return options


def _tool_options(call_kwargs: dict[str, Any], route: Route | None) -> dict[str, Any]:
    """The options that have to do with tools, and the answer's form, which may become one.

    Args:
        call_kwargs: The call's keyword arguments.
        route: The rules to keep, `None` to try without.
    """
    functions, builtins = normalize_tools(call_kwargs.get("tools") or ())
    choice = call_kwargs.get("tool_choice")
    if choice is not None:
        choice = normalize_tool_choice(choice, [function["name"] for function in functions])
    if choice and choice.mode == "none":
        builtins = []
    if choice and choice.mode == "required" and not functions:
        raise ValueError(f"tool_choice {call_kwargs['tool_choice']!r} asks for a call, of no tool")
    answer_function = None
    response_format = call_kwargs.get("response_format")
    if response_format is not None:
        response_format = build_response_format(response_format, None)
    if choice and choice.mode == "none" and response_format:
        functions = []
    if route and response_format and needs_answer_function(response_format, functions, route):
        function = cached_function(build_answer_function(response_format, functions))
        answer_function = function["name"]
        functions, response_format = [*functions, function], None
        if not choice or choice.mode != "required":
            choice = ToolChoice("required")
    return {
        "functions": functions,
        "builtins": builtins,
        "tool_choice": choice if functions else None,
        "response_format": response_format,
        "answer_function": answer_function,
    }


def _unknown(call_kwargs: dict[str, Any]) -> dict[str, Any]:
    unknown = {name: value for name, value in call_kwargs.items() if name not in _KNOWN}
    if unknown:
        warnings.warn(
            f"{', '.join(sorted(unknown))}: no option of a call; sent in the request's body "
            "as given",
            stacklevel=5,
        )
    return unknown


def _effort_for(effort: str | None, target: ResolvedModel) -> str | None:
    """The `reasoning_effort` to send: the nearest that the model documents, with a warning.

    To send another value raw, put it into `model_kwargs`.
    """
    known = target.route.efforts
    if effort is None or known is None:
        return effort
    effort = effort.lower()
    if effort in known:
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


def _check_features(options: Options, target: ResolvedModel) -> None:
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
                f"({target.api}); make two calls, or try with check_combinations=False"
            )
