"""Answers of `chat_completions`: recorded ones, and content in every form."""

from __future__ import annotations

import orjson
from call_modes import fixture
from scripted_server import sse

from unit_tests.answer.rows import (
    STOP,
    Row,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    usage,
)

RECORDED = [
    Row(
        "shape A",
        fixture("shape_a.sse"),
        text="The sky is blue, né 🌤.",
        reasoning="**Weighing it**\n\nTwo ways.\n",
        usage=usage(1, 698, reasoning=663),
        metadata=ended(
            "stop", id="chatcmpl-a", model_version="gemini-3-pro", credits_consumed=0.49
        ),
        model="gemini-3-pro",
    ),
    Row(
        "shape B, whose total is more than its parts",
        fixture("shape_b.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(8, 107, reasoning=106),
        metadata=ended("stop", id="chatcmpl-b", credits_consumed=0.01),
        model="gemini-3.1-pro",
    ),
    Row(
        "shape C, with several ids and without a finish reason",
        fixture("shape_c.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(5, 72, reasoning=65),
        metadata={"id": "chatcmpl-c0", "finish_reason": "stop", "credits_consumed": 0.07},
        model="gemini-3-6-flash-openai",
    ),
    Row(
        "tool calls in fragments, and usage twice",
        fixture("chat_call.sse"),
        text="One moment.",
        reasoning="**Looking it up**",
        calls=[
            ("get_weather", {"location": "Beijing"}, "call_1"),
            ("get_weather", {"location": "Oslo"}, "call_2"),
        ],
        usage=usage(20, 12, reasoning=0),
        metadata=ended(
            "tool_calls", id="chatcmpl-t", model_version="gemini-3-pro", credits_consumed=0.03
        ),
    ),
    Row(
        "a completion",
        fixture("chat_whole.json"),
        text="pong",
        usage=usage(8, 107, reasoning=106),
        metadata=ended("stop", id="chatcmpl-pong", credits_consumed=0.01),
        model="gemini-3.1-pro",
    ),
    Row(
        "a completion, as documented",
        fixture("chat_docs.json"),
        text="hello,can i help you?",
        metadata=ended("stop", id="chatcmpl-example-123", model_version="gemini-3.1-pro"),
        model="gemini-3.1-pro",
    ),
]
LINE_SEPARATORS = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"
THOUGHTS = [
    {"type": "thought", "text": "let me "},
    {"type": "thought", "thought": "really "},
    {"type": "reasoning", "reasoning": "see"},
    {"type": "thinking", "thinking": "."},
]
CONTENT = [
    Row("null", completion(content=None, reasoning_content="hm"), reasoning="hm"),
    Row(
        "a list with thoughts",
        completion(content=[*THOUGHTS, {"type": "text", "text": "Blue"}, "!"]),
        text="Blue!",
        reasoning="let me really see.",
    ),
    Row(
        "lists in a stream",
        sse(
            delta(content=[{"type": "thought", "text": "hm"}]),
            delta(content=[{"type": "text", "text": "Bl"}]),
            delta("stop", content=[{"type": "text", "text": "ue"}]),
        ),
        text="Blue",
        reasoning="hm",
    ),
    Row("a part", completion(content={"type": "text", "text": "hi"}), text="hi"),
    Row(
        "thoughts after text, which stay in one block",
        sse(
            delta(reasoning_content="a"),
            delta(content="x"),
            delta(reasoning_content="b"),
            delta("stop", content="y"),
        ),
        text="xy",
        reasoning="ab",
    ),
    Row("line separators", completion(content=LINE_SEPARATORS), text=LINE_SEPARATORS),
    Row(
        "of two choices in a stream, the first counts",
        sse(
            delta(content="A"),
            {"id": "x", "choices": [{"index": 1, "delta": {"content": "B"}}]},
            delta("stop", content="C"),
            "[DONE]",
        ),
        text="AC",
    ),
    Row(
        "of two choices, the first counts",
        orjson.dumps(
            {
                "id": "x",
                "choices": [
                    {"index": i, "message": {"content": text}, "finish_reason": "stop"}
                    for i, text in enumerate(("one", "two"))
                ],
            }
        ),
        text="one",
        metadata=STOP,
    ),
]


@each(RECORDED, CONTENT)
async def test_an_answer_is_the_same_in_every_call_mode(row: Row) -> None:
    await check_every_call_mode(row)
