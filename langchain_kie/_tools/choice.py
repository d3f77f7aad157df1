"""All that LangChain takes as a tool choice, in one form for all dialects.

Pure. Knows OpenAI's, Anthropic's and Gemini's forms. Knows nothing of wire bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie._json import Json


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the model must do: `auto`, `none`, or `required`; of the functions `names`, if any."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "any": "required",
    "auto": "auto",
    "mode_unspecified": "auto",
    "none": "none",
    "required": "required",
    "validated": "auto",
}


def normalize_tool_choice(
    choice: str | bool | Json | Sequence[str] | None, names: Sequence[str]
) -> ToolChoice | None:
    """A tool choice in any of LangChain's, OpenAI's, Anthropic's and Gemini's forms.

    Args:
        choice: `None`, a mode, `True` (must call), `False` (must not), a function's name or
            names, or a dict.
        names: The functions that are bound.

    Raises:
        ValueError: It names a function that is not bound, or has no known form.
    """
    if choice is None or isinstance(choice, ToolChoice):
        return choice
    if isinstance(choice, dict):
        return _choice_of_dict(choice, names)
    if isinstance(choice, bool):
        return ToolChoice("required" if choice else "none")
    if isinstance(choice, str):
        if choice in _MODES and choice not in names:
            return ToolChoice(_MODES[choice])
        choice = [choice]
    if not isinstance(choice, (list, tuple)) or not choice:
        raise ValueError(f"tool_choice {choice!r} has no known form")
    return _choice_of_names(choice, names)


def _choice_of_names(chosen: Sequence[Any], names: Sequence[str]) -> ToolChoice:
    unknown = [name for name in chosen if name not in names]
    if builtins := [name for name in unknown if name in BUILTIN_TOOLS_BY_NAME]:
        raise ValueError(
            f"tool_choice names {builtins}: a built-in tool is used when the model sees fit; "
            "only functions can be chosen"
        )
    if unknown:
        raise ValueError(f"tool_choice names {unknown}, but the bound tools are {list(names)}")
    return ToolChoice("required", tuple(dict.fromkeys(chosen)))


def _choice_of_dict(choice: Json, names: Sequence[str]) -> ToolChoice:
    """What a tool choice that is a dict says: a name, names or a mode."""
    config = choice.get("functionCallingConfig") or choice.get("function_calling_config")
    allowed = choice.get("allowed_tools")
    chosen: Sequence[Any] = ()
    if isinstance(config, dict):
        mode = config.get("mode", "any")
        chosen = config.get("allowedFunctionNames") or config.get("allowed_function_names") or ()
    elif isinstance(allowed, dict) or choice.get("type") == "allowed_tools":
        allowed = allowed or choice
        mode = allowed.get("mode", "auto")
        chosen = [(tool.get("function") or tool).get("name") for tool in allowed.get("tools", ())]
    else:
        function = choice.get("function") or choice.get("tool") or choice
        named = function.get("name") if isinstance(function, dict) else function
        mode = choice.get("type") or next(iter(choice), "")
        if mode in BUILTIN_TOOLS_BY_NAME or mode in names:
            named = mode
        mode, chosen = ("any", [named]) if named else (mode, ())
    mode = _MODES.get(str(getattr(mode, "value", mode) or "").lower())
    if mode is None:
        raise ValueError(f"tool_choice {choice!r} has no known form")
    if not chosen:
        return ToolChoice(mode)
    if mode == "auto":
        raise ValueError(
            f"tool_choice {choice!r} limits what may be called, which KIE cannot say: bind "
            "only the tools that may"
        )
    return _choice_of_names(chosen, names) if mode == "required" else ToolChoice(mode)
