"""One tool call of an answer, which may still be incomplete, and its arguments as JSON text.

Independent of APIs and I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_kie._answer.event import NOT_READ
from langchain_kie._answer.partial_args import PartialArgs, is_start_of
from langchain_kie._json import answer_json, complete_escapes, parse_json, to_json
from langchain_kie._json_schema.coerce import coerce

if TYPE_CHECKING:
    from langchain_core.messages.tool import ToolCallChunk

    from langchain_kie._answer.event import ToolCallDelta
    from langchain_kie._json import Json

_NO_ARGUMENTS = frozenset({"", "null", "[]", '""'})
_NEXT_OBJECT = re.compile(r"\}\s*\{")
_NO_STRING = re.compile(r'(?<!\\)"\s*:\s*[-0-9\[{tfn]')
"""A key, and the start of a value that is no string; or a string that looks so."""
_TAIL_CHARS = 16
"""How many characters before a fragment can be the key of its first value."""


@dataclass(slots=True)
class _JsonNesting:
    """The brackets and the string that JSON text, read in pieces, has not closed.

    Attributes:
        open_brackets: The brackets that are not closed.
        in_string: Whether a string is not closed.
        is_escaped: Whether the next character of the string is escaped.
    """

    open_brackets: list[str] = field(default_factory=list)
    in_string: bool = False
    is_escaped: bool = False

    def scan(self, text: str) -> None:
        """Scan the next piece."""
        for char in text:
            if self.is_escaped:
                self.is_escaped = False
            elif self.in_string:
                self.is_escaped = char == "\\"
                self.in_string = char != '"'
            elif char == '"':
                self.in_string = True
            elif char in "{[":
                self.open_brackets.append(char)
            elif char in "}]" and self.open_brackets:
                self.open_brackets.pop()


@dataclass(slots=True)
class PendingCall:
    """A tool call that may still be incomplete.

    Attributes:
        index: Its position among the tool calls of the answer.
        native_index: The index that the server sends with its fragments.
        native_id: The id that the server sent.
        id: The server's id, or a generated one; set when its name is emitted.
        name: The name of the function.
        schema: The schema of its arguments, if the function is known.
        is_buffered: Whether its arguments are emitted only when they are complete.
        is_quoted: Whether its arguments are a JSON string, which should hold the object.
        is_answer: Whether its arguments are the text of the answer.
        is_text: Whether its arguments should all be strings; those that come before any other
            value are emitted at once.
        held_from: The number of characters that were emitted before another value.
        is_emitted: Whether its arguments were emitted, at least in part; if some are held,
            whether all were.
        is_whole: Whether it came as a complete call, at least its name.
        is_complete: Whether no more fragments will come.
        emitted_args: Its arguments as they were emitted, if they were converted.
        partial_args: The pieces of its arguments, if these have JSON paths.
        fragments: The fragments of its arguments.
        cut_escape: The start of an escape at the end of the last fragment, not yet among them.
        nesting: The JSON nesting of the fragments that were scanned.
        scanned_count: The number of fragments that were scanned.
        parsed_count: The number of fragments that `parsed_value` is the value of.
        parsed_value: Their JSON value.
        tail: The end of the last fragments.
        signature: Its thought signature.
        event: The chunks of the last event that had a fragment of it, or repeated it.
    """

    index: int
    native_index: int | str | None
    native_id: str | None
    id: str | None = None
    name: str = ""
    schema: Json | None = None
    is_buffered: bool = False
    is_quoted: bool = False
    is_answer: bool = False
    is_text: bool = False
    held_from: int = 0
    is_emitted: bool = False
    is_whole: bool = False
    is_complete: bool = False
    emitted_args: Json | None = None
    partial_args: PartialArgs | None = None
    fragments: list[str] = field(default_factory=list)
    cut_escape: str = ""
    nesting: _JsonNesting = field(default_factory=_JsonNesting)
    scanned_count: int = 0
    parsed_count: int = -1
    parsed_value: Any = None
    tail: str = ""
    signature: str | None = None
    event: dict[int, ToolCallChunk] | None = None

    @property
    def has_open_pieces(self) -> bool:
        """Whether its arguments have JSON paths, and more of them can follow."""
        return self.partial_args is not None and not self.is_complete

    @property
    def requires_arguments(self) -> bool:
        """Whether the function is known, and requires arguments."""
        return bool(self.schema and self.schema.get("required"))

    def arguments(self) -> str:
        """Return the arguments so far."""
        return "".join(self.fragments)

    def add_arguments(self, delta: ToolCallDelta) -> str:
        """Add the arguments of a fragment, and return them.

        Before the object starts, nothing but white space or `null` is no arguments. Half a
        surrogate pair becomes U+FFFD; what may be one waits for the next fragment.
        """
        if self.partial_args and (delta.partial_args is not None or delta.args in {"", "{}"}):
            self.partial_args.add(delta.partial_args or ())
            return self.end_arguments() if delta.is_complete else ""
        if not self.fragments and delta.args.strip() in _NO_ARGUMENTS:
            return ""
        args = delta.args
        if delta.is_complete and self.fragments and self.is_continued_by(delta):
            args, self.cut_escape = args.removeprefix(self.arguments()), ""
        if "\\" in args or self.cut_escape:
            args, self.cut_escape = complete_escapes(self.cut_escape + args)
        if not self.fragments:
            start = args.lstrip()[:1]
            self.is_quoted = start == '"'
            self.is_buffered = self.is_buffered or start in {"n", "["}  # null, which may be cut
        self.fragments.append(args)
        return args

    def end_arguments(self, *, is_cut: bool = False) -> str:
        """Add the arguments that came in pieces, as JSON text, and return the text.

        If some are missing, its last character is left out, so that it is not valid JSON. Without
        pieces, it is `{}`.
        """
        self.is_complete = True
        pieces = self.partial_args or PartialArgs()
        text = answer_json(pieces.args)
        args = text[:-1] if is_cut or pieces.is_open else text
        self.fragments.append(args)
        return args

    def take_arguments(self) -> str:
        """Remove the arguments so far, and return them."""
        args = self.arguments() + self.cut_escape
        self.fragments, self.cut_escape, self.is_complete = [], "", False
        self.nesting, self.scanned_count, self.parsed_count = _JsonNesting(), 0, -1
        return args

    def defect(self) -> str:
        """Why nobody can execute the call, empty if it can be executed."""
        if self.schema is None:
            return f"the model called {self.name!r}, which it was not offered"
        if not isinstance(arguments_value(self.arguments()), dict):
            return f"the arguments of its call of {self.name!r} are not complete JSON"
        return ""

    def has_complete_arguments(self) -> bool:
        """Whether its arguments are a complete JSON value, so that a fragment cannot follow."""
        if self.is_complete or self.partial_args is not None:
            return self.is_complete
        return not self.is_open() and self.parsed() is not None

    def parsed(self) -> Any:
        """The JSON value of its arguments so far, parsed once; `None` if they are invalid."""
        if self.parsed_count != len(self.fragments):
            self.parsed_count = len(self.fragments)
            self.parsed_value = parse_arguments(self.arguments())
        return self.parsed_value

    def has_all_arguments(self) -> bool:
        """As `has_complete_arguments`; faster if they are open."""
        if self.is_complete or not self.fragments:
            return bool(self.fragments)
        is_closed = self.fragments[-1].rstrip().endswith(("}", "]", '"'))
        return is_closed and not self.is_open() and self.parsed() is not None

    def is_open(self) -> bool:
        """Whether its arguments have an unclosed bracket or string; faster than parsing them."""
        self.nesting.scan("".join(self.fragments[self.scanned_count :]))
        self.scanned_count = len(self.fragments)
        return self.nesting.in_string or bool(self.nesting.open_brackets)

    def differs_from(self, delta: ToolCallDelta) -> bool:
        """Whether a fragment has another id or another name."""
        return bool(
            (delta.id and self.native_id and delta.id != self.native_id)
            or (delta.name and self.name and delta.name != self.name)
        )

    def is_repeated_by(self, delta: ToolCallDelta) -> bool:
        """Whether a fragment that does not differ has the complete arguments of this call.

        One with neither arguments nor an id repeats the name, if the function requires arguments.
        """
        if delta.partial_args is not None or not self.has_complete_arguments():
            return False
        if self.requires_arguments and not (delta.args or delta.id):
            return True
        if delta.value is NOT_READ:
            delta.value = arguments_value(delta.args)
        return bool(delta.value == _object_in(self.parsed(), self.arguments()))

    def is_continued_by(self, delta: ToolCallDelta) -> bool:
        """Whether a complete call starts with the arguments so far, which are not complete.

        A complete call without arguments is one, unless the function requires arguments.
        """
        is_open = self.partial_args is None and not self.has_complete_arguments()
        is_other = self.is_whole and bool(delta.name and delta.args) and not self.fragments
        if is_other and not self.requires_arguments:
            return False
        return delta.is_complete and is_open and delta.args.startswith(self.arguments())

    def is_completed_by(self, delta: ToolCallDelta) -> bool:
        """Whether a complete call has all arguments of this one, whose pieces have no end.

        Without an id that proves it, they must start with these pieces.
        """
        if self.differs_from(delta) or self.partial_args is None:
            return False
        has_same_id = delta.id is not None and delta.id == self.native_id
        return has_same_id or is_start_of(self.partial_args.args, arguments_value(delta.args))

    def emit_arguments(self, args: str) -> str:
        """Return the arguments to emit after `args` were added to the call.

        Strings are emitted fragment by fragment if all arguments should be strings. Others are
        emitted when they are complete, converted to the types of the tool's schema; likewise an
        object in a string.
        """
        shown = ""
        if not (self.is_buffered or self.is_quoted):
            position = self._other_value(args) if self.is_text else None
            if position is None:
                self.is_emitted = self.is_emitted or args != ""
                return args
            shown = args[:position]
            self.held_from = len(self.arguments()) - len(args) + position
            self.is_buffered, self.is_emitted = True, False
        if self.is_emitted or not args.rstrip().endswith('"' if self.is_quoted else "}"):
            return shown
        if len(self.fragments) > 1 and self.is_open():
            return shown
        arguments = arguments_value(self.arguments())
        if not isinstance(arguments, dict):
            return shown
        self.is_emitted = True
        converted = coerce(arguments, self.schema) if self.schema else arguments
        if converted is arguments and not self.is_quoted:
            return shown + self.arguments()[self.held_from :]
        self.emitted_args = converted
        return shown + self._held_json(converted)

    def _other_value(self, args: str) -> int | None:
        """The position in a fragment of the first value that is no string, if there is one."""
        tail = self.tail
        text = tail + args
        self.tail = text[-_TAIL_CHARS:]
        for found in _NO_STRING.finditer(text):
            position = found.end() - 1 - len(tail)
            if position >= 0:
                start = self.arguments().removesuffix(args) + args[:position]
                if isinstance(parse_arguments(start + "null}"), dict):
                    return position
        return None

    def _held_json(self, converted: Json) -> str:
        """The JSON of converted arguments, without what was emitted before they were held."""
        if not self.held_from:
            return to_json(converted).decode()
        emitted = parse_arguments(self.arguments()[: self.held_from] + "null}")
        first = to_json(converted[[*emitted][-1]]).decode()
        others = {key: value for key, value in converted.items() if key not in emitted}
        return first + ("," + to_json(others).decode()[1:] if others else "}")


def split(delta: ToolCallDelta, call: PendingCall | None) -> list[ToolCallDelta]:
    """Split a fragment where it completes an object and another follows.

    Args:
        delta: The fragment.
        call: The call that it may continue.
    """
    nesting, name = _JsonNesting(), delta.name
    if call:
        call.is_open()
        nesting = replace(call.nesting, open_brackets=[*call.nesting.open_brackets])
        nesting.scan(call.cut_escape)
        name = name or call.name
    args, ends, scanned = delta.args, [0], 0
    for found in _NEXT_OBJECT.finditer(args):
        end = found.start() + 1
        nesting.scan(args[scanned:end])
        scanned = end
        if not (nesting.in_string or nesting.open_brackets):
            ends.append(end)
    pieces = [args[start:end] for start, end in zip(ends, [*ends[1:], None], strict=True)]
    bare = replace(delta, name=name, extra=None, signature=None)
    return [replace(delta, args=pieces[0]), *(replace(bare, args=piece) for piece in pieces[1:])]


def arguments_value(text: str) -> Any:
    """Return the value of arguments; nothing, or `null`, is an empty object.

    Some servers encode the object twice, so that it is the text of a JSON string.
    """
    return _object_in(parse_arguments(text), text)


def _object_in(value: Any, text: str) -> Any:
    """As `arguments_value`, of the JSON value of the text."""
    if text.strip() in _NO_ARGUMENTS:
        return {}
    if not isinstance(value, str):
        return value
    inner = parse_arguments(value)
    return inner if isinstance(inner, dict) else value


def parse_arguments(text: str) -> Any:
    """Return the value of JSON text, with all digits of integers; `None` if it is invalid."""
    try:
        return parse_json(text.encode(errors="replace"))
    except ValueError:
        return None


def unrepairable_suffix(text: str) -> str:
    """Return a suffix that makes truncated JSON unrepairable."""
    nesting = _JsonNesting()
    nesting.scan(text)
    closed = ("\\" if nesting.is_escaped else "") + '"' if nesting.in_string else ""
    return closed + ("}" if nesting.open_brackets[-1:] == ["["] else "]")
