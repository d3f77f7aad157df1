"""The model's own parts, put back in the order they came, each with its signature.

Pure; native parts only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_kie._conversation.media import Media

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_kie._conversation.content import Part
    from langchain_kie._json import Json


def model_parts(
    parts: Sequence[Part],
    calls: Sequence[tuple[str, Json]],
    entries: Sequence[Json],
    encode: Callable[[Part], Json],
) -> list[Json]:
    """The parts of a model's turn.

    Text between signed parts is sent as it stands. A call without a signature follows the one
    before it, as in a parallel batch; where nothing is signed, calls come last.

    Args:
        parts: The message's text and media.
        calls: Its calls, by id.
        entries: Its signatures, as `_signatures` keeps them.
        encode: Turns text or a medium into a native part.
    """
    if not entries and len(parts) < 2:  # noqa: PLR2004 - pieces of text become one
        return [*map(encode, parts), *[part for _, part in calls]]
    replay = _Replay(parts, calls, encode)
    for entry in entries:
        if "signature" in entry:
            replay.sign(entry)
    return replay.finish()


class _Replay:
    """A model's turn as it is written again."""

    def __init__(
        self,
        parts: Sequence[Part],
        calls: Sequence[tuple[str, Json]],
        encode: Callable[[Part], Json],
    ) -> None:
        self._encode = encode
        self._calls = list(calls)
        self._ordered: list[Json] = []
        self._position = 0
        self._text = ""
        self._media: list[tuple[int, Json]] = []
        self._blocks: dict[str, Json] = {}
        for part in parts:
            if isinstance(part, Media):
                medium = encode(part)
                self._media.append((len(self._text), medium))
                self._blocks[part.index or ""] = medium
            else:
                self._text += part

    def sign(self, entry: Json) -> None:
        """Write up to a signed part, and the part; one that the message lost is passed over."""
        match entry["type"]:
            case "text" if self._position <= entry["start"] <= entry["end"] <= len(self._text):
                self._write_to(entry["start"])
                self._position = entry["end"]
                text = self._text[entry["start"] : entry["end"]]
                self._ordered.append({"text": text, "thoughtSignature": entry["signature"]})
            case "tool_call" if entry["id"] in dict(self._calls):
                self._write_to(min(entry["at"], len(self._text)))
                call_id = None
                while call_id != entry["id"]:
                    call_id, part = self._calls.pop(0)
                    self._ordered.append(part)
                self._ordered[-1]["thoughtSignature"] = entry["signature"]
            case "block" if entry["index"] in self._blocks:
                self._blocks[entry["index"]]["thoughtSignature"] = entry["signature"]

    def finish(self) -> list[Json]:
        """Write the rest."""
        self._write_to(len(self._text))
        return [*self._ordered, *(part for _, part in self._calls)]

    def _write_to(self, end: int) -> None:
        """Write the text and media up to a position in the text."""
        while self._media and self._media[0][0] <= end:
            offset, medium = self._media.pop(0)
            self._say(offset)
            self._ordered.append(medium)
        self._say(end)

    def _say(self, end: int) -> None:
        if self._position < end:
            self._ordered.append(self._encode(self._text[self._position : end]))
            self._position = end
