"""Tools and structured output: the methods of `ChatKieGemini` that bind them to the model."""

# `typing.get_type_hints` needs the names of the signatures at run time.
# ruff: noqa: TC001, TC002, TC003

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from langchain_kie._json import without_none
from langchain_kie._settings import Method

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.tools import BaseTool
else:
    BaseChatModel = object
    BaseTool = Any
    """LangChain's fallbacks read the hints of `bind_tools` at run time; importing the class takes
    5 ms (langchain-core 1.7.2). It can go when `langchain_core.language_models` imports it."""

SchemaT = TypeVar("SchemaT")


class ToolBinding(BaseChatModel):
    """The methods of `ChatKieGemini` that return the model with tools or a schema bound."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | Sequence[str] | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the model.

        Args:
            tools: Everything that LangChain accepts as a tool, and Gemini's built-in tools
                `google_search`, `code_execution` and `url_context`, as `{"google_search": {}}`
                or `{"type": "google_search"}`, also in Gemini's spelling (`googleSearch`).
            tool_choice: `"auto"`, `"none"`, `"any"` or `True` (the model must call a tool), the
                name of a tool or a list of names, or OpenAI's dict. By default the model decides.
                An answer without a required call is a `KieToolCallMissingError`, because agents
                would repeat the call without end; `require_tool_call=False` returns it instead.
            strict: Whether arguments must match the schema exactly, on APIs that support it.
            parallel_tool_calls: Whether the model may make several calls at once, on APIs that
                support it.
            response_format: A schema for the answer, or OpenAI's `response_format`.
            **kwargs: Other options of the call.

        Returns:
            The model with the tools bound.

        Raises:
            ValueError: A tool cannot be sent, or `tool_choice` names a tool that is not bound.
        """
        from langchain_kie._tools.choice import normalize_tool_choice  # noqa: PLC0415
        from langchain_kie._tools.definitions import normalize_each  # noqa: PLC0415
        from langchain_kie._tools.structured_output import build_response_format  # noqa: PLC0415

        formatted = normalize_each(tools, strict)
        names = [tool["function"]["name"] for tool in formatted if tool["type"] == "function"]
        choice = normalize_tool_choice(tool_choice, names)
        bound = without_none(
            tools=formatted or None,
            tool_choice=choice and (list(choice.names) or choice.mode),
            parallel_tool_calls=parallel_tool_calls,
            response_format=response_format and build_response_format(response_format, strict),
        )
        return self.bind(**bound, **kwargs)

    if TYPE_CHECKING:

        @overload
        def with_structured_output(
            self,
            schema: type[SchemaT],
            *,
            method: Method | None = ...,
            include_raw: Literal[False] = ...,
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, SchemaT]: ...
        @overload
        def with_structured_output(
            self,
            schema: dict[str, Any] | type | None = ...,
            *,
            method: Method | None = ...,
            include_raw: Literal[True],
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...
        @overload
        def with_structured_output(
            self,
            schema: dict[str, Any] | type | None = ...,
            *,
            method: Method | None = ...,
            include_raw: bool = ...,
            strict: bool | None = ...,
            tools: Sequence[Any] | None = ...,
            **kwargs: Any,
        ) -> Runnable[LanguageModelInput, Any]: ...

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method | None = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Make the model answer in a schema.

        Args:
            schema: A pydantic class, a `TypedDict`, a JSON schema, or an OpenAI function or
                `response_format`; optional with `json_mode`.
            method: `json_schema`, the default and the same as `None`, lets KIE enforce the
                schema; `function_calling` forces a call of a function with that schema;
                `json_mode` only requests JSON, so the prompt must describe it.
            include_raw: Whether to return `{"raw", "parsed", "parsing_error"}` instead of raising
                parsing errors.
            strict: Sent with the schema; by default not sent.
            tools: Additional tools that the model may call instead of answering.
            **kwargs: Other options of the call.

        Returns:
            A runnable whose output is an instance of the pydantic class, or a dict.

        Raises:
            ValueError: `method` is unknown, or the schema cannot be sent.
        """
        from langchain_kie._tools import structured_output  # noqa: PLC0415

        bound, parser = structured_output.bind_schema(
            self, schema, method or "json_schema", strict, tools or (), kwargs
        )
        return structured_output.pipe_to_parser(bound, parser, include_raw=include_raw)
