"""Tables of answers: the bytes that a server sends, and the message that they become."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from call_modes import BASIC_CALL_MODES, CALL_MODES, blocks_of, model_at, server_sending
from langchain_core.messages import AIMessage
from scripted_server import sse

from langchain_kie._conversation.thought_signatures import digest_of, text_digest
from langchain_kie.errors import HAS_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Sequence

NATIVE_MODEL = "gemini-3-5-flash"
STRUCTURED_CONTENT = {"events", "aevents", "v1_invoke", "v1_ainvoke", "v1_stream", "v1_astream"}
"""The call modes whose `content` is a list of standard blocks."""


CHECKED = {"reasoning_content", "invalid_arguments"}
"""The members of `additional_kwargs` that every message is checked for."""


def ended(finish_reason: str, native: str | None = None, **metadata: Any) -> dict[str, Any]:
    """The metadata of an answer that ended so; `native` if the server has another word."""
    words = {"finish_reason": finish_reason, "native_finish_reason": native or finish_reason}
    return {**words, **metadata}


STOP = ended("stop", id="x")
CALLS = ended("tool_calls", id="x")
NATIVE_STOP = ended("stop", "STOP")
NATIVE_CALLS = ended("tool_calls", "STOP")
DROPS_LATER_REFUSAL = {"events", "aevents"}
"""The call modes in which LangChain drops a refusal that follows a block (langchain-core 1.8.3)."""


def blocked(
    native: str, key: str = "finish_reason", text: str = "", **metadata: Any
) -> dict[str, Any]:
    """The members of a row whose answer was blocked, except what the model wrote."""
    reason = {key: native}
    metadata = ended("content_filter", native, refusal_reason=reason, **metadata)
    return {"metadata": metadata, "refusal": {"refusal": text, "extras": reason}}


@dataclass(frozen=True)
class Row:
    """The bytes of an answer, and the message that they become.

    Attributes:
        calls: Name, arguments and id of the tool calls; the id is `None` if it is generated.
        invalid: Name and arguments of the invalid tool calls.
        metadata: The `response_metadata` that depends on the bytes, except `token_usage`.
        extra: The `additional_kwargs` except the thoughts; `...` for a value that can vary.
        blocks: `content_blocks`, if they are more than reasoning, text and tool calls.
        refusal: The `refusal` block at their end, without its type.
    """

    name: str
    body: bytes
    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, dict[str, Any], str | None]] = ()
    invalid: Sequence[tuple[str, str]] = ()
    usage: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=lambda: STOP)
    extra: dict[str, Any] = field(default_factory=dict)
    blocks: list[dict[str, Any]] | None = None
    refusal: dict[str, Any] | None = None
    model: str = "gemini-3-flash"


def native_row(name: str, body: bytes, **expected: Any) -> Row:
    """A row of `generate_content`."""
    return Row(name, body, **{"model": NATIVE_MODEL, "metadata": NATIVE_STOP, **expected})


# --- what a server sends ---------------------------------------------------------------------


def delta(finish_reason: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk of `chat_completions`."""
    finish = {"finish_reason": finish_reason} if finish_reason else {}
    return {"id": "x", "choices": [{"index": 0, "delta": members, **finish}]}


def completion(finish_reason: str | None = "stop", **members: Any) -> bytes:
    """A completion of `chat_completions`."""
    message = {"role": "assistant", **members}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return orjson.dumps({"id": "x", "choices": [choice]})


def native(
    *parts: dict[str, Any] | None, finish: str | None = None, **members: Any
) -> dict[str, Any]:
    """An event of `generate_content`, or a complete answer."""
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **members}


def fragment(name: Any = None, arguments: Any = None, **members: Any) -> dict[str, Any]:
    """A tool call of `chat_completions`, or a fragment of one; without what is `None`."""
    function = {"name": name, "arguments": arguments}
    return {**members, "function": {k: v for k, v in function.items() if v is not None}}


def fragments(*calls: dict[str, Any], finish_reason: str = "tool_calls") -> bytes:
    """A stream with a chunk for each fragment."""
    return sse(*(delta(tool_calls=[call]) for call in calls), delta(finish_reason), "[DONE]")


# --- what a message contains -----------------------------------------------------------------


def usage(input_tokens: int, output_tokens: int, **details: int) -> dict[str, Any]:
    """`usage_metadata`, with details of the output tokens."""
    total = input_tokens + output_tokens
    counts: dict[str, Any] = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": total,
    }
    return {**counts, "output_token_details": details} if details else counts


def signed(model: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"thought_signatures": {model: list(entries)}}


def signed_text(start: int, end: int, signature: str) -> dict[str, Any]:
    return {"type": "text", "start": start, "end": end, "signature": signature}


def signed_content(text: str) -> dict[str, Any]:
    return {"type": "content", "digest": text_digest(text)}


def signed_call(
    call_id: str, at: int, signature: str, args: dict[str, Any], name: str = "f"
) -> dict[str, Any]:
    entry = {"type": "tool_call", "id": call_id, "at": at, "signature": signature}
    return {**entry, "digest": digest_of(name, args)}


def _text_blocks(row: Row) -> list[dict[str, Any]]:
    blocks = [{"type": "reasoning", "reasoning": row.reasoning}] if row.reasoning else []
    return [*blocks, {"type": "text", "text": row.text}] if row.text else blocks


def check(row: Row, message: AIMessage, call_mode: str = "", *, is_sum: bool = False) -> None:
    """Check that `message` is the message of the row, summed by LangChain or by the package."""
    assert type(message) is AIMessage
    assert message.text == row.text
    assert message.additional_kwargs.get("reasoning_content", "") == row.reasoning

    blocks = blocks_of(message)
    refusals = [block for block in blocks if block["type"] == "refusal"]
    is_dropped = (row.text or row.reasoning or row.invalid) and call_mode in DROPS_LATER_REFUSAL
    if row.refusal and HAS_REFUSALS and not is_dropped:
        assert refusals == blocks[-1:] == [{"type": "refusal", **row.refusal}]
    else:
        assert not refusals
    shown = [
        block
        for block in blocks
        if block not in refusals and ("tool_call" not in block["type"] or row.blocks)
    ]
    if not row.invalid or shown:
        assert shown == (_text_blocks(row) if row.blocks is None else row.blocks)

    assert [(call["name"], call["args"]) for call in message.tool_calls] == [
        (name, args) for name, args, _ in row.calls
    ]
    ids = [call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls)]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    for (_, _, expected), actual in zip(row.calls, ids, strict=False):
        assert actual == expected or (expected is None and actual.startswith("call_"))
    for (name, arguments), call in zip(row.invalid, message.invalid_tool_calls, strict=True):
        assert call["name"] == name
        original = message.additional_kwargs["invalid_arguments"][call["id"]]
        assert original == arguments
        assert str(call["args"]).startswith(original) if is_sum else call["args"] == original

    assert message.usage_metadata == row.usage
    metadata = {k: v for k, v in message.response_metadata.items() if k != "output_version"}
    token_usage = metadata.pop("token_usage", None)
    assert (token_usage and token_usage["total_tokens"]) == (
        row.usage and row.usage["total_tokens"]
    )
    if (amount := row.metadata.get("credits_consumed")) is not None:
        assert metadata.pop("cost_usd") == pytest.approx(amount / 200)
    assert metadata == {"model_provider": "kie", "model_name": row.model, **row.metadata}
    extra = {k: v for k, v in message.additional_kwargs.items() if k not in CHECKED}
    assert extra.keys() == row.extra.keys()
    assert all(row.extra[name] in (..., extra[name]) for name in extra)


async def check_every_call_mode(row: Row) -> None:
    """Check that a row is the same message in every call mode."""
    with server_sending(row.body) as server:
        model = model_at(server, model=row.model)
        for call_mode in CALL_MODES:
            message = await _called(call_mode, model, row)
            try:
                check(
                    row, message, call_mode.__name__, is_sum=call_mode not in BASIC_CALL_MODES[:2]
                )
                is_only_refusal = row.refusal is not None and not message.content
                if call_mode.__name__ in STRUCTURED_CONTENT:
                    content = [{**block} for block in message.content]
                    blocks = [_without_index(block) for block in content]
                    assert is_only_refusal or blocks_of(message) == blocks
                elif row.blocks is None:
                    assert message.content == row.text
            except AssertionError as error:
                error.add_note(f"call mode: {call_mode.__name__}")
                raise


async def _called(call_mode: Any, model: Any, row: Row) -> AIMessage:
    """The message of a call; an answer that is empty but was billed warns once."""
    if "empty_answer" not in row.metadata:
        return await call_mode(model)
    with pytest.warns(UserWarning, match="the answer is empty") as caught:
        message = await call_mode(model)
    # The first `astream_events` of a process warns too, that LangChain's version 3 is in beta.
    assert len([one for one in caught if "empty" in str(one.message)]) == 1
    return message


def _without_index(block: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in block.items() if k != "index"}


def each(*tables: Sequence[Row]) -> pytest.MarkDecorator:
    """Run a test for each row."""
    rows = [row for table in tables for row in table]
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


def chat_row(name: str, body: bytes, **expected: Any) -> Row:
    return Row(name, body, **{"metadata": CALLS, **expected})


F1, F2, G2 = ("f", {"i": 1}, "c1"), ("f", {"i": 2}, "c2"), ("g", {"i": 2}, "c2")
GENERATED = [("f", {"i": 1}, None), ("f", {"i": 2}, None)]
SIGNATURE = {"extra_content": {"google": {"thought_signature": "Sg=="}}}
