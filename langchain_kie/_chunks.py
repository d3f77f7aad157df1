"""LangChain's messages, built without validation from values that are known to be right.

A chunk that the constructor made is copied, which gives the same object in a third of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGenerationChunk

if TYPE_CHECKING:
    from langchain_core.messages.tool import ToolCallChunk

PROVIDER = "kie"

_MESSAGE = AIMessageChunk(
    content="", additional_kwargs={}, tool_call_chunks=[], response_metadata={}
)
_GENERATION = ChatGenerationChunk(message=_MESSAGE)


def message_chunk(
    content: str | list[str | dict[str, Any]],
    additional_kwargs: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
    **others: Any,
) -> AIMessageChunk:
    """A piece of an answer; one with tool calls is left to the constructor, which reads them.

    Args:
        content: Text, or blocks.
        additional_kwargs: As LangChain has them.
        tool_call_chunks: Likewise.
        **others: Further fields of the chunk.
    """
    fields = {
        "content": content,
        "additional_kwargs": additional_kwargs,
        "tool_call_chunks": tool_call_chunks,
        "response_metadata": {"model_provider": PROVIDER},
        **others,
    }
    if tool_call_chunks:
        return AIMessageChunk(**fields)
    chunk = _MESSAGE.__copy__()
    chunk.__pydantic_fields_set__.update(others)
    chunk.__dict__.update(fields, tool_calls=[], invalid_tool_calls=[])
    return chunk


def generation_chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    """What LangChain streams."""
    content = message.content
    if not isinstance(content, str):
        return ChatGenerationChunk(message=message)
    chunk = _GENERATION.__copy__()
    chunk.__dict__.update(message=message, text=content)
    return chunk


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
