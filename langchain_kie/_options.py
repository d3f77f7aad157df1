"""The options of one call, checked against the catalog, in one form for all APIs.

No I/O. Depends on the catalog's rules; independent of request bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME, EFFORTS
from langchain_kie._json import without_none
from langchain_kie._parameter_names import check_unknown
from langchain_kie._settings import (
    ALIASES,
    CALL_ONLY,
    GENERATION_PARAMETERS,
    OPTION_NAMES,
    OTHER_NAMES,
    MediaUpload,
    ModelOptions,
    checked_range,
    stop_list,
)
from langchain_kie._tools.answer_function import build_answer_function, needs_answer_function
from langchain_kie._tools.cache import Function, cached_function, normalize_tools
from langchain_kie._tools.choice import ToolChoice, normalize_tool_choice
from langchain_kie._tools.structured_output import build_response_format
from langchain_kie._warnings import warn
from langchain_kie.errors import KieConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from langchain_kie._catalog import Api, ResolvedModel, Route

_MEDIA_UPLOADS = get_args(MediaUpload)
_OPTIONS = (*OPTION_NAMES, *CALL_ONLY)

_MIME_TYPES = (None, "application/json", "text/plain")


@dataclass(kw_only=True)
class Options(ModelOptions):
    """The options of one call; not to be changed.

    Attributes:
        generation: The generation parameters that are set.
        stop: Stop sequences, as a list.
        functions: The caller's tools, as OpenAI function definitions (the inner object).
        builtins: Gemini's built-in tools: catalog names, each with its configuration.
        tool_choice: Which tools the model may or must call.
        parallel_tool_calls: Whether the model may make several calls at once.
        require_tool_call: If true, an answer without the tool call that `tool_choice` requires is
            an error, as is a call of an unknown function in place of JSON; and JSON is converted
            to the types of `answer_schema`. If false, the parser of structured output does this.
        response_format: OpenAI's form, `json_schema` or `json_object`.
        answer_function: The name of the function, if any, whose arguments are the answer.
        answer_schema: The schema of an answer that is JSON.
        extra: Additional members of the body, as the user wrote them.
    """

    generation: Mapping[str, float] = field(default_factory=dict)
    stop: Sequence[str] = ()
    functions: Sequence[Function] = ()
    builtins: Sequence[tuple[str, dict[str, Any]]] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    require_tool_call: bool = True
    response_format: dict[str, Any] | None = None
    answer_function: str | None = None
    answer_schema: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def options_for(
    call_kwargs: dict[str, Any],
    model_defaults: Mapping[str, Any],
    model: ResolvedModel,
    extra: Mapping[str, Any],
) -> Options:
    """The options of one call: the call's values, else the model's.

    Args:
        call_kwargs: The call's keyword arguments under their field names; unknown ones are sent
            in the body unchanged, with a warning.
        model_defaults: The model's values of `OPTION_NAMES`.
        model: The model and API of the call.
        extra: Additional members of the body, from the model.

    Raises:
        ValueError: A tool, a choice or a combination cannot be sent.
    """
    if not OTHER_NAMES.isdisjoint(call_kwargs):
        call_kwargs = _with_known_names(call_kwargs)
    values: dict[str, Any] = dict(model_defaults)
    values.update(
        (n, value) for n, value in call_kwargs.items() if n in values and value is not None
    )
    numbers = {name: values.pop(name) for name in GENERATION_PARAMETERS}
    if values["media_upload"] not in _MEDIA_UPLOADS:
        raise KieConfigurationError(
            f"media_upload must be one of {', '.join(_MEDIA_UPLOADS)}; "
            f"got {values['media_upload']!r}"
        )
    values["stop"] = stop_list(values["stop"])
    values["reasoning_effort"] = _effort_for(values["reasoning_effort"], model)
    options = Options(
        generation={n: checked_range(n, v) for n, v in numbers.items() if v is not None},
        **values,
        **_tool_options(call_kwargs, model.route if values["check_combinations"] else None),
        parallel_tool_calls=call_kwargs.get("parallel_tool_calls"),
        require_tool_call=call_kwargs.get("require_tool_call", True),
        extra={**extra, **_unknown(call_kwargs)},
    )
    if options.check_combinations:
        _check_features(options, model)
    return options


def _with_known_names(call_kwargs: dict[str, Any]) -> dict[str, Any]:
    """The call's keyword arguments, with OpenAI's older names and Google's names replaced.

    Raises:
        ValueError: An option is given under two names, or the MIME type is unknown.
    """
    others = {name: call_kwargs.get(name) for name in OTHER_NAMES}
    mime_type = others["response_mime_type"]
    if mime_type not in _MIME_TYPES:
        raise ValueError(
            f"response_mime_type must be {' or '.join(filter(None, _MIME_TYPES))}; "
            f"got {mime_type!r}"
        )
    schema = others["response_json_schema"] or others["response_schema"]
    if schema is None and mime_type == "application/json":
        schema = {"type": "json_object"}
    tools, choice = others["functions"], others["function_call"]
    renamed = without_none(tools=tools, tool_choice=choice, response_format=schema)
    known = {name: value for name, value in call_kwargs.items() if name not in OTHER_NAMES}
    for name in renamed:
        if known.get(name) is not None:
            raise ValueError(f"{name} is given twice, once under another name")
    return known | renamed


def _tool_options(call_kwargs: dict[str, Any], route: Route | None) -> dict[str, Any]:
    """The options for tools and for the answer's schema, which may become one more function.

    Args:
        call_kwargs: The call's keyword arguments.
        route: The rules to apply, `None` for none.
    """
    functions, builtins = normalize_tools(call_kwargs.get("tools") or ())
    choice = call_kwargs.get("tool_choice")
    if choice is not None:
        choice = normalize_tool_choice(choice, [function["name"] for function in functions])
    if choice and choice.mode == "none":
        builtins = []
    if choice and choice.mode == "required" and not functions:
        raise ValueError(
            f"tool_choice {call_kwargs['tool_choice']!r} requires a call, but no function is bound"
        )
    answer_function = None
    response_format = call_kwargs.get("response_format")
    answer_schema = None
    if response_format is not None:
        response_format = build_response_format(response_format, None)
        answer_schema = (response_format.get("json_schema") or {}).get("schema")
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
        "answer_schema": answer_schema,
    }


def _unknown(call_kwargs: dict[str, Any]) -> dict[str, Any]:
    unknown = {name: call_kwargs[name] for name in call_kwargs if name not in _OPTIONS}
    return check_unknown(unknown, (*_OPTIONS, *ALIASES), "not a known option") if unknown else {}


def _effort_for(effort: str | None, model: ResolvedModel) -> str | None:
    """The `reasoning_effort` to send: the nearest known value, with a warning.

    Where the catalog has no rules, it is sent in any case; a value that is not known of the model
    on another API is warned of, once.

    Raises:
        KieConfigurationError: The value is unknown. `model_kwargs` sends a value unchanged.
    """
    if effort is None:
        return None
    name = effort.lower() if isinstance(effort, str) else None
    known = model.route.efforts
    if known is None and name is not None:
        if name not in _efforts_elsewhere(model):
            _warn_of_unknown_effort(model.name, model.api, name)
        return name
    known = known or ()
    if name in known:
        return name
    if name not in EFFORTS:
        raise KieConfigurationError(
            f"reasoning_effort must be one of {', '.join(known or EFFORTS)}; got {effort!r}",
            model=model.name,
        )
    rank = EFFORTS.index(name)
    nearest = min(reversed(known), key=lambda e: abs(EFFORTS.index(e) - rank), default=None)
    instead = f"{nearest!r} is sent instead" if nearest else "it is not sent"
    warn(f"{model.name} is not known to accept reasoning_effort {name!r}; {instead}")
    return nearest


def _efforts_elsewhere(model: ResolvedModel) -> Collection[str]:
    """The efforts that a model accepts on any API; all of them if it is not in the catalog."""
    if model.spec is None:
        return EFFORTS
    return {effort for route in model.spec.routes.values() for effort in route.efforts or ()}


@lru_cache(maxsize=256)
def _warn_of_unknown_effort(name: str, api: Api, effort: str) -> None:
    """Warn, once, of an effort that is sent although nothing is known of it."""
    warn(f"{name} is not known to accept reasoning_effort {effort!r} on {api}; it is sent anyway")


def _check_features(options: Options, model: ResolvedModel) -> None:
    """Refuse a combination of features that KIE documents as impossible.

    Raises:
        ValueError: The call uses such a combination; nothing was sent.
    """
    used = {BUILTIN_TOOLS_BY_NAME[name].feature for name, _ in options.builtins}
    if options.functions:
        used.add("functions")
    if options.response_format:
        used.add("response_format")
    for pair in model.route.exclusive:
        if pair <= used:
            raise ValueError(
                f"{model.name} does not support {' and '.join(sorted(pair))} in one request "
                f"({model.api}); make two calls, or set check_combinations=False to send both"
            )
