"""One message, parsed: its turn, and whether the message has changed since.

A message is parsed again only if a field that a request depends on has changed, also in place:
immutable values are compared by identity or value, mutable ones by their JSON. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_, itemgetter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from langchain_kie._conversation.content import parse_content, transcript_of
from langchain_kie._conversation.media import Media
from langchain_kie._conversation.repair import function_call_of
from langchain_kie._conversation.thought_signatures import STORE_KEY, stored_signatures
from langchain_kie._json import ONLY_JSON_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from langchain_kie._conversation.content import Part
    from langchain_kie._conversation.prefix import Prefix
    from langchain_kie._json import Json

INVALID_ARGUMENTS_KEY = "invalid_arguments"
"""The key of `additional_kwargs` under which a message has the arguments of its invalid tool calls,
by id, as the model wrote them."""

_SHORT = 2_000
"""A message of fewer characters is stored only when it is sent a second time: a caller that creates
all messages again for each call would fill the cache with messages that are never used."""

_FIELDS: Mapping[str, Callable[[Json], tuple[Any, ...]]] = {
    "user": itemgetter("content", "name", "additional_kwargs"),
    "system": itemgetter("content", "name", "additional_kwargs"),
    "assistant": itemgetter(
        "content", "name", "additional_kwargs", "tool_calls", "invalid_tool_calls"
    ),
    "tool": itemgetter("content", "tool_call_id", "status"),
}
"""The fields that a request depends on, the content first; `response_metadata` only with
signatures."""

Forms: TypeAlias = "dict[Hashable, Sequence[bytes | Json]]"

_WITHOUT_ITEMS: Mapping[str, tuple[Any, ...]] = {
    "user": ({},),
    "system": ({},),
    "assistant": ({}, [], []),
}
"""The values of the fields after the name of a message that has only text."""

_STORED_TOOL_BLOCKS = frozenset({"server_tool_call", "server_tool_result", "non_standard"})
_IMMUTABLE = frozenset({str, bytes, int, float, bool, type(None)})
_END = object()


@dataclass(slots=True)
class ToolTurn:
    """A tool call of an AI message and its tool result.

    Attributes:
        id: Unique within the turn; the id of the tool call, if it has a unique one.
        call: The tool call.
        is_error: Whether the tool result has the status `error`.
        parts: The text and media of the tool result.
    """

    id: str
    call: Json
    is_error: bool
    parts: list[Part]


@dataclass(slots=True)
class Turn:
    """A message that is not a tool result; only its media are to be changed.

    Attributes:
        role: `system`, `user` or `assistant`.
        parts: Its text and media.
        name: The name of the message.
        signatures: Its thought signatures, by model.
        server_tools: The blocks of server-side tools that a signature can belong to, by index,
            each with its position in the text.
        tools: Its tool calls with their tool results, in the order of the calls.
        model_name: The model that made its tool calls.
        forms: Its JSON, by what it depends on; `None` if it is not to be kept.
    """

    role: str
    parts: list[Part]
    name: str | None = None
    signatures: Mapping[str, Sequence[Json]] | None = None
    server_tools: Mapping[str, tuple[int, Json]] | None = None
    tools: Sequence[ToolTurn] = ()
    forms: Forms | None = None
    model_name: str | None = None

    def copy(self, parts: list[Part], tools: Sequence[ToolTurn] = ()) -> Turn:
        """The turn with other parts and tools."""
        return Turn(
            *(self.role, parts, self.name, self.signatures, self.server_tools),
            *(tools, self.forms, self.model_name),
        )


class ParsedMessage:
    """A message, parsed. It does not keep the message alive.

    Attributes:
        reference: Refers to the message; `None` if it is not kept.
        fields: Reads the fields that a request depends on, the content first.
        state: Their values, if equal values mean that nothing has changed; else `None`.
        turn: Its turn, without tools; for a tool result, one that is not sent.
        is_short: Whether it costs less to convert it once more than to keep it.
        has_media: Whether it has media.
        is_text: Whether it is kept and has no media, so that its turn and JSON can be kept.
        has_calls: Whether it has tool calls, valid or not.
        tool_call_id: Of a tool result.
        is_error: Whether a tool result has the status `error`.
        matched: The results of its tool calls when it was last sent, and the turn with them.
        prefix: The start of a conversation that ends with it, if it was sent before.
    """

    reference: Any = None
    state: tuple[Any, ...] | None = None
    is_short = has_media = is_text = has_calls = is_error = False
    tool_call_id: str | None = None
    matched: tuple[list[ParsedMessage], Turn] | None = None
    prefix: Prefix | None = None
    _leaves: list[Any] | None = None
    _json: bytes | None = None

    def __init__(self, message: BaseMessage, role: str) -> None:
        self.role, self.fields = role, _FIELDS[role]
        state = self.fields(message.__dict__)
        self._content = content = state[0]
        self.turn = turn = Turn(role, [content] if content else [])
        if content.__class__ is str:
            self.is_short = len(content) < _SHORT
        else:
            turn.parts = parse_content(message)
            self.has_media = any(isinstance(part, Media) for part in turn.parts)
        if role == "tool":
            self.tool_call_id, self.is_error = state[1], state[2] == "error"
            return
        turn.name = state[1]
        if role == "assistant" and state[2]:
            for text in (state[2].get("refusal"), transcript_of(state[2].get("audio"))):
                if isinstance(text, str) and text and text not in turn.parts:
                    turn.parts.append(text)
        if state[2] and (signatures := stored_signatures(message)):
            turn.signatures = signatures
            turn.server_tools = _server_tools(content)
        if role == "assistant" and (state[3] or state[4]):
            self.has_calls = True
            turn.model_name = message.response_metadata.get("model_name")
        elif state[2] and (function := function_call_of(message)):
            raise ValueError(
                f"the message calls {function['name']!r} in additional_kwargs['function_call'] "
                "only; pass the call in tool_calls"
            )

    def new_turn(self) -> Turn:
        """The turn, without tools; with media, a copy, because uploads change them."""
        if not self.has_media:
            return self.turn
        parts = self.turn.parts
        return self.turn.copy([p.copy() if isinstance(p, Media) else p for p in parts])

    def is_current(self, message: BaseMessage, state: tuple[Any, ...]) -> bool:
        """Whether the message has the same values, where `state` cannot be compared."""
        content, leaves = state[0], self._leaves
        is_same = content is self._content if leaves is None else has_leaves(content, leaves)
        if self._json is None or not is_same:
            return False
        try:
            return _json_of(message, state) == self._json
        except TypeError:
            return False

    def keep(self, message: BaseMessage) -> bool:
        """Prepare to be kept.

        Returns:
            Whether it can be: every later change will be noticed.
        """
        state = self.fields(message.__dict__)
        is_string = self._content.__class__ is str
        try:
            if not is_string:
                self._leaves = None if isinstance(self._content, str) else leaves_of(self._content)
            if not is_string or (self.role != "tool" and any(state[2:])):
                self._json = _json_of(message, state)
            else:
                self.state = state[:2] + _WITHOUT_ITEMS.get(self.role, state[2:])
        except (TypeError, RecursionError):
            return False
        if not self.has_media:
            self.is_text, self.turn.forms = True, {}
        return True


def _server_tools(content: Any) -> dict[str, tuple[int, Json]]:
    """The blocks of server-side tools, by index, each with the length of the text before it."""
    found: dict[str, tuple[int, Json]] = {}
    position = 0
    for block in content if isinstance(content, list) else ():
        text = block.get("text") if isinstance(block, dict) else block
        if isinstance(block, dict) and block.get("type") in _STORED_TOOL_BLOCKS:
            found[str(block.get("index"))] = (position, block)
        elif isinstance(text, str):
            position += len(text)
    return found


def _json_of(message: BaseMessage, state: tuple[Any, ...]) -> bytes:
    """The values besides the content.

    Raises:
        TypeError: There are other types than those of JSON.
    """
    kwargs, metadata = state[2], message.response_metadata
    values = (*state[1:], metadata.get("model_name"))
    if isinstance(kwargs, dict) and kwargs:
        used = [*map(kwargs.get, (STORE_KEY, "function_call", INVALID_ARGUMENTS_KEY, "refusal"))]
        if "audio" in kwargs:
            used.append(transcript_of(kwargs["audio"]))
        provider = metadata.get("model_provider") if used[0] or used[1] else None
        values = (state[1], used, provider, *state[3:], metadata.get("model_name"))
    return orjson.dumps(values, option=ONLY_JSON_TYPES)


def leaves_of(value: Any) -> list[Any]:
    """The immutable values in a content, in order, with marks of containers.

    Raises:
        TypeError: It contains an object that may be mutable.
    """
    leaves: list[Any] = []
    _add_leaves(value, leaves)
    return leaves


def _add_leaves(value: Any, leaves: list[Any]) -> None:
    kind = value.__class__
    if kind is dict:
        leaves.append(dict)
        for key, inner in value.items():
            leaves.append(key)
            if inner.__class__ in _IMMUTABLE:
                leaves.append(inner)
            else:
                _add_leaves(inner, leaves)
        leaves.append(_END)
    elif kind is list:
        leaves.append(list)
        for inner in value:
            _add_leaves(inner, leaves)
        leaves.append(_END)
    elif kind in _IMMUTABLE or isinstance(value, PurePath):
        leaves.append(value)
    else:
        raise TypeError(f"{kind.__name__} may be mutable")


def has_leaves(value: Any, leaves: list[Any]) -> bool:
    try:
        found = leaves_of(value)
    except (TypeError, RecursionError):
        return False
    return len(found) == len(leaves) and all(map(is_, found, leaves))
