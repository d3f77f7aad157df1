"""Finish reasons: LangChain's word on every API, and the word that the server sent."""

from __future__ import annotations

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, model_at, server_sending
from scripted_server import sse

from langchain_kie._answer.event import AnswerEvent, FinishReason
from langchain_kie._wire import chat_completions, generate_content, parse_event
from unit_tests.answer.rows import (
    Row,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    native,
    native_row,
    usage,
)

RATINGS = [{"blocked": True}]
FEEDBACK = {"blockReason": "PROHIBITED_CONTENT"}
ENDINGS = [
    Row(
        "length", completion("length", content="cut"), text="cut", metadata=ended("length", id="x")
    ),
    Row(
        "content_filter",
        completion("content_filter", content=""),
        metadata=ended("content_filter", id="x"),
    ),
    Row(
        "no finish reason, but [DONE]",
        sse(delta(content="hi"), "[DONE]"),
        text="hi",
        metadata={"id": "x", "finish_reason": "stop"},
    ),
    Row(
        "no finish reason in a completion",
        completion(None, content="hi"),
        text="hi",
        metadata={"id": "x", "finish_reason": "stop"},
    ),
    Row(
        "a finish reason twice, with text in between",
        sse(delta("stop", content="a"), delta("stop", content="b"), "[DONE]"),
        text="ab",
    ),
    Row(
        "thoughts, and no text",
        sse(delta(reasoning_content="hm"), delta("length"), "[DONE]"),
        reasoning="hm",
        metadata=ended("length", id="x"),
    ),
    Row(
        "a refusal",
        completion(content=None, refusal="I will not."),
        extra={"refusal": "I will not."},
    ),
    *(
        native_row(
            f"stopped by {reason}",
            sse(
                native({"text": "Once"}),
                {"candidates": [{"finishReason": reason, "safetyRatings": RATINGS}]},
            ),
            text="Once",
            metadata=ended("content_filter", reason, safety_ratings=RATINGS),
        )
        for reason in ("SAFETY", "RECITATION")
    ),
    native_row(
        "stopped before the first word",
        orjson.dumps({"candidates": [{"finishReason": "SAFETY"}]}),
        metadata=ended("content_filter", "SAFETY"),
    ),
    native_row(
        "a reason without an equivalent, before the first word",
        orjson.dumps({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}),
        metadata=ended("malformed_function_call", "MALFORMED_FUNCTION_CALL"),
    ),
    native_row(
        "MAX_TOKENS, with a message",
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
        metadata=ended("length", "MAX_TOKENS", finish_message="limit"),
    ),
    native_row(
        "a blocked prompt",
        orjson.dumps(
            {
                "promptFeedback": FEEDBACK,
                "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
            }
        ),
        usage=usage(9, 0),
        metadata=ended("content_filter", "PROHIBITED_CONTENT", prompt_feedback=FEEDBACK),
    ),
]


@each(ENDINGS)
async def test_an_ending_is_the_same_in_every_call_mode(row: Row) -> None:
    await check_every_call_mode(row)


# The word that a server sends, LangChain's word, and whether it is a refusal.
WORDS: list[tuple[str, str, bool]] = [
    ("stop", "stop", False),
    ("length", "length", False),
    ("tool_calls", "tool_calls", False),
    ("function_call", "tool_calls", False),
    ("content_filter", "content_filter", True),
    ("STOP", "stop", False),
    ("MAX_TOKENS", "length", False),
    *(
        (word, "content_filter", True)
        for word in (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        )
    ),
    *((word, "content_filter", False) for word in ("LANGUAGE", "NO_IMAGE", "IMAGE_OTHER")),
]
OTHERS = ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "OTHER", "new"]


def parsed(word: str, *, is_native: bool) -> AnswerEvent:
    """An event without output that ends with this word."""
    return parse_event(native(finish=word) if is_native else delta(word))


@pytest.mark.parametrize("is_native", [False, True], ids=["chat_completions", "generate_content"])
@pytest.mark.parametrize(
    ("word", "expected", "is_refusal"),
    [*WORDS, *((word, word.lower(), False) for word in OTHERS)],
)
def test_a_word_has_one_meaning_on_every_api_and_in_every_case(
    word: str, expected: str, is_refusal: bool, is_native: bool
) -> None:
    for spelling in (word, word.lower(), word.upper()):
        event = parsed(spelling, is_native=is_native)
        assert event.finish_reason
        assert (event.finish_reason.word, event.finish_reason.is_refusal) == (expected, is_refusal)
        assert event.native_finish_reason == spelling
        assert event.is_terminal
        assert event.is_empty == (expected in {"stop", "length", "tool_calls"})


def test_the_tables_have_these_words_and_no_others() -> None:
    tables = chat_completions.FINISH_REASONS | generate_content.FINISH_REASONS
    assert sorted(tables) == sorted(word for word, _, _ in WORDS)
    assert all(isinstance(row, FinishReason) for row in tables.values())


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "NEW_REASON"])
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_every_block_of_a_prompt_is_a_refusal(reason: str, call_mode) -> None:
    event = {"promptFeedback": {"blockReason": reason}}
    assert parse_event(event).finish_reason == FinishReason("content_filter", is_refusal=True)
    with server_sending(orjson.dumps(event)) as server:
        metadata = (await call_mode(model_at(server))).response_metadata
    assert metadata["finish_reason"] == "content_filter"
    assert metadata["native_finish_reason"] == reason
