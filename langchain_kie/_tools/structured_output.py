"""`with_structured_output`: how a schema is asked for, and how the answer is parsed.

Knows LangChain's runnables and parsers. Knows nothing of dialects.
"""

from __future__ import annotations

import json
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, get_args

from langchain_core.exceptions import OutputParserException
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    PydanticToolsParser,
)
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_kie._json_schema.coerce import coerced
from langchain_kie._settings import Method
from langchain_kie._tools.definitions import schema_of

if TYPE_CHECKING:
    from langchain_core.output_parsers.base import BaseLLMOutputParser
    from langchain_core.outputs import Generation

METHODS: tuple[Method, ...] = get_args(Method)

_FENCED = re.compile(r"```(?:json)?\s*\n(.*)```", re.DOTALL | re.IGNORECASE)

_FUNCTION_KEYS = frozenset({"parameters", "input_schema", "inputSchema", "function"})

DEFAULT_NAME = "structured_output"


def response_format_for(schema: dict[str, Any] | type, strict: bool | None) -> dict[str, Any]:
    """A schema, or a ready `response_format`, as OpenAI's `response_format`."""
    if isinstance(schema, dict) and schema.get("type") in {"json_schema", "json_object", "text"}:
        given = (schema.get("json_schema") or {}).get("schema")
        if schema["type"] == "json_schema" and not isinstance(given, dict):
            raise ValueError("response_format has no json_schema with a schema in it")
        return schema
    json_schema = _json_schema_of(schema)
    name = str(json_schema.get("title") or DEFAULT_NAME)
    inner: dict[str, Any] = {"name": name, "schema": json_schema}
    if strict is not None:
        inner["strict"] = strict
    return {"type": "json_schema", "json_schema": inner}


def _json_schema_of(schema: dict[str, Any] | type) -> dict[str, Any]:
    """A JSON schema as it stands; references are this package's own to resolve.

    LangChain's conversion keeps of a dict only what is below `properties`, and of a class
    that holds itself nothing.
    """
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return {"title": schema.__name__, **schema_of(schema)}
    if isinstance(schema, dict) and _FUNCTION_KEYS.isdisjoint(schema):
        return schema
    return convert_to_json_schema(schema)


def parser_for(schema: dict[str, Any] | type) -> BaseLLMOutputParser[Any]:
    """The parser of an answer that is JSON text, with or without a fence around it."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return WholeJsonOutputParser(json_schema=_json_schema_of(schema), model_class=schema)
    return WholeJsonOutputParser(json_schema=_json_schema_of(schema))


class WholeJsonOutputParser(BaseCumulativeTransformOutputParser[Any]):
    """Takes only a whole JSON value for an answer, and fits its types to the schema.

    LangChain's own parsers complete an answer that was cut, and would pass half of it for all.
    While an answer streams, half of it is what is asked for.
    """

    json_schema: dict[str, Any]
    """What the answer should be."""

    model_class: Any = None
    """The pydantic class, of either version, to make of the answer."""

    def parse(self, text: str) -> Any:
        """Parse the text of an answer.

        Raises:
            OutputParserException: It is not JSON, or was cut.
        """
        text = text.strip()
        fenced = None if text[:1] in {"{", "["} else _FENCED.search(text)
        try:
            return self._made(json.loads(fenced[1] if fenced else text, strict=False))
        except json.JSONDecodeError as error:
            message = f"the answer is not whole JSON ({error})"
        except ValueError as error:
            message = f"the answer does not fit the schema: {error}"
        raise OutputParserException(message, llm_output=text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse an answer, or what there is of it."""
        if not partial:
            return self.parse(result[0].text)
        try:
            return self._made(parse_json_markdown(result[0].text.strip()))
        except ValueError:
            return None

    def _made(self, value: Any) -> Any:
        value = coerced(value, self.json_schema) if isinstance(value, dict) else value
        if self.model_class is None:
            return value
        validate = getattr(self.model_class, "model_validate", None) or self.model_class.parse_obj
        return validate(value)


def tool_parser_for(schema: dict[str, Any] | type) -> BaseLLMOutputParser[Any]:
    """The parser of an answer that is a call of the schema's function."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def piped(
    model: Runnable[Any, Any], parser: BaseLLMOutputParser[Any], *, include_raw: bool
) -> Runnable[Any, Any]:
    """`model` and its parser; with `include_raw`, errors of the parser become a value."""
    if not include_raw:
        return model | parser  # type: ignore[operator,no-any-return]
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser,  # type: ignore[operator]
        parsing_error=lambda _: None,
    )
    unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")
