"""What a request says and what an answer holds, in neither dialect's words.

Values only. The dialects read requests into a `Conversation` and write a `Reply` out again;
the brain stands between them and knows nothing of the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["system", "user", "model"]


@dataclass(frozen=True, slots=True)
class Medium:
    """A file that came with a message.

    Attributes:
        mime_type: What it is.
        data: Its bytes.
        inline: Whether they came within the message.
    """

    mime_type: str
    data: bytes
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A web page that the prompt names; `text` is `None` where it could not be fetched."""

    url: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a function gave back, as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        role: Who speaks. Results of functions come from the user.
        text: Everything that was said.
        media: The files.
        calls: The functions called, in a model's turn.
        results: What functions gave back, in a user's turn.
    """

    role: Role
    text: str = ""
    media: tuple[Medium, ...] = ()
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function on offer; `parameters` is JSON Schema, whatever the dialect wrote."""

    name: str
    description: str
    parameters: Schema


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether functions may or must be called.

    Attributes:
        mode: `auto`, `none`, or `any` for must.
        names: The functions allowed, empty for all.
    """

    mode: Literal["auto", "none", "any"] = "auto"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request.

    Attributes:
        turns: The messages in order.
        functions: The functions on offer.
        builtins: Gemini's own tools on offer, by their names on the wire.
        choice: Whether functions may or must be called.
        json_answer: Whether the answer must be JSON.
        schema: The JSON Schema that the answer must fill.
        stop: The sequences to stop before.
        effort: How hard to think.
        pages: The web pages that the prompt names, when they may be read.
    """

    turns: tuple[Turn, ...]
    functions: tuple[Function, ...] = ()
    builtins: frozenset[str] = frozenset()
    choice: ToolChoice = ToolChoice()
    json_answer: bool = False
    schema: Schema | None = None
    stop: tuple[str, ...] = ()
    effort: str = "high"
    pages: tuple[Page, ...] = ()


@dataclass(frozen=True, slots=True)
class Support:
    """A stretch of the answer (`start` to `end`, in characters) and the source it rests on."""

    start: int
    end: int
    source: int


@dataclass(frozen=True, slots=True)
class Grounding:
    """What a search found.

    Attributes:
        query: What was searched for.
        sources: Address and title of each page.
        supports: Which sentence rests on which source.
    """

    query: str
    sources: tuple[tuple[str, str], ...]
    supports: tuple[Support, ...]


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Code that was run, and what it printed."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        thoughts: Paragraphs of thinking.
        text: The answer's text.
        calls: The functions to call.
        grounding: What a search found.
        code_run: Code that was run before the text.
        pages: The web pages that were read.
    """

    thoughts: tuple[str, ...]
    text: str = ""
    calls: tuple[Call, ...] = ()
    grounding: Grounding | None = None
    code_run: CodeRun | None = None
    pages: tuple[Page, ...] = ()
