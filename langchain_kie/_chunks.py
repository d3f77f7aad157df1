"""LangChain's messages, built without validation from values that are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import BaseModel

if TYPE_CHECKING:
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

PROVIDER = "kie"

ModelT = TypeVar("ModelT", bound=BaseModel)

_FIELDS: dict[str, Any] = {"content": "", "additional_kwargs": {}, "response_metadata": {}}
_TEXT = AIMessageChunk(**_FIELDS, tool_call_chunks=[]).__getstate__()
_CALLS = AIMessageChunk(**_FIELDS, tool_call_chunks=[tool_call_chunk(args="")]).__getstate__()
_LAST = AIMessageChunk(
    **_FIELDS, tool_call_chunks=[], usage_metadata=None, chunk_position="last"
).__getstate__()
_GENERATION = ChatGenerationChunk(message=AIMessageChunk(content="")).__getstate__()

_JSON_SPACE = " \t\n\r"


def message_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
) -> AIMessageChunk:
    """A piece of an answer.

    The constructor tries to complete the arguments of every piece of a call, by leaving out one
    character after the other; what does not begin with a bracket never becomes a call.
    """
    fields = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": {"model_provider": PROVIDER},
        "tool_call_chunks": tool_call_chunks,
    }
    calls: list[Any] = []
    invalid: list[Any] = []
    for chunk in tool_call_chunks:
        args = chunk["args"]
        if not args:
            calls.append(tool_call(name=chunk["name"] or "", args={}, id=chunk["id"]))
        elif args.lstrip(_JSON_SPACE).startswith("{"):
            return AIMessageChunk(**fields)
        else:
            invalid.append(invalid_tool_call(name=chunk["name"], args=args, id=chunk["id"]))
    fields["tool_calls"] = calls
    fields["invalid_tool_calls"] = invalid
    return _restored(AIMessageChunk, _CALLS if tool_call_chunks else _TEXT, fields, {})


def last_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    response_metadata: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
    usage_metadata: UsageMetadata | None,
) -> AIMessageChunk:
    """The last piece of an answer; one with tool calls is left to the constructor."""
    fields = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": response_metadata,
        "tool_call_chunks": tool_call_chunks,
        "usage_metadata": usage_metadata,
    }
    if tool_call_chunks:
        return AIMessageChunk(**fields, chunk_position="last")
    fields["tool_calls"] = []
    fields["invalid_tool_calls"] = []
    return _restored(AIMessageChunk, _LAST, fields, {})


def generation_chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    """What LangChain streams."""
    content = message.content
    if not isinstance(content, str):
        return ChatGenerationChunk(message=message)
    fields = {"message": message, "text": content}
    return _restored(ChatGenerationChunk, _GENERATION, fields, None)


def _restored(
    cls: type[ModelT], state: dict[str, Any], fields: dict[str, Any], extra: dict[str, Any] | None
) -> ModelT:
    """An object as `pickle` would restore it, from another's state and its own fields."""
    restored = cls.__new__(cls)
    restored.__setstate__(
        {
            "__dict__": state["__dict__"] | fields,
            "__pydantic_fields_set__": state["__pydantic_fields_set__"].copy(),
            "__pydantic_extra__": extra,
            "__pydantic_private__": None,
        }
    )
    return restored


def message_of(chunks: list[AIMessageChunk]) -> AIMessage:
    """The message that chunks add up to; a text in one piece needs no adding."""
    first, *rest = chunks
    if len(rest) == 1 and _is_whole(first, rest[0]):
        last = rest[0]
        return AIMessage(
            content=first.content,
            additional_kwargs={**first.additional_kwargs, **last.additional_kwargs},
            response_metadata=last.response_metadata,
            name=None,
            id=None,
            tool_calls=first.tool_calls,
            invalid_tool_calls=first.invalid_tool_calls,
            usage_metadata=last.usage_metadata,
        )
    return cast("AIMessage", message_chunk_to_message(first + rest if rest else first))


def _is_whole(piece: AIMessageChunk, last: AIMessageChunk) -> bool:
    """Whether the last chunk only adds what the piece before it has none of."""
    return (
        isinstance(piece.content, str)
        and last.content == ""
        and not last.tool_call_chunks
        and piece.additional_kwargs.keys().isdisjoint(last.additional_kwargs)
    )
