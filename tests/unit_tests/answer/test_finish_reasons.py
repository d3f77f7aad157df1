"""Finish reasons: LangChain's word on every API, and the word that the server sent."""

from __future__ import annotations

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, astream, model_at, server_sending, stream
from langchain_core.exceptions import OutputParserException
from scripted_server import sse

from langchain_kie import (
    KieEmptyResponseError,
    KieError,
    KieProtocolError,
    KieServerError,
)
from langchain_kie._answer import content_blocks
from langchain_kie._answer import metadata as metadata_module
from langchain_kie._answer.event import AnswerEvent, FinishReason
from langchain_kie._wire import chat_completions, generate_content, parse_event
from unit_tests.answer.rows import (
    Row,
    blocked,
    check_every_call_mode,
    completion,
    delta,
    each,
    ended,
    fragment,
    native,
    native_row,
    usage,
)

RATINGS = [{"blocked": True}]


def refusal_part(text: str | None) -> dict[str, str | None]:
    return {"type": "refusal", "refusal": text}


FEEDBACK = {
    "blockReason": "PROHIBITED_CONTENT",
    "safetyRatings": RATINGS,
    "blockReasonMessage": "m",
}
SENT_FEEDBACK = {"block_reason": "PROHIBITED_CONTENT", "safety_ratings": RATINGS}
NO_BLOCK = "BLOCK_REASON_UNSPECIFIED"
ENDINGS = [
    Row(
        "length", completion("length", content="cut"), text="cut", metadata=ended("length", id="x")
    ),
    Row(
        "content_filter",
        completion("content_filter", content=""),
        **blocked("content_filter", id="x"),
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
    *(
        Row(
            f"thoughts, and no text, until {word}",
            sse(delta(reasoning_content="hm"), delta(word), "[DONE]"),
            reasoning="hm",
            metadata=ended(word, id="x", empty_answer=True),
        )
        for word in ("stop", "length")
    ),
    native_row(
        "a thought, and no text",
        sse(native({"thought": True, "text": "hm"}, finish="STOP")),
        reasoning="hm",
        metadata=ended("stop", "STOP", empty_answer=True),
    ),
    native_row(
        "a thought, and a block",
        sse(native({"thought": True, "text": "hm"}, finish="SAFETY")),
        reasoning="hm",
        **blocked("SAFETY"),
    ),
    Row(
        "a refusal",
        completion(content=None, refusal="I will not."),
        extra={"refusal": "I will not."},
        metadata=ended("content_filter", "stop", id="x"),
        refusal={"refusal": "I will not."},
    ),
    Row(
        "a refusal in pieces, and content_filter",
        sse(*(delta(refusal=text) for text in ("I will ", "not.")), delta("content_filter")),
        extra={"refusal": "I will not."},
        **blocked("content_filter", text="I will not.", id="x"),
    ),
    *(
        Row(
            f"a refusal as a part of the content, {name}",
            body,
            extra={"refusal": "I will not."},
            metadata=ended("content_filter", "stop", id="x"),
            refusal={"refusal": "I will not."},
        )
        for name, body in {
            "at once": completion(content=[refusal_part("I will not.")]),
            "in pieces": sse(
                delta(content=[refusal_part("I will ")]),
                delta(content=refusal_part("not.")),
                delta("stop"),
                "[DONE]",
            ),
            "in two parts": completion(
                content=[refusal_part("I will "), refusal_part("not."), refusal_part(None)]
            ),
            "and as a member": completion(
                content=[refusal_part("I will not.")], refusal="I will not."
            ),
        }.items()
    ),
    Row(
        "text before a refusal as a part",
        completion(content=[{"type": "text", "text": "Hm. "}, refusal_part("I will not.")]),
        text="Hm. ",
        extra={"refusal": "I will not."},
        metadata=ended("content_filter", "stop", id="x"),
        refusal={"refusal": "I will not."},
    ),
    Row(
        "content_filter after text",
        sse(delta(content="Once"), delta("content_filter"), "[DONE]"),
        text="Once",
        **blocked("content_filter", id="x"),
    ),
    native_row(
        "a block that is followed by a normal end",
        sse(
            {"candidates": [{"finishReason": "SAFETY"}]},
            {"candidates": [{"finishReason": "STOP"}]},
        ),
        **blocked("SAFETY"),
    ),
    *(
        native_row(
            f"stopped by {reason}",
            sse(
                native({"text": "Once"}),
                {"candidates": [{"finishReason": reason, "safetyRatings": RATINGS}]},
            ),
            text="Once",
            **blocked(reason, safety_ratings=RATINGS),
        )
        for reason in ("SAFETY", "RECITATION")
    ),
    native_row(
        "stopped before the first word",
        orjson.dumps({"candidates": [{"finishReason": "SAFETY"}]}),
        **blocked("SAFETY"),
    ),
    native_row(
        "a block with a message",
        orjson.dumps({"candidates": [{"finishReason": "BLOCKLIST", "finishMessage": "a word"}]}),
        **blocked("BLOCKLIST", text="a word", finish_message="a word"),
    ),
    *(
        native_row(
            f"{reason} before the first word",
            orjson.dumps({"candidates": [{"finishReason": reason}]}),
            metadata=ended(word, reason, empty_answer=True),
        )
        for reason, word in (
            ("OTHER", "other"),
            ("LANGUAGE", "content_filter"),
            ("NEW_REASON", "new_reason"),
            ("MAX_TOKENS", "length"),
        )
    ),
    *(
        Row(
            f"{word} in a chunk, before the first word",
            sse(delta(), delta(word), "[DONE]"),
            metadata=ended(word.lower(), word, id="x", empty_answer=True),
        )
        for word in ("length", "OTHER")
    ),
    native_row(
        "thoughts, and OTHER",
        sse(native({"thought": True, "text": "hm"}), native(finish="OTHER")),
        reasoning="hm",
        metadata=ended("other", "OTHER", empty_answer=True),
    ),
    native_row(
        "a failed function call after text",
        sse(native({"text": "Once"}), native(finish="MALFORMED_FUNCTION_CALL")),
        text="Once",
        metadata=ended("malformed_function_call", "MALFORMED_FUNCTION_CALL"),
    ),
    *(
        Row(
            f"{word}, which is no finish reason",
            sse(delta(word, content="a"), delta(word, content="b"), "[DONE]"),
            text="ab",
            metadata={"id": "x", "finish_reason": "stop"},
        )
        for word in ("null", "FINISH_REASON_UNSPECIFIED")
    ),
    native_row(
        "a block reason that is none",
        sse(
            {"promptFeedback": {"blockReason": NO_BLOCK}},
            native({"text": "a"}, finish="STOP"),
        ),
        text="a",
        metadata=ended("stop", "STOP", prompt_feedback={"block_reason": NO_BLOCK}),
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
        **blocked(
            "PROHIBITED_CONTENT",
            "block_reason",
            prompt_feedback={**SENT_FEEDBACK, "block_reason_message": "m"},
        ),
    ),
]


@each(ENDINGS)
async def test_an_ending_is_the_same_in_every_call_mode(row: Row) -> None:
    """wire.md 2.1-11, 11-2, 11-21: `length` too, and thoughts alone."""
    await check_every_call_mode(row)


FAILURES = (
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
)

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
    *((word, word.lower(), False) for word in FAILURES),
]
OTHERS = ["OTHER", "new"]


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
        assert event.is_empty == (expected in {"stop", "tool_calls"})


CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}


@pytest.mark.parametrize(
    ("event", "is_terminal", "has_output"),
    [
        (native(finish="STOP"), True, False),
        (native({"text": "a"}, finish="STOP"), True, True),
        (native(CODE, finish="STOP"), False, True),
        (native(CODE, RESULT, finish="STOP"), False, True),
        (native(RESULT, {"text": "1"}, finish="STOP"), True, True),
        ({**native(CODE, finish="STOP"), "credits_consumed": 0.1}, True, True),
        (native(finish="FINISH_REASON_UNSPECIFIED"), False, False),
        ({"promptFeedback": {"blockReason": NO_BLOCK}}, False, False),
        ({"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}}, False, False),
        (delta("null", content="a"), False, True),
        (delta("stop"), True, False),
        (delta(reasoning="a"), False, True),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, True, False),
        ({"type": "ping"}, False, False),
        ({"id": "x", "object": "chat.completion.chunk"}, False, False),
        ({"choices": None}, False, False),
    ],
)
def test_what_proves_the_end_of_an_answer(event, is_terminal: bool, has_output: bool) -> None:
    parsed = parse_event(event)
    assert (parsed.is_terminal, parsed.has_output) == (is_terminal, has_output)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        {**delta("stop", content=""), "usage": {"prompt_tokens": 0}, "credits_consumed": 0},
        {"candidates": [], "usageMetadata": {"promptTokenCount": 0, "totalTokenCount": 0}},
        native({"text": ""}, finish="STOP", usageMetadata={"promptTokenCount": 0}),
    ],
)
def test_an_empty_event_that_cost_nothing_is_empty(event) -> None:
    assert parse_event(event).is_empty


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


NORMALIZED: dict[str, tuple[bytes, str]] = {
    "stop": (completion(content="a"), "stop"),
    "length": (completion("length", content="a"), "length"),
    "a tool call": (completion("stop", tool_calls=[fragment("f", "{}", id="1")]), "tool_call"),
    "content_filter": (completion("content_filter", content="a"), "refusal"),
    "message.refusal": (completion(content=None, refusal="no"), "refusal"),
    "SAFETY": (orjson.dumps(native({"text": "a"}, finish="SAFETY")), "refusal"),
    "a blocked prompt": (orjson.dumps({"promptFeedback": {"blockReason": "OTHER"}}), "refusal"),
    "LANGUAGE": (orjson.dumps(native({"text": "a"}, finish="LANGUAGE")), "content_filter"),
    "MALFORMED_FUNCTION_CALL": (
        orjson.dumps(native({"text": "a"}, finish="MALFORMED_FUNCTION_CALL")),
        "error",
    ),
    "OTHER": (orjson.dumps(native({"text": "a"}, finish="OTHER")), "other"),
}


@pytest.mark.parametrize("name", NORMALIZED)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_newer_versions_of_langchain_get_a_normalized_word(
    name: str, call_mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, expected = NORMALIZED[name]
    with server_sending(body) as server:
        monkeypatch.setattr(metadata_module, "HAS_NORMALIZED_FINISH_REASONS", True)
        message = await call_mode(model_at(server))
        assert message.response_metadata["normalized_finish_reason"] == expected
        monkeypatch.setattr(metadata_module, "HAS_NORMALIZED_FINISH_REASONS", False)
        message = await call_mode(model_at(server))
        assert "normalized_finish_reason" not in message.response_metadata


@pytest.mark.parametrize("name", ["content_filter", "message.refusal", "SAFETY"])
async def test_older_versions_of_langchain_get_no_refusal_blocks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_blocks, "HAS_REFUSALS", False)
    with server_sending(NORMALIZED[name][0]) as server:
        model = model_at(server)
        for message in (model.invoke("?"), await astream(model)):
            assert all(block["type"] == "text" for block in message.content_blocks)
            assert message.response_metadata["finish_reason"] == "content_filter"
        with pytest.raises(OutputParserException, match="the answer was blocked"):
            model.with_structured_output({"title": "a", "type": "object"}).invoke("?")


FAILED: dict[str, tuple[bytes, type[KieError], str]] = {
    **{
        word: (
            orjson.dumps({"candidates": [{"finishReason": word, "finishMessage": "print(f())"}]}),
            KieProtocolError,
            f"{word.lower()}.*print",
        )
        for word in FAILURES
    },
    "a failed call on chat_completions": (
        sse(delta("TOO_MANY_TOOL_CALLS"), "[DONE]"),
        KieProtocolError,
        "too_many_tool_calls.*did not explain",
    ),
    "a failed call after a thought": (
        sse(native({"text": "hm", "thought": True}), native(finish="MALFORMED_FUNCTION_CALL")),
        KieProtocolError,
        "could not complete its answer",
    ),
    "an error in a choice": (
        sse({"choices": [{"index": 0, "error": {"code": 502, "message": "Upstream failed"}}]}),
        KieServerError,
        "Upstream failed",
    ),
    "an error in a choice, after text": (
        sse(delta(content="a"), {"choices": [{"error": {"message": "Upstream failed"}}]}),
        KieServerError,
        "Upstream failed",
    ),
    "an error in a candidate": (
        orjson.dumps({"candidates": [{"error": {"code": 500, "message": "Upstream failed"}}]}),
        KieServerError,
        "Upstream failed",
    ),
    "the finish reason error": (sse(delta("error", content="a")), KieServerError, "finish reason"),
    "no choice, but usage": (
        orjson.dumps({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}),
        KieEmptyResponseError,
        "without a choice or candidate",
    ),
    "no choice, but usage with numbers that are too large": (
        b'{"choices": [], "usage": {"prompt_tokens": 12345678901234567890123, "x": 1e400}}',
        KieEmptyResponseError,
        "Infinity",
    ),
}


@pytest.mark.parametrize("name", FAILED)
@pytest.mark.parametrize("call_mode", BASIC_CALL_MODES)
async def test_an_answer_that_failed_is_an_error(name: str, call_mode) -> None:
    """wire.md 11-4, 11-12: a failed call, or an error in a choice."""
    body, expected, match = FAILED[name]
    with server_sending(body) as server:
        with pytest.raises(expected, match=match) as caught:
            await call_mode(model_at(server))
        assert len(server.requests) == 1
    if expected is KieProtocolError:
        assert caught.value.is_retryable
        assert caught.value.max_retries == 0
    assert caught.value.partial == (call_mode in (stream, astream) and "after" in name)
