"""Thought signatures: where a message keeps them, and which of them go back.

A signature is an opaque string that came with one part of an answer and must return with that
part, byte for byte (docs/wire.md 6). They live in one place, which
LangChain carries through merging, v1 output, JSON, pickles and checkpoints alike:

    message.additional_kwargs["thought_signatures"] = {
        "gemini-3.5-flash": [
            {"type": "text", "start": 0, "end": 12, "signature": "..."},
            {"type": "tool_call", "id": "call_1", "at": 12, "signature": "..."},
            {"type": "block", "index": "lc_block_0", "signature": "..."},
            {"type": "tool_call", "id": "call_1", "extra": {"extra_content": {...}}},
        ]
    }

The key is the model that gave them, because to another model they mean nothing. `start`,
`end` and `at` are positions in the message's text; `index` is that of a content block which
is not text; `extra` holds what the OpenAI-shaped dialect put beside a call. Pure; knows
nothing of dialects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

KEY = "thought_signatures"

BYPASS = "skip_thought_signature_validator"
"""What Google documents for a Gemini 3 function call that has no signature, because it was
written by hand or by another model; without it the request is refused."""


class SignatureLog:
    """Gathers the signatures of one answer.

    Args:
        model: The model's friendly name.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._entries: list[dict[str, Any]] = []

    def add_text(self, start: int, end: int, signature: str) -> None:
        """Keep the signature of the text between two positions; they may be the same."""
        self._entries.append({"type": "text", "start": start, "end": end, "signature": signature})

    def add_block(self, index: str, signature: str) -> None:
        """Keep the signature of a content block that is not text."""
        self._entries.append({"type": "block", "index": index, "signature": signature})

    def add_call(self, index: int, at: int, signature: str) -> None:
        """Keep the signature of the call that came `index`-th, after `at` characters of text."""
        self._entries.append({"type": "tool_call", "id": index, "at": at, "signature": signature})

    def add_extra(self, index: int, extra: dict[str, Any]) -> None:
        """Keep what stood beside a call, once."""
        entry = {"type": "tool_call", "id": index, "extra": extra}
        if entry not in self._entries:
            self._entries.append(entry)

    def name_call(self, index: int, call_id: str | None) -> None:
        """Say by which id the call that came `index`-th goes."""
        for entry in self._entries:
            if entry["type"] == "tool_call" and entry["id"] == index:
                entry["id"] = call_id

    def additional_kwargs(self) -> dict[str, Any]:
        """What belongs into the message."""
        return {KEY: {self._model: self._entries}} if self._entries else {}


def entries_of(message: BaseMessage, model: str) -> list[dict[str, Any]]:
    """The signatures of a message that `model` itself gave, in the order they came."""
    kept = message.additional_kwargs.get(KEY)
    if not kept or message.response_metadata.get("model_provider", "kie") != "kie":
        return []
    return list(kept.get(model, ())) if isinstance(kept, dict) else []


def extras_of(message: BaseMessage, model: str) -> dict[str, dict[str, Any]]:
    """By call id, what stood beside the message's calls."""
    extras: dict[str, dict[str, Any]] = {}
    if not message.additional_kwargs:
        return extras
    for entry in entries_of(message, model):
        if "extra" in entry:
            extras.setdefault(entry["id"], {}).update(entry["extra"])
    return extras
