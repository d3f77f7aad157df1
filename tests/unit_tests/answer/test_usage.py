"""Token counts and credits: the same in every call mode, and in one format for every API."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, model_at, server_sending
from scripted_server import sse

from unit_tests.answer.rows import (
    NATIVE_STOP,
    STOP,
    Row,
    check_every_call_mode,
    completion,
    delta,
    each,
    native,
    native_row,
    usage,
)


def counts(
    prompt: int, completion: int, total: int | None = None, **details: Any
) -> dict[str, Any]:
    """Token counts of `chat_completions`."""
    totals = {} if total is None else {"total_tokens": total}
    return {"prompt_tokens": prompt, "completion_tokens": completion, **totals, **details}


def chat_row(name: str, sent: dict[str, Any], expected: dict[str, Any], **members: Any) -> Row:
    """A stream whose usage is in a separate event, with further members of that event."""
    last = {"choices": [], "usage": sent, **members}
    body = sse(delta("stop", content="hi"), last, "[DONE]")
    return Row(name, body, text="hi", usage=expected, metadata={**STOP, **members})


def native_usage(name: str, expected: dict[str, Any], **sent: Any) -> Row:
    event = native({"text": "hi"}, finish="STOP", usageMetadata=sent)
    return native_row(name, sse(event), text="hi", usage=expected)


DETAILED = counts(
    40,
    6,
    46,
    prompt_tokens_details={"cached_tokens": 30, "audio_tokens": 5},
    completion_tokens_details={"reasoning_tokens": 4, "audio_tokens": 1},
)
NATIVE_DETAILED = {
    "candidatesTokenCount": 6,
    "promptTokenCount": 100,
    "toolUsePromptTokenCount": 20,
    "cachedContentTokenCount": 64,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 131,
}
PAID = {"credits_consumed": 0.5}
CHAT = [
    Row("no usage", sse(delta("stop", content="hi"), "[DONE]"), text="hi"),
    chat_row("credits", counts(2, 3, 5), usage(2, 3), credits_consumed=1),
    chat_row("no credits", counts(2, 3, 5), usage(2, 3), credits_consumed=0),
    *(
        Row(
            f"credits with {len(digits)} digits",
            sse({**delta("stop", content="hi"), "credits_consumed": "digits"}, "[DONE]").replace(
                b'"digits"', digits
            ),
            text="hi",
        )
        for digits in (b"9" * 400, b"9" * 5_000)
    ),
    *(
        chat_row(
            f"reasoning that is only in the total, {prompt}+{completion}->{total}",
            counts(prompt, completion, total, completion_tokens_details={"reasoning_tokens": 0}),
            usage(prompt, total - prompt, reasoning=total - prompt - completion),
        )
        for prompt, completion, total in ((5, 7, 77), (20, 7, 257), (8, 1, 115))
    ),
    chat_row("no total", counts(4, 6), usage(4, 6)),
    chat_row(
        "cached and audio tokens",
        DETAILED,
        {
            **usage(40, 6, reasoning=4, audio=1),
            "input_token_details": {"cache_read": 30, "audio": 5},
        },
    ),
    Row(
        "cumulative usage and credits in every chunk",
        sse(
            *(
                {
                    **delta("stop" if i == 3 else None, content=str(i)),
                    "usage": counts(9, i, 9 + i),
                    "credits_consumed": i / 10,
                }
                for i in (1, 2, 3)
            ),
            "[DONE]",
        ),
        text="123",
        usage=usage(9, 3),
        metadata={**STOP, "credits_consumed": 0.3},
    ),
    Row(
        "usage before the finish reason",
        sse(delta(content="hi"), {"choices": [], "usage": counts(1, 1)}, delta("stop"), "[DONE]"),
        text="hi",
        usage=usage(1, 1),
    ),
    Row(
        "an empty answer that was billed",
        orjson.dumps({**orjson.loads(completion(content="")), "usage": counts(3, 0, 3)}),
        usage=usage(3, 0),
        metadata={**STOP, "empty_answer": True},
    ),
    chat_row(
        "counts that are text, null, negative or no numbers",
        {
            **counts("7", "5.0", None),
            "prompt_tokens_details": {"cached_tokens": "3", "audio_tokens": None},
            "completion_tokens_details": {"reasoning_tokens": -1, "audio_tokens": [1]},
            "cost": "free",
        },
        {**usage(7, 5), "input_token_details": {"cache_read": 3}},
    ),
    *(
        Row(
            f"counts before a last usage of {last}",
            sse(
                {**delta("stop", content="hi"), "usage": DETAILED},
                {"choices": [], "usage": last},
                "[DONE]",
            ),
            text="hi",
            usage={
                **usage(40, 6, reasoning=4, audio=1),
                "input_token_details": {"cache_read": 30, "audio": 5},
            },
        )
        for last in (
            counts(0, 0, 0, completion_tokens_details={"reasoning_tokens": 0}),
            counts(None, -6, "x", prompt_tokens_details=None),
            [1],
            "none",
            {},
        )
    ),
    Row(
        "counts that grow, without some details",
        sse(
            {**delta("stop", content="hi"), "usage": DETAILED},
            {
                "choices": [],
                "usage": counts(40, 9, completion_tokens_details={"reasoning_tokens": 5}),
            },
            "[DONE]",
        ),
        text="hi",
        usage={
            **usage(40, 9, reasoning=5, audio=1),
            "input_token_details": {"cache_read": 30, "audio": 5},
        },
    ),
    chat_row("of the prompt only", {"prompt_tokens": 4}, usage(4, 0)),
    chat_row("other names", {"input_tokens": 10, "output_tokens": 5}, usage(10, 5)),
    chat_row(
        "other names, with hidden reasoning and details",
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "total_tokens": 19,
            "input_tokens_details": {"cached_tokens": 3},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        {**usage(10, 9, reasoning=4), "input_token_details": {"cache_read": 3}},
    ),
    *(
        chat_row(f"both names, zero under {name}", {**counts(10, 5, 15), **zeros}, usage(10, 5))
        for name, zeros in (
            ("the second", {"input_tokens": 0, "output_tokens": 0}),
            ("the first", {**counts(0, 0, 15), "input_tokens": 10, "output_tokens": 5}),
        )
    ),
    *(
        Row(
            f"usage and credits next to an answer in {wrapper!r} with {[*inner]}, {form}",
            body({**code, wrapper: {**answer, **inner}, "usage": counts(2, 3), **PAID}),
            text="hi",
            usage=usage(2, 3),
            metadata={**STOP, **PAID},
        )
        for wrapper, inner, code in (
            ("data", {}, {"code": 200}),
            ("data", {"usage": None, "credits_consumed": None}, {"code": 200}),
            ("response", {}, {}),
            ("result", {"usage": counts(2, 3), **PAID}, {}),
        )
        for form, body, answer in (
            ("in a document", orjson.dumps, orjson.loads(completion(content="hi"))),
            ("in a stream", sse, delta("stop", content="hi")),
        )
    ),
    Row(
        "usage that is no object",
        sse({**delta("stop", content="hi"), "usage": "3"}, "[DONE]"),
        text="hi",
    ),
]
NATIVE = [
    *(
        native_usage(
            f"reasoning as {name}",
            usage(131, 11, reasoning=5),
            **{name: 5},
            candidatesTokenCount=6,
            totalTokenCount=142,
            promptTokenCount=131,
        )
        for name in ("thinkingTokenCount", "thoughtsTokenCount")
    ),
    native_usage(
        "reasoning that is only in the total",
        usage(8, 107, reasoning=106),
        promptTokenCount=8,
        candidatesTokenCount=1,
        totalTokenCount=115,
    ),
    native_usage(
        "cached tokens, and the tokens of a search",
        {**usage(120, 11, reasoning=5), "input_token_details": {"cache_read": 64}},
        **NATIVE_DETAILED,
    ),
    native_usage(
        "counts that are text, null or negative",
        usage(3, 9, reasoning=5),
        promptTokenCount="3",
        candidatesTokenCount=4,
        thoughtsTokenCount="5",
        cachedContentTokenCount=None,
        totalTokenCount=-1,
    ),
    native_usage(
        "the older name of the thoughts, without a total",
        usage(3, 9, reasoning=5),
        promptTokenCount=3,
        candidatesTokenCount=4,
        thinkingTokenCount=5,
    ),
    native_usage("no count of the prompt", usage(0, 4), candidatesTokenCount=4),
    native_usage(
        "counts that a checkpoint cannot store",
        usage(10**15, 4),
        promptTokenCount=1e200,
        candidatesTokenCount=4,
        thoughtsTokenCount="x",
    ),
    native_row(
        "counts before a last usage of zeros",
        sse(
            native(
                {"text": "hi"}, usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 4}
            ),
            native(finish="STOP", usageMetadata={"promptTokenCount": 0, "totalTokenCount": None}),
        ),
        text="hi",
        usage=usage(3, 4),
    ),
    *(
        native_row(
            f"{name} and credits next to a native answer in `data`, {form}",
            body({"code": 200, "data": native({"text": "hi"}, finish="STOP"), name: sent, **PAID}),
            text="hi",
            usage=usage(2, 3),
            metadata={**NATIVE_STOP, **PAID},
        )
        for name, sent in (
            ("usageMetadata", {"promptTokenCount": 2, "candidatesTokenCount": 3}),
            ("usage", counts(2, 3)),
        )
        for form, body in (("in a document", orjson.dumps), ("in a stream", sse))
    ),
    native_usage("no reasoning", usage(3, 4), promptTokenCount=3, candidatesTokenCount=4),
]


@each(CHAT, NATIVE)
async def test_usage_is_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 3-3, 3-8, 8-3: hidden reasoning, and the names of its counts."""
    await check_every_call_mode(row)


@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (native({"text": "hi"}, usageMetadata={"promptTokenCount": 2}), counts(2, 0, 2)),
        (
            native({"text": "hi"}, usageMetadata=NATIVE_DETAILED),
            counts(
                120,
                11,
                131,
                completion_tokens_details={"reasoning_tokens": 5},
                prompt_tokens_details={"cached_tokens": 64},
            ),
        ),
        ({**delta(content="hi"), "usage": DETAILED}, DETAILED),
        (
            {**delta(content="hi"), "usage": counts(8, 1, 115)},
            counts(8, 107, 115, completion_tokens_details={"reasoning_tokens": 106}),
        ),
    ],
    ids=["native", "native, with details", "chat, with details", "chat, hidden reasoning"],
)
async def test_token_usage_has_one_format_for_every_api(event, expected, call_mode) -> None:
    with server_sending(sse(event, "[DONE]")) as server:
        message = await call_mode(model_at(server))
    assert message.response_metadata["token_usage"] == expected
