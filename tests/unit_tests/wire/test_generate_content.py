"""Answers of `generate_content`: recorded ones, and parts of every kind."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, fixture, model_at, server_sending
from scripted_server import sse

from unit_tests.answer.rows import (
    Row,
    check_every_call_mode,
    each,
    ended,
    native,
    native_row,
    signed,
    signed_call,
    signed_content,
    signed_text,
    usage,
)

MODEL = "gemini-3.5-flash"
CALL_MODEL = "gemini-3-flash-v1betamodels"
CALL_METADATA = {"id": "xRS0aZC5BNHVz7IPuaO42Qk", "model_version": "gemini-3-flash"}
GROUNDING = {
    "groundingChunks": [{"web": {"uri": "https://example.com/sky", "title": "Sky"}}],
    "webSearchQueries": ["why is the sky blue"],
}
PNG = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
IMAGE = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}


def code_block(call_id: str, code: str) -> dict:
    """The content block of code that Gemini ran."""
    args = {"code": code, "language": "PYTHON"}
    return {"type": "server_tool_call", "id": call_id, "name": "code_interpreter", "args": args}


def result_block(call_id: str, output: Any, status: str = "success") -> dict:
    """The content block of what a server-side tool returned."""
    called = {"tool_call_id": call_id, "status": status, "output": output}
    return {"type": "server_tool_result", **called}


def documented_signature(text: str) -> dict:
    """The signature of the documented function call, after `text`."""
    args = {"location": "Beijing"}
    entry = signed_call("gp737npz", len(text), "Es8CCswCAb4example", args, "get_weather_forecast")
    return signed("gemini-3-flash", entry, signed_content(text))


RECORDED = [
    native_row(
        "usage in every event, and a signature on an empty part",
        fixture("native.sse"),
        text="The sky is blue.",
        reasoning="**Weighing it**",
        usage=usage(109, 1996, reasoning=770),
        metadata=ended("stop", "STOP", credits_consumed=0.66),
        extra=signed(
            MODEL,
            signed_text(16, 16, "RW1wdHlQYXJ0U2lnbmF0dXJl=="),
            signed_content("The sky is blue."),
        ),
    ),
    native_row(
        "two function calls, the first of them signed",
        fixture("native_call.sse"),
        text="One moment.",
        reasoning="**Looking it up**",
        calls=[
            ("get_weather_forecast", {"location": "Beijing"}, "gp737npz"),
            ("get_weather_forecast", {"location": "Oslo"}, "gp737nq0"),
        ],
        usage=usage(109, 95, reasoning=55),
        metadata=ended("tool_calls", "STOP", credits_consumed=0.02, **CALL_METADATA),
        extra=documented_signature("One moment."),
        model=CALL_MODEL,
    ),
    native_row(
        "without a stream",
        fixture("native_response.json"),
        text="pong",
        usage=usage(88, 49, reasoning=48),
        metadata=ended("stop", "STOP", credits_consumed=0.01),
    ),
    native_row(
        "a function call without a stream, as documented",
        fixture("native_docs_call.json"),
        calls=[("get_weather_forecast", {"location": "Beijing"}, "gp737npz")],
        usage=usage(252, 73, reasoning=55),
        metadata=ended("tool_calls", "STOP", credits_consumed=0.01, **CALL_METADATA),
        extra=documented_signature(""),
        model=CALL_MODEL,
    ),
]
PARTS = [
    native_row(
        "a thought without a signature, and one with",
        sse(
            native({"text": "a", "thought": True}),
            native({"text": "b", "thought": True, "thoughtSignature": "T1=="}),
            native({"text": "x"}, finish="STOP"),
        ),
        text="x",
        reasoning="ab",
        extra=signed(MODEL, signed_text(0, 0, "T1=="), signed_content("x")),
    ),
    native_row(
        "signed text, and a signature in snake case",
        sse(
            native({"text": "ab"}),
            native({"text": "cd", "thoughtSignature": "S1=="}),
            native({"text": "ef"}, {"thought_signature": "S2=="}, finish="STOP"),
        ),
        text="abcdef",
        extra=signed(
            MODEL,
            signed_text(2, 4, "S1=="),
            signed_text(6, 6, "S2=="),
            signed_content("abcdef"),
        ),
    ),
    native_row(
        "code that Gemini ran",
        sse(
            native({"executableCode": {"language": "PYTHON", "code": "print(6*7)"}}),
            native({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}),
            native({"text": "It is "}),
            native({"text": "42."}, finish="STOP"),
        ),
        text="It is 42.",
        blocks=[
            code_block("code_interpreter_1", "print(6*7)"),
            result_block("code_interpreter_1", "42\n"),
            {"type": "text", "text": "It is 42."},
        ],
    ),
    native_row(
        "a result with another id, of code that failed",
        sse(
            native({"executableCode": {"id": "c1", "language": "PYTHON", "code": "1"}}),
            native({"codeExecutionResult": {"id": "c2", "outcome": "OUTCOME_FAILED"}}),
            native(finish="STOP"),
        ),
        blocks=[
            code_block("c1", "1"),
            result_block("c2", None, "error"),
        ],
    ),
    native_row(
        "code with an id",
        sse(
            native({"executableCode": {"id": "c1", "language": "PYTHON", "code": "1"}}),
            native({"codeExecutionResult": {"id": "c1", "outcome": "OUTCOME_OK"}}, finish="STOP"),
        ),
        blocks=[
            code_block("c1", "1"),
            result_block("c1", None),
        ],
    ),
    native_row(
        "an image between two texts",
        sse(
            native({"text": "Here: "}),
            native({"inlineData": PNG}),
            native({"text": " Done."}, finish="STOP"),
        ),
        text="Here:  Done.",
        blocks=[{"type": "text", "text": "Here: "}, IMAGE, {"type": "text", "text": " Done."}],
    ),
    *(
        native_row(
            f"two texts after an image, then another one, after {before + first}",
            sse(
                native(*before),
                native(*first, {"inlineData": PNG}, {"text": "one "}, {"text": "two "}),
                native({"text": "three"}, finish="STOP"),
            ),
            text=f"{text}one two three",
            reasoning=reasoning,
            blocks=[
                *([{"type": "reasoning", "reasoning": reasoning}] if reasoning else []),
                *([{"type": "text", "text": text}] if text else []),
                IMAGE,
                {"type": "text", "text": "one two three"},
            ],
        )
        for before, first, text, reasoning in (
            ([], [], "", ""),
            ([], [{"text": "a "}, {"text": "b "}], "a b ", ""),
            ([{"text": "zero "}], [], "zero ", ""),
            ([{"text": "hm", "thought": True}], [{"text": "a "}, {"text": "b "}], "a b ", "hm"),
        )
    ),
    native_row(
        "a signed image",
        sse(native({"inlineData": PNG, "thoughtSignature": "S~1"}, finish="STOP")),
        blocks=[IMAGE],
        extra=signed(
            MODEL,
            {
                "type": "block",
                "index": "lc_block_0",
                "signature": "S~1",
                "digest": hashlib.sha256(b"\x89PNG\r\n\x1a\n").hexdigest(),
            },
        ),
    ),
    native_row(
        "grounding metadata, complete in the last event",
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
            result_block("web_search_1", [{"url": "https://example.com/sky", "title": "Sky"}]),
        ],
        metadata=ended("stop", "STOP", grounding_metadata=GROUNDING),
    ),
    native_row(
        "metadata that every event repeats",
        sse(
            *(
                native({"text": text}, finish=finish, responseId="r1", modelVersion="g-3.5")
                for text, finish in (("a", None), ("b", None), ("c", "STOP"))
            )
        ),
        text="abc",
        metadata=ended("stop", "STOP", id="r1", model_version="g-3.5"),
    ),
    native_row(
        "the first candidate is empty",
        sse(
            native(),
            *(
                {"candidates": [{"index": 1, "content": {"parts": [{"text": text}]}}]}
                for text in "ab"
            ),
            {"candidates": [{"index": 1, "finishReason": "STOP"}]},
        ),
        text="ab",
    ),
    native_row(
        "a JSON array of events",
        orjson.dumps([native({"text": "The sky"}), native({"text": " is blue."}, finish="STOP")]),
        text="The sky is blue.",
    ),
]


CALL = {"functionCall": {"name": "f", "args": {"i": 1}, "id": "c1"}}
CODE = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
CODE_BLOCK = code_block("code_interpreter_1", "1+1")
RESULT_BLOCK = result_block("code_interpreter_1", "2")
SEARCH = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a"]}, "id": "s1"}}


def code_row(name: str, *parts: dict, text: str = "", blocks: list) -> Row:
    """An answer with code; the text after it proves the end."""
    body = sse(*map(native, parts), native({"text": "2."}, finish="STOP"))
    blocks = [*blocks, {"type": "text", "text": "2."}]
    return native_row(name, body, text=f"{text}2.", blocks=blocks)


MIXED_PARTS = [
    native_row(
        "code and two texts in one event, and a text in the next",
        sse(
            native(CODE, {"text": "one "}, {"text": "two "}),
            native({"text": "three"}, finish="STOP"),
        ),
        text="one two three",
        blocks=[CODE_BLOCK, {"type": "text", "text": "one two three"}],
    ),
    *(
        native_row(
            f"a function call next to {members}",
            sse(native({**members, **CALL}, finish="STOP")),
            text=members.get("text") or "",
            calls=[("f", {"i": 1}, "c1")],
            metadata=ended("tool_calls", "STOP"),
        )
        for members in (
            {"text": ""},
            {"text": None},
            {"text": "Let me check."},
            {"thought": True, "text": ""},
            {"thought": None, "text": None, "inlineData": None, "thoughtSignature": None},
        )
    ),
    native_row(
        "a signed function call next to text",
        sse(native({"text": "Wait.", "thoughtSignature": "S==", **CALL}, finish="STOP")),
        text="Wait.",
        calls=[("f", {"i": 1}, "c1")],
        metadata=ended("tool_calls", "STOP"),
        extra=signed(MODEL, signed_call("c1", 5, "S==", {"i": 1}), signed_content("Wait.")),
    ),
    native_row(
        "a function call next to a thought",
        sse(native({"text": "hm", "thought": True, **CALL}, finish="STOP")),
        reasoning="hm",
        calls=[("f", {"i": 1}, "c1")],
        metadata=ended("tool_calls", "STOP"),
    ),
    native_row(
        "a document in snake case",
        sse(native({"inline_data": {"mime_type": "text/csv", "data": "YSxi"}}, finish="STOP")),
        blocks=[{"type": "file", "base64": "YSxi", "mime_type": "text/csv"}],
    ),
    native_row(
        "an image next to text that is null",
        sse(native({"text": None, "inlineData": PNG}, finish="STOP")),
        blocks=[IMAGE],
    ),
    native_row(
        "an image next to text",
        sse(native({"text": "Here:", "inlineData": PNG}, finish="STOP")),
        text="Here:",
        blocks=[{"type": "text", "text": "Here:"}, IMAGE],
    ),
    code_row(
        "code and its result next to text that is empty or null",
        {"text": None, **CODE},
        {"text": "", **RESULT},
        blocks=[CODE_BLOCK, RESULT_BLOCK],
    ),
    code_row(
        "code and its result with an id",
        {"executableCode": {**CODE["executableCode"], "id": "x1"}},
        {"codeExecutionResult": {**RESULT["codeExecutionResult"], "id": "x1"}},
        blocks=[{**CODE_BLOCK, "id": "x1"}, {**RESULT_BLOCK, "tool_call_id": "x1"}],
    ),
    code_row(
        "code and its result in one part, after text",
        {"text": "So: ", **CODE, **RESULT},
        text="So: ",
        blocks=[{"type": "text", "text": "So: "}, CODE_BLOCK, RESULT_BLOCK],
    ),
    code_row(
        "a finish reason with code, after which Gemini goes on",
        CODE,
        RESULT,
        blocks=[CODE_BLOCK, RESULT_BLOCK],
    ),
    native_row(
        "a finish reason with code, and the proper end of the body",
        sse(native(CODE, RESULT, finish="STOP")),
        blocks=[CODE_BLOCK, RESULT_BLOCK],
    ),
    native_row(
        "a signature next to text that is null",
        sse(
            native({"text": "ab"}), native({"text": None, "thoughtSignature": "S=="}, finish="STOP")
        ),
        text="ab",
        extra=signed(MODEL, signed_text(2, 2, "S=="), signed_content("ab")),
    ),
    native_row(
        "unknown members",
        sse(native({"text": None, "new": 1}, {"text": "a", "new": 1}, finish="STOP")),
        text="a",
        blocks=[{"type": "non_standard", "value": {"new": 1}}, {"type": "text", "text": "a"}],
    ),
    native_row(
        "a call of a server-side tool",
        sse(native({**SEARCH, "thoughtSignature": "S=="}, {"text": "a"}, finish="STOP")),
        text="a",
        blocks=[
            {"type": "non_standard", "value": {**SEARCH, "thoughtSignature": "S=="}},
            {"type": "text", "text": "a"},
        ],
        extra={"thought_signatures": ...},
    ),
    native_row(
        "parts without anything",
        sse(native({}, {"text": None}, {"thought": True}, {"text": "a"}, finish="STOP")),
        text="a",
    ),
    native_row(
        "the only candidate has another index",
        orjson.dumps({"candidates": [{"index": 1, "content": {"parts": [{"text": "a"}]}}]}),
        text="a",
        metadata={"finish_reason": "stop"},
    ),
    native_row(
        "log probabilities in each event",
        sse(
            *(
                {
                    "candidates": [
                        {
                            "content": {"parts": [{"text": text}]},
                            "finishReason": finish,
                            "logprobsResult": {"chosenCandidates": [{"token": text}]},
                        }
                    ]
                }
                for text, finish in (("a", None), ("b", "STOP"))
            )
        ),
        text="ab",
        metadata=ended(
            "stop",
            "STOP",
            logprobs_result={"chosenCandidates": [{"token": "a"}, {"token": "b"}]},
        ),
    ),
]


@each(RECORDED, PARTS, MIXED_PARTS)
async def test_an_answer_is_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 3-7, 3-9, 3-11, 4-8, 5-5, 11-1: recorded and documented answers."""
    await check_every_call_mode(row)


@pytest.mark.parametrize(
    "image", [{"mimeType": ["image/png"], "data": "AAAA"}, {"data": {"a": "AAAA"}}]
)
async def test_a_signed_image_of_the_wrong_types_costs_nothing_else(image: Any) -> None:
    parts = [{"text": "Here:"}, {"inlineData": image, "thoughtSignature": "S~1"}]
    with server_sending(sse(native(*parts, finish="STOP"))) as server:
        for call_mode in BASIC_CALL_MODES:
            message = await call_mode(model_at(server, api="generate_content"))
            assert message.text == "Here:"
