"""The content of a request and of an answer, independent of the API that carries it.

`chat_request` and `native_request` parse requests into a `Conversation`, `responder` answers it
with a `Reply`, and `chat_response` and `native_response` serialize the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["system", "user", "model"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of a message; `is_lost` if it could not be downloaded."""

    mime_type: str
    data: bytes
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class WebPage:
    """A web page whose URL is in the prompt; `text` is `None` if it could not be fetched."""

    url: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a function, as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        role: The author. Results of functions belong to the user.
        text: All of its text.
        media: The files.
        calls: The function calls, in a model's turn.
        results: The results of functions, in a user's turn.
    """

    role: Role
    text: str = ""
    media: tuple[MediaFile, ...] = ()
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function declaration; `parameters` is JSON Schema, whichever API it came from."""

    name: str
    description: str
    parameters: Schema


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether functions may or must be called.

    Attributes:
        mode: `auto`, `none`, or `any` if a function must be called.
        names: The allowed functions; empty for all.
    """

    mode: Literal["auto", "none", "any"] = "auto"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request.

    Attributes:
        turns: The messages in order.
        functions: The declared functions.
        builtins: The enabled built-in tools of Gemini, by their names in requests.
        choice: Whether functions may or must be called.
        json_answer: Whether the answer must be JSON.
        schema: The JSON Schema of the answer.
        stop: The stop sequences.
        effort: The reasoning effort.
        max_tokens: The maximum of tokens of the answer, including thinking, as requested.
        pages: The web pages whose URLs are in the prompt, if they may be read.
    """

    turns: tuple[Turn, ...]
    functions: tuple[Function, ...] = ()
    builtins: frozenset[str] = frozenset()
    choice: ToolChoice = ToolChoice()
    json_answer: bool = False
    schema: Schema | None = None
    stop: tuple[str, ...] = ()
    effort: str = "high"
    max_tokens: int | None = None
    pages: tuple[WebPage, ...] = ()


@dataclass(frozen=True, slots=True)
class CurrentTurn:
    """The turn to answer: the last message of the user, and what followed it.

    Attributes:
        prompt: The text of that message.
        earlier: The texts of the user's earlier messages, oldest first.
        media: The files of this turn.
        results: The results of functions in this turn.
        called: The names of the functions called in this turn.
    """

    prompt: str
    earlier: tuple[str, ...]
    media: tuple[MediaFile, ...]
    results: tuple[str, ...]
    called: frozenset[str]


@dataclass(frozen=True, slots=True)
class Support:
    """A span of the answer (`start` to `end`, in characters) and the index of its source."""

    start: int
    end: int
    source: int


@dataclass(frozen=True, slots=True)
class Grounding:
    """The results of a search.

    Attributes:
        query: The search query.
        sources: URL and title of each page.
        supports: Which sentence is based on which source.
    """

    query: str
    sources: tuple[tuple[str, str], ...]
    supports: tuple[Support, ...]

    def up_to(self, end: int) -> Grounding:
        """Leave out the supports of what follows after `end` characters of the answer."""
        return replace(self, supports=tuple(s for s in self.supports if s.end <= end))


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Executed code and its output."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        thoughts: Paragraphs of thinking.
        text: The text of the answer.
        calls: The function calls.
        grounding: The results of a search.
        code_run: Code that was executed before the text.
        pages: The web pages that were read.
        is_cut: Whether the maximum of tokens ended it.
    """

    thoughts: tuple[str, ...]
    text: str = ""
    calls: tuple[Call, ...] = ()
    grounding: Grounding | None = None
    code_run: CodeRun | None = None
    pages: tuple[WebPage, ...] = ()
    is_cut: bool = False
