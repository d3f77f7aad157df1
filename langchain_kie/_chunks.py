"""LangChain's messages, built without validation from values that are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGenerationChunk
from pydantic import BaseModel

if TYPE_CHECKING:
    from langchain_core.messages.tool import ToolCallChunk

PROVIDER = "kie"

ModelT = TypeVar("ModelT", bound=BaseModel)

_MESSAGE = AIMessageChunk(
    content="", additional_kwargs={}, tool_call_chunks=[], response_metadata={}
).__getstate__()
_GENERATION = ChatGenerationChunk(message=AIMessageChunk(content="")).__getstate__()


def message_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
) -> AIMessageChunk:
    """A piece of an answer; one with tool calls is left to the constructor, which reads them."""
    fields = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": {"model_provider": PROVIDER},
        "tool_call_chunks": tool_call_chunks,
    }
    if tool_call_chunks:
        return AIMessageChunk(**fields)
    fields["tool_calls"] = []
    fields["invalid_tool_calls"] = []
    return _restored(AIMessageChunk, _MESSAGE, fields, {})


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
