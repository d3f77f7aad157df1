"""All that LangChain takes as a tool, in one form for all dialects.

Pure. Knows LangChain's, MCP's and Gemini's forms of a tool. Knows nothing of wire bodies.
"""

from __future__ import annotations

import inspect
import re
import weakref
from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool, create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_function
from langchain_core.utils.pydantic import is_basemodel_subclass
from typing_extensions import is_typeddict

from langchain_kie._catalog import BUILTIN_TOOLS, BUILTIN_TOOLS_BY_NAME
from langchain_kie._json_schema.keywords import without_titles
from langchain_kie._json_schema.normalize import for_chat_completions

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie._json import Json


_LEGAL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_WIRE_NAMES = frozenset(tool.wire_name for tool in BUILTIN_TOOLS)
_PARAMETERS = (
    "parameters",
    "input_schema",
    "inputSchema",
    "parametersJsonSchema",
    "parameters_json_schema",
)
"""Where OpenAI, Anthropic, MCP and Gemini have a function's schema."""

_DECLARATIONS = ("functionDeclarations", "function_declarations")
_UNIONS = frozenset({"$ref", "anyOf", "oneOf", "allOf"})


def normalize_tool(
    tool: Json | type | Callable[..., Any] | BaseTool, strict: bool | None = None
) -> list[Json]:
    """A tool as OpenAI function tools and `{"type": <built-in>, ...}`; mostly it is one.

    Gemini's `{"functionDeclarations": [...]}` is several, and so is a dict that names more
    than one built-in.

    Args:
        tool: What LangChain takes as a tool, an MCP server's or a Gemini SDK's tool, or a dict
            in any of their forms.
        strict: Set on the function, for a dialect that has a place for it; its schema stays as
            it is.

    Raises:
        ValueError: It is of no known form, or its name is illegal.
    """
    given = _as_dict(tool)
    if given is None:
        return [_tool(_remembered(tool), strict)]
    declared: list[Any] = next((given[key] for key in _DECLARATIONS if given.get(key)), [])
    rest = {key: value for key, value in given.items() if key not in _DECLARATIONS}
    tools = [_tool(_function_of(_as_dict(one) or {}), strict) for one in declared]
    builtins = _builtins(rest)
    return [*tools, *builtins] if tools or builtins else [_tool(_function_of(given), strict)]


def _as_dict(tool: Any) -> Json | None:
    """A tool that is data: a dict, or an SDK's object that can be written as one."""
    if isinstance(tool, dict):
        return tool
    dump = getattr(tool, "model_dump", None)
    if dump is None or isinstance(tool, (type, BaseTool)):
        return None
    dumped: Json = dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _tool(function: Json, strict: bool | None) -> Json:
    return {
        "type": "function",
        "function": function | ({} if strict is None else {"strict": strict}),
    }


def _builtins(tool: Json) -> list[Json]:
    """The built-in tools that a dict asks for, in any of its four forms."""
    name = str(tool.get("type"))
    if name == "function":
        function = tool.get("function") or {}
        known = BUILTIN_TOOLS_BY_NAME.get(function.get("name", ""))
        has_schema = (function.get("parameters") or {}).get("properties")
        return [{"type": known.name}] if known and not has_schema else []
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


def _function_of(tool: Json) -> Json:
    """The function that a dict defines.

    Raises:
        ValueError: It defines none.
    """
    specified = tool.get("function") or tool.get("toolSpec") or tool
    schema = next((specified[key] for key in _PARAMETERS if key in specified), None)
    if "toolSpec" in tool:
        schema = (schema or {}).get("json")
    if "name" not in specified and ("properties" in specified or "title" in specified):
        about = ("title", "description")
        schema = {key: value for key, value in specified.items() if key not in about}
        specified = {"name": specified.get("title"), "description": specified.get("description")}
    if not specified.get("name"):
        raise ValueError(
            f"a tool has no name (a JSON schema needs a title); it holds {sorted(map(str, tool))}"
        )
    return _function(
        specified["name"], specified.get("description"), schema, specified.get("strict")
    )


def _function(name: Any, description: str | None, schema: Any, strict: Any = None) -> Json:
    """A function's definition.

    Raises:
        ValueError: The name, or the schema, cannot be sent.
    """
    if not isinstance(name, str) or not _LEGAL_NAME.fullmatch(name):
        raise ValueError(
            f"a tool cannot be named {name!r}: Gemini takes a letter or _ first, then letters, "
            "digits, and _ . : - (ASCII only), 64 in all"
        )
    if name in _WIRE_NAMES:
        raise ValueError(f"a function cannot be named {name!r}: KIE takes it for Gemini's own tool")
    members = {
        "description": description,
        "parameters": object_schema(schema, name),
        "strict": strict,
    }
    return {"name": name, **{key: value for key, value in members.items() if value is not None}}


def object_schema(schema: Any, name: str) -> Json | None:
    """A function's schema, which must be one object, whatever alternatives it has.

    Raises:
        ValueError: It is none.
    """
    if schema is None or schema is True:
        return None
    if not isinstance(schema, dict):
        raise ValueError(f"the parameters of {name!r} are no JSON schema")
    if not _UNIONS.isdisjoint(schema):
        plain = for_chat_completions(schema)
        if "anyOf" in plain:
            schema = _one_object(plain)
    kind = schema.get("type") or next((k for k in ("enum", "const") if k in schema), "object")
    if str(kind).lower() != "object":
        raise ValueError(f"the parameters of {name!r} must be an object, not {kind!r}")
    return schema if "type" in schema or "$ref" in schema else {"type": "object", **schema}


def _one_object(plain: Json) -> Json:
    """Alternative objects as one that has the properties of all."""
    branches = [branch for branch in plain["anyOf"] if branch.get("type") == "object"]
    properties: dict[str, list[Any]] = {}
    for branch in branches:
        for key, schema in branch.get("properties", {}).items():
            kinds = properties.setdefault(key, [])
            kinds += [] if schema in kinds else [schema]
    required = [k for k in properties if all(k in b.get("required", ()) for b in branches)]
    forms = [" and ".join(branch.get("required", ())) or "nothing" for branch in branches]
    told = f"What is needed: {', or '.join(forms)}."
    return {
        "type": "object",
        "description": " ".join(filter(None, (plain.get("description"), told))),
        "properties": {k: v[0] if len(v) == 1 else {"anyOf": v} for k, v in properties.items()},
        "required": required,
    }


# --- tools that are code --------------------------------------------------------------------

_memory: dict[int, tuple[weakref.ref[Any], tuple[Any, ...], Json]] = {}
"""Functions by the id of what they were made of, for as long as that lives."""

_STAMP = (
    "name",
    "description",
    "args_schema",
    "__name__",
    "__doc__",
    "__code__",
    "__pydantic_core_schema__",
)
"""What a tool's function is made of: when one is another, the function is made anew."""


def _remembered(tool: Any) -> Json:
    """The function of a tool that is code, made once: to make it takes a millisecond."""
    parts = [getattr(tool, name, None) for name in _STAMP]
    # A class's schema holds the class, so a stamp must hold neither.
    stamp = tuple(part if isinstance(part, str) else id(part) for part in parts)
    known = _memory.get(id(tool))
    if known and known[0]() is tool and known[1] == stamp:
        return known[2]
    function = _function_of_code(tool)
    if isinstance(getattr(tool, "args_schema", None), dict):
        return function
    key = id(tool)
    try:
        reference = weakref.ref(tool, lambda _: _memory.pop(key, None))
    except TypeError:
        return function
    _memory[key] = (reference, stamp, function)
    return function


def _function_of_code(tool: Any) -> Json:
    """The function of a class, a Python function or a `BaseTool`; references stay in it.

    LangChain's own conversion puts references in their place, without a bound to what that
    makes, and loses what a recursion leads to.
    """
    if isinstance(tool, BaseTool) and tool.args_schema is not None:
        schema = tool.tool_call_schema
        schema = schema if isinstance(schema, dict) else schema_of(schema)
        return _function_of_schema(schema, tool.name, tool.description)
    if isinstance(tool, type) and is_basemodel_subclass(tool):
        schema = schema_of(tool)
        doc = inspect.cleandoc(vars(tool).get("__doc__") or "")
        return _function_of_schema(schema, schema.get("title") or tool.__name__, doc)
    is_plain_tool = isinstance(tool, BaseTool) or is_typeddict(tool)
    if is_plain_tool or not callable(tool) or isinstance(tool, type):
        made = convert_to_openai_function(tool)
        return _function(made["name"], made.get("description"), made.get("parameters"))
    name = getattr(tool, "__name__", type(tool).__name__)
    model = create_schema_from_function(
        name, tool, filter_args=(), parse_docstring=True, include_injected=False
    )
    return _function_of_schema(schema_of(model), name, model.__doc__)


def schema_of(model: Any) -> Json:
    """The JSON schema of a pydantic class, of either version."""
    schema: Json = (
        model.model_json_schema() if hasattr(model, "model_json_schema") else model.schema()
    )
    return schema


def _function_of_schema(
    schema: Json, name: str | None = None, description: str | None = None
) -> Json:
    title, told = schema.get("title"), schema.get("description", "")
    parameters = {k: v for k, v in schema.items() if k not in {"title", "description"}}
    return _function(name or title, description or told, without_titles(parameters))
