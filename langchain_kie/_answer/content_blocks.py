"""KIE messages to LangChain's standard content blocks.

Registered for the provider `"kie"`. Where this package was not imported, LangChain's default
conversion of the same message gives the same reasoning, text and tool calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_core.messages.block_translators import register_translator

from langchain_kie._answer.citations import FIRST_TEXT, add_sources
from langchain_kie._answer.messages import PROVIDER, REFUSAL_REASON
from langchain_kie.errors import HAS_REFUSALS

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.messages.content import ContentBlock
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._json import Json

_REFUSAL_INDEX = "lc_refusal_0"
_INDEXES = {"reasoning": "lc_rs_0", "text": FIRST_TEXT}


def translate_content(message: AIMessage) -> list[ContentBlock]:
    """Return the standard blocks of a message, with its sources."""
    blocks = _complete_blocks(message) + _refusal_blocks(message)
    add_sources(blocks, message.response_metadata, is_chunk=False)
    return cast("list[ContentBlock]", blocks)


def translate_content_chunk(chunk: AIMessageChunk) -> list[ContentBlock]:
    """Return the standard blocks of a chunk, or of a sum of chunks.

    When LangChain adds chunks, it merges blocks with the same index. The last chunk of a stream
    may contain the ends of tool calls without their names; a sum has the names.
    """
    calls = chunk.tool_call_chunks
    is_complete = chunk.chunk_position == "last" and all(call["name"] for call in calls)
    blocks = _complete_blocks(chunk) if is_complete else _indexed_blocks(chunk, calls)
    blocks += [{**block, "index": _REFUSAL_INDEX} for block in _refusal_blocks(chunk)]
    add_sources(blocks, chunk.response_metadata, is_chunk=True)
    return cast("list[ContentBlock]", blocks)


def _complete_blocks(message: AIMessage) -> list[Json]:
    blocks = _content_blocks(message)
    present = {block.get("id") for block in blocks if block.get("type") == "tool_call"}
    blocks += [
        {"type": "tool_call", "id": call["id"], "name": call["name"], "args": call["args"]}
        for call in message.tool_calls
        if call["id"] not in present
    ]
    return blocks


def _indexed_blocks(chunk: AIMessageChunk, calls: list[ToolCallChunk]) -> list[Json]:
    blocks = _content_blocks(chunk)
    for block in blocks:
        if block["type"] in _INDEXES:
            block.setdefault("index", _INDEXES[block["type"]])
    blocks += [
        {**call, "type": "tool_call_chunk", "index": f"lc_tc_{call['index']}"} for call in calls
    ]
    return blocks


def _refusal_blocks(message: AIMessage) -> list[Json]:
    """The refusal of a message, if it is one."""
    text, metadata = message.additional_kwargs.get("refusal"), message.response_metadata
    reason = metadata.get(REFUSAL_REASON)
    if not HAS_REFUSALS or not (text or reason):
        return []
    text = text or metadata.get("finish_message") or ""
    extras = {"extras": reason} if reason else {}
    return [{"type": "refusal", "refusal": text, **extras}]


def _content_blocks(message: AIMessage) -> list[Json]:
    """Reasoning, then the content."""
    blocks: list[Json] = []
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        blocks.append({"type": "reasoning", "reasoning": reasoning})
    content = [message.content] if isinstance(message.content, str) else message.content
    for item in content:
        if isinstance(item, dict):
            blocks.append(dict(item))
        elif item:
            blocks.append({"type": "text", "text": item})
    return blocks


def register() -> None:
    """Make LangChain use these functions for messages of the provider `"kie"`."""
    register_translator(PROVIDER, translate_content, translate_content_chunk)
