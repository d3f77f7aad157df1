"""Tools in all forms that LangChain users have, converted to OpenAI's form.

Pure. Reads the forms of LangChain, OpenAI, Anthropic, MCP, Bedrock and Gemini; independent of
request bodies.
"""

from __future__ import annotations

import inspect
import re
import weakref
from collections.abc import Iterable
from contextlib import suppress
from types import NoneType
from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool, create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_function
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic.errors import PydanticUserError
from typing_extensions import is_typeddict

from langchain_kie._catalog import BUILTIN_TOOLS, BUILTIN_TOOLS_BY_NAME
from langchain_kie._json import without_none
from langchain_kie._json_schema.keywords import type_names, without_titles
from langchain_kie._json_schema.normalize import normalize_schema
from langchain_kie._tools.typed_dicts import typed_dict_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_kie._json import Json


_LEGAL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
ILLEGAL_CHARS = re.compile(r"[^a-zA-Z0-9_]")
_BUILTIN_FUNCTION_NAMES = frozenset(tool.wire_name for tool in BUILTIN_TOOLS)
_PARAMETERS = (
    "parameters",
    "input_schema",
    "inputSchema",
    "parametersJsonSchema",
    "parameters_json_schema",
)
"""The keys of a function's schema, as OpenAI, Anthropic, MCP and Gemini name it."""

_POSITIONAL_ONLY = "v__positional_only"
"""A property that pydantic adds for a function with positional-only parameters (seen in pydantic
2.14). It can go when the schema of such a function does not have it."""

_DECLARATIONS = ("functionDeclarations", "function_declarations")
_COMBINING_KEYWORDS = frozenset({"$ref", "anyOf", "oneOf", "allOf"})


CONVERSION_ERRORS = (
    *(AttributeError, LookupError, NameError, TypeError, ValueError),
    PydanticUserError,
)
"""What LangChain and pydantic raise for code that they cannot convert to a schema."""


def normalize_each(tools: Any, strict: bool | None = None) -> list[Json]:
    """Convert a list of tools; the arguments and the result are those of `normalize_tool`.

    Raises:
        ValueError: A tool has an unknown form or an invalid name, or there is no list.
    """
    is_one = isinstance(tools, (str, dict, type)) or hasattr(tools, "model_dump")
    if is_one or not isinstance(tools, Iterable):
        raise ValueError(f"tools must be a list, as in bind_tools([...]); got {tools!r:.100}")
    return [normalized for tool in tools for normalized in normalize_tool(tool, strict)]


def normalize_tool(
    tool: Json | type | Callable[..., Any] | BaseTool, strict: bool | None = None
) -> list[Json]:
    """Convert a tool to OpenAI's form: function tools, and `{"type": <built-in>, ...}`.

    Args:
        tool: Anything that LangChain takes as a tool, a tool of an MCP server or of a Gemini
            SDK, or a dict in the form of OpenAI, Anthropic, MCP, Bedrock or Gemini.
        strict: Set as `strict` of the functions, for an API that supports it; their schemas are
            not changed.

    Returns:
        Mostly one tool; several for Gemini's `{"functionDeclarations": [...]}`, and for a dict
        that names several built-in tools.

    Raises:
        ValueError: The tool has an unknown form or an invalid name.
    """
    definition = _as_dict(tool)
    builtins: list[Json] = []
    if definition is None:
        functions = [_cached_function_from_code(tool)]
    else:
        declared: Any = next((definition[k] for k in _DECLARATIONS if definition.get(k)), [])
        if not isinstance(declared, (list, tuple)):
            raise ValueError(f"functionDeclarations must be a list; got {declared!r:.100}")
        functions = [_function_from_dict(_as_dict(one) or {}) for one in declared]
        others = {k: v for k, v in definition.items() if k not in _DECLARATIONS}
        builtins = _builtin_tools(others)
        if "type" not in definition:
            others = {k: v for k, v in others.items() if k not in BUILTIN_TOOLS_BY_NAME}
        if not builtins or "type" not in definition:
            _reject_server_tool(others)
        if not functions and not builtins:
            functions = [_function_from_dict(definition)]
    extra = {} if strict is None else {"strict": strict}
    return [*({"type": "function", "function": one | extra} for one in functions), *builtins]


def _as_dict(tool: Any) -> Json | None:
    """A tool that is data: a dict, or the pydantic object of an SDK."""
    if isinstance(tool, dict):
        return tool
    dump = getattr(tool, "model_dump", None)
    if dump is None or isinstance(tool, (type, BaseTool)):
        return None
    return dict(dump(mode="json", by_alias=True, exclude_none=True))


def _member(holder: Json, key: str) -> Json:
    """The object under a key; an empty one if there is none."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _builtin_tools(tool: Json) -> list[Json]:
    """The built-in tools that a dict names, in any of its four forms."""
    name = str(tool.get("type"))
    if name == "function":
        function = _member(tool, "function")
        builtin = BUILTIN_TOOLS_BY_NAME.get(str(function.get("name")))
        has_schema = _member(function, "parameters").get("properties")
        return [{"type": builtin.name}] if builtin and not has_schema else []
    if name in BUILTIN_TOOLS_BY_NAME:
        return [{**tool, "type": BUILTIN_TOOLS_BY_NAME[name].name}]
    if "type" in tool or "name" in tool:
        return []
    return [
        {**_member(tool, key), "type": BUILTIN_TOOLS_BY_NAME[key].name}
        for key in tool
        if key in BUILTIN_TOOLS_BY_NAME
    ]


# --- server tools that KIE does not have ----------------------------------------------------

_ADVICE = (
    (re.compile("search_?retrieval|web_?search"), 'bind {"google_search": {}} instead'),
    (re.compile("web_?fetch"), 'bind {"url_context": {}} instead'),
    (re.compile("code_?(execution|interpreter)"), 'bind {"code_execution": {}} instead'),
    (re.compile("mcp"), "load the tools of the MCP server with langchain-mcp-adapters instead"),
    (re.compile("^custom$"), "bind a function with one string parameter, which takes the text"),
    (re.compile(""), "bind a function that does the same"),
)
"""What there is instead of a tool, by its name in lower case; the first match counts."""

_FUNCTION_TYPES = frozenset({"function", "object"})
_DEFINITION_KEYS = frozenset({"function", "toolSpec", "properties", "title", *_PARAMETERS})
"""Keys of a dict that defines a function."""


def _reject_server_tool(tool: Json) -> None:
    """Reject a dict that names a tool of another server, and defines no function.

    OpenAI and Anthropic have a `type`, Gemini has a key: `{"google_maps": {}}`.

    Raises:
        ValueError: The dict names such a tool; the message says what to use instead.
    """
    if not tool or not tool.keys().isdisjoint(_DEFINITION_KEYS):
        return
    name = tool.get("type")
    if name is None and "name" not in tool:
        name = next((key for key, value in tool.items() if isinstance(value, dict)), None)
    if name and str(name).lower() not in _FUNCTION_TYPES:
        advice = next(text for row, text in _ADVICE if row.search(str(name).lower()))
        raise ValueError(f"KIE has no server tool {name!r}: {advice}")


# --- functions that are data ----------------------------------------------------------------


def _function_from_dict(tool: Json) -> Json:
    """The function that a dict defines.

    Raises:
        ValueError: The dict defines no function.
    """
    function = tool.get("function") or tool.get("toolSpec") or tool
    if not isinstance(function, dict):
        raise ValueError(f"the function of a tool must be a dict; got {function!r:.100}")
    schema = next((function[key] for key in _PARAMETERS if key in function), None)
    if "toolSpec" in tool and isinstance(schema, dict):
        schema = schema.get("json")
    if "name" not in function and ("properties" in function or "title" in function):
        schema = {k: v for k, v in function.items() if k not in {"title", "description"}}
        function = {"name": function.get("title"), "description": function.get("description")}
    if not function.get("name"):
        keys = sorted(map(str, tool))
        raise ValueError(f"a tool has no name (a JSON schema needs a title); its keys are {keys}")
    return _function(function["name"], function.get("description"), schema, function.get("strict"))


def _function(name: Any, description: Any, schema: Any, strict: Any = None) -> Json:
    """The definition of a function.

    Raises:
        ValueError: The name, the description or the schema is invalid.
    """
    if not isinstance(name, str) or not _LEGAL_NAME.fullmatch(name):
        raise ValueError(
            f"tool name {name!r} is invalid: Gemini requires a letter or _, then letters, digits "
            f"and _ . : - (ASCII), at most 128 characters{_name_hint(name)}"
        )
    if name in _BUILTIN_FUNCTION_NAMES:
        raise ValueError(f"a function cannot be named {name!r}: KIE reads it as a built-in tool")
    if not isinstance(description, (str, NoneType)):
        raise ValueError(f"the description of {name!r} must be a string; got {description!r:.100}")
    parameters = to_object_schema(schema, name)
    return without_none(name=name, description=description, parameters=parameters, strict=strict)


def _name_hint(name: Any) -> str:
    """What to do about the name of a generic class, which LangChain's `ToolStrategy` uses."""
    generic = re.fullmatch(r"(\w+)\[.*\]", name) if isinstance(name, str) else None
    return f"; use a subclass: class My{generic[1]}({name}): ..." if generic else ""


def legal_name(title: str) -> str:
    """A name for a function that is made from a schema: its title, if a function can have it."""
    if _LEGAL_NAME.fullmatch(title):
        return title
    name = ILLEGAL_CHARS.sub("_", title)[:48]
    return name if name[:1].isalpha() else f"answer_{name}"


def to_object_schema(schema: Any, name: str) -> Json | None:
    """The schema of a function, which must be one object; alternatives are merged into one.

    Args:
        schema: A JSON schema; `None` or `True` for no schema.
        name: The name of the function, for the error message.

    Raises:
        ValueError: The schema is not that of an object.
    """
    if schema is None or schema is True:
        return None
    if not isinstance(schema, dict):
        raise ValueError(f"the parameters of {name!r} are not a JSON schema")
    schema = {k: v for k, v in schema.items() if k != "nullable"}
    if "type" in schema:  # the arguments of a call are never null, whatever a value says
        values = schema.get("enum", [schema.get("const", "")])
        if isinstance(values, list) and None in values:
            schema = {k: v for k, v in schema.items() if k not in {"enum", "const"}}
    kinds = type_names(schema.get("type"))
    if not _COMBINING_KEYWORDS.isdisjoint(schema):
        normalized = normalize_schema(schema)
        if normalized.keys().isdisjoint(("anyOf", "type", "enum", "const")):
            normalized = normalize_schema({**schema, "type": "object"})
        if "anyOf" in normalized:
            kinds = [branch.get("type", "object") for branch in normalized["anyOf"]]
            schema = _merge_alternatives(normalized)
        else:
            kinds = type_names(normalized.get("type"))
    kinds = kinds or [key for key in ("enum", "const") if key in schema] or ["object"]
    if "object" not in kinds:
        raise ValueError(f"the parameters of {name!r} must be an object, not {kinds[0]!r}")
    return schema if type_names(schema.get("type")) == ["object"] else {**schema, "type": "object"}


def _merge_alternatives(schema: Json) -> Json:
    """Merge alternative objects into one object, which has the properties of all."""
    branches = [branch for branch in schema["anyOf"] if branch.get("type") == "object"]
    if len(branches) == 1:
        return {**branches[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    properties: dict[str, list[Any]] = {}
    for branch in branches:
        for key, inner in branch.get("properties", {}).items():
            seen = properties.setdefault(key, [])
            seen += [] if inner in seen else [inner]
    required = [set(branch.get("required", ())) for branch in branches]
    forms = [" and ".join(branch.get("required", ())) or "nothing" for branch in branches]
    sentence = f"Required: {', or '.join(forms)}." if any(required) else None
    return {
        "type": "object",
        "description": " ".join(filter(None, (schema.get("description"), sentence))),
        "properties": {k: v[0] if len(v) == 1 else {"anyOf": v} for k, v in properties.items()},
        "required": [key for key in properties if all(key in names for names in required)],
    }


# --- tools that are code --------------------------------------------------------------------

_functions_from_code: dict[int, tuple[weakref.ref[Any], tuple[Any, ...], Json]] = {}
"""Converted tools by `id`: the tool, its fingerprint, and its function, while the tool lives."""

_FINGERPRINT_ATTRIBUTES = (
    "name",
    "description",
    "args_schema",
    "__name__",
    "__doc__",
    "__code__",
    "__pydantic_core_schema__",
)
"""The attributes that a conversion depends on; when one changes, the tool is converted again."""


def _cached_function_from_code(tool: Any) -> Json:
    """`_function_from_code`, which takes about a millisecond, once for each tool."""
    parts = [getattr(tool, name, None) for name in _FINGERPRINT_ATTRIBUTES]
    # The ids, because a class's schema refers to the class and would keep it alive.
    fingerprint = tuple(part if isinstance(part, str) else id(part) for part in parts)
    key = id(tool)
    cached = _functions_from_code.get(key)
    if cached and cached[0]() is tool and cached[1] == fingerprint:
        return cached[2]
    function = _function_from_code(tool)
    if isinstance(getattr(tool, "args_schema", None), dict):  # may be changed at any time
        return function
    with suppress(TypeError):  # nothing can refer weakly to a method of a built-in class
        reference = weakref.ref(tool, lambda _: _functions_from_code.pop(key, None))
        _functions_from_code[key] = (reference, fingerprint, function)
    return function


def _function_from_code(tool: Any) -> Json:
    """The function of a class, a Python function or a `BaseTool`.

    Raises:
        ValueError: It is none of these, or cannot be converted.
    """
    try:
        definition = _definition_from_code(tool)
    except CONVERSION_ERRORS as error:
        raise ValueError(f"{tool!r:.100} cannot be a tool: {error}") from error
    return _function_from_dict(definition)


def _definition_from_code(tool: Any) -> Json:
    """Name, description and parameters; references stay references.

    LangChain's conversion (seen in langchain-core 1.7.2) resolves references without a limit of
    size, and replaces recursive ones by `{}`. It can be used for all tools once it keeps `$ref`.
    """
    if isinstance(tool, BaseTool) and tool.args_schema is not None:
        schema = tool.tool_call_schema
        schema = schema if isinstance(schema, dict) else pydantic_schema(schema)
        return _definition(schema, tool.name, tool.description)
    if isinstance(tool, type) and is_basemodel_subclass(tool):
        schema = pydantic_schema(tool)
        doc = inspect.cleandoc(vars(tool).get("__doc__") or "")
        return _definition(schema, schema.get("title") or tool.__name__, doc)
    if is_typeddict(tool):
        return _definition(typed_dict_schema(tool), tool.__name__, None)
    if isinstance(tool, (type, BaseTool)):
        return convert_to_openai_function(tool)
    if isinstance(tool, str) and tool in BUILTIN_TOOLS_BY_NAME:
        raise ValueError(f'write {{"{tool}": {{}}}}')
    if not callable(tool):
        raise ValueError("it must be a dict, a class, a function or a BaseTool")
    name = getattr(tool, "__name__", type(tool).__name__)
    model = create_schema_from_function(
        name, tool, filter_args=(), parse_docstring=True, include_injected=False
    )
    return _definition(pydantic_schema(model), name, model.__doc__)


def pydantic_schema(model: Any) -> Json:
    """The JSON schema of a pydantic class, of version 1 or 2."""
    generate = getattr(model, "model_json_schema", None) or model.schema
    return dict(generate())


def _definition(schema: Json, name: str, description: str | None) -> Json:
    parameters = {k: v for k, v in schema.items() if k not in {"title", "description"}}
    if isinstance(properties := parameters.get("properties"), dict):
        parameters["properties"] = {k: properties[k] for k in properties if k != _POSITIONAL_ONLY}
    description = description or schema.get("description", "")
    parameters = without_titles(parameters)
    return {"name": name, "description": description, "parameters": parameters}
