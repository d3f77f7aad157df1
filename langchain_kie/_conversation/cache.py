"""Messages, each parsed once for as long as it exists.

An agent sends its complete history with every call. Pure.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from operator import is_
from typing import TYPE_CHECKING, Any

from langchain_kie._bounded_cache import BoundedCache
from langchain_kie._conversation.content import repaired_for_langchain
from langchain_kie._conversation.parsed_message import ParsedMessage, has_leaves, leaves_of
from langchain_kie._warnings import warnings_given

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._conversation.parsed_message import Forms
    from langchain_kie._json import Json

_messages: BoundedCache[int, ParsedMessage] = BoundedCache(64_000_000)
"""The messages of this process, by `id`; counted is their JSON."""
_copies: dict[int, tuple[Any, list[Any], BaseMessage]] = {}
add_size = _messages.add_size


def _add(message: BaseMessage, role: str) -> ParsedMessage:
    """Parse a message; keep it, or if it is short only note it until it comes again.

    One that causes a warning is not kept, so that each call gives the warning.
    """
    warnings = warnings_given()
    parsed = ParsedMessage(message, role)
    if warnings != warnings_given():
        return parsed
    key, messages = id(message), _messages
    seen = messages.get(key)
    is_new = seen is None or seen.reference() is not message
    if (is_new and parsed.is_short) or parsed.keep(message):
        parsed.reference = weakref.ref(message, lambda _: messages.pop(key, None))
        messages[key] = parsed
    return parsed


def keep_form(forms: Forms, key: Hashable, encoded: bytes) -> Sequence[bytes | Json]:
    """Keep the JSON of a turn, and return it."""
    forms[key] = [encoded] if encoded else []
    add_size(len(encoded))
    return forms[key]


def parse_messages(
    messages: Sequence[BaseMessage], role_of: Callable[[BaseMessage], tuple[str, BaseMessage]]
) -> list[ParsedMessage]:
    """Parse messages, or return what was kept.

    Args:
        messages: The messages.
        role_of: Returns the role of a message, and the message in the class for that role.

    Raises:
        ValueError: A message cannot be sent.
    """
    parsed_messages: list[ParsedMessage] = []
    get = _messages.get
    for message in messages:
        parsed = get(id(message))
        if parsed is not None and parsed.reference() is message:
            state = parsed.fields(message.__dict__)
            if parsed.state == state or parsed.is_current(message, state):
                parsed_messages.append(parsed)
                continue
        role, message_of_role = role_of(message)
        parsed_messages.append(_add(message_of_role, role))
    return parsed_messages


def repaired_message(message: BaseMessage) -> BaseMessage:
    """As `repaired_for_langchain`; the same copy while the message has not changed.

    Media that are checked once are then not checked again with every call.
    """
    if isinstance(message.content, str):
        return message
    reference, leaves, copy = _copies.get(id(message), (None, [], message))
    if reference and reference() is message and has_leaves(message.content, leaves):
        others = {**copy.__dict__, "content": message.content}
        if all(map(is_, others.values(), message.__dict__.values())):
            return copy
    copy = repaired_for_langchain(message)
    with suppress(TypeError, RecursionError):
        if copy is not message:
            key = id(message)
            reference = weakref.ref(message, lambda _: _copies.pop(key, None))
            _copies[key] = (reference, leaves_of(message.content), copy)
    return copy


def size_to_convert(messages: Sequence[BaseMessage]) -> int:
    """The characters of the messages that are not kept, or have content blocks."""
    return sum(
        _size(message.content)
        for message in messages
        if id(message) not in _messages or message.content.__class__ is not str
    )


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 0
    return sum(map(_size, value))
