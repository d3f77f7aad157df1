"""Thought signatures: base64 as Gemini's are, and recomputed instead of stored.

The signature of a call is a digest of the model and of the call. The signature of a text proves
only that the emulator issued it for the model, because a text may come back in other pieces.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_kie.emulator.conversation import ToolCall

BYPASSES = frozenset(
    {"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"},
)
"""The placeholders that Google documents for calls without a signature."""

_CALL_PREFIX = b"fc~"
_TEXT_PREFIX = b"tx~"
_NONCE_LENGTH = 8

URL_SAFE = str.maketrans("-_", "+/")
"""Converts the URL-safe alphabet of base64 to the standard one."""


def sign_call(model: str, call: ToolCall) -> str:
    """Sign a function call of `model`."""
    args = json.dumps(call.args, sort_keys=True, separators=(",", ":"))
    return _encode(_CALL_PREFIX, _digest(model, call.name, args))


def sign_text(model: str, text: str) -> str:
    """Sign a text of `model`."""
    return _sign_nonce(model, _digest(text)[:_NONCE_LENGTH])


def is_call_signature(signature: str, model: str, call: ToolCall) -> bool:
    """Return whether `signature` was issued for this very call, or is a documented placeholder."""
    return signature in BYPASSES or _standard(signature) == sign_call(model, call)


def is_text_signature(signature: str, model: str) -> bool:
    """Return whether `signature` was issued for a text of `model`, or is a known placeholder."""
    if signature in BYPASSES:
        return True
    try:
        payload = base64.b64decode(_standard(signature), validate=True)
    except ValueError:
        return False
    nonce = payload.removeprefix(_TEXT_PREFIX)[:_NONCE_LENGTH]
    return _standard(signature) == _sign_nonce(model, nonce)


def _sign_nonce(model: str, nonce: bytes) -> str:
    return _encode(_TEXT_PREFIX, nonce + _digest(model, nonce.hex()))


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _encode(prefix: bytes, payload: bytes) -> str:
    return base64.b64encode(prefix + payload).decode()


def _standard(signature: str) -> str:
    """Convert to the standard alphabet.

    Google's JSON parser accepts the URL-safe alphabet too, which google-genai sends.
    """
    return signature.translate(URL_SAFE)
