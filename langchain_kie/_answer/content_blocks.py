"""KIE messages to LangChain's standard content blocks.

Registered for the provider `"kie"`; where this package was never imported, LangChain's own
best-effort reading of the same message gives the same reasoning, text and calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages.block_translators import register_translator

from langchain_kie._answer.citations import FIRST_TEXT, add_sources

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.messages.content import ContentBlock
    from langchain_core.messages.tool import ToolCallChunk

Blocks = list[dict[str, Any]]


def _content(message: AIMessage) -> Blocks:
    """Reasoning, then what `content` holds."""
    blocks: Blocks = []
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        blocks.append({"type": "reasoning", "reasoning": reasoning})
    content = [message.content] if isinstance(message.content, str) else message.content
    for item in content:
        if isinstance(item, dict):
            blocks.append(dict(item))
        elif item:
            blocks.append({"type": "text", "text": item})
    return blocks


def translate_content(message: AIMessage) -> list[ContentBlock]:
    """The standard blocks of a whole message, with its sources."""
    blocks = _whole(message)
    add_sources(blocks, message.response_metadata, is_chunk=False)
    return cast("list[ContentBlock]", blocks)


def _whole(message: AIMessage) -> Blocks:
    blocks = _content(message)
    shown = {block.get("id") for block in blocks if block.get("type") == "tool_call"}
    blocks += [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
        if call["id"] not in shown
    ]
    return blocks


def translate_content_chunk(chunk: AIMessageChunk) -> list[ContentBlock]:
    """The standard blocks of a chunk, or of the sum of some.

    The indexes keep what belongs together in one block when LangChain adds chunks up, and
    apart from the rest. The last chunk of a stream may only complete calls that have their
    names in earlier ones; a sum has them.
    """
    calls = chunk.tool_call_chunks
    is_whole = chunk.chunk_position == "last" and all(call["name"] for call in calls)
    blocks = _whole(chunk) if is_whole else _unfinished(chunk, calls)
    add_sources(blocks, chunk.response_metadata, is_chunk=True)
    return cast("list[ContentBlock]", blocks)


def _unfinished(chunk: AIMessageChunk, calls: list[ToolCallChunk]) -> Blocks:
    blocks = _content(chunk)
    for block in blocks:
        if block["type"] in _INDEXES:
            block.setdefault("index", _INDEXES[block["type"]])
    blocks += [
        {
            "type": "tool_call_chunk",
            "id": call["id"],
            "name": call["name"],
            "args": call["args"],
            "index": f"lc_tc_{call['index']}",
        }
        for call in calls
    ]
    return blocks


_INDEXES = {"reasoning": "lc_rs_0", "text": FIRST_TEXT}


def register() -> None:
    """Make LangChain read messages of the provider `"kie"` with these functions."""
    register_translator("kie", translate_content, translate_content_chunk)
