"""Removes text from events that is a thought, of another choice, or a repetition.

Depends on events; independent of the APIs and of LangChain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_kie._answer.event import AnswerEvent, Output, ToolCallDelta, is_other_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START, _END = "<thought>", "</thought>"


class EventFilter:
    """Filters the events of one answer.

    The choice that has output first is the answer; if an event has several, the first of these.

    Args:
        text_so_far: Returns the text of the events before.
    """

    def __init__(self, text_so_far: Callable[[], str]) -> None:
        self._text_so_far = text_so_far
        self._has_message = False
        self._is_cumulative: bool | None = None
        self._choice: Any = None
        self._seen: set[type | str] = set()
        self._is_in_thought = False
        self._cut_tag = ""
        self._thoughts: list[str] = []
        self._joined_thoughts: _JoinedThoughts | None = None

    def apply(self, event: AnswerEvent) -> AnswerEvent:
        """Return the event without what is not part of the answer; it may be modified."""
        if event.choice != self._choice:
            event = self._of_choice(event)
        if event.is_tagged_thought or event.other_reasoning or self._joined_thoughts:
            self._read_thoughts(event)
        elif event.reasoning:
            self._thoughts.append(event.reasoning)
        if event.is_message:
            if self._seen or self._has_message:
                self._remove_repeated(event)
            self._has_message = True
            return event
        for output in event.outputs:
            if output.__class__ not in self._seen:
                self._seen.add(output.__class__)
        if event.reasoning and "reasoning" not in self._seen:
            self._seen.add("reasoning")
        if event.refusal:
            self._seen.add("refusal")
        return event

    def _of_choice(self, event: AnswerEvent) -> AnswerEvent:
        """Return the event without another choice than the answer."""
        if self._choice is None:
            self._choice = event.answer_choice
            return event
        if not is_other_choice(event.choice, self._choice):
            return event
        same = (e for e in _others(event) if not is_other_choice(e.choice, self._choice))
        return next(same, None) or _without_choice(event)

    def _read_thoughts(self, event: AnswerEvent) -> None:
        """Read thoughts in tags, and thoughts under a second name, each once."""
        if event.is_tagged_thought or self._is_in_thought or self._cut_tag:
            self._read_tagged_thought(event)
        if self._cut_tag and event.finish_reason:
            event.reasoning += self._cut_tag
            event.is_message = event.is_message and bool(event.outputs)
            self._cut_tag = ""
        if self._joined_thoughts is None:
            self._joined_thoughts = _JoinedThoughts(self._thoughts)
        event.reasoning = self._joined_thoughts.add(event.reasoning, event.other_reasoning)

    def _read_tagged_thought(self, event: AnswerEvent) -> None:
        """Move a text in `<thought>` tags to the thoughts; the next events can have the end tag."""
        outputs = [
            self._text_after_thought(output, event) if isinstance(output, str) else output
            for output in event.outputs
        ]
        event.outputs = [output for output in outputs if output != ""]

    def _text_after_thought(self, text: str, event: AnswerEvent) -> str:
        """Add the thought in `text` to the event, and return the text after it.

        A tag may be cut between two events; what may be the start of one waits for the next.
        """
        is_marked, cut = event.is_tagged_thought, self._cut_tag
        thought, end, after = (cut + text).partition(_END)
        self._cut_tag = ""
        if not (is_marked or end):
            if _END.startswith(thought):
                self._cut_tag = thought
                return ""
            self._is_in_thought = False
            event.reasoning += cut
            return text
        if not end:
            if not self._is_in_thought and _START.startswith(thought) and thought != _START:
                self._cut_tag = thought
                return ""
            thought, self._cut_tag = _without_cut_tag(thought)
        self._is_in_thought = not end
        event.reasoning += thought.removeprefix(_START)
        return after

    def _new_text(self, outputs: list[Output]) -> str | None:
        """The new text of an event with a `message`; `None` if it does not continue the old text.

        Some servers send the whole text so far in each `message`, others only the next piece,
        which can be equal to the text before it.
        """
        if self._is_cumulative is False and not self._seen:
            return None
        text = "".join(output for output in outputs if isinstance(output, str))
        so_far = self._text_so_far()
        if not (text and so_far):
            return None
        is_continued = text.startswith(so_far)
        if text != so_far:
            self._is_cumulative = is_continued
        return text.removeprefix(so_far) if is_continued and self._is_cumulative else None

    def _remove_repeated(self, event: AnswerEvent) -> None:
        """Remove what a complete message repeats of the pieces that came before it."""
        new = self._new_text(event.outputs) if event.outputs else None
        event.outputs = [  # calls are compared with those that came before them
            output
            for output in event.outputs
            if isinstance(output, ToolCallDelta) or type(output) not in self._seen
        ]
        if new is not None:
            others = [output for output in event.outputs if not isinstance(output, str)]
            event.outputs = [*([new] if new else []), *others]
        if "reasoning" in self._seen:
            event.reasoning = ""
        if "refusal" in self._seen:
            event.refusal = ""


class _JoinedThoughts:
    """Joins thoughts that a server sends under two names, or twice.

    Under either name they continue or repeat the same text.

    Args:
        pieces: The thoughts that came under the first name alone.
    """

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._length = sum(map(len, pieces))
        self._lengths = [self._length, 0]

    def add(self, text: str, other: str) -> str:
        """Return what is new in an event's thoughts under the first and the second name."""
        if not (text or other):
            return ""
        new = self._new(text, 0) if text else self._new(other, 1)
        if text and other:
            self._lengths[1] = self._length
        return new

    def _new(self, text: str, name: int) -> str:
        start = self._lengths[name]
        if start != self._length:
            joined = "".join(self._pieces)
            self._pieces, repeated = [joined], joined[start:]
            if repeated.startswith(text):
                self._lengths[name] += len(text)
                return ""
            text = text.removeprefix(repeated)
        self._pieces.append(text)
        self._length += len(text)
        self._lengths[name] = self._length
        return text


def _without_cut_tag(thought: str) -> tuple[str, str]:
    """A thought, and the start of an end tag at its end."""
    start = thought.rfind("<")
    if start < 0 or not _END.startswith(thought[start:]):
        return thought, ""
    return thought[:start], thought[start:]


def _others(event: AnswerEvent) -> Iterator[AnswerEvent]:
    """The events for the other choices of an event."""
    return (parse() for parse in event.others or ())


def _without_choice(event: AnswerEvent) -> AnswerEvent:
    """The usage and the credits of an event of another choice."""
    kept = {k: v for k, v in event.metadata.items() if k == "credits_consumed"}
    return AnswerEvent(usage=event.usage, parse_usage=event.parse_usage, metadata=kept)
