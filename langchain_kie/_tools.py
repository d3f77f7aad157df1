"""All that LangChain takes as a tool or a tool choice, in one form for all dialects.

Pure. Knows LangChain's and Gemini's forms of a tool. Knows nothing of wire bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_kie._catalog import BUILTIN_TOOLS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.tools import BaseTool


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the model must do: `auto`, `none`, or `required`; of the functions `names`, if any."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


def normalize_tool(
    tool: dict[str, Any] | type | Callable[..., Any] | BaseTool, strict: bool | None = None
) -> list[dict[str, Any]]:
    """A tool as OpenAI function tools and `{"type": <built-in>, ...}`; mostly it is one.

    Gemini's `{"functionDeclarations": [...]}` is several, and so is a dict that names more
    than one built-in.
    """
    if isinstance(tool, dict):
        declared = tool.get("functionDeclarations") or tool.get("function_declarations")
        if declared:
            return [_function(declaration, strict) for declaration in declared]
        if builtins := _builtins(tool):
            return builtins
        if tool.get("type") == "function" and "function" in tool:
            return [_function(tool["function"], strict)]
    return [convert_to_openai_tool(tool, strict=strict)]


def _function(declaration: dict[str, Any], strict: bool | None) -> dict[str, Any]:
    if not declaration.get("name"):
        raise ValueError(f"a tool has no name: {sorted(declaration)}")
    function = {k: v for k, v in declaration.items() if v is not None}
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def _builtins(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """The built-in tools that a dict asks for, in any of its four forms."""
    name = str(tool.get("type"))
    if name == "function":
        function = tool.get("function") or {}
        known = BUILTIN_TOOLS_BY_NAME.get(function.get("name", ""))
        return [{"type": known.name}] if known and "parameters" not in function else []
    if name in BUILTIN_TOOLS_BY_NAME:
        config = {k: v for k, v in tool.items() if k != "type"}
        return [{"type": BUILTIN_TOOLS_BY_NAME[name].name, **config}]
    if "type" in tool or "name" in tool:
        return []
    return [
        {"type": BUILTIN_TOOLS_BY_NAME[key].name, **(config if isinstance(config, dict) else {})}
        for key, config in tool.items()
        if key in BUILTIN_TOOLS_BY_NAME
    ]


def split_tools(
    tools: Sequence[Any],
) -> tuple[list[dict[str, Any]], list[tuple[str, dict[str, Any]]]]:
    """Tools as function definitions and built-ins, each once.

    Raises:
        ValueError: Two functions have the same name.
    """
    functions: dict[str, dict[str, Any]] = {}
    builtins: dict[str, dict[str, Any]] = {}
    for tool in tools:
        for normal in normalize_tool(tool):
            if normal["type"] != "function":
                builtins[normal["type"]] = {k: v for k, v in normal.items() if k != "type"}
                continue
            function = normal["function"]
            if functions.setdefault(function["name"], function) is not function:
                raise ValueError(f"two tools are named {function['name']!r}")
    return list(functions.values()), list(builtins.items())


def _chosen(choice: dict[str, Any]) -> Any:
    """What a tool choice that is a dict says: a name, names or a mode."""
    config = choice.get("functionCallingConfig") or choice.get("function_calling_config")
    if config:
        names = config.get("allowedFunctionNames") or config.get("allowed_function_names")
        return names or str(config.get("mode")).lower()
    function = choice.get("function") or {}
    return function.get("name") or choice.get("name") or choice.get("type")


def normalize_tool_choice(
    choice: str | bool | dict[str, Any] | Sequence[str] | None, names: Sequence[str]
) -> ToolChoice | None:
    """A tool choice in any of LangChain's, OpenAI's, Anthropic's and Gemini's forms.

    Args:
        choice: `None`, a mode, `True` (must call), `False` (must not), a function's name or
            names, or a dict.
        names: The functions that are bound.

    Raises:
        ValueError: It names a function that is not bound, or has no known form.
    """
    if choice is None:
        return None
    if isinstance(choice, dict):
        choice = _chosen(choice)
    if isinstance(choice, bool):
        return ToolChoice("required" if choice else "none")
    if isinstance(choice, str):
        if choice in {"auto", "none"} and choice not in names:
            return ToolChoice(choice)  # type: ignore[arg-type]
        if choice in {"any", "required"} and choice not in names:
            return ToolChoice("required")
        choice = [choice]
    if not isinstance(choice, (list, tuple)):
        raise ValueError(f"tool_choice {choice!r} has no known form")
    if unknown := [name for name in choice if name not in names]:
        raise ValueError(f"tool_choice names {unknown}, but the bound tools are {list(names)}")
    return ToolChoice("required", tuple(choice))
