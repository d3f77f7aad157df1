"""Tool choices in all forms that LangChain users have, in one form.

Pure. Reads the forms of LangChain, OpenAI, Anthropic and Gemini; independent of request bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_kie._json import Json

Mode: TypeAlias = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the model must do about functions.

    Attributes:
        mode: `auto` (it decides), `none` (no call) or `required` (at least one call).
        names: The functions that it may call when `mode` is `required`; empty for all.
    """

    mode: Mode
    names: tuple[str, ...] = ()


_MODES: Mapping[str, Mode] = {
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
    """Convert a tool choice in the form of LangChain, OpenAI, Anthropic or Gemini.

    Args:
        choice: `None`, a mode, `True` (must call), `False` (must not), a function's name or
            names, or a dict.
        names: The names of the bound functions.

    Returns:
        The tool choice, or `None` if there is none.

    Raises:
        ValueError: The choice names a function that is not bound, or has an unknown form.
    """
    if choice is None or isinstance(choice, ToolChoice):
        return choice
    if isinstance(choice, dict):
        return _choice_from_dict(choice, names)
    if isinstance(choice, bool):
        return ToolChoice("required" if choice else "none")
    if isinstance(choice, str):
        if choice in _MODES and choice not in names:
            return ToolChoice(_MODES[choice])
        choice = [choice]
    return _choice_of_names(choice, choice, names)


def _unknown_form(choice: Any) -> ValueError:
    return ValueError(f"tool_choice {choice!r:.200} has an unknown form")


def _choice_of_names(chosen: Any, choice: Any, names: Sequence[str]) -> ToolChoice:
    is_list = isinstance(chosen, (list, tuple)) and all(isinstance(name, str) for name in chosen)
    if not is_list or not chosen:
        raise _unknown_form(choice)
    unknown = [name for name in chosen if name not in names]
    if builtins := [name for name in unknown if name in BUILTIN_TOOLS_BY_NAME]:
        raise ValueError(
            f"tool_choice names {builtins}, but only functions can be chosen; the model decides "
            "when to use a built-in tool"
        )
    if unknown:
        raise ValueError(f"tool_choice names {unknown}, but the bound tools are {list(names)}")
    return ToolChoice("required", tuple(dict.fromkeys(chosen)))


def _choice_from_dict(choice: Json, names: Sequence[str]) -> ToolChoice:
    config = choice.get("functionCallingConfig") or choice.get("function_calling_config")
    allowed = choice.get("allowed_tools")
    chosen: Any = ()
    if isinstance(config, dict):  # Gemini
        mode = config.get("mode", "any")
        chosen = config.get("allowedFunctionNames") or config.get("allowed_function_names") or ()
    elif allowed or choice.get("type") == "allowed_tools":  # OpenAI
        allowed = allowed or choice
        if not isinstance(allowed, dict):
            raise _unknown_form(choice)
        mode = allowed.get("mode", "auto")
        tools = allowed.get("tools") or ()
        chosen = [_name_in(tool) for tool in tools] if isinstance(tools, (list, tuple)) else tools
    else:
        name = _name_in(choice)
        mode = choice.get("type") or next(iter(choice), "")
        if isinstance(mode, str) and (mode in BUILTIN_TOOLS_BY_NAME or mode in names):
            name = mode
        mode, chosen = ("any", [name]) if name else (mode, ())
    mode = _MODES.get(str(getattr(mode, "value", mode) or "").lower())
    if mode is None:
        raise _unknown_form(choice)
    if not chosen:
        return ToolChoice(mode)
    if mode == "auto":
        raise ValueError(
            f"tool_choice {choice!r} restricts the callable tools but requires no call, which KIE "
            "does not support: bind only the tools that may be called"
        )
    return _choice_of_names(chosen, choice, names) if mode == "required" else ToolChoice(mode)


def _name_in(tool: Any) -> Any:
    """The name of a function: of a definition, of a reference to it, or itself."""
    if not isinstance(tool, dict):
        return tool
    function = tool.get("function") or tool.get("tool") or tool
    return function.get("name") if isinstance(function, dict) else function
