"""A conversation is sent completely, as KIE accepts it, or rejected with a `ValueError`."""

from __future__ import annotations

import asyncio
import copy
import sys
import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import event, example, given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from fuzz import bodies, histories
from fuzz.laws import (
    KEEPERS,
    MODELS,
    NATIVE,
    accepted_body,
    body_of,
    chunks_of,
    continued,
    merge_chunks,
    prepared,
    sized,
)
from fuzz.shapes import Shape, shaped
from langchain_kie._conversation.thought_signatures import PLACEHOLDER_SIGNATURE

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from langchain_kie import ChatKieGemini

OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5, "top_p": 1, "max_tokens": 9, "stop": ["x"], "reasoning_effort": "low"},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    {"tools": [{"google_search": {}}], "include_thoughts": True},
    {"response_format": {"type": "json_object"}},
]


def as_text(messages: list[BaseMessage]) -> str:
    """Messages as text, to detect changes."""
    return repr([message.model_dump() for message in messages])


@sized(150)
@given(histories.valid(), st.sampled_from(MODELS), st.sampled_from(OPTIONS))
def test_valid_conversation_is_sent_completely_and_accepted(
    history: histories.History, model: ChatKieGemini, options: dict[str, Any]
) -> None:
    before = as_text(history.messages), copy.deepcopy(options)
    texts = histories.texts_in(asyncio.run(accepted_body(model, history.messages, options)))
    assert (as_text(history.messages), options) == before
    for expected in [*history.ordered_texts, *history.sent]:
        assert any(expected in text for text in texts), f"{expected!r} is lost"
    positions = [
        next(n for n, text in enumerate(texts) if expected in text)
        for expected in history.ordered_texts
    ]
    assert positions == sorted(positions)


@sized(250)
@given(histories.invalid(), st.sampled_from(MODELS), st.sampled_from(OPTIONS))
def test_invalid_conversation_is_a_request_or_a_value_error(
    messages: list[BaseMessage], model: ChatKieGemini, options: dict[str, Any]
) -> None:
    before = as_text(messages), copy.deepcopy(options)
    with warnings.catch_warnings(), suppress(ValueError):
        warnings.simplefilter("ignore")
        assert body_of(model, messages, **options)
        event("a request")
    assert (as_text(messages), options) == before


@sized(200)
@given(shaped(), bodies.PLACES, st.sampled_from(sorted(KEEPERS)), st.booleans())
def test_answer_is_sent_back_unchanged(
    answer: Shape, places: list[int], keeper: str, is_document: bool
) -> None:
    body = orjson.dumps(answer.document) if is_document else answer.stream
    message = merge_chunks(chunks_of(bodies.cut(body, places), answer.model))
    sent = body_of(answer.model, continued(KEEPERS[keeper](message)))
    read = _native_turn if answer.model is NATIVE else _chat_turn
    assert read(sent) == (answer.text, answer.calls, answer.attachments)


def _native_turn(body: Any) -> tuple[str, list[Any], list[Any]]:
    """Text, tool calls, and signatures with their parts, of the model turn."""
    parts = body["contents"][1]["parts"]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    signed = [
        (part["text"] if "text" in part else part["functionCall"]["id"], part["thoughtSignature"])
        for part in parts
        if part.get("thoughtSignature", PLACEHOLDER_SIGNATURE) != PLACEHOLDER_SIGNATURE
    ]
    return "".join(part.get("text", "") for part in parts), calls, signed


def _chat_turn(body: Any) -> tuple[str, list[Any], list[Any]]:
    """Text, tool calls, and the `extra_content` of these; arguments may be encoded twice."""
    turn = body["messages"][1]
    sent = turn.get("tool_calls", [])
    calls = [{"id": call["id"], **call["function"]} for call in sent]
    for call in calls:
        args = orjson.loads(call.pop("arguments"))
        call["args"] = orjson.loads(args) if isinstance(args, str) else args
    extras = [(call["id"], call["extra_content"]) for call in sent if "extra_content" in call]
    return turn["content"], calls, extras


# --- media ----------------------------------------------------------------------------------

OPERATIONS: list[str] = []
_WATCHED = ("open", "os.", "socket.", "subprocess.", "shutil.", "urllib.", "http.", "glob.")
_thread = threading.local()


def _note(name: str, args: tuple[Any, ...]) -> None:
    if getattr(_thread, "is_watched", False) and name.startswith(_WATCHED):
        OPERATIONS.append(f"{name} {args!r:.200}")


sys.addaudithook(_note)


@sized(300)
@given(st.lists(histories.INVALID_BLOCKS, min_size=1, max_size=3), st.sampled_from(MODELS))
@example([{"type": "image", "path": "/etc/passwd"}], NATIVE)
@example([{"type": "file", "file": {"file_data": "file:///etc/passwd"}}], NATIVE)
@example([{"type": "image_url", "image_url": "/etc/passwd"}], NATIVE)
def test_no_content_block_opens_a_file_or_a_connection(
    blocks: list[dict[str, Any]], model: ChatKieGemini
) -> None:
    """After the modules were loaded that the client loads with the first media part."""
    for first in ({"base64": "iVBORw0KGgo="}, {"url": "https://x.example/x.png"}):
        prepared(model, [HumanMessage([{"type": "image", "mime_type": "image/png", **first}])])
    _thread.is_watched = True
    try:
        with suppress(ValueError):
            prepared(model, [HumanMessage(blocks)])
            event("sent")
    finally:
        _thread.is_watched = False
    assert not OPERATIONS
