"""Requests and answers as Python values, independent of the API that carries them.

`chat_request` and `native_request` parse a body into a `ChatRequest`. A function answers it with an
`Answer`, a `Failure` or a `RawAnswer`, which `chat_response` and `native_response` encode.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Schema: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["system", "user", "model"]
Api: TypeAlias = Literal["chat_completions", "generate_content", "gateway"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of a message or of an answer; `is_lost` if KIE could not download it."""

    mime_type: str
    data: bytes
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class WebPage:
    """A web page whose URL is in the prompt; `text` is `None` if it could not be fetched."""

    url: str
    text: str | None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call, of a request or of an answer.

    Attributes:
        name: The name of the function.
        args: The arguments.
        id: The id; in an answer, the emulator generates it if it is empty.
        signature: The thought signature of a native call; the emulator signs the first call of an
            answer itself if it is `None`.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a function, as text; `is_error` if the function failed."""

    name: str
    text: str
    is_error: bool = False


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
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request for an answer, parsed and accepted.

    Attributes:
        model: The model in KIE's spelling.
        api: The API: `chat_completions`, `generate_content` or `gateway`.
        turns: The messages in order.
        tools: The declared functions.
        builtins: The enabled built-in tools of Gemini, by their names in requests.
        choice: Whether functions may or must be called.
        json_answer: Whether the answer must be JSON.
        schema: The JSON Schema of the answer.
        stop: The stop sequences.
        effort: The reasoning effort.
        max_tokens: The maximum of tokens of the answer, including thinking.
        stream: Whether the answer is a stream.
        include_thoughts: Whether the answer shows the thoughts.
        headers: The headers, with names in lower case and without the key.
        pages: The web pages whose URLs are in the prompt, if the model may read them.
    """

    model: str
    api: Api
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    builtins: frozenset[str] = frozenset()
    choice: ToolChoice = ToolChoice()
    json_answer: bool = False
    schema: Schema | None = None
    stop: tuple[str, ...] = ()
    effort: str = "high"
    max_tokens: int | None = None
    stream: bool = False
    include_thoughts: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    pages: tuple[WebPage, ...] = ()

    @property
    def current_turns(self) -> tuple[Turn, ...]:
        """The last message of the user and what followed it: calls and their results."""
        prompts = [n for n, t in enumerate(self.turns) if t.role == "user" and not t.results]
        return self.turns[prompts[-1] if prompts else 0 :]

    @property
    def prompt(self) -> str:
        """The text of the user's last message."""
        first = self.current_turns[0]
        return first.text if first.role == "user" and not first.results else ""

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The results of functions since the user's last message."""
        return tuple(result for turn in self.current_turns for result in turn.results)


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
    supports: tuple[Support, ...] = ()

    def up_to(self, end: int) -> Grounding:
        """Leave out the supports of what follows after `end` characters of the answer."""
        return replace(self, supports=tuple(s for s in self.supports if s.end <= end))


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Executed code and its output."""

    code: str
    output: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call; `answer` excludes `thinking`."""

    prompt: int
    answer: int
    thinking: int = 0

    @property
    def total(self) -> int:
        """The sum of all tokens."""
        return self.prompt + self.answer + self.thinking


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the model.

    Attributes:
        text: The text.
        tool_calls: The function calls.
        thoughts: The thoughts: one text, or paragraphs. They are left out unless the request
            includes thoughts.
        images: Generated images.
        finish_reason: `stop`, `length`, `tool_calls` or `content_filter`, each written as the API
            writes it, or any other word, which is sent unchanged. `None`, the default, is `length`
            if the maximum of tokens cut the answer, else the usual one.
        block_reason: Why the prompt was blocked, such as `PROHIBITED_CONTENT`; then there is no
            other content.
        usage: The tokens; `None`, the default, counts them.
        grounding: The results of a search.
        code_run: Code that was executed before the text.
    """

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    thoughts: str | Sequence[str] = ()
    images: Sequence[MediaFile] = ()
    finish_reason: str | None = None
    block_reason: str | None = None
    usage: Usage | None = None
    grounding: Grounding | None = None
    code_run: CodeRun | None = None

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The paragraphs of the thoughts, each but the first with the empty line before it."""
        thoughts = self.thoughts
        texts = [thoughts] if isinstance(thoughts, str) and thoughts else thoughts
        return tuple(f"\n\n{text}" if number else text for number, text in enumerate(texts))


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in KIE's form: HTTP status 200, and a body with `code` and `msg`.

    Attributes:
        code: KIE's code, such as 402.
        message: KIE's `msg`; `None`, the default, is what KIE sends with this code.
    """

    code: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A response that the emulator sends as it is.

    Attributes:
        body: The body; or its pieces: bytes, or values that are sent as server-sent events.
        status: The HTTP status.
        content_type: The content type; by default that of a stream if the body has pieces, else
            that of JSON.
    """

    body: bytes | Sequence[bytes | Mapping[str, Any]]
    status: int = 200
    content_type: str | None = None


AnyAnswer: TypeAlias = str | Answer | Failure | RawAnswer
Respond: TypeAlias = Callable[[ChatRequest], AnyAnswer | Awaitable[AnyAnswer]]
