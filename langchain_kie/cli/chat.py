"""`langchain-kie chat`: a conversation in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from rich.text import Text

from langchain_kie import (
    KieAuthenticationError,
    KieConfigurationError,
    KieError,
    KieModelNotFoundError,
)
from langchain_kie.cli.output import plain

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from rich.console import Console

    from langchain_kie import ChatKieGemini

_ENDING_ERRORS = (KieAuthenticationError, KieConfigurationError, KieModelNotFoundError)
"""Errors after which no message can be answered."""


def converse(model: ChatKieGemini, console: Console, system: str | None) -> None:
    """Read messages and stream the answers until the end of the input.

    Ctrl-C stops an answer; what arrived of it stays in the conversation.

    Raises:
        KieError: No message can be answered.
    """
    messages: list[BaseMessage] = [SystemMessage(system)] if system else []
    console.print("[dim]Ctrl-C stops an answer, Ctrl-D ends.[/]")
    total = 0.0
    while True:
        try:
            text = console.input("[bold cyan]you   [/]").strip()
        except EOFError:
            console.print(f"\n[dim]{total:.2f} credits in all[/]")
            return
        except KeyboardInterrupt:
            console.print()
            continue
        if not text:
            continue
        messages.append(HumanMessage(text))
        try:
            answer = _show_answer(model, console, messages)
        except _ENDING_ERRORS:
            raise
        except (KieError, ValueError) as error:
            console.print(plain(f"\nerror: {error}", "red"), soft_wrap=True)
            answer = None
        if answer is None:
            messages.pop()  # so that the next message is not sent after it
            continue
        messages.append(answer)
        total += answer.response_metadata.get("credits_consumed", 0.0)


def _show_answer(
    model: ChatKieGemini, console: Console, messages: list[BaseMessage]
) -> AIMessage | None:
    """Stream an answer; `None` if it was stopped before its text began."""
    answer: AIMessageChunk | None = None
    console.print(Text("model ", "bold magenta"), end="")
    try:
        for chunk in model.stream(messages):
            if isinstance(chunk, AIMessageChunk):
                before, answer = answer, chunk if answer is None else answer + chunk
                _show_chunk(console, chunk, before)
    except KeyboardInterrupt:
        console.print(Text("\n[stopped]", "yellow"))
        return AIMessage(answer.text) if answer and answer.text else None
    console.print()
    if answer is None:
        return None
    amount = answer.response_metadata.get("credits_consumed")
    usage = answer.usage_metadata
    tokens = f"{usage['input_tokens']} tokens in, {usage['output_tokens']} out" if usage else ""
    costs = "" if amount is None else f"{amount:.2f} credits"
    console.print(Text(", ".join(filter(None, (tokens, costs))), "dim"))
    return answer


def _show_chunk(console: Console, chunk: AIMessageChunk, answer: AIMessageChunk | None) -> None:
    """Print the new thoughts, dimmed, and the new text."""
    if thoughts := chunk.additional_kwargs.get("reasoning_content"):
        console.print(plain(thoughts, "dim"), end="", soft_wrap=True)
    if chunk.text:
        if answer and answer.additional_kwargs.get("reasoning_content") and not answer.text:
            console.print()
        console.print(plain(chunk.text), end="", soft_wrap=True)
