"""Run an agent and print its reasoning, tool calls, tool results and answer as they arrive."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from rich.console import Console
from rich.text import Text

from demo.tools import TOOLS
from langchain_kie import ChatKieGemini, media_block

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_QUESTION = "What is 17 * 23, and what is the current time in the time zone Europe/Paris?"
MEDIA_QUESTIONS = {
    "image": "What do you see?",
    "audio": "What do you hear?",
    "video": "What happens?",
}
DOCUMENT_QUESTION = "What does it say?"

console = Console(highlight=False)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--model", default="gemini-3.5-flash", help="default: %(default)s")
    parser.add_argument(
        "--api",
        choices=["chat_completions", "generate_content", "gateway"],
        help="default: the model's",
    )
    parser.add_argument("--ask", help="the question; default: one that needs two tools")
    parser.add_argument("--image", help="path or URL of an image, audio, video or PDF file")
    arguments = parser.parse_args()
    try:
        media = _media_block(arguments.image) if arguments.image else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    question = arguments.ask or _default_question(media)
    content: list[Any] = [{"type": "text", "text": question}, *([media] if media else [])]
    messages: Any = {"messages": [{"role": "user", "content": content}]}
    with _connection_settings() as settings:
        model = ChatKieGemini(
            model=arguments.model, api=arguments.api, include_thoughts=True, **settings
        )
        agent = create_agent(model, TOOLS, system_prompt="Use the tools you are given.")
        _print_stream(question, agent.stream(messages, stream_mode="messages"))


@contextmanager
def _connection_settings() -> Iterator[dict[str, Any]]:
    """Model settings for KIE if `KIE_API_KEY` is set, else for an emulator that it starts."""
    if os.environ.get("KIE_API_KEY"):
        yield {}
        return
    from langchain_kie.emulator import Emulator  # noqa: PLC0415 - needs an extra

    console.print("[yellow]KIE_API_KEY is not set: using the KIE emulator on this machine.[/]")
    with Emulator() as emulator:
        yield {"base_url": emulator.base_url, "api_key": emulator.api_key}


def _media_block(file: str) -> dict[str, Any]:
    return media_block(file if "://" in file else Path(file))


def _default_question(media: dict[str, Any] | None) -> str:
    if media is None:
        return DEFAULT_QUESTION
    media_type = media.get("mime_type", "").partition("/")[0]
    return MEDIA_QUESTIONS.get(media_type, DOCUMENT_QUESTION)


def _print_stream(question: str, events: Iterator[Any]) -> None:
    """Print the events; a tool call is printed when its arguments are complete."""
    started = time.monotonic()
    totals: dict[str, float] = {"input": 0, "output": 0, "reasoning": 0, "credits": 0}
    console.print(Text("you   ", "bold cyan") + Text(question), soft_wrap=True)
    answer: AIMessageChunk | None = None
    for message, _ in events:
        if isinstance(message, AIMessageChunk):
            _print_chunk(message, answer)
            answer = message if answer is None else answer + message
            if message.chunk_position == "last":
                _print_tool_calls(answer)
                _add_usage(answer, totals)
                answer = None
        elif isinstance(message, ToolMessage):
            console.print(Text("tool  ", "bold green") + Text(str(message.text)))
    console.print(
        "[dim]{input:.0f} tokens in, {output:.0f} out ({reasoning:.0f} reasoning), "
        "{credits:.2f} credits, {seconds:.1f} s[/]".format(
            **totals, seconds=time.monotonic() - started
        )
    )


def _print_chunk(chunk: AIMessageChunk, answer: AIMessageChunk | None) -> None:
    if answer is None:
        console.print(Text("model ", "bold magenta"), end="")
    if reasoning := chunk.additional_kwargs.get("reasoning_content"):
        console.print(Text(reasoning, "dim"), end="", soft_wrap=True)
    if chunk.text:
        if answer and answer.additional_kwargs and not answer.text:
            console.print()
        console.print(Text(chunk.text), end="", soft_wrap=True)


def _print_tool_calls(message: AIMessage) -> None:
    console.print()
    for call in message.tool_calls:
        arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
        console.print(Text("call  ", "bold blue") + Text(f"{call['name']}({arguments})"))


def _add_usage(message: AIMessage, totals: dict[str, float]) -> None:
    if usage := message.usage_metadata:
        totals["input"] += usage["input_tokens"]
        totals["output"] += usage["output_tokens"]
        totals["reasoning"] += usage.get("output_token_details", {}).get("reasoning", 0)
    totals["credits"] += message.response_metadata.get("credits_consumed", 0)


if __name__ == "__main__":
    main()
