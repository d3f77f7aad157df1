"""Thought signatures: where a message stores them, and which of them are sent back.

A thought signature is an opaque string on one part of an answer. It must be sent back with that
part, unchanged (docs/wire.md 6). All signatures of a message are stored in one place, which
survives LangChain's merging of chunks, v1 output, JSON, pickle and checkpoints:

    message.additional_kwargs["thought_signatures"] = {
        "gemini-3.5-flash": [
            {"type": "text", "start": 0, "end": 12, "signature": "..."},
            {"type": "tool_call", "id": "call_1", "at": 12, "signature": "..."},
            {"type": "block", "index": "lc_block_0", "signature": "..."},
            {"type": "tool_call", "id": "call_1", "extra": {"extra_content": {...}}},
        ]
    }

The key is the model that produced them, because other models cannot use them. `start`, `end` and
`at` are positions in the message's text, `index` is the `index` of a content block that is not
text, and `extra` holds the unknown members of a tool call of `chat_completions`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from langchain_kie._json import Json

_STORE_KEY = "thought_signatures"

PLACEHOLDER_SIGNATURE = "skip_thought_signature_validator"
"""Google's documented signature for a function call that a person or another model wrote; Gemini 3
refuses a request without one (docs/wire.md 6)."""


class SignatureLog:
    """Collects the thought signatures of one answer.

    Args:
        model: The model's name in the catalog.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._entries: list[Json] = []

    def add_text(self, start: int, end: int, signature: str) -> None:
        """Add the signature of the text between two positions, which may be equal."""
        self._entries.append({"type": "text", "start": start, "end": end, "signature": signature})

    def add_block(self, index: str, signature: str) -> None:
        """Add the signature of a content block that is not text."""
        self._entries.append({"type": "block", "index": index, "signature": signature})

    def add_call(self, index: int, at: int, signature: str) -> None:
        """Add the signature of the tool call at `index`, which follows `at` characters of text."""
        self._entries.append({"type": "tool_call", "id": index, "at": at, "signature": signature})

    def add_extra(self, index: int, extra: Json) -> None:
        """Add unknown members of the tool call at `index`, unless they were added before."""
        entry = {"type": "tool_call", "id": index, "extra": extra}
        if entry not in self._entries:
            self._entries.append(entry)

    def set_call_id(self, index: int, call_id: str | None) -> None:
        """Replace the index of a tool call with its id, once the id is final."""
        for entry in self._entries:
            if entry["type"] == "tool_call" and entry["id"] == index:
                entry["id"] = call_id

    def additional_kwargs(self) -> Json:
        """The `additional_kwargs` that store the signatures in a message."""
        return {_STORE_KEY: {self._model: self._entries}} if self._entries else {}


def stored_signatures(message: BaseMessage, model: str) -> list[Json]:
    """The entries of a message that `model` itself produced, in the order of the answer."""
    stored = message.additional_kwargs.get(_STORE_KEY)
    if not stored or message.response_metadata.get("model_provider", "kie") != "kie":
        return []
    return list(stored.get(model, ())) if isinstance(stored, dict) else []


def stored_extras(message: BaseMessage, model: str) -> dict[str, Json]:
    """The unknown members of a message's tool calls, by the id of the call."""
    extras: dict[str, Json] = {}
    for entry in stored_signatures(message, model):
        if "extra" in entry:
            extras.setdefault(entry["id"], {}).update(entry["extra"])
    return extras
