"""Ask the agent, and show its thoughts, calls, results and answer as they stream."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import nullcontext
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

QUESTION = "What is 17 * 23, and what is the current time in the time zone Europe/Paris?"
QUESTIONS = {"image": "What do you see?", "audio": "What do you hear?", "video": "What happens?"}
QUESTION_ABOUT_A_FILE = "What does it say?"

console = Console(highlight=False)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--model", default="gemini-3.5-flash")
    parser.add_argument("--api", choices=["chat_completions", "generate_content", "gateway"])
    parser.add_argument("--ask")
    parser.add_argument("--image", help="path or URL of a picture, sound, video or PDF")
    arguments = parser.parse_args()
    try:
        block = _block(arguments.image) if arguments.image else None
    except (OSError, ValueError) as error:
        parser.error(str(error))
    question = arguments.ask or _question(block)
    content: list[Any] = [{"type": "text", "text": question}, *([block] if block else [])]
    asked: Any = {"messages": [{"role": "user", "content": content}]}
    with _service() as settings:
        model = ChatKieGemini(
            model=arguments.model, api=arguments.api, include_thoughts=True, **settings
        )
        agent = create_agent(model, TOOLS, system_prompt="Use the tools you are given.")
        _show(question, agent.stream(asked, stream_mode="messages"))


def _service() -> Any:
    """Settings for KIE where there is a key, else for an emulator that runs meanwhile."""
    if os.environ.get("KIE_API_KEY"):
        return nullcontext({})
    from langchain_kie.emulator import Emulator  # noqa: PLC0415 - an extra

    console.print("[yellow]No KIE_API_KEY: the emulator plays KIE on this machine.[/]")
    return _Emulated(Emulator())


class _Emulated:
    """The settings of a model that talks to an emulator."""

    def __init__(self, emulator: Any) -> None:
        self._emulator = emulator

    def __enter__(self) -> dict[str, Any]:
        emulator = self._emulator.__enter__()
        return {"base_url": emulator.base_url, "api_key": emulator.api_key}

    def __exit__(self, *exc_info: object) -> None:
        self._emulator.__exit__(*exc_info)


def _block(file: str) -> dict[str, Any]:
    return media_block(file if "://" in file else Path(file))


def _question(block: dict[str, Any] | None) -> str:
    if block is None:
        return QUESTION
    return QUESTIONS.get(block.get("mime_type", "").partition("/")[0], QUESTION_ABOUT_A_FILE)


def _show(question: str, events: Iterator[Any]) -> None:
    """Print the stream; calls are shown when their arguments are whole."""
    started = time.monotonic()
    totals: dict[str, float] = {"input": 0, "output": 0, "thinking": 0, "credits": 0}
    console.print(Text("you   ", "bold cyan") + Text(question), soft_wrap=True)
    answer: AIMessageChunk | None = None
    for message, _ in events:
        if isinstance(message, AIMessageChunk):
            _show_pieces(message, answer)
            answer = message if answer is None else answer + message
            if message.chunk_position == "last":
                _show_calls(answer)
                _count(answer, totals)
                answer = None
        elif isinstance(message, ToolMessage):
            console.print(Text("tool  ", "bold green") + Text(str(message.text)))
    console.print(
        "[dim]{input:.0f} tokens in, {output:.0f} out ({thinking:.0f} thinking), "
        "{credits:.2f} credits, {seconds:.1f} s[/]".format(
            **totals, seconds=time.monotonic() - started
        )
    )


def _show_pieces(chunk: AIMessageChunk, so_far: AIMessageChunk | None) -> None:
    if so_far is None:
        console.print(Text("model ", "bold magenta"), end="")
    if thought := chunk.additional_kwargs.get("reasoning_content"):
        console.print(Text(thought, "dim"), end="", soft_wrap=True)
    if chunk.text:
        if so_far and so_far.additional_kwargs and not so_far.text:
            console.print()
        console.print(Text(chunk.text), end="", soft_wrap=True)


def _show_calls(message: AIMessage) -> None:
    console.print()
    for call in message.tool_calls:
        arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
        console.print(Text("call  ", "bold blue") + Text(f"{call['name']}({arguments})"))


def _count(message: AIMessage, totals: dict[str, float]) -> None:
    if usage := message.usage_metadata:
        totals["input"] += usage["input_tokens"]
        totals["output"] += usage["output_tokens"]
        totals["thinking"] += usage.get("output_token_details", {}).get("reasoning", 0)
    totals["credits"] += message.response_metadata.get("credits_consumed", 0)


if __name__ == "__main__":
    main()
