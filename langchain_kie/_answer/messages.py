"""LangChain's messages, built without validation from values that are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

if TYPE_CHECKING:
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

PROVIDER = "kie"

ModelT = TypeVar("ModelT", bound=BaseModel)

_set_fields, _set_names, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__
    for slot in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)

_FIELDS: dict[str, Any] = {"content": "", "additional_kwargs": {}, "response_metadata": {}}
_TEXT = AIMessageChunk(content="", response_metadata={})
_THOUGHT = AIMessageChunk(**_FIELDS)
_CALLS = AIMessageChunk(**_FIELDS, tool_call_chunks=[tool_call_chunk(args="")])
_LAST = AIMessageChunk(**_FIELDS, tool_call_chunks=[], usage_metadata=None, chunk_position="last")
_WHOLE = AIMessage(
    **_FIELDS, name=None, id=None, tool_calls=[], invalid_tool_calls=[], usage_metadata=None
)
_GENERATION_CHUNK = ChatGenerationChunk(message=AIMessageChunk(content=""))
_GENERATION = ChatGeneration(message=_WHOLE)
_RESULT = ChatResult(generations=[_GENERATION])

_JSON_SPACE = " \t\n\r"


def message_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
) -> AIMessageChunk:
    """A piece of an answer; where there is no call, `tool_call_chunks` does not count as set.

    The constructor tries to complete the arguments of every piece of a call, by leaving out one
    character after the other; what does not begin with a bracket never becomes a call.
    """
    response_metadata = {"model_provider": PROVIDER}
    calls: list[Any] = []
    invalid: list[Any] = []
    for chunk in tool_call_chunks:
        args = chunk["args"]
        if not args:
            calls.append(tool_call(name=chunk["name"] or "", args={}, id=chunk["id"]))
        elif args.lstrip(_JSON_SPACE).startswith("{"):
            return AIMessageChunk(
                content=content,
                additional_kwargs=additional_kwargs,
                response_metadata=response_metadata,
                tool_call_chunks=tool_call_chunks,
            )
        else:
            invalid.append(invalid_tool_call(name=chunk["name"], args=args, id=chunk["id"]))
    like = _CALLS if tool_call_chunks else _THOUGHT if additional_kwargs else _TEXT
    made = _like(like, {})
    fields = made.__dict__
    fields["content"] = content
    fields["additional_kwargs"] = additional_kwargs
    fields["response_metadata"] = response_metadata
    fields["tool_call_chunks"] = tool_call_chunks
    fields["tool_calls"] = calls
    fields["invalid_tool_calls"] = invalid
    return made


def last_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    response_metadata: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
    usage_metadata: UsageMetadata | None,
) -> AIMessageChunk:
    """The last piece of an answer; one with tool calls is left to the constructor."""
    values: dict[str, Any] = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": response_metadata,
        "tool_call_chunks": tool_call_chunks,
        "usage_metadata": usage_metadata,
    }
    if tool_call_chunks:
        return AIMessageChunk(**values, chunk_position="last")
    made = _like(_LAST, {})
    made.__dict__.update(values, tool_calls=[], invalid_tool_calls=[])
    return made


def generation_chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    """What LangChain streams."""
    content = message.content
    if not isinstance(content, str):
        return ChatGenerationChunk(message=message)
    made = _like(_GENERATION_CHUNK, None)
    made.__dict__["message"] = message
    made.__dict__["text"] = content
    return made


def _like(model: ModelT, extra: dict[str, Any] | None) -> ModelT:
    """Another `model`, with the same fields; made by the steps of pydantic's `__copy__`."""
    made = object.__new__(type(model))
    _set_fields(made, model.__dict__.copy())
    _set_names(made, model.__pydantic_fields_set__.copy())
    _set_extra(made, extra)
    _set_private(made, None)
    return made


def message_of(chunks: list[AIMessageChunk]) -> AIMessage:
    """The message that chunks add up to; a text in one piece needs no adding."""
    first, *rest = chunks
    if len(rest) == 1 and _is_whole(first, rest[0]):
        last = rest[0]
        message = _like(_WHOLE, {})
        message.__dict__.update(
            content=first.content,
            additional_kwargs={**first.additional_kwargs, **last.additional_kwargs},
            response_metadata=last.response_metadata,
            tool_calls=first.tool_calls,
            invalid_tool_calls=first.invalid_tool_calls,
            usage_metadata=last.usage_metadata,
        )
        return message
    return cast("AIMessage", message_chunk_to_message(first + rest if rest else first))


def result_of(message: AIMessage) -> ChatResult:
    """What LangChain is answered."""
    content = message.content
    if not isinstance(content, str):
        return ChatResult(generations=[ChatGeneration(message=message)])
    generation = _like(_GENERATION, None)
    generation.__dict__["message"] = message
    generation.__dict__["text"] = content
    result = _like(_RESULT, None)
    result.__dict__["generations"] = [generation]
    return result


def _is_whole(piece: AIMessageChunk, last: AIMessageChunk) -> bool:
    """Whether the last chunk only adds what the piece before it has none of."""
    return (
        isinstance(piece.content, str)
        and last.content == ""
        and not last.tool_call_chunks
        and piece.additional_kwargs.keys().isdisjoint(last.additional_kwargs)
    )
