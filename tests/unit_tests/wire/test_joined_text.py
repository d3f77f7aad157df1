"""Events of one read that become one event: only where the message stays the same."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from call_modes import model_reading, sum_chunks
from scripted_server import sse

from langchain_kie._wire.joined_text import join_events
from unit_tests.answer.rows import delta, native

Json = dict[str, Any]
CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
THOUGHT = {"google": {"thought": True}}


def chat(*texts: Any, member: str = "content", **members: Any) -> list[Json]:
    """Events that differ only in their text."""
    return [delta(**{member: text}, **members) for text in texts]


def with_choice(*texts: str, **members: Any) -> list[Json]:
    """Events with further members in their choice."""
    return [{"choices": [{"delta": {"content": text}, **members}]} for text in texts]


def parts(*texts: Any, **members: Any) -> list[Json]:
    """Native events that differ only in their text."""
    return [native({"text": text, **members}) for text in texts]


def candidates(*texts: str, **members: Any) -> list[Json]:
    """Native events with further members in their candidate."""
    events = parts(*texts)
    for event in events:
        event["candidates"][0].update(members)
    return events


def counted(*usages: Any) -> list[Json]:
    """Native events with token counts."""
    return [native({"text": "a"}, usageMetadata=usage) for usage in usages]


COUNTS = {"promptTokenCount": 5, "candidatesTokenCount": 1}
ROWS: dict[str, tuple[list[Any], int]] = {
    "text": (chat("a", "b", "c"), 1),
    "thoughts": (chat("a", "b", member="reasoning_content"), 1),
    "thoughts by the other name": (chat("a", "b", member="reasoning"), 1),
    "empty text": (chat("a", "", "b"), 1),
    "text, thoughts, text": (chat("a", "b") + chat("c", member="reasoning") + chat("d", "e"), 3),
    "text next to a thought": (chat("a", "b", reasoning="t"), 2),
    "text next to an empty thought": (chat("a", "b", reasoning_content=None, role="assistant"), 1),
    "text that is no string": (chat("a", ["b"], {"type": "text", "text": "c"}, None), 4),
    "refusals": (chat("a", "b", refusal="no"), 2),
    "tool calls": (chat("a", "b", tool_calls=[CALL]), 2),
    "images": (chat("a", "b", images=["https://a.example/a.png"]), 2),
    "tags of thoughts": (
        [
            *chat("<thought>x", extra_content=THOUGHT),
            *chat("y", "</thought>z", "b"),
        ],
        4,
    ),
    "finish reasons": (with_choice("a", "b", finish_reason="stop"), 2),
    "no finish reason, and no log probabilities": (
        with_choice("a", "b", finish_reason=None, logprobs=None),
        1,
    ),
    "log probabilities": (with_choice("a", "b", logprobs={"content": []}), 2),
    "a message next to a delta": (with_choice("a", "b", message={"content": "m"}), 2),
    "other choices": (with_choice("a", "b", index=0) + with_choice("x", "y", index=1), 2),
    "two choices": ([{"choices": chat("a")[0]["choices"] * 2} for _ in "ab"], 2),
    "no choices": ([{"choices": []}] * 2, 2),
    "other ids": ([{**event, "id": f"{n}"} for n, event in enumerate(chat("a", "b"))], 2),
    "credits": ([{**event, "credits_consumed": 1} for event in chat("a", "b")], 2),
    "errors": ([*chat("a"), *({**e, "error": {"message": "m"}} for e in chat("b", "c"))], 3),
    "both formats": ([{**a, **b} for a, b in zip(chat("a", "b"), parts("a", "b"), strict=True)], 2),
    "native counts": ([{**e, "usageMetadata": {"totalTokenCount": 1}} for e in chat("a", "b")], 2),
    "counts of the other format": (
        [{**e, "usage": {"prompt_tokens": 1}} for e in parts("a", "b")],
        2,
    ),
    "no candidates": ([{**e, "candidates": None} for e in chat("a", "b")], 2),
    "wrapped": ([{"code": 200, "data": event} for event in chat("a", "b")], 2),
    "native text": (parts("a", "b"), 1),
    "native thoughts": (parts("a", "b", thought=True), 1),
    "native text and thoughts": (parts("a", "b") + parts("c", "d", thought=True), 2),
    "signatures": (parts("a", "b", thoughtSignature="AAAA"), 2),
    "two parts": ([native({"text": "a"}, {"text": "b"}) for _ in "ab"], 2),
    "native finish reasons": (candidates("a", "b", finishReason="STOP"), 2),
    "grounding": (
        candidates("a", "b", groundingMetadata={"groundingChunks": [{"web": {"uri": "u"}}]}),
        2,
    ),
    "further members of a content": (
        [{"candidates": [{"content": {"parts": [{"text": text}], "x": 1}}]} for text in "ab"],
        2,
    ),
    "a blocked prompt": (
        [{**e, "promptFeedback": {"blockReason": "SAFETY"}} for e in parts("a")],
        1,
    ),
    "counts that grow": (counted(COUNTS, {**COUNTS, "candidatesTokenCount": 2}), 1),
    "counts that are added": (counted(COUNTS, {**COUNTS, "thoughtsTokenCount": 2}), 1),
    "counts that are left out": (counted(COUNTS, {"promptTokenCount": 5}), 2),
    "counts that become zero": (counted(COUNTS, {**COUNTS, "candidatesTokenCount": 0}), 2),
    "counts that are negative": (counted(COUNTS, {**COUNTS, "candidatesTokenCount": -1}), 2),
    "counts that are text": (counted(COUNTS, {**COUNTS, "candidatesTokenCount": "x"}), 2),
    "counts that end": (counted(COUNTS, None), 2),
    "counts that begin": (counted(None, COUNTS), 2),
    "no events": ([1, None, [], {}, "a", {"type": "ping"}], 6),
}


@pytest.mark.parametrize(("events", "count"), ROWS.values(), ids=ROWS)
def test_events_are_joined_only_if_they_differ_in_text_alone(events: list[Any], count: int) -> None:
    assert len(join_events(copy.deepcopy(events))) == count


@pytest.mark.parametrize(("events", "_"), ROWS.values(), ids=ROWS)
def test_the_message_is_the_same_with_one_read_and_with_many(events: list[Any], _: int) -> None:
    bodies = [sse(event) for event in [*events, "[DONE]"]]
    results = []
    for pieces in (bodies, [b"".join(bodies)]):
        try:
            results.append(sum_chunks([*model_reading(*pieces).stream("hi")]).model_dump())
        except Exception as error:  # noqa: BLE001 - compared below
            results.append(repr(error))
    for result in results:
        if isinstance(result, dict):
            del result["id"]
    assert results[0] == results[1]


def test_events_of_any_depth_are_compared() -> None:
    body = b'{"choices":[{"delta":{"content":"a"}}],"x":%b%b}' % (b"[" * 1000, b"]" * 1000)
    assert 1 <= len(join_events([orjson.loads(body), orjson.loads(body)])) <= 2
