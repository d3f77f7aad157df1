"""Thought signatures: where a message stores them, and which of them are sent back.

A thought signature is an opaque string on one part of an answer. It must be sent back with that
part, unchanged (docs/wire.md 6). All signatures of a message are stored in one place, which
survives LangChain's merging of chunks, v1 output, JSON, pickle and checkpoints:

    message.additional_kwargs["thought_signatures"] = {
        "gemini-3.5-flash": [
            {"type": "text", "start": 0, "end": 12, "signature": "..."},
            {"type": "content", "digest": "..."},
            {"type": "tool_call", "id": "call_1", "at": 12, "signature": "...", "digest": "..."},
            {"type": "block", "index": "lc_block_0", "signature": "...", "digest": "..."},
            {"type": "block", "index": "lc_block_1", "part": {"executableCode": {...}}},
            {"type": "tool_call", "id": "call_1", "extra": {"extra_content": {...}}},
            {"type": "message", "extra": {"extra_content": {...}}, "digests": {"call_1": "..."}},
        ]
    }

The key is the model that produced them, because other models cannot use them. `start`, `end`
and `at` are positions in the text of the message. `index` is that of a content block which is not
text. `part` is a native part of a server-side tool. `extra` has undocumented members of a tool call
or message of `chat_completions`.

What was changed since is sent without its old signature. `digest` is that of a block's data, of the
call's name and arguments, or in the `content` entry that of the text: after a change of the text,
its signatures and positions are not used. `digests` has those of all calls of the message; if one
was changed, or the text of a message without calls, `extra` is not sent back. Older messages have
none. If arguments were converted to the types of the tool, `args` has the signed ones, as JSON
text, because a checkpoint cannot store every integer; they are sent back instead. Pure;
independent of the APIs.
"""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from langchain_kie._json import json_key, parse_json, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._json import Json

STORE_KEY = "thought_signatures"
"""Where a message has its signatures in `additional_kwargs`."""

PLACEHOLDER_SIGNATURE = "skip_thought_signature_validator"
"""Google's documented signature for a function call that a person or another model wrote; Gemini 3
refuses a request without one (docs/wire.md 6)."""

_REQUIRED = {
    "text": frozenset({"start", "end", "signature"}),
    "content": frozenset({"digest"}),
    "tool_call": frozenset({"id"}),
    "block": frozenset({"index"}),
    "message": frozenset({"extra"}),
}
_TYPES = {
    **dict.fromkeys(("start", "end", "at"), int),
    **dict.fromkeys(("signature", "digest", "id", "index", "args"), str),
    **dict.fromkeys(("extra", "part", "digests"), dict),
}
"""The members that an entry has at least, by its type, and the types of members."""

_SIGNATURE_KEYS = frozenset(
    {"thought_signature", "thoughtSignature", "thought_signatures", "signature"}
)


class SignatureLog:
    """Collects the signatures of one answer.

    Args:
        model: The model's name in the catalog.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._entries: list[Json] = []
        self._extras: set[bytes] = set()

    def add_text(self, start: int, end: int, signature: str) -> None:
        """Add the signature of the text between two positions, which may be equal."""
        self._entries.append({"type": "text", "start": start, "end": end, "signature": signature})

    def add_block(self, index: str, signature: str, digest: str | None) -> None:
        """Add the signature of a content block that is not text, and the digest of its data."""
        entry = {"type": "block", "index": index, "signature": signature}
        self._entries.append({**entry, "digest": digest} if digest else entry)

    def add_part(self, index: str, part: Json) -> None:
        """Add a native part of a server-side tool."""
        self._entries.append({"type": "block", "index": index, "part": deepcopy(part)})

    def add_message_extra(self, extra: Json) -> None:
        """Add members of the message, once."""
        self._add_once({"type": "message", "extra": extra})

    def add_call(self, index: int, at: int, signature: str) -> None:
        """Add the signature of the tool call number `index`, after `at` characters of text."""
        self._entries.append({"type": "tool_call", "id": index, "at": at, "signature": signature})

    def add_extra(self, index: int, extra: Json) -> None:
        """Add members of a tool call, once."""
        self._add_once({"type": "tool_call", "id": index, "extra": extra})

    def _add_once(self, entry: Json) -> None:
        key = json_key(entry)
        if key not in self._extras:
            self._extras.add(key)
            self._entries.append(entry)

    def set_call_id(
        self, index: int, call_id: str, name: str, args: Any, signed_args: str | None
    ) -> None:
        """Set the id of the tool call number `index`, its digest, and what `args` was made from."""
        for entry in self._entries:
            if entry["type"] == "message" and isinstance(args, dict):
                entry.setdefault("digests", {})[call_id] = digest_of(name, args)
            elif entry["type"] == "tool_call" and entry["id"] == index:
                entry["id"] = call_id
                if "signature" in entry or has_signature(entry["extra"]):
                    entry["digest"] = digest_of(name, args)
                    if signed_args is not None:
                        entry["args"] = signed_args

    def additional_kwargs(self, texts: Mapping[str, str], refusal: str) -> Json:
        """Return the entry for the message; it leaves out tool calls that never got a name.

        Args:
            texts: The text blocks of the message.
            refusal: Its refusal, which can be its only text.
        """
        if not self._entries:
            return {}
        entries = [entry for entry in self._entries if not isinstance(entry.get("id"), int)]
        if any(entry["type"] in {"text", "message"} or "at" in entry for entry in entries):
            text = "".join(texts.values())
            digest = text_digest(text if text == refusal else text + refusal)
            entries.append({"type": "content", "digest": digest})
        return {STORE_KEY: {self._model: entries}} if entries else {}


def digest_of(name: str, args: Any) -> str:
    """A short digest of the name and arguments of a tool call.

    It ignores what changes when a message is stored: the order of members, 1.0 instead of 1,
    and text that is not UTF-8.

    Raises:
        ValueError: The arguments are nested too deeply.
    """
    try:
        plain = [name, _with_integers(args)]
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False, default=str)
    except RecursionError:
        raise ValueError(f"the arguments of a call of {name!r} are nested too deeply") from None
    return text_digest(text)


def text_digest(text: str) -> str:
    """A short digest of a text, the same if half surrogate pairs were replaced."""
    return hashlib.sha256(without_surrogates(text).encode()).hexdigest()[:16]


def _with_integers(value: Any) -> Any:
    """A JSON value with integers in place of equal numbers that have a fraction."""
    if isinstance(value, dict):
        return {str(key): _with_integers(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_with_integers, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def sign_call(part: Json, entry: Mapping[str, Any]) -> None:
    """Add its signature to a native tool call, or the placeholder if it was changed since."""
    is_unchanged = _is_unchanged(entry, part["functionCall"])
    part["thoughtSignature"] = entry["signature"] if is_unchanged else PLACEHOLDER_SIGNATURE
    if is_unchanged and "args" in entry:
        part["functionCall"]["args"] = parse_json(entry["args"].encode(errors="replace"))


def has_signature(value: Any) -> bool:
    """Whether a JSON value has a signature, or an encrypted thought, at any depth."""
    if isinstance(value, dict):
        is_encrypted = str(value.get("type")).endswith("encrypted")
        return is_encrypted or any(
            key in _SIGNATURE_KEYS or has_signature(inner) for key, inner in value.items()
        )
    return isinstance(value, list) and any(map(has_signature, value))


def stored_signatures(message: BaseMessage) -> dict[str, list[Json]]:
    """The signatures of a message by the model that gave them, in the order in which they came."""
    stored = message.additional_kwargs.get(STORE_KEY)
    if not stored or message.response_metadata.get("model_provider", "kie") != "kie":
        return {}
    if not isinstance(stored, dict):
        return {}
    return {
        model: [entry for entry in entries if _is_entry(entry)]
        for model, entries in stored.items()
        if isinstance(entries, list)
    }


def _is_entry(entry: Any) -> bool:
    """Whether an entry has the members of its type; those of a message may have been changed."""
    required = _REQUIRED.get(str(entry.get("type"))) if isinstance(entry, dict) else None
    if required is None:
        return False
    if entry["type"] == "tool_call" and "signature" in entry:
        required = required | {"at"}
    return required <= entry.keys() and all(
        isinstance(value, _TYPES.get(key, object)) for key, value in entry.items()
    )


def stored_extras(entries: Iterable[Json], calls: Iterable[Mapping[str, Any]]) -> dict[str, Json]:
    """The undocumented members of tool calls, by the id of the call."""
    extras: dict[str, Json] = {}
    by_id = {call["id"]: call for call in calls}
    for entry in entries:
        if entry["type"] == "tool_call" and "extra" in entry:
            is_unchanged = _is_unchanged(entry, by_id.get(entry["id"]))
            extra = entry["extra"] if is_unchanged else _with_placeholder(entry["extra"])
            extras.setdefault(entry["id"], {}).update(extra)
            if is_unchanged and "args" in entry:
                function = extras[entry["id"]].get("function", {})
                extras[entry["id"]]["function"] = {**function, "arguments": entry["args"]}
    return extras


def is_text_unchanged(entries: Iterable[Json], text: str) -> bool:
    """Whether a message has the text that it had as an answer, as far as that is stored."""
    digests = [entry["digest"] for entry in entries if entry["type"] == "content"]
    return not digests or text_digest(text) in digests


def stored_message_extra(
    entries: Sequence[Json], calls: Iterable[Mapping[str, Any]], text: str
) -> Json:
    """The members that were next to the content of a message and have signatures.

    They may be signatures of its calls; if one of these was changed, there are none. Those of a
    message without calls are of its text.
    """
    extra: Json = {}
    by_id = {call["id"]: call for call in calls}
    if not by_id and not is_text_unchanged(entries, text):
        return {}
    for entry in entries:
        if entry["type"] == "message":
            for call_id, digest in entry.get("digests", {}).items():
                if not _is_unchanged({"digest": digest}, by_id.get(call_id)):
                    return {}
            extra = _joined(extra, entry["extra"])
    return extra


def _joined(old: Any, new: Any) -> Any:
    """A value of two events: lists one after the other, objects member by member, else the new."""
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{k: _joined(old[k], v) if k in old else v for k, v in new.items()}}
    return new


def _is_unchanged(entry: Mapping[str, Any], call: Mapping[str, Any] | None) -> bool:
    digest = entry.get("digest")
    return digest is None or bool(call and digest == digest_of(call["name"], call["args"]))


def _with_placeholder(value: Any) -> Any:
    """A JSON value with `PLACEHOLDER_SIGNATURE` in place of its signatures."""
    if isinstance(value, dict):
        return {
            key: _placeholder(inner) if key in _SIGNATURE_KEYS else _with_placeholder(inner)
            for key, inner in value.items()
        }
    return list(map(_with_placeholder, value)) if isinstance(value, list) else value


def _placeholder(signature: Any) -> Any:
    return [PLACEHOLDER_SIGNATURE] if isinstance(signature, list) else PLACEHOLDER_SIGNATURE
