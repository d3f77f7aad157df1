"""The content of one event of an answer, in the same form for every API.

Data only: the codecs fill it in, and the assembler turns it into LangChain's chunks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages.ai import UsageMetadata

    from langchain_kie._json import Json


class FinishReason(NamedTuple):
    """Why an answer ended: a row of a codec's table `FINISH_REASONS`.

    Attributes:
        word: LangChain's word.
        is_refusal: Whether the prompt or the answer was blocked.
        is_normal: Whether it is a normal end; without output, such an answer is empty.
        is_failed_call: Whether the model failed to call a function, or to write its answer.
    """

    word: str
    is_refusal: bool = False
    is_normal: bool = False
    is_failed_call: bool = False

    @property
    def normalized(self) -> str:
        """The word of `normalized_finish_reason`, which langchain-core 1.8.4 introduced."""
        if self.is_refusal:
            return "refusal"
        return "error" if self.is_failed_call else _NORMALIZED.get(self.word, "other")

    @property
    def is_cut(self) -> bool:
        """Whether the end of the answer can be missing."""
        return self.normalized in {"length", "content_filter", "refusal", "error"}


_NORMALIZED = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
}

STOP = FinishReason("stop", is_normal=True)
LIMIT = FinishReason("length", is_normal=True)
TOOL_CALLS = FinishReason("tool_calls", is_normal=True)
BLOCKED = FinishReason("content_filter", is_refusal=True)
FILTERED = FinishReason("content_filter")


NOT_READ = object()


@dataclass(slots=True)
class ToolCallDelta:
    """A tool call, or a fragment of one.

    Attributes:
        name: The name of the function; `None` in a later fragment.
        args: JSON text, or a fragment of it.
        id: The id that the server sent, `None` if there was none.
        index: The index that the server sent, `None` if there was none.
        is_complete: Whether no other fragment of this call will follow.
        extra: Undocumented members (signatures among them), to be sent back.
        signature: The thought signature of the part that held the call.
        partial_args: Pieces of the arguments, each with its JSON path; `None` if `args` has them.
        value: The value of `args` once it was read, to compare it with many calls.
    """

    name: str | None
    args: str
    id: str | None = None
    index: int | str | None = None
    is_complete: bool = False
    extra: Json | None = None
    signature: str | None = None
    partial_args: list[Json] | None = None
    value: Any = field(default=NOT_READ, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Convert an index that is text; reject values of the wrong type.

        Raises:
            TypeError: The name or the id is not a string, or the index is not an integer.
        """
        if isinstance(self.index, str) and self.index.isdecimal():
            self.index = int(self.index)
        if not isinstance(self.name or "", str) or not isinstance(self.id or "", str):
            raise TypeError("the name and the id of a tool call must be strings")
        if not isinstance(self.index or 0, int):
            raise TypeError("the index of a tool call must be an integer")


Output = str | dict[str, Any] | ToolCallDelta
"""A piece of the answer: text, a content block that is not text, or a tool call."""


def is_other_choice(choice: Any, answer: Any) -> bool:
    """Whether two choices are known and differ; some servers send the index as text."""
    return None not in (choice, answer) and str(choice) != str(answer)


@dataclass(slots=True)
class AnswerEvent:
    """The content of one event.

    Attributes:
        outputs: Text, blocks and tool calls, in order.
        metadata: Further members of `response_metadata`.
        signatures: The signatures of outputs that are text or blocks, by position.
        native_parts: The parts of server-side tools as the server sent them, by position of
            their output.
        message_extra: Members with signatures that were next to the content, to be sent back.
        choice: The index of the choice or candidate, `None` if there was none.
        others: Parse the other choices of the same event; `None` if there are none.
        is_message: Whether it is a complete message and not a piece of one.
        is_tagged_thought: Whether its text is a thought in `<thought>` tags.
        reasoning: The text of thoughts.
        other_reasoning: The text of thoughts under the name that some servers have for it, or
            send as well.
        refusal: The model's explanation of a refusal.
        usage: The token counts so far, as the server sent them; not set if all are zero.
        parse_usage: Converts `usage`; `None` if there is none.
        finish_reason: The row of the finish reason, `None` if there is none.
        native_finish_reason: The finish reason as the server sent it.
        is_terminal: Whether it proves that the answer is complete.
    """

    outputs: list[Output] = field(default_factory=list)
    metadata: Json = field(default_factory=dict)
    signatures: dict[int, str] | None = None
    native_parts: dict[int, Json] | None = None
    message_extra: Json | None = None
    choice: int | str | None = None
    others: Sequence[Callable[[], AnswerEvent]] | None = None
    is_message: bool = False
    is_tagged_thought: bool = False
    reasoning: str = ""
    other_reasoning: str = ""
    refusal: str = ""
    usage: Any = None
    parse_usage: Callable[[Json], UsageMetadata] | None = None
    finish_reason: FinishReason | None = None
    native_finish_reason: str = ""
    is_terminal: bool = False

    @property
    def answer_choice(self) -> int | str | None:
        """The choice that is the answer, if this is the first event with output or several."""
        return self.choice if self.others or self.has_output else None

    def is_about_other(self, choice: int | str | None) -> bool:
        """Whether it is only about another choice."""
        return not self.others and is_other_choice(self.choice, choice)

    @property
    def has_output(self) -> bool:
        """Whether it has something of the answer: text, a block, a tool call or a thought."""
        return bool(self.outputs or self.reasoning or self.other_reasoning or self.refusal)

    @property
    def has_finish_reason(self) -> bool:
        """Whether it has a finish reason, even one that does not prove a complete answer."""
        return self.finish_reason is not None

    @property
    def is_bare_end(self) -> bool:
        """Whether it has nothing but a normal finish reason, and maybe token counts."""
        is_normal = self.finish_reason is not None and self.finish_reason.is_normal
        return is_normal and not (self.has_output or self.metadata.get("credits_consumed"))

    @property
    def is_last(self) -> bool:
        """Whether nothing relevant follows: the credits, if they are not 0, come last."""
        is_end = self.native_finish_reason or not self.has_output
        return bool(is_end and self.metadata.get("credits_consumed"))

    @property
    def is_empty(self) -> bool:
        """Whether it has no output, no costs, and no finish reason that explains it."""
        reason = self.finish_reason
        return not (
            self.has_output
            or self.parse_usage
            or self.metadata.get("credits_consumed")
            or (reason and (not reason.is_normal or reason == LIMIT))
        )
