"""Thought signatures: opaque to clients, recomputed rather than remembered.

A call's signature is a digest of the model and the very call; a text's signature proves only
that it is one of this emulator's, because a text may come back in other pieces. Like KIE's,
they are not base64, so that a client which decodes them fails here first.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import Call

BYPASSES = frozenset(
    {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"},
)
"""The placeholders that Google documents for calls which no model made."""

_NONCE_LENGTH = 8
_TEXT_PREFIX = "tx~"


def _digest(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return "-".join((digest[:12], digest[12:24], digest[24:34]))


def sign_call(model: str, call: Call) -> str:
    """Sign a function call that `model` makes."""
    args = json.dumps(call.args, sort_keys=True, separators=(",", ":"))
    return "fc~" + _digest(model, call.name, args)


def sign_text(model: str, text: str) -> str:
    """Sign a text that `model` says."""
    nonce = hashlib.sha256(text.encode()).hexdigest()[:_NONCE_LENGTH]
    return f"{_TEXT_PREFIX}{nonce}~{_digest(model, nonce)[:28]}"


def is_call_signature(signature: str, model: str, call: Call) -> bool:
    """Say whether `signature` was issued for this very call, or is a documented bypass."""
    return signature in BYPASSES or signature == sign_call(model, call)


def is_text_signature(signature: str, model: str) -> bool:
    """Say whether `signature` was issued for a text of `model`, or is a documented bypass."""
    if signature in BYPASSES:
        return True
    nonce, _, proof = signature.removeprefix(_TEXT_PREFIX).partition("~")
    return signature.startswith(_TEXT_PREFIX) and proof == _digest(model, nonce)[:28]
