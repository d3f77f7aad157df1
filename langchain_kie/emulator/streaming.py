"""JSON, ids and server-sent events, as both APIs write them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DONE = b"data: [DONE]\n\n"

_WORD = re.compile(r"\s*\S+\s*")
_JSON_FRAGMENT_LENGTH = 16


def encode_event(payload: Mapping[str, Any]) -> bytes:
    """Write one server-sent event; KIE sends only `data:` lines (docs/wire.md 4)."""
    return b"data: " + encode_json(payload) + b"\n\n"


def encode_json(payload: Any) -> bytes:
    """Write JSON; orjson rejects integers beyond 64 bits."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload, ensure_ascii=False).encode()


def split_text(text: str, words: int) -> Iterator[str]:
    """Split prose after every `words` words, and JSON inside its tokens (docs/wire.md 4)."""
    if text.startswith(("{", "[")):
        yield from split_evenly(text, _JSON_FRAGMENT_LENGTH)
        return
    found = _WORD.findall(text) or ([text] if text else [])
    yield from ("".join(found[n : n + words]) for n in range(0, len(found), words))


def split_evenly(text: str, length: int) -> Iterator[str]:
    """Split a text into fragments of `length` characters."""
    return (text[start : start + length] for start in range(0, len(text), length))


def make_id(*parts: object, length: int = 24) -> str:
    """Build an id that depends on `parts` only, so that it is the same in every run."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:length]
