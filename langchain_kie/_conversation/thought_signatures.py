"""Thought signatures: where a message keeps them, and which of them are sent back.

A signature is an opaque string that came with one part of an answer and must be sent back with
that part, unchanged (docs/wire.md 6). A message keeps them in one place, which LangChain preserves
in sums, v1 output, JSON, pickles and checkpoints:

    message.additional_kwargs["thought_signatures"] = {
        "gemini-3.5-flash": [
            {"type": "text", "start": 0, "end": 12, "signature": "..."},
            {"type": "tool_call", "id": "call_1", "at": 12, "signature": "...", "digest": "..."},
            {"type": "block", "index": "lc_block_0", "signature": "..."},
            {"type": "block", "index": "lc_block_1", "at": 12, "part": {"executableCode": {...}}},
            {"type": "tool_call", "id": "call_1", "extra": {"extra_content": {...}}},
            {"type": "message", "extra": {"extra_content": {...}}},
        ]
    }

The key is the model that gave them, because they are invalid for another model. `start`, `end`
and `at` are positions in the text of the message. `index` is that of a content block which is not
text. `part` is a native part of a server-side tool. `extra` has undocumented members of a tool call
or message of `chat_completions`. `digest` is that of the arguments: a call that was changed since
is sent without its old signature. Older messages have none. Pure; knows no API.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.messages import BaseMessage

KEY = "thought_signatures"

BYPASS = "skip_thought_signature_validator"
"""The signature that Google documents for a Gemini 3 function call without one, because a person
or another model wrote it; without it the request is rejected."""

_SIGNATURE_KEYS = frozenset({"thought_signature", "thoughtSignature", "signature"})


class SignatureLog:
    """Collects the signatures of one answer.

    Args:
        model: The model's name in the catalog.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._entries: list[dict[str, Any]] = []

    def add_text(self, start: int, end: int, signature: str) -> None:
        """Store the signature of the text between two positions, which may be equal."""
        self._entries.append({"type": "text", "start": start, "end": end, "signature": signature})

    def add_block(self, index: str, signature: str) -> None:
        """Store the signature of a content block that is not text."""
        self._entries.append({"type": "block", "index": index, "signature": signature})

    def add_part(self, index: str, at: int, part: dict[str, Any]) -> None:
        """Store a native part of a server-side tool, which came after `at` characters of text."""
        self._entries.append({"type": "block", "index": index, "at": at, "part": part})

    def add_message_extra(self, extra: dict[str, Any]) -> None:
        """Store members of the message."""
        self._entries.append({"type": "message", "extra": extra})

    def add_call(self, index: int, at: int, signature: str) -> None:
        """Store the signature of the tool call number `index`, after `at` characters of text."""
        self._entries.append({"type": "tool_call", "id": index, "at": at, "signature": signature})

    def add_extra(self, index: int, extra: dict[str, Any]) -> None:
        """Store members of a tool call, once."""
        entry = {"type": "tool_call", "id": index, "extra": extra}
        if entry not in self._entries:
            self._entries.append(entry)

    def name_call(self, index: int, call_id: str | None, args: Any) -> None:
        """Set the id of the tool call number `index`, and the digest of its arguments."""
        for entry in self._entries:
            if entry["type"] == "tool_call" and entry["id"] == index:
                entry["id"] = call_id
                if "signature" in entry or has_signature(entry["extra"]):
                    entry["digest"] = digest_of(args)

    def additional_kwargs(self) -> dict[str, Any]:
        """Return the member of the message; a call that was never named has no entry."""
        entries = [entry for entry in self._entries if not isinstance(entry.get("id"), int)]
        return {KEY: {self._model: entries}} if entries else {}


def digest_of(args: Any) -> str:
    """A short digest of the arguments of a tool call, whatever the order of its members."""
    text = json.dumps(args, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def signature_for(entry: Mapping[str, Any], args: Any) -> str:
    """The signature of a tool call, or `BYPASS` if its arguments were changed since."""
    return str(entry["signature"]) if _is_unchanged(entry, args) else BYPASS


def has_signature(value: Any) -> bool:
    """Whether a JSON value has a signature, or an encrypted thought, at any depth."""
    if isinstance(value, dict):
        is_encrypted = str(value.get("type")).endswith("encrypted")
        return is_encrypted or any(
            key in _SIGNATURE_KEYS or has_signature(inner) for key, inner in value.items()
        )
    return isinstance(value, list) and any(map(has_signature, value))


def entries_of(message: BaseMessage, model: str) -> list[dict[str, Any]]:
    """The signatures of a message that `model` gave, in the order in which they came."""
    kept = message.additional_kwargs.get(KEY)
    if not kept or message.response_metadata.get("model_provider", "kie") != "kie":
        return []
    return list(kept.get(model, ())) if isinstance(kept, dict) else []


def extras_of(
    message: BaseMessage, model: str, calls: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The undocumented members of tool calls, by the id of the call."""
    extras: dict[str, dict[str, Any]] = {}
    if not message.additional_kwargs:
        return extras
    args = {call["id"]: call["args"] for call in calls}
    for entry in entries_of(message, model):
        if entry["type"] == "tool_call" and "extra" in entry:
            is_unchanged = _is_unchanged(entry, args.get(entry["id"]))
            extra = entry["extra"] if is_unchanged else _with_bypass(entry["extra"])
            extras.setdefault(entry["id"], {}).update(extra)
    return extras


def message_extra(message: BaseMessage, model: str) -> dict[str, Any]:
    """The members that were next to the content of a message and have signatures."""
    extra: dict[str, Any] = {}
    for entry in entries_of(message, model):
        if entry["type"] == "message":
            for name, value in entry["extra"].items():
                both_lists = isinstance(value, list) and isinstance(extra.get(name), list)
                extra[name] = extra[name] + value if both_lists else value
    return extra


def _is_unchanged(entry: Mapping[str, Any], args: Any) -> bool:
    return "digest" not in entry or entry["digest"] == digest_of(args)


def _with_bypass(value: Any) -> Any:
    """A JSON value with `BYPASS` in place of its signatures."""
    if isinstance(value, dict):
        return {
            key: BYPASS if key in _SIGNATURE_KEYS else _with_bypass(inner)
            for key, inner in value.items()
        }
    return list(map(_with_bypass, value)) if isinstance(value, list) else value
