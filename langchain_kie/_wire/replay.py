"""A model's parts in their original order, each with its signature.

Pure; `generate_content` only.
"""

from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from langchain_kie._conversation.media import Media
from langchain_kie._conversation.thought_signatures import is_text_unchanged, sign_call
from langchain_kie._wire import common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from langchain_kie._conversation.content import Part
    from langchain_kie._conversation.parsed_message import Turn
    from langchain_kie._json import Json

_Placed: TypeAlias = "tuple[tuple[int, float, int], int, Json]"
"""A part: its start in the text and its order among those that start there, its end, and itself."""

_OK = "OUTCOME_OK"
_SIGNATURES = frozenset({"thoughtSignature", "thought_signature"})


def model_parts(
    turn: Turn,
    calls: Sequence[tuple[str, Json]],
    entries: Sequence[Json],
    encode: Callable[[Part], Json],
) -> list[Json]:
    """Return the parts of a model's turn.

    Text between signed parts becomes one part. Signed parts at one place of the text are in the
    order in which they came, but tool calls in that of the message; one without a signature goes
    with the next one that has one. Without signatures, or if the text was changed since, tool calls
    are last, and the text has no signatures.

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
    placed: list[_Placed] = []
    media: dict[str, tuple[Media, Json]] = {}
    for part in parts:
        if isinstance(part, Media):
            _, block = media[part.index or ""] = part, encode(part)
            placed.append(((len(text), _block_number(part.index), 0), len(text), block))
        else:
            text += part
    server_tools = turn.server_tools or {}
    for entry in entries:
        if "part" in entry and entry["index"] in server_tools:
            at, block = server_tools[entry["index"]]
            if native_part := _current_part(entry["part"], block):
                placed.append(((at, _block_number(entry["index"]), 0), at, native_part))
    remaining = list(calls)
    _sign_media(entries, media)
    ranks, is_unchanged = _ranks(entries), is_text_unchanged(entries, text)
    placed += _signed_calls(entries, ranks, remaining, len(text), is_unchanged=is_unchanged)
    placed += _signed_texts(entries, ranks, text) if is_unchanged else ()
    result: list[Json] = []
    position = 0
    for (start, *_), end, native_part in sorted(placed, key=itemgetter(0)):
        if position < start:
            result.append(encode(text[position:start]))
        result.append(native_part)
        position = max(position, end)
    if position < len(text):
        result.append(encode(text[position:]))
    return [*result, *(part for _, part in remaining)]


def _sign_media(entries: Sequence[Json], media: Mapping[str, tuple[Media, Json]]) -> None:
    """Sign the media that were not changed."""
    for entry in entries:
        if entry["type"] == "block" and "signature" in entry and entry["index"] in media:
            part, native_part = media[entry["index"]]
            if entry.get("digest") in {None, part.digest()}:
                native_part["thoughtSignature"] = entry["signature"]


def _signed_texts(entries: Sequence[Json], ranks: Sequence[float], text: str) -> Iterator[_Placed]:
    """The signed texts; an entry whose text is missing is skipped."""
    position = 0
    for number, entry in enumerate(entries):
        if entry["type"] == "text" and position <= entry["start"] <= entry["end"] <= len(text):
            start, position = entry["start"], entry["end"]
            part = {"text": text[start:position], "thoughtSignature": entry["signature"]}
            yield (start, ranks[number], number), position, part


def _signed_calls(
    entries: Sequence[Json],
    ranks: Sequence[float],
    calls: list[tuple[str, Json]],
    length: int,
    *,
    is_unchanged: bool,
) -> Iterator[_Placed]:
    """The signed calls, with the calls before those; removes them from `calls`."""
    signed = {
        entry["id"]: (number, entry)
        for number, entry in enumerate(entries)
        if entry["type"] == "tool_call" and "signature" in entry
    }
    last = 0
    before: list[Json] = []
    for call_id, call in list(calls):
        before.append(call)
        if call_id not in signed:
            continue
        number, entry = signed[call_id]
        last = max(last, number)  # the calls of one place stay in the order of the message
        at = min(entry["at"], length) if is_unchanged else length
        yield from (((at, ranks[number], last), at, part) for part in before)
        sign_call(call, entry)
        del calls[: len(before)]
        before = []


def _ranks(entries: Sequence[Json]) -> list[float]:
    """For each entry, less than the number of each block that came later."""
    ranks, rank = [], math.inf
    for entry in reversed(entries):
        if entry["type"] == "block":
            rank = min(rank, _block_number(entry["index"]) - 0.5)
        ranks.append(rank)
    return ranks[::-1]


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
