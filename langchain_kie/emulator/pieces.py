"""How an answer is cut up and framed for a stream, whatever the dialect."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = b"data: [DONE]\n\n"

_WORD = re.compile(r"\s*\S+\s*")
_JSON_LETTERS = 16


def event(payload: dict[str, Any]) -> bytes:
    """Frame one event; KIE sends `data:` lines and nothing else (docs/wire.md 4)."""
    return b"data: " + dump(payload) + b"\n\n"


def dump(payload: Any) -> bytes:
    """Write JSON; integers beyond 64 bits need the slower way."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload, ensure_ascii=False).encode()


def pieces(text: str, words: int) -> Iterator[str]:
    """Cut prose after every few words, and JSON in the middle of its tokens (docs/wire.md 4)."""
    if text.startswith(("{", "[")):
        yield from (text[n : n + _JSON_LETTERS] for n in range(0, len(text), _JSON_LETTERS))
        return
    found = _WORD.findall(text) or ([text] if text else [])
    yield from ("".join(found[n : n + words]) for n in range(0, len(found), words))


def identifier(*parts: object, length: int = 24) -> str:
    """Make an id that is new for every exchange, and the same in every run."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:length]
