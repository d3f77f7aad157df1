"""The text and the blocks of one answer, with the indexes by which LangChain merges them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_kie._answer.citations import FIRST_TEXT
from langchain_kie._conversation.media import media_from_data

if TYPE_CHECKING:
    from langchain_kie._conversation.thought_signatures import SignatureLog
    from langchain_kie._json import Json


def joined_content(content: list[Any]) -> list[Any]:
    """The content of a chunk, in which texts that follow each other are one.

    A block of the next chunk is merged into the first block with the same index, not into the
    last one (langchain-core 1.8.3, `merge_lists`). Remove this when it takes the last one.
    """
    joined: list[Any] = []
    for item in content:
        last = joined[-1] if joined else None
        if isinstance(item, str) and isinstance(last, str):
            joined[-1] = last + item
        elif isinstance(item, dict) and isinstance(last, dict) and item["index"] == last["index"]:
            joined[-1] = {**last, "text": last["text"] + item["text"]}
        else:
            joined.append(item)
    return joined


class AnswerContent:
    """Counts what was added, and stores the thought signatures that came with it.

    Args:
        signatures: Stores the signatures.

    Attributes:
        text_length: The length of the text so far.
        block_count: The number of blocks that are not text.
    """

    def __init__(self, signatures: SignatureLog) -> None:
        self.text_length = 0
        self.block_count = 0
        self._signatures = signatures
        self._text_index = FIRST_TEXT
        self._texts: dict[str, list[str]] = {FIRST_TEXT: []}
        self._server_call_id: str | None = None
        self._replays_tools = False

    def __bool__(self) -> bool:
        """Whether there is text or a block."""
        return self.text_length > 0 or self.block_count > 0

    def joined_texts(self) -> dict[str, str]:
        """The text of each text block, by the index of the block."""
        return {index: "".join(pieces) for index, pieces in self._texts.items() if pieces}

    def add_text(self, text: str, signature: str | None) -> Any:
        """Return text for a chunk's content; after another block, as a block with an index."""
        start = self.text_length
        self.text_length += len(text)
        self._texts[self._text_index].append(text)
        if signature:
            self._signatures.add_text(start, self.text_length, signature)
        return self.text_content(text) if self.block_count else text

    def text_content(self, text: str) -> Any:
        """Text, or a block of text after another block."""
        if not self.block_count or not text:
            return text
        return {"type": "text", "text": text, "index": self._text_index}

    def add_block(self, block: Json, signature: str | None, native_part: Json | None) -> Json:
        """Return a block that is not text, with an index, so that LangChain does not merge it.

        If a call of a server tool has no id, one is generated; its result gets the same.
        """
        index = f"lc_block_{self.block_count}"
        self.block_count += 1
        self._text_index = f"lc_txt_{self.block_count}"
        self._texts[self._text_index] = []
        self._replays_tools = self._replays_tools or bool(signature)
        if native_part and (self._replays_tools or block["type"] == "non_standard"):
            self._replays_tools = True
            self._signatures.add_part(index, native_part)
        elif signature:
            self._signatures.add_block(index, signature, _data_digest(block))
        if block["type"] == "server_tool_call":
            self._server_call_id = block["id"] or f"{block['name']}_{self.block_count}"
            block = {**block, "id": self._server_call_id}
        elif block["type"] == "server_tool_result":
            block = {**block, "tool_call_id": block["tool_call_id"] or self._server_call_id}
        return {**block, "index": index}


def _data_digest(block: Json) -> str | None:
    """The digest of a block's base64 data, if it can be sent back."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        return media_from_data(block["base64"], block["mime_type"], block["type"], None).digest()
    return None
