"""`with_structured_output`: a model that is bound to a schema, and connected to a parser.

Depends on LangChain's runnables; independent of request bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass
from typing_extensions import is_typeddict

from langchain_kie._settings import Method
from langchain_kie._tools.answer_parser import StructuredOutputParser
from langchain_kie._tools.definitions import (
    CONVERSION_ERRORS,
    legal_name,
    normalize_each,
    normalize_tool,
    pydantic_schema,
)
from langchain_kie._tools.typed_dicts import typed_dict_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.output_parsers import BaseOutputParser

    from langchain_kie._json import Json

METHODS: tuple[Method, ...] = get_args(Method)

DEFAULT_NAME = "structured_output"

_TOOL_KEYS = frozenset({"parameters", "input_schema", "inputSchema", "function"})


def build_response_format(schema: dict[str, Any] | type, strict: bool | None) -> dict[str, Any]:
    """OpenAI's `response_format` for a schema.

    Args:
        schema: A pydantic class, a `TypedDict`, a JSON schema or a function; a dict that is a
            `response_format` already is returned as it is.
        strict: Set as `strict` next to the schema, if not `None`.

    Raises:
        ValueError: A `response_format` of the type `json_schema` has no schema.
    """
    schema, strict = _from_openai(schema, strict)
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(schema, dict) and str(kind) in {"json_schema", "json_object", "text"}:
        inner = schema.get("json_schema") or {}
        has_schema = isinstance(inner, dict) and isinstance(inner.get("schema"), dict)
        if not has_schema and (inner or kind == "json_schema"):
            raise ValueError("a response_format of type json_schema needs json_schema.schema")
        name = inner.get("name")
        if not isinstance(name, str) or legal_name(name) == name:
            return schema
        return {**schema, "json_schema": {**inner, "name": legal_name(name)}}
    json_schema = _to_json_schema(schema)
    name = legal_name(str(json_schema.get("title") or DEFAULT_NAME))
    inner = {"name": name, "schema": json_schema} | ({} if strict is None else {"strict": strict})
    return {"type": "json_schema", "json_schema": inner}


def _from_openai(schema: Any, strict: bool | None) -> tuple[Any, bool | None]:
    """The schema in OpenAI's `{"name": ..., "schema": ..., "strict": ...}`, and its `strict`.

    Anything else is returned unchanged.
    """
    if not (isinstance(schema, dict) and isinstance(schema.get("schema"), dict)):
        return schema, strict
    if "name" not in schema or not schema.keys().isdisjoint({"type", "properties", "$ref"}):
        return schema, strict
    named = {"title": schema["name"], "description": schema.get("description")}
    inner = {key: value for key, value in named.items() if value} | schema["schema"]
    return inner, schema.get("strict") if strict is None else strict


def _to_json_schema(schema: Any) -> dict[str, Any]:
    """A JSON schema with its references.

    LangChain's conversion (seen in langchain-core 1.7.2) drops an `anyOf` or `$ref` at the root
    of a dict, and replaces the recursive references of a class by `{}`. It can be used for both
    once it keeps these.

    Raises:
        ValueError: It is not the schema of an object, or cannot be converted.
    """
    if isinstance(schema, dict) and _TOOL_KEYS.isdisjoint(schema):
        return schema
    try:
        if _is_model_class(schema):
            return {"title": schema.__name__, **pydantic_schema(schema)}
        if is_typeddict(schema):
            return typed_dict_schema(schema)
        return convert_to_json_schema(schema)
    except CONVERSION_ERRORS as error:
        is_code = callable(schema) and get_origin(schema) is None
        reason = f" ({error})".replace("\n", " ") if is_code else ""
        raise ValueError(
            f"{schema!r:.100} cannot be the schema of an answer{reason}: use a pydantic class, a "
            "TypedDict, a dataclass or a JSON schema; any other type can be that of a field"
        ) from error


def _answer_function(schema: dict[str, Any] | type) -> Json:
    """The function whose arguments are the answer.

    A title that is not a legal name of a function, such as `Page[int]`, is changed.
    """
    if not isinstance(schema, dict) or (_TOOL_KEYS | {"name"}).isdisjoint(schema):
        json_schema = _to_json_schema(schema)
        if isinstance(title := json_schema.get("title"), str) and legal_name(title) != title:
            schema = {**json_schema, "title": legal_name(title)}
    tool = normalize_tool(schema)[0]
    if tool["type"] != "function":
        raise ValueError(f"a built-in tool cannot be the schema of an answer: {schema!r:.100}")
    return cast("Json", tool["function"])


def _answer_form(schema: Any, method: Method, strict: bool | None) -> tuple[Json, Json, Json]:
    """The JSON schema of the answer, the function for it, if any, and the options that request it.

    Raises:
        ValueError: The schema cannot be sent.
    """
    if method == "function_calling":
        function = _answer_function(schema)
        return function.get("parameters") or {}, function, {"tool_choice": function["name"]}
    json_schema = _to_json_schema(schema)
    is_json_mode, json_object = method == "json_mode", {"type": "json_object"}
    response_format = json_object if is_json_mode else build_response_format(schema, strict)
    return json_schema, {}, {"response_format": response_format}


def _is_model_class(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _traced_schema(schema: Any, json_schema: dict[str, Any]) -> Any:
    """The schema for traces, which LangChain converts itself; `None` if it cannot.

    It fails for TypedDicts with optional keys, for recursive ones, and for a JSON schema whose
    `type` is a list (langchain-core 1.8.3). The TypedDicts are converted here until it does not.
    """
    for form in (schema, json_schema):
        try:
            convert_to_json_schema(form)
        except ValueError:  # which LangChain ignores
            return form
        except (*CONVERSION_ERRORS, RecursionError):
            continue
        return form
    return None


def bind_schema(
    model: BaseChatModel,
    schema: dict[str, Any] | type | None,
    method: Method,
    strict: bool | None,
    tools: Sequence[Any],
    kwargs: dict[str, Any],
) -> tuple[Runnable[Any, Any], StructuredOutputParser]:
    """A model that answers in a schema, and the parser of its answer.

    Args:
        model: The model.
        schema: The schema of the answer; `None` for any JSON object with `json_mode`.
        method: How the model is made to answer in it.
        strict: Sent with the schema.
        tools: The tools that the model may call instead of answering.
        kwargs: Other options of the call.

    Raises:
        ValueError: `method` is unknown, or the schema cannot be sent.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if isinstance(schema, dict) and schema.get("type") == "json_schema":
        schema = schema.get("json_schema")
    if schema is None and method != "json_mode":
        raise ValueError(f"method={method!r} needs a schema; only json_mode does not")
    schema, strict = _from_openai({} if schema is None else schema, strict)
    tools = normalize_each(tools)
    names = [tool["function"]["name"] for tool in tools if tool["type"] == "function"]
    json_schema, function, form = _answer_form(schema, method, strict)
    if function:
        tools = [{"type": "function", "function": function}, *tools]
    traced = _traced_schema(schema, {"title": function.get("name", ""), **json_schema})
    format_of_call = {"kwargs": {"method": method, "strict": strict}, "schema": traced}
    options: Json = {
        "strict": strict,
        "ls_structured_output_format": format_of_call if traced is not None else None,
        "require_tool_call": False,  # the parser reports a missing call
        **kwargs,
    }
    parser = StructuredOutputParser(
        json_schema=json_schema,
        model_class=schema if _is_model_class(schema) else None,
        function_name=function.get("name"),
        tool_names=tuple(names),
    )
    return model.bind_tools(tools, **form, **options), parser


def pipe_to_parser(
    model: Runnable[Any, Any], parser: BaseOutputParser[Any], *, include_raw: bool
) -> Runnable[Any, Any]:
    """Connect a model to a parser.

    Args:
        model: The model, with its options bound.
        parser: The parser of its answer.
        include_raw: Whether the result is `{"raw", "parsed", "parsing_error"}`, in which an error
            of the parser is a value, also in a stream; else it is raised.
    """
    if not include_raw:
        return model | parser

    def parse(result: dict[str, Any], config: Any) -> dict[str, Any]:
        parsed, error = None, None
        try:
            parsed = parser.invoke(result["raw"], config)
        except Exception as raised:  # noqa: BLE001 - validators of a class may raise any error
            error = raised
        return {**result, "parsed": parsed, "parsing_error": error}

    async def aparse(result: dict[str, Any], config: Any) -> dict[str, Any]:
        parsed, error = None, None
        try:
            parsed = await parser.ainvoke(result["raw"], config)
        except Exception as raised:  # noqa: BLE001
            error = raised
        return {**result, "parsed": parsed, "parsing_error": error}

    return RunnableMap(raw=model) | RunnableLambda(parse, aparse)
