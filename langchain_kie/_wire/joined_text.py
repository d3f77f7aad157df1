"""Joins the events of one read that differ only in their text, before they are parsed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from langchain_kie._json import Json

_TEXTS = frozenset({"content", "reasoning_content", "reasoning"})
_NOT_JOINED = frozenset({"code", "error", "credits_consumed", "promptFeedback"})
"""Members of events that are not joined; each is counted separately."""


class _Plain(NamedTuple):
    """Where an event has its text.

    Attributes:
        find: Returns the object with the text.
        member: The member of that object.
        counts: The member of the event with its token counts.
    """

    find: Callable[[Json], Json]
    member: str
    counts: str


def _delta(event: Json) -> Any:
    return event["choices"][0]["delta"]


def _part(event: Json) -> Any:
    return event["candidates"][0]["content"]["parts"][0]


def join_events(values: list[Any]) -> list[Any]:
    """Join consecutive events that are equal except for their text and their token counts.

    The sum of the chunks stays the same. Text with `<` stays in its event, because `<thought>`
    tags count by event.

    Args:
        values: The values of one read; modified.
    """
    joined: list[Any] = []
    run: _Run | None = None
    for value in values:
        if run and run.add(value):
            continue
        if run:
            run.close()
        plain = _plain(value)
        run = _Run(value, plain) if plain else None
        joined.append(value)
    if run:
        run.close()
    return joined


class _Run:
    """Consecutive events that become one, the first.

    Its text and its counts are removed meanwhile, so that the others can be compared with it.
    """

    __slots__ = ("_counts", "_event", "_find", "_holder", "_member", "_name", "_texts")

    def __init__(self, event: Json, plain: _Plain) -> None:
        self._event = event
        self._find, self._member, self._name = plain
        self._holder = self._find(event)
        self._texts = [self._holder[self._member]]
        self._holder[self._member] = ""
        self._counts = event.pop(self._name, None)

    def add(self, event: Any) -> bool:
        """Add an event; if it is another kind of event, leave it unchanged and return `False`."""
        try:
            holder = self._find(event)
            text = holder[self._member]
        except (LookupError, TypeError):
            return False
        if text.__class__ is not str or "<" in text:
            return False
        counts = event.pop(self._name, None)
        holder[self._member] = ""
        try:
            is_same = event == self._event and _replaces(counts, self._counts)
        except RecursionError:
            is_same = False
        if is_same:
            self._texts.append(text)
            self._counts = counts
            return True
        holder[self._member] = text
        if counts is not None:
            event[self._name] = counts
        return False

    def close(self) -> None:
        """Put the text of all events, and the last counts, into the first event."""
        self._holder[self._member] = "".join(self._texts)
        if self._counts is not None:
            self._event[self._name] = self._counts


def _replaces(counts: Any, old: Any) -> bool:
    """Whether `counts` replaces every count of `old`; only positive integers replace a count."""
    if counts is None or old is None:
        return counts is old
    if not (isinstance(counts, dict) and isinstance(old, dict) and counts.keys() >= old.keys()):
        return False
    return all(count.__class__ is int and count > 0 for count in counts.values())


def _plain(event: Any) -> _Plain | None:
    """Where the text of an event is; `None` if the event must not be joined."""
    if event.__class__ is not dict or not _NOT_JOINED.isdisjoint(event):
        return None
    if "choices" in event:
        is_plain = "candidates" not in event and "usageMetadata" not in event
        return _plain_chat(event) if is_plain else None
    return _plain_native(event) if "usage" not in event else None


def _plain_chat(event: Json) -> _Plain | None:
    choice = _only(event["choices"])
    if choice is None or not _has_only(choice, {"index", "delta"}):
        return None
    delta = choice.get("delta")
    if delta.__class__ is not dict:
        return None
    members = [name for name in delta if delta[name] and name != "role"]
    if len(members) != 1 or members[0] not in _TEXTS or not _is_text(delta[members[0]]):
        return None
    return _Plain(_delta, members[0], "usage")


def _plain_native(event: Json) -> _Plain | None:
    candidate = _only(event.get("candidates"))
    if candidate is None or not _has_only(candidate, {"index", "content"}):
        return None
    content = candidate.get("content")
    if content.__class__ is not dict or not _has_only(content, {"role", "parts"}):
        return None
    part = _only(content.get("parts"))
    if part is None or not part.keys() <= {"text", "thought"} or not _is_text(part.get("text")):
        return None
    return _Plain(_part, "text", "usageMetadata")


def _only(items: Any) -> Json | None:
    """The only object of a list."""
    if items.__class__ is list and len(items) == 1 and items[0].__class__ is dict:
        return items[0]
    return None


def _has_only(value: Json, names: Collection[str]) -> bool:
    """Whether the other members of an object are empty."""
    return all(name in names or not value[name] for name in value)


def _is_text(value: Any) -> bool:
    return value.__class__ is str and value != "" and "<" not in value
