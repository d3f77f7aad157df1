"""Answers of `chat_completions`: recorded ones, and content in every form."""

from __future__ import annotations

import json

import orjson
from call_modes import fixture
from scripted_server import sse

from unit_tests.answer.rows import (
    NATIVE_STOP,
    STOP,
    Row,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    fragment,
    native,
    signed,
    signed_content,
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
        usage=usage(20, 12),
        metadata=ended(
            "tool_calls", id="chatcmpl-t", model_version="gemini-3-pro", credits_consumed=0.03
        ),
    ),
    Row(
        "a completion",
        fixture("chat_completion.json"),
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
    {"type": "thinking"},
]
CONTENT = [
    Row(
        "null",
        completion(content=None, reasoning_content="hm"),
        reasoning="hm",
        metadata={**STOP, "empty_answer": True},
    ),
    Row("a list with null", completion(content=[None, {"type": "text", "text": "a"}]), text="a"),
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


def thought(text: str, finish_reason: str | None = None) -> dict:
    """A chunk with a thought in Google's OpenAI-compatible form."""
    extra = {"google": {"thought": True}}
    return delta(finish_reason, content=text, extra_content=extra)


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def both(thought: str) -> list[dict[str, str]]:
    """A thought under both of its names."""
    return [{"reasoning_content": thought}, {"reasoning": thought}]


def image(url: str) -> dict:
    return {"type": "image_url", "image_url": {"url": url}}


PNG = "data:image/png;base64,iVBORw0KGgo="
PNG_BLOCK = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
URL_BLOCK = {"type": "image", "url": "https://example.com/a.png"}
A_BLOCK = {"type": "text", "text": "a"}
DETAILS = [
    {"type": "reasoning.text", "text": "hm"},
    {"type": "reasoning.encrypted", "data": "S==", "id": "c1"},
]
SIGNED = {"google": {"thought_signature": "S=="}}


def kept(**members: object) -> dict:
    """What an answer with the text "a" keeps."""
    return signed("gemini-3-flash", {"type": "message", "extra": members}, signed_content("a"))


OTHER_SERVERS = [
    Row(
        "the complete message after its pieces",
        sse(
            delta(reasoning_content="hm", role="assistant"),
            delta(content="a"),
            delta(content="b"),
            {"id": "x", "choices": [{"index": 0, "message": {"content": "ab", "reasoning": "hm"}}]},
            delta("stop"),
            "[DONE]",
        ),
        text="ab",
        reasoning="hm",
    ),
    Row(
        "the complete message in the last chunk, next to an empty delta",
        sse(
            delta(content="a"),
            delta(content="b"),
            {
                "id": "x",
                "choices": [
                    {"delta": {}, "message": {"content": "ab"}, "finish_reason": "stop"},
                ],
            },
        ),
        text="ab",
    ),
    Row(
        "messages instead of pieces",
        sse(
            {"id": "x", "choices": [{"index": 0, "message": {"content": "a"}}]},
            {"id": "x", "choices": [{"message": {"content": "b"}, "finish_reason": "stop"}]},
        ),
        text="ab",
    ),
    *(
        Row(
            f"the only choice has the index {index!r}",
            sse(
                *(
                    {"id": "x", "choices": [{"index": index, "delta": {"content": text}}]}
                    for text in "ab"
                ),
                {"id": "x", "choices": [{"index": index, "finish_reason": "stop"}]},
            ),
            text="ab",
        )
        for index in (1, "0", None)
    ),
    *(
        Row(
            f"the first choice, {index!r}, is empty",
            sse(
                {"id": "x", "choices": [{"index": index, "delta": empty}]},
                *({"id": "x", "choices": [{"index": 1, "delta": {"content": t}}]} for t in "ab"),
                {"id": "x", "choices": [{"index": index, "delta": {"content": "c"}}]},
                {"id": "x", "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]},
                {"id": "x", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3}},
                "[DONE]",
            ),
            text="ab",
            usage=usage(2, 3),
        )
        for index, empty in ((0, {"role": "assistant", "content": ""}), (None, {}), ("0", None))
    ),
    *(
        Row(
            f"a native body, {form}",
            body(native({"thought": True, "text": "hm"}, {"text": "a"}, finish="STOP")),
            text="a",
            reasoning="hm",
            metadata=NATIVE_STOP,
        )
        for form, body in {"as a document": orjson.dumps, "in a stream": sse}.items()
    ),
    *(
        Row(
            f"a native body next to choices that are {choices}, {form}",
            body({"choices": choices, **native({"text": "a"}, finish="STOP"), "model": None}),
            text="a",
            metadata=NATIVE_STOP,
        )
        for form, body in {"as a document": orjson.dumps, "in a stream": sse}.items()
        for choices in (None, [])
    ),
    Row(
        "events of no known format",
        sse({"choices": None}, {"choices": []}, delta("stop", content="a"), "[DONE]"),
        text="a",
    ),
    Row(
        "reasoning under another name",
        sse(delta(reasoning="h"), delta(reasoning="m"), delta("stop", content="a")),
        text="a",
        reasoning="hm",
    ),
    Row(
        "reasoning under both names",
        sse(delta(reasoning_content="h", reasoning="h"), delta("stop", content="a", reasoning="m")),
        text="a",
        reasoning="hm",
    ),
    *(
        Row(
            f"reasoning under both names, {name}",
            sse(*(delta(**thought) for thought in thoughts), delta("stop", content="a")),
            text="a",
            reasoning="hmm",
        )
        for name, thoughts in {
            "in turns": [*both("hm"), *both("m")],
            "in turns, the other first": [*reversed(both("h")), *reversed(both("mm"))],
            "one after the other": [{"reasoning": "hm"}, {"reasoning": "m"}, *both("hmm")[:1]],
            "in other pieces": [both("h")[0], both("hm")[1], both("mm")[0], both("m")[1]],
            "one after the other, in a list": [
                {"reasoning": "hmm"},
                {"content": [{"type": "thinking", "thinking": "hmm"}]},
            ],
            "and each continues the other": [both("h")[0], both("m")[1], both("m")[1]],
        }.items()
    ),
    Row(
        "reasoning in a completion",
        completion(content="a", reasoning="hm", reasoning_content=None),
        text="a",
        reasoning="hm",
    ),
    Row(
        "lists in a thought",
        completion(
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, "m"]},
                {"type": "text", "text": None},
                {"type": "text", "text": "a"},
            ],
        ),
        text="a",
        reasoning="hm",
    ),
    Row(
        "thoughts in tags, with Google's mark",
        sse(thought("<thought>h"), thought("m"), delta("stop", content="</thought>a")),
        text="a",
        reasoning="hm",
    ),
    *(
        Row(
            f"thoughts in tags that are cut after {size} characters",
            sse(
                *(thought(piece) for piece in cut("<thought>h<m</thought>", size)),
                delta("stop", content="a"),
            ),
            text="a",
            reasoning="h<m",
        )
        for size in (1, 2, 3, 10)
    ),
    Row(
        "a tag whose rest has no mark",
        sse(
            thought("<tho"),
            thought("ught>hm</"),
            delta(content="tho"),
            delta("stop", content="ught>a"),
        ),
        text="a",
        reasoning="hm",
    ),
    Row(
        "thoughts in tags, twice",
        sse(
            thought("<thought>h</thought>"),
            thought("<thought>m</thought>"),
            delta("stop", content="a"),
        ),
        text="a",
        reasoning="hm",
    ),
    Row(
        "a thought that ends like a tag",
        sse(thought("<thought>h</tho"), delta("stop", content="a")),
        text="a",
        reasoning="h</tho",
    ),
    Row(
        "a thought that starts like a tag",
        sse(thought("<th"), delta("stop", content="a")),
        text="a",
        reasoning="<th",
    ),
    Row(
        "only a thought that ends like a tag",
        sse(thought("<thought>h<"), delta("stop")),
        reasoning="h<",
        metadata={**STOP, "empty_answer": True},
    ),
    Row(
        "a thought in tags and text in one chunk",
        sse(thought("<thought>hm</thought>a"), delta("stop", content="b")),
        text="ab",
        reasoning="hm",
    ),
    Row(
        "a completion with a thought in tags",
        completion(content="<thought>hm</thought>a", extra_content={"google": {"thought": True}}),
        text="a",
        reasoning="hm",
    ),
    Row(
        "tags without a mark, which are text",
        sse(delta(content="<thought>a"), delta("stop", content="</thought>")),
        text="<thought>a</thought>",
    ),
    Row(
        "images next to the text",
        sse(
            delta(content="a"),
            delta(images=[image(PNG), image(URL_BLOCK["url"])]),
            delta("stop"),
        ),
        text="a",
        blocks=[A_BLOCK, PNG_BLOCK, URL_BLOCK],
    ),
    Row(
        "images in a completion, and in its content",
        completion(content=[A_BLOCK, image(PNG)], images=[PNG]),
        text="a",
        blocks=[A_BLOCK, PNG_BLOCK, PNG_BLOCK],
    ),
    Row(
        "two texts after an image in one chunk, and another one in the next",
        sse(
            delta(content=[A_BLOCK, A_BLOCK, image(PNG), A_BLOCK, {"type": "text", "text": "b"}]),
            delta(content="c"),
            delta("stop"),
        ),
        text="aaabc",
        blocks=[{"type": "text", "text": "aa"}, PNG_BLOCK, {"type": "text", "text": "abc"}],
    ),
    Row(
        "log probabilities in each chunk",
        sse(
            *(
                {"id": "x", "choices": [{"delta": {"content": text}, "logprobs": {"content": [n]}}]}
                for n, text in enumerate("ab")
            ),
            delta("stop"),
        ),
        text="ab",
        metadata={**STOP, "logprobs": {"content": [0, 1]}},
    ),
    Row(
        "reasoning details in two chunks",
        sse(
            delta(reasoning="hm", reasoning_details=DETAILS[:1]),
            delta("stop", content="a", reasoning_details=DETAILS[1:]),
        ),
        text="a",
        reasoning="hm",
        metadata={**STOP, "reasoning_details": DETAILS},
        extra=kept(reasoning_details=DETAILS[1:]),
    ),
    Row(
        "a signature next to the content",
        completion(content="a", extra_content=SIGNED),
        text="a",
        metadata={**STOP, "extra_content": SIGNED},
        extra=kept(extra_content=SIGNED),
    ),
]


def escaped(*events: dict) -> bytes:
    """A stream in which each half of a surrogate pair is an escape of its own."""
    lines = (json.dumps(event) for event in (*events, delta("stop")))
    return "".join(f"data: {line}\n\n" for line in lines).encode()


HALF_PAIRS = [
    Row("a pair in two chunks", escaped(delta(content="a\ud83c"), delta(content="\udf24b")), "a🌤b"),
    Row(
        "a pair in two thoughts",
        escaped(delta(reasoning="a\ud83c"), delta(reasoning="\udf24b"), delta(content="c")),
        "c",
        "a🌤b",
    ),
    Row(
        "a pair in two fragments of arguments",
        escaped(
            delta(tool_calls=[fragment("f", '{"a":"\ud83c', index=0, id="c1")]),
            delta(tool_calls=[fragment(None, '\udf24"}', index=0)]),
        ),
        calls=[("f", {"a": "🌤"}, "c1")],
        metadata=ended("tool_calls", "stop", id="x"),
    ),
    Row("only one half", escaped(delta(content="a\ud83c"), delta(content="b\udf24")), "ab\ufffd"),
]


@each(RECORDED, CONTENT, OTHER_SERVERS, HALF_PAIRS)
async def test_an_answer_is_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 3-1, 3-2, 3-4, 4-5, 4-6, 4-7, 11-8, 11-9, 11-10: each shape of an answer."""
    await check_every_call_mode(row)
