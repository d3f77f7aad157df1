"""Wire bytes in, message out: every kind of answer, asked for in every way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import (
    BASIC_CALL_MODES,
    CALL_MODES,
    ainvoke,
    astream,
    blocks_of,
    events,
    fixture,
    invoke,
    model_at,
    server_sending,
    stream,
    v1_astream,
    v1_invoke,
)
from langchain_core.messages import AIMessage
from scripted_server import sse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True)
class Row:
    """An answer's bytes, and the message that they are."""

    name: str
    body: bytes
    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    """Name, arguments and id; an id of `None` stands for one that was made up."""
    invalid: list[tuple[str, str]] = field(default_factory=list)
    """Name and arguments."""
    usage: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """All of `response_metadata` that the wire gave, save the raw token counts."""
    extra: dict[str, Any] = field(default_factory=dict)
    """All of `additional_kwargs`, save the thoughts."""
    blocks: list[dict[str, Any]] | None = None
    """What `content_blocks` holds, where it is more than thoughts, text and calls."""
    model: str = "gemini-3-flash"


def usage(input_tokens: int, output_tokens: int, **reasoning: int) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return {**counts, "output_token_details": reasoning} if reasoning else counts


def signed(model: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"thought_signatures": {model: list(entries)}}


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": members, **({"finish_reason": finish} if finish else {})}
    return {"id": "x", "choices": [choice]}


def whole(finish: str | None = "stop", **members: Any) -> bytes:
    message = {"role": "assistant", **members}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return orjson.dumps({"id": "x", "choices": [choice]})


def native(*parts: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **members}


def piece(**members: Any) -> dict[str, Any]:
    """A delta of tool calls' with one piece of one call."""
    function = {k: members.pop(k) for k in ("name", "arguments") if k in members}
    return delta(tool_calls=[{**members, "function": function}])


def pieces(*members: dict[str, Any], finish: str = "tool_calls") -> bytes:
    return sse(*(piece(**member) for member in members), delta(finish), "[DONE]")


STOP = {"id": "x", "finish_reason": "stop"}
CALLS = {"id": "x", "finish_reason": "tool_calls"}

RECORDED = [
    Row(
        "shape A",
        fixture("shape_a.sse"),
        text="The sky is blue, né 🌤.",
        reasoning="**Weighing it**\n\nTwo ways.\n",
        usage=usage(1, 698, reasoning=663),
        metadata={
            "id": "chatcmpl-a",
            "model_version": "gemini-3-pro",
            "finish_reason": "stop",
            "credits_consumed": 0.49,
        },
        model="gemini-3-pro",
    ),
    Row(
        "shape B, whose total is more than its parts",
        fixture("shape_b.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(8, 107, reasoning=106),
        metadata={"id": "chatcmpl-b", "finish_reason": "stop", "credits_consumed": 0.01},
        model="gemini-3.1-pro",
    ),
    Row(
        "shape C, whose ids differ and which gives no finish reason",
        fixture("shape_c.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(5, 72, reasoning=65),
        metadata={"id": "chatcmpl-c0", "finish_reason": "stop", "credits_consumed": 0.07},
        model="gemini-3-6-flash-openai",
    ),
    Row(
        "a native stream, with usage in every event and a signature on an empty part",
        fixture("native.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(109, 1996, reasoning=770),
        metadata={"finish_reason": "STOP", "credits_consumed": 0.66},
        extra=signed(
            "gemini-3.5-flash",
            {
                "type": "text",
                "start": 16,
                "end": 16,
                "signature": "RW1wdHlQYXJ0U2lnbmF0dXJl==",
            },
        ),
        model="gemini-3-5-flash",
    ),
    Row(
        "a native stream with a signed call and one beside it",
        fixture("native_call.sse"),
        text="One moment.",
        reasoning="**Looking it up**",
        calls=[
            ("get_weather_forecast", {"location": "Beijing"}, "gp737npz"),
            ("get_weather_forecast", {"location": "Oslo"}, "gp737nq0"),
        ],
        usage=usage(109, 95, reasoning=55),
        metadata={
            "id": "xRS0aZC5BNHVz7IPuaO42Qk",
            "model_version": "gemini-3-flash",
            "finish_reason": "STOP",
            "credits_consumed": 0.02,
        },
        extra=signed(
            "gemini-3-flash",
            {"type": "tool_call", "id": "gp737npz", "at": 11, "signature": "Es8CCswCAb4example"},
        ),
        model="gemini-3-flash-v1betamodels",
    ),
    Row(
        "a chat stream with calls in fragments, and usage twice",
        fixture("chat_call.sse"),
        text="One moment.",
        reasoning="**Looking it up**",
        calls=[
            ("get_weather", {"location": "Beijing"}, "call_1"),
            ("get_weather", {"location": "Oslo"}, "call_2"),
        ],
        usage=usage(20, 12, reasoning=0),
        metadata={
            "id": "chatcmpl-t",
            "model_version": "gemini-3-pro",
            "finish_reason": "tool_calls",
            "credits_consumed": 0.03,
        },
    ),
    Row(
        "a whole chat completion, recorded",
        fixture("chat_whole.json"),
        text="pong",
        usage=usage(8, 107, reasoning=106),
        metadata={"id": "chatcmpl-pong", "finish_reason": "stop", "credits_consumed": 0.01},
        model="gemini-3.1-pro",
    ),
    Row(
        "a whole chat completion, as documented",
        fixture("chat_docs.json"),
        text="hello,can i help you?",
        metadata={
            "id": "chatcmpl-example-123",
            "model_version": "gemini-3.1-pro",
            "finish_reason": "stop",
        },
        model="gemini-3.1-pro",
    ),
    Row(
        "a whole native answer, recorded",
        fixture("native_whole.json"),
        text="pong",
        usage=usage(88, 49, reasoning=48),
        metadata={"finish_reason": "STOP", "credits_consumed": 0.01},
        model="gemini-3-5-flash",
    ),
    Row(
        "a whole native answer with a call, as documented",
        fixture("native_docs_call.json"),
        calls=[("get_weather_forecast", {"location": "Beijing"}, "gp737npz")],
        usage=usage(252, 73, reasoning=55),
        metadata={
            "id": "xRS0aZC5BNHVz7IPuaO42Qk",
            "model_version": "gemini-3-flash",
            "finish_reason": "STOP",
            "credits_consumed": 0.01,
        },
        extra=signed(
            "gemini-3-flash",
            {"type": "tool_call", "id": "gp737npz", "at": 0, "signature": "Es8CCswCAb4example"},
        ),
        model="gemini-3-flash-v1betamodels",
    ),
]

GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://example.com/sky", "title": "Sky"}}],
    "webSearchQueries": ["why is the sky blue"],
}

FORMS = [
    Row(
        "a native answer on the chat path",
        fixture("native_whole.json"),
        text="pong",
        usage=usage(88, 49, reasoning=48),
        metadata={"finish_reason": "STOP", "credits_consumed": 0.01},
        model="gemini-3.1-pro",
    ),
    Row(
        "a chat answer on the native path",
        fixture("chat_whole.json"),
        text="pong",
        usage=usage(8, 107, reasoning=106),
        metadata={"id": "chatcmpl-pong", "finish_reason": "stop", "credits_consumed": 0.01},
        model="gemini-3-5-flash",
    ),
    Row(
        "a JSON array of native events",
        orjson.dumps(
            [
                native({"text": "The sky"}),
                native({"text": " is blue."}, finish="STOP"),
            ]
        ),
        text="The sky is blue.",
        metadata={"finish_reason": "STOP"},
        model="gemini-3-5-flash",
    ),
    *(
        Row(f"an answer wrapped in {wrapper!r}", body, text="hi", metadata=STOP)
        for wrapper in ("data", "result", "response")
        for body in [
            b'{"code":200,"msg":"success","%s":%s}' % (wrapper.encode(), whole(content="hi"))
        ]
    ),
    Row(
        "an answer wrapped inside an event",
        sse({"code": 0, "data": delta("stop", content="hi")}),
        text="hi",
        metadata=STOP,
    ),
    Row("a byte order mark", b"\xef\xbb\xbf" + whole(content="hi"), text="hi", metadata=STOP),
    Row("white space before JSON", b"\r\n \t" + whole(content="hi"), text="hi", metadata=STOP),
    Row(
        "content that is null",
        whole(content=None, reasoning_content="hm"),
        reasoning="hm",
        metadata=STOP,
    ),
    Row(
        "content that is a list with thoughts",
        whole(
            content=[
                {"type": "thought", "text": "let me "},
                {"type": "reasoning", "reasoning": "see"},
                {"type": "thinking", "thinking": "."},
                {"type": "text", "text": "Blue"},
                "!",
            ]
        ),
        text="Blue!",
        reasoning="let me see.",
        metadata=STOP,
    ),
    Row(
        "a list of thoughts and text in a stream",
        sse(
            delta(content=[{"type": "thought", "text": "hm"}]),
            delta(content=[{"type": "text", "text": "Bl"}]),
            delta("stop", content=[{"type": "text", "text": "ue"}]),
        ),
        text="Blue",
        reasoning="hm",
        metadata=STOP,
    ),
    Row(
        "thoughts after text begin no second block",
        sse(
            delta(reasoning_content="a"),
            delta(content="x"),
            delta(reasoning_content="b"),
            delta("stop", content="y"),
        ),
        text="xy",
        reasoning="ab",
        metadata=STOP,
    ),
    Row(
        "a thought without a signature, and one with",
        sse(
            native({"text": "a", "thought": True}),
            native({"text": "b", "thought": True, "thoughtSignature": "T1=="}),
            native({"text": "x"}, finish="STOP"),
        ),
        text="x",
        reasoning="ab",
        metadata={"finish_reason": "STOP"},
        extra=signed(
            "gemini-3.5-flash", {"type": "text", "start": 0, "end": 0, "signature": "T1=="}
        ),
        model="gemini-3-5-flash",
    ),
    Row(
        "signed text, in the middle and in snake case",
        sse(
            native({"text": "ab"}),
            native({"text": "cd", "thoughtSignature": "S1=="}),
            native({"text": "ef"}, {"thought_signature": "S2=="}, finish="STOP"),
        ),
        text="abcdef",
        metadata={"finish_reason": "STOP"},
        extra=signed(
            "gemini-3.5-flash",
            {"type": "text", "start": 2, "end": 4, "signature": "S1=="},
            {"type": "text", "start": 6, "end": 6, "signature": "S2=="},
        ),
        model="gemini-3-5-flash",
    ),
    Row(
        "a line of U+2028, U+2029, U+0085, VT, FF, FS, GS and RS",
        whole(content="a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"),
        text="a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei",
        metadata=STOP,
    ),
    Row(
        "grounding, complete in the last event",
        sse(
            native({"text": "Because."}),
            {
                "candidates": [
                    {
                        "content": {"parts": [{"text": ""}]},
                        "finishReason": "STOP",
                        "groundingMetadata": GROUNDING,
                    }
                ]
            },
        ),
        text="Because.",
        blocks=[
            {"type": "text", "text": "Because."},
            {
                "type": "server_tool_call",
                "id": "web_search_1",
                "name": "web_search",
                "args": {"queries": ["why is the sky blue"]},
            },
            {
                "type": "server_tool_result",
                "tool_call_id": "web_search_1",
                "status": "success",
                "output": [{"url": "https://example.com/sky", "title": "Sky"}],
            },
        ],
        metadata={"finish_reason": "STOP", "grounding_metadata": GROUNDING},
        model="gemini-3-5-flash",
    ),
    Row(
        "metadata that every event repeats, told once",
        sse(
            *(
                native({"text": t}, finish=f, responseId="r1", modelVersion="g-3.5")
                for t, f in (("a", None), ("b", None), ("c", "STOP"))
            )
        ),
        text="abc",
        metadata={"finish_reason": "STOP", "id": "r1", "model_version": "g-3.5"},
        model="gemini-3-5-flash",
    ),
    Row(
        "a finish reason that comes twice, and text after it",
        sse(delta("stop", content="a"), delta("stop", content="b"), "[DONE]"),
        text="ab",
        metadata=STOP,
    ),
    Row(
        "nonsense after the end is not looked at",
        sse(delta("stop", content="a"), "[DONE]", "nonsense", {"code": 500, "msg": "late"}),
        text="a",
        metadata=STOP,
    ),
    Row(
        "nonsense after the finish reason ends the answer",
        sse(delta("stop", content="a"), "nonsense", delta(content="never")),
        text="a",
        metadata=STOP,
    ),
    Row(
        "a second choice is another answer, and left out",
        orjson.dumps(
            {
                "id": "x",
                "choices": [
                    {"index": 0, "message": {"content": "one"}, "finish_reason": "stop"},
                    {"index": 1, "message": {"content": "two"}, "finish_reason": "stop"},
                ],
            }
        ),
        text="one",
        metadata=STOP,
    ),
]

ENDINGS = [
    Row(
        "length",
        whole("length", content="cut"),
        text="cut",
        metadata={"id": "x", "finish_reason": "length"},
    ),
    Row(
        "content_filter",
        whole("content_filter", content=""),
        metadata={"id": "x", "finish_reason": "content_filter"},
    ),
    Row(
        "no finish reason, but [DONE]", sse(delta(content="hi"), "[DONE]"), text="hi", metadata=STOP
    ),
    Row(
        "no finish reason, but calls and [DONE]",
        sse(piece(index=0, id="c", name="f", arguments="{}"), "[DONE]"),
        calls=[("f", {}, "c")],
        metadata=CALLS,
    ),
    Row("no finish reason in a whole answer", whole(None, content="hi"), text="hi", metadata=STOP),
    Row(
        "a refusal",
        whole(content=None, refusal="I will not."),
        metadata=STOP,
        extra={"refusal": "I will not."},
    ),
    *(
        Row(
            f"stopped by {reason}",
            sse(
                native({"text": "Once"}),
                {"candidates": [{"finishReason": reason, "safetyRatings": [{"blocked": True}]}]},
            ),
            text="Once",
            metadata={"finish_reason": reason, "safety_ratings": [{"blocked": True}]},
            model="gemini-3-5-flash",
        )
        for reason in ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII")
    ),
    Row(
        "stopped by safety before the first word",
        orjson.dumps({"candidates": [{"finishReason": "SAFETY"}]}),
        metadata={"finish_reason": "SAFETY"},
        model="gemini-3-5-flash",
    ),
    Row(
        "MAX_TOKENS, and a message about it",
        orjson.dumps(
            {
                "candidates": [
                    {
                        "content": {"parts": [{"text": "Once"}]},
                        "finishReason": "MAX_TOKENS",
                        "finishMessage": "limit",
                    }
                ]
            }
        ),
        text="Once",
        metadata={"finish_reason": "MAX_TOKENS", "finish_message": "limit"},
        model="gemini-3-5-flash",
    ),
    Row(
        "a blocked prompt",
        orjson.dumps(
            {
                "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
            }
        ),
        usage=usage(9, 0),
        metadata={
            "finish_reason": "PROHIBITED_CONTENT",
            "prompt_feedback": {"blockReason": "PROHIBITED_CONTENT"},
        },
        model="gemini-3-5-flash",
    ),
    Row(
        "an empty answer that was billed",
        orjson.dumps(
            {
                "id": "x",
                "choices": [{"message": {"content": ""}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
            }
        ),
        usage=usage(3, 0, reasoning=0),
        metadata=STOP,
    ),
]


def _counted(raw: dict[str, Any], **members: Any) -> bytes:
    return sse(delta("stop", content="hi"), {"choices": [], "usage": raw, **members}, "[DONE]")


USAGES = [
    Row("no usage", sse(delta("stop", content="hi"), "[DONE]"), text="hi", metadata=STOP),
    Row(
        "credits that are an integer",
        _counted(
            {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}, credits_consumed=1
        ),
        text="hi",
        usage=usage(2, 3, reasoning=0),
        metadata={**STOP, "credits_consumed": 1.0},
    ),
    Row(
        "credits of nought",
        _counted(
            {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}, credits_consumed=0
        ),
        text="hi",
        usage=usage(2, 3, reasoning=0),
        metadata={**STOP, "credits_consumed": 0.0},
    ),
    *(
        Row(
            f"hidden thinking, {prompt}+{completion}->{total}",
            _counted(
                {
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "total_tokens": total,
                    "completion_tokens_details": {"reasoning_tokens": 0},
                }
            ),
            text="hi",
            usage=usage(prompt, total - prompt, reasoning=total - prompt - completion),
            metadata=STOP,
        )
        for prompt, completion, total in ((5, 7, 77), (20, 7, 257), (85, 7, 230), (8, 1, 115))
    ),
    Row(
        "a total that is too small or missing",
        _counted({"prompt_tokens": 4, "completion_tokens": 6}),
        text="hi",
        usage=usage(4, 6, reasoning=0),
        metadata=STOP,
    ),
    Row(
        "tokens read from a cache, and of sound",
        _counted(
            {
                "prompt_tokens": 40,
                "completion_tokens": 6,
                "total_tokens": 46,
                "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 1},
            }
        ),
        text="hi",
        usage={
            "input_tokens": 40,
            "output_tokens": 6,
            "total_tokens": 46,
            "input_token_details": {"cache_read": 30, "audio": 5},
            "output_token_details": {"reasoning": 4, "audio": 1},
        },
        metadata=STOP,
    ),
    Row(
        "usage and credits in every chunk, cumulative",
        sse(
            *(
                {
                    **delta("stop" if i == 3 else None, content=str(i)),
                    "usage": {"prompt_tokens": 9, "completion_tokens": i, "total_tokens": 9 + i},
                    "credits_consumed": i / 10,
                }
                for i in (1, 2, 3)
            ),
            "[DONE]",
        ),
        text="123",
        usage=usage(9, 3, reasoning=0),
        metadata={**STOP, "credits_consumed": 0.3},
    ),
    Row(
        "usage before the finish reason",
        sse(
            delta(content="hi"),
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
            delta("stop"),
            "[DONE]",
        ),
        text="hi",
        usage=usage(1, 1, reasoning=0),
        metadata=STOP,
    ),
    *(
        Row(
            f"native thinking counted as {name}",
            sse(
                native(
                    {"text": "hi"},
                    finish="STOP",
                    usageMetadata={
                        name: 5,
                        "candidatesTokenCount": 6,
                        "totalTokenCount": 142,
                        "promptTokenCount": 131,
                    },
                )
            ),
            text="hi",
            usage=usage(131, 11, reasoning=5),
            metadata={"finish_reason": "STOP"},
            model="gemini-3-5-flash",
        )
        for name in ("thinkingTokenCount", "thoughtsTokenCount")
    ),
    Row(
        "native tokens of a cache, and of a search",
        sse(
            native(
                {"text": "hi"},
                finish="STOP",
                usageMetadata={
                    "candidatesTokenCount": 6,
                    "promptTokenCount": 100,
                    "toolUsePromptTokenCount": 20,
                    "cachedContentTokenCount": 64,
                    "totalTokenCount": 126,
                },
            )
        ),
        text="hi",
        usage={
            "input_tokens": 120,
            "output_tokens": 6,
            "total_tokens": 126,
            "input_token_details": {"cache_read": 64},
        },
        metadata={"finish_reason": "STOP"},
        model="gemini-3-5-flash",
    ),
]


def call(name: str = "f", i: int = 1, call_id: str | None = "c1") -> tuple[str, dict, str | None]:
    return (name, {"i": i}, call_id)


TOOL_CALLS = [
    Row(
        "a whole call in one piece",
        pieces({"index": 0, "id": "c1", "type": "function", "name": "f", "arguments": '{"i":1}'}),
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "calls with text before them",
        sse(
            delta(content="Wait."),
            piece(index=0, id="c1", name="f", arguments='{"i":1}'),
            delta("tool_calls"),
        ),
        text="Wait.",
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "arguments one character at a time",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": ""},
            *({"index": 0, "arguments": c} for c in '{"i": 1}'),
        ),
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "two calls whose pieces alternate",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i'},
            {"index": 1, "id": "c2", "name": "g", "arguments": '{"i'},
            {"index": 0, "arguments": '":1}'},
            {"index": 1, "arguments": '":2}'},
        ),
        calls=[call(), call("g", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "no index, with ids",
        pieces(
            {"id": "c1", "name": "f", "arguments": '{"i":1}'},
            {"id": "c2", "name": "f", "arguments": '{"i":2}'},
        ),
        calls=[call(), call("f", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "no index, in fragments with the id in each",
        pieces(
            {"id": "c1", "name": "f", "arguments": '{"i'},
            {"id": "c1", "arguments": '":1}'},
            {"id": "c2", "name": "f", "arguments": '{"i'},
            {"id": "c2", "arguments": '":2}'},
        ),
        calls=[call(), call("f", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "no index, in fragments with the id in the first",
        pieces(
            {"id": "c1", "name": "f", "arguments": '{"i'},
            {"arguments": '":1}'},
            {"id": "c2", "name": "f", "arguments": '{"i'},
            {"arguments": '":2}'},
        ),
        calls=[call(), call("f", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "index 0 for all, with different ids",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i":1}'},
            {"index": 0, "id": "c2", "name": "f", "arguments": '{"i":2}'},
            {"index": 0, "id": "c3", "name": "g", "arguments": '{"i":3}'},
        ),
        calls=[call(), call("f", 2, "c2"), call("g", 3, "c3")],
        metadata=CALLS,
    ),
    Row(
        "index 0 for all, different ids, in fragments",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i'},
            {"index": 0, "arguments": '":1}'},
            {"index": 0, "id": "c2", "name": "f", "arguments": '{"i'},
            {"index": 0, "arguments": '":2}'},
        ),
        calls=[call(), call("f", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "index 0 for all, without ids",
        pieces(
            {"index": 0, "name": "f", "arguments": '{"i":1}'},
            {"index": 0, "name": "f", "arguments": '{"i":2}'},
        ),
        calls=[call(call_id=None), call("f", 2, None)],
        metadata=CALLS,
    ),
    Row(
        "no ids at all",
        pieces(
            {"index": 0, "name": "f", "arguments": '{"i":1}'},
            {"index": 1, "name": "g", "arguments": '{"i":2}'},
        ),
        calls=[call(call_id=None), call("g", 2, None)],
        metadata=CALLS,
    ),
    Row(
        "an id that is empty",
        pieces({"index": 0, "id": "", "name": "f", "arguments": '{"i":1}'}),
        calls=[call(call_id=None)],
        metadata=CALLS,
    ),
    Row(
        "an id that comes later",
        pieces(
            {"index": 0, "name": "f", "arguments": '{"i'},
            {"index": 0, "id": "c1", "arguments": '":1}'},
        ),
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "an id and a name repeated in each piece",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i'},
            {"index": 0, "id": "c1", "name": "f", "arguments": '":'},
            {"index": 0, "id": "c1", "name": "f", "arguments": "1}"},
        ),
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "an empty id and name repeated in each piece",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i'},
            {"index": 0, "id": "", "name": "", "arguments": '":1}'},
        ),
        calls=[call()],
        metadata=CALLS,
    ),
    Row(
        "one id for two calls",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i":1}'},
            {"index": 1, "id": "c1", "name": "f", "arguments": '{"i":2}'},
        ),
        calls=[call(), call("f", 2, None)],
        metadata=CALLS,
    ),
    Row(
        "arguments that are an object",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": {"i": 1}},
            {"index": 0, "id": "c2", "name": "f", "arguments": {"i": 2}},
        ),
        calls=[call(), call("f", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "several calls in one delta",
        sse(
            delta(
                tool_calls=[
                    {"id": "c1", "function": {"name": "f", "arguments": '{"i":1}'}},
                    {"id": "c2", "function": {"name": "g", "arguments": '{"i":2}'}},
                ]
            ),
            delta("tool_calls"),
        ),
        calls=[call(), call("g", 2, "c2")],
        metadata=CALLS,
    ),
    Row(
        "calls in a whole message, one without arguments",
        whole(
            "stop",
            content=None,
            tool_calls=[
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"i":1}'}},
                {"type": "function", "function": {"name": "g"}},
            ],
        ),
        calls=[call(), ("g", {}, None)],
        metadata=CALLS,
    ),
    Row(
        "arguments that are empty, null or white space",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": ""},
            {"index": 1, "id": "c2", "name": "f", "arguments": None},
            {"index": 2, "id": "c3", "name": "f"},
        ),
        calls=[("f", {}, "c1"), ("f", {}, "c2"), ("f", {}, "c3")],
        metadata=CALLS,
    ),
    Row(
        "fifty calls at once",
        pieces(
            *(
                {"index": i, "id": f"c{i}", "name": "f", "arguments": f'{{"i":{i}}}'}
                for i in range(50)
            )
        ),
        calls=[call("f", i, f"c{i}") for i in range(50)],
        metadata=CALLS,
    ),
    Row(
        "what no documentation names, beside a call",
        pieces(
            {
                "index": 0,
                "id": "c1",
                "name": "f",
                "arguments": '{"i":1}',
                "extra_content": {"google": {"thought_signature": "Sg=="}},
            }
        ),
        calls=[call()],
        metadata=CALLS,
        extra=signed(
            "gemini-3-flash",
            {
                "type": "tool_call",
                "id": "c1",
                "extra": {"extra_content": {"google": {"thought_signature": "Sg=="}}},
            },
        ),
    ),
    Row(
        "native calls without ids, one signed",
        sse(
            native(
                {"functionCall": {"name": "f", "args": {"i": 1}}, "thoughtSignature": "S=="},
                {"functionCall": {"name": "f", "args": {"i": 2}}},
                finish="STOP",
            )
        ),
        calls=[call(call_id=None), call("f", 2, None)],
        metadata={"finish_reason": "STOP"},
        extra={"thought_signatures": ...},
        model="gemini-3-5-flash",
    ),
    Row(
        "a native call without arguments",
        sse(native({"functionCall": {"name": "now", "id": "n1"}}, finish="STOP")),
        calls=[("now", {}, "n1")],
        metadata={"finish_reason": "STOP"},
        model="gemini-3-5-flash",
    ),
    *(
        Row(
            f"broken arguments: {arguments}",
            pieces({"index": 0, "id": "c1", "name": "f", "arguments": arguments}),
            invalid=[("f", arguments)],
            metadata=CALLS,
        )
        for arguments in (
            '{"i": 1',
            '{"i": "Bei',
            '{"i": ',
            "{",
            "nonsense",
            '{"i": tru}',
            "[1, 2",
            "[1, 2]",
            "42",
            '"x"',
            "1e999",
            '{"a": NaN}',
            "{}}",
            '{"a": 1}{"b": 2}',
        )
    ),
    Row(
        "broken and whole arguments side by side",
        pieces(
            {"index": 0, "id": "c1", "name": "f", "arguments": '{"i":1}'},
            {"index": 1, "id": "c2", "name": "f", "arguments": '{"i"'},
        ),
        calls=[call()],
        invalid=[("f", '{"i"')],
        metadata=CALLS,
    ),
]

BLOCKS = [
    Row(
        "code that Gemini ran",
        sse(
            native({"executableCode": {"language": "PYTHON", "code": "print(6*7)"}}),
            native({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}),
            native({"text": "It is "}),
            native({"text": "42."}, finish="STOP"),
        ),
        text="It is 42.",
        metadata={"finish_reason": "STOP"},
        blocks=[
            {
                "type": "server_tool_call",
                "id": "code_execution_1",
                "name": "code_execution",
                "args": {"code": "print(6*7)", "language": "PYTHON"},
            },
            {
                "type": "server_tool_result",
                "tool_call_id": "code_execution_1",
                "status": "success",
                "output": "42\n",
            },
            {"type": "text", "text": "It is 42."},
        ],
        model="gemini-3-5-flash",
    ),
    Row(
        "a picture between two texts",
        sse(
            native({"text": "Here: "}),
            native({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
            native({"text": " Done."}, finish="STOP"),
        ),
        text="Here:  Done.",
        metadata={"finish_reason": "STOP"},
        blocks=[
            {"type": "text", "text": "Here: "},
            {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
            {"type": "text", "text": " Done."},
        ],
        model="gemini-3-5-flash",
    ),
]


def event(*calls: dict[str, Any]) -> dict[str, Any]:
    """One chunk that holds several pieces of calls."""
    made = [
        {"index": 0, "function": {"name": name, "arguments": arguments}}
        if name
        else {"index": 0, "function": {"arguments": arguments}}
        for name, arguments in (c.values() for c in calls)
    ]
    return delta(tool_calls=made)


MIXED = [
    Row(
        "two pieces of one call in one chunk",
        sse(event({"n": "f", "a": '{"i"'}, {"n": None, "a": ":1}"}), delta("stop"), "[DONE]"),
        calls=[call(call_id=None)],
        metadata=CALLS,
    ),
    Row(
        "two calls without ids, all at index 0, in one chunk",
        sse(event({"n": "f", "a": '{"i":1}'}, {"n": "g", "a": ""}), delta("stop"), "[DONE]"),
        calls=[call(call_id=None), ("g", {}, None)],
        metadata=CALLS,
    ),
    Row(
        "calls without arguments or ids, one after the other",
        sse(event({"n": "f", "a": ""}), event({"n": "g", "a": ""}), delta("stop"), "[DONE]"),
        calls=[("f", {}, None), ("g", {}, None)],
        metadata=CALLS,
    ),
    Row(
        "a second candidate, which nobody asked for",
        sse(
            delta(content="A"),
            {"id": "x", "choices": [{"index": 1, "delta": {"content": "B"}}]},
            delta("stop", content="C"),
            "[DONE]",
        ),
        text="AC",
        metadata=STOP,
    ),
    Row(
        "a thought among the parts of a content, under its own name",
        whole(content=[{"type": "thought", "thought": "hm"}, {"type": "text", "text": "hi"}]),
        text="hi",
        reasoning="hm",
        metadata=STOP,
    ),
    Row(
        "a content that is one part",
        whole(content={"type": "text", "text": "hi"}),
        text="hi",
        metadata=STOP,
    ),
    Row(
        "a wrapper without a code",
        orjson.dumps({"data": orjson.loads(whole(content="hi"))}),
        text="hi",
        metadata=STOP,
    ),
    Row(
        "a call in a part that is marked as thought",
        sse(
            native(
                {"thought": True, "functionCall": {"name": "f", "args": {"i": 1}, "id": "c1"}},
                finish="STOP",
            )
        ),
        calls=[call()],
        metadata={"finish_reason": "STOP"},
        model="gemini-3-5-flash",
    ),
    Row(
        "a native total with thinking that was not counted apart",
        sse(
            native(
                {"text": "hi"},
                finish="STOP",
                usageMetadata={
                    "promptTokenCount": 8,
                    "candidatesTokenCount": 1,
                    "totalTokenCount": 115,
                },
            )
        ),
        text="hi",
        usage=usage(8, 107, reasoning=106),
        metadata={"finish_reason": "STOP"},
        model="gemini-3-5-flash",
    ),
    Row(
        "a signature on a picture",
        sse(
            native(
                {
                    "inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="},
                    "thoughtSignature": "S~1",
                },
                finish="STOP",
            )
        ),
        blocks=[{"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}],
        metadata={"finish_reason": "STOP"},
        extra=signed(
            "gemini-3.5-flash", {"type": "block", "index": "lc_block_0", "signature": "S~1"}
        ),
        model="gemini-3-5-flash",
    ),
]

TABLE = [*RECORDED, *FORMS, *ENDINGS, *USAGES, *TOOL_CALLS, *BLOCKS, *MIXED]
CLOSELY = {row.name for row in RECORDED}


def expected_blocks(row: Row) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if row.reasoning:
        blocks.append({"type": "reasoning", "reasoning": row.reasoning})
    if row.text:
        blocks.append({"type": "text", "text": row.text})
    return blocks


def check(row: Row, message: AIMessage) -> None:
    """`message` is what `row` says."""
    assert type(message) is AIMessage
    assert message.text == row.text
    assert message.additional_kwargs.get("reasoning_content", "") == row.reasoning

    shown = [
        block for block in blocks_of(message) if "tool_call" not in block["type"] or row.blocks
    ]
    if not row.invalid or shown:
        assert shown == (row.blocks if row.blocks is not None else expected_blocks(row))

    assert [(call["name"], call["args"]) for call in message.tool_calls] == [
        (name, args) for name, args, _ in row.calls
    ]
    ids = [call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls)]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    for (_, _, expected), actual in zip(row.calls, ids, strict=False):
        assert expected in (None, actual)
    assert [call["name"] for call in message.invalid_tool_calls] == [n for n, _ in row.invalid]
    for (_, arguments), invalid in zip(row.invalid, message.invalid_tool_calls, strict=True):
        assert str(invalid["args"]).startswith(arguments)

    assert message.usage_metadata == row.usage
    metadata = {k: v for k, v in message.response_metadata.items() if k != "output_version"}
    metadata.pop("token_usage", None)
    assert metadata == {"model_provider": "kie", "model_name": row.model, **row.metadata}
    extra = {k: v for k, v in message.additional_kwargs.items() if k != "reasoning_content"}
    assert extra.keys() == row.extra.keys()
    assert all(row.extra[name] in (..., extra[name]) for name in extra)


@pytest.mark.parametrize("ask", CALL_MODES)
@pytest.mark.parametrize("row", RECORDED, ids=lambda row: row.name)
async def test_a_recorded_answer_is_the_same_message_whichever_way_it_is_asked_for(
    row: Row, ask: Callable[..., Awaitable[AIMessage]]
) -> None:
    with server_sending(row.body) as server:
        check(row, await ask(model_at(server, model=row.model)))


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.name not in CLOSELY], ids=lambda row: row.name
)
async def test_an_answer_is_the_same_message_in_every_way(row: Row) -> None:
    with server_sending(row.body) as server:
        model = model_at(server, model=row.model)
        for ask in CALL_MODES:
            try:
                check(row, await ask(model))
            except AssertionError as error:
                error.add_note(f"asked by {ask.__name__}")
                raise


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
async def test_raw_token_counts_are_kept_as_the_last_event_had_them(row: Row) -> None:
    raw = None
    for line in row.body.splitlines():
        text = line.removeprefix(b"data: ")
        if text.startswith(b"{") and (b"usage" in text):
            value = orjson.loads(text)
            raw = value.get("usage") or value.get("usageMetadata") or raw
    if raw is None:
        return
    with server_sending(row.body) as server:
        for ask in (invoke, astream, events, v1_invoke):
            message = await ask(model_at(server, model=row.model))
            assert message.response_metadata["token_usage"] == raw


async def test_an_answer_on_the_wrong_content_type_is_read_all_the_same() -> None:
    """SSE called JSON, JSON called an event stream, a charset that is a lie, nothing at all."""
    for headers in (
        {"Content-Type": "application/json"},
        {"Content-Type": "text/event-stream"},
        {"Content-Type": "text/plain;charset=latin-1"},
        {},
    ):
        for row in RECORDED:
            with server_sending(row.body, headers=headers) as server:
                for ask in (invoke, astream):
                    check(row, await ask(model_at(server, model=row.model)))


async def test_an_answer_in_one_byte_segments_is_the_same_message() -> None:
    from scripted_server import Scripted, ScriptedServer  # noqa: PLC0415

    for row in (RECORDED[0], RECORDED[4]):
        single = [row.body[i : i + 1] for i in range(len(row.body))]
        with ScriptedServer(Scripted(single)) as server:
            for ask in (invoke, astream):
                check(row, await ask(model_at(server, model=row.model)))


async def test_chunks_follow_the_wire_one_by_one() -> None:
    with server_sending(fixture("shape_a.sse")) as server:
        chunks = [*model_at(server).stream("hi")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["The sky", " is ", "blue, né 🌤."]
    thoughts = [chunk.additional_kwargs.get("reasoning_content") for chunk in chunks]
    assert [t for t in thoughts if t] == ["**Weighing it**\n\nTwo", " ways.\n"]
    assert chunks[-1].chunk_position == "last"
    assert [chunk.chunk_position for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


async def test_a_chunk_arrives_before_the_next_was_sent() -> None:
    from scripted_server import Scripted, ScriptedServer  # noqa: PLC0415

    pieces_ = [sse(delta(content=c)) for c in "abc"]
    with ScriptedServer(Scripted([*pieces_, sse(delta("stop"))], pause=0.15)) as server:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async for chunk in model_at(server).astream("hi"):
            assert chunk.text == "a"
            assert loop.time() - begun < 0.14
            break


async def test_the_sum_of_chunks_does_not_depend_on_how_they_are_added() -> None:
    for row in TABLE:
        with server_sending(row.body) as server:
            first, *rest = model_at(server, model=row.model).stream("hi")
        one_by_one = first
        for chunk in rest:
            one_by_one = one_by_one + chunk
        assert (first + rest if rest else first) == one_by_one


async def test_every_way_says_the_same_of_a_message_that_is_thoughts_only() -> None:
    body = sse(delta(reasoning_content="hm"), delta("length"), "[DONE]")
    with server_sending(body) as server:
        for ask in CALL_MODES:
            message = await ask(model_at(server))
            assert message.text == ""
            assert blocks_of(message) == [{"type": "reasoning", "reasoning": "hm"}]
            assert message.response_metadata["finish_reason"] == "length"


async def test_content_is_a_plain_string_unless_the_answer_holds_other_parts() -> None:
    for row in TABLE:
        with server_sending(row.body) as server:
            for ask in (invoke, astream):
                message = await ask(model_at(server, model=row.model))
                if row.blocks is None:
                    assert message.content == row.text


async def test_v1_content_is_what_content_blocks_says() -> None:
    for row in TABLE:
        with server_sending(row.body) as server:
            model = model_at(server, model=row.model)
            for ask in (v1_invoke, v1_astream, events):
                message = await ask(model)
                content = message.content or []
                assert isinstance(content, list)
                assert blocks_of(message) == [
                    {k: v for k, v in block.items() if k != "index"} for block in content
                ]


async def test_made_up_ids_are_unique_and_one_for_all_chunks_of_a_call() -> None:
    body = pieces(
        {"index": 0, "name": "f", "arguments": '{"i'},
        {"index": 0, "arguments": '":1}'},
        {"index": 1, "name": "f", "arguments": '{"i":2}'},
    )
    seen = set()
    with server_sending(body) as server:
        for ask in (invoke, ainvoke, stream, astream):
            for tool_call in (await ask(model_at(server))).tool_calls:
                assert tool_call["id"].startswith("call_")
                seen.add(tool_call["id"])
    assert len(seen) == 8


async def test_an_answer_of_a_twenty_thousand_events_is_read_in_linear_time() -> None:
    body = sse(*[delta(content="x")] * 20_000, delta("stop"), "[DONE]")
    with server_sending(body) as server:
        begun = asyncio.get_running_loop().time()
        message = await invoke(model_at(server))
        assert asyncio.get_running_loop().time() - begun < 10
    assert message.text == "x" * 20_000


@pytest.mark.parametrize("ask", BASIC_CALL_MODES)
async def test_the_friendly_name_and_the_call_name_the_model_in_the_metadata(ask) -> None:
    with server_sending(fixture("chat_whole.json")) as server:
        model = model_at(server, model="gemini-2.5-pro")
        assert (await ask(model)).response_metadata["model_name"] == "gemini-2.5-pro"
        bound = model.bind(model="gemini-3.1-pro")
        assert (await ask(bound)).response_metadata["model_name"] == "gemini-3.1-pro"


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("wire", "fitting"),
    [
        ('{"n":2.0,"flag":"true","zip":10115}', {"n": 2, "flag": True, "zip": "10115"}),
        ('{"n":"3","flag":false,"zip":"x"}', {"n": 3, "flag": False, "zip": "x"}),
    ],
)
async def test_arguments_come_in_the_types_that_the_tool_expects(wire, fitting, size) -> None:
    """Whole, in pieces, asked in any way, on either dialect."""
    types = {"n": "integer", "flag": "boolean", "zip": "string"}
    schema = {"type": "object", "properties": {name: {"type": t} for name, t in types.items()}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    cuts = [wire[i : i + size] for i in range(0, len(wire), size)]
    first = {"index": 0, "id": "c1", "name": "f", "arguments": cuts[0]}
    chat = pieces(first, *({"index": 0, "arguments": cut} for cut in cuts[1:]))
    part = {"functionCall": {"name": "f", "args": orjson.loads(wire), "id": "c1"}}
    for body in (chat, sse(native(part, finish="STOP"))):
        with server_sending(body) as server:
            model = model_at(server).bind_tools(tools)
            first_chunk, *rest = model.stream("hi")
            for message in (model.invoke("hi"), await model.ainvoke("hi"), first_chunk + rest):
                assert [call["args"] for call in message.tool_calls] == [fitting]


def test_a_whole_call_is_fitted_to_a_tool_that_takes_only_text() -> None:
    schema = {"type": "object", "properties": {"zip": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    part = {"functionCall": {"name": "f", "args": {"zip": 10115}, "id": "c1"}}
    with server_sending(sse(native(part, finish="STOP"))) as server:
        message = model_at(server).bind_tools(tools).invoke("hi")
    assert message.tool_calls[0]["args"] == {"zip": "10115"}
