"""LangChain's chunks, built without validation from values that are known to be right.

A chunk made by the constructor is copied, which gives the same object in a third of the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
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
) -> AIMessageChunk:
    """A piece of an answer; one with tool calls is left to the constructor, which reads them."""
    if tool_call_chunks:
        return AIMessageChunk(
            content=content,
            additional_kwargs=additional_kwargs,
            tool_call_chunks=tool_call_chunks,
            response_metadata={"model_provider": PROVIDER},
        )
    chunk = _MESSAGE.__copy__()
    chunk.__dict__.update(
        content=content,
        additional_kwargs=additional_kwargs,
        response_metadata={"model_provider": PROVIDER},
        tool_calls=[],
        invalid_tool_calls=[],
        tool_call_chunks=tool_call_chunks,
    )
    return chunk


def generation_chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    """What LangChain streams."""
    content = message.content
    if not isinstance(content, str):
        return ChatGenerationChunk(message=message)
    chunk = _GENERATION.__copy__()
    chunk.__dict__.update(message=message, text=content)
    return chunk
