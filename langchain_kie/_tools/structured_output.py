"""`with_structured_output`: the `response_format` of a schema, and the parsers of the answer.

Knows LangChain's runnables and parsers. Knows nothing of request bodies.
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

from langchain_kie._json_schema.coerce import coerce
from langchain_kie._settings import Method
from langchain_kie._tools.definitions import pydantic_schema

if TYPE_CHECKING:
    from langchain_core.output_parsers.base import BaseLLMOutputParser
    from langchain_core.outputs import Generation

METHODS: tuple[Method, ...] = get_args(Method)

DEFAULT_NAME = "structured_output"

_FENCED = re.compile(r"```(?:json)?\s*\n(.*)```", re.DOTALL | re.IGNORECASE)
_FUNCTION_KEYS = frozenset({"parameters", "input_schema", "inputSchema", "function"})


def build_response_format(schema: dict[str, Any] | type, strict: bool | None) -> dict[str, Any]:
    """OpenAI's `response_format` for a schema.

    Args:
        schema: A pydantic class, a `TypedDict`, a JSON schema or a function; a dict that is a
            `response_format` already is returned as it is.
        strict: Set as `strict` next to the schema, if not `None`.

    Raises:
        ValueError: A `response_format` of the type `json_schema` has no schema.
    """
    if isinstance(schema, dict) and schema.get("type") in {"json_schema", "json_object", "text"}:
        given = (schema.get("json_schema") or {}).get("schema")
        if schema["type"] == "json_schema" and not isinstance(given, dict):
            raise ValueError("a response_format of type json_schema needs json_schema.schema")
        return schema
    json_schema = _to_json_schema(schema)
    name = str(json_schema.get("title") or DEFAULT_NAME)
    inner = {"name": name, "schema": json_schema} | ({} if strict is None else {"strict": strict})
    return {"type": "json_schema", "json_schema": inner}


def _to_json_schema(schema: dict[str, Any] | type) -> dict[str, Any]:
    """A JSON schema with its references.

    LangChain's conversion (seen in langchain-core 1.7.2) drops an `anyOf` or `$ref` at the root
    of a dict, and replaces the recursive references of a class by `{}`. It can be used for both
    once it keeps these.
    """
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return {"title": schema.__name__, **pydantic_schema(schema)}
    if isinstance(schema, dict) and _FUNCTION_KEYS.isdisjoint(schema):
        return schema
    return convert_to_json_schema(schema)


def build_json_parser(schema: dict[str, Any] | type) -> BaseLLMOutputParser[Any]:
    """The parser of an answer that is JSON text, with or without a Markdown fence."""
    model_class = schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
    return CompleteJsonOutputParser(json_schema=_to_json_schema(schema), model_class=model_class)


class CompleteJsonOutputParser(BaseCumulativeTransformOutputParser[Any]):
    """Parses an answer that is one complete JSON value, and converts it to the schema's types.

    LangChain's JSON parsers (seen in langchain-core 1.7.2) complete a truncated answer and return
    it like a complete one; here that is only done for the partial results of a stream. This
    class can be replaced by theirs once they reject truncated JSON.
    """

    json_schema: dict[str, Any]
    """The schema of the answer."""

    model_class: Any = None
    """The pydantic class, of version 1 or 2, that is returned; `None` for a dict."""

    def parse(self, text: str) -> Any:
        """Parse the text of an answer.

        Args:
            text: JSON, with or without a Markdown fence.

        Returns:
            The JSON value, or an instance of `model_class`.

        Raises:
            OutputParserException: The text is not complete JSON, or does not match the schema.
        """
        text = text.strip()
        fenced = None if text[:1] in {"{", "["} else _FENCED.search(text)
        try:
            return self._validate(json.loads(fenced[1] if fenced else text, strict=False))
        except json.JSONDecodeError as error:
            message = f"the answer is not complete JSON ({error})"
        except ValueError as error:
            message = f"the answer does not match the schema: {error}"
        raise OutputParserException(message, llm_output=text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse an answer, or the part of it that has arrived.

        Args:
            result: The generations, of which the first is parsed.
            partial: Whether the answer may be incomplete.

        Returns:
            As `parse`; `None` for an incomplete answer that cannot be parsed yet.

        Raises:
            OutputParserException: `partial` is False, and `parse` fails.
        """
        if not partial:
            return self.parse(result[0].text)
        try:
            return self._validate(parse_json_markdown(result[0].text.strip()))
        except ValueError:
            return None

    def _validate(self, value: Any) -> Any:
        value = coerce(value, self.json_schema) if isinstance(value, dict) else value
        if self.model_class is None:
            return value
        validate = getattr(self.model_class, "model_validate", None) or self.model_class.parse_obj
        return validate(value)


def build_tool_parser(schema: dict[str, Any] | type) -> BaseLLMOutputParser[Any]:
    """The parser of an answer that is a call of the function of a schema."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def pipe_to_parser(
    model: Runnable[Any, Any], parser: BaseLLMOutputParser[Any], *, include_raw: bool
) -> Runnable[Any, Any]:
    """Connect a model to a parser.

    Args:
        model: The model, with its options bound.
        parser: The parser of its answer.
        include_raw: Whether the result is `{"raw", "parsed", "parsing_error"}`, in which an error
            of the parser is a value; else it is raised.
    """
    if not include_raw:
        return model | parser  # type: ignore[operator,no-any-return]
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser,  # type: ignore[operator]
        parsing_error=lambda _: None,
    )
    unparsed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=model) | parsed.with_fallbacks([unparsed], exception_key="parsing_error")
