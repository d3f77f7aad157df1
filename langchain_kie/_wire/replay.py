"""A model's parts in their original order, each with its signature.

Pure; `generate_content` only.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING

from langchain_kie._conversation.media import Media
from langchain_kie._conversation.thought_signatures import is_text_unchanged, sign_call
from langchain_kie._wire import common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_kie._conversation.cache import Turn
    from langchain_kie._conversation.content import Part
    from langchain_kie._json import Json

_OK = "OUTCOME_OK"
_SIGNATURES = frozenset({"thoughtSignature", "thought_signature"})


def model_parts(
    turn: Turn,
    calls: Sequence[tuple[str, Json]],
    entries: Sequence[Json],
    encode: Callable[[Part], Json],
) -> list[Json]:
    """Return the parts of a model's turn.

    Text between signed parts becomes one part. A tool call without a signature follows the call
    before it, as in a parallel batch. Without signatures, or if the text was changed since, tool
    calls are last, and the text has no signatures.

    Args:
        turn: The message.
        calls: The tool calls, each with its id.
        entries: The signatures, as `thought_signatures` stores them.
        encode: Converts text or media to a native part.
    """
    parts = turn.parts
    if not entries and len(parts) < 2:  # noqa: PLR2004 - several texts are joined
        return [*map(encode, parts), *[part for _, part in calls]]
    text = ""
    placed: list[tuple[tuple[int, float], int, Json]] = []
    media: dict[str, tuple[Media, Json]] = {}
    for part in parts:
        if isinstance(part, Media):
            _, block = media[part.index or ""] = part, encode(part)
            placed.append(((len(text), _block_number(part.index)), len(text), block))
        else:
            text += part
    server_tools = turn.server_tools or {}
    for entry in entries:
        if "part" in entry and entry["index"] in server_tools:
            at, block = server_tools[entry["index"]]
            if native_part := _current_part(entry["part"], block):
                placed.append(((at, _block_number(entry["index"])), at, native_part))
    remaining = list(calls)
    placed += _signed_parts(entries, text, remaining, media)
    result: list[Json] = []
    position = 0
    for (start, _), end, native_part in sorted(placed, key=itemgetter(0)):
        if position < start:
            result.append(encode(text[position:start]))
        result.append(native_part)
        position = max(position, end)
    if position < len(text):
        result.append(encode(text[position:]))
    return [*result, *(part for _, part in remaining)]


def _signed_parts(
    entries: Sequence[Json],
    text: str,
    calls: list[tuple[str, Json]],
    media: dict[str, tuple[Media, Json]],
) -> Iterator[tuple[tuple[int, float], int, Json]]:
    """Sign the parts that `entries` refer to; an entry whose part is missing is skipped.

    Yields the signed texts and calls, with the calls before those. Each has its start in the text,
    its order among the parts that start there, and its end. Removes these calls from `calls`;
    signs `media`.
    """
    position = 0
    is_unchanged = is_text_unchanged(entries, text)
    for entry in entries:
        if "signature" not in entry:
            continue
        signature = {"thoughtSignature": entry["signature"]}
        match entry["type"]:
            case "text" if is_unchanged and position <= entry["start"] <= entry["end"] <= len(text):
                start, position = entry["start"], entry["end"]
                yield (start, math.inf), position, {"text": text[start:position], **signature}
            case "tool_call" if entry["id"] in dict(calls):
                at = entry["at"] if is_unchanged else len(text)
                position = max(position, min(at, len(text)))
                call_id = None
                while call_id != entry["id"]:
                    call_id, call = calls.pop(0)
                    yield (position, math.inf), position, call
                sign_call(call, entry)
            case "block" if entry["index"] in media:
                part, native_part = media[entry["index"]]
                if entry.get("digest") in {None, part.digest()}:
                    native_part.update(signature)


def _current_part(part: Json, block: Json) -> Json:
    """The native part of a block of a server-side tool; if it was changed, without signature."""
    if block["type"] == "non_standard":
        current = block.get("value")
        current = current if isinstance(current, dict) else {}
    elif block["type"] == "server_tool_call":
        args = block.get("args")
        changes = {"code": "", **(args if isinstance(args, dict) else {})}
        current = _changed(part, "executableCode", changes)
    else:
        changes = {"output": block.get("output")}
        is_ok = block.get("status") == "success"
        if is_ok != (part.get("codeExecutionResult", {}).get("outcome") == _OK):
            changes["outcome"] = _OK if is_ok else "OUTCOME_FAILED"
        current = _changed(part, "codeExecutionResult", changes)
    if current == part:
        return part
    return {name: value for name, value in current.items() if name not in _SIGNATURES}


def _changed(part: Json, name: str, changes: Json) -> Json:
    """A native part with other values in its member `name`; only those that differ are text."""
    member = part.get(name, {})
    changes = {
        key: common.arguments_text(value)
        for key, value in changes.items()
        if value != member.get(key)
    }
    return {**part, name: {**member, **changes}}


def _block_number(index: str | None) -> float:
    """The number of a content block of an answer, by which blocks are in order."""
    number = str(index).rpartition("_")[2]
    return int(number) if number.isdecimal() else -1
