"""Run an agent and print its reasoning, tool calls, tool results and answer as they arrive.

The loop of the agent is written out, so that the demo needs no package that the chat model and the
emulator do not need. `langchain.agents.create_agent` does the same, and more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage, ToolMessage

from demo.tools import TOOLS
from langchain_kie import ChatKieGemini, KieError, media_block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.messages import AIMessageChunk

DEFAULT_QUESTION = "What is 17 * 23, and what is the current time in the time zone Europe/Paris?"
MEDIA_QUESTIONS = {
    "image": "What do you see?",
    "audio": "What do you hear?",
    "video": "What happens?",
}
DOCUMENT_QUESTION = "What does it say?"
MAX_STEPS = 10
STYLES = {"you": "1;36", "model": "1;35", "call": "1;34", "tool": "1;32", "dim": "2", "note": "33"}


def main() -> None:
    """Run the demo; an error is one line."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run an agent.")
    parser.add_argument("--model", default="gemini-3.5-flash", help="default: %(default)s")
    parser.add_argument(
        "--api",
        choices=["chat_completions", "generate_content", "gateway"],
        help="default: the model's",
    )
    parser.add_argument("--ask", help="the question; default: one that needs two tools")
    parser.add_argument("--image", help="path or URL of an image, audio, video or PDF file")
    arguments = parser.parse_args()
    warnings.showwarning = lambda message, *_: print(styled("note", f"Warning: {message}"))
    try:
        media = _media_block(arguments.image) if arguments.image else None
        question = arguments.ask or _default_question(media)
        with _connection_settings() as settings:
            model = ChatKieGemini(
                model=arguments.model, api=arguments.api, include_thoughts=True, **settings
            )
            run(model, question, media)
    except (KieError, OSError, ValueError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit("\nstopped")


def run(model: ChatKieGemini, question: str, media: dict[str, Any] | None = None) -> None:
    """Ask the question, run the tools that the model calls, and print everything."""
    started = time.monotonic()
    totals: dict[str, float] = {"input": 0, "output": 0, "reasoning": 0, "credits": 0}
    print(styled("you", "you   ") + question, flush=True)
    content: list[Any] = [{"type": "text", "text": question}, *([media] if media else [])]
    messages: list[AnyMessage] = [
        SystemMessage("Use the tools you are given."),
        HumanMessage(content),
    ]
    tools = {tool.name: tool for tool in TOOLS}
    agent = model.bind_tools(TOOLS)
    for _ in range(MAX_STEPS):
        answer = _stream(cast("Iterator[AIMessageChunk]", agent.stream(messages)))
        _add_usage(answer, totals)
        messages.append(answer)
        for call in answer.tool_calls:
            arguments = ", ".join(f"{name}={value!r}" for name, value in call["args"].items())
            print(styled("call", "call  ") + f"{call['name']}({arguments})")
            result = (
                tools[call["name"]].invoke(call)
                if call["name"] in tools
                else ToolMessage("there is no such tool", tool_call_id=call["id"], status="error")
            )
            print(styled("tool", "tool  ") + result.text, flush=True)
            messages.append(result)
        if not answer.tool_calls:
            break
    print(
        styled(
            "dim",
            "{input:.0f} tokens in, {output:.0f} out ({reasoning:.0f} reasoning), "
            "{credits:.2f} credits, {seconds:.1f} s".format(
                **totals, seconds=time.monotonic() - started
            ),
        )
    )


def styled(style: str, text: str) -> str:
    """The text in colour, if a terminal shows it."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if sys.stdout.isatty() else text


@contextmanager
def _connection_settings() -> Iterator[dict[str, Any]]:
    """Model settings for KIE if `KIE_API_KEY` is set, else for an emulator that it starts."""
    if os.environ.get("KIE_API_KEY"):
        yield {}
        return
    from langchain_kie.emulator import Emulator  # noqa: PLC0415 - needs an extra

    print(styled("note", "KIE_API_KEY is not set: using the KIE emulator on this machine."))
    with Emulator() as emulator:
        yield {"base_url": emulator.base_url, "api_key": emulator.api_key}


def _media_block(file: str) -> dict[str, Any]:
    return media_block(file if "://" in file else Path(file))


def _default_question(media: dict[str, Any] | None) -> str:
    if media is None:
        return DEFAULT_QUESTION
    media_type = media.get("mime_type", "").partition("/")[0]
    return MEDIA_QUESTIONS.get(media_type, DOCUMENT_QUESTION)


def _stream(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    """Print the chunks, and return their sum."""
    answer: AIMessageChunk | None = None
    for chunk in chunks:
        if answer is None:
            print(styled("model", "model "), end="")
        if reasoning := chunk.additional_kwargs.get("reasoning_content"):
            print(styled("dim", reasoning), end="", flush=True)
        if chunk.text:
            if answer and answer.additional_kwargs and not answer.text:
                print()
            print(chunk.text, end="", flush=True)
        answer = chunk if answer is None else answer + chunk
    print()
    if answer is None:
        raise ValueError("the answer is empty")
    return answer


def _add_usage(message: AIMessageChunk, totals: dict[str, float]) -> None:
    if usage := message.usage_metadata:
        totals["input"] += usage["input_tokens"]
        totals["output"] += usage["output_tokens"]
        totals["reasoning"] += usage.get("output_token_details", {}).get("reasoning", 0)
    totals["credits"] += message.response_metadata.get("credits_consumed", 0)


if __name__ == "__main__":
    main()
