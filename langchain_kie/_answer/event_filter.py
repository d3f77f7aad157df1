"""Removes from the events of an answer what is not part of it, or what it has already.

Knows events. Knows no API and nothing of LangChain.
"""

from __future__ import annotations

from typing import Any

from langchain_kie._answer.event import AnswerEvent, Output


class EventFilter:
    """Filters the events of one answer.

    The choice that comes first is the answer.
    """

    def __init__(self) -> None:
        self._choice: Any = None
        self._seen: set[type | str] = set()
        self._is_in_thought = False

    def apply(self, event: AnswerEvent) -> AnswerEvent:
        """Return the event without what is not part of the answer; it may be modified."""
        if self._choice is None:
            self._choice = event.choice
        elif event.choice != self._choice and _is_other(event.choice, self._choice):
            event = _without_choice(event)
        if event.is_tagged_thought or self._is_in_thought:
            self._read_tagged_thought(event)
        if event.is_message:
            if self._seen:
                self._remove_repeated(event)
            return event
        for output in event.outputs:
            if output.__class__ not in self._seen:
                self._seen.add(output.__class__)
        if event.reasoning and "reasoning" not in self._seen:
            self._seen.add("reasoning")
        if event.refusal:
            self._seen.add("refusal")
        return event

    def _read_tagged_thought(self, event: AnswerEvent) -> None:
        """Move a text in `<thought>` tags to the thoughts; the next event can have the end tag."""
        outputs: list[Output] = []
        for output in event.outputs:
            if not isinstance(output, str):
                outputs.append(output)
                continue
            thought, end, text = output.partition("</thought>")
            if event.is_tagged_thought or end:
                event.reasoning += thought.removeprefix("<thought>")
            else:
                text = thought
            self._is_in_thought = event.is_tagged_thought and not end
            outputs += [text] if text else []
        event.outputs = outputs

    def _remove_repeated(self, event: AnswerEvent) -> None:
        """Remove what a complete message repeats of the pieces that came before it."""
        event.outputs = [output for output in event.outputs if type(output) not in self._seen]
        if "reasoning" in self._seen:
            event.reasoning = ""
        if "refusal" in self._seen:
            event.refusal = ""


def _is_other(choice: Any, first: Any) -> bool:
    """Whether an event is of another choice; some servers send the index as text."""
    return choice is not None and str(choice) != str(first)


def _without_choice(event: AnswerEvent) -> AnswerEvent:
    """The usage and the credits of an event of another choice."""
    kept = {k: v for k, v in event.metadata.items() if k == "credits_consumed"}
    return AnswerEvent(usage=event.usage, parse_usage=event.parse_usage, metadata=kept)
