"""What one event of an answer holds, in one form for all dialects.

Data only: the codecs make it, the reader turns it into LangChain's chunks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages.ai import UsageMetadata


@dataclass(slots=True)
class ToolCallDelta:
    """A tool call, or a piece of one.

    Attributes:
        name: The function, `None` in a later piece.
        args: JSON text, or a piece of it.
        id: The wire's id, `None` where it gives none.
        index: The wire's index, likewise.
        is_whole: Nothing more of this call will come.
        extra: Members that no documentation names (signatures among them), to be echoed.
        signature: The thought signature of the part that held the call.
    """

    name: str | None
    args: str
    id: str | None = None
    index: int | None = None
    is_whole: bool = False
    extra: dict[str, Any] | None = None
    signature: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no wire should send, before LangChain's validation meets it.

        Raises:
            TypeError: The name or the id is no text, or the index no number.
        """
        if not isinstance(self.name or "", str) or not isinstance(self.id or "", str):
            raise TypeError("a tool call's name and id must be text")
        if not isinstance(self.index or 0, int):
            raise TypeError("a tool call's index must be a number")


Output = str | dict[str, Any] | ToolCallDelta
"""A piece of the answer proper: text, a content block that is not text, or a call."""


@dataclass(slots=True)
class AnswerEvent:
    """What one event holds.

    Attributes:
        outputs: Text, blocks and calls, in order.
        signatures: The signatures of outputs that are text or blocks, by position.
        reasoning: Thought text.
        refusal: Why the model refuses, in its words.
        parse_usage: Reads `token_usage`, where the metadata has it: the counts so far, of which
            only the last matter.
        finish_reason: As the wire writes it.
        metadata: What else belongs into `response_metadata`.
        is_terminal: Evidence that the answer is complete.
    """

    outputs: list[Output] = field(default_factory=list)
    signatures: dict[int, str] = field(default_factory=dict)
    reasoning: str = ""
    refusal: str = ""
    parse_usage: Callable[[dict[str, Any]], UsageMetadata] | None = None
    finish_reason: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    is_terminal: bool = False

    @property
    def is_last(self) -> bool:
        """Whether nothing that matters comes after it: the credits come last."""
        is_end = self.finish_reason or not (self.outputs or self.reasoning)
        return bool(is_end and "credits_consumed" in self.metadata)

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing that a user or a bill would miss.

        An ordinary end of an answer without anything in it is nothing; a block is something.
        """
        return not (
            self.outputs
            or self.reasoning
            or self.refusal
            or self.parse_usage
            or self.is_last
            or (self.finish_reason or "stop").lower() not in {"stop", "length", "tool_calls"}
        )
